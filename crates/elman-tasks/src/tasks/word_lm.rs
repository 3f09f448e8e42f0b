//! A language model over words: it learns to predict the next word of a text, and writes.

use super::Task;
use crate::language_model::LanguageModelTask;
use crate::language_model::material::Material;
use crate::settings::{Pairs, Setting, Settings, Value};

mod corpus;

const LANGUAGE_MODEL: LanguageModelTask = LanguageModelTask { open: corpus::open, decide };

pub(super) const TASK: Task = Task {
    name: "word-lm",
    file: "word_lm",
    summary: "language model over words: learns to predict the next word of a text, and writes",
    doc: "\
Data: a UTF-8 text (--data), plain or packed (.gz); or a folder with one file each *train*.txt, *valid*.txt and *test*.txt; or --data,
--valid and --test; with none, the text that is in the program. Words are what stands between white space; a line end is the word <eos>. The
vocabulary is taken from the part that is learnt from: the `vocabulary` most frequent words that occur at least
`min-count` times; all others are <unk>. Without a file for validation the last held-out part of the text is not learnt from. The text is
read line by line; its words are kept as numbers of 4 bytes.

Batches: the training part is cut into `batch` contiguous streams; a step reads the next `seq-len` words of each. The
state is carried from step to step, the gradient is not (truncated backpropagation through time). When the streams
end they start again from the initial state, zero unless it is learned.

Network: embedding, `layers` recurrent layers of `cell` with `hidden` units, a linear readout with softmax.

Loss: mean cross-entropy of the next word over the steps and streams of a batch, in nats. The gradient's norm over all
parameters is clipped.

Metric: perplexity, nats and bits a word, <eos> and <unk> among the words, on the held-out part after each epoch, and on the test
part at the end; each is read as one stream from the initial state.

Presets: zaremba-small and zaremba-medium are recipes of Zaremba, Sutskever & Vinyals (2014) for the Penn Treebank, and gal-medium is the medium one
with the variational dropout and the weight decay of Gal & Ghahramani (2016). There the loss is summed over the steps of a batch, here it is their mean:
hence their learning rate 1 is seq-len here, and their clipping at 5 is 5 / seq-len.

Output: the run's directory with model, checkpoint, measurements, TensorBoard events, a picture and samples.",
    settings: SETTINGS,
    preset: embedded,
    corpus: Some(corpus::open),
    series: None,
    train: |start, observer| LANGUAGE_MODEL.train(start, observer),
    eval: |evaluation, observer| LANGUAGE_MODEL.eval(evaluation, observer),
};

/// Smaller than the general defaults: the text in the program is short, and it should be learnt while one waits.
const EMBEDDED: [(&str, Value); 4] = [
    ("hidden", Value::Integer(128)),
    ("epochs", Value::Integer(6)),
    ("lr", Value::Number(0.004)),
    ("sample-every", Value::Integer(100)),
];

fn embedded(settings: &mut Settings) {
    if settings.get("data").is_none_or(|data| *data == Value::Text(String::new())) {
        for (key, value) in EMBEDDED {
            if key != "epochs" || settings.get("steps").is_none() {
                settings.fill(key, value);
            }
        }
    }
}

/// Epochs for files.
const EPOCHS: u64 = 10;
/// Steps for a text that a single step reads whole.
const TOY_STEPS: u64 = 150;

fn decide(settings: &mut Settings, material: &Material) {
    let epoch = material.steps_in_an_epoch();
    settings
        .fill("steps", Value::Integer(if material.is_one_step() { TOY_STEPS } else { EPOCHS.saturating_mul(epoch) }));
    settings.fill("eval-every", Value::Integer(epoch));
    settings.fill("eval-size", Value::Integer(material.corpus.held_out.len().max(2) as u64));
}

/// Recipes by name: what they set.
type Preset = (&'static str, &'static [(&'static str, &'static str)]);

/// Of Zaremba, Sutskever & Vinyals, "Recurrent neural network regularization" (2014), section 4.1. The loss is summed over seq-len steps there and
/// their mean here: lr is 1 times, clip 5 over seq-len. And of Gal & Ghahramani, "A theoretically grounded application of dropout in recurrent neural
/// networks" (2016): the same with other dropout. Their code has probabilities for 1,500 units (0.3 for words and recurrent connections, 0.5 elsewhere,
/// where Zaremba has 0.65); those for 650 units are ours, lower in the ratio of Zaremba's.
const PRESETS: &[Preset] = &[
    (
        "zaremba-small",
        &[
            ("vocabulary", "10000"),
            ("min-count", "1"),
            ("cell", "lstm"),
            ("hidden", "200"),
            ("layers", "2"),
            ("init-range", "0.1"),
            ("dropout", "0"),
            ("dropout-embedding", "0"),
            ("dropout-readout", "0"),
            ("batch", "20"),
            ("seq-len", "20"),
            ("optimiser", "sgd"),
            ("lr", "20"),
            ("clip", "0.25"),
            ("schedule", "epochs"),
            ("hold-epochs", "4"),
            ("gamma", "0.5"),
            ("epochs", "13"),
        ],
    ),
    (
        "zaremba-medium",
        &[
            ("vocabulary", "10000"),
            ("min-count", "1"),
            ("cell", "lstm"),
            ("hidden", "650"),
            ("layers", "2"),
            ("init-range", "0.05"),
            ("dropout", "0.5"),
            ("dropout-embedding", "0.5"),
            ("dropout-readout", "0.5"),
            ("batch", "20"),
            ("seq-len", "35"),
            ("optimiser", "sgd"),
            ("lr", "35"),
            // 5 / 35.
            ("clip", "0.14285714285714285"),
            ("schedule", "epochs"),
            ("hold-epochs", "6"),
            // 1 / 1.2.
            ("gamma", "0.8333333333333334"),
            ("epochs", "39"),
        ],
    ),
    (
        "gal-medium",
        &[
            ("vocabulary", "10000"),
            ("min-count", "1"),
            ("cell", "lstm"),
            ("hidden", "650"),
            ("layers", "2"),
            ("init-range", "0.05"),
            ("dropout", "0"),
            ("dropout-embedding", "0"),
            ("dropout-readout", "0"),
            ("dropout-words", "0.2"),
            ("dropout-input", "0.35"),
            ("dropout-between", "0.35"),
            ("dropout-recurrent", "0.2"),
            ("dropout-output", "0.35"),
            ("batch", "20"),
            ("seq-len", "35"),
            ("optimiser", "sgd"),
            ("lr", "35"),
            ("clip", "0.14285714285714285"),
            // 1e-7 of a parameter in a step at the full rate: 1e-7 / 35.
            ("weight-decay", "0.000000002857142857142857"),
            ("decoupled-decay", "on"),
            ("schedule", "epochs"),
            ("hold-epochs", "6"),
            ("gamma", "0.8333333333333334"),
            ("epochs", "39"),
        ],
    ),
];

fn preset_names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}

fn preset(name: &str) -> Option<Pairs> {
    let (_, pairs) = PRESETS.iter().find(|(known, _)| *known == name)?;
    Some(pairs.iter().map(|&(key, value)| (key, value.to_string())).collect())
}

const SETTINGS: &[Setting] = language_model_settings! {
    token: "word",
    Tokens: "Words",
    own: [
        setting("preset", Kind::Preset(preset_names, preset), Auto("none"),
            "A published recipe for many settings at once: zaremba-small, zaremba-medium or gal-medium; other settings that are given replace its own."),
        setting("data", Kind::Path, Auto("the text in the program"),
            "The text to learn from, in UTF-8, plain or packed (.gz); or for words a folder with the files *train*.txt, *valid*.txt and *test*.txt."),
        setting("valid", Kind::Path, Auto("the held-out part of data, or its folder's *valid*.txt"),
            "The text that is scored while training."),
        setting("test", Kind::Path, Auto("none, or data's folder's *test*.txt"), "The text that is scored at the end only."),
        fixed("vocabulary", Kind::Integer(2, 10_000_000), Is("10000"),
            "Most words that are known, <eos> and <unk> among them: the most frequent ones; all others are <unk>."),
        fixed("min-count", COUNT, Is("2"), "Times that a word must occur in the part learnt from to be known; rarer ones are <unk>."),
    ],
    hidden: ("256", "128"),
    batch: "20",
    seq_len: "35",
    steps: "as epochs; 150 for a text of one step",
    epochs: "10; 6 for the text in the program",
    lr: ("0.002", "0.004"),
    eval_every: Auto("an epoch"),
    eval_size: Auto("all"),
    sample_every: ("250", "100"),
    sample_length: "50",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_the_papers() {
        // After 13 epochs, 4 of them at the full rate: nine halvings. After 39, 6 of them: 33 divisions by 1.2.
        let medium = 1.2f64.powi(-33);
        for (name, range, last) in [
            ("zaremba-small", "0.1", 0.5f64.powi(9)),
            ("zaremba-medium", "0.05", medium),
            ("gal-medium", "0.05", medium),
        ] {
            let mut settings = Settings::new(SETTINGS);
            settings.set("preset", name, "").unwrap();
            settings.complete();
            let steps = settings.integer("seq-len") as f64;
            assert!(
                (settings.number("lr") / steps - 1.0).abs() < 1e-12
                    && (settings.text("clip").parse::<f64>().unwrap() * steps - 5.0).abs() < 1e-12
            );
            assert_eq!(
                (settings.text("init-range"), settings.integer("embedding")),
                (range, settings.integer("hidden"))
            );
            let lowered = settings.integer("epochs") - settings.integer("hold-epochs");
            assert!((settings.number("gamma").powi(lowered as i32) / last - 1.0).abs() < 1e-12, "{name}");
        }
    }

    /// Zaremba et al., section 4.1; Gal & Ghahramani's model is of the medium size, its probabilities are described in docs/reproductions.md.
    #[test]
    fn presets_have_the_papers_sizes() {
        let common = "vocabulary=10000 min-count=1 cell=lstm layers=2 batch=20 optimiser=sgd schedule=epochs";
        for (name, own) in [
            (
                "zaremba-small",
                "hidden=200 seq-len=20 epochs=13 hold-epochs=4 dropout=0 dropout-embedding=0 dropout-readout=0",
            ),
            (
                "zaremba-medium",
                "hidden=650 seq-len=35 epochs=39 hold-epochs=6 dropout=0.5 dropout-embedding=0.5 dropout-readout=0.5 dropout-recurrent=0",
            ),
            (
                "gal-medium",
                "hidden=650 seq-len=35 epochs=39 hold-epochs=6 dropout=0 dropout-embedding=0 dropout-readout=0 dropout-words=0.2 \
                 dropout-input=0.35 dropout-between=0.35 dropout-recurrent=0.2 dropout-output=0.35 decoupled-decay=on",
            ),
        ] {
            let mut settings = Settings::new(SETTINGS);
            settings.set("preset", name, "").unwrap();
            settings.complete();
            for pair in common.split_whitespace().chain(own.split_whitespace()) {
                let (key, value) = pair.split_once('=').unwrap();
                assert_eq!(settings.get(key).unwrap().to_string(), value, "{name}: {key}");
            }
            // 1e-7 of a parameter in a step.
            let decay = settings.number("weight-decay") * settings.number("lr");
            assert!((decay - if name == "gal-medium" { 1e-7 } else { 0.0 }).abs() < 1e-12, "{name}: {decay}");
        }
    }
}
