//! Vanishing, healthy or exploding: read from what was measured over the lags, never from a matrix alone.

/// What becomes of the gradient on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At the longest lag every direction of the state has shrunk below [`Verdict::FADED`].
    Vanishing,
    /// At the longest lag some direction is neither faded nor blown up.
    Healthy,
    /// At some lag a direction has grown above [`Verdict::BLOWN_UP`].
    Exploding,
}

impl Kind {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Vanishing => "vanishing",
            Kind::Healthy => "healthy",
            Kind::Exploding => "exploding",
        }
    }
}

/// A verdict with what it rests on.
///
/// A largest singular value of W above 1 is said to explode gradients and one below 1 to let them vanish. Only the second half holds,
/// and only where the activation's slope is at most 1: the product of the Jacobians Wᵀ diag(f') shrinks where units are saturated, or
/// where W is not normal and turns what it has stretched into what it shrinks. Hence the measured product decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// Which it is.
    pub kind: Kind,
    /// The longest lag that was measured.
    pub lag: usize,
    /// The product's largest singular value there.
    pub factor: f64,
    /// The first lag from which on all is faded, if it is.
    pub horizon: Option<usize>,
    /// ln(factor) / lag, the mean rate in nats a step.
    pub rate: f64,
}

impl Verdict {
    /// A gradient that has shrunk to a thousandth counts for nothing beside that of the nearest steps: an update of usual size is a
    /// thousandth of the parameter.
    pub const FADED: f64 = 1e-3;
    /// One that has grown a thousandfold is what clipping is for.
    pub const BLOWN_UP: f64 = 1e3;

    /// From the product's largest singular value at ascending lags; none where there is no lag.
    ///
    /// ```
    /// use elman_run::analysis::{Kind, Verdict};
    /// let verdict = Verdict::new(&[1, 10, 100], &[1.2, 1e-2, 1e-9]).unwrap();
    /// assert_eq!((verdict.kind, verdict.horizon), (Kind::Vanishing, Some(100)));
    /// ```
    ///
    /// # Panics
    /// If the two are not of one length.
    pub fn new(lags: &[usize], largest: &[f64]) -> Option<Verdict> {
        assert_eq!(lags.len(), largest.len(), "lags and factors");
        let (&lag, &factor) = (lags.last()?, largest.last()?);
        let kind = if largest.iter().any(|&x| x > Verdict::BLOWN_UP) {
            Kind::Exploding
        } else if factor < Verdict::FADED {
            Kind::Vanishing
        } else {
            Kind::Healthy
        };
        let faded = largest.iter().rev().take_while(|&&x| x < Verdict::FADED).count();
        let horizon = (faded > 0).then(|| lags[lags.len() - faded]);
        Some(Verdict { kind, lag, factor, horizon, rate: factor.ln() / lag as f64 })
    }
}
