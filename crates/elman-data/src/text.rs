//! A text of any size, read at any character.

use crate::gzip::{self, GzipError};
use crate::scan::{self, Fault, STRIDE, Scan};
use memmap2::Mmap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Why a text cannot be read. Each message says what, where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// There is no such file.
    #[error("{}: there is no such file; check the path", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A directory, a pipe or a device.
    #[error("{}: this is {what}, not a file; give the path of a UTF-8 text file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The system refuses to open or map it.
    #[error("{}: the file cannot be read ({source}); check its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It has no character.
    #[error("{}: the file is empty; give a text to learn from", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It has a NUL byte: not a text.
    #[error("{}: a binary file (byte {offset} is NUL); give a UTF-8 text file", path.display())]
    Binary {
        /// The file.
        path: PathBuf,
        /// The first NUL byte, from 0.
        offset: usize,
    },
    /// It is not UTF-8.
    #[error("{}: not UTF-8 at byte {offset} (line {line}, value 0x{byte:02x}); {advice}", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first byte that is not UTF-8, from 0.
        offset: usize,
        /// Its line, from 1.
        line: usize,
        /// Its value.
        byte: u8,
        /// What to do.
        advice: &'static str,
    },
    /// Its name says that gzip packed it, and it cannot be unpacked.
    #[error("{}: it cannot be unpacked: {what}; take another copy, or unpack it with gzip", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: GzipError,
    },
    /// It changed after it was opened.
    #[error("{}: the file was changed while it was being read; start again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// It has a character that the vocabulary lacks.
    #[error("{}: character {position} is {character:?}, which the vocabulary lacks; give a text like the one learnt from", path.display())]
    UnknownCharacter {
        /// The file.
        path: PathBuf,
        /// The character.
        character: char,
        /// Its position in characters, from 1.
        position: usize,
    },
}

/// UTF-8's byte order mark: some programs begin a text with it, and it says nothing.
const MARK: &[u8] = &[0xef, 0xbb, 0xbf];

enum Bytes {
    Mapped(Mmap),
    Static(&'static [u8]),
    Unpacked(Vec<u8>),
}

/// A text: a UTF-8 file that is mapped and never held whole, one that gzip packed (held unpacked), or one that is in the program.
///
/// Opening it reads it once from beginning to end, with two threads. After that it can be read at any character.
/// Characters are Unicode scalar values, as Rust's `char` and the items of a Python string; nothing is normalised, and
/// line ends are kept as they are. A byte order mark at the beginning is left out.
///
/// A mapped file that another program makes shorter while it is read ends this program with a bus error: the system has
/// no gentler way to say so. One whose content changes is found out or read as it is, never with undefined results.
///
/// ```
/// use elman_data::Text;
/// let text = Text::from_static("naïve".as_bytes())?;
/// assert_eq!(text.len(), 5);
/// let mut codes = [0; 3];
/// text.read(1, &mut codes, |c| Some(c as u32))?;
/// assert_eq!(codes, ['a' as u32, 'ï' as u32, 'v' as u32]);
/// # Ok::<(), elman_data::TextError>(())
/// ```
pub struct Text {
    bytes: Bytes,
    /// Bytes of a byte order mark at the beginning, which is no part of the text.
    mark: usize,
    path: PathBuf,
    scan: Scan,
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Text").field("path", &self.path).field("characters", &self.len()).finish_non_exhaustive()
    }
}

impl Text {
    /// Maps the file and reads it once. One whose name ends in `.gz` is unpacked into memory.
    ///
    /// # Errors
    /// The file is missing, is not a file, cannot be read or unpacked, is empty, binary or not UTF-8.
    pub fn open(path: impl AsRef<Path>) -> Result<Text, TextError> {
        let path = path.as_ref().to_path_buf();
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => TextError::Missing { path: path.clone() },
            _ => TextError::Unreadable { path: path.clone(), source },
        };
        // Asked before the file is opened: opening a pipe would wait for its writer.
        let metadata = fs::metadata(&path).map_err(unreadable)?;
        if !metadata.is_file() {
            let what = if metadata.is_dir() { "a directory" } else { "a pipe or a device" };
            return Err(TextError::NotAFile { path, what });
        }
        if metadata.len() == 0 {
            return Err(TextError::Empty { path });
        }
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz")) {
            let packed = fs::read(&path).map_err(unreadable)?;
            return match gzip::unpack(&packed) {
                Ok(bytes) => Text::new(Bytes::Unpacked(bytes), path),
                Err(what) => Err(TextError::Packed { path, what }),
            };
        }
        let file = File::open(&path).map_err(unreadable)?;
        // SAFETY: the map is read-only and private to this value. That nobody else writes the file cannot be
        // guaranteed, so nothing here relies on its content being the same twice: bytes are only ever read as numbers
        // and checked as UTF-8 again at every use (`read`), and every offset is bounds-checked.
        let map = unsafe { Mmap::map(&file) }.map_err(unreadable)?;
        Text::new(Bytes::Mapped(map), path)
    }

    /// A text that is in the program.
    ///
    /// # Errors
    /// It is empty, binary or not UTF-8.
    pub fn from_static(bytes: &'static [u8]) -> Result<Text, TextError> {
        Text::new(Bytes::Static(bytes), PathBuf::from("the embedded text"))
    }

    fn new(bytes: Bytes, path: PathBuf) -> Result<Text, TextError> {
        let content: &[u8] = match &bytes {
            Bytes::Mapped(map) => map,
            Bytes::Static(bytes) => bytes,
            Bytes::Unpacked(bytes) => bytes,
        };
        let mark = if content.starts_with(MARK) { MARK.len() } else { 0 };
        let content = &content[mark..];
        if content.is_empty() {
            return Err(TextError::Empty { path });
        }
        match scan::scan(content) {
            Ok(scan) => Ok(Text { bytes, mark, path, scan }),
            Err(Fault::Binary { offset }) if !is_utf16(content) => {
                Err(TextError::Binary { path, offset: mark + offset })
            }
            Err(Fault::Binary { offset } | Fault::NotUtf8 { offset }) => {
                let line = 1 + content[..offset].iter().filter(|&&b| b == b'\n').count();
                let advice = if is_utf16(content) {
                    "it looks like UTF-16: convert it with `iconv -f utf-16 -t utf-8`"
                } else {
                    "convert it, for example with `iconv -f latin1 -t utf-8`"
                };
                Err(TextError::NotUtf8 { path, offset: mark + offset, line, byte: content[offset], advice })
            }
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let all: &[u8] = match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Static(bytes) => bytes,
            Bytes::Unpacked(bytes) => bytes,
        };
        &all[self.mark..]
    }

    /// The file's path, or a description of an embedded text.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of characters.
    #[expect(clippy::len_without_is_empty, reason = "an empty text is an error when it is opened")]
    pub fn len(&self) -> usize {
        self.scan.characters
    }

    /// Number of bytes.
    pub fn len_bytes(&self) -> usize {
        self.bytes().len()
    }

    /// The distinct characters, ascending, and how often each occurs.
    pub fn counts(&self) -> &[(char, u64)] {
        &self.scan.counts
    }

    /// The distinct characters, ascending: the vocabulary of a character model.
    pub fn characters(&self) -> impl Iterator<Item = char> + '_ {
        self.scan.counts.iter().map(|&(character, _)| character)
    }

    /// Entropy of a character drawn at random, in nats: what a model reaches that knows nothing but the frequencies.
    ///
    /// ```
    /// let text = elman_data::Text::from_static(b"abab")?;
    /// assert_eq!(text.unigram_nats(), std::f64::consts::LN_2);
    /// # Ok::<(), elman_data::TextError>(())
    /// ```
    pub fn unigram_nats(&self) -> f64 {
        let total = self.len() as f64;
        // Not a sign: of one character the sum is 0, and the entropy not -0.
        0.0 - self.scan.counts.iter().map(|&(_, n)| n as f64 / total * (n as f64 / total).ln()).sum::<f64>()
    }

    /// Length and hash of the content: equal for equal texts, and only for them. Known without reading the text again.
    pub fn fingerprint(&self) -> &str {
        &self.scan.fingerprint
    }

    /// Makes sure that every character is `known`, without reading the text if it is.
    ///
    /// # Errors
    /// [`TextError::UnknownCharacter`] for the first that is not.
    pub fn require(&self, known: impl Fn(char) -> bool) -> Result<(), TextError> {
        if self.characters().all(&known) {
            return Ok(());
        }
        let mut piece = [0; STRIDE];
        for start in (0..self.len()).step_by(STRIDE) {
            let count = STRIDE.min(self.len() - start);
            self.read(start, &mut piece[..count], |c| known(c).then_some(0))?;
        }
        Err(TextError::Changed { path: self.path.clone() })
    }

    /// Byte offset of the character at `position`, which is at most [`len`](Text::len).
    fn offset(&self, position: usize) -> usize {
        if self.scan.index.is_empty() {
            return position;
        }
        let Some(&start) = self.scan.index.get(position / STRIDE) else {
            return self.bytes().len();
        };
        let bytes = &self.bytes()[start..];
        // The character number `skip` from here begins at the first byte that is not a continuation after `skip` others.
        let mut starts = bytes.iter().enumerate().filter(|&(_, &byte)| byte & 0xc0 != 0x80);
        starts.nth(position % STRIDE).map_or(self.bytes().len(), |(offset, _)| start + offset)
    }

    /// Reads `out.len()` characters from character `start` on, each through `encode`.
    ///
    /// Costs the characters read and about 500 more to find the place, at any position of a text of any size.
    ///
    /// # Errors
    /// `encode` gives none for a character, or the file was changed.
    ///
    /// # Panics
    /// If the text has fewer than `start + out.len()` characters.
    #[track_caller]
    pub fn read(
        &self,
        start: usize,
        out: &mut [u32],
        mut encode: impl FnMut(char) -> Option<u32>,
    ) -> Result<(), TextError> {
        assert!(
            start <= self.len() && out.len() <= self.len() - start,
            "characters {start}..{} of a text of {}",
            start.saturating_add(out.len()),
            self.len()
        );
        let unknown = |character, i| {
            Err(TextError::UnknownCharacter { path: self.path.clone(), character, position: start + i + 1 })
        };
        let changed = || TextError::Changed { path: self.path.clone() };
        let bytes = &self.bytes()[self.offset(start)..];
        if self.scan.index.is_empty() {
            for (i, (slot, &byte)) in out.iter_mut().zip(bytes).enumerate() {
                if !byte.is_ascii() {
                    return Err(changed());
                }
                match encode(byte as char) {
                    Some(id) => *slot = id,
                    None => return unknown(byte as char, i),
                }
            }
            return Ok(());
        }
        // A character has at most four bytes; the last one that this cuts is not needed.
        let bytes = &bytes[..bytes.len().min(4 * out.len())];
        let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let mut characters = valid.chars();
        for (i, slot) in out.iter_mut().enumerate() {
            let character = characters.next().ok_or_else(changed)?;
            match encode(character) {
                Some(id) => *slot = id,
                None => return unknown(character, i),
            }
        }
        Ok(())
    }
}

fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff])
}
