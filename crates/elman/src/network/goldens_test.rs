//! Every network has golden files, and every golden file a network.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A network: its module, its type, and its files in `golden/networks`.
const NETWORKS: &[(&str, &str, &[&str])] = &[
    ("bidirectional", "Bidirectional", &["bidirectional-lstm", "bidirectional-sum"]),
    ("deep", "DeepRecurrent", &["deep", "deep-zero"]),
    ("dense", "Mlp", &["mlp"]),
    ("hopfield", "Hopfield", &["hopfield", "hopfield-hebbian", "hopfield-pseudo-inverse"]),
    ("language_model", "LanguageModel", &["language-model", "language-model-loss"]),
    ("modern_hopfield", "ModernHopfield", &["modern-hopfield"]),
    ("narx", "Narx", &["narx-series-parallel", "narx-parallel"]),
    ("output_fed", "OutputFed", &["output-fed", "output-fed-free-run"]),
    ("output_fed", "OutputFedModel", &["output-fed-system", "output-fed-system-parallel"]),
    ("rmlp", "Rmlp", &["rmlp", "rmlp-recurrent-output"]),
    ("second_order", "SecondOrder", &["second-order", "second-order-tokens"]),
    ("sequence", "SequenceNetwork", &["sequence-last", "sequence-every"]),
    ("stack", "Stack", &["stack", "stack-lengths", "stack-residual"]),
    ("system", "SequenceModel", &["system"]),
    ("tdnn", "Tdnn", &["tdnn", "tdnn-windows"]),
    ("tree", "Recursive", &["recursive-2", "recursive-sum"]),
    ("tree", "TreeLstm", &["tree-lstm-2", "tree-lstm-sum"]),
];

/// Public parts, and the network in whose files they are.
const PARTS: &[(&str, &str)] =
    &[("Dense", "Mlp"), ("Embedding", "LanguageModel"), ("Readout", "LanguageModel"), ("TdnnLayer", "Tdnn")];

/// Where the gradients of networks are checked that have no such test in their own module.
const CHECKED_IN: &[(&str, &str)] = &[("system", "rmlp_test.rs")];

/// Modules of networks that no gradient trains.
const NOT_TRAINED: &[(&str, &str)] = &[
    ("hopfield", "stores patterns by a rule"),
    ("modern_hopfield", "holds its patterns; its update is checked against its energy"),
];

/// Public modules without a network, and what they have.
const OTHERS: &[(&str, &str)] = &[
    ("error", "errors"),
    ("forcing", "the inputs of a language model while it trains, drawn at random"),
    ("readout", "the operation at the end of a language model, which is in that one's file"),
    ("series", "what was recorded of a system"),
];

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The sources under a folder: path and text, without this file.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if !path.ends_with("goldens_test.rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// The name that a piece of source begins with.
fn name(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
}

/// Public types that are modules, and those that implement one of the traits of networks.
fn types() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in sources(&folder("src/network")) {
        if path.ends_with("test.rs") || path.ends_with("/tests.rs") || path.ends_with("/testing.rs") {
            continue;
        }
        for rest in text.split("#[derive(Module").skip(1) {
            found.extend(rest.split("pub struct ").nth(1).map(|rest| name(rest).to_string()));
        }
        for line in text.lines().filter(|line| line.starts_with("impl")) {
            let Some((what, whose)) = line.split_once(" for ") else { continue };
            if ["Module", "Network", "SequenceMap", "SystemModel"].iter().any(|t| what.ends_with(&format!(" {t}"))) {
                found.insert(name(whose).to_string());
            }
        }
    }
    found
}

#[test]
fn every_public_module_is_listed() {
    let text = fs::read_to_string(folder("src/network/mod.rs")).unwrap();
    let public: BTreeSet<&str> = text.lines().filter_map(|l| Some(name(l.strip_prefix("pub mod ")?))).collect();
    let listed: BTreeSet<&str> = NETWORKS.iter().map(|n| n.0).chain(OTHERS.iter().map(|o| o.0)).collect();
    assert_eq!(public, listed, "the public modules of `network`, and those that are listed here");
    assert!(OTHERS.iter().all(|(module, _)| NETWORKS.iter().all(|n| n.0 != *module)));
}

#[test]
fn every_network_has_a_golden() {
    let found = types();
    assert!(found.len() > 15, "{found:?}");
    for name in &found {
        let network = NETWORKS.iter().any(|n| n.1 == name);
        assert!(network || PARTS.iter().any(|part| part.0 == name), "network `{name}` has no golden");
    }
    for (module, name, files) in NETWORKS {
        assert!(!files.is_empty(), "network `{name}` has no golden");
        let here = |path: &str| path.ends_with(&format!("/{module}.rs")) || path.contains(&format!("/{module}/"));
        let network = format!("pub struct {name}");
        let defined = sources(&folder("src/network")).iter().any(|(path, text)| here(path) && text.contains(&network));
        assert!(defined, "there is no network `{name}` in {module}");
    }
    for (part, whole) in PARTS {
        assert!(found.contains(*part) && NETWORKS.iter().any(|n| n.1 == *whole), "{part} of {whole}");
    }
}

/// Central differences in f64, see `gradient_check`.
#[test]
fn the_gradients_of_every_network_are_checked() {
    let sources = sources(&folder("src/network"));
    for (module, name, _) in NETWORKS {
        let excepted = NOT_TRAINED.iter().any(|(other, _)| other == module);
        let elsewhere = CHECKED_IN.iter().find(|(other, _)| other == module).map(|(_, file)| *file);
        let own = [format!("/{module}.rs"), format!("/{module}_test.rs"), format!("/{module}/")];
        let here = |path: &str| match elsewhere {
            Some(file) => path.ends_with(&format!("/{file}")),
            None => own.iter().any(|part| path.contains(part)),
        };
        let of_it = |text: &str| elsewhere.is_none() || text.contains(name);
        let checks = |text: &str| text.contains(" gradient_check(") || text.contains("gradient_check_with(");
        let checked = sources.iter().any(|(path, text)| here(path) && of_it(text) && checks(text));
        assert!(checked != excepted, "network `{name}`: gradients checked: {checked}, trained by them: {}", !excepted);
    }
    for (module, _) in CHECKED_IN.iter().chain(NOT_TRAINED) {
        assert!(NETWORKS.iter().any(|n| n.0 == *module), "there is no network in `{module}`");
    }
}

#[test]
fn every_network_stands_in_the_documents() {
    let table = fs::read_to_string(folder("../../docs/networks.md")).unwrap();
    for (_, name, _) in NETWORKS {
        let stands = [format!("`{name}`"), format!("::{name}`")].iter().any(|typed| table.contains(typed));
        assert!(stands, "`{name}` is missing in docs/networks.md");
    }
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        assert!(row.split(" | ").all(|column| !column.trim().is_empty()), "an empty column: {row}");
    }
}

#[test]
fn every_golden_belongs_to_a_network_and_is_read() {
    let mut files: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder("../../golden/networks")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        files.push(file.strip_suffix(".safetensors").unwrap_or_else(|| panic!("what is {file}?")).to_string());
    }
    files.sort();
    let mut listed: Vec<&str> = NETWORKS.iter().flat_map(|n| n.2).copied().collect();
    listed.sort_unstable();
    assert_eq!(files, listed, "files of golden/networks, and those of the networks listed here");
    let sources = sources(&folder("src/network"));
    for file in files {
        let read = [format!("\"{file}\""), format!("/{file}.safetensors\"")];
        let is_read = sources.iter().any(|(_, text)| read.iter().any(|name| text.contains(name)));
        assert!(is_read, "no test reads golden/networks/{file}.safetensors");
    }
}
