//! The `elman` program: parsing and printing, no maths.

mod args;
mod cells;
mod describe;
mod eval;
mod failure;
mod inits;
mod inspect;
mod output;
mod paths;
mod progress;
mod reproduce;
mod sample;
mod setting_flags;
mod signals;
mod tasks;
mod train;
mod unroll;

use args::{Arguments, Command};
use clap::Parser;
use clap::error::ErrorKind;
use failure::Failure;
use std::process::ExitCode;

/// Tensors are allocated and freed at every training step; the system's allocator would return their pages each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // --help and --version, and the help for a bare `elman`.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        Err(error) => return Failure::from(error).report(),
    };
    let result = match arguments.command {
        Command::Train(command) => train::run(command),
        Command::Eval(command) => eval::run(&command),
        Command::Sample(command) => sample::run(&command),
        Command::Cells(command) => cells::run(&command),
        Command::Inits(command) => inits::run(&command),
        Command::Inspect(command) => inspect::run(&command),
        Command::Reproduce(command) => reproduce::run(&command),
        Command::Tasks(command) => tasks::run(&command),
        Command::Describe(command) => describe::run(&command),
        Command::Paths(command) => paths::run(&command),
        Command::Unroll(command) => unroll::run(&command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
