use super::*;
use crate::network::{LanguageModelConfig, readout::IGNORE};
use crate::regularisation::Regularisation;
use crate::train::accumulate::Part;
use crate::train::{BatchSource, Clip, GradientNoise, Network, Optimiser, Rule, Trainer};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use elman_core::cells::find;

const V: usize = 60;
const T: usize = 5;
const B: usize = 3;

/// Twelve of the sixty words, most of them more than once.
fn batch(k: usize) -> TokenBatch {
    let word = |i: usize| ((i * i + 5 * k) % 12 * 5) as u32;
    TokenBatch {
        ids: (0..T * B).map(word).collect(),
        targets: (0..T * B).map(|i| if i == 4 { IGNORE } else { word(i + 3) + 1 }).collect(),
        batch: B,
        lengths: None,
        fresh: k == 0,
        carry: None,
    }
}

fn model(layers: usize) -> LanguageModel {
    let cell = (find("lstm").unwrap().make)();
    let config = LanguageModelConfig { vocabulary: V, embedding: 4, hidden: 6, output: 6, layers, dropout: 0.0, cell };
    config.init(3, &Device::flex().autodiff()).unwrap()
}

/// The same model, which never learns from few words alone.
#[derive(Module, Debug)]
struct Whole {
    model: LanguageModel,
}

impl Network for Whole {
    type Batch = TokenBatch;

    fn loss(&self, batch: &TokenBatch, state: Option<State>, random: &mut Random) -> (Tensor<1>, State) {
        self.model.loss(batch, state, Some(random))
    }

    fn is_fresh(batch: &TokenBatch) -> bool {
        batch.fresh
    }

    fn count(batch: &TokenBatch) -> usize {
        LanguageModel::count(batch)
    }

    fn split(&self, batch: &TokenBatch, parts: usize) -> Option<Vec<Part<TokenBatch>>> {
        self.model.split(batch, parts)
    }
}

struct Batches(usize);

impl BatchSource<TokenBatch> for Batches {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        self.0 += 1;
        Ok(batch(self.0 - 1))
    }

    fn cursor(&self) -> String {
        self.0.to_string()
    }

    fn seek(&mut self, _: &str) -> Result<(), String> {
        Err("not needed".into())
    }
}

fn close(found: &[f32], want: &[f32], what: &str) {
    assert_eq!(found.len(), want.len(), "{what}");
    let largest = want.iter().fold(1e-3_f32, |m, v| m.max(v.abs()));
    for (found, want) in found.iter().zip(want) {
        assert!((found - want).abs() <= 2e-6 * largest, "{what}: {found} and {want}");
    }
}

#[test]
fn loss_state_and_gradient_are_those_of_the_whole_table() {
    let zoneout = Regularisation { dropout_recurrent: 0.3, activation: 1.0, ..Regularisation::default() };
    let short = |mut batch: TokenBatch| {
        batch.lengths = Some([5, 2, 0].into());
        batch
    };
    for (what, model, batch) in [
        ("plain", model(2), batch(0)),
        ("dropout", model(2).with_dropout(0.4, 0.3).unwrap(), batch(1)),
        ("masks and penalties", model(1).with_regularisation(zoneout).unwrap(), batch(2)),
        ("initial state, lengths", model(1).with_learned_initial_state(), short(batch(3))),
        ("overlapping", model(1), TokenBatch { carry: Some(2), ..batch(4) }),
    ] {
        let (loss, state) = model.loss(&batch, None, Some(&mut Random::new(7, "train")));
        let value = f64::from(to_vec(loss.clone())[0]);
        let want = parameters::gradients(&model, &mut loss.backward());
        let mut random = Random::new(7, "train");
        let found = model.learn(&batch, None, &mut random).expect("few words");
        assert!((found.loss - value).abs() < 1e-6 * value, "{what}");
        for (found, want) in found.state.layers.iter().flatten().zip(state.layers.iter().flatten()) {
            close(&to_vec(found.clone()), &to_vec(want.clone()), what);
        }
        assert_eq!(want.len(), found.gradients.len(), "{what}");
        for ((path, want), (own, found)) in want.iter().zip(&found.gradients) {
            assert_eq!(path, own);
            close(&found.to_vec(), &want.to_vec(), &format!("{what}, {path}"));
        }
        // As many numbers were drawn.
        let mut other = Random::new(7, "train");
        model.loss(&batch, None, Some(&mut other));
        assert_eq!(random.word(), other.word(), "{what}");
    }
}

/// Whatever a trainer does with gradients, it does the same with rows of them.
#[test]
fn training_is_that_by_the_whole_table() {
    type Change<N> = fn(&mut Trainer<N>);
    fn parameters<N: Network<Batch = TokenBatch>>(
        network: N,
        rule: Rule,
        decay: f64,
        change: Change<N>,
    ) -> Vec<Vec<f32>> {
        let mut optimiser = Optimiser::new(rule, decay);
        optimiser.decoupled = decay == 0.25;
        let mut trainer = Trainer::new(network, optimiser, 0.1, 5);
        change(&mut trainer);
        trainer.run(&mut Batches(0), 4, |_, _| true).unwrap();
        crate::parameters::export(trainer.network()).into_iter().map(|p| p.values).collect()
    }
    macro_rules! cases {
        ($($what:literal, $rule:expr, $decay:expr, |$t:ident| $change:expr;)*) => {$({
            let few = parameters::<LanguageModel>(model(1), $rule, $decay, |$t| $change);
            let whole = parameters::<Whole>(Whole { model: model(1) }, $rule, $decay, |$t| $change);
            for (few, whole) in few.iter().zip(&whole) {
                close(few, whole, $what);
            }
            assert_ne!(few[0], to_vec(model(1).embedding.weight.val()), $what);
        })*};
    }
    cases! {
        "plain", Rule::SGD, 0.0, |_t| ();
        "clipped by norm", Rule::SGD, 0.0, |t| t.clip = Some(0.1);
        "clipped by value", Rule::SGD, 0.0, |t| (t.clip, t.clip_by) = (Some(0.01), Clip::Value);
        "noise", Rule::SGD, 0.0, |t| t.noise = Some(GradientNoise::new(0.1).unwrap());
        "parts", Rule::SGD, 0.0, |t| t.parts = 3;
        "momentum", Rule::Sgd { momentum: 0.9 }, 0.0, |_t| ();
        "decay", Rule::SGD, 0.1, |_t| ();
        "decoupled decay", Rule::SGD, 0.25, |_t| ();
        "Adam", Rule::ADAM, 0.0, |t| t.rate = 0.001;
    }
}

#[test]
fn words_that_do_not_come_stay_to_the_bit() {
    let before = to_vec(model(1).embedding.weight.val());
    let mut trainer = Trainer::new(model(1), Optimiser::new(Rule::SGD, 0.0), 0.1, 5);
    trainer.step(&mut Batches(0)).unwrap();
    let after = to_vec(trainer.network().embedding.weight.val());
    for (word, (before, after)) in before.chunks(4).zip(after.chunks(4)).enumerate() {
        assert_eq!(before == after, !batch(0).ids.contains(&(word as u32)), "{word}");
    }
}

#[test]
fn a_frozen_table_a_small_vocabulary_and_a_budget_are_left_alone() {
    let before = to_vec(model(1).embedding.weight.val());
    let mut trainer = Trainer::new(model(1), Optimiser::new(Rule::SGD, 0.0), 0.1, 5);
    assert_eq!(trainer.freeze(|path| path == "embedding.weight"), 1);
    trainer.step(&mut Batches(0)).unwrap();
    assert_eq!(to_vec(trainer.network().embedding.weight.val()), before);
    // 60 words are few beside 15 tokens; beside 31 they are not.
    let many = TokenBatch { ids: [0; 31].into(), targets: vec![1; 31], batch: 1, ..batch(0) };
    let mut random = Random::new(1, "train");
    assert!(model(1).learn(&many, None, &mut random).is_none());
    assert!(model(1).learn(&batch(0), None, &mut random).is_some());
    // A budget of memory was checked for the whole table.
    let mut within = model(1);
    within.rnn = within.rnn.with_recompute(Recompute::Budget(1 << 30));
    assert!(within.learn(&batch(0), None, &mut random).is_none());
    within.rnn = within.rnn.with_recompute(Recompute::Every(2));
    assert!(within.learn(&batch(0), None, &mut random).is_some());
}

#[test]
fn distinct_words_and_their_places() {
    let want = (vec![4, 0, 2], vec![0, 1, 0, 2, 1]);
    assert_eq!(distinct(&[4, 0, 4, 2, 0], 5), Some(want));
    assert_eq!(distinct(&[4, 5], 5), None);
}

#[test]
#[should_panic(expected = "token id 60 is not below the vocabulary's size 60")]
fn a_token_beyond_the_vocabulary_is_refused_as_ever() {
    let mut trainer = Trainer::new(model(1), Optimiser::new(Rule::SGD, 0.0), 0.1, 5);
    struct Wrong;
    impl BatchSource<TokenBatch> for Wrong {
        fn next_batch(&mut self) -> Result<TokenBatch, String> {
            let mut ids = batch(0).ids.to_vec();
            ids[3] = 60;
            Ok(TokenBatch { ids: ids.into(), ..batch(0) })
        }
        fn cursor(&self) -> String {
            String::new()
        }
        fn seek(&mut self, _: &str) -> Result<(), String> {
            Ok(())
        }
    }
    let _ = trainer.step(&mut Wrong);
}
