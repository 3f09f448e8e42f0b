//! A small generator of random numbers.

/// SplitMix64 (Steele, Lea & Flood 2014): a counter and a mixing function. The same seed gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1), 24 bits of it: exact in `f32`.
    pub fn uniform(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// A whole number below `n`; the bias of n / 2⁶⁴ is left.
    ///
    /// # Panics
    /// If `n` is 0.
    #[track_caller]
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "there is no number below 0");
        ((u128::from(self.word()) * n as u128) >> 64) as usize
    }

    /// One of a list.
    ///
    /// # Panics
    /// If it is empty.
    #[track_caller]
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_algorithm_and_evenly_spread() {
        // The first outputs of seed 0, as Java's SplittableRandom and others give them.
        let mut random = Random::new(0);
        assert_eq!([random.word(), random.word()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        let mut counts = [0u32; 6];
        (0..60_000).for_each(|_| counts[random.below(6)] += 1);
        // Six standard errors of a binomial count: 6 √(60000 · 1/6 · 5/6).
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 548), "{counts:?}");
        let mean = (0..10_000).map(|_| random.uniform()).sum::<f32>() / 10_000.0;
        // Six standard errors: 6 / √(12 · 10000).
        assert!((mean - 0.5).abs() < 0.0174, "{mean}");
    }
}
