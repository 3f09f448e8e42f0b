//! Zaremba, Sutskever and Vinyals' small language model of the Penn Treebank.

use super::Experiment;
use super::penn_treebank::{Recipe, run};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "ptb-small",
    file: "ptb_small",
    paper: "Zaremba, Sutskever & Vinyals 2014, the non-regularised LSTM",
    summary: "words of the Penn Treebank, two layers of 200 LSTM units without dropout, 13 epochs",
    doc: "\
Trains `word-lm --preset zaremba-small` on the files in ptb/ of the folder ELMAN_DATA (../shared/data if it is not set): 929,589 words,
10,000 distinct; 20 streams, 20 steps, plain gradient descent, its rate halved at each epoch after the fourth. The figures are perplexities
of the last model on the validation and the test part, each read as one stream, and beside them those of the model that was best in
validation at the end of an epoch. The published ones are those of TensorFlow's tutorial with this recipe (its ptb_word_lm.py), of its last
model; the paper itself has 120.7 and 114.5. Our cell has one bias a gate. Stopped by Ctrl-C, or killed, it goes on when the command is
given again with the same --out; the time is then that of the last part. Two threads (--threads 0) pay here.",
    lengths: None,
    mixed: true,
    run: |options, log| run(&RECIPE, options, log),
};

const RECIPE: Recipe = Recipe {
    preset: "zaremba-small",
    settings: &[],
    valid: (121.39, "121.39"),
    test: (115.91, "115.91"),
    picture: "ptb-small.svg",
};
