//! The section of what each way to train costs.

use super::Findings;
use super::page::Page;
use elman_run::analysis::{Cost, costs};

/// Memory, operations and serial steps as in the fourth lecture's table.
fn orders(of: [&str; 3]) -> String {
    of.map(|growth| format!("O({growth})")).join(", ")
}

/// Bytes held and seconds taken over all steps, and whether these were reckoned from fewer; none where the way was not measured.
fn measured(findings: &Findings, cost: &Cost) -> Option<(usize, f64, bool)> {
    let t = findings.timed.last()?;
    let exact = |(bytes, seconds)| (bytes, seconds, false);
    match cost.way {
        "inference" => Some(exact((t.inference_bytes, t.inference))),
        "full BPTT" => Some(exact((t.bytes, t.bptt))),
        "BPTT in windows" => Some(exact((t.window_bytes, t.windows))),
        "RTRL" => {
            let r = findings.real_time.as_ref().ok()?;
            Some((r.bytes, r.seconds * t.steps as f64, r.steps < t.steps))
        }
        "output from targets, at once" => t.targets.map(|t| exact((t.at_once_bytes, t.at_once))),
        "output from targets, in turn" => t.targets.map(|t| exact((t.in_turn_bytes, t.in_turn))),
        "scan over time" => t.scan.map(|(seconds, bytes)| exact((bytes, seconds))),
        _ => None,
    }
}

pub fn cost(page: &mut Page, findings: &Findings) {
    page.section("cost", "What each way to train costs");
    let steps = findings.trace.steps;
    let rows: Vec<Vec<String>> = costs(&findings.network, steps, findings.subject.window, findings.subject.stride)
        .into_iter()
        .map(|c| {
            let (held, took) = match measured(findings, &c) {
                Some((bytes, seconds, reckoned)) => (
                    format!("{:.2}", bytes as f64 / 1e6),
                    format!("{:.2}{}", 1e3 * seconds, if reckoned { " *" } else { "" }),
                ),
                None => ("–".into(), "–".into()),
            };
            vec![
                c.way.to_string(),
                format!("{:.3e}", c.memory),
                held,
                format!("{:.3e}", c.operations),
                took,
                format!("{:.0}", c.serial),
                orders(c.growth),
                c.lecture.map_or("not in it".into(), orders),
                if c.possible { "yes" } else { "no" }.into(),
            ]
        })
        .collect();
    page.paragraph(&format!(
        "Counted for one row of {steps} steps, the recurrent layers alone, windows of {} steps{}; beside it what was held and taken on this machine in 64 bits, \
         the weights as the engine packs them included. Orders in T are of memory, operations and steps that wait for each other:",
        findings.subject.window,
        match findings.subject.stride {
            stride if stride == findings.subject.window => String::new(),
            stride => format!(", each {stride} further on"),
        }
    ));
    let columns = [
        "way",
        "numbers kept",
        "held, MB",
        "operations",
        "took, ms",
        "one after the other",
        "in T, counted",
        "in T, the lecture",
        "this network",
    ];
    page.table(&columns, &rows);
    page.note(
        "How to read it",
        "The fourth lecture's table in numbers: inference keeps O(1) and takes O(T), backpropagation through time keeps O(T). A network \
         that feeds back its output alone can take targets in its place, so that steps wait for nothing: all at once they are O(1) one after \
         the other and keep O(T), in turn they keep O(1); the lecture's table has both O(1), which are not had together. A linear network can be \
         scanned. \
         Real-time recurrent learning keeps O(1) in T, at a price that grows with the fourth power of the width; it is for one layer.",
    );
    page.paragraph(&match &findings.real_time {
        Ok(r) => format!(
            "Real-time recurrent learning, exact, with all threads: {:.3} ms a step (mean of {} steps{}) and {:.2} MB of influence at any \
             length.",
            1e3 * r.seconds,
            r.steps,
            if r.steps < steps { "; * times all steps" } else { "" },
            r.bytes as f64 / 1e6
        ),
        Err(why) => format!("Real-time recurrent learning was not measured: {why}."),
    });
    growth(page, findings);
}

/// The same over a quarter, half and all of the steps.
fn growth(page: &mut Page, findings: &Findings) {
    let megabytes = |bytes: usize| format!("{:.2}", bytes as f64 / 1e6);
    let rows: Vec<Vec<String>> = findings
        .timed
        .iter()
        .map(|t| {
            let (scan, scan_holds) = match t.scan {
                Some((seconds, bytes)) => (format!("{:.2}", 1e3 * seconds), megabytes(bytes)),
                None => ("not linear".into(), "–".into()),
            };
            vec![
                t.steps.to_string(),
                format!("{:.2}", 1e3 * t.inference),
                megabytes(t.inference_bytes),
                format!("{:.2}", 1e3 * t.bptt),
                megabytes(t.bytes),
                format!("{:.2}", 1e3 * t.windows),
                megabytes(t.window_bytes),
                scan,
                scan_holds,
            ]
        })
        .collect();
    page.paragraph("By the number of steps, for one row with one thread, the fastest of three:");
    let columns = [
        "steps",
        "step by step, ms",
        "holds, MB",
        "full BPTT, ms",
        "holds, MB",
        "in windows, ms",
        "a window holds, MB",
        "scan, forward and backward, ms",
        "holds, MB",
    ];
    page.table(&columns, &rows);
}
