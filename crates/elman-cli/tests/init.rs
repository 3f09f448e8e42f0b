//! Parameters before training, and constraints on them, through the program.

mod common;

use common::{Place, finish, run, same};
use elman_run::Model;

fn config(place: &Place, out: &str) -> String {
    String::from_utf8(place.read(&format!("{out}/config.toml"))).unwrap()
}

#[track_caller]
fn has(config: &str, line: &str) {
    assert!(config.lines().any(|l| l == line), "{line} of {config}");
}

#[test]
fn a_preset_is_a_cell_and_its_initialisation() {
    let place = Place::new();
    finish(place.train("irnn").args(["--cell", "irnn"])).ok();
    let written = config(&place, "irnn");
    for line in
        ["cell = \"elman-relu\"", "init-recurrent = \"identity\"", "init-bias = \"zeros\"", "init-input = \"uniform\""]
    {
        has(&written, line);
    }
    finish(place.train("long").args("--cell elman-relu --init-recurrent identity --init-bias zeros".split(' '))).ok();
    same(&place.path("irnn/model.safetensors"), &place.path("long/model.safetensors"));
    // What is said beside a preset counts; so does a run that goes on, with its preset said again or not.
    finish(place.train("other").args("--cell irnn --init-recurrent orthogonal".split(' '))).ok();
    has(&config(&place, "other"), "init-recurrent = \"orthogonal\"");
    finish(place.resume("irnn").args(["--steps", "22", "--cell", "irnn"])).ok();
    finish(place.resume("long").args(["--steps", "22"])).ok();
    same(&place.path("irnn/model.safetensors"), &place.path("long/model.safetensors"));
    finish(place.resume("irnn").args(["--steps", "24", "--init-recurrent", "zeros"]))
        .fails(2, &["init-recurrent: identity -> zeros"]);
}

#[test]
fn initialisers_are_what_they_say_before_the_first_step() {
    let place = Place::new();
    // A learning rate so small that one step changes no weight by more than 1e-12.
    let choice = "--hidden 8 --steps 1 --lr 1e-12 --init-input glorot-uniform --init-recurrent identity --init-bias zeros --forget-bias 1";
    finish(place.train("run").args(choice.split(' '))).ok();
    let model = Model::load(place.path("run/model.safetensors")).unwrap();
    let tensor = |name: &str| model.tensors().into_iter().find(|t| t.name == name).unwrap().values;
    for (i, &w) in tensor("rnn.weight_hh_l0").iter().enumerate() {
        let wanted = f32::from(i / 8 % 8 == i % 8);
        assert!((w - wanted).abs() < 1e-9, "{i}: {w}");
    }
    for (i, &b) in tensor("rnn.bias_ih_l0").iter().enumerate() {
        // i, f, g, o.
        assert!((b - f32::from(i / 8 == 1)).abs() < 1e-9, "{i}: {b}");
    }
    // Glorot's bound for a gate of 8 x 8; the default's is 1/√8 = 0.354.
    let largest = tensor("rnn.weight_ih_l0").iter().fold(0.0f32, |m, w| m.max(w.abs()));
    assert!((0.5..=(6.0f32 / 16.0).sqrt()).contains(&largest), "{largest}");
}

#[test]
fn rows_stay_within_their_norm() {
    let place = Place::new();
    finish(place.train("run").args("--max-norm 0.25 --lr 0.05".split(' '))).ok();
    finish(place.train("free").args("--lr 0.05".split(' '))).ok();
    let longest = |out: &str, name: &str| {
        let model = Model::load(place.path(out).join("model.safetensors")).unwrap();
        let tensor = model.tensors().into_iter().find(|t| t.name == name).unwrap();
        let norm = |row: &[f32]| row.iter().map(|w| w * w).sum::<f32>().sqrt();
        tensor.values.chunks(tensor.shape[1]).map(norm).fold(0.0, f32::max)
    };
    for name in ["rnn.weight_ih_l0", "rnn.weight_hh_l0"] {
        // f32 rounding of a norm.
        assert!(longest("run", name) <= 0.25 + 1e-6 && longest("free", name) > 0.3, "{name}");
    }
    assert!(longest("run", "readout.weight") > 0.3, "the readout is free");
}

#[test]
fn the_list_has_every_name_and_the_table() {
    let text = run(["inits"]).ok().out;
    for word in
        ["identity-small", "normalised-positive-definite", "np-tanhRNN", "Talathi & Vartak 2015", "glorot-uniform"]
    {
        assert!(text.contains(word), "{word} of {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&run(["inits", "--json"]).ok().out).unwrap();
    let place = Place::new();
    for preset in json["presets"].as_array().unwrap() {
        let name = preset["name"].as_str().unwrap();
        finish(place.train(name).args(["--cell", name])).ok();
        has(&config(&place, name), &format!("init-recurrent = {}", preset["recurrent"]));
    }
    assert_eq!(json["presets"].as_array().unwrap().len(), 8);
    // The table's titles, in which the case of a letter tells two from each other.
    for (title, matrix) in [("IRNN", "\"identity\""), ("iRNN", "\"identity-small\"")] {
        finish(place.train(&format!("title-{title}")).args(["--cell", title])).ok();
        has(&config(&place, &format!("title-{title}")), &format!("init-recurrent = {matrix}"));
        run(["describe", title]).ok();
    }
}

#[test]
fn what_does_not_fit_is_told_before_anything_is_written() {
    let place = Place::new();
    let fails = |extra: &str, words: &[&str]| {
        finish(place.train("run").args(extra.split(' '))).fails(2, words);
        assert!(!place.path("run").exists());
    };
    fails(
        "--init-recurrent identiti",
        &["--init-recurrent: unknown init-recurrent `identiti`; did you mean `identity`?"],
    );
    fails("--cell gru --forget-bias 1", &["cell `gru` has no gate `f`"]);
    fails("--cell unit-feedback --init-recurrent identity", &["no recurrent matrix for `identity`"]);
    fails("--cell lstm-projected --output 3 --init-recurrent identity", &["needs square matrices", "8 x 3"]);
    fails("--init-input identity --embedding 5", &["needs square matrices", "weight_ih_l0", "8 x 5"]);
    fails("--forget-bias much", &["`forget-bias` is `much`; it must be `off` or a number"]);
    fails("--max-norm -1", &["`max-norm` is -1; it must be a number from 0"]);
}

#[test]
fn a_learned_initial_state_is_trained_resumed_and_streamed() {
    let place = Place::new();
    let learn = ["--learn-initial-state", "on", "--lr", "0.05", "--layers", "2"];
    finish(place.train("whole").args(learn)).ok();
    // Twenty steps do not read the text to its end: only the first one begins it and teaches the state.
    let model = Model::load(place.path("whole/model.safetensors")).unwrap();
    for k in 0..2 {
        let state = model.initial_state(k).unwrap();
        assert_eq!(state.len(), 2);
        assert!(state.iter().all(|s| s.len() == 8 && s.iter().all(|x| *x != 0.0)), "{state:?}");
    }
    // Stopped and resumed: the same bits. The final score is that of a stream from this state.
    finish(place.train("parts").args(learn).args(["--steps", "7"])).ok();
    finish(place.resume("parts").args(["--steps", "20"])).ok();
    same(&place.path("whole/model.safetensors"), &place.path("parts/model.safetensors"));
    finish(place.train("zero").args(["--lr", "0.05", "--layers", "2"])).ok();
    assert!(Model::load(place.path("zero/model.safetensors")).unwrap().initial_state(0).is_none());
    let sample = |out: &str| run(["sample", &place.path(out).display().to_string(), "--temperature", "0"]).ok().out;
    assert_eq!(sample("whole"), sample("parts"));
    finish(place.resume("whole").args(["--learn-initial-state", "off"])).fails(2, &["learn-initial-state: on -> off"]);
}
