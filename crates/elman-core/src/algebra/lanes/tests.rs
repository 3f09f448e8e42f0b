//! Accuracy, tails and NaN of the functions, on every instruction set that the processor has.

use super::*;

/// Applies a function to whole registers of numbers.
struct Apply<'a, F> {
    function: &'static str,
    x: &'a [F],
    y: &'a mut [F],
}

impl<F: Element> LaneTask<F> for Apply<'_, F> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        for (x, y) in self.x.chunks_exact(V::COUNT).zip(self.y.chunks_exact_mut(V::COUNT)) {
            // SAFETY: a whole register of each.
            unsafe {
                let x = V::load(x.as_ptr());
                let value = match self.function {
                    "exp" => x.exp(),
                    "tanh" => x.tanh(),
                    "sigmoid" => x.sigmoid(),
                    "relu" => x.relu(),
                    "step" => x.step(),
                    "softplus" => x.softplus(),
                    "sin" => x.sin(),
                    "cos" => x.cos(),
                    other => unreachable!("{other}"),
                };
                value.store(y.as_mut_ptr());
            }
        }
    }
}

fn apply<F: Element>(isa: Isa, function: &'static str, x: &[F]) -> Vec<F> {
    let mut padded = x.to_vec();
    padded.resize(x.len().next_multiple_of(16), F::constant(0.0));
    let mut y = padded.clone();
    // SAFETY: `isa` is one of `available`.
    unsafe { dispatch(isa, Apply { function, x: &padded, y: &mut y }) };
    y.truncate(x.len());
    y
}

/// The largest; no number where one is none.
fn largest(errors: impl Iterator<Item = f64>) -> f64 {
    errors.fold(0.0, |m, x| if x > m || x.is_nan() { x } else { m })
}

/// Largest relative error against the scalar function in f64, over a grid of x.
fn worst<F: Element>(isa: Isa, function: &'static str, exact: fn(f64) -> f64, range: f64) -> f64 {
    let x: Vec<F> = (-4000..=4000).map(|i| F::constant(f64::from(i) / 4000.0 * range)).collect();
    let y = apply(isa, function, &x);
    let error = |(x, y): (&F, &F)| {
        let want = exact(x.to_f64());
        if want == 0.0 { y.to_f64().abs() } else { ((y.to_f64() - want) / want).abs() }
    };
    largest(x.iter().zip(&y).map(error))
}

/// Largest absolute error, as [`worst`].
fn farthest<F: Element>(isa: Isa, function: &'static str, exact: fn(f64) -> f64, range: f64) -> f64 {
    let x: Vec<F> = (-4000..=4000).map(|i| F::constant(f64::from(i) / 4000.0 * range)).collect();
    let y = apply(isa, function, &x);
    largest(x.iter().zip(&y).map(|(x, y)| (y.to_f64() - exact(x.to_f64())).abs()))
}

#[test]
fn relative_error_is_a_few_units_in_the_last_place() {
    for isa in Isa::available() {
        for (function, exact, range) in [
            ("exp", f64::exp as fn(f64) -> f64, 80.0),
            ("tanh", f64::tanh, 12.0),
            ("sigmoid", Real::sigmoid, 80.0),
            ("softplus", Real::softplus, 80.0),
        ] {
            // 4 units in the last place; without fused multiply-add the reduction of large arguments costs a little more.
            let units = if isa == Isa::Plain { 8.0 } else { 4.0 };
            let single = worst::<f32>(isa, function, exact, range);
            assert!(single <= units * f64::from(f32::EPSILON), "{isa} {function} f32: {single:e}");
            let double = worst::<f64>(isa, function, exact, range);
            assert!(double <= units * f64::EPSILON, "{isa} {function} f64: {double:e}");
        }
        // An angle's own rounding is an error of the result that no method avoids: hence absolute, up to about 160 turns.
        for (function, exact) in [("sin", f64::sin as fn(f64) -> f64), ("cos", f64::cos)] {
            let units = if isa == Isa::Plain { 8.0 } else { 2.0 };
            let single = farthest::<f32>(isa, function, exact, 1000.0);
            assert!(single <= units * f64::from(f32::EPSILON), "{isa} {function} f32: {single:e}");
            let double = farthest::<f64>(isa, function, exact, 1000.0);
            assert!(double <= units * f64::EPSILON, "{isa} {function} f64: {double:e}");
        }
        // Small arguments keep their relative accuracy.
        let small = worst::<f32>(isa, "tanh", f64::tanh, 1e-5);
        assert!(small <= 4.0 * f64::from(f32::EPSILON), "{isa} tanh near 0: {small:e}");
    }
}

#[test]
fn tails_saturate_and_nan_passes() {
    for isa in Isa::available() {
        let x = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 200.0, -200.0, 0.0];
        let tanh = apply(isa, "tanh", &x);
        assert_eq!((tanh[0], tanh[1], tanh[3], tanh[4], tanh[5]), (1.0, -1.0, 1.0, -1.0, 0.0), "{isa}");
        let sigmoid = apply(isa, "sigmoid", &x);
        assert_eq!((sigmoid[0], sigmoid[3], sigmoid[5]), (1.0, 1.0, 0.5), "{isa}");
        // e^-87: the smallest power of two that is a normal number bounds the left tail.
        assert!(sigmoid[1] >= 0.0 && sigmoid[1] < 2e-38 && sigmoid[4] < 2e-38, "{isa}");
        let exp = apply(isa, "exp", &x);
        assert_eq!((exp[0], exp[1], exp[3], exp[4], exp[5]), (f32::INFINITY, 0.0, f32::INFINITY, 0.0, 1.0), "{isa}");
        for function in ["exp", "tanh", "sigmoid", "relu", "step", "softplus", "sin", "cos"] {
            assert!(apply(isa, function, &x)[2].is_nan(), "{isa} {function}");
        }
        let softplus = apply(isa, "softplus", &x);
        assert_eq!((softplus[0], softplus[1], softplus[3], softplus[4]), (f32::INFINITY, 0.0, 200.0, 0.0), "{isa}");
        assert_eq!((apply(isa, "sin", &[0.0f32])[0], apply(isa, "cos", &[0.0f32])[0]), (0.0, 1.0), "{isa}");
        assert_eq!(apply(isa, "relu", &[-2.0f32, 0.0, 3.0]), [0.0, 0.0, 3.0]);
        assert_eq!(apply(isa, "step", &[-2.0f32, 0.0, 3.0]), [0.0, 0.0, 1.0]);
    }
}

/// Loads words of compressed numbers as whole registers; what stands in each register's places goes to a list of its own.
struct Compressed<'a, F> {
    words: &'a [u32],
    pairs: &'a mut [Vec<F>; 2],
    fours: &'a mut [Vec<F>; 4],
}

impl<F: Element> LaneTask<F> for Compressed<'_, F> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        for k in (0..self.words.len() / V::COUNT).map(|k| k * V::COUNT) {
            // SAFETY: all lists have room for a register here.
            unsafe {
                let (pairs, fours) =
                    (V::load_pairs(self.words.as_ptr().add(k)), V::load_fours(self.words.as_ptr().add(k)));
                pairs.into_iter().zip(&mut *self.pairs).for_each(|(v, to)| v.store(to.as_mut_ptr().add(k)));
                fours.into_iter().zip(&mut *self.fours).for_each(|(v, to)| v.store(to.as_mut_ptr().add(k)));
            }
        }
    }
}

/// Every pattern of a bfloat16 in both halves and every byte in all four places, from addresses with any remainder.
fn compressed_loads<F: Element>() {
    for isa in Isa::available() {
        for offset in [0, 1, 3] {
            let n = 1 << 16;
            let words: Vec<u32> = (0..(n + offset) as u32).map(|k| (k & 0xffff) | (!k << 16)).collect();
            let words = &words[offset..];
            let list = || vec![F::constant(0.5); n];
            let (mut pairs, mut fours) = ([list(), list()], [list(), list(), list(), list()]);
            // SAFETY: `isa` is one of `available`.
            unsafe { dispatch(isa, Compressed { words, pairs: &mut pairs, fours: &mut fours }) };
            for (k, word) in words.iter().enumerate() {
                for (half, bits) in [word << 16, word & 0xffff_0000].into_iter().enumerate() {
                    let (got, want) = (pairs[half][k].to_f64(), f64::from(f32::from_bits(bits)));
                    assert!(got.to_bits() == want.to_bits() || (want.is_nan() && got.is_nan()), "{isa}: {got} {want}");
                }
                for (place, byte) in word.to_le_bytes().into_iter().enumerate() {
                    assert_eq!(fours[place][k].to_f64(), f64::from(byte as i8) * 16_777_216.0, "{isa}");
                }
            }
        }
    }
}

#[test]
fn compressed_numbers_are_loaded_exactly() {
    compressed_loads::<f32>();
    compressed_loads::<f64>();
}
