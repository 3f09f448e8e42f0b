//! The section of single units: what they follow, and their gates, over the beginning of what was read.

use super::figure::{self, Scale};
use super::page::Page;
use super::{Findings, Words};
use elman_run::analysis::{Nature, Series};

/// Steps of a heat map.
const SHOWN: usize = 100;
/// Units of a heat map.
const UNITS: usize = 12;
/// Gates that are drawn, so that the page stays small.
const GATES: usize = 8;
/// Numbers of a series above its units.
const READ: usize = 6;

/// A figure with a row for each of some units and a column for each step.
pub struct HeatMap {
    pub id: String,
    pub title: String,
    /// Each with its name, `columns` numbers.
    pub rows: Vec<(String, Vec<f64>)>,
    pub columns: usize,
    pub scale: Scale,
}

/// Of the units that follow something most closely, and of every gate's first units.
pub fn heat_maps(findings: &Findings) -> Vec<HeatMap> {
    let Findings { trace, selective, subject, .. } = findings;
    let columns = trace.steps.min(SHOWN);
    let Words { unit, material, .. } = subject.words;
    let window = |values: &[f64]| values[..columns].to_vec();
    let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
    if !findings.network.is_of_tokens() {
        // Numbers have no characters to stand under the columns.
        rows.extend(subject.features.iter().take(READ).map(|f| (f.name.clone(), window(&f.values))));
    }
    for s in selective.iter().take(UNITS) {
        let series = &trace.series[s.series];
        rows.push((
            format!("{}{} [{}] {:+.2}", series.name, series.layer, s.unit, s.correlation),
            window(&series.unit(s.unit)),
        ));
    }
    let closest = HeatMap {
        id: "fig-units".into(),
        title: format!("The units that follow the {material} most closely, over its beginning"),
        rows,
        columns,
        scale: Scale::Signed,
    };
    let gate = |(k, gate): (usize, &Series)| HeatMap {
        id: format!("fig-gate-{k}"),
        title: format!("Gate {} of layer {}, its first units over the same {unit}s", gate.name, gate.layer),
        rows: (0..gate.width.min(UNITS))
            .map(|u| (format!("{}{} [{u}]", gate.name, gate.layer), window(&gate.unit(u))))
            .collect(),
        columns,
        scale: Scale::Unit,
    };
    let gates = trace.series.iter().filter(|s| s.nature == Nature::Gate).enumerate().map(gate);
    std::iter::once(closest).filter(|_| !selective.is_empty()).chain(gates).collect()
}

pub fn units(page: &mut Page, findings: &Findings) {
    page.section("units", "What units follow");
    let Findings { selective, subject, .. } = findings;
    let Words { unit, material, .. } = subject.words;
    let above = if findings.network.is_of_tokens() { "" } else { "At the top what is read and to be predicted. " };
    let draw = |page: &mut Page, map: &HeatMap, description: &str| {
        let symbols = &subject.symbols[..map.columns];
        page.figure(&figure::heat_map(&map.id, &map.title, description, &map.rows, symbols, map.scale));
    };
    let maps = heat_maps(findings);
    let (closest, gates) = maps.split_at(maps.len().min(usize::from(!selective.is_empty())));
    match (selective.first(), closest.first()) {
        (Some(best), Some(map)) => {
            let description = format!(
                "{above}A row for each unit, a column for each of {} {unit}s. The closest follows “{}” with correlation {:+.2}.",
                map.columns, best.feature, best.correlation
            );
            draw(page, map, &description);
            table(page, findings);
        }
        _ => page.paragraph(&format!("The {material} has no property that changes: there is nothing to follow.")),
    }
    for map in gates.iter().take(GATES) {
        draw(page, map, &format!("Rows of units, columns of {unit}s; pale is shut, full colour is open."));
    }
    if gates.len() > GATES {
        page.paragraph(&format!("The first {GATES} gates are drawn; report.json has all {}.", gates.len()));
    }
}

/// The closest units in numbers.
fn table(page: &mut Page, findings: &Findings) {
    let Findings { trace, selective, subject, .. } = findings;
    let material = subject.words.material;
    let table: Vec<Vec<String>> = selective
        .iter()
        .take(UNITS)
        .map(|s| {
            let series = &trace.series[s.series];
            vec![
                s.feature.clone(),
                format!("{} of layer {}, unit {}", series.name, series.layer, s.unit),
                format!("{:+.3}", s.correlation),
            ]
        })
        .collect();
    page.table(&[&format!("property of the {material}"), "unit", "correlation"], &table);
    page.note(
        "How to read it",
        &format!(
            "For each of {} properties of the {material} the unit that correlates most with it; the unit's value after the same step. \
             Among {} units chance alone reaches some {:.2} over {} steps.",
            subject.features.len(),
            findings.network.state_width(),
            4.0 / (trace.steps as f64).sqrt(),
            trace.steps
        ),
    );
}
