//! How long a cache line takes from one core to another and back: some 60 ns where they share a cache, several times that where they do not.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

const TIMES: u32 = 1_000;
const BLOCKS: usize = 10;

/// A number in a cache line of its own, and in none that comes with another.
#[repr(align(128))]
struct Line(AtomicU32);

/// Nanoseconds for both ways between two threads, the median of some blocks.
pub fn nanoseconds() -> f64 {
    let line = Line(AtomicU32::new(0));
    let last = 2 * TIMES * BLOCKS as u32;
    let wait = |value| while line.0.load(Ordering::Acquire) != value {};
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for value in (1..last).step_by(2) {
                wait(value);
                line.0.store(value + 1, Ordering::Release);
            }
        });
        let mut blocks: Vec<f64> = (0..BLOCKS as u32)
            .map(|block| {
                let began = Instant::now();
                for time in block * TIMES..(block + 1) * TIMES {
                    line.0.store(2 * time + 1, Ordering::Release);
                    wait(2 * time + 2);
                }
                began.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
            })
            .collect();
        blocks.sort_by(f64::total_cmp);
        blocks[BLOCKS / 2]
    })
}
