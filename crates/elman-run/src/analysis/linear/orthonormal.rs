//! Orthonormal rows, by Gram and Schmidt.

/// Makes the rows of a matrix (rows, width) orthonormal, one after the other; gives for each the length of what was left of it, the
/// diagonal of R in A = R Q. A row that depends on those before it becomes zero with length 0.
///
/// Each row is cleared of the others twice, which is enough ("twice is enough", Kahan; Giraud et al. 2005).
///
/// ```
/// use elman_run::analysis::linear::orthonormalise;
/// let mut q = [3.0, 4.0, 1.0, 0.0];
/// let lengths = orthonormalise(&mut q, 2);
/// assert!((lengths[0] - 5.0).abs() < 1e-15 && (lengths[1] - 0.8).abs() < 1e-15);
/// assert!((q[0] * q[2] + q[1] * q[3]).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the slice is not whole rows.
pub fn orthonormalise(rows: &mut [f64], width: usize) -> Vec<f64> {
    assert!(width > 0 && rows.len().is_multiple_of(width), "rows of {width}");
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut lengths = Vec::with_capacity(rows.len() / width);
    for i in 0..rows.len() / width {
        let (done, rest) = rows.split_at_mut(i * width);
        let row = &mut rest[..width];
        let before = dot(row, row).sqrt();
        for _ in 0..2 {
            for other in done.chunks(width) {
                let part = dot(row, other);
                row.iter_mut().zip(other).for_each(|(x, o)| *x -= part * o);
            }
        }
        let length = dot(row, row).sqrt();
        // What is left of a dependent row is rounding.
        let length = if length > 1e-14 * before { length } else { 0.0 };
        row.iter_mut().for_each(|x| *x = if length > 0.0 { *x / length } else { 0.0 });
        lengths.push(length);
    }
    lengths
}
