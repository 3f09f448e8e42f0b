//! Networks of dynamic systems, from their own configurations: NARX, time-delay, recurrent multilayer perceptron.

use super::{Feed, Kind, MAX_DRAWN, MAX_LAYERS, Shape, Topology, Unrolled, Way};
use crate::Error;
use elman::network::{NarxConfig, RmlpConfig, TdnnConfig, Training};
use elman_core::Cell;
use elman_core::cells::Elman;

fn check(option: &str, value: usize, least: usize, most: usize) -> Result<(), Error> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(Error::Usage(format!("{option}: from {least} to {most} can be drawn, not {value}"))),
    }
}

/// What stands for past outputs.
pub(super) fn training(feed: Feed) -> Training {
    if feed == Feed::Outputs { Training::Parallel } else { Training::SeriesParallel }
}

impl Unrolled {
    /// A NARX network over `length` predictions, f at each of them with its inputs u_{t-d}, ..., u_{t-d-n_u+1} and the n_y outputs before it: in
    /// series-parallel form the targets (after the measured beginning), in parallel form its own outputs.
    ///
    /// ```
    /// use elman::network::{NarxConfig, Training};
    /// use elman_tasks::unroll::Unrolled;
    /// let graph = Unrolled::narx(&NarxConfig::new(1, 2, &[8]), Training::Parallel, 3)?;
    /// // Two outputs are measured before the first that is predicted.
    /// assert_eq!((graph.count('u'), graph.count('y'), graph.count('L')), (3, 3, 3));
    /// # Ok::<(), elman_tasks::Error>(())
    /// ```
    ///
    /// # Errors
    /// No prediction or more than [`MAX_DRAWN`], lags or a delay that leave no picture.
    pub fn narx(config: &NarxConfig, training: Training, length: usize) -> Result<Unrolled, Error> {
        let (inputs, outputs, delay) = (config.input_lags, config.output_lags, config.delay);
        check("--lags", inputs.min(outputs), 1, MAX_LAYERS)?;
        check("--lags", inputs.max(outputs), 1, MAX_LAYERS)?;
        check("--delay", delay, 0, MAX_LAYERS)?;
        Unrolled::lagged("narx", [inputs, outputs, delay], training, length)
    }

    /// A layer that carries its output alone, as a model of a system whose input acts a step later ([`OutputFedModel`](elman::network::OutputFedModel)):
    /// the step of `cell` with u_{t-1} and the output before it, in series-parallel form the target; with [`Feed::Outputs`] its own.
    ///
    /// # Errors
    /// No prediction or more than [`MAX_DRAWN`].
    pub fn output_fed(cell: &str, feed: Feed, length: usize) -> Result<Unrolled, Error> {
        Unrolled::lagged(cell, [1, 1, 1], training(feed), length)
    }

    /// Steps of `name` with so many lags of inputs and outputs, and a delay.
    fn lagged(
        name: &str,
        [inputs, outputs, delay]: [usize; 3],
        training: Training,
        length: usize,
    ) -> Result<Unrolled, Error> {
        check("--length", length, 1, MAX_DRAWN)?;
        let form = match training {
            Training::SeriesParallel => "series-parallel form (teacher forcing)",
            Training::Parallel => "parallel form (free running)",
        };
        let mut graph = Unrolled::empty(format!(
            "{name} unrolled, {form}, {inputs} input and {outputs} output lags, delay {delay}"
        ));
        // The first step for which everything is there.
        let first = outputs.max(delay + inputs - 1) + 1;
        let last = first + length - 1;
        let column = |t: usize| t as f64;
        let read: Vec<Option<usize>> = (0..=last)
            .map(|t| {
                let is_read = t + delay + inputs > first && t + delay <= last && t >= 1;
                is_read.then(|| graph.vertex(Kind::Given, format!("u_{t}"), column(t), 4))
            })
            .collect();
        // What stands for the past outputs, by step.
        let mut past: Vec<Option<usize>> = (0..first)
            .map(|t| {
                let is_fed = t + outputs >= first && t >= 1;
                is_fed.then(|| graph.vertex(Kind::Given, format!("measured {t}"), column(t), 2))
            })
            .collect();
        let weights = graph.vertex(Kind::Weights, "W".into(), column(first + last) / 2.0, 5);
        let mut losses = Vec::new();
        for t in first..=last {
            let step = graph.vertex(Kind::Step, format!("{name} {t}"), column(t), 3);
            graph.edge(weights, step, String::new(), Way::Shared);
            let seen = (0..inputs).filter_map(|lag| read[t - delay - lag]);
            seen.for_each(|from| graph.edge(from, step, String::new(), Way::Plain));
            let before = (1..=outputs).filter_map(|lag| past[t - lag]);
            before.for_each(|from| graph.edge(from, step, String::new(), Way::Fed));
            let output = graph.vertex(Kind::Output, format!("y_{t}"), column(t), 2);
            graph.edge(step, output, String::new(), Way::Plain);
            let (loss, target) = graph.loss(output, format!("target {t}"), t);
            past.push(Some(if training == Training::Parallel { output } else { target }));
            losses.push(loss);
        }
        graph.total(&losses, first + last - 1);
        Ok(graph)
    }

    /// A time-delay network over `length` steps, causal: every unit sees the taps of the layer below, none before the first step, where zeros stand.
    /// The last layer is the output.
    ///
    /// # Errors
    /// No step or more than [`MAX_DRAWN`], no layer or more than [`MAX_LAYERS`], no tap or dilation.
    pub fn tdnn(config: &TdnnConfig, length: usize) -> Result<Unrolled, Error> {
        let layers = config.layers.len();
        check("--length", length, 1, MAX_DRAWN)?;
        check("--layers", layers, 1, MAX_LAYERS)?;
        for layer in &config.layers {
            check("--taps", layer.taps, 1, MAX_DRAWN)?;
            check("--dilation", layer.dilation, 1, MAX_DRAWN)?;
        }
        let mut graph =
            Unrolled::empty(format!("tdnn unrolled, causal, {layers} layer{}", if layers > 1 { "s" } else { "" }));
        let row_of = |layer: usize| 3 + 2 * (layers - 1 - layer);
        let inputs = row_of(0) + 1;
        let mut below: Vec<usize> =
            (1..=length).map(|t| graph.vertex(Kind::Given, format!("x_{t}"), t as f64, inputs)).collect();
        for (l, layer) in config.layers.iter().enumerate() {
            // Above the inputs they stand aside, where no window crosses them.
            let (row, column) = if l == 0 { (inputs + 1, (length as f64 + 1.0) / 2.0) } else { (row_of(l) + 1, 0.2) };
            let number = if layers > 1 { format!(" {}", l + 1) } else { String::new() };
            let which = if layers > 1 { format!(", layer{number}") } else { String::new() };
            let weights = graph.vertex(Kind::Weights, format!("W{number}"), column, row);
            below = (0..length)
                .map(|at| {
                    let step = graph.vertex(Kind::Step, format!("tdnn {}{which}", at + 1), (at + 1) as f64, row_of(l));
                    graph.edge(weights, step, String::new(), Way::Shared);
                    let taps = (0..layer.taps).filter_map(|tap| at.checked_sub(tap * layer.dilation));
                    taps.for_each(|from| graph.edge(below[from], step, String::new(), Way::Plain));
                    step
                })
                .collect();
        }
        let mut losses = Vec::new();
        for (at, &step) in below.iter().enumerate() {
            let output = graph.vertex(Kind::Output, format!("y_{}", at + 1), (at + 1) as f64, 2);
            graph.edge(step, output, String::new(), Way::Plain);
            losses.push(graph.loss(output, format!("target {}", at + 1), at + 1).0);
        }
        graph.total(&losses, length);
        Ok(graph)
    }

    /// A recurrent multilayer perceptron over `length` steps: a simple recurrent layer for each hidden one and a linear output, which may be fed its
    /// own value of the step before.
    ///
    /// # Errors
    /// As [`Unrolled::network`].
    pub fn rmlp(config: &RmlpConfig, length: usize) -> Result<Unrolled, Error> {
        let cell = Elman { activation: config.activation };
        let cells = vec![cell.spec(); config.hidden.len()];
        let (shape, feed) = (Shape::ManyToMany, Feed::Nothing);
        let mut graph = Unrolled::network(Topology {
            cells: &cells,
            bidirectional: false,
            shape,
            length,
            next_input: false,
            feed,
        })?;
        let output = if config.recurrent_output { "a recurrent output layer" } else { "a linear output layer" };
        graph.title = format!("rmlp unrolled, {} hidden layer(s), {output}", config.hidden.len());
        if config.recurrent_output {
            let outputs: Vec<usize> =
                (0..graph.vertices.len()).filter(|&v| graph.vertices[v].kind == Kind::Output).collect();
            for pair in outputs.windows(2) {
                // Not over a gap.
                if graph.vertices[pair[1]].column - graph.vertices[pair[0]].column < 1.5 {
                    let carried = graph.vertices[pair[0]].label.clone();
                    graph.edge(pair[0], pair[1], carried, Way::Plain);
                }
            }
        }
        Ok(graph)
    }

    /// Without vertices.
    pub(super) fn empty(title: String) -> Unrolled {
        Unrolled { title, vertices: Vec::new(), edges: Vec::new() }
    }
}
