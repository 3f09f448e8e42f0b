//! One step of a layer with its derivatives: what every algorithm here carries forward.
//!
//! A step takes the state s' (all carried values one after the other) to s and has parameters θ. Its derivatives are read from the cell's equations:
//!
//! * J = ∂s/∂s', in blocks, one for each pair of carried values: zero, diagonal (a value read pointwise) or dense (a value behind a matrix);
//! * for each *site* a, a vector that parameters enter linearly (a gate's sum a\[u\] = Σ W\[u\]\[j\] z\[j\] + b\[u\], or a per-unit parameter),
//!   E_a = ∂s/∂a, in blocks of the same kinds. The immediate influence of W\[u\]\[j\] is column u of E_a times z\[j\]: no larger matrix is needed.
//!
//! Both come from one walk against the step's direction that starts from the identity of each carried value.

use super::block::{Block, Kind, dot};
use super::error::OnlineError;
use super::layout::{Feature, Layout, Rows};
use super::local::{Flow, Local, Walk};
use elman_core::Layer;
use elman_core::algebra::Element;
use elman_core::cell::{NORMALISER_EPSILON, Normaliser};
use elman_core::layer::Place;
use std::ops::Range;

/// The input of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input<'a, F> {
    /// (I).
    Dense(&'a [F]),
    /// A row of the embedding table, where there is one.
    Token(usize),
}

/// A layer that runs step by step and knows each step's derivatives.
///
/// ```
/// use elman::online::{Input, LinearStep};
/// use elman::{Sizes, cells};
/// use elman_core::Layer;
///
/// let layer = Layer::new((cells::find("elman").unwrap().make)(), Sizes::new(1, 1)).unwrap();
/// let mut step = LinearStep::<f64>::new(&layer);
/// // h = tanh(0.5 x + 2 h' + 0), from h' = 0.
/// step.run(&[0.5, 2.0, 0.0], Input::Dense(&[1.0]), &[]).unwrap();
/// let slope = 1.0 - 0.5_f64.tanh().powi(2);
/// assert_eq!(step.carry(0, 0).at(0, 0), 2.0 * slope);
/// ```
pub struct LinearStep<F> {
    layer: Layer,
    layout: Layout,
    locals: Vec<Local>,
    flow: Flow,
    /// Where each carried value stands in the state.
    spans: Vec<Range<usize>>,
    /// By value: that of the step before, and that written.
    before: Vec<Vec<F>>,
    now: Vec<Vec<F>>,
    input: Vec<F>,
    token: Option<usize>,
    /// For each stage: gates, normalised vectors with their factors, `[(o * arguments + a) * width + u]`.
    gates: Vec<Vec<Vec<F>>>,
    normalised: Vec<Vec<(Vec<F>, F)>>,
    slopes: Vec<Vec<F>>,
    /// Of one unit, while a stage's equations are evaluated.
    unit: Unit<F>,
    /// For each carried value: by value, by carried value before, by site.
    adjoints: Vec<Vec<Block<F>>>,
    carries: Vec<Vec<Block<F>>>,
    sites: Vec<Vec<Block<F>>>,
}

/// What a stage's equations take and give for one unit. It is kept, so that a step allocates nothing.
#[derive(Default)]
struct Unit<F> {
    args: Vec<F>,
    outs: Vec<F>,
    jacobian: Vec<F>,
    walk: Walk<F>,
}

impl<F: Element> LinearStep<F> {
    /// From zero state, with dense input.
    pub fn new(layer: &Layer) -> Self {
        LinearStep::with(layer, 0, Flow::Full)
    }

    /// With tokens: the embedding table (V, I) stands after the parameters and is learned like them.
    pub fn with_table(layer: &Layer, vocabulary: usize) -> Self {
        LinearStep::with(layer, vocabulary, Flow::Full)
    }

    /// With a table if `vocabulary` is not 0, and errors cut as `flow` says.
    pub fn with(layer: &Layer, vocabulary: usize, flow: Flow) -> Self {
        let layout = Layout::new(layer, vocabulary);
        let locals: Vec<Local> = (0..layer.stages().len()).map(|s| Local::new(layer, s, flow)).collect();
        let zeros = |len: usize| vec![F::constant(0.0); len];
        let widths: Vec<usize> = layer.values().iter().map(|v| layer.sizes().of(v.width)).collect();
        let values = || widths.iter().map(|&w| zeros(w)).collect::<Vec<_>>();
        let state = layer.state_widths();
        let start = |c: usize| state[..c].iter().sum::<usize>();
        let spans = (0..state.len()).map(|c| start(c)..start(c + 1)).collect();
        let stages = layer.stages();
        let of_gates = |s: usize| stages[s].gates.iter().map(|_| zeros(stages[s].width)).collect::<Vec<_>>();
        let mut step = LinearStep {
            layer: layer.clone(),
            flow,
            spans,
            before: values(),
            now: values(),
            input: zeros(layer.sizes().input),
            token: None,
            gates: (0..stages.len()).map(of_gates).collect(),
            normalised: (0..stages.len())
                .map(|s| of_gates(s).into_iter().map(|v| (v, F::constant(0.0))).collect())
                .collect(),
            slopes: locals.iter().zip(stages).map(|(l, stage)| zeros(l.depends.len() * stage.width)).collect(),
            unit: Unit::default(),
            adjoints: Vec::new(),
            carries: Vec::new(),
            sites: Vec::new(),
            layout,
            locals,
        };
        for (c, &rows) in state.iter().enumerate() {
            let kinds = step.kinds(c);
            let block = |(&kind, &cols): (&Kind, &usize)| Block::new(kind, rows, cols);
            step.adjoints.push(kinds.values.iter().zip(&widths).map(block).collect());
            step.carries.push(kinds.carries.iter().zip(&state).map(block).collect());
            step.sites.push(kinds.sites.iter().zip(&step.layout.sites).map(block).collect());
        }
        step
    }

    /// The layer.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// Where parameters stand.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Number of carried values.
    pub fn carried(&self) -> usize {
        self.spans.len()
    }

    /// Where a carried value stands in the state.
    pub fn span(&self, carried: usize) -> Range<usize> {
        self.spans[carried].clone()
    }

    /// S, the width of the whole state.
    pub fn state_width(&self) -> usize {
        self.span(self.carried() - 1).end
    }

    /// The state after the last step, all carried values one after the other.
    pub fn state(&self) -> Vec<F> {
        self.numbers().collect()
    }

    /// The same, number after number.
    pub(super) fn numbers(&self) -> impl Iterator<Item = F> {
        self.layer.carried().iter().flat_map(|&v| self.now[v].iter().copied())
    }

    /// Sets the state from which the next step starts.
    ///
    /// # Errors
    /// It has not S numbers.
    pub fn set_state(&mut self, state: &[F]) -> Result<(), OnlineError> {
        let expected = self.state_width();
        if state.len() != expected {
            return Err(OnlineError::Length { what: "the state", got: state.len(), expected });
        }
        for c in 0..self.carried() {
            let span = self.span(c);
            self.now[self.layer.carried()[c]].copy_from_slice(&state[span]);
        }
        Ok(())
    }

    /// The output of the last step.
    pub fn output(&self) -> &[F] {
        &self.now[self.layer.output()]
    }

    /// Where the output stands in the state.
    pub fn output_span(&self) -> Range<usize> {
        let value = self.layer.output();
        let carried = self.layer.carried().iter().position(|&v| v == value).expect("the output is carried");
        self.span(carried)
    }

    /// ∂(carried value `of`)/∂(carried value `by` of the step before).
    pub fn carry(&self, of: usize, by: usize) -> &Block<F> {
        &self.carries[of][by]
    }

    /// ∂(carried value `of`)/∂(site).
    pub fn site(&self, of: usize, site: usize) -> &Block<F> {
        &self.sites[of][site]
    }

    /// Which rows of a group of parameters entered the last step: all, but of a table those of the token.
    pub fn active(&self, rows: &Rows) -> Range<usize> {
        match self.token {
            _ if rows.first < self.layout.parameters => 0..rows.rows,
            Some(token) => token * self.input.len()..(token + 1) * self.input.len(),
            None => 0..0,
        }
    }

    /// What a row of parameters was multiplied by in the last step: one number a column.
    pub fn feature(&self, rows: &Rows, row: usize) -> Features<'_, F> {
        match rows.feature {
            Feature::One => Features::Number(F::constant(1.0)),
            Feature::Source(place) => Features::Vector(self.at(place)),
            Feature::Normalised(s, g) => Features::Number(self.normalised[s][g].0[row]),
        }
    }

    fn at(&self, place: Place) -> &[F] {
        match place {
            Place::Input => &self.input,
            Place::Before(v) => &self.before[v],
            Place::Now(v) => &self.now[v],
        }
    }

    /// Makes a step from the state. `params` is the flat vector of [`Layout`]; `feeds` has one vector for each feed of each stage.
    ///
    /// # Errors
    /// A slice has the wrong length, or the input is of the wrong kind. Nothing has changed then.
    pub fn run(&mut self, params: &[F], input: Input<F>, feeds: &[&[F]]) -> Result<(), OnlineError> {
        self.check(params, input, feeds)?;
        match input {
            Input::Dense(x) => {
                self.token = None;
                self.input.copy_from_slice(x);
            }
            Input::Token(id) => {
                self.token = Some(id);
                let width = self.input.len();
                self.input.copy_from_slice(&params[self.layout.parameters + id * width..][..width]);
            }
        }
        std::mem::swap(&mut self.before, &mut self.now);
        let mut feeds = feeds.iter();
        for s in 0..self.layer.stages().len() {
            let count = self.layer.stages()[s].feeds;
            let own: Vec<&[F]> = feeds.by_ref().take(count).copied().collect();
            self.gates_of(s, params);
            self.equations_of(s, params, &own);
        }
        for c in 0..self.carried() {
            self.walk_back(c, params);
        }
        Ok(())
    }

    fn check(&self, params: &[F], input: Input<F>, feeds: &[&[F]]) -> Result<(), OnlineError> {
        let length = |what, got, expected| {
            if got == expected { Ok(()) } else { Err(OnlineError::Length { what, got, expected }) }
        };
        length("the vector of parameters", params.len(), self.layout.len)?;
        match (input, self.layout.vocabulary) {
            (Input::Dense(x), 0) => length("the input", x.len(), self.input.len())?,
            (Input::Token(token), vocabulary) if vocabulary > 0 => {
                if token >= vocabulary {
                    return Err(OnlineError::Token { token, vocabulary });
                }
            }
            (Input::Dense(_), _) => return Err(OnlineError::Kind { expected: "tokens", got: "a vector" }),
            (Input::Token(_), _) => return Err(OnlineError::Kind { expected: "vectors", got: "a token" }),
        }
        let widths = || self.layer.stages().iter().flat_map(|s| std::iter::repeat_n(s.width, s.feeds));
        length("the list of feeds", feeds.len(), widths().count())?;
        feeds.iter().zip(widths()).try_for_each(|(f, w)| length("a feed", f.len(), w))
    }

    fn gates_of(&mut self, s: usize, params: &[F]) {
        for g in 0..self.gates[s].len() {
            let mut values = std::mem::take(&mut self.gates[s][g]);
            let at = &self.layout.gates[s][g];
            let stage = &self.layer.stages()[s];
            let width = values.len();
            values.fill(F::constant(0.0));
            for (&first, &place) in at.weights.iter().zip(&stage.gates[g]) {
                let source = self.at(place);
                for (a, w) in values.iter_mut().zip(params[first..].chunks(source.len())) {
                    *a = *a + dot(w, source);
                }
            }
            if let Normaliser::Value(place) = stage.normalisers[g] {
                values.copy_from_slice(self.at(place));
            }
            if stage.normalisers[g] != Normaliser::None {
                let n = F::constant(width as f64);
                let mean = values.iter().fold(F::constant(0.0), |sum, &a| sum + a) / n;
                let variance = values.iter().fold(F::constant(0.0), |sum, &a| sum + (a - mean) * (a - mean)) / n;
                let factor = F::constant(1.0) / (variance + F::constant(NORMALISER_EPSILON)).sqrt();
                let kept = &mut self.normalised[s][g];
                kept.1 = factor;
                for (u, a) in values.iter_mut().enumerate() {
                    kept.0[u] = (*a - mean) * factor;
                    *a = params[at.gain + u] * kept.0[u];
                }
            }
            for &bias in &at.biases {
                values.iter_mut().zip(&params[bias..]).for_each(|(a, &b)| *a = *a + b);
            }
            self.gates[s][g] = values;
        }
    }

    fn equations_of(&mut self, s: usize, params: &[F], feeds: &[&[F]]) {
        let stage = &self.layer.stages()[s];
        let width = stage.width;
        let local = &self.locals[s];
        let count = local.depends.len() / stage.writes.len();
        let mut unit = std::mem::take(&mut self.unit);
        let Unit { args, outs, jacobian, walk } = &mut unit;
        args.resize(count, F::constant(0.0));
        outs.resize(stage.writes.len(), F::constant(0.0));
        jacobian.resize(local.depends.len(), F::constant(0.0));
        for u in 0..width {
            let gates = self.gates[s].iter().map(|g| g[u]);
            let reads = stage.reads.iter().map(|&place| self.at(place)[u]);
            let units = self.layout.units[s].iter().map(|&(first, _)| params[first + u]);
            let all = gates.chain(reads).chain(units).chain(feeds.iter().map(|f| f[u]));
            args.iter_mut().zip(all).for_each(|(slot, value)| *slot = value);
            local.jacobian(&self.layer, args, outs, jacobian, walk);
            for (&v, &out) in stage.writes.iter().zip(&*outs) {
                self.now[v][u] = out;
            }
            for (slopes, &d) in self.slopes[s].chunks_mut(width).zip(&*jacobian) {
                slopes[u] = d;
            }
        }
        self.unit = unit;
    }

    /// The derivatives of one carried value, against the step's direction.
    fn walk_back(&mut self, c: usize, params: &[F]) {
        let layer = &self.layer;
        let (adjoints, carries, sites) = (&mut self.adjoints[c], &mut self.carries[c], &mut self.sites[c]);
        adjoints.iter_mut().chain(carries.iter_mut()).chain(sites.iter_mut()).for_each(Block::clear);
        adjoints[layer.carried()[c]].set_identity();
        let input = self.layout.input_site();
        for (s, stage) in layer.stages().iter().enumerate().rev() {
            let width = stage.width;
            let count = self.locals[s].depends.len() / stage.writes.len();
            let slopes = |o: usize, a: usize| &self.slopes[s][(o * count + a) * width..][..width];
            let depends = |o: usize, a: usize| self.locals[s].depends[o * count + a];
            let (gates, reads) = (stage.gates.len(), stage.reads.len());
            for a in 0..gates + reads + stage.units {
                for (o, &v) in stage.writes.iter().enumerate().filter(|&(o, _)| depends(o, a)) {
                    if a < gates {
                        sites[self.layout.gates[s][a].site].add_scaled(&adjoints[v], slopes(o, a));
                    } else if a >= gates + reads {
                        sites[self.layout.units[s][a - gates - reads].1].add_scaled(&adjoints[v], slopes(o, a));
                    } else {
                        match stage.reads[a - gates] {
                            Place::Input => sites[input].add_scaled(&adjoints[v], slopes(o, a)),
                            Place::Before(r) => {
                                let by = layer.values()[r].carried.expect("it is of the step before");
                                carries[by].add_scaled(&adjoints[v], slopes(o, a));
                            }
                            Place::Now(r) => {
                                let mut to = std::mem::replace(&mut adjoints[r], Block::new(Kind::Zero, 0, 0));
                                to.add_scaled(&adjoints[v], slopes(o, a));
                                adjoints[r] = to;
                            }
                        }
                    }
                }
            }
            for (g, at) in self.layout.gates[s].iter().enumerate() {
                if at.sum != at.site {
                    let (hat, factor) = &self.normalised[s][g];
                    let mut sum = std::mem::replace(&mut sites[at.sum], Block::new(Kind::Zero, 0, 0));
                    sum.set_normalised(&sites[at.site], &params[at.gain..][..width], hat, *factor);
                    sites[at.sum] = sum;
                    if let Normaliser::Value(place) = stage.normalisers[g] {
                        let ones = vec![F::constant(1.0); width];
                        match place {
                            Place::Input => {
                                let mut to = std::mem::replace(&mut sites[input], Block::new(Kind::Zero, 0, 0));
                                to.add_scaled(&sites[at.sum], &ones);
                                sites[input] = to;
                            }
                            Place::Before(r) => {
                                let by = layer.values()[r].carried.expect("it is of the step before");
                                carries[by].add_scaled(&sites[at.sum], &ones);
                            }
                            Place::Now(r) => adjoints[r].add_scaled(&sites[at.sum], &ones),
                        }
                    }
                }
                for (&first, &place) in at.weights.iter().zip(&stage.gates[g]) {
                    match place {
                        Place::Input if self.layout.vocabulary > 0 => {
                            let w = &params[first..][..width * layer.sizes().input];
                            let mut to = std::mem::replace(&mut sites[input], Block::new(Kind::Zero, 0, 0));
                            to.add_product(&sites[at.sum], w);
                            sites[input] = to;
                        }
                        Place::Before(_) if self.flow == Flow::Truncated => {}
                        Place::Input => {}
                        Place::Before(r) => {
                            let by = layer.values()[r].carried.expect("it is of the step before");
                            let w = &params[first..][..width * layer.width_of(place)];
                            carries[by].add_product(&sites[at.sum], w);
                        }
                        Place::Now(r) => {
                            let w = &params[first..][..width * layer.width_of(place)];
                            adjoints[r].add_product(&sites[at.sum], w);
                        }
                    }
                }
            }
        }
    }

    /// What can differ from zero in the derivatives of a carried value: the walk with kinds in place of numbers.
    fn kinds(&self, c: usize) -> Kinds {
        let layer = &self.layer;
        let mut kinds = Kinds {
            values: vec![Kind::Zero; layer.values().len()],
            carries: vec![Kind::Zero; layer.carried().len()],
            sites: vec![Kind::Zero; self.layout.sites.len()],
        };
        kinds.values[layer.carried()[c]] = Kind::Diagonal;
        let input = self.layout.input_site();
        let tokens = self.layout.vocabulary > 0;
        for (s, stage) in layer.stages().iter().enumerate().rev() {
            let local = &self.locals[s];
            let count = local.depends.len() / stage.writes.len();
            let (gates, reads) = (stage.gates.len(), stage.reads.len());
            for a in 0..gates + reads + stage.units {
                let writes = stage.writes.iter().enumerate().filter(|&(o, _)| local.depends[o * count + a]);
                let kind = writes.map(|(_, &v)| kinds.values[v]).max().unwrap_or(Kind::Zero);
                if a < gates {
                    kinds.sites[self.layout.gates[s][a].site] = kind;
                } else if a >= gates + reads {
                    kinds.sites[self.layout.units[s][a - gates - reads].1] = kind;
                } else {
                    kinds.raise(layer, stage.reads[a - gates], input, kind);
                }
            }
            for (g, at) in self.layout.gates[s].iter().enumerate() {
                let kind = kinds.sites[at.site];
                let behind = if kind == Kind::Zero { Kind::Zero } else { Kind::Dense };
                if at.sum != at.site {
                    kinds.sites[at.sum] = behind;
                    if let Normaliser::Value(place) = stage.normalisers[g] {
                        kinds.raise(layer, place, input, behind);
                    }
                }
                for &place in &stage.gates[g] {
                    let skipped = match place {
                        Place::Input => !tokens,
                        Place::Before(_) => self.flow == Flow::Truncated,
                        Place::Now(_) => false,
                    };
                    if !skipped {
                        kinds.raise(layer, place, input, behind);
                    }
                }
            }
        }
        kinds
    }
}

/// What a row of parameters was multiplied by.
#[derive(Clone, Copy, Debug)]
pub enum Features<'a, F> {
    /// The same for every column.
    Number(F),
    /// One for each column.
    Vector(&'a [F]),
}

/// Kinds of the derivatives of one carried value.
struct Kinds {
    values: Vec<Kind>,
    carries: Vec<Kind>,
    sites: Vec<Kind>,
}

impl Kinds {
    fn raise(&mut self, layer: &Layer, place: Place, input: usize, kind: Kind) {
        let slot = match place {
            Place::Input => &mut self.sites[input],
            Place::Before(v) => &mut self.carries[layer.values()[v].carried.expect("it is of the step before")],
            Place::Now(v) => &mut self.values[v],
        };
        *slot = kind.max(*slot);
    }
}
