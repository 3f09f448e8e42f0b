//! The seven regular languages of Tomita over the symbols 0 and 1: automata, membership, and strings to learn from.
//!
//! | | strings |
//! | --- | --- |
//! | 1 | `1*` |
//! | 2 | `(10)*` |
//! | 3 | no run of an odd number of 1s is followed at once by a run of an odd number of 0s |
//! | 4 | no three 0s in a row |
//! | 5 | an even number of 0s and an even number of 1s |
//! | 6 | the number of 0s less the number of 1s is a multiple of 3 |
//! | 7 | `0*1*0*1*` |
//!
//! The empty string is in all of them.
//!
//! Source: M. Tomita, "Dynamic construction of finite-state automata from examples using hill-climbing", 1982; used for recurrent networks by J. B. Pollack
//! 1991, R. L. Watrous & G. M. Kuhn 1992 and C. L. Giles et al. 1992.
//!
//! ```
//! use elman_data::tomita::Grammar;
//!
//! let grammar = Grammar::new(4).unwrap();
//! assert!(grammar.accepts(&[0, 0, 1, 0, 0]) && !grammar.accepts(&[1, 0, 0, 0]));
//! assert_eq!(grammar.strings(3).filter(|s| grammar.accepts(s)).count(), 7); // all but 000
//! ```

use std::ops::RangeInclusive;

/// There is no such grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no Tomita grammar {0}; choose 1 to 7")]
pub struct NoSuchGrammar(pub usize);

/// The longest strings that are drawn or listed: the number of all strings of a length is counted exactly.
pub const LONGEST: usize = 52;

/// One of the languages, as its smallest automaton. State 0 is the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grammar {
    number: usize,
    /// For each state the next one, by symbol.
    next: &'static [[u8; 2]],
    /// Whether a string that ends in the state is in the language.
    accepting: &'static [bool],
}

/// Tables of the states, in the order of the grammars.
const TABLES: [(&[[u8; 2]], &[bool]); 7] = [
    (&[[1, 0], [1, 1]], &[true, false]),
    // At the end of a pair, after its 1, lost.
    (&[[2, 1], [0, 2], [2, 2]], &[true, false, false]),
    // An even run of 1s, or what does not count; an odd run; then an odd and an even run of 0s; lost.
    (&[[0, 1], [2, 0], [3, 4], [2, 1], [4, 4]], &[true, true, false, true, false]),
    // 0s in a row.
    (&[[1, 0], [2, 0], [3, 0], [3, 3]], &[true, true, true, false]),
    // Both even; odd 0s; odd 1s; both odd.
    (&[[1, 2], [0, 3], [3, 0], [2, 1]], &[true, false, false, false]),
    (&[[1, 2], [2, 0], [0, 1]], &[true, false, false]),
    (&[[0, 1], [2, 1], [2, 3], [4, 3], [4, 4]], &[true, true, true, true, false]),
];

impl Grammar {
    /// One of the grammars 1 to 7.
    ///
    /// # Errors
    /// For any other number.
    pub fn new(number: usize) -> Result<Grammar, NoSuchGrammar> {
        let table = number.checked_sub(1).and_then(|i| TABLES.get(i)).ok_or(NoSuchGrammar(number))?;
        Ok(Grammar { number, next: table.0, accepting: table.1 })
    }

    /// Its number.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The number of states of its smallest automaton.
    pub fn states(&self) -> usize {
        self.next.len()
    }

    /// Whether the string is in the language.
    ///
    /// # Panics
    /// If a symbol is neither 0 nor 1.
    pub fn accepts(&self, string: &[u8]) -> bool {
        let end = string.iter().fold(0, |state: u8, &symbol| self.next[state as usize][symbol as usize]);
        self.accepting[end as usize]
    }

    /// All strings of a length, in the order of their numbers.
    ///
    /// # Panics
    /// If the length is above [`LONGEST`].
    pub fn strings(&self, length: usize) -> impl Iterator<Item = Vec<u8>> + use<> {
        assert!(length <= LONGEST, "length {length} is above {LONGEST}");
        (0u64..1 << length).map(move |number| (0..length).rev().map(|bit| (number >> bit & 1) as u8).collect())
    }

    /// A string of this length that is in the language, or is not, each with the same probability; none where there is none.
    /// `uniform` gives independent numbers in [0, 1).
    ///
    /// # Panics
    /// If the length is above [`LONGEST`].
    pub fn draw(&self, length: usize, member: bool, uniform: &mut impl FnMut() -> f64) -> Option<Vec<u8>> {
        assert!(length <= LONGEST, "length {length} is above {LONGEST}");
        // ways[l][q]: strings of length l that lead from state q where they should end.
        let mut ways: Vec<Vec<f64>> = vec![self.accepting.iter().map(|&a| f64::from(u8::from(a == member))).collect()];
        for l in 0..length {
            let longer = self.next.iter().map(|next| ways[l][next[0] as usize] + ways[l][next[1] as usize]).collect();
            ways.push(longer);
        }
        let mut state = 0;
        if ways[length][state] == 0.0 {
            return None;
        }
        let string = (0..length).rev().map(|left| {
            let [zero, one] = self.next[state].map(usize::from);
            let (with_zero, with_one) = (ways[left][zero], ways[left][one]);
            let symbol = u8::from(uniform() * (with_zero + with_one) >= with_zero);
            state = if symbol == 0 { zero } else { one };
            symbol
        });
        Some(string.collect())
    }

    /// A string outside of the language that is one symbol away from one in it: what tells a network that has the language from one that
    /// has nearly got it. A string of the language is drawn, and the symbol among those that matter; none where there is no such string, or
    /// none of its symbols matters.
    ///
    /// # Panics
    /// If the length is above [`LONGEST`].
    pub fn near_miss(&self, length: usize, uniform: &mut impl FnMut() -> f64) -> Option<Vec<u8>> {
        let member = self.draw(length, true, uniform)?;
        let changed = |place: usize| {
            let mut string = member.clone();
            string[place] = 1 - string[place];
            string
        };
        let mut misses: Vec<Vec<u8>> = (0..length).map(changed).filter(|string| !self.accepts(string)).collect();
        (!misses.is_empty()).then(|| misses.swap_remove((uniform() * misses.len() as f64) as usize))
    }

    /// For each length `each` strings of the language and as many others, with what they are; draws are independent, so that a string may
    /// come again. A length has none of a kind that it does not have.
    ///
    /// # Panics
    /// If a length is above [`LONGEST`].
    pub fn balanced(
        &self,
        lengths: RangeInclusive<usize>,
        each: usize,
        uniform: &mut impl FnMut() -> f64,
    ) -> Vec<(Vec<u8>, bool)> {
        let mut strings = Vec::new();
        for length in lengths {
            for member in [true, false] {
                let drawn = (0..each).filter_map(|_| self.draw(length, member, uniform));
                strings.extend(drawn.map(|string| (string, member)));
            }
        }
        strings
    }
}
