//! Agreement of verb and subject over a distance.

use super::Random;

/// The words. The first eight are nouns, singular and plural by turns; then the verbs, singular and plural by turns.
pub const WORDS: [&str; 26] = [
    "cat", "cats", "dog", "dogs", "child", "children", "bird", "birds", "was", "were", "the", "which", "already",
    "ate", "saw", "a", "bunch", "of", "food", "near", "and", "full", "happy", "quick", ",", ".",
];

const NOUNS: usize = 8;
const WAS: usize = 8;

/// A sentence such as "the cats , which already ate a bunch of food , were full .": the verb agrees with the first noun, and other nouns may
/// stand between them. After the third lecture deck's example of a dependency over a distance; Elman 1991 and Linzen, Dupoux &
/// Goldberg 2016 have the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Indices into [`WORDS`].
    pub words: Vec<usize>,
    /// Place of the verb that agrees.
    pub verb: usize,
}

impl Agreement {
    /// A sentence whose subject and verb are `distance` words apart: `distance - 1` words stand between them.
    ///
    /// ```
    /// use elman_data::synthetic::{Random, agreement::Agreement};
    /// let one = Agreement::new(8, &mut Random::new(1));
    /// assert_eq!(one.verb, 1 + 8);
    /// assert_eq!(one.plural(), one.words[1] % 2 == 1);
    /// ```
    ///
    /// # Panics
    /// If the distance is below 5.
    #[track_caller]
    pub fn new(distance: usize, random: &mut Random) -> Agreement {
        let word = |text: &str| WORDS.iter().position(|w| *w == text).expect("in the list");
        assert!(distance >= 5, "a clause of `, which ate .. ,` needs a distance of at least 5, not {distance}");
        let mut words = vec![word("the"), random.below(NOUNS), word(","), word("which")];
        // The clause: pieces until the comma, the last one cut to fit.
        let end = distance;
        let mut first = true;
        while words.len() < end {
            let mut piece = if first { vec![word("already")] } else { vec![word("and")] };
            first = false;
            match random.below(3) {
                0 => piece.extend(["ate", "a", "bunch", "of", "food"].map(word)),
                1 => piece.extend([word("saw"), word("the"), random.below(NOUNS)]),
                _ => piece.extend([word("ate"), word("food"), word("near"), word("the"), random.below(NOUNS)]),
            }
            piece.truncate(end - words.len());
            words.extend(piece);
        }
        words.push(word(","));
        let verb = words.len();
        words.push(WAS + words[1] % 2);
        words.extend([*random.pick(&[word("full"), word("happy"), word("quick")]), word(".")]);
        Agreement { words, verb }
    }

    /// Whether the subject is plural.
    pub fn plural(&self) -> bool {
        self.words[1] % 2 == 1
    }

    /// The two verbs: singular, plural.
    pub fn verbs() -> [usize; 2] {
        [WAS, WAS + 1]
    }

    /// The sentence as text.
    pub fn text(&self) -> String {
        self.words.iter().map(|&w| WORDS[w]).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_stands_at_its_distance_and_agrees() {
        let mut random = Random::new(5);
        let (mut plural, mut other) = (0, 0);
        for i in 0..3000 {
            let distance = 5 + i % 30;
            let one = Agreement::new(distance, &mut random);
            assert_eq!(one.verb - 1, distance, "{}", one.text());
            assert_eq!(one.words.len(), distance + 4);
            let verb = WORDS[one.words[one.verb]];
            assert_eq!(verb, if one.plural() { "were" } else { "was" }, "{}", one.text());
            assert_eq!(one.words.iter().filter(|&&w| Agreement::verbs().contains(&w)).count(), 1);
            plural += i32::from(one.plural());
            // The last noun before the verb is of the other number: the nearest is no guide.
            let last = one.words[2..one.verb].iter().rev().find(|&&w| w < NOUNS);
            other += i32::from(last.is_some_and(|&w| (w % 2 == 1) != one.plural()));
        }
        // Six standard errors of a binomial count: 6 √(3000 / 4).
        assert!((plural - 1500).abs() < 165, "{plural}");
        assert!(other > 500, "{other}");
        let text = Agreement::new(10, &mut Random::new(1)).text();
        assert!(text.starts_with("the ") && text.contains(" , which already ") && text.ends_with(" ."), "{text}");
    }
}
