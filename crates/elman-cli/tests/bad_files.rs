//! Damaged files, directories that cannot be written, full disks.

mod common;

use common::{Place, elman, finish, run, same};
use std::fs;

/// What can be wrong with a file of tensors, and a word that its message has.
fn damages(good: &[u8]) -> Vec<(String, Vec<u8>, &'static str)> {
    let mut all = vec![
        ("nothing in it".into(), vec![], "damaged"),
        ("a few bytes".into(), good[..5].to_vec(), "damaged"),
        (
            "only a header".into(),
            good[..8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize].to_vec(),
            "truncated",
        ),
        ("half of it".into(), good[..good.len() / 2].to_vec(), "damaged"),
        ("the last byte missing".into(), good[..good.len() - 1].to_vec(), "truncated"),
        ("a byte more".into(), [good, b"x"].concat(), "damaged"),
        ("a huge header".into(), [&u64::MAX.to_le_bytes(), &good[8..]].concat(), "its header claims"),
        ("a large header".into(), [&(1u64 << 40).to_le_bytes(), &good[8..]].concat(), "its header claims"),
        ("text".into(), b"this is no model at all, only a text".to_vec(), "damaged"),
    ];
    let foreign = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let foreign = [&(foreign.len() as u64).to_le_bytes()[..], foreign, &[0; 4]].concat();
    all.push(("another program's".into(), foreign, "Elman did not write"));
    // One bit of each region: length, header, data.
    for at in [0, 9, 60, good.len() / 2, good.len() - 3] {
        let mut flipped = good.to_vec();
        flipped[at] ^= 4;
        all.push((format!("a bit flipped at {at}"), flipped, ""));
    }
    all
}

#[test]
fn a_damaged_model_is_refused() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let dir = place.path("run").display().to_string();
    let good = place.read("run/model.safetensors");
    for (what, bytes, word) in damages(&good) {
        println!("{what}");
        place.write("run/model.safetensors", &bytes);
        for command in ["sample", "eval"] {
            run([command, &dir]).fails(2, &["model.safetensors", word]);
        }
    }
    fs::remove_file(place.path("run/model.safetensors")).unwrap();
    run(["sample", &dir]).fails(2, &["model.safetensors: the run has no model yet"]);
    place.write("run/model.safetensors", &place.read("run/checkpoint.safetensors"));
    run(["sample", &dir]).fails(2, &["model.safetensors: "]);
    run(["sample", &place.path("nowhere").display().to_string()]).fails(2, &["nowhere: there is no run"]);
    run(["eval", &place.path("text.txt").display().to_string()]).fails(2, &["text.txt: there is no run"]);
}

#[test]
fn a_damaged_checkpoint_is_refused_and_left_alone() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let good = place.read("run/checkpoint.safetensors");
    for (what, bytes, _) in damages(&good) {
        println!("{what}");
        place.write("run/checkpoint.safetensors", &bytes);
        let outcome = finish(place.resume("run").args(["--steps", "30"]));
        outcome.fails(2, &["checkpoint.safetensors: not a usable checkpoint: ", "start a new run"]);
        assert!(place.read("run/checkpoint.safetensors") == bytes);
    }
    place.write("run/checkpoint.safetensors", &place.read("run/model.safetensors"));
    finish(place.resume("run").args(["--steps", "30"])).fails(2, &["checkpoint.safetensors: not a usable checkpoint"]);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let place = Place::new();
    // Root may write everywhere, so modes would prove nothing: below a file, and in the kernel's files.
    finish(&mut place.train("text.txt/run")).fails(1, &["text.txt", "cannot be written"]);
    #[cfg(target_os = "linux")]
    {
        let mut command = elman();
        command.args(["train", "char-lm", "--steps", "1", "--out", "/proc/run", "--data"]).arg(place.path("text.txt"));
        finish(&mut command).fails(1, &["/proc/run", "cannot be written"]);
    }
}

#[test]
fn a_run_is_never_written_over() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let before = place.read("run/model.safetensors");
    finish(&mut place.train("run")).fails(2, &["there is a run already", "--resume"]);
    assert!(place.read("run/model.safetensors") == before);
}

/// A limit on the size of files fails a write in its middle, as a full disk does, and needs no special rights.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_former_checkpoint() {
    let place = Place::new();
    let sizes = ["--hidden", "32", "--checkpoint-every", "10"];
    finish(place.train("whole").args(sizes).args(["--steps", "40"])).ok();
    finish(place.train("run").args(sizes)).ok();
    let files = ["run/checkpoint.safetensors", "run/model.safetensors", "run/best.safetensors"];
    let before: Vec<Vec<u8>> = files.iter().map(|file| place.read(file)).collect();
    let names = place.names("run");

    // 16 blocks of 512 or 1024 bytes: less than a checkpoint, more than the other files.
    assert!(before[0].len() > 3 * 16 * 1024);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -f 16; exec \"$0\" \"$@\""]).arg(env!("CARGO_BIN_EXE_elman"));
    limited.args(["train", "char-lm", "--resume", "--steps", "40", "--out"]).arg(place.path("run"));
    finish(&mut limited)
        .fails(1, &["checkpoint.safetensors: cannot be written", "former checkpoint is unchanged", "--resume"]);
    for (file, before) in files.iter().zip(&before) {
        assert!(place.read(file) == *before, "{file} was changed");
    }
    // No half-written file stays: only another file of events was begun.
    let without_events =
        |names: Vec<String>| names.into_iter().filter(|n| !n.starts_with("events")).collect::<Vec<_>>();
    assert_eq!(without_events(place.names("run")), without_events(names));

    // With room again the run goes on as if nothing had been.
    finish(&mut place.resume("run")).ok();
    same(&place.path("run/model.safetensors"), &place.path("whole/model.safetensors"));
    same(&place.path("run/metrics.jsonl"), &place.path("whole/metrics.jsonl"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_an_error() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let dir = place.path("run").display().to_string();
    for arguments in [&["cells"][..], &["describe", "lstm"], &["sample", &dir], &["eval", &dir, "--json"]] {
        let output = elman().args(arguments).stdout(full()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.starts_with("error: standard output: cannot be written"), "{error}");
    }
}
