//! Eigenvalues of a real matrix: Hessenberg form by reflections, then the double-shift QR iteration of Francis (1961).

use super::singular::reflector;

/// The eigenvalues of a square matrix as (real, imaginary), in no order; complex ones in pairs. None if the iteration did not come to
/// an end, or a number is not finite.
///
/// ```
/// use elman_run::analysis::linear::eigenvalues;
/// let found = eigenvalues(&[0.0, -2.0, 2.0, 0.0], 2).unwrap(); // a rotation, twice as long
/// assert!(found.iter().all(|(re, im)| re.abs() < 1e-15 && (im.abs() - 2.0).abs() < 1e-15));
/// ```
///
/// # Panics
/// If the slice has another length.
pub fn eigenvalues(a: &[f64], n: usize) -> Option<Vec<(f64, f64)>> {
    assert_eq!(a.len(), n * n, "a matrix of {n} x {n}");
    if !a.iter().all(|x| x.is_finite()) {
        return None;
    }
    let mut h = a.to_vec();
    hessenberg(&mut h, n);
    let size = h.iter().map(|x| x.abs()).sum::<f64>();
    let mut found = Vec::with_capacity(n);
    let (mut end, mut rounds) = (n, 0);
    while end > 0 {
        // The last block that nothing joins to those before it.
        let mut start = end - 1;
        while start > 0 {
            let around = h[(start - 1) * n + start - 1].abs() + h[start * n + start].abs();
            let around = if around == 0.0 { size } else { around };
            if h[start * n + start - 1].abs() <= f64::EPSILON * around {
                h[start * n + start - 1] = 0.0;
                break;
            }
            start -= 1;
        }
        match end - start {
            1 => found.push((h[start * n + start], 0.0)),
            2 => {
                let at = start * n + start;
                found.extend(of_two(h[at], h[at + 1], h[at + n], h[at + n + 1]));
            }
            _ => {
                rounds += 1;
                if rounds > 60 {
                    return None;
                }
                francis(&mut h, n, start, end, rounds % 10 == 0);
                continue;
            }
        }
        (end, rounds) = (start, 0);
    }
    Some(found)
}

/// Those of [[a, b], [c, d]].
fn of_two(a: f64, b: f64, c: f64, d: f64) -> [(f64, f64); 2] {
    let (half, mean) = ((a - d) / 2.0, (a + d) / 2.0);
    let inside = half * half + b * c;
    if inside < 0.0 {
        let im = (-inside).sqrt();
        return [(mean, im), (mean, -im)];
    }
    // The one of larger modulus by a sum without cancellation, the other by the determinant.
    let far = mean + if mean < 0.0 { -inside.sqrt() } else { inside.sqrt() };
    let near = if far == 0.0 { 0.0 } else { (a * d - b * c) / far };
    [(far, 0.0), (near, 0.0)]
}

/// Zeros below the first subdiagonal, by orthogonal similarity.
fn hessenberg(h: &mut [f64], n: usize) {
    let mut along = vec![0.0; n];
    for k in 0..n.saturating_sub(2) {
        let mut v: Vec<f64> = (k + 1..n).map(|i| h[i * n + k]).collect();
        let (d, beta) = reflector(&mut v);
        if beta == 0.0 {
            continue;
        }
        along[k + 1..].fill(0.0);
        for (i, &v) in v.iter().enumerate() {
            let row = &h[(k + 1 + i) * n..][k + 1..n];
            along[k + 1..].iter_mut().zip(row).for_each(|(s, x)| *s += v * x);
        }
        for (i, &v) in v.iter().enumerate() {
            let row = &mut h[(k + 1 + i) * n..][k + 1..n];
            row.iter_mut().zip(&along[k + 1..]).for_each(|(x, s)| *x -= beta * v * s);
        }
        for i in 0..n {
            let row = &mut h[i * n..][k + 1..n];
            let s = beta * row.iter().zip(&v).map(|(x, v)| x * v).sum::<f64>();
            row.iter_mut().zip(&v).for_each(|(x, v)| *x -= s * v);
        }
        h[(k + 1) * n + k] = d;
        (k + 2..n).for_each(|i| h[i * n + k] = 0.0);
    }
}

/// One step with two shifts at once on rows and columns `start..end`, at least three.
fn francis(h: &mut [f64], n: usize, start: usize, end: usize, exceptional: bool) {
    let at = |h: &[f64], i: usize, j: usize| h[i * n + j];
    let (m, l) = (end - 2, end - 1);
    // Sum and product of the shifts: the eigenvalues of the last two rows, or others where those go in circles.
    let (sum, product) = if exceptional {
        let size = at(h, l, m).abs() + at(h, m, m - 1).abs();
        (1.5 * size, size * size)
    } else {
        (at(h, m, m) + at(h, l, l), at(h, m, m) * at(h, l, l) - at(h, m, l) * at(h, l, m))
    };
    // The first column of (H - σ₁)(H - σ₂).
    let (a, b, c, d) =
        (at(h, start, start), at(h, start, start + 1), at(h, start + 1, start), at(h, start + 1, start + 1));
    let mut column = vec![a * a + b * c - sum * a + product, c * (a + d - sum), c * at(h, start + 2, start + 1)];
    for k in start..end - 1 {
        let (_, beta) = reflector(&mut column);
        let first = k.saturating_sub(1).max(start);
        for j in first..end {
            let s = beta * column.iter().enumerate().map(|(i, v)| v * h[(k + i) * n + j]).sum::<f64>();
            column.iter().enumerate().for_each(|(i, v)| h[(k + i) * n + j] -= s * v);
        }
        for i in start..(k + 4).min(end) {
            let row = &mut h[i * n + k..][..column.len()];
            let s = beta * row.iter().zip(&column).map(|(x, v)| x * v).sum::<f64>();
            row.iter_mut().zip(&column).for_each(|(x, v)| *x -= s * v);
        }
        // What the next reflection must clear; the last one has two rows.
        let rows = (end - k - 1).min(3);
        column = (0..rows).map(|i| at(h, k + 1 + i, k)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::super::product;
    use super::*;

    fn sorted(mut values: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
        values.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        values
    }

    #[test]
    fn values_that_are_known() {
        assert_eq!(eigenvalues(&[7.0], 1).unwrap(), [(7.0, 0.0)]);
        assert_eq!(sorted(eigenvalues(&[0.5, 0.0, 0.0, 1.5], 2).unwrap()), [(0.5, 0.0), (1.5, 0.0)]);
        // Nilpotent: exactly zero.
        assert_eq!(eigenvalues(&[0.0, 5.0, 0.0, 0.0], 2).unwrap(), [(0.0, 0.0), (0.0, 0.0)]);
        // A permutation of four has the fourth roots of 1, where QR without exceptional shifts stands still.
        let shift: Vec<f64> = (0..16).map(|k| f64::from(u8::from(k % 4 == (k / 4 + 1) % 4))).collect();
        for ((re, im), want) in
            sorted(eigenvalues(&shift, 4).unwrap()).iter().zip([(-1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (1.0, 0.0)])
        {
            // Two of equal real part come in either order within rounding.
            assert!((re - want.0).abs() < 1e-12 && (im.abs() - f64::abs(want.1)).abs() < 1e-12, "{re} {im}");
        }
        assert_eq!(eigenvalues(&[f64::NAN], 1), None);
    }

    /// Blocks with eigenvalues 3, 1 ± 2i, -0.5 and so on, hidden by a similarity: rows added, columns subtracted.
    #[test]
    fn values_behind_a_similarity() {
        let n = 12;
        let mut a = vec![0.0; n * n];
        let mut known = Vec::new();
        for b in 0..n / 2 {
            let (re, im) = (1.0 - 0.35 * b as f64, if b % 2 == 0 { 2.0 - 0.25 * b as f64 } else { 0.0 });
            let at = 2 * b * n + 2 * b;
            (a[at], a[at + 1], a[at + n], a[at + n + 1]) = (re, im, -im, re + if im == 0.0 { 0.1 } else { 0.0 });
            known.extend(if im == 0.0 { [(re, 0.0), (re + 0.1, 0.0)] } else { [(re, -im), (re, im)] });
        }
        for k in 0..3 * n {
            let (i, j) = (k * 7 % n, (k * 5 + 3) % n);
            if i != j {
                let x = 0.3 + 0.1 * (k % 4) as f64;
                (0..n).for_each(|c| a[i * n + c] += x * a[j * n + c]);
                (0..n).for_each(|r| a[r * n + j] -= x * a[r * n + i]);
            }
        }
        let found = sorted(eigenvalues(&a, n).unwrap());
        for (re, im) in sorted(known) {
            // The similarity's condition, some 1e4, times roundings.
            assert!(found.iter().any(|f| (f.0 - re).hypot(f.1 - im) < 1e-9), "{re} {im} in {found:?}");
        }
    }

    #[test]
    fn traces_are_those_of_the_matrix() {
        let n = 50;
        let mut s = 1u64;
        let a: Vec<f64> = (0..n * n)
            .map(|_| {
                s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (s >> 11) as f64 / (1u64 << 53) as f64 - 0.5
            })
            .collect();
        let found = eigenvalues(&a, n).unwrap();
        let trace: f64 = (0..n).map(|i| a[i * n + i]).sum();
        assert!((found.iter().map(|e| e.0).sum::<f64>() - trace).abs() < 1e-11);
        assert!(found.iter().map(|e| e.1).sum::<f64>().abs() < 1e-11);
        // Of the square too: Σ λ² = tr A².
        let square = product(&a, &a, n, n, n);
        let trace: f64 = (0..n).map(|i| square[i * n + i]).sum();
        assert!((found.iter().map(|e| e.0 * e.0 - e.1 * e.1).sum::<f64>() - trace).abs() < 1e-10);
    }
}
