use super::*;
use crate::network::testing::{Golden, doubled, gradient_check};
use crate::network::{Dense, Windows, activation_named, scores};
use crate::train::{BatchSource, Optimiser, Rule, Trainer};
use burn::tensor::DType;

/// A recorded series of one kind or another: sines, not in phase.
fn series(steps: usize, inputs: usize, outputs: usize) -> Series {
    let wave = |width: usize, scale: f64| {
        (0..steps * width).map(|k| scale * (0.7 * k as f64 + 0.13 * (k * k % 11) as f64).sin()).collect()
    };
    Series::new(wave(inputs, 1.0), inputs, wave(outputs, 30.0), outputs).unwrap()
}

fn mimo() -> NarxConfig {
    NarxConfig { inputs: 2, outputs: 3, delay: 2, ..NarxConfig::new(3, 2, &[4, 5]) }
}

/// f at step t by loops over the parameters, from rows of y and u in physical units.
fn by_hand(model: &Narx, units: &Units, y: &[f64], u: &[f64], t: usize, config: &NarxConfig) -> Vec<f64> {
    let (y, u) = (units.y.normalise(y), units.u.normalise(u));
    let mut a: Vec<f64> = Vec::new();
    for lag in 1..=config.output_lags {
        a.extend(&y[(t - lag) * config.outputs..][..config.outputs]);
    }
    for j in 0..config.input_lags {
        a.extend(&u[(t - config.delay - j) * config.inputs..][..config.inputs]);
    }
    let last = model.mlp.layers.len() - 1;
    for (l, Dense { weight, bias }) in model.mlp.layers.iter().enumerate() {
        let (w, b) = (to_f64(weight.val()), to_f64(bias.val()));
        let row = |(w, b): (&[f64], &f64)| w.iter().zip(&a).map(|(w, a)| w * a).sum::<f64>() + b;
        let z = w.chunks(a.len()).zip(&b).map(row);
        a = if l == last { z.collect() } else { z.map(f64::tanh).collect() };
    }
    units.y.restore(&a)
}

#[test]
fn both_predictions_are_the_equation() {
    let config = mimo();
    let series = series(30, 2, 3);
    let units = Units::of(&series);
    let model = doubled(config.init(3, &Device::flex().autodiff()).unwrap()).with_units(units.clone());
    let first = model.first();
    assert_eq!(first, 4);
    // Outputs of some tens, from f64 sums of some ten terms.
    let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-11);

    let ahead = model.one_step(&series).unwrap();
    assert_eq!(ahead.len(), 26 * 3);
    for t in first..30 {
        let want = by_hand(&model, &units, series.y(), series.u(), t, &config);
        assert!(close(&ahead[(t - first) * 3..][..3], &want), "step {t}");
    }
    for start in [4, 7] {
        let free = model.free_run(series.u(), &series.y()[..start * 3]).unwrap();
        let mut y = series.y()[..start * 3].to_vec();
        for t in start..30 {
            y.extend(by_hand(&model, &units, &y, series.u(), t, &config));
        }
        assert_eq!(free.len(), (30 - start) * 3);
        assert!(close(&free, &y[start * 3..]), "from {start}");
        assert!(!close(&free[3..], &ahead[(start - first + 1) * 3..]), "a free run is not one step ahead");
    }
}

#[test]
fn a_delay_of_zero_sees_the_input_of_the_step_itself() {
    let config = NarxConfig { delay: 0, ..NarxConfig::new(1, 1, &[3]) };
    let model = doubled(config.init(1, &Device::flex()).unwrap());
    let mut other = series(10, 1, 1);
    assert_eq!(model.first(), 1);
    let before = model.one_step(&other).unwrap();
    let mut u = other.u().to_vec();
    u[9] += 1.0;
    other = Series::new(u, 1, other.y().to_vec(), 1).unwrap();
    let after = model.one_step(&other).unwrap();
    assert_eq!(before[..8], after[..8]);
    assert_ne!(before[8], after[8]);
}

#[test]
fn gradients_of_both_ways_to_train_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    let series = series(20, 2, 3);
    for training in [Training::SeriesParallel, Training::Parallel] {
        let model = mimo().init(3, &device).unwrap().with_units(Units::of(&series)).with_training(training);
        let batch = Windows::new(vec![series.clone()], 10, 2, 5, 1).unwrap().next_batch().unwrap();
        gradient_check(model, |model| model.loss(&batch, None, &mut Random::new(1, "")).0);
    }
}

/// A free run of one step is one step ahead; of two it is not.
#[test]
fn the_losses_agree_where_nothing_is_fed_back_yet() {
    let device = Device::flex().autodiff();
    let series = series(20, 2, 3);
    let loss = |steps, training| {
        let model = doubled(mimo().init(3, &device).unwrap()).with_units(Units::of(&series)).with_training(training);
        let batch = Windows::new(vec![series.clone()], steps, 2, 4, 1).unwrap().next_batch().unwrap();
        assert_eq!(Narx::count(&batch), (steps - 4) * 2 * 3);
        to_f64(model.loss(&batch, None, &mut Random::new(1, "")).0)[0]
    };
    let (one, other) = (loss(5, Training::SeriesParallel), loss(5, Training::Parallel));
    assert!((one - other).abs() < 1e-14, "{one} {other}");
    assert!((loss(6, Training::SeriesParallel) - loss(6, Training::Parallel)).abs() > 1e-6);
}

/// The fourth deck: let h be a multilayer perceptron; with l layers the error's path grows by the factor l. A network of one linear
/// unit a layer, each of weight w, has ∂y_T / ∂y_0 = w^n over a path of n layers: the logarithm counts them.
#[test]
fn with_l_layers_the_path_of_the_error_grows_by_the_factor_l() {
    const W: f64 = 0.5;
    const STEPS: usize = 7;
    let device = Device::flex().autodiff();
    for l in 1..=4 {
        let config = NarxConfig { activation: Activation::Identity, ..NarxConfig::new(1, 1, &vec![1; l - 1]) };
        let model = doubled(config.init(1, &device).unwrap());
        let weights = crate::network::testing::parameters(&model).into_iter().map(|(name, values)| {
            // The first layer's two weights: of y_{t-1}, and of the input.
            let values =
                if name.ends_with("bias") { vec![0.0; values.len()] } else { [W, 0.0][..values.len()].to_vec() };
            (name, values)
        });
        let model = crate::network::testing::with(model, &weights.collect());
        let zeros = |steps: usize| Tensor::<3>::zeros([steps, 1, 1], (&device, DType::F64));
        let y0 = zeros(1).require_grad();
        let y = model.parallel(&zeros(STEPS + 1), &y0, 1);
        let d = y.slice_dim(0, STEPS - 1..STEPS).sum().backward();
        let path = to_f64(y0.grad(&d).unwrap())[0].ln() / W.ln();
        // The powers of 1/2 are exact, their logarithms to 1e-15.
        assert!((path - (l * STEPS) as f64).abs() < 1e-12, "{l} layers: {path}");
    }
}

#[test]
fn what_cannot_be_made_or_used_is_an_error() {
    let device = Device::flex();
    let message = |config: NarxConfig| config.init(1, &device).unwrap_err().to_string();
    let base = || NarxConfig::new(2, 2, &[4]);
    let line = "the number of input lags n_u is 0, which is not in 1..=1000000";
    assert_eq!(message(NarxConfig { input_lags: 0, ..base() }), line);
    let line = "the number of output lags n_y is 0, which is not in 1..=1000000";
    assert_eq!(message(NarxConfig { output_lags: 0, ..base() }), line);
    // What a lag below zero becomes when it is taken for a size.
    let delay = (-1isize) as usize;
    let line = format!("the input delay d is {delay}, which is not in 0..=1000000");
    assert_eq!(message(NarxConfig { delay, ..base() }), line);
    let line = "the width of a dense layer is 0, which is not in 1..=1000000";
    assert_eq!(message(NarxConfig { hidden: vec![4, 0], ..base() }), line);
    assert!(activation_named("step").is_err());

    let model = base().init(1, &device).unwrap();
    let line = "there are 2 steps of the series, and 3 are needed: the first ones are the model's lags";
    assert_eq!(model.one_step(&series(2, 1, 1)).unwrap_err().to_string(), line);
    assert_eq!(model.one_step(&series(3, 1, 1)).unwrap().len(), 1);
    let line = "the series has 2 input channels, and the model 1";
    assert_eq!(model.one_step(&series(9, 2, 1)).unwrap_err().to_string(), line);
    let line = "there are 1 steps of the measured output, and 2 are needed: the free run starts from the model's lags";
    assert_eq!(model.free_run(&[0.0; 9], &[0.0]).unwrap_err().to_string(), line);
    let line = "there are 3 steps of the input, and 4 are needed: the free run goes on where the measured output ends";
    assert_eq!(model.free_run(&[0.0; 3], &[0.0; 3]).unwrap_err().to_string(), line);
    let line = "the input is NaN at step 2, channel 0 (both counted from 0): fill or cut it out";
    assert_eq!(model.free_run(&[0.0, 0.0, f64::NAN], &[0.0; 2]).unwrap_err().to_string(), line);
}

#[test]
fn a_free_run_that_leaves_the_numbers_says_where() {
    let config = NarxConfig { activation: Activation::Identity, ..NarxConfig::new(1, 1, &[]) };
    let model = config.init(1, &Device::flex()).unwrap();
    let mut parameters = model.parameters();
    // y_t = 1e10 y_{t-1}: beyond 3.4e38 in the fourth step.
    parameters[0].values = vec![1e10, 0.0];
    parameters[1].values = vec![0.0];
    let model = model.with_parameters(parameters).unwrap();
    assert_eq!(model.free_run(&[0.0; 9], &[1.0]), Err(SeriesError::Diverged { step: 4 }));
    assert_eq!(model.free_run(&[0.0; 4], &[1.0]).unwrap().len(), 3);
}

#[test]
fn parameters_and_units_come_back() {
    let device = Device::flex();
    let series = series(30, 2, 3);
    let model = mimo().init(3, &device).unwrap().with_units(Units::of(&series));
    let other = mimo().init(4, &device).unwrap().with_parameters(model.parameters()).unwrap();
    assert_eq!(other.parameters(), model.parameters());
    let (a, b) = (model.one_step(&series).unwrap(), other.one_step(&series).unwrap());
    // The units keep 48 bits of a mean; the network computes in f32.
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
}

#[test]
fn training_resumes_with_the_same_bits() {
    let device = Device::flex().autodiff();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let series = series(60, 2, 3);
    let trainer = || {
        let model = mimo().init(3, &device).unwrap().with_units(Units::of(&series)).with_training(Training::Parallel);
        let source = Windows::new(vec![series.clone()], 10, 4, 4, 1).unwrap();
        (Trainer::new(model, Optimiser::new(Rule::ADAM, 0.0), 0.01, 1), source)
    };
    let (mut straight, mut source) = trainer();
    straight.run(&mut source, 7, |_, _| true).unwrap();
    let (mut first, mut source) = trainer();
    first.run(&mut source, 3, |_, _| true).unwrap();
    first.save(&source, "", &path).unwrap();
    let (mut second, mut source) = trainer();
    second.restore(crate::train::Checkpoint::load(&path).unwrap(), &mut source).unwrap();
    second.run(&mut source, 7, |_, _| true).unwrap();
    assert_eq!(second.network().parameters(), straight.network().parameters());
    assert_ne!(second.network().parameters(), first.network().parameters());
}

/// Data in units far from 1 (a mean of 400 and deviation of 5) of a plant y_t = 0.6 y_{t-1} + 0.3 sin(u_{t-2}) about its mean.
#[test]
fn it_learns_a_plant_given_in_physical_units() {
    let device = Device::flex().autodiff();
    let mut random = Random::new(1, "plant");
    let u: Vec<f64> = (0..600).map(|_| f64::from(random.symmetric(2.0))).collect();
    let mut y = vec![0.0; 600];
    for t in 2..600 {
        y[t] = 0.6 * y[t - 1] + 0.3 * u[t - 2].sin();
    }
    let y: Vec<f64> = y.into_iter().map(|y| 400.0 + 20.0 * y).collect();
    let cut = |a: usize, b: usize| Series::new(u[a..b].to_vec(), 1, y[a..b].to_vec(), 1).unwrap();
    let (train, test) = (cut(0, 400), cut(400, 600));
    let fit = |training, steps, updates| {
        let config = NarxConfig { delay: 2, ..NarxConfig::new(1, 1, &[8]) };
        let model = config.init(2, &device).unwrap().with_units(Units::of(&train)).with_training(training);
        let mut source = Windows::new(vec![train.clone()], steps, 16, 2, 3).unwrap();
        let mut trainer = Trainer::new(model, Optimiser::new(Rule::ADAM, 0.0), 0.02, 1);
        trainer.clip = Some(1.0);
        trainer.run(&mut source, updates, |_, _| true).unwrap();
        let model = trainer.network();
        let free = model.free_run(test.u(), &test.y()[..2]).unwrap();
        let ahead = model.one_step(&test).unwrap();
        [ahead, free].map(|p| scores(&test.y()[2..], &p, 1)[0].fit)
    };
    // The plant is in the family of models and without noise, so that an error of a tenth of the spread is not much to ask;
    // the mean has a fit of 0.
    for (training, steps, updates) in [(Training::SeriesParallel, 20, 300), (Training::Parallel, 12, 300)] {
        let [ahead, free] = fit(training, steps, updates);
        assert!(ahead > 90.0 && free > 90.0, "{training:?}: {ahead} and {free} per cent");
    }
}

#[test]
fn the_goldens_are_met() {
    let device = Device::flex().autodiff();
    for (name, training) in [("narx-series-parallel", Training::SeriesParallel), ("narx-parallel", Training::Parallel)]
    {
        let golden = Golden::read(name);
        let ((batch, units), orders) = (golden.recorded(), golden.sizes("orders"));
        let [inputs, outputs] = batch.channels;
        let config = NarxConfig { inputs, outputs, delay: orders[2], ..NarxConfig::new(orders[0], orders[1], &[4, 5]) };
        let model = golden.fill(config.init(1, &device).unwrap()).with_units(units).with_training(training);
        let d = golden.part("loss", model.loss(&batch, None, &mut Random::new(1, "")).0).backward();
        golden.compare_gradients(&model, &d);
        let (u, y) = (golden.first_row("u"), golden.first_row("y"));
        golden.compare("free_run", &model.free_run(&u, &y[..batch.warm_up * outputs]).unwrap());
        golden.compare("one_step", &model.one_step(&Series::new(u, inputs, y, outputs).unwrap()).unwrap());
    }
}
