//! What the options of training do in a whole run.

mod common;

use common::{Outcome, Place, finish, same, text};
use std::collections::BTreeSet;

/// Every random or remembered thing that the options add.
const ALL: &str = "--layers 2 --stride 3 --dropout-words 0.1 --dropout-input 0.1 --dropout-between 0.1 --dropout-recurrent 0.2 \
    --dropout-output 0.1 --drop-connect 0.2 --activation-penalty 1 --temporal-penalty 1 --scheduled-sampling linear:1:0.01:0.5 \
    --clip-by value --clip 0.05 --gradient-noise 0.0001 --parts 2 --weight-decay 0.01 --decoupled-decay on --watch on --log-every 4";

#[test]
fn a_run_with_all_of_them_is_the_same_when_it_is_resumed() {
    let place = Place::new();
    finish(place.train("whole").args(ALL.split_whitespace()).args(["--steps", "30"])).ok();
    finish(place.train("parts").args(ALL.split_whitespace()).args(["--steps", "11"])).ok();
    finish(place.resume("parts").args(["--steps", "12"])).ok();
    finish(place.resume("parts").args(["--steps", "30"])).ok();
    for file in ["model.safetensors", "checkpoint.safetensors", "metrics.jsonl"] {
        same(&place.path("whole").join(file), &place.path("parts").join(file));
    }
    // And it is not the run without them.
    finish(place.train("plain").args(["--layers", "2", "--steps", "30"])).ok();
    assert!(place.read("plain/model.safetensors") != place.read("whole/model.safetensors"));
}

#[test]
fn a_run_that_learns_forward_in_time_is_the_same_when_it_is_resumed() {
    let place = Place::new();
    finish(place.train("plain").args(["--steps", "9"])).ok();
    for algorithm in ["rtrl", "snap-1", "uoro", "truncated"] {
        let (whole, parts) = (format!("{algorithm}-whole"), format!("{algorithm}-parts"));
        let options = ["--algorithm", algorithm, "--parts", "2"];
        finish(place.train(&whole).args(options).args(["--steps", "9"])).ok();
        finish(place.train(&parts).args(options).args(["--steps", "4"])).ok();
        finish(place.resume(&parts).args(["--steps", "9"])).ok();
        for file in ["model.safetensors", "checkpoint.safetensors", "metrics.jsonl"] {
            same(&place.path(&whole).join(file), &place.path(&parts).join(file));
        }
        assert!(place.read(&format!("{whole}/model.safetensors")) != place.read("plain/model.safetensors"));
        finish(place.resume(&parts).args(["--algorithm", "bptt"])).fails(2, &["other settings", "algorithm"]);
    }
}

#[test]
fn what_cannot_go_forward_in_time_is_refused() {
    let place = Place::new();
    for (arguments, words) in [
        (vec!["--algorithm", "rtl"], ["unknown algorithm `rtl`", "did you mean `rtrl`?"]),
        (vec!["--algorithm", "rtrl", "--layers", "2"], ["algorithm rtrl: 2 layers", "set `layers` to 1"]),
        (vec!["--algorithm", "uoro", "--dropout-output", "0.1"], ["algorithm uoro: regularisation", "leave it out"]),
        (
            vec!["--algorithm", "rtrl", "--stride", "2"],
            ["algorithm rtrl: `stride` has a meaning for bptt only", "leave it out"],
        ),
        (vec!["--algorithm", "rtrl", "--recompute", "4"], ["`recompute` has a meaning for bptt only", "leave it out"]),
        (
            vec!["--algorithm", "rtrl", "--hidden", "1000"],
            ["algorithm rtrl: the influence has", "lower the number of units"],
        ),
        (
            vec!["--algorithm", "rtrl", "--cell", "lstm:zoneout=0.1"],
            ["algorithm rtrl: cell `lstm:zoneout=0.1` takes feeds", "backpropagation through time only"],
        ),
        (
            vec!["--algorithm", "truncated", "--cell", "elman"],
            ["cell `elman` carries nothing past its matrices", "lstm-1997"],
        ),
    ] {
        finish(place.train("run").args(arguments)).fails(2, &words);
        assert!(!place.path("run").exists());
    }
}

#[test]
fn a_sweep_of_rates_comes_before_the_first_step_and_changes_nothing() {
    let place = Place::new();
    let outcome = finish(place.train("swept").args(["--find-lr", "--lr", "0.004"])).ok();
    finish(place.train("plain").args(["--lr", "0.004"])).ok();
    for file in ["model.safetensors", "checkpoint.safetensors", "metrics.jsonl", "samples.txt"] {
        same(&place.path("swept").join(file), &place.path("plain").join(file));
    }
    // What it suggests is a rate that was tried, and only told.
    let line = outcome.err.lines().find(|line| line.contains("lr.svg")).unwrap_or_else(|| panic!("{}", outcome.err));
    let (_, found) = line.split_once("the loss falls most steeply at a rate of ").unwrap_or_else(|| panic!("{line}"));
    let (found, given) = found.split_once("; this run has ").unwrap_or_else(|| panic!("{line}"));
    assert_eq!(given, "0.004");
    let found: f64 = found.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(found > 1e-6 && found < 10.0, "{line}");
    let picture = String::from_utf8(place.read("swept/plots/lr.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("the loss by learning rate"), "{picture:.200}");
    assert!(picture.contains("<polyline"), "no curve in {picture:.200}");
    assert!(!place.path("plain/plots/lr.svg").exists());
    // A run that goes on does not sweep again.
    let told = finish(place.resume("plain").args(["--find-lr", "--steps", "22"])).ok().err;
    assert!(told.contains("--find-lr: rates are tried before a run's first step"), "{told}");
    assert!(!place.path("plain/plots/lr.svg").exists());
}

#[test]
fn training_stops_where_the_held_out_score_no_longer_improves() {
    let place = Place::new();
    // So high a rate that the score goes up and down.
    let settings = ["--steps", "400", "--eval-every", "5", "--patience", "3", "--lr", "0.5"];
    let outcome = finish(place.train("run").args(settings)).ok();
    assert!(outcome.err.contains("stopped early at step"), "{}", outcome.err);
    let metrics = String::from_utf8(place.read("run/metrics.jsonl")).unwrap();
    let scores: Vec<f64> = metrics
        .lines()
        .filter_map(|line| line.split("\"held_out\":").nth(1)?.split([',', '}']).next()?.parse().ok())
        .collect();
    let best = scores.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(scores.iter().rev().take_while(|&&score| score > best).count(), 3, "{scores:?}");
}

/// The last line of a run that explodes, which is an error, from its cause on: `step N: CAUSE is VALUE after a gradient of norm G in step N-1; ADVICE`.
/// The value, the cause, the advice.
#[track_caller]
fn explosion(outcome: &Outcome) -> (f64, &str, &str) {
    assert_eq!(outcome.status, 1, "{outcome:#?}");
    let line = outcome.err.lines().last().unwrap();
    let parts = || {
        let (step, rest) = line.strip_prefix("error: step ")?.split_once(": ")?;
        let (said, advice) = rest.split_once("; ")?;
        let (said, before) = said.split_once(" after a gradient of norm ")?;
        let (norm, former) = before.split_once(" in step ")?;
        let (cause, value) = said.rsplit_once(" is ")?;
        let (step, former) = (step.parse::<u64>().ok()?, former.parse::<u64>().ok()?);
        assert!(former >= 1 && step == former + 1, "{line}");
        assert!(norm.parse::<f64>().ok()? > 0.0, "{line}");
        Some((value.parse().ok()?, cause, advice))
    };
    parts().unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn an_explosion_is_named() {
    let place = Place::new();
    // Rectifiers from a recurrent matrix of large eigenvalues, and steps that nothing holds back.
    let settings = ["--cell", "irnn", "--optimiser", "sgd", "--lr", "1000000", "--clip", "1000000", "--steps", "50"];
    let outcome = finish(place.train("run").args(settings));
    let (value, cause, advice) = explosion(&outcome);
    assert_eq!(cause, "the loss");
    assert!(!value.is_finite(), "{value}");
    let again = |run: &str| {
        let run = place.path(run).display().to_string();
        format!("there is no checkpoint yet: begin again with `elman train char-lm --out {run} --resume` and a lower")
    };
    assert_eq!(advice, format!("{} --lr (now 1000000) or --clip (now 1000000)", again("run")));
    // What it says can be done.
    let settings = ["--lr", "0.001", "--clip", "1", "--steps", "2"];
    finish(place.resume("run").args(settings)).ok();
    // A loss that is still a number, but far beyond guessing; and nothing clipped.
    let settings = ["--optimiser", "sgd", "--lr", "5000", "--clip", "off", "--seq-len", "50", "--hidden", "16"];
    let outcome = finish(place.train("bounded").args(["--cell", "lstm", "--steps", "50"]).args(settings));
    let (value, cause, advice) = explosion(&outcome);
    let guess = (text(3000).chars().collect::<BTreeSet<char>>().len() as f64).ln();
    assert_eq!(cause, format!("the loss explodes: that of guessing is {guess:.1} nats, and it"));
    assert!(value.is_finite() && value > 99.0 * guess, "{value}");
    assert_eq!(advice, format!("{} --lr (now 5000) or --clip (now off)", again("bounded")));
    // Before anything was learnt no rate is to blame.
    finish(place.train("huge").args(["--init-range", "1e30", "--steps", "2"]))
        .fails(1, &["step 1: the loss", "before anything was learnt", "--init-range", "--resume`"]);
}

/// A checkpoint that was written after the update to blame cannot be gone on from, and is not recommended.
#[test]
fn an_exploded_checkpoint_is_told() {
    let place = Place::new();
    let settings = ["--optimiser", "sgd", "--lr", "1e6", "--clip", "off", "--steps", "9", "--checkpoint-every", "1"];
    let outcome = finish(place.train("run").args(settings));
    let (_, cause, advice) = explosion(&outcome);
    assert!(cause.starts_with("the loss"), "{cause}");
    let new =
        "checkpoint.safetensors is of the update that led here: begin a new run, in another --out, with a lower --lr";
    assert!(advice.contains(new), "{advice}");
    // It is right: nothing helps.
    finish(place.resume("run").args(["--lr", "0.001", "--clip", "1"])).fails(1, &[new]);
    // The last update is seen in the score; the best model stays one that is no explosion.
    let settings = ["--optimiser", "sgd", "--lr", "1e6", "--clip", "off", "--steps", "1"];
    finish(place.train("last").args(settings))
        .fails(1, &["step 1: the held-out loss explodes: that of guessing is", new]);
    assert!(!place.path("last/best.safetensors").exists());
}

/// A rate beyond f32: the last step's update made them so, and the norm is that of its gradient.
#[test]
fn parameters_that_are_no_numbers_are_named_with_their_step() {
    let place = Place::new();
    let settings = ["--optimiser", "sgd", "--lr", "1e40", "--clip", "off", "--steps", "1"];
    let outcome = finish(place.train("run").args(settings));
    assert_eq!(outcome.status, 1, "{outcome:#?}");
    let line = outcome.err.lines().last().unwrap();
    let (cause, advice) = line.split_once("; ").unwrap();
    let (cause, before) = cause.split_once(" after a gradient of norm ").unwrap_or_else(|| panic!("{line}"));
    assert_eq!(cause, "error: step 1: a parameter is not a finite number");
    let (norm, step) = before.split_once(" in step ").unwrap();
    assert!(norm.parse::<f64>().unwrap() > 0.0 && step == "1", "{line}");
    let run = place.path("run").display().to_string();
    let again =
        format!("there is no checkpoint yet: begin again with `elman train char-lm --out {run} --resume` and a lower");
    assert_eq!(advice, format!("{again} --lr (now {}) or --clip (now off)", 1e40));
}

/// A reservoir: what is frozen stays to the bit, what is not learns; also when the run is resumed.
#[test]
fn frozen_parameters_stay() {
    let place = Place::new();
    let frozen = ["--cell", "leaky:tau=2..30", "--freeze", "rnn"];
    finish(place.train("begin").args(frozen).args(["--steps", "1"])).ok();
    finish(place.train("run").args(frozen).args(["--steps", "9", "--weight-decay", "0.1"])).ok();
    finish(place.resume("run").args(["--steps", "20"])).ok();
    let values = |run: &str, name: &str| {
        let model = elman_run::Model::load(place.path(run).join("model.safetensors")).unwrap();
        model.tensors().into_iter().find(|t| t.name == name).unwrap().values
    };
    for name in ["rnn.weight_ih_l0", "rnn.weight_hh_l0", "rnn.bias_ih_l0", "rnn.weight_leak_l0"] {
        assert_eq!(values("begin", name), values("run", name), "{name}");
    }
    assert_ne!(values("begin", "readout.weight"), values("run", "readout.weight"));
    let share = |leak: f32| 1.0 / (1.0 + (-leak).exp());
    for alpha in values("run", "rnn.weight_leak_l0").into_iter().map(share) {
        assert!(((-0.5f32).exp() - 1e-6..=(-1.0f32 / 30.0).exp() + 1e-6).contains(&alpha), "{alpha}");
    }
    // Nothing else moves them.
    finish(place.train("bound").args(frozen).args([
        "--steps",
        "5",
        "--max-norm",
        "0.1",
        "--non-negative",
        "weight_hh,readout.bias",
    ]))
    .ok();
    assert_eq!(values("begin", "rnn.weight_hh_l0"), values("bound", "rnn.weight_hh_l0"));
    assert!(values("bound", "readout.bias").iter().all(|&b| b >= 0.0));
    finish(place.train("wrong").args(["--freeze", "embedding,rnn,readout"]))
        .fails(2, &["no parameter is left to learn"]);
    finish(place.train("wrong").args(["--freeze", "nothing"]))
        .fails(2, &["freeze: no parameter has `nothing`", "readout.bias"]);
}

#[test]
fn weights_stay_at_zero_or_above() {
    let place = Place::new();
    finish(place.train("run").args(["--cell", "elman", "--non-negative", "weight_hh", "--steps", "12"])).ok();
    let model = elman_run::Model::load(place.path("run/model.safetensors")).unwrap();
    let lowest = |name: &str| {
        let tensor = model.tensors().into_iter().find(|t| t.name == name).unwrap();
        tensor.values.into_iter().fold(f32::INFINITY, f32::min)
    };
    assert!(lowest("rnn.weight_hh_l0") == 0.0 && lowest("rnn.weight_ih_l0") < 0.0);
    finish(place.train("wrong").args(["--non-negative", "weight_zz"]))
        .fails(2, &["non-negative: no parameter has `weight_zz`"]);
}

#[test]
fn settings_that_change_nothing_are_told() {
    let place = Place::new();
    let outcome = finish(place.train("run").args(["--momentum", "0.9", "--dropout", "0.5"])).ok();
    for key in ["momentum", "dropout"] {
        assert!(outcome.err.contains(&format!("--{key} changes nothing here")), "{}", outcome.err);
    }
}

#[test]
fn wrong_values_are_named_with_their_range() {
    let place = Place::new();
    for (arguments, words) in [
        (["--stride", "9"], ["stride: it is 9", "at most seq-len, which is 8"]),
        (["--stride", "0"], ["`stride` is 0", "from 1"]),
        (["--dropout-recurrent", "1.0"], ["`dropout-recurrent` is 1.0", "from 0 to below 1"]),
        (["--drop-connect", "-0.1"], ["`drop-connect` is -0.1", "from 0 to below 1"]),
        (["--clip", "0"], ["`clip` is `0`", "`off` or a number above 0"]),
        (["--clip-by", "norms"], ["unknown clip-by `norms`", "did you mean `norm`?"]),
        (["--scheduled-sampling", "linear:2"], ["`scheduled-sampling` is `linear:2`", "`exponential:K`"]),
    ] {
        finish(place.train("run").args([format!("{}={}", arguments[0], arguments[1])])).fails(2, &words);
        assert!(!place.path("run").exists());
    }
}
