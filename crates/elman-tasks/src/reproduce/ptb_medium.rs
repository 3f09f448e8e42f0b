//! Zaremba, Sutskever and Vinyals' medium language model of the Penn Treebank.

use super::Experiment;
use super::penn_treebank::{Recipe, run};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "ptb-medium",
    file: "ptb_medium",
    paper: "Zaremba, Sutskever & Vinyals 2014, the medium LSTM with dropout",
    summary: "words of the Penn Treebank, two layers of 650 LSTM units with dropout 0.5, 39 epochs",
    doc: "\
As ptb-small with `--preset zaremba-medium --hold-epochs 7`: 20 streams, 35 steps, dropout of one half before, between and after the layers,
the rate divided by 1.2 at each epoch after the seventh: the paper says after the sixth, its authors' code (main.lua) waits one longer. Hours
of two cores; `--precision bf16` takes a quarter less of them where the processor has such products. The published figures are those of
TensorFlow's tutorial (its ptb_word_lm.py), which multiplies by 0.8 after the sixth; the paper has 86.2 and 82.7.",
    lengths: None,
    mixed: true,
    run: |options, log| run(&RECIPE, options, log),
};

const RECIPE: Recipe = Recipe {
    preset: "zaremba-medium",
    settings: &[("hold-epochs", "7")],
    valid: (86.16, "86.16"),
    test: (82.07, "82.07"),
    picture: "ptb-medium.svg",
};
