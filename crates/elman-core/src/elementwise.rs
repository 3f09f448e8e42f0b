//! Recorded equations applied to whole matrices, forward and backward: for networks that are wired in another way than a layer.

use crate::algebra::expression::record;
use crate::algebra::lanes::{Isa, shape};
use crate::algebra::program::{MAX_ARGUMENTS, Program};
use crate::algebra::{Element, Real};
use crate::cell::Column;

/// Equations, each number of a result from one number of every argument, for any kind of number.
pub trait Equations: Send + Sync + 'static {
    /// The results.
    fn eval<R: Real>(&self, arguments: &[R]) -> Vec<R>;
}

/// Equations, recorded once, that the vector lanes apply to every element of matrices: themselves, and their exact gradient.
///
/// ```
/// use elman_core::elementwise::{Columns, ColumnsMut, Elementwise, Equations};
/// use elman_core::Real;
///
/// struct Gated;
/// impl Equations for Gated {
///     fn eval<R: Real>(&self, arguments: &[R]) -> Vec<R> {
///         vec![arguments[0].sigmoid() * arguments[1]]
///     }
/// }
/// let gated = Elementwise::new(2, &Gated);
/// // Two rows of a gate and a value, two wide, side by side: the gate is 0 everywhere.
/// let both = [0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0, 4.0_f32];
/// let arguments = [Columns { values: &both, count: 2, stride: 4 }];
/// let mut result = [0.0; 4];
/// gated.forward([2, 2], &arguments, &mut [ColumnsMut { values: &mut result, count: 1, stride: 2 }]);
/// assert_eq!(result, [0.5, 1.0, 1.5, 2.0]);
///
/// let (d_result, mut d_both) = ([1.0; 4], [0.0; 8]);
/// let d_result = [Columns { values: &d_result, count: 1, stride: 2 }];
/// gated.backward([2, 2], &arguments, &d_result, &mut [ColumnsMut { values: &mut d_both, count: 2, stride: 4 }]);
/// assert_eq!(d_both, [0.25, 0.5, 0.5, 0.5, 0.75, 1.0, 0.5, 0.5]);
/// ```
#[derive(Clone, Debug)]
pub struct Elementwise {
    isa: Isa,
    arguments: usize,
    results: usize,
    forward: Program,
    backward: Program,
}

/// `count` matrices side by side: the numbers of a row begin at every `stride`-th number of `values`.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a, F> {
    /// From the first matrix's first number on.
    pub values: &'a [F],
    /// How many matrices.
    pub count: usize,
    /// From row to row; with 0 all rows are the same numbers.
    pub stride: usize,
}

/// The same, to be written.
#[derive(Debug)]
pub struct ColumnsMut<'a, F> {
    /// From the first matrix's first number on.
    pub values: &'a mut [F],
    /// How many matrices.
    pub count: usize,
    /// From row to row.
    pub stride: usize,
}

impl Elementwise {
    /// The most arguments that equations can have.
    pub const MOST: usize = MAX_ARGUMENTS;

    /// Records the equations of so many arguments, for the fastest instruction set of this processor.
    ///
    /// # Panics
    /// With more than [`MOST`](Elementwise::MOST).
    #[track_caller]
    pub fn new(arguments: usize, equations: &impl Equations) -> Elementwise {
        Elementwise::with(Isa::detect(), arguments, equations)
    }

    /// The same for an instruction set.
    ///
    /// # Panics
    /// Where this processor does not have it, too.
    #[track_caller]
    pub fn with(isa: Isa, arguments: usize, equations: &impl Equations) -> Elementwise {
        assert!(Isa::available().contains(&isa), "this processor has no {isa}");
        assert!(arguments <= MAX_ARGUMENTS, "{arguments} arguments; at most {MAX_ARGUMENTS} are possible");
        let recording = record(arguments, |args| equations.eval(args));
        let results = recording.outputs.len();
        Elementwise {
            isa,
            arguments,
            results,
            forward: Program::forward(&recording),
            backward: Program::backward(arguments, results, 0..0, |args| equations.eval(args)),
        }
    }

    /// The results for matrices of `[rows, width]`.
    ///
    /// # Panics
    /// Where the matrices are not as many as the equations' arguments and results, an array ends before its last row does, or rows of a result
    /// overlap.
    #[track_caller]
    pub fn forward<F: Element>(&self, size: [usize; 2], arguments: &[Columns<F>], results: &mut [ColumnsMut<F>]) {
        let columns = [self.columns(size, arguments, self.arguments), Vec::new()];
        run(&self.forward, self.isa, size, columns, self.columns_mut(size, results, self.results));
    }

    /// The gradients by the arguments, from the arguments and the gradients by the results.
    ///
    /// # Panics
    /// As [`forward`](Elementwise::forward).
    #[track_caller]
    pub fn backward<F: Element>(
        &self,
        size: [usize; 2],
        arguments: &[Columns<F>],
        d_results: &[Columns<F>],
        d_arguments: &mut [ColumnsMut<F>],
    ) {
        let columns = [self.columns(size, arguments, self.arguments), self.columns(size, d_results, self.results)];
        run(&self.backward, self.isa, size, columns, self.columns_mut(size, d_arguments, self.arguments));
    }

    /// The beginning of every matrix.
    #[track_caller]
    fn columns<F>(&self, [rows, width]: [usize; 2], matrices: &[Columns<F>], expected: usize) -> Vec<Column<F>> {
        same_number(matrices.iter().map(|m| m.count), expected);
        let all = matrices.iter().flat_map(|m| {
            let needed = numbers([rows, width], m.count, m.stride);
            assert!(needed.is_some_and(|n| m.values.len() >= n), "an array of {} numbers", m.values.len());
            // Only read: the kernels' columns are of either kind.
            let start = m.values.as_ptr().cast_mut();
            (0..m.count).map(move |k| Column { ptr: start.wrapping_add(k * width), stride: m.stride })
        });
        all.collect()
    }

    /// The same of what is written: no number stands in two matrices or rows.
    #[track_caller]
    fn columns_mut<F>(
        &self,
        [rows, width]: [usize; 2],
        matrices: &mut [ColumnsMut<F>],
        expected: usize,
    ) -> Vec<Column<F>> {
        same_number(matrices.iter().map(|m| m.count), expected);
        let all = matrices.iter_mut().flat_map(|m| {
            let apart = m.count.checked_mul(width).is_some_and(|row| m.stride >= row);
            assert!(apart, "{} matrices {width} wide every {} numbers", m.count, m.stride);
            let needed = numbers([rows, width], m.count, m.stride);
            assert!(needed.is_some_and(|n| m.values.len() >= n), "an array of {} numbers", m.values.len());
            let (start, stride) = (m.values.as_mut_ptr(), m.stride);
            (0..m.count).map(move |k| Column { ptr: start.wrapping_add(k * width), stride })
        });
        all.collect()
    }
}

/// Panics unless the counts make the number that is expected.
#[track_caller]
fn same_number(counts: impl Iterator<Item = usize> + Clone, expected: usize) {
    let sum = counts.clone().try_fold(0usize, usize::checked_add);
    assert!(sum == Some(expected), "{:?} matrices side by side in place of {expected}", counts.collect::<Vec<_>>());
}

/// How many numbers an array has at least; none for more than there can be.
fn numbers([rows, width]: [usize; 2], count: usize, stride: usize) -> Option<usize> {
    let row = count.checked_mul(width)?;
    match rows {
        0 => Some(0),
        _ => (rows - 1).checked_mul(stride)?.checked_add(row),
    }
}

/// Rows in which all units have their turn, so that few pages are in use: as many as have so many numbers, and at least the smaller number.
const NUMBERS: usize = 2048;
const ROWS: usize = 16;

/// Applies a program to matrices that [`Elementwise`] has checked.
fn run<F: Element>(
    program: &Program,
    isa: Isa,
    [rows, width]: [usize; 2],
    inputs: [Vec<Column<F>>; 2],
    outputs: Vec<Column<F>>,
) {
    let (lanes, _) = shape::<F>(isa);
    let at = |columns: &[Column<F>], row: usize, unit: usize| -> Vec<Column<F>> {
        let start = |c: &Column<F>| c.ptr.wrapping_add(row * c.stride + unit);
        columns.iter().map(|c| Column { ptr: start(c), stride: c.stride }).collect()
    };
    let whole = width / lanes * lanes;
    let together = ROWS.max(NUMBERS / width.max(1));
    for row in (0..rows).step_by(together) {
        let mut columns = [at(&inputs[0], row, 0), at(&inputs[1], row, 0), at(&outputs, row, 0)];
        for _ in 0..whole / lanes {
            let [first, second, results] = &columns;
            // SAFETY: the instruction set is the processor's; every column has `lanes` numbers in each of its rows, as its matrix has
            // `width`; what is written is borrowed alone and apart from the rest.
            unsafe { program.run(isa, [first, second], results, together.min(rows - row)) };
            columns.iter_mut().flatten().for_each(|c| c.ptr = c.ptr.wrapping_add(lanes));
        }
    }
    if whole < width && rows > 0 {
        let inputs = [at(&inputs[0], 0, whole), at(&inputs[1], 0, whole)];
        // SAFETY: as above; `width - whole` numbers are left in each row.
        unsafe { run_narrow(program, isa, [rows, width - whole], inputs, &at(&outputs, 0, whole)) };
    }
}

/// The units that do not fill a register, through arrays that do.
///
/// # Safety
/// `isa` is the processor's; every column has `width` numbers in each of `rows` rows, fewer than a register; outputs are borrowed alone.
unsafe fn run_narrow<F: Element>(
    program: &Program,
    isa: Isa,
    [rows, width]: [usize; 2],
    inputs: [Vec<Column<F>>; 2],
    outputs: &[Column<F>],
) {
    let (lanes, _) = shape::<F>(isa);
    let matrix = rows * lanes;
    let count = inputs[0].len() + inputs[1].len();
    let mut room = vec![F::constant(0.0); (count + outputs.len()) * matrix];
    for (to, column) in room.chunks_exact_mut(matrix).zip(inputs.iter().flatten()) {
        for (row, to) in to.chunks_exact_mut(lanes).enumerate() {
            // SAFETY: the caller's promise.
            let from = unsafe { core::slice::from_raw_parts(column.ptr.wrapping_add(row * column.stride), width) };
            to[..width].copy_from_slice(from);
        }
    }
    let start = room.as_mut_ptr();
    let columns: Vec<Column<F>> =
        (0..count + outputs.len()).map(|k| Column { ptr: start.wrapping_add(k * matrix), stride: lanes }).collect();
    let (from, to) = columns.split_at(count);
    let (first, second) = from.split_at(inputs[0].len());
    // SAFETY: every column is a matrix of its own in `room`, of whole registers.
    unsafe { program.run(isa, [first, second], to, rows) };
    for (from, column) in room[count * matrix..].chunks_exact(matrix).zip(outputs) {
        for (row, from) in from.chunks_exact(lanes).enumerate() {
            // SAFETY: the caller's promise.
            let to = unsafe { core::slice::from_raw_parts_mut(column.ptr.wrapping_add(row * column.stride), width) };
            to.copy_from_slice(&from[..width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An LSTM's last lines: of four gates and a cell, c and h.
    struct Lines;

    impl Equations for Lines {
        fn eval<R: Real>(&self, a: &[R]) -> Vec<R> {
            let c = a[0].sigmoid() * a[1].tanh() + a[2].sigmoid() * a[4];
            vec![a[3].sigmoid() * c.tanh(), c]
        }
    }

    fn values(n: usize, phase: f64) -> Vec<f64> {
        (0..n).map(|i| (i as f64 * 0.7 + phase).sin()).collect()
    }

    /// Every instruction set, widths below, at and above a register's, rows apart: each number and nothing beside it.
    #[test]
    fn matrices_of_any_width_are_evaluated_and_nothing_beside_them() {
        for isa in Isa::available() {
            let lines = Elementwise::with(isa, 5, &Lines);
            for (rows, width) in [(0, 3), (1, 1), (3, 7), (2, 8), (5, 21)] {
                let (gates, cell) = (values(rows * 4 * width + 9, 0.1), values(width, 0.4));
                let d = values(rows * 2 * width + 9, 0.3);
                let arguments = [
                    Columns { values: &gates, count: 4, stride: 4 * width },
                    // The same cell in all rows.
                    Columns { values: &cell, count: 1, stride: 0 },
                ];
                let mut out = vec![7.0; rows * (2 * width + 1)];
                let results = ColumnsMut { values: &mut out, count: 2, stride: 2 * width + 1 };
                lines.forward([rows, width], &arguments, &mut [results]);
                let d_out = [Columns { values: &d, count: 2, stride: 2 * width }];
                let (mut d_gates, mut d_cell) = (vec![7.0; rows * (4 * width + 1)], vec![7.0; rows * width]);
                let d_arguments = &mut [
                    ColumnsMut { values: &mut d_gates, count: 4, stride: 4 * width + 1 },
                    ColumnsMut { values: &mut d_cell, count: 1, stride: width },
                ];
                lines.backward([rows, width], &arguments, &d_out, d_arguments);
                for row in 0..rows {
                    for unit in 0..width {
                        let argument = |k: usize| if k < 4 { gates[(row * 4 + k) * width + unit] } else { cell[unit] };
                        let at = |by: f64, k: usize| {
                            Lines.eval(&[0, 1, 2, 3, 4].map(|j| argument(j) + if j == k { by } else { 0.0 }))
                        };
                        let exact = at(0.0, 0);
                        for (k, exact) in exact.iter().enumerate() {
                            let found = out[row * (2 * width + 1) + k * width + unit];
                            assert!((found - exact).abs() < 1e-14, "{isa}, row {row}, unit {unit}, result {k}");
                        }
                        for k in 0..5 {
                            let (up, down) = (at(1e-6, k), at(-1e-6, k));
                            let weight = |o: usize| d[(row * 2 + o) * width + unit];
                            let slope: f64 = (0..2).map(|o| weight(o) * (up[o] - down[o]) / 2e-6).sum();
                            let found = match k {
                                4 => d_cell[row * width + unit],
                                _ => d_gates[row * (4 * width + 1) + k * width + unit],
                            };
                            assert!((found - slope).abs() < 1e-8, "{isa}, row {row}, unit {unit}, argument {k}");
                        }
                    }
                }
                let beside =
                    |all: &[f64], stride: usize| all.iter().skip(stride - 1).step_by(stride).all(|&x| x == 7.0);
                assert!(beside(&out, 2 * width + 1) && beside(&d_gates, 4 * width + 1), "{isa}, between the rows");
            }
        }
    }

    #[test]
    #[should_panic(expected = "an array of 3 numbers")]
    fn sizes_that_no_memory_holds_are_refused() {
        let lines = Elementwise::new(5, &Lines);
        let arguments = [Columns { values: &[0.0_f32; 3], count: 5, stride: 1 << 63 }];
        let mut out = [0.0; 2];
        lines.forward([3, 1], &arguments, &mut [ColumnsMut { values: &mut out, count: 2, stride: 2 }]);
    }

    #[test]
    #[should_panic(expected = "an array of 3 numbers")]
    fn an_array_that_ends_too_early_is_refused() {
        let lines = Elementwise::new(5, &Lines);
        let arguments = [Columns { values: &[0.0_f32; 3], count: 5, stride: 5 }];
        let mut out = [0.0; 2];
        lines.forward([1, 1], &arguments, &mut [ColumnsMut { values: &mut out, count: 2, stride: 2 }]);
    }

    #[test]
    #[should_panic(expected = "[18446744073709551615, 6] matrices side by side in place of 5")]
    fn counts_that_no_number_holds_are_refused() {
        let lines = Elementwise::new(5, &Lines);
        let columns = |count| Columns { values: &[0.0_f32; 3], count, stride: 5 };
        let mut out = [0.0; 2];
        let results = &mut [ColumnsMut { values: &mut out, count: 2, stride: 2 }];
        lines.forward([1, 1], &[columns(usize::MAX), columns(6)], results);
    }
}
