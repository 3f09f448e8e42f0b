//! The file from which training goes on to the bit, written so that a crash leaves the former one.

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A tensor in a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// `parameter/<path>`, `optimiser/<slot>/<path>` or `state/<layer>/<value>`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers, row-major.
    pub values: Vec<f32>,
}

/// Everything needed to go on with training as if it had not stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Steps made.
    pub step: u64,
    /// Updates the optimiser has made.
    pub updates: u64,
    /// Position in the stream of random numbers.
    pub random: u128,
    /// Position in the data.
    pub cursor: String,
    /// Whatever the program keeps beside it: the run's settings.
    pub note: String,
    /// Parameters, optimiser state and carried state.
    pub entries: Vec<Entry>,
}

/// What can be wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Reading or writing failed.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// It is not a checkpoint, or a damaged one.
    #[error("{}: not a usable checkpoint: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// It is a checkpoint of something else.
    #[error("the checkpoint does not fit this run: {0}")]
    DoesNotFit(String),
}

const FORMAT: &str = "elman-checkpoint";
const VERSION: u64 = 1;
/// One key, so that the header's bytes do not depend on the order of a hash map.
const KEY: &str = "elman";
/// A header describes some hundreds of tensors; one of more than this is not ours.
const MAX_HEADER: u64 = 16 << 20;

impl Checkpoint {
    /// Writes the checkpoint: to a temporary file in the same folder, flushed to the disk, then renamed over `path`. On any
    /// failure the former file stays as it was.
    ///
    /// # Errors
    /// It cannot be written, or the note is longer than some 16 million bytes.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        let bytes = self.to_bytes();
        let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        if header > MAX_HEADER {
            let what = format!("its note and names make a header of {header} bytes; it may have {MAX_HEADER}");
            return Err(CheckpointError::DoesNotFit(what));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let failed = |path: &Path, action| {
            let path = path.to_path_buf();
            move |source| CheckpointError::Io { path, action, source }
        };
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(&bytes)?;
            file.sync_all()
        };
        let written = write().map_err(failed(&temporary, "write"));
        let renamed = written.and_then(|()| fs::rename(&temporary, path).map_err(failed(path, "replace it")));
        if renamed.is_err() {
            // The error to report is the one above; a leftover does no harm and is overwritten next time.
            let _ = fs::remove_file(&temporary);
        }
        renamed?;
        // The rename itself must reach the disk. Only Unix lets a folder be opened for that.
        #[cfg(unix)]
        File::open(folder).and_then(|f| f.sync_all()).map_err(failed(folder, "flush the folder"))?;
        #[cfg(not(unix))]
        let _ = folder;
        Ok(())
    }

    /// Reads and verifies a checkpoint.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or is another program's.
    pub fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
        let failed = |source| CheckpointError::Io { path: path.to_path_buf(), action: "read", source };
        let mut file = File::open(path).map_err(failed)?;
        let mut start = [0u8; 8];
        let length = file.metadata().map_err(failed)?.len();
        let damaged = |reason: String| CheckpointError::Damaged { path: path.to_path_buf(), reason };
        if length < 8 {
            return Err(damaged(format!("it has {length} bytes, less than the shortest header")));
        }
        file.read_exact(&mut start).map_err(failed)?;
        let header = u64::from_le_bytes(start);
        // Checked before the file is read: a foreign file of any size is refused at once.
        if header > MAX_HEADER || header > length - 8 {
            return Err(damaged(format!(
                "its first eight bytes announce a header of {header} bytes; the file has {length} and a header at most \
                 {MAX_HEADER}"
            )));
        }
        let mut bytes = start.to_vec();
        file.read_to_end(&mut bytes).map_err(failed)?;
        Self::from_bytes(&bytes).map_err(damaged)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let data: Vec<Vec<u8>> =
            self.entries.iter().map(|e| e.values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
        let views = self.entries.iter().zip(&data).map(|(e, bytes)| {
            let view = TensorView::new(Dtype::F32, e.shape.clone(), bytes).expect("as many values as the shape says");
            (e.name.as_str(), view)
        });
        let meta = json!({
            "format": FORMAT,
            "version": VERSION,
            "step": self.step,
            "updates": self.updates,
            // JSON numbers end at 64 bits.
            "random": self.random.to_string(),
            "cursor": self.cursor,
            "note": self.note,
            "crc32": self.checksum(),
        });
        let meta = [(KEY.to_string(), meta.to_string())].into_iter().collect();
        serialize(views, Some(meta)).expect("names and shapes are sound")
    }

    fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, String> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| format!("{e}"))?;
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| format!("{e}"))?;
        let meta = header.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or("it was not written by Elman")?;
        let meta: Value = serde_json::from_str(meta).map_err(|e| format!("its description is not JSON: {e}"))?;
        let text = |key: &str| meta[key].as_str().ok_or(format!("`{key}` is missing"));
        let number = |key: &str| meta[key].as_u64().ok_or(format!("`{key}` is missing"));
        if text("format")? != FORMAT {
            return Err(format!("it is a `{}`, not a `{FORMAT}`", text("format")?));
        }
        let version = number("version")?;
        if version != VERSION {
            return Err(format!("it has version {version}, this program reads {VERSION}"));
        }
        let mut names = file.names();
        names.sort_unstable();
        let mut entries = Vec::new();
        for name in names {
            let view = file.tensor(name).map_err(|e| format!("{e}"))?;
            if view.dtype() != Dtype::F32 {
                return Err(format!("`{name}` is {:?}, not F32", view.dtype()));
            }
            let values = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            entries.push(Entry { name: name.to_string(), shape: view.shape().to_vec(), values });
        }
        let checkpoint = Checkpoint {
            step: number("step")?,
            updates: number("updates")?,
            random: text("random")?.parse().map_err(|_| "`random` is not a number".to_string())?,
            cursor: text("cursor")?.to_string(),
            note: text("note")?.to_string(),
            entries,
        };
        let (found, expected) = (checkpoint.checksum(), number("crc32")?);
        if found != expected {
            return Err(format!("its checksum is {found:08x} and should be {expected:08x}: the file has changed"));
        }
        Ok(checkpoint)
    }

    /// CRC-32 of everything, entries in the order of their names.
    fn checksum(&self) -> u64 {
        let mut crc = crc32fast::Hasher::new();
        let head = json!([VERSION, self.step, self.updates, self.random.to_string(), self.cursor, self.note]);
        crc.update(head.to_string().as_bytes());
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|e| &e.name);
        for entry in entries {
            crc.update(json!([entry.name, entry.shape]).to_string().as_bytes());
            for chunk in entry.values.chunks(1024) {
                let bytes: Vec<u8> = chunk.iter().flat_map(|v| v.to_le_bytes()).collect();
                crc.update(&bytes);
            }
        }
        crc.finalize().into()
    }
}

#[cfg(test)]
#[path = "checkpoint_test.rs"]
mod tests;
