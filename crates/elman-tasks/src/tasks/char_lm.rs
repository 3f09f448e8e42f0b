//! A character language model: it learns to predict the next character of a text, and writes.

use super::Task;
use crate::language_model::LanguageModelTask;
use crate::language_model::material::Material;
use crate::settings::{Setting, Settings, Value};

mod corpus;

const LANGUAGE_MODEL: LanguageModelTask = LanguageModelTask { open: corpus::open, decide };

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
    corpus: Some(corpus::open),
    series: None,
    train: |start, observer| LANGUAGE_MODEL.train(start, observer),
    eval: |evaluation, observer| LANGUAGE_MODEL.eval(evaluation, observer),
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

/// Steps for a file.
const STEPS: u64 = 1500;
/// Steps for a text that a single step reads whole, such as the decks' `hello`.
const TOY_STEPS: u64 = 150;

fn decide(settings: &mut Settings, material: &Material) {
    settings.fill("steps", Value::Integer(if material.is_one_step() { TOY_STEPS } else { STEPS }));
}

const SETTINGS: &[Setting] = language_model_settings! {
    token: "character",
    Tokens: "Characters",
    own: [setting("data", Kind::Path, Auto("the text in the program"), "The text to learn from, in UTF-8.")],
    hidden: ("256", "192"),
    batch: "64",
    seq_len: "100",
    steps: "1500; 400 for the text in the program, 150 for a text of one step",
    epochs: "none",
    lr: ("0.002", "0.004"),
    eval_every: Is("250"),
    eval_size: Is("10000"),
    sample_every: ("250", "100"),
    sample_length: "200",
};
