//! Characters or words, and their ids.

use crate::tensor_file::json;
use crate::{Error, atomic};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::path::Path;

/// The version of the JSON form that is written, and the last that is read.
const VERSION: u32 = 1;

/// No id.
const NONE: u32 = u32::MAX;

/// The word that stands for the end of a line.
const EOS: &str = "<eos>";
/// The word that stands for those that are not known.
const UNK: &str = "<unk>";

/// What a model reads and writes, by ids: the distinct characters of a text in ascending order, or words in any order.
///
/// ```
/// use elman_run::Vocabulary;
/// let vocabulary = Vocabulary::new("hello".chars())?;
/// assert_eq!(vocabulary.encode("hole")?, [1, 3, 2, 0]);
/// assert_eq!(vocabulary.decode(&[1, 0, 2, 2, 3]), "hello");
/// assert_eq!(
///     vocabulary.encode("help").unwrap_err().to_string(),
///     "character 4 is 'p', which the vocabulary lacks; use the characters of the training text"
/// );
/// # Ok::<(), elman_run::Error>(())
/// ```
///
/// Words are what stands between white space; the end of a line is the word `<eos>`, and one that is not known becomes `<unk>`. Both must be
/// there.
///
/// ```
/// use elman_run::Vocabulary;
/// let vocabulary = Vocabulary::of_words(["the", "<eos>", "cat", "<unk>"].map(String::from))?;
/// assert_eq!(vocabulary.encode("the big cat\n the")?, [0, 3, 2, 1, 0]);
/// assert_eq!(vocabulary.decode(&[0, 3, 2, 1, 0]), "the <unk> cat\nthe");
/// # Ok::<(), elman_run::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Vocabulary {
    /// All symbols in order of their ids, one after another; a space stands before each word.
    text: String,
    /// Where each begins, and where the last ends.
    starts: Vec<usize>,
    index: Index,
}

/// From symbols to ids.
#[derive(Clone, PartialEq, Eq)]
enum Index {
    Characters {
        /// Strictly ascending.
        characters: Vec<char>,
        /// The ids of ASCII characters: the fast path.
        ascii: Box<[u32; 128]>,
    },
    Words {
        ids: HashMap<String, u32>,
        eos: u32,
        unk: u32,
    },
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vocabulary").field(&self.text).finish()
    }
}

/// The JSON form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    version: u32,
    kind: String,
    symbols: Vec<String>,
}

const CHARACTER: &str = "character";
const WORD: &str = "word";

/// Texts one after another, with `before` before each, and where they begin.
fn joined(symbols: &[String], before: &str) -> (String, Vec<usize>) {
    let (mut text, mut starts) = (String::new(), vec![0]);
    for symbol in symbols {
        text += before;
        text += symbol;
        starts.push(text.len());
    }
    (text, starts)
}

impl Vocabulary {
    /// The distinct ones of these characters.
    ///
    /// # Errors
    /// There is none.
    pub fn new(characters: impl IntoIterator<Item = char>) -> Result<Vocabulary, Error> {
        let mut characters: Vec<char> = characters.into_iter().collect();
        characters.sort_unstable();
        characters.dedup();
        if characters.is_empty() {
            return Err(Error::Vocabulary { what: "it has no character".into() });
        }
        let mut ascii = Box::new([NONE; 128]);
        for (id, &character) in characters.iter().enumerate().filter(|(_, c)| c.is_ascii()) {
            ascii[character as usize] = id as u32;
        }
        let symbols: Vec<String> = characters.iter().map(char::to_string).collect();
        let (text, starts) = joined(&symbols, "");
        Ok(Vocabulary { text, starts, index: Index::Characters { characters, ascii } })
    }

    /// These words; a word's id is its place among them.
    ///
    /// # Errors
    /// [`Error::Vocabulary`]: one is empty, has white space within or is there twice, or `<eos>` or `<unk>` is missing.
    pub fn of_words(words: impl IntoIterator<Item = String>) -> Result<Vocabulary, Error> {
        let wrong = |what: String| Err(Error::Vocabulary { what });
        let words: Vec<String> = words.into_iter().collect();
        let (text, starts) = joined(&words, " ");
        let mut ids = HashMap::with_capacity(words.len());
        for (id, word) in words.into_iter().enumerate() {
            if word.is_empty() || word.contains(char::is_whitespace) {
                return wrong(format!("{word:?} is not a word: it is empty or has white space"));
            }
            if let Some(other) = ids.insert(word, id as u32) {
                return wrong(format!("the words {other} and {id} are the same"));
            }
        }
        match (ids.get(EOS), ids.get(UNK)) {
            (Some(&eos), Some(&unk)) => Ok(Vocabulary { text, starts, index: Index::Words { ids, eos, unk } }),
            (None, _) => wrong(format!("the word `{EOS}` is missing")),
            (_, None) => wrong(format!("the word `{UNK}` is missing")),
        }
    }

    /// V, the number of symbols.
    #[expect(clippy::len_without_is_empty, reason = "a vocabulary is never empty")]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// What a symbol is: `character` or `word`.
    pub fn unit(&self) -> &'static str {
        match self.index {
            Index::Characters { .. } => CHARACTER,
            Index::Words { .. } => WORD,
        }
    }

    /// The characters in order of their ids; none in a vocabulary of words.
    pub fn characters(&self) -> &[char] {
        match &self.index {
            Index::Characters { characters, .. } => characters,
            Index::Words { .. } => &[],
        }
    }

    /// The id of a character, if it has one.
    #[inline]
    pub fn id(&self, character: char) -> Option<u32> {
        let Index::Characters { characters, ascii } = &self.index else { return None };
        if character.is_ascii() {
            let id = ascii[character as usize];
            return (id != NONE).then_some(id);
        }
        characters.binary_search(&character).ok().map(|id| id as u32)
    }

    /// The id of a word, that of `<unk>` where it is not known; none in a vocabulary of characters.
    pub fn word_id(&self, word: &str) -> Option<u32> {
        match &self.index {
            Index::Characters { .. } => None,
            Index::Words { ids, unk, .. } => Some(ids.get(word).copied().unwrap_or(*unk)),
        }
    }

    /// The character or the word of an id.
    ///
    /// # Panics
    /// If `id` is not below [`len`](Vocabulary::len).
    #[track_caller]
    pub fn symbol(&self, id: u32) -> &str {
        let symbol = &self.text[self.starts[id as usize]..self.starts[id as usize + 1]];
        match self.index {
            Index::Characters { .. } => symbol,
            Index::Words { .. } => &symbol[1..],
        }
    }

    /// What an id adds to a text: a character; a word with a space before it, unless `line_begins`; a line end for `<eos>`.
    ///
    /// # Panics
    /// If `id` is not below [`len`](Vocabulary::len).
    #[track_caller]
    pub fn written(&self, id: u32, line_begins: bool) -> &str {
        match self.index {
            Index::Words { eos, .. } if id == eos => "\n",
            Index::Words { .. } if !line_begins => &self.text[self.starts[id as usize]..self.starts[id as usize + 1]],
            _ => self.symbol(id),
        }
    }

    /// The ids of a text. In one of words a line end is `<eos>`, and what is not known is `<unk>`.
    ///
    /// # Errors
    /// [`Error::UnknownCharacter`] for the first character that is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        match &self.index {
            Index::Characters { .. } => {
                let id =
                    |(position, character)| self.id(character).ok_or_else(|| self.unknown(character, position + 1));
                text.chars().enumerate().map(id).collect()
            }
            Index::Words { ids, eos, unk } => {
                let id = |word: &str| ids.get(word).copied().unwrap_or(*unk);
                let line = |line: &str| {
                    let end = line.ends_with('\n').then_some(*eos);
                    line.split_whitespace().map(id).chain(end).collect::<Vec<u32>>()
                };
                Ok(text.split_inclusive('\n').flat_map(line).collect())
            }
        }
    }

    /// The text of these ids.
    ///
    /// # Panics
    /// If an id is not below [`len`](Vocabulary::len).
    #[track_caller]
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut text = String::new();
        for &id in ids {
            text += self.written(id, text.is_empty() || text.ends_with('\n'));
        }
        text
    }

    /// The error for a character that the vocabulary lacks, at a position from 1, with the nearest one that it has.
    pub fn unknown(&self, character: char, position: usize) -> Error {
        let typed = match character {
            '‘' | '’' | '´' | '`' => Some('\''),
            '“' | '”' | '„' | '«' | '»' => Some('"'),
            '–' | '—' | '‐' | '−' => Some('-'),
            '\u{a0}' | '\t' => Some(' '),
            _ => None,
        };
        let near = character.to_lowercase().chain(character.to_uppercase()).chain(typed);
        let advice = match near.into_iter().find(|&c| c != character && self.id(c).is_some()) {
            Some(near) => format!("it has {near:?}"),
            None => "use the characters of the training text".to_string(),
        };
        Error::UnknownCharacter { character, position, advice }
    }

    /// The JSON form: `{"version":1,"kind":"character","symbols":["\n"," ","a"]}`; of words with the kind `word`.
    pub fn to_json(&self) -> String {
        let symbols = (0..self.len() as u32).map(|id| self.symbol(id).to_string()).collect();
        json(&Json { version: VERSION, kind: self.unit().into(), symbols })
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`Error::Vocabulary`]: it is not that form, is of a later version, or its symbols are not strictly ascending single characters, or not
    /// words as [`of_words`](Vocabulary::of_words) wants them.
    pub fn from_json(json: &str) -> Result<Vocabulary, Error> {
        let wrong = |what: String| Error::Vocabulary { what };
        let Json { version, kind, symbols } =
            serde_json::from_str(json).map_err(|error| wrong(format!("not its JSON form ({error})")))?;
        if version > VERSION {
            return Err(wrong(format!("version {version}, this program reads up to {VERSION}; use a newer Elman")));
        }
        if kind == WORD {
            return Vocabulary::of_words(symbols);
        }
        if kind != CHARACTER {
            return Err(wrong(format!("its symbols are of the kind `{kind}`, not `{CHARACTER}` or `{WORD}`")));
        }
        let mut characters = Vec::new();
        for symbol in &symbols {
            let mut chars = symbol.chars();
            match (chars.next(), chars.next()) {
                (Some(character), None) => characters.push(character),
                _ => return Err(wrong(format!("{symbol:?} is not one character"))),
            }
        }
        if let Some(pair) = characters.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(wrong(format!("{:?} stands after {:?}; ids must ascend", pair[1], pair[0])));
        }
        Vocabulary::new(characters)
    }

    /// Writes the JSON form to a file, atomically.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        atomic::write(path.as_ref(), |writer| writeln!(writer, "{}", self.to_json()))
    }

    /// Reads the JSON form from a file.
    ///
    /// # Errors
    /// The file is missing or cannot be read, or as [`from_json`](Vocabulary::from_json).
    pub fn load(path: impl AsRef<Path>) -> Result<Vocabulary, Error> {
        let path = path.as_ref();
        let json = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing { path: path.to_path_buf() },
            _ => Error::Unreadable { path: path.to_path_buf(), source },
        })?;
        Vocabulary::from_json(&json).map_err(|error| error.within(path))
    }
}
