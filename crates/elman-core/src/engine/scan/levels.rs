//! The scan itself: pairs of steps, pairs of pairs, and back.

use crate::algebra::Element;
use crate::engine::Engine;
use std::sync::Mutex;

#[cfg(test)]
thread_local! {
    /// How often this thread has sent tasks to all threads: passes that wait for each other.
    static PASSES: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Does every task once, on all threads.
pub(super) fn each<T: Send>(engine: &Engine, tasks: Vec<T>, work: impl Fn(T) + Sync) {
    #[cfg(test)]
    PASSES.set(PASSES.get() + 1);
    let slots: Vec<Mutex<Option<T>>> = tasks.into_iter().map(|task| Mutex::new(Some(task))).collect();
    engine.team.run(&|thread| {
        for slot in slots.iter().skip(thread).step_by(engine.threads()) {
            if let Some(task) = slot.lock().unwrap_or_else(|e| e.into_inner()).take() {
                work(task);
            }
        }
    });
}

/// h_t = A_t h_{t-1} + b_t for all t: `maps` are the C² lists of A and the C of b, (T, E) each; b becomes h, A stays.
pub(super) fn scan<F: Element>(engine: &Engine, maps: &mut [Vec<F>], c: usize, steps: usize, e: usize) {
    if steps == 1 {
        return;
    }
    let pairs = steps / 2;
    let some = pairs.div_ceil(engine.threads()).max(1);
    let mut upper = vec![vec![F::constant(0.0); pairs * e]; maps.len()];
    // Two steps become one.
    let mut tasks: Vec<(usize, Vec<&mut [F]>)> = (0..pairs.div_ceil(some)).map(|i| (i * some, Vec::new())).collect();
    for list in &mut upper {
        list.chunks_mut(some * e).zip(&mut tasks).for_each(|(chunk, task)| task.1.push(chunk));
    }
    each(engine, tasks, |(first, mut to)| {
        for i in 0..to[0].len() {
            let left = (first + i / e) * 2 * e + i % e;
            let right = left + e;
            for o in 0..c {
                for j in 0..c {
                    to[o * c + j][i] =
                        (0..c).fold(F::constant(0.0), |s, k| s + maps[o * c + k][right] * maps[k * c + j][left]);
                }
                to[c * c + o][i] =
                    (0..c).fold(maps[c * c + o][right], |s, k| s + maps[o * c + k][right] * maps[c * c + k][left]);
            }
        }
    });
    scan(engine, &mut upper, c, pairs, e);
    // The second step of a pair has the pair's state; the first follows from the pair before.
    let (a, b) = maps.split_at_mut(c * c);
    let states = &upper[c * c..];
    let mut tasks: Vec<(usize, Vec<&mut [F]>)> =
        (0..steps.div_ceil(2 * some)).map(|i| (i * some, Vec::new())).collect();
    for list in b {
        list.chunks_mut(2 * some * e).zip(&mut tasks).for_each(|(chunk, task)| task.1.push(chunk));
    }
    each(engine, tasks, |(first, mut to)| {
        for i in 0..to[0].len() {
            let (t, x) = (2 * first + i / e, i % e);
            for o in 0..c {
                if t % 2 == 1 {
                    to[o][i] = states[o][t / 2 * e + x];
                } else if t > 0 {
                    to[o][i] =
                        (0..c).fold(to[o][i], |s, k| s + a[o * c + k][t * e + x] * states[k][(t / 2 - 1) * e + x]);
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Scan;
    use crate::{Layer, Sizes, cells};

    /// The passes that are run one after the other are two for each level, counted where they begin, and the states are those of steps.
    #[test]
    fn serial_passes_are_the_logarithm() {
        let layer = Layer::new((cells::find("min-gru").unwrap().make)(), Sizes::new(1, 1)).unwrap();
        let promised = Scan::new(&layer).unwrap();
        let engine = Engine::new(2);
        for steps in (1..40u32).chain([63, 64, 65, 1000, 1023, 1024, 1025, 4096]) {
            let a: Vec<f64> = (0..steps).map(|t| f64::from(t % 7) / 8.0).collect();
            let b: Vec<f64> = (0..steps).map(|t| f64::from(t % 5) - 2.0).collect();
            let mut maps = vec![a.clone(), b.clone()];
            let before = PASSES.get();
            scan(&engine, &mut maps, 1, steps as usize, 1);
            let passes = PASSES.get() - before;
            assert_eq!(passes, 2 * steps.ilog2(), "T = {steps}");
            assert_eq!(promised.levels(steps as usize), steps.ilog2(), "T = {steps}");
            let mut h = 0.0;
            for t in 0..steps as usize {
                h = a[t] * h + b[t];
                assert!((maps[1][t] - h).abs() < 1e-12, "T = {steps}, step {t}");
            }
        }
    }
}
