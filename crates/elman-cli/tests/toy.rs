//! The decks' toy: a network that learns h-e-l-l-o.

mod common;

use common::{Place, elman, finish, run};

#[test]
fn hello_is_learnt_exactly_and_every_vector_is_shown() {
    let place = Place::new();
    let data = place.write("hello.txt", b"hello");
    let mut command = elman();
    command.args(["train", "char-lm", "--cell", "elman", "--set", "held-out=0", "--verbose"]);
    // The decks' network has three hidden units.
    command.args(["--hidden", "3", "--lr", "0.1", "--data"]).arg(&data).arg("--out").arg(place.path("toy"));
    let outcome = finish(&mut command).ok();

    // Before and after training, four steps each, with every vector of the picture.
    for row in ["input", "embedding", "hidden h0", "output", "probability", "loss"] {
        let lines = outcome.err.lines().filter(|line| line.starts_with(&format!("  {row} "))).count();
        assert_eq!(lines, 8, "{row}: {}", outcome.err);
    }
    let after = outcome.err.split("after 150 steps").last().unwrap();
    for (t, (from, to)) in [('h', 'e'), ('e', 'l'), ('l', 'l'), ('l', 'o')].into_iter().enumerate() {
        let title = format!("step {}: {from:?} -> {to:?}\n", t + 1);
        let step = after.split(&title).nth(1).unwrap_or_else(|| panic!("no {title}"));
        let numbers = |row: &str| -> Vec<f32> {
            let line = step.lines().find(|line| line.trim_start().starts_with(row)).unwrap();
            line.replace(row, "").split_whitespace().map(|n| n.parse().unwrap()).collect()
        };
        // Columns in the decks' order: h, e, l, o.
        let column = |c: char| "helo".find(c).unwrap();
        let mut one_hot = [0.0; 4];
        one_hot[column(from)] = 1.0;
        assert_eq!(numbers("input"), one_hot);
        assert_eq!(numbers("hidden h0").len(), 3);
        assert_eq!(numbers("output").len(), 4);
        // Learnt: far more than any doubt. The two l have different successors: only the state can tell.
        assert!(numbers("probability")[column(to)] > 0.95, "{step}");
    }

    for (prompt, length) in [("h", "4"), ("he", "3"), ("hel", "2"), ("hell", "1")] {
        let dir = place.path("toy");
        let arguments = ["sample", dir.to_str().unwrap(), "--prompt", prompt, "--length", length, "--temperature", "0"];
        assert_eq!(run(arguments).ok().out, "hello\n");
    }
}

#[test]
fn hello_needs_no_option_but_its_name() {
    let place = Place::new();
    place.write("hello.txt", b"hello");
    let mut command = elman();
    command.args(["train", "char-lm", "--data"]).arg(place.path("hello.txt")).arg("--out").arg(place.path("toy"));
    let outcome = finish(&mut command).ok();
    assert!(outcome.err.contains("too short (5 characters) for a held-out part"), "{}", outcome.err);
    assert!(outcome.err.contains("batch 1 instead of 64"), "{}", outcome.err);
    let dir = place.path("toy");
    let sample = ["sample", dir.to_str().unwrap(), "--prompt", "h", "--length", "4", "--temperature", "0"];
    assert_eq!(run(sample).ok().out, "hello\n");
}
