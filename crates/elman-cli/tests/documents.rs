//! The documents tell the truth: their commands run, their cells exist, their links lead somewhere.
//!
//! Read are `README.md`, every `.md` in `docs`, and the examples that `--help` gives. A command is code that begins with `elman`, between backticks or on a line of a
//! fenced block; in a fenced block it ends before a comment, a pipe or a redirection.

mod common;

use common::{elman, finish, run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// No file of this name can be in the empty folder that commands run in.
const MISSING: &str = "no-such-text-of-the-documents.txt";

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every document with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut files = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                files.push(path);
            }
        }
    }
    files.sort();
    let files = files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap()));
    files.chain(VERBS.iter().map(|verb| (format!("elman {verb} --help").into(), examples(verb)))).collect()
}

/// Commands whose help gives examples.
const VERBS: [&str; 8] = ["train", "eval", "sample", "inspect", "reproduce", "paths", "unroll", "describe"];

/// The examples of a command's help, as a document. A column of explanations stands at two blanks or more.
fn examples(verb: &str) -> String {
    let help = run([verb, "--help"]).ok().out;
    let examples = help.lines().map(str::trim).filter(|line| line.starts_with(&format!("elman {verb} ")));
    let examples: Vec<&str> = examples.map(|line| before_shell(line.split("  ").next().unwrap())).collect();
    assert!(examples.len() >= 2, "{help}");
    format!("```\n{}\n```\n", examples.join("\n"))
}

/// A document in parts: what stands between backticks or in fenced blocks, and the prose around it.
#[derive(Debug, Default, PartialEq)]
struct Parts {
    /// A span of code in prose, or a line of a block.
    code: Vec<String>,
    /// The rest, a paragraph each, with a blank where code was.
    prose: Vec<String>,
}

fn parts(text: &str) -> Parts {
    let mut parts = Parts::default();
    let (mut fenced, mut paragraph, mut line_so_far) = (false, String::new(), String::new());
    for line in text.lines().chain([""]) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            parts.end(&mut paragraph);
        } else if fenced {
            line_so_far += line.trim();
            // A line that ends in a backslash goes on.
            if let Some(begun) = line_so_far.strip_suffix('\\') {
                line_so_far = begun.to_string();
            } else {
                parts.code.push(before_shell(&std::mem::take(&mut line_so_far)).to_string());
            }
        } else if line.trim().is_empty() {
            parts.end(&mut paragraph);
        } else {
            // Code between backticks may go on in the next line.
            paragraph += line;
            paragraph.push(' ');
        }
    }
    assert!(!fenced, "a fenced block has no end");
    parts
}

impl Parts {
    fn end(&mut self, paragraph: &mut String) {
        let paragraph = std::mem::take(paragraph);
        let pieces: Vec<&str> = paragraph.split('`').collect();
        assert!(pieces.len() % 2 == 1, "a backtick has no partner: {paragraph}");
        self.code.extend(pieces.iter().skip(1).step_by(2).map(|code| code.trim().to_string()));
        let prose: Vec<&str> = pieces.iter().step_by(2).copied().collect();
        if !paragraph.is_empty() {
            self.prose.push(prose.join(" "));
        }
    }
}

/// What a shell gives to the program: all that stands before a comment, a pipe, a redirection or the next command.
fn before_shell(line: &str) -> &str {
    let ends = [" #", " | ", " > ", " && ", "; "].iter().filter_map(|mark| line.find(*mark));
    line[..ends.min().unwrap_or(line.len())].trim()
}

/// Places where a command stands, by its arguments.
type Commands = BTreeMap<Vec<String>, PathBuf>;

/// The commands `elman VERB ...` of all documents. Left out are those with a name to be filled in, such as CELL, and with a
/// question for help.
fn commands(verb: &str) -> Commands {
    let mut commands = Commands::new();
    for (path, text) in documents() {
        for code in parts(&text).code {
            let words = before_shell(&code).split_whitespace();
            // A seed or a step may be any.
            let words: Vec<String> = words.map(|word| if word == "N" { "1" } else { word }.to_string()).collect();
            let open = |word: &String| word.ends_with("...") || word.chars().all(|c| c.is_ascii_uppercase());
            let help = words.iter().any(|word| word == "--help");
            if words.len() > 2 && words[0] == "elman" && words[1] == verb && !help && !words[2..].iter().any(open) {
                // A tree or a prompt: what is in quotes is not understood here.
                let quoted = code.contains(['"', '\'']);
                assert!(!quoted || verb != "train" && verb != "describe", "{}: quotes: {code}", path.display());
                if quoted {
                    continue;
                }
                commands.insert(words[1..].to_vec(), path.clone());
            }
        }
    }
    commands
}

/// A cell that is a file of the reader's own.
fn is_file(cell: &str) -> bool {
    cell.ends_with(".cell") || cell.contains('/')
}

#[test]
fn documents_are_read_as_they_are_meant() {
    let text = "\
# `elman a`
See [one](a.md#x) and `elman train
char-lm` but not `[two](b.md)`.

```sh
elman describe lstm --latex > lstm.tex   # a comment
elman train char-lm \\
    --cell gru
```
| `elman b --c` | [three](docs/c.md) |
";
    let Parts { code, prose } = parts(text);
    let commands = [
        "elman a",
        "elman train char-lm",
        "[two](b.md)",
        "elman describe lstm --latex",
        "elman train char-lm --cell gru",
        "elman b --c",
    ];
    assert_eq!(code, commands);
    assert_eq!(prose.iter().flat_map(|p| links(p)).collect::<Vec<_>>(), ["a.md#x", "docs/c.md"]);
    assert_eq!(before_shell("elman describe lstm --graph dot | dot -Tpdf"), "elman describe lstm --graph dot");
    assert!(is_file("my.cell") && is_file("cells/mine") && !is_file("lstm"));
}

#[test]
fn every_described_cell_is_described() {
    let commands = commands("describe");
    // There are some forty; a reader of documents that finds none would pass in silence.
    assert!(commands.len() >= 30, "only {} commands were found", commands.len());
    let mut wrong = Vec::new();
    for (arguments, path) in &commands {
        if is_file(&arguments[1]) {
            continue;
        }
        let outcome = run(arguments);
        if outcome.status != 0 || outcome.out.is_empty() {
            wrong.push(format!("{}: elman {}: {}", path.display(), arguments.join(" "), outcome.err));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Drawings are drawn; what asks for a run is understood to the point where there is none.
#[test]
fn every_other_command_is_understood() {
    let place = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (verb, least) in [("unroll", 8), ("paths", 2), ("sample", 2), ("eval", 2), ("inspect", 3)] {
        let commands = commands(verb);
        assert!(commands.len() >= least, "only {} commands `{verb}` were found", commands.len());
        for (arguments, path) in &commands {
            let of_a_run = arguments.iter().any(|a| a.starts_with("runs/"));
            if verb == "unroll" && (of_a_run || is_file(&arguments[1])) {
                continue;
            }
            let outcome = finish(elman().current_dir(place.path()).args(arguments));
            let understood = match verb {
                "unroll" | "paths" => outcome.status == 0 && !outcome.out.is_empty(),
                _ => outcome.status == 2 && outcome.err.contains("there is no run"),
            };
            if !understood {
                wrong.push(format!("{}: elman {}: {}", path.display(), arguments.join(" "), outcome.err));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An experiment that has its result is refused when everything else was understood.
#[test]
fn every_experiment_is_understood() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("result.json"), "").unwrap();
    let commands = commands("reproduce");
    assert!(commands.len() >= 15, "only {} commands were found", commands.len());
    let mut wrong = Vec::new();
    for (arguments, path) in &commands {
        if arguments[1] == "--list" {
            run(arguments).ok();
            continue;
        }
        let out = arguments.iter().position(|a| a == "--out").unwrap_or(arguments.len());
        let outcome = finish(elman().args(&arguments[..out]).arg("--out").arg(place.path()));
        if outcome.status != 2 || !outcome.err.contains("there is a result already") {
            wrong.push(format!("{}: elman {}: {}", path.display(), arguments.join(" "), outcome.err));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A training command is run to the point where it reads the text, which is missing: all settings before it are then understood. One that reads no
/// text makes a step.
#[test]
fn every_training_command_is_understood() {
    let place = tempfile::tempdir().unwrap();
    let refused = |arguments: &[String]| {
        let mut command = elman();
        command.current_dir(place.path()).args(arguments.iter().filter(|a| *a != "--resume"));
        if arguments.get(1).is_some_and(|task| task == "plant") {
            let outcome = finish(command.args(["--steps", "1"]));
            return (outcome.status != 0).then_some(outcome.err);
        }
        let outcome = finish(command.args(["--data", MISSING]));
        let understood = outcome.status == 2 && outcome.err.contains(MISSING) && outcome.err.contains("no such file");
        (!understood).then_some(outcome.err)
    };
    // What the test takes for an error.
    for wrong in [
        "train char-lm --cell no-such-cell",
        "train char-lm --no-such-option 1",
        "train no-such-task",
        "train plant --feed x",
    ] {
        let arguments: Vec<String> = wrong.split(' ').map(str::to_string).collect();
        assert!(refused(&arguments).is_some(), "{wrong}");
    }

    let commands = commands("train");
    let with_cell = commands.keys().filter(|arguments| cell_of(arguments).is_some()).count();
    assert!(with_cell >= 10, "only {with_cell} commands with --cell were found");
    let mut wrong = Vec::new();
    for (arguments, path) in &commands {
        if cell_of(arguments).is_some_and(is_file) || arguments.iter().any(|a| a == "--config") {
            continue;
        }
        if let Some(error) = refused(arguments) {
            wrong.push(format!("{}: elman {}: {error}", path.display(), arguments.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `--cell` names.
fn cell_of(arguments: &[String]) -> Option<&str> {
    let at = arguments.iter().position(|a| a == "--cell")?;
    arguments.get(at + 1).map(String::as_str)
}

/// The targets of `[text](target)`.
fn links(prose: &str) -> Vec<&str> {
    let targets = prose.split("](").skip(1);
    targets.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

#[test]
fn every_link_leads_to_a_file() {
    let (mut wrong, mut followed) = (Vec::new(), 0);
    for (path, text) in documents() {
        for target in parts(&text).prose.iter().flat_map(|prose| links(prose)) {
            let file = target.split('#').next().unwrap();
            // Another site, or a place in the same document.
            if target.contains("://") || file.is_empty() {
                continue;
            }
            followed += 1;
            if !path.parent().unwrap().join(file).exists() {
                wrong.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(followed >= 10, "only {followed} links were found");
    assert!(wrong.is_empty(), "these lead nowhere:\n{}", wrong.join("\n"));
}
