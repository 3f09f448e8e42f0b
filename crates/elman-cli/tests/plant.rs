//! `elman train plant`: a task of numbers.

mod common;

use common::{Outcome, Place, elman, finish, run, same};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A small run: some hundredths of a second.
fn train(place: &Place, out: &str, extra: &str) -> Command {
    let mut command = elman();
    command.args(["train", "plant", "--out"]).arg(place.path(out));
    command.args("--hidden 16 --samples 1000 --batch 8 --seq-len 20 --steps 300".split(' '));
    command.args(extra.split_whitespace());
    command
}

fn object(outcome: Outcome) -> Value {
    serde_json::from_str(&outcome.ok().out).unwrap()
}

fn fit(report: &Value, part: &str, kind: &str) -> f64 {
    report[part][kind]["fit"].as_f64().unwrap()
}

#[test]
fn every_way_to_feed_learns_and_eval_agrees() {
    let place = Place::new();
    let dir = place.path("run").display().to_string();
    let mut reports = Vec::new();
    for (out, feed) in [("run", "--json"), ("chunk", "--json --chunk 7"), ("own", "--json --feed outputs")] {
        let report = object(finish(&mut train(&place, out, feed)));
        // The mean as prediction has 0 %.
        for (kind, least) in [("one_step", 70.0), ("free_run", 50.0)] {
            let fit = fit(&report, "held_out", kind);
            assert!(fit > least && fit <= 100.0, "{feed}, {kind}: {fit} %");
        }
        reports.push(report);
    }
    // The same gradient but for rounding, which hundreds of steps magnify; another one in free run.
    let one_step = |report: &Value| report["held_out"]["one_step"]["rmse"].as_f64().unwrap();
    let [whole, chunks, own] = [0, 1, 2].map(|k| one_step(&reports[k]));
    assert!((chunks / whole - 1.0).abs() < 0.05, "{chunks} and {whole}");
    assert_ne!(own, whole);

    let scored = object(run(["eval", &dir, "--json"]));
    for part in ["held_out", "test"] {
        assert_eq!(scored[part], reports[0][part], "{part}");
    }
    let best = object(run(["eval", &dir, "--json", "--best"]));
    assert!(fit(&best, "held_out", "free_run") >= fit(&scored, "held_out", "free_run"));
    let text = run(["eval", &dir]).ok().out;
    assert!(
        text.contains("held-out: one step ahead RMSE") && text.contains("test: ") && text.contains("free run"),
        "{text}"
    );

    // A line of metrics has what the score has: its mean square is (1 - fit)² for one output, here the mean of two.
    let lines = String::from_utf8(place.read("run/metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    let least = (1.0 - fit(&scored, "held_out", "one_step") / 100.0).powi(2);
    assert!(last["held_out_whole"].as_f64().unwrap() >= least * (1.0 - 1e-9), "{last}");
    for picture in ["loss.svg", "free_run.svg"] {
        let svg = String::from_utf8(place.read(&format!("run/plots/{picture}"))).unwrap();
        assert!(svg.contains("<svg") && svg.contains("free run"), "{picture}");
    }
}

#[test]
fn a_run_in_two_legs_has_the_bits_of_one() {
    let place = Place::new();
    let settings = "--schedule-steps 60 --eval-every 7 --checkpoint-every 11 --log-every 3 --noise 0.05 --chunk 6";
    finish(&mut train(&place, "whole", &format!("{settings} --steps 60"))).ok();
    finish(&mut train(&place, "legs", &format!("{settings} --steps 25"))).ok();
    let mut again = elman();
    again.args(["train", "plant", "--resume", "--steps", "60", "--out"]).arg(place.path("legs"));
    let err = finish(&mut again).ok().err;
    assert!(err.contains("going on after step 25") && err.contains("steps: 25 -> 60"), "{err}");
    for file in ["model", "best", "checkpoint"] {
        same(&place.path(&format!("whole/{file}.safetensors")), &place.path(&format!("legs/{file}.safetensors")));
    }
    for file in ["metrics.jsonl", "config.toml", "plots/loss.svg", "plots/free_run.svg"] {
        same(&place.path("whole").join(file), &place.path("legs").join(file));
    }
    // Its config.toml makes the same run.
    let mut same_again = elman();
    same_again.args(["train", "plant", "--out"]).arg(place.path("config"));
    finish(same_again.arg("--config").arg(place.path("whole/config.toml"))).ok();
    same(&place.path("whole/model.safetensors"), &place.path("config/model.safetensors"));
    // Another network or other data is another run.
    let mut other = elman();
    other.args(["train", "plant", "--resume", "--noise", "0.1", "--out"]).arg(place.path("legs"));
    finish(&mut other).fails(2, &["a run cannot go on with other settings (noise: 0.05 -> 0.1)"]);
}

/// The free run is what eval has too: half the squared error of the scaled outputs, summed over them, mean over the steps.
#[test]
fn a_run_is_looked_into_and_drawn() {
    let place = Place::new();
    finish(&mut train(&place, "run", "--feed outputs")).ok();
    let dir = place.path("run").display().to_string();
    let report = object(run(["inspect", &dir, "--json", "--length", "799", "--threads", "1"]));
    let page = String::from_utf8(place.read("run/inspect/report.html")).unwrap();
    for word in ["two-by-two", "half", "input 0", "target 1", "output from targets, at once", "jordan"] {
        assert!(page.contains(word), "{word}");
    }
    assert!(!page.contains("NaN") && page.len() < 3_000_000);
    let trained = report["trained"]["half_squared_error"].as_f64().unwrap();
    let untrained = report["untrained"]["half_squared_error"].as_f64().unwrap();
    assert!(trained > 0.0 && trained < 0.5 * untrained, "{trained} and {untrained}");
    let file = place.path("states.npz").display().to_string();
    let exported = object(run(["inspect", &dir, "--json", "--export", &file]));
    assert_eq!(exported["steps"], 799);
    let arrays: Vec<&str> = exported["arrays"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(arrays.contains(&"layers.0.y") && !arrays.contains(&"ids"), "{arrays:?}");

    let graph = run(["unroll", &dir, "--length", "3"]).ok().out;
    assert!(graph.contains("jordan:output-activation=identity unrolled, parallel form (free running)"), "{graph}");
    let graph = run(["unroll", &dir, "--feed", "targets"]).ok().out;
    assert!(graph.contains("series-parallel form (teacher forcing)") && graph.contains("y_4"), "{graph}");
}

#[test]
fn ctrl_c_saves_and_the_run_goes_on() {
    let place = Place::new();
    let mut child =
        train(&place, "run", "--steps 100000000").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !place.path("run/checkpoint.safetensors").exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let status = child.wait().unwrap();
    let mut err = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut err).unwrap();
    assert_eq!(status.code(), Some(130), "{err}");
    assert!(err.contains("stopped and saved at step") && err.contains("elman train plant --out"), "{err}");
    let dir = place.path("run").display().to_string();
    let scored = run(["eval", &dir]).ok().out;
    assert!(scored.contains("free run"), "{scored}");
    let step = err.split("stopped and saved at step ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    let last = step.parse::<u64>().unwrap() + 9;
    let report = run(["train", "plant", "--resume", "--json", "--out", &dir, "--steps", &last.to_string()]);
    assert!(report.err.contains(&format!("going on after step {step}")), "{report:?}");
    let report = object(report);
    assert_eq!((&report["step"], &report["steps"]), (&last.into(), &9.into()));
}

#[test]
fn wrong_use_is_one_clear_line() {
    let place = Place::new();
    let fails = |extra: &str, words: &[&str]| finish(&mut train(&place, "wrong", extra)).fails(2, words);
    fails("--cell lstm", &["cell: `lstm` carries h, c; a plant's network carries its output alone, such as `jordan`"]);
    fails("--cell elman", &["`elman` gives an output of 16 numbers, and the plant has 2", "jordan"]);
    fails("--cell jordan:zoneout=0.2", &["cell: cell `jordan:zoneout=0.2` draws at every step", "without zoneout"]);
    fails("--plant model-tow", &["unknown plant `model-tow`; did you mean `model-two`?"]);
    fails("--noise -1", &["`noise` is -1; it must be a number from 0 to 1000"]);
    fails("--cell irnn", &["`irnn` is a cell with its initialisation, for which this task has no settings"]);
    fails("--feed none", &["unknown feed `none`", "targets, outputs"]);
    fails("--samples 20", &["seq-len and samples", "a window must fit into every series"]);
    fails("--verbose", &["--verbose: it shows the vectors of language models"]);
    fails("--dropout 0.5", &["`dropout` is a setting of char-lm, and plant has none of this name"]);
    assert!(!place.path("wrong").exists(), "nothing is written before the settings are checked");
    let idle = finish(&mut train(&place, "idle", "--momentum 0.5 --feed outputs --chunk 3 --steps 1")).ok().err;
    for key in ["momentum", "chunk"] {
        assert!(idle.contains(&format!("--{key} changes nothing here: ")), "{idle}");
    }
    let mut exploding = train(&place, "exploding", "--lr 1000 --clip off");
    finish(&mut exploding)
        .fails(1, &["step 2: the loss explodes: that of the mean as prediction is 1", "--lr (now 1000)"]);

    let mut last = train(&place, "last", "--lr 1e30 --clip off --steps 1");
    finish(&mut last).fails(1, &["step 1: the held-out loss explodes: that of the mean", "begin a new run"]);

    // Commands for texts, and files that are none of its own.
    finish(&mut train(&place, "run", "")).ok();
    let dir = place.path("run").display().to_string();
    run(["unroll", &dir, "--layers", "2"]).fails(2, &["--layers: it is not for a plant's network"]);
    run(["inspect", &dir, "--data", "x.txt"]).fails(2, &["--data: `plant` makes its data"]);
    run(["inspect", &dir, "--length", "1"]).fails(2, &["--length: it is 1, and there are 799 steps"]);
    run(["sample", &dir]).fails(
        2,
        &["run/model.safetensors: a model of numbers, not of characters or words; `elman eval` scores its run"],
    );
    run(["eval", &dir, "--data", "x.txt"]).fails(2, &["--data: `plant` makes its data from the run's settings"]);
    run(["eval", &dir, "--weights", "int8"]).fails(2, &["--weights: "]);
    let bytes = place.read("run/model.safetensors");
    place.write("run/model.safetensors", &bytes[..bytes.len() - 9]);
    run(["eval", &dir]).fails(2, &["run/model.safetensors", "damaged"]);
    finish(&mut place.train("text")).ok();
    std::fs::copy(place.path("text/model.safetensors"), place.path("run/model.safetensors")).unwrap();
    run(["eval", &dir]).fails(2, &["run/model.safetensors: it is no model of a plant"]);
}
