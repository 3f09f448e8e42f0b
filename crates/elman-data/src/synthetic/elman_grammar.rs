//! The two- and three-word sentences of Elman 1990.

use super::Random;

/// Whether a word is a noun or a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A noun.
    Noun,
    /// A verb.
    Verb,
}

/// The words, nouns first: those of the cluster tree of Elman, "Finding structure in time", Cognitive Science 14, 1990, figure 7.
pub const WORDS: [&str; 29] = [
    "man", "woman", "boy", "girl", "cat", "mouse", "dog", "dragon", "monster", "lion", "book", "rock", "car", "glass",
    "plate", "cookie", "sandwich", "bread", "think", "sleep", "exist", "see", "chase", "like", "move", "break",
    "smell", "smash", "eat",
];

/// What the word of this index is.
///
/// # Panics
/// If there is none.
pub fn kind(word: usize) -> Kind {
    assert!(word < WORDS.len(), "there is no word {word}");
    if word < 18 { Kind::Noun } else { Kind::Verb }
}

const HUMAN: &[usize] = &[0, 1, 2, 3];
const ANIMAL: &[usize] = &[4, 5, 6];
const AGGRESSIVE: &[usize] = &[7, 8, 9];
const INANIMATE: &[usize] = &[10, 11, 12];
const FRAGILE: &[usize] = &[13, 14];
const FOOD: &[usize] = &[15, 16, 17];
const INTRANSITIVE: &[usize] = &[18, 19, 20];
const TRANSITIVE: &[usize] = &[21, 22, 23];
const AGENT_PATIENT: &[usize] = &[24, 25];
const PERCEPTION: &[usize] = &[26, 21];
const DESTRUCTION: &[usize] = &[25, 27];
const EATING: &[usize] = &[28];

/// The sixteen templates of his table 4. A verb may be in more than one class.
const TEMPLATES: [&[&[usize]]; 16] = [
    &[HUMAN, EATING, FOOD],
    &[HUMAN, PERCEPTION, INANIMATE],
    &[HUMAN, DESTRUCTION, FRAGILE],
    &[HUMAN, INTRANSITIVE],
    &[HUMAN, TRANSITIVE, HUMAN],
    &[HUMAN, AGENT_PATIENT, INANIMATE],
    &[HUMAN, AGENT_PATIENT],
    &[ANIMAL, EATING, FOOD],
    &[ANIMAL, TRANSITIVE, ANIMAL],
    &[ANIMAL, AGENT_PATIENT, INANIMATE],
    &[ANIMAL, AGENT_PATIENT],
    &[INANIMATE, AGENT_PATIENT],
    &[AGGRESSIVE, DESTRUCTION, FRAGILE],
    &[AGGRESSIVE, EATING, HUMAN],
    &[AGGRESSIVE, EATING, ANIMAL],
    &[AGGRESSIVE, EATING, FOOD],
];

/// Sentences one after another, without a mark between them, as indices into [`WORDS`]. Templates and words are drawn evenly.
///
/// ```
/// use elman_data::synthetic::elman_grammar::{WORDS, sentences};
/// let words = sentences(10_000, 1); // as many sentences as in the paper; it had 27,534 words
/// assert!((27_000..28_500).contains(&words.len()));
/// assert!(words.iter().all(|&w| w < WORDS.len()));
/// ```
///
/// The classes of words in the paper's table 3 are examples; the words that only the tree shows are put into the classes where they
/// stand in it.
pub fn sentences(count: usize, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed);
    let mut words = Vec::with_capacity(3 * count);
    for _ in 0..count {
        for class in *random.pick(&TEMPLATES) {
            words.push(*random.pick(class));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_begins_with_a_noun_and_a_verb() {
        for seed in 0..200 {
            let words = sentences(1, seed);
            let kinds: Vec<Kind> = words.iter().map(|&w| kind(w)).collect();
            assert!(matches!(kinds[..], [Kind::Noun, Kind::Verb] | [Kind::Noun, Kind::Verb, Kind::Noun]), "{words:?}");
        }
    }

    #[test]
    fn every_word_occurs_and_the_seed_decides() {
        let words = sentences(2000, 1);
        assert!((0..WORDS.len()).all(|w| words.contains(&w)));
        assert_eq!(words, sentences(2000, 1));
        assert_ne!(words, sentences(2000, 2));
        // Food is eaten: it never begins a sentence, so that it comes after a verb.
        let places = words.iter().enumerate().filter(|(_, w)| FOOD.contains(w));
        assert!(places.map(|(i, _)| words[i - 1]).all(|before| EATING.contains(&before)));
    }
}
