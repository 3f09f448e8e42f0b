//! The section of the Jacobian product: its figure, the verdict and what stands beside it.

use super::figure::{self, Curve};
use super::page::Page;
use super::remedy::remedy;
use super::sections::{capital, number, verdict_text};
use super::{Findings, Measured};
use elman_run::analysis::{Example, Kind, Products};

/// Below this part of the largest a singular value is rounding.
const RESOLVED: f64 = 1e-13;

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
        page.verdict(
            verdict.kind.name(),
            &format!("{} {}", capital(&verdict_text(verdict)), remedy(verdict, &findings.subject, &findings.network)),
        );
    }
    if let Some(text) = beside_the_matrix(trained) {
        page.paragraph(&text);
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
    examples(page, &findings.examples);
    lyapunov(page, trained, untrained, findings.subject.words.material);
}

/// What the largest singular value of a recurrent matrix would say, beside what was measured.
fn beside_the_matrix(measured: &Measured) -> Option<String> {
    let verdict = measured.verdict?;
    let largest = measured.matrices.iter().filter_map(|m| m.singular_values.first().copied()).reduce(f64::max)?;
    let end = match (largest >= 1.0, verdict.kind) {
        (true, Kind::Exploding) => "here both grow.",
        (true, _) => "a value of 1 or more alone makes no gradient explode.",
        (false, _) => {
            "a value below 1 lets it vanish where the activation's slope is at most 1 and nothing else carries the state."
        }
    };
    Some(format!(
        "The largest singular value of a recurrent matrix is {largest:.3}; to the power of {} that is {}, and the product that was measured \
         has {}: {end}",
        verdict.lag,
        number(largest.powi(i32::try_from(verdict.lag).unwrap_or(i32::MAX))),
        number(verdict.factor)
    ))
}

/// The lecture's power of a diagonal matrix, then networks whose largest singular value is above 1 and whose product vanishes.
fn examples(page: &mut Page, [lecture, others @ ..]: &[Example; 3]) {
    let by_lag = |e: &Example, which: usize| -> Vec<(f64, f64)> {
        e.products.lags.iter().zip(&e.products.values).map(|(&lag, values)| (lag as f64, values[which])).collect()
    };
    let curve = |name: String, points, colour, dashed| Curve { name, points, band: None, dashed, colour };
    let last = &lecture.products.values[lecture.products.values.len() - 1];
    let drawn = figure::curves(
        "fig-lecture",
        "The lecture's example: diag(0.5, 1.5), multiplied again and again",
        &format!("Two straight lines on a logarithmic height: after ten steps {:.3} and {:.6}.", last[0], last[1]),
        "lag",
        "factor",
        &[
            curve("the direction of 1.5".into(), by_lag(lecture, 0), 1, false),
            curve("the direction of 0.5".into(), by_lag(lecture, 1), 0, false),
        ],
        Some(("1: kept as it is", 1.0)),
    );
    page.figure(&drawn.unwrap_or_default());
    page.note(
        "The lecture's example",
        &format!(
            "A network of two units with the recurrent matrix diag(0.5, 1.5), measured as this one was: over ten steps the singular values are              1.5^10 = {:.3} and 0.5^10 = {:.6}. One direction vanishes and the other explodes in the same matrix.",
            last[0], last[1]
        ),
    );
    let curves: Vec<Curve> = others
        .iter()
        .enumerate()
        .flat_map(|(i, e)| {
            let sigma = e.recurrent.singular_values[0];
            // What is above a million says no more, and would leave no room for what was measured.
            let powers =
                (1..=e.products.lags.len() as i32).map(|n| (f64::from(n), sigma.powi(n))).take_while(|p| p.1 < 1e6);
            [
                curve(format!("{}: measured", e.name), by_lag(e, 0), i, false),
                curve(format!("{}: powers of {sigma:.2}", e.name), powers.collect(), i, true),
            ]
        })
        .collect();
    let said: Vec<String> = others
        .iter()
        .map(|e| {
            let [a, b, c, d] = e.matrix;
            format!(
                "{}, W = ({a} {b}; {c} {d}) with a bias of {}: the largest singular value is {:.3}, and the product over {} steps {}: {}",
                capital(e.name),
                e.bias,
                e.recurrent.singular_values[0],
                e.verdict.lag,
                number(e.verdict.factor),
                e.verdict.kind.name()
            )
        })
        .collect();
    let drawn = figure::curves(
        "fig-examples",
        "A largest singular value above 1 explodes nothing by itself",
        &format!("Measured curves that fall beside powers that rise. {}.", said.join(". ")),
        "lag",
        "largest singular value of the product",
        &curves,
        Some(("1: kept as it is", 1.0)),
    );
    page.figure(&drawn.unwrap_or_default());
    page.note(
        "Above 1 and vanishing",
        &format!(
            "Two networks of two units, h = tanh(W h + b), measured as this one was. {}. The matrix that is not normal turns what it has stretched into              what it shrinks; the saturated units rest where the slope of tanh is small.",
            said.join(". ")
        ),
    );
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

fn lyapunov(page: &mut Page, trained: &Measured, untrained: &Measured, material: &str) {
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
        &format!(
            "An exponent λ is the rate e^λ at which a direction grows or shrinks over the whole {material}. All below zero: the network \
             forgets its beginning. Near zero: it remembers. Above zero: it is chaotic, and gradients explode."
        ),
    );
}
