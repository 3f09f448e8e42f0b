//! The engine's product for one panel and its threads, in safe hands: for algorithms that keep a large matrix in panels between steps.

use super::Engine;
use super::memory::Shared;
use super::product::{Init, Product, Segment, Soon};
use super::team::share;
use crate::algebra::Element;
use crate::algebra::lanes::shape;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

impl Engine {
    /// Calls `work` with every item. The items are divided among the threads in neighbouring stretches, always the same ones, so that a thread finds
    /// those of the last call in its cache.
    ///
    /// ```
    /// let mut squares = [1, 2, 3, 4, 5];
    /// elman_core::engine::Engine::new(2).each(&mut squares, |n| *n *= *n);
    /// assert_eq!(squares, [1, 4, 9, 16, 25]);
    /// ```
    ///
    /// # Panics
    /// Where `work` does; the other threads end theirs first.
    pub fn each<T: Send>(&self, items: &mut [T], work: impl Fn(&mut T) + Sync) {
        if items.len() < 2 || self.threads() == 1 {
            return items.iter_mut().for_each(work);
        }
        let (start, len) = (Shared(items.as_mut_ptr()), items.len());
        let panicked = Mutex::new(None);
        self.team.run(&|thread| {
            for i in share(len, self.threads(), thread) {
                // SAFETY: inside the list, which is borrowed alone; no other thread takes this item, which may be sent to this one.
                let item = unsafe { &mut *start.get().add(i) };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(item))) {
                    panicked.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(panic);
                    return;
                }
            }
        });
        if let Some(panic) = panicked.into_inner().unwrap_or_else(|e| e.into_inner()) {
            resume_unwind(panic);
        }
    }

    /// Numbers in a row of a panel in precision `F`.
    pub fn panel_width<F: Element>(&self) -> usize {
        let (lanes, vectors) = shape::<F>(self.isa);
        lanes * vectors
    }

    /// `out = A B` for one panel: `b` (depth, W) and `out` (rows, W) have rows of W = [`panel_width`](Engine::panel_width) numbers;
    /// A (rows, depth) is `a[r * stride + k]`. One chain of multiply-adds an element, in the order of the depth; the calling thread does it.
    ///
    /// ```
    /// use elman_core::engine::Engine;
    /// let engine = Engine::new(1);
    /// let width = engine.panel_width::<f32>();
    /// let (a, b) = ([1.0, 0.0, 1.0, 0.5, 0.5, 0.0_f32], vec![2.0; 3 * width]);
    /// let mut out = vec![1.0; 2 * width];
    /// engine.panel_product(&a, 3, 3, &b, &mut out);
    /// assert!(out[..width].iter().all(|&x| x == 4.0) && out[width..].iter().all(|&x| x == 2.0));
    /// engine.add_panel_product(&a, 3, 3, &b, &mut out);
    /// assert!(out[..width].iter().all(|&x| x == 8.0) && out[width..].iter().all(|&x| x == 4.0));
    /// ```
    ///
    /// # Panics
    /// Where a slice does not have these sizes, or `stride` is below `depth`.
    #[track_caller]
    pub fn panel_product<F: Element>(&self, a: &[F], stride: usize, depth: usize, b: &[F], out: &mut [F]) {
        if depth == 0 {
            return out.fill(F::constant(0.0));
        }
        self.product_of_panel(a, stride, depth, b, out, false);
    }

    /// `out = out + A B`, as [`panel_product`](Engine::panel_product) otherwise.
    ///
    /// # Panics
    /// Where a slice does not have these sizes, or `stride` is below `depth`.
    #[track_caller]
    pub fn add_panel_product<F: Element>(&self, a: &[F], stride: usize, depth: usize, b: &[F], out: &mut [F]) {
        self.product_of_panel(a, stride, depth, b, out, true);
    }

    #[track_caller]
    fn product_of_panel<F: Element>(&self, a: &[F], stride: usize, depth: usize, b: &[F], out: &mut [F], add: bool) {
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
            init: if add { Init::Rows { ptr: out.as_ptr(), stride: width } } else { Init::Zero },
            init_next: 0,
            segments: &[segment],
            out: out.as_mut_ptr(),
            out_stride: width,
            out_next: 0,
            scales: core::ptr::null(),
            soon: Soon::NOTHING,
            same_left: false,
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
                engine.add_panel_product(&a, stride, depth, &b, &mut out);
                let mut alone = before.clone();
                engine.panel_product(&a, stride, depth, &b, &mut alone);
                for r in 0..rows {
                    for c in 0..width {
                        let products = (0..depth).map(|k| a[r * stride + k].to_f64() * b[k * width + c].to_f64());
                        let product = products.sum::<f64>();
                        let sum = before[r * width + c].to_f64() + product;
                        for (got, want) in [(&alone, product), (&out, sum)] {
                            let got = got[r * width + c].to_f64();
                            assert!((got - want).abs() <= tolerance, "{isa}, {rows} x {depth}: {got} != {want}");
                        }
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
    fn each_item_is_taken_once() {
        for threads in [1, 2, 3] {
            let engine = Engine::with(Isa::Plain, threads);
            for count in [0, 1, 2, 3, 7, 100] {
                let mut items: Vec<usize> = (0..count).collect();
                engine.each(&mut items, |item| *item += 1);
                assert_eq!(items, (1..=count).collect::<Vec<_>>(), "{threads} threads");
            }
        }
    }

    #[test]
    fn a_panic_comes_back_and_the_engine_goes_on() {
        let engine = Engine::with(Isa::Plain, 2);
        for bad in [0, 5] {
            let mut items: Vec<usize> = (0..6).collect();
            let run = || engine.each(&mut items, |item| assert!(*item != bad, "item {item}"));
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
            assert_eq!(panic.downcast_ref::<String>(), Some(&format!("item {bad}")));
        }
        let mut items = vec![0; 4];
        engine.each(&mut items, |item| *item = 1);
        assert_eq!(items, [1; 4]);
    }

    #[test]
    #[should_panic(expected = "A (2, 3) has 5 elements")]
    fn a_short_operand_is_refused() {
        let engine = Engine::new(1);
        let width = engine.panel_width::<f64>();
        engine.panel_product(&[0.0; 5], 3, 3, &vec![0.0; 3 * width], &mut vec![0.0; 2 * width]);
    }
}
