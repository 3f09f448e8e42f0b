//! Elman's side of `benches/peers/engine.py`: prepares works and runs them when told to, so that peers can take turns.
//!
//! Requests and answers are JSON objects, one a line, on standard input and output:
//!
//! * `{"do": "prepare", "id": "a", "work": {...}}`: makes the inputs; answers the operations of its products, 0 if not
//!   counted, and the precision that ran, if the work asks for one;
//! * `{"do": "check", "id": "a"}`: some of its results, for comparison with a peer's;
//! * `{"do": "time", "id": "a", "calls": 3, "warm": true}`: one call that is not timed if `warm`, then the seconds of
//!   each of `calls`;
//! * `{"do": "memory", "id": "a"}`: how far one call raises the resident memory, in bytes;
//! * `{"do": "drop", "id": "a"}`;
//! * `{"do": "between"}`: nanoseconds that a cache line takes from one core to another and back.
//!
//! A work's `kind` says which file here runs it. The allocator is the `elman` program's.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

mod burn_lstm;
mod engine;
#[path = "../../../elman-core/examples/hand_over/mod.rs"]
mod hand_over;
mod language_model;
mod module;
mod spec;
mod step;

use spec::Spec;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Something that is timed.
trait Work {
    /// One repetition.
    fn run(&mut self);

    /// Results by name; called before anything is timed.
    fn check(&mut self) -> Vec<(String, Vec<f32>)>;

    /// Floating-point operations of the matrix products of one repetition, forward and backward; 0: not counted.
    fn operations(&self) -> f64 {
        0.0
    }
}

fn prepare(spec: &Spec) -> Box<dyn Work> {
    match spec.text("kind") {
        "module" => Box::new(module::Module::new(spec)),
        "engine" => Box::new(engine::Bare::new(spec)),
        "burn-lstm" => Box::new(burn_lstm::BurnLstm::new(spec)),
        "language-model" => Box::new(language_model::Training::new(spec)),
        "step" => Box::new(step::Steps::new(spec)),
        other => panic!("no kind of work `{other}`"),
    }
}

/// A field of /proc/self/status in bytes.
fn status(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the process's own status");
    let line = status.lines().find(|l| l.starts_with(field)).expect("a field of the status");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).expect("a number of kB") * 1024.0
}

/// By how much one run raises the resident memory above what it is before.
fn memory(work: &mut dyn Work) -> f64 {
    // 5 sets the peak back to what is resident now.
    std::fs::write("/proc/self/clear_refs", "5").expect("the process's own peak");
    let before = status("VmRSS");
    work.run();
    status("VmHWM") - before
}

fn main() {
    let threads = std::env::args().nth(1).map_or(0, |n| n.parse().expect("the number of threads"));
    // Burn's own operations run in this pool; every work has its own team for the engine.
    elman::set_threads(threads);
    let mut works: HashMap<String, Box<dyn Work>> = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line.expect("a line")).expect("a JSON object");
        let id = request["id"].as_str().unwrap_or_default().to_string();
        let answer = if request["do"] == "between" {
            json!({ "nanoseconds": hand_over::nanoseconds() })
        } else if request["do"] == "prepare" {
            let spec = Spec(request["work"].clone());
            let work = prepare(&spec);
            let mut answer = json!({ "operations": work.operations() });
            if let Some(ran) = spec.ran() {
                answer["ran"] = ran.into();
            }
            works.insert(id, work);
            answer
        } else {
            let work = works.get_mut(&id).expect("a work that was prepared").as_mut();
            match request["do"].as_str() {
                Some("check") => {
                    let values = work.check().into_iter().map(|(name, values)| (name, json!(spec::sample(&values))));
                    Value::Object(values.collect())
                }
                Some("time") => {
                    if request["warm"] == true {
                        work.run();
                    }
                    let time = || {
                        let began = Instant::now();
                        work.run();
                        began.elapsed().as_secs_f64()
                    };
                    let calls = request["calls"].as_u64().unwrap_or(1) as usize;
                    json!({ "seconds": std::iter::repeat_with(time).take(calls).collect::<Vec<f64>>() })
                }
                Some("memory") => json!({ "bytes": memory(work) }),
                Some("drop") => {
                    works.remove(&id);
                    json!({})
                }
                other => panic!("no request {other:?}"),
            }
        };
        println!("{answer}");
        std::io::stdout().flush().expect("standard output");
    }
}
