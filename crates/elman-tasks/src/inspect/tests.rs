//! The page as a reader's program sees it, on a run that is trained for the purpose.

use super::*;
use crate::Silent;
use crate::tasks::{Override, Request};
use burn::module::Module;
use elman::network::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig, Target};
use std::sync::atomic::AtomicBool;

/// A small run in a folder of its own.
fn trained(settings: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    trained_for("char-lm", settings)
}

fn trained_for(task: &str, settings: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let text: String =
        (0..400).map(|i| format!("line {i} has (brackets {}) and \"quotes\" & <signs>\n", i % 7)).collect();
    std::fs::write(folder.path().join("text.txt"), text).unwrap();
    let out = folder.path().join("run");
    let data = folder.path().join("text.txt").display().to_string();
    let base = [
        ("data", data.as_str()),
        ("hidden", "8"),
        ("batch", "4"),
        ("seq-len", "16"),
        ("steps", "30"),
        ("threads", "1"),
    ];
    let set = |&(key, value): &(&str, &str)| Override { key: key.into(), value: value.into(), origin: String::new() };
    let overrides = base.iter().chain(settings).map(set).collect();
    let stop = AtomicBool::new(false);
    let request =
        Request { out: Some(out.clone()), resume: false, config: None, overrides, verbose: false, stop: &stop };
    tasks::train(tasks::find(task).unwrap(), request, &mut Silent).unwrap();
    (folder, out)
}

fn options<'a>(dir: &Path, stop: &'a Stop) -> Options<'a> {
    Options {
        dir: dir.into(),
        data: None,
        length: Some(200),
        lags: None,
        out: None,
        export: None,
        best: false,
        threads: 1,
        stop,
    }
}

static GO: AtomicBool = AtomicBool::new(false);

fn inspect(options: &Options) -> Result<Report, Error> {
    run(options, &mut |_| {})
}

/// Every opened element is closed in its order, every attribute is quoted, every `&` begins an entity. Gives the names of elements.
fn elements(page: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut names = Vec::new();
    let body = page.strip_prefix("<!DOCTYPE html>").expect("a document type");
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at], open.last().map(String::as_str));
        let end = rest[at..].find('>').expect("a tag ends") + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in its order");
            continue;
        }
        let name: String = tag.chars().take_while(|c| c.is_alphanumeric()).collect();
        assert!(!name.is_empty(), "<{tag}>");
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        names.push(name.clone());
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    names
}

fn check_text(text: &str, inside: Option<&str>) {
    assert!(!text.contains('>') || inside == Some("style"), "{text}");
    for (at, _) in text.match_indices('&') {
        let entity = text[at..].split(';').next().unwrap();
        assert!(["&amp", "&lt", "&gt", "&quot"].contains(&entity), "{}", &text[at..text.len().min(at + 20)]);
    }
}

fn count(names: &[String], name: &str) -> usize {
    names.iter().filter(|n| *n == name).count()
}

#[test]
fn the_page_is_whole_small_and_needs_nothing() {
    for (cell, layers, figures) in [("lstm", "2", 7), ("elman", "1", 4), ("gru", "1", 7), ("lstm-projected", "1", 6)] {
        let (_folder, dir) = trained(&[("cell", cell), ("layers", layers), ("output", "3")]);
        let report = inspect(&options(&dir, &GO)).unwrap();
        let page = std::fs::read_to_string(dir.join("inspect/report.html")).unwrap();
        assert!(page.len() < 3_000_000, "{} bytes", page.len());
        let elsewhere = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for word in ["http", "src=", "@import", "url(", "<script", "NaN", "inf\""] {
            assert!(!elsewhere.contains(word), "{cell}: {word}");
        }
        let names = elements(&page);
        assert_eq!(count(&names, "svg"), count(&names, "figure"), "{cell}");
        assert_eq!(count(&names, "figcaption"), count(&names, "figure"));
        assert!(count(&names, "figure") >= figures, "{cell}: {}", count(&names, "figure"));
        // The page's own title, and one for each figure.
        assert_eq!(count(&names, "title"), count(&names, "figure") + 1);
        assert_eq!(count(&names, "desc"), count(&names, "figure"));
        for part in page.split("<svg ").skip(1) {
            let id = part.split("aria-labelledby=\"").nth(1).unwrap().split('"').next().unwrap();
            for id in id.split(' ') {
                assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{cell}: {id}");
            }
            let text = part.split("<desc").nth(1).unwrap();
            assert!(text.split('>').nth(1).unwrap().len() > 30, "a text alternative says something");
        }
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.join("inspect/report.json")).unwrap()).unwrap();
        assert_eq!(json["cell"], cell);
        assert_eq!(json["steps"], 199);
        assert!(["vanishing", "healthy", "exploding"].contains(&json["verdict"].as_str().unwrap()));
        let maps = json["heat_maps"].as_array().unwrap();
        let gates = maps.iter().filter(|map| map["title"].as_str().unwrap().starts_with("Gate ")).count();
        assert_eq!(
            gates,
            layers.parse::<usize>().unwrap()
                * match cell {
                    "elman" => 0,
                    "gru" => 2,
                    _ => 3,
                }
        );
        for map in maps {
            let rows = map["rows"].as_array().unwrap();
            assert!(!rows.is_empty() && rows.iter().all(|row| row["values"].as_array().unwrap().len() == 100));
            assert_eq!(map["columns"].as_array().unwrap().len(), 100);
            assert!(page.contains(map["title"].as_str().unwrap()));
        }
        let shares = json["trained"]["gradient_by_parameter"][0]["shares"].as_array().unwrap();
        assert!((shares.iter().map(|s| s.as_f64().unwrap()).sum::<f64>() - 1.0).abs() < 1e-9);
        let unfolded = &json["unfolded"];
        assert!(unfolded["difference"].as_f64().unwrap() < 1e-12);
        for by in unfolded["by_parameter"].as_array().unwrap() {
            let shares = numbers(&by["shares"]);
            assert_eq!((shares.len(), by["norms"].as_array().unwrap().len()), (12, 12));
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{by}");
        }
        // The figure has a square for each matrix and copy, the table a row for each matrix, ended by the difference of both ways.
        let matrices = json["unfolded"]["by_parameter"].as_array().unwrap();
        let matrices: Vec<_> = matrices.iter().filter(|p| p["name"].as_str().unwrap().starts_with("weight")).collect();
        let section = page.split("<section id=\"unfolded\">").nth(1).unwrap();
        assert_eq!(section.matches("<rect class=\"h").count(), 12 * matrices.len(), "{cell}");
        for matrix in matrices {
            let found = row(section, matrix["name"].as_str().unwrap());
            assert_eq!(found.len(), 14, "{found:?}");
            assert_eq!(found[1], format!("{:.1} %", 100.0 * numbers(&matrix["shares"])[0]));
            assert_eq!(found[13], format!("{:.1e}", matrix["difference"].as_f64().unwrap()));
        }
        assert!(report.text.contains("report.html"), "{}", report.text);
        // The influence of 8 units on themselves: P = 8 (8 + 8 + 1) parameters.
        let rtrl = &json["measured_rtrl"];
        match (cell, layers) {
            ("elman", _) => assert!(rtrl["bytes"].as_f64().unwrap() >= 8.0 * 8.0 * 136.0, "{rtrl}"),
            (_, "2") => assert_eq!(rtrl["not_measured"], "it is for one layer"),
            _ => assert!(rtrl["steps"].as_u64().unwrap() > 0, "{cell}: {rtrl}"),
        }
        let cost = json["measured_costs"].as_array().unwrap().last().unwrap();
        assert!(cost["targets"].is_null(), "{cell}: {cost}");
        assert_eq!(row(&page, "inference")[6..8], ["O(1), O(T), O(T)", "O(1), O(T), O(T)"]);
        assert_eq!(row(&page, "full BPTT")[6..8], ["O(T), O(T), O(T)", "O(T), O(T), O(T)"]);
        let megabytes = |key: &str| format!("{:.2}", cost[key].as_u64().unwrap() as f64 / 1e6);
        assert_eq!(
            (&row(&page, "inference")[2], &row(&page, "full BPTT")[2]),
            (&megabytes("inference_bytes"), &megabytes("bptt_bytes"))
        );
        // For one layer.
        assert_eq!(row(&page, "RTRL")[8], if layers == "1" { "yes" } else { "no" }, "{cell}");
        assert!(cost["scan_seconds"].is_null() && cost["windows_seconds"].as_f64().unwrap() > 0.0, "{cost}");
        assert!(cost["window_bytes"].as_u64().unwrap() <= cost["bptt_bytes"].as_u64().unwrap(), "{cost}");
    }
}

/// The numbers of an array.
fn numbers(array: &serde_json::Value) -> Vec<f64> {
    array.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The cells of the table row that begins with a name.
fn row(page: &str, name: &str) -> Vec<String> {
    let begin = format!("<tr><td>{name}</td>");
    let row = page[page.find(&begin).unwrap_or_else(|| panic!("no row {name}"))..].split("</tr>").next().unwrap();
    row.split("</td>").filter_map(|cell| cell.rsplit('>').next()).map(String::from).filter(|c| !c.is_empty()).collect()
}

/// The page's fixed examples, measured as the network is.
#[test]
fn examples_stand_beside_the_verdict() {
    let (_folder, dir) = trained(&[("cell", "elman"), ("steps", "1")]);
    inspect(&options(&dir, &GO)).unwrap();
    let page = std::fs::read_to_string(dir.join("inspect/report.html")).unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("inspect/report.json")).unwrap()).unwrap();
    let section = page.split("<section id=\"product\">").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(section.contains("1.5^10 = 57.665 and 0.5^10 = 0.000977"), "{section}");
    let lecture = section.split("fig-lecture-desc\">").nth(1).unwrap();
    for line in lecture.split("<polyline").skip(1).take(2) {
        // A point for each of ten steps, on a straight line.
        let points = line.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let at: Vec<(f64, f64)> = points
            .split(' ')
            .map(|p| p.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap())
            .collect();
        assert_eq!(at.len(), 10);
        let slope = |i: usize| (at[i + 1].1 - at[i].1) / (at[i + 1].0 - at[i].0);
        assert!((0..9).all(|i| (slope(i) - slope(0)).abs() < 0.01), "{at:?}");
    }
    let examples = json["examples"].as_array().unwrap();
    let last = numbers(examples[0]["singular_values"].as_array().unwrap().last().unwrap());
    assert!((last[0] - 57.6650390625).abs() < 1e-9 && (last[1] - 0.0009765625).abs() < 1e-12, "{last:?}");
    for example in &examples[1..] {
        assert!(numbers(&example["matrix_singular_values"])[0] > 1.0 && example["verdict"] == "vanishing", "{example}");
        let last = numbers(example["singular_values"].as_array().unwrap().last().unwrap())[0];
        assert!(
            last < 1e-3 && section.contains(&format!("over 30 steps {}: vanishing", sections::number(last))),
            "{last}"
        );
    }
}

#[test]
fn a_linear_network_is_scanned() {
    let (_folder, dir) = trained(&[("cell", "min-gru")]);
    inspect(&options(&dir, &GO)).unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("inspect/report.json")).unwrap()).unwrap();
    let costs = json["measured_costs"].as_array().unwrap();
    assert!(costs.iter().all(|c| c["scan_seconds"].as_f64().unwrap() > 0.0));
    let bytes: Vec<u64> = costs.iter().map(|c| c["scan_bytes"].as_u64().unwrap()).collect();
    assert!(bytes.is_sorted_by(|a, b| a < b), "a scan's memory grows with the steps: {bytes:?}");
}

#[test]
fn a_network_that_feeds_back_its_output_takes_targets() {
    let (_folder, dir) = trained(&[("cell", "jordan"), ("output", "4")]);
    inspect(&options(&dir, &GO)).unwrap();
    let page = std::fs::read_to_string(dir.join("inspect/report.html")).unwrap();
    elements(&page);
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("inspect/report.json")).unwrap()).unwrap();
    let costs = json["measured_costs"].as_array().unwrap();
    let bytes = |k: usize, which: &str| costs[k]["targets"][which].as_u64().unwrap();
    let last = costs.len() - 1;
    assert!(bytes(last, "at_once_bytes") > bytes(0, "at_once_bytes"), "grows with the steps: {costs:?}");
    assert_eq!(bytes(last, "in_turn_bytes"), bytes(0, "in_turn_bytes"), "does not: {costs:?}");
    assert!(costs.iter().all(|c| c["targets"]["at_once_seconds"].as_f64().unwrap() > 0.0));
    for (name, key) in [("at once", "at_once_bytes"), ("in turn", "in_turn_bytes")] {
        let cells = row(&page, &format!("output from targets, {name}"));
        assert_eq!(
            (cells[2].as_str(), cells[7].as_str()),
            (format!("{:.2}", bytes(last, key) as f64 / 1e6).as_str(), "O(1), O(T), O(1)")
        );
    }
}

/// A state that is too large for all its directions, and matrices that are too large for eigenvalues.
#[test]
fn large_networks_are_estimated() {
    let (_folder, dir) = trained(&[("cell", "elman"), ("hidden", "520"), ("embedding", "4"), ("steps", "1")]);
    inspect(&Options { length: Some(30), threads: 0, ..options(&dir, &GO) }).unwrap();
    let page = std::fs::read_to_string(dir.join("inspect/report.html")).unwrap();
    elements(&page);
    assert!(page.contains("128 directions were drawn") && page.contains("no recurrent matrix of at most 512"));
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("inspect/report.json")).unwrap()).unwrap();
    assert_eq!(json["trained"]["jacobian_product"]["rows_of_a_sample"], 128);
    assert_ne!(json["verdict"], "unknown");
}

/// The network before training is the one that training began with: a step of no size leaves it.
#[test]
fn the_network_before_training_is_the_runs_own() {
    for settings in [
        vec![("cell", "lstm"), ("layers", "2"), ("forget-bias", "1.5"), ("init-recurrent", "orthogonal")],
        vec![("cell", "elman-relu"), ("init-bias", "zeros"), ("init-input", "glorot-normal"), ("seed", "7")],
    ] {
        // A rate that rounds to nothing beside any parameter.
        let settings: Vec<(&str, &str)> = settings.into_iter().chain([("steps", "1"), ("lr", "1e-40")]).collect();
        let (_folder, dir) = trained(&settings);
        let (_, evaluation) = tasks::open(&dir, &GO).unwrap();
        let model = Model::load(evaluation.dir.model()).unwrap();
        let before = network::untrained(&model, &evaluation.settings).unwrap();
        for (found, want) in before.tensors().iter().zip(model.tensors()) {
            assert_eq!((&found.name, &found.shape), (&want.name, &want.shape));
            // A bias that began as 0 has moved by the rate.
            assert!(found.values.iter().zip(&want.values).all(|(a, b)| (a - b).abs() < 1e-39), "{}", found.name);
        }
    }
}

#[test]
fn states_are_exported_for_two_readers() {
    let (folder, dir) = trained(&[]);
    let file = folder.path().join("states.safetensors");
    let asked = Options { export: Some(file.clone()), length: Some(50), ..options(&dir, &GO) };
    inspect(&asked).unwrap();
    let TensorFile { metadata, tensors } = TensorFile::read(&file).unwrap();
    let names: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    for name in ["layers.0.h", "layers.0.c", "layers.0.i", "layers.0.f", "layers.0.o", "ids"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let h = tensors.iter().find(|t| t.name == "layers.0.h").unwrap();
    assert_eq!(h.shape, [49, 8]);
    assert_eq!(metadata["elman.text"].chars().count(), 49);
    // The model's own stream says the same.
    let model = Model::load(dir.join("model.safetensors")).unwrap();
    let mut stream = elman_run::Stream::new(&model, &Arc::new(Engine::new(1)));
    let ids = tensors.iter().find(|t| t.name == "ids").unwrap();
    let last = ids.values.iter().map(|&id| stream.step(Some(id as u32)).to_vec()).last().unwrap();
    let (width, row) = (8, &h.values[48 * 8..]);
    for (v, logit) in last.iter().enumerate() {
        let found: f32 =
            (0..width).map(|j| model.readout_weight()[v * width + j] * row[j]).sum::<f32>() + model.readout_bias()[v];
        // f32 along fifty steps.
        assert!((found - logit).abs() < 1e-4, "{found} {logit}");
    }
    let archive = folder.path().join("states.npz");
    inspect(&Options { export: Some(archive.clone()), ..options(&dir, &GO) }).unwrap();
    assert!(std::fs::read(archive).unwrap().starts_with(b"PK\x03\x04"));
    let wrong = inspect(&Options { export: Some("states.csv".into()), ..options(&dir, &GO) }).unwrap_err();
    assert_eq!(
        (wrong.to_string().as_str(), wrong.status()),
        ("--export: states.csv must end in .safetensors or .npz", 2)
    );
}

#[test]
fn what_cannot_be_looked_into() {
    let (folder, dir) = trained(&[]);
    let message = |options: Options| {
        let error = inspect(&options).unwrap_err();
        assert_eq!(error.status(), 2, "{error}");
        error.to_string()
    };
    assert!(message(options(Path::new("no/run"), &GO)).contains("there is no run"));
    let told = message(Options { length: Some(0), ..options(&dir, &GO) });
    assert!(told.contains("--length: it is 0") && told.contains("must be from 2 to"), "{told}");
    let told = message(Options { length: Some(1 << 40), ..options(&dir, &GO) });
    assert!(told.contains("characters to read"), "{told}");
    let other = folder.path().join("other.txt");
    std::fs::write(&other, "é").unwrap();
    assert!(message(Options { data: Some(other.clone()), length: None, ..options(&dir, &GO) }).contains("at least 2"));
    std::fs::write(&other, "ééé").unwrap();
    assert!(message(Options { data: Some(other), length: None, ..options(&dir, &GO) }).contains('é'));
    std::fs::remove_file(dir.join("model.safetensors")).unwrap();
    let told = message(options(&dir, &GO));
    assert!(told.contains("no model yet") && told.contains("--resume"), "{told}");
    let stopped = AtomicBool::new(true);
    let (_folder, dir) = trained(&[]);
    assert_eq!(inspect(&options(&dir, &stopped)).unwrap_err().status(), 130);
    assert!(!dir.join("inspect").exists(), "nothing half-written");
}

/// Two characters are the least that can be asked; ten are too few for exponents.
#[test]
fn short_texts_are_looked_into() {
    let (_folder, dir) = trained(&[]);
    for length in [2, 3, 10] {
        inspect(&Options { length: Some(length), ..options(&dir, &GO) }).unwrap();
        elements(&std::fs::read_to_string(dir.join("inspect/report.html")).unwrap());
    }
}

#[test]
fn a_model_of_words_is_looked_into_too() {
    let (_folder, dir) = trained_for("word-lm", &[]);
    let report = inspect(&Options { length: Some(120), ..options(&dir, &GO) }).unwrap();
    let page = std::fs::read_to_string(dir.join("inspect/report.html")).unwrap();
    elements(&page);
    for shown in ["columns of words", "rotate(-90)", "&lt;signs&gt;", "the word"] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(report.text.contains("nats"), "{}", report.text);
    let file = dir.join("states.safetensors");
    let export = Options { export: Some(file.clone()), length: Some(20), ..options(&dir, &GO) };
    inspect(&export).unwrap();
    assert!(elman_run::TensorFile::read(&file).unwrap().metadata["elman.text"].contains("has"));
}

/// A network of one input and two outputs in a stack of two layers.
fn of_numbers(cell: &str, outputs: usize, learn_initial_state: bool, seed: u64) -> SequenceNetwork {
    let config = SequenceNetworkConfig {
        cell: (elman::cells::find(cell).unwrap().make)(),
        sizes: elman::Sizes { input: 1, hidden: 6, output: 3 },
        layers: 2,
        outputs,
        predict: Predict::Every,
        init: elman::init::Init::default(),
        learn_initial_state,
    };
    config.init(seed, &burn::tensor::Device::flex().autodiff()).unwrap()
}

/// The same with another state before the first step, if that is learned.
fn moved(network: SequenceNetwork) -> SequenceNetwork {
    let mut all = elman::parameters::export(&network);
    all.iter_mut().filter(|p| p.name.starts_with("initial")).for_each(|p| p.values.fill(0.5));
    elman::parameters::import(network, all).unwrap()
}

#[test]
fn a_network_of_numbers_has_a_report_over_a_series() {
    let steps = 120;
    let inputs: Vec<f64> = (0..steps).map(|t| (0.3 * t as f64).sin()).collect();
    let targets: Vec<f64> = inputs.iter().flat_map(|x| [0.5 * x, 1.0 - x]).collect();
    for (cell, learned) in [("lstm", false), ("elman", true), ("jordan", false), ("min-gru", false)] {
        let (now, before) = (of_numbers(cell, 2, learned, 1), of_numbers(cell, 2, learned, 2));
        // What is predicted is what the framework predicts.
        let now = moved(now);
        let network = series::network(&now).unwrap();
        let path = elman_run::analysis::Path::series(&network, &Arc::new(Engine::new(1)), &inputs, &targets).unwrap();
        let x = inputs.iter().map(|&x| x as f32).collect();
        let batch = SequenceBatch { x, batch: 1, lengths: None, target: Target::Values(Vec::new()), fresh: true };
        let predicted: Vec<f32> = now.predictions(&batch, None).0.into_data().try_to_vec().unwrap();
        let output = network.layers()[1].layer.carried().iter().position(|&v| v == network.layers()[1].layer.output());
        for (t, want) in predicted.chunks_exact(2).enumerate() {
            let found = network.logits(&path.state(t + 1)[1][output.unwrap()]);
            assert!(found.iter().zip(want).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-5), "{cell}, step {t}");
        }
        let folder = tempfile::tempdir().unwrap();
        let options = series::Options {
            name: "a net".into(),
            data: "a sine".into(),
            inputs: &inputs,
            targets: &targets,
            lags: Some(20),
            window: 30,
            out: folder.path().join("report"),
            threads: 1,
            stop: &GO,
        };
        let report = series::run(&now, &before, &options, &mut |_| {}).unwrap();
        let page = std::fs::read_to_string(folder.path().join("report/report.html")).unwrap();
        elements(&page);
        for shown in [
            "Inside a net",
            "a sine",
            "input 0",
            "target 1",
            "½ Σ error²",
            "each of 100 steps",
            "the series most closely",
        ] {
            assert!(page.contains(shown), "{cell}: {shown}");
        }
        for absent in ["nats;", "character", "the text", "the whole text"] {
            assert!(!page.contains(absent), "{cell}: {absent}");
        }
        assert_ne!(report.json["trained"]["half_squared_error"], report.json["untrained"]["half_squared_error"]);
        let counted: usize = now.num_params();
        assert_eq!(report.json["parameters"], counted, "{cell}");
        assert!(report.json["selective"].as_array().unwrap().iter().any(|s| s["feature"] == "change of input 0"));
        assert!(report.text.contains("½ Σ error²"), "{}", report.text);
    }
}

#[test]
fn a_series_that_does_not_fit_is_told() {
    let (now, before) = (of_numbers("gru", 1, false, 1), of_numbers("gru", 2, false, 1));
    let another = of_numbers("lstm", 1, false, 1);
    let message = |inputs: &[f64], targets: &[f64], lags, window, before| {
        let out = PathBuf::from("nowhere");
        let (name, data) = ("a net".into(), "a sine".into());
        let options = series::Options { name, data, inputs, targets, lags, window, out, threads: 1, stop: &GO };
        let error = series::run(&now, before, &options, &mut |_| {}).unwrap_err();
        assert_eq!(error.status(), 2, "{error}");
        error.to_string()
    };
    let ten = [0.5; 10];
    assert!(message(&ten, &ten[..9], None, 5, &now).contains("10 inputs and 9 targets"));
    assert!(message(&ten, &ten, Some(6), 5, &now).starts_with("lags: it is 6; it must be from 1 to 5"));
    assert_eq!(message(&ten, &ten, None, 0, &now), "window: it is 0; it must be at least 1");
    let other = "the network before training has other layers or outputs";
    assert!(message(&ten, &ten, None, 5, &before).starts_with(other));
    assert!(message(&ten, &ten, None, 5, &another).starts_with(other));
    assert!(message(&[], &[], None, 5, &now).contains("0 steps"));
}

/// What is said of a run's way to learn is what it did, and what is advised is what its command takes.
#[test]
fn the_way_it_learnt_and_the_advice_are_the_runs_own() {
    let of = |task: &str, settings: &[(&str, &str)]| {
        let (_folder, dir) = trained_for(task, settings);
        let options = Options { length: Some(60), ..options(&dir, &GO) };
        let json = serde_json::Value::Object(inspect(&options).unwrap().json);
        (json, std::fs::read_to_string(dir.join("inspect/report.html")).unwrap())
    };
    let windows = |json: &serde_json::Value| -> f64 {
        let costs = json["costs"].as_array().unwrap();
        costs.iter().find(|c| c["way"] == "BPTT in windows").unwrap()["operations"].as_f64().unwrap()
    };
    let (plain, _) = of("char-lm", &[]);
    assert_eq!(plain["training_goes_back"], "16");
    let (moved, page) = of("char-lm", &[("stride", "4")]);
    assert_eq!(moved["training_goes_back"], "16, in windows that move on by 4");
    assert!(page.contains("windows of 16 steps, each 4 further on"));
    assert_eq!(windows(&moved), 4.0 * windows(&plain));
    let (forward, _) = of("char-lm", &[("algorithm", "rtrl"), ("stride", "16")]);
    assert_eq!(forward["training_goes_back"], "all (rtrl carries the gradient forward)");
}
