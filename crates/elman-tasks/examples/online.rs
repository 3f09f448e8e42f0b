//! Learning from a stream that changes, in constant memory: the error before and after each change beside a frozen model, the speed, and the resident
//! memory.
//!
//! ```text
//! cargo run --release -p elman-tasks --example online [-- CELL [METHOD [STEPS]]]
//! ```
//!
//! CELL is a registered cell (elman by default, 32 units), METHOD one of rtrl, snap1, uoro, truncated (rtrl), STEPS the length of the stream
//! (200,000). The stream is a resonance whose frequency changes every 20,000 steps; the frozen model is the same one after the first frequency.
//! Errors are mean squared ones over the least possible.

use elman::online::{Input, Method, Online, OnlineConfig, OnlineError, Target};
use elman::{Sizes, cells};
use elman_data::synthetic::drifting::Drifting;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

const PERIOD: usize = 20_000;
/// Steps over which an error is taken.
const WINDOW: usize = 2000;
/// Steps of which the fastest are told.
const STRETCH: usize = 20;

/// The memory that the process has in use, in kB, where the system says so.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

/// A model and its errors, over the least, of the last steps.
struct Model {
    online: Online,
    learns: bool,
    sum: f64,
}

impl Model {
    fn step(&mut self, x: f32, next: f32, noise: f64) -> Result<(), OnlineError> {
        let y = self.online.predict(Input::Dense(&[x]))?[0];
        self.sum += f64::from(y - next).powi(2) / noise;
        if self.learns {
            self.online.correct(Target::Values(&[next]))?;
        }
        Ok(())
    }

    fn error(&mut self) -> f64 {
        std::mem::take(&mut self.sum) / WINDOW as f64
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "elman".into());
    let cell = cells::find(&name).ok_or_else(|| format!("unknown cell `{name}`; `elman cells` lists them"))?;
    let method = match arguments.next().as_deref() {
        None | Some("rtrl") => Method::Rtrl,
        Some("snap1") => Method::Snap1,
        Some("uoro") => Method::Uoro,
        Some("truncated") => Method::Truncated,
        Some(other) => return Err(format!("METHOD is `{other}`; it is one of rtrl, snap1, uoro, truncated").into()),
    };
    let steps: usize = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    if steps <= PERIOD {
        return Err(format!("STEPS is {steps}; it must be above {PERIOD}, the first change").into());
    }
    let mut config = OnlineConfig::new((cell.make)(), Sizes::new(1, 32), 1);
    config.method = method;
    let online = config.init()?;
    let cost = online.cost();
    println!(
        "{name}, {method:?}: {} parameters, {} numbers of influence, {} multiply-adds a step for it",
        online.parameters().len(),
        cost.numbers,
        cost.operations
    );
    let mut live = Model { online, learns: true, sum: 0.0 };
    let mut frozen: Option<Model> = None;
    let mut signal = Drifting::new(PERIOD, 0.95, 1);
    let mut x = signal.next().ok_or("an empty signal")?.value;
    let file = std::env::temp_dir().join(format!("elman-online-{}", std::process::id()));
    let (mut mark, mut spent) = (1000, 0.0);
    // On a machine that others use too, the fastest stretch says what the program can do.
    let (mut stretch, mut fastest) = (0.0, f64::INFINITY);
    println!("steps since the change   learning   frozen   (times the least error)");
    for (t, sample) in signal.take(steps).enumerate() {
        let began = Instant::now();
        live.step(x, sample.value, sample.noise)?;
        let seconds = began.elapsed().as_secs_f64();
        (spent, stretch) = (spent + seconds, stretch + seconds);
        if (t + 1) % STRETCH == 0 {
            fastest = std::mem::take(&mut stretch).min(fastest);
        }
        if let Some(frozen) = &mut frozen {
            frozen.step(x, sample.value, sample.noise)?;
        }
        x = sample.value;
        let done = t + 1;
        if done % WINDOW == 0 {
            let within = done % PERIOD;
            let error = live.error();
            let other = frozen.as_mut().map_or("".to_string(), |frozen| format!("{:8.2}", frozen.error()));
            if within == 0 || within == WINDOW {
                let end = if within == 0 { PERIOD } else { within };
                println!("phase {:>2} {:>6}..{end:<6} {error:>10.2} {other}", sample.phase, end - WINDOW);
            }
        }
        if done == PERIOD {
            frozen = Some(copy(&config, &live.online, &file)?);
        }
        if done == mark {
            let memory = resident().map_or("unknown".to_string(), |kb| format!("{kb} kB"));
            println!("  after {done} steps: resident memory {memory}, {:.0} steps a second", done as f64 / spent);
            mark *= 10;
        }
    }
    println!(
        "{steps} steps in {spent:.1} s of learning: {:.0} steps a second; the fastest {STRETCH} in a row: {:.0} a second",
        steps as f64 / spent,
        STRETCH as f64 / fastest
    );
    Ok(())
}

/// The same model, that learns no more, by way of its file.
fn copy(config: &OnlineConfig, online: &Online, file: &Path) -> Result<Model, OnlineError> {
    online.save(file)?;
    let copied = config.resume(file);
    // It lies in the folder of temporary files; a leftover does no harm.
    let _ = std::fs::remove_file(file);
    Ok(Model { online: copied?, learns: false, sum: 0.0 })
}
