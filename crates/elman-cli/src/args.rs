//! What can be asked of the program, and its help texts.

use crate::setting_flags::SettingFlags;
use clap::{Args, Parser, Subcommand, ValueEnum};
use elman_core::engine::WeightFormat;
use std::path::PathBuf;

/// Recurrent networks: train, evaluate, sample and explain them.
#[derive(Parser)]
#[command(
    name = "elman",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    after_long_help = "\
Begin with
  elman train char-lm                       learns from the text in the program, in about a minute
  elman train char-lm --data book.txt       learns from a text of yours
  elman train word-lm --data book.txt       the same by words
  elman sample runs/char-lm-1               writes
  elman describe lstm                       the equations of a cell, forward and backward

Results go to standard output, progress and messages to standard error. Exit status: 0 done,
1 failed while running, 2 the command or its input is wrong, 130 stopped by Ctrl-C after saving."
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    Train(Train),
    Eval(Eval),
    Sample(Sample),
    /// List the recurrent cells, with their sources.
    Cells(List),
    /// List the initialisations, and cells with theirs.
    Inits(List),
    Inspect(Inspect),
    Reproduce(Reproduce),
    /// List what can be trained for.
    Tasks(List),
    Describe(Describe),
    Paths(Paths),
    Unroll(Unroll),
}

/// Train a network, or go on training it.
#[derive(Args)]
#[command(
    args_override_self = true,
    after_long_help = "\
Settings are taken from the defaults, then from --config, then from --set, then from the options;
with --resume from the run's own config.toml first.

The run's directory holds everything needed to use, resume or audit the model: config.toml,
vocabulary.json, model.safetensors (the last), best.safetensors (the lowest held-out loss),
checkpoint.safetensors, metrics.jsonl, TensorBoard events, plots/loss.svg, samples.txt.

Ctrl-C finishes the step, saves a checkpoint and ends with status 130; a second one ends at once.
A run that was stopped or killed goes on with --resume and gives the same bits as one that was not.
It refuses another network or text; steps, lr, clip and how often things are written may change.

Examples
  elman train char-lm
  elman train char-lm --data book.txt --hidden 512 --layers 2 --epochs 10 --out runs/book
  elman train char-lm --out runs/book --resume --epochs 20
  elman train char-lm --data book.txt --config runs/book/config.toml --set lr=0.001
  elman train word-lm --data texts                      a folder with *train*.txt, *valid*.txt, *test*.txt
  elman train word-lm --data ptb --preset zaremba-small  a published recipe
  elman train char-lm --data book.txt --cell my.cell    equations of yours, as `elman describe` prints them
  elman train plant --feed outputs                      a simulated system, the network's own outputs fed back
  printf hello > hello.txt
  elman train char-lm --data hello.txt --cell elman --hidden 3 --lr 0.1 --verbose"
)]
pub struct Train {
    /// What to train for; `elman tasks` lists it
    #[arg(value_name = "TASK")]
    pub task: String,
    /// The run's directory [default: the first free runs/TASK-1, runs/TASK-2, ...]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in --out from its last checkpoint
    #[arg(long)]
    pub resume: bool,
    /// Take settings from a TOML file of `key = value` lines, such as a run's config.toml
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Set one setting; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print every vector of the network, step by step, before and after training
    #[arg(long)]
    pub verbose: bool,
    /// Print the result as one JSON object on standard output
    #[arg(long)]
    pub json: bool,
    /// Print nothing but the result and errors
    #[arg(long, short, conflicts_with = "verbose")]
    pub quiet: bool,
    #[command(flatten)]
    pub settings: SettingFlags,
}

/// Score a trained model: nats, bits and perplexity a character or word; errors one step ahead and in free run.
#[derive(Args)]
#[command(after_long_help = "\
The text is read as one stream from the initial state; its first character or word is given, not
predicted. Without --data it is the held-out part of the text that the run learnt from, and its test
part if it has one. A model of a system (`plant`) predicts its held-out and test part one step ahead and in
free run.

Examples
  elman eval runs/char-lm-1
  elman eval runs/char-lm-1 --data other.txt --json")]
pub struct Eval {
    /// The run's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// A text to score whole [default: the run's held-out part]
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Score the model with the lowest held-out loss instead of the last
    #[arg(long)]
    pub best: bool,
    /// Print the result as one JSON object on standard output
    #[arg(long)]
    pub json: bool,
    /// How the weights of recurrent layers are kept: bf16 and int8 are faster for large layers and a little less exact
    #[arg(long, value_name = "FORMAT", default_value = "full")]
    pub weights: Weights,
    /// Threads; 0 means all
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads, allow_negative_numbers = true)]
    pub threads: usize,
}

/// A number of threads that a machine can have.
fn threads(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| *n <= 1024)
        .ok_or_else(|| "it must be a whole number from 0 to 1024; 0 means all".into())
}

/// Let a trained model write.
#[derive(Args)]
#[command(after_long_help = "\
Characters or words are printed as they come, in constant memory. Without a prompt the model starts
from the initial state and zero input. The same seed writes the same text. Words of the prompt that a
model of words does not know become <unk>.

Examples
  elman sample runs/char-lm-1
  elman sample runs/char-lm-1 --prompt 'fn main() {' --length 2000 --temperature 0.5
  elman sample runs/char-lm-1 --top-k 5 --top-p 0.9 --seed 7
  elman sample runs/char-lm-1 --temperature 0 --prompt h        always the likeliest character")]
pub struct Sample {
    /// The run's directory, or a model file
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The text to write on from; it is printed first
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub prompt: String,
    /// Characters to write; words, if the model is one of words
    #[arg(long, value_name = "N", default_value_t = 500, allow_negative_numbers = true)]
    pub length: u64,
    /// Below 1 the likely becomes likelier, above 1 less likely; 0 takes always the likeliest
    #[arg(long, value_name = "X", default_value_t = 0.8, allow_negative_numbers = true)]
    pub temperature: f32,
    /// Draw from the N likeliest characters or words only
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub top_k: Option<usize>,
    /// Draw from the fewest likeliest characters or words whose probabilities together reach P
    #[arg(long, value_name = "P", default_value_t = 1.0, allow_negative_numbers = true)]
    pub top_p: f32,
    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub seed: u64,
    /// Use the model with the lowest held-out loss instead of the last
    #[arg(long)]
    pub best: bool,
    /// Print one JSON object on standard output when all is written
    #[arg(long)]
    pub json: bool,
    /// How the weights of recurrent layers are kept: bf16 and int8 are faster for large layers and a little less exact
    #[arg(long, value_name = "FORMAT", default_value = "full")]
    pub weights: Weights,
    /// Threads; 0 means all. One is fastest for small models
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads, allow_negative_numbers = true)]
    pub threads: usize,
}

/// Look into a trained model: where its gradient goes, whether it vanishes or explodes, what gates and units do.
#[derive(Args)]
#[command(after_long_help = "\
Writes DIR/inspect/report.html, a page with figures that needs nothing else, and the same numbers as report.json.
The run's network is compared with itself before training. docs/inspect.md explains every figure.

Examples
  elman inspect runs/char-lm-1
  elman inspect runs/char-lm-1 --data book.txt --length 5000 --out book
  elman inspect runs/char-lm-1 --export states.npz      every state and gate of every step, for numpy.load")]
pub struct Inspect {
    /// The run's directory
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// A text to read from its beginning [default: the run's held-out part]
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// Characters to read [default: 1000, or all of a shorter text]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub length: Option<usize>,
    /// Steps that the gradient is followed back [default: 64, or half of what is read]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub lags: Option<usize>,
    /// Where the report goes [default: DIR/inspect]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write every state and gate of every step instead of the report: a file ending in .safetensors or .npz
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    pub export: Option<PathBuf>,
    /// Use the model with the lowest held-out loss instead of the last
    #[arg(long)]
    pub best: bool,
    /// Print the numbers as one JSON object on standard output
    #[arg(long)]
    pub json: bool,
    /// Threads; 0 means all
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = threads, allow_negative_numbers = true)]
    pub threads: usize,
}

/// How a list is printed.
#[derive(Args)]
pub struct List {
    /// Print one JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// Run an experiment of a paper: its figures beside the published ones, and its picture.
#[derive(Args)]
#[command(after_long_help = "\
Experiments make their own data, but for those whose names begin with ptb. The results go to DIR/result.json and DIR/plots; docs/reproductions.md
has what came out, with times. Figures that were quoted from memory say so.

Examples
  elman reproduce --list
  elman reproduce adding --out runs/adding
  elman reproduce adding --length 200 --seed 3
  elman reproduce reber --quick                 the short form: does it run?")]
pub struct Reproduce {
    /// The experiment
    #[arg(value_name = "NAME", required_unless_present = "list")]
    pub name: Option<String>,
    /// List the experiments
    #[arg(long, conflicts_with = "name")]
    pub list: bool,
    /// Seed of every random number
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub seed: u64,
    /// Length of the sequences, for experiments that have a choice
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub length: Option<usize>,
    /// Of matrix products, for experiments that take hours: bf16 is faster on processors that have it
    #[arg(long, value_name = "PRECISION", value_parser = ["f32", "bf16"])]
    pub precision: Option<String>,
    /// The results' folder [default: the first free runs/NAME-1, runs/NAME-2, ...]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// A short form of some seconds that shows that everything runs; its figures mean nothing
    #[arg(long)]
    pub quick: bool,
    /// Threads; 0 means all. One is fastest for networks as small as these
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads, allow_negative_numbers = true)]
    pub threads: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

/// Explain a cell: equations forward and backward, shapes, parameters, operations; or draw its graph.
#[derive(Args)]
#[command(after_long_help = "\
Everything is read from the equations that the engine runs.

Examples
  elman describe lstm
  elman describe gru --hidden 512 --input 128 --notation uts
  elman describe lstm-peephole --latex > peephole.tex
  elman describe lstm --graph svg > lstm.svg
  elman describe jordan:output-activation=tanh,bias=off      a cell with options: docs/training.md
  elman describe lstm > my.cell      a file to change: describe my.cell, train char-lm --cell my.cell
  elman describe lstm --graph dot | dot -Tpdf -o lstm.pdf")]
pub struct Describe {
    /// The cell: a name that `elman cells` lists, with options or without, or a file of equations (`.cell`, or a path with a folder)
    #[arg(value_name = "CELL")]
    pub cell: String,
    /// H, the hidden width
    #[arg(long, value_name = "H", default_value_t = 256, allow_negative_numbers = true)]
    pub hidden: usize,
    /// I, the width of the input [default: H]
    #[arg(long, value_name = "I", allow_negative_numbers = true)]
    pub input: Option<usize>,
    /// P, the width of a projection or a fed-back output [default: H]
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub output: Option<usize>,
    /// The equations as LaTeX
    #[arg(long, conflicts_with = "graph")]
    pub latex: bool,
    /// The computational graph instead
    #[arg(long, value_name = "FORMAT")]
    pub graph: Option<Graph>,
    /// Whose letters: elman, or those of the lecture decks sharif, jhu, uts, oslo
    #[arg(long, value_name = "NAME", default_value = "elman")]
    pub notation: String,
}

/// Show which paths of the gradient truncated backpropagation through time keeps.
#[derive(Args)]
#[command(after_long_help = "\
Every k1 steps there is an update; its gradient is that of the losses of these steps, followed back through
the last k2 steps. A line is a loss, a column a step that it may reach.

Examples
  elman paths --steps 12 --k1 4               k2 = k1: what most programs do
  elman paths --steps 12 --k1 1 --k2 5        the last five steps for every loss
  elman paths --steps 12 --k1 4 --k2 8 --svg > paths.svg")]
pub struct Paths {
    /// T, the length of the sequence
    #[arg(long, value_name = "T", default_value_t = 12)]
    pub steps: usize,
    /// Steps between updates [default: T, full backpropagation]
    #[arg(long, value_name = "N")]
    pub k1: Option<usize>,
    /// Steps that the gradient goes through, at least k1 [default: k1]
    #[arg(long, value_name = "N")]
    pub k2: Option<usize>,
    /// A picture instead of text
    #[arg(long)]
    pub svg: bool,
}

/// Draw a network unrolled over time, with its inputs, outputs, targets and losses.
#[derive(Args)]
#[command(after_long_help = "\
Shapes: one-to-one, one-to-many (a caption for a picture), many-to-one (the mood of a sentence), many-to-many
(a label for each step), encoder-decoder (a translation). Of more than 50 steps the first and the last are drawn. Without --svg the graph is printed in the language of
Graphviz. `elman describe CELL --graph svg` draws what is inside one step.

Networks that are no cell: narx (--lags, --delay; --feed targets is its series-parallel form, the default, --feed outputs its parallel form), tdnn (--layers, --taps,
--dilation), rmlp (--layers, --recurrent-output), recursive and tree-lstm (--tree). Not drawn: deep, Hopfield and second-order networks.

Examples
  elman unroll lstm --length 4 --shape many-to-one --svg lstm.svg
  elman unroll gru --layers 2 --bidirectional --svg gru.svg
  elman unroll gru lstm elman --svg stack.svg                a stack of three cells, the gru next to the input
  elman unroll gru --shape encoder-decoder --feed targets    a decoder taught with teacher forcing
  elman unroll runs/char-lm-1 --svg run.svg                  the network of a run
  elman unroll runs/char-lm-1 --feed outputs                 the same, writing by itself
  elman unroll narx --lags 2 --feed outputs --svg narx.svg
  elman unroll tree-lstm --tree '(3 (2 It) (4 (2 is) (4 good)))' --svg tree.svg
  elman unroll gru --shape encoder-decoder | dot -Tpdf -o gru.pdf")]
pub struct Unroll {
    /// The cell: a name that `elman cells` lists, or a file of equations (`.cell`, or a path with a folder); several: a layer of each, from the input up.
    /// Or a run's directory; or narx, tdnn, rmlp, recursive, tree-lstm
    #[arg(value_name = "CELL", required = true)]
    pub cells: Vec<String>,
    /// Recurrent layers on top of each other [default: 1, the run's, or a layer for each cell; 2 for tdnn and rmlp]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub layers: Option<usize>,
    /// Each layer reads from the end to the beginning as well
    #[arg(long)]
    pub bidirectional: bool,
    /// Steps; of an encoder and decoder, of each [default: 4; 1 for one-to-one]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub length: Option<usize>,
    /// Which steps have an input and which an output [default: many-to-many]
    #[arg(long, value_name = "NAME")]
    pub shape: Option<String>,
    /// What a step is given of the step before: its target (`targets`, teacher forcing) or its output (`outputs`, free running)
    #[arg(long, value_name = "WHAT")]
    pub feed: Option<String>,
    /// Lags of the inputs and of the outputs of a narx network [default: 2]
    #[arg(long, value_name = "N")]
    pub lags: Option<usize>,
    /// Steps from the input of a narx network to its output [default: 1]
    #[arg(long, value_name = "N")]
    pub delay: Option<usize>,
    /// Steps that a unit of a tdnn network sees of the layer below [default: 3]
    #[arg(long, value_name = "N")]
    pub taps: Option<usize>,
    /// The distance between them in the first layer, and its powers above: 2 for 2, 4, 8 [default: 1]
    #[arg(long, value_name = "N")]
    pub dilation: Option<usize>,
    /// The output layer of an rmlp network is fed its own output too
    #[arg(long)]
    pub recurrent_output: bool,
    /// A tree in brackets for recursive and tree-lstm networks
    #[arg(long, value_name = "TREE")]
    pub tree: Option<String>,
    /// Write a picture instead of printing the graph
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// How weights are kept.
#[derive(Clone, Copy, ValueEnum)]
pub enum Weights {
    /// 32 bits
    Full,
    /// 16 bits, 8 of them precision
    Bf16,
    /// 8 bits, with a factor for each unit
    Int8,
}

impl From<Weights> for WeightFormat {
    fn from(weights: Weights) -> WeightFormat {
        match weights {
            Weights::Full => WeightFormat::Full,
            Weights::Bf16 => WeightFormat::Bf16,
            Weights::Int8 => WeightFormat::Int8,
        }
    }
}

/// A format of pictures.
#[derive(Clone, Copy, ValueEnum)]
pub enum Graph {
    Svg,
    Dot,
}
