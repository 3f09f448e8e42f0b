//! A text as words: what stands between white space, and the end of each line as a word of its own.

use crate::text::{Text, TextError};
use std::collections::HashMap;
use std::ops::Range;

/// The word that stands for the end of a line.
pub const EOS: &str = "<eos>";
/// The word that stands for every word that is not known.
pub const UNK: &str = "<unk>";

/// The words of a text in their order, each distinct one kept once: 4 bytes for a word of the text.
///
/// Words are what stands between white space (Unicode's). Every line, the last one with or without its end, gives its words and then [`EOS`].
///
/// ```
/// use elman_data::{Text, Words};
/// let words = Words::read(&Text::from_static(b"the cat saw the dog\n\n the end")?)?;
/// assert_eq!(words.len(), 10);
/// assert_eq!(words.iter().collect::<Vec<_>>().join(" "), "the cat saw the dog <eos> <eos> the end <eos>");
/// // Those that occur twice or more, by their number, then by the alphabet; `<unk>` is always among them.
/// assert_eq!(words.frequent(0..10, 2, 100), ["<eos>", "the", "<unk>"]);
/// # Ok::<(), elman_data::TextError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Words {
    /// In the order of their first appearance.
    distinct: Vec<String>,
    /// Places in `distinct`.
    tokens: Vec<u32>,
}

impl Words {
    /// Reads a text, once and line by line.
    ///
    /// # Errors
    /// The file was changed after it was opened.
    pub fn read(text: &Text) -> Result<Words, TextError> {
        let mut places: HashMap<String, u32> = HashMap::new();
        let mut words = Words { distinct: Vec::new(), tokens: Vec::new() };
        for line in text.bytes().split_inclusive(|&byte| byte == b'\n') {
            // It was UTF-8 when the text was opened.
            let line = str::from_utf8(line).map_err(|_| TextError::Changed { path: text.path().to_path_buf() })?;
            for word in line.split_whitespace().chain([EOS]) {
                let place = match places.get(word) {
                    Some(&place) => place,
                    None => {
                        let place = words.distinct.len() as u32;
                        places.insert(word.to_string(), place);
                        words.distinct.push(word.to_string());
                        place
                    }
                };
                words.tokens.push(place);
            }
        }
        Ok(words)
    }

    /// Number of words, ends of lines among them.
    #[expect(clippy::len_without_is_empty, reason = "an empty text is an error when it is opened")]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Number of distinct words, ends of lines among them.
    pub fn distinct(&self) -> usize {
        self.distinct.len()
    }

    /// The words in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|&place| self.distinct[place as usize].as_str())
    }

    /// The words that occur at least `least` times in a part of the text, the most frequent first and equally frequent ones by the alphabet,
    /// at most `most` of them. [`EOS`] and [`UNK`] are always among them; where they are not frequent enough they stand at the end.
    ///
    /// # Panics
    /// If the part is not within the text, or `most` is below 2.
    #[track_caller]
    pub fn frequent(&self, part: Range<usize>, least: u64, most: usize) -> Vec<&str> {
        assert!(most >= 2, "a vocabulary has at least 2 words");
        let mut counts = vec![0u64; self.distinct.len()];
        self.tokens[part].iter().for_each(|&place| counts[place as usize] += 1);
        let mut known: Vec<(u64, &str)> = counts.into_iter().zip(self.distinct.iter().map(String::as_str)).collect();
        known.retain(|&(count, _)| count >= least.max(1));
        known.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let mut words: Vec<&str> = known.into_iter().map(|(_, word)| word).collect();
        words.truncate(most);
        for special in [EOS, UNK] {
            if words.contains(&special) {
                continue;
            }
            // The rarest makes room, but not the other special one.
            if words.len() == most
                && let Some(rarest) = words.iter().rposition(|word| ![EOS, UNK].contains(word))
            {
                words.remove(rarest);
            }
            words.push(special);
        }
        words
    }

    /// The words as ids; `id` is asked once for each distinct word.
    pub fn encode(&self, id: impl Fn(&str) -> u32) -> Vec<u32> {
        let ids: Vec<u32> = self.distinct.iter().map(|word| id(word)).collect();
        self.tokens.iter().map(|&place| ids[place as usize]).collect()
    }
}
