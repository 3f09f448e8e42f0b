//! Settings that were given and change nothing beside the others: told at the beginning, so that nobody waits for their effect.

use super::material;
use crate::optimisation;
use crate::settings::Settings;
use elman_core::cell::Width;

/// A line for each of them.
pub fn notes(settings: &Settings) -> Vec<String> {
    let is = |key: &str, text: &str| settings.text(key) == text;
    let one_layer = settings.integer("layers") == 1;
    let between = "it drops between layers, and there is one; --dropout-readout and --dropout-output drop after it";
    let idle = [
        ("dropout", settings.number("dropout") > 0.0 && one_layer, between),
        ("dropout-between", settings.number("dropout-between") > 0.0 && one_layer, between),
        (
            "decoupled-decay",
            is("decoupled-decay", "on") && settings.number("weight-decay") == 0.0,
            "--weight-decay is 0",
        ),
        ("clip-by", !is("clip-by", "norm") && is("clip", "off"), "--clip is off"),
        (
            "patience",
            settings.integer("patience") > 0 && settings.integer("eval-every") == 0,
            "--eval-every is 0: nothing is scored before the end",
        ),
        (
            "patience",
            settings.integer("patience") > 0
                && settings.number("held-out") == 0.0
                && material::path(settings, "valid").is_empty(),
            "--held-out is 0: nothing is scored",
        ),
        (
            "held-out",
            settings.is_changed("held-out") && !material::path(settings, "valid").is_empty(),
            "--valid names the text that is scored, and all of --data is learnt from",
        ),
        (
            "temporal-penalty",
            settings.number("temporal-penalty") > 0.0 && settings.integer("seq-len") == 1,
            "a window of one step has no change over time",
        ),
        (
            "recompute",
            settings.text("recompute").parse().is_ok_and(|steps: u64| steps >= settings.integer("seq-len")),
            "a segment is as long as --seq-len, so that everything is kept",
        ),
        (
            "output",
            settings.integer("output") != settings.integer("hidden") && !has_output(settings.text("cell")),
            "the cell has no width of its own for the output",
        ),
    ];
    let cell = settings.text("cell");
    let begins = cell.starts_with("leaky:") && (cell.contains("tau=") || cell.contains("alpha="));
    let lost = (begins && !is("init-range", "off"))
        .then(|| format!("--init-range draws every parameter: where `{cell}` lets its units begin is lost"));
    let more = (settings.size("parts") > settings.size("batch"))
        .then(|| "--parts is more than --batch has rows: each row is a part by itself".to_string());
    let told = idle.into_iter().chain(optimisation::idle(settings)).filter(|(_, idle, _)| *idle);
    told.map(|(key, _, why)| optimisation::idle_note(key, why)).chain(lost).chain(more).collect()
}

/// Whether the cell has a width of its own for the output; a wrong cell is told elsewhere.
fn has_output(cell: &str) -> bool {
    elman_run::cell::make(cell).is_ok_and(|cell| cell.spec().stages.iter().any(|stage| stage.width == Width::Output))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::find;

    fn of(pairs: &[(&str, &str)]) -> Vec<String> {
        of_task("char-lm", pairs)
    }

    fn of_task(task: &str, pairs: &[(&str, &str)]) -> Vec<String> {
        let mut settings = Settings::new(find(task).unwrap().settings);
        for (key, value) in pairs {
            settings.set(key, value, "").unwrap();
        }
        settings.complete();
        notes(&settings)
    }

    #[test]
    fn what_changes_nothing_is_told_and_nothing_else() {
        assert_eq!(of(&[]), [""; 0]);
        for (idle, with) in [
            (("dropout", "0.5"), ("layers", "2")),
            (("dropout-between", "0.5"), ("layers", "2")),
            (("momentum", "0.9"), ("optimiser", "sgd")),
            (("decoupled-decay", "on"), ("weight-decay", "0.01")),
            (("schedule-steps", "10"), ("schedule", "cosine")),
            (("gamma", "0.3"), ("schedule", "step")),
            (("hold-epochs", "3"), ("schedule", "epochs")),
            (("output", "3"), ("cell", "lstm-projected")),
            (("recompute", "100"), ("seq-len", "101")),
        ] {
            let told = of(&[idle]);
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with(&format!("--{} changes nothing here: ", idle.0)), "{told:?}");
            assert_eq!(of(&[idle, with]), [""; 0]);
        }
        assert_eq!(of_task("word-lm", &[("held-out", "0.2")]), [""; 0]);
        assert_eq!(of_task("word-lm", &[("valid", "valid.txt")]), [""; 0]);
        assert_eq!(of_task("word-lm", &[("held-out", "0.2"), ("valid", "valid.txt")]).len(), 1);
        assert_eq!(of(&[("parts", "32"), ("batch", "32")]), [""; 0]);
        assert_eq!(of(&[("parts", "33"), ("batch", "32")]).len(), 1);
        assert_eq!(of(&[("temporal-penalty", "1")]), [""; 0]);
        assert_eq!(of(&[("temporal-penalty", "1"), ("seq-len", "1")]).len(), 1);
        assert_eq!(of(&[("recompute", "10MB")]), [""; 0]);
        assert_eq!(of(&[("cell", "leaky:tau=5"), ("init-range", "0.1")]).len(), 1);
        assert_eq!(of(&[("clip-by", "value")]), [""; 0]);
        assert_eq!(of(&[("clip-by", "value"), ("clip", "off")]).len(), 1);
        assert_eq!(of(&[("patience", "3"), ("eval-every", "5")]), [""; 0]);
        assert_eq!(of(&[("patience", "3"), ("eval-every", "0")]).len(), 1);
        assert_eq!(of(&[("patience", "3"), ("held-out", "0")]).len(), 1);
    }
}
