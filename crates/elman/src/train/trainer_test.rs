use super::*;
use crate::network::{LanguageModel, LanguageModelConfig, TokenBatch};
use crate::runtime::Runtime;
use crate::train::Rule;
use burn::tensor::Device;
use elman_core::cells::find;

/// Streams over a cyclic text.
struct Cycle {
    at: usize,
}

const T: usize = 7;
const B: usize = 3;
const V: usize = 5;

impl BatchSource<TokenBatch> for Cycle {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        let token = |t: usize, b: usize| ((self.at + t) * (self.at + t + b) % 11 % V) as u32;
        let pairs = (0..T).flat_map(|t| (0..B).map(move |b| (t, b)));
        let batch = TokenBatch {
            ids: pairs.clone().map(|(t, b)| token(t, b)).collect(),
            targets: pairs.map(|(t, b)| token(t + 1, b)).collect(),
            batch: B,
            lengths: None,
            fresh: self.at.is_multiple_of(5 * T),
            carry: None,
        };
        self.at += T;
        Ok(batch)
    }

    fn cursor(&self) -> String {
        self.at.to_string()
    }

    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.at = cursor.parse().map_err(|_| format!("`{cursor}` is not a position"))?;
        Ok(())
    }
}

fn trainer(hidden: usize, threads: usize, rule: Rule) -> Trainer<LanguageModel> {
    let cell = (find("lstm").unwrap().make)();
    let config =
        LanguageModelConfig { vocabulary: V, embedding: 6, hidden, output: hidden, layers: 2, dropout: 0.3, cell };
    let mut network = config.init(4, &Device::flex().autodiff()).unwrap();
    network.rnn = network.rnn.with_runtime(Runtime::new(threads));
    let mut trainer = Trainer::new(network, Optimiser::new(rule, 0.01), 0.02, 9);
    trainer.clip = Some(0.5);
    trainer.schedule = Schedule::Cosine { steps: 60, floor: 0.1 };
    trainer
}

/// The bits of everything that a checkpoint holds.
fn bits(trainer: &Trainer<LanguageModel>, source: &Cycle) -> Vec<(String, Vec<u32>)> {
    let checkpoint = trainer.checkpoint(source, "");
    let head = format!("{} {} {} {}", checkpoint.step, checkpoint.updates, checkpoint.random, checkpoint.cursor);
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    checkpoint.entries.into_iter().map(|e| (e.name, bits(e.values))).chain([(head, Vec::new())]).collect()
}

#[test]
fn resuming_gives_the_same_bits_as_not_having_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    for rule in [Rule::ADAM, Rule::Sgd { momentum: 0.9 }, Rule::RMS_PROP] {
        let (mut straight, mut source) = (trainer(8, 1, rule), Cycle { at: 0 });
        straight.run(&mut source, 60, |_, _| true).unwrap();
        let want = bits(&straight, &source);

        // Everything in memory is lost at each stop, in the middle of a pass over the text and between passes.
        let first = trainer(8, 1, rule);
        first.save(&Cycle { at: 0 }, "note", &path).unwrap();
        for stop in [1, 2, 17, 20, 43, 60] {
            let (mut resumed, mut source) = (trainer(8, 1, rule), Cycle { at: 1_000_000 });
            resumed.restore(Checkpoint::load(&path).unwrap(), &mut source).unwrap();
            resumed.run(&mut source, stop, |_, _| true).unwrap();
            resumed.save(&source, "note", &path).unwrap();
            if stop == 60 {
                assert!(bits(&resumed, &source) == want, "{rule:?}");
            }
        }
    }
}

#[test]
fn the_threads_do_not_change_the_bits() {
    let run = |threads| {
        let (mut trainer, mut source) = (trainer(37, threads, Rule::ADAM), Cycle { at: 0 });
        trainer.run(&mut source, 12, |_, _| true).unwrap();
        bits(&trainer, &source)
    };
    let one = run(1);
    assert!(one == run(2) && one == run(3));
}

#[test]
fn it_learns() {
    let (mut trainer, mut source) = (trainer(16, 1, Rule::ADAM), Cycle { at: 0 });
    trainer.optimiser.weight_decay = 0.0;
    trainer.schedule = Schedule::Constant;
    let mut losses = Vec::new();
    trainer
        .run(&mut source, 200, |report, _| {
            assert_eq!(report.count, T * B);
            losses.push(report.loss);
            true
        })
        .unwrap();
    // At first about ln 5 = 1.61; the text is periodic, so that it can be learnt.
    assert!((losses[0] - 1.61).abs() < 0.4, "{}", losses[0]);
    let last = losses[190..].iter().sum::<f64>() / 10.0;
    assert!(last < 0.7 * losses[0], "{} -> {last}", losses[0]);
}

#[test]
fn not_a_number_stops_before_the_update() {
    let (mut trainer, mut source) = (trainer(8, 1, Rule::SGD), Cycle { at: 0 });
    trainer.step(&mut source).unwrap();
    let mut parameters = parameters::export(trainer.network());
    let last = parameters.last_mut().unwrap();
    assert_eq!(last.name, "readout.bias");
    last.values[2] = f32::NAN;
    trainer.network = Some(parameters::import(trainer.network().clone(), parameters).unwrap());
    let before = bits(&trainer, &Cycle { at: 0 });
    let error = trainer.step(&mut source).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { step: 2, what: "the loss", .. }), "{error}");
    assert!(error.to_string().starts_with("step 2: the loss is NaN"), "{error}");
    assert!(bits(&trainer, &Cycle { at: 0 }) == before);
}

#[test]
fn a_checkpoint_of_another_run_is_refused_and_changes_nothing() {
    let (mut other, mut source) = (trainer(9, 1, Rule::ADAM), Cycle { at: 0 });
    other.step(&mut source).unwrap();
    let mut mine = trainer(8, 1, Rule::ADAM);
    let before = bits(&mine, &source);
    let refused = |trainer: &mut Trainer<LanguageModel>, checkpoint| {
        trainer.restore(checkpoint, &mut Cycle { at: 0 }).unwrap_err().to_string()
    };
    let message = refused(&mut mine, other.checkpoint(&source, ""));
    assert!(message.contains("does not fit this run"), "{message}");
    let mut strange = trainer(8, 1, Rule::ADAM).checkpoint(&source, "");
    strange.cursor = "nowhere".into();
    assert!(refused(&mut mine, strange).contains("`nowhere` is not a position"));
    let mut short = trainer(8, 1, Rule::ADAM).checkpoint(&source, "");
    short.entries.retain(|e| e.name != "parameter/rnn.weight_hh_l1");
    assert!(refused(&mut mine, short).contains("parameter `rnn.weight_hh_l1` is missing"));
    let mut sgd = trainer(8, 1, Rule::SGD);
    let (mut adam, mut source) = (trainer(8, 1, Rule::ADAM), Cycle { at: 0 });
    adam.step(&mut source).unwrap();
    assert!(refused(&mut sgd, adam.checkpoint(&source, "")).contains("this run needs 0"));
    assert!(bits(&mine, &Cycle { at: T }) == before);
}

#[test]
fn the_carried_state_counts() {
    // The same batch twice: from zeros and from the state that it left.
    struct Same(bool);
    impl BatchSource<TokenBatch> for Same {
        fn next_batch(&mut self) -> Result<TokenBatch, String> {
            Ok(TokenBatch { fresh: self.0, ..Cycle { at: 0 }.next_batch()? })
        }
        fn cursor(&self) -> String {
            String::new()
        }
        fn seek(&mut self, _: &str) -> Result<(), String> {
            Ok(())
        }
    }
    let losses = |fresh| {
        let mut trainer = trainer(8, 1, Rule::SGD);
        trainer.rate = 0.0;
        let mut source = Same(fresh);
        let first = trainer.step(&mut source).unwrap().loss;
        (first, trainer.step(&mut source).unwrap().loss)
    };
    let (first, carried) = losses(false);
    let (also_first, fresh) = losses(true);
    assert_eq!(first, also_first);
    // The masks differ between the steps in both runs alike; only the state before the second differs.
    assert_ne!(carried, fresh);
}
