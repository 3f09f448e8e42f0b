//! One range for every parameter.

use crate::parameters;
use crate::random::Random;
use burn::module::Module;

/// Draws every parameter of a network anew, uniform in ±`range`, from the streams of `seed` named by their paths: biases, embedding and readout too,
/// as Zaremba, Sutskever & Vinyals (2014) begin their language models.
///
/// ```
/// use burn::tensor::Device;
/// use elman::{RecurrentConfig, Sizes, cells, init, parameters};
///
/// let lstm = RecurrentConfig::new((cells::find("lstm").unwrap().make)(), Sizes::new(3, 40)).init(1, &Device::flex()).unwrap();
/// for p in parameters::export(&init::uniform_all(lstm, 0.05, 1)) {
///     let largest = p.values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
///     assert!(largest <= 0.05 && largest > 0.045);
/// }
/// ```
///
/// # Panics
/// Unless `range` is a finite number above 0.
#[track_caller]
pub fn uniform_all<M: Module>(network: M, range: f32, seed: u64) -> M {
    assert!(range > 0.0 && range.is_finite(), "the range is {range}; it must be a finite number above 0");
    parameters::change(
        network,
        |path| Some(Random::new(seed, &format!("init/{path}"))),
        |mut random, values| values.iter_mut().for_each(|value| *value = random.symmetric(range)),
    )
}
