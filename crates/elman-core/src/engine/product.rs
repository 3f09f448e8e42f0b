//! The one matrix product of the engine: `out = init + Σ A B` over segments, B in panels, as numbers or compressed.
//!
//! Every element of the result is summed in the order of the segments and of their depth, one fused multiply-add after
//! another, whatever the number of rows, registers or threads: that is why a sequence, its chunks, its single steps and a
//! single row of the batch give the same bits. Bytes may be summed as whole numbers instead ([`whole`]), which gives them too.

use super::compressed::WeightFormat;
use super::mixed::{self, Bf16Kernel, Right};
use super::whole;
use crate::algebra::Element;
use crate::algebra::lanes::{Isa, LaneTask, Lanes, dispatch, shape};
use core::marker::PhantomData;

/// How A stands in memory, where the compiler knows it: distances that are constant cost no instruction.
const PANEL: u8 = 0;
/// A is the transpose of a panel.
const COLUMNS: u8 = 1;
/// Any distances.
const ANY: u8 = 2;
/// Rows of B that are asked for ahead of use.
const PREFETCH: usize = 8;

/// How the numbers of B are stored.
trait Stored<F>: Copy {
    /// Rows of B that stand together in one word. More than one: compressed numbers, read a row of A at a time.
    const ROWS: usize;
    /// The numbers as they are loaded are so many times what they are. Where that is not once, sums are multiplied by a factor of their
    /// column, too.
    const TIMES: f64;
    /// Loads a register of each of these rows; those beyond `ROWS` are zero.
    ///
    /// # Safety
    /// As for [`Lanes::load`].
    unsafe fn load<V: Lanes<Element = F>>(ptr: *const Self) -> [V; 4];
}

impl<F: Element> Stored<F> for F {
    const ROWS: usize = 1;
    const TIMES: f64 = 1.0;
    #[inline(always)]
    unsafe fn load<V: Lanes<Element = F>>(ptr: *const F) -> [V; 4] {
        let none = V::constant(0.0);
        // SAFETY: the caller's promise.
        unsafe { [V::load(ptr), none, none, none] }
    }
}

/// A word of two rows in bfloat16: the upper half of an `f32`.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Pair(u32);

impl<F: Element> Stored<F> for Pair {
    const ROWS: usize = 2;
    const TIMES: f64 = 1.0;
    #[inline(always)]
    unsafe fn load<V: Lanes<Element = F>>(ptr: *const Pair) -> [V; 4] {
        let none = V::constant(0.0);
        // SAFETY: the caller's promise.
        let [lower, upper] = unsafe { V::load_pairs(ptr.cast()) };
        [lower, upper, none, none]
    }
}

/// A word of four rows in bytes.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Four(u32);

impl<F: Element> Stored<F> for Four {
    const ROWS: usize = 4;
    const TIMES: f64 = 16_777_216.0;
    #[inline(always)]
    unsafe fn load<V: Lanes<Element = F>>(ptr: *const Four) -> [V; 4] {
        // SAFETY: the caller's promise.
        unsafe { V::load_fours(ptr.cast()) }
    }
}

/// `A B` over a stretch of the inner dimension: A is `a[r * row + k * column]`, B is `b[k * panel width + c]`, or
/// words of two or four of its rows.
#[derive(Clone, Copy, Debug)]
pub struct Segment<F> {
    pub a: *const F,
    pub row: usize,
    pub column: usize,
    /// The address of B, whatever is stored there.
    pub b: *const F,
    pub depth: usize,
    /// From one panel's B to the next panel's, in numbers or words.
    pub next: usize,
}

/// What the sum starts from.
#[derive(Clone, Copy, Debug)]
pub enum Init<'a, F> {
    Zero,
    /// Row r starts from `ptr + r * stride`.
    Rows {
        ptr: *const F,
        stride: usize,
    },
    /// Row r starts from `table + ids[r] * stride`.
    Gather {
        table: *const F,
        stride: usize,
        ids: &'a [u32],
    },
}

/// Memory that is read soon: a tile asks for it line by line, into the second cache.
#[derive(Clone, Copy, Debug)]
pub struct Soon<F> {
    ptr: *const F,
    end: *const F,
}

impl<F> Soon<F> {
    pub const NOTHING: Soon<F> = Soon { ptr: core::ptr::null(), end: core::ptr::null() };

    pub fn new(ptr: *const F, len: usize) -> Soon<F> {
        Soon { ptr, end: ptr.wrapping_add(len) }
    }

    fn is_nothing(&self) -> bool {
        self.ptr >= self.end
    }
}

/// One product: `rows` rows of `vectors` registers in each of some panels, all of the same A.
#[derive(Clone, Copy, Debug)]
pub struct Product<'a, F> {
    pub rows: usize,
    pub panels: usize,
    /// Registers of each panel to compute; all pointers stand at the first of them.
    pub vectors: usize,
    /// The distance between rows of B, in numbers or words: a panel's width, but where A is the transpose of a panel any.
    pub width: usize,
    pub init: Init<'a, F>,
    /// From one panel's `init` to the next panel's.
    pub init_next: usize,
    pub segments: &'a [Segment<F>],
    pub out: *mut F,
    pub out_stride: usize,
    /// From one panel's result to the next panel's.
    pub out_next: usize,
    /// Of bytes: a factor for each column of a panel and then the sum of each column's bytes, panel after panel.
    pub scales: *const F,
    /// What is asked for meanwhile, in place of the next panel's B.
    pub soon: Soon<F>,
    /// Whether rows and A are those of the product before on this thread, unchanged since: in mixed precision they are then not
    /// converted again.
    pub same_left: bool,
}

impl<F: Element> Product<'_, F> {
    /// Computes the product.
    ///
    /// # Safety
    /// The processor has `isa`; every pointer is valid for the rows, columns and depths given, and `out` overlaps the
    /// operands only where `init` is `out` itself.
    pub unsafe fn run(self, isa: Isa) {
        // SAFETY: the caller's promise.
        unsafe { F::multiply(self, isa, WeightFormat::Full) }
    }

    /// Computes the product with a B of numbers stored in a format.
    ///
    /// # Safety
    /// As for `run`; there are `scales` where the format has them.
    pub unsafe fn run_stored(self, isa: Isa, format: WeightFormat) {
        // SAFETY: the caller's promise.
        unsafe { F::multiply(self, isa, format) }
    }

    /// Computes the product in mixed precision.
    ///
    /// # Safety
    /// As for `run`; B is stored as `right` says, and the kernel can run here and fits the instruction set.
    pub unsafe fn run_mixed(self, isa: Isa, kernel: Bf16Kernel, right: Right) {
        let Some(multiply) = F::MIXED else { unreachable!("only numbers with such a product are planned for it") };
        // SAFETY: the caller's promise.
        unsafe { multiply(self, shape::<F>(isa).0, kernel, right) }
    }
}

/// A product in mixed precision: of registers of so many numbers, by a kernel, with B stored as `Right` says.
pub type Mixed<F> = unsafe fn(Product<'_, F>, usize, Bf16Kernel, Right);

/// The product of one precision. No generic function: the tiles are compiled here, once, and not in every crate that uses the
/// engine.
pub trait Multiply: Copy + 'static {
    /// The product in mixed precision; none where it is always taken as it is.
    const MIXED: Option<Mixed<Self>>;
    /// Computes a product.
    ///
    /// # Safety
    /// As for `Product::run_stored`.
    unsafe fn multiply(product: Product<Self>, isa: Isa, format: WeightFormat);
}

macro_rules! multiply {
    ($F:ty, $mixed:expr, $whole:expr) => {
        impl Multiply for $F {
            const MIXED: Option<Mixed<$F>> = $mixed;
            unsafe fn multiply(product: Product<$F>, isa: Isa, format: WeightFormat) {
                // SAFETY: the caller's promise.
                unsafe {
                    match format {
                        _ if product.segments.is_empty() => dispatch(isa, As::<$F, $F>(product, PhantomData)),
                        WeightFormat::Full => dispatch(isa, As::<$F, $F>(product, PhantomData)),
                        WeightFormat::Bf16 => dispatch(isa, As::<$F, Pair>(product, PhantomData)),
                        WeightFormat::Int8 if $whole(&product, isa) => {}
                        WeightFormat::Int8 => dispatch(isa, As::<$F, Four>(product, PhantomData)),
                    }
                }
            }
        }
    };
}
multiply!(f32, Some(mixed::multiply), whole::multiply);
multiply!(f64, None, |_: &_, _| false);

/// A product whose B is stored as `W`.
struct As<'a, F, W>(Product<'a, F>, PhantomData<W>);

impl<F: Element, W: Stored<F>> LaneTask<F> for As<'_, F, W> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.0.vectors {
                1 => self.0.every_panel::<V, W, 1>(),
                2 => self.0.every_panel::<V, W, 2>(),
                3 => self.0.every_panel::<V, W, 3>(),
                4 => self.0.every_panel::<V, W, 4>(),
                _ => unreachable!("a panel has at most 4 registers"),
            }
        }
    }
}

impl<F: Element> Product<'_, F> {
    #[inline(always)]
    unsafe fn every_panel<V: Lanes<Element = F>, W: Stored<F>, const N: usize>(&self) {
        let mut panel = 0;
        // SAFETY: the caller's promise; each call stays below `panels`.
        unsafe {
            if W::ROWS > 1 || self.rows == 1 {
                let mut row = 0;
                while row < self.rows {
                    self.single_row::<V, W, N>(row);
                    row += 1;
                }
                return;
            }
            while panel < self.panels {
                self.panel::<V, N>(panel);
                panel += 1;
            }
        }
    }

    #[inline(always)]
    unsafe fn panel<V: Lanes<Element = F>, const N: usize>(&self, panel: usize) {
        let width = V::COUNT * V::PANEL;
        let all = |row: usize, column: usize| self.segments.iter().all(|s| (s.row, s.column) == (row, column));
        // SAFETY: the caller's promise.
        unsafe {
            if all(width, 1) {
                self.tiles::<V, N, PANEL>(panel);
            } else if all(1, width) {
                self.tiles::<V, N, COLUMNS>(panel);
            } else {
                self.tiles::<V, N, ANY>(panel);
            }
        }
    }

    /// All rows of a panel, in tiles of nearly the same height: a low one would read B as long as a high one.
    #[inline(always)]
    unsafe fn tiles<V: Lanes<Element = F>, const N: usize, const A: u8>(&self, panel: usize) {
        let mut row = 0;
        let mut left = self.rows.div_ceil(6);
        // The first tile brings this panel's B to the second cache, where the others find it: they have time to ask for the next panel's.
        let mut soon = self.soon;
        let mut first = soon.is_nothing();
        while left > 0 {
            let height = (self.rows - row).div_ceil(left);
            // SAFETY: the caller's promise; each tile stays below `rows`.
            unsafe {
                match height {
                    1 => self.tile::<V, 1, N, A>(panel, row, &mut soon),
                    2 => self.tile::<V, 2, N, A>(panel, row, &mut soon),
                    3 => self.tile::<V, 3, N, A>(panel, row, &mut soon),
                    4 => self.tile::<V, 4, N, A>(panel, row, &mut soon),
                    5 => self.tile::<V, 5, N, A>(panel, row, &mut soon),
                    _ => self.tile::<V, 6, N, A>(panel, row, &mut soon),
                }
            }
            if core::mem::take(&mut first)
                && let Some(segment) = self.segments.first().filter(|segment| segment.next > 0)
            {
                let depth: usize = self.segments.iter().map(|s| s.depth).sum();
                soon = Soon::new(segment.b.wrapping_add((panel + 1) * segment.next), depth * V::COUNT * V::PANEL);
            }
            row += height;
            left -= 1;
        }
    }

    /// Address of what row `row` starts from; none for zeros.
    ///
    /// # Safety
    /// The row is below `rows`.
    #[inline(always)]
    pub unsafe fn start_of(&self, row: usize) -> Option<*const F> {
        match self.init {
            Init::Zero => None,
            Init::Rows { ptr, stride } => Some(ptr.wrapping_add(row * stride)),
            // SAFETY: there is an id for each row.
            Init::Gather { table, stride, ids } => {
                Some(table.wrapping_add(unsafe { *ids.get_unchecked(row) } as usize * stride))
            }
        }
    }

    /// What row `row` of a panel starts from.
    #[inline(always)]
    unsafe fn start<V: Lanes<Element = F>, const N: usize>(&self, panel: usize, row: usize) -> [V; N] {
        // SAFETY: the caller's promise.
        let Some(from) = (unsafe { self.start_of(row) }) else { return [V::constant(0.0); N] };
        // Loops, not closures: what is not inlined is compiled without the instruction set.
        let mut sum = [V::constant(0.0); N];
        for n in 0..N {
            // SAFETY: the caller's promise.
            sum[n] = unsafe { V::load(from.add(panel * self.init_next + n * V::COUNT)) };
        }
        sum
    }

    /// One row of all panels.
    #[inline(always)]
    unsafe fn single_row<V: Lanes<Element = F>, W: Stored<F>, const N: usize>(&self, row: usize) {
        let mut panel = 0;
        // SAFETY: the caller's promise; each call stays below `panels`.
        unsafe {
            while panel + 4 <= self.panels {
                self.row_of_panels::<V, W, 4, N>(panel, row);
                panel += 4;
            }
            if panel + 2 <= self.panels {
                self.row_of_panels::<V, W, 2, N>(panel, row);
                panel += 2;
            }
            if panel < self.panels {
                self.row_of_panels::<V, W, 1, N>(panel, row);
            }
        }
    }

    /// One row of `P` panels at once. It is bound by reading the weights: several streams keep more reads in flight than
    /// one.
    #[inline(always)]
    unsafe fn row_of_panels<V: Lanes<Element = F>, W: Stored<F>, const P: usize, const N: usize>(
        &self,
        panel: usize,
        row: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sum = [[V::constant(0.0); N]; P];
            let scaled = W::TIMES != 1.0;
            if !scaled {
                for p in 0..P {
                    sum[p] = self.start::<V, N>(panel + p, row);
                }
            }
            for segment in self.segments {
                let a = segment.a.add(row * segment.row);
                let mut streams = [segment.b.cast::<W>(); P];
                for p in 0..P {
                    streams[p] = streams[p].add((panel + p) * segment.next);
                }
                let whole = segment.depth / W::ROWS;
                for word in 0..whole {
                    let mut left = [V::constant(0.0); 4];
                    for r in 0..W::ROWS {
                        left[r] = V::splat(*a.add((word * W::ROWS + r) * segment.column));
                    }
                    for p in 0..P {
                        for n in 0..N {
                            let right = W::load::<V>(streams[p].add(word * self.width + n * V::COUNT));
                            for r in 0..W::ROWS {
                                sum[p][n] = left[r].mul_add(right[r], sum[p][n]);
                            }
                        }
                    }
                }
                // The last word may not be full.
                for r in 0..segment.depth % W::ROWS {
                    let left = V::splat(*a.add((whole * W::ROWS + r) * segment.column));
                    for p in 0..P {
                        for n in 0..N {
                            let right = W::load::<V>(streams[p].add(whole * self.width + n * V::COUNT));
                            sum[p][n] = left.mul_add(right[r], sum[p][n]);
                        }
                    }
                }
            }
            for p in 0..P {
                if scaled {
                    let start = self.start::<V, N>(panel + p, row);
                    for n in 0..N {
                        let scale = V::load(self.scales.add(2 * (panel + p) * self.width + n * V::COUNT));
                        sum[p][n] = (sum[p][n] * V::constant(1.0 / W::TIMES)).mul_add(scale, start[n]);
                    }
                }
                let out = self.out.add((panel + p) * self.out_next + row * self.out_stride);
                for n in 0..N {
                    sum[p][n].store(out.add(n * V::COUNT));
                }
            }
        }
    }

    /// `M` rows of `N` registers, kept in registers over all segments.
    #[inline(always)]
    unsafe fn tile<V: Lanes<Element = F>, const M: usize, const N: usize, const A: u8>(
        &self,
        panel: usize,
        row: usize,
        soon: &mut Soon<F>,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sum = [[V::constant(0.0); N]; M];
            for m in 0..M {
                sum[m] = self.start::<V, N>(panel, row + m);
            }
            for segment in self.segments {
                let mut a = segment.a.add(row * segment.row);
                let mut b = segment.b.add(panel * segment.next);
                let panel = V::COUNT * V::PANEL;
                let (rows, columns, width) = match A {
                    PANEL => (panel, 1, panel),
                    COLUMNS => (1, panel, self.width),
                    _ => (segment.row, segment.column, panel),
                };
                let mut k = 0;
                // Lines come in pairs.
                let stride = if soon.is_nothing() { 0 } else { 2 * V::COUNT };
                while k + 2 <= segment.depth {
                    V::prefetch_second(soon.ptr);
                    soon.ptr = soon.ptr.wrapping_add(stride);
                    Self::column::<V, M, N>(a, rows, b, width, &mut sum);
                    Self::column::<V, M, N>(a.wrapping_add(columns), rows, b.wrapping_add(width), width, &mut sum);
                    a = a.wrapping_add(2 * columns);
                    b = b.wrapping_add(2 * width);
                    k += 2;
                }
                if k < segment.depth {
                    Self::column::<V, M, N>(a, rows, b, width, &mut sum);
                }
            }
            for m in 0..M {
                for n in 0..N {
                    sum[m][n].store(self.out.add(panel * self.out_next + (row + m) * self.out_stride + n * V::COUNT));
                }
            }
        }
    }

    /// Adds one column of A times one row of B.
    #[inline(always)]
    unsafe fn column<V: Lanes<Element = F>, const M: usize, const N: usize>(
        a: *const F,
        rows: usize,
        b: *const F,
        width: usize,
        sum: &mut [[V; N]; M],
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut right = [V::constant(0.0); N];
            for n in 0..N {
                right[n] = V::load(b.add(n * V::COUNT));
                V::prefetch(b.wrapping_add(PREFETCH * width + n * V::COUNT));
            }
            for m in 0..M {
                let left = V::splat(*a.add(m * rows));
                for n in 0..N {
                    sum[m][n] = left.mul_add(right[n], sum[m][n]);
                }
            }
        }
    }
}
