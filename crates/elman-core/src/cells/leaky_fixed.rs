//! Leaky integration with a share that is given.

use crate::cell::OptionError;

crate::cell! {
    /// Leaky integration with one share for all units, given and not learned: h = α h' + (1 - α) tanh(W x + U h' + b).
    ///
    /// Registered with α = 0.9; `leaky-fixed:alpha=0.3` takes any, and `leaky-fixed:tau=20,dt=0.5` makes it from the time constant: α =
    /// e^(-dt/tau), which a unit between steps decays by exactly; Euler's 1 - dt/tau is its first approximation. `leaky` learns a share for
    /// each unit; `--freeze leak` keeps them as they began.
    #[derive(Clone, Debug)]
    pub struct LeakyFixed = "leaky-fixed" { alpha: f64 }
    source "Jaeger, Lukosevicius, Popovici & Siewert, \"Optimization and applications of echo state networks with leaky-integrator neurons\", Neural Networks 20(3), 2007, equation 6";
    carry h; output h;
    stage 0 hidden {
        gate a = [x, h];
        read h;
    } -> h {
        h = K(*alpha) * h + K(rest(*alpha)) * tanh(a);
    }
}

/// 1 - α, as it would be written: 0.1 for 0.9, and not 0.09999999999999998.
fn rest(alpha: f64) -> f64 {
    let digits = 1e15;
    ((1.0 - alpha) * digits).round() / digits
}

impl LeakyFixed {
    /// With the share α that is kept at each step.
    ///
    /// # Errors
    /// If α is not from 0 to 1.
    ///
    /// ```
    /// use elman_core::cells::LeakyFixed;
    /// assert_eq!(LeakyFixed::with_share(0.5).unwrap().alpha, 0.5);
    /// assert_eq!(LeakyFixed::with_share(1.5).unwrap_err().to_string(), "alpha is 1.5; it must be from 0 to 1");
    /// ```
    pub fn with_share(alpha: f64) -> Result<LeakyFixed, OptionError> {
        match alpha {
            0.0..=1.0 => Ok(LeakyFixed { alpha }),
            value => Err(OptionError { option: "alpha", value, range: "from 0 to 1" }),
        }
    }

    /// With the share of a unit of time constant `tau` at steps of `dt`, both in seconds: α = e^(-dt/tau).
    ///
    /// # Errors
    /// If dt or tau is not a positive number.
    ///
    /// ```
    /// use elman_core::cells::LeakyFixed;
    /// let cell = LeakyFixed::with_time_constant(0.01, 0.1).unwrap();
    /// assert!((cell.alpha - (-0.1f64).exp()).abs() < 1e-15);
    /// assert!(LeakyFixed::with_time_constant(0.01, 0.0).is_err());
    /// ```
    pub fn with_time_constant(dt: f64, tau: f64) -> Result<LeakyFixed, OptionError> {
        for (option, value) in [("dt", dt), ("tau", tau)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(OptionError { option, value, range: "a positive number of seconds" });
            }
        }
        Ok(LeakyFixed { alpha: (-dt / tau).exp() })
    }
}
