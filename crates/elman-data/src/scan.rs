//! The one pass over a text that finds all that is to be known of it: whether it is UTF-8, how many characters it has
//! and which, where every thousandth one starts, and its fingerprint.

use simdutf8::compat::from_utf8;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sparse index holds the byte offset of every `STRIDE`-th character: 8 bytes for a thousand characters, and a
/// look-up that passes over 512 characters on average, far less than the network spends on one of them.
pub const STRIDE: usize = 1024;

/// Bytes looked at together: they stay in the second-level cache between the checks.
const BLOCK: usize = 256 << 10;

/// What the pass found.
pub struct Scan {
    /// Number of characters.
    pub characters: usize,
    /// The distinct characters in ascending order, and how often each stands in the text.
    pub counts: Vec<(char, u64)>,
    /// Byte offset of each character whose position is a multiple of [`STRIDE`]; empty if every character is one byte.
    pub index: Vec<usize>,
    /// Length in bytes and hash of the content.
    pub fingerprint: String,
}

/// Why the pass stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// A NUL byte.
    Binary {
        /// Where it is.
        offset: usize,
    },
    /// A byte that is not UTF-8.
    NotUtf8 {
        /// Where it is.
        offset: usize,
    },
}

/// Reads all of `bytes` once, with a second thread for the fingerprint.
pub fn scan(bytes: &[u8]) -> Result<Scan, Fault> {
    let cancelled = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let fingerprint = scope.spawn(|| fingerprint(bytes, &cancelled));
        let found = characters(bytes);
        cancelled.store(found.is_err(), Ordering::Relaxed);
        let fingerprint = fingerprint.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let (characters, counts, index) = found?;
        Ok(Scan { characters, counts, index, fingerprint })
    })
}

fn fingerprint(bytes: &[u8], cancelled: &AtomicBool) -> String {
    let mut hasher = blake3::Hasher::new();
    for block in bytes.chunks(BLOCK) {
        if cancelled.load(Ordering::Relaxed) {
            break;
        }
        hasher.update(block);
    }
    // 128 of the 256 bits: enough that two texts never meet by chance, and short enough to be read in a config.toml.
    format!("{}-{}", bytes.len(), &hasher.finalize().to_hex()[..32])
}

type Found = (usize, Vec<(char, u64)>, Vec<usize>);

fn characters(bytes: &[u8]) -> Result<Found, Fault> {
    // One counter for every code point, in rows of 256. The memory of a row that never occurs is never touched.
    let mut counts = vec![[0u64; 256]; (char::MAX as usize >> 8) + 1];
    let mut used = vec![false; counts.len()];
    let mut index = Vec::new();
    let mut characters = 0usize;
    let mut position = 0;
    while position < bytes.len() {
        let end = bytes.len().min(position + BLOCK);
        let block = &bytes[position..end];
        if block.is_ascii() {
            let first = characters.next_multiple_of(STRIDE);
            index.extend((first..characters + block.len()).step_by(STRIDE).map(|c| position + (c - characters)));
            for &byte in block {
                counts[0][byte as usize] += 1;
            }
            used[0] = true;
            characters += block.len();
            position = end;
        } else {
            let valid = match from_utf8(block) {
                Ok(valid) => valid,
                // A character cut by the end of the block is read again at the beginning of the next.
                Err(error) if error.error_len().is_none() && end < bytes.len() => {
                    from_utf8(&block[..error.valid_up_to()]).unwrap_or_default()
                }
                Err(error) => {
                    // A NUL before the first bad byte says more of what the file is.
                    return Err(match block[..error.valid_up_to()].iter().position(|&b| b == 0) {
                        Some(nul) => Fault::Binary { offset: position + nul },
                        None => Fault::NotUtf8 { offset: position + error.valid_up_to() },
                    });
                }
            };
            for (offset, character) in valid.char_indices() {
                if characters.is_multiple_of(STRIDE) {
                    index.push(position + offset);
                }
                let (row, column) = (character as usize >> 8, character as usize & 255);
                counts[row][column] += 1;
                used[row] = true;
                characters += 1;
            }
            position += valid.len();
        }
        if counts[0][0] > 0 {
            // The NUL is in this block: the counter was zero after the one before.
            let nul = block.iter().position(|&b| b == 0).unwrap_or_default();
            return Err(Fault::Binary { offset: end - block.len() + nul });
        }
    }
    if characters == bytes.len() {
        index = Vec::new();
    }
    let mut found = Vec::new();
    for row in (0..used.len()).filter(|&row| used[row]) {
        let codes = (row as u32) << 8..;
        let counted = codes.zip(counts[row]).filter(|&(_, count)| count > 0);
        found.extend(counted.filter_map(|(code, count)| Some((char::from_u32(code)?, count))));
    }
    Ok((characters, found, index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_across_two_blocks_is_one_character() {
        for shift in 0..4 {
            let text = format!("{}\u{1F600}é{}", "a".repeat(BLOCK - shift), "b".repeat(BLOCK));
            let found = scan(text.as_bytes()).ok().unwrap();
            assert_eq!(found.characters, text.chars().count());
            assert_eq!(found.counts.iter().map(|c| c.0).collect::<Vec<_>>(), ['a', 'b', 'é', '\u{1F600}']);
            for (i, &offset) in found.index.iter().enumerate() {
                assert_eq!(offset, text.char_indices().nth(i * STRIDE).unwrap().0);
            }
        }
    }

    #[test]
    fn the_first_fault_is_named_in_any_block() {
        for at in [0, 5, BLOCK - 1, BLOCK, 2 * BLOCK + 7] {
            for filler in ["a", "é"] {
                let mut bytes = filler.repeat(3 * BLOCK).into_bytes();
                let at = at & !1;
                bytes[at] = 0xff;
                assert_eq!(scan(&bytes).err(), Some(Fault::NotUtf8 { offset: at }), "{filler} {at}");
                bytes[at] = 0;
                bytes[at + 1] = b'a';
                bytes.push(0xff);
                assert_eq!(scan(&bytes).err(), Some(Fault::Binary { offset: at }), "{filler} {at}");
            }
        }
        // A character that the end of the file cuts.
        assert_eq!(scan(&"é".as_bytes()[..1]).err(), Some(Fault::NotUtf8 { offset: 0 }));
    }

    #[test]
    fn any_change_gives_another_fingerprint() {
        let base = scan(b"abc").ok().unwrap().fingerprint;
        // The hash of "abc" as the BLAKE3 authors publish it, cut to 128 bits.
        assert_eq!(base, "3-6437b3ac38465133ffb63b75273a8db5");
        for other in ["abd", "ab", "abc\n", "cba"] {
            assert_ne!(scan(other.as_bytes()).ok().unwrap().fingerprint, base);
        }
    }
}
