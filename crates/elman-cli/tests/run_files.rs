//! What stays of a run when others touch its files, or the same run is asked for again.

mod common;

use common::{Place, elman, finish};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn config(place: &Place, run: &str) -> String {
    String::from_utf8(place.read(&format!("{run}/config.toml"))).unwrap()
}

/// A new run with a former one's configuration and more.
fn like(place: &Place, former: &str, out: &str, more: &str) -> Command {
    let mut command = elman();
    command.args(["train", "char-lm", "--config"]).arg(place.path(former).join("config.toml"));
    command.arg("--out").arg(place.path(out)).args(more.split_whitespace());
    command
}

#[test]
fn two_processes_do_not_write_one_run() {
    let place = Place::new();
    let mut first = place.train("run");
    let mut first = first.args(["--steps", "100000000"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !place.path("run/model.safetensors").exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut second = place.resume("run");
    finish(&mut second).fails(2, &["run/metrics.jsonl: another process is writing this run"]);
    first.kill().unwrap();
    first.wait().unwrap();
    // A dead process holds nothing.
    finish(place.resume("run").args(["--steps", "100000000", "--set", "lr=1e30"])).fails(1, &["a lower --lr (now 1"]);
}

#[test]
fn a_log_that_was_cut_or_altered_does_not_stop_a_run() {
    let place = Place::new();
    let train = |out: &str| finish(place.train(out).args(["--log-every", "1"])).ok();
    train("cut");
    let lines = String::from_utf8(place.read("cut/metrics.jsonl")).unwrap();
    let third = lines.match_indices('\n').nth(2).unwrap().0 + 1;
    place.write("cut/metrics.jsonl", &lines.as_bytes()[..third + 9]);
    finish(place.resume("cut").args(["--steps", "24"])).ok();
    let after = String::from_utf8(place.read("cut/metrics.jsonl")).unwrap();
    assert!(after.starts_with(&lines[..third]), "{after}");
    let steps: Vec<u64> =
        after.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 2, 3, 21, 22, 23, 24, 24]);

    train("altered");
    let mut bytes = place.read("altered/metrics.jsonl");
    bytes[..5].fill(0);
    place.write("altered/metrics.jsonl", &bytes);
    let err = finish(place.resume("altered").args(["--steps", "24"])).ok().err;
    assert!(
        err.contains("metrics.jsonl: line 1 is no measurement") && err.contains("the picture is left out"),
        "{err}"
    );
}

#[test]
fn what_follows_another_setting_follows_it_in_the_next_run() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    finish(&mut like(&place, "run", "wide", "--hidden 12 --seq-len 4")).ok();
    let wide = config(&place, "wide");
    for line in ["hidden = 12", "# embedding = 12  # as hidden", "seq-len = 4", "# stride = 4  # as seq-len"] {
        assert!(wide.lines().any(|l| l == line), "{line} of {wide}");
    }
    // One that was given a value of its own keeps it.
    finish(place.train("own").args(["--embedding", "5"])).ok();
    finish(&mut like(&place, "own", "other", "--hidden 12")).ok();
    assert!(config(&place, "other").lines().any(|l| l == "embedding = 5"));
    let words = ["a run cannot go on with other settings (", "seq-len: 8 -> 4"];
    finish(place.resume("run").args(["--seq-len", "4"])).fails(2, &words);
}

#[test]
fn config_toml_says_what_the_steps_were_made_with() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let before = config(&place, "run");
    finish(place.resume("run").args(["--steps", "10"])).fails(2, &["run: the run has made 20 steps already", "not 10"]);
    finish(place.resume("run").args(["--lr", "5"])).ok();
    assert_eq!(config(&place, "run"), before);
    finish(place.resume("run").args(["--lr", "0.003", "--steps", "21"])).ok();
    assert!(config(&place, "run").contains("\nlr = 0.003\n"));
}

#[test]
fn one_thing_is_said_once_and_not_empty() {
    let place = Place::new();
    finish(place.train("run").args(["--epochs", "1"])).fails(2, &["--steps and --epochs", "leave one out"]);
    let both = place.write("both.toml", b"steps = 3\nepochs = 1\n");
    let mut command = elman();
    command.args(["train", "char-lm", "--config"]).arg(both).arg("--out").arg(place.path("run"));
    finish(&mut command).fails(2, &["both.toml: it has `steps` and `epochs`; leave one out"]);
    let mut command = elman();
    command.args(["train", "char-lm", "--data", "", "--steps", "1", "--out"]).arg(place.path("run"));
    finish(&mut command).fails(2, &["--data: it is empty"]);
    let words = ["`seed` is 18446744073709551615", "at most 9223372036854775807"];
    finish(place.train("run").args(["--seed", "18446744073709551615"])).fails(2, &words);
    assert!(!place.path("run").exists());

    // A text of one symbol has no entropy to take a share of.
    place.write("one.txt", "a".repeat(2000).as_bytes());
    let out = finish(&mut place.train_on("one.txt", "one")).ok();
    assert!(out.out.contains("the text has one character only") && !out.out.contains("NaN"), "{out:?}");
    assert!(out.err.contains("unigram entropy 0.000 nats"), "{out:?}");
    place.write("lines.txt", b"\n\n\n\n");
    let mut command = elman();
    command.args(["train", "word-lm", "--min-count", "1", "--held-out", "0", "--data"]).arg(place.path("lines.txt"));
    finish(command.arg("--out").arg(place.path("lines"))).fails(2, &["it has no word, only ends of lines"]);
}

/// A sweep of seeds in the background: everyone has a directory of its own.
#[test]
fn runs_that_begin_together_do_not_share_a_directory() {
    let place = Place::new();
    place.write("a.txt", common::text(3000).as_bytes());
    let begin = |seed: usize| {
        let mut command = elman();
        command.current_dir(place.path("."));
        command.args("train char-lm --data a.txt --hidden 4 --batch 2 --seq-len 5 --steps 3 -q --seed".split(' '));
        command.arg(seed.to_string()).stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let runs: Vec<_> = (1..=6).map(begin).collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    for number in 1..=6 {
        let config = std::fs::read_to_string(place.path(&format!("runs/char-lm-{number}/config.toml"))).unwrap();
        assert!(config.contains("steps = 3"), "{config}");
    }
    // One that cannot begin leaves no directory behind.
    let mut command = elman();
    command.current_dir(place.path(".")).args(["train", "char-lm", "--data", "none.txt"]);
    finish(&mut command).fails(2, &["none.txt: there is no such file"]);
    assert!(!place.path("runs/char-lm-7").exists());
}

#[test]
fn a_trained_model_is_not_trained_anew_for_want_of_a_checkpoint() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let model = std::fs::read(place.path("run/model.safetensors")).unwrap();
    std::fs::remove_file(place.path("run/checkpoint.safetensors")).unwrap();
    finish(place.resume("run").args(["--steps", "1000"]))
        .fails(2, &["run/checkpoint.safetensors: it is missing, and there is a trained model", "another --out"]);
    assert_eq!(std::fs::read(place.path("run/model.safetensors")).unwrap(), model);
}

#[test]
fn a_run_without_a_model_says_how_to_get_one() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    for file in ["model.safetensors", "best.safetensors", "checkpoint.safetensors"] {
        std::fs::remove_file(place.path("run").join(file)).unwrap();
    }
    for command in ["eval", "sample", "inspect"] {
        let mut command = [command].iter().fold(elman(), |mut all, word| {
            all.arg(word);
            all
        });
        finish(command.arg(place.path("run"))).fails(2, &["the run has no model yet", "--resume`"]);
    }
}

#[test]
fn a_text_that_has_moved_is_told_with_the_way_on() {
    let place = Place::new();
    place.write("a.txt", common::text(3000).as_bytes());
    finish(&mut place.train_on("a.txt", "run")).ok();
    std::fs::rename(place.path("a.txt"), place.path("b.txt")).unwrap();
    let words = ["a.txt: there is no such file; bring the run's text back", "--data"];
    finish(elman().arg("eval").arg(place.path("run"))).fails(2, &words);
    finish(elman().arg("inspect").arg(place.path("run"))).fails(2, &words);
    let mut resume = place.resume("run");
    finish(&mut resume).fails(2, &words);
    finish(place.resume("run").arg("--data").arg(place.path("b.txt"))).ok();
}

#[test]
fn numbers_of_threads_have_a_limit() {
    for command in [["eval", "x"], ["sample", "x"], ["inspect", "x"], ["reproduce", "adding"]] {
        for threads in ["1025", "-1", "18446744073709551616"] {
            let outcome = finish(elman().args(command).args(["--threads", threads]));
            assert_eq!(outcome.status, 2, "{outcome:#?}");
            assert!(outcome.err.contains("from 0 to 1024"), "{outcome:#?}");
        }
    }
}
