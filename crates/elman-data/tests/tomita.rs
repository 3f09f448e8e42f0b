//! The automata against the definitions in words, on all short strings; drawing.

use elman_data::tomita::{Grammar, LONGEST, NoSuchGrammar};
use std::collections::HashMap;

/// Runs of equal symbols: (symbol, length).
fn runs(s: &[u8]) -> Vec<(u8, usize)> {
    s.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect()
}

/// The definitions without automata.
fn defined(number: usize, s: &[u8]) -> bool {
    let count = |symbol: u8| s.iter().filter(|&&c| c == symbol).count();
    let text: String = s.iter().map(|c| char::from(b'0' + c)).collect();
    match number {
        1 => count(0) == 0,
        2 => text == "10".repeat(s.len() / 2),
        3 => !runs(s).windows(2).any(|w| w[0].0 == 1 && w[0].1 % 2 == 1 && w[1].1 % 2 == 1),
        4 => !text.contains("000"),
        5 => count(0).is_multiple_of(2) && count(1).is_multiple_of(2),
        6 => count(0).abs_diff(count(1)).is_multiple_of(3),
        // 0*1*0*1*: at most four runs, and three if the first is of 1s.
        7 => runs(s).len() <= if s.first() == Some(&1) { 3 } else { 4 },
        _ => unreachable!(),
    }
}

#[test]
fn the_automata_are_the_languages() {
    for number in 1..=7 {
        let grammar = Grammar::new(number).unwrap();
        assert!(grammar.accepts(&[]));
        let mut strings = 0;
        for length in 0..=12 {
            for s in grammar.strings(length) {
                assert_eq!(s.len(), length);
                assert_eq!(grammar.accepts(&s), defined(number, &s), "{number}: {s:?}");
                strings += 1;
            }
        }
        assert_eq!(strings, (1 << 13) - 1);
    }
    assert_eq!([1, 2, 3, 4, 5, 6, 7].map(|n| Grammar::new(n).unwrap().states()), [2, 3, 5, 4, 4, 3, 5]);
}

#[test]
fn other_numbers_are_refused() {
    for number in [0, 8] {
        let error = Grammar::new(number).unwrap_err();
        assert_eq!(error, NoSuchGrammar(number));
        assert_eq!(error.to_string(), format!("there is no Tomita grammar {number}; choose 1 to 7"));
    }
}

/// Numbers in [0, 1), by a multiplication and an addition modulo 2^64 (Knuth's constants).
fn uniform() -> impl FnMut() -> f64 {
    let mut state = 1u64;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[test]
fn drawn_strings_are_of_the_kind_asked_for_and_equally_likely() {
    let mut uniform = uniform();
    for number in 1..=7 {
        let grammar = Grammar::new(number).unwrap();
        for member in [true, false] {
            let all: Vec<Vec<u8>> = grammar.strings(5).filter(|s| grammar.accepts(s) == member).collect();
            let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
            let drawn = 1000 * all.len();
            for _ in 0..drawn {
                *counts.entry(grammar.draw(5, member, &mut uniform).unwrap_or_default()).or_default() += 1;
            }
            // A count of 1,000 expected, standard deviation 32: five of them.
            assert!(all.iter().all(|s| counts[s].abs_diff(1000) < 160), "{number} {member}: {counts:?}");
            assert_eq!(counts.len(), all.len());
        }
    }
}

#[test]
fn a_near_miss_is_one_symbol_away_from_the_language() {
    let mut uniform = uniform();
    for number in 1..=7 {
        let grammar = Grammar::new(number).unwrap();
        let mut found = 0;
        for string in (0..200).filter_map(|i| grammar.near_miss(1 + i % 20, &mut uniform)) {
            found += 1;
            assert!(!grammar.accepts(&string));
            let away = |place: usize| {
                let mut other = string.clone();
                other[place] = 1 - other[place];
                grammar.accepts(&other)
            };
            assert!((0..string.len()).any(away), "{number}: {string:?}");
        }
        assert!(found >= 80, "{number}: {found}");
    }
    // All strings of two symbols are in the fourth language.
    assert_eq!(Grammar::new(4).unwrap().near_miss(2, &mut uniform), None);
}

#[test]
fn balanced_strings_have_both_kinds_of_each_length() {
    let mut uniform = uniform();
    let grammar = Grammar::new(2).unwrap();
    let strings = grammar.balanced(0..=LONGEST, 3, &mut uniform);
    for length in 0..=LONGEST {
        let of_kind = |member| strings.iter().filter(|(s, m)| s.len() == length && *m == member).count();
        // (10)* has strings of even length only; the empty string is in the language.
        assert_eq!(of_kind(true), if length % 2 == 0 { 3 } else { 0 });
        assert_eq!(of_kind(false), if length == 0 { 0 } else { 3 });
    }
    assert!(strings.iter().all(|(s, member)| grammar.accepts(s) == *member));
}
