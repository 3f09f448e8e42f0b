//! A little linear algebra in f64, row-major: singular values, eigenvalues, orthonormal rows. For matrices of up to some thousand rows.

mod eigen;
mod orthonormal;
mod singular;

pub use eigen::eigenvalues;
pub use orthonormal::orthonormalise;
pub use singular::singular_values;

/// The matrix product (n, k) (k, m).
///
/// # Panics
/// If a slice has another length.
pub fn product(a: &[f64], b: &[f64], n: usize, k: usize, m: usize) -> Vec<f64> {
    assert!(a.len() == n * k && b.len() == k * m, "shapes of a product");
    let mut out = vec![0.0; n * m];
    for i in 0..n {
        let out = &mut out[i * m..][..m];
        for j in 0..k {
            let x = a[i * k + j];
            out.iter_mut().zip(&b[j * m..][..m]).for_each(|(o, b)| *o += x * b);
        }
    }
    out
}
