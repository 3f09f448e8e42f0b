//! TensorBoard event files: scalars by step.
//!
//! A file is a sequence of TFRecords: the length (u64), the masked CRC-32C of its eight bytes, the data, the masked CRC
//! of the data, all little-endian. The data are protocol buffers of TensorFlow's `event.proto`, of which four fields are
//! needed: `wall_time` = 1 (double), `step` = 2 (int64), `file_version` = 3 (string), `summary` = 5, `session_log` = 7.
//!
//! A resumed run starts a new file that begins with a session log of the status START: there TensorBoard forgets the later
//! steps of older files, which the resumed run writes again.

use crate::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The name's beginning by which TensorBoard knows its files.
const PREFIX: &str = "events.out.tfevents.";

/// A growing event file.
#[derive(Debug)]
pub struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// A new file in `folder` for a run that goes on after `step`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(folder: &Path, step: u64) -> Result<EventFile, Error> {
        let now = now();
        // Seconds first, as TensorBoard sorts by name; the step and a number tell apart those of the same second.
        for number in 0u32.. {
            let path = folder.join(format!("{PREFIX}{:010}.elman.{step}.{number}", now as u64));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Error::unwritable(path, error)),
                Ok(file) => {
                    let mut events = EventFile { file, path };
                    let mut version = double(1, now);
                    version.extend(bytes(3, b"brain.Event:2"));
                    events.record(&version)?;
                    if step > 0 {
                        let mut start = double(1, now);
                        start.extend(integer(2, step + 1));
                        start.extend(bytes(7, &integer(1, 1)));
                        events.record(&start)?;
                    }
                    return Ok(events);
                }
            }
        }
        unreachable!("four thousand million files of one second")
    }

    /// Writes scalars of a step.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn scalars(&mut self, step: u64, scalars: &[(&str, f64)]) -> Result<(), Error> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut entry = bytes(1, tag.as_bytes());
            entry.push(2 << 3 | 5);
            entry.extend((*value as f32).to_le_bytes());
            summary.extend(bytes(1, &entry));
        }
        let mut event = double(1, now());
        event.extend(integer(2, step));
        event.extend(bytes(5, &summary));
        self.record(&event)
    }

    fn record(&mut self, data: &[u8]) -> Result<(), Error> {
        // One write a record: a killed run leaves whole records, but for the last.
        self.file.write_all(&record(data)).map_err(|source| Error::unwritable(&self.path, source))
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut out = length.to_vec();
    out.extend(masked(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked(data).to_le_bytes());
    out
}

/// A protocol buffer's variable-length integer.
fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn integer(field: u8, n: u64) -> Vec<u8> {
    let mut out = vec![field << 3];
    varint(n, &mut out);
    out
}

fn double(field: u8, x: f64) -> Vec<u8> {
    let mut out = vec![field << 3 | 1];
    out.extend(x.to_le_bytes());
    out
}

fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    varint(content.len() as u64, &mut out);
    out.extend(content);
    out
}

/// CRC-32C (Castagnoli), reflected, by a table.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !data.iter().fold(!0, |crc, &byte| crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize])
}

/// TFRecord's masking, so that a CRC of data that hold CRCs is not weak.
fn masked(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of a message: number and content (numbers as their bits).
    #[derive(Debug, PartialEq)]
    enum Field {
        Integer(u64, u64),
        Double(u64, f64),
        Bytes(u64, Vec<u8>),
        Float(u64, f32),
    }

    fn read_varint(data: &mut &[u8]) -> u64 {
        let (mut n, mut shift) = (0, 0);
        loop {
            let byte = data[0];
            *data = &data[1..];
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return n;
            }
            shift += 7;
        }
    }

    fn fields(mut data: &[u8]) -> Vec<Field> {
        let mut out = Vec::new();
        while !data.is_empty() {
            let key = read_varint(&mut data);
            let take = |n: usize, data: &mut &[u8]| {
                let (head, tail) = data.split_at(n);
                *data = tail;
                head.to_vec()
            };
            out.push(match key & 7 {
                0 => Field::Integer(key >> 3, read_varint(&mut data)),
                1 => Field::Double(key >> 3, f64::from_le_bytes(take(8, &mut data).try_into().unwrap())),
                2 => {
                    let n = read_varint(&mut data) as usize;
                    Field::Bytes(key >> 3, take(n, &mut data))
                }
                5 => Field::Float(key >> 3, f32::from_le_bytes(take(4, &mut data).try_into().unwrap())),
                other => panic!("wire type {other}"),
            });
        }
        out
    }

    fn records(mut data: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while !data.is_empty() {
            let length = u64::from_le_bytes(data[..8].try_into().unwrap()) as usize;
            assert_eq!(data[8..12], masked(&data[..8]).to_le_bytes());
            let content = &data[12..12 + length];
            assert_eq!(data[12 + length..16 + length], masked(content).to_le_bytes());
            out.push(content.to_vec());
            data = &data[16 + length..];
        }
        out
    }

    #[test]
    fn the_checksum_is_castagnolis() {
        // RFC 3720, appendix B.4: 32 zero bytes, 32 bytes of ones, 0 to 31; and the usual check value.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<u8>>()), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path(), 0).unwrap();
        events.scalars(300, &[("train/nats", 1.5), ("held-out/nats", 2.25)]).unwrap();
        let all = records(&std::fs::read(&events.path).unwrap());
        assert_eq!(all.len(), 2);
        assert_eq!(fields(&all[0])[1], Field::Bytes(3, b"brain.Event:2".to_vec()));
        let event = fields(&all[1]);
        assert!(matches!(event[0], Field::Double(1, t) if t > 1.6e9), "{event:?}");
        assert_eq!(event[1], Field::Integer(2, 300));
        let Field::Bytes(5, summary) = &event[2] else { panic!("{event:?}") };
        let read: Vec<_> = fields(summary)
            .into_iter()
            .map(|f| match f {
                Field::Bytes(1, value) => fields(&value),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(read[0], [Field::Bytes(1, b"train/nats".to_vec()), Field::Float(2, 1.5)]);
        assert_eq!(read[1], [Field::Bytes(1, b"held-out/nats".to_vec()), Field::Float(2, 2.25)]);
    }

    #[test]
    fn a_resumed_run_says_where_it_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let first = EventFile::create(folder.path(), 300).unwrap();
        let second = EventFile::create(folder.path(), 300).unwrap();
        assert_ne!(first.path, second.path);
        let all = records(&std::fs::read(&second.path).unwrap());
        assert_eq!(fields(&all[1])[1..], [Field::Integer(2, 301), Field::Bytes(7, vec![1 << 3, 1])]);
    }
}
