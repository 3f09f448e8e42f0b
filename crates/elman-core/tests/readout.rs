//! The readout in slices of words against its equations in plain loops, on every instruction set.

use elman_core::algebra::Element;
use elman_core::algebra::lanes::Isa;
use elman_core::engine::Bf16Kernel;
use elman_core::engine::readout::{IGNORE, Rows, Words, nats};

/// Sizes: rows, units, words.
#[derive(Clone, Copy, Debug)]
struct Size {
    n: usize,
    h: usize,
    v: usize,
}

struct Case<F> {
    size: Size,
    bf16: Option<Bf16Kernel>,
    y: Vec<F>,
    weight: Vec<F>,
    bias: Vec<F>,
    targets: Vec<u32>,
}

/// Loss, d_y, d_weight, d_bias.
type Results<F> = (f64, Vec<F>, Vec<F>, Vec<F>);

impl<F: Element> Case<F> {
    fn new(size: Size) -> Self {
        let Size { n, h, v } = size;
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut next = |scale: f64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            F::constant(((state >> 40) as f64 / (1u64 << 23) as f64 - 1.0) * scale)
        };
        Case {
            size,
            bf16: None,
            y: (0..n * h).map(|_| next(1.0)).collect(),
            weight: (0..v * h).map(|_| next(2.0)).collect(),
            bias: (0..v).map(|_| next(3.0)).collect(),
            targets: (0..n).map(|i| if i % 5 == 2 { IGNORE } else { (i * 7 % v) as u32 }).collect(),
        }
    }

    fn c(&self) -> F {
        F::constant(1.0 / self.targets.iter().filter(|&&t| t != IGNORE).count() as f64)
    }

    /// The vocabulary in slices of `words`, the rows in chunks of `rows`.
    fn in_slices(&self, isa: Isa, words: usize, rows: usize) -> Results<F> {
        self.in_slices_far(isa, words, rows, &mut false)
    }

    /// The same; says whether references were too far.
    fn in_slices_far(&self, isa: Isa, words: usize, rows: usize, far: &mut bool) -> Results<F> {
        let Size { n, h, v } = self.size;
        let zeros = |n: usize| vec![F::constant(0.0); n];
        let (mut loss, mut d_y, mut d_weight, mut d_bias) = (0.0, zeros(n * h), zeros(v * h), zeros(v));
        let mut slices: Vec<Words<F>> = (0..v.div_ceil(words)).map(|_| Words::default()).collect();
        let mut held = Rows::new(isa);
        held.set_bf16(self.bf16);
        for start in (0..n).step_by(rows) {
            let end = n.min(start + rows);
            let y = &self.y[start * h..end * h];
            held.load(y, &self.targets[start..end], &self.weight, &self.bias);
            let part = |i: usize| i * words..v.min((i + 1) * words);
            let of = |i: usize| (&self.weight[part(i).start * h..part(i).end * h], &self.bias[part(i)]);
            for (i, slice) in slices.iter_mut().enumerate() {
                slice.exponentials(&held, i * words, of(i).0, of(i).1, true);
            }
            let sums = held.take_sums(&slices, self.c());
            *far |= sums.is_none();
            loss += sums.unwrap_or_else(|| {
                slices.iter_mut().enumerate().for_each(|(i, s)| s.maxima(&held, i * words, of(i).0, of(i).1));
                held.take_maxima(&slices);
                for (i, slice) in slices.iter_mut().enumerate() {
                    slice.exponentials(&held, i * words, of(i).0, of(i).1, true);
                }
                held.take_sums(&slices, self.c()).expect("no score is above its maximum")
            });
            for (panel, d_y) in d_y[start * h..end * h].chunks_mut(held.per_panel() * h).enumerate() {
                held.d_y(&slices, &self.weight, self.c(), panel, d_y);
            }
            held.scale(y);
            for (i, slice) in slices.iter_mut().enumerate() {
                let d_weight = &mut d_weight[part(i).start * h..part(i).end * h];
                slice.gradients(&held, d_weight, &mut d_bias[part(i)], start > 0);
            }
        }
        (loss * self.c().to_f64(), d_y, d_weight, d_bias)
    }

    /// The equations in plain loops and f64.
    fn plainly(&self) -> Results<f64> {
        let Size { n, h, v } = self.size;
        let (mut loss, mut d_y, mut d_weight, mut d_bias) = (0.0, vec![0.0; n * h], vec![0.0; v * h], vec![0.0; v]);
        let c = self.c().to_f64();
        for (i, &target) in self.targets.iter().enumerate().filter(|&(_, &target)| target != IGNORE) {
            let y: Vec<f64> = self.y[i * h..][..h].iter().map(|y| y.to_f64()).collect();
            let weight = |word: usize, k: usize| self.weight[word * h + k].to_f64();
            let scores: Vec<f64> =
                (0..v).map(|w| self.bias[w].to_f64() + (0..h).map(|k| weight(w, k) * y[k]).sum::<f64>()).collect();
            let max = scores.iter().fold(f64::NEG_INFINITY, |m, &s| m.max(s));
            let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
            loss += c * (sum.ln() + max - scores[target as usize]);
            for w in 0..v {
                let d = c * ((scores[w] - max).exp() / sum - f64::from(u8::from(w == target as usize)));
                d_bias[w] += d;
                for k in 0..h {
                    d_y[i * h + k] += d * weight(w, k);
                    d_weight[w * h + k] += d * y[k];
                }
            }
        }
        (loss, d_y, d_weight, d_bias)
    }
}

fn near<F: Element>(what: &str, got: &[F], want: &[f64], tolerance: f64) {
    let scale = want.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((g.to_f64() - w).abs() <= tolerance * scale, "{what} {i}: {g:?} for {w}, of {scale}");
    }
}

/// Every place where a panel, a register, a block of words or a slice ends in the middle.
const SIZES: [Size; 6] = [
    Size { n: 1, h: 1, v: 2 },
    Size { n: 7, h: 64, v: 65 },
    Size { n: 64, h: 48, v: 128 },
    Size { n: 65, h: 33, v: 129 },
    Size { n: 131, h: 70, v: 300 },
    Size { n: 200, h: 10, v: 643 },
];

fn check<F: Element>(tolerance: f64) {
    for size in SIZES {
        let case = Case::<F>::new(size);
        let (loss, d_y, d_weight, d_bias) = case.plainly();
        for isa in Isa::available() {
            for (words, rows) in [(size.v, size.n), (size.v.div_ceil(3), 64)] {
                let got = case.in_slices(isa, words, rows);
                assert!((got.0 - loss).abs() <= tolerance * loss.abs(), "{isa} {size:?}: {} for {loss}", got.0);
                near(&format!("{isa} {size:?} d_y"), &got.1, &d_y, tolerance);
                near(&format!("{isa} {size:?} d_weight"), &got.2, &d_weight, tolerance);
                near(&format!("{isa} {size:?} d_bias"), &got.3, &d_bias, tolerance);
            }
        }
    }
}

#[test]
fn slices_give_the_equations() {
    // Exponents of scores of a few tens: their rounding, 2^-24 or 2^-53 of the score, is the largest error.
    check::<f32>(1e-5);
    check::<f64>(1e-13);
}

#[test]
fn chunks_of_rows_do_not_change_the_bits() {
    let case = Case::<f32>::new(Size { n: 200, h: 37, v: 300 });
    for isa in Isa::available() {
        let whole = case.in_slices(isa, 100, 200);
        for rows in [64, 128] {
            let cut = case.in_slices(isa, 100, rows);
            assert!((whole.1 == cut.1) && (whole.2 == cut.2), "{isa}, {rows} rows at a time");
            near("d_bias", &cut.3, &whole.3.iter().map(|d| d.to_f64()).collect::<Vec<f64>>(), 1e-6);
        }
    }
}

/// The kernels, on each instruction set that they fit.
fn kernels() -> impl Iterator<Item = (Isa, Bf16Kernel)> {
    let all = |isa| Bf16Kernel::available().into_iter().map(move |kernel| (isa, kernel));
    Isa::available().into_iter().flat_map(all).filter(|&(isa, kernel)| kernel.fits(isa))
}

#[test]
fn mixed_precision_is_near_the_equations() {
    for size in SIZES {
        let mut case = Case::<f32>::new(size);
        // Scores of about one: what they are off by is what their exponentials are off by.
        case.weight.iter_mut().for_each(|w| *w /= (size.h as f32).sqrt());
        let (loss, d_y, d_weight, d_bias) = case.plainly();
        for (isa, kernel) in kernels() {
            case.bf16 = None;
            let exact = case.in_slices(isa, size.v, size.n);
            case.bf16 = Some(kernel);
            for (words, rows) in [(size.v, size.n), (size.v.div_ceil(3), 64)] {
                let got = case.in_slices(isa, words, rows);
                let what = format!("{isa} {kernel} {size:?}");
                // Operands are off by 2^-9 of themselves, and some of them are off already.
                assert!((got.0 - loss).abs() <= 4e-3 * loss.abs().max(1.0), "{what}: {} for {loss}", got.0);
                near(&format!("{what} d_y"), &got.1, &d_y, 2e-2);
                near(&format!("{what} d_weight"), &got.2, &d_weight, 2e-2);
                near(&format!("{what} d_bias"), &got.3, &d_bias, 2e-2);
                assert!(got.2 != exact.2, "{what}: nothing was rounded");
            }
        }
    }
}

#[test]
fn chunks_of_rows_do_not_change_the_bits_in_mixed_precision() {
    let mut case = Case::<f32>::new(Size { n: 200, h: 37, v: 300 });
    for (isa, kernel) in kernels() {
        case.bf16 = Some(kernel);
        let whole = case.in_slices(isa, 100, 200);
        let cut = case.in_slices(isa, 100, 64);
        assert!((whole.1 == cut.1) && (whole.2 == cut.2), "{isa}, {kernel}");
    }
}

#[test]
fn numbers_of_f64_stay_exact() {
    let mut case = Case::<f64>::new(SIZES[3]);
    let exact = case.in_slices(Isa::detect(), 129, 65);
    case.bf16 = Some(Bf16Kernel::Plain);
    assert!(case.in_slices(Isa::detect(), 129, 65) == exact);
}

#[test]
fn an_improbable_target_is_measured_from_the_maximum() {
    // One score a hundred and more above the others: at 1e-44 times its exponential they are below the smallest f32.
    let mut case = Case::<f32>::new(Size { n: 70, h: 5, v: 90 });
    case.bias[80] = 110.0;
    let (loss, d_y, d_weight, d_bias) = case.plainly();
    for isa in Isa::available() {
        let mut far = false;
        let got = case.in_slices_far(isa, 30, 70, &mut far);
        assert!(far, "{isa}: the reference should be too far");
        assert!((got.0 - loss).abs() <= 1e-6 * loss, "{isa}: {} for {loss}", got.0);
        // Tolerance: the rounding of scores of 110, 2^-24 of them.
        near(&format!("{isa} d_y"), &got.1, &d_y, 1e-5);
        near(&format!("{isa} d_weight"), &got.2, &d_weight, 1e-5);
        near(&format!("{isa} d_bias"), &got.3, &d_bias, 1e-5);
    }
}

#[test]
fn a_row_without_target_has_no_gradient() {
    let mut case = Case::<f32>::new(Size { n: 3, h: 5, v: 9 });
    case.targets = vec![4, IGNORE, 8];
    let (loss, d_y, ..) = case.in_slices(Isa::detect(), 9, 3);
    assert!(loss > 0.0 && d_y[5..10].iter().all(|&d| d == 0.0), "{d_y:?}");
}

#[test]
fn not_a_number_reaches_the_loss() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut case = Case::<f32>::new(Size { n: 3, h: 5, v: 9 });
        case.y[7] = bad;
        case.targets = vec![1, 2, 3];
        assert!(case.in_slices(Isa::detect(), 4, 3).0.is_nan(), "{bad}");
    }
}

/// Against the definition in f64, at numbers of scores around those of the registers and of a run.
#[test]
fn nats_are_those_of_the_softmax() {
    for count in [1, 2, 15, 16, 17, 33, 1024, 1025, 2500] {
        let scores: Vec<f32> = (0..count).map(|i| ((i * 7919) % 997) as f32 * 0.02 - 9.0).collect();
        let sum: f64 = scores.iter().map(|&score| f64::from(score).exp()).sum();
        for isa in Isa::available() {
            for target in [0, count / 2, count - 1] {
                let want = -(f64::from(scores[target]).exp() / sum).ln();
                let got = nats(isa, &scores, target);
                // f32 exponentials are good to 1e-7 relative.
                assert!((got - want).abs() <= 1e-6 * want.max(1.0), "{isa}, {count}: {got} for {want}");
            }
            for place in [0, count / 2, count - 1] {
                let mut scores = scores.clone();
                scores[place] = f32::NAN;
                assert!(nats(isa, &scores, 0).is_nan(), "{isa}, {count}");
            }
        }
        let wide: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
        for isa in Isa::available() {
            let want = -(wide[0].exp() / sum).ln();
            assert!((nats(isa, &wide, 0) - want).abs() <= 1e-13 * want.max(1.0), "{isa}, {count}");
        }
    }
}

#[test]
fn nats_of_scores_far_apart_stay_finite() {
    for isa in Isa::available() {
        assert_eq!(nats(isa, &[0.0f32, 200.0], 1), 0.0, "{isa}");
        assert_eq!(nats(isa, &[0.0f32, 200.0], 0), 200.0, "{isa}");
        assert_eq!(nats(isa, &[0.0f32, f32::MAX], 0), f64::from(f32::MAX), "{isa}");
    }
}
