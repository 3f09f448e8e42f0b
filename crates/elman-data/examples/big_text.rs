//! Shows that a text larger than memory would allow is mapped and never held whole: generates a UTF-8 file (2 GB unless
//! told otherwise), opens it, reads the first batch, and prints the time and the memory.
//!
//! ```text
//! cargo run --release -p elman-data --example big_text -- [GIGABYTES] [FOLDER]
//! ```

use elman_data::{Split, Streams, Text};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let gigabytes: f64 = arguments.next().map_or(Ok(2.0), |a| a.parse())?;
    let folder = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let path = folder.join("elman-big-text.txt");
    generate(&path, (gigabytes * 1e9) as usize)?;

    let start = Instant::now();
    let text = Text::open(&path)?;
    let opened = start.elapsed();
    let split = Split::new(text.len(), 0.1);
    let (mut streams, _) = Streams::new(split.train, 64, 100)?;
    let mut ids = vec![0; 6400];
    let mut targets = vec![0; 6400];
    streams.window(&text, |c| Some(c as u32), &mut ids, &mut targets)?;
    let first = start.elapsed();
    let batch = Instant::now();
    for _ in 0..100 {
        streams.window(&text, |c| Some(c as u32), &mut ids, &mut targets)?;
    }
    println!("{} bytes, {} characters, {} distinct", text.len_bytes(), text.len(), text.counts().len());
    println!("opened after {opened:.1?}, first batch after {first:.1?}, then {:.0?} a batch", batch.elapsed() / 100);
    // Linux tells apart what is ours (anonymous) and what is the file's (mapped, given back whenever others need it).
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        for line in status.lines().filter(|l| ["VmHWM", "RssAnon", "RssFile"].iter().any(|k| l.starts_with(k))) {
            println!("{line}");
        }
    }
    fs::remove_file(&path)?;
    Ok(())
}

/// Words of several scripts in a fixed pseudo-random order.
fn generate(path: &std::path::Path, bytes: usize) -> std::io::Result<()> {
    let words = [
        "the ",
        "network ",
        "naïve ",
        "Zürich\n",
        "сеть ",
        "память\n",
        "記憶",
        "ネット",
        "→ ",
        "🙂 ",
        "state, ",
        "gate. ",
    ];
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut written = 0;
    let mut random = 1u64;
    while written < bytes {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let word = words[(random >> 33) as usize % words.len()].as_bytes();
        file.write_all(word)?;
        written += word.len();
    }
    file.flush()
}
