//! What a language model learns from: tokens in one row, its parts, and batches of the part that is learnt from.

use crate::settings::Settings;
use crate::{Error, Observer};
use elman::network::TokenBatch;
use elman::train::BatchSource;
use elman_data::{Streams, Text, Words};
use elman_run::Vocabulary;
use std::ops::Range;
use std::path::Path;

/// Tokens that are read by position.
pub enum Tokens {
    /// A text's characters, encoded as they are read.
    Characters(Text),
    /// Ids.
    Ids(Vec<u32>),
}

impl Tokens {
    /// A file's, as the vocabulary has them.
    pub fn open(path: &Path, vocabulary: &Vocabulary) -> Result<Tokens, Error> {
        let text = Text::open(path)?;
        Ok(match vocabulary.unit() {
            "word" => Tokens::Ids(encode(&Words::read(&text)?, vocabulary)),
            _ => Tokens::Characters(text),
        })
    }

    /// Their number.
    pub fn len(&self) -> usize {
        match self {
            Tokens::Characters(text) => text.len(),
            Tokens::Ids(ids) => ids.len(),
        }
    }

    /// The ids from a position on.
    pub fn read(&self, vocabulary: &Vocabulary, at: usize, out: &mut [u32]) -> Result<(), Error> {
        match self {
            Tokens::Characters(text) => Ok(text.read(at, out, |character| vocabulary.id(character))?),
            Tokens::Ids(ids) => {
                out.copy_from_slice(&ids[at..][..out.len()]);
                Ok(())
            }
        }
    }
}

/// Words as the ids of a vocabulary of words.
pub fn encode(words: &Words, vocabulary: &Vocabulary) -> Vec<u32> {
    words.encode(|word| vocabulary.word_id(word).expect("a vocabulary of words"))
}

/// The data of a run.
pub struct Corpus {
    /// Its file or folder, for messages.
    pub name: String,
    /// Length and hash of what was read.
    pub fingerprint: String,
    /// All tokens, one part after the other.
    pub tokens: Tokens,
    /// What they are.
    pub vocabulary: Vocabulary,
    /// Learnt from.
    pub train: Range<usize>,
    /// Scored while training and at the end; may be empty.
    pub held_out: Range<usize>,
    /// Scored at the end only; may be empty.
    pub test: Range<usize>,
    /// Entropy of a token drawn at random, in nats.
    pub unigram_nats: f64,
}

/// A corpus, and the streams through the part that is learnt from.
pub struct Material {
    pub corpus: Corpus,
    /// Each window of which is new.
    pub streams: Streams,
    /// Steps that the gradient goes through, at least those of a window.
    pub back: usize,
}

impl Material {
    /// Cuts the streams. What had to be changed for a short text is told.
    pub fn new(mut corpus: Corpus, settings: &Settings, observer: &mut dyn Observer) -> Result<Material, Error> {
        let name = &corpus.name;
        if settings.number("held-out") > 0.0 && corpus.held_out.len() < 2 && corpus.held_out.start == corpus.train.end {
            observer.note(&format!(
                "{name}: too short ({} {}s) for a held-out part: all of it is learnt from",
                corpus.tokens.len() - corpus.test.len(),
                corpus.vocabulary.unit()
            ));
            corpus.train.end = corpus.held_out.end;
            corpus.held_out.start = corpus.held_out.end;
        }
        let (stride, length) = (settings.size("stride"), settings.size("seq-len"));
        if stride > length {
            return Err(Error::Usage(format!("stride: it is {stride}; it must be at most seq-len, which is {length}")));
        }
        let (streams, adjustment) = Streams::new(corpus.train.clone(), settings.size("batch"), stride)
            .map_err(|error| Error::Usage(format!("{name}: {error}")))?;
        if let Some(adjustment) = adjustment {
            observer.note(&format!("{name}: {}", adjustment.told(corpus.vocabulary.unit())));
        }
        // A text that is too short for the stride is too short to overlap.
        let back = if streams.steps() < stride { streams.steps() } else { length };
        Ok(Material { corpus, streams, back })
    }

    /// How often all of the training part had been read before the batch that was given last.
    pub fn epoch(&self) -> u64 {
        (self.streams.position().saturating_sub(1) / self.streams.windows()) as u64
    }

    /// Tokens learnt from in a step.
    pub fn tokens_in_a_step(&self) -> usize {
        self.streams.batch() * self.streams.steps()
    }

    /// Whether a single step reads all of the training part.
    pub fn is_one_step(&self) -> bool {
        self.corpus.train.len() == self.streams.steps() + 1
    }

    /// Steps that read all of the training part.
    pub fn steps_in_an_epoch(&self) -> u64 {
        self.streams.windows() as u64
    }
}

impl BatchSource<TokenBatch> for Material {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        let Material { corpus: Corpus { tokens, vocabulary, .. }, streams, .. } = self;
        let size = streams.batch() * streams.steps();
        let (mut ids, mut targets) = (vec![0; size], vec![0; size]);
        let window = streams
            .window_from(|at, row| tokens.read(vocabulary, at, row), &mut ids, &mut targets)
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

/// A setting that is a path; empty where there is none.
pub fn path<'a>(settings: &'a Settings, key: &str) -> &'a str {
    settings.get(key).map_or("", |_| settings.text(key))
}

/// The same path from wherever the program is started.
pub fn absolute(path: &str) -> String {
    match path {
        "" => String::new(),
        path => std::path::absolute(Path::new(path)).map_or(path.into(), |p| p.display().to_string()),
    }
}
