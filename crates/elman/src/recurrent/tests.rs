use super::*;
use crate::network::Dense;
use crate::network::activation::activate;
use crate::network::readout::cross_entropy;
use burn::module::Module;
use elman_core::algebra::Activation;
use elman_core::cells::{REGISTRY, find};
use elman_core::engine::{self, Sequence, reference};

/// The module in f64, so that two ways to compute can be told apart from rounding.
fn doubled(module: Recurrent) -> Recurrent {
    fn double<const D: usize>(p: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let device = p.val().device();
        leaf(Tensor::from_data(p.val().into_data().convert::<f64>(), (&device, DType::F64)))
    }
    module.convert(|_, param| each!(param, p => double(p)))
}

fn tensor<const D: usize>(shape: [usize; D], name: &str, device: &Device) -> Tensor<D> {
    let mut random = Random::new(7, name);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| random.symmetric(1.0).into()).collect();
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F64))
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_to_vec::<f64>().unwrap()
}

const T: usize = 5;
const B: usize = 3;
const I: usize = 2;

struct Case {
    tokens: bool,
    lengths: Option<Arc<[usize]>>,
    reverse: bool,
    masked: bool,
}

fn cases() -> [Case; 4] {
    let lengths: Arc<[usize]> = [3, 5, 0].into();
    [
        Case { tokens: false, lengths: None, reverse: false, masked: false },
        Case { tokens: true, lengths: None, reverse: true, masked: true },
        Case { tokens: false, lengths: Some(lengths.clone()), reverse: false, masked: true },
        Case { tokens: true, lengths: Some(lengths), reverse: true, masked: false },
    ]
}

/// Values and every gradient of a loss that depends on all outputs and all final states.
fn everything(module: &Recurrent, case: &Case, path: Path) -> Vec<(String, Vec<f64>)> {
    let device = Device::flex().autodiff();
    let module = module.clone().with_path(path);
    let x = tensor([T, B, I], "x", &device).require_grad();
    let table = tensor([7, I], "table", &device).require_grad();
    let ids: Arc<[u32]> = (0..(T * B) as u32).map(|i| i * 5 % 7).collect();
    let input = match case.tokens {
        true => Input::Tokens { ids, batch: B, table: table.clone() },
        false => Input::Dense(x.clone()),
    };
    let state: Vec<Vec<Tensor<2>>> = module
        .layers
        .iter()
        .enumerate()
        .map(|(l, layer)| {
            let widths = layer.state_widths().into_iter().enumerate();
            widths.map(|(k, w)| tensor([B, w], &format!("state {l} {k}"), &device).require_grad()).collect()
        })
        .collect();
    let masks: Vec<SourceMask> = match case.masked {
        false => Vec::new(),
        true => {
            let layer = &module.layers[0];
            let source = *layer.stages()[0].sources.last().unwrap();
            let values = tensor([B, layer.width_of(source)], "mask", &device).require_grad();
            vec![SourceMask { layer: 0, stage: 0, source, values }]
        }
    };
    let feeds: Vec<Tensor<3>> = (module.layers.iter().enumerate())
        .flat_map(|(l, layer)| layer.stages().iter().map(move |s| (l, s)))
        .flat_map(|(l, s)| (0..s.feeds).map(move |f| (format!("feed {l} {f}"), s.width)))
        .map(|(name, width)| tensor([T, B, width], &name, &device).require_grad())
        .collect();
    let options = Options {
        lengths: case.lengths.clone(),
        reverse: case.reverse,
        masks: masks.clone(),
        feeds: feeds.clone(),
        ..Options::default()
    };
    let (y, last) = module.run(input, Some(State { layers: state.clone() }), options);
    let mut loss = (y.clone() * tensor(y.dims(), "d y", &device)).sum();
    let mut all = vec![("y".to_string(), numbers(y))];
    for (l, layer) in last.layers.into_iter().enumerate() {
        for (k, s) in layer.into_iter().enumerate() {
            loss = loss + (s.clone() * tensor(s.dims(), &format!("d {l} {k}"), &device)).sum();
            all.push((format!("state {l} {k}"), numbers(s)));
        }
    }
    let d = loss.backward();
    match case.tokens {
        true => all.push(("d table".into(), numbers(table.grad(&d).unwrap()))),
        false => all.push(("d x".into(), numbers(x.grad(&d).unwrap()))),
    }
    for (l, s) in state.iter().enumerate().flat_map(|(l, layer)| layer.iter().map(move |s| (l, s))) {
        // A carried value that no equation reads, an output alone, has no gradient on the tape of tensor operations: zero.
        all.push((format!("d state {l}"), s.grad(&d).map_or_else(|| vec![0.0; s.dims().iter().product()], numbers)));
    }
    for mask in masks {
        all.push(("d mask".into(), numbers(mask.values.grad(&d).unwrap())));
    }
    for feed in feeds {
        all.push(("d feed".into(), numbers(feed.grad(&d).unwrap())));
    }
    for (l, params) in module.params.iter().enumerate() {
        for (spec, param) in module.layers[l].parameters().iter().zip(params) {
            let gradient = match param {
                LayerParam::Matrix(p) => numbers(p.val().grad(&d).unwrap()),
                LayerParam::Vector(p) => numbers(p.val().grad(&d).unwrap()),
            };
            all.push((format!("d {}_l{l}", spec.name), gradient));
        }
    }
    all
}

fn compare(what: &str, a: &[(String, Vec<f64>)], b: &[(String, Vec<f64>)]) {
    assert_eq!(a.len(), b.len());
    for ((name, a), (_, b)) in a.iter().zip(b) {
        assert_eq!(a.len(), b.len(), "{what}: {name}");
        let scale = b.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
        for (a, b) in a.iter().zip(b) {
            // f64 sums of at most some hundred terms, in another order.
            assert!((a - b).abs() <= 1e-12 * scale, "{what}: {name}: {a} {b}");
        }
    }
}

elman_core::cell! {
    /// A cell with feeds in two stages, and a normaliser.
    #[derive(Clone, Debug)]
    pub struct Fed = "test-fed" {}
    carry h; output h;
    stage 0 hidden {
        gate a = [x, h];
        read h;
        feed noise, keep;
    } -> m {
        m = keep * h + tanh(a + noise);
    }
    stage 1 hidden {
        gate b = [norm m];
        feed scale;
    } -> h {
        h = tanh(b * scale);
    }
}

#[test]
fn tensor_operations_equal_the_engine_for_every_cell() {
    let device = Device::flex().autodiff();
    let fed = elman_core::cells::Entry { name: "test-fed", file: "", make: || Arc::new(Fed {}) };
    for entry in REGISTRY.iter().chain([&fed]) {
        for layers in [1, 2] {
            let sizes = Sizes { input: I, hidden: 5, output: 4 };
            let config = RecurrentConfig { layers, ..RecurrentConfig::new((entry.make)(), sizes) };
            let module = doubled(config.init(3, &device).unwrap());
            for case in cases() {
                let fused = everything(&module, &case, Path::Fused);
                compare(entry.name, &everything(&module, &case, Path::Portable), &fused);
            }
        }
    }
}

/// For every cell that can be scanned: values and gradients, with lengths, backwards, with tokens, in two layers.
#[test]
fn a_scan_is_the_steps_for_every_cell_that_has_one() {
    let device = Device::flex().autodiff();
    let mut scanned = Vec::new();
    for entry in REGISTRY {
        let sizes = Sizes { input: I, hidden: 5, output: 4 };
        let config = RecurrentConfig { layers: 2, ..RecurrentConfig::new((entry.make)(), sizes) };
        let module = doubled(config.init(3, &device).unwrap());
        let Ok(scan) = module.clone().with_scan() else { continue };
        scanned.push(entry.name);
        for case in cases() {
            let case = Case { masked: false, ..case };
            compare(entry.name, &everything(&scan, &case, Path::Scan), &everything(&module, &case, Path::Fused));
        }
    }
    assert_eq!(scanned, ["unit-feedback", "min-gru", "min-lstm", "lru"]);
}

#[test]
#[should_panic(expected = "cell `gru` cannot be scanned")]
fn a_scan_of_a_cell_that_has_none() {
    let device = Device::flex().autodiff();
    let config = RecurrentConfig::new((find("gru").unwrap().make)(), Sizes::new(I, 4));
    config.init(1, &device).unwrap().with_path(Path::Scan).forward(Tensor::ones([T, B, I], &device), None);
}

#[test]
fn gradients_through_burn_are_the_engines() {
    let device = Device::flex().autodiff();
    let config = RecurrentConfig::new((find("lstm").unwrap().make)(), Sizes::new(I, 5));
    let module = doubled(config.init(1, &device).unwrap());
    let params: Vec<Vec<f64>> = module.params[0]
        .iter()
        .map(|p| match p {
            LayerParam::Matrix(p) => numbers(p.val()),
            LayerParam::Vector(p) => numbers(p.val()),
        })
        .collect();
    let params: Vec<&[f64]> = params.iter().map(|p| &p[..]).collect();
    let x = numbers(tensor([T, B, I], "x", &device));
    let state: Vec<Vec<f64>> = (0..2).map(|k| numbers(tensor([B, 5], &format!("state 0 {k}"), &device))).collect();
    let sequence = Sequence {
        state: Some(state.iter().map(|s| &s[..]).collect()),
        ..Sequence::new(T, B, engine::Input::Dense(&x))
    };
    let d_y = numbers(tensor([T, B, 5], "d y", &device));
    let d_state: Vec<Vec<f64>> = (0..2).map(|k| numbers(tensor([B, 5], &format!("d 0 {k}"), &device))).collect();
    let d_state: Vec<&[f64]> = d_state.iter().map(|s| &s[..]).collect();
    let out = reference::forward(&module.layers[0], &params, &sequence);
    let d = reference::backward(&module.layers[0], &params, &sequence, &d_y, Some(&d_state));
    let mut want = vec![("y".to_string(), out.y)];
    want.extend(out.state.into_iter().chain([d.input]).chain(d.state).chain(d.params).map(|v| (String::new(), v)));
    let case = Case { tokens: false, lengths: None, reverse: false, masked: false };
    compare("lstm", &everything(&module, &case, Path::Fused), &want);
}

#[test]
fn a_state_alone_in_the_loss_and_a_pass_without_a_tape_work() {
    let device = Device::flex().autodiff();
    let config = RecurrentConfig::new((find("gru").unwrap().make)(), Sizes::new(I, 4));
    let module = config.init(1, &device).unwrap();
    let x = Tensor::<3>::ones([T, B, I], &device).require_grad();
    let gradient = |path| {
        let (_, state) = module.clone().with_path(path).forward(x.clone(), None);
        let d = state.layers[0][0].clone().sum().backward();
        crate::flex::to_vec(x.grad(&d).unwrap())
    };
    let (fused, portable) = (gradient(Path::Fused), gradient(Path::Portable));
    // f32: a few units in the last place of values around 0.1.
    assert!(fused.iter().zip(&portable).all(|(a, b)| (a - b).abs() < 1e-6) && fused.iter().any(|&v| v != 0.0));

    let (y, _) = module.forward(x.clone(), None);
    let (plain, _) = module.valid().forward(Tensor::ones([T, B, I], &Device::flex()), None);
    assert!(!plain.is_autodiff());
    assert_eq!(crate::flex::to_vec(y), crate::flex::to_vec(plain));
}

#[test]
fn a_device_with_gradient_checkpointing_gives_the_same() {
    let devices = [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()];
    let [plain, checkpointing] = devices.map(|device| {
        let config = RecurrentConfig::new((find("lstm").unwrap().make)(), Sizes::new(I, 4));
        let module = config.init(1, &device).unwrap();
        let dense = Dense::init(4, 4, 2, "dense", &device).unwrap();
        let x = Tensor::<3>::ones([T, B, I], &device).require_grad();
        // Numbers changed as an optimiser changes them stay on their device.
        let module = module
            .convert(|_, param| each!(param, p => p.map(|t| crate::flex::edit(t, |v| v[0] += 0.5).require_grad())));
        let (y, state) = module.forward(x.clone(), None);
        // What each operation gives meets parameters and what the tape has made of them.
        let scores = dense.forward(activate(Activation::Tanh, dense.forward(y.reshape([T * B, 4]))));
        let weight = dense.weight.val().transpose();
        let loss = cross_entropy(scores.clone(), weight.clone(), dense.bias.val(), &[1; T * B]);
        let d = (loss + (state.layers[0][1].clone().matmul(weight)).sum()).backward();
        let gradients = [x.grad(&d).unwrap().flatten(0, 2), dense.weight.val().grad(&d).unwrap().flatten(0, 1)];
        [scores.flatten::<1>(0, 1)].into_iter().chain(gradients).flat_map(crate::flex::to_vec).collect::<Vec<f32>>()
    });
    assert!(plain.iter().all(|v| v.is_finite()) && plain.iter().any(|&v| v != 0.0));
    assert_eq!(plain, checkpointing);
}

#[test]
fn recomputation_changes_nothing_for_every_cell() {
    let device = Device::flex().autodiff();
    let fed = elman_core::cells::Entry { name: "test-fed", file: "", make: || Arc::new(Fed {}) };
    for entry in REGISTRY.iter().chain([&fed]) {
        let sizes = Sizes { input: I, hidden: 5, output: 4 };
        let config = RecurrentConfig { layers: 2, ..RecurrentConfig::new((entry.make)(), sizes) };
        let module = doubled(config.init(3, &device).unwrap());
        for case in cases() {
            let all = everything(&module, &case, Path::Fused);
            for recompute in [Recompute::Every(1), Recompute::Every(2), Recompute::Budget(1 << 30)] {
                let some = everything(&module.clone().with_recompute(recompute), &case, Path::Fused);
                compare(&format!("{}, {recompute:?}", entry.name), &some, &all);
                for ((name, some), (_, all)) in some.iter().zip(&all) {
                    if name == "y" || name.starts_with("state") || name == "d x" || name.starts_with("d state") {
                        assert_eq!(some, all, "{}, {recompute:?}: {name}", entry.name);
                    }
                }
            }
        }
    }
}

/// What the error names suffices, and less does not.
#[test]
fn a_budget_is_for_all_layers_together() {
    const STEPS: usize = 2000;
    let device = Device::flex();
    let config = RecurrentConfig { layers: 3, ..RecurrentConfig::new((find("gru").unwrap().make)(), Sizes::new(I, 8)) };
    let module = |budget| config.init(1, &device).unwrap().with_recompute(Recompute::Budget(budget));
    let error = module(0).check_budget(STEPS, B, None).unwrap_err();
    assert_eq!((error.budget, error.steps, error.batch), (0, STEPS, B));
    module(error.least).check_budget(STEPS, B, None).unwrap();
    module(error.least).forward(Tensor::ones([STEPS, B, I], &device), None);
    let less = module(error.least - 3);
    assert_eq!(less.check_budget(STEPS, B, None).unwrap_err().least, error.least);
    let run = std::panic::AssertUnwindSafe(|| less.forward(Tensor::ones([STEPS, B, I], &device), None));
    let panic = std::panic::catch_unwind(run).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("is too small for 2000 steps of 3 rows"));
}

#[test]
fn names_bounds_and_seeds() {
    let device = Device::flex().autodiff();
    let config = RecurrentConfig {
        layers: 2,
        ..RecurrentConfig::new((find("lstm-peephole").unwrap().make)(), Sizes::new(3, 64))
    };
    let module = config.init(5, &device).unwrap();
    let named = crate::parameters::export(&module);
    let names: Vec<&str> = named.iter().map(|p| p.name.as_str()).collect();
    let layer =
        |l| ["weight_ih", "weight_hh", "bias_ih", "weight_pi", "weight_pf", "weight_po"].map(|n| format!("{n}_l{l}"));
    assert_eq!(names, [layer(0), layer(1)].concat());
    assert_eq!((named[0].shape.as_slice(), named[6].shape.as_slice()), (&[256, 3][..], &[256, 64][..]));
    for p in &named {
        // A bias is the sum of two uniform numbers in ±1/√64.
        let bound = if p.name.starts_with("bias") { 0.25 } else { 0.125 };
        let largest = p.values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(largest <= bound && largest > 0.8 * bound, "{}: {largest}", p.name);
    }
    assert_eq!(crate::parameters::export(&config.init(5, &device).unwrap()), named);
    assert_ne!(crate::parameters::export(&config.init(6, &device).unwrap())[0], named[0]);
    assert_eq!(Module::num_params(&module), named.iter().map(|p| p.values.len()).sum::<usize>());
}

#[test]
fn dropout_between_layers_follows_its_random_numbers() {
    let device = Device::flex();
    let config = RecurrentConfig {
        layers: 2,
        dropout: 0.5,
        ..RecurrentConfig::new((find("elman").unwrap().make)(), Sizes::new(I, 8))
    };
    let module = config.init(5, &device).unwrap();
    let run = |random: Option<&mut Random>| {
        let options = Options { dropout: random, ..Options::default() };
        crate::flex::to_vec(module.run(Input::Dense(Tensor::ones([T, B, I], &device)), None, options).0)
    };
    let mut random = Random::new(1, "masks");
    let first = run(Some(&mut random));
    let second = run(Some(&mut random));
    assert_ne!(first, second, "each pass draws anew");
    assert_eq!(random.position(), 2 * (T * B * 8) as u128);
    assert_eq!(first, run(Some(&mut Random::new(1, "masks"))));
    assert_eq!(run(None), run(None));
    assert_ne!(run(None), first);
}

/// Inputs beyond a row's length are not read, on any path.
#[test]
fn numbers_beyond_a_rows_length_may_be_anything() {
    let device = Device::flex();
    let module = RecurrentConfig::new((find("lstm").unwrap().make)(), Sizes::new(I, 3)).init(1, &device).unwrap();
    let x = tensor::<3>([T, B, I], "x", &device);
    let lengths: Arc<[usize]> = [3, 5, 0].into();
    let spoilt = numbers(x.clone())
        .into_iter()
        .enumerate()
        .map(|(i, x)| if i / I / B < lengths[i / I % B] { x } else { f64::NAN });
    let spoilt = TensorData::new(spoilt.collect::<Vec<f64>>(), [T, B, I]);
    let spoilt = Tensor::<3>::from_data(spoilt, (&device, x.dtype()));
    for path in [Path::Fused, Path::Portable] {
        let run = |x: Tensor<3>| {
            let options = Options { lengths: Some(lengths.clone()), ..Options::default() };
            let (y, state) = doubled(module.clone()).with_path(path).run(Input::Dense(x), None, options);
            (numbers(y), state.layers.concat().into_iter().map(numbers).collect::<Vec<_>>())
        };
        assert_eq!(run(spoilt.clone()), run(x.clone()), "{path:?}");
    }
}

#[test]
#[should_panic(expected = "a mask of layer 1; there are 1, counted from 0")]
fn a_mask_of_a_layer_that_is_not_there() {
    let device = Device::flex();
    let module = RecurrentConfig::new((find("lstm").unwrap().make)(), Sizes::new(I, 3)).init(1, &device).unwrap();
    let weights = vec![WeightMask { layer: 1, parameter: 0, values: Tensor::ones([12, I], &device) }];
    module.run(Input::Dense(Tensor::ones([T, B, I], &device)), None, Options { weights, ..Options::default() });
}

#[test]
fn wrong_sizes_are_errors_with_names() {
    let cell = || (find("lstm").unwrap().make)();
    let none = RecurrentConfig { layers: 0, ..RecurrentConfig::new(cell(), Sizes::new(1, 1)) };
    assert_eq!(none.init(1, &Device::flex()).unwrap_err().to_string(), "number of layers must be at least 1");
    let zero = RecurrentConfig::new(cell(), Sizes::new(1, 0));
    assert_eq!(zero.init(1, &Device::flex()).unwrap_err().to_string(), "hidden size must be at least 1");
}

/// The gradient of a learned initial state against central differences in f64, for every carried value of two layers.
#[test]
fn an_initial_state_is_learned_by_its_exact_gradient() {
    let device = Device::flex().autodiff();
    let sizes = Sizes { input: I, hidden: 4, output: 3 };
    for cell in ["elman", "lstm", "lstm-projected", "gru"] {
        let config = RecurrentConfig { layers: 2, ..RecurrentConfig::new((find(cell).unwrap().make)(), sizes) };
        let module = doubled(config.init(3, &device).unwrap());
        let mut initial = InitialState::zeros(&module, &device);
        let zeros = crate::parameters::export(&initial);
        assert_eq!(zeros.len(), 2 * module.layers()[0].carried().len());
        for (l, values) in initial.layers.iter_mut().enumerate() {
            for (k, p) in values.iter_mut().enumerate() {
                *p = leaf(tensor(p.val().dims(), &format!("initial {l} {k}"), &device));
            }
        }
        // A weight on every output, so that no two have the same part in the loss.
        let weights = tensor([T, B, module.output_width()], "weights", &device);
        let loss = |initial: &InitialState| {
            let (y, _) = module.forward(tensor([T, B, I], "x", &device), Some(initial.state(B)));
            (y * weights.clone()).sum()
        };
        let gradients = loss(&initial).backward();
        for (l, k) in (0..2).flat_map(|l| (0..zeros.len() / 2).map(move |k| (l, k))) {
            let p = initial.layers[l][k].val();
            let exact = numbers(p.grad(&gradients).unwrap());
            let values = numbers(p.clone());
            for (i, exact) in exact.into_iter().enumerate() {
                let moved = |by: f64| {
                    let mut values = values.clone();
                    values[i] += by;
                    let mut initial = initial.clone();
                    let data = TensorData::new(values, p.dims());
                    initial.layers[l][k] = leaf(Tensor::from_data(data, (&device, DType::F64)));
                    numbers(loss(&initial))[0]
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                // The truncation of central differences, 1e-10, and rounding of the loss over the step.
                assert!((exact - difference).abs() < 1e-8, "{cell} {l} {k} {i}: {exact} {difference}");
            }
        }
    }
}
