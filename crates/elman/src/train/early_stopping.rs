//! Stopping where a held-out score no longer improves.

use crate::parameters::{self, Named, ParameterError};
use burn::module::Module;

/// Watches a score, of which less is better (a loss on held-out data), keeps the parameters of the best one, and says when it has not
/// improved for `patience` scores in a row (Prechelt, "Early stopping - but when?", 1998).
///
/// ```
/// use burn::tensor::Device;
/// use elman::train::EarlyStopping;
/// use elman::{RecurrentConfig, Sizes, cells};
///
/// let network = RecurrentConfig::new((cells::find("gru").unwrap().make)(), Sizes::new(1, 2)).init(1, &Device::flex()).unwrap();
/// let mut stopping = EarlyStopping::new(2, 0.0);
/// let go_on: Vec<bool> = [3.0, 2.0, 2.5, 2.0].iter().map(|&score| stopping.observe(score, &network)).collect();
/// assert_eq!(go_on, [true, true, true, false]); // 2.0 again is no improvement
/// assert_eq!(stopping.best(), Some(2.0));
/// let best = stopping.restore(network).unwrap();
/// # drop(best);
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    patience: usize,
    least: f64,
    best: Option<(f64, Vec<Named>)>,
    since: usize,
}

impl EarlyStopping {
    /// Stops after `patience` scores (at least 1) that are not below the best one by more than `least`.
    pub fn new(patience: usize, least: f64) -> EarlyStopping {
        EarlyStopping { patience: patience.max(1), least, best: None, since: 0 }
    }

    /// Takes the next score and the network that it is of; whether to go on. A score that is NaN is no improvement.
    pub fn observe<M: Module>(&mut self, score: f64, network: &M) -> bool {
        let better = match &self.best {
            Some((best, _)) => score < best - self.least,
            None => !score.is_nan(),
        };
        if better {
            self.best = Some((score, parameters::export(network)));
            self.since = 0;
        } else {
            self.since += 1;
        }
        self.since < self.patience
    }

    /// The best score so far.
    pub fn best(&self) -> Option<f64> {
        self.best.as_ref().map(|(score, _)| *score)
    }

    /// How many scores have come since.
    pub fn since(&self) -> usize {
        self.since
    }

    /// The parameters of the best score.
    pub fn parameters(&self) -> Option<&[Named]> {
        self.best.as_ref().map(|(_, parameters)| &parameters[..])
    }

    /// Goes on from what [`best`](EarlyStopping::best), [`parameters`](EarlyStopping::parameters) and
    /// [`since`](EarlyStopping::since) gave, in a resumed run.
    pub fn resume(mut self, best: Option<(f64, Vec<Named>)>, since: usize) -> EarlyStopping {
        (self.best, self.since) = (best, since);
        self
    }

    /// The network with the parameters of the best score; as it is where there was none.
    ///
    /// # Errors
    /// It is another network.
    pub fn restore<M: Module>(&self, network: M) -> Result<M, ParameterError> {
        match &self.best {
            None => Ok(network),
            Some((_, parameters)) => parameters::import(network, parameters.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RecurrentConfig, Sizes};
    use burn::tensor::Device;
    use elman_core::cells::find;

    #[test]
    fn it_keeps_the_best_and_stops_when_patience_ends() {
        let network = |seed| {
            let config = RecurrentConfig::new((find("lstm").unwrap().make)(), Sizes::new(1, 2));
            config.init(seed, &Device::flex()).unwrap()
        };
        let mut stopping = EarlyStopping::new(3, 0.1);
        let scores = [f64::NAN, 5.0, 4.0, 3.95, 4.5, 3.8, 3.9, f64::NAN, 3.75, 1.0];
        let mut stopped = None;
        for (k, &score) in scores.iter().enumerate() {
            if !stopping.observe(score, &network(k as u64)) {
                stopped = Some(k);
                break;
            }
        }
        // 3.8 is better by 0.2; 3.9, NaN and 3.75 are not by more than 0.1.
        assert_eq!((stopped, stopping.best(), stopping.since()), (Some(8), Some(3.8), 3));
        let best = stopping.restore(network(99)).unwrap();
        assert_eq!(parameters::export(&best), parameters::export(&network(5)));
        let again = EarlyStopping::new(3, 0.1).resume(Some((3.8, stopping.parameters().unwrap().to_vec())), 2);
        assert!(!again.clone().observe(3.79, &network(1)) && again.clone().observe(3.0, &network(1)));

        let other = RecurrentConfig::new((find("gru").unwrap().make)(), Sizes::new(1, 2)).init(1, &Device::flex());
        assert!(stopping.restore(other.unwrap()).is_err());
        assert_eq!(EarlyStopping::new(0, 0.0).patience, 1);
    }
}
