//! How much a Hopfield network can store: recall against load.

use super::{Hopfield, HopfieldError, Patterns, Storage, Update, add_noise, overlap};
use crate::random::Random;

/// The overlap of a retrieved pattern at the critical load of infinitely many units.
const CRITICAL: f64 = 0.967;

/// What a capacity curve is measured with.
#[derive(Clone, Debug, PartialEq)]
pub struct CapacitySettings {
    /// N.
    pub units: usize,
    /// The loads α = P/N, ascending.
    pub loads: Vec<f64>,
    /// The fraction of units that are turned over before recall.
    pub noise: f64,
    /// Networks made for each load.
    pub networks: usize,
    /// The most patterns that are recalled in each network.
    pub recalls: usize,
    /// The most sweeps of a recall.
    pub sweeps: usize,
    /// The rule.
    pub storage: Storage,
}

/// One load of a capacity curve; means over networks and patterns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapacityPoint {
    /// α = P/N, with the whole number P that was stored.
    pub load: f64,
    /// P.
    pub patterns: usize,
    /// The fraction of patterns of which no unit wants to change.
    pub stable: f64,
    /// The mean overlap of the recalled state with the pattern.
    pub overlap: f64,
    /// The fraction of recalls with an overlap above 0.9.
    pub retrieved: f64,
}

/// Recall of random patterns against load.
///
/// Each recall starts at a pattern with `noise` of its units turned over, and units follow their fields in random order.
///
/// The *critical load* is read off as the load at which the mean overlap falls through 0.967, between two loads in proportion: the
/// overlap that the theory of infinite N has at its critical load, 0.138 for Hebb's rule, before it falls to 0 at once (Amit,
/// Gutfreund & Sompolinsky 1985, 1987). Finite networks spread the fall over some hundredths of α beyond, the less the larger
/// they are: the load at which half of the recalls fail is 0.18 for 500 units and 0.155 for 2,000, while the reading here is 0.13 to 0.14 for both.
#[derive(Clone, Debug, PartialEq)]
pub struct CapacityCurve {
    /// In the order of the loads.
    pub points: Vec<CapacityPoint>,
}

impl CapacityCurve {
    /// Measures; the random numbers are those of the stream "hopfield/capacity" of `seed`.
    ///
    /// # Errors
    /// If a setting is out of its range, which the error names.
    pub fn measure(settings: &CapacitySettings, seed: u64) -> Result<CapacityCurve, HopfieldError> {
        settings.check()?;
        let mut random = Random::new(seed, "hopfield/capacity");
        let points = settings.loads.iter().map(|&load| settings.point(load, &mut random)).collect::<Result<_, _>>()?;
        Ok(CapacityCurve { points })
    }

    /// The critical load, see above; none if the overlap does not fall through 0.967.
    pub fn critical_load(&self) -> Option<f64> {
        let crossing = self.points.windows(2).find(|w| w[0].overlap >= CRITICAL && w[1].overlap < CRITICAL)?;
        let [a, b] = [crossing[0], crossing[1]];
        Some(a.load + (b.load - a.load) * (a.overlap - CRITICAL) / (a.overlap - b.overlap))
    }
}

impl CapacitySettings {
    fn check(&self) -> Result<(), HopfieldError> {
        let counts = [
            ("units", self.units),
            ("networks", self.networks),
            ("recalls", self.recalls),
            ("sweeps", self.sweeps),
            ("number of loads", self.loads.len()),
        ];
        if let Some((name, _)) = counts.into_iter().find(|&(_, count)| count == 0) {
            return Err(HopfieldError::Setting { name, value: 0.0, range: "at least 1" });
        }
        if !(0.0..=1.0).contains(&self.noise) {
            return Err(HopfieldError::Setting { name: "noise", value: self.noise, range: "in [0, 1]" });
        }
        for (i, &value) in self.loads.iter().enumerate() {
            if !(value > 0.0 && value <= 10.0) {
                return Err(HopfieldError::Setting { name: "load", value, range: "above 0 and at most 10" });
            }
            if i > 0 && value <= self.loads[i - 1] {
                return Err(HopfieldError::Setting { name: "load", value, range: "above the one before it" });
            }
        }
        Ok(())
    }

    fn point(&self, load: f64, random: &mut Random) -> Result<CapacityPoint, HopfieldError> {
        let n = self.units;
        let count = ((load * n as f64).round() as usize).max(1);
        let (mut stable, mut overlaps, mut retrieved, mut recalls) = (0.0, 0.0, 0.0, 0.0);
        for _ in 0..self.networks {
            let patterns = Patterns::random(count, n, random)?;
            let network = Hopfield::store(&patterns, self.storage);
            for p in 0..count.min(self.recalls) {
                let pattern = patterns.get(p);
                stable += f64::from(u8::from(network.is_stable(&pattern)));
                let mut start = pattern.clone();
                add_noise(&mut start, self.noise, random);
                let recall = network.recall(&start, Update::InRandomOrder(random), self.sweeps)?;
                let m = overlap(&recall.state, &pattern);
                overlaps += m;
                retrieved += f64::from(u8::from(m > 0.9));
                recalls += 1.0;
            }
        }
        Ok(CapacityPoint {
            load: count as f64 / n as f64,
            patterns: count,
            stable: stable / recalls,
            overlap: overlaps / recalls,
            retrieved: retrieved / recalls,
        })
    }
}
