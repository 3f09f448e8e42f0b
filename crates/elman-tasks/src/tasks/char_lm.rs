//! A character language model: it learns to predict the next character of a text, and writes.

use super::Task;
use crate::settings::Default::{Auto, Is, Same};
use crate::settings::Resume::{Fixed, Free};
use crate::settings::{Kind, MAX, Setting, Settings, Value};

mod checkpoint;
mod eval;
mod initial;
mod material;
mod network;
mod precision;
mod train;
mod vectors;

pub(super) const TASK: Task = Task {
    name: "char-lm",
    file: "char_lm",
    summary: "character language model: learns to predict the next character of a text, and writes",
    doc: "\
Data: a UTF-8 text of any size (--data), mapped and never held whole; with none, the text that is in the program:
Elman's own sources and documents. The vocabulary is the text's distinct characters. The last held-out part of the
text is not learnt from.

Batches: the training part is cut into `batch` contiguous streams; a step reads the next `seq-len` characters of
each. The state is carried from step to step, the gradient is not (truncated backpropagation through time). When the
streams end they start again from the initial state, zero unless it is learned.

Network: embedding, `layers` recurrent layers of `cell` with `hidden` units, a linear readout with softmax.

Loss: mean cross-entropy of the next character, in nats. The gradient's norm over all parameters is clipped.

Metric: nats, bits and perplexity a character on the held-out part, read as one stream from the initial state.

Output: the run's directory with model, checkpoint, measurements, TensorBoard events, a picture and samples.",
    settings: SETTINGS,
    preset,
    train: train::train,
    eval: eval::eval,
};

/// Smaller than the general defaults: the text in the program is short, and it should be learnt while one waits.
const EMBEDDED: [(&str, Value); 4] = [
    ("hidden", Value::Integer(192)),
    ("steps", Value::Integer(400)),
    ("lr", Value::Number(0.004)),
    ("sample-every", Value::Integer(100)),
];

fn preset(settings: &mut Settings) {
    if settings.get("data").is_none_or(|data| *data == Value::Text(String::new())) {
        for (key, value) in EMBEDDED {
            if key != "steps" || settings.get("epochs").is_none() {
                settings.fill(key, value);
            }
        }
    }
}

const fn setting(key: &'static str, kind: Kind, default: crate::settings::Default, help: &'static str) -> Setting {
    Setting { key, kind, default, resume: Free, help }
}

/// One whose change would make another network, or other data.
const fn fixed(key: &'static str, kind: Kind, default: crate::settings::Default, help: &'static str) -> Setting {
    Setting { key, kind, default, resume: Fixed, help }
}

const POSITIVE: Kind = Kind::Number(|x| x > 0.0 && x.is_finite(), "above 0");
const SIZE: Kind = Kind::Integer(1, 65_536);
const COUNT: Kind = Kind::Integer(1, MAX);
const RECOMPUTE: Kind = Kind::Text(
    |text| text.parse::<elman::Recompute>().is_ok(),
    "`off`, a number of steps from 1, or a budget of memory such as `64MB` (kB, MB, GB, KiB, MiB, GiB)",
);
/// How often; 0 is never.
const EVERY: Kind = Kind::Integer(0, MAX);

#[rustfmt::skip]
const SETTINGS: &[Setting] = &[
    setting("data", Kind::Path, Auto("the text in the program"), "The text to learn from, in UTF-8."),
    fixed("cell", Kind::Cell(initial::cell_names, initial::preset), Is("lstm"),
        "The recurrent cell: a name that `elman cells` lists, or a file of equations; or a cell with its initialisation, such as irnn: `elman \
          inits` lists those."),
    fixed("hidden", SIZE, Is("256"), "Hidden units of a layer (192 for the text in the program)."),
    fixed("embedding", SIZE, Same("hidden"), "Width of the vector that stands for a character."),
    fixed("output", SIZE, Same("hidden"), "Width of a projection or a fed-back output, for cells that have one."),
    fixed("layers", Kind::Integer(1, 100), Is("1"), "Recurrent layers on top of each other."),
    fixed("init-input", Kind::Choice(initial::names), Is("uniform"),
        "Matrices from a layer's input before training; `elman inits` explains them."),
    fixed("init-recurrent", Kind::Choice(initial::names), Is("uniform"), "All other matrices of a layer before training."),
    fixed("init-bias", Kind::Choice(|| vec!["uniform", "zeros"]), Is("uniform"), "Biases of a layer before training."),
    fixed("forget-bias", initial::FORGET_BIAS, Is("off"),
        "Bias of the gate `f` before training, for cells that have one; off leaves it to init-bias."),
    fixed("learn-initial-state", Kind::Choice(|| vec!["off", "on"]), Is("off"),
        "Whether the state before the first character is learned instead of zero. Only a step that begins the text anew \
         teaches it."),
    fixed("max-norm", Kind::Number(|x| x >= 0.0 && x.is_finite(), "from 0"), Is("0"),
        "Largest norm of a row of a recurrent layer's matrices: a longer one is scaled down to it after each update; 0 \
         means none."),
    setting("dropout", Kind::Number(|x| (0.0..1.0).contains(&x), "from 0 to below 1"), Is("0"),
        "Fraction of values dropped between layers while training."),
    fixed("batch", SIZE, Is("64"), "Streams learnt from side by side."),
    fixed("seq-len", Kind::Integer(1, 1_000_000), Is("100"),
        "Characters of each stream in a step; the gradient goes back so far."),
    setting("recompute", RECOMPUTE, Is("off"),
        "What is kept of a long seq-len for the gradient: everything (off), the states at every so many characters, or \
         what a budget for all recurrent layers allows (64MB); the rest is computed again. A resumed run may change it: \
         results differ by rounding only."),
    setting("steps", COUNT, Auto("1500; 400 for the text in the program, 150 for a text of one step"),
        "Steps to train for."),
    setting("epochs", COUNT, Auto("none"), "Times to read the training text, instead of steps."),
    setting("lr", POSITIVE, Is("0.002"), "Learning rate (0.004 for the text in the program)."),
    setting("clip", POSITIVE, Is("5"), "Largest norm of the gradient; a longer one is scaled down to it."),
    fixed("optimiser", Kind::Choice(|| vec!["adam", "sgd", "rmsprop"]), Is("adam"),
        "The rule of the updates, with PyTorch's constants."),
    fixed("momentum", Kind::Number(|x| (0.0..1.0).contains(&x), "from 0 to below 1"), Is("0"),
        "Momentum of sgd and rmsprop."),
    setting("weight-decay", Kind::Number(|x| x >= 0.0 && x.is_finite(), "from 0"), Is("0"),
        "This times the parameter is added to its gradient."),
    setting("schedule", Kind::Choice(|| vec!["constant", "warmup", "step", "cosine"]), Is("constant"),
        "How the learning rate moves over schedule-steps: it rises linearly (warmup), is multiplied by gamma after \
         each (step), or falls to gamma of itself (cosine)."),
    setting("schedule-steps", COUNT, Auto("as steps"), "Steps of the schedule."),
    setting("gamma", Kind::Number(|x| x > 0.0 && x <= 1.0, "above 0 and at most 1"), Is("0.1"),
        "Factor of the schedules step and cosine."),
    fixed("held-out", Kind::Number(|x| (0.0..=0.5).contains(&x), "from 0 to 0.5"), Is("0.1"),
        "Fraction at the end of the text that is scored and not learnt from."),
    fixed("seed", Kind::Integer(0, MAX), Is("42"), "Seed of every random number of the run."),
    setting("threads", Kind::Integer(0, 1024), Is("0"),
        "Threads; 0 means all. The number does not change the results."),
    setting("precision", Kind::Choice(|| vec!["f32", "bf16"]), Is("f32"),
        "Of the recurrent layers' matrix products while training: bf16 rounds their operands to 8 bits and sums in f32, on \
         processors with AMX or AVX512-BF16; elsewhere f32 runs."),
    setting("log-every", COUNT, Is("10"), "Steps between lines in metrics.jsonl."),
    setting("eval-every", EVERY, Is("250"), "Steps between scores on the held-out part; 0 means only at the end."),
    setting("eval-size", Kind::Integer(2, MAX), Is("10000"),
        "Characters of the held-out part that are scored while training; all are at the end."),
    setting("checkpoint-every", COUNT, Is("250"),
        "Steps between checkpoints; there is also one at the end and on Ctrl-C."),
    setting("sample-every", EVERY, Is("250"),
        "Steps between samples (100 for the text in the program); 0 means only at the end."),
    setting("sample-length", Kind::Integer(1, 1_000_000), Is("200"), "Characters of a sample."),
];
