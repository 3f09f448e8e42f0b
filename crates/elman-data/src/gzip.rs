//! Files packed by gzip: the container of RFC 1952, unpacked as RFC 1951 says.

use std::fmt;

/// Why bytes cannot be unpacked: what is wrong with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GzipError(&'static str);

impl fmt::Display for GzipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for GzipError {}

type Result<T> = std::result::Result<T, GzipError>;

/// Unpacks a gzip file of one or several members, and compares checksum and length of each.
///
/// ```
/// use elman_data::gzip::unpack;
/// // "elman\n", packed by gzip -n.
/// let packed = [
///     31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 75, 205, 201, 77, 204, 227, 2, 0, 248, 132, 203, 46, 6, 0, 0, 0,
/// ];
/// assert_eq!(unpack(&packed).unwrap(), b"elman\n");
/// assert_eq!(unpack(&packed[..20]).unwrap_err().to_string(), "it is cut off");
/// ```
///
/// # Errors
/// The bytes are no gzip file, are cut off, or were changed.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut bits = Bits { bytes: packed, at: 0, held: 0, count: 0 };
    loop {
        header(&mut bits)?;
        let start = out.len();
        inflate(&mut bits, &mut out)?;
        bits.align();
        let (crc, length) = (bits.take(32)?, bits.take(32)?);
        let member = &out[start..];
        if crc != crc32(member) || length != member.len() as u32 {
            return Err(GzipError("its checksum is not that of its content"));
        }
        if bits.at == packed.len() {
            return Ok(out);
        }
    }
}

/// Bits from the lowest of each byte on.
struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to hold.
    at: usize,
    held: u64,
    /// How many bits are held.
    count: u32,
}

impl Bits<'_> {
    /// A number of `n` bits, at most 32.
    fn take(&mut self, n: u32) -> Result<u32> {
        while self.count < n {
            let &byte = self.bytes.get(self.at).ok_or(GzipError("it is cut off"))?;
            self.held |= u64::from(byte) << self.count;
            self.at += 1;
            self.count += 8;
        }
        let value = self.held & ((1 << n) - 1);
        self.held >>= n;
        self.count -= n;
        Ok(value as u32)
    }

    /// Drops what is left of a byte. Whole bytes are never held beyond what was asked for.
    fn align(&mut self) {
        self.held >>= self.count % 8;
        self.count -= self.count % 8;
    }
}

/// A member's header; nothing of it is needed.
fn header(bits: &mut Bits) -> Result<()> {
    if bits.take(16)? != 0x8b1f || bits.take(8)? != 8 {
        return Err(GzipError("it is not a gzip file"));
    }
    let flags = bits.take(8)?;
    // Time, packer's hints, system.
    bits.take(32)?;
    bits.take(16)?;
    if flags & 4 != 0 {
        for _ in 0..bits.take(16)? {
            bits.take(8)?;
        }
    }
    // Name and comment, each up to a zero byte.
    for flag in [8, 16] {
        while flags & flag != 0 && bits.take(8)? != 0 {}
    }
    if flags & 2 != 0 {
        bits.take(16)?;
    }
    Ok(())
}

const DAMAGED: GzipError = GzipError("its blocks are damaged");

/// Unpacks the blocks of a member.
fn inflate(bits: &mut Bits, out: &mut Vec<u8>) -> Result<()> {
    // A match reaches back into this member only.
    let start = out.len();
    loop {
        let last = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => stored(bits, out)?,
            1 => {
                let lengths: Vec<u8> =
                    (0..288).map(|s| [8, 9, 7, 8][[144, 256, 280].partition_point(|&b| b <= s)]).collect();
                packed(bits, &Code::new(&lengths)?, &Code::new(&[5; 30])?, start, out)?;
            }
            2 => {
                let (symbols, distances) = codes(bits)?;
                packed(bits, &symbols, &distances, start, out)?;
            }
            _ => return Err(DAMAGED),
        }
        if last {
            return Ok(());
        }
    }
}

/// Bytes as they are.
fn stored(bits: &mut Bits, out: &mut Vec<u8>) -> Result<()> {
    bits.align();
    let (length, complement) = (bits.take(16)?, bits.take(16)?);
    if length ^ complement != 0xffff {
        return Err(DAMAGED);
    }
    for _ in 0..length {
        out.push(bits.take(8)? as u8);
    }
    Ok(())
}

/// The end of a block among the symbols.
const END: u32 = 256;

/// Symbols up to the end of a block: bytes, and copies of what stands before.
fn packed(bits: &mut Bits, symbols: &Code, distances: &Code, start: usize, out: &mut Vec<u8>) -> Result<()> {
    loop {
        match symbols.read(bits)? {
            END => return Ok(()),
            byte @ 0..END => out.push(byte as u8),
            symbol => {
                let length = match symbol - 257 {
                    28 => 258,
                    k @ 0..28 => 3 + stepped(bits, k, 4)?,
                    _ => return Err(DAMAGED),
                };
                let distance = match distances.read(bits)? {
                    k @ 0..30 => 1 + stepped(bits, k, 2)? as usize,
                    _ => return Err(DAMAGED),
                };
                if distance > out.len() - start {
                    return Err(DAMAGED);
                }
                for _ in 0..length {
                    out.push(out[out.len() - distance]);
                }
            }
        }
    }
}

/// Number `k` of a row in which, after the first two groups of `group` neighbours one apart, each further group is twice as far
/// apart; what lies between neighbours is told by more bits.
fn stepped(bits: &mut Bits, k: u32, group: u32) -> Result<u32> {
    if k < 2 * group {
        return Ok(k);
    }
    let more = k / group - 1;
    Ok(((group + k % group) << more) + bits.take(more)?)
}

/// The codes that a block brings with it.
fn codes(bits: &mut Bits) -> Result<(Code, Code)> {
    let (symbols, distances, count) =
        (bits.take(5)? as usize + 257, bits.take(5)? as usize + 1, bits.take(4)? as usize + 4);
    let mut of_lengths = [0; 19];
    for place in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].into_iter().take(count) {
        of_lengths[place] = bits.take(3)? as u8;
    }
    let code = Code::new(&of_lengths)?;
    let mut lengths: Vec<u8> = Vec::new();
    while lengths.len() < symbols + distances {
        let (length, times) = match code.read(bits)? {
            16 => (*lengths.last().ok_or(DAMAGED)?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length as u8, 1),
        };
        lengths.extend((0..times).map(|_| length));
    }
    if lengths.len() > symbols + distances {
        return Err(DAMAGED);
    }
    Ok((Code::new(&lengths[..symbols])?, Code::new(&lengths[symbols..])?))
}

/// A prefix code that is given by the lengths of its words: words of a length are successive numbers, in the order of the symbols.
struct Code {
    /// How many words there are of each length.
    counts: [u32; 16],
    /// The symbols by length, then by themselves.
    symbols: Vec<u32>,
}

impl Code {
    fn new(lengths: &[u8]) -> Result<Code> {
        let mut counts = [0; 16];
        let mut symbols: Vec<u32> = (0..lengths.len() as u32).filter(|&s| lengths[s as usize] > 0).collect();
        symbols.sort_by_key(|&s| lengths[s as usize]);
        symbols.iter().for_each(|&s| counts[usize::from(lengths[s as usize])] += 1);
        // No word may be the beginning of another.
        let taken: u32 = (1..16).map(|length| counts[length] << (15 - length)).sum();
        if taken > 1 << 15 { Err(DAMAGED) } else { Ok(Code { counts, symbols }) }
    }

    fn read(&self, bits: &mut Bits) -> Result<u32> {
        // Among words of the present length: which one was read, counted from the first; and how many are shorter.
        let (mut word, mut shorter) = (0, 0);
        for &count in &self.counts[1..] {
            word = 2 * word + bits.take(1)?;
            if word < count {
                return Ok(self.symbols[(shorter + word) as usize]);
            }
            word -= count;
            shorter += count;
        }
        Err(DAMAGED)
    }
}

/// The checksum of RFC 1952.
fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256)
        .map(|byte| (0..8).fold(byte, |c: u32, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 }))
        .collect();
    !bytes.iter().fold(!0, |crc, &byte| table[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}
