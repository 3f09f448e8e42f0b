//! A matrix of derivatives of one carried value, stored as sparsely as its structure allows.

use elman_core::algebra::Element;

/// What of a matrix can differ from zero. It follows from the cell, whatever the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing.
    Zero,
    /// The diagonal.
    Diagonal,
    /// Everything.
    Dense,
}

/// A (rows, cols) matrix of one [`Kind`].
#[derive(Clone, Debug)]
pub struct Block<F> {
    kind: Kind,
    rows: usize,
    cols: usize,
    /// Nothing, the diagonal, or all of it row by row.
    values: Vec<F>,
}

impl<F: Element> Block<F> {
    /// A matrix of zeros.
    pub(super) fn new(kind: Kind, rows: usize, cols: usize) -> Self {
        let len = match kind {
            Kind::Zero => 0,
            Kind::Diagonal => rows.min(cols),
            Kind::Dense => rows * cols,
        };
        Block { kind, rows, cols, values: vec![F::constant(0.0); len] }
    }

    /// What of it can differ from zero.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// The stored numbers: none, the diagonal, or all row by row.
    pub fn values(&self) -> &[F] {
        &self.values
    }

    /// One element.
    pub fn at(&self, row: usize, col: usize) -> F {
        match self.kind {
            Kind::Dense => self.values[row * self.cols + col],
            Kind::Diagonal if row == col => self.values[row],
            _ => F::constant(0.0),
        }
    }

    pub(super) fn clear(&mut self) {
        self.values.fill(F::constant(0.0));
    }

    /// Becomes the identity.
    pub(super) fn set_identity(&mut self) {
        self.clear();
        let step = if self.kind == Kind::Dense { self.cols + 1 } else { 1 };
        self.values.iter_mut().step_by(step).for_each(|v| *v = F::constant(1.0));
    }

    /// `self += other · diag(scale)`. What `other` has, `self` has room for.
    pub(super) fn add_scaled(&mut self, other: &Block<F>, scale: &[F]) {
        match (other.kind, self.kind) {
            (Kind::Zero, _) => {}
            (Kind::Diagonal, Kind::Diagonal) => {
                for ((v, &o), &s) in self.values.iter_mut().zip(&other.values).zip(scale) {
                    *v = *v + o * s;
                }
            }
            (Kind::Diagonal, Kind::Dense) => {
                for ((v, &o), &s) in self.values.iter_mut().step_by(self.cols + 1).zip(&other.values).zip(scale) {
                    *v = *v + o * s;
                }
            }
            (Kind::Dense, Kind::Dense) => {
                for (row, other) in self.values.chunks_mut(self.cols).zip(other.values.chunks(self.cols)) {
                    for ((v, &o), &s) in row.iter_mut().zip(other).zip(scale) {
                        *v = *v + o * s;
                    }
                }
            }
            _ => unreachable!("kinds only grow"),
        }
    }

    /// `self += other · W`, W (other.cols, self.cols) row by row; `self` is dense unless `other` is zero.
    pub(super) fn add_product(&mut self, other: &Block<F>, w: &[F]) {
        let cols = self.cols;
        match other.kind {
            Kind::Zero => {}
            Kind::Diagonal => {
                for ((row, &o), w) in self.values.chunks_mut(cols).zip(&other.values).zip(w.chunks(cols)) {
                    axpy(row, o, w);
                }
            }
            Kind::Dense => {
                for (row, others) in self.values.chunks_mut(cols).zip(other.values.chunks(other.cols)) {
                    for (&o, w) in others.iter().zip(w.chunks(cols)) {
                        axpy(row, o, w);
                    }
                }
            }
        }
    }

    /// From derivatives by a normalised vector `n`, scaled by gains, those by the vector it was: for each row d, `f (d - mean(d) - n mean(d n))`.
    pub(super) fn set_normalised(&mut self, other: &Block<F>, gains: &[F], n: &[F], factor: F) {
        self.clear();
        self.add_scaled(other, gains);
        let count = F::constant(n.len() as f64);
        for d in self.values.chunks_mut(n.len()) {
            let mean = d.iter().fold(F::constant(0.0), |sum, &d| sum + d) / count;
            let along = d.iter().zip(n).fold(F::constant(0.0), |sum, (&d, &n)| sum + d * n) / count;
            for (d, &n) in d.iter_mut().zip(n) {
                *d = factor * (*d - mean - n * along);
            }
        }
    }
}

/// `y += a x`.
pub(crate) fn axpy<F: Element>(y: &mut [F], a: F, x: &[F]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = *y + a * x;
    }
}

/// Σ x y, in eight running sums: their order is fixed, and the processor need not wait for one addition before the next.
pub(crate) fn dot<F: Element>(x: &[F], y: &[F]) -> F {
    let mut sums = [F::constant(0.0); 8];
    let (xs, x_rest) = x.as_chunks::<8>();
    let (ys, y_rest) = y.as_chunks::<8>();
    for (x, y) in xs.iter().zip(ys) {
        for k in 0..8 {
            sums[k] = sums[k] + x[k] * y[k];
        }
    }
    let start = sums.iter().fold(F::constant(0.0), |sum, &s| sum + s);
    x_rest.iter().zip(y_rest).fold(start, |sum, (&x, &y)| sum + x * y)
}
