//! Weights in fewer bits, for streaming: one row's products are bound by reading them.
//!
//! * [`WeightFormat::Bf16`]: the upper half of each `f32`, rounded to nearest even: relative error up to 2^-8 a weight.
//! * [`WeightFormat::Int8`]: `w ≈ q s` with whole q from -127 to 127 and a factor s = max |w| / 127 for each unit and source:
//!   error up to s / 2 a weight. With AVX512-VNNI and `f32`, what they multiply becomes whole numbers, too, to 2^-23 of its row's largest:
//!   inputs some millions of times smaller than another one (a raw timestamp beside numbers near 1) are lost there. Scale inputs first.
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
    /// Bytes with a factor for each unit and source. Inputs should be of about one size: with AVX512-VNNI they are rounded to 2^-23 of the largest one
    /// of their row.
    Int8,
}

impl WeightFormat {
    /// Source columns that stand in one word; one where weights are numbers of their own.
    pub(super) fn rows(self) -> usize {
        match self {
            WeightFormat::Full => 1,
            WeightFormat::Bf16 => 2,
            WeightFormat::Int8 => 4,
        }
    }
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
    /// Replaces the packed forward weights by compressed ones: words of two or four columns of a source, the first in the lowest bits, zeros
    /// beyond the last.
    pub fn compress(&mut self, shape: &StageShape, panels: Panels, format: WeightFormat) {
        self.format = format;
        let (w, rows) = (panels.width, format.rows());
        if rows == 1 {
            return;
        }
        for (packed, source) in self.sources.iter_mut().zip(&shape.sources) {
            let blocks = shape.groups * source.gates.len();
            let (size, words) = (source.width * w, source.width.div_ceil(rows) * w);
            // SAFETY: `reserve` made room for all blocks.
            let from = unsafe { core::slice::from_raw_parts(packed.forward.ptr(), blocks * size) };
            // SAFETY: just this much room is made.
            let to =
                unsafe { core::slice::from_raw_parts_mut(packed.forward_words.room(blocks * words), blocks * words) };
            let scales = packed.scales.room(if format == WeightFormat::Int8 { 2 * blocks * w } else { 0 });
            to.fill(0);
            for block in 0..blocks {
                let (from, to) = (&from[block * size..][..size], &mut to[block * words..][..words]);
                for c in 0..w {
                    let column = || from.iter().skip(c).step_by(w).map(|x| x.to_f64());
                    let mut put = |k: usize, bits: u32| to[k / rows * w + c] |= bits << (k % rows * (32 / rows));
                    if format == WeightFormat::Bf16 {
                        column().enumerate().for_each(|(k, x)| put(k, u32::from(bf16(x as f32))));
                        continue;
                    }
                    let scale = column().fold(0.0, |max: f64, x| max.max(x.abs())) / 127.0;
                    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
                    let mut sum = 0.0;
                    for (k, x) in column().enumerate() {
                        let q = (x * inverse).round();
                        sum += q;
                        put(k, u32::from((q as i8).cast_unsigned()));
                    }
                    // SAFETY: inside the room just made.
                    unsafe {
                        *scales.add(2 * block * w + c) = F::constant(scale);
                        *scales.add((2 * block + 1) * w + c) = F::constant(sum);
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
