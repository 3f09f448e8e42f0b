//! The embedded Reber grammar.

use super::Random;

/// The symbols; a string is a list of indices into them.
pub const SYMBOLS: [char; 7] = ['B', 'T', 'P', 'S', 'X', 'V', 'E'];

const B: usize = 0;
const T: usize = 1;
const P: usize = 2;
const E: usize = 6;

/// Reber's automaton (1967) without its begin and end: for each state the symbols and the state after each. State 5 is the end.
const STATES: [[(usize, usize); 2]; 5] = {
    const S: usize = 3;
    const X: usize = 4;
    const V: usize = 5;
    [[(T, 1), (P, 2)], [(S, 1), (X, 3)], [(T, 2), (V, 4)], [(X, 2), (S, 5)], [(P, 3), (V, 5)]]
};

/// A string of the embedded grammar: `B`, `T` or `P`, a Reber string, *the same* `T` or `P`, `E`.
///
/// The last choice can be predicted only by whoever has kept the second symbol over the whole inner string. Smith & Zipser 1989;
/// Cleeremans, Servan-Schreiber & McClelland 1989; Hochreiter & Schmidhuber 1997, experiment 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedReber {
    /// The symbols, as indices into [`SYMBOLS`].
    pub symbols: Vec<usize>,
    /// For each symbol but the last, what may follow it: `legal[t][k]` for the symbol at t + 1.
    pub legal: Vec<[bool; 7]>,
}

impl EmbeddedReber {
    /// A string; every choice of the automaton is even.
    ///
    /// ```
    /// use elman_data::synthetic::{Random, reber::EmbeddedReber};
    /// let text = EmbeddedReber::new(&mut Random::new(1)).to_string();
    /// assert!(text.starts_with("BTB") || text.starts_with("BPB"));
    /// assert_eq!(text[1..2], text[text.len() - 2..text.len() - 1]);
    /// ```
    pub fn new(random: &mut Random) -> EmbeddedReber {
        let (mut symbols, mut legal) = (vec![B], Vec::new());
        let mut choose = |choices: &[usize], chosen: usize| {
            let mut row = [false; 7];
            choices.iter().for_each(|&c| row[c] = true);
            legal.push(row);
            symbols.push(chosen);
        };
        let kept = *random.pick(&[T, P]);
        choose(&[T, P], kept);
        choose(&[B], B);
        let mut state = 0;
        while state < 5 {
            let choices = STATES[state];
            let (symbol, next) = *random.pick(&choices);
            choose(&choices.map(|c| c.0), symbol);
            state = next;
        }
        choose(&[E], E);
        choose(&[kept], kept);
        choose(&[E], E);
        EmbeddedReber { symbols, legal }
    }
}

impl std::fmt::Display for EmbeddedReber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.symbols.iter().try_for_each(|&s| write!(f, "{}", SYMBOLS[s]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_string_is_of_the_grammar() {
        let mut random = Random::new(2);
        let mut shortest = usize::MAX;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..2000 {
            let one = EmbeddedReber::new(&mut random);
            assert_eq!(one.legal.len() + 1, one.symbols.len());
            assert!(one.symbols[1..].iter().zip(&one.legal).all(|(&s, legal)| legal[s]));
            let text = one.to_string();
            assert_eq!(text[1..2], text[text.len() - 2..text.len() - 1], "{text}");
            let inner = &text[3..text.len() - 3];
            // The automaton leaves its first state by T or P and comes to its end by S or V.
            assert!(inner.starts_with(['T', 'P']) && inner.ends_with(['S', 'V']), "{text}");
            assert!(text.starts_with('B') && text.ends_with('E') && &text[2..3] == "B", "{text}");
            shortest = shortest.min(text.len());
            seen.insert(text);
        }
        // B T B T X S E T E: the shortest strings have nine symbols.
        assert_eq!(shortest, 9);
        assert!(seen.contains("BTBTXSETE") && seen.contains("BPBPVVEPE"), "both branches");
        assert!(!seen.contains("BTBTXSEPE"));
    }
}
