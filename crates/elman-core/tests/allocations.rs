//! What is allocated once everything has its size: nothing for a step; for a pass of training no array, only short lists of addresses and
//! of the plan. One test, alone in its process: every thread's allocations are counted.

use elman_core::algebra::lanes::Isa;
use elman_core::cells::REGISTRY;
use elman_core::engine::{Bf16Kernel, Engine, Gradients, Output, StepInput, Stepper, WeightFormat, Workspace};
use elman_core::testing::Problem;
use elman_core::{Layer, Sizes};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator; counts, and remembers the largest.
struct Counted;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        LARGEST.fetch_max(layout.size(), Relaxed);
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

/// Number and largest size of the allocations of some work.
fn counted(work: impl FnOnce()) -> (usize, usize) {
    COUNT.store(0, Relaxed);
    LARGEST.store(0, Relaxed);
    work();
    (COUNT.load(Relaxed), LARGEST.load(Relaxed))
}

#[test]
fn steps_allocate_nothing_and_passes_no_array() {
    // The counter counts.
    assert_eq!(counted(|| drop(std::hint::black_box(vec![0u8; 1000]))), (1, 1000));
    let sizes = Sizes { input: 40, hidden: 70, output: 33 };
    for entry in REGISTRY {
        let layer = Layer::new((entry.make)(), sizes).unwrap();
        let problem = Problem::<f32>::new(&layer, 30, 8, 1);
        let params = problem.params();
        for threads in [1, 2] {
            let engine = Arc::new(Engine::new(threads));
            for format in [WeightFormat::Full, WeightFormat::Bf16, WeightFormat::Int8] {
                let mut stepper = Stepper::with_weights(&engine, &layer, &params, 1, None, format);
                let x = &problem.input[..sizes.input];
                stepper.step(StepInput::Dense(x));
                let (count, _) =
                    counted(|| (0..100).for_each(|_| assert!(stepper.step(StepInput::Dense(x))[0].is_finite())));
                assert_eq!(count, 0, "{} {format}, {threads} threads", entry.name);
            }
        }
        let kernel = Bf16Kernel::available().into_iter().find(|kernel| kernel.fits(Isa::available()[0]));
        for engine in [Engine::new(1), Engine::new(2), Engine::new(2).with_bf16(kernel.unwrap())] {
            let (mut ws, mut out, mut gradients) = (Workspace::default(), Output::default(), Gradients::default());
            let mut pass = || {
                let seq = problem.sequence();
                engine.forward(&layer, &params, &seq, &mut ws, &mut out);
                engine.backward(&layer, &params, &seq, &mut ws, &out.y, &problem.d_y, None, &mut gradients);
            };
            pass();
            pass();
            // A pass's smallest array is a step's output: 8 rows of 70 numbers. A thread makes room for itself, once, when it first has work of a
            // kind, which on a busy machine may be in a later pass: two threads, a few passes.
            let largest: Vec<usize> = (0..20).map(|_| counted(&mut pass).1).filter(|&bytes| bytes >= 2048).collect();
            assert!(largest.len() <= 4, "{}: at once {largest:?} bytes", entry.name);
        }
    }
}
