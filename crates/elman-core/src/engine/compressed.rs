//! Weights in fewer bits, for streaming: one row's products are bound by reading them.
//!
//! * [`WeightFormat::Bf16`]: the upper half of each `f32`, rounded to nearest even: relative error up to 2^-8 a weight.
//! * [`WeightFormat::Int8`]: `w ≈ q s` with whole q from -127 to 127 and a factor s = max |w| / 127 for each unit and source:
//!   error up to s / 2 a weight.
//!
//! States, sums, biases, the token table and the readout stay in the engine's precision.

use super::memory::Panels;
use super::weights::{PackedStage, StageShape};
use crate::algebra::Element;
use core::fmt;

/// How a [`Stepper`](super::Stepper) keeps the weights of its products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WeightFormat {
    /// As they are.
    #[default]
    Full,
    /// Half of 32 bits: the exponent of `f32`, 8 bits of precision.
    Bf16,
    /// Bytes with a factor for each unit.
    Int8,
}

impl fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            WeightFormat::Full => "full",
            WeightFormat::Bf16 => "bf16",
            WeightFormat::Int8 => "int8",
        })
    }
}

impl<F: Element> PackedStage<F> {
    /// Replaces the packed forward weights by compressed ones.
    pub fn compress(&mut self, shape: &StageShape, panels: Panels, format: WeightFormat) {
        self.format = format;
        let w = panels.width;
        for (packed, source) in self.sources.iter_mut().zip(&shape.sources) {
            let blocks = shape.groups * source.gates.len();
            let size = source.width * w;
            // SAFETY: `reserve` made room for all blocks.
            let from = unsafe { core::slice::from_raw_parts(packed.forward.ptr(), blocks * size) };
            match format {
                WeightFormat::Full => continue,
                WeightFormat::Bf16 => {
                    let to = packed.bf16.room(from.len());
                    for (i, &x) in from.iter().enumerate() {
                        // SAFETY: inside the room just made; so below.
                        unsafe { *to.add(i) = bf16(x.to_f64() as f32) };
                    }
                }
                WeightFormat::Int8 => {
                    let (to, scales) = (packed.bytes.room(from.len()), packed.scales.room(blocks * w));
                    for (block, from) in from.chunks(size).enumerate() {
                        for c in 0..w {
                            let column = || from.iter().skip(c).step_by(w).map(|x| x.to_f64());
                            let scale = column().fold(0.0, |max: f64, x| max.max(x.abs())) / 127.0;
                            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                            // SAFETY: as above.
                            unsafe {
                                *scales.add(block * w + c) = F::constant(scale);
                                for (k, x) in column().enumerate() {
                                    *to.add(block * size + k * w + c) = (x * inverse).round() as i8;
                                }
                            }
                        }
                    }
                }
            }
            packed.forward = Default::default();
        }
    }
}

/// Rounded to nearest, ties to even.
pub(super) fn bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::bf16;

    #[test]
    fn bf16_rounds_to_nearest_even() {
        let value = |b: u16| f32::from_bits(u32::from(b) << 16);
        assert_eq!(value(bf16(1.0)), 1.0);
        assert_eq!(value(bf16(-2.5)), -2.5);
        // 8 bits of precision: 1 + 2^-8 lies half way between 1 and 1 + 2^-7; the even one is 1.
        assert_eq!(value(bf16(1.0 + 1.0 / 256.0)), 1.0);
        assert_eq!(value(bf16(1.0 + 3.0 / 256.0)), 1.0 + 4.0 / 256.0);
        assert_eq!(value(bf16(f32::INFINITY)), f32::INFINITY);
        assert!(value(bf16(f32::NAN)).is_nan());
    }
}
