//! The text and how it is cut.

use crate::settings::Settings;
use crate::{Error, Observer};
use elman::network::TokenBatch;
use elman::train::BatchSource;
use elman_data::{Split, Streams, Text, corpus};
use elman_run::Vocabulary;
use std::path::Path;

/// A text, its characters, and its parts.
pub struct Material {
    pub text: Text,
    pub vocabulary: Vocabulary,
    pub split: Split,
    pub streams: Streams,
}

impl Material {
    /// Opens the text of these settings. What had to be changed for a short text is told.
    pub fn new(settings: &Settings, observer: &mut dyn Observer) -> Result<Material, Error> {
        let text = open(settings)?;
        let vocabulary = Vocabulary::new(text.characters())?;
        let fraction = settings.number("held-out");
        let mut split = Split::new(text.len(), fraction);
        if fraction > 0.0 && split.held_out.len() < 2 {
            observer.note(&format!(
                "{}: too short ({} characters) for a held-out part: all of it is learnt from",
                text.path().display(),
                text.len()
            ));
            split = Split::new(text.len(), 0.0);
        }
        let (streams, adjustment) = Streams::new(split.train.clone(), settings.size("batch"), settings.size("seq-len"))
            .map_err(|error| Error::Usage(format!("{}: {error}", text.path().display())))?;
        if let Some(adjustment) = adjustment {
            observer.note(&format!("{}: {adjustment}", text.path().display()));
        }
        Ok(Material { text, vocabulary, split, streams })
    }
}

impl BatchSource<TokenBatch> for Material {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        let Material { text, vocabulary, streams, .. } = self;
        let size = streams.batch() * streams.steps();
        let (mut ids, mut targets) = (vec![0; size], vec![0; size]);
        let window = streams
            .window(text, |character| vocabulary.id(character), &mut ids, &mut targets)
            .map_err(|error| error.to_string())?;
        Ok(TokenBatch {
            ids: ids.into(),
            targets,
            batch: streams.batch(),
            lengths: None,
            fresh: window.reset,
            carry: None,
        })
    }

    fn cursor(&self) -> String {
        self.streams.position().to_string()
    }

    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        let position = cursor.parse().map_err(|_| format!("`{cursor}` is not a place in the text"))?;
        self.streams.seek(position);
        Ok(())
    }
}

impl Material {
    /// How often all of the training text had been read before the batch that was given last.
    pub fn epoch(&self) -> u64 {
        (self.streams.position().saturating_sub(1) / self.streams.windows()) as u64
    }

    /// Characters learnt from in a step.
    pub fn characters(&self) -> usize {
        self.streams.batch() * self.streams.steps()
    }
}

/// The text of a run.
pub fn open(settings: &Settings) -> Result<Text, Error> {
    Ok(match data(settings) {
        "" => corpus::text()?,
        path => Text::open(path)?,
    })
}

/// The path of the text; empty for the one in the program.
pub fn data(settings: &Settings) -> &str {
    settings.get("data").map_or("", |_| settings.text("data"))
}

/// The same path from wherever the program is started.
pub fn absolute(path: &str) -> String {
    match path {
        "" => String::new(),
        path => std::path::absolute(Path::new(path)).map_or(path.into(), |p| p.display().to_string()),
    }
}
