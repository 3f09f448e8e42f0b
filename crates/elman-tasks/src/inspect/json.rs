//! The numbers of the report as one JSON object.

use super::remedy::remedy;
use super::units::{HeatMap, heat_maps};
use super::{Findings, Measured, Unfolding};
use elman_run::analysis::{Example, Kind, costs};
use serde_json::{Map, Value, json};

/// Everything that is drawn, and the whole of what is only sampled there.
pub fn object(findings: &Findings) -> Map<String, Value> {
    let Findings { subject, network, trained, untrained, trace, saturation, selective, .. } = findings;
    let saturation: Vec<Value> = saturation
        .iter()
        .map(|s| json!({"layer": s.layer, "gate": s.name, "left": s.left, "right": s.right}))
        .collect();
    let selective: Vec<Value> = selective
        .iter()
        .map(|s| {
            let series = &trace.series[s.series];
            json!({"feature": s.feature, "layer": series.layer, "value": series.name, "unit": s.unit, "correlation": s.correlation})
        })
        .collect();
    let costs: Vec<Value> = costs(network, trace.steps, subject.window, subject.stride)
        .iter()
        .map(|c| {
            json!({"way": c.way, "numbers_kept": c.memory, "operations": c.operations, "serial_steps": c.serial,
                "growth": c.growth, "lecture": c.lecture, "possible": c.possible})
        })
        .collect();
    let timed: Vec<Value> = findings
        .timed
        .iter()
        .map(|t| {
            json!({"steps": t.steps, "inference_seconds": t.inference, "inference_bytes": t.inference_bytes, "bptt_seconds": t.bptt, "bptt_bytes": t.bytes,
                "windows_seconds": t.windows, "window_bytes": t.window_bytes, "scan_seconds": t.scan.map(|scan| scan.0),
                "scan_bytes": t.scan.map(|scan| scan.1),
                "targets": t.targets.map(|t| json!({"at_once_seconds": t.at_once, "at_once_bytes": t.at_once_bytes,
                    "in_turn_seconds": t.in_turn, "in_turn_bytes": t.in_turn_bytes}))})
        })
        .collect();
    let real_time = match &findings.real_time {
        Ok(r) => json!({"steps": r.steps, "seconds_a_step": r.seconds, "bytes": r.bytes}),
        Err(why) => json!({"not_measured": why}),
    };
    let object = json!({
        "run": subject.run,
        "model": subject.model,
        "data": subject.data,
        "task": subject.task,
        "cell": subject.cell,
        "hidden": network.layers()[0].layer.sizes().hidden,
        "layers": network.layers().len(),
        "parameters": subject.parameters,
        "steps": trace.steps,
        "state_numbers": network.state_width(),
        "verdict": trained.verdict.map_or("unknown", |v| v.kind.name()),
        "trained": measured(trained, findings),
        "untrained": measured(untrained, findings),
        "training_goes_back": subject.goes_back,
        "paths": {"first_step": findings.paths.first, "norms": findings.paths.norms},
        "saturation": saturation,
        "selective": selective,
        "heat_maps": heat_maps(findings).iter().map(|map| heat_map(map, findings)).collect::<Vec<_>>(),
        "unfolded": unfolded(&findings.unfolding),
        "examples": findings.examples.iter().map(example).collect::<Vec<_>>(),
        "costs": costs,
        "measured_costs": timed,
        "measured_rtrl": real_time,
    });
    match object {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn heat_map(map: &HeatMap, findings: &Findings) -> Value {
    let rows: Vec<Value> = map.rows.iter().map(|(name, values)| json!({"name": name, "values": values})).collect();
    json!({"title": map.title, "rows": rows, "columns": findings.subject.symbols[..map.columns]})
}

fn unfolded(u: &Unfolding) -> Value {
    let parameters: Vec<Value> = u
        .parameters
        .iter()
        .enumerate()
        .map(|(p, (name, _))| {
            json!({"name": name, "norms": u.unfolded.norms[p], "shares": u.unfolded.shares[p], "difference": u.differences[p]})
        })
        .collect();
    json!({"steps": u.unfolded.steps, "parameters": u.copies, "difference": u.difference(), "by_parameter": parameters})
}

fn example(e: &Example) -> Value {
    json!({"name": e.name, "matrix": e.matrix, "bias": e.bias, "matrix_singular_values": e.recurrent.singular_values,
        "lags": e.products.lags, "singular_values": e.products.values, "verdict": e.verdict.kind.name()})
}

fn measured(m: &Measured, findings: &Findings) -> Value {
    let loss = findings.subject.words.key;
    let states: Vec<Value> = m
        .flow
        .states
        .iter()
        .map(|s| {
            json!({"layer": s.part.layer, "value": s.part.name, "lags_from": 1, "mean": s.mean, "low": s.low, "high": s.high})
        })
        .collect();
    let parameters: Vec<Value> = m
        .flow
        .parameters
        .iter()
        .map(|p| json!({"name": p.name, "lags_from": 0, "norms": p.norms, "shares": p.shares, "cosines": p.cosines}))
        .collect();
    let matrices: Vec<Value> = m
        .matrices
        .iter()
        .map(|r| {
            json!({"layer": r.layer, "gate": r.gate, "source": r.source, "rows": r.shape.0, "columns": r.shape.1,
                "spectral_radius": r.spectral_radius(), "singular_values": r.singular_values, "eigenvalues": r.eigenvalues})
        })
        .collect();
    let verdict = m.verdict.map(|v| {
        json!({"kind": v.kind.name(), "lag": v.lag, "factor": v.factor, "horizon": v.horizon, "rate": finite(v.rate),
            "remedy": if v.kind == Kind::Healthy { "" } else { remedy(&v, &findings.subject, &findings.network) }})
    });
    json!({
        loss: m.flow.loss,
        "losses": m.flow.ends.len(),
        "gradient_by_state": states,
        "gradient_by_parameter": parameters,
        "jacobian_product": {"lags": m.products.lags, "singular_values": m.products.values, "rows_of_a_sample": m.products.sampled},
        "verdict": verdict,
        "lyapunov_exponents": m.lyapunov.as_ref().map(|l| l.exponents.iter().map(|&x| finite(x)).collect::<Vec<_>>()),
        "recurrent_matrices": matrices,
    })
}

/// JSON has no infinity: none in its place.
fn finite(x: f64) -> Option<f64> {
    Some(x).filter(|x| x.is_finite())
}
