//! The settings of tasks as options: each `key` of the tasks' lists is an option `--key`.

use clap::{Arg, ArgMatches, Args, Command, Error, FromArgMatches};
use elman_tasks::settings::{Kind, Setting};
use elman_tasks::tasks::{Override, REGISTRY};

/// The options given: key and value, not yet checked. The task checks them, with the same words for files and options.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags(pub Vec<Override>);

/// The settings of all tasks, each once.
fn settings() -> Vec<&'static Setting> {
    let mut all: Vec<&'static Setting> = Vec::new();
    for setting in REGISTRY.iter().flat_map(|task| task.settings) {
        if all.iter().all(|other| other.key != setting.key) {
            all.push(setting);
        }
    }
    all
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer(..) => "N",
        Kind::Number(..) => "X",
        Kind::Choice(_) => "NAME",
        Kind::Text(..) => "VALUE",
        Kind::Path => "PATH",
        Kind::Cell(..) => "CELL",
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        settings().into_iter().fold(command, |command, setting| {
            let help = setting.help.trim_end_matches('.');
            command.arg(
                Arg::new(setting.key)
                    .long(setting.key)
                    .value_name(value_name(setting.kind))
                    .allow_negative_numbers(true)
                    .help_heading("Settings (also --set KEY=VALUE and in --config files)")
                    .help(format!("{help} [default: {}]", setting.default_text()))
                    .long_help(format!("{help}; {} [default: {}]", setting.range(), setting.default_text())),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |setting: &'static Setting| {
            let value = matches.get_one::<String>(setting.key)?.clone();
            Some(Override { key: setting.key.into(), value, origin: format!("--{}: ", setting.key) })
        };
        Ok(SettingFlags(settings().into_iter().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
