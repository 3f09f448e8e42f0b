//! A linear readout over a vocabulary with softmax and cross-entropy, and all its gradients, a slice of words at a time.
//!
//! For rows y_n (H) with targets t_n, weights W (V, H), bias b (V), a reference r_n for each row and a factor c, one over the
//! number of targets that count:
//!
//! ```text
//! l_nv = W_v · y_n + b_v     e_nv = exp(l_nv - r_n)     s_n = Σ_v e_nv     loss = c Σ_n (ln s_n + r_n - l_n,t_n)
//! f_n = c / s_n     d_y_n = f_n Σ_v e_nv W_v - c W_t_n     d_W_v = Σ_n (e_nv - s_n [v = t_n]) f_n y_n     d_b_v the same with y = 1
//! ```
//!
//! The softmax is never divided by its sum: rows of y are, which are V / H times fewer. Any reference will do from which no
//! exponential overflows. The score of the target is one unless the model gives it less than 1e-20, so that one pass over
//! the words gives exponentials, sums and d_y; where it is not, the maximum over all words takes its place and the pass is made
//! again. Scores stand with a row of the batch in each lane, so that nothing is needed across lanes, and W is read as it is,
//! without packing.
//!
//! [`Rows`] are some rows of y and what is known of each; [`Words`] a slice of the vocabulary and its exponentials for those
//! rows. Slices do not depend on each other within a phase, and what they sum is added in their order: any number of threads
//! gives the same bits. The phases, each over all slices: [`Rows::load`], [`Words::exponentials`], [`Rows::take_sums`] (where that
//! gives nothing: [`Words::maxima`], [`Rows::take_maxima`], and the exponentials again), and for the gradients [`Rows::d_y`],
//! [`Rows::scale`], [`Words::gradients`].

mod passes;

use super::memory::{Buffer, Matrix, Panels, transpose};
use super::mixed::{Bf16Kernel, Right, pairs};
use super::product::{Init, Product, Segment, Soon};
use crate::algebra::Element;
use crate::algebra::lanes::{Isa, dispatch, shape};
use core::ops::Range;
use passes::{BiasGradient, Exponentials, LogSum, Maxima, WeightedSum, dot};

/// A target that does not count: padding.
pub const IGNORE: u32 = u32::MAX;

/// Words whose scores are worked on together: those for a panel of rows stay in the first cache.
const BLOCK: usize = 64;

/// A sum of exponentials above this says that the reference is too far below the largest score.
const FAR: f64 = 1e20;

/// `-ln softmax(scores)[target]`, in nats; NaN where a score is. Sums are kept in f64.
///
/// # Panics
/// If the target is not below the number of scores, or the processor does not have the instruction set.
#[track_caller]
pub fn nats<F: Element>(isa: Isa, scores: &[F], target: usize) -> f64 {
    assert!(Isa::available().contains(&isa), "this processor does not have {isa}");
    let mut result = (0.0, F::constant(0.0));
    // SAFETY: the processor has it.
    unsafe { dispatch(isa, LogSum { scores, result: &mut result }) };
    result.0 - (scores[target].to_f64() - result.1.to_f64())
}

fn panels<F: Element>(isa: Isa) -> Panels {
    let (lanes, vectors) = shape::<F>(isa);
    Panels { lanes, width: lanes * vectors }
}

/// The panels of `columns` for products: (first, how many, registers of each), full ones and then the last if it is not.
fn groups(panels: Panels, columns: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let full = columns / panels.width;
    let rest = panels.blocks(columns - full * panels.width);
    [(0, full, panels.vectors()), (full, 1, rest)].into_iter().filter(|&(_, count, vectors)| count * vectors > 0)
}

/// Some rows of a batch.
pub struct Rows<F> {
    isa: Isa,
    bf16: Option<Bf16Kernel>,
    panels: Panels,
    count: usize,
    width: usize,
    /// [panel of rows][unit][row].
    across: Buffer<F>,
    /// The same in mixed precision: [panel of rows][pair of units][row].
    across_pairs: Buffer<u32>,
    /// y times each row's factor: [panel of units][row][unit].
    scaled: Buffer<F>,
    /// The same in mixed precision: [panel of units][panel of rows][pair of rows][unit].
    scaled_pairs: Buffer<u32>,
    targets: Vec<u32>,
    // One for each row, with the padding of the last panel; sums and factors once they are known.
    reference: Vec<F>,
    sum: Vec<F>,
    factor: Vec<F>,
    /// Whether the references are the maxima.
    exact: bool,
    /// Whether `scaled` is of these rows.
    is_scaled: bool,
}

impl<F: Element> Rows<F> {
    /// No rows yet.
    pub fn new(isa: Isa) -> Self {
        Rows {
            isa,
            bf16: None,
            panels: panels::<F>(isa),
            count: 0,
            width: 0,
            across: Buffer::default(),
            across_pairs: Buffer::default(),
            scaled: Buffer::default(),
            scaled_pairs: Buffer::default(),
            targets: Vec::new(),
            reference: Vec::new(),
            sum: Vec::new(),
            factor: Vec::new(),
            exact: false,
            is_scaled: false,
        }
    }

    /// From the next [`load`](Rows::load) on, matrix products are of operands rounded to bf16, by a kernel; none: as they are. Numbers of
    /// f64 always are.
    ///
    /// # Panics
    /// Where the kernel cannot run here, or does not fit the instruction set.
    #[track_caller]
    pub fn set_bf16(&mut self, kernel: Option<Bf16Kernel>) {
        if let Some(kernel) = kernel {
            assert!(Bf16Kernel::available().contains(&kernel), "this machine cannot run the bf16 kernel {kernel}");
            assert!(kernel.fits(self.isa), "the bf16 kernel {kernel} does not fit {}", self.isa);
        }
        self.bf16 = kernel.filter(|_| F::MIXED.is_some());
    }

    /// Runs a product in the precision of these rows; in mixed precision its B is stored as `right` says.
    unsafe fn multiply(&self, product: Product<F>, right: Right) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.bf16 {
                None => product.run(self.isa),
                Some(kernel) => product.run_mixed(self.isa, kernel, right),
            }
        }
    }

    /// Words of a panel of units for a panel of rows, in mixed precision.
    fn scaled_pairs_size(&self) -> usize {
        pairs::pair_rows(self.panels.width) * self.panels.width
    }

    /// Rows that one call of [`d_y`](Rows::d_y) makes.
    pub fn per_panel(&self) -> usize {
        self.panels.width
    }

    /// Takes rows `y` (N, H) with their N targets, each below V or [`IGNORE`]; `weight` (V, H) and `bias` (V) give the
    /// references.
    ///
    /// # Panics
    /// If there are no targets, one is not a word, or a slice has another size.
    #[track_caller]
    pub fn load(&mut self, y: &[F], targets: &[u32], weight: &[F], bias: &[F]) {
        assert!(
            !targets.is_empty() && y.len().is_multiple_of(targets.len()),
            "y is not (N, H) for {} targets",
            targets.len()
        );
        (self.count, self.width) = (targets.len(), y.len() / targets.len());
        let (h, w, count) = (self.width, self.panels.width, self.panels.count(self.count));
        assert!(weight.len() == bias.len() * h, "weight is not ({}, {h})", bias.len());
        self.targets.clear();
        self.targets.extend_from_slice(targets);
        let to = self.across.room(count * h * w);
        // SAFETY: the room was just made, and is numbers.
        let to = unsafe { core::slice::from_raw_parts_mut(to, count * h * w) };
        for (panel, y) in to.chunks_exact_mut(h * w).zip(y.chunks(h * w)) {
            let rows = y.len() / h;
            transpose(y, (rows, h), panel, w);
            panel.chunks_exact_mut(w).for_each(|unit| unit[rows..].fill(F::constant(0.0)));
        }
        if self.bf16.is_some() {
            let size = pairs::pair_rows(h) * w;
            let pairs = self.across_pairs.room(count * size);
            for (panel, from) in to.chunks_exact(h * w).enumerate() {
                // SAFETY: numbers in mixed precision are f32; room was made for every panel's pairs.
                unsafe { pairs::right(from.as_ptr().cast(), w, h, w, pairs.add(panel * size)) };
            }
        }
        self.reference.clear();
        self.reference.extend(y.chunks_exact(h).zip(targets).map(|(y, &target)| {
            let word = if target == IGNORE { 0 } else { target as usize };
            assert!(word < bias.len(), "target {target} is not below the vocabulary's size {}", bias.len());
            bias[word] + dot(y, &weight[word * h..][..h])
        }));
        self.reference.resize(count * w, F::constant(0.0));
        (self.exact, self.is_scaled) = (false, false);
        self.sum.clear();
        self.factor.clear();
    }

    /// Takes the maxima of all scores for references, from every slice's.
    ///
    /// # Panics
    /// If a slice has not taken its maxima for these rows.
    #[track_caller]
    pub fn take_maxima(&mut self, words: &[Words<F>]) {
        self.reference.fill(F::constant(f64::NEG_INFINITY));
        for slice in words {
            slice.check(self, slice.max.len());
            for (max, &other) in self.reference.iter_mut().zip(&slice.max) {
                if other > *max {
                    *max = other;
                }
            }
        }
        self.exact = true;
    }

    /// The sums of all exponentials from every slice's, and the factors `c` over them. Returns the sum of the rows' losses in
    /// nats; none where a reference is too far from the largest score.
    ///
    /// # Panics
    /// If a slice has not made its exponentials for these rows.
    #[track_caller]
    pub fn take_sums(&mut self, words: &[Words<F>], c: F) -> Option<f64> {
        self.sum.clear();
        self.sum.resize(self.reference.len(), F::constant(0.0));
        for slice in words {
            slice.check(self, slice.sum.len());
            self.sum.iter_mut().zip(&slice.sum).for_each(|(sum, &other)| *sum = *sum + other);
        }
        // NaN is not near either.
        let near = self.sum[..self.count].iter().all(|sum| sum.to_f64() < FAR);
        if !near && !self.exact {
            return None;
        }
        self.factor.clear();
        self.factor.resize(self.sum.len(), F::constant(0.0));
        let mut loss = 0.0;
        for (n, &target) in self.targets.iter().enumerate().filter(|&(_, &target)| target != IGNORE) {
            self.factor[n] = c / self.sum[n];
            let slice = words.iter().find(|w| w.range.contains(&(target as usize))).expect("targets are words");
            loss += self.sum[n].to_f64().ln() + self.reference[n].to_f64() - slice.at_target[n].to_f64();
        }
        Some(loss)
    }

    /// The gradient by the rows of y that panel `panel` holds, at most [`per_panel`](Rows::per_panel), into `out` (rows, H).
    /// `weight` is all of W and `c` as in [`take_sums`](Rows::take_sums).
    ///
    /// # Panics
    /// If a slice has not made its exponentials with `gradient` for these rows, or the sums have not been taken.
    #[track_caller]
    pub fn d_y(&self, words: &[Words<F>], weight: &[F], c: F, panel: usize, out: &mut [F]) {
        let (h, w) = (self.width, self.panels.width);
        assert!(self.factor.len() >= (panel + 1) * w, "sums before d_y");
        words.iter().for_each(|slice| slice.check(self, slice.d_y_len));
        let mut sums = Buffer::<F>::default();
        let to = Matrix { ptr: sums.room(h * w), rows: h, width: w };
        let parts: Vec<*const F> =
            words.iter().map(|slice| slice.d_y.ptr().wrapping_add(panel * h * w).cast_const()).collect();
        let factor = self.factor[panel * w..].as_ptr();
        // SAFETY: every part has h rows of a panel, and so has the room just made; factors are padded.
        unsafe { dispatch(self.isa, WeightedSum { parts: &parts, factor, out: to, vectors: self.panels.vectors() }) };
        // SAFETY: the room is numbers.
        let sums = unsafe { core::slice::from_raw_parts(to.ptr, h * w) };
        if out.len() == h * w {
            transpose(sums, (h, w), out, h);
        } else {
            out.chunks_exact_mut(h).enumerate().for_each(|(row, out)| (0..h).for_each(|k| out[k] = sums[k * w + row]));
        }
        let targets = self.targets[panel * w..].iter().zip(out.chunks_exact_mut(h));
        for (&target, out) in targets.filter(|&(&target, _)| target != IGNORE) {
            let weight = &weight[target as usize * h..][..h];
            out.iter_mut().zip(weight).for_each(|(out, &weight)| *out = *out - c * weight);
        }
    }

    /// Multiplies the rows `y`, those that were loaded, by their factors for [`Words::gradients`].
    ///
    /// # Panics
    /// If `y` has another size.
    #[track_caller]
    pub fn scale(&mut self, y: &[F]) {
        let (n, h, w) = (self.count, self.width, self.panels.width);
        assert!(y.len() == n * h && !self.factor.is_empty(), "y is not ({n}, {h}), or sums have not been taken");
        self.is_scaled = true;
        let count = self.panels.count(h);
        let to = self.scaled.room(count * n * w);
        // SAFETY: the room was just made, and is numbers.
        let to = unsafe { core::slice::from_raw_parts_mut(to, count * n * w) };
        for (p, panel) in to.chunks_exact_mut(n * w).enumerate() {
            let depth = self.panels.depth(h, p);
            for ((to, y), &factor) in panel.chunks_exact_mut(w).zip(y.chunks_exact(h)).zip(&self.factor) {
                let (to, padding) = to.split_at_mut(depth);
                to.iter_mut().zip(&y[p * w..]).for_each(|(to, &y)| *to = factor * y);
                padding.fill(F::constant(0.0));
            }
        }
        if self.bf16.is_some() {
            let (size, blocks) = (self.scaled_pairs_size(), self.panels.count(n));
            let pairs = self.scaled_pairs.room(count * blocks * size);
            for (p, panel) in to.chunks_exact(n * w).enumerate() {
                for (block, rows) in panel.chunks(w * w).enumerate() {
                    // SAFETY: as in `load`.
                    unsafe {
                        let pairs = pairs.add((p * blocks + block) * size);
                        pairs::right(rows.as_ptr().cast(), w, rows.len() / w, w, pairs);
                    }
                }
            }
        }
    }
}

/// A slice of the vocabulary: its exponentials for some rows, and what follows from them.
pub struct Words<F> {
    range: Range<usize>,
    /// N and H of the rows.
    rows: (usize, usize),
    /// [panel of rows][word][row]: scores, then their exponentials.
    scores: Buffer<F>,
    /// This slice's Σ_v e_nv W_v: [panel of rows][unit][row].
    d_y: Buffer<F>,
    /// What is left of a row of d_W behind its last whole register.
    rest: Buffer<F>,
    // One for each row, with the padding of the last panel; empty where they are not known. So is `d_y` at length 0.
    max: Vec<F>,
    sum: Vec<F>,
    at_target: Vec<F>,
    d_y_len: usize,
}

impl<F: Element> Default for Words<F> {
    fn default() -> Self {
        Words {
            range: 0..0,
            rows: (0, 0),
            scores: Buffer::default(),
            d_y: Buffer::default(),
            rest: Buffer::default(),
            max: Vec::new(),
            sum: Vec::new(),
            at_target: Vec::new(),
            d_y_len: 0,
        }
    }
}

impl<F: Element> Words<F> {
    /// Panics unless something of length `known` is known of these rows.
    #[track_caller]
    fn check(&self, rows: &Rows<F>, known: usize) {
        assert!(self.rows == (rows.count, rows.width) && known > 0, "a phase before its time, or other rows");
    }

    fn matrix(&self, rows: &Rows<F>) -> Matrix<F> {
        Matrix { ptr: self.scores.ptr(), rows: self.range.len(), width: rows.panels.width }
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<F> {
        let count = self.range.len();
        (0..count).step_by(BLOCK).map(move |start| start..count.min(start + BLOCK))
    }

    /// The slice becomes words `first ..`, of which nothing is known.
    #[track_caller]
    fn begin(&mut self, rows: &Rows<F>, first: usize, weight: &[F], bias: &[F]) {
        let h = rows.width;
        assert!(weight.len() == bias.len() * h, "weight of {} words is not (words, {h})", bias.len());
        (self.range, self.rows) = (first..first + bias.len(), (rows.count, h));
        self.scores.room(rows.reference.len() * bias.len());
        self.d_y_len = 0;
        [&mut self.max, &mut self.sum, &mut self.at_target].into_iter().for_each(Vec::clear);
    }

    /// The scores of a block of words, without bias, for a panel of rows.
    unsafe fn scores(&self, rows: &Rows<F>, panel: usize, block: Range<usize>, weight: &[F]) {
        let (h, panels) = (rows.width, rows.panels);
        let b = match rows.bf16 {
            None => rows.across.ptr().wrapping_add(panel * h * panels.width).cast_const(),
            Some(_) => rows.across_pairs.ptr().wrapping_add(panel * pairs::pair_rows(h) * panels.width).cast(),
        };
        let segment = Segment { a: weight[block.start * h..].as_ptr(), row: h, column: 1, b, depth: h, next: 0 };
        let product = Product {
            rows: block.len(),
            panels: 1,
            vectors: panels.blocks(panels.depth(rows.count, panel)),
            width: panels.width,
            init: Init::Zero,
            init_next: 0,
            segments: &[segment],
            out: self.matrix(rows).at(panel, block.start),
            out_stride: panels.width,
            out_next: 0,
            scales: core::ptr::null(),
            soon: Soon::NOTHING,
            same_left: false,
        };
        // SAFETY: weights have H columns, the rows' panels H rows, and the scores a row for each word.
        unsafe { rows.multiply(product, Right::Pairs) };
    }

    /// The largest score of each row among words `first ..` of `weight` (words, H) and `bias` (words).
    ///
    /// # Panics
    /// If `weight` has another size.
    #[track_caller]
    pub fn maxima(&mut self, rows: &Rows<F>, first: usize, weight: &[F], bias: &[F]) {
        self.begin(rows, first, weight, bias);
        self.max.resize(rows.reference.len(), F::constant(f64::NEG_INFINITY));
        for panel in 0..rows.panels.count(rows.count) {
            for block in self.blocks() {
                let place = (panel, block.clone(), rows.panels.blocks(rows.panels.depth(rows.count, panel)));
                let max = self.max[panel * rows.panels.width..].as_mut_ptr();
                // SAFETY: the block's scores for the panel stand there once they are made; maxima are padded.
                unsafe {
                    self.scores(rows, panel, block, weight);
                    dispatch(rows.isa, Maxima { scores: self.matrix(rows), place, bias, max });
                }
            }
        }
    }

    /// Exponentials of the scores of words `first ..` of `weight` (words, H) and `bias` (words) over the rows' references, and
    /// their sums; with `gradient` also their products with the weights, for [`Rows::d_y`].
    ///
    /// # Panics
    /// If `weight` has another size.
    #[track_caller]
    pub fn exponentials(&mut self, rows: &Rows<F>, first: usize, weight: &[F], bias: &[F], gradient: bool) {
        self.begin(rows, first, weight, bias);
        let (h, panels) = (rows.width, rows.panels);
        let padded = rows.reference.len();
        self.sum.resize(padded, F::constant(0.0));
        self.at_target.resize(padded, F::constant(0.0));
        if gradient {
            self.d_y_len = padded * h;
            self.d_y.room(self.d_y_len);
        }
        let scores = self.matrix(rows);
        for panel in 0..panels.count(rows.count) {
            let row = panel * panels.width;
            let vectors = panels.blocks(panels.depth(rows.count, panel));
            for block in self.blocks() {
                // SAFETY: the block's scores for the panel stand there once they are made; references and sums are padded.
                unsafe {
                    self.scores(rows, panel, block.clone(), weight);
                    self.keep_targets(rows, panel, block.clone(), bias);
                    let (reference, sum) = (rows.reference[row..].as_ptr(), self.sum[row..].as_mut_ptr());
                    let place = (panel, block.clone(), vectors);
                    dispatch(rows.isa, Exponentials { scores, place, bias, reference, sum });
                }
                if !gradient {
                    continue;
                }
                let out = self.d_y.ptr().wrapping_add(row * h);
                let segment = Segment {
                    a: weight[block.start * h..].as_ptr(),
                    row: 1,
                    column: h,
                    b: scores.at(panel, block.start).cast_const(),
                    depth: block.len(),
                    next: 0,
                };
                let before = Init::Rows { ptr: out.cast_const(), stride: panels.width };
                let product = Product {
                    rows: h,
                    panels: 1,
                    vectors,
                    width: panels.width,
                    init: if block.start == 0 { Init::Zero } else { before },
                    init_next: 0,
                    segments: &[segment],
                    out,
                    out_stride: panels.width,
                    out_next: 0,
                    scales: core::ptr::null(),
                    soon: Soon::NOTHING,
                    same_left: false,
                };
                // SAFETY: the block has a row of weights and of exponentials for each word; `d_y` a row for each unit.
                unsafe { rows.multiply(product, Right::Numbers) };
            }
        }
    }

    /// Keeps the scores of the targets among a block of words.
    unsafe fn keep_targets(&mut self, rows: &Rows<F>, panel: usize, block: Range<usize>, bias: &[F]) {
        let scores = self.matrix(rows);
        let first = panel * rows.panels.width;
        for c in 0..rows.panels.depth(rows.count, panel) {
            let word = (rows.targets[first + c] as usize).wrapping_sub(self.range.start);
            if block.contains(&word) {
                // SAFETY: a score for each word of the block and row of the panel.
                self.at_target[first + c] = unsafe { *scores.at(panel, word).add(c) } + bias[word];
            }
        }
    }

    /// The gradients by the words' weights (words, H) and biases (words); with `add` they are added to what is there. The rows
    /// have been [scaled](Rows::scale).
    ///
    /// # Panics
    /// If a slice has another size.
    #[track_caller]
    pub fn gradients(&mut self, rows: &Rows<F>, d_weight: &mut [F], d_bias: &mut [F], add: bool) {
        let (h, panels, scores, words) = (rows.width, rows.panels, self.matrix(rows), self.range.len());
        assert!(d_weight.len() == words * h && d_bias.len() == words, "gradients of other words");
        self.check(rows, if rows.is_scaled { self.sum.len() } else { 0 });
        for (n, &target) in rows.targets.iter().enumerate() {
            if self.range.contains(&(target as usize)) {
                let score = scores.at(n / panels.width, target as usize - self.range.start);
                // SAFETY: an exponential for each word and row.
                unsafe { *score.add(n % panels.width) = *score.add(n % panels.width) - rows.sum[n] };
            }
        }
        // Whole registers of d_W are written in place; behind the last one begins the next word's row.
        let whole = h / panels.lanes * panels.lanes;
        let rest = self.rest.room(BLOCK * panels.width);
        // B: the rows times their factors, from a panel of rows and of units to the next.
        let (b, next_rows, next) = match rows.bf16 {
            None => (rows.scaled.ptr().cast_const(), panels.width * panels.width, rows.count * panels.width),
            Some(_) => {
                let size = rows.scaled_pairs_size();
                (rows.scaled_pairs.ptr().cast_const().cast(), size, panels.count(rows.count) * size)
            }
        };
        let mut segments = Vec::new();
        for block in self.blocks() {
            segments.clear();
            segments.extend((0..panels.count(rows.count)).map(|panel| Segment {
                a: scores.at(panel, block.start).cast_const(),
                row: panels.width,
                column: 1,
                b: b.wrapping_add(panel * next_rows),
                depth: panels.depth(rows.count, panel),
                next,
            }));
            let mut product = Product {
                rows: block.len(),
                panels: 0,
                vectors: 0,
                width: panels.width,
                init: Init::Zero,
                init_next: panels.width,
                segments: &[],
                out: core::ptr::null_mut(),
                out_stride: h,
                out_next: panels.width,
                scales: core::ptr::null(),
                soon: Soon::NOTHING,
                same_left: false,
            };
            let from = |panel: usize, column: usize| -> Vec<Segment<F>> {
                let shift = panel * next + column;
                segments.iter().map(|&s| Segment { b: s.b.wrapping_add(shift), ..s }).collect()
            };
            for (panel, count, vectors) in groups(panels, whole) {
                let segments = from(panel, 0);
                product.out = d_weight[block.start * h + panel * panels.width..].as_mut_ptr();
                if add {
                    product.init = Init::Rows { ptr: product.out.cast_const(), stride: h };
                }
                // SAFETY: these registers end before the row of d_W does.
                unsafe {
                    rows.multiply(Product { panels: count, vectors, segments: &segments, ..product }, Right::Pairs);
                }
                product.same_left = true;
            }
            if whole < h {
                let segments = from(whole / panels.width, whole % panels.width);
                // SAFETY: as in `Rows::scale`.
                let rest = unsafe { core::slice::from_raw_parts_mut(rest, block.len() * panels.lanes) };
                let parts = rest.chunks_exact_mut(panels.lanes).zip(d_weight[block.start * h..].chunks_exact_mut(h));
                if add {
                    parts.for_each(|(rest, row)| rest[..h - whole].copy_from_slice(&row[whole..]));
                    product.init = Init::Rows { ptr: rest.as_ptr(), stride: panels.lanes };
                }
                let out = rest.as_mut_ptr();
                let last =
                    Product { panels: 1, vectors: 1, segments: &segments, out, out_stride: panels.lanes, ..product };
                // SAFETY: `rest` has a register for each word of the block.
                unsafe { rows.multiply(last, Right::Pairs) };
                let parts = rest.chunks_exact(panels.lanes).zip(d_weight[block.start * h..].chunks_exact_mut(h));
                parts.for_each(|(rest, row)| row[whole..].copy_from_slice(&rest[..h - whole]));
            }
        }
        let factor = rows.factor.as_ptr();
        // SAFETY: scores and factors as above.
        unsafe { dispatch(rows.isa, BiasGradient { scores, factor, d_bias, add, panels, columns: rows.count }) };
    }
}
