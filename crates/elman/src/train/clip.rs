//! Clipping gradients by their global norm.

use super::CHUNK;
use rayon::prelude::*;

/// The Euclidean norm over all gradients together. Sums are taken in `f64` in a fixed order.
pub fn norm<'a>(gradients: impl IntoIterator<Item = &'a [f32]>) -> f64 {
    // Chunks of one size, added in their order: the same bits on any number of threads.
    let parts = |g: &[f32]| g.par_chunks(CHUNK).map(sum_of_squares).collect::<Vec<f64>>();
    gradients.into_iter().flat_map(parts).sum::<f64>().sqrt()
}

/// Eight running sums: the order is fixed, and the processor need not wait for one addition before the next.
fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (sum, &v) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(v) * f64::from(v);
        }
    }
    rest.iter().fold(sums.iter().sum(), |sum, &v| sum + f64::from(v) * f64::from(v))
}

/// The factor of algorithm 1 of Pascanu, Mikolov & Bengio (2013), as in the first deck: if ‖g‖ >= threshold then
/// g ← threshold / ‖g‖ · g.
///
/// ‖g‖ is the [`norm`] over *all* gradients together, and there is no epsilon (PyTorch divides by ‖g‖ + 1e-6). With a norm that
/// is not finite it is 1: the caller stops there. [`Optimiser::begin`](super::Optimiser::begin) takes the factor, so that
/// clipping is no pass over memory of its own.
pub fn factor(norm: f64, threshold: f64) -> f32 {
    if norm >= threshold && norm.is_finite() && norm > 0.0 { (threshold / norm) as f32 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clipped(threshold: f64) -> (f64, Vec<f32>) {
        // The norm of (3, 0, 4, 12) is 13; over the two tensors alone it would be 5 and 12.
        let (a, b) = ([3.0f32, 0.0, 4.0], [12.0f32]);
        let norm = norm([&a[..], &b[..]]);
        (norm, [&a[..], &b[..]].concat().iter().map(|g| g * factor(norm, threshold)).collect())
    }

    #[test]
    fn below_the_threshold_nothing_changes() {
        assert_eq!(clipped(13.5), (13.0, vec![3.0, 0.0, 4.0, 12.0]));
    }

    #[test]
    fn at_the_threshold_the_factor_is_one() {
        assert_eq!(clipped(13.0), (13.0, vec![3.0, 0.0, 4.0, 12.0]));
    }

    #[test]
    fn above_the_threshold_the_global_norm_becomes_the_threshold() {
        assert_eq!(clipped(6.5), (13.0, vec![1.5, 0.0, 2.0, 6.0]));
    }

    #[test]
    fn not_finite_is_reported_and_zero_divides_by_nothing() {
        let not_finite = norm([&[f32::NAN, 1.0][..]]);
        assert!(not_finite.is_nan());
        assert_eq!(factor(not_finite, 1.0), 1.0);
        assert_eq!(factor(norm([&[0.0f32; 20][..]]), 0.0), 1.0);
    }

    #[test]
    fn chunks_are_added_in_their_order() {
        let many: Vec<f32> = (0..3 * CHUNK + 5).map(|i| (i % 1013) as f32 * 1e-3).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| norm([&many[..], &many[7..]]))
        };
        let want = many.iter().chain(&many[7..]).map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
        // f64 sums of 4e5 terms.
        assert!((on(1) - want).abs() <= 1e-12 * want, "{} {want}", on(1));
        assert_eq!(on(1).to_bits(), on(3).to_bits());
    }
}
