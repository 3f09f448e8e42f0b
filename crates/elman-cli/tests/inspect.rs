//! `elman inspect` and `elman unroll` as a user runs them.

mod common;

use common::{Place, finish, run};
use serde_json::Value;
use std::io::Write as _;
use std::process::Command;

#[test]
fn a_trained_run_is_looked_into() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let dir = place.path("run").display().to_string();
    let outcome = run(["inspect", &dir, "--length", "150", "--threads", "1"]).ok();
    for word in
        ["nats over", "largest Lyapunov exponent", "gate f of layer 0: shut", "before training: ", "report.html"]
    {
        assert!(outcome.out.contains(word), "no {word:?} in {}", outcome.out);
    }
    assert_eq!(place.names("run/inspect"), ["report.html", "report.json"]);
    let page = String::from_utf8(place.read("run/inspect/report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));

    // One object on standard output, the same numbers as in the file; another folder.
    let out = place.path("other").display().to_string();
    let outcome = run(["inspect", &dir, "--length", "150", "--json", "--out", &out, "--best"]).ok();
    let printed: Value = serde_json::from_str(&outcome.out).unwrap();
    let written: Value = serde_json::from_slice(&place.read("other/report.json")).unwrap();
    assert_eq!(printed["trained"], written["trained"]);
    assert!(printed["trained"]["jacobian_product"]["singular_values"][0][0].as_f64().unwrap() > 0.0);
    assert_eq!(outcome.out.lines().count(), 1);
}

/// What is said of a network does not depend on the window with which it was to learn.
#[test]
fn the_verdict_is_the_networks_own() {
    let place = Place::new();
    let looked = |name: &str, window: &str, more: &[&str]| {
        if !place.path(name).exists() {
            finish(place.train(name).args(["--cell", "elman", "--steps", "1", "--seq-len", window])).ok();
        }
        let dir = place.path(name).display().to_string();
        let outcome = run([&["inspect", &dir, "--length", "150", "--threads", "1", "--json"], more].concat()).ok();
        serde_json::from_str::<Value>(&outcome.out).unwrap()["untrained"].clone()
    };
    let short = looked("short", "4", &[]);
    assert_eq!(short, looked("long", "32", &[]));
    assert_eq!(short["jacobian_product"]["lags"].as_array().unwrap().last().unwrap(), 64);
    // Asked for.
    let few = looked("short", "4", &["--lags", "7"]);
    assert_eq!(few["jacobian_product"]["lags"].as_array().unwrap().last().unwrap(), 7);
}

#[test]
fn states_go_to_a_file() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let dir = place.path("run").display().to_string();
    let file = place.path("states.npz").display().to_string();
    let outcome = run(["inspect", &dir, "--export", &file, "--length", "30"]).ok();
    assert!(outcome.out.contains("layers.0.c (29, 8)"), "{}", outcome.out);
    assert!(place.read("states.npz").starts_with(b"PK"));
    assert!(!place.path("run/inspect").exists());
    run(["inspect", &dir, "--export", "states.txt", "--length", "30"]).fails(2, &["--export", ".safetensors or .npz"]);
}

#[test]
fn wrong_requests() {
    let place = Place::new();
    run(["inspect", "no/run"]).fails(2, &["no/run: there is no run"]);
    finish(&mut place.train("run")).ok();
    let dir = place.path("run").display().to_string();
    run(["inspect", &dir, "--length", "0"]).fails(2, &["--length: it is 0", "from 2 to"]);
    run(["inspect", &dir, "--length", "100", "--lags", "51"]).fails(2, &["--lags: it is 51", "from 1 to 50"]);
    run(["inspect", &dir, "--lags", "0"]).fails(2, &["--lags: it is 0", "from 1 to"]);
    run(["inspect", &dir, "--length", "3001"]).fails(2, &["--length: it is 3001", "characters to read"]);
    run(["inspect", &dir, "--data", "none.txt"]).fails(2, &["none.txt", "no such file"]);
    // Told before the work: nothing else is said.
    let file = place.path("text.txt").display().to_string();
    run(["inspect", &dir, "--export", "states.npy"]).fails(2, &["states.npy must end in .safetensors or .npz"]);
    let outcome = run(["inspect", &dir, "--out", &format!("{file}/in")]);
    assert!(outcome.status == 1 && outcome.err.lines().count() == 1, "{outcome:#?}");
    std::fs::remove_file(place.path("run/model.safetensors")).unwrap();
    run(["inspect", &dir]).fails(2, &["the run has no model yet", "--resume"]);
}

#[test]
fn cells_are_unrolled() {
    let place = Place::new();
    let dot = run(["unroll", "lstm", "--length", "4", "--shape", "many-to-one"]).ok().out;
    assert!(dot.starts_with("digraph") && dot.contains("h_3, c_3"), "{dot}");
    let file = place.path("gru.svg").display().to_string();
    run(["unroll", "gru", "--shape", "encoder-decoder", "--svg", &file]).ok();
    assert!(String::from_utf8(place.read("gru.svg")).unwrap().contains("W decoder"));
    run(["unroll", "lstn"]).fails(2, &["unknown cell `lstn`", "lstm"]);
    run(["unroll", "lstm", "--shape", "many"]).fails(2, &["--shape", "many-to-"]);
    run(["unroll", "lstm", "--length", "0"]).fails(2, &["--length", "from 1 to"]);
    run(["unroll", "lstm", "--layers", "0"]).fails(2, &["--layers", "from 1 to 12"]);
    std::fs::create_dir(place.path("lstm")).unwrap();
    finish(common::elman().current_dir(place.path("lstm").parent().unwrap()).args(["unroll", "lstm"])).ok();
    run(["unroll", "lstm", "--bidirectional", "--shape", "one-to-many"]).fails(2, &["--bidirectional", "many-to-many"]);
    let both = run(["unroll", "gru", "--layers", "2", "--bidirectional"]).ok().out;
    assert!(both.contains("W 2 ←") && both.contains("gru 4 ←, layer 2"), "{both}");
    // A run's own network, long.
    finish(place.train("run").args(["--layers", "2"])).ok();
    let dir = place.path("run").display().to_string();
    let own = run(["unroll", &dir, "--length", "300"]).ok().out;
    assert!(own.contains("lstm 300, layer 2") && own.contains("x_301, target"), "{own}");
    run(["unroll", &dir, "--shape", "many-to-one"]).fails(2, &["--shape", "predicts at every step"]);
    run(["unroll", &dir, "--layers", "3"]).fails(2, &["--layers: it is 3", "network has 2"]);
    run(["unroll", &dir, "--bidirectional"]).fails(2, &["one direction"]);
    // What the run's model writes is what it reads next.
    let writing = run(["unroll", &dir, "--length", "3", "--feed", "outputs"]).ok().out;
    assert!(writing.contains("outputs fed back (free running)") && !writing.contains("[label=\"x_2\""), "{writing}");
    assert_eq!(writing.matches("constraint=false").count(), 2);
}

#[test]
fn other_networks_are_unrolled() {
    let stack = run(["unroll", "gru", "lstm"]).ok().out;
    assert!(stack.contains("gru 4, layer 1") && stack.contains("lstm 4, layer 2"), "{stack}");
    let forced = run(["unroll", "gru", "--shape", "encoder-decoder", "--feed", "targets"]).ok().out;
    assert!(forced.contains("teacher forcing") && forced.contains("label=\"start\""), "{forced}");
    let narx = run(["unroll", "narx", "--lags", "3", "--delay", "2", "--feed", "outputs"]).ok().out;
    // Three outputs before each of four steps.
    assert!(narx.contains("parallel form (free running)") && narx.matches("constraint=false").count() == 12, "{narx}");
    assert!(run(["unroll", "narx"]).ok().out.contains("series-parallel form"));
    let tdnn = run(["unroll", "tdnn", "--taps", "2", "--dilation", "2", "--length", "5"]).ok().out;
    assert!(tdnn.contains("tdnn 5, layer 2"), "{tdnn}");
    assert!(run(["unroll", "rmlp", "--recurrent-output"]).ok().out.contains("a recurrent output layer"));
    let tree = run(["unroll", "tree-lstm", "--tree", "(1 (0 not) (1 bad))"]).ok().out;
    assert!(tree.contains("tree-lstm 3") && tree.contains("label=\"not\"") && tree.contains("h_1, c_1"), "{tree}");
    assert!(run(["unroll", "recursive"]).ok().out.contains("recursive 5"));
    run(["unroll", "lstm", "--taps", "3"]).fails(2, &["--taps: it is not for layers of cells"]);
    run(["unroll", "narx", "--taps", "3"]).fails(2, &["--taps: it is not for narx"]);
    run(["unroll", "tdnn", "--feed", "targets"]).fails(2, &["--feed: it is not for tdnn"]);
    run(["unroll", "lstm", "gru", "--layers", "3"]).fails(2, &["--layers: it is 3", "2 cells"]);
    run(["unroll", "lstm", "--layers", "1000000000000"]).fails(2, &["--layers", "from 1 to 12"]);
    run(["unroll", "lstm", "--feed", "self"]).fails(2, &["--feed: unknown `self`", "free running"]);
    run(["unroll", "lstm", "narx"]).fails(2, &["unknown cell `narx`"]);
    run(["unroll", "tree-lstm", "--tree", "(1 (0 not)"]).fails(2, &["--tree", "closed"]);
}

/// The browser that ELMAN_BROWSER demands, else one that is there; none: the test is skipped, and says so.
fn browser() -> Option<String> {
    let runs = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    if let Ok(name) = std::env::var("ELMAN_BROWSER") {
        assert!(runs(&name), "ELMAN_BROWSER: there is no browser `{name}` that runs");
        return Some(name);
    }
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = names.into_iter().find(|name| runs(name)).map(String::from);
    if found.is_none() {
        // Not through a macro, whose words the harness keeps to itself where a test passes.
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: no browser has opened the report: there is none of {names:?}; set ELMAN_BROWSER to one"
        );
    }
    found
}

/// The page in a real browser: no message on its console, every figure in the tree that it made of the page.
#[test]
fn a_browser_has_nothing_to_complain_about() {
    let Some(browser) = browser() else { return };
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let dir = place.path("run").display().to_string();
    run(["inspect", &dir, "--length", "150", "--threads", "1"]).ok();
    let page = String::from_utf8(place.read("run/inspect/report.html")).unwrap();
    let output = Command::new(browser)
        .args("--headless --no-sandbox --disable-gpu --enable-logging=stderr --dump-dom".split(' '))
        // No name has an address: what the page needed from elsewhere would be missing, and said on the console.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .arg(format!("--user-data-dir={}", place.path("profile").display()))
        .arg(format!("file://{}", place.path("run/inspect/report.html").display()))
        .output()
        .unwrap();
    let (tree, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let complaints: Vec<&str> =
        said.lines().filter(|line| line.contains("CONSOLE") || line.contains("Uncaught")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let figures = page.matches("<figure").count();
    assert!(figures > 4 && tree.matches("<figure").count() == figures, "{figures} figures in\n{tree}");
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
}
