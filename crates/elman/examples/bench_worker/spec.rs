//! What a work is, and the numbers in it, which every peer makes in the same way from a name and an index.

use elman::{Bf16Kernel, Recompute, Runtime};
use elman_core::engine::Engine;
use elman_core::{Cell, Layer, Sizes};
use serde_json::Value;
use std::sync::Arc;

/// The description of a work.
pub struct Spec(pub Value);

impl Spec {
    pub fn text(&self, key: &str) -> &str {
        self.0[key].as_str().unwrap_or_else(|| panic!("the work has no text `{key}`"))
    }

    pub fn number(&self, key: &str) -> usize {
        self.0[key].as_u64().unwrap_or_else(|| panic!("the work has no whole number `{key}`")) as usize
    }

    pub fn real(&self, key: &str) -> f64 {
        self.0[key].as_f64().unwrap_or_else(|| panic!("the work has no number `{key}`"))
    }

    pub fn cell(&self) -> Arc<dyn Cell> {
        (elman::cells::find(self.text("cell")).expect("a registered cell").make)()
    }

    pub fn layer(&self) -> Layer {
        Layer::new(self.cell(), Sizes::new(self.number("I"), self.number("H"))).expect("sizes are not zero")
    }

    /// The number of valid steps of each row; none: all.
    pub fn lengths(&self) -> Option<Arc<[usize]>> {
        let lengths = self.0["lengths"].as_array()?;
        Some(lengths.iter().map(|l| l.as_u64().expect("a whole number") as usize).collect())
    }

    /// Valid steps of all rows.
    pub fn rows(&self) -> usize {
        self.lengths().map_or(self.number("T") * self.number("B"), |l| l.iter().sum())
    }

    /// What is kept for backward; none: everything.
    pub fn recompute(&self) -> Recompute {
        self.0["recompute"].as_str().map_or(Recompute::Never, |text| text.parse().expect("a way to recompute"))
    }

    /// What takes the products in mixed precision: where the work asks for it and the machine has it.
    fn bf16(&self) -> Option<Bf16Kernel> {
        (self.0["precision"] == "bf16").then(|| Bf16Kernel::detect().ok())?
    }

    /// The precision that runs, where the work asks for one.
    pub fn ran(&self) -> Option<String> {
        let ran = self.bf16().map_or("f32".to_string(), |kernel| format!("bf16, {kernel}"));
        self.0["precision"].as_str().map(|_| ran)
    }

    pub fn engine(&self) -> Engine {
        let engine = Engine::new(self.number("threads"));
        match self.bf16() {
            Some(kernel) => engine.with_bf16(kernel),
            None => engine,
        }
    }

    pub fn runtime(&self) -> Arc<Runtime> {
        let threads = self.number("threads");
        self.bf16().map_or_else(|| Runtime::new(threads), |kernel| Runtime::with_bf16(threads, kernel))
    }

    /// The mask on the recurrent source (B, H): zero or 1 / (1 - 0.25), where the work has one.
    pub fn mask(&self) -> Option<Vec<f32>> {
        let n = self.number("B") * self.number("H");
        (self.0["mask"] == true)
            .then(|| tokens("mask", n, 4).iter().map(|&u| if u == 0 { 0.0 } else { 4.0 / 3.0 }).collect())
    }

    /// The values of a parameter: uniform in ±1/√H, the embedding in ±1.
    pub fn parameter(&self, name: &str, n: usize) -> Vec<f32> {
        let scale = if name == "embedding.weight" { 1.0 } else { 1.0 / (self.number("H") as f32).sqrt() };
        values(name, n, scale)
    }
}

/// FNV-1a of a name, mixed with an index by the finaliser of MurmurHash3.
fn mix(name: &str) -> impl Fn(u32) -> u32 {
    let salt = name.bytes().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    move |i| {
        let mut x = i.wrapping_mul(0x9e37_79b1).wrapping_add(salt);
        x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
        x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
        x ^ (x >> 16)
    }
}

/// Numbers in [-scale, scale), of 24 bits.
pub fn values(name: &str, n: usize, scale: f32) -> Vec<f32> {
    let mix = mix(name);
    (0..n as u32).map(|i| ((mix(i) >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale).collect()
}

/// Whole numbers below `below`.
pub fn tokens(name: &str, n: usize, below: u32) -> Vec<u32> {
    let mix = mix(name);
    (0..n as u32).map(|i| mix(i) % below).collect()
}

/// Up to 257 of the values, evenly spread from the first to the last.
pub fn sample(values: &[f32]) -> Vec<f32> {
    let n = values.len().min(257);
    (0..n).map(|k| values[k * (values.len() - 1) / (n - 1).max(1)]).collect()
}
