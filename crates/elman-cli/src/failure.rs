//! How the program ends when it does not succeed.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::io::{self, Write};
use std::process::ExitCode;

/// What others call it, and what it is here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("k1", "the steps from one update to the next are --stride"),
    ("k2", "the steps that the gradient goes back are --seq-len"),
    ("truncate", "the steps that the gradient goes back are --seq-len, those from one update to the next --stride"),
    ("tbptt", "the steps that the gradient goes back are --seq-len, those from one update to the next --stride"),
    ("bptt", "the steps that the gradient goes back are --seq-len"),
    ("learning-rate", "the learning rate is --lr"),
    ("zoneout", "zoneout is an option of the cell, as in --cell lstm:zoneout=0.1"),
];

/// Why a command did not do what it was asked.
pub enum Failure {
    /// What went wrong, one line, and the exit status.
    Message(String, u8),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl Failure {
    /// The command or its input is wrong.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::Message(message.into(), 2)
    }

    /// Says why on standard error; gives the exit status.
    pub fn report(self) -> ExitCode {
        let (message, status) = match self {
            Failure::Message(message, status) => (message, status),
            // Whoever read has what it wanted, as in `elman cells | head -1`.
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Failure::Output(error) => (format!("standard output: cannot be written ({error})"), 1),
        };
        let begin = if status == 130 { "" } else { "error: " };
        // If standard error is closed there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{begin}{message}");
        ExitCode::from(status)
    }
}

/// A wrong option: what the parser says, and its tip, in one line.
impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Failure {
        let known = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(given)) if error.kind() == ErrorKind::UnknownArgument => {
                ELSEWHERE.iter().find(|(name, _)| given.strip_prefix("--") == Some(name)).map(|(_, here)| (given, here))
            }
            _ => None,
        };
        match known {
            Some((given, here)) => Failure::usage(format!("unexpected argument '{given}' found; {here}; see --help")),
            None => Failure::usage(one_line(&error.render().to_string())),
        }
    }
}

/// The parser's paragraphs up to the usage, joined.
fn one_line(rendered: &str) -> String {
    let mut line = String::new();
    for part in rendered.lines().map(str::trim).filter(|part| !part.is_empty()) {
        if part.starts_with("Usage:") || part.starts_with("For more information") {
            break;
        }
        let part = part.strip_prefix("error:").or(part.strip_prefix("tip:")).unwrap_or(part).trim();
        line += match (line.is_empty(), line.ends_with(':') || part.starts_with('[')) {
            (true, _) => "",
            (false, true) => " ",
            (false, false) => "; ",
        };
        line += part;
    }
    line + "; see --help"
}

impl From<elman_tasks::Error> for Failure {
    fn from(error: elman_tasks::Error) -> Failure {
        Failure::Message(error.to_string(), error.status())
    }
}

impl From<elman_run::Error> for Failure {
    fn from(error: elman_run::Error) -> Failure {
        elman_tasks::Error::from(error).into()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}
