//! Stopping at any moment and going on: the same bits as not having stopped.

mod common;

use common::{Place, finish, same};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Files that an interrupted run has in common with an unbroken one.
const SAME: [&str; 6] =
    ["model.safetensors", "best.safetensors", "checkpoint.safetensors", "metrics.jsonl", "samples.txt", "config.toml"];

#[track_caller]
fn same_run(place: &Place, a: &str, b: &str) {
    for file in SAME {
        same(&place.path(a).join(file), &place.path(b).join(file));
    }
    same(&place.path(a).join("plots/loss.svg"), &place.path(b).join("plots/loss.svg"));
}

/// A run of two layers with dropout whose cadences have no common multiple, so that every counter matters.
fn varied(place: &Place, out: &str) -> Command {
    let mut command = place.train(out);
    command.args("--layers 2 --steps 300 --checkpoint-every 7 --eval-every 11".split(' '));
    command.args("--sample-every 13 --eval-size 100 --dropout 0.25 --log-every 3".split(' '));
    command
}

/// `varied`, or its continuation.
fn again(place: &Place, out: &str) -> Command {
    if place.path(out).join("config.toml").exists() { place.resume(out) } else { varied(place, out) }
}

/// How often to interrupt; more with ELMAN_TEST_KILLS.
fn kills() -> u32 {
    std::env::var("ELMAN_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(5)
}

/// Random moments, other ones each time; the seed is printed, to be seen when a test fails.
struct Moments(u64);

impl Moments {
    fn new() -> Moments {
        let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        println!("seed of the moments: {seed}");
        Moments(seed)
    }

    fn below(&mut self, limit: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        limit.mul_f64((self.0 >> 33) as f64 / f64::from(1u32 << 31))
    }
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
    // It may have ended by itself just before.
    let _ = status;
}

/// Waits until a run has written this file.
fn await_file(place: &Place, file: &str, child: &mut Child) {
    let began = Instant::now();
    while !place.path(file).exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it wrote {file}");
        assert!(began.elapsed() < Duration::from_secs(60), "{file} is not there after a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_is_stopped_in_its_middle_goes_on_to_the_same_bits() {
    let place = Place::new();
    for name in ["-INT", "-KILL"] {
        let (run, whole) = (format!("run{name}"), format!("whole{name}"));
        let mut child = spawn(varied(&place, &run).args(["--steps", "100000000"]));
        await_file(&place, &format!("{run}/model.safetensors"), &mut child);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), if name == "-INT" { Some(130) } else { None });
        // Further than it can have come: what stands in whole lines, and less than the steps between two of them.
        let lines = String::from_utf8(place.read(&format!("{run}/metrics.jsonl"))).unwrap();
        let steps =
            lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["step"].as_u64());
        let last = (steps.max().unwrap() + 20).to_string();
        let outcome = finish(place.resume(&run).args(["--steps", &last])).ok();
        assert!(outcome.err.contains("going on after step "), "{name}: {}", outcome.err);
        finish(varied(&place, &whole).args(["--steps", &last])).ok();
        same_run(&place, &whole, &run);
    }
}

#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    let place = Place::new();
    let began = Instant::now();
    finish(&mut varied(&place, "whole")).ok();
    let whole = began.elapsed();
    let mut moments = Moments::new();
    let mut killed = 0;
    while killed < kills() {
        let mut child = spawn(&mut again(&place, "run"));
        // So short that all fit into the run, wherever they fall: start, step, checkpoint.
        std::thread::sleep(moments.below(whole * 3 / kills()));
        child.kill().unwrap();
        child.wait().unwrap();
        killed += 1;
    }
    finish(&mut again(&place, "run")).ok();
    same_run(&place, "whole", "run");
}

#[cfg(unix)]
#[test]
fn ctrl_c_at_any_moment_saves_and_says_how_to_go_on() {
    use std::os::unix::process::ExitStatusExt;
    let place = Place::new();
    let began = Instant::now();
    finish(&mut varied(&place, "whole")).ok();
    let whole = began.elapsed();
    let mut moments = Moments::new();
    let mut saved = 0;
    for _ in 0..kills() {
        let mut command = again(&place, "run");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(moments.below(whole * 3 / kills()));
        signal(&child, "-INT");
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(130) => {
                let last = error.lines().last().unwrap();
                assert!(
                    last.contains("continue with `elman train char-lm --out ") && last.contains("--resume`"),
                    "{error}"
                );
                assert!(place.path("run/checkpoint.safetensors").exists());
                assert!(place.path("run/model.safetensors").exists());
                saved += 1;
            }
            Some(0) => {}
            // Before the program had begun to listen.
            None => assert_eq!(output.status.signal(), Some(2), "{error}"),
            Some(other) => panic!("status {other}: {error}"),
        }
    }
    println!("{saved} of {} were saved", kills());
    finish(&mut again(&place, "run")).ok();
    same_run(&place, "whole", "run");
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_ends_at_once() {
    let place = Place::new();
    // A step of this takes long: 4000 characters one after the other, through 34 MB of weights each.
    place.write("long.txt", common::text(5000).as_bytes());
    let mut command = place.train_on("long.txt", "run");
    command.args("--hidden 1024 --seq-len 4000 --batch 1 --steps 5".split(' '));
    let mut child = spawn(&mut command);
    await_file(&place, "run/config.toml", &mut child);
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // The first alone would have waited for the end of the step, and saved it.
    assert!(!place.path("run/checkpoint.safetensors").exists());
}

#[test]
fn more_steps_give_the_run_that_had_them_from_the_start() {
    let place = Place::new();
    let often = ["--eval-every", "9", "--sample-every", "9", "--log-every", "4"];
    finish(place.train("whole").args(often).args(["--steps", "60"])).ok();
    finish(place.train("run").args(often).args(["--steps", "25"])).ok();
    let outcome = finish(place.resume("run").args(["--steps", "60"])).ok();
    assert!(outcome.err.contains("steps: 25 -> 60"), "{}", outcome.err);
    assert!(outcome.err.contains("going on after step 25"), "{}", outcome.err);
    same_run(&place, "whole", "run");
    // Nothing left to do: the score again, and nothing is changed.
    let outcome = finish(&mut place.resume("run")).ok();
    assert!(outcome.out.contains("held-out: "), "{}", outcome.out);
    same_run(&place, "whole", "run");
}

#[test]
fn threads_do_not_change_a_run() {
    let place = Place::new();
    finish(place.train("one").args(["--hidden", "40"])).ok();
    finish(place.train("three").args(["--hidden", "40", "--threads", "3"])).ok();
    assert!(String::from_utf8(place.read("three/config.toml")).unwrap().contains("threads = 3"));
    same(&place.path("one/model.safetensors"), &place.path("three/model.safetensors"));
}

#[test]
fn another_network_or_text_is_refused() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let before = place.read("run/checkpoint.safetensors");
    let resume = |arguments: &[&str]| finish(place.resume("run").args(arguments));
    resume(&["--hidden", "9", "--batch", "5"]).fails(2, &["hidden: 8 -> 9, batch: 4 -> 5", "--out"]);
    resume(&["--set", "seq-len=9"]).fails(2, &["seq-len: 8 -> 9"]);
    resume(&["--cell", "gru"]).fails(2, &["cell: lstm -> gru"]);
    resume(&["--layers", "2"]).fails(2, &["layers: 1 -> 2"]);
    resume(&["--seed", "1"]).fails(2, &["seed: 42 -> 1"]);
    resume(&["--held-out", "0.2"]).fails(2, &["held-out: 0.1 -> 0.2"]);

    let other = place.write("other.txt", common::text(2999).as_bytes());
    let other = other.to_str().unwrap();
    resume(&["--data", other]).fails(2, &["another text", "other.txt: fingerprint", " -> "]);
    // The same file with another content.
    let good = place.read("text.txt");
    let mut changed = good.clone();
    changed[1] = b'j';
    place.write("text.txt", &changed);
    resume(&[]).fails(2, &["another text", "text.txt: fingerprint"]);
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    place.write("run/config.toml", config.replace("hidden = 8", "hidden = 9").as_bytes());
    place.write("text.txt", &good);
    resume(&[]).fails(2, &["of another network than config.toml says (", "hidden: 8 -> 9", "restore config.toml"]);
    place.write("run/config.toml", config.as_bytes());
    place.write("text.txt", &changed);
    let dir = place.path("run").display().to_string();
    common::run(["eval", &dir]).fails(2, &["not the text that the run learnt from", "--data"]);
    std::fs::remove_file(place.path("text.txt")).unwrap();
    resume(&[]).fails(2, &["text.txt: there is no such file", "new place with --data"]);
    // The same content under another name is the same text.
    let moved = place.write("moved.txt", &good);
    resume(&["--data", moved.to_str().unwrap()]).ok();
    finish(&mut place.resume("nowhere")).fails(2, &["nowhere: there is no run"]);
    common::run(["train", "char-lm", "--resume"]).fails(2, &["--resume", "--out DIR"]);
    assert!(place.read("run/checkpoint.safetensors") == before);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let before = place.read("run/checkpoint.safetensors");
    // A sum of a few such numbers is beyond f32.
    let outcome = finish(place.resume("run").args(["--lr", "1e38", "--steps", "100"]));
    assert!(outcome.err.contains("lr: 0.002 -> 1"), "{}", outcome.err);
    outcome.fails(
        1,
        &[
            "step 2",
            ": the ",
            "checkpoint.safetensors is still that of before",
            "a lower --lr (now 1",
            "--clip (now 5)",
        ],
    );
    assert!(place.read("run/checkpoint.safetensors") == before);
    // As the message says.
    finish(place.resume("run").args(["--lr", "0.001", "--steps", "30"])).ok();
}
