//! A team of threads that works on one sequence in lock step.

use super::forward::Shared as Address;
use crate::algebra::Element;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// Spins before a waiting thread sleeps: some tens of microseconds, longer than one stage takes. An unbounded spin
/// collapses when the machine is shared.
const SPINS: usize = 20_000;

/// A counter that threads can wait on: spin a while, then sleep.
#[derive(Default)]
struct Signal {
    value: AtomicUsize,
    sleepers: Mutex<usize>,
    wake: Condvar,
}

impl Signal {
    fn bump(&self) {
        self.value.fetch_add(1, Ordering::SeqCst);
        // Whoever saw the old value under the lock is counted; the lock orders us after it.
        if *self.sleepers.lock().unwrap_or_else(|e| e.into_inner()) > 0 {
            self.wake.notify_all();
        }
    }

    fn wait_past(&self, old: usize) {
        for _ in 0..SPINS {
            if self.value.load(Ordering::Acquire) != old {
                return;
            }
            core::hint::spin_loop();
        }
        let mut sleepers = self.sleepers.lock().unwrap_or_else(|e| e.into_inner());
        *sleepers += 1;
        while self.value.load(Ordering::SeqCst) == old {
            sleepers = self.wake.wait(sleepers).unwrap_or_else(|e| e.into_inner());
        }
        *sleepers -= 1;
    }
}

/// One job, by address; the team's `run` does not return before every thread has left it.
#[derive(Clone, Copy)]
struct Job(*const (dyn Fn(usize) + Sync));
// SAFETY: the closure behind the pointer is `Sync`, and `Team::run` keeps it alive while threads hold it.
unsafe impl Send for Job {}

#[derive(Default)]
struct Shared {
    start: Signal,
    done: Signal,
    job: Mutex<Option<Job>>,
    arrived: AtomicUsize,
    phase: Signal,
    stop: AtomicBool,
}

/// Threads 1.. of a team; thread 0 is whoever calls [`Team::run`].
pub(super) struct Team {
    threads: usize,
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
    /// One sequence at a time.
    busy: Mutex<()>,
}

impl Team {
    pub fn new(threads: usize) -> Team {
        let shared = Arc::new(Shared::default());
        let handles = (1..threads)
            .map(|index| {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    let mut seen = 0;
                    loop {
                        shared.start.wait_past(seen);
                        seen += 1;
                        if shared.stop.load(Ordering::Acquire) {
                            return;
                        }
                        let job = *shared.job.lock().unwrap_or_else(|e| e.into_inner());
                        if let Some(job) = job {
                            // SAFETY: `run` waits for `done` from every thread before the closure ends.
                            unsafe { (*job.0)(index) };
                        }
                        shared.done.bump();
                    }
                })
            })
            .collect();
        Team { threads, shared, handles, busy: Mutex::new(()) }
    }

    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work(thread)` on every thread and returns when all are done. `work` must not panic.
    pub fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        if self.threads == 1 {
            return work(0);
        }
        let _one = self.busy.lock().unwrap_or_else(|e| e.into_inner());
        let before = self.shared.done.value.load(Ordering::Acquire);
        // SAFETY: only the lifetime is erased; this function outlives every use of the job.
        let job = unsafe { core::mem::transmute::<*const (dyn Fn(usize) + Sync), *const (dyn Fn(usize) + Sync)>(work) };
        *self.shared.job.lock().unwrap_or_else(|e| e.into_inner()) = Some(Job(job));
        self.shared.start.bump();
        work(0);
        for finished in 0..self.threads - 1 {
            // Each thread adds one; wait until all have.
            let now = self.shared.done.value.load(Ordering::Acquire);
            if now.wrapping_sub(before) <= finished {
                self.shared.done.wait_past(before.wrapping_add(finished));
            }
        }
        *self.shared.job.lock().unwrap_or_else(|e| e.into_inner()) = None;
    }

    /// Waits until every thread of the running job is here.
    pub fn barrier(&self) {
        if self.threads == 1 {
            return;
        }
        let shared = &*self.shared;
        let phase = shared.phase.value.load(Ordering::Acquire);
        if shared.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            shared.arrived.store(0, Ordering::Release);
            shared.phase.bump();
        } else {
            shared.phase.wait_past(phase);
        }
    }
}

/// From this length on, zeros are written by all threads.
const LARGE: usize = 1 << 16;

impl Team {
    /// Makes `values` a list of `len` zeros.
    pub fn zeros<F: Element>(&self, values: &mut Vec<F>, len: usize) {
        values.clear();
        if len < LARGE || self.threads == 1 {
            return values.resize(len, F::constant(0.0));
        }
        values.reserve_exact(len);
        let start = Address(values.as_mut_ptr());
        // SAFETY: there is room for `len` numbers, of which each thread writes its own share.
        unsafe {
            self.run(&|thread| {
                for i in share(len, self.threads, thread) {
                    start.get().add(i).write(F::constant(0.0));
                }
            });
            values.set_len(len);
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.start.bump();
        for handle in self.handles.drain(..) {
            // A thread that panicked has already said so.
            let _ = handle.join();
        }
    }
}

/// The part of `blocks` that belongs to a thread: even, and the same in every call.
pub(super) fn share(blocks: usize, threads: usize, thread: usize) -> core::ops::Range<usize> {
    blocks * thread / threads..blocks * (thread + 1) / threads
}
