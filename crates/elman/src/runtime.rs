//! The engine and its workspaces, shared by every layer.

use crate::flex::Number;
use elman_core::engine::{Bf16Kernel, Engine, SegmentWorkspace};
use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// A team of threads and the workspaces that layers borrow for a forward and backward pass.
///
/// Workspaces are kept between steps: in the steady state of training no array in them is allocated.
pub struct Runtime {
    // One sequence at a time uses the team; two would only take each other's processors.
    engine: Mutex<Engine>,
    /// Workspaces not in use: `SegmentWorkspace<f32>` and `SegmentWorkspace<f64>`.
    idle: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runtime")
    }
}

static GLOBAL: OnceLock<Arc<Runtime>> = OnceLock::new();

impl Runtime {
    /// A runtime of its own with this many threads; 0: as many as the machine has. The results are the same bits for any
    /// number.
    pub fn new(threads: usize) -> Arc<Runtime> {
        Runtime::of(Engine::new(threads))
    }

    /// The same with the matrix products of recurrent layers, and of the readout of their networks, in mixed precision: operands rounded to bf16,
    /// everything else in f32. The gradient needs no scaling of the loss, as bf16 has the range of f32. Layers of f64 stay exact.
    ///
    /// ```
    /// use elman::{Bf16Kernel, Runtime};
    /// let runtime = match Bf16Kernel::detect() {
    ///     Ok(kernel) => Runtime::with_bf16(0, kernel),
    ///     Err(reason) => {
    ///         eprintln!("{reason}: f32 runs");
    ///         Runtime::new(0)
    ///     }
    /// };
    /// # drop(runtime);
    /// ```
    ///
    /// # Panics
    /// Where this machine cannot run the kernel (see [`Bf16Kernel::available`]).
    #[track_caller]
    pub fn with_bf16(threads: usize, kernel: Bf16Kernel) -> Arc<Runtime> {
        Runtime::of(Engine::new(threads).with_bf16(kernel))
    }

    fn of(engine: Engine) -> Arc<Runtime> {
        Arc::new(Runtime { engine: Mutex::new(engine), idle: Mutex::new(Vec::new()) })
    }

    /// The process's runtime; all threads of the machine unless [`set_threads`] came first.
    pub fn global() -> Arc<Runtime> {
        GLOBAL.get_or_init(|| Runtime::new(0)).clone()
    }

    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine> {
        // A panic in a pass (a wrong shape) leaves the engine itself usable.
        self.engine.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Box<dyn Any + Send>>> {
        self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Borrows a workspace. The one used last comes first: its pages are still in the cache.
    pub(crate) fn lend<F: Number>(self: &Arc<Self>) -> Lease<F> {
        let mut idle = self.idle();
        let found = idle.iter().rposition(|w| w.is::<SegmentWorkspace<F>>());
        let workspace = match found {
            Some(i) => idle.remove(i).downcast().expect("found by its type"),
            None => Box::new(SegmentWorkspace::<F>::new()),
        };
        Lease { workspace: Some(workspace), runtime: self.clone() }
    }
}

/// Sets the number of threads of the process: the engine's and those of Burn's own operations. 0: as many as the machine has.
/// Returns whether the engine has taken it, which it does only before the first layer has run; Burn's own are set where nobody has set them before.
pub fn set_threads(threads: usize) -> bool {
    // Burn's operations use rayon's pool; where a program has already set that up, its choice stays.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    GLOBAL.set(Runtime::new(threads)).is_ok()
}

/// A workspace on loan; it goes back when dropped.
pub(crate) struct Lease<F: Number> {
    workspace: Option<Box<SegmentWorkspace<F>>>,
    runtime: Arc<Runtime>,
}

impl<F: Number> Lease<F> {
    pub fn workspace(&mut self) -> &mut SegmentWorkspace<F> {
        self.workspace.as_mut().expect("there until dropped")
    }
}

impl<F: Number> std::fmt::Debug for Lease<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease")
    }
}

impl<F: Number> Drop for Lease<F> {
    fn drop(&mut self) {
        if let Some(workspace) = self.workspace.take() {
            self.runtime.idle().push(workspace);
        }
    }
}
