//! Gal and Ghahramani's medium language model of the Penn Treebank.

use super::Experiment;
use super::penn_treebank::{Recipe, run};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "ptb-variational",
    file: "ptb_variational",
    paper: "Gal & Ghahramani 2016, the medium variational LSTM with tied masks",
    summary: "words of the Penn Treebank, two layers of 650 LSTM units with variational dropout, 39 epochs",
    doc: "\
As ptb-medium with `--preset gal-medium`: one dropout mask for all time steps on each layer's input, on its recurrent connections and on the
last output, the same for all gates of a layer, and words dropped at all their places; weight decay. Test perplexity with the weights
scaled, not averaged over masks; the published figures are those that Fortunato, Blundell & Vinyals (2017) quote. The authors' code has the
probabilities of the large model only: those here are ours. Hours of two cores.",
    lengths: None,
    mixed: true,
    run: |options, log| run(&RECIPE, options, log),
};

const RECIPE: Recipe = Recipe {
    preset: "gal-medium",
    settings: &[],
    valid: (81.8, "81.8"),
    test: (79.7, "79.7"),
    picture: "ptb-variational.svg",
};
