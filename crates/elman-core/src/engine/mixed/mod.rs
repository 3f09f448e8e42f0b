//! Matrix products in mixed precision: operands rounded to bf16, sums in f32.
//!
//! bf16 is the upper half of an f32: its exponent, 8 bits of precision. Rounding to nearest even moves a number by at most
//! 2^-8 of itself. The product of two bf16 numbers is exact in
//! f32, so that a product in mixed precision differs from one in f32 by the rounding of its operands alone, apart from the
//! order of its sums. Equations, sums, states, gradients and parameters stay f32. As the range of exponents is that of f32,
//! nothing overflows that did not before, and the loss needs no scaling, as it would in f16.
//!
//! Numbers stand in pairs along the inner dimension: a word holds element 2k in its lower half and 2k + 1 in its upper
//! half. An odd depth ends in a pair with a zero. Every kernel reads the same layouts:
//!
//! * A: tiles [block of 16 rows][chunk of 16 pairs][row][pair], converted into a thread's scratch for each product;
//! * B: [pair][column], at the panel's distance; weights are packed so once a pass, inputs once for a chunk of steps, states too where each of its
//!   steps has at least 16 rows, and else in scratch.
//!
//! | file | what |
//! | --- | --- |
//! | `pairs.rs` | rounding, and numbers into these layouts |
//! | `product.rs` | one product: conversion, start of the sums, a kernel for each panel |
//! | `plain.rs` | the kernel in plain Rust: the meaning of the others |
//! | `avx512.rs` | the kernel of AVX512-BF16 |
//! | `amx.rs` | the kernel of AMX, and the permission to use it |
//! | `check.rs` | a kernel proves itself before it is used |
//!
//! **Order of sums.** An element is one chain over the pairs in their order ([`Bf16Kernel::Amx`]: over chunks of 16 pairs,
//! inside of which even and odd elements are summed apart). It depends on neither rows nor columns nor threads: one kernel
//! gives the same bits for any number of threads, and for a sequence, its chunks and a row alone. Two kernels differ in
//! rounding.
//!
//! **Denormals.** The instructions take denormal operands for zeros and flush denormal sums. Conversion flushes operands for
//! all kernels alike; the plain kernel keeps denormal sums, a difference of at most 2^-126 a step of the chain.
//!
//! **What has run.** AVX512-BF16 on processors that have it. AMX not yet: its loops are tested with the instructions replaced by what
//! the manual says they compute, and its machine code was run once under an emulator, with the bits that the manual asks for; asking the system for
//! permission was not. `check.rs` compares each kernel with the plain one on the processor it is to run on, before its first use: one that
//! disagrees is not used.

mod amx;
mod avx512;
mod check;
pub(super) mod pairs;
mod plain;
mod product;

pub(super) use product::{Right, multiply};

use crate::algebra::lanes::Isa;
use core::fmt;
use std::sync::OnceLock;

/// What computes products of bf16 numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bf16Kernel {
    /// Tiles of 16 rows and 16 columns: TDPBF16PS. Linux only, where a process asks the kernel for permission.
    Amx,
    /// Registers of 16 columns: VDPBF16PS.
    Avx512,
    /// Plain Rust, on any processor: for tests. It is slower than products in f32.
    Plain,
}

impl fmt::Display for Bf16Kernel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Bf16Kernel::Amx => "AMX",
            Bf16Kernel::Avx512 => "AVX512-BF16",
            Bf16Kernel::Plain => "plain",
        })
    }
}

/// Why no bf16 instructions can be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoBf16(String);

/// The kernels that passed their check, fastest first, and why the others are not among them.
struct Found {
    kernels: Vec<Bf16Kernel>,
    reasons: Vec<String>,
}

fn found() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let (mut kernels, mut reasons) = (Vec::new(), Vec::new());
        for (kernel, present) in [(Bf16Kernel::Amx, amx::present()), (Bf16Kernel::Avx512, avx512::present())] {
            let usable = match present {
                Ok(true) if !Isa::available().into_iter().any(|isa| kernel.fits(isa)) => {
                    Err("it needs AVX-512 besides".into())
                }
                Ok(true) => check::check(kernel),
                Ok(false) => continue,
                Err(reason) => Err(reason),
            };
            match usable {
                Ok(()) => kernels.push(kernel),
                Err(reason) => reasons.push(format!("{kernel} is not used: {reason}")),
            }
        }
        Found { kernels, reasons }
    })
}

impl Bf16Kernel {
    /// The fastest kernel of bf16 instructions that the processor has, the operating system allows and that passed its
    /// check against the plain one. Looked for once in a process.
    ///
    /// # Errors
    /// There is none; the error says why, in a clause without a full stop.
    pub fn detect() -> Result<Bf16Kernel, NoBf16> {
        let Found { kernels, reasons } = found();
        kernels.first().copied().ok_or_else(|| {
            NoBf16(match reasons.is_empty() {
                true => "this processor has neither AMX nor AVX512-BF16".into(),
                false => reasons.join("; "),
            })
        })
    }

    /// All kernels that can run here, fastest first; the last is [`Bf16Kernel::Plain`].
    pub fn available() -> Vec<Bf16Kernel> {
        found().kernels.iter().copied().chain([Bf16Kernel::Plain]).collect()
    }

    /// Whether it can run with the registers and panels of an instruction set.
    pub fn fits(self, isa: Isa) -> bool {
        #[cfg(target_arch = "x86_64")]
        let wide = isa == Isa::Avx512;
        #[cfg(not(target_arch = "x86_64"))]
        let wide = {
            let _ = isa;
            false
        };
        self == Bf16Kernel::Plain || wide
    }
}

/// One panel's part of a product: `c = start + A B`.
struct Block<'a> {
    /// A in tiles; the rows of the last block beyond `rows` hold anything.
    a: *const u32,
    rows: usize,
    /// Tiles of a block of rows.
    chunks: usize,
    /// B in stretches of depth, in the order of A's chunks.
    strips: &'a [Strip],
    /// From one row of B to the next.
    width: usize,
    /// A multiple of a register.
    columns: usize,
    /// What the sums start from, row by row; it can be `c`.
    start: *const f32,
    start_stride: usize,
    c: *mut f32,
    stride: usize,
}

/// A stretch of B: `pairs` rows of pairs. Up to the next multiple of 16 rows can be read and are zero, where the width is that of
/// AVX-512.
#[derive(Clone, Copy, Debug)]
struct Strip {
    b: *const u32,
    pairs: usize,
}

/// Rows of a tile, and pairs in one of its rows.
pub(super) const TILE: usize = 16;
/// Numbers of a panel's row at most.
const WIDEST: usize = 64;
/// Words of a tile.
const TILE_SIZE: usize = TILE * TILE;

impl Strip {
    fn chunks(self) -> usize {
        self.pairs.div_ceil(TILE)
    }
}

/// Runs a kernel.
///
/// # Safety
/// It is one of [`Bf16Kernel::available`], and the block's addresses are valid for its extents.
unsafe fn run(kernel: Bf16Kernel, block: &Block) {
    // SAFETY: the caller's promise.
    unsafe {
        match kernel {
            Bf16Kernel::Plain => plain::run(block),
            Bf16Kernel::Avx512 => avx512::run(block),
            Bf16Kernel::Amx => amx::run(block),
        }
    }
}
