//! `elman reproduce`: the list, a short form, wrong requests.

mod common;

use common::{Place, elman, finish, run};
use serde_json::Value;

#[test]
fn the_list_and_a_short_form() {
    let text = run(["reproduce", "--list"]).ok().out;
    assert!(text.contains("Hochreiter & Schmidhuber 1997"), "{text}");
    let listed: Value = serde_json::from_str(&run(["reproduce", "--list", "--json"]).ok().out).unwrap();
    let names: Vec<&str> =
        listed["experiments"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"adding") && names.iter().all(|name| text.contains(name)));

    let place = Place::new();
    let mut command = elman();
    command
        .args(["reproduce", "adding", "--quick", "--seed", "7", "--length", "25", "--json", "--out"])
        .arg(place.path("a"));
    let outcome = finish(&mut command).ok();
    assert_eq!(outcome.out.lines().count(), 1);
    let json: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!((&json["seed"], &json["length"], &json["quick"]), (&7.into(), &25.into(), &true.into()));
    assert!(json["rows"][0]["name"].as_str().unwrap().ends_with("T = 25"));
    let kept: Value = serde_json::from_slice(&place.read("a/result.json")).unwrap();
    assert_eq!(kept, json);
    assert_eq!(place.names("a/plots"), ["adding-gradient-after.svg", "adding-gradient-before.svg", "adding.svg"]);
    assert!(outcome.err.contains("irnn, step"), "{}", outcome.err);
    // A result is never written over.
    finish(&mut command).fails(2, &["there is a result already"]);
}

#[test]
fn wrong_requests() {
    run(["reproduce"]).fails(2, &["NAME"]);
    run(["reproduce", "addding"]).fails(2, &["unknown experiment `addding`; did you mean `adding`?"]);
    run(["reproduce", "adding", "--length", "1"])
        .fails(2, &["--length: it is 1; for `adding` it must be from 20 to 400"]);
    run(["reproduce", "adding", "--seed", "x"]).fails(2, &["--seed"]);
    let place = Place::new();
    let mut command = elman();
    command.args(["reproduce", "adding", "--quick", "--out"]).arg(place.path("text.txt"));
    finish(&mut command).fails(1, &["text.txt", "cannot be written"]);
}

#[test]
fn what_was_begun_on_words_is_gone_on_with() {
    let place = Place::new();
    let go = |out: &str| {
        let mut command = elman();
        command.args(["reproduce", "ptb-small", "--quick", "--json", "--out"]).arg(place.path(out));
        serde_json::from_str::<Value>(&finish(&mut command).ok().out).unwrap()
    };
    let whole = go("whole");
    // As if it had been killed between the first checkpoint and the end.
    let mut command = elman();
    command.args(
        "train word-lm --preset zaremba-small --hidden 8 --vocabulary 200 --seq-len 5 --batch 4 --seed 1 --threads 1"
            .split(' '),
    );
    command.args("--steps 10 --eval-every 8 --eval-size 200 --out".split(' ')).arg(place.path("parts/run"));
    finish(&mut command).ok();
    let parts = go("parts");
    assert_eq!(parts["rows"], whole["rows"]);
    let rows: Vec<_> = whole["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(rows, ["validation, last model", "validation, best in validation"]);
    for file in ["run/model.safetensors", "run/metrics.jsonl", "plots/ptb-small.svg"] {
        common::same(&place.path("whole").join(file), &place.path("parts").join(file));
    }
    // Without the data the long form says what it needs, before anything is written.
    let mut command = elman();
    command.args(["reproduce", "ptb-medium", "--out"]).arg(place.path("long")).env("ELMAN_DATA", place.path("nowhere"));
    finish(&mut command).fails(2, &["nowhere/ptb: there is no such folder; set ELMAN_DATA", "ptb.train.txt"]);
    assert!(!place.path("long/run").exists());
}
