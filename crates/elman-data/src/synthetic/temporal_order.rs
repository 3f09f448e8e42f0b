//! The temporal order problem.

use super::Random;

/// The symbols: two that matter, four that do not, one at the beginning, one at the end.
pub const SYMBOLS: [char; 8] = ['X', 'Y', 'a', 'b', 'c', 'd', 'E', 'B'];

/// A sequence in which two places hold `X` or `Y`; the class is which of XX, XY, YX, YY they are, in this order.
///
/// Hochreiter & Schmidhuber 1997, experiment 6a: `E`, then 100 to 110 symbols of which the last is the trigger `B`; the two stand at places
/// 10 to 20 and 50 to 60. Other lengths have the places in proportion, as in Pascanu, Mikolov & Bengio 2013.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporalOrder {
    /// The symbols, as indices into [`SYMBOLS`].
    pub symbols: Vec<usize>,
    /// 0 to 3.
    pub class: u32,
}

impl TemporalOrder {
    /// A sequence of `length` to 1.1 `length` symbols.
    ///
    /// ```
    /// use elman_data::synthetic::{Random, temporal_order::TemporalOrder};
    /// let one = TemporalOrder::new(100, &mut Random::new(1));
    /// assert!((100..=110).contains(&one.symbols.len()) && one.class < 4);
    /// ```
    ///
    /// # Panics
    /// If `length` is below 10.
    #[track_caller]
    pub fn new(length: usize, random: &mut Random) -> TemporalOrder {
        assert!(length >= 10, "two places between others need at least 10 symbols, not {length}");
        let all = length + random.below(length / 10 + 1);
        let mut symbols: Vec<usize> = (0..all).map(|_| 2 + random.below(4)).collect();
        (symbols[0], symbols[all - 1]) = (6, 7);
        let mut class = 0;
        for tenth in [1, 5] {
            let place = length * tenth / 10 + random.below(length / 10 + 1);
            let symbol = random.below(2);
            symbols[place] = symbol;
            class = 2 * class + symbol as u32;
        }
        TemporalOrder { symbols, class }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_the_order_of_the_two() {
        let mut random = Random::new(4);
        let mut counts = [0; 4];
        for i in 0..4000 {
            let length = 10 + i % 91;
            let one = TemporalOrder::new(length, &mut random);
            let found: Vec<(usize, usize)> = one.symbols.iter().copied().enumerate().filter(|(_, s)| *s < 2).collect();
            let [(first, a), (second, b)] = found[..] else { panic!("{one:?}") };
            assert_eq!(one.class as usize, 2 * a + b);
            assert!((length / 10..=length / 5 + 1).contains(&first), "{length}: {first}");
            assert!(second >= length / 2 && second <= length * 6 / 10 + 1, "{length}: {second}");
            assert_eq!((one.symbols[0], one.symbols[one.symbols.len() - 1]), (6, 7));
            counts[one.class as usize] += 1;
        }
        // Six standard errors of a binomial count: 6 √(4000 · 1/4 · 3/4).
        assert!(counts.iter().all(|c: &i32| (c - 1000).abs() < 165), "{counts:?}");
    }
}
