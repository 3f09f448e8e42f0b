//! The text of a run.

use crate::language_model::material::{Corpus, Tokens, path};
use crate::settings::Settings;
use crate::{Error, Observer};
use elman_data::{Split, Text, corpus};
use elman_run::Vocabulary;

/// The file of these settings, or the text in the program; its last part is held out.
pub fn open(settings: &Settings, _: &mut dyn Observer) -> Result<Corpus, Error> {
    let text = match path(settings, "data") {
        "" => corpus::text()?,
        path => Text::open(path)?,
    };
    let split = Split::new(text.len(), settings.number("held-out"));
    Ok(Corpus {
        name: text.path().display().to_string(),
        fingerprint: text.fingerprint().into(),
        vocabulary: Vocabulary::new(text.characters())?,
        test: text.len()..text.len(),
        train: split.train,
        held_out: split.held_out,
        unigram_nats: text.unigram_nats(),
        tokens: Tokens::Characters(text),
    })
}
