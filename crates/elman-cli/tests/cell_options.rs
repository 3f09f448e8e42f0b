//! Cells with options, as a user runs them.

mod common;

use common::{Place, finish, run};

const ZONED: &str = "lstm:zoneout=0.1,zoneout-cell=0.3";

/// Zoneout is drawn while training, resumed to the bit, and at its mean afterwards.
#[test]
fn zoneout_trains_resumes_and_streams() {
    let place = Place::new();
    finish(place.train("plain").args(["--cell", "lstm"])).ok();
    finish(place.train("run").args(["--cell", " lstm: zoneout=0.1, zoneout-cell=0.3"])).ok();
    finish(place.train("whole").args(["--cell", ZONED, "--steps", "30"])).ok();
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    assert!(config.contains(&format!("cell = \"{ZONED}\"")), "{config}");
    assert!(place.read("run/model.safetensors") != place.read("plain/model.safetensors"));
    finish(place.resume("run").args(["--cell", "lstm:zoneout=0.2"])).fails(2, &["cell: ", "lstm:zoneout=0.2"]);
    finish(place.resume("run").args(["--steps", "30"])).ok();
    common::same(&place.path("run/model.safetensors"), &place.path("whole/model.safetensors"));
    let dir = place.path("run").display().to_string();
    let score = run(["eval", &dir]).ok().out;
    assert!(score.contains("nats") && score == run(["eval", &dir]).ok().out);
    run(["sample", &dir, "--length", "9", "--prompt", "the"]).ok();
    let looked = run(["inspect", &dir, "--length", "150", "--threads", "1"]).ok().out;
    assert!(looked.contains("gate f of layer 0: shut"), "{looked}");
}

#[test]
fn options_of_every_kind_train_and_are_described() {
    let place = Place::new();
    for (k, cell) in ["elman:activation=relu,bias=off", "leaky-fixed:alpha=0.3", "jordan:output-activation=identity"]
        .into_iter()
        .enumerate()
    {
        let done = finish(place.train(&format!("run{k}")).args(["--cell", cell])).ok();
        assert!(done.err.contains(&format!("1 x {cell} of 8 units")), "{}", done.err);
        run(["eval", &place.path(&format!("run{k}")).display().to_string()]).ok();
    }
    let text = run(["describe", "elman:activation=relu,bias=off"]).ok().out;
    assert!(text.contains("relu(W_hx x_t + W_hh h_{t-1})"), "{text}");
    // What is described is a cell again.
    place.write("own.cell", text.as_bytes());
    let own = place.path("own.cell").display().to_string();
    assert_eq!(run(["describe", &own]).ok().out, text);
    // By the name under which it was asked for; a name that stands for a cell with its initialisation is its cell.
    assert!(
        run(["describe", "lstm-noaf"])
            .ok()
            .out
            .starts_with("lstm-noaf\n\nLong short-term memory with peepholes and no")
    );
    assert!(run(["describe", "irnn"]).ok().out.starts_with("elman-relu\n"));
    assert!(run(["unroll", "irnn:bias=off"]).ok().out.contains("elman-relu:bias=off 4"));
    run(["describe", "gru:bias=off", "--notation", "uts"]).fails(2, &["--notation uts", "a cell with options"]);
    let text = run(["describe", ZONED]).ok().out;
    assert!(text.starts_with(&format!("{ZONED}\n")), "{text}");
}

/// A cell with its initialisation takes options too.
#[test]
fn presets_take_options() {
    let place = Place::new();
    finish(place.train("run").args(["--cell", "irnn:bias=off"])).ok();
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    assert!(
        config.contains("cell = \"elman-relu:bias=off\"") && config.contains("init-recurrent = \"identity\""),
        "{config}"
    );
}

#[test]
fn wrong_options_are_told() {
    let place = Place::new();
    for (cell, words) in [
        ("lstm:zoneout=1.5", "zoneout is 1.5; it must be from 0 to below 1"),
        ("gru:zoneout-cell=0.5", "`gru` has no option `zoneout-cell`; it has activation, bias, zoneout"),
        ("lstm:", "options are written `name:option=value,option=value`"),
        ("ltsm:bias=off", "unknown cell `ltsm`; did you mean `lstm"),
    ] {
        run(["describe", cell]).fails(2, &[words]);
        finish(place.train("run").args(["--cell", cell])).fails(2, &["--cell: ", words]);
    }
    assert!(!place.path("run").exists());
}
