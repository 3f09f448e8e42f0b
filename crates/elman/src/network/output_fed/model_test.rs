use super::*;
use crate::network::testing::{Golden, Numbers, doubled, gradient_check, gradients, parameters, with};
use crate::network::{Windows, scores};
use crate::recurrent::RecurrentConfig;
use crate::train::{BatchSource, Optimiser, Rule, Schedule, Trainer};
use burn::tensor::Device;
use elman_core::Sizes;
use elman_core::algebra::Activation;
use elman_core::cells::Jordan;
use std::sync::Arc;

const WAYS: [Training; 2] = [Training::SeriesParallel, Training::Parallel];

fn model(sizes: Sizes, delay: usize) -> OutputFedModel {
    model_of(Activation::Tanh, sizes, delay)
}

fn model_of(hidden: Activation, sizes: Sizes, delay: usize) -> OutputFedModel {
    let cell = Arc::new(Jordan { hidden, output: Activation::Identity });
    let layer = RecurrentConfig::new(cell, sizes).init(3, &Device::flex().autodiff()).unwrap();
    OutputFedModel::new(OutputFed::new(layer).unwrap(), delay).unwrap()
}

fn series(steps: usize) -> Series {
    let wave = |width: usize, scale: f64| {
        (0..steps * width).map(|k| scale * (0.7 * k as f64 + 0.13 * (k * k % 11) as f64).sin()).collect()
    };
    Series::new(wave(2, 1.0), 2, wave(3, 30.0), 3).unwrap()
}

fn batch(series: &Series, steps: usize, warm_up: usize) -> SeriesBatch {
    Windows::new(vec![series.clone()], steps, 2, warm_up, 1).unwrap().next_batch().unwrap()
}

#[test]
fn gradients_of_both_ways_to_train_are_those_of_central_differences() {
    let series = series(20);
    for training in WAYS {
        let model = model(Sizes { input: 2, hidden: 5, output: 3 }, 2);
        let model = model.with_units(Units::of(&series)).with_training(training);
        let batch = batch(&series, 9, 3);
        gradient_check(model, |model| model.loss(&batch, None, &mut Random::new(1, "")).0);
    }
}

#[test]
fn chunks_have_the_loss_and_gradient_of_all_steps_at_once() {
    let series = series(30);
    let model = doubled(model(Sizes { input: 2, hidden: 5, output: 3 }, 1)).with_units(Units::of(&series));
    let batch = batch(&series, 20, 1);
    let (loss, _) = model.loss(&batch, None, &mut Random::new(1, ""));
    let value = to_f64(loss.clone())[0];
    let whole = gradients(&model, &loss.backward());
    assert!(model.learn(&batch, None, &mut Random::new(1, "")).is_none(), "not in chunks unless it is asked for");
    for steps in [1, 6, 19, 100] {
        let model = model.clone().with_chunks(steps).unwrap();
        let learnt = model.learn(&batch, None, &mut Random::new(1, "")).unwrap();
        // Sums in another order; gradients leave as f32.
        assert!((learnt.loss - value).abs() < 1e-13 * value, "{steps}: {} and {value}", learnt.loss);
        assert_eq!(learnt.gradients.len(), whole.len());
        for (name, got) in &learnt.gradients {
            let largest = whole[name].iter().fold(0.0f64, |most, d| most.max(d.abs()));
            for (got, want) in got.to_vec().iter().zip(&whole[name]) {
                assert!((f64::from(*got) - want).abs() <= 1e-6 * largest, "{steps}: {name}: {got} and {want}");
            }
        }
        let parallel = model.with_training(Training::Parallel);
        assert!(parallel.learn(&batch, None, &mut Random::new(1, "")).is_none(), "a free run has no chunks");
    }
}

/// A free run of one step is one step ahead; of two it is not.
#[test]
fn the_ways_agree_where_nothing_is_fed_back_yet() {
    let series = series(20);
    let loss = |steps, training| {
        let model = doubled(model(Sizes { input: 2, hidden: 5, output: 3 }, 2));
        let model = model.with_units(Units::of(&series)).with_training(training);
        to_f64(model.loss(&batch(&series, steps, 2), None, &mut Random::new(1, "")).0)[0]
    };
    assert!((loss(3, WAYS[0]) - loss(3, WAYS[1])).abs() < 1e-14);
    assert!((loss(4, WAYS[0]) - loss(4, WAYS[1])).abs() > 1e-6);
}

#[test]
fn the_goldens_are_met() {
    for (name, training) in [("output-fed-system", WAYS[0]), ("output-fed-system-parallel", WAYS[1])] {
        let golden = Golden::read(name);
        let ((batch, units), orders) = (golden.recorded(), golden.sizes("orders"));
        let [inputs, outputs] = batch.channels;
        let hidden = golden.values("network.rnn.bias_ih_l0").len();
        let model = model(Sizes { input: inputs, hidden, output: outputs }, orders[2]);
        let model = golden.fill(model).with_units(units).with_training(training);
        let d = golden.part("loss", model.loss(&batch, None, &mut Random::new(1, "")).0).backward();
        golden.compare_gradients(&model, &d);
        let (u, y) = (golden.first_row("u"), golden.first_row("y"));
        golden.compare("free_run", &model.free_run(&u, &y[..batch.warm_up * outputs]).unwrap());
        golden.compare("one_step", &model.one_step(&Series::new(u, inputs, y, outputs).unwrap()).unwrap());
    }
}

/// y_t = 0.8 y_{t-1} + 0.5 u_{t-1} is what a linear network can be, taught in either way, in chunks or not.
#[test]
fn a_system_of_one_lag_is_learnt_in_every_way() {
    let u: Vec<f64> = (0..400).map(|t| f64::from((t * 37 + t * t * 11) % 17) / 8.0 - 1.0).collect();
    let y = u.iter().scan(3.0, |y: &mut f64, u| Some(std::mem::replace(y, 0.8 * *y + 0.5 * u)));
    let series = Series::new(u.clone(), 1, y.collect(), 1).unwrap();
    for (training, chunk) in [(WAYS[0], None), (WAYS[0], Some(7)), (WAYS[1], None)] {
        let mut model = model_of(Activation::Identity, Sizes { input: 1, hidden: 8, output: 1 }, 1);
        model = model.with_units(Units::of(&series)).with_training(training);
        if let Some(steps) = chunk {
            model = model.with_chunks(steps).unwrap();
        }
        let mut trainer = Trainer::new(model, Optimiser::new(Rule::ADAM, 0.0), 0.02, 1);
        trainer.schedule = Schedule::Cosine { steps: 1000, floor: 0.01 };
        let mut source = Windows::new(vec![series.clone()], 21, 8, 1, 5).unwrap();
        trainer.run(&mut source, 1000, |_, _| true).unwrap();
        let free = trainer.network().free_run(series.u(), &series.y()[..1]).unwrap();
        let fit = scores(&series.y()[1..], &free, 1)[0].fit;
        assert!(fit > 95.0, "{training:?} {chunk:?}: {fit} %");
    }
}

#[test]
fn a_model_comes_back_from_its_parameters() {
    let series = series(20);
    let model = doubled(model(Sizes { input: 2, hidden: 5, output: 3 }, 1)).with_units(Units::of(&series));
    let other = self::model(Sizes { input: 2, hidden: 5, output: 3 }, 1);
    let zeros: Numbers = parameters(&other).into_iter().map(|(name, v)| (name, vec![0.0; v.len()])).collect();
    let again = with(other, &zeros).with_parameters(model.parameters()).unwrap();
    // Units keep some 48 bits.
    let (got, want) = (again.one_step(&series).unwrap(), model.one_step(&series).unwrap());
    assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?} and {want:?}");
}

#[test]
fn wrong_use_is_an_error() {
    let sizes = Sizes { input: 2, hidden: 5, output: 3 };
    let error = model(sizes, 1).with_chunks(0).unwrap_err().to_string();
    assert!(error.starts_with("the number of steps of a chunk is 0"), "{error}");
    let error = OutputFedModel::new(model(sizes, 1).network, usize::MAX).unwrap_err().to_string();
    assert!(error.starts_with("the input delay d is "), "{error}");
    let model = model(sizes, 1);
    let other = Series::new(vec![0.0; 4], 1, vec![0.0; 12], 3).unwrap();
    assert_eq!(model.one_step(&other).unwrap_err(), SeriesError::Channels { what: "input", found: 1, expected: 2 });
    let error = model.free_run(&[0.0; 8], &[]).unwrap_err().to_string();
    assert!(error.contains("measured output"), "{error}");
    let short = Series::new(vec![0.0; 2], 2, vec![0.0; 3], 3).unwrap();
    assert!(matches!(model.one_step(&short), Err(SeriesError::TooShort { .. })));
}
