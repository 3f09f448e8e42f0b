//! The settings that tasks of language models share.

use crate::settings::Kind;

pub const RECOMPUTE: Kind = Kind::Text(
    |text| text.parse::<elman::Recompute>().is_ok(),
    "`off`, a number of steps from 1, or a budget of memory such as `64MB` (kB, MB, GB, KiB, MiB, GiB)",
);
/// The list of settings of a task whose tokens are `token`s: `own` ones first, then the shared ones with the task's defaults; where a default
/// is a pair, the second is that for the text in the program.
macro_rules! language_model_settings {
    (
        token: $token:literal, Tokens: $Tokens:literal, own: [$($own:expr),* $(,)?],
        hidden: ($hidden:literal, $hidden_embedded:literal), batch: $batch:literal, seq_len: $seq_len:literal,
        steps: $steps:literal, epochs: $epochs:literal, lr: ($lr:literal, $lr_embedded:literal),
        eval_every: $eval_every:expr, eval_size: $eval_size:expr,
        sample_every: ($sample_every:literal, $sample_every_embedded:literal), sample_length: $sample_length:literal $(,)?
    ) => {{
        use $crate::language_model::{algorithm, initial, regularisation};
        use $crate::language_model::settings::RECOMPUTE;
        use $crate::optimisation::CLIP;
        use $crate::settings::Default::{Auto, Is, Same};
        use $crate::settings::{COUNT, EVERY, FRACTION, Kind, MAX, NOT_NEGATIVE, POSITIVE, SIZE, Setting, fixed, setting};
        const LIST: &[Setting] = &[
            $($own,)*
            fixed("cell", Kind::Cell(initial::cell_names, initial::preset), Is("lstm"),
                "The recurrent cell: a name that `elman cells` lists, or a file of equations; or a cell with its initialisation, such as irnn: `elman \
                  inits` lists those."),
            fixed("hidden", SIZE, Is($hidden),
                concat!("Hidden units of a layer (", $hidden_embedded, " for the text in the program).")),
            fixed("embedding", SIZE, Same("hidden"), concat!("Width of the vector that stands for a ", $token, ".")),
            fixed("output", SIZE, Same("hidden"), "Width of a projection or a fed-back output, for cells that have one."),
            fixed("layers", Kind::Integer(1, 100), Is("1"), "Recurrent layers on top of each other."),
            fixed("init-range", initial::RANGE, Is("off"),
                "Every parameter is uniform in plus or minus this before training: embedding, readout and biases too, instead of what the other \
                 init settings say; off leaves it to them."),
            fixed("init-input", Kind::Choice(initial::names), Is("uniform"),
                "Matrices from a layer's input before training; `elman inits` explains them."),
            fixed("init-recurrent", Kind::Choice(initial::names), Is("uniform"), "All other matrices of a layer before training."),
            fixed("init-bias", Kind::Choice(|| vec!["uniform", "zeros"]), Is("uniform"), "Biases of a layer before training."),
            fixed("forget-bias", initial::FORGET_BIAS, Is("off"),
                "Bias of the gate `f` before training, for cells that have one; off leaves it to init-bias."),
            fixed("chrono", initial::CHRONO, Is("off"),
                concat!("Longest time in ", $token, "s over which units remember before training, for LSTMs: the biases of their forget gates are spread \
                 so, and their input gates' are the negative (Tallec & Ollivier 2018).")),
            fixed("learn-initial-state", Kind::Choice(|| vec!["off", "on"]), Is("off"),
                concat!("Whether the state before the first ", $token, " is learned instead of zero. Only a step that begins the text anew \
                 teaches it.")),
            fixed("max-norm", NOT_NEGATIVE, Is("0"),
                "Largest norm of a row of a recurrent layer's matrices: a longer one is scaled down to it after each update; 0 \
                 means none."),
            fixed("non-negative", regularisation::PARTS, Is("off"),
                "Parameters that are kept at 0 or above after each update: those whose names contain one of these parts."),
            fixed("freeze", regularisation::PARTS, Is("off"),
                "Parameters that stay as they were drawn: those whose names contain one of these parts. `rnn` makes a \
                 reservoir, of which embedding and readout alone learn; `leak` keeps the shares of leaky units."),
            setting("dropout", FRACTION, Is("0"), "Fraction of values dropped between layers while training."),
            setting("dropout-embedding", FRACTION, Is("0"),
                "Fraction of the embedding's values dropped before the first layer while training."),
            setting("dropout-readout", FRACTION, Is("0"),
                "Fraction of the last layer's values dropped before the readout while training."),
            setting("dropout-words", FRACTION, Is("0"),
                concat!("Fraction of all distinct ", $token, "s whose embedding is dropped, at all their places in a step (Gal & Ghahramani 2016).")),
            setting("dropout-input", FRACTION, Is("0"),
                "Variational dropout: fraction of the first layer's inputs dropped, one mask for all time steps (Gal & Ghahramani 2016)."),
            setting("dropout-between", FRACTION, Is("0"), "The same for the inputs of the other layers."),
            setting("dropout-recurrent", FRACTION, Is("0"), "The same for what the recurrent matrices see of the step before."),
            setting("dropout-output", FRACTION, Is("0"), "The same for the last layer's output."),
            setting("drop-connect", FRACTION, Is("0"),
                "Fraction of the elements of the recurrent matrices dropped, one mask for a step of training (Merity et al. 2018)."),
            setting("activation-penalty", NOT_NEGATIVE, Is("0"), "Times the mean square of the last layer's output, added to the loss."),
            setting("temporal-penalty", NOT_NEGATIVE, Is("0"),
                "Times the mean square of the change of the last layer's output from step to step, added to the loss."),
            setting("scheduled-sampling", regularisation::FORCING, Is("off"),
                concat!("How often an input is the text's ", $token, " and not one that the network draws itself (Bengio et al. 2015), by the step i: \
                 linear:START:SLOPE:LEAST is START - SLOPE i but at least LEAST, exponential:K is K^i, inverse-sigmoid:K is K / (K + exp(i / K)); \
                 off: always, free: never.")),
            fixed("batch", SIZE, Is($batch), "Streams learnt from side by side."),
            fixed("seq-len", Kind::Integer(1, 1_000_000), Is($seq_len),
                concat!($Tokens, " of each stream in a step; the gradient goes back so far (k2).")),
            fixed("stride", Kind::Integer(1, 1_000_000), Same("seq-len"),
                concat!($Tokens, " of each stream between updates (k1), at most seq-len. With fewer, the steps before are computed again in each \
                 update, and more paths of the gradient survive: `elman paths` shows which.")),
            fixed("algorithm", Kind::Choice(algorithm::names), Is("bptt"),
                concat!("How the gradient is taken: bptt goes back through the ", $token, "s of a step; the others carry it forward with the stream, \
                 across steps, for one layer: rtrl exactly (memory and time are those of small layers), snap-1 and truncated with a bias, uoro with \
                 a variance. docs/online.md has their equations and costs.")),
            setting("parts", SIZE, Is("1"),
                "Groups of streams that are worked on one after the other, their gradients added up: less memory, the same update."),
            setting("recompute", RECOMPUTE, Is("off"),
                concat!("What is kept of a long seq-len for the gradient: everything (off), the states at every so many ", $token, "s, or \
                 what a budget for all recurrent layers allows (64MB); the rest is computed again. A resumed run may change it: \
                 results differ by rounding only.")),
            setting("steps", COUNT, Auto($steps), "Steps to train for."),
            setting("epochs", COUNT, Auto($epochs), "Times to read the training text, instead of steps."),
            setting("lr", POSITIVE, Is($lr), concat!("Learning rate (", $lr_embedded, " for the text in the program).")),
            setting("find-lr", Kind::Choice(|| vec!["off", "on"]), Is("off"),
                "Whether a sweep of learning rates comes before the first step (Smith 2017): it draws plots/lr.svg and suggests one; training then goes \
                 on with `lr` as it is."),
            setting("clip", CLIP, Is("5"),
                "Largest norm of the gradient; a longer one is scaled down to it; off leaves all as they are."),
            setting("clip-by", Kind::Choice(|| vec!["norm", "value", "squared-norm"]), Is("norm"),
                "What `clip` limits: the norm over all parameters, each element by itself, or the squared norm as in a lecture's code, which makes \
                 long gradients shorter than short ones."),
            setting("gradient-noise", NOT_NEGATIVE, Is("0"),
                "Variance at the first step of the Gaussian noise added to the gradient; at step t it is this / (1 + t)^0.55 (Neelakantan et al. 2015)."),
            fixed("optimiser", Kind::Choice(|| vec!["adam", "sgd", "rmsprop"]), Is("adam"),
                "The rule of the updates, with PyTorch's constants."),
            fixed("momentum", FRACTION, Is("0"), "Momentum of sgd and rmsprop."),
            setting("weight-decay", NOT_NEGATIVE, Is("0"),
                "This times the parameter is added to its gradient."),
            setting("decoupled-decay", Kind::Choice(|| vec!["off", "on"]), Is("off"),
                "Whether weight-decay shrinks the parameters directly instead, by lr times it (Loshchilov & Hutter 2019: AdamW)."),
            setting("schedule", Kind::Choice(|| vec!["constant", "warmup", "step", "cosine", "epochs"]), Is("constant"),
                "How the learning rate moves over schedule-steps: it rises linearly (warmup), is multiplied by gamma after \
                 each (step), or falls to gamma of itself (cosine); or it stays for hold-epochs epochs and is multiplied by gamma at the beginning of \
                 each one after them (epochs)."),
            setting("schedule-steps", COUNT, Auto("as steps"), "Steps of the schedule."),
            setting("hold-epochs", EVERY, Is("1"), "Epochs at the full learning rate with the schedule epochs."),
            setting("gamma", Kind::Number(|x| x > 0.0 && x <= 1.0, "above 0 and at most 1"), Is("0.1"),
                "Factor of the schedules step, cosine and epochs."),
            fixed("held-out", Kind::Number(|x| (0.0..=0.5).contains(&x), "from 0 to 0.5"), Is("0.1"),
                "Fraction at the end of the text that is scored and not learnt from."),
            fixed("seed", Kind::Integer(0, MAX), Is("42"), "Seed of every random number of the run."),
            setting("threads", Kind::Integer(0, 1024), Is("0"),
                "Threads; 0 means all. The number does not change the results."),
            setting("precision", Kind::Choice(|| vec!["f32", "bf16"]), Is("f32"),
                "Of matrix products while training, the recurrent layers' and the readout's: bf16 rounds their operands to 8 bits and sums in f32, on \
                 processors with AMX or AVX512-BF16; elsewhere f32 runs."),
            setting("log-every", COUNT, Is("10"), "Steps between lines in metrics.jsonl."),
            setting("eval-every", EVERY, $eval_every, "Steps between scores on the held-out part; 0 means only at the end."),
            setting("eval-size", Kind::Integer(2, MAX), $eval_size,
                concat!($Tokens, " of the held-out part that are scored while training; all are at the end.")),
            setting("patience", EVERY, Is("0"),
                "Scores on the held-out part in a row without a new lowest after which training stops; best.safetensors has the lowest; 0: never."),
            setting("watch", Kind::Choice(|| vec!["off", "on"]), Is("off"),
                "Whether TensorBoard also gets the share of clipped steps, the size of an update relative to the parameters, and the share of time \
                 that each gate is saturated, every log-every steps."),
            setting("checkpoint-every", COUNT, Is("250"),
                "Steps between checkpoints; there is also one at the end and on Ctrl-C."),
            setting("sample-every", EVERY, Is($sample_every),
                concat!("Steps between samples (", $sample_every_embedded, " for the text in the program); 0 means only at the end.")),
            setting("sample-length", Kind::Integer(1, 1_000_000), Is($sample_length), concat!($Tokens, " of a sample.")),
        ];
        LIST
    }};
}
