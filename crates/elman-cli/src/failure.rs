//! How the program ends when it does not succeed.

use std::io::{self, Write};
use std::process::ExitCode;

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
