//! Hopfield networks at work: pictures recalled from noise, how much can be stored, and the modern network beside them.
//!
//! `cargo run --release -p elman --example hopfield -- [UNITS]` (default 500 units for the capacity curves)

use elman::Random;
use elman::network::hopfield::{
    CapacityCurve, CapacitySettings, Hopfield, HopfieldError, Outcome, Patterns, Storage, Update, add_noise, overlap,
};
use elman::network::modern_hopfield::{ModernHopfield, ModernHopfieldError};

const SIDE: usize = 10;

#[rustfmt::skip]
const PICTURES: [[&str; SIDE]; 5] = [
    ["....##....", "...####...", "..##..##..", ".##....##.", ".##....##.", ".########.", ".########.", ".##....##.", ".##....##.", ".##....##."],
    ["..######..", ".########.", "##......##", "##......##", "##......##", "##......##", "##......##", "##......##", ".########.", "..######.."],
    ["##########", "##########", "....##....", "....##....", "....##....", "....##....", "....##....", "....##....", "....##....", "....##...."],
    ["##......##", ".##....##.", "..##..##..", "...####...", "....##....", "....##....", "...####...", "..##..##..", ".##....##.", "##......##"],
    ["#.#.#.#.#.", ".#.#.#.#.#", "#.#.#.#.#.", ".#.#.#.#.#", "#.#.#.#.#.", ".#.#.#.#.#", "#.#.#.#.#.", ".#.#.#.#.#", "#.#.#.#.#.", ".#.#.#.#.#"],
];

fn signs(picture: &[&str; SIDE]) -> Vec<i8> {
    picture.iter().flat_map(|line| line.chars().map(|c| if c == '#' { 1 } else { -1 })).collect()
}

fn print(pictures: &[&[i8]]) {
    for y in 0..SIDE {
        let line = |p: &&[i8]| p[y * SIDE..][..SIDE].iter().map(|&v| if v > 0 { '#' } else { '.' }).collect::<String>();
        println!("  {}", pictures.iter().map(line).collect::<Vec<_>>().join("    "));
    }
}

fn pictures() -> Result<(), HopfieldError> {
    let stored = Patterns::new(&PICTURES.iter().map(signs).collect::<Vec<_>>())?;
    let mut random = Random::new(1, "hopfield/pictures");
    for (name, storage) in [("Hebb's rule", Storage::Hebbian), ("the pseudo-inverse", Storage::PseudoInverse)] {
        let network = Hopfield::store(&stored, storage);
        println!("\n{} pictures of {} units stored by {name}.", stored.count(), stored.units());
        println!("Stored, with a fifth of the units turned over, recalled:");
        for p in 0..stored.count() {
            let picture = stored.get(p);
            let mut noisy = picture.clone();
            add_noise(&mut noisy, 0.2, &mut random);
            let recall = network.recall(&noisy, Update::InRandomOrder(&mut random), 100)?;
            println!();
            print(&[&picture, &noisy, &recall.state]);
            let outcome = match recall.outcome {
                Outcome::FixedPoint => "a fixed point",
                Outcome::TwoCycle => "a cycle of two states",
                Outcome::Unsettled => "no end yet",
            };
            println!(
                "  {outcome} after {} sweeps; energy {:.2} -> {:.2}; overlap {:.2}",
                recall.sweeps,
                network.energy(&noisy),
                network.energy(&recall.state),
                overlap(&recall.state, &picture)
            );
        }
    }
    Ok(())
}

fn capacity(units: usize) -> Result<(), HopfieldError> {
    let hebbian = vec![0.02, 0.05, 0.08, 0.10, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.18, 0.20];
    let projection = vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
    for (name, storage, loads) in
        [("Hebb's rule", Storage::Hebbian, hebbian), ("the pseudo-inverse", Storage::PseudoInverse, projection)]
    {
        for noise in [0.0, 0.1] {
            let loads = loads.clone();
            let settings = CapacitySettings { units, loads, noise, networks: 2, recalls: 25, sweeps: 100, storage };
            let curve = CapacityCurve::measure(&settings, 1)?;
            println!(
                "\nCapacity of {name}, {units} units, recall with {:.0} % of the units turned over:",
                noise * 100.0
            );
            println!("  P/N    stable  overlap  retrieved");
            for p in &curve.points {
                let bar = "#".repeat((p.overlap.max(0.0) * 40.0).round() as usize);
                println!("  {:.3}  {:5.2}   {:5.3}    {:5.2}  {bar}", p.load, p.stable, p.overlap, p.retrieved);
            }
            if let Some(critical) = curve.critical_load() {
                println!("  critical load (the overlap falls through 0.967): {critical:.3}");
            }
            if storage == Storage::Hebbian {
                println!("  published for infinitely many units: 0.138");
            }
        }
    }
    Ok(())
}

fn modern() -> Result<(), ModernHopfieldError> {
    println!("\nThe modern network (beta = 1): random patterns of D signs, a tenth of them turned over, one update.");
    println!("   D   patterns N = 2^(D/4)   0.138 D   all signs right");
    let mut random = Random::new(1, "hopfield/modern");
    for width in [20, 30, 40, 50, 60] {
        let count = 1usize << (width / 4);
        let sign = |random: &mut Random| if random.word() & 1 == 1 { 1.0 } else { -1.0 };
        let patterns: Vec<Vec<f64>> = (0..count).map(|_| (0..width).map(|_| sign(&mut random)).collect()).collect();
        let memory = ModernHopfield::new(&patterns, 1.0)?;
        let tried = count.min(200);
        let mut right = 0;
        for pattern in &patterns[..tried] {
            let mut cue = pattern.clone();
            cue.iter_mut().take(width / 10).for_each(|v| *v = -*v);
            let state = memory.update(&cue)?;
            right += usize::from(state.iter().zip(pattern).all(|(s, p)| s * p > 0.0));
        }
        println!("  {width:2}   {count:20}   {:7.1}   {right} of {tried}", 0.138 * width as f64);
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let units = match std::env::args().nth(1) {
        None => 500,
        Some(text) => text.parse().map_err(|_| format!("UNITS is `{text}`; it must be a whole number, 1 or more"))?,
    };
    pictures()?;
    capacity(units)?;
    modern()?;
    Ok(())
}
