use super::*;
use std::path::Path;

#[test]
fn every_file_is_registered_and_every_line_has_its_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/reproduce");
    let shared = ["mod", "tests", "training", "dendrogram", "penn_treebank"];
    let files: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".rs")?.to_string()))
        .filter(|name| !shared.contains(&name.as_str()))
        .collect();
    for file in &files {
        assert!(REGISTRY.iter().any(|e| e.file == file), "{file}.rs is not registered");
    }
    for e in REGISTRY {
        assert!(files.iter().any(|file| file == e.file), "{} has no file", e.name);
        assert_eq!(e.name, e.file.replace('_', "-"));
    }
}

/// Each through to its picture and its file, the same figures from the same seed.
#[test]
fn the_short_form_of_every_experiment_runs() {
    let folder = tempfile::tempdir().unwrap();
    for experiment in REGISTRY {
        let name = experiment.name;
        let go = |seed: u64, precision: Option<&'static str>, out: &str| {
            let stop = Stop::new(false);
            let options = Options { seed, quick: true, length: None, precision, threads: 1, stop: &stop, dir: None };
            let mut lines = Vec::new();
            let report =
                run(experiment, &options, Some(folder.path().join(out)), &mut |line| lines.push(line.to_string()));
            assert!(!lines.is_empty(), "{name} says how far it is");
            (report.unwrap(), lines.join("\n"))
        };
        let (first, told) = go(1, None, &format!("{name}-1"));
        let rows = first.json["rows"].as_array().unwrap();
        assert!(!rows.is_empty() && rows.iter().all(|r| r["measured"].as_f64().is_some()), "{name}: {rows:?}");
        assert!(rows.iter().all(|r| r["holds"].is_null()), "{name}: a short form claims nothing");
        let pictures = first.json["pictures"].as_array().unwrap();
        assert!(!pictures.is_empty(), "{name}");
        for picture in pictures {
            let path = folder.path().join(format!("{name}-1")).join(picture.as_str().unwrap());
            let svg = fs::read_to_string(path).unwrap();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}");
        }
        assert!(first.text.contains("here") && first.text.contains("short form"), "{}", first.text);
        let (again, _) = go(1, None, &format!("{name}-2"));
        assert_eq!(again.json["rows"], first.json["rows"], "{name}: the seed decides");
        // Where so short a training solves nothing, with any seed, its losses tell the seeds apart.
        let (other, told_other) = go(2, None, &format!("{name}-3"));
        assert!((&other.json["rows"], &told_other) != (&first.json["rows"], &told), "{name}: the seed changes nothing");
        if experiment.mixed {
            // Where the processor has no such products, a line says so.
            let (mixed, told) = go(1, Some("bf16"), &format!("{name}-4"));
            assert!(told.contains("bf16") && mixed.json["rows"].as_array().unwrap().len() == rows.len(), "{told}");
        }
    }
}

#[test]
fn wrong_requests_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let stop = Stop::new(true);
    let options = Options { seed: 1, quick: true, length: None, precision: None, threads: 1, stop: &stop, dir: None };
    let adding = find("adding").unwrap();
    let go = |options: &Options| run(adding, options, Some(folder.path().into()), &mut |_| ()).unwrap_err();
    let error = go(&Options { length: Some(7), ..options });
    assert_eq!(
        (error.to_string().as_str(), error.status()),
        ("--length: it is 7; for `adding` it must be from 20 to 400", 2)
    );
    let error = go(&Options { precision: Some("bf16"), ..options });
    assert_eq!(error.to_string(), "--precision: `adding` has no precision to choose; leave it out");
    assert_eq!(go(&options).status(), 130);
    fs::write(folder.path().join("result.json"), "").unwrap();
    assert!(go(&options).to_string().ends_with("there is a result already; choose another --out"));
    assert_eq!(find("addin").err().unwrap().to_string(), "unknown experiment `addin`; did you mean `adding`?");
}

#[test]
fn figures_have_four_digits() {
    for (x, text) in [
        (0.0, "0"),
        (0.166_67, "0.1667"),
        (123.45, "123.5"),
        (12345.6, "12346"),
        (0.000_012_34, "0.000012"),
        (97.0, "97"),
    ] {
        assert_eq!(figure(x), text);
    }
}
