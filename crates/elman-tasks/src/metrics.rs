//! What was measured at a step: a line of `metrics.jsonl`.

use crate::{Error, Observer};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A line. Nothing in it depends on the clock, so that a run that was resumed writes the same file as an unbroken one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Steps done.
    pub step: u64,
    /// Times that all of the training text had been read before this step.
    pub epoch: u64,
    /// Mean training loss since the line before: nats a character or word, or the mean square of an error beside the variance of what is predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Largest norm of the gradient, before clipping, since the line before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// The learning rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// The same on the beginning of the held-out part; of numbers, one step ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<f64>,
    /// The same of numbers in free run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_run: Option<f64>,
    /// The same on all of the held-out part, after the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out_whole: Option<f64>,
    /// The same on the test part, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<f64>,
}

impl Metric {
    /// The line, with its end.
    pub fn line(&self) -> String {
        // Numbers and field names always have a JSON form.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// A value of those lines that have it, by step.
    pub(crate) fn points(lines: &[Metric], value: impl Fn(&Metric) -> Option<f64>) -> Vec<(f64, f64)> {
        lines.iter().filter_map(|line| Some((line.step as f64, value(line)?))).collect()
    }

    /// Reads a file of lines for a picture, which is left out with a word of it where the file was altered.
    pub(crate) fn read_for_plot(path: &Path, observer: &mut dyn Observer) -> Option<Vec<Metric>> {
        Metric::read(path).inspect_err(|error| observer.note(&format!("{error}; the picture is left out"))).ok()
    }

    /// Reads a file of lines.
    ///
    /// # Errors
    /// It cannot be read, or a line is not one of these.
    pub fn read(path: &Path) -> Result<Vec<Metric>, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::unreadable(path, source))?;
        let line = |(number, line): (usize, &str)| {
            serde_json::from_str(line)
                .map_err(|e| Error::Failed(format!("{}: line {} is no measurement ({e})", path.display(), number + 1)))
        };
        text.lines().enumerate().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_hold_only_what_was_measured() {
        let metric = Metric { step: 3, loss: Some(1.5), ..Metric::default() };
        assert_eq!(metric.line(), "{\"step\":3,\"epoch\":0,\"loss\":1.5}\n");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), metric.line().repeat(2)).unwrap();
        assert_eq!(Metric::read(file.path()).unwrap(), [metric, metric]);
        std::fs::write(file.path(), metric.line() + "{").unwrap();
        assert!(Metric::read(file.path()).unwrap_err().to_string().contains("line 2 is no measurement"));
    }
}
