//! Runs the program as a user would.

// Each test file uses a part of this.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run of the program left.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status; -1 if a signal ended it.
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Outcome {
    /// The run succeeded.
    #[track_caller]
    pub fn ok(self) -> Outcome {
        assert_eq!(self.status, 0, "{self:#?}");
        self
    }

    /// The run failed with this status and one line that has all these words; nothing on standard output.
    #[track_caller]
    pub fn fails(self, status: i32, words: &[&str]) {
        assert_eq!(self.status, status, "{self:#?}");
        assert_eq!(self.out, "", "{self:#?}");
        let lines: Vec<&str> = self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(lines.len(), 1, "{self:#?}");
        // The error is the last thing said.
        assert_eq!(self.err.lines().last(), Some(lines[0]), "{self:#?}");
        for word in words {
            assert!(lines[0].contains(word), "no {word:?} in {:?}", lines[0]);
        }
        assert!(!self.err.contains("panicked"), "{self:#?}");
    }
}

/// The program, to be given arguments.
pub fn elman() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_elman"));
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end.
#[track_caller]
pub fn finish(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the program with these arguments.
#[track_caller]
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Outcome {
    finish(elman().args(arguments))
}

/// A folder for a test, with a text in it.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        place.write("text.txt", text(3000).as_bytes());
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A small training command on this place's text: some milliseconds.
    pub fn train(&self, out: &str) -> Command {
        self.train_on("text.txt", out)
    }

    /// The same on another file.
    pub fn train_on(&self, data: &str, out: &str) -> Command {
        let mut command = elman();
        command.args(["train", "char-lm", "--data"]).arg(self.path(data)).arg("--out").arg(self.path(out));
        command.args("--hidden 8 --batch 4 --seq-len 8 --steps 20 --sample-length 20 --threads 1".split(' '));
        command
    }

    /// The command that goes on with a run.
    pub fn resume(&self, out: &str) -> Command {
        let mut command = elman();
        command.args(["train", "char-lm", "--resume", "--out"]).arg(self.path(out));
        command
    }

    /// Names in a folder, sorted.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// A text of `n` characters from a few words, ASCII and not.
pub fn text(n: usize) -> String {
    let words = ["the ", "network ", "naïve ", "state, ", "gate.\n", "память ", "→ "];
    let mut random = 7u64;
    let mut text = String::new();
    while text.chars().count() < n {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        text += words[(random >> 33) as usize % words.len()];
    }
    text.chars().take(n).collect()
}

/// Whether two files have the same bytes.
#[track_caller]
pub fn same(a: &Path, b: &Path) {
    let read = |path: &Path| std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(read(a) == read(b), "{} and {} differ", a.display(), b.display());
}
