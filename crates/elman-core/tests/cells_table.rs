//! docs/cells.md is the registry, printed: this test writes what it should be and compares.
//!
//! `ELMAN_WRITE_DOCS=1 cargo test --release -p elman-core --test cells_table` brings the file up to date.

use elman_core::{Layer, Sizes, cells, options};
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "# Cells

Every cell of the registry. `elman describe NAME` prints its equations forward and backward, shapes, parameters and operations from the code
that runs; `elman train char-lm --cell NAME` trains it. Widths: I input, H hidden, P output (`--output`). A prime marks the step before.
This file is written by `crates/elman-core/tests/cells_table.rs`.

| name | what it is | carried | parameters at I = H = P = 100 | source | equations and differences |
| --- | --- | --- | --- | --- | --- |
";

const OPTIONS: &str = "
## Options

They stand behind a cell's name wherever one is named, as in `--cell leaky-fixed:alpha=0.3,bias=off`; `elman cells` lists them too. Where a cell
is not compiled with its activation (`elman`, `jordan`, `output-feedback` and `lstm-peephole` are), one that is given runs as a cell from a text does. `activation` is of
every tanh of the hidden state: in `residual-output-gate` and `lstm-output-feedback` of what is let in and of what is let out.

| option | of | values | without it | what | example |
| --- | --- | --- | --- | --- | --- |
";

fn options_table() -> String {
    let mut out = OPTIONS.to_string();
    for option in options::OPTIONS {
        let cell = cells::REGISTRY.iter().find(|cell| option.is_of(cell)).unwrap();
        let example = format!("{}:{}", cell.name, option.example(cell.name).unwrap().given);
        let values = [option.of(), option.values.words(), option.default.to_string(), option.meaning.to_string()];
        writeln!(out, "| `{}` | {} | `{example}` |", option.name, values.join(" | ")).unwrap();
    }
    out
}

fn table() -> String {
    let mut out = HEAD.to_string();
    for entry in cells::REGISTRY {
        let cell = (entry.make)();
        let spec = cell.spec();
        let one_line = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let doc: String = spec.doc.lines().map(|l| format!("{}\n", l.trim())).collect();
        let (summary, rest) = doc.trim().split_once("\n\n").unwrap_or((doc.trim(), ""));
        let count = Layer::new(cell.clone(), Sizes::new(100, 100)).unwrap().parameter_count();
        let carry = spec.carry.join(", ");
        let (summary, rest) = (one_line(summary), one_line(rest));
        writeln!(out, "| `{}` | {summary} | {carry} | {count} | {} | {rest} |", entry.name, spec.source).unwrap();
    }
    out + &options_table()
}

#[test]
fn the_table_of_cells_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cells.md");
    let want = table();
    if std::env::var_os("ELMAN_WRITE_DOCS").is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == want, "docs/cells.md is not what the registry says: see the head of {}", file!());
}

#[test]
fn every_cell_names_its_source() {
    for entry in cells::REGISTRY {
        let cell = (entry.make)();
        let source = cell.spec().source;
        let dated = source
            .as_bytes()
            .windows(4)
            .any(|w| (w.starts_with(b"19") || w.starts_with(b"20")) && w.iter().all(u8::is_ascii_digit));
        assert!(
            dated || source.contains("deck"),
            "{}: the source names neither a paper with its year nor a deck",
            entry.name
        );
    }
}
