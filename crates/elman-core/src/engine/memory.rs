//! Buffers: aligned, on huge pages where the system gives them, kept between calls.

use crate::algebra::Element;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

/// A cache line, to which every buffer is aligned.
const LINE: usize = 64;
/// A huge page. Buffers of at least half of one are made of whole ones: page walks are half of one-row streaming's time
/// otherwise.
const HUGE: usize = 2 << 20;
/// From here on a buffer, which holds many steps, ends in small pages: it is no larger than asked.
const LONG: usize = 8 * HUGE;
/// A small page.
const PAGE: usize = 4096;

/// A buffer of numbers, aligned for registers and only ever grown.
pub(super) struct Buffer<F> {
    start: *mut F,
    layout: Option<Layout>,
}

// SAFETY: the buffer owns its memory like a `Vec<F>`; who writes what through `ptr` is the engine's business, which
// gives every thread its own columns or rows between barriers.
unsafe impl<F: Send> Send for Buffer<F> {}
// SAFETY: as above.
unsafe impl<F: Sync> Sync for Buffer<F> {}

impl<F> Default for Buffer<F> {
    fn default() -> Self {
        Buffer { start: core::ptr::dangling_mut(), layout: None }
    }
}

impl<F> Buffer<F> {
    /// Makes room for `len` numbers and returns their address. Contents are kept unless the buffer has to grow; then they
    /// are zero bytes.
    pub fn room(&mut self, len: usize) -> *mut F {
        if len * size_of::<F>() > self.bytes() {
            // Freed first, so that the peak is not the sum of both.
            self.free();
            let (bytes, align) = Self::place(len);
            let layout = Layout::from_size_align(bytes, align).expect("a buffer below the address space's size");
            // SAFETY: the size is not zero; the new memory is zeroed before anyone sees it.
            unsafe {
                let start = take(layout);
                if start.is_null() {
                    handle_alloc_error(layout);
                }
                start.write_bytes(0, layout.size());
                self.start = start.cast();
            }
            self.layout = Some(layout);
        }
        self.start
    }

    /// Bytes and alignment of a buffer with room for `len` numbers.
    fn place(len: usize) -> (usize, usize) {
        let bytes = len * size_of::<F>();
        match bytes {
            LONG.. => (bytes.next_multiple_of(PAGE), HUGE),
            _ if bytes >= HUGE / 2 => (bytes.next_multiple_of(HUGE), HUGE),
            _ => (bytes.next_multiple_of(LINE), LINE),
        }
    }

    /// Bytes that room for `len` numbers takes.
    pub fn size(len: usize) -> usize {
        Self::place(len).0
    }

    /// Bytes that it takes now.
    pub fn bytes(&self) -> usize {
        self.layout.map_or(0, |layout| layout.size())
    }

    /// The address of what [`room`](Buffer::room) made.
    pub fn ptr(&self) -> *mut F {
        self.start
    }

    fn free(&mut self) {
        if let Some(layout) = self.layout.take() {
            // SAFETY: allocated in `room` with this layout.
            unsafe { give(self.start.cast(), layout) };
            self.start = core::ptr::dangling_mut();
        }
    }
}

impl<F> Drop for Buffer<F> {
    fn drop(&mut self) {
        self.free();
    }
}

/// Memory of a layout, null where there is none. Huge pages come from the system itself: an allocator takes one more for its own notes.
///
/// # Safety
/// The size is not zero.
unsafe fn take(layout: Layout) -> *mut u8 {
    #[cfg(target_os = "linux")]
    if layout.align() == HUGE {
        let bytes = layout.size();
        // SAFETY: a new mapping, of which the parts before and after the buffer are given back; the advice changes no contents.
        unsafe {
            let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let mapped = libc::mmap(core::ptr::null_mut(), bytes + HUGE, access, kind, -1, 0);
            if mapped == libc::MAP_FAILED {
                return core::ptr::null_mut();
            }
            let before = mapped.addr().next_multiple_of(HUGE) - mapped.addr();
            let start = mapped.byte_add(before);
            if before > 0 {
                libc::munmap(mapped, before);
            }
            if before < HUGE {
                libc::munmap(start.byte_add(bytes), HUGE - before);
            }
            libc::madvise(start, bytes, libc::MADV_HUGEPAGE);
            return start.cast();
        }
    }
    // SAFETY: the caller's promise.
    unsafe { alloc(layout) }
}

/// Gives back what [`take`] gave.
///
/// # Safety
/// It did, with this layout, and nobody uses it.
unsafe fn give(start: *mut u8, layout: Layout) {
    #[cfg(target_os = "linux")]
    if layout.align() == HUGE {
        // SAFETY: the whole of a mapping that is ours.
        unsafe { libc::munmap(start.cast(), layout.size()) };
        return;
    }
    // SAFETY: the caller's promise.
    unsafe { dealloc(start, layout) };
}

/// Asks for the lines that hold `len` numbers, into the second cache. The processor asks by itself within a page of 4 KB; a step's
/// rows are short stretches of many pages.
#[inline(always)]
pub(super) fn ask<F>(ptr: *const F, len: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..len * size_of::<F>()).step_by(LINE) {
        // SAFETY: a prefetch reads nothing.
        unsafe {
            core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T1 }>(
                ptr.cast::<i8>().wrapping_add(line),
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (ptr, len);
}

/// How widths are cut for an instruction set: registers of `lanes` numbers, panels of `width` numbers.
///
/// Every matrix inside the engine is stored in panels: panel p holds columns `p * width ..`, row after row, so that a
/// product reads both its operands straight through. A row of lanes inside a panel is a *block*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panels {
    /// Numbers in a register.
    pub lanes: usize,
    /// Numbers in a row of a panel.
    pub width: usize,
}

impl Panels {
    /// Registers in a panel.
    pub fn vectors(self) -> usize {
        self.width / self.lanes
    }

    /// Panels that `columns` need.
    pub fn count(self, columns: usize) -> usize {
        columns.div_ceil(self.width)
    }

    /// Columns with the padding of the last panel.
    pub fn padded(self, columns: usize) -> usize {
        self.count(columns) * self.width
    }

    /// Registers that `columns` need.
    pub fn blocks(self, columns: usize) -> usize {
        columns.div_ceil(self.lanes)
    }

    /// Real columns of panel `p` of a matrix with `columns`.
    pub fn depth(self, columns: usize, p: usize) -> usize {
        self.width.min(columns - p * self.width)
    }
}

/// A matrix in panels somewhere in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<F> {
    pub ptr: *mut F,
    /// Rows of storage: the distance between panels is `rows * width`.
    pub rows: usize,
    pub width: usize,
}

impl<F> Matrix<F> {
    /// Address of a panel's row.
    pub fn at(&self, panel: usize, row: usize) -> *mut F {
        // Plain address arithmetic: whoever dereferences it answers for the bounds.
        self.ptr.wrapping_add((panel * self.rows + row) * self.width)
    }

    /// The same matrix from row `row` on.
    pub fn rows_from(self, row: usize) -> Matrix<F> {
        Matrix { ptr: self.at(0, row), ..self }
    }
}

/// The registers from block `blocks.start` to `blocks.end`, cut at panels: (panel, first register, registers).
pub(super) fn pieces(
    panels: Panels,
    blocks: core::ops::Range<usize>,
) -> impl DoubleEndedIterator<Item = (usize, usize, usize)> {
    let n = panels.vectors();
    (blocks.start / n..blocks.end.div_ceil(n)).filter_map(move |panel| {
        let first = blocks.start.max(panel * n);
        let last = blocks.end.min((panel + 1) * n);
        (first < last).then(|| (panel, first - panel * n, last - first))
    })
}

/// `to[k * stride + c] = from[c * columns + k]` for `rows` rows of `from`.
pub fn transpose<F: Element>(from: &[F], (rows, columns): (usize, usize), to: &mut [F], stride: usize) {
    const TILE: usize = 4;
    // Numbers of a row that are taken together: a cache line of f32.
    const RUN: usize = 16;
    let (whole_rows, whole_columns) = (rows / TILE * TILE, columns / TILE * TILE);
    for line in (0..whole_columns).step_by(RUN).map(|k| k..whole_columns.min(k + RUN)) {
        for c in (0..whole_rows).step_by(TILE) {
            for k in line.clone().step_by(TILE) {
                // Lengths that the compiler knows become shuffles of registers.
                let tile: [&[F; TILE]; TILE] =
                    core::array::from_fn(|i| from[(c + i) * columns + k..].first_chunk().expect("a tile"));
                for j in 0..TILE {
                    to[(k + j) * stride + c..][..TILE].copy_from_slice(&tile.map(|row| row[j]));
                }
            }
        }
    }
    for k in 0..columns {
        for c in if k < whole_columns { whole_rows } else { 0 }..rows {
            to[k * stride + c] = from[c * columns + k];
        }
    }
}

/// An address that threads share.
pub(super) struct Shared<F>(pub *mut F);
// SAFETY: each thread writes its own part; see `Run`.
unsafe impl<F> Sync for Shared<F> {}
impl<F> Shared<F> {
    /// The address (a method, so that a closure captures the wrapper and not the pointer inside).
    pub fn get(&self) -> *mut F {
        self.0
    }
}

/// Writes a row (zeros for none) into a matrix in panels, zero in the padding.
pub(super) unsafe fn write_row<F: Element>(to: Matrix<F>, row: usize, from: Option<&[F]>, width: usize) {
    for panel in 0..width.div_ceil(to.width) {
        let first = panel * to.width;
        let columns = to.width.min(width - first);
        // SAFETY: the caller's matrix has this row.
        let slot = unsafe { core::slice::from_raw_parts_mut(to.at(panel, row), to.width) };
        slot.fill(F::constant(0.0));
        if let Some(from) = from {
            slot[..columns].copy_from_slice(&from[first..first + columns]);
        }
    }
}

/// Reads a row of a matrix in panels.
pub(super) unsafe fn read_row<F: Element>(from: Matrix<F>, row: usize, to: &mut [F]) {
    for (panel, part) in to.chunks_mut(from.width).enumerate() {
        // SAFETY: the caller's matrix has this row.
        part.copy_from_slice(unsafe { core::slice::from_raw_parts(from.at(panel, row), part.len()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_every_size_are_aligned_zeroed_and_kept() {
        for bytes in [4, HUGE / 2 - 4, HUGE / 2, HUGE + 4, LONG - 4, LONG, LONG + PAGE + 4] {
            let (len, mut buffer) = (bytes / 4, Buffer::<f32>::default());
            let start = buffer.room(len);
            let (align, most) = match bytes {
                LONG.. => (HUGE, bytes.next_multiple_of(PAGE)),
                _ if bytes >= HUGE / 2 => (HUGE, bytes.next_multiple_of(HUGE)),
                _ => (LINE, bytes.next_multiple_of(LINE)),
            };
            assert!(start.addr().is_multiple_of(align), "{bytes}");
            assert_eq!((buffer.bytes(), Buffer::<f32>::size(len)), (most, most), "{bytes}");
            // SAFETY: the room that was made.
            let values = unsafe { core::slice::from_raw_parts_mut(start, len) };
            assert!(values.iter().all(|&v| v == 0.0), "{bytes}");
            values.fill(1.0);
            assert_eq!((buffer.room(len - 1), buffer.room(len)), (start, start), "{bytes}: kept");
            // SAFETY: as above; then a larger room.
            assert_eq!(unsafe { (*start, *start.add(len - 1)) }, (1.0, 1.0));
            let more = most / 4 + 1;
            assert_eq!(unsafe { (*buffer.room(more), *buffer.ptr().add(more - 1)) }, (0.0, 0.0), "{bytes}: grown");
        }
    }
}
