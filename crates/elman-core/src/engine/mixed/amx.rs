//! The kernel of AMX: two by two tiles of sums, 32 rows by 32 columns.
//!
//! A tile register is 16 rows of 64 bytes. TDPBF16PS adds to a tile of f32 sums (16, 16) the product of a tile of A (16 rows, 16
//! pairs) and one of B (16 pairs, 16 columns), which is how both stand in memory here.
//!
//! The intrinsics are not stable, so that each instruction is a line of inline assembly. The compiler has no type that lives in
//! a tile register and never uses one by itself: between these lines they keep what they hold.

use super::Block;

/// Whether the processor has the instructions and this process may use them.
///
/// # Errors
/// The processor has them and the operating system refuses.
pub(super) fn present() -> Result<bool, String> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    return x86::present();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    Ok(false)
}

/// # Safety
/// `present` gave true, and the block's addresses are valid for its extents.
pub(super) unsafe fn run(block: &Block) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    // SAFETY: the caller's promise.
    unsafe {
        x86::run(block);
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    {
        let _ = block;
        unreachable!("found on x86-64 Linux only");
    }
}

/// What the kernel needs of tile registers 0 to 7, each of 16 rows of 16 words.
#[cfg(all(target_arch = "x86_64", any(target_os = "linux", test)))]
trait Tiles {
    /// Loads 16 rows of 16 words, `stride` words apart.
    ///
    /// # Safety
    /// The rows can be read; so below.
    unsafe fn load<const T: usize>(&mut self, from: *const u32, stride: usize);
    /// Stores 16 rows.
    unsafe fn store<const T: usize>(&mut self, to: *mut u32, stride: usize);
    /// `C += A B`.
    unsafe fn dot<const C: usize, const A: usize, const B: usize>(&mut self);
}

#[cfg(all(target_arch = "x86_64", any(target_os = "linux", test)))]
mod tiles {
    use super::super::{Block, TILE, TILE_SIZE};
    use super::Tiles;

    /// Sums stand in tiles 0 to 3 (row by row), A in 4 and 5, B in 6 and 7.
    ///
    /// # Safety
    /// The processor has what `T` needs; the block's addresses are valid for its extents.
    pub unsafe fn every_block<T: Tiles>(tiles: &mut T, block: &Block) {
        let mut row = 0;
        while row < block.rows {
            let tall = block.rows - row > TILE;
            let mut column = 0;
            while column < block.columns {
                let wide = block.columns - column > TILE;
                // SAFETY: the caller's promise.
                unsafe {
                    match (tall, wide) {
                        (true, true) => one_block::<T, 2, 2>(tiles, block, row, column),
                        (true, false) => one_block::<T, 2, 1>(tiles, block, row, column),
                        (false, true) => one_block::<T, 1, 2>(tiles, block, row, column),
                        (false, false) => one_block::<T, 1, 1>(tiles, block, row, column),
                    }
                }
                column += 2 * TILE;
            }
            row += 2 * TILE;
        }
    }

    unsafe fn one_block<T: Tiles, const M: usize, const N: usize>(t: &mut T, block: &Block, row: usize, column: usize) {
        // SAFETY: the caller's promise; rows of C beyond the block's go through `part`.
        unsafe {
            sums::<T, 0>(t, block, row, column, false);
            if N == 2 {
                sums::<T, 1>(t, block, row, column + TILE, false);
            }
            if M == 2 {
                sums::<T, 2>(t, block, row + TILE, column, false);
            }
            if M == 2 && N == 2 {
                sums::<T, 3>(t, block, row + TILE, column + TILE, false);
            }
            let mut a = block.a.wrapping_add(row / TILE * block.chunks * TILE_SIZE);
            for strip in block.strips {
                let mut b = strip.b.add(column);
                for _ in 0..strip.chunks() {
                    t.load::<4>(a, TILE);
                    t.load::<6>(b, block.width);
                    t.dot::<0, 4, 6>();
                    if N == 2 {
                        t.load::<7>(b.add(TILE), block.width);
                        t.dot::<1, 4, 7>();
                    }
                    if M == 2 {
                        t.load::<5>(a.add(block.chunks * TILE_SIZE), TILE);
                        t.dot::<2, 5, 6>();
                    }
                    if M == 2 && N == 2 {
                        t.dot::<3, 5, 7>();
                    }
                    a = a.wrapping_add(TILE_SIZE);
                    b = b.wrapping_add(TILE * block.width);
                }
            }
            sums::<T, 0>(t, block, row, column, true);
            if N == 2 {
                sums::<T, 1>(t, block, row, column + TILE, true);
            }
            if M == 2 {
                sums::<T, 2>(t, block, row + TILE, column, true);
            }
            if M == 2 && N == 2 {
                sums::<T, 3>(t, block, row + TILE, column + TILE, true);
            }
        }
    }

    /// Loads a tile of what the sums start from, or stores one of sums.
    unsafe fn sums<T: Tiles, const C: usize>(t: &mut T, block: &Block, row: usize, column: usize, store: bool) {
        let rows = (block.rows - row).min(TILE);
        // SAFETY: rows below the block's, or those of `part`.
        unsafe {
            let c = block.c.add(row * block.stride + column).cast::<u32>();
            let start = block.start.add(row * block.start_stride + column).cast::<u32>();
            if rows == TILE {
                if store {
                    t.store::<C>(c, block.stride);
                } else {
                    t.load::<C>(start, block.start_stride);
                }
                return;
            }
            // Fewer rows than a tile has: through a whole tile.
            let mut part = [0u32; TILE_SIZE];
            if store {
                t.store::<C>(part.as_mut_ptr(), TILE);
                for r in 0..rows {
                    c.add(r * block.stride).copy_from_nonoverlapping(part.as_ptr().add(r * TILE), TILE);
                }
            } else {
                for r in 0..rows {
                    part.as_mut_ptr().add(r * TILE).copy_from_nonoverlapping(start.add(r * block.start_stride), TILE);
                }
                t.load::<C>(part.as_ptr(), TILE);
            }
        }
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod x86 {
    use super::super::Block;
    use super::{Tiles, tiles};
    use core::arch::asm;
    use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    /// CPUID leaf 7, EDX.
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    /// CPUID leaf 1, ECX: the operating system saves extended state, XGETBV can be used.
    const OSXSAVE: u32 = 1 << 27;
    /// XCR0: the tiles' configuration and the tiles.
    const TILE_STATE: u64 = 1 << 17 | 1 << 18;
    /// `arch_prctl`: asks for the permission to use a component of the extended state, for all threads of the process.
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;

    pub fn present() -> Result<bool, String> {
        if __cpuid(0).eax < 7 {
            return Ok(false);
        }
        let features = __cpuid_count(7, 0).edx;
        if features & AMX_BF16 == 0 || features & AMX_TILE == 0 {
            return Ok(false);
        }
        if __cpuid(1).ecx & OSXSAVE == 0 {
            return Err("the operating system does not keep its registers".into());
        }
        // SAFETY: OSXSAVE says that the instruction is there.
        if unsafe { xcr0() } & TILE_STATE != TILE_STATE {
            return Err("the operating system does not keep its registers".into());
        }
        // SAFETY: the call has two numbers as arguments and changes a permission of this process.
        let refused = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) } != 0;
        match refused {
            true => Err(format!("the kernel does not permit it ({})", std::io::Error::last_os_error())),
            false => Ok(true),
        }
    }

    #[target_feature(enable = "xsave")]
    unsafe fn xcr0() -> u64 {
        // SAFETY: the caller's promise.
        unsafe { _xgetbv(0) }
    }

    /// What LDTILECFG reads: all eight tiles of 16 rows of 64 bytes.
    #[repr(C, align(64))]
    struct Configuration {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        row_bytes: [u16; 16],
        rows: [u8; 16],
    }

    const EIGHT_TILES: Configuration = Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
        rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
    };

    /// Configures the tiles of this thread, and releases them at the end: a thread that holds none costs nothing more at a switch.
    ///
    /// # Safety
    /// `present` gave true, and the block's addresses are valid for its extents.
    pub unsafe fn run(block: &Block) {
        static CONFIGURATION: Configuration = EIGHT_TILES;
        // SAFETY: the configuration is the 64 bytes that the instruction reads; the rest is the caller's promise.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, preserves_flags));
            tiles::every_block(&mut Instructions, block);
            asm!("tilerelease", options(nostack, preserves_flags));
        }
    }

    /// The instructions.
    struct Instructions;

    impl Tiles for Instructions {
        #[inline(always)]
        unsafe fn load<const T: usize>(&mut self, from: *const u32, stride: usize) {
            // SAFETY: the tiles are configured; the caller's rows can be read.
            unsafe {
                asm!("tileloadd tmm{t}, [{from} + {stride}*1]", t = const T, from = in(reg) from, stride = in(reg) 4 * stride,
                     options(nostack, preserves_flags));
            }
        }
        #[inline(always)]
        unsafe fn store<const T: usize>(&mut self, to: *mut u32, stride: usize) {
            // SAFETY: the tiles are configured; the caller's rows can be written.
            unsafe {
                asm!("tilestored [{to} + {stride}*1], tmm{t}", t = const T, to = in(reg) to, stride = in(reg) 4 * stride,
                     options(nostack, preserves_flags));
            }
        }
        #[inline(always)]
        unsafe fn dot<const C: usize, const A: usize, const B: usize>(&mut self) {
            // SAFETY: the tiles are configured.
            unsafe {
                asm!("tdpbf16ps tmm{c}, tmm{a}, tmm{b}", c = const C, a = const A, b = const B,
                     options(nostack, preserves_flags));
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        core::arch::global_asm!(
            ".globl elman_core_test_amx_bytes",
            "elman_core_test_amx_bytes:",
            "ldtilecfg [rdx]",
            "tileloadd tmm4, [rdi + rsi*1]",
            "tdpbf16ps tmm1, tmm4, tmm6",
            "tilestored [rdi + rsi*1], tmm1",
            "tilerelease",
        );
        unsafe extern "C" {
            #[link_name = "elman_core_test_amx_bytes"]
            static BYTES: [u8; 27];
        }

        /// The encodings by hand from Intel's manual (volume 2, VEX.128 map 0F38, W0): LDTILECFG `NP 49 !(11):000:bbb`, TILELOADD
        /// `F2 4B !(11):rrr:100`, TDPBF16PS `F3 5C 11:rrr:bbb` with sums in rrr, A in bbb and B in vvvv, TILESTORED `F3 4B
        /// !(11):rrr:100`, TILERELEASE `NP 49 C0`.
        #[test]
        fn the_assembler_knows_the_instructions() {
            let vex = |vvvv: u8, prefix: u8| [0xc4, 0xe2, (!vvvv & 15) << 3 | prefix];
            let (none, f3, f2) = (0, 2, 3);
            let modrm = |mode: u8, reg: u8, rm: u8| mode << 6 | reg << 3 | rm;
            let sib = modrm(0, 6, 7);
            let mut want = Vec::new();
            want.extend(vex(0, none).into_iter().chain([0x49, modrm(0, 0, 2)]));
            want.extend(vex(0, f2).into_iter().chain([0x4b, modrm(0, 4, 4), sib]));
            want.extend(vex(6, f3).into_iter().chain([0x5c, modrm(3, 1, 4)]));
            want.extend(vex(0, f3).into_iter().chain([0x4b, modrm(0, 1, 4), sib]));
            want.extend(vex(0, none).into_iter().chain([0x49, modrm(3, 0, 0)]));
            // SAFETY: as many bytes as the five instructions have.
            assert_eq!(unsafe { BYTES }.as_slice(), want);
        }

        #[test]
        fn the_configuration_is_laid_out_as_the_manual_has_it() {
            // SAFETY: 64 bytes without padding.
            let bytes = unsafe { core::mem::transmute::<Configuration, [u8; 64]>(EIGHT_TILES) };
            assert_eq!((bytes[0], bytes[1]), (1, 0));
            for tile in 0..8 {
                assert_eq!((bytes[16 + 2 * tile], bytes[17 + 2 * tile], bytes[48 + tile]), (64, 0, 16));
            }
            let rest = bytes[2..16].iter().chain(&bytes[32..48]).chain(&bytes[56..]);
            assert!(rest.into_iter().all(|&b| b == 0));
        }
    }
}

/// The same loops on tile registers in memory.
#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::super::check::{Case, compare};
    use super::super::plain::halves;
    use super::super::{TILE, TILE_SIZE};
    use super::*;

    struct Simulated([[u32; TILE_SIZE]; 8]);

    impl Tiles for Simulated {
        unsafe fn load<const T: usize>(&mut self, from: *const u32, stride: usize) {
            for row in 0..TILE {
                // SAFETY: the caller's promise.
                let from = unsafe { core::slice::from_raw_parts(from.add(row * stride), TILE) };
                self.0[T][row * TILE..][..TILE].copy_from_slice(from);
            }
        }
        unsafe fn store<const T: usize>(&mut self, to: *mut u32, stride: usize) {
            for row in 0..TILE {
                // SAFETY: the caller's promise.
                let to = unsafe { core::slice::from_raw_parts_mut(to.add(row * stride), TILE) };
                to.copy_from_slice(&self.0[T][row * TILE..][..TILE]);
            }
        }
        /// TDPBF16PS in the manual's words: even and odd products are summed apart, their sum is added.
        unsafe fn dot<const C: usize, const A: usize, const B: usize>(&mut self) {
            for m in 0..TILE {
                let mut sums = [(0.0f32, 0.0f32); TILE];
                for k in 0..TILE {
                    let (a_even, a_odd) = halves(self.0[A][m * TILE + k]);
                    for (n, sum) in sums.iter_mut().enumerate() {
                        let (b_even, b_odd) = halves(self.0[B][k * TILE + n]);
                        *sum = (sum.0 + a_even * b_even, sum.1 + a_odd * b_odd);
                    }
                }
                for (n, sum) in sums.iter().enumerate() {
                    let c = &mut self.0[C][m * TILE + n];
                    *c = (f32::from_bits(*c) + (sum.0 + sum.1)).to_bits();
                }
            }
        }
    }

    #[test]
    fn its_loops_agree_with_the_plain_kernel() {
        for case in Case::all() {
            // SAFETY: the case's block is valid, and nothing is asked of the processor.
            let kernel = |block: &Block| unsafe { tiles::every_block(&mut Simulated([[7; TILE_SIZE]; 8]), block) };
            compare(&case, &kernel, case.bound()).unwrap();
        }
    }
}
