//! The report's sections: a figure, what it shows, how to read it, what follows.

use super::figure::{self, Curve, Points, Scale};
use super::page::Page;
use super::{Findings, MAX_MATRIX, Measured};
use elman_run::analysis::{Flow, Products, Saturation, StateFlow, Verdict, costs, linear};

/// Below this part of the largest a singular value is rounding.
const RESOLVED: f64 = 1e-13;
/// Characters of a heat map.
const SHOWN: usize = 100;
/// Units of a heat map.
const UNITS: usize = 12;

/// A small or large number.
fn number(x: f64) -> String {
    if x == 0.0 || (1e-3..1e5).contains(&x.abs()) { format!("{x:.4}") } else { format!("{x:.2e}") }
}

/// What a verdict rests on, in a sentence.
pub fn verdict_text(verdict: &Verdict) -> String {
    let faded = match verdict.horizon {
        Some(lag) => format!(" From lag {lag} on no direction keeps more than a thousandth."),
        None => String::new(),
    };
    let rate = if verdict.rate.is_finite() { format!(" ({:+.3} nats a step)", verdict.rate) } else { String::new() };
    format!(
        "over {} steps the most sensitive direction of the state is multiplied by {}{rate}.{faded}",
        verdict.lag,
        number(verdict.factor)
    )
}

pub fn overview(page: &mut Page, findings: &Findings) {
    let Findings { subject, config, parameters, trained, untrained, trace, .. } = findings;
    page.section("overview", "What was looked at");
    let row = |name: &str, value: String| vec![name.to_string(), value];
    page.table(
        &["", ""],
        &[
            row("run", subject.run.clone()),
            row("model", subject.model.clone()),
            row("task", config.task.clone()),
            row("cell", elman_run::cell::title(&config.cell).into_owned()),
            row("parameters", parameters.to_string()),
            row("numbers of the state", findings.network.state_width().to_string()),
            row("text", subject.data.clone()),
            row("steps read", trace.steps.to_string()),
            row("steps that training goes back", subject.window.to_string()),
            row("loss", format!("{:.4} nats; {:.4} before training", trained.flow.loss, untrained.flow.loss)),
        ],
    );
    page.paragraph(
        "Everything is computed in 64 bits by the engine that trains, through the equations of the cell. “Before training” is the \
         same network drawn again from the run's seed. The loss is the mean over the positions from which gradients are followed back.",
    );
}

pub fn product(page: &mut Page, findings: &Findings) {
    page.section("product", "The Jacobian product: does the gradient vanish or explode?");
    let (trained, untrained) = (&findings.trained, &findings.untrained);
    product_figure(page, &trained.products, &untrained.products);
    if let Some(rows) = trained.products.sampled {
        page.note(
            "Estimated",
            &format!(
                "The state has {} numbers: {rows} directions were drawn instead of all. The largest singular value may come out too \
                 large by a factor of up to {:.1}.",
                trained.products.width,
                (trained.products.width as f64 / rows as f64).sqrt()
            ),
        );
    }
    if let Some(verdict) = &trained.verdict {
        page.verdict(verdict.kind.name(), &format!("{} {}", capital(&verdict_text(verdict)), verdict.remedy()));
    }
    if let Some(verdict) = &untrained.verdict {
        page.note("Before training", &format!("{}: {}", capital(verdict.kind.name()), verdict_text(verdict)));
    }
    page.note(
        "The verdict",
        "The measured product decides, not the largest singular value of the recurrent matrix: units that are saturated, gates that \
         close and matrices that turn what they have stretched all make a product small whose factors could be large. Below 0.001 at \
         the longest lag it says vanishing, above 1000 at any lag exploding.",
    );
    page.paragraph(&lecture_example());
    lyapunov(page, trained, untrained);
}

/// The first deck's diag(0.5, 1.5) multiplied ten times.
fn lecture_example() -> String {
    let mut power = vec![1.0, 0.0, 0.0, 1.0];
    for _ in 0..10 {
        power = linear::product(&power, &[0.5, 0.0, 0.0, 1.5], 2, 2, 2);
    }
    let values = linear::singular_values(&power, 2, 2);
    format!(
        "The lecture's example: diag(0.5, 1.5) multiplied ten times has the singular values {:.5} and {:.3}. One direction vanishes \
         and the other explodes in the same matrix.",
        values[1], values[0]
    )
}

fn product_figure(page: &mut Page, now: &Products, before: &Products) {
    let at = |p: &Products, which: fn(&[f64]) -> f64| -> Vec<(f64, f64)> {
        p.lags.iter().zip(&p.values).map(|(&l, v)| (l as f64, which(v))).collect()
    };
    let largest = |v: &[f64]| v.first().copied().unwrap_or(0.0);
    let middle = |v: &[f64]| v.get(v.len() / 2).copied().filter(|m| *m > RESOLVED * v[0]).unwrap_or(0.0);
    let curve = |name: &str, points, colour, dashed| Curve { name: name.into(), points, band: None, dashed, colour };
    let mut curves = vec![
        curve("largest, trained", at(now, largest), 0, false),
        curve("largest, before training", at(before, largest), 0, true),
    ];
    // A sample has another median.
    if now.sampled.is_none() {
        curves.push(curve("median, trained", at(now, middle), 1, false));
        curves.push(curve("median, before training", at(before, middle), 1, true));
    }
    let drawn = figure::curves(
        "fig-product",
        "Singular values of the Jacobian product by lag",
        &format!(
            "Logarithmic curves. At lag {} the largest singular value is {} trained and {} before training.",
            now.lags.last().copied().unwrap_or(0),
            number(now.largest().last().copied().unwrap_or(0.0)),
            number(before.largest().last().copied().unwrap_or(0.0))
        ),
        "lag: steps between the two states",
        "factor",
        &curves,
        Some(("1: kept as it is", 1.0)),
    );
    match drawn {
        Some(drawn) => page.figure(&drawn),
        None => page.paragraph("Nothing of the state reaches the next step: every product is zero."),
    }
    page.note(
        "What it shows",
        "A small change of the state after step k changes the state after step j by the product of the Jacobians between them. Its \
         singular values say by how much: the largest for the most sensitive direction, the median for half of all directions. The \
         gradient goes the same way back.",
    );
    page.note(
        "How to read it",
        "A straight line is a constant factor a step. A curve that falls and then runs flat is what a cell with gates should show: \
         most is forgotten, some directions are kept. Values below 1e-13 of the largest are rounding and not drawn.",
    );
}

fn lyapunov(page: &mut Page, trained: &Measured, untrained: &Measured) {
    let (Some(now), Some(before)) = (&trained.lyapunov, &untrained.lyapunov) else { return };
    let exponent =
        |x: Option<&f64>| x.map_or(String::new(), |x| if x.is_finite() { format!("{x:.4}") } else { "-∞".into() });
    let rows: Vec<Vec<String>> = (0..now.exponents.len().min(5))
        .map(|i| vec![(i + 1).to_string(), exponent(now.exponents.get(i)), exponent(before.exponents.get(i))])
        .collect();
    page.paragraph(&format!("The largest Lyapunov exponents, in nats a step over {} steps:", now.steps));
    page.table(&["", "trained", "before training"], &rows);
    page.note(
        "How to read it",
        "An exponent λ is the rate e^λ at which a direction grows or shrinks over the whole text. All below zero: the network forgets \
         its beginning. Near zero: it remembers. Above zero: it is chaotic, and gradients explode.",
    );
}

/// The mean and its band over lags 1, 2, ...
fn state_curve(name: String, s: &StateFlow, colour: usize, dashed: bool) -> Curve<'_> {
    Curve {
        name,
        points: s.mean.iter().enumerate().map(|(i, &v)| ((i + 1) as f64, v)).collect(),
        band: (!dashed).then_some((&s.low[..], &s.high[..])),
        dashed,
        colour,
    }
}

pub fn flow(page: &mut Page, findings: &Findings) {
    page.section("flow", "How much gradient arrives how far back");
    let (now, before) = (&findings.trained.flow, &findings.untrained.flow);
    let several = findings.config.layers > 1;
    let label = |s: &StateFlow| {
        if several { format!("{} of layer {}", s.part.name, s.part.layer) } else { s.part.name.to_string() }
    };
    // A deep stack would hide itself: the last layers are nearest to the loss.
    let first = now.states.len().saturating_sub(6);
    let mut curves: Vec<Curve> = now.states[first..]
        .iter()
        .enumerate()
        .map(|(i, s)| state_curve(format!("by {}, trained", label(s)), s, i, false))
        .collect();
    curves.extend(
        before.states[first..]
            .iter()
            .enumerate()
            .map(|(i, s)| state_curve(format!("by {}, before training", label(s)), s, i, true)),
    );
    let ends = |flow: &Flow| {
        let text =
            |s: &StateFlow| format!("{} from {} to {}", label(s), number(s.mean[0]), number(s.mean[s.mean.len() - 1]));
        flow.states.iter().map(text).collect::<Vec<_>>().join(", ")
    };
    let drawn = figure::curves(
        "fig-flow",
        "Norm of the gradient of a loss by the state, by lag",
        &format!(
            "Logarithmic curves over lags 1 to {}. Trained: {}. Before training: {}.",
            findings.subject.lags,
            ends(now),
            ends(before)
        ),
        "lag: steps from the loss back to the state",
        "‖∂L/∂state‖",
        &curves,
        None,
    );
    match drawn {
        Some(drawn) => page.figure(&drawn),
        None => page.paragraph("No gradient reaches any state: there is nothing to draw."),
    }
    page.note(
        "What it shows",
        &format!(
            "The loss of one prediction is followed back step by step; the curve is the mean over {} predictions, the band reaches \
             from the lowest to the highest. Every value that the cell carries has its own curve.",
            now.ends.len()
        ),
    );
    page.note(
        "How to read it",
        "The curve may fall faster than the largest singular value of the product above: a direction that is kept need not be one that \
         the losses ask about.",
    );
    if now.states.iter().any(|s| s.part.name == "c") {
        page.paragraph(
            "The direct way of the gradient by c is from c to c through the forget gate, without a matrix: the constant error carousel. \
             Where it falls more slowly than that by h, it carries the gradient.",
        );
    }
}

pub fn double_sum(page: &mut Page, findings: &Findings) {
    page.section("double-sum", "The gradient of the weights, split by lag");
    let recurrent = |flow: &Flow| {
        let all = flow.parameters.iter().filter(|p| p.name.starts_with("weight_hh")).cloned().collect::<Vec<_>>();
        if all.is_empty() { flow.parameters.iter().take(1).cloned().collect() } else { all }
    };
    let (now, before) = (recurrent(&findings.trained.flow), recurrent(&findings.untrained.flow));
    let points = |values: &[f64]| values.iter().enumerate().map(|(lag, &v)| (lag as f64, v)).collect::<Vec<_>>();
    let mut curves = Vec::new();
    for (i, p) in now.iter().take(6).enumerate() {
        curves.push(Curve {
            name: format!("{}, trained", p.name),
            points: points(&p.norms),
            band: None,
            dashed: false,
            colour: i,
        });
    }
    for (i, p) in before.iter().take(6).enumerate() {
        curves.push(Curve {
            name: format!("{}, before training", p.name),
            points: points(&p.norms),
            band: None,
            dashed: true,
            colour: i,
        });
    }
    let drawn = figure::curves(
        "fig-sum",
        "Norm of each lag's part of the gradient by the recurrent weights",
        &format!(
            "Logarithmic curves over lags 0 to {}, one for each layer's recurrent weights.",
            findings.subject.lags - 1
        ),
        "lag",
        "‖part of ∂L/∂W‖",
        &curves,
        None,
    );
    match drawn {
        Some(drawn) => page.figure(&drawn),
        None => page.paragraph("The gradient by these weights is zero at every lag."),
    }
    page.note(
        "What it shows",
        "Backpropagation through time is a double sum, over the losses L_j and over the steps k at which the weights acted. Sorted by \
         j - k it says how far back the weights are taught from. The parts of all lags add up to the whole gradient.",
    );
    let lags: Vec<usize> = [0, 1, 2, 5, 10, 20, 50, 99].into_iter().filter(|&l| l < findings.subject.lags).collect();
    let mut head = vec!["back over lags 0 to".to_string()];
    head.extend(lags.iter().map(usize::to_string));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut rows = Vec::new();
    for p in &now {
        let share = |&lag: &usize| format!("{:.0} %", 100.0 * p.shares[..=lag].iter().sum::<f64>());
        rows.push([vec![format!("{}: share of the gradient", p.name)], lags.iter().map(share).collect()].concat());
        let cosine = |&lag: &usize| format!("{:.3}", p.cosines[lag]);
        rows.push([vec![format!("{}: cosine with it", p.name)], lags.iter().map(cosine).collect()].concat());
    }
    page.table(&head, &rows);
    page.note(
        "How to read it",
        "Training that is truncated after p steps has the first lags only. A share near 100 % and a cosine near 1 mean that it loses \
         nothing by that: more steps (--seq-len) would cost time for no other gradient.",
    );
}

pub fn matrices(page: &mut Page, findings: &Findings) {
    page.section("matrices", "The recurrent matrices");
    let all = &findings.trained.matrices;
    if all.is_empty() {
        page.paragraph(&format!("There is no recurrent matrix of at most {MAX_MATRIX} rows and columns."));
        return;
    }
    let groups: Vec<Points> = all
        .iter()
        .filter(|m| !m.eigenvalues.is_empty())
        .take(6)
        .map(|m| Points { name: format!("gate {} from {}, layer {}", m.gate, m.source, m.layer), at: &m.eigenvalues })
        .collect();
    let reach = groups.iter().flat_map(|g| g.at).map(|e| e.0.abs().max(e.1.abs())).fold(1.0, f64::max) * 1.05;
    if !groups.is_empty() {
        page.figure(&figure::points(
            "fig-eigenvalues",
            "Eigenvalues of the recurrent matrices in the complex plane",
            &format!(
                "Points for each gate's matrix, with the unit circle. The farthest from zero has modulus {}.",
                number(farthest(findings))
            ),
            "real part",
            "imaginary part",
            &groups,
            (-reach, reach),
            true,
        ));
    }
    let before = |i: usize| findings.untrained.matrices.get(i);
    let rows: Vec<Vec<String>> = all
        .iter()
        .enumerate()
        .map(|(i, m)| {
            let radius = |r: Option<f64>| r.map_or("not square".to_string(), number);
            let sigma = |v: &[f64]| v.first().map_or(String::new(), |&s| number(s));
            vec![
                format!("gate {} from {}, layer {}", m.gate, m.source, m.layer),
                format!("{} x {}", m.shape.0, m.shape.1),
                radius(m.spectral_radius()),
                radius(before(i).and_then(|b| b.spectral_radius())),
                sigma(&m.singular_values),
                before(i).map_or(String::new(), |b| sigma(&b.singular_values)),
            ]
        })
        .collect();
    page.table(
        &["matrix", "shape", "largest |eigenvalue|", "before training", "largest singular value", "before training"],
        &rows,
    );
    page.note(
        "How to read it",
        "For a simple network whose units are not saturated the powers of this matrix are the Jacobian product: eigenvalues inside the \
         circle fade, those outside grow. A matrix of a gate acts through the gate's slope and the state that it multiplies; by itself \
         it decides nothing.",
    );
}

fn farthest(findings: &Findings) -> f64 {
    findings.trained.matrices.iter().filter_map(|m| m.spectral_radius()).fold(0.0, f64::max)
}

pub fn gates(page: &mut Page, findings: &Findings) {
    page.section("gates", "How often gates are shut or open");
    if findings.saturation.is_empty() {
        page.paragraph("The cell has no gates.");
        return;
    }
    let pairs: Vec<Vec<(f64, f64)>> =
        findings.saturation.iter().map(|s| s.right.iter().copied().zip(s.left.iter().copied()).collect()).collect();
    let name = |s: &Saturation| format!("gate {} of layer {}", s.name, s.layer);
    let groups: Vec<Points> =
        findings.saturation.iter().zip(&pairs).take(12).map(|(s, at)| Points { name: name(s), at }).collect();
    let said: Vec<String> = findings
        .saturation
        .iter()
        .map(|s| format!("{}: {:.0} % shut, {:.0} % open", name(s), 100.0 * s.means().0, 100.0 * s.means().1))
        .collect();
    page.figure(&figure::points(
        "fig-gates",
        "Saturation of every unit of every gate",
        &format!(
            "A point for each unit; across how often it is open, up how often it is shut. Means over the units: {}.",
            said.join("; ")
        ),
        "fraction of steps above 0.9 (open)",
        "fraction of steps below 0.1 (shut)",
        &groups,
        (0.0, 1.0),
        false,
    ));
    let rows: Vec<Vec<String>> = findings
        .saturation
        .iter()
        .map(|s| {
            let most = |v: &[f64]| v.iter().filter(|&&x| x > 0.9).count().to_string();
            let (left, right) = s.means();
            vec![
                name(s),
                format!("{:.1} %", 100.0 * left),
                format!("{:.1} %", 100.0 * right),
                most(&s.left),
                most(&s.right),
            ]
        })
        .collect();
    page.table(
        &["gate", "shut, mean", "open, mean", "units shut in nine steps of ten", "units open in nine steps of ten"],
        &rows,
    );
    page.note(
        "How to read it",
        "As in Karpathy, Johnson & Fei-Fei (2015). A unit at the right whose forget gate is always open integrates: it remembers over \
         long times. One at the top whose forget gate is always shut forgets every step, like a layer that is not recurrent. Points \
         near the lower left corner are gates that act by degrees.",
    );
}

pub fn units(page: &mut Page, findings: &Findings) {
    page.section("units", "What units follow");
    let Findings { trace, selective, subject, features, .. } = findings;
    let columns = trace.steps.min(SHOWN);
    let (symbols, unit) = (&subject.symbols[..columns], subject.unit);
    let window = |values: &[f64]| values[..columns].to_vec();
    let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
    for s in selective.iter().take(UNITS) {
        let series = &trace.series[s.series];
        rows.push((
            format!("{}{} [{}] {:+.2}", series.name, series.layer, s.unit, s.correlation),
            window(&series.unit(s.unit)),
        ));
    }
    if rows.is_empty() {
        page.paragraph("The text has no property that changes: there is nothing to follow.");
        return;
    }
    let best = &selective[0];
    page.figure(&figure::heat_map(
        "fig-units",
        "The units that follow the text most closely, over its beginning",
        &format!(
            "A row for each unit, a column for each of {columns} {unit}s. The closest follows “{}” with correlation {:+.2}.",
            best.feature, best.correlation
        ),
        &rows,
        symbols,
        Scale::Signed,
    ));
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
    page.table(&["property of the text", "unit", "correlation"], &table);
    page.note(
        "How to read it",
        &format!(
            "For each of {} properties of the text the unit that correlates most with it; the value when the {unit} has been read. \
             Among {} units chance alone reaches some {:.2} over {} steps.",
            features.len(),
            findings.network.state_width(),
            4.0 / (trace.steps as f64).sqrt(),
            trace.steps
        ),
    );
    // The most varied gate of the first layer over the same text.
    if let Some(gate) = trace
        .series
        .iter()
        .find(|s| s.nature == elman_run::analysis::Nature::Gate && s.name == "f")
        .or_else(|| trace.series.iter().find(|s| s.nature == elman_run::analysis::Nature::Gate))
    {
        let rows: Vec<(String, Vec<f64>)> = (0..gate.width.min(UNITS))
            .map(|u| (format!("{}{} [{u}]", gate.name, gate.layer), window(&gate.unit(u))))
            .collect();
        page.figure(&figure::heat_map(
            "fig-gate",
            &format!("Gate {} of layer {}, its first units over the same {unit}s", gate.name, gate.layer),
            &format!("Rows of units, columns of {unit}s; pale is shut, full colour is open."),
            &rows,
            symbols,
            Scale::Unit,
        ));
    }
}

pub fn cost(page: &mut Page, findings: &Findings) {
    page.section("cost", "What each way to train costs");
    let steps = findings.trace.steps;
    let rows: Vec<Vec<String>> = costs(&findings.network, steps, findings.subject.window)
        .into_iter()
        .map(|c| {
            let grows = |i: usize| format!("O({})", c.growth[i]);
            vec![
                c.way.to_string(),
                format!("{:.3e}", c.memory),
                grows(0),
                format!("{:.3e}", c.operations),
                grows(1),
                format!("{:.0}", c.serial),
                grows(2),
                if c.possible { "yes" } else { "no" }.into(),
            ]
        })
        .collect();
    page.paragraph(&format!(
        "Counted for one row of {steps} steps, the recurrent layers alone, windows of {} steps:",
        findings.subject.window
    ));
    page.table(
        &["way", "numbers kept", "in T", "operations", "in T", "one after the other", "in T", "this network"],
        &rows,
    );
    page.note(
        "How to read it",
        "The fourth lecture's table in numbers: inference keeps O(1) and takes O(T), backpropagation through time keeps O(T). A network \
         that feeds back its output alone can take targets in its place, so that steps wait for nothing: all at once they are O(1) one after \
         the other and keep O(T), in turn they keep O(1); the lecture's table has both O(1), which are not had together. A linear network can be \
         scanned. \
         Real-time recurrent learning keeps O(1) in T, at a price that grows with the fourth power of the width.",
    );
    let rows: Vec<Vec<String>> = findings
        .timed
        .iter()
        .map(|t| {
            vec![
                t.steps.to_string(),
                format!("{:.2}", 1e3 * t.inference),
                format!("{:.2}", 1e3 * t.bptt),
                format!("{:.2}", t.bytes as f64 / 1e6),
                format!("{:.2}", 1e3 * t.windows),
                format!("{:.2}", t.window_bytes as f64 / 1e6),
                t.scan.map_or("not linear".into(), |scan| format!("{:.2}", 1e3 * scan)),
            ]
        })
        .collect();
    page.paragraph("Measured on this machine for one row in 64 bits with one thread, the fastest of three:");
    let columns = [
        "steps",
        "step by step, ms",
        "full BPTT, ms",
        "keeps, MB",
        "in windows, ms",
        "a window keeps, MB",
        "scan, forward and backward, ms",
    ];
    page.table(&columns, &rows);
    if let Some((t, steps)) = findings.timed.last().and_then(|t| Some((t.targets?, t.steps))) {
        page.paragraph(&format!(
            "With outputs from targets, {steps} steps: all at once {:.2} ms and {:.2} MB, in turn {:.2} ms and {:.2} MB.",
            1e3 * t.at_once,
            t.at_once_bytes as f64 / 1e6,
            1e3 * t.in_turn,
            t.in_turn_bytes as f64 / 1e6
        ));
    }
    page.paragraph(&match &findings.real_time {
        Ok(r) => format!(
            "Real-time recurrent learning, exact, with all threads: {:.3} ms a step (mean of {} steps) and {:.2} MB of influence at any \
             length.",
            1e3 * r.seconds,
            r.steps,
            r.bytes as f64 / 1e6
        ),
        Err(why) => format!("Real-time recurrent learning was not measured: {why}."),
    });
}

pub fn unfolded(page: &mut Page, findings: &Findings) {
    page.section("unfolded", "The unfolded network is a feed-forward network");
    let u = &findings.unfolding;
    page.paragraph(&format!(
        "Unfolded over {} steps it is a feed-forward network with a copy of the recurrent weights for each step, {} parameters in all. \
         Its gradient was computed copy by copy and the copies' gradients were summed: the largest difference from backpropagation through \
         time is {:.1e} of the largest element, which is rounding.",
        u.steps, u.copies, u.difference
    ));
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
