//! The section of the double sum over losses and steps: by lag, and path by path.

use super::Findings;
use super::figure::{self, Curve, Scale};
use super::page::Page;
use super::sections::number;
use elman_run::analysis::{Flow, ParameterFlow, Paths};

/// Losses and steps of the picture of single paths.
pub const PATHS: usize = 24;
/// Decades below the strongest path that still have a colour.
const DECADES: f64 = 6.0;

/// The recurrent weights' parts of a flow; of a network without, the first parameter's.
fn recurrent(flow: &Flow) -> Vec<ParameterFlow> {
    let all: Vec<_> = flow.parameters.iter().filter(|p| p.name.starts_with("weight_hh")).cloned().collect();
    if all.is_empty() { flow.parameters.iter().take(1).cloned().collect() } else { all }
}

/// The picture of single paths.
fn paths(page: &mut Page, findings: &Findings) {
    let Paths { first, norms } = &findings.paths;
    let strongest = norms.iter().flatten().copied().fold(0.0, f64::max);
    if strongest == 0.0 {
        return;
    }
    let share = |norm: f64| (1.0 + (norm / strongest).log10() / DECADES).clamp(0.0, 1.0);
    let rows: Vec<(String, Vec<f64>)> = norms
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let beyond = std::iter::repeat_n(0.0, norms.len() - row.len());
            (format!("loss of step {}", first + i), row.iter().map(|&norm| share(norm)).chain(beyond).collect())
        })
        .collect();
    page.figure(&figure::heat_map(
        "fig-paths",
        "Single paths: from the loss of step j (rows) to step k (columns)",
        &format!(
            "A triangle of {} losses and as many steps. The strongest path has the norm {}; white is a millionth of it or less.",
            norms.len(),
            number(strongest)
        ),
        &rows,
        &findings.subject.symbols[*first..first + norms.len()],
        Scale::Unit,
    ));
    page.note(
        "What it shows",
        "Each square is one term of the double sum for the recurrent weights, the loss of its row followed back to the step of its column; under the columns \
         stands what was read there, of a series every tenth step's number. The diagonal is lag 0. Where the colour ends to the left of the diagonal, the gradient has vanished; a \
         column that stays dark far down is a step that many later losses teach. Colours are logarithmic, over six powers of ten.",
    );
}

pub fn double_sum(page: &mut Page, findings: &Findings) {
    page.section("double-sum", "The gradient of the weights, split by lag");
    let (now, before) = (recurrent(&findings.trained.flow), recurrent(&findings.untrained.flow));
    let points = |values: &[f64]| values.iter().enumerate().map(|(lag, &v)| (lag as f64, v)).collect::<Vec<_>>();
    let curve = |(i, p): (usize, &ParameterFlow), when: &str, dashed| {
        let name = format!("{}, {when}", p.name);
        Curve { name, points: points(&p.norms), band: None, dashed, colour: i }
    };
    let trained = now.iter().take(6).enumerate().map(|p| curve(p, "trained", false));
    let untrained = before.iter().take(6).enumerate().map(|p| curve(p, "before training", true));
    let curves: Vec<Curve> = trained.chain(untrained).collect();
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
    paths(page, findings);
    let lags: Vec<usize> =
        [0, 1, 2, 5, 10, 20, 50, 99, 199, 499, 999].into_iter().filter(|&l| l < findings.subject.lags).collect();
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
