//! NumPy's archive: arrays as `.npy` files in a zip file without compression, for `numpy.load`.

use crate::{Error, Tensor, atomic};
use std::io::{self, Write};
use std::path::Path;

/// Writes arrays of f32, little-endian, row-major, under their names; atomically.
///
/// # Errors
/// [`Error::Write`]; one of the reasons is an archive above 4 GiB, which plain zip cannot hold.
pub fn write(path: &Path, arrays: &[Tensor]) -> Result<(), Error> {
    atomic::write(path, |writer| archive(writer, arrays))
}

/// An entry of the directory at the archive's end.
struct Entry {
    name: String,
    crc: u32,
    size: u32,
    offset: u32,
}

fn archive(writer: &mut dyn Write, arrays: &[Tensor]) -> io::Result<()> {
    let too_large =
        || io::Error::new(io::ErrorKind::FileTooLarge, "an archive of numpy is at most 4 GiB; take fewer characters");
    let mut entries = Vec::new();
    let mut offset = 0u64;
    for array in arrays {
        let content = npy(array);
        let entry = Entry {
            name: format!("{}.npy", array.name),
            crc: crc32(&content),
            size: u32::try_from(content.len()).map_err(|_| too_large())?,
            offset: u32::try_from(offset).map_err(|_| too_large())?,
        };
        writer.write_all(&0x0403_4b50u32.to_le_bytes())?;
        let common = entry.common();
        writer.write_all(&common)?;
        writer.write_all(entry.name.as_bytes())?;
        writer.write_all(&content)?;
        offset += (4 + common.len() + entry.name.len() + content.len()) as u64;
        entries.push(entry);
    }
    let mut directory = Vec::new();
    for entry in &entries {
        directory.extend(0x0201_4b50u32.to_le_bytes());
        directory.extend(20u16.to_le_bytes());
        directory.extend(entry.common());
        // No comment, first disk, attributes of a plain file.
        directory.extend([0; 10]);
        directory.extend(entry.offset.to_le_bytes());
        directory.extend(entry.name.as_bytes());
    }
    writer.write_all(&directory)?;
    let count = u16::try_from(entries.len()).map_err(|_| too_large())?;
    writer.write_all(&0x0605_4b50u32.to_le_bytes())?;
    writer.write_all(&[0; 4])?;
    writer.write_all(&count.to_le_bytes())?;
    writer.write_all(&count.to_le_bytes())?;
    writer.write_all(&u32::try_from(directory.len()).map_err(|_| too_large())?.to_le_bytes())?;
    writer.write_all(&u32::try_from(offset).map_err(|_| too_large())?.to_le_bytes())?;
    writer.write_all(&[0; 2])
}

impl Entry {
    /// What the local header and the directory have in common: version, UTF-8 name, stored, the first day of the format's calendar.
    fn common(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(26);
        for half in [20u16, 1 << 11, 0, 0, 0x21] {
            out.extend(half.to_le_bytes());
        }
        for word in [self.crc, self.size, self.size] {
            out.extend(word.to_le_bytes());
        }
        out.extend((self.name.len() as u16).to_le_bytes());
        out.extend(0u16.to_le_bytes());
        out
    }
}

/// One array as a file of format 1.0.
fn npy(array: &Tensor) -> Vec<u8> {
    let shape: String = array.shape.iter().map(|n| format!("{n}, ")).collect();
    let shape = if array.shape.len() == 1 { shape.trim_end() } else { shape.trim_end_matches(", ") };
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}");
    // Data begins at a multiple of 64 bytes; 10 stand before the header, a line's end closes it.
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(array.values.iter().flat_map(|v| v.to_le_bytes()));
    out
}

/// The checksum of zip (polynomial 0xEDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    let mut table = [0u32; 256];
    for (i, slot) in table.iter_mut().enumerate() {
        *slot = (0..8).fold(i as u32, |c, _| if c & 1 == 1 { 0xEDB8_8320 ^ (c >> 1) } else { c >> 1 });
    }
    !bytes.iter().fold(!0u32, |c, &b| table[((c ^ u32::from(b)) & 0xff) as usize] ^ (c >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u32_at(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    /// Read back along the directory, as a reader of zip files does.
    #[test]
    fn an_archive_leads_to_its_arrays() {
        let arrays = [
            Tensor {
                name: "layers.0.h".into(),
                shape: vec![2, 3],
                values: vec![1.0, -2.0, 0.5, 3.0, 4.0, f32::MIN_POSITIVE],
            },
            Tensor { name: "ids".into(), shape: vec![2], values: vec![7.0, 8.0] },
        ];
        let mut bytes = Vec::new();
        archive(&mut bytes, &arrays).unwrap();
        let end = bytes.len() - 22;
        assert_eq!(u32_at(&bytes, end), 0x0605_4b50);
        let mut at = u32_at(&bytes, end + 16) as usize;
        assert_eq!(at + u32_at(&bytes, end + 12) as usize, end);
        for array in &arrays {
            assert_eq!(u32_at(&bytes, at), 0x0201_4b50);
            let (crc, size) = (u32_at(&bytes, at + 16), u32_at(&bytes, at + 24) as usize);
            let name_len = u16::from_le_bytes([bytes[at + 28], bytes[at + 29]]) as usize;
            let local = u32_at(&bytes, at + 42) as usize;
            assert_eq!(&bytes[at + 46..][..name_len], format!("{}.npy", array.name).as_bytes());
            at += 46 + name_len;
            assert_eq!(u32_at(&bytes, local), 0x0403_4b50);
            let content = &bytes[local + 30 + name_len..][..size];
            assert_eq!(crc32(content), crc);
            let header_len = u16::from_le_bytes([content[8], content[9]]) as usize;
            assert_eq!((10 + header_len) % 64, 0);
            let header = std::str::from_utf8(&content[10..10 + header_len]).unwrap();
            let shape = if array.shape.len() == 1 { "(2,)" } else { "(2, 3)" };
            assert!(
                header.starts_with(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}")),
                "{header}"
            );
            let values: Vec<f32> =
                content[10 + header_len..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            assert_eq!(values, array.values);
        }
        assert_eq!(at, end);
    }

    /// What NumPy 2.4 has saved of an array: the same but for blanks, of which it leaves more for an array that grows.
    #[test]
    fn arrays_are_as_numpy_writes_them() {
        let numpy = include_bytes!("../../tests/numpy.npy");
        let values = vec![1.0, -2.0, 0.5, 3.0, 4.0, f32::MIN_POSITIVE];
        let own = npy(&Tensor { name: "a".into(), shape: vec![2, 3], values });
        let parts = |file: &[u8]| {
            let len = u16::from_le_bytes([file[8], file[9]]) as usize;
            let header = std::str::from_utf8(&file[10..10 + len]).unwrap();
            assert!(header.ends_with('\n') && (10 + len).is_multiple_of(64));
            (file[..8].to_vec(), header.trim_end().to_string(), file[10 + len..].to_vec())
        };
        assert_eq!(parts(&own), parts(numpy));
    }
}
