//! The container of models and checkpoints: a safetensors file with a format number and a checksum in its metadata.
//!
//! Any safetensors reader reads it. The same content gives the same bytes: metadata and tensors are written in a fixed
//! order (the safetensors crate writes its metadata in an order that changes from run to run).

use crate::{Error, atomic};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// The format number that this version writes, and the last that it reads.
pub const FORMAT: u32 = 1;

const FORMAT_KEY: &str = "elman.format";
const CHECKSUM_KEY: &str = "elman.checksum";

/// The largest header that is read, as in the safetensors crate: nothing is allocated for a header that claims more.
const MAX_HEADER: u64 = 100_000_000;

/// A named array of `f32`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements.
    pub values: Vec<f32>,
}

/// A file's content: metadata and tensors in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// Texts by key. Keys of Elman begin with `elman.`; format and checksum are added when the file is written and not
    /// part of this.
    pub metadata: BTreeMap<String, String>,
    /// The tensors, in the order in which they are in the file.
    pub tensors: Vec<Tensor>,
}

impl TensorFile {
    /// The tensor of this name.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Writes the file atomically, see [`atomic::write`].
    ///
    /// # Errors
    /// [`Error::Write`].
    ///
    /// # Panics
    /// If a tensor's length is not that of its shape, or two have the same name.
    #[track_caller]
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let mut metadata = self.metadata.clone();
        metadata.insert(FORMAT_KEY.into(), FORMAT.to_string());
        let checksum = checksum(&metadata, &self.tensors);
        metadata.insert(CHECKSUM_KEY.into(), checksum);

        let mut header = format!("{{\"__metadata__\":{}", json(&metadata));
        let mut start = 0;
        for (i, tensor) in self.tensors.iter().enumerate() {
            let Tensor { name, shape, values } = tensor;
            assert_eq!(values.len(), shape.iter().product::<usize>(), "tensor {name} has the shape {shape:?}");
            assert!(self.tensors[..i].iter().all(|other| other.name != *name), "two tensors named {name}");
            let end = start + 4 * values.len();
            let info = TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets: (start, end) };
            header += &format!(",{}:{}", json(name), json(&info));
            start = end;
        }
        header.push('}');
        // Data begins at a multiple of 8 bytes, as the format asks.
        let length = header.len().next_multiple_of(8);
        header.extend(std::iter::repeat_n(' ', length - header.len()));

        atomic::write(path.as_ref(), |writer| {
            writer.write_all(&(length as u64).to_le_bytes())?;
            writer.write_all(header.as_bytes())?;
            self.tensors.iter().try_for_each(|tensor| write_values(writer, &tensor.values))
        })
    }

    /// Reads and verifies a file.
    ///
    /// # Errors
    /// The file is missing, cannot be read, is truncated or altered in any bit, is foreign or newer. No more memory is
    /// allocated than the file is long.
    pub fn read(path: impl AsRef<Path>) -> Result<TensorFile, Error> {
        let path = path.as_ref();
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => Error::Missing { path: path.to_path_buf() },
            _ => Error::Unreadable { path: path.to_path_buf(), source },
        };
        let damaged = |what: String| Error::Damaged { path: path.to_path_buf(), what };

        let metadata = fs::metadata(path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(damaged("it is not a file".into()));
        }
        let total = metadata.len();
        let mut file = File::open(path).map_err(unreadable)?;
        if total < 8 {
            return Err(damaged(format!("it has only {total} bytes")));
        }
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(unreadable)?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER || length > total - 8 {
            return Err(damaged(format!("its header claims {length} bytes, the file has {total}")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(unreadable)?;
        let header: Metadata =
            serde_json::from_slice(&header).map_err(|error| damaged(format!("its header is not valid ({error})")))?;

        let mut texts: BTreeMap<String, String> = header.metadata().clone().unwrap_or_default().into_iter().collect();
        if !texts.keys().any(|key| key.starts_with("elman.")) {
            return Err(Error::Foreign { path: path.to_path_buf() });
        }
        let format: u32 = texts
            .get(FORMAT_KEY)
            .and_then(|format| format.parse().ok())
            .ok_or_else(|| damaged(format!("`{FORMAT_KEY}` is not a number")))?;
        if format > FORMAT {
            return Err(Error::Newer { path: path.to_path_buf(), found: format, known: FORMAT });
        }
        let data = total - 8 - length;
        match (header.data_len() as u64).cmp(&data) {
            std::cmp::Ordering::Greater => {
                let expected = header.data_len() as u64 + 8 + length;
                return Err(damaged(format!("it is truncated: {total} of {expected} bytes")));
            }
            std::cmp::Ordering::Less => return Err(damaged("there are bytes after its last tensor".into())),
            std::cmp::Ordering::Equal => {}
        }

        let mut tensors = Vec::new();
        for name in header.offset_keys() {
            let Some(TensorInfo { dtype, shape, .. }) = header.info(&name).cloned() else { continue };
            if dtype != Dtype::F32 {
                return Err(damaged(format!("tensor `{name}` has elements of type {dtype:?}, not F32")));
            }
            let values = read_values(&mut file, shape.iter().product()).map_err(unreadable)?;
            tensors.push(Tensor { name, shape, values });
        }
        let found = texts.remove(CHECKSUM_KEY);
        if found != Some(checksum(&texts, &tensors)) {
            return Err(damaged("its checksum is not that of its content".into()));
        }
        texts.remove(FORMAT_KEY);
        Ok(TensorFile { metadata: texts, tensors })
    }
}

/// JSON with fields in the order of their declaration (a `serde_json::Value` may order them otherwise, depending on what
/// other crates in the program ask of serde_json).
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and maps with text keys have a JSON form")
}

/// Hash of everything that the file means: metadata, names, shapes, elements.
fn checksum(metadata: &BTreeMap<String, String>, tensors: &[Tensor]) -> String {
    let mut hasher = blake3::Hasher::new();
    // Lengths before texts, so that no two contents give the same bytes.
    for text in metadata.iter().flat_map(|(key, value)| [key, value]) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    for Tensor { name, shape, values } in tensors {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&(shape.len() as u64).to_le_bytes());
        for size in shape {
            hasher.update(&(*size as u64).to_le_bytes());
        }
        // A hasher takes everything that is written to it.
        let _ = write_values(&mut hasher, values);
    }
    hasher.finalize().to_hex()[..32].to_string()
}

/// Elements converted together, so that a large tensor needs no second copy.
const BATCH: usize = 4096;

fn write_values(writer: &mut dyn Write, values: &[f32]) -> io::Result<()> {
    let mut bytes = [0; 4 * BATCH];
    for batch in values.chunks(BATCH) {
        for (slot, value) in bytes.chunks_exact_mut(4).zip(batch) {
            slot.copy_from_slice(&value.to_le_bytes());
        }
        writer.write_all(&bytes[..4 * batch.len()])?;
    }
    Ok(())
}

fn read_values(reader: &mut impl Read, count: usize) -> io::Result<Vec<f32>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count)?;
    let mut bytes = [0; 4 * BATCH];
    while values.len() < count {
        let batch = &mut bytes[..4 * BATCH.min(count - values.len())];
        reader.read_exact(batch)?;
        values.extend(batch.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    }
    Ok(values)
}
