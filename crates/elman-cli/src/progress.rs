//! What standard error shows of a run: a bar on a terminal, plain lines elsewhere.

use elman_run::Score;
use elman_tasks::{Loss, Observer, Plan};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between two plain lines.
const LINE: Duration = Duration::from_secs(5);
/// Time between two redrawings of the bar's text.
const FRAME: Duration = Duration::from_millis(100);

/// Watches a run for a person.
pub struct Progress {
    terminal: bool,
    bar: Option<ProgressBar>,
    plan: Option<Plan>,
    began: Instant,
    shown: Instant,
    /// Sum and number of the losses since the last line.
    losses: (f64, u64),
}

impl Progress {
    /// Nothing shown yet.
    pub fn new() -> Progress {
        let now = Instant::now();
        let terminal = io::stderr().is_terminal();
        Progress { terminal, bar: None, plan: None, began: now, shown: now, losses: (0.0, 0) }
    }

    /// A line; above the bar if there is one.
    fn say(&self, text: &str) {
        let line = || {
            // If standard error is closed there is nobody left to tell.
            let _ = writeln!(io::stderr(), "{}", text.trim_end());
        };
        match &self.bar {
            Some(bar) => bar.suspend(line),
            None => line(),
        }
    }

    fn open_bar(&mut self, from: u64, to: u64, template: &str) {
        if self.terminal {
            let bar = ProgressBar::with_draw_target(Some(to), ProgressDrawTarget::stderr()).with_position(from);
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.reset_eta();
            self.bar = Some(bar);
        }
    }
}

/// A loss in nats and bits a character; in nats and perplexity a word; or the mean square of an error.
fn described(loss: f64, measure: Loss, unit: &str) -> String {
    match (measure, unit) {
        (Loss::Nats, "word") => format!("{loss:.3} nats, perplexity {:.2} a word", loss.exp()),
        (Loss::Nats, _) => format!("{loss:.3} nats, {:.3} bits a {unit}", loss / std::f64::consts::LN_2),
        (Loss::MeanSquare, _) => format!("mean square {loss:.3e} of the variance"),
    }
}

impl Observer for Progress {
    fn note(&mut self, text: &str) {
        self.say(text);
    }

    fn begin(&mut self, plan: &Plan) {
        self.began = Instant::now();
        self.shown = self.began;
        self.plan = Some(*plan);
        self.open_bar(plan.first, plan.last, "[{bar:24}] step {pos}/{len}  {msg}  {eta} left");
    }

    fn step(&mut self, step: u64, loss: f64) {
        let Some(plan) = self.plan else { return };
        self.losses = (self.losses.0 + loss, self.losses.1 + 1);
        if let Some(bar) = &self.bar {
            bar.set_position(step);
        }
        let wait = if self.bar.is_some() { FRAME } else { LINE };
        if self.shown.elapsed() < wait && step != plan.last {
            return;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        let done = (step - plan.first) as f64;
        let (speed, unit) = (done * plan.tokens as f64 / seconds, plan.unit);
        let loss = described(self.losses.0 / self.losses.1 as f64, plan.loss, unit);
        match &self.bar {
            Some(bar) => bar.set_message(format!("{loss}, {speed:.0} {unit}s/s")),
            None => {
                let left = seconds / done * (plan.last - step) as f64;
                self.say(&format!("step {step}/{}: {loss}, {speed:.0} {unit}s/s, {left:.0} s left", plan.last));
            }
        }
        self.shown = Instant::now();
        self.losses = (0.0, 0);
    }

    fn held_out(&mut self, step: u64, score: &Score) {
        let unit = self.plan.map_or("character", |plan| plan.unit);
        self.say(&format!("step {step}, held-out: {}", described(score.nats, Loss::Nats, unit)));
    }

    fn sample(&mut self, step: u64, text: &str) {
        self.say(&format!("---- after {step} steps ----\n{text}\n----"));
    }

    fn scoring(&mut self, done: u64, of: u64, unit: &'static str) {
        if self.bar.is_none() {
            self.open_bar(0, of, &format!("scoring [{{bar:24}}] {{pos}}/{{len}} {unit}s  {{eta}} left"));
        }
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None if self.shown.elapsed() >= LINE => {
                self.say(&format!("scoring: {done}/{of} {unit}s"));
                self.shown = Instant::now();
            }
            None => {}
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
