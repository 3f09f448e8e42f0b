//! From settings to how parameters move.

use crate::settings::{Kind, Settings};
use elman::parameters::Named;
use elman::train::{Rule, Schedule};

/// `clip`.
pub const CLIP: Kind = Kind::Text(|text| threshold(text).is_some(), "`off` or a number above 0");

/// A threshold of clipping. None: no such text; none within: off.
pub fn threshold(text: &str) -> Option<Option<f64>> {
    if text == "off" {
        return Some(None);
    }
    text.parse().ok().filter(|clip: &f64| *clip > 0.0 && clip.is_finite()).map(Some)
}

/// The rule of the updates, by `optimiser` and `momentum`.
pub fn rule(settings: &Settings) -> Rule {
    let given = settings.number("momentum");
    match settings.text("optimiser") {
        "sgd" => Rule::Sgd { momentum: given },
        "rmsprop" => match Rule::RMS_PROP {
            Rule::RmsProp { alpha, epsilon, .. } => Rule::RmsProp { alpha, momentum: given, epsilon },
            other => other,
        },
        _ => Rule::ADAM,
    }
}

/// How the learning rate moves, over epochs of `epoch` steps.
pub fn schedule(settings: &Settings, epoch: u64) -> Schedule {
    let steps = settings.integer(if settings.get("schedule-steps").is_some() { "schedule-steps" } else { "steps" });
    let gamma = settings.number("gamma");
    match settings.text("schedule") {
        "warmup" => Schedule::Warmup { steps },
        "step" => Schedule::Step { every: steps, gamma },
        "epochs" => {
            Schedule::HoldThenStep { hold: settings.integer("hold-epochs").saturating_mul(epoch), every: epoch, gamma }
        }
        "cosine" => Schedule::Cosine { steps, floor: gamma },
        _ => Schedule::Constant,
    }
}

/// The parameters before a step, to be compared with those after it.
pub struct Update(Vec<Named>);

impl Update {
    /// Remembers the parameters.
    pub fn before(parameters: Vec<Named>) -> Update {
        Update(parameters)
    }

    /// The norm of the update divided by that of the parameters.
    pub fn relative(self, after: &[Named]) -> f64 {
        let (mut update, mut size) = (0.0f64, 0.0f64);
        for (before, after) in self.0.iter().zip(after) {
            for (&before, &after) in before.values.iter().zip(&after.values) {
                update += (f64::from(after) - f64::from(before)).powi(2);
                size += f64::from(before).powi(2);
            }
        }
        (update / size).sqrt()
    }
}

/// Settings of these that may change nothing beside the others: the key, whether it is so, and why.
pub fn idle(settings: &Settings) -> Vec<(&'static str, bool, &'static str)> {
    let schedule = settings.text("schedule");
    let in_steps = ["warmup", "step", "cosine"].contains(&schedule);
    vec![
        (
            "momentum",
            settings.number("momentum") > 0.0 && settings.text("optimiser") == "adam",
            "adam has its own, fixed; --optimiser sgd and rmsprop take it",
        ),
        (
            "schedule-steps",
            settings.get("schedule-steps").is_some() && !in_steps,
            "--schedule is neither warmup nor step nor cosine",
        ),
        (
            "gamma",
            settings.is_changed("gamma") && ["constant", "warmup"].contains(&schedule),
            "--schedule constant and warmup have no factor",
        ),
        ("hold-epochs", settings.is_changed("hold-epochs") && schedule != "epochs", "--schedule is not epochs"),
    ]
}

/// The line for one of them.
pub fn idle_note(key: &str, why: &str) -> String {
    format!("--{key} changes nothing here: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::find;

    fn settings(values: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::new(find("char-lm").unwrap().settings);
        for (key, value) in values {
            settings.set(key, value, "").unwrap();
        }
        settings.set("steps", "70", "").unwrap();
        settings.complete();
        settings
    }

    #[test]
    fn rules_and_schedules_are_those_of_the_settings() {
        assert_eq!(rule(&settings(&[])), Rule::ADAM);
        assert_eq!(rule(&settings(&[("optimiser", "sgd"), ("momentum", "0.5")])), Rule::Sgd { momentum: 0.5 });
        assert_eq!(
            rule(&settings(&[("optimiser", "rmsprop"), ("momentum", "0.5")])),
            Rule::RmsProp { alpha: 0.99, momentum: 0.5, epsilon: 1e-8 }
        );
        assert_eq!(schedule(&settings(&[]), 5), Schedule::Constant);
        assert_eq!(schedule(&settings(&[("schedule", "warmup")]), 5), Schedule::Warmup { steps: 70 });
        let step = settings(&[("schedule", "step"), ("schedule-steps", "9"), ("gamma", "0.25")]);
        assert_eq!(schedule(&step, 5), Schedule::Step { every: 9, gamma: 0.25 });
        assert_eq!(schedule(&settings(&[("schedule", "cosine")]), 5), Schedule::Cosine { steps: 70, floor: 0.1 });
        let epochs = settings(&[("schedule", "epochs"), ("hold-epochs", "4"), ("gamma", "0.5")]);
        assert_eq!(schedule(&epochs, 5), Schedule::HoldThenStep { hold: 20, every: 5, gamma: 0.5 });
    }

    #[test]
    fn thresholds_are_read() {
        assert_eq!(threshold("off"), Some(None));
        assert_eq!(threshold("0.25"), Some(Some(0.25)));
        for wrong in ["0", "-1", "inf", "NaN", "on", ""] {
            assert_eq!(threshold(wrong), None, "{wrong}");
        }
    }
}
