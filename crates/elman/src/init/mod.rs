//! What parameters are before training: a registry of matrices, and a choice of them for a network.
//!
//! Matrices are drawn *block by block*: the rows of a parameter that belong to one gate and multiply one source. An LSTM's
//! `weight_hh` (4H, H) is thus four square matrices, each drawn by itself; "identity" means that each gate has the identity. A block that
//! does not multiply the layer's input is *recurrent*: also that of a projection (P, H), or of a value written earlier in the same step.
//!
//! [`Init`] chooses: one line for input matrices, one for recurrent ones, biases, and the bias of the forget gate. Peepholes and other
//! parameters of one number a unit stay uniform in ±1/√H; gains of normalisers stay 1 and their values' biases 0.
//!
//! ```
//! use burn::tensor::Device;
//! use elman::init::{self, Bias, Init};
//! use elman::{RecurrentConfig, Sizes, cells, parameters};
//!
//! let init = Init { recurrent: init::find("identity").unwrap(), bias: Bias::Zeros, ..Init::default() };
//! let config = RecurrentConfig::new((cells::find("elman-relu").unwrap().make)(), Sizes::new(3, 2));
//! let irnn = config.init_with(&init, 1, &Device::flex()).unwrap();
//! let hh = parameters::export(&irnn).into_iter().find(|p| p.name == "weight_hh_l0").unwrap();
//! assert_eq!(hh.values, [1.0, 0.0, 0.0, 1.0]);
//! ```

use crate::random::Random;
use elman_core::layer::{Parameter, Place, Role};
use elman_core::{Layer, LayerError};

mod fan;
mod matrix;
mod preset;
mod range;

pub use preset::{PRESETS, Preset, find_preset};
pub use range::uniform_all;

/// One block of a matrix: the gate's rows by the source's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Width of the gate: fan-out.
    pub rows: usize,
    /// Width of the source: fan-in.
    pub cols: usize,
    /// H of the network.
    pub hidden: usize,
}

/// Draws a block, row-major; none where it must be square and is not.
pub type Draw = fn(Shape, &mut Random) -> Option<Vec<f32>>;

/// A line of the registry.
#[derive(Clone, Copy)]
pub struct Initialiser {
    /// Its name on the command line.
    pub name: &'static str,
    /// What the matrix is, with its source.
    pub doc: &'static str,
    /// Draws a block.
    pub draw: Draw,
}

impl std::fmt::Debug for Initialiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Initialiser {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// The default: what PyTorch's recurrent layers have.
const UNIFORM: Initialiser = Initialiser {
    name: "uniform",
    doc: "uniform in ±1/√H, the default of PyTorch's recurrent layers",
    draw: fan::uniform,
};

/// Every initialiser of matrices, in the order in which they are listed. N is the width of a square block.
#[rustfmt::skip]
pub const REGISTRY: &[Initialiser] = &[
    UNIFORM,
    Initialiser { name: "zeros", doc: "all zero", draw: fan::zeros },
    Initialiser { name: "glorot-uniform", doc: "uniform in ±√(6/(fan-in + fan-out)), a gate by itself (Glorot & Bengio 2010, equation 16)", draw: fan::glorot_uniform },
    Initialiser { name: "glorot-normal", doc: "normal of variance 2/(fan-in + fan-out), a gate by itself (Glorot & Bengio 2010, equation 12)", draw: fan::glorot_normal },
    Initialiser { name: "he-uniform", doc: "uniform in ±√(6/fan-in), for rectifiers (He, Zhang, Ren & Sun 2015)", draw: fan::he_uniform },
    Initialiser { name: "he-normal", doc: "normal of variance 2/fan-in, for rectifiers (He, Zhang, Ren & Sun 2015)", draw: fan::he_normal },
    Initialiser { name: "gaussian", doc: "normal of variance 1/fan-in: its eigenvalues fill the unit disc (circular law, Girko 1985)", draw: matrix::gaussian },
    Initialiser { name: "orthogonal", doc: "random orthogonal, a gate by itself: every |eigenvalue| is 1 (Saxe, McClelland & Ganguli 2014)", draw: matrix::orthogonal },
    Initialiser { name: "identity", doc: "the identity, a gate by itself: every eigenvalue is 1 (Le, Jaitly & Hinton 2015)", draw: matrix::identity },
    Initialiser { name: "identity-small", doc: "0.01 times the identity (Le, Jaitly & Hinton 2015)", draw: matrix::identity_small },
    Initialiser { name: "normalised", doc: "normal, divided by its largest |eigenvalue|: that becomes 1, none is larger; of a complex pair both become 1 (Talathi & Vartak 2015)", draw: matrix::normalised },
    Initialiser { name: "normalised-positive-definite", doc: "(A + 1)/e with A = RᵀR/N, R normal, e the largest eigenvalue of A + 1: that becomes 1, all others are between 1/e and 1 (Talathi & Vartak 2015)", draw: matrix::normalised_positive_definite },
];

/// The initialiser of this name.
///
/// # Errors
/// There is none.
pub fn find(name: &str) -> Result<&'static Initialiser, InitError> {
    REGISTRY.iter().find(|i| i.name == name).ok_or_else(|| InitError::Unknown { name: name.into() })
}

/// What biases are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bias {
    /// As PyTorch: uniform in ±1/√H; the one bias of a cell where PyTorch has two is the sum of two such numbers.
    #[default]
    Uniform,
    /// Zero.
    Zeros,
}

/// What the parameters of a recurrent network are before training. The default is PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Init {
    /// Matrices that multiply a layer's input.
    pub input: &'static Initialiser,
    /// All other matrices.
    pub recurrent: &'static Initialiser,
    /// Biases.
    pub bias: Bias,
    /// Bias of the gate named `f`, whatever [`bias`](Init::bias) says. About 1 keeps an LSTM's memory open at first (Gers, Schmidhuber & Cummins
    /// 1999; Jozefowicz, Zaremba & Sutskever 2015). A cell with two biases for the gate has it in the first and zero in the second. In `mgu` the
    /// gate `f` multiplies the candidate, as in its paper: there a *negative* bias keeps the memory.
    pub forget_bias: Option<f32>,
    /// T, the longest time in steps over which units remember at first: the chrono initialisation of Tallec & Ollivier ("Can recurrent neural
    /// networks warp time?", 2018, section 3). Each unit's forget gate has the bias ln u with u uniform in \[1, T - 1\], so that it keeps a value for
    /// about u steps, and its input gate `i` the bias -ln u, so that what is kept is not buried under what comes in. T is above 2. Not with a
    /// forget bias.
    pub chrono: Option<f32>,
}

impl Default for Init {
    fn default() -> Self {
        Init { input: &UNIFORM, recurrent: &UNIFORM, bias: Bias::Uniform, forget_bias: None, chrono: None }
    }
}

/// Why parameters cannot be made as asked.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum InitError {
    /// The layer itself is wrong.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// No initialiser has this name.
    #[error("unknown initialiser `{name}`; there are {}", names())]
    Unknown {
        /// The name.
        name: String,
    },
    /// The matrix must be square.
    #[error(
        "`{initialiser}` needs square matrices, and `{parameter}` of cell `{cell}` has blocks of {rows} x {cols}; make the \
         widths equal or choose an initialiser for any shape, such as `orthogonal`"
    )]
    NotSquare {
        /// The initialiser.
        initialiser: &'static str,
        /// The cell.
        cell: &'static str,
        /// The parameter.
        parameter: String,
        /// Rows of the block.
        rows: usize,
        /// Its columns.
        cols: usize,
    },
    /// There is nothing that the choice would be for.
    #[error("cell `{cell}` has no recurrent matrix for `{initialiser}`; leave the choice out or take another cell")]
    NoRecurrentMatrix {
        /// The cell.
        cell: &'static str,
        /// The initialiser.
        initialiser: &'static str,
    },
    /// There is no forget gate, or it has no bias.
    #[error("cell `{cell}` has no gate `f` with a bias for a forget bias; leave it out or take a cell such as `lstm`")]
    NoForgetGate {
        /// The cell.
        cell: &'static str,
    },
    /// There is no forget gate or no input gate, or they have no biases.
    #[error(
        "cell `{cell}` has no gates `f` and `i` with biases for the chrono initialisation; leave it out or take a cell such as `lstm`"
    )]
    NoChrono {
        /// The cell.
        cell: &'static str,
    },
    /// The longest time is none.
    #[error("the chrono initialisation's longest time is {0}; it must be a finite number above 2")]
    Chrono(f32),
    /// The chrono initialisation and a forget bias together.
    #[error(
        "the chrono initialisation draws the forget gates' biases, and a forget bias of {0} is asked for too; leave one out"
    )]
    ChronoWithForgetBias(f32),
    /// The forget bias is no number.
    #[error("the forget bias is {0}; it must be a finite number")]
    NotFinite(f32),
}

fn names() -> String {
    REGISTRY.iter().map(|i| i.name).collect::<Vec<_>>().join(", ")
}

impl Init {
    /// Whether this can be done for a cell at these sizes.
    ///
    /// # Errors
    /// [`InitError`], without its first two kinds.
    fn check(&self, layer: &Layer) -> Result<(), InitError> {
        let cell = layer.cell().spec().name;
        let recurrent = |p: &Parameter| p.blocks.iter().any(|b| place(layer, b) != Place::Input);
        if *self.recurrent != UNIFORM && !layer.parameters().iter().any(|p| p.role == Role::Weight && recurrent(p)) {
            return Err(InitError::NoRecurrentMatrix { cell, initialiser: self.recurrent.name });
        }
        match self.forget_bias {
            Some(value) if !value.is_finite() => return Err(InitError::NotFinite(value)),
            Some(_) if bias_blocks(layer, "f").is_empty() => return Err(InitError::NoForgetGate { cell }),
            _ => {}
        }
        match self.chrono {
            Some(longest) if !(longest > 2.0 && longest.is_finite()) => Err(InitError::Chrono(longest)),
            Some(_) if let Some(bias) = self.forget_bias => Err(InitError::ChronoWithForgetBias(bias)),
            Some(_) if ["f", "i"].iter().any(|gate| bias_blocks(layer, gate).is_empty()) => {
                Err(InitError::NoChrono { cell })
            }
            _ => Ok(()),
        }
    }

    /// Every parameter of layer `l`, in the order of [`Layer::parameters`], from the streams of `seed` named by their paths.
    ///
    /// # Errors
    /// [`InitError`] where the choice does not fit the cell or its sizes.
    pub fn draw(&self, layer: &Layer, l: usize, seed: u64) -> Result<Vec<Vec<f32>>, InitError> {
        self.check(layer)?;
        let two_biases = layer.parameters().iter().any(|p| p.name == "bias_hh");
        let bound = fan::bound(layer.sizes().hidden);
        let mut drawn = Vec::new();
        for p in layer.parameters() {
            let mut random = Random::new(seed, &format!("init/{}_l{l}", p.name));
            drawn.push(match p.role {
                Role::Weight => self.weight(layer, l, p, &mut random)?,
                Role::Gain => vec![1.0; p.rows],
                Role::Bias if p.name == "bias_ln" || self.bias == Bias::Zeros => vec![0.0; p.rows],
                Role::Bias if p.name == "bias_ih" && !two_biases => {
                    (0..p.rows).map(|_| random.symmetric(bound) + random.symmetric(bound)).collect()
                }
                Role::Unit if let Some(draw) = layer.initial_draw(p) => {
                    unit_numbers(layer, l, p, draw, seed).into_iter().map(|number| number as f32).collect()
                }
                Role::Bias | Role::Unit => (0..p.rows).map(|_| random.symmetric(bound)).collect(),
            });
        }
        if let Some(value) = self.forget_bias {
            let mut value = value;
            for (parameter, rows) in bias_blocks(layer, "f") {
                drawn[parameter][rows].fill(value);
                // A second bias of the gate is added to the first.
                value = 0.0;
            }
        }
        if let Some(longest) = self.chrono {
            let mut random = Random::new(seed, &format!("init/chrono_l{l}"));
            let mut draw = || (1.0 + (longest - 2.0) * (0.5 * random.symmetric(1.0) + 0.5)).ln();
            let times: Vec<f32> = (0..layer.sizes().hidden).map(|_| draw()).collect();
            for (gate, sign) in [("f", 1.0), ("i", -1.0)] {
                let mut sign = sign;
                for (parameter, rows) in bias_blocks(layer, gate) {
                    drawn[parameter][rows].iter_mut().zip(&times).for_each(|(bias, time)| *bias = sign * time);
                    sign = 0.0;
                }
            }
        }
        Ok(drawn)
    }

    fn weight(&self, layer: &Layer, l: usize, p: &Parameter, random: &mut Random) -> Result<Vec<f32>, InitError> {
        let mut values = Vec::with_capacity(p.len());
        for block in &p.blocks {
            let initialiser = if place(layer, block) == Place::Input { self.input } else { self.recurrent };
            let rows = layer.stages()[block.stage].width;
            let shape = Shape { rows, cols: p.cols, hidden: layer.sizes().hidden };
            values.extend((initialiser.draw)(shape, random).ok_or_else(|| InitError::NotSquare {
                initialiser: initialiser.name,
                cell: layer.cell().spec().name,
                parameter: format!("{}_l{l}", p.name),
                rows,
                cols: p.cols,
            })?);
        }
        Ok(values)
    }
}

/// What is drawn for each unit of a parameter. What its formula names is drawn again, from the stream of its own path.
fn unit_numbers(layer: &Layer, l: usize, p: &Parameter, draw: elman_core::Draw, seed: u64) -> Vec<f64> {
    let named: Vec<(&str, Vec<f64>)> = draw
        .units()
        .into_iter()
        .filter_map(|unit| {
            let other =
                layer.parameters().iter().find(|p| p.role == Role::Unit && p.name == format!("weight_{unit}"))?;
            Some((unit, unit_numbers(layer, l, other, layer.initial_draw(other)?, seed)))
        })
        .collect();
    let mut random = Random::new(seed, &format!("init/{}_l{l}", p.name));
    let mut share = || f64::from(random.symmetric(1.0)) * 0.5 + 0.5;
    let number_of =
        |row: usize, unit: &str| named.iter().find(|(name, _)| *name == unit).map_or(f64::NAN, |(_, of)| of[row]);
    (0..p.rows).map(|row| draw.number(&mut share, &|unit| number_of(row, unit))).collect()
}

/// What a block of a weight multiplies.
fn place(layer: &Layer, block: &elman_core::layer::Block) -> Place {
    layer.stages()[block.stage].gates[block.gate][block.source]
}

/// Where the biases of a gate stand: parameter and rows.
fn bias_blocks(layer: &Layer, gate: &str) -> Vec<(usize, std::ops::Range<usize>)> {
    let stages = layer.cell().spec().stages;
    let parameters = layer.parameters().iter().enumerate().filter(|(_, p)| p.role == Role::Bias);
    parameters
        .flat_map(|(i, p)| p.blocks.iter().map(move |b| (i, b)))
        .filter(|(_, b)| stages[b.stage].gates[b.gate].name == gate)
        .map(|(i, b)| (i, b.row..b.row + layer.stages()[b.stage].width))
        .collect()
}

#[cfg(test)]
mod tests;
