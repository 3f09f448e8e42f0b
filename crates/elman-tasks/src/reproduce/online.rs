//! Learning at every step from a signal whose law changes.

use super::{Experiment, Log, Options, Outcome, Row, check_stop};
use crate::Error;
use crate::plot::{self, Curve};
use elman::online::{Input, Method, OnlineConfig, Target};
use elman::{Sizes, cells};
use elman_data::synthetic::drifting::Drifting;

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "online",
    file: "online",
    paper: "Williams & Zipser 1989; Tallec & Ollivier 2017; Menick et al. 2021",
    summary: "one step ahead on a resonance whose frequency changes: exact RTRL, SnAp-1 and UORO, which learn at every step",
    doc: "\
A resonance (an autoregressive process of second order with poles at radius 0.95, variance 1) gets another frequency every 10,000 steps, ten times. A
GRU of 16 units with the reset after the product sees one value and predicts the next; it learns from each by Adam at a rate of 0.003, clipped at norm
1, in constant memory. One network is frozen after the first frequency. Figures are mean squared errors over the least that is possible, which the
signal's noise sets: over the 1,000 steps after each change, and over the last 2,000 before the next. The task is not one of the papers; there is no
published figure.",
    lengths: None,
    mixed: false,
    run,
};

/// A way to learn.
struct Learner {
    name: &'static str,
    method: Method,
    /// Whether it stops learning at the first change.
    frozen: bool,
}

const LEARNERS: [Learner; 4] = [
    Learner { name: "exact RTRL", method: Method::Rtrl, frozen: false },
    Learner { name: "SnAp-1", method: Method::Snap1, frozen: false },
    Learner { name: "UORO", method: Method::Uoro, frozen: false },
    Learner { name: "frozen after the first", method: Method::Snap1, frozen: true },
];

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let (period, phases, hidden) = if options.quick { (300, 3, 4) } else { (10_000, 10, 16) };
    let (after, before) = (period / 10, period / 5);
    let failed = |error: elman::online::OnlineError| Error::Failed(error.to_string());
    let mut outcome = Outcome::default();
    let mut curves = Vec::new();
    for learner in &LEARNERS {
        let cell = cells::find("gru-reset-after").expect("a registered cell");
        let mut config = OnlineConfig::new((cell.make)(), Sizes::new(1, hidden), 1);
        (config.method, config.rate, config.seed) = (learner.method, 0.003, options.seed);
        let mut online = config.init().map_err(failed)?;
        let mut signal = Drifting::new(period, 0.95, options.seed);
        let mut x = signal.next().expect("there is always a value").value;
        let (mut late, mut early) = (Vec::new(), Vec::new());
        let mut points = Vec::new();
        let mut smooth = None;
        for (t, sample) in signal.take(period * phases - 1).enumerate() {
            if t % 1000 == 0 {
                check_stop(options)?;
            }
            let predicted = online.predict(Input::Dense(&[x])).map_err(failed)?[0];
            x = sample.value;
            if !learner.frozen || sample.phase == 0 {
                online.correct(Target::Values(&[x])).map_err(failed)?;
            }
            let ratio = f64::from(predicted - x).powi(2) / sample.noise;
            let place = (t + 1) % period;
            if sample.phase > 0 && place < after {
                early.push(ratio);
            }
            if sample.phase > 0 && place >= period - before {
                late.push(ratio);
            }
            let mean = smooth.map_or(ratio, |mean: f64| mean + (ratio - mean) / (period as f64 / 50.0));
            smooth = Some(mean);
            if t % (period / 50) == 0 {
                points.push((t as f64, mean.max(1e-3).log10()));
            }
        }
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        log(&format!("{}: {:.2} after a change, {:.2} before the next", learner.name, mean(&early), mean(&late)));
        for (when, all) in [("after a change", &early), ("before the next", &late)] {
            outcome.rows.push(Row {
                name: format!("{}, {when}", learner.name),
                measured: mean(all),
                unit: "times the least error",
                published: None,
                holds: None,
            });
        }
        curves.push(Curve { name: learner.name, points, marks: false });
    }
    let title = format!("a new frequency every {period} steps");
    let y_name = "log10 of error / least error";
    let svg = plot::draw(&title, y_name, &curves, &[("least", 0.0)]).map_err(Error::Failed)?;
    outcome.pictures.push(("online.svg", svg));
    Ok(outcome)
}
