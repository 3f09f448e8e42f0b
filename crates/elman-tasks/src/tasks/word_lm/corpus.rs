//! The words of a run: from one file, or from files for learning, for validation and for the test.

use crate::language_model::material::{Corpus, Tokens, encode, path};
use crate::settings::Settings;
use crate::{Error, Observer};
use elman_data::{Split, Text, Words, corpus};
use elman_run::Vocabulary;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The file of each part; none for the text in the program.
struct Files {
    train: Option<PathBuf>,
    valid: Option<PathBuf>,
    test: Option<PathBuf>,
}

/// The files of these settings.
fn files(settings: &Settings) -> Result<Files, Error> {
    let given = |key: &str| Some(PathBuf::from(path(settings, key))).filter(|path| !path.as_os_str().is_empty());
    let mut files = Files { train: given("data"), valid: given("valid"), test: given("test") };
    if let Some(folder) = files.train.take_if(|path| path.is_dir()) {
        files.train = Some(in_folder(&folder, "train")?);
        for (file, part) in [(&mut files.valid, "valid"), (&mut files.test, "test")] {
            if file.is_none() {
                *file = Some(in_folder(&folder, part)?);
            }
        }
    }
    Ok(files)
}

/// The one file of a folder that is this part.
fn in_folder(folder: &Path, part: &str) -> Result<PathBuf, Error> {
    let unreadable = |source| Error::unreadable(folder, source);
    let mut found = Vec::new();
    for entry in folder.read_dir().map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.contains(part) && (name.ends_with(".txt") || name.ends_with(".txt.gz")) && path.is_file() {
            found.push((name, path));
        }
    }
    found.sort();
    match (found.pop(), found.pop()) {
        (Some((_, path)), None) => Ok(path),
        (None, _) => Err(Error::Usage(format!(
            "{}: there is no file *{part}*.txt or *{part}*.txt.gz; a folder needs one each for train, valid and test, or give a file",
            folder.display()
        ))),
        (Some((b, _)), Some((a, _))) => Err(Error::Usage(format!(
            "{}: both {a} and {b} may be its part `{part}`; keep one of them there",
            folder.display()
        ))),
    }
}

/// Reads the files. The vocabulary is that of the part that is learnt from.
pub fn open(settings: &Settings, observer: &mut dyn Observer) -> Result<Corpus, Error> {
    let files = files(settings)?;
    let text = match &files.train {
        None => corpus::text()?,
        Some(path) => Text::open(path)?,
    };
    let name = text.path().display().to_string();
    let words = Words::read(&text)?;
    let mut fingerprint = text.fingerprint().to_string();
    drop(text);
    let others = [&files.valid, &files.test];
    let others = others.map(|path| {
        let Some(path) = path else { return Ok(None) };
        let text = Text::open(path)?;
        fingerprint += &format!("+{}", text.fingerprint());
        let words = Words::read(&text)?;
        if words.len() < 2 {
            return Err(Error::Usage(format!("{}: it has 1 word; a prediction needs at least 2", path.display())));
        }
        Ok(Some(words))
    });
    let [valid, test] = others;
    let (valid, test) = (valid?, test?);
    let mut split = Split::new(words.len(), settings.number("held-out"));
    if valid.is_some() {
        split = Split::new(words.len(), 0.0);
    }

    let (least, most) = (settings.integer("min-count"), settings.size("vocabulary"));
    let known = words.frequent(split.train.clone(), least, most);
    let distinct = words.distinct();
    if known.len() == 2 && least <= 1 {
        return Err(Error::Usage(format!("{name}: it has no word, only ends of lines; give another text")));
    }
    if known.len() == 2 {
        return Err(Error::Usage(format!(
            "{name}: of {distinct} distinct words none is left with min-count {least} and vocabulary {most}; lower `min-count`, raise \
             `vocabulary`, or give a longer text"
        )));
    }
    let vocabulary = Vocabulary::of_words(known.into_iter().map(String::from))?;
    let mut ids = encode(&words, &vocabulary);
    drop(words);
    let mut append = |words: Option<Words>| -> Range<usize> {
        let start = ids.len();
        ids.extend(words.iter().flat_map(|words| encode(words, &vocabulary)));
        start..ids.len()
    };
    let held_out = match valid {
        Some(words) => append(Some(words)),
        None => split.held_out,
    };
    let test = append(test);
    let unknown = unknown_share(&ids[split.train.clone()], &vocabulary);
    observer.note(&format!(
        "{name}: a vocabulary of {} from {distinct} distinct words; {:.2} % of the words learnt from are `<unk>`",
        vocabulary.len(),
        100.0 * unknown
    ));
    Ok(Corpus {
        name,
        fingerprint,
        unigram_nats: unigram_nats(&ids[split.train.clone()], vocabulary.len()),
        tokens: Tokens::Ids(ids),
        vocabulary,
        train: split.train,
        held_out,
        test,
    })
}

/// The share of ids that are `<unk>`.
fn unknown_share(ids: &[u32], vocabulary: &Vocabulary) -> f64 {
    let unknown = vocabulary.word_id(elman_data::words::UNK);
    ids.iter().filter(|&&id| Some(id) == unknown).count() as f64 / ids.len().max(1) as f64
}

/// Entropy of a word drawn at random, in nats.
fn unigram_nats(ids: &[u32], vocabulary: usize) -> f64 {
    let mut counts = vec![0u64; vocabulary];
    ids.iter().for_each(|&id| counts[id as usize] += 1);
    let total = ids.len() as f64;
    0.0 - counts.iter().filter(|&&n| n > 0).map(|&n| n as f64 / total * (n as f64 / total).ln()).sum::<f64>()
}
