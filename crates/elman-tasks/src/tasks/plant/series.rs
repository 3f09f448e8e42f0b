//! A run's network and its test part as `elman inspect` looks into them: scaled numbers, the network's own outputs fed back.

use super::data::Data;
use super::model::{self, Config, DELAY};
use crate::Error;
use crate::inspect::series::SeriesOfRun;
use crate::tasks::Evaluation;
use elman::network::{OutputFedModel, SystemModel};
use elman::parameters;
use elman_run::analysis::{Network, NetworkLayer};

/// Opens a run.
pub fn open(evaluation: &Evaluation) -> Result<SeriesOfRun, Error> {
    let settings = &evaluation.settings;
    let path = if evaluation.best { evaluation.dir.best() } else { evaluation.dir.model() };
    let trained = model::load(&path)?;
    let data = Data::new(settings)?;
    let config = Config::new(settings, &data.train);
    let trainer = model::trainer(&config, &data.train, settings)?;
    let (series, units) = (&data.test.measured, trained.units());
    let ([inputs, outputs], first) = (trained.channels(), trained.first());
    let (u, y) = (units.u.normalise(series.u()), units.y.normalise(series.y()));
    let start = &y[(first - 1) * outputs..first * outputs];
    Ok(SeriesOfRun {
        trained: network(&trained, start)?,
        untrained: network(trainer.network(), start)?,
        inputs: u[(first - DELAY) * inputs..(series.steps() - DELAY) * inputs].to_vec(),
        targets: y[first * outputs..].to_vec(),
        cell: elman_run::cell::title(&config.cell).into_owned(),
        data: format!("{}, the test part, scaled; the network's own outputs fed back", settings.text("plant")),
        window: settings.size("seq-len"),
    })
}

/// The layer with a readout that changes nothing, from the output `start`.
fn network(model: &OutputFedModel, start: &[f64]) -> Result<Network, Error> {
    let layer = (*model.network.recurrent().layers()[0]).clone();
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect();
    let parameters = parameters::export(model).into_iter().map(|p| wide(p.values)).collect();
    let width = start.len();
    let same = (0..width * width).map(|k| f64::from(u8::from(k % (width + 1) == 0))).collect();
    let network = Network::of_numbers(vec![NetworkLayer { layer, parameters }], same, vec![0.0; width])?;
    Ok(network.with_initial(vec![vec![start.to_vec()]])?)
}
