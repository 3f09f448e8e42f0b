//! The precision that was asked for, and the one that runs.

use crate::settings::{Settings, read_table};
use crate::{Error, Observer, RunDir};
use elman::Bf16Kernel;
use std::fmt::Display;

/// The key of the note in config.toml that says what ran.
pub const RAN: &str = "precision-ran";

/// What takes the products of the recurrent layers and of the readout in mixed precision; none: they are in f32. A line says so where the
/// machine cannot do what was asked for.
pub fn choose(settings: &Settings, observer: &mut dyn Observer) -> Option<Bf16Kernel> {
    chosen(settings, Bf16Kernel::detect(), observer)
}

/// The same on a machine where this was found.
fn chosen<E: Display>(
    settings: &Settings,
    found: Result<Bf16Kernel, E>,
    observer: &mut dyn Observer,
) -> Option<Bf16Kernel> {
    if settings.text("precision") != "bf16" {
        return None;
    }
    found.inspect_err(|reason| observer.note(&format!("precision: bf16 was asked for, but {reason}: f32 runs"))).ok()
}

/// What runs, in a word or two.
pub fn describe(bf16: Option<Bf16Kernel>) -> String {
    bf16.map_or("f32".into(), |kernel| format!("bf16 ({kernel})"))
}

/// A line where a run goes on in another precision than before though nobody asked for it: on another machine.
///
/// # Errors
/// The run's config.toml cannot be read.
pub fn compare(dir: &RunDir, now: &str, observer: &mut dyn Observer) -> Result<(), Error> {
    let table = read_table(&dir.config())?;
    // Runs of before there was a choice.
    let former = table.get(RAN).and_then(|ran| ran.as_str()).unwrap_or("f32");
    if former != now {
        observer.note(&format!(
            "precision: the steps so far ran in {former}, those to come run in {now}; results are those of neither alone"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Lines(Vec<String>);

    impl Observer for Lines {
        fn note(&mut self, text: &str) {
            self.0.push(text.into());
        }
    }

    fn settings(precision: &str) -> Settings {
        let mut settings = Settings::new(crate::tasks::find("char-lm").unwrap().settings);
        settings.set("precision", precision, "").unwrap();
        settings
    }

    #[test]
    fn what_runs_is_what_was_asked_for_or_a_line_says_why_not() {
        let mut lines = Lines::default();
        assert_eq!(choose(&settings("f32"), &mut lines), None);
        assert_eq!(lines.0, Vec::<String>::new());
        assert_eq!(choose(&settings("bf16"), &mut lines), Bf16Kernel::detect().ok());
        // Machines of both kinds.
        let mut lines = Lines::default();
        let found: Result<_, &str> = Ok(Bf16Kernel::Amx);
        assert_eq!(chosen(&settings("bf16"), found, &mut lines), Some(Bf16Kernel::Amx));
        assert_eq!(lines.0, Vec::<String>::new());
        assert_eq!(chosen(&settings("bf16"), Err("it is an abacus"), &mut lines), None);
        assert_eq!(lines.0, ["precision: bf16 was asked for, but it is an abacus: f32 runs"]);
        assert_eq!(chosen(&settings("f32"), Err("it is an abacus"), &mut lines), None);
        assert_eq!(lines.0.len(), 1);
    }

    #[test]
    fn another_precision_than_before_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir::create(folder.path()).unwrap();
        let told = |config: &str, now: &str| {
            dir.write(&dir.config(), config).unwrap();
            let mut lines = Lines::default();
            compare(&dir, now, &mut lines).unwrap();
            lines.0
        };
        assert!(told("", "f32").is_empty());
        assert!(told("precision-ran = \"bf16 (AMX)\"\n", &describe(Some(Bf16Kernel::Amx))).is_empty());
        let lines = told("precision-ran = \"bf16 (AMX)\"\n", &describe(None));
        assert!(lines.len() == 1 && lines[0].contains("ran in bf16 (AMX), those to come run in f32"), "{lines:?}");
    }
}
