use super::*;
use crate::init::Init;
use crate::network::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig, Target};
use crate::train::{BatchSource, Checkpoint, Optimiser, Rule, Trainer};
use burn::tensor::Device;
use elman_core::Sizes;
use elman_core::cells::find;

/// The sum of two numbers at the end.
struct Sums(u64);

impl BatchSource<SequenceBatch> for Sums {
    fn next_batch(&mut self) -> Result<SequenceBatch, String> {
        let mut random = crate::Random::new(self.0, "sums");
        self.0 += 1;
        let x: Vec<f32> = (0..3 * 4 * 2).map(|_| random.symmetric(1.0)).collect();
        let sums = (0..4).map(|b| (0..3).map(|t| x[(t * 4 + b) * 2]).sum()).collect();
        Ok(SequenceBatch { x, batch: 4, lengths: None, target: Target::Values(sums), fresh: true })
    }
    fn cursor(&self) -> String {
        self.0.to_string()
    }
    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.0 = cursor.parse().map_err(|_| "no place".to_string())?;
        Ok(())
    }
}

fn network() -> SequenceNetwork {
    let config = SequenceNetworkConfig {
        cell: (find("elman").unwrap().make)(),
        sizes: Sizes::new(2, 6),
        layers: 1,
        outputs: 1,
        predict: Predict::Last,
        init: Init::default(),
        learn_initial_state: false,
    };
    config.init(3, &Device::flex().autodiff()).unwrap()
}

fn trainer() -> Trainer<SequenceNetwork> {
    let network = network();
    let constraints = Constraints::new(&network, Constraint::MaxNorm(0.3), |n| n == "rnn.weight_hh_l0")
        .and_then(|c| c.and(&network, Constraint::UnitNorm, |n| n == "rnn.weight_ih_l0"))
        .and_then(|c| c.and(&network, Constraint::NonNegative, |n| n.starts_with("readout")))
        .unwrap();
    let mut trainer = Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), 0.02, 1);
    trainer.constraints = constraints;
    trainer
}

fn norms(values: &[f32], cols: usize) -> Vec<f32> {
    values.chunks(cols).map(|row| row.iter().map(|w| w * w).sum::<f32>().sqrt()).collect()
}

#[test]
fn every_step_ends_within_the_constraints() {
    let (mut constrained, mut source) = (trainer(), Sums(0));
    let mut free = Trainer::new(network(), Optimiser::new(Rule::ADAM, 0.0), 0.02, 1);
    let (mut shortened, mut clamped) = (0, 0);
    for _ in 0..30 {
        constrained.step(&mut source).unwrap();
        let all = parameters::export(constrained.network());
        let values = |name: &str| all.iter().find(|p| p.name == name).unwrap().values.clone();
        // f32 rounding of a norm of six elements.
        let hh = norms(&values("rnn.weight_hh_l0"), 6);
        assert!(hh.iter().all(|n| *n <= 0.3 + 1e-6), "{hh:?}");
        shortened += hh.iter().filter(|n| **n > 0.3 - 1e-6).count();
        let ih = norms(&values("rnn.weight_ih_l0"), 2);
        assert!(ih.iter().all(|n| (n - 1.0).abs() < 1e-6), "{ih:?}");
        let readout = [values("readout.weight"), values("readout.bias")].concat();
        assert!(readout.iter().all(|&w| w >= 0.0), "{readout:?}");
        clamped += readout.iter().filter(|&&w| w == 0.0).count();
    }
    assert!(shortened > 0 && clamped > 0, "{shortened} {clamped}");
    // They are what makes the difference, and they still learn.
    free.run(&mut Sums(0), 30, |_, _| true).unwrap();
    assert_ne!(parameters::export(free.network()), parameters::export(constrained.network()));
}

#[test]
fn a_resumed_run_has_the_same_bits() {
    let (mut straight, mut source) = (trainer(), Sums(0));
    straight.run(&mut source, 20, |_, _| true).unwrap();
    let (mut first, mut source) = (trainer(), Sums(0));
    first.run(&mut source, 7, |_, _| true).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    first.save(&source, "", &path).unwrap();
    let (mut resumed, mut source) = (trainer(), Sums(99));
    resumed.restore(Checkpoint::load(&path).unwrap(), &mut source).unwrap();
    resumed.run(&mut source, 20, |_, _| true).unwrap();
    assert_eq!(parameters::export(resumed.network()), parameters::export(straight.network()));
}

#[test]
fn projections_are_the_nearest_points() {
    let projected = |constraint: Constraint, values: &[f32]| {
        let mut values = values.to_vec();
        constraint.project(&mut values, 2);
        values
    };
    assert_eq!(projected(Constraint::MaxNorm(5.0), &[3.0, 4.0, 6.0, 8.0, 0.0, 0.0]), [3.0, 4.0, 3.0, 4.0, 0.0, 0.0]);
    assert_eq!(projected(Constraint::UnitNorm, &[3.0, 4.0, 0.0, 0.0]), [0.6, 0.8, 0.0, 0.0]);
    let found = projected(Constraint::NonNegative, &[-1.0, 2.0, f32::NAN, 0.0]);
    assert_eq!(found[..2], [0.0, 2.0]);
    assert!(found[2].is_nan(), "a NaN stays to be seen");
}

#[test]
fn wrong_constraints_are_errors() {
    let network = network();
    let new = |constraint, name: &str| Constraints::new(&network, constraint, |n| n == name).unwrap_err().to_string();
    for norm in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = new(Constraint::MaxNorm(norm), "rnn.weight_hh_l0");
        assert_eq!(error, format!("the largest norm of a row is {norm}; it must be a finite number above 0"));
    }
    let error = new(Constraint::UnitNorm, "weight_hh_l0");
    assert!(
        error.starts_with("no parameter of the network is chosen") && error.contains("rnn.weight_hh_l0"),
        "{error}"
    );
    let error = new(Constraint::UnitNorm, "rnn.bias_ih_l0");
    assert!(error.contains("`rnn.bias_ih_l0` has shape [6]"), "{error}");
}
