//! Rounding to bf16, and numbers into the layouts of the kernels.
//!
//! Each function has a plain form and one for AVX512-BF16 of the same bits.

use super::{TILE, TILE_SIZE};
use crate::engine::compressed::bf16;
use crate::engine::product::Segment;

/// Rows of pairs that a depth takes in a packed B: whole chunks.
pub(in crate::engine) fn pair_rows(depth: usize) -> usize {
    depth.div_ceil(2 * TILE) * TILE
}

/// bf16 as the instructions see it: denormals are zeros of their sign.
fn half(x: f32) -> u32 {
    let flushed = if x.is_subnormal() { 0.0f32.copysign(x) } else { x };
    u32::from(bf16(flushed))
}

fn word(even: f32, odd: f32) -> u32 {
    half(even) | half(odd) << 16
}

/// Whether the processor has what the forms for AVX-512 need: every one with bf16 products has.
fn wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16") && std::arch::is_x86_feature_detected!("avx512bw");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Converts `rows` rows of a segment of A, from row `first`, into tiles: block b of 16 rows starts at `to + b * chunks` tiles.
///
/// # Safety
/// The segment has the rows, and `to` room for its chunks in each block of rows.
pub(super) unsafe fn left(a: &Segment<f32>, first: usize, rows: usize, to: *mut u32, chunks: usize) {
    let wide = wide();
    for block in 0..rows.div_ceil(TILE) {
        let all = Part {
            from: a.a.wrapping_add((first + block * TILE) * a.row),
            row: a.row,
            column: a.column,
            rows: (rows - block * TILE).min(TILE),
            depth: a.depth,
        };
        // SAFETY: there is room for the block's chunks.
        let to = unsafe { to.add(block * chunks * TILE_SIZE) };
        #[cfg(target_arch = "x86_64")]
        if wide && a.column == 1 {
            // SAFETY: the block is inside the segment, its tiles inside their room; the processor was asked.
            unsafe { x86::tiles_of_rows(all, to) };
            continue;
        }
        for chunk in 0..a.depth.div_ceil(2 * TILE) {
            let part = Part {
                from: all.from.wrapping_add(chunk * 2 * TILE * a.column),
                depth: (a.depth - chunk * 2 * TILE).min(2 * TILE),
                ..all
            };
            // SAFETY: as above.
            unsafe {
                let to = to.add(chunk * TILE_SIZE);
                match (wide, part.row) {
                    #[cfg(target_arch = "x86_64")]
                    (true, 1) => x86::tile_of_columns(part, to),
                    _ => tile(part, to),
                }
            }
        }
    }
}

/// At most 16 rows of A; for a tile of at most 32 numbers each.
#[derive(Clone, Copy)]
struct Part {
    from: *const f32,
    row: usize,
    column: usize,
    rows: usize,
    depth: usize,
}

/// A tile of A; what is beyond the depth becomes zero.
unsafe fn tile(part: Part, to: *mut u32) {
    for r in 0..part.rows {
        for k in 0..TILE {
            let number = |k: usize| match k < part.depth {
                // SAFETY: inside the part.
                true => unsafe { *part.from.add(r * part.row + k * part.column) },
                false => 0.0,
            };
            // SAFETY: inside the tile.
            unsafe { *to.add(r * TILE + k) = word(number(2 * k), number(2 * k + 1)) };
        }
    }
}

/// Converts `depth` rows of B, `width` apart, into rows of pairs at the same distance, and zeros up to a whole chunk.
///
/// # Safety
/// `columns` numbers of each row can be read, and `to` has room for [`pair_rows`] rows.
pub(in crate::engine) unsafe fn right(b: *const f32, width: usize, depth: usize, columns: usize, to: *mut u32) {
    for k in 0..pair_rows(depth) {
        // SAFETY: rows below the depth are there.
        unsafe {
            let row = |k: usize| (k < depth).then(|| b.add(k * width));
            interleave(row(2 * k), row(2 * k + 1), columns, to.add(k * width));
        }
    }
}

/// Rows of numbers, which are f32, anywhere in memory, as [`pair_rows`] rows of pairs, `width` apart; zero from `columns` up to `filled`.
///
/// # Safety
/// `columns` numbers of each row can be read, and `to` has room for `filled` words of each row of pairs.
pub(in crate::engine) unsafe fn rows<F>(
    row: impl Fn(usize) -> *const F,
    rows: usize,
    (columns, filled): (usize, usize),
    to: *mut u32,
    width: usize,
) {
    debug_assert!(size_of::<F>() == size_of::<f32>());
    for k in 0..pair_rows(rows) {
        let number = |r: usize| (r < rows).then(|| row(r).cast::<f32>());
        // SAFETY: the caller's promise.
        unsafe {
            let to = to.add(k * width);
            interleave(number(2 * k), number(2 * k + 1), columns, to);
            core::slice::from_raw_parts_mut(to.add(columns), filled - columns).fill(0);
        }
    }
}

/// A row of pairs from two rows of numbers; none: zeros.
unsafe fn interleave(even: Option<*const f32>, odd: Option<*const f32>, columns: usize, to: *mut u32) {
    #[cfg(target_arch = "x86_64")]
    if columns.is_multiple_of(TILE) && wide() {
        // SAFETY: the caller's promise; the processor was asked.
        return unsafe { x86::interleave(even, odd, columns, to) };
    }
    for c in 0..columns {
        // SAFETY: the caller's promise.
        unsafe {
            let number = |row: Option<*const f32>| row.map_or(0.0, |row| *row.add(c));
            *to.add(c) = word(number(even), number(odd));
        }
    }
}

/// Packs weights (`units`, `depth`) as a B of [`pair_rows`] rows of `width` columns, which are units; zero elsewhere.
///
/// # Safety
/// There are so many weights, and `to` has room.
pub(in crate::engine) unsafe fn transposed(
    weights: *const f32,
    units: usize,
    depth: usize,
    to: *mut u32,
    width: usize,
) {
    let wide = wide() && width.is_multiple_of(TILE);
    for k in (0..pair_rows(depth)).step_by(TILE) {
        for u in (0..width).step_by(TILE) {
            let part = Part {
                from: weights.wrapping_add(u * depth + 2 * k),
                row: depth,
                column: 1,
                rows: units.saturating_sub(u).min(TILE),
                depth: (depth - 2 * k).min(2 * TILE),
            };
            // SAFETY: the part is inside the weights, and the tile inside the room.
            unsafe {
                let to = to.add(k * width + u);
                #[cfg(target_arch = "x86_64")]
                if wide {
                    x86::transposed_tile(part, to, width);
                    continue;
                }
                let _ = wide;
                let mut rows = [0; TILE_SIZE];
                tile(part, rows.as_mut_ptr());
                for c in 0..TILE.min(width - u) {
                    for k in 0..TILE {
                        *to.add(k * width + c) = rows[c * TILE + k];
                    }
                }
            }
        }
    }
}

/// Packs weights as a B of `rows` rows (units), `stride` apart, of `columns` columns: `width / 2` rows of `width` pairs,
/// zero where there are no weights.
///
/// # Safety
/// There are so many weights, and `to` has room.
pub(in crate::engine) unsafe fn straight(
    weights: *const f32,
    stride: usize,
    (rows, columns): (usize, usize),
    to: *mut u32,
    width: usize,
) {
    for k in 0..width / 2 {
        // SAFETY: rows below `rows` are there.
        unsafe {
            let row = |k: usize| (k < rows).then(|| weights.add(k * stride));
            let to = to.add(k * width);
            interleave(row(2 * k), row(2 * k + 1), columns, to);
            core::slice::from_raw_parts_mut(to.add(columns), width - columns).fill(0);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Part, TILE, TILE_SIZE};
    use core::arch::x86_64::*;

    /// Neighbours of 32 numbers as pairs.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn neighbours(low: __m512, high: __m512) -> __m512i {
        // SAFETY: the same 512 bits under another name.
        unsafe { core::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
    }

    /// Numbers at the same place of two registers as pairs.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn pair(even: __m512, odd: __m512) -> __m512i {
        const ZIP: [u16; 32] = {
            let mut zip = [0; 32];
            let mut i = 0;
            while i < 32 {
                zip[i] = (i / 2 + i % 2 * 16) as u16;
                i += 1;
            }
            zip
        };
        // SAFETY: 64 bytes.
        let zip = unsafe { _mm512_loadu_si512(ZIP.as_ptr().cast()) };
        _mm512_permutexvar_epi16(zip, neighbours(even, odd))
    }

    /// The first `count` of 16 numbers, zeros after them.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn load(from: *const f32, count: usize) -> __m512 {
        let mask = ((1u32 << count.min(TILE)) - 1) as __mmask16;
        // SAFETY: what is masked is not read.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }

    /// The rows of a tile.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn rows(part: Part) -> [__m512i; TILE] {
        let mut out = [_mm512_setzero_si512(); TILE];
        for (r, out) in out.iter_mut().enumerate().take(part.rows) {
            let from = part.from.wrapping_add(r * part.row);
            // SAFETY: inside the part.
            let (low, high) =
                unsafe { (load(from, part.depth), load(from.wrapping_add(TILE), part.depth.saturating_sub(TILE))) };
            *out = neighbours(low, high);
        }
        out
    }

    /// All tiles of some rows, row after row: where A comes from memory, it is read straight through.
    ///
    /// # Safety
    /// As for the plain form, and the processor has AVX-512F, BW and BF16; so below.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn tiles_of_rows(part: Part, to: *mut u32) {
        // SAFETY: the caller's promise; so below.
        unsafe {
            for r in 0..part.rows {
                let (mut from, mut to) = (part.from.add(r * part.row), to.add(r * TILE));
                let mut left = part.depth;
                while left >= 2 * TILE {
                    let numbers = neighbours(_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(TILE)));
                    _mm512_storeu_si512(to.cast(), numbers);
                    (from, to) = (from.add(2 * TILE), to.wrapping_add(TILE_SIZE));
                    left -= 2 * TILE;
                }
                if left > 0 {
                    let (low, high) = (load(from, left), load(from.wrapping_add(TILE), left.saturating_sub(TILE)));
                    _mm512_storeu_si512(to.cast(), neighbours(low, high));
                }
            }
        }
    }

    /// Where rows of A are neighbours: pairs of sixteen rows at once, then transposed.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn tile_of_columns(part: Part, to: *mut u32) {
        let mut columns = [_mm512_setzero_si512(); TILE];
        let number = |k: usize| {
            let count = if k < part.depth { part.rows } else { 0 };
            // SAFETY: inside the part.
            unsafe { load(part.from.wrapping_add(k * part.column), count) }
        };
        for (k, column) in columns.iter_mut().enumerate().take(part.depth.div_ceil(2)) {
            *column = pair(number(2 * k), number(2 * k + 1));
        }
        for (r, row) in transpose(columns).into_iter().enumerate().take(part.rows) {
            // SAFETY: inside the tile.
            unsafe { _mm512_storeu_si512(to.add(r * TILE).cast(), row) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn transposed_tile(part: Part, to: *mut u32, width: usize) {
        // SAFETY: the caller's promise.
        let tile = transpose(unsafe { rows(part) });
        for (k, row) in tile.into_iter().enumerate() {
            // SAFETY: inside the room.
            unsafe { _mm512_storeu_si512(to.add(k * width).cast(), row) };
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub unsafe fn interleave(even: Option<*const f32>, odd: Option<*const f32>, columns: usize, to: *mut u32) {
        for c in (0..columns).step_by(TILE) {
            // SAFETY: whole registers of rows that are there.
            unsafe {
                let number =
                    |row: Option<*const f32>| row.map_or(_mm512_setzero_ps(), |row| _mm512_loadu_ps(row.add(c)));
                _mm512_storeu_si512(to.add(c).cast(), pair(number(even), number(odd)));
            }
        }
    }

    /// 16 by 16 words: in squares of 4 by 4 inside of 128 bits, then the squares.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn transpose(r: [__m512i; TILE]) -> [__m512i; TILE] {
        let mut s = r;
        for q in (0..TILE).step_by(4) {
            let a = _mm512_unpacklo_epi32(r[q], r[q + 1]);
            let b = _mm512_unpackhi_epi32(r[q], r[q + 1]);
            let c = _mm512_unpacklo_epi32(r[q + 2], r[q + 3]);
            let d = _mm512_unpackhi_epi32(r[q + 2], r[q + 3]);
            // s[q + j], 128-bit part l: rows q .. q + 4 of column 4 l + j.
            s[q] = _mm512_unpacklo_epi64(a, c);
            s[q + 1] = _mm512_unpackhi_epi64(a, c);
            s[q + 2] = _mm512_unpacklo_epi64(b, d);
            s[q + 3] = _mm512_unpackhi_epi64(b, d);
        }
        let mut out = r;
        for j in 0..4 {
            // Parts 0 and 2 of two registers, then 1 and 3: a 4 by 4 transpose of 128-bit parts.
            let low = _mm512_shuffle_i32x4::<0x88>(s[j], s[4 + j]);
            let high = _mm512_shuffle_i32x4::<0x88>(s[8 + j], s[12 + j]);
            out[j] = _mm512_shuffle_i32x4::<0x88>(low, high);
            out[8 + j] = _mm512_shuffle_i32x4::<0xdd>(low, high);
            let low = _mm512_shuffle_i32x4::<0xdd>(s[j], s[4 + j]);
            let high = _mm512_shuffle_i32x4::<0xdd>(s[8 + j], s[12 + j]);
            out[4 + j] = _mm512_shuffle_i32x4::<0x88>(low, high);
            out[12 + j] = _mm512_shuffle_i32x4::<0xdd>(low, high);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    /// Numbers of every kind among ordinary ones.
    fn numbers(len: usize) -> Vec<f32> {
        let mut list: Vec<f32> = Noise(3).uniform(len, 4.0);
        let odd = [f32::NAN, f32::INFINITY, -f32::INFINITY, 1e-40, -1e-40, 0.0, -0.0, f32::MAX, f32::MIN_POSITIVE];
        for (to, x) in list.iter_mut().skip(1).step_by(7).zip(odd.into_iter().cycle()) {
            *to = x;
        }
        list
    }

    #[test]
    fn a_word_holds_two_rounded_numbers() {
        assert_eq!(word(1.0, -2.0), 0xc000_3f80);
        // 1 + 2^-8 lies half way between 1 and 1 + 2^-7: the even one is 1.
        assert_eq!(word(1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0), 0x3f82_3f80);
        assert_eq!(word(1e-40, -1e-40), 0x8000_0000);
        assert_eq!(word(f32::MAX, f32::MIN_POSITIVE), 0x0080_7f80);
    }

    /// The dispatched forms give the bits of the plain ones at every width, and nothing else is written.
    #[test]
    fn all_forms_give_the_same_bits() {
        const MARK: u32 = 0xdead_beef;
        let from = numbers(64 * 80);
        for (rows, depth) in [(16usize, 32usize), (1, 1), (5, 31), (16, 17), (33, 2), (40, 63), (48, 64)] {
            for (row, column) in [(80, 1), (1, 64), (3, 70)] {
                let chunks = depth.div_ceil(32) + 1;
                let segment = Segment { a: from.as_ptr(), row, column, b: from.as_ptr(), depth, next: 0 };
                let mut got = vec![MARK; rows.div_ceil(TILE) * chunks * TILE_SIZE];
                // SAFETY: 64 * 80 numbers hold every row and column of these; room for all chunks.
                unsafe { left(&segment, 0, rows, got.as_mut_ptr(), chunks) };
                for (at, &got) in got.iter().enumerate() {
                    let (block, chunk) = (at / TILE_SIZE / chunks, at / TILE_SIZE % chunks);
                    let (r, k) = (block * TILE + at / TILE % TILE, 2 * (chunk * TILE + at % TILE));
                    let number = |k: usize| if k < depth { from[r * row + k * column] } else { 0.0 };
                    let want = match r < rows && chunk + 1 < chunks {
                        true => word(number(k), number(k + 1)),
                        false => MARK,
                    };
                    assert_eq!(got, want, "{rows} x {depth}, distances {row} and {column}: row {r}, {k}");
                }
            }
        }
        for (width, columns, depth) in [(64, 64, 33), (64, 16, 2), (16, 8, 7), (8, 4, 1)] {
            let mut got = vec![MARK; pair_rows(depth) * width];
            // SAFETY: as above.
            unsafe { right(from.as_ptr(), width, depth, columns, got.as_mut_ptr()) };
            for (at, &got) in got.iter().enumerate() {
                let (k, c) = (2 * (at / width), at % width);
                let number = |k: usize| if k < depth { from[k * width + c] } else { 0.0 };
                let want = if c < columns { word(number(k), number(k + 1)) } else { MARK };
                assert_eq!(got, want, "B of {depth} x {columns}: {k}, {c}");
            }
        }
        for (units, depth, width) in [(64, 70, 64), (5, 3, 64), (17, 33, 64), (16, 9, 16), (3, 40, 8)] {
            let mut got = vec![MARK; pair_rows(depth) * width];
            // SAFETY: as above.
            unsafe { transposed(from.as_ptr(), units, depth, got.as_mut_ptr(), width) };
            for (at, &got) in got.iter().enumerate() {
                let (k, u) = (2 * (at / width), at % width);
                let number = |k: usize| if k < depth && u < units { from[u * depth + k] } else { 0.0 };
                assert_eq!(got, word(number(k), number(k + 1)), "weights {units} x {depth}: {k}, {u}");
            }
        }
        for (rows, columns, width) in [(64, 64, 64), (3, 5, 64), (17, 33, 64), (7, 16, 16), (8, 3, 8)] {
            let mut got = vec![MARK; width / 2 * width];
            // SAFETY: as above.
            unsafe { straight(from.as_ptr(), 70, (rows, columns), got.as_mut_ptr(), width) };
            for (at, &got) in got.iter().enumerate() {
                let (k, c) = (2 * (at / width), at % width);
                let number = |k: usize| if k < rows && c < columns { from[k * 70 + c] } else { 0.0 };
                assert_eq!(got, word(number(k), number(k + 1)), "weights straight {rows} x {columns}: {k}, {c}");
            }
        }
    }
}
