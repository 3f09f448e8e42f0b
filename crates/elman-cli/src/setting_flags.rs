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

/// What a setting is otherwise; where tasks differ, with their names.
fn default_text(setting: &Setting) -> String {
    let mut text = setting.default_text();
    for task in REGISTRY {
        let own = task.settings.iter().find(|other| other.key == setting.key).map(Setting::default_text);
        if let Some(own) = own.filter(|own| *own != setting.default_text()) {
            text += &format!("; {}: {own}", task.name);
        }
    }
    text
}

/// The tasks that have a setting, where not all have.
fn tasks_text(setting: &Setting) -> String {
    let has = |task: &&elman_tasks::Task| task.settings.iter().any(|other| other.key == setting.key);
    let names: Vec<&str> = REGISTRY.iter().filter(has).map(|task| task.name).collect();
    if names.len() == REGISTRY.len() { String::new() } else { format!(" [tasks: {}]", names.join(", ")) }
}

fn is_switch(kind: Kind) -> bool {
    matches!(kind, Kind::Choice(names) if names() == ["off", "on"])
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer(..) => "N",
        Kind::Number(..) => "X",
        Kind::Choice(_) | Kind::Preset(..) => "NAME",
        Kind::Text(..) => "VALUE",
        Kind::Path => "PATH",
        Kind::Cell(..) => "CELL",
    }
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        settings().into_iter().fold(command, |command, setting| {
            let (default, tasks) = (default_text(setting), tasks_text(setting));
            let alone = if is_switch(setting.kind) { "; alone, behind the task, it means on" } else { "" };
            let help = format!("{}{alone}", setting.help.trim_end_matches('.'));
            let arg = Arg::new(setting.key);
            // A switch alone is on.
            let arg = if is_switch(setting.kind) { arg.num_args(0..=1).default_missing_value("on") } else { arg };
            command.arg(
                arg.long(setting.key)
                    .value_name(value_name(setting.kind))
                    .allow_negative_numbers(true)
                    .help_heading("Settings (also --set KEY=VALUE and in --config files)")
                    .help(format!("{help} [default: {default}]{tasks}"))
                    .long_help(format!("{help}; {} [default: {default}]{tasks}", setting.range())),
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
