//! Weights in bytes times rows in whole numbers, by AVX512-VNNI.
//!
//! A row of A becomes whole numbers, `a ≈ n t` with t = max |a| / (2^22 - 2): an error of at most t / 2 each, which is 2^-23 of the row's
//! largest, and nothing beside the weights' own. In unsigned digits of which the highest has 7 bits, `n + 2^22 = d0 + 2^8 d1 + 2^16 d2`, so
//! that for weights `q s`
//!
//! `Σ a q s ≈ t s (Σ d0 q + 2^8 Σ d1 q + 2^16 (Σ d2 q - 2^6 Σ q))`.
//!
//! VPDPBUSD multiplies four unsigned by four signed bytes in each lane and adds the products to the lane: three instructions for 64
//! weights, where conversion to f32 takes three for 16. These sums are exact; the three are joined in f32.

#[cfg(not(target_arch = "x86_64"))]
pub(super) use other::multiply;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::multiply;

#[cfg(not(target_arch = "x86_64"))]
mod other {
    use crate::algebra::lanes::Isa;
    use crate::engine::product::Product;

    /// There is no such instruction here.
    pub unsafe fn multiply(_: &Product<f32>, _: Isa) -> bool {
        false
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use crate::algebra::lanes::Isa;
    use crate::engine::memory::Buffer;
    use crate::engine::product::Product;
    use core::arch::x86_64::*;
    use core::cell::RefCell;

    /// The longest sum that fits: 255 * 127 * `DEEPEST` is below 2^31.
    const DEEPEST: usize = 66_000;
    /// Numbers in a register.
    const LANES: usize = 16;
    /// The largest n. One less than fits, so that no rounding goes beyond.
    const LARGEST: f32 = 4_194_302.0;
    /// Added to a number below 2^22, it leaves 2^22 + n in the lowest 23 bits.
    const ROUND: f32 = 12_582_912.0;
    /// Rows whose largest number is below this count as zeros: what they are divided by would not be a number.
    const SMALLEST: f32 = 1e-31;

    thread_local! {
        /// A row's digits: three lists of words of four.
        static DIGITS: RefCell<Buffer<u32>> = RefCell::default();
    }

    /// Computes a product with weights in bytes, or says that it cannot: without the instruction, or with sums too long for it.
    ///
    /// # Safety
    /// As for [`Product::run_stored`], for weights in bytes.
    pub unsafe fn multiply(product: &Product<f32>, isa: Isa) -> bool {
        // A stretch of depth begins with a register of its own.
        let words: usize = product.segments.iter().map(|s| s.depth.div_ceil(LANES) * (LANES / 4)).sum();
        if isa != Isa::Avx512 || 4 * words > DEEPEST || !is_x86_feature_detected!("avx512vnni") {
            return false;
        }
        DIGITS.with_borrow_mut(|digits| {
            let first = digits.room(3 * words);
            let digits = [0, 1, 2].map(|digit| first.wrapping_add(digit * words));
            for row in 0..product.rows {
                // SAFETY: the instruction set was asked for, and there is room for all words; the rest is the caller's promise.
                unsafe {
                    let unit = convert(product, row, digits);
                    let digits = digits.map(<*mut u32>::cast_const);
                    match product.vectors {
                        1 => every_panel::<1>(product, row, digits, unit),
                        2 => every_panel::<2>(product, row, digits, unit),
                        3 => every_panel::<3>(product, row, digits, unit),
                        4 => every_panel::<4>(product, row, digits, unit),
                        _ => unreachable!("a panel has at most 4 registers"),
                    }
                }
            }
        });
        true
    }

    /// A row's digits; returns t, which is NaN where the row holds a number that is not finite.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn convert(product: &Product<f32>, row: usize, digits: [*mut u32; 3]) -> f32 {
        // SAFETY: the caller's promise; a mask keeps to the segment's numbers.
        unsafe {
            // Without their signs, numbers are in the order of their bits, and what is not finite comes last.
            let mut largest = _mm512_setzero_si512();
            for segment in product.segments {
                debug_assert_eq!(segment.column, 1);
                for k in (0..segment.depth).step_by(LANES) {
                    let a = _mm512_abs_ps(load(segment.a.add(row * segment.row + k), segment.depth - k));
                    largest = _mm512_max_epu32(largest, _mm512_castps_si512(a));
                }
            }
            let largest = f32::from_bits(_mm512_reduce_max_epu32(largest));
            let inverse = if largest.is_finite() && largest > SMALLEST { LARGEST / largest } else { 0.0 };
            let mut at = 0;
            for segment in product.segments {
                for k in (0..segment.depth).step_by(LANES) {
                    let a = load(segment.a.add(row * segment.row + k), segment.depth - k);
                    let bits = _mm512_castps_si512(_mm512_fmadd_ps(a, _mm512_set1_ps(inverse), _mm512_set1_ps(ROUND)));
                    let n = _mm512_and_si512(bits, _mm512_set1_epi32(0x7f_ffff));
                    for (digit, n) in [n, _mm512_srli_epi32::<8>(n), _mm512_srli_epi32::<16>(n)].into_iter().enumerate()
                    {
                        _mm_storeu_si128(digits[digit].add(at).cast(), _mm512_cvtepi32_epi8(n));
                    }
                    at += LANES / 4;
                }
            }
            match (largest.is_finite(), inverse > 0.0) {
                (true, true) => largest / LARGEST,
                (true, false) => 0.0,
                (false, _) => f32::NAN,
            }
        }
    }

    /// A register of the next numbers, of which there are `left`; zeros beyond.
    #[target_feature(enable = "avx512f")]
    unsafe fn load(from: *const f32, left: usize) -> __m512 {
        let mask = if left < LANES { (1 << left) - 1 } else { u16::MAX };
        // SAFETY: the caller's promise.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn every_panel<const N: usize>(product: &Product<f32>, row: usize, digits: [*const u32; 3], unit: f32) {
        let mut panel = 0;
        // SAFETY: the caller's promise; each call stays below `panels`.
        unsafe {
            while panel + 2 <= product.panels {
                panels::<2, N>(product, row, panel, digits, unit);
                panel += 2;
            }
            if panel < product.panels {
                panels::<1, N>(product, row, panel, digits, unit);
            }
        }
    }

    /// One row of `P` panels at once: with two of four registers 24 sums, and room for digits and weights.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn panels<const P: usize, const N: usize>(
        product: &Product<f32>,
        row: usize,
        panel: usize,
        digits: [*const u32; 3],
        unit: f32,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = [[[_mm512_setzero_si512(); N]; P]; 3];
            let mut at = 0;
            for segment in product.segments {
                let mut streams = [segment.b.cast::<i32>(); P];
                for p in 0..P {
                    streams[p] = streams[p].add((panel + p) * segment.next);
                }
                for word in 0..segment.depth.div_ceil(4) {
                    let mut left = [_mm512_setzero_si512(); 3];
                    for digit in 0..3 {
                        left[digit] = _mm512_set1_epi32((*digits[digit].add(at + word)).cast_signed());
                    }
                    for p in 0..P {
                        for n in 0..N {
                            let right = _mm512_loadu_si512(streams[p].add(word * product.width + n * LANES).cast());
                            for digit in 0..3 {
                                sums[digit][p][n] = _mm512_dpbusd_epi32(sums[digit][p][n], left[digit], right);
                            }
                        }
                    }
                }
                at += segment.depth.div_ceil(LANES) * (LANES / 4);
            }
            let start = product.start_of(row);
            for p in 0..P {
                let out = product.out.add((panel + p) * product.out_next + row * product.out_stride);
                for n in 0..N {
                    let scale = product.scales.add(2 * (panel + p) * product.width + n * LANES);
                    let count = _mm512_cvtps_epi32(_mm512_loadu_ps(scale.add(product.width)));
                    let high = _mm512_sub_epi32(sums[2][p][n], _mm512_slli_epi32::<6>(count));
                    let sum = _mm512_fmadd_ps(
                        _mm512_cvtepi32_ps(high),
                        _mm512_set1_ps(65_536.0),
                        _mm512_fmadd_ps(
                            _mm512_cvtepi32_ps(sums[1][p][n]),
                            _mm512_set1_ps(256.0),
                            _mm512_cvtepi32_ps(sums[0][p][n]),
                        ),
                    );
                    let factor = _mm512_mul_ps(_mm512_loadu_ps(scale), _mm512_set1_ps(unit));
                    let from = match start {
                        Some(start) => _mm512_loadu_ps(start.add((panel + p) * product.init_next + n * LANES)),
                        None => _mm512_setzero_ps(),
                    };
                    _mm512_storeu_ps(out.add(n * LANES), _mm512_fmadd_ps(sum, factor, from));
                }
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::{DEEPEST, multiply};
        use crate::algebra::lanes::Isa;
        use crate::engine::product::{Init, Product, Segment, Soon};

        const PANELS: usize = 3;
        const WIDTH: usize = 64;

        /// Numbers from -1 to 1 without a pattern.
        fn number(seed: usize) -> f32 {
            let bits = (seed as u32).wrapping_mul(2_654_435_769).rotate_left(13).wrapping_mul(2_246_822_519);
            (bits >> 8) as f32 / 8_388_608.0 - 1.0
        }

        /// A weight by panel, row and column.
        type Byte = fn(usize, usize, usize) -> i8;

        fn byte(panel: usize, k: usize, column: usize) -> i8 {
            (number(panel * 1_000_003 + k * 131 + column) * 127.9) as i8
        }

        fn factor(panel: usize, column: usize) -> f32 {
            0.01 + (panel * WIDTH + column) as f32 * 1e-4
        }

        /// The product of rows of A, in stretches of these depths, with bytes; `None` where it cannot be computed here.
        fn product(a: &[f32], depths: &[usize], byte: Byte) -> Option<Vec<f32>> {
            let depth: usize = depths.iter().sum();
            let rows = a.len() / depth;
            let words = depth.div_ceil(4) * WIDTH;
            let (mut b, mut scales) = (vec![0u32; PANELS * words], vec![0.0; PANELS * 2 * WIDTH]);
            for panel in 0..PANELS {
                for column in 0..WIDTH {
                    for k in 0..depth {
                        let q = byte(panel, k, column);
                        b[panel * words + k / 4 * WIDTH + column] |= u32::from(q.cast_unsigned()) << (k % 4 * 8);
                        scales[(2 * panel + 1) * WIDTH + column] += f32::from(q);
                    }
                    scales[2 * panel * WIDTH + column] = factor(panel, column);
                }
            }
            let start: Vec<f32> = (0..PANELS * WIDTH).map(number).collect();
            let mut out = vec![0.5; PANELS * rows * WIDTH];
            let mut first = 0;
            let segment = |&depth_here: &usize| {
                let (a, b) = (a.as_ptr().wrapping_add(first), b.as_ptr().wrapping_add(first / 4 * WIDTH).cast());
                first += depth_here;
                Segment { a, row: depth, column: 1, b, depth: depth_here, next: words }
            };
            let product = Product {
                rows,
                panels: PANELS,
                vectors: 4,
                width: WIDTH,
                init: Init::Rows { ptr: start.as_ptr(), stride: 0 },
                init_next: WIDTH,
                segments: &depths.iter().map(segment).collect::<Vec<_>>(),
                out: out.as_mut_ptr(),
                out_stride: WIDTH,
                out_next: rows * WIDTH,
                scales: scales.as_ptr(),
                soon: Soon::NOTHING,
                same_left: false,
            };
            // SAFETY: the lists have the sizes that the product names.
            let done = Isa::available().contains(&Isa::Avx512) && unsafe { multiply(&product, Isa::Avx512) };
            assert!(done || !is_x86_feature_detected!("avx512vnni") || depth > DEEPEST / 2);
            done.then_some(out)
        }

        /// The same in f64, and how far a result may be from it.
        fn exactly(a: &[f32], depth: usize, byte: Byte, row: usize, panel: usize, column: usize) -> (f64, f64) {
            let a = &a[row * depth..][..depth];
            let largest = a.iter().fold(0.0f32, |m, a| m.max(a.abs()));
            let q = |k: usize| f64::from(byte(panel, k, column));
            let sum: f64 = (0..depth).map(|k| f64::from(a[k]) * q(k)).sum();
            let bytes: f64 = (0..depth).map(|k| q(k).abs()).sum();
            let (start, factor) = (f64::from(number(panel * WIDTH + column)), f64::from(factor(panel, column)));
            let want = start + sum * factor;
            // Half a unit for each byte, and what f32 loses where the three sums, the factor and the start are joined.
            let unit = f64::from(largest) / 4_194_302.0;
            (want, 0.5001 * unit * bytes * factor + 8.0 * f64::from(f32::EPSILON) * (want.abs() + start.abs()))
        }

        #[test]
        fn sums_are_as_exact_as_the_digits() {
            for (depths, rows) in [(&[64, 64, 7][..], 1), (&[64, 33], 3), (&[5], 2), (&[1], 1), (&[700], 2)] {
                let depth: usize = depths.iter().sum();
                // Each row has a largest number of its own.
                let size = |row: usize| [1.0, 3e4, 2e-12][row];
                let a: Vec<f32> = (0..rows * depth).map(|i| number(i + 17) * size(i / depth)).collect();
                let Some(out) = product(&a, depths, byte) else { return };
                for row in 0..rows {
                    for (panel, column) in (0..PANELS).flat_map(|p| (0..WIDTH).map(move |c| (p, c))) {
                        let got = f64::from(out[(panel * rows + row) * WIDTH + column]);
                        let (want, tolerance) = exactly(&a, depth, byte, row, panel, column);
                        let what = format!("{depths:?}, row {row}, {panel}, {column}: {got}, {want} +- {tolerance}");
                        assert!((got - want).abs() <= tolerance, "{what}");
                    }
                }
            }
        }

        #[test]
        fn rows_of_zeros_give_the_start_and_what_is_not_finite_gives_nan() {
            for (value, rest) in [(0.0, 0.0), (1e-33, -1e-33), (-0.0, 1e-40)] {
                let mut a = vec![rest; 70];
                a[3] = value;
                let Some(out) = product(&a, &[64, 6], byte) else { return };
                assert!(out.iter().enumerate().all(|(i, &y)| y == number(i)), "{value}");
            }
            for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut a: Vec<f32> = (0..2 * 70).map(number).collect();
                a[69] = value;
                let Some(out) = product(&a, &[64, 6], byte) else { return };
                // The other row is as ever.
                for (i, y) in out.iter().enumerate() {
                    assert_eq!(y.is_nan(), (i / WIDTH).is_multiple_of(2), "{value}");
                }
            }
        }

        #[test]
        fn sums_at_the_limit_fit_and_longer_ones_are_refused() {
            // All bytes at their largest, and the lower digits of all numbers but the first, which says how large a unit is.
            let highest: Byte = |_, _, _| 127;
            let mut a = vec![65_535.0 / 4_194_302.0; DEEPEST - 16];
            a[0] = 1.0;
            let Some(out) = product(&a, &[a.len()], highest) else { return };
            let (want, tolerance) = exactly(&a, a.len(), highest, 0, 1, 5);
            assert!((f64::from(out[WIDTH + 5]) - want).abs() <= tolerance, "{} {want} +- {tolerance}", out[WIDTH + 5]);
            assert_eq!(product(&vec![1.0; DEEPEST + 1], &[DEEPEST + 1], byte), None);
        }
    }
}
