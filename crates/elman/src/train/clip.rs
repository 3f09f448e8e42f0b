//! Clipping gradients by their global norm.

/// The Euclidean norm over all gradients together. Sums are taken in `f64` in a fixed order.
pub fn norm<'a>(gradients: impl IntoIterator<Item = &'a [f32]>) -> f64 {
    gradients.into_iter().map(sum_of_squares).sum::<f64>().sqrt()
}

/// Four running sums: the order is fixed, and the processor need not wait for one addition before the next.
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

/// Algorithm 1 of Pascanu, Mikolov & Bengio (2013), as in the first deck: if ‖g‖ >= threshold then g ← threshold / ‖g‖ · g.
///
/// ‖g‖ is the norm over *all* gradients together, and there is no epsilon (PyTorch divides by ‖g‖ + 1e-6). Returns the norm
/// before clipping. A norm that is not finite leaves the gradients as they are: the caller stops there.
pub fn clip(gradients: &mut [&mut [f32]], threshold: f64) -> f64 {
    let norm = norm(gradients.iter().map(|g| &**g));
    if norm >= threshold && norm.is_finite() && norm > 0.0 {
        let scale = (threshold / norm) as f32;
        for gradient in gradients.iter_mut() {
            for value in gradient.iter_mut() {
                *value *= scale;
            }
        }
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clipped(threshold: f64) -> (f64, Vec<f32>) {
        // The norm of (3, 0, 4, 12) is 13; over the two tensors alone it would be 5 and 12.
        let (mut a, mut b) = ([3.0f32, 0.0, 4.0], [12.0f32]);
        let norm = clip(&mut [&mut a, &mut b], threshold);
        (norm, [&a[..], &b[..]].concat())
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
        let mut a = [f32::NAN, 1.0];
        assert!(clip(&mut [&mut a], 1.0).is_nan());
        assert_eq!(a[1], 1.0);
        let mut zero = [0.0f32; 20];
        assert_eq!(clip(&mut [&mut zero], 0.0), 0.0);
        assert_eq!(zero, [0.0; 20]);
    }
}
