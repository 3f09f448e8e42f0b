//! What the machine can do at most: multiply-adds in registers, reading, and handing a cache line from core to core. The rooflines of docs/performance.md stand on these.
//!
//! `cargo run --release -p elman-core --example machine_limits -- [threads]`: the fastest of some tries, for each number of threads up to the one given.

mod hand_over;

use elman_core::algebra::lanes::{Isa, LaneTask, Lanes, dispatch};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

/// Independent sums: enough for the latency of two multiply-adds a cycle.
const SUMS: usize = 16;
const TRIES: usize = 40;

/// `steps` multiply-adds into each of the sums; gives the numbers of a register.
struct MultiplyAdds<'a> {
    steps: usize,
    lanes: &'a mut usize,
}

impl LaneTask<f32> for MultiplyAdds<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = f32>>(self) {
        let (a, b) = (V::splat(black_box(0.5)), V::splat(black_box(0.25)));
        let mut sums = [V::splat(0.0); SUMS];
        for _ in 0..self.steps {
            for sum in &mut sums {
                *sum = a.mul_add(*sum, b);
            }
        }
        let mut out = [0.0f32; 16];
        for sum in sums {
            // SAFETY: a register has at most 16 numbers.
            unsafe { sum.store(out.as_mut_ptr()) };
            black_box(out);
        }
        *self.lanes = V::COUNT;
    }
}

/// Reads an array, from its beginning or from its end.
struct Read<'a> {
    from: &'a [f32],
    backward: bool,
}

impl LaneTask<f32> for Read<'_> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = f32>>(self) {
        let mut sums = [V::splat(0.0); 4];
        let blocks = self.from.len() / (4 * V::COUNT);
        for block in 0..blocks {
            let block = if self.backward { blocks - 1 - block } else { block };
            for (i, sum) in sums.iter_mut().enumerate() {
                // SAFETY: inside the array.
                *sum = *sum + unsafe { V::load(self.from.as_ptr().add((block * 4 + i) * V::COUNT)) };
            }
        }
        let mut out = [0.0f32; 16];
        // SAFETY: as above.
        unsafe { ((sums[0] + sums[1]) + (sums[2] + sums[3])).store(out.as_mut_ptr()) };
        black_box(out);
    }
}

/// Runs the same on some threads at once, some times; gives the shortest time of all of them together, in seconds.
fn fastest(threads: usize, work: impl Fn(usize) + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let times = std::thread::scope(|scope| {
        let run = |thread: usize| {
            let (barrier, work) = (&barrier, &work);
            move || {
                let one = |_| {
                    barrier.wait();
                    let began = Instant::now();
                    work(thread);
                    barrier.wait();
                    began.elapsed().as_secs_f64()
                };
                (0..TRIES).map(one).fold(f64::INFINITY, f64::min)
            }
        };
        let all: Vec<_> = (0..threads).map(|thread| scope.spawn(run(thread))).collect();
        all.into_iter().map(|handle| handle.join().expect("no thread panics")).collect::<Vec<f64>>()
    });
    times.into_iter().fold(0.0, f64::max)
}

#[cfg(target_arch = "x86_64")]
fn bf16(threads: usize) -> Option<f64> {
    use core::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn dots(steps: usize) {
        // SAFETY: the same 512 bits under another name.
        let pairs = unsafe { core::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(black_box(0x3e80_3f00))) };
        let mut sums = [_mm512_setzero_ps(); SUMS];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, pairs, pairs);
            }
        }
        black_box(sums);
    }
    if !std::arch::is_x86_feature_detected!("avx512bf16") {
        return None;
    }
    const STEPS: usize = 200_000;
    // SAFETY: the processor was asked.
    let seconds = fastest(threads, |_| unsafe { dots(STEPS) });
    Some((2 * 32 * SUMS * STEPS) as f64 / seconds / 1e9)
}

#[cfg(not(target_arch = "x86_64"))]
fn bf16(_: usize) -> Option<f64> {
    None
}

fn main() {
    let most = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(2usize).max(1);
    let isa = Isa::available()[0];
    println!("{isa}; GF/s and GB/s of each thread\n");
    println!("| threads | f32 multiply-adds, GF/s | bf16 products, GF/s |");
    println!("| --- | --- | --- |");
    for threads in 1..=most {
        const STEPS: usize = 200_000;
        let seconds = fastest(threads, |_| {
            let mut lanes = 0;
            // SAFETY: available.
            unsafe { dispatch(isa, MultiplyAdds { steps: STEPS, lanes: &mut lanes }) };
        });
        let mut lanes = 0;
        // SAFETY: as above.
        unsafe { dispatch(isa, MultiplyAdds { steps: 1, lanes: &mut lanes }) };
        let f32s = (2 * lanes * SUMS * STEPS) as f64 / seconds / 1e9;
        println!("| {threads} | {f32s:.0} | {} |", bf16(threads).map_or("none".into(), |rate| format!("{rate:.0}")));
    }
    if most > 1 {
        println!("\nA cache line from one core to another and back: {:.0} ns", hand_over::nanoseconds());
    }
    println!("\n| threads | kB read by each | over and over, GB/s | to and fro, GB/s |");
    println!("| --- | --- | --- | --- |");
    for threads in 1..=most {
        for kilobytes in [256, 512, 768, 1024, 1536, 2048, 4096, 8192, 16384] {
            let numbers = kilobytes * 256;
            let arrays: Vec<Vec<f32>> = (0..threads).map(|_| vec![1.0; numbers]).collect();
            let rounds = (32_768 / kilobytes).max(2);
            let rate = |turning: bool| {
                let seconds = fastest(threads, |thread| {
                    for round in 0..rounds {
                        // SAFETY: available.
                        unsafe { dispatch(isa, Read { from: &arrays[thread], backward: turning && round % 2 == 1 }) };
                    }
                });
                (4 * numbers * rounds) as f64 / seconds / 1e9
            };
            println!("| {threads} | {kilobytes} | {:.0} | {:.0} |", rate(false), rate(true));
        }
    }
}
