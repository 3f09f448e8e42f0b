//! Ctrl-C: the first one asks, the second one ends.

use elman_tasks::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io;
use std::sync::Arc;

/// A flag that Ctrl-C (SIGINT) or SIGTERM sets; if it is set already, the program ends at once with status 130.
///
/// # Errors
/// The system refuses the handlers.
pub fn stop() -> io::Result<Arc<Stop>> {
    let stop = Arc::new(Stop::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag still unset.
        signal_hook::flag::register_conditional_shutdown(signal, 130, stop.clone())?;
        signal_hook::flag::register(signal, stop.clone())?;
    }
    // A file-size limit is to be an error of the write, which is told, and not a sudden death.
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::new(false.into()))?;
    Ok(stop)
}
