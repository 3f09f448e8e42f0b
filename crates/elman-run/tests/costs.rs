//! What each way to run or train costs: the counts against the engine, against a count on paper, and against the fourth deck's table.

mod common;

use common::{config, model, model_with, path};
use elman_run::ModelConfig;
use elman_run::analysis::cost::Sizes;
use elman_run::analysis::{bptt, costs, scanned, streamed};

/// The counts against the engine: what is held, with the outputs, grows by A numbers a step.
#[test]
fn what_a_step_keeps_is_what_the_engine_holds() {
    // 32 units fill the panels of every instruction set.
    for cell in ["lstm", "gru", "elman"] {
        let model = model(cell, 32, 1);
        let (network, path, engine) = path(&model, 901);
        let held = |steps| bptt(&network, &path, &engine, steps).unwrap().bytes as f64;
        // From 512 steps on all else is as large as it gets, and below 1 MiB buffers are not rounded to large pages.
        let per_step = (held(900) - held(600)) / 300.0 / 8.0;
        let kept = Sizes::of(&network).kept as f64;
        // Where each row stands is some words a step, in lists that may have grown to twice their length.
        assert!((kept..kept + 16.0).contains(&per_step), "{cell}: {per_step} held, {kept} counted");
    }
}

/// The same of a stream and of a scan.
#[test]
fn what_inference_and_a_scan_keep_is_what_they_hold() {
    let (network, path, engine) = path(&model("lstm", 32, 2), 41);
    let held = |steps| streamed(&network, &path, &engine, steps).unwrap();
    assert_eq!(held(40).bytes, held(1).bytes, "O(1)");
    let count: usize = network.layers().iter().map(|l| l.layer.parameter_count()).sum();
    // The parameters, packed, the numbers of one step, and no more than as much again in padding.
    assert!((8 * count..16 * count).contains(&held(40).bytes), "{} bytes, {count} parameters", held(40).bytes);
    let whole = bptt(&network, &path, &engine, 40).unwrap();
    assert!((held(40).loss - whole.loss).abs() < 1e-13);
    for cell in ["min-gru", "lru"] {
        // Outputs of 32 numbers, where a cell has a width of its own for them.
        let model = model_with(ModelConfig { output: 32, ..config(cell, 32, 1) }, |_, _| {});
        let (network, path, engine) = common::path(&model, 301);
        let held = |steps| scanned(&network, &path, &engine, steps).unwrap().unwrap().bytes;
        let sizes = Sizes::of(&network);
        // The output is one of the values: a scan copies it.
        let output = network.output_width();
        assert_eq!(held(300) - held(100), 200 * 8 * (sizes.kept + sizes.scanned + output), "{cell}");
    }
}

/// What a formula of one's own says of a step of five inputs and four units: products, then equations and their derivatives on paper.
#[test]
fn operations_are_those_counted_by_hand() {
    const I: usize = 5;
    const H: usize = 4;
    // A product of an (m, n) matrix with a vector: n multiplications and n additions a row.
    let product = |m: usize, n: usize| 2 * m * n;
    // For each cell: gates; operations of a unit forward; backward; carried values.
    let cases = [
        // h = tanh(a). Backward: da = dh (1 - h h).
        ("elman", 1, 1, 3, 1),
        // i, f, o = σ, g = tanh, f c + i g, o tanh(c'): five functions, three products, a sum. Backward, with t = tanh(c'):
        // do = dh t; dc' += dh o (1 - t t): five operations; di = dc' g, dg = dc' i, df = dc' c, dc = dc' f; through σ: s (1 - s) d, three
        // operations for each of three gates; through tanh: (1 - g g) d, three.
        ("lstm", 4, 9, 1 + 5 + 4 + 3 * 3 + 3, 2),
    ];
    for (cell, gates, forward, backward, carried) in cases {
        let (network, ..) = path(&model(cell, H, 1), 5);
        let (weights, parameters, state) = (gates * H * (I + H), gates * H * (I + H + 1), carried * H);
        let step = product(gates * H, I) + product(gates * H, H) + forward * H;
        // By the weights' sources (their transposed matrices), and by the weights (an outer product each).
        let back = 2 * (product(gates * H, I) + product(gates * H, H)) + backward * H;
        let all = costs(&network, 7, 3, 3);
        let of = |way: &str| all.iter().find(|c| c.way == way).unwrap();
        assert_eq!(of("inference").operations, (7 * step) as f64, "{cell}");
        for way in ["full BPTT", "BPTT in windows"] {
            assert_eq!(of(way).operations, (7 * (step + back)) as f64, "{cell}, {way}");
        }
        // Windows of three moved by one: three times as much.
        let moved = costs(&network, 7, 3, 1);
        let moved = moved.iter().find(|c| c.way == "BPTT in windows").unwrap();
        assert_eq!((moved.operations, moved.serial), ((3 * 7 * (step + back)) as f64, 42.0), "{cell}");
        // ∂s_t/∂s_{t-1} row by row through the step, its product with the influence, (D, H) by (H, P) as only h is multiplied by a matrix, and the
        // step's gradient, (D) by (D, P).
        let row = product(gates * H, I + H) + backward * H;
        let carry = product(state, H) * parameters + product(1, state * parameters);
        assert_eq!(of("RTRL").operations, (7 * (step + state * row + carry)) as f64, "{cell}");
        // Two levels of a pass up and a pass down, forward and backward.
        assert_eq!(of("scan over time").serial, 8.0);
        assert_eq!(of("RTRL").memory, (state * parameters + state * state + state) as f64);
        assert_eq!(of("inference").memory, state as f64);
        // A step keeps what goes into the equations and what they write.
        assert_eq!(of("full BPTT").memory, (7 * (gates * H + state) + state) as f64);
        assert_eq!(Sizes::of(&network).weights, weights);
    }
}

/// What a scan does besides: equations once more for each carried value, A from two of their results, and pairs of steps up and down.
#[test]
fn a_scan_counts_what_it_combines() {
    const H: usize = 4;
    // For each cell: carried values of the scan, and operations of a unit in the equations that carry.
    let cases = [
        // z = σ, (1 - z) h + z n: a function, a difference, two products, a sum.
        ("min-gru", 1, 5),
        // f, i = σ; (f h + i n) / (f + i): two functions, two products, two sums, a quotient.
        ("min-lstm", 1, 7),
        // exp(-exp ν), exp θ, cos, sin, two products with the size, exp g; re: three products, a sum and a difference; im: three products, two sums.
        ("lru", 2, 3 + 1 + 2 + 2 + 1 + 5 + 5),
    ];
    for (cell, c, equations) in cases {
        let (network, ..) = path(&model(cell, H, 1), 5);
        // Seven steps: three pairs and one, of which one; handed out are the first step of each pair but the first, three and one.
        let (pairs, states) = (3 + 1, 3 + 1);
        // (A, b) (A', b') = (A A', A b' + b): C products and sums for each number of A A', and C for each of A b' + b.
        let pair = H * (c * c * 2 * c + c * 2 * c);
        let state = H * c * 2 * c;
        let besides = 7 * (c * equations * H + c * c * H) + 2 * (pairs * pair + states * state);
        let all = costs(&network, 7, 3, 3);
        let of = |way: &str| all.iter().find(|c| c.way == way).unwrap();
        assert!(of("scan over time").possible, "{cell}");
        let extra = of("scan over time").operations - of("full BPTT").operations;
        assert_eq!(extra, besides as f64, "{cell}");
    }
}

/// Memory, compute and serial steps as the fourth deck has them; what it says of targets is not had together.
#[test]
fn the_fourth_decks_table_stands_beside_the_counts() {
    let (network, ..) = path(&model("jordan", 4, 1), 5);
    let all = costs(&network, 100, 10, 10);
    let lecture: Vec<_> = all.iter().filter_map(|c| Some((c.way, c.lecture?, c.growth))).collect();
    assert_eq!(
        lecture,
        [
            ("inference", ["1", "T", "T"], ["1", "T", "T"]),
            ("full BPTT", ["T", "T", "T"], ["T", "T", "T"]),
            ("output from targets, at once", ["1", "T", "1"], ["T", "T", "1"]),
            ("output from targets, in turn", ["1", "T", "1"], ["1", "T", "T"]),
        ]
    );
}

/// The influence is of one layer's parameters on its own state.
#[test]
fn rtrl_is_not_for_stacks() {
    let possible = |cell: &str, layers: usize| {
        let (network, ..) = path(&model(cell, 4, layers), 5);
        costs(&network, 10, 5, 5).into_iter().find(|c| c.way == "RTRL").unwrap().possible
    };
    assert_eq!(["lstm", "gru", "elman"].map(|cell| possible(cell, 1)), [true; 3]);
    assert_eq!(["lstm", "gru", "elman"].map(|cell| possible(cell, 2)), [false; 3]);
}

#[test]
fn costs_grow_as_the_fourth_decks_table_says() {
    let (network, ..) = path(&model("lstm", 4, 1), 5);
    // Four gates of four units: 16 (5 + 4) weights and 16 biases; h and c.
    let sizes = Sizes::of(&network);
    assert_eq!((sizes.state, sizes.weights, sizes.kept), (8, 16 * 9, 16 + 8));
    assert_eq!(sizes.parameters, 16 * 9 + 16);
    let (short, long) = (costs(&network, 100, 10, 10), costs(&network, 10_000, 10, 10));
    for (short, long) in short.iter().zip(&long) {
        let ratios = [long.memory / short.memory, long.operations / short.operations, long.serial / short.serial];
        for (ratio, growth) in ratios.iter().zip(long.growth) {
            let wanted = match growth {
                "1" => 1.0..1.0001,
                // A scan of 100 steps hands out some states less for each of them.
                "T" => 95.0..101.0,
                // ⌊log2 10,000⌋ / ⌊log2 100⌋ = 13 / 6.
                _ => 2.1666..2.1667,
            };
            assert!(wanted.contains(ratio), "{} {growth}: {ratio}", long.way);
        }
    }
    let possible = |cell: &str| {
        let (network, ..) = path(&model(cell, 4, 1), 5);
        costs(&network, 10, 5, 5).into_iter().filter(|c| c.possible).count()
    };
    // An LSTM and a GRU have neither; a minimal GRU is linear; Jordan's network feeds back its output.
    assert_eq!(["lstm", "gru", "min-gru", "jordan"].map(possible), [4, 4, 5, 6]);
}
