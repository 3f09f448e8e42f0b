//! A network that learns from a stream, one sample at a time.

use super::error::{LIMIT, OnlineError};
use super::influence::{Cost, Influence, SETTLE};
use super::linear_step::{Input, LinearStep};
use super::local::Flow;
use super::rtrl::Rtrl;
use super::sparse::{Sparse, has_carousel, reached};
use super::uoro::Uoro;
use crate::init::Init;
use crate::random::Random;
use crate::train::{Optimiser, Rule, clip};
use elman_core::cell::{Cell, OptionError};
use elman_core::{Layer, Sizes};
use std::sync::Arc;

/// How the influence of the parameters is carried forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Exact: [`Rtrl`].
    #[default]
    Rtrl,
    /// SnAp-1, cheap and biased: [`Sparse::new`].
    Snap1,
    /// Cheap, unbiased and noisy: [`Uoro`].
    Uoro,
    /// The truncated rule of the first LSTM, cheap and biased: [`Sparse::truncated`].
    Truncated,
}

impl Method {
    /// All of them by name.
    pub const ALL: [(&str, Method); 4] =
        [("rtrl", Method::Rtrl), ("snap-1", Method::Snap1), ("uoro", Method::Uoro), ("truncated", Method::Truncated)];

    /// Whether this can be done for a layer, with an embedding table of `vocabulary` rows where that is not 0, in so many streams.
    ///
    /// # Errors
    /// A cell with feeds, or without a carousel for the truncated rule; more than 2²⁹ numbers of influence.
    pub fn check(self, layer: &Layer, vocabulary: usize, streams: usize) -> Result<(), OnlineError> {
        if layer.stages().iter().any(|stage| stage.feeds > 0) {
            return Err(OnlineError::Feeds { cell: layer.cell().spec().name });
        }
        let flow = if self == Method::Truncated { Flow::Truncated } else { Flow::Full };
        let step = LinearStep::<f32>::with(layer, vocabulary, flow);
        if self == Method::Truncated && !has_carousel(&step) {
            return Err(OnlineError::NoCarousel { cell: layer.cell().spec().name });
        }
        let (state, parameters) = (step.state_width(), step.layout().len);
        let numbers = match self {
            Method::Rtrl => state.saturating_mul(parameters),
            Method::Snap1 | Method::Truncated => {
                step.layout().rows.iter().map(|rows| rows.rows * rows.cols * reached(&step, rows)).sum()
            }
            Method::Uoro => state + parameters,
        };
        let numbers = numbers.saturating_mul(streams);
        if numbers > LIMIT { Err(OnlineError::Large { numbers, streams }) } else { Ok(()) }
    }

    /// A layer's step and the influence of its parameters, and of those of an embedding table of `vocabulary` rows where that is not 0,
    /// before the first step. The signs of [`Uoro`] are those of `seed`.
    ///
    /// # Errors
    /// As [`check`](Method::check) for one stream.
    pub fn start(self, layer: &Layer, vocabulary: usize, seed: u64) -> Result<Started, OnlineError> {
        self.check(layer, vocabulary, 1)?;
        self.make(layer, vocabulary, seed)
    }

    /// [`start`](Method::start) for what has been checked.
    pub(crate) fn make(self, layer: &Layer, vocabulary: usize, seed: u64) -> Result<Started, OnlineError> {
        if self == Method::Truncated {
            let (step, sparse) = Sparse::truncated(layer, vocabulary)?;
            return Ok((step, Box::new(sparse)));
        }
        let step = LinearStep::with(layer, vocabulary, Flow::Full);
        let influence: Box<dyn Influence<f32>> = match self {
            Method::Snap1 => Box::new(Sparse::new(&step)),
            Method::Uoro => Box::new(Uoro::new(&step, seed)),
            _ => Box::new(Rtrl::new(&step)),
        };
        Ok((step, influence))
    }
}

/// A layer's step and the influence of its parameters.
pub type Started = (LinearStep<f32>, Box<dyn Influence<f32>>);

/// What a prediction is compared by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// ½ Σ (y - target)²; predictions are the readout's numbers.
    #[default]
    SquaredError,
    /// -ln p\[class\]; predictions are probabilities, the softmax of the readout's numbers.
    CrossEntropy,
}

/// What should have been predicted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target<'a> {
    /// K numbers, for [`Loss::SquaredError`].
    Values(&'a [f32]),
    /// A class below K, for [`Loss::CrossEntropy`].
    Class(usize),
}

/// Gradients beyond this have squares that f32 cannot hold, which the optimisers keep.
const LARGEST: f64 = 1e18;

/// A learner's definition.
#[derive(Clone, Debug)]
pub struct OnlineConfig {
    /// The cell.
    pub cell: Arc<dyn Cell>,
    /// I, H, and P where the cell has it.
    pub sizes: Sizes,
    /// 1: more are refused.
    pub layers: usize,
    /// K, the readout's width.
    pub outputs: usize,
    /// V, where the input is tokens and their embedding table (V, I) is learned; 0: the input is I numbers.
    pub vocabulary: usize,
    /// The algorithm.
    pub method: Method,
    /// The loss.
    pub loss: Loss,
    /// The optimiser.
    pub rule: Rule,
    /// The learning rate, 0 to 1000.
    pub rate: f64,
    /// Gradients are scaled down to this global norm, above 0; none: they are not.
    pub clip: Option<f64>,
    /// Parameters before the first step; the readout's are uniform in ±1/√H.
    pub init: Init,
    /// Of every random number.
    pub seed: u64,
}

impl OnlineConfig {
    /// Exact influence, squared error, Adam at a rate of 0.001, gradients clipped at norm 1.
    pub fn new(cell: Arc<dyn Cell>, sizes: Sizes, outputs: usize) -> Self {
        OnlineConfig {
            cell,
            sizes,
            layers: 1,
            outputs,
            vocabulary: 0,
            method: Method::Rtrl,
            loss: Loss::SquaredError,
            rule: Rule::ADAM,
            rate: 1e-3,
            clip: Some(1.0),
            init: Init::default(),
            seed: 1,
        }
    }

    /// The learner before its first sample.
    ///
    /// # Errors
    /// More layers than one, a width of zero, a cell with feeds or without a carousel for [`Method::Truncated`], a setting outside its range.
    pub fn init(&self) -> Result<Online, OnlineError> {
        if self.layers > 1 {
            return Err(OnlineError::Stacked { layers: self.layers });
        }
        for (what, size) in [("layers", self.layers), ("outputs", self.outputs)] {
            if size == 0 {
                return Err(OnlineError::ZeroSize { what });
            }
        }
        let clip = self.clip.unwrap_or(1.0);
        let (rates, norms) = ("a number from 0 to 1000", "a finite number above 0");
        for (option, value, fits, range) in [
            ("rate", self.rate, (0.0..=1e3).contains(&self.rate), rates),
            ("clip", clip, clip > 0.0 && clip.is_finite(), norms),
        ] {
            if !fits {
                return Err(OnlineError::Setting { option, value, range });
            }
        }
        self.rule.check().map_err(|OptionError { option, value, range }| OnlineError::Setting {
            option,
            value,
            range,
        })?;
        let layer = Layer::new(self.cell.clone(), self.sizes)?;
        let (step, influence) = self.method.start(&layer, self.vocabulary, self.seed)?;
        let mut params = self.init.draw(&layer, 0, self.seed)?.concat();
        let mut random = Random::new(self.seed, "init/embedding");
        params.extend((0..self.vocabulary * self.sizes.input).map(|_| random.normal()));
        let width = layer.output_width();
        let bound = 1.0 / (width as f32).sqrt();
        let mut random = Random::new(self.seed, "init/readout");
        let mut draw = |len: usize| (0..len).map(|_| random.symmetric(bound)).collect::<Vec<f32>>();
        let (weight, bias) = (draw(self.outputs * width), draw(self.outputs));
        let mut named = Vec::new();
        let mut first = 0;
        for parameter in layer.parameters() {
            named.push((parameter.name.clone(), first, parameter.len()));
            first += parameter.len();
        }
        if self.vocabulary > 0 {
            named.push(("embedding".into(), first, self.vocabulary * self.sizes.input));
        }
        Ok(Online {
            config: self.clone(),
            former: Vec::new(),
            d_state: vec![0.0; step.state_width()],
            d_params: vec![0.0; params.len()],
            d_weight: vec![0.0; weight.len()],
            d_scores: vec![0.0; self.outputs],
            prediction: vec![0.0; self.outputs],
            optimiser: Optimiser::new(self.rule, 0.0),
            step,
            influence,
            params,
            weight,
            bias,
            named,
            steps: 0,
            pending: false,
        })
    }
}

/// One recurrent layer and a linear readout that learn at every sample, in constant memory.
///
/// [`predict`](Online::predict) takes the next input, [`correct`](Online::correct) the target of the last prediction as soon as it is known;
/// [`learn`](Online::learn) is both. Targets may be missing. The influence was made with the parameters of the past: while they change it is that of
/// a network which changed along the way, close to exact for small rates (Williams & Zipser 1989).
///
/// ```
/// use elman::online::{Input, OnlineConfig, Target};
/// use elman::{Sizes, cells};
///
/// // The input of two steps before.
/// let mut config = OnlineConfig::new((cells::find("lstm").unwrap().make)(), Sizes::new(1, 8), 1);
/// config.rate = 0.01;
/// let mut online = config.init()?;
/// let x: Vec<f32> = (0..4000u32).map(|t| (t.wrapping_mul(2_654_435_761) >> 31) as f32).collect();
/// let mut error = 0.0;
/// for t in 2..4000 {
///     let loss = online.learn(Input::Dense(&x[t..=t]), Target::Values(&x[t - 2..=t - 2]))?;
///     error = 0.99 * error + 0.01 * loss;
/// }
/// assert!(error < 0.02, "guessing a half would be wrong by 0.125, this by {error}");
/// # Ok::<(), elman::online::OnlineError>(())
/// ```
pub struct Online {
    pub(super) config: OnlineConfig,
    pub(super) step: LinearStep<f32>,
    pub(super) influence: Box<dyn Influence<f32>>,
    pub(super) params: Vec<f32>,
    /// (K, P) and (K).
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    /// Name, start in the flat vector, length.
    pub(super) named: Vec<(String, usize, usize)>,
    pub(super) optimiser: Optimiser,
    pub(super) prediction: Vec<f32>,
    pub(super) steps: u64,
    pub(super) pending: bool,
    /// The state before the last step.
    former: Vec<f32>,
    d_state: Vec<f32>,
    d_params: Vec<f32>,
    d_weight: Vec<f32>,
    d_scores: Vec<f32>,
}

fn finite(values: &[f32]) -> bool {
    values.iter().all(|v| v.is_finite())
}

impl Online {
    /// Takes the next input and predicts.
    ///
    /// # Errors
    /// The input does not fit or is not finite, or the state became so. Nothing has changed then.
    pub fn predict(&mut self, x: Input<f32>) -> Result<&[f32], OnlineError> {
        let not_finite = |what, advice| OnlineError::NotFinite { step: self.steps + 1, what, advice };
        if let Input::Dense(x) = x
            && !finite(x)
        {
            return Err(not_finite("the input", "leave the sample out or mend it"));
        }
        self.former.clear();
        self.former.extend(self.step.numbers());
        self.step.run(&self.params, x, &[])?;
        if !self.step.numbers().all(f32::is_finite) {
            self.step.set_state(&self.former)?;
            return Err(not_finite("the state", "call `reset`, lower the rate or clip at a smaller norm"));
        }
        self.influence.advance(&self.step);
        self.steps += 1;
        if self.steps.is_multiple_of(SETTLE) {
            self.influence.settle();
        }
        self.pending = true;
        let h = self.step.output();
        for ((y, row), &b) in self.prediction.iter_mut().zip(self.weight.chunks(h.len())).zip(&self.bias) {
            *y = b + super::block::dot(row, h);
        }
        if self.config.loss == Loss::CrossEntropy {
            softmax(&mut self.prediction);
        }
        Ok(&self.prediction)
    }

    /// Learns what the last prediction should have been; its loss before the update.
    ///
    /// # Errors
    /// There is no prediction without a target, the target does not fit or is not finite, or the gradient is not. Parameters are unchanged then.
    pub fn correct(&mut self, target: Target) -> Result<f32, OnlineError> {
        if !self.pending {
            return Err(OnlineError::NoPrediction);
        }
        self.check_target(target, self.steps)?;
        self.d_scores.copy_from_slice(&self.prediction);
        let loss = match target {
            Target::Values(values) => {
                self.d_scores.iter_mut().zip(values).for_each(|(d, &t)| *d -= t);
                0.5 * self.d_scores.iter().map(|d| d * d).sum::<f32>()
            }
            Target::Class(class) => {
                self.d_scores[class] -= 1.0;
                // Its smallest positive number where the probability is rounded to 0.
                -self.prediction[class].max(f32::MIN_POSITIVE).ln()
            }
        };
        let h = self.step.output();
        let d_h = &mut self.d_state[self.step.output_span()];
        d_h.fill(0.0);
        for ((&d, row), d_row) in
            self.d_scores.iter().zip(self.weight.chunks(h.len())).zip(self.d_weight.chunks_mut(h.len()))
        {
            super::block::axpy(d_h, d, row);
            d_row.iter_mut().zip(h).for_each(|(slot, &h)| *slot = d * h);
        }
        self.influence.gradient(&self.d_state, &mut self.d_params);
        let norm = clip::norm([&self.d_params[..], &self.d_weight, &self.d_scores]);
        let factor = self.config.clip.map_or(1.0, |threshold| clip::factor(norm, threshold));
        // Written so that NaN is refused.
        if !(loss.is_finite() && norm <= LARGEST) {
            return Err(OnlineError::NotFinite {
                step: self.steps,
                what: if loss.is_finite() { "the gradient (or its square)" } else { "the loss" },
                advice: "call `reset`, lower the rate or clip at a smaller norm",
            });
        }
        self.pending = false;
        self.optimiser.begin(factor);
        let rate = self.config.rate;
        for (name, first, len) in &self.named {
            let span = *first..first + len;
            self.optimiser.update(name, rate, &mut self.params[span.clone()], &self.d_params[span]);
        }
        self.optimiser.update("readout.weight", rate, &mut self.weight, &self.d_weight);
        self.optimiser.update("readout.bias", rate, &mut self.bias, &self.d_scores);
        Ok(loss)
    }

    /// [`predict`](Online::predict) and [`correct`](Online::correct): the loss before the update. The prediction is
    /// [`prediction`](Online::prediction).
    ///
    /// # Errors
    /// As both. Where input or target do not fit, nothing has changed.
    pub fn learn(&mut self, x: Input<f32>, target: Target) -> Result<f32, OnlineError> {
        self.check_target(target, self.steps + 1)?;
        self.predict(x)?;
        self.correct(target)
    }

    fn check_target(&self, target: Target, step: u64) -> Result<(), OnlineError> {
        let outputs = self.config.outputs;
        match (target, self.config.loss) {
            (Target::Values(values), Loss::SquaredError) if values.len() != outputs => {
                Err(OnlineError::Length { what: "the target", got: values.len(), expected: outputs })
            }
            (Target::Values(values), Loss::SquaredError) if !finite(values) => Err(OnlineError::NotFinite {
                step,
                what: "the target",
                advice: "leave the sample's target out or mend it",
            }),
            (Target::Values(_), Loss::CrossEntropy) => {
                Err(OnlineError::Target { got: "numbers".into(), expected: format!("a class below {outputs}") })
            }
            (Target::Class(_), Loss::SquaredError) => {
                Err(OnlineError::Target { got: "a class".into(), expected: format!("{outputs} numbers") })
            }
            (Target::Class(class), Loss::CrossEntropy) if class >= outputs => {
                Err(OnlineError::Target { got: format!("class {class}"), expected: format!("a class below {outputs}") })
            }
            _ => Ok(()),
        }
    }

    /// The last prediction.
    pub fn prediction(&self) -> &[f32] {
        &self.prediction
    }

    /// Samples taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The layer's parameters, one after the other as [`Layer::parameters`] has them, and the embedding table.
    pub fn parameters(&self) -> &[f32] {
        &self.params
    }

    /// The readout: weight (K, P) and bias (K).
    pub fn readout(&self) -> (&[f32], &[f32]) {
        (&self.weight, &self.bias)
    }

    /// The carried values, one after the other.
    pub fn state(&self) -> Vec<f32> {
        self.step.state()
    }

    /// Sets the learning rate.
    ///
    /// # Errors
    /// It is outside its range.
    pub fn set_rate(&mut self, rate: f64) -> Result<(), OnlineError> {
        if !(0.0..=1e3).contains(&rate) {
            return Err(OnlineError::Setting { option: "rate", value: rate, range: "a number from 0 to 1000" });
        }
        self.config.rate = rate;
        Ok(())
    }

    /// Begins a new sequence: zero state, and no influence of the past. Parameters and optimiser stay.
    pub fn reset(&mut self) {
        self.step.set_state(&vec![0.0; self.step.state_width()]).expect("as wide as the state");
        self.influence.reset();
        self.pending = false;
    }

    /// What carrying the influence takes.
    pub fn cost(&self) -> Cost {
        self.influence.cost()
    }
}

/// e^y divided by the sum of all; the largest is taken off first.
pub(crate) fn softmax(y: &mut [f32]) {
    let largest = y.iter().fold(f32::NEG_INFINITY, |m, &y| m.max(y));
    y.iter_mut().for_each(|y| *y = (*y - largest).exp());
    let sum: f32 = y.iter().sum();
    y.iter_mut().for_each(|y| *y /= sum);
}
