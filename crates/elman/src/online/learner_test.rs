//! The learner: it learns, goes on to the bit, and refuses what is wrong without changing anything.

use super::*;
use crate::init::Init;
use crate::train::Rule;
use elman_core::testing::Noise;
use elman_core::{Sizes, cells};

fn config(name: &str) -> OnlineConfig {
    OnlineConfig::new((cells::find(name).unwrap().make)(), Sizes::new(1, 6), 1)
}

const METHODS: [Method; 4] = [Method::Rtrl, Method::Snap1, Method::Uoro, Method::Truncated];

/// A wave with noise: its next value is the target.
fn wave(steps: usize) -> Vec<f32> {
    let noise: Vec<f32> = Noise(9).uniform(steps, 0.1);
    noise.iter().enumerate().map(|(t, n)| (t as f32 * 0.3).sin() + n).collect()
}

fn mean_loss(online: &mut Online, x: &[f32]) -> f32 {
    let mut sum = 0.0;
    for pair in x.windows(2) {
        sum += online.learn(Input::Dense(&pair[..1]), Target::Values(&pair[1..])).unwrap();
    }
    sum / (x.len() - 1) as f32
}

#[test]
fn every_method_with_every_rule_learns_a_wave() {
    let x = wave(4000);
    for method in METHODS {
        for rule in [Rule::ADAM, Rule::SGD, Rule::RMS_PROP] {
            let mut config = config("lstm");
            (config.method, config.rule) = (method, rule);
            config.rate = if rule == Rule::SGD { 0.05 } else { 0.003 };
            let mut online = config.init().unwrap();
            let first = mean_loss(&mut online, &x[..300]);
            mean_loss(&mut online, &x[299..3000]);
            let last = mean_loss(&mut online, &x[2999..]);
            assert!(last < 0.25 * first, "{method:?}, {rule:?}: {first} {last}");
            assert_eq!(online.steps(), 3999);
        }
    }
}

/// The gradient of one update against central differences of the loss over the whole sequence, from the first step.
#[test]
fn readout_and_layer_get_the_gradient_of_the_loss() {
    let x = [0.3f32, -0.8, 0.5, 0.9];
    for (loss, outputs, target) in
        [(Loss::SquaredError, 2, Target::Values(&[0.4, -0.1])), (Loss::CrossEntropy, 3, Target::Class(2))]
    {
        let mut config = config("gru");
        config.loss = loss;
        config.outputs = outputs;
        (config.rule, config.rate, config.clip) = (Rule::SGD, 1.0, None);
        let all = |o: &Online| [&o.params[..], &o.weight, &o.bias].concat();
        // One correction after four steps changes parameters by minus the gradient.
        let run = |nudge: Option<(usize, f32)>| {
            let mut online = config.init().unwrap();
            if let Some((k, by)) = nudge {
                let (n, w) = (online.params.len(), online.weight.len());
                let slot = match k {
                    k if k < n => &mut online.params[k],
                    k if k < n + w => &mut online.weight[k - n],
                    k => &mut online.bias[k - n - w],
                };
                *slot += by;
            }
            x.iter().for_each(|x| {
                online.predict(Input::Dense(&[*x])).unwrap();
            });
            let before = all(&online);
            let loss = online.correct(target).unwrap();
            let gradient: Vec<f32> = before.iter().zip(all(&online)).map(|(b, a)| b - a).collect();
            (loss, gradient)
        };
        let (_, gradient) = run(None);
        for (k, &got) in gradient.iter().enumerate() {
            let (up, down) = (run(Some((k, 0.01))).0, run(Some((k, -0.01))).0);
            let want = (up - down) / 0.02;
            // Rounding of the loss, 1e-7 over 0.02, and the third derivative times 1e-4 / 6.
            assert!((got - want).abs() < 2e-4 + 1e-3 * want.abs(), "{loss:?}, {k}: {got} {want}");
        }
    }
}

#[test]
fn classes_and_tokens_are_learnt() {
    // The next of four tokens is known from the last two: a cycle of six.
    let cycle = [0, 1, 2, 0, 3, 2];
    let mut config = config("gru");
    (config.vocabulary, config.outputs, config.loss) = (4, 4, Loss::CrossEntropy);
    (config.sizes.input, config.rate) = (3, 0.01);
    let mut online = config.init().unwrap();
    let before = online.parameters().to_vec();
    let mut last = 0.0;
    for t in 0..3000 {
        let loss = online.learn(Input::Token(cycle[t % 6]), Target::Class(cycle[(t + 1) % 6])).unwrap();
        last = 0.98 * last + 0.02 * loss;
    }
    assert!(last < 0.05, "{last}");
    assert!((online.prediction().iter().sum::<f32>() - 1.0).abs() < 1e-5);
    // The table was learned too.
    assert!(before.iter().zip(online.parameters()).rev().take(12).all(|(a, b)| a != b));
}

#[test]
fn a_saved_learner_goes_on_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let x = wave(140);
    for method in METHODS {
        for rule in [Rule::ADAM, Rule::SGD] {
            let path = folder.path().join(format!("{method:?}-{rule:?}"));
            let mut config = config("lstm-peephole");
            (config.method, config.rule, config.seed) = (method, rule, 5);
            let mut online = config.init().unwrap();
            mean_loss(&mut online, &x[..70]);
            online.predict(Input::Dense(&x[69..70])).unwrap();
            online.save(&path).unwrap();
            let mut other = config.resume(&path).unwrap();
            let finish = |online: &mut Online| {
                // The prediction before the file is corrected after it.
                online.correct(Target::Values(&x[70..71])).unwrap();
                mean_loss(online, &x[70..]);
                let all = [online.parameters(), online.readout().0, online.prediction(), &online.state()].concat();
                (all.iter().map(|v| v.to_bits()).collect::<Vec<u32>>(), online.steps())
            };
            assert_eq!(finish(&mut online), finish(&mut other), "{method:?} {rule:?}");

            let mut wrong = config.clone();
            wrong.sizes.hidden = 7;
            let error = wrong.resume(&path).err().unwrap().to_string();
            assert!(error.contains("does not fit") && !error.contains('\n'), "{error}");
        }
    }
    std::fs::write(folder.path().join("noise"), "no file of ours").unwrap();
    assert!(matches!(config("lstm").resume(&folder.path().join("noise")), Err(OnlineError::Saved(_))));
    assert!(matches!(config("lstm").resume(&folder.path().join("missing")), Err(OnlineError::Saved(_))));
}

/// What a learner knows, as bits.
fn bits(online: &Online) -> Vec<u32> {
    let influence = online.influence.export().into_iter().flat_map(|(_, values)| values);
    let all = [online.parameters(), online.readout().0, online.readout().1, &online.state()].concat();
    all.into_iter().chain(influence).map(f32::to_bits).collect()
}

#[test]
fn what_is_not_finite_or_does_not_fit_changes_nothing() {
    let mut online = config("lstm").init().unwrap();
    let early = online.correct(Target::Values(&[0.0])).unwrap_err();
    assert!(matches!(early, OnlineError::NoPrediction));
    mean_loss(&mut online, &wave(20));
    let before = bits(&online);
    let (x, y) = ([0.5], [0.1]);
    for (x, y, expected) in [
        (Input::Dense(&[f32::NAN]), Target::Values(&y), "step 20: the input is not finite"),
        (Input::Dense(&x), Target::Values(&[f32::INFINITY]), "step 20: the target is not finite"),
        (Input::Dense(&[0.5, 0.5]), Target::Values(&y), "the input has 2 numbers, expected 1"),
        (Input::Dense(&x), Target::Values(&[]), "the target has 0 numbers, expected 1"),
        (Input::Dense(&x), Target::Class(0), "the target does not fit the loss: a class; expected 1 numbers"),
        (Input::Token(0), Target::Values(&y), "this layer takes vectors, and a token was given"),
    ] {
        let error = online.learn(x, y).unwrap_err().to_string();
        assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
        assert!(bits(&online) == before, "{expected}");
    }
    online.learn(Input::Dense(&x), Target::Values(&y)).unwrap();
    assert!(matches!(online.correct(Target::Values(&y)), Err(OnlineError::NoPrediction)));
    assert!(online.set_rate(f64::NAN).is_err() && online.set_rate(0.0).is_ok());
}

/// A rectifier that doubles itself: its influence, then its state leave f32.
#[test]
fn a_network_that_explodes_keeps_its_parameters() {
    let mut config = config("elman-relu");
    config.clip = None;
    config.init = Init { recurrent: crate::init::find("identity").unwrap(), ..Init::default() };
    let mut online = config.init().unwrap();
    for value in &mut online.params[6..42] {
        *value *= 2.0;
    }
    online.params[..6].fill(1.0);
    let parameters = online.parameters().to_vec();
    let mut errors = Vec::new();
    for t in 0..200 {
        // Predict only, until a target far along; then the loss, and at the end the state is infinite.
        match online.predict(Input::Dense(&[1.0])) {
            Ok(_) if t < 80 => {}
            Ok(_) => errors.push(online.correct(Target::Values(&[0.0])).unwrap_err().to_string()),
            Err(error) => errors.push(error.to_string()),
        }
        assert!(online.state().iter().all(|h| h.is_finite()));
    }
    assert!(errors[0].contains("not finite"), "{}", errors[0]);
    assert!(errors.last().unwrap().contains("the state is not finite"), "{errors:?}");
    assert_eq!(online.parameters(), parameters);
    online.reset();
    online.learn(Input::Dense(&[1.0]), Target::Values(&[0.0])).unwrap();
}

elman_core::cell! {
    /// A unit with a feed.
    #[derive(Clone, Debug)]
    pub struct Fed = "fed" {}
    carry h; output h;
    stage 0 hidden {
        gate a = [x, h];
        feed z;
    } -> h {
        h = tanh(a * z);
    }
}

#[test]
fn wrong_definitions_are_refused_in_one_line() {
    let with = |change: &dyn Fn(&mut OnlineConfig)| {
        let mut config = config("lstm");
        change(&mut config);
        let error = config.init().err().unwrap().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    assert!(with(&|c| c.layers = 2).starts_with("2 layers: real-time recurrent learning takes one"));
    assert_eq!(with(&|c| c.layers = 0), "`layers` must be at least 1");
    assert_eq!(with(&|c| c.outputs = 0), "`outputs` must be at least 1");
    assert_eq!(with(&|c| c.sizes.hidden = 0), "hidden size must be at least 1");
    assert_eq!(with(&|c| c.rate = -1.0), "`rate` is -1; it must be a number from 0 to 1000");
    assert_eq!(with(&|c| c.clip = Some(0.0)), "`clip` is 0; it must be a finite number above 0");
    assert_eq!(with(&|c| c.rule = Rule::Sgd { momentum: 1.0 }), "`momentum` is 1; it must be from 0 to below 1");
    let elman = || (cells::find("elman").unwrap().make)();
    let error = with(&|c| (c.cell, c.method) = (elman(), Method::Truncated));
    assert!(error.starts_with("cell `elman` carries nothing past its matrices"), "{error}");
    assert!(with(&|c| c.cell = std::sync::Arc::new(Fed {})).starts_with("cell `fed` takes feeds"));
}

#[test]
fn without_a_target_nothing_is_learnt_and_the_state_goes_on() {
    let mut online = config("gru").init().unwrap();
    let before = online.parameters().to_vec();
    let first = online.predict(Input::Dense(&[1.0])).unwrap().to_vec();
    let second = online.predict(Input::Dense(&[1.0])).unwrap().to_vec();
    assert_ne!(first, second);
    assert_eq!(online.parameters(), before);
    online.reset();
    assert_eq!(online.predict(Input::Dense(&[1.0])).unwrap(), first);
}
