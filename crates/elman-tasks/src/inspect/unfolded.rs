//! The section of the unfolded network: the same gradient computed both ways.

use super::figure::{self, Scale};
use super::page::Page;
use super::{Findings, Unfolding};

/// Matrices of the figure and the table.
const MATRICES: usize = 12;

pub fn unfolded(page: &mut Page, findings: &Findings) {
    page.section("unfolded", "The unfolded network is a feed-forward network");
    let Unfolding { unfolded: u, copies, parameters, differences } = &findings.unfolding;
    page.paragraph(&format!(
        "Unfolded over {} steps it is a feed-forward network with a copy of the recurrent weights for each step, {copies} parameters in all. \
         Its gradient was computed copy by copy and the copies' gradients were summed: the largest difference from backpropagation through \
         time is {:.1e} of the largest element, which is rounding.",
        u.steps,
        findings.unfolding.difference()
    ));
    let matrices: Vec<usize> = (0..parameters.len()).filter(|&p| parameters[p].1).take(MATRICES).collect();
    let rows: Vec<(String, Vec<f64>)> =
        matrices.iter().map(|&p| (parameters[p].0.clone(), u.shares[p].clone())).collect();
    let said: Vec<String> = matrices
        .iter()
        .map(|&p| {
            let (step, share) = strongest(&u.shares[p]);
            format!("of {} step {step} has {:.0} %", parameters[p].0, 100.0 * share)
        })
        .collect();
    page.figure(&figure::heat_map(
        "fig-unfolded",
        "The share of each step's copy in the gradient of each shared matrix",
        &format!(
            "A row for each matrix, a column for each of {} copies. The largest shares: {}.",
            u.steps,
            said.join(", ")
        ),
        &rows,
        &findings.subject.symbols[..u.steps],
        Scale::Signed,
    ));
    let mut head = vec!["matrix".to_string()];
    head.extend((1..=u.steps).map(|t| format!("step {t}")));
    head.push("largest difference".into());
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let table: Vec<Vec<String>> = matrices
        .iter()
        .map(|&p| {
            let mut row = vec![parameters[p].0.clone()];
            row.extend(u.shares[p].iter().map(|share| format!("{:.1} %", 100.0 * share)));
            row.push(format!("{:.1e}", differences[p]));
            row
        })
        .collect();
    page.table(&head, &table);
    page.note(
        "How to read it",
        "An MLP would move each layer's weights by that layer's own gradient; here all layers share them, and move by the sum. A share is the \
         part of the sum that a copy's gradient makes along it: each row adds up to 100 %. A negative one, in the other colour, is a step that asks for the \
         opposite of what all together do.",
    );
}

/// The step, from 1, with the largest share.
fn strongest(shares: &[f64]) -> (usize, f64) {
    let best = shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map_or((1, 0.0), |(t, &share)| (t + 1, share))
}
