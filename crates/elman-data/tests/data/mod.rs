//! Where the real data sets lie.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder of the data sets; none, and a line that says so, where there is none at all.
pub fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("ELMAN_DATA").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    // Not through a macro, whose words the harness keeps to itself where a test passes.
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: there is no folder of data sets; set ELMAN_DATA to one");
    None
}
