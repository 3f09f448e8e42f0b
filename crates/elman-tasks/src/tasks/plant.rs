//! A network that feeds back its own output learns a plant from its inputs and outputs: taught with the measured outputs, all time steps at
//! once, or in its free run.

use super::Task;
use crate::optimisation::CLIP;
use crate::settings::Default::{Auto, Is};
use crate::settings::{COUNT, EVERY, FRACTION, Kind, MAX, NOT_NEGATIVE, POSITIVE, SIZE, Setting, fixed, setting};
use elman_core::cells;

mod data;
mod eval;
mod model;
mod series;
mod train;

pub(super) const TASK: Task = Task {
    name: "plant",
    file: "plant",
    summary: "model of a dynamic system: learns a plant from its inputs and outputs, with its outputs fed back",
    doc: "\
Data: made from a plant's difference equations (Narendra & Parthasarathy 1990); there is nothing to download. The network learns from the
plant's answer to uniform noise, `samples` steps of it, with normal noise of deviation `noise` in the measured outputs. The held-out part is
its answer to other noise, the test part that to the paper's sinusoids.

Batches: a step draws `batch` windows of `seq-len` predictions at random places. Every window begins from a measured output.

Network: one layer of a cell that carries its output alone, y_t = f(u_{t-1}, y_{t-1}), such as Jordan's; u and y are scaled by their mean and
deviation. With --feed targets (teacher forcing) the measured output stands in y_{t-1}'s place, and no step waits for another: all steps are
computed at once, in O(1) serial steps and O(seq-len) memory, or `chunk` at a time, in O(seq-len / chunk) serial steps and O(chunk) memory. With
--feed outputs the network reads its own output, step after step, and the gradient goes back through all of them.

Loss: mean square of the scaled error: 1 is the mean as prediction, 0 is perfect.

Metric: one step ahead, and in free run from the first output: root mean square error against the plant's output without noise, in the plant's units,
and fit, 100 (1 - |y - y*| / |y* - mean|) per cent; means over the outputs.

Output: the run's directory with model, checkpoint, measurements, TensorBoard events, the loss and the free run of the test part as pictures.",
    settings: SETTINGS,
    preset: |_| {},
    corpus: None,
    series: Some(series::open),
    train: train::train,
    eval: eval::eval,
};

const SETTINGS: &[Setting] = &[
    fixed(
        "plant",
        Kind::Choice(data::names),
        Is("two-by-two"),
        "The system: two-by-two has two inputs and two outputs of one lag; model-two and model-four (one input, one output) have two and three lags of \
         the output, more than such a network is fed back.",
    ),
    fixed(
        "noise",
        Kind::Number(|x| (0.0..=1000.0).contains(&x), "from 0 to 1000"),
        Is("0"),
        "Standard deviation of the noise in the measured outputs.",
    ),
    fixed("samples", Kind::Integer(10, 100_000_000), Is("4000"), "Steps of the plant to learn from."),
    fixed(
        "cell",
        // No names that stand for an initialisation too: a plant has no setting for one.
        Kind::Cell(|| cells::REGISTRY.iter().map(|entry| entry.name).collect(), |_| None),
        Is("jordan:output-activation=identity"),
        "The recurrent cell, one that carries its output alone. Outputs are scaled, so that a function of the output with bounds cannot reach them.",
    ),
    fixed("hidden", SIZE, Is("64"), "Hidden units."),
    setting(
        "feed",
        Kind::Choice(|| vec!["targets", "outputs"]),
        Is("targets"),
        "What is fed back while the network learns: the measured outputs (teacher forcing), or its own (free running).",
    ),
    setting(
        "chunk",
        Kind::Integer(0, MAX),
        Is("0"),
        "Steps computed at a time where targets are fed, each chunk with its own backward pass; 0 means all at once.",
    ),
    fixed("batch", SIZE, Is("32"), "Windows learnt from side by side."),
    fixed("seq-len", Kind::Integer(1, 1_000_000), Is("50"), "Steps of a window that are predicted."),
    setting("steps", COUNT, Is("3000"), "Steps to train for."),
    setting("lr", POSITIVE, Is("0.01"), "Learning rate."),
    setting(
        "clip",
        CLIP,
        Is("1"),
        "Largest norm of the gradient; a longer one is scaled down to it; off leaves all as they are.",
    ),
    fixed(
        "optimiser",
        Kind::Choice(|| vec!["adam", "sgd", "rmsprop"]),
        Is("adam"),
        "The rule of the updates, with PyTorch's constants.",
    ),
    fixed("momentum", FRACTION, Is("0"), "Momentum of sgd and rmsprop."),
    setting("weight-decay", NOT_NEGATIVE, Is("0"), "This times the parameter is added to its gradient."),
    setting(
        "schedule",
        Kind::Choice(|| vec!["constant", "warmup", "step", "cosine"]),
        Is("cosine"),
        "How the learning rate moves over schedule-steps: it rises linearly (warmup), is multiplied by gamma after each (step), or falls to gamma of \
         itself (cosine).",
    ),
    setting("schedule-steps", COUNT, Auto("as steps"), "Steps of the schedule."),
    setting(
        "gamma",
        Kind::Number(|x| x > 0.0 && x <= 1.0, "above 0 and at most 1"),
        Is("0.01"),
        "Factor of the schedules step and cosine.",
    ),
    fixed("seed", Kind::Integer(0, MAX), Is("42"), "Seed of every random number of the run."),
    setting(
        "threads",
        Kind::Integer(0, 1024),
        Is("1"),
        "Threads; 0 means all. The number does not change the results.",
    ),
    setting("log-every", COUNT, Is("10"), "Steps between lines in metrics.jsonl."),
    setting("eval-every", EVERY, Is("300"), "Steps between scores on the held-out part; 0 means only at the end."),
    setting(
        "watch",
        Kind::Choice(|| vec!["off", "on"]),
        Is("off"),
        "Whether TensorBoard also gets the share of clipped steps, and the size of an update relative to the parameters, every log-every steps.",
    ),
    setting(
        "checkpoint-every",
        COUNT,
        Is("250"),
        "Steps between checkpoints; there is also one at the end and on Ctrl-C.",
    ),
];
