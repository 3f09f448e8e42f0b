//! Leaky integration.

use super::LeakyFixed;
use crate::Draw;
use crate::altered::with_draws;
use crate::cell::{Cell, OptionError};
use std::sync::Arc;

crate::cell! {
    /// Leaky integration: every unit keeps a share of what it was, and each learns its own share.
    ///
    /// `alpha = sigmoid(leak)` keeps the share between 0 and 1 whatever the optimiser does; with steps of dt its time constant is `-dt /
    /// ln(alpha)`. `leaky:alpha=0.5..0.99` and `leaky:tau=2..100` say where the units begin, each somewhere in between.
    #[derive(Clone, Debug)]
    pub struct Leaky = "leaky" {}
    source "Jaeger, Lukosevicius, Popovici & Siewert, \"Optimization and applications of echo state networks with leaky-integrator neurons\", Neural Networks 20(3), 2007; Bengio, Boulanger-Lewandowski & Pascanu, \"Advances in optimizing recurrent networks\", 2013, its section on leaky integration";
    carry h; output h;
    stage 0 hidden {
        gate a = [x, h];
        read h;
        unit leak;
    } -> h {
        alpha = sigmoid(leak);
        h = alpha * h + (ONE - alpha) * tanh(a);
    }
}

impl Leaky {
    /// Units that begin with shares between these two: leak is uniform between their logits. The cell's specification stays for the life of
    /// the process.
    ///
    /// # Errors
    /// If a share is not above 0 and below 1, or the first is above the last.
    ///
    /// ```
    /// use elman_core::cells::Leaky;
    /// assert!(Leaky::with_shares(0.5, 0.99).is_ok());
    /// assert_eq!(Leaky::with_shares(0.0, 0.9).unwrap_err().to_string(), "alpha is 0; it must be above 0 and below 1, the first at most the last");
    /// ```
    pub fn with_shares(first: f64, last: f64) -> Result<Arc<dyn Cell>, OptionError> {
        let good = |share: f64| share > 0.0 && share < 1.0;
        if let Some(value) = [first, last].into_iter().find(|&share| !good(share)).or((first > last).then_some(first)) {
            let range = "above 0 and below 1, the first at most the last";
            return Err(OptionError { option: "alpha", value, range });
        }
        let logit = |share: f64| (share / (1.0 - share)).ln();
        Ok(with_draws(Arc::new(Leaky {}), vec![Some(Draw::Uniform(logit(first), logit(last)))]))
    }

    /// Units that begin with time constants between these two at steps of `dt`: alpha = e^(-dt/tau).
    ///
    /// # Errors
    /// If dt or tau is not a positive number, or the first is above the last.
    pub fn with_time_constants(dt: f64, first: f64, last: f64) -> Result<Arc<dyn Cell>, OptionError> {
        let share = |tau| LeakyFixed::with_time_constant(dt, tau).map(|cell| cell.alpha);
        let (low, high) = (share(first)?, share(last)?);
        if first > last || low == 0.0 || high == 1.0 {
            let range = "a time of which e^(-dt/tau) is above 0 and below 1, the first at most the last";
            let value = if high == 1.0 { last } else { first };
            return Err(OptionError { option: "tau", value, range });
        }
        Leaky::with_shares(low, high)
    }
}
