//! The training loop: truncated backpropagation through time with the state carried over.

use super::accumulate::{self, Part, Passed};
use super::checkpoint::{Checkpoint, CheckpointError, Entry};
use super::clip::{self, Clip};
use super::constraint::Constraints;
use super::gradient::Gradient;
use super::gradient_noise::GradientNoise;
use super::optimiser::Optimiser;
use super::schedule::Schedule;
use super::{NOT_NEGATIVE, check_option, is_not_negative};
use crate::flex::to_vec;
use crate::parameters::{self, Named, ParameterError};
use crate::random::Random;
use crate::recurrent::State;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use elman_core::cell::OptionError;
use std::collections::BTreeSet;
use std::path::Path;

/// A network that can be trained on batches of its kind.
pub trait Network: Module {
    /// What it is trained on.
    type Batch;

    /// The mean loss of a batch from `state` (zeros if none) and the state after it. Every random draw comes from `random`.
    fn loss(&self, batch: &Self::Batch, state: Option<State>, random: &mut Random) -> (Tensor<1>, State);

    /// The loss of a batch, the state after it and the gradient, where the network has another way to them than to go back through
    /// [`loss`](Network::loss).
    fn learn(&self, _batch: &Self::Batch, _state: Option<State>, _random: &mut Random) -> Option<Learnt> {
        None
    }

    /// Whether the batch begins new sequences, so that the state before it is dropped.
    fn is_fresh(batch: &Self::Batch) -> bool;

    /// How many predictions the batch's loss is the mean of.
    fn count(batch: &Self::Batch) -> usize;

    /// The batch on which it is trained at a step, counted from 0, from `state`: what was given, unless its inputs are the network's own.
    fn prepare(&self, batch: Self::Batch, _state: Option<&State>, _step: u64, _random: &mut Random) -> Self::Batch {
        batch
    }

    /// The batch's rows in parts, see [`rows_of_parts`](accumulate::rows_of_parts); none where a batch cannot be divided.
    fn split(&self, _batch: &Self::Batch, _parts: usize) -> Option<Vec<Part<Self::Batch>>> {
        None
    }
}

/// What a network learns from a batch by its own way.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The mean loss.
    pub loss: f64,
    /// The state after it, and whatever else is carried to the next batch: further layers of (B, any width).
    pub state: State,
    /// The gradient of every parameter by path, in the order of the module's fields.
    pub gradients: Vec<(String, Gradient)>,
}

/// Where batches come from.
pub trait BatchSource<B> {
    /// The next batch. Sources that go round start again by themselves, with a fresh batch.
    fn next_batch(&mut self) -> Result<B, String>;

    /// Its position, everything that [`seek`](BatchSource::seek) needs to go on with the same batches.
    fn cursor(&self) -> String;

    /// Goes to a position; a message where it is not one of this source.
    fn seek(&mut self, cursor: &str) -> Result<(), String>;
}

/// What stops training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The loss or the gradient became NaN or infinite. The parameters are those before the step.
    #[error(
        "step {step}: {what} is {value}. The parameters were not changed by this step; lower the learning rate \
         (it was {rate}), clip the gradient at a smaller norm, or look for extreme values in the data"
    )]
    NotFinite {
        /// The step, counted from 1.
        step: u64,
        /// "the loss" or "the norm of the gradient".
        what: &'static str,
        /// Its value.
        value: f64,
        /// The learning rate of the step.
        rate: f64,
    },
    /// An option is out of its range, see [`Trainer::check`]. Nothing has changed.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The source of batches failed.
    #[error("step {step}: {message}")]
    Data {
        /// The step, counted from 1.
        step: u64,
        /// What it said.
        message: String,
    },
    /// The batch is to be worked on in parts, and the network cannot divide it.
    #[error("step {step}: batches of this network cannot be divided; leave `parts` at 1 (it was {parts})")]
    Parts {
        /// The step, counted from 1.
        step: u64,
        /// How many were asked for.
        parts: usize,
    },
}

/// What happened in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// The step, counted from 1.
    pub step: u64,
    /// Mean loss of the batch before the update: nats a token for language models.
    pub loss: f64,
    /// Number of predictions.
    pub count: usize,
    /// Global norm of the gradient before clipping.
    pub norm: f64,
    /// Whether clipping changed the gradient.
    pub clipped: bool,
    /// The learning rate.
    pub rate: f64,
}

/// Trains a network.
#[derive(Clone)]
pub struct Trainer<N: Network> {
    // Taken out while a step changes it in place.
    network: Option<N>,
    /// The optimiser and its state.
    pub optimiser: Optimiser,
    /// The base learning rate, 0 or above.
    pub rate: f64,
    /// How it moves.
    pub schedule: Schedule,
    /// The threshold of clipping, above 0; none: no clipping.
    pub clip: Option<f64>,
    /// What it is the threshold of: the gradient's global norm.
    pub clip_by: Clip,
    /// Noise on the gradient.
    pub noise: Option<GradientNoise>,
    /// In how many parts of its rows, 1 or more, a batch is worked on, one after the other: their gradients are added up (accumulated), so that memory
    /// for the states of one part suffices. Losses, gradients and updates are those of the whole batch, within rounding; masks of dropout
    /// are drawn for each part. Penalties on activations are means over the steps of a part: with rows of different lengths they weigh a row's steps
    /// by the lengths of its part.
    pub parts: usize,
    /// Sets in which parameters are kept: projections after each update.
    pub constraints: Constraints,
    /// Paths of parameters that do not learn: their gradients are dropped before anything is done with them, and no constraint moves them. See [`Trainer::freeze`].
    pub frozen: BTreeSet<String>,
    random: Random,
    state: Option<State>,
    step: u64,
}

impl<N: Network> Trainer<N> {
    /// A trainer before its first step. Dropout masks are drawn from the stream "train" of `seed`.
    ///
    /// The network should be on a device with autodiff.
    pub fn new(network: N, optimiser: Optimiser, rate: f64, seed: u64) -> Self {
        Trainer {
            network: Some(network),
            optimiser,
            rate,
            schedule: Schedule::Constant,
            clip: None,
            clip_by: Clip::Norm,
            noise: None,
            parts: 1,
            constraints: Constraints::default(),
            frozen: BTreeSet::new(),
            random: Random::new(seed, "train"),
            state: None,
            step: 0,
        }
    }

    /// Keeps the parameters whose paths are chosen as they are from now on, beside those that are kept already: a reservoir of random
    /// weights, as in an echo state network, or layers of a network that was trained before. Gives how many are chosen.
    pub fn freeze(&mut self, chosen: impl Fn(&str) -> bool) -> usize {
        let names = parameters::export(self.network()).into_iter().map(|p| p.name).filter(|name| chosen(name));
        let names: Vec<String> = names.collect();
        let count = names.len();
        self.frozen.extend(names);
        count
    }

    /// Whether every option is in its range. [`step`](Trainer::step) asks it too, before it does anything.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use elman::network::LanguageModelConfig;
    /// use elman::{cells, train::{Optimiser, Rule, Trainer}};
    ///
    /// let cell = (cells::find("gru").unwrap().make)();
    /// let config = LanguageModelConfig { vocabulary: 5, embedding: 4, hidden: 4, output: 4, layers: 1, dropout: 0.0, cell };
    /// let network = config.init(1, &Device::flex().autodiff()).unwrap();
    /// let mut trainer = Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), 0.01, 1);
    /// trainer.clip = Some(0.0);
    /// assert_eq!(trainer.check().unwrap_err().to_string(), "clip is 0; it must be a finite number above 0, or none for no clipping");
    /// ```
    ///
    /// # Errors
    /// The rate, the threshold of clipping, the number of parts, or a number of the schedule or the optimiser is out of its range. The noise, the
    /// constraints and the network's own options are checked when they are made.
    pub fn check(&self) -> Result<(), OptionError> {
        check_option("rate", self.rate, is_not_negative(self.rate), NOT_NEGATIVE)?;
        if let Some(clip) = self.clip {
            let fits = clip > 0.0 && clip.is_finite();
            check_option("clip", clip, fits, "a finite number above 0, or none for no clipping")?;
        }
        check_option("parts", self.parts as f64, self.parts > 0, "1 or more")?;
        self.schedule.check()?;
        self.optimiser.check()
    }

    /// The network.
    pub fn network(&self) -> &N {
        self.network.as_ref().expect("back in its place after every step")
    }

    /// Steps made so far.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// One step: loss of the next batch from the carried state, gradient, clipping, update.
    ///
    /// # Errors
    /// If an option is out of its range, the batch cannot be had, or the loss or gradient is not finite; the parameters are then as before.
    pub fn step(&mut self, source: &mut impl BatchSource<N::Batch>) -> Result<Report, TrainError> {
        self.check()?;
        let step = self.step + 1;
        let batch = source.next_batch().map_err(|message| TrainError::Data { step, message })?;
        let network = self.network();
        let before = if N::is_fresh(&batch) { None } else { self.state.clone() };
        let mut random = self.random.clone();
        let batch = network.prepare(batch, before.as_ref(), self.step, &mut random);
        let rate = self.schedule.rate(self.rate, self.step);
        let Passed { loss: value, state, mut gradients } = match self.parts {
            1 => accumulate::whole(network, &batch, before, &mut random),
            parts => {
                let parts = network.split(&batch, parts).ok_or(TrainError::Parts { step, parts })?;
                accumulate::in_parts(network, &parts, before, &mut random)
            }
        };
        if !value.is_finite() {
            return Err(TrainError::NotFinite { step, what: "the loss", value, rate });
        }
        gradients.retain(|(name, _)| !self.frozen.contains(name));
        let norm = clip::norm(gradients.iter().map(|(_, g)| g.nonzero()));
        if !norm.is_finite() {
            return Err(TrainError::NotFinite { step, what: "the norm of the gradient", value: norm, rate });
        }
        let mut factor = self.clip.map_or(1.0, |threshold| self.clip_by.factor(norm, threshold));
        let mut clipped = factor < 1.0;
        if let (Some(threshold), Clip::Value) = (self.clip, self.clip_by) {
            clipped = clip::limit(&mut gradients, threshold);
        }
        if let Some(noise) = self.noise {
            noise.add(&mut gradients, std::mem::replace(&mut factor, 1.0), self.step, &mut random);
        }
        let network = self.network.take().expect("back in its place after every step");
        let optimiser = &mut self.optimiser;
        optimiser.begin(factor);
        let network = parameters::update(network, &gradients, |path, p, g| optimiser.update_by(path, rate, p, g));
        self.network = Some(self.constraints.apply_except(network, &self.frozen));
        self.state = Some(state);
        self.random = random;
        self.step = step;
        Ok(Report { step, loss: value, count: N::count(&batch), norm, clipped, rate })
    }

    /// Makes steps until `step_count` is `until`, calling `after` after each; it returns whether to go on.
    ///
    /// # Errors
    /// As for [`step`](Trainer::step).
    pub fn run(
        &mut self,
        source: &mut impl BatchSource<N::Batch>,
        until: u64,
        mut after: impl FnMut(&Report, &Self) -> bool,
    ) -> Result<(), TrainError> {
        while self.step < until {
            let report = self.step(source)?;
            if !after(&report, self) {
                break;
            }
        }
        Ok(())
    }

    /// Everything needed to go on as if training had not stopped. `note` is kept beside it (the run's settings).
    pub fn checkpoint(&self, source: &impl BatchSource<N::Batch>, note: &str) -> Checkpoint {
        let mut entries: Vec<Entry> = Vec::new();
        for Named { name, shape, values } in parameters::export(self.network()) {
            entries.push(Entry { name: format!("parameter/{name}"), shape, values });
        }
        for (path, slot, values) in self.optimiser.state() {
            let name = format!("optimiser/{slot}/{path}");
            entries.push(Entry { name, shape: vec![values.len()], values: values.to_vec() });
        }
        for (l, layer) in self.state.iter().flat_map(|s| s.layers.iter().enumerate()) {
            for (k, tensor) in layer.iter().enumerate() {
                let shape = tensor.shape().to_vec();
                entries.push(Entry { name: format!("state/{l}/{k}"), shape, values: to_vec(tensor.clone()) });
            }
        }
        Checkpoint {
            step: self.step,
            updates: self.optimiser.step(),
            random: self.random.position(),
            cursor: source.cursor(),
            note: note.to_string(),
            entries,
        }
    }

    /// Saves a checkpoint; see [`Checkpoint::save`].
    ///
    /// # Errors
    /// As there.
    pub fn save(&self, source: &impl BatchSource<N::Batch>, note: &str, path: &Path) -> Result<(), CheckpointError> {
        self.checkpoint(source, note).save(path)
    }

    /// Goes on from a checkpoint: parameters, optimiser, random numbers, data and carried state. The trainer must have been
    /// made with the same settings and seed.
    ///
    /// # Errors
    /// The checkpoint is of another network, optimiser or source.
    pub fn restore(
        &mut self,
        checkpoint: Checkpoint,
        source: &mut impl BatchSource<N::Batch>,
    ) -> Result<(), CheckpointError> {
        let does_not_fit = CheckpointError::DoesNotFit;
        let (mut named, mut slots, mut states) = (Vec::new(), Vec::new(), Vec::new());
        for Entry { name, shape, values } in checkpoint.entries {
            let parts: Vec<&str> = name.splitn(3, '/').collect();
            match parts[..] {
                ["parameter", path] => named.push(Named { name: path.to_string(), shape, values }),
                ["optimiser", slot, path] => slots.push((path.to_string(), slot.to_string(), values)),
                ["state", l, k] => match (l.parse::<usize>(), k.parse::<usize>(), &shape[..]) {
                    (Ok(l), Ok(k), &[b, w]) => states.push(((l, k), [b, w], values)),
                    _ => return Err(does_not_fit(format!("`{name}` is not a state"))),
                },
                _ => return Err(does_not_fit(format!("`{name}` is none of parameter, optimiser and state"))),
            }
        }
        let own: std::collections::BTreeMap<String, usize> =
            parameters::export(self.network()).into_iter().map(|p| (p.name, p.values.len())).collect();
        if let Some((path, ..)) = slots.iter().find(|(path, _, values)| own.get(path) != Some(&values.len())) {
            return Err(does_not_fit(format!("the optimiser's state of `{path}` has no such parameter")));
        }
        // A frozen parameter has states only if it learnt before.
        let learns = |path: &String| !self.frozen.contains(path);
        let learning = own.keys().filter(|path| learns(path)).count();
        let wanted = if checkpoint.updates == 0 { 0 } else { learning * self.optimiser.rule.slots().len() };
        let held = slots.iter().filter(|(path, ..)| learns(path)).count();
        if held != wanted {
            return Err(does_not_fit(format!("it holds {held} optimiser states, this run needs {wanted}")));
        }
        // Everything that can fail comes first, on copies: a checkpoint that does not fit leaves the trainer as it was.
        let mut optimiser = self.optimiser.clone();
        optimiser.restore(checkpoint.updates, slots).map_err(does_not_fit)?;
        let network = parameters::import(self.network().clone(), named)
            .map_err(|e: ParameterError| does_not_fit(e.to_string()))?;
        source.seek(&checkpoint.cursor).map_err(does_not_fit)?;
        let device = network.devices().first().cloned().unwrap_or_else(Device::default);
        states.sort_by_key(|(place, ..)| *place);
        let mut layers: Vec<Vec<Tensor<2>>> = Vec::new();
        for ((l, k), shape, values) in states {
            layers.resize(layers.len().max(l + 1), Vec::new());
            if layers[l].len() != k {
                return Err(does_not_fit(format!("state {k} of layer {l} does not follow the one before")));
            }
            layers[l].push(Tensor::from_data(TensorData::new(values, shape), &device));
        }
        self.optimiser = optimiser;
        self.network = Some(network);
        self.state = (!layers.is_empty()).then_some(State { layers });
        self.random.seek(checkpoint.random);
        self.step = checkpoint.step;
        Ok(())
    }
}

#[cfg(test)]
#[path = "trainer_test.rs"]
mod tests;
