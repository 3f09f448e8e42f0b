//! Characters and their ids.

use crate::tensor_file::json;
use crate::{Error, atomic};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// The version of the JSON form that is written, and the last that is read.
const VERSION: u32 = 1;

/// No id.
const NONE: u32 = u32::MAX;

/// The distinct characters of a text in ascending order; an id is a position among them.
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
#[derive(Clone, PartialEq, Eq)]
pub struct Vocabulary {
    /// Strictly ascending.
    characters: Vec<char>,
    /// The ids of ASCII characters: the fast path.
    ascii: [u32; 128],
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Vocabulary").field(&self.characters.iter().collect::<String>()).finish()
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

const KIND: &str = "character";

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
        let mut ascii = [NONE; 128];
        for (id, &character) in characters.iter().enumerate().filter(|(_, c)| c.is_ascii()) {
            ascii[character as usize] = id as u32;
        }
        Ok(Vocabulary { characters, ascii })
    }

    /// V, the number of characters.
    #[expect(clippy::len_without_is_empty, reason = "a vocabulary is never empty")]
    pub fn len(&self) -> usize {
        self.characters.len()
    }

    /// The characters in order of their ids.
    pub fn characters(&self) -> &[char] {
        &self.characters
    }

    /// The id of a character, if it has one.
    #[inline]
    pub fn id(&self, character: char) -> Option<u32> {
        if character.is_ascii() {
            let id = self.ascii[character as usize];
            return (id != NONE).then_some(id);
        }
        self.characters.binary_search(&character).ok().map(|id| id as u32)
    }

    /// The character of an id.
    ///
    /// # Panics
    /// If `id` is not below [`len`](Vocabulary::len).
    #[track_caller]
    pub fn character(&self, id: u32) -> char {
        self.characters[id as usize]
    }

    /// The ids of a text.
    ///
    /// # Errors
    /// [`Error::UnknownCharacter`] for the first character that is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let id = |(position, character)| self.id(character).ok_or_else(|| self.unknown(character, position + 1));
        text.chars().enumerate().map(id).collect()
    }

    /// The text of these ids.
    ///
    /// # Panics
    /// If an id is not below [`len`](Vocabulary::len).
    #[track_caller]
    pub fn decode(&self, ids: &[u32]) -> String {
        ids.iter().map(|&id| self.character(id)).collect()
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

    /// The JSON form: `{"version":1,"kind":"character","symbols":["\n"," ","a"]}`.
    pub fn to_json(&self) -> String {
        let symbols = self.characters.iter().map(char::to_string).collect();
        json(&Json { version: VERSION, kind: KIND.into(), symbols })
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    /// [`Error::Vocabulary`]: it is not that form, is of a later version, or not strictly ascending single characters.
    pub fn from_json(json: &str) -> Result<Vocabulary, Error> {
        let wrong = |what: String| Error::Vocabulary { what };
        let Json { version, kind, symbols } =
            serde_json::from_str(json).map_err(|error| wrong(format!("not its JSON form ({error})")))?;
        if version > VERSION {
            return Err(wrong(format!("version {version}, this program reads up to {VERSION}; use a newer Elman")));
        }
        if kind != KIND {
            return Err(wrong(format!("its symbols are of the kind `{kind}`, not `{KIND}`")));
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
