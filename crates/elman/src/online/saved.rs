//! A learner's file, from which it goes on to the bit.

use super::error::OnlineError;
use super::learner::{Online, OnlineConfig};
use crate::train::checkpoint::{Checkpoint, CheckpointError, Entry};
use std::path::Path;

impl OnlineConfig {
    /// What of it a file must agree with. The rate may change.
    fn note(&self, pending: bool) -> String {
        format!(
            "online; cell {:?}; I {}, H {}, P {}, K {}, V {}; {:?}; {:?}; {:?}; pending {pending}",
            self.cell,
            self.sizes.input,
            self.sizes.hidden,
            self.sizes.output,
            self.outputs,
            self.vocabulary,
            self.method,
            self.loss,
            self.rule
        )
    }

    /// A learner that goes on where [`Online::save`] left one.
    ///
    /// # Errors
    /// As [`OnlineConfig::init`]; the file cannot be read, is damaged, or is of another definition (rate, clipping, initialisation and seed may
    /// differ; the random numbers go on).
    pub fn resume(&self, path: &Path) -> Result<Online, OnlineError> {
        let mut online = self.init()?;
        let checkpoint = Checkpoint::load(path)?;
        let does_not_fit = |what: String| OnlineError::Saved(CheckpointError::DoesNotFit(what));
        online.pending = checkpoint.note == self.note(true);
        if !online.pending && checkpoint.note != self.note(false) {
            let own = self.note(online.pending);
            return Err(does_not_fit(format!("it was made by `{}`, this is `{own}`", checkpoint.note)));
        }
        let (mut moments, mut influence) = (Vec::new(), Vec::new());
        for Entry { name, values, .. } in checkpoint.entries {
            if let Some(rest) = name.strip_prefix("optimiser/") {
                let (slot, path) = rest.split_once('/').ok_or_else(|| does_not_fit(format!("`{name}` in it")))?;
                let own = online.named.iter().find(|(n, ..)| n == path).map(|&(_, _, len)| len);
                let own = own.or(match path {
                    "readout.weight" => Some(online.weight.len()),
                    "readout.bias" => Some(online.bias.len()),
                    _ => None,
                });
                if own != Some(values.len()) {
                    return Err(does_not_fit(format!("`{name}` has {} numbers", values.len())));
                }
                moments.push((path.to_string(), slot.to_string(), values));
                continue;
            }
            let to: &mut [f32] = match name.as_str() {
                "parameters" => &mut online.params,
                "readout/weight" => &mut online.weight,
                "readout/bias" => &mut online.bias,
                "prediction" => &mut online.prediction,
                "state" => {
                    online.step.set_state(&values)?;
                    continue;
                }
                _ => {
                    influence.push((name, values));
                    continue;
                }
            };
            if to.len() != values.len() {
                return Err(does_not_fit(format!("`{name}` has {} numbers, not {}", values.len(), to.len())));
            }
            to.copy_from_slice(&values);
        }
        if !online.influence.import(influence) {
            return Err(does_not_fit("its influence is of another shape".into()));
        }
        online.influence.seek(checkpoint.random);
        online.optimiser.restore(checkpoint.updates, moments).map_err(does_not_fit)?;
        online.steps = checkpoint.step;
        Ok(online)
    }
}

impl Online {
    /// Writes everything that going on to the bit takes: parameters, optimiser, state, influence, random numbers.
    ///
    /// # Errors
    /// The file cannot be written; a former one is as it was.
    pub fn save(&self, path: &Path) -> Result<(), OnlineError> {
        let entry = |name: &str, values: &[f32]| Entry {
            name: name.to_string(),
            shape: vec![values.len()],
            values: values.to_vec(),
        };
        let mut entries = vec![
            entry("parameters", &self.params),
            entry("readout/weight", &self.weight),
            entry("readout/bias", &self.bias),
            entry("prediction", &self.prediction),
            entry("state", &self.state()),
        ];
        entries.extend(self.influence.export().iter().map(|(name, values)| entry(name, values)));
        let moments = self.optimiser.state();
        entries.extend(moments.map(|(path, slot, values)| entry(&format!("optimiser/{slot}/{path}"), values)));
        let checkpoint = Checkpoint {
            step: self.steps,
            updates: self.optimiser.step(),
            random: self.influence.random(),
            cursor: String::new(),
            note: self.config.note(self.pending),
            entries,
        };
        Ok(checkpoint.save(path)?)
    }
}
