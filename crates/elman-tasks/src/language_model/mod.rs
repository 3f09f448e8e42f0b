//! What tasks of language models share: settings, network, trainer, the way through training, checkpoint, score, samples, metrics, pictures.
//!
//! Such a task gives its list of settings and opens its corpus; the tokens of a corpus are characters or words.

use crate::settings::Settings;
use crate::tasks::{Evaluation, Report, Start};
use crate::{Error, Observer};

pub mod algorithm;
mod eval;
mod idle;
pub mod initial;
pub mod material;
pub mod network;
mod precision;
pub mod regularisation;
#[macro_use]
pub mod settings;
mod train;
mod vectors;
mod watch;

/// What a task of a language model has of its own, beside its settings.
pub struct LanguageModelTask {
    /// Reads the data of these settings.
    pub open: fn(&Settings, &mut dyn Observer) -> Result<material::Corpus, Error>,
    /// Decides what the settings leave open, now that the data are known.
    pub decide: fn(&mut Settings, &material::Material),
}

/// The text of a run is not where it was.
pub(crate) fn moved(error: Error) -> Error {
    match error {
        Error::Text(elman_data::TextError::Missing { path }) => Error::Usage(format!(
            "{}: there is no such file; bring the run's text back, or give its new place with --data",
            path.display()
        )),
        other => other,
    }
}

impl LanguageModelTask {
    /// Trains, or goes on training.
    pub fn train(&self, start: Start, observer: &mut dyn Observer) -> Result<Report, Error> {
        train::train(self, start, observer)
    }

    /// Scores a model.
    pub fn eval(&self, evaluation: &Evaluation, observer: &mut dyn Observer) -> Result<Report, Error> {
        eval::eval(self, evaluation, observer)
    }
}
