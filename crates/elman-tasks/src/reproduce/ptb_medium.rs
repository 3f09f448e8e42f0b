//! Zaremba, Sutskever and Vinyals' medium language model of the Penn Treebank.

use super::Experiment;
use super::penn_treebank::{Recipe, run};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "ptb-medium",
    file: "ptb_medium",
    paper: "Zaremba, Sutskever & Vinyals 2014, the medium LSTM with dropout",
    summary: "words of the Penn Treebank, two layers of 650 LSTM units with dropout 0.5, 39 epochs",
    doc: "\
As ptb-small with `--preset zaremba-medium --gamma 0.8`: 20 streams, 35 steps, dropout of one half before, between and after the layers,
the rate times 0.8 at each epoch after the sixth. Hours of two cores; `--precision bf16` takes a quarter less of them where the processor
has such products. The published figures and the 0.8 are those of TensorFlow's tutorial (its ptb_word_lm.py); the paper divides by 1.2 and
has 86.2 and 82.7.",
    lengths: None,
    mixed: true,
    run: |options, log| run(&RECIPE, options, log),
};

const RECIPE: Recipe = Recipe {
    preset: "zaremba-medium",
    settings: &[("gamma", "0.8")],
    valid: (86.16, "86.16"),
    test: (82.07, "82.07"),
    picture: "ptb-medium.svg",
};
