use super::*;
use crate::network::{
    LanguageModel, LanguageModelConfig, Predict, SequenceBatch, SequenceNetworkConfig, Target, TokenBatch, readout,
};
use crate::train::{BatchSource, Optimiser, Rule, Trainer};
use burn::tensor::Device;
use elman_core::Sizes;
use elman_core::cells::find;

const T: usize = 6;
const B: usize = 5;
const V: usize = 4;

/// Windows of a text whose rows differ; one target in seven does not count.
struct Text(usize);

impl BatchSource<TokenBatch> for Text {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        let token = |t: usize, b: usize| ((self.0 + t) * (3 * b + 1) % 7 % V) as u32;
        let pairs = || (0..T).flat_map(|t| (0..B).map(move |b| (t, b)));
        let target = |(t, b): (usize, usize)| if (t + b) % 7 == 0 { readout::IGNORE } else { token(t + 1, b) };
        let fresh = self.0 == 0;
        let ids = pairs().map(|(t, b)| token(t, b)).collect();
        let targets = pairs().map(target).collect();
        self.0 += T;
        Ok(TokenBatch { ids, targets, batch: B, lengths: Some([6, 2, 4, 6, 1].into()), fresh, carry: None })
    }
    fn cursor(&self) -> String {
        self.0.to_string()
    }
    fn seek(&mut self, _: &str) -> Result<(), String> {
        Err("not needed".into())
    }
}

fn close(found: &[f32], want: &[f32], what: &str) {
    let largest = want.iter().fold(1e-3f32, |m, w| m.max(w.abs()));
    for (f, w) in found.iter().zip(want) {
        // Sums of some hundred terms in f32, in another order.
        assert!((f - w).abs() <= 5e-6 * largest, "{what}: {f} {w}");
    }
}

/// Several steps with a carried state: losses, norms and parameters as without parts.
#[test]
fn parts_of_rows_are_the_whole_batch() {
    let run = |parts: usize| {
        let cell = (find("lstm").unwrap().make)();
        let config =
            LanguageModelConfig { vocabulary: V, embedding: 3, hidden: 5, output: 5, layers: 2, dropout: 0.0, cell };
        let network = config.init(4, &Device::flex().autodiff()).unwrap().with_learned_initial_state();
        let mut trainer = Trainer::new(network, Optimiser::new(Rule::SGD, 0.0), 0.5, 9);
        (trainer.parts, trainer.clip) = (parts, Some(0.2));
        let mut numbers = Vec::new();
        let mut source = Text(0);
        for _ in 0..4 {
            let report = trainer.step(&mut source).unwrap();
            numbers.extend([report.loss as f32, report.norm as f32, report.count as f32]);
        }
        let state = trainer.checkpoint(&source, "").entries.into_iter().filter(|e| e.name.starts_with("state"));
        (numbers, parameters::export(trainer.network()), state.map(|e| (e.shape, e.values)).collect::<Vec<_>>())
    };
    let (numbers, all, states) = run(1);
    for parts in [2, 3, 5, 100] {
        let (found, parameters, after) = run(parts);
        close(&found, &numbers, "losses and norms");
        for (found, want) in parameters.iter().zip(&all) {
            close(&found.values, &want.values, &want.name);
        }
        assert_eq!(after.len(), states.len());
        for ((shape, found), (want_shape, want)) in after.iter().zip(&states) {
            assert_eq!(shape, want_shape);
            close(found, want, "state");
        }
    }
}

#[test]
fn sequences_are_divided_with_their_targets() {
    let x: Vec<f32> = (0..T * B * 2).map(|i| (i as f32 * 0.7).sin()).collect();
    let values: Vec<f32> = (0..T * B * 3).map(|i| (i as f32 * 0.3).cos()).collect();
    let lengths = || Some([6, 2, 4, 6, 1].into());
    let last = (Predict::Last, Target::Classes(vec![0, 2, 1, readout::IGNORE, 2]));
    let numbers = (Predict::Last, Target::Values(values[..B * 3].to_vec()));
    for (predict, target) in [last, numbers, (Predict::Every, Target::Values(values))] {
        let config = SequenceNetworkConfig {
            cell: (find("gru").unwrap().make)(),
            sizes: Sizes::new(2, 4),
            layers: 1,
            outputs: 3,
            predict,
            init: Default::default(),
            learn_initial_state: false,
        };
        let network = config.init(1, &Device::flex().autodiff()).unwrap();
        let batch = SequenceBatch { x: x.clone(), batch: B, lengths: lengths(), target, fresh: true };
        let mut random = Random::new(1, "none");
        let want = whole(&network, &batch, None, &mut random);
        for parts in [2, 5] {
            let found = in_parts(&network, &network.split(&batch, parts).unwrap(), None, &mut random);
            close(&[found.loss as f32], &[want.loss as f32], "loss");
            for ((name, found), (_, want)) in found.gradients.iter().zip(&want.gradients) {
                close(&found.to_vec(), &want.to_vec(), name);
            }
        }
    }
}

/// A language model that does not say how its batches are divided.
#[derive(burn::module::Module, Debug)]
struct Whole {
    model: LanguageModel,
}

impl Network for Whole {
    type Batch = TokenBatch;
    fn loss(&self, batch: &TokenBatch, state: Option<State>, random: &mut Random) -> (Tensor<1>, State) {
        Network::loss(&self.model, batch, state, random)
    }
    fn is_fresh(batch: &TokenBatch) -> bool {
        batch.fresh
    }
    fn count(batch: &TokenBatch) -> usize {
        LanguageModel::count(batch)
    }
}

#[test]
fn a_network_that_cannot_divide_says_so() {
    let cell = (find("lstm").unwrap().make)();
    let config =
        LanguageModelConfig { vocabulary: V, embedding: 3, hidden: 5, output: 5, layers: 1, dropout: 0.0, cell };
    let model = config.init(4, &Device::flex().autodiff()).unwrap();
    let mut trainer = Trainer::new(Whole { model }, Optimiser::new(Rule::SGD, 0.0), 0.5, 9);
    trainer.step(&mut Text(0)).unwrap();
    trainer.parts = 3;
    let error = trainer.step(&mut Text(0)).unwrap_err().to_string();
    assert_eq!(error, "step 2: batches of this network cannot be divided; leave `parts` at 1 (it was 3)");
}
