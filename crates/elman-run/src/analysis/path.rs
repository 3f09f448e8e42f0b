//! A text or a series on its way through a network.

use super::AnalysisError;
use super::network::{Network, State};
use elman_core::engine::{Engine, StepInput, Stepper};
use std::sync::Arc;

/// What is read and what is to be predicted.
#[derive(Clone, Debug)]
enum Material {
    /// Each token is the target of the one before it.
    Text(Vec<u32>),
    /// Inputs (T, I) and targets (T, K).
    Series { inputs: Vec<f64>, targets: Vec<f64> },
}

/// A text or a series of numbers on its way through a network: the state before every step, and after the last.
#[derive(Clone, Debug)]
pub struct Path {
    material: Material,
    steps: usize,
    /// One more than there are steps.
    states: Vec<State>,
}

impl Path {
    /// Runs the tokens from the initial state. The last of them is only a target: a text of N tokens has N - 1 steps.
    ///
    /// # Errors
    /// There are fewer than two tokens, or the network reads numbers.
    ///
    /// # Panics
    /// If an id is not below V.
    pub fn new(network: &Network, engine: &Arc<Engine>, ids: &[u32]) -> Result<Path, AnalysisError> {
        if ids.len() < 2 {
            return Err(AnalysisError::TooShort { found: ids.len().saturating_sub(1), least: 1 });
        }
        if !network.is_of_tokens() {
            return Err(AnalysisError::Shape {
                what: "the network reads numbers, not tokens; take `Path::series`".into(),
            });
        }
        Path::through(network, engine, Material::Text(ids.to_vec()), ids.len() - 1)
    }

    /// Runs a series from the initial state: inputs (T, I), and targets (T, K), from which the network's numbers W y + b differ by the loss of
    /// each step, ½ Σ (W y + b - target)².
    ///
    /// # Errors
    /// The network reads tokens, there is no step, or the lengths do not fit.
    ///
    /// ```
    /// use elman_core::{Layer, Sizes, cells, engine::Engine};
    /// use elman_run::analysis::{Network, NetworkLayer, Path, Trace};
    ///
    /// let layer = Layer::new((cells::find("lstm").unwrap().make)(), Sizes::new(1, 2)).unwrap();
    /// let parameters = layer.parameters().iter().map(|p| vec![0.5; p.len()]).collect();
    /// let network = Network::of_numbers(vec![NetworkLayer { layer, parameters }], vec![1.0, -1.0], vec![0.0])?;
    /// // Three steps of a series, and the next value of each as its target.
    /// let path = Path::series(&network, &Engine::new(1).into(), &[0.1, 0.2, 0.4], &[0.2, 0.4, 0.8])?;
    /// let forget = Trace::new(&network, &path)?.find(0, "f").unwrap().unit(1);
    /// assert!(forget.len() == 3 && forget.iter().all(|f| *f > 0.5 && *f < 1.0));
    /// # Ok::<(), elman_run::analysis::AnalysisError>(())
    /// ```
    pub fn series(
        network: &Network,
        engine: &Arc<Engine>,
        inputs: &[f64],
        targets: &[f64],
    ) -> Result<Path, AnalysisError> {
        if network.is_of_tokens() {
            return Err(AnalysisError::Shape {
                what: "the network reads tokens, not numbers; take `Path::new`".into(),
            });
        }
        let width = network.layers()[0].layer.sizes().input;
        let steps = inputs.len() / width;
        if steps == 0 {
            return Err(AnalysisError::TooShort { found: 0, least: 1 });
        }
        let outputs = network.vocabulary();
        if inputs.len() != steps * width || targets.len() != steps * outputs {
            let (inputs, targets) = (inputs.len(), targets.len());
            let what =
                format!("{inputs} inputs and {targets} targets are not {width} and {outputs} numbers for each step");
            return Err(AnalysisError::Shape { what });
        }
        if !inputs.iter().chain(targets).all(|x| x.is_finite()) {
            return Err(AnalysisError::Shape { what: "an input or a target is not a finite number".into() });
        }
        let material = Material::Series { inputs: inputs.to_vec(), targets: targets.to_vec() };
        Path::through(network, engine, material, steps)
    }

    fn through(
        network: &Network,
        engine: &Arc<Engine>,
        material: Material,
        steps: usize,
    ) -> Result<Path, AnalysisError> {
        let mut steppers: Vec<Stepper<f64>> = Vec::new();
        for (l, initial) in network.layers().iter().zip(network.initial()) {
            let mut stepper = Stepper::new(engine, &l.layer, &l.slices(), 1, None);
            stepper.set_state(&initial.iter().map(Vec::as_slice).collect::<Vec<_>>());
            steppers.push(stepper);
        }
        let mut path = Path { material, steps, states: vec![network.initial().clone()] };
        for t in 0..steps {
            let mut x = path.input(network, t).to_vec();
            for stepper in &mut steppers {
                x = stepper.step(StepInput::Dense(&x)).to_vec();
            }
            path.states.push(steppers.iter().map(Stepper::state).collect());
        }
        Ok(path)
    }

    /// The tokens; none of a series.
    pub fn ids(&self) -> &[u32] {
        match &self.material {
            Material::Text(ids) => ids,
            Material::Series { .. } => &[],
        }
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The input of the first layer at step `t`: a token's vector (E), or the series' numbers (I).
    pub fn input<'a>(&'a self, network: &'a Network, t: usize) -> &'a [f64] {
        match &self.material {
            Material::Text(ids) => network.embed(ids[t]),
            Material::Series { inputs, .. } => {
                let width = inputs.len() / self.steps;
                &inputs[t * width..][..width]
            }
        }
    }

    /// The loss of step `t` with the output y, and its gradient by y: of a text -ln p(next token), of a series half the squared error.
    pub fn loss(&self, network: &Network, t: usize, y: &[f64]) -> (f64, Vec<f64>) {
        match &self.material {
            Material::Text(ids) => network.loss(y, ids[t + 1]),
            Material::Series { .. } => network.squared_error(y, self.target(t).expect("a series has targets")),
        }
    }

    /// What step `t` of a series is to give (K); of a text none.
    pub fn target(&self, t: usize) -> Option<&[f64]> {
        match &self.material {
            Material::Text(_) => None,
            Material::Series { targets, .. } => {
                let width = targets.len() / self.steps;
                Some(&targets[t * width..][..width])
            }
        }
    }

    /// The first steps of the same.
    ///
    /// # Panics
    /// If there are not so many, or none.
    pub fn beginning(&self, steps: usize) -> Path {
        Path { material: self.material(steps), steps, states: self.states[..=steps].to_vec() }
    }

    /// Runs the first steps of the same text or series through a network, from its initial state.
    ///
    /// # Errors
    /// The network reads tokens and this is a series, or the other way round, or it has other widths.
    ///
    /// # Panics
    /// If there are not so many steps, or none, or a token is not below the network's V.
    pub fn again(&self, network: &Network, engine: &Arc<Engine>, steps: usize) -> Result<Path, AnalysisError> {
        match self.material(steps) {
            Material::Text(ids) => Path::new(network, engine, &ids),
            Material::Series { inputs, targets } => Path::series(network, engine, &inputs, &targets),
        }
    }

    /// What the first steps read.
    fn material(&self, steps: usize) -> Material {
        assert!((1..=self.steps).contains(&steps), "{steps} of {} steps", self.steps);
        let part = |values: &[f64]| values[..values.len() / self.steps * steps].to_vec();
        match &self.material {
            Material::Text(ids) => Material::Text(ids[..=steps].to_vec()),
            Material::Series { inputs, targets } => Material::Series { inputs: part(inputs), targets: part(targets) },
        }
    }

    /// The state before step `t`; for t = [`steps`](Path::steps) the last.
    pub fn state(&self, t: usize) -> &State {
        &self.states[t]
    }

    /// `count` steps spread evenly over `first..steps`, the last step among them; all where there are fewer.
    pub fn spread(&self, first: usize, count: usize) -> Vec<usize> {
        let all = self.steps().saturating_sub(first);
        if count >= all {
            return (first..self.steps()).collect();
        }
        (1..=count).map(|i| first + i * all / count - 1).collect()
    }
}
