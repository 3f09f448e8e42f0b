//! The engine's product for one panel, in safe hands: for algorithms that keep a large matrix in panels between steps.

use super::Engine;
use super::product::{Init, Product, Segment};
use crate::algebra::Element;
use crate::algebra::lanes::shape;

impl Engine {
    /// Numbers in a row of a panel in precision `F`.
    pub fn panel_width<F: Element>(&self) -> usize {
        let (lanes, vectors) = shape::<F>(self.isa);
        lanes * vectors
    }

    /// `out = out + A B` for one panel: `b` (depth, W) and `out` (rows, W) have rows of W = [`panel_width`](Engine::panel_width) numbers;
    /// A (rows, depth) is `a[r * stride + k]`. One chain of multiply-adds an element, in the order of the depth; the calling thread does it.
    ///
    /// ```
    /// use elman_core::engine::Engine;
    /// let engine = Engine::new(1);
    /// let width = engine.panel_width::<f32>();
    /// let (b, mut out) = (vec![2.0; 3 * width], vec![1.0; 2 * width]);
    /// engine.panel_product(&[1.0, 0.0, 1.0, 0.5, 0.5, 0.0_f32], 3, 3, &b, &mut out);
    /// assert!(out[..width].iter().all(|&x| x == 5.0) && out[width..].iter().all(|&x| x == 3.0));
    /// ```
    ///
    /// # Panics
    /// Where a slice does not have these sizes, or `stride` is below `depth`.
    #[track_caller]
    pub fn panel_product<F: Element>(&self, a: &[F], stride: usize, depth: usize, b: &[F], out: &mut [F]) {
        let width = self.panel_width::<F>();
        let rows = out.len() / width;
        assert!(out.len() == rows * width, "out (rows, {width}) has {} elements", out.len());
        assert!(b.len() == depth * width, "B ({depth}, {width}) has {} elements", b.len());
        if rows == 0 || depth == 0 {
            return;
        }
        assert!(stride >= depth, "rows of A of {depth} numbers stand {stride} apart");
        assert!(a.len() >= (rows - 1) * stride + depth, "A ({rows}, {depth}) has {} elements", a.len());
        let segment = Segment { a: a.as_ptr(), row: stride, column: 1, b: b.as_ptr(), depth, next: 0 };
        let product = Product {
            rows,
            panels: 1,
            vectors: shape::<F>(self.isa).1,
            width,
            init: Init::Rows { ptr: out.as_ptr(), stride: width },
            init_next: 0,
            segments: &[segment],
            out: out.as_mut_ptr(),
            out_stride: width,
            out_next: 0,
            scales: core::ptr::null(),
        };
        // SAFETY: the engine's instruction set is the processor's; every slice has the rows and columns, as asserted; `out` is borrowed alone,
        // and is also what the sums start from.
        unsafe { product.run(self.isa) }
    }
}

#[cfg(test)]
mod tests {
    use crate::algebra::Element;
    use crate::algebra::lanes::Isa;
    use crate::engine::Engine;
    use crate::testing::Noise;

    fn check<F: Element>(tolerance: f64) {
        for isa in Isa::available() {
            let engine = Engine::with(isa, 1);
            let width = engine.panel_width::<F>();
            for (rows, depth, stride) in [(1, 1, 1), (1, 5, 9), (7, 3, 3), (32, 31, 40), (0, 3, 3), (3, 0, 0)] {
                let mut noise = Noise((rows * 100 + depth) as u64);
                let a: Vec<F> = noise.uniform(rows * stride, 1.0);
                let b: Vec<F> = noise.uniform(depth * width, 1.0);
                let before: Vec<F> = noise.uniform(rows * width, 1.0);
                let mut out = before.clone();
                engine.panel_product(&a, stride, depth, &b, &mut out);
                for r in 0..rows {
                    for c in 0..width {
                        let products = (0..depth).map(|k| a[r * stride + k].to_f64() * b[k * width + c].to_f64());
                        let want = before[r * width + c].to_f64() + products.sum::<f64>();
                        let got = out[r * width + c].to_f64();
                        assert!((got - want).abs() <= tolerance, "{isa}, {rows} x {depth}: {got} != {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn it_is_the_product() {
        // Some 30 roundings of sums below 10.
        check::<f32>(2e-5);
        check::<f64>(4e-14);
    }

    #[test]
    #[should_panic(expected = "A (2, 3) has 5 elements")]
    fn a_short_operand_is_refused() {
        let engine = Engine::new(1);
        let width = engine.panel_width::<f64>();
        engine.panel_product(&[0.0; 5], 3, 3, &vec![0.0; 3 * width], &mut vec![0.0; 2 * width]);
    }
}
