//! The report's sections: a figure, what it shows, how to read it, what follows.

use super::figure::{self, Curve, Points};
use super::page::Page;
use super::{Findings, MAX_MATRIX};
use elman_run::analysis::{Flow, Saturation, StateFlow, Verdict};

/// Points of a gate: of wider ones units are left out evenly, so that the page stays small.
const POINTS: usize = 1000;

/// A small or large number.
pub fn number(x: f64) -> String {
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
    let Findings { subject, network, trained, untrained, trace, .. } = findings;
    page.section("overview", "What was looked at");
    let row = |name: &str, value: String| vec![name.to_string(), value];
    let mut rows = vec![row("run", subject.run.clone())];
    rows.extend(subject.model.clone().map(|model| row("model", model)));
    rows.extend([
        row("task", subject.task.clone()),
        row("cell", subject.cell.clone()),
        row("parameters", subject.parameters.to_string()),
        row("numbers of the state", network.state_width().to_string()),
        row(subject.words.material, subject.data.clone()),
        row("steps read", trace.steps.to_string()),
        row("steps that training goes back", subject.goes_back.clone()),
        row(
            "loss",
            format!("{:.4} {}; {:.4} before training", trained.flow.loss, subject.words.loss, untrained.flow.loss),
        ),
    ]);
    page.table(&["", ""], &rows);
    page.paragraph(
        "Everything is computed in 64 bits by the engine that trains, through the equations of the cell. “Before training” is the \
         same network as it was drawn. The loss is the mean over the positions from which gradients are followed back.",
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
    let several = findings.network.layers().len() > 1;
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
    let every = |s: &Saturation| s.left.len().div_ceil(POINTS);
    let pairs: Vec<Vec<(f64, f64)>> = findings
        .saturation
        .iter()
        .map(|s| s.right.iter().copied().zip(s.left.iter().copied()).step_by(every(s)).collect())
        .collect();
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
    if let Some(most) = findings.saturation.iter().map(every).max().filter(|&every| every > 1) {
        page.paragraph(&format!(
            "Of wide gates every {most}th unit at most is drawn; the table and report.json have all."
        ));
    }
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

pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
