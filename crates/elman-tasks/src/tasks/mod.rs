//! The registry of tasks: one line each, and what a task is.

use crate::inspect::series::SeriesOfRun;
use crate::language_model::material::Corpus;
use crate::settings::{Setting, Settings};
use crate::{Error, Observer, RunDir, Stop};
use elman_core::engine::WeightFormat;
use elman_run::nearest;
use std::path::{Path, PathBuf};

mod char_lm;
mod plant;
mod word_lm;

/// Every task that Elman has, in the order in which they are listed.
pub const REGISTRY: &[Task] = &[char_lm::TASK, word_lm::TASK, plant::TASK];

/// An application.
#[derive(Clone, Copy)]
pub struct Task {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its file in `tasks/`, without ending.
    pub file: &'static str,
    /// One line.
    pub summary: &'static str,
    /// What it learns from, the network, the loss, the metric, what it prints.
    pub doc: &'static str,
    /// What can be set.
    pub settings: &'static [Setting],
    /// Sets what has another default for the data given.
    pub preset: fn(&mut Settings),
    /// Trains, or goes on training.
    pub train: fn(Start, &mut dyn Observer) -> Result<Report, Error>,
    /// Reads what the settings name as data, if they are tokens of a text.
    pub(crate) corpus: Option<OpenCorpus>,
    /// A run's network and what it reads, for tasks of numbers.
    pub(crate) series: Option<OpenSeries>,
    /// Scores a model on a data file, or on the run's own held-out part.
    pub eval: fn(&Evaluation, &mut dyn Observer) -> Result<Report, Error>,
}

/// Reads the corpus of these settings.
pub(crate) type OpenCorpus = fn(&Settings, &mut dyn Observer) -> Result<Corpus, Error>;

/// Reads the network of a run, trained and untrained, and its test part.
pub(crate) type OpenSeries = fn(&Evaluation) -> Result<SeriesOfRun, Error>;

/// What a command has found out: for people, and for programs.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Lines.
    pub text: String,
    /// One JSON object.
    pub json: serde_json::Map<String, serde_json::Value>,
}

/// A setting from outside: key, value, and the beginning of the message when it is wrong.
#[derive(Clone, Debug)]
pub struct Override {
    /// The key.
    pub key: String,
    /// The value, not yet checked.
    pub value: String,
    /// Such as `--set: `.
    pub origin: String,
}

/// A command to train.
#[derive(Debug)]
pub struct Request<'a> {
    /// The run's directory; none: a new one under `runs/`.
    pub out: Option<PathBuf>,
    /// Go on with the run that is there.
    pub resume: bool,
    /// A configuration file.
    pub config: Option<PathBuf>,
    /// Settings that replace those of the file.
    pub overrides: Vec<Override>,
    /// Show every vector.
    pub verbose: bool,
    /// Set from outside to stop.
    pub stop: &'a Stop,
}

/// What a task starts from: settings in which everything that was asked for is checked.
pub struct Start<'a> {
    /// The task.
    pub task: &'static Task,
    /// Where to.
    pub out: PathBuf,
    /// The values.
    pub settings: Settings,
    /// The run that goes on, with the settings that it had.
    pub resume: Option<(RunDir, Settings)>,
    /// Show every vector.
    pub verbose: bool,
    /// Set from outside to stop.
    pub stop: &'a Stop,
}

/// A command to score a run's model.
pub struct Evaluation<'a> {
    /// The run.
    pub dir: RunDir,
    /// Its settings.
    pub settings: Settings,
    /// The fingerprint of the data that it learnt from.
    pub fingerprint: String,
    /// A file to score; none: the run's own held-out part.
    pub data: Option<PathBuf>,
    /// The best model instead of the last.
    pub best: bool,
    /// How the weights of recurrent layers are kept.
    pub weights: WeightFormat,
    /// Threads; 0: all.
    pub threads: usize,
    /// Set from outside to stop.
    pub stop: &'a Stop,
}

/// The task of this name.
///
/// # Errors
/// There is none; the nearest is named.
pub fn find(name: &str) -> Result<&'static Task, Error> {
    REGISTRY.iter().find(|task| task.name == name).ok_or_else(|| {
        let advice = match nearest(name, REGISTRY.iter().map(|task| task.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`elman tasks` lists those that there are".to_string(),
        };
        Error::Usage(format!("unknown task `{name}`; {advice}"))
    })
}

/// Trains: settings are those of the run that goes on, then the file's, then the overrides; the rest are defaults.
///
/// # Errors
/// The settings or the data are wrong; or the run fails, see the task.
pub fn train(task: &'static Task, request: Request, observer: &mut dyn Observer) -> Result<Report, Error> {
    let mut settings = Settings::new(task.settings);
    let resume = match (request.resume, &request.out) {
        (false, _) => None,
        (true, Some(out)) => {
            let dir = RunDir::open(out)?;
            settings.read(&dir.config(), task.name)?;
            let mut former = settings.clone();
            former.complete();
            Some((dir, former))
        }
        (true, None) => return Err(Error::Usage("--resume needs the run's directory: add --out DIR".into())),
    };
    if let Some(path) = &request.config {
        settings.read(path, task.name)?;
    }
    let mut overrides: Vec<&Override> = request.overrides.iter().collect();
    overrides.sort_by_key(|one| !settings.is_preset(&one.key));
    let given = |key: &str| request.overrides.iter().any(|one| one.key == key);
    if given("steps") && given("epochs") {
        return Err(Error::Usage("--steps and --epochs: they say the same in two ways; leave one out".into()));
    }
    // A variable of the shell that is not set.
    if let Some(empty) = overrides.iter().find(|one| one.value.is_empty() && one.origin == format!("--{}: ", one.key)) {
        return Err(Error::Usage(format!("--{}: it is empty; give a value, or leave it out", empty.key)));
    }
    for Override { key, value, origin } in overrides {
        settings.set(key, value, origin)?;
    }
    (task.preset)(&mut settings);
    settings.complete();
    let own = request.out.is_none();
    let out = request.out.unwrap_or_else(|| RunDir::free(task.name));
    let start = Start { task, out: out.clone(), settings, resume, verbose: request.verbose, stop: request.stop };
    let result = (task.train)(start, observer);
    if result.is_err() && own {
        RunDir::give_back(&out);
    }
    result
}

/// Opens a run: its task, and an evaluation of it to fill in.
///
/// # Errors
/// There is no run, or its configuration is wrong.
pub fn open<'a>(path: &Path, stop: &'a Stop) -> Result<(&'static Task, Evaluation<'a>), Error> {
    let dir = RunDir::open(path)?;
    let table = crate::settings::read_table(&dir.config())?;
    let note = |key: &str| {
        table.get(key).and_then(|value| value.as_str()).map(str::to_string).ok_or_else(|| {
            Error::Usage(format!("{}: it has no `{key}`; take the one that the run wrote", dir.config().display()))
        })
    };
    let (task, fingerprint) = (find(&note("task")?)?, note("fingerprint")?);
    let mut settings = Settings::new(task.settings);
    settings.read(&dir.config(), task.name)?;
    settings.complete();
    Ok((
        task,
        Evaluation {
            dir,
            settings,
            fingerprint,
            data: None,
            best: false,
            weights: WeightFormat::Full,
            threads: 0,
            stop,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_registered_and_every_line_has_its_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tasks");
        let files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".rs")?.to_string()))
            .filter(|name| name != "mod")
            .collect();
        for file in &files {
            assert!(REGISTRY.iter().any(|task| task.file == file), "{file}.rs is not registered");
        }
        for task in REGISTRY {
            assert!(files.iter().any(|file| file == task.file), "{} has no file", task.name);
            assert_eq!(task.name, task.file.replace('_', "-"));
        }
    }

    #[test]
    fn the_defaults_of_every_task_are_within_their_ranges() {
        for task in REGISTRY {
            let mut settings = Settings::new(task.settings);
            settings.complete();
            for setting in task.settings {
                if let crate::settings::Default::Is(text) = setting.default {
                    settings.set(setting.key, text, "").unwrap();
                }
                assert!(setting.help.ends_with('.'), "{}", setting.key);
                assert_eq!(task.settings.iter().filter(|s| s.key == setting.key).count(), 1);
            }
        }
    }

    #[test]
    fn an_unknown_task_is_told_with_the_nearest() {
        let error = find("charlm").err().unwrap();
        assert_eq!(error.to_string(), "unknown task `charlm`; did you mean `char-lm`?");
        assert_eq!(error.status(), 2);
    }
}
