//! A learner that learns from a stream allocates nothing once everything has its size: its memory is constant, however long the stream is. One
//! test, alone in its process: every thread's allocations are counted.

use elman::online::{Input, Loss, Method, Online, OnlineConfig, Target};
use elman::train::Rule;
use elman::{Sizes, cells};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator; counts.
struct Counted;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Number of the allocations of some work.
fn counted(work: impl FnOnce()) -> usize {
    COUNT.store(0, Relaxed);
    work();
    COUNT.load(Relaxed)
}

/// Learns the next of three numbers, or the next token, for some steps.
fn learn(online: &mut Online, tokens: bool, steps: std::ops::Range<usize>) {
    for t in steps {
        let x = |t: usize| [(t % 7) as f32 * 0.3 - 1.0, (t % 3) as f32, ((t * t) % 5) as f32 * 0.2];
        let loss = match tokens {
            true => online.learn(Input::Token(t * t % 5), Target::Class((t + 1) * (t + 1) % 5)),
            false => online.learn(Input::Dense(&x(t)), Target::Values(&x(t + 1))),
        };
        assert!(loss.unwrap().is_finite());
    }
}

#[test]
fn learning_from_a_sample_allocates_nothing() {
    // The counter counts.
    assert!(counted(|| drop(std::hint::black_box(vec![0u8; 1000]))) > 0);
    // 24 units of an LSTM are enough for several threads.
    for (cell, units) in [("elman", 8), ("lstm", 8), ("elman", 24), ("lstm", 24)] {
        for (method, algorithm) in Method::ALL.into_iter().filter(|(name, _)| (cell, *name) != ("elman", "truncated")) {
            for (tokens, rule) in [(false, Rule::ADAM), (true, Rule::Sgd { momentum: 0.9 })] {
                let mut config = OnlineConfig::new((cells::find(cell).unwrap().make)(), Sizes::new(3, units), 3);
                (config.method, config.rule) = (algorithm, rule);
                if tokens {
                    (config.vocabulary, config.outputs, config.loss) = (5, 5, Loss::CrossEntropy);
                }
                let mut online = config.init().unwrap();
                // Past the first time that vanished influence is looked for.
                learn(&mut online, tokens, 0..20);
                // Threads of the pools may still be starting, which allocates: not in each of ten rounds.
                let rounds = (0..10).map(|_| counted(|| learn(&mut online, tokens, 20..120)));
                let busy = rounds.take_while(|&count| count > 0).count();
                assert!(busy < 10, "{cell} of {units}, {method}, tokens: {tokens}: it allocates in every 100 steps");
            }
        }
    }
}
