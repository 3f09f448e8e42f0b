//! Cells from files of equations, as a user runs them.

mod common;

use common::{Outcome, Place, elman, finish, run};
use elman_run::TensorFile;
use std::path::Path;
use std::process::Command;

const MINE: &str = "mine
A leaky unit with a gate.
Forward
  z_t = sigmoid(W_zx x_t + W_zh h_{t-1} + b_z)
  h_t = (1 - z_t) * h_{t-1} + z_t * tanh(W_nx x_t + W_nh h_{t-1} + b_n)
";

/// A command in the place's folder, so that files need no path.
fn at(place: &Place, arguments: &[&str]) -> Outcome {
    let mut command = elman();
    finish(command.current_dir(place.path(".")).args(arguments))
}

fn trains(place: &Place, cell: &str, out: &str) -> Command {
    let mut command = place.train(out);
    command.current_dir(place.path(".")).args(["--cell", cell]);
    command
}

fn tensors(path: &Path) -> Vec<elman_run::Tensor> {
    TensorFile::read(path).unwrap().tensors
}

/// The description of a cell trains to the bits of the cell: two stages with a width of their own, normalisers, peepholes.
#[test]
fn a_description_trains_as_its_cell() {
    let place = Place::new();
    for name in ["lstm", "gru", "lstm-projected", "lstm-layer-norm"] {
        let text = run(["describe", name]).ok().out;
        place.write("own.cell", text.as_bytes());
        let more = ["--layers", "2", "--output", "5"];
        finish(trains(&place, name, &format!("{name}-built-in")).args(more)).ok();
        let own = finish(trains(&place, "own.cell", &format!("{name}-own")).args(more)).ok();
        assert!(own.err.contains(&format!("2 x {name} of 8 units")), "{}", own.err);
        let model = |way: &str| tensors(&place.path(&format!("{name}-{way}/model.safetensors")));
        assert_eq!(model("own"), model("built-in"), "{name}");
        // What is described from the file are the equations that were described before.
        let again = at(&place, &["describe", "own.cell"]).ok().out;
        let forward = |text: &str| text.split("\nBackward").next().map(str::to_string);
        assert_eq!(forward(&again), forward(&text));
    }
}

#[test]
fn a_run_needs_its_file_no_more() {
    let place = Place::new();
    place.write("mine.cell", MINE.as_bytes());
    finish(&mut trains(&place, "mine.cell", "run")).ok();
    finish(trains(&place, "./mine.cell", "whole").args(["--steps", "30"])).ok();
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    assert!(config.contains("z_t = sigmoid(W_zx x_t"), "{config}");

    // Other equations are another run, whatever the file is called.
    place.write("mine.cell", MINE.replace("tanh", "relu").as_bytes());
    let other = || place.resume("run");
    finish(other().current_dir(place.path(".")).args(["--cell", "mine.cell"]))
        .fails(2, &["a run cannot go on with other settings (cell: mine -> mine with other equations)"]);
    finish(other().args(["--cell", "gru"])).fails(2, &["cell: mine -> gru"]);

    std::fs::remove_file(place.path("mine.cell")).unwrap();
    finish(other().args(["--steps", "30"])).ok();
    assert_eq!(tensors(&place.path("run/model.safetensors")), tensors(&place.path("whole/model.safetensors")));
    let dir = place.path("run").display().to_string();
    assert!(run(["eval", &dir]).ok().out.contains("nats"));
    assert!(run(["eval", &dir, "--best"]).ok().out.contains("nats"));
    assert_eq!(
        run(["sample", &dir, "--length", "9", "--prompt", "the"]).ok().out.trim_end_matches('\n').chars().count(),
        12
    );
    let model = place.path("run/model.safetensors").display().to_string();
    run(["sample", &model, "--weights", "int8"]).ok();

    // The configuration alone makes the same run again.
    let mut command = elman();
    command.args(["train", "char-lm", "--quiet", "--config"]).arg(place.path("run/config.toml"));
    finish(command.arg("--out").arg(place.path("again"))).ok();
    common::same(&place.path("run/model.safetensors"), &place.path("again/model.safetensors"));
}

#[test]
fn describe_takes_a_file() {
    let place = Place::new();
    place.write("mine.cell", MINE.as_bytes());
    let text = at(&place, &["describe", "mine.cell", "--hidden", "8"]).ok().out;
    for line in ["mine", "  z_t = σ(W_zx x_t + W_zh h_{t-1} + b_z)", "  total 272"] {
        assert!(text.lines().any(|l| l == line), "{line:?} of\n{text}");
    }
    assert!(at(&place, &["describe", "./mine.cell", "--latex"]).ok().out.contains("\\begin{align*}"));
    assert!(at(&place, &["describe", "mine.cell", "--graph", "svg"]).ok().out.contains("<svg"));
    at(&place, &["describe", "mine.cell", "--notation", "oslo"])
        .fails(2, &["--notation oslo: ", "leave it out for a file"]);
    // The text of a description is a file, as it is.
    place.write("again.cell", text.as_bytes());
    assert_eq!(at(&place, &["describe", "again.cell", "--hidden", "8"]).ok().out, text);
}

#[test]
fn wrong_files_are_told_with_line_and_column() {
    let place = Place::new();
    let bad: &[(&str, &[u8], &str)] = &[
        (
            "empty.cell",
            b"",
            "empty.cell:1:1: the text is empty; write the cell's name, a line `Forward`, and equations below it",
        ),
        (
            "open.cell",
            b"a\nForward\n  h_t = tanh(W_h x_t\n",
            "open.cell:3:21: the bracket of line 3, column 13 is not closed",
        ),
        (
            "name.cell",
            b"a\r\nForward\r\n  h_t = tanh(W_h x_t) + q_t\r\n",
            "name.cell:3:25: unknown value `q_t`; there are `x_t`, `h_t`",
        ),
        ("latin1.cell", b"a\nForward\n  caf\xe9_t = 1\n", "latin1.cell:3:6: this is not UTF-8; save the file as UTF-8"),
        ("utf16.cell", b"\xff\xfea\0", "utf16.cell:1:4: a NUL byte stands here: this is a binary file or UTF-16"),
        ("binary.cell", &[0; 500], "binary.cell:1:1: a NUL byte stands here"),
        ("huge.cell", &[b' '; 300_000], "huge.cell:1:1: a cell's text has at most 262144 bytes"),
    ];
    for (name, content, message) in bad {
        place.write(name, content);
        finish(&mut trains(&place, name, "run")).fails(2, &[&format!("--cell: {message}")]);
        at(&place, &["describe", name]).fails(2, &[message]);
    }
    at(&place, &["describe", "none.cell"]).fails(2, &["none.cell: there is no such file; check the path"]);
    at(&place, &["describe", "./lstm"]).fails(2, &["./lstm: there is no such file"]);
    at(&place, &["describe", "./"]).fails(2, &["./: cannot be read", "directory"]);
    at(&place, &["describe", "ltsm"])
        .fails(2, &["unknown cell `ltsm`; did you mean `lstm`? A file of equations ends in `.cell`", "`./ltsm`"]);
    finish(&mut trains(&place, "transformer", "run"))
        .fails(2, &["--cell: unknown cell `transformer`; `elman cells` lists them"]);
    assert!(!place.path("run").exists());
}

/// The documentation's example is a file that is described and trained.
#[test]
fn the_documented_example_runs() {
    let docs = include_str!("../../../docs/own-cells.md");
    let example = docs.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let place = Place::new();
    place.write("decay.cell", example.as_bytes());
    let text = at(&place, &["describe", "decay.cell"]).ok().out;
    for parameter in ["weight_ih", "weight_hh", "bias_ih", "weight_p"] {
        assert!(
            text.lines().any(|line| line.trim_start().starts_with(&format!("{parameter} "))),
            "{parameter}\n{text}"
        );
    }
    finish(&mut trains(&place, "decay.cell", "run")).ok();
}
