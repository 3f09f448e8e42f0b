//! Clipping gradients: by their global norm, by value, and as the second deck's code does it.

use super::{CHUNK, Gradient};
use rayon::prelude::*;

/// How gradients are clipped at a threshold θ. ‖g‖ is the [`norm`] over all gradients together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Clip {
    /// g ← θ / ‖g‖ · g if ‖g‖ >= θ: the first deck's algorithm 1, see [`factor`]. The direction stays.
    #[default]
    Norm,
    /// Each element by itself: g_i ← min(max(g_i, -θ), θ) (Mikolov, "Statistical language models based on neural networks", 2012). The
    /// direction may change.
    Value,
    /// g ← θ / ‖g‖² · g if ‖g‖² > θ: the second deck's code to the letter, which leaves the root out. A gradient longer than √θ becomes
    /// θ / ‖g‖ long: the longer it was, the shorter it gets (docs/decks/errata.md, 2.1).
    SquaredNorm,
}

impl Clip {
    /// What every gradient is to be multiplied by, for a norm; 1 for clipping by value, and where the norm is not finite.
    ///
    /// ```
    /// use elman::train::clip::Clip;
    /// // The gradient (6, 8) at the threshold 5: its norm becomes 5, and 0.5 with the second deck's code.
    /// assert_eq!(Clip::Norm.factor(10.0, 5.0), 0.5);
    /// assert_eq!(Clip::SquaredNorm.factor(10.0, 5.0), 0.05);
    /// assert_eq!(Clip::Value.factor(10.0, 5.0), 1.0);
    /// ```
    pub fn factor(self, norm: f64, threshold: f64) -> f32 {
        match self {
            Clip::Norm => factor(norm, threshold),
            Clip::Value => 1.0,
            Clip::SquaredNorm if norm * norm > threshold && norm.is_finite() => (threshold / (norm * norm)) as f32,
            Clip::SquaredNorm => 1.0,
        }
    }
}

/// Limits every element to ±`threshold`; NaN stays. Whether any was beyond.
pub(super) fn limit(gradients: &mut [(String, Gradient)], threshold: f64) -> bool {
    let most = threshold as f32;
    let mut any = false;
    for (_, gradient) in gradients {
        let values = gradient.values_mut();
        let beyond = |values: &[f32]| values.iter().any(|g| g.abs() > most);
        if values.par_chunks(CHUNK).any(beyond) {
            any = true;
            values.par_chunks_mut(CHUNK).for_each(|chunk| chunk.iter_mut().for_each(|g| *g = g.clamp(-most, most)));
        }
    }
    any
}

/// The Euclidean norm over all gradients together. Sums are taken in `f64` in a fixed order.
pub fn norm<'a>(gradients: impl IntoIterator<Item = &'a [f32]>) -> f64 {
    // Chunks of one size, added in their order: the same bits on any number of threads. One alone needs no list.
    let add = |sum: f64, g: &[f32]| match g.len() {
        0..=CHUNK => sum + sum_of_squares(g),
        _ => g.par_chunks(CHUNK).map(sum_of_squares).collect::<Vec<f64>>().iter().fold(sum, |sum, part| sum + part),
    };
    gradients.into_iter().fold(0.0, add).sqrt()
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

    /// The table of docs/decks/errata.md: threshold 5.
    #[test]
    fn the_second_decks_code_shortens_long_gradients_more() {
        let after = |clip: Clip, norm: f64| norm * f64::from(clip.factor(norm, 5.0));
        for (norm, first, second) in
            [(2.0, 2.0, 2.0), (3.0, 3.0, 5.0 / 3.0), (5.0, 5.0, 1.0), (10.0, 5.0, 0.5), (100.0, 5.0, 0.05)]
        {
            // The factor is rounded to f32.
            assert!(
                (after(Clip::Norm, norm) - first).abs() < 1e-6
                    && (after(Clip::SquaredNorm, norm) - second).abs() < 1e-6
            );
        }
        // numpy's `>`: a squared norm of the threshold itself stays.
        assert_eq!(Clip::SquaredNorm.factor(2.0, 4.0), 1.0);
        assert_eq!(Clip::SquaredNorm.factor(f64::INFINITY, 4.0), 1.0);
    }

    #[test]
    fn by_value_each_element_has_its_own_limit() {
        let mut gradients = vec![
            ("a".to_string(), Gradient::from(vec![3.0, -0.25, -4.0])),
            ("b".to_string(), Gradient::from(vec![0.5, f32::NAN, f32::INFINITY])),
        ];
        assert!(limit(&mut gradients, 0.5));
        assert_eq!(gradients[0].1.to_vec(), [0.5, -0.25, -0.5]);
        assert!(matches!(gradients[1].1.to_vec()[..], [0.5, nan, 0.5] if nan.is_nan()));
        assert!(!limit(&mut gradients, 0.5), "nothing is beyond any more");
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
