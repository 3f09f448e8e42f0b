//! The report in words: its page, and the lines on the terminal.

use super::page::Page;
use super::{Findings, cost, double_sum, product, sections, unfolded, units};

/// The whole page.
pub fn page(findings: &Findings) -> String {
    let layers = findings.network.layers();
    let mut page = Page::new(&format!(
        "Inside {}: {}, {} layer(s) of {}",
        findings.subject.run,
        findings.subject.cell,
        layers.len(),
        layers[0].layer.sizes().hidden
    ));
    sections::overview(&mut page, findings);
    product::product(&mut page, findings);
    sections::flow(&mut page, findings);
    double_sum::double_sum(&mut page, findings);
    sections::matrices(&mut page, findings);
    sections::gates(&mut page, findings);
    units::units(&mut page, findings);
    cost::cost(&mut page, findings);
    unfolded::unfolded(&mut page, findings);
    page.finish()
}

/// A few lines.
pub fn summary(findings: &Findings) -> String {
    let mut lines = String::new();
    let trained = &findings.trained;
    if let Some(now) = &trained.verdict {
        lines += &format!("{}: {}\n", now.kind.name(), sections::verdict_text(now));
    }
    if let Some(before) = &findings.untrained.verdict {
        lines += &format!("before training: {}, {:.3e} over {} steps\n", before.kind.name(), before.factor, before.lag);
    }
    lines += &format!(
        "{:.4} {} over {} losses, followed back {} steps\n",
        trained.flow.loss,
        findings.subject.words.loss,
        trained.flow.ends.len(),
        findings.subject.lags
    );
    if let Some(exponent) = trained.lyapunov.as_ref().and_then(|l| l.exponents.first()) {
        lines += &format!("largest Lyapunov exponent: {exponent:.4} nats a step\n");
    }
    for s in &findings.saturation {
        let (left, right) = s.means();
        lines += &format!(
            "gate {} of layer {}: shut {:.0} %, open {:.0} % of the steps\n",
            s.name,
            s.layer,
            100.0 * left,
            100.0 * right
        );
    }
    lines
}
