//! A team of threads that works on one sequence in lock step.

use super::memory::Shared as Address;
use crate::algebra::Element;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// Spins before a waiting thread sleeps: some tens to hundreds of microseconds, longer than one stage takes. An unbounded spin
/// collapses when the machine is shared.
const SPINS: usize = 20_000;
/// The same where the team has more threads than the machine: who is waited for may need this very processor.
const SPINS_CROWDED: usize = 100;

/// Lines of the cache of its own, in a pair as processors fetch them: who writes here disturbs nobody who reads elsewhere.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// Threads that no longer spin.
#[derive(Default)]
struct Sleepers {
    count: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

/// A counter that threads can wait on: spin a while, then sleep.
#[derive(Default)]
#[repr(C, align(128))]
struct Signal<T = ()> {
    value: AtomicUsize,
    /// What is read or written together with the counter, and so stands in its line.
    beside: T,
    /// Hardly ever written: all threads keep a copy.
    sleepers: Apart<Sleepers>,
}

impl<T> Signal<T> {
    fn bump(&self) {
        self.value.fetch_add(1, Ordering::SeqCst);
        let Sleepers { count, lock, wake } = &self.sleepers.0;
        // A sleeper counts itself before it looks at the counter for the last time: it is seen here, or has seen the new value.
        if count.load(Ordering::SeqCst) > 0 {
            // It holds the lock from that look until it sleeps.
            drop(lock.lock().unwrap_or_else(|e| e.into_inner()));
            wake.notify_all();
        }
    }

    fn wait_past(&self, old: usize, spins: usize) {
        for _ in 0..spins {
            if self.value.load(Ordering::Acquire) != old {
                return;
            }
            core::hint::spin_loop();
        }
        let Sleepers { count, lock, wake } = &self.sleepers.0;
        let mut guard = lock.lock().unwrap_or_else(|e| e.into_inner());
        count.fetch_add(1, Ordering::SeqCst);
        while self.value.load(Ordering::SeqCst) == old {
            guard = wake.wait(guard).unwrap_or_else(|e| e.into_inner());
        }
        count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The work of a run, on the stack of whoever called it.
type Job<'a> = &'a (dyn Fn(usize) + Sync);

#[derive(Default)]
struct Shared {
    /// Jobs begun, and the address of the last [`Job`].
    start: Signal<AtomicPtr<()>>,
    /// Jobs that threads have done.
    done: Signal,
    /// Barriers passed, and how many threads have arrived at the next.
    phase: Signal<AtomicUsize>,
    stop: AtomicBool,
}

/// A thread's pieces of work, of which others may take some: the turn that they are of (upper 40 bits), and how many have been taken.
#[derive(Default)]
struct Heap(Apart<AtomicU64>);

impl Heap {
    const TAKEN: u64 = (1 << 24) - 1;

    /// The next of `count` pieces of a turn, if there is one left.
    fn take(&self, turn: u64, count: usize) -> Option<usize> {
        let heap = &self.0.0;
        let mut now = heap.load(Ordering::Relaxed);
        loop {
            let taken = match (now >> 24).cmp(&turn) {
                core::cmp::Ordering::Less => 0,
                core::cmp::Ordering::Equal => now & Heap::TAKEN,
                // Somebody has found this turn's done and is in a later one.
                core::cmp::Ordering::Greater => return None,
            };
            if taken as usize >= count {
                return None;
            }
            let next = turn << 24 | (taken + 1);
            match heap.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(taken as usize),
                Err(other) => now = other,
            }
        }
    }
}

/// Threads 1.. of a team; thread 0 is whoever calls [`Team::run`].
pub(super) struct Team {
    threads: usize,
    spins: usize,
    heaps: Vec<Heap>,
    shared: Arc<Shared>,
    handles: Vec<JoinHandle<()>>,
    /// One sequence at a time.
    busy: Mutex<()>,
}

impl Team {
    pub fn new(threads: usize) -> Team {
        let shared = Arc::new(Shared::default());
        let crowded = std::thread::available_parallelism().is_ok_and(|cores| threads > cores.get());
        let spins = if crowded { SPINS_CROWDED } else { SPINS };
        let handles = (1..threads)
            .map(|index| {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    let mut seen = 0;
                    loop {
                        shared.start.wait_past(seen, spins);
                        seen += 1;
                        if shared.stop.load(Ordering::Acquire) {
                            return;
                        }
                        let job: *const Job = shared.start.beside.load(Ordering::Acquire).cast();
                        // SAFETY: `run` set it before the start that was waited for, and does not return before this thread is done.
                        unsafe { (*job)(index) };
                        shared.done.bump();
                    }
                })
            })
            .collect();
        let heaps = std::iter::repeat_with(Heap::default).take(threads).collect();
        Team { threads, spins, heaps, shared, handles, busy: Mutex::new(()) }
    }

    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work(thread)` on every thread and returns when all are done. `work` must not panic.
    pub fn run(&self, work: Job) {
        if self.threads == 1 {
            return work(0);
        }
        let _one = self.busy.lock().unwrap_or_else(|e| e.into_inner());
        let Shared { start, done, .. } = &*self.shared;
        self.heaps.iter().for_each(|heap| heap.0.0.store(0, Ordering::Relaxed));
        let before = done.value.load(Ordering::Acquire);
        start.beside.store((&raw const work).cast_mut().cast(), Ordering::Release);
        start.bump();
        work(0);
        for finished in 0..self.threads - 1 {
            // Each thread adds one; wait until all have.
            let now = done.value.load(Ordering::Acquire);
            if now.wrapping_sub(before) <= finished {
                done.wait_past(before.wrapping_add(finished), self.spins);
            }
        }
    }

    /// Calls `work(owner, piece)` for the thread's own pieces, then for those that other threads have not begun: cores are not equally
    /// fast. `count(owner)` says how many a thread has. Every thread of a run comes to the same turns, which rise from 1; nothing in a turn may
    /// depend on something else in it.
    pub fn deal(&self, thread: usize, turn: u64, count: impl Fn(usize) -> usize, mut work: impl FnMut(usize, usize)) {
        if self.threads == 1 {
            return (0..count(0)).for_each(|piece| work(0, piece));
        }
        for owner in (thread..self.threads).chain(0..thread) {
            let count = count(owner);
            while let Some(piece) = self.heaps[owner].take(turn, count) {
                work(owner, piece);
            }
        }
    }

    /// Waits until every thread of the running job is here.
    pub fn barrier(&self) {
        if self.threads == 1 {
            return;
        }
        let phase = &self.shared.phase;
        let passed = phase.value.load(Ordering::Acquire);
        if phase.beside.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            phase.beside.store(0, Ordering::Release);
            phase.bump();
        } else {
            phase.wait_past(passed, self.spins);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever takes them, in runs one after another, with a thread that is late.
    #[test]
    fn every_piece_is_done_once() {
        const TURNS: usize = 40;
        for threads in 1..=3 {
            let team = Team::new(threads);
            for _ in 0..3 {
                let done: Vec<AtomicUsize> = std::iter::repeat_with(AtomicUsize::default).take(TURNS * 3 * 8).collect();
                team.run(&|thread| {
                    for turn in 1..=TURNS {
                        if thread == turn % threads {
                            std::thread::yield_now();
                        }
                        team.deal(
                            thread,
                            turn as u64,
                            |owner| 2 * owner + 3,
                            |owner, piece| {
                                done[((turn - 1) * 3 + owner) * 8 + piece].fetch_add(1, Ordering::Relaxed);
                            },
                        );
                    }
                });
                for (at, done) in done.iter().enumerate() {
                    let (owner, piece) = (at / 8 % 3, at % 8);
                    let there = owner < threads && piece < 2 * owner + 3;
                    assert_eq!(done.load(Ordering::Relaxed), usize::from(there), "turn {}, {owner}, {piece}", at / 24);
                }
            }
        }
    }
}
