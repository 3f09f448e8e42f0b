//! Singular values: Householder reflections to a bidiagonal matrix, then bisection.

/// The singular values of a matrix (rows, cols), largest first.
///
/// The bidiagonal matrix with diagonal d and superdiagonal e has the singular values σ for which ±σ are the eigenvalues of the
/// symmetric tridiagonal matrix with zero diagonal and d₁, e₁, d₂, e₂, ... beside it (Golub & Kahan 1965); how many eigenvalues lie
/// below a number is read from the signs of its pivots (Sturm).
///
/// Values are exact to some 1e-15 of the largest; what is below that is rounding, and below 1e-18 of it is given as 0.
///
/// ```
/// use elman_run::analysis::linear::singular_values;
/// let found = singular_values(&[3.0, 0.0, 4.0, 5.0], 2, 2); // σ₁² + σ₂² = 50, σ₁ σ₂ = 15
/// assert!((found[0] - 45f64.sqrt()).abs() < 1e-12 && (found[1] - 5f64.sqrt()).abs() < 1e-12);
/// ```
///
/// # Panics
/// If the slice has another length.
pub fn singular_values(a: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    assert_eq!(a.len(), rows * cols, "a matrix of {rows} x {cols}");
    // More rows than columns; the transposed has the same values.
    if rows < cols {
        let transposed: Vec<f64> = (0..cols * rows).map(|k| a[k % rows * cols + k / rows]).collect();
        return singular_values(&transposed, cols, rows);
    }
    let largest = a.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    if largest == 0.0 || cols == 0 {
        return vec![0.0; cols];
    }
    let mut scaled: Vec<f64> = a.iter().map(|x| x / largest).collect();
    let beside = bidiagonal(&mut scaled, rows, cols);
    bisect(&beside, cols).into_iter().map(|sigma| sigma * largest).collect()
}

/// d₁, e₁, d₂, e₂, ..., d_n of the bidiagonal form.
fn bidiagonal(a: &mut [f64], rows: usize, cols: usize) -> Vec<f64> {
    let mut beside = Vec::with_capacity(2 * cols - 1);
    let mut along = vec![0.0; cols];
    for k in 0..cols {
        let mut v: Vec<f64> = (k..rows).map(|i| a[i * cols + k]).collect();
        let (d, beta) = reflector(&mut v);
        beside.push(d);
        along[k + 1..].fill(0.0);
        for (i, &v) in v.iter().enumerate() {
            let row = &a[(k + i) * cols..][k + 1..cols];
            along[k + 1..].iter_mut().zip(row).for_each(|(s, x)| *s += v * x);
        }
        for (i, &v) in v.iter().enumerate() {
            let row = &mut a[(k + i) * cols..][k + 1..cols];
            row.iter_mut().zip(&along[k + 1..]).for_each(|(x, s)| *x -= beta * v * s);
        }
        if k + 1 == cols {
            break;
        }
        let mut v = a[k * cols..][k + 1..cols].to_vec();
        let (e, beta) = reflector(&mut v);
        beside.push(e);
        for i in k + 1..rows {
            let row = &mut a[i * cols..][k + 1..cols];
            let s = beta * row.iter().zip(&v).map(|(x, v)| x * v).sum::<f64>();
            row.iter_mut().zip(&v).for_each(|(x, v)| *x -= s * v);
        }
    }
    beside
}

/// Makes of `v` the vector of the reflection 1 - β v vᵀ that turns it into (d, 0, 0, ...); gives d and β.
pub(super) fn reflector(v: &mut [f64]) -> (f64, f64) {
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    if norm == 0.0 {
        return (0.0, 0.0);
    }
    let d = if v[0] > 0.0 { -norm } else { norm };
    v[0] -= d;
    // vᵀv / 2 = d² - d x₀, all of one sign.
    (d, 1.0 / (-d * v[0]))
}

/// The nonnegative eigenvalues of the tridiagonal matrix with zero diagonal.
fn bisect(beside: &[f64], count: usize) -> Vec<f64> {
    let squares: Vec<f64> = beside.iter().map(|x| x * x).collect();
    // How many of the singular values are below x: the negative pivots, less those of the negative halves.
    let below = |x: f64| {
        let (mut pivot, mut negative) = (-x, 1);
        for &square in &squares {
            // A pivot of zero counts as a negative one of no size.
            let divisor = if pivot == 0.0 { -f64::MIN_POSITIVE } else { pivot };
            pivot = -x - square / divisor;
            negative += usize::from(pivot < 0.0);
        }
        negative - count
    };
    // Gershgorin: no eigenvalue is larger than the largest sum of two neighbours.
    let bound =
        beside.iter().zip(beside.iter().skip(1).chain([&0.0])).map(|(a, b)| a.abs() + b.abs()).fold(0.0, f64::max);
    let floor = 1e-18 * bound;
    let vanished = below(floor);
    let mut values = vec![0.0; count];
    let mut high = bound * (1.0 + 1e-12);
    for (i, value) in values.iter_mut().take(count - vanished).enumerate() {
        // The i-th largest: at least count - i of them are not above it.
        let mut low = floor;
        let mut top = high;
        while top / low > 1.0 + 1e-15 {
            let middle = (low * top).sqrt();
            if middle <= low || middle >= top {
                break;
            }
            if below(middle) >= count - i { top = middle } else { low = middle }
        }
        *value = top;
        high = top * (1.0 + 1e-12);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::super::product;
    use super::*;

    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        let mut s = seed;
        let mut next = || {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (s >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn values_that_are_known() {
        // diag(0.5, 1.5)^10 of the first deck.
        let mut power = vec![1.0, 0.0, 0.0, 1.0];
        for _ in 0..10 {
            power = product(&power, &[0.5, 0.0, 0.0, 1.5], 2, 2, 2);
        }
        let found = singular_values(&power, 2, 2);
        assert!((found[0] - 57.665039).abs() < 1e-6 && (found[1] - 0.00098).abs() < 1e-5, "{found:?}");
        // Nilpotent: eigenvalues 0, singular values 5 and 0.
        assert_eq!(singular_values(&[0.0, 5.0, 0.0, 0.0], 2, 2)[1], 0.0);
        assert!((singular_values(&[0.0, 5.0, 0.0, 0.0], 2, 2)[0] - 5.0).abs() < 1e-14);
        assert_eq!(singular_values(&[0.0; 6], 2, 3), [0.0, 0.0]);
        // A vector has its norm; equal values come as often as they are there.
        assert!((singular_values(&[3.0, 4.0], 1, 2)[0] - 5.0).abs() < 1e-14);
        let identity: Vec<f64> = (0..49).map(|k| f64::from(u8::from(k % 8 == 0))).collect();
        assert!(singular_values(&identity, 7, 7).iter().all(|s| (s - 1.0).abs() < 1e-14));
    }

    /// Rotations of a known diagonal: products of reflections are orthogonal to rounding.
    #[test]
    fn values_of_a_rotated_diagonal() {
        for (rows, cols) in [(6, 6), (9, 5), (5, 9), (40, 40)] {
            let n = rows.min(cols);
            let known: Vec<f64> = (0..n).map(|i| 10f64.powf(2.0 - i as f64 / 3.0)).collect();
            let mut a = vec![0.0; rows * cols];
            (0..n).for_each(|i| a[i * cols + i] = known[i]);
            for seed in 1..4 {
                let v = numbers(rows, seed);
                let beta = 2.0 / v.iter().map(|x| x * x).sum::<f64>();
                let left: Vec<f64> = (0..rows * rows)
                    .map(|k| f64::from(u8::from(k / rows == k % rows)) - beta * v[k / rows] * v[k % rows])
                    .collect();
                a = product(&left, &a, rows, rows, cols);
                let v = numbers(cols, seed + 10);
                let beta = 2.0 / v.iter().map(|x| x * x).sum::<f64>();
                let right: Vec<f64> = (0..cols * cols)
                    .map(|k| f64::from(u8::from(k / cols == k % cols)) - beta * v[k / cols] * v[k % cols])
                    .collect();
                a = product(&a, &right, rows, cols, cols);
            }
            for (found, known_value) in singular_values(&a, rows, cols).iter().zip(&known) {
                // Some tens of roundings of the largest value, here and in the products.
                assert!(
                    (found - known_value).abs() < 1e-13 * known[0] * n as f64,
                    "{rows} x {cols}: {found} {known_value}"
                );
            }
        }
    }

    #[test]
    fn sums_of_squares_are_those_of_the_elements() {
        let a = numbers(35 * 20, 3);
        let found = singular_values(&a, 35, 20);
        let (want, got) = (a.iter().map(|x| x * x).sum::<f64>(), found.iter().map(|s| s * s).sum::<f64>());
        assert!((want - got).abs() < 1e-12 * want);
        assert!(found.windows(2).all(|w| w[0] >= w[1] * (1.0 - 1e-12)));
    }
}
