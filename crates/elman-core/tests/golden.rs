//! Every registered cell, and every option of cells, against golden files: outputs, final states and all gradients, from
//! PyTorch or from the papers' equations (see `golden/README.md` for the files' tensors).

use elman_core::algebra::Element;
use elman_core::algebra::lanes::Isa;
use elman_core::engine::Bf16Kernel;
use elman_core::layer::Place;
use elman_core::testing::{Fused, Problem, Reference, Runner, conditioning, has_kink, magnifies, runners};
use elman_core::{Cell, Layer, Sizes, cells, options};
use safetensors::{Dtype, SafeTensors};
use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Relative tolerance in f64.
const RTOL: f64 = 1e-10;
/// Absolute floor in f64, for elements that are small by cancellation: some hundred terms around 1, each rounded to
/// 1e-16, in two different orders.
const ATOL: f64 = 1e-13;
/// In f32; the files' inputs are exact there. A step rounds some ten times in a row.
const SINGLE: Rounded = Rounded { tolerance: 2e-6, unit: f32::EPSILON as f64, roundings: 10.0 };
/// The same with products in mixed precision: operands are rounded by at most 2^-8 of themselves, two of each product, once
/// forward and once backward, in each of the two layers that most cases have.
const BF16: Rounded = Rounded { tolerance: 8.0 / 256.0, unit: 1.0 / 256.0, roundings: 4.0 };

/// A cell that has a golden.
struct Subject {
    /// The file's name without ending.
    name: String,
    cell: Arc<dyn Cell>,
}

fn registered() -> Vec<Subject> {
    cells::REGISTRY.iter().map(|entry| Subject { name: entry.name.to_string(), cell: (entry.make)() }).collect()
}

/// The examples of options that have a golden.
fn with_options() -> Vec<Subject> {
    let subject = |case: options::Case| Some(Subject { name: case.golden()?, cell: case.make() });
    options::cases().into_iter().filter_map(subject).collect()
}

/// A golden file.
struct Golden {
    tensors: BTreeMap<String, Vec<f64>>,
}

impl Golden {
    fn read(cell: &str) -> Golden {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden").join(format!("{cell}.safetensors"));
        let bytes =
            std::fs::read(&path).unwrap_or_else(|e| panic!("cell `{cell}` has no golden {}: {e}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors = BTreeMap::new();
        for (name, tensor) in file.tensors() {
            let words = tensor.data().chunks_exact(8).map(|c| c.try_into().unwrap());
            let values: Vec<f64> = match tensor.dtype() {
                Dtype::F64 => words.map(f64::from_le_bytes).collect(),
                Dtype::I64 => words.map(|w| i64::from_le_bytes(w) as f64).collect(),
                other => panic!("{name} is {other:?}"),
            };
            tensors.insert(name, values);
        }
        Golden { tensors }
    }

    fn get(&self, name: &str) -> &[f64] {
        self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}"))
    }

    fn integers(&self, name: &str) -> Vec<usize> {
        self.get(name).iter().map(|&v| v as usize).collect()
    }

    fn cast<F: Element>(&self, name: &str) -> Vec<F> {
        self.get(name).iter().map(|&v| F::constant(v)).collect()
    }

    /// Names of the masks, all of the first layer.
    fn masks(&self) -> Vec<String> {
        self.tensors.keys().filter(|k| k.starts_with("mask_")).cloned().collect()
    }

    /// Where the file says between which numbers a parameter begins, it does.
    fn check_ranges(&self, subject: &Subject) {
        let layer = Layer::new(subject.cell.clone(), Sizes::new(2, 3)).unwrap();
        for (name, want) in self.tensors.iter().filter_map(|(key, want)| Some((key.strip_prefix("range_")?, want))) {
            let parameter = layer.parameters().iter().find(|p| p.name == format!("weight_{name}")).unwrap();
            let (low, high) = layer.initial_range(parameter).unwrap_or_else(|| panic!("{}: no range", subject.name));
            for (got, want) in [low, high].iter().zip(want) {
                assert!(
                    (got - want).abs() <= RTOL * want.abs(),
                    "{}: {name} from {got}, expected {want}",
                    subject.name
                );
            }
        }
    }

    /// Names of the cases: what stands before the dots.
    fn cases(&self) -> BTreeSet<String> {
        self.tensors.keys().filter_map(|k| Some(k.split_once('.')?.0.to_string())).collect()
    }
}

/// What a case's name says.
struct Case {
    name: String,
    layers: usize,
    reverse: bool,
    lengths: bool,
    tokens: bool,
    masks: bool,
    /// Feeds at their means.
    means: bool,
}

impl Case {
    fn parse(name: &str) -> Case {
        let name = name.to_string();
        let mut case =
            Case { name, layers: 0, reverse: false, lengths: false, tokens: false, masks: false, means: false };
        for word in case.name.clone().split('-') {
            match word {
                "1" => case.layers = 1,
                "2" => case.layers = 2,
                "forward" => {}
                "reverse" => case.reverse = true,
                "lengths" => case.lengths = true,
                "tokens" => case.tokens = true,
                "masks" => case.masks = true,
                "means" => case.means = true,
                other => panic!("case {}: what is `{other}`?", case.name),
            }
        }
        case
    }
}

/// Whether PyTorch's cell has a second bias and ours does not.
fn has_second_bias(golden: &Golden, layer: &Layer) -> bool {
    golden.tensors.contains_key("bias_hh_l0") && layer.parameters().iter().all(|p| p.name != "bias_hh")
}

/// PyTorch keeps two biases a gate; where our cell has one, it is their sum.
fn parameter<F: Element>(golden: &Golden, layer: &Layer, index: usize, k: usize) -> Vec<F> {
    let p = &layer.parameters()[index];
    let mut values = golden.cast(&format!("{}_l{k}", p.name));
    if p.name == "bias_ih" && has_second_bias(golden, layer) {
        for (a, b) in values.iter_mut().zip(golden.cast(&format!("bias_hh_l{k}"))) {
            *a = *a + b;
        }
    }
    assert_eq!(values.len(), p.len(), "{}", p.name);
    values
}

/// The place that a mask's source has in its stage.
fn place(layer: &Layer, stage: usize, source: &str) -> Place {
    let named = |p: &Place| match *p {
        Place::Input => source == "x",
        Place::Before(v) | Place::Now(v) => layer.values()[v].name == source,
    };
    let sources = &layer.stages()[stage].sources;
    *sources.iter().find(|p| named(p)).unwrap_or_else(|| panic!("stage {stage} has no source {source}"))
}

/// The names of a layer's feeds, in their order.
fn feeds(layer: &Layer) -> Vec<&'static str> {
    layer.cell().spec().stages.iter().flat_map(|stage| stage.feeds).copied().collect()
}

/// One layer of a case as a problem; `below` is the output of the layer under it.
fn problem<F: Element>(
    subject: &Subject,
    golden: &Golden,
    case: &Case,
    k: usize,
    below: Option<&Problem<F>>,
    y: Option<&[F]>,
) -> Problem<F> {
    let [input, hidden, output] = golden.integers("sizes")[..] else { panic!("sizes") };
    let input = below.map_or(input, |b| b.layer.output_width());
    let layer = Layer::new(subject.cell.clone(), Sizes { input, hidden, output }).unwrap();
    let lengths = golden.integers("lengths");
    let steps = golden.get("ids").len() / lengths.len();
    let states = |prefix: &str, suffix: &str| -> Option<Vec<Vec<F>>> {
        let names = layer.carried().iter().map(|&v| layer.values()[v].name);
        Some(names.map(|n| golden.cast(&format!("{prefix}{n}{suffix}_l{k}"))).collect())
    };
    let mut p = Problem::new(&layer, steps, lengths.len(), 0);
    p.params = (0..layer.parameters().len()).map(|i| parameter(golden, &layer, i, k)).collect();
    p.input = match y {
        Some(y) => y.to_vec(),
        None => golden.cast(if case.tokens { "table" } else { "input" }),
    };
    if case.tokens {
        p.ids = Some(golden.integers("ids").iter().map(|&id| id as u32).collect());
    }
    if case.lengths {
        p.lengths = Some(lengths);
    }
    p.reverse = case.reverse;
    (p.state, p.d_state) = (states("", "0"), states("d_", "n"));
    for (values, name) in p.feeds.iter_mut().zip(feeds(&layer)) {
        match case.means {
            true => values.fill(golden.cast(&format!("{name}_p"))[0]),
            false => *values = golden.cast(&format!("{name}_l{k}")),
        }
    }
    if case.masks {
        for name in golden.masks() {
            let [_, stage, source, _] = name.split('_').collect::<Vec<_>>()[..] else { panic!("{name}") };
            let stage = stage.parse().unwrap();
            p.masks.push((stage, place(&layer, stage, source), golden.cast(&name)));
        }
    }
    p
}

/// Everything that a file has for a case, computed by an engine with every parameter moved by up to `part` of itself.
fn outcome<F: Element>(
    subject: &Subject,
    golden: &Golden,
    case: &Case,
    runner: &mut dyn Runner<F>,
    (part, seed): (f64, u64),
) -> BTreeMap<String, Vec<f64>> {
    let mut found = BTreeMap::new();
    let mut put = |name: String, values: &[F]| {
        found.insert(format!("{}.{name}", case.name), values.iter().map(|v| v.to_f64()).collect());
    };
    let mut layers: Vec<Problem<F>> = Vec::new();
    let mut y: Option<Vec<F>> = None;
    for k in 0..case.layers {
        let mut p = problem(subject, golden, case, k, layers.last(), y.as_deref());
        if part > 0.0 {
            p = p.nudged(part, seed);
        }
        let output = p.forward(runner);
        for (state, &v) in output.state.iter().zip(p.layer.carried()) {
            put(format!("{}n_l{k}", p.layer.values()[v].name), state);
        }
        layers.push(p);
        y = Some(output.y);
    }
    put("output".to_string(), &y.unwrap());

    let mut d_y: Vec<F> = golden.cast("d_output");
    for (k, mut p) in layers.into_iter().enumerate().rev() {
        p.d_y = d_y;
        let gradients = p.backward(runner);
        for (parameter, d) in p.layer.parameters().iter().zip(&gradients.params) {
            put(format!("d_{}_l{k}", parameter.name), d);
            // The gradient by PyTorch's other bias is that of our one.
            if parameter.name == "bias_ih" && has_second_bias(golden, &p.layer) {
                put(format!("d_bias_hh_l{k}"), d);
            }
        }
        for (d, &v) in gradients.state.iter().zip(p.layer.carried()) {
            put(format!("d_{}0_l{k}", p.layer.values()[v].name), d);
        }
        for (d, name) in gradients.masks.iter().zip(golden.masks()) {
            put(format!("d_{name}"), d);
        }
        for (d, name) in gradients.feeds.iter().zip(feeds(&p.layer)) {
            put(format!("d_{name}_l{k}"), d);
        }
        if k == 0 {
            put(if case.tokens { "d_table" } else { "d_input" }.to_string(), &gradients.input);
        }
        d_y = gradients.input;
    }
    found
}

/// How near an engine comes that rounds to `unit`: to `tolerance` of the tensor's largest value, or, where a cell magnifies, to
/// `roundings` times what the exact results move by when the parameters are rounded.
struct Rounded {
    tolerance: f64,
    unit: f64,
    roundings: f64,
}

/// Runs a case on an engine and compares everything that the file has for it; f64 to [`RTOL`].
fn run_case<F: Element>(
    subject: &Subject,
    golden: &Golden,
    case: &Case,
    runner: &mut dyn Runner<F>,
    rounded: &Rounded,
) {
    let what = format!("{}, {}", subject.name, runner.name());
    let layer = problem::<F>(subject, golden, case, 0, None, None).layer;
    let (growth, magnifies) = (conditioning(&layer), magnifies(&layer));
    let found = outcome(subject, golden, case, runner, (0.0, 0));
    for (full, got) in &found {
        let want = golden.get(full);
        assert_eq!(got.len(), want.len(), "{what}: length of {full}");
        let largest = want.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
        let moved = LazyCell::new(|| {
            let nudged = |seed| {
                outcome::<f64>(subject, golden, case, &mut Reference, (rounded.unit, seed)).remove(full).unwrap()
            };
            (1..=5).flat_map(nudged).zip(want.iter().cycle()).fold(0.0, |m: f64, (a, w)| m.max((a - w).abs()))
        });
        for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
            let near = match size_of::<F>() {
                8 => (g - w).abs() <= ATOL + RTOL * w.abs(),
                _ => {
                    (g - w).abs() <= rounded.tolerance * growth * largest
                        || magnifies && (g - w).abs() <= rounded.roundings * *moved
                }
            };
            assert!(near, "{what}: {full}[{i}] is {g:?}, expected {w:?}");
        }
    }
    let prefix = format!("{}.", case.name);
    let unseen: Vec<_> = golden.tensors.keys().filter(|k| k.starts_with(&prefix) && !found.contains_key(*k)).collect();
    assert!(unseen.is_empty(), "{what}: not compared: {unseen:?}");
}

/// Every engine on every case of these cells' goldens; each file has these cases.
fn check<F: Element>(subjects: &[Subject], cases: &[String]) {
    for subject in subjects {
        let golden = Golden::read(&subject.name);
        let there = golden.cases();
        for case in cases {
            assert!(there.contains(case), "the golden of `{}` has no case {case}", subject.name);
        }
        golden.check_ranges(subject);
        for mut runner in runners::<F>() {
            for case in &there {
                run_case(subject, &golden, &Case::parse(case), &mut *runner, &SINGLE);
            }
        }
    }
}

/// One layer and two, in both directions, with lengths and without.
fn grid() -> Vec<String> {
    let mut cases = Vec::new();
    for layers in ["1", "2"] {
        for direction in ["forward", "reverse"] {
            cases.extend(["", "-lengths"].map(|lengths| format!("{layers}-{direction}{lengths}")));
        }
    }
    cases
}

#[test]
fn f64_engines_give_the_goldens() {
    check::<f64>(&registered(), &grid());
}

#[test]
fn f32_engines_give_the_goldens() {
    check::<f32>(&registered(), &grid());
}

#[test]
fn all_engines_give_the_goldens_of_options() {
    let cases = ["1-forward".to_string(), "2-reverse-lengths".to_string()];
    check::<f64>(&with_options(), &cases);
    check::<f32>(&with_options(), &cases);
}

#[test]
fn mixed_precision_gives_the_goldens() {
    // Near a kink rounding makes another gradient altogether: `tests/mixed.rs` has such a cell exactly.
    for subject in registered().into_iter().chain(with_options()).filter(|subject| !has_kink(&*subject.cell)) {
        let golden = Golden::read(&subject.name);
        for isa in Isa::available() {
            for case in golden.cases() {
                let mut runner = Fused::in_bf16(isa, 1, Bf16Kernel::Plain);
                run_case::<f32>(&subject, &golden, &Case::parse(&case), &mut runner, &BF16);
            }
        }
    }
}

/// A golden of a cell that is not registered, or a cell's file that no line of the registry names, is a mistake.
#[test]
fn nothing_is_left_out_of_the_registry() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stems = |folder: &str, ending: &str| -> Vec<String> {
        let files = std::fs::read_dir(root.join(folder)).unwrap().map(|e| e.unwrap().file_name());
        let names: Vec<String> = files.map(|f| f.into_string().unwrap()).collect();
        names.iter().filter_map(|n| Some(n.strip_suffix(ending)?.to_string())).collect()
    };
    for file in stems("src/cells", ".rs") {
        let registered = file == "mod" || cells::REGISTRY.iter().any(|e| e.file == file);
        assert!(registered, "src/cells/{file}.rs has no line in the registry");
    }
    for name in stems("../../golden", ".safetensors") {
        assert!(cells::find(&name).is_some(), "golden/{name}.safetensors belongs to no registered cell");
    }
    let (mut there, mut named) = (stems("../../golden/options", ".safetensors"), Vec::new());
    named.extend(with_options().into_iter().map(|subject| subject.name.strip_prefix("options/").unwrap().to_string()));
    there.sort();
    named.sort();
    assert_eq!(there, named, "files of golden/options, and those that are compared");
    for entry in cells::REGISTRY {
        let path = root.join("src/cells").join(format!("{}.rs", entry.file));
        assert!(path.exists(), "`{}` names the file {}", entry.name, path.display());
    }
    let names: BTreeSet<_> = cells::REGISTRY.iter().map(|e| e.name).collect();
    assert_eq!(names.len(), cells::REGISTRY.len(), "two cells have one name");
}
