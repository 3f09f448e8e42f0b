//! The plant's answers, made from the settings.

use crate::Error;
use crate::settings::Settings;
use elman::network::{Series, SeriesError};
use elman_data::Plant;

/// Steps of the held-out part, and of the test part: the paper's 800.
const SCORED: usize = 800;

const PLANTS: [(&str, Plant); 3] =
    [("two-by-two", Plant::TwoByTwo), ("model-two", Plant::ModelTwo), ("model-four", Plant::ModelFour)];

/// What `plant` may be.
pub fn names() -> Vec<&'static str> {
    PLANTS.iter().map(|plant| plant.0).collect()
}

/// A part that is scored.
pub struct Part {
    /// What it is called.
    pub name: &'static str,
    /// What was measured.
    pub measured: Series,
    /// The plant's output without the noise.
    pub truth: Vec<f64>,
}

/// All parts.
pub struct Data {
    /// Learnt from.
    pub train: Series,
    /// The answer to other noise.
    pub held_out: Part,
    /// The answer to sinusoids.
    pub test: Part,
}

impl Data {
    pub fn new(settings: &Settings) -> Result<Data, Error> {
        let plant = PLANTS.iter().find(|plant| plant.0 == settings.text("plant")).expect("checked when it was set").1;
        let (noise, seed) = (settings.number("noise"), settings.integer("seed"));
        let wrong = |error: SeriesError| Error::Usage(format!("plant: {error}"));
        let channels = plant.channels();
        let series = |u: &[f64], seed: u64| {
            let record = plant.record(u, noise, seed);
            Series::new(record.u, channels, record.y, channels).map_err(wrong)
        };
        let part =
            |name, u: Vec<f64>, seed| Ok::<_, Error>(Part { name, measured: series(&u, seed)?, truth: plant.run(&u) });
        let others = [seed.wrapping_add(1), seed.wrapping_add(2)];
        Ok(Data {
            train: series(&plant.training_input(settings.size("samples"), seed), seed)?,
            held_out: part("held-out", plant.training_input(SCORED, others[0]), others[0])?,
            test: part("test", plant.test_input(SCORED), others[1])?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::find;

    #[test]
    fn every_plant_is_there_and_its_parts_are_apart() {
        assert_eq!(PLANTS.len(), Plant::ALL.len());
        for (name, plant) in PLANTS {
            let mut settings = Settings::new(find("plant").unwrap().settings);
            settings.set("plant", name, "").unwrap();
            settings.set("noise", "0.1", "").unwrap();
            settings.complete();
            let Data { train, held_out, test } = Data::new(&settings).unwrap();
            assert_eq!((train.steps(), train.outputs()), (4000, plant.channels()));
            assert_ne!(train.u()[..800], held_out.measured.u()[..800]);
            assert_eq!(test.measured.u(), plant.test_input(800));
            for Part { measured, truth, .. } in [held_out, test] {
                assert_eq!(truth, plant.run(measured.u()));
                let most = truth.iter().zip(measured.y()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(most > 0.1 && most < 0.6, "{name}: {most} with a deviation of 0.1");
            }
        }
    }
}
