//! What each way to run or train costs, as a function of T: memory, operations, steps that must wait for each other.
//!
//! Counted from the layers' sizes and their recorded equations, for one row of a batch and the recurrent layers alone. With D numbers of
//! state, P parameters of which W are weights, A numbers that a step leaves for the gradient (what goes into the equations and what
//! they write), S numbers that a scan keeps of it besides (its input, the carried values before it, and its linear map: I + C H + (C² + C) H with C
//! values of H numbers that are carried), and e, e' operations of the equations forward and backward, T steps cost
//!
//! ```text
//! way                           numbers kept       operations                          one after the other
//! inference                     D                  T (2W + e)                          T
//! full BPTT                     T A + D            T (6W + e + e')                     2T
//! BPTT in windows of p, moved by q  p A + D        T p/q (6W + e + e')                 2T p/q
//! RTRL                          D P + D² + D       T (2W + e + D (2W + e') + 2D F P + 2DP)  T
//! output from targets, at once  T A                T (6W + e + e')                     2
//! output from targets, in turn  A                  T (6W + e + e')                     2T
//! scan, linear layers           T (A + S)          T (6W + e + e' + M) + 2 R(T)        4 ⌊log₂ T⌋
//! ```
//!
//! A scan evaluates the equations that carry C times more, once for each carried value (M = C e_c + C² H numbers a step, with e_c the
//! operations of these equations), and then combines steps in pairs, forward and backward: with U pairs on the way up and V states handed out on the way
//! down over all levels, R(T) = H (U (2C³ + 2C²) + V 2C²). U = T - 1 and V = T - 1 - log₂ T where T is a power of 2.
//!
//! F of the D numbers are multiplied by a matrix (an LSTM's h, but not its c, which is only read). Weights take 2W forward, 2W for the gradient by what they multiply and 2W for their own. RTRL carries ∂s/∂θ (D, P) forward and
//! multiplies it by ∂s_t/∂s_{t-1} at each step. Outputs from targets are for networks that feed back their output alone: targets in its
//! place make every step independent of all others, so that either nothing waits or nothing is kept. RTRL is for one layer whose output is part of
//! its state: what a layer's parameters do to the layers above it is in no influence of its own state.
//!
//! The lecture's table (fourth deck, memory, compute, serial steps) has inference at O(1), O(T), O(T), BPTT at O(T), O(T), O(T), and BPTT of
//! h(x, y*) at O(1), O(T), O(1); [`Cost::lecture`] has it beside what is counted.

use super::network::Network;
use elman_core::algebra::expression::{Operations, StageGraph};
use elman_core::engine::Scan;
use elman_core::layer::{Place, ResolvedStage, Role};

/// What one way costs for T steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    /// The way.
    pub way: &'static str,
    /// Numbers kept at the same time.
    pub memory: f64,
    /// Operations.
    pub operations: f64,
    /// Steps that must be done one after the other.
    pub serial: f64,
    /// How memory, operations and serial steps grow with T.
    pub growth: [&'static str; 3],
    /// The same in the fourth deck's table; none where it does not have the way.
    pub lecture: Option<[&'static str; 3]>,
    /// Whether this network can be run so.
    pub possible: bool,
}

/// The sizes that costs are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// D, numbers of the state.
    pub state: usize,
    /// F, those of them that a matrix multiplies.
    pub fed: usize,
    /// P, parameters of the recurrent layers.
    pub parameters: usize,
    /// W, those of them that are weights of matrices.
    pub weights: usize,
    /// A, numbers that a step keeps for the gradient.
    pub kept: usize,
    /// S, numbers that a scan keeps of a step besides.
    pub scanned: usize,
    /// e, operations of the equations in a step.
    pub forward: usize,
    /// e', operations of their gradient.
    pub backward: usize,
    /// M, operations of a step by which a scan finds its linear map, besides the equations.
    pub scan_maps: usize,
    /// H (2C³ + 2C²), operations by which it makes one of two steps.
    pub scan_pair: usize,
    /// H 2C², operations by which it hands out a state.
    pub scan_state: usize,
}

impl Sizes {
    /// Of a network's recurrent layers.
    pub fn of(network: &Network) -> Sizes {
        let mut sizes = Sizes { state: network.state_width(), ..Sizes::default() };
        for l in network.layers() {
            sizes.parameters += l.layer.parameter_count();
            sizes.weights +=
                l.layer.parameters().iter().filter(|p| p.role == Role::Weight).map(|p| p.len()).sum::<usize>();
            let mut fed: Vec<usize> = Vec::new();
            for place in l.layer.stages().iter().flat_map(|stage| &stage.sources) {
                match *place {
                    Place::Before(v) if !fed.contains(&v) => fed.push(v),
                    _ => {}
                }
            }
            sizes.fed += fed.iter().map(|&v| l.layer.sizes().of(l.layer.values()[v].width)).sum::<usize>();
            let recurrent = |stage: &&ResolvedStage| stage.reads.iter().any(|p| matches!(p, Place::Before(_)));
            let scanned = Scan::new(&l.layer).ok().and(l.layer.stages().iter().find(recurrent));
            // C and H; where no scan is possible as if each number of the state had a factor of its own.
            let (c, width) = match scanned {
                Some(stage) => (stage.writes.len(), stage.width),
                None => (1, l.layer.state_widths().iter().sum::<usize>()),
            };
            sizes.scanned += l.layer.sizes().input + width * c * (c + 2);
            sizes.scan_maps += c * c * width;
            sizes.scan_pair += width * 2 * c * c * (c + 1);
            sizes.scan_state += width * 2 * c * c;
            sizes.kept += l.layer.values().iter().map(|v| l.layer.sizes().of(v.width)).sum::<usize>();
            for (s, stage) in l.layer.stages().iter().enumerate() {
                let graph = StageGraph::of(&**l.layer.cell(), s);
                let gradient = graph.gradient();
                sizes.kept += stage.gates.len() * stage.width;
                let operations = stage.width * graph.operations().total();
                sizes.forward += operations;
                if scanned.is_none_or(|scanned| std::ptr::eq(scanned, stage)) {
                    sizes.scan_maps += c * operations;
                }
                sizes.backward += stage.width * Operations::count(&gradient.nodes[graph.nodes.len()..]).total();
            }
        }
        sizes
    }
}

/// The costs of `steps` steps; truncated backpropagation has windows of `window`, each `stride` steps further on.
pub fn costs(network: &Network, steps: usize, window: usize, stride: usize) -> Vec<Cost> {
    let sizes = Sizes::of(network);
    let f = |n: usize| n as f64;
    let (t, d, p, w, a) = (f(steps), f(sizes.state), f(sizes.parameters), f(sizes.weights), f(sizes.kept));
    let (forward, backward) = (2.0 * w + f(sizes.forward), 4.0 * w + f(sizes.backward));
    let bptt = t * (forward + backward);
    let linear = network.layers().iter().all(|l| Scan::new(&l.layer).is_ok());
    let output_fed = feeds_back_its_output(network);
    // Up and down through the levels of `Scan::levels`, forward and backward.
    let passes = f(4 * steps.max(1).ilog2() as usize);
    let (pairs, states) = combinations(steps);
    let combined = f(pairs) * f(sizes.scan_pair) + f(states) * f(sizes.scan_state);
    let scan = bptt + t * f(sizes.scan_maps) + 2.0 * combined;
    let cost = |way, memory, operations, serial, growth, lecture, possible| Cost {
        way,
        memory,
        operations,
        serial,
        growth,
        lecture,
        possible,
    };
    let influence = t * (forward + d * (2.0 * w + f(sizes.backward)) + 2.0 * d * f(sizes.fed) * p + 2.0 * d * p);
    // A step is gone through once for each window that it is in.
    let windows = f(window.min(steps)) / f(stride.min(steps).max(1));
    let from_targets = Some(["1", "T", "1"]);
    vec![
        cost("inference", d, t * forward, t, ["1", "T", "T"], Some(["1", "T", "T"]), true),
        cost("full BPTT", t * a + d, bptt, 2.0 * t, ["T", "T", "T"], Some(["T", "T", "T"]), true),
        cost(
            "BPTT in windows",
            f(window.min(steps)) * a + d,
            windows * bptt,
            2.0 * t * windows,
            ["1", "T", "T"],
            None,
            true,
        ),
        cost("RTRL", d * p + d * d + d, influence, t, ["1", "T", "T"], None, has_an_influence(network)),
        cost("output from targets, at once", t * a, bptt, 2.0, ["T", "T", "1"], from_targets, output_fed),
        cost("output from targets, in turn", a, bptt, 2.0 * t, ["1", "T", "T"], from_targets, output_fed),
        cost("scan over time", t * (a + f(sizes.scanned)), scan, passes, ["T", "T", "log T"], None, linear),
    ]
}

/// Over all levels of a scan of `steps` steps: pairs that become one on the way up, states that are handed out on the way down; a pair's second
/// step has the pair's state already, and the first step of all its own.
fn combinations(mut steps: usize) -> (usize, usize) {
    let (mut pairs, mut states) = (0, 0);
    while steps > 1 {
        pairs += steps / 2;
        states += steps.div_ceil(2) - 1;
        steps /= 2;
    }
    (pairs, states)
}

/// Whether real-time recurrent learning can carry the influence of all parameters: in one layer whose output is part of its state.
fn has_an_influence(network: &Network) -> bool {
    let [l] = network.layers() else { return false };
    l.layer.carried().contains(&l.layer.output())
}

/// Whether every layer carries its output alone, and makes it of the step's hidden units alone, as Jordan's y is: a GRU's h is made of the
/// step before too, and nobody has targets for it.
pub(super) fn feeds_back_its_output(network: &Network) -> bool {
    network.layers().iter().all(|l| {
        let made_of = |stage: &ResolvedStage| stage.sources.iter().chain(&stage.reads).copied().collect::<Vec<_>>();
        let output = l.layer.output();
        l.layer.carried() == [output]
            && l.layer.stages().last().is_some_and(|stage| {
                stage.writes.contains(&output) && made_of(stage).iter().all(|place| matches!(place, Place::Now(_)))
            })
    })
}
