//! What the ways to train take on this machine, beside what was counted of them.

use crate::Error;
use elman::online::{Influence, Input, LinearStep, Rtrl};
use elman_core::engine::Engine;
use elman_run::analysis::{Network, Path, bptt, bptt_over, from_targets, scanned, streamed};
use std::sync::Arc;
use std::time::Instant;

/// What some steps took, in seconds, and what was held for them.
pub struct Timed {
    pub steps: usize,
    pub inference: f64,
    pub inference_bytes: usize,
    pub bptt: f64,
    pub bytes: usize,
    /// The same in windows, one after another.
    pub windows: f64,
    pub window_bytes: usize,
    /// Seconds and bytes; none where the network cannot be scanned.
    pub scan: Option<(f64, usize)>,
    /// None where the network carries more than its output.
    pub targets: Option<FromTargets>,
}

/// What steps took whose outputs before them were given, in seconds, and what was held for them.
#[derive(Clone, Copy)]
pub struct FromTargets {
    pub at_once: f64,
    pub at_once_bytes: usize,
    pub in_turn: f64,
    pub in_turn_bytes: usize,
}

/// What real-time recurrent learning takes.
pub struct RealTime {
    /// Steps that were made.
    pub steps: usize,
    /// Of one of them.
    pub seconds: f64,
    /// Held at any length.
    pub bytes: usize,
}

/// Influence of the parameters that is worth the wait, in bytes.
const MOST: usize = 1 << 29;
/// Seconds after which enough of its steps have been made.
const ENOUGH: f64 = 0.3;

/// A quarter, half and all of the steps, the fastest of three.
pub fn timed(
    network: &Network,
    path: &Path,
    engine: &Arc<Engine>,
    window: usize,
    stride: usize,
) -> Result<Vec<Timed>, Error> {
    let mut found = Vec::new();
    for steps in [path.steps() / 4, path.steps() / 2, path.steps()].into_iter().filter(|&s| s > 0) {
        let mut least = [f64::INFINITY; 6];
        let (mut inference_bytes, mut bytes, mut window_bytes, mut scan_bytes) = (0, 0, 0, None);
        let mut targets = None;
        for _ in 0..3 {
            let began = Instant::now();
            let mut took = |way: usize, from: f64| {
                let now = began.elapsed().as_secs_f64();
                least[way] = least[way].min(now - from);
                now
            };
            inference_bytes = streamed(network, path, engine, steps)?.bytes;
            let now = took(0, 0.0);
            bytes = bptt(network, path, engine, steps)?.bytes;
            let now = took(1, now);
            for start in (0..steps).step_by(stride.max(1)) {
                let range = start..steps.min(start + window.max(1));
                window_bytes = bptt_over(network, path, engine, range)?.bytes.max(window_bytes);
            }
            let now = took(2, now);
            scan_bytes = scanned(network, path, engine, steps)?.map(|scanned| scanned.bytes);
            let now = took(3, now);
            let Some(at_once) = from_targets(network, path, engine, 0..steps)? else { continue };
            let now = took(4, now);
            let mut in_turn_bytes = 0;
            for t in 0..steps {
                let one = from_targets(network, path, engine, t..t + 1)?;
                in_turn_bytes = one.map_or(0, |one| one.bytes).max(in_turn_bytes);
            }
            took(5, now);
            targets = Some((at_once.bytes, in_turn_bytes));
        }
        let [inference, bptt, windows, scan, at_once, in_turn] = least;
        let targets = targets.map(|(at_once_bytes, in_turn_bytes)| FromTargets {
            at_once,
            at_once_bytes,
            in_turn,
            in_turn_bytes,
        });
        let scan = scan_bytes.map(|bytes| (scan, bytes));
        found.push(Timed { steps, inference, inference_bytes, bptt, bytes, windows, window_bytes, scan, targets });
    }
    Ok(found)
}

/// Carries the exact influence of the layer's parameters along the path, and takes each step's gradient from it. If that is not to be had, why.
pub fn real_time(network: &Network, path: &Path) -> Result<RealTime, String> {
    let [l] = network.layers() else { return Err("it is for one layer".into()) };
    if !l.layer.carried().contains(&l.layer.output()) {
        return Err("the output is no part of the state".into());
    }
    let bytes = network.state_width() * l.layer.parameter_count() * size_of::<f64>();
    if bytes > MOST {
        return Err(format!("it would hold {:.1} GB", bytes as f64 / 1e9));
    }
    let params = l.parameters.concat();
    let mut step = LinearStep::<f64>::new(&l.layer);
    let mut influence = Rtrl::new(&step);
    let (mut d_state, mut gradient) = (vec![0.0; step.state_width()], vec![0.0; params.len()]);
    step.set_state(&path.state(0)[0].concat()).map_err(|error| error.to_string())?;
    let began = Instant::now();
    let mut made = 0;
    for t in 0..path.steps() {
        step.run(&params, Input::Dense(path.input(network, t)), &[]).map_err(|error| error.to_string())?;
        influence.advance(&step);
        let (_, d_y) = path.loss(network, t, step.output());
        d_state.fill(0.0);
        d_state[step.output_span()].copy_from_slice(&d_y);
        influence.gradient(&d_state, &mut gradient);
        made += 1;
        if began.elapsed().as_secs_f64() > ENOUGH {
            break;
        }
    }
    let seconds = began.elapsed().as_secs_f64() / made as f64;
    Ok(RealTime { steps: made, seconds, bytes: influence.cost().numbers * size_of::<f64>() })
}
