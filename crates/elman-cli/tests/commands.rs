//! What each command prints when all is well.

mod common;

use common::{Place, elman, finish, run};
use elman_core::engine::Bf16Kernel;
use serde_json::Value;
use std::io::{Read, Write};
use std::process::Stdio;

#[track_caller]
fn object(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "{text}");
    let value: Value = serde_json::from_str(text).unwrap();
    assert!(value.is_object());
    value
}

#[test]
fn train_eval_and_sample_agree() {
    let place = Place::new();
    let trained = finish(place.train("run").args(["--json", "--set", "eval-every=10"])).ok();
    let trained = object(&trained.out);
    let dir = place.path("run").display().to_string();
    let scored = object(&run(["eval", &dir, "--json"]).ok().out);
    // The last tenth of 3000 characters; the first is given.
    assert_eq!(scored["tokens"], 299);
    for key in ["task", "tokens", "nats", "bits", "perplexity"] {
        assert_eq!(scored[key], trained[key], "{key}");
    }
    let nats = scored["nats"].as_f64().unwrap();
    // Definitions, in f64.
    assert!((scored["bits"].as_f64().unwrap() - nats / std::f64::consts::LN_2).abs() < 1e-12);
    assert!((scored["perplexity"].as_f64().unwrap() / nats.exp() - 1.0).abs() < 1e-12);
    assert!(nats > 0.0 && nats < 3.3, "{nats}");
    let lines = String::from_utf8(place.read("run/metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["held_out_whole"], scored["nats"]);

    // The whole text in any number of threads, the best model, and text for people.
    let eval = |extra: &[&str]| {
        let mut command = elman();
        command.args(["eval", &dir, "--json", "--data"]).arg(place.path("text.txt"));
        object(&finish(command.args(extra)).ok().out)
    };
    assert_eq!(eval(&[])["tokens"], 2999);
    assert_eq!(eval(&[])["nats"], eval(&["--threads", "3"])["nats"]);
    assert_eq!(eval(&["--weights", "full"]), eval(&[]));
    for format in ["bf16", "int8"] {
        let compressed = eval(&["--weights", format]);
        assert_eq!(compressed["weights"], format);
        let difference = compressed["nats"].as_f64().unwrap() - eval(&[])["nats"].as_f64().unwrap();
        assert!(difference != 0.0 && difference.abs() < 0.01, "{format}: {difference} nats");
    }
    let text = run(["eval", &dir]).ok().out;
    assert!(text.contains("nats") && text.contains("bits") && text.contains("(299 predictions)"), "{text}");
}

/// A rate at which training soon leaves what it had found.
#[test]
fn the_best_model_is_that_of_the_lowest_score() {
    let place = Place::new();
    finish(place.train("run").args("--steps 60 --eval-every 5 --lr 0.3 --eval-size 100000".split(' '))).ok();
    let dir = place.path("run").display().to_string();
    let lines = String::from_utf8(place.read("run/metrics.jsonl")).unwrap();
    let scores = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let scores: Vec<f64> = scores.filter_map(|line| line["held_out"].as_f64()).collect();
    assert_eq!(scores.len(), 12);
    let lowest = scores.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(scores[11] > lowest + 0.01, "the last score is not the lowest: {scores:?}");
    let nats = |extra: &[&str]| {
        let report = object(&finish(elman().args(["eval", &dir, "--json"]).args(extra)).ok().out);
        report["nats"].as_f64().unwrap()
    };
    assert_eq!((nats(&["--best"]), nats(&[])), (lowest, scores[11]));
    let sample = |extra: &[&str]| object(&finish(elman().args(["sample", &dir, "--json"]).args(extra)).ok().out);
    let (best, last) = (sample(&["--best"]), sample(&[]));
    assert!(best["model"].as_str().unwrap().ends_with("best.safetensors") && best["text"] != last["text"], "{best}");
    let file = place.path("run/model.safetensors").display().to_string();
    run(["sample", &file, "--best"]).fails(2, &["--best: it chooses between a run's models"]);
}

#[test]
fn a_run_directory_is_complete() {
    let place = Place::new();
    finish(place.train("run").args(["--set", "sample-every=10", "--set", "eval-every=10"])).ok();
    let names = place.names("run");
    let events: Vec<&String> = names.iter().filter(|n| n.starts_with("events.out.tfevents.")).collect();
    assert_eq!(events.len(), 1);
    for name in [
        "best.safetensors",
        "checkpoint.safetensors",
        "config.toml",
        "metrics.jsonl",
        "model.safetensors",
        "plots",
        "samples.txt",
        "vocabulary.json",
    ] {
        assert!(names.iter().any(|n| n == name), "{name} of {names:?}");
    }
    assert_eq!(names.len(), 9, "{names:?}");
    assert_eq!(place.names("run/plots"), ["loss.svg"]);
    let samples = String::from_utf8(place.read("run/samples.txt")).unwrap();
    assert!(samples.contains("---- after 10 steps ----") && samples.contains("---- after 20 steps ----"), "{samples}");
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    for line in [
        "hidden = 8",
        "# embedding = 8  # as hidden",
        "lr = 0.002",
        "clip = \"5\"",
        "cell = \"lstm\"",
        "steps = 20",
        "seed = 42",
    ] {
        assert!(config.lines().any(|l| l == line), "{line} of {config}");
    }
    // The configuration of a run makes the same run.
    let mut command = elman();
    command
        .args(["train", "char-lm", "--config"])
        .arg(place.path("run/config.toml"))
        .arg("--out")
        .arg(place.path("two"));
    finish(&mut command).ok();
    common::same(&place.path("run/model.safetensors"), &place.path("two/model.safetensors"));
}

/// The first step's loss is the same bits with recomputation, and its gradients' norm the same within rounding.
#[test]
fn recomputation_is_a_setting() {
    let place = Place::new();
    let step = |out: &str, extra: &[&str]| {
        finish(place.train(out).args(["--log-every", "1"]).args(extra)).ok();
        let lines = String::from_utf8(place.read(&format!("{out}/metrics.jsonl"))).unwrap();
        let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        (line["loss"].as_f64().unwrap(), line["gradient_norm"].as_f64().unwrap())
    };
    let all = step("all", &[]);
    for (way, out) in [("3", "three"), ("1GB", "budget")] {
        let some = step(out, &["--recompute", way]);
        assert_eq!(some.0, all.0, "{way}");
        // f32 sums of some hundred terms in another order.
        assert!((some.1 / all.1 - 1.0).abs() < 1e-5, "{way}: {some:?} {all:?}");
        let config = String::from_utf8(place.read(&format!("{out}/config.toml"))).unwrap();
        assert!(config.lines().any(|line| line == format!("recompute = \"{way}\"")), "{config}");
    }
    // A resumed run may choose another way, and says so.
    let resumed = finish(place.resume("three").args(["--steps", "21", "--recompute", "off"])).ok();
    assert!(resumed.err.contains("recompute: 3 -> off"), "{}", resumed.err);
}

/// bf16 where the processor has instructions for it; elsewhere a line, and f32. Either is recorded.
#[test]
fn mixed_precision_is_a_setting() {
    let place = Place::new();
    let plain = finish(&mut place.train("plain")).ok();
    assert!(!plain.err.contains("bf16"), "{}", plain.err);
    let mixed = finish(place.train("mixed").args(["--precision", "bf16"])).ok();
    let config = |out: &str| String::from_utf8(place.read(&format!("{out}/config.toml"))).unwrap();
    let has = |out: &str, line: &str| config(out).lines().any(|l| l.split("  #").next() == Some(line));
    assert!(has("plain", "precision = \"f32\"") && has("plain", "precision-ran = \"f32\""), "{}", config("plain"));
    assert!(has("mixed", "precision = \"bf16\""), "{}", config("mixed"));
    let told: Vec<&str> = mixed.err.lines().filter(|line| line.contains("asked for")).collect();
    let same = place.read("plain/model.safetensors") == place.read("mixed/model.safetensors");
    match Bf16Kernel::detect() {
        Ok(kernel) => {
            assert!(told.is_empty() && !same, "{told:?}");
            assert!(has("mixed", &format!("precision-ran = \"bf16 ({kernel})\"")), "{}", config("mixed"));
        }
        Err(reason) => {
            assert_eq!(told, [format!("precision: bf16 was asked for, but {reason}: f32 runs")]);
            assert!(same && has("mixed", "precision-ran = \"f32\""), "{}", config("mixed"));
        }
    }
    // On the same machine a resumed run has nothing to add.
    let resumed = finish(place.resume("mixed").args(["--steps", "21"])).ok();
    assert!(!resumed.err.contains("the steps so far"), "{}", resumed.err);
    // One that began on a machine with other instructions says so.
    let ran = config("mixed").lines().find(|line| line.starts_with("precision-ran")).unwrap().to_string();
    place.write("mixed/config.toml", config("mixed").replace(&ran, "precision-ran = \"bf16 (of old)\"").as_bytes());
    let resumed = finish(place.resume("mixed").args(["--steps", "22"])).ok();
    let told: Vec<&str> = resumed.err.lines().filter(|line| line.contains("ran in bf16 (of old)")).collect();
    assert_eq!(told.len(), 1, "{}", resumed.err);
    assert!(config("mixed").contains(&ran), "{}", config("mixed"));
}

#[test]
fn every_cell_trains_and_writes() {
    let place = Place::new();
    let cells = object(&run(["cells", "--json"]).ok().out);
    let listed = run(["cells"]).ok().out;
    for cell in cells["cells"].as_array().unwrap() {
        let name = cell["name"].as_str().unwrap();
        assert!(listed.lines().any(|line| line.split_whitespace().next() == Some(name)));
        finish(place.train(name).args(["--cell", name, "--set", "layers=2"])).ok();
        let dir = place.path(name).display().to_string();
        let text = run(["sample", &dir, "--length", "30"]).ok().out;
        assert!(text.trim_end_matches('\n').chars().count() >= 29, "{name}: {text:?}");
        run(["describe", name]).ok();
    }
    // What is no cell is listed too, and told where one is asked for.
    for network in cells["networks"].as_array().unwrap() {
        let name = network["name"].as_str().unwrap();
        assert!(listed.lines().any(|line| line.split_whitespace().next() == Some(name)));
        run(["describe", name]).fails(2, &["is no cell but", network["shown_by"].as_str().unwrap()]);
    }
}

#[test]
fn sampling_is_the_same_for_the_same_seed() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let dir = place.path("run").display().to_string();
    let sample = |extra: &[&str]| run(["sample", &dir, "--length", "200"].iter().chain(extra)).ok().out;
    assert_eq!(sample(&[]), sample(&["--seed", "1", "--temperature", "0.8"]));
    assert_eq!(sample(&[]), sample(&["--threads", "2"]));
    assert_eq!(sample(&[]), sample(&["--weights", "full"]));
    assert_eq!(sample(&["--weights", "int8"]).chars().count(), sample(&[]).chars().count());
    assert_ne!(sample(&[]), sample(&["--seed", "2"]));
    assert!(sample(&["--prompt", "naïve "]).starts_with("naïve "));
    assert_eq!(sample(&["--top-k", "1"]), sample(&["--temperature", "0"]));
    let json = object(&run(["sample", &dir, "--length", "7", "--prompt", "the", "--json"]).ok().out);
    assert_eq!(json["text"].as_str().unwrap().chars().count(), 7);
    assert_eq!(json["prompt"], "the");
    // A model file alone is enough.
    let model = place.path("run/model.safetensors").display().to_string();
    assert_eq!(run(["sample", &model, "--length", "200"]).ok().out, sample(&[]));
}

#[test]
fn characters_come_while_they_are_written() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let mut command = elman();
    command.arg("sample").arg(place.path("run")).args(["--length", "1000000000000"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut bytes = [0; 1000];
    let mut out = child.stdout.take().unwrap();
    // It would take days to write all: the first come at once.
    out.read_exact(&mut bytes).unwrap();
    // A reader that goes away is no error, and no message.
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn describe_prints_equations_latex_and_graphs() {
    let text = run(["describe", "lstm", "--hidden", "256", "--input", "65"]).ok().out;
    for word in ["Forward", "Backward", "weight_ih", "tanh", "σ"] {
        assert!(text.contains(word), "{word} of {text}");
    }
    // 4 H (I + H) weights and 4 H biases.
    assert!(text.replace(',', "").contains(&(4 * 256 * (65 + 256) + 4 * 256).to_string()), "{text}");
    assert!(run(["describe", "gru", "--latex"]).ok().out.contains("\\begin{align"));
    assert!(run(["describe", "gru", "--graph", "svg"]).ok().out.starts_with("<svg"));
    assert!(run(["describe", "gru", "--graph", "dot"]).ok().out.starts_with("digraph"));
    assert_ne!(run(["describe", "lstm", "--notation", "uts"]).ok().out, run(["describe", "lstm"]).ok().out);
}

#[test]
fn help_says_everything() {
    // Lines are folded where the text is.
    let help = run(["train", "--help"]).ok().out.split_whitespace().collect::<Vec<_>>().join(" ");
    let tasks = object(&run(["tasks", "--json"]).ok().out);
    for setting in tasks["tasks"].as_array().unwrap().iter().flat_map(|task| task["settings"].as_array().unwrap()) {
        let key = setting["key"].as_str().unwrap();
        assert!(help.contains(&format!("--{key} ")), "{key} of {help}");
    }
    for word in ["Examples", "[default: 0.002; plant: 0.01]", "[tasks: plant]", "--resume", "Ctrl-C"] {
        assert!(help.contains(word), "{word} of {help}");
    }
    for command in ["eval", "sample", "describe", "reproduce"] {
        assert!(run([command, "--help"]).ok().out.contains("Examples"), "{command}");
    }
    let all = run(["--help"]).ok().out;
    for word in ["train", "eval", "sample", "cells", "inits", "tasks", "describe", "reproduce", "Exit status"] {
        assert!(all.contains(word), "{word} of {all}");
    }
    assert!(run(["tasks"]).ok().out.starts_with("char-lm "));
    assert!(run(["--version"]).ok().out.starts_with("elman "));
    // Nothing asked: the help, as an error.
    assert_eq!(run([""; 0]).status, 2);
}

#[test]
fn quiet_is_quiet_and_progress_is_on_standard_error() {
    let place = Place::new();
    assert_eq!(finish(place.train("quiet").arg("--quiet")).ok().err, "");
    let outcome = finish(&mut place.train("loud")).ok();
    for word in ["step 20/20: ", "nats", "bits a character", "characters/s", "left", "unigram entropy"] {
        assert!(outcome.err.contains(word), "{word} of {}", outcome.err);
    }
    assert!(outcome.out.starts_with("held-out: "), "{}", outcome.out);
    // Plain lines: no control characters of a terminal.
    assert!(!outcome.err.contains('\u{1b}'));
}

#[test]
fn a_closed_standard_error_does_not_stop_a_run() {
    let place = Place::new();
    let mut command = place.train("run");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(out.starts_with("held-out: "), "{out}");
    let _ = std::io::stdout().flush();
}
