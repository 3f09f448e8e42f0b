//! Every vector of a network on its way over a text, as in the decks' picture of h-e-l-l-o: input, hidden, output,
//! probability and loss of each step.

use elman_core::engine::{Affine, Engine, StepInput, Stepper};
use elman_run::Model;
use std::fmt::Write;
use std::sync::Arc;

/// More steps than this are not shown.
const MAX_STEPS: usize = 64;

/// Runs `ids` from the initial state, one step at a time, and prints what every layer computes. The last id is only a target.
///
/// The characters' columns stand in the order of their first appearance in `ids`, then of their ids; of words only those in `ids` have one.
pub fn show(model: &Model, engine: &Arc<Engine>, ids: &[u32], title: &str) -> String {
    let vocabulary = model.vocabulary();
    let mut order: Vec<u32> = Vec::new();
    let others = if vocabulary.unit() == "word" { 0 } else { vocabulary.len() as u32 };
    for id in ids.iter().copied().chain(0..others) {
        if !order.contains(&id) {
            order.push(id);
        }
    }
    let name = |id: u32| match vocabulary.characters().get(id as usize) {
        Some(character) => format!("{character:?}"),
        None => vocabulary.symbol(id).to_string(),
    };
    let mut steppers: Vec<Stepper<f32>> = model
        .layers()
        .iter()
        .enumerate()
        .map(|(k, l)| Stepper::new(engine, &l.layer, &l.slices(), 1, (k == 0).then(|| model.embedding())))
        .collect();
    for (k, stepper) in steppers.iter_mut().enumerate() {
        if let Some(state) = model.initial_state(k) {
            stepper.set_state(&state);
        }
    }
    let mut readout = Affine::new(engine.isa(), model.readout_weight(), model.readout_bias(), model.output_width());
    let mut logits = vec![0.0; vocabulary.len()];
    let width = model.config().embedding;

    let mut out = format!("{title}\n");
    let steps = ids.len().saturating_sub(1).min(MAX_STEPS);
    let mut total = 0.0;
    for (t, pair) in ids.windows(2).take(steps).enumerate() {
        let [input, target] = [pair[0], pair[1]];
        let mut y = Vec::new();
        let mut rows: Vec<(String, Vec<f32>)> = Vec::new();
        for (k, stepper) in steppers.iter_mut().enumerate() {
            y = if k == 0 { stepper.step(StepInput::Tokens(&[input])) } else { stepper.step(StepInput::Dense(&y)) }
                .to_vec();
            let layer = stepper.layer().clone();
            for (&value, state) in layer.carried().iter().zip(stepper.state()) {
                rows.push((format!("hidden {}{}", layer.values()[value].name, k), state));
            }
        }
        readout.apply(&y, &mut logits);
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logits.iter().map(|x| (x - max).exp()).sum();
        let probability = |id: u32| (logits[id as usize] - max).exp() / sum;
        let loss = -probability(target).ln();
        total += loss;

        let columns = |f: &dyn Fn(u32) -> f32| order.iter().map(|&id| f(id)).collect::<Vec<f32>>();
        // Writing to a string does not fail.
        let _ = writeln!(out, "step {}: {} -> {}", t + 1, name(input), name(target));
        let _ =
            writeln!(out, "  {:<12}{}", "", order.iter().map(|&id| format!(" {:>8}", name(id))).collect::<String>());
        line(&mut out, "input", &columns(&|id| f32::from(id == input)));
        line(&mut out, "embedding", &model.embedding()[input as usize * width..][..width]);
        for (name, values) in &rows {
            line(&mut out, name, values);
        }
        line(&mut out, "output", &columns(&|id| logits[id as usize]));
        line(&mut out, "probability", &columns(&probability));
        let _ = writeln!(out, "  {:<12}{loss:>9.4} nats = -ln {:.4}", "loss", probability(target));
    }
    let _ = writeln!(out, "mean loss    {:>9.4} nats", total / steps.max(1) as f32);
    if ids.len() > steps + 1 {
        let _ = writeln!(out, "(the first {steps} steps of {})", ids.len() - 1);
    }
    out
}

/// A named vector, ten numbers a line.
fn line(out: &mut String, name: &str, values: &[f32]) {
    for (i, part) in values.chunks(10).enumerate() {
        let numbers: String = part.iter().map(|x| format!("{x:>9.4}")).collect();
        let _ = writeln!(out, "  {:<12}{numbers}", if i == 0 { name } else { "" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elman_run::{ModelConfig, Tensor, Vocabulary};

    /// An Elman network of two units over `h`, `e`, `l`, `o` whose numbers are known by hand.
    #[test]
    fn the_vectors_are_those_of_the_equations() {
        let vocabulary = Vocabulary::new("helo".chars()).unwrap(); // e h l o
        let config =
            ModelConfig { task: "char-lm".into(), cell: "elman".into(), embedding: 1, hidden: 1, output: 1, layers: 1 };
        let tensor = |name: &str, shape: &[usize], values: &[f32]| Tensor {
            name: name.into(),
            shape: shape.into(),
            values: values.into(),
        };
        let tensors = vec![
            tensor("embedding.weight", &[4, 1], &[0.1, 0.2, 0.3, 0.4]),
            tensor("rnn.weight_ih_l0", &[1, 1], &[2.0]),
            tensor("rnn.weight_hh_l0", &[1, 1], &[0.5]),
            tensor("rnn.bias_ih_l0", &[1], &[0.25]),
            tensor("readout.weight", &[4, 1], &[1.0, 0.0, -1.0, 2.0]),
            tensor("readout.bias", &[4], &[0.0; 4]),
        ];
        let model = Model::from_tensors(config, vocabulary, tensors).unwrap();
        let text = show(&model, &Arc::new(Engine::new(1)), &[1, 0, 2], "t");
        let numbers = |name: &str, nth: usize| -> Vec<f64> {
            let line = text.lines().filter(|l| l.trim_start().starts_with(name)).nth(nth).unwrap();
            line.replace(name, "").split_whitespace().map_while(|n| n.parse().ok()).collect()
        };
        // Columns h, e, l, o. Printed with four digits.
        assert_eq!(numbers("input", 0), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(numbers("input", 1), [0.0, 1.0, 0.0, 0.0]);
        let h1 = (2.0f64 * 0.2 + 0.25).tanh();
        let h2 = (2.0 * 0.1 + 0.5 * h1 + 0.25).tanh();
        for (step, h) in [h1, h2].into_iter().enumerate() {
            let logits = [0.0, h, -h, 2.0 * h]; // h e l o
            let sum: f64 = logits.iter().map(|l| l.exp()).sum();
            let near = |shown: f64, exact: f64| assert!((shown - exact).abs() <= 5.1e-5, "{shown} {exact}\n{text}");
            near(numbers("hidden h0", step)[0], h);
            for (i, logit) in logits.into_iter().enumerate() {
                near(numbers("output", step)[i], logit);
                near(numbers("probability", step)[i], logit.exp() / sum);
            }
            near(numbers("loss", step)[0], -(logits[1 + step].exp() / sum).ln());
        }
    }
}
