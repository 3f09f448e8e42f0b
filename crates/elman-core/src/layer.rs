//! A cell at given sizes: the shapes and names of its parameters, and where every value comes from.

use crate::Draw;
use crate::cell::{Cell, Normaliser, Width};
use std::sync::Arc;

/// The sizes of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// I, the width of the input.
    pub input: usize,
    /// H, the hidden width.
    pub hidden: usize,
    /// P, the width of a projection or of an output fed back; cells without such a stage ignore it.
    pub output: usize,
}

impl Sizes {
    /// Sizes with P = H.
    pub fn new(input: usize, hidden: usize) -> Self {
        Sizes { input, hidden, output: hidden }
    }

    /// The number behind a symbolic width.
    pub fn of(&self, width: Width) -> usize {
        match width {
            Width::Input => self.input,
            Width::Hidden => self.hidden,
            Width::Output => self.output,
        }
    }
}

/// What can be wrong with a layer's definition.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerError {
    /// A size is zero.
    #[error("{what} must be at least 1")]
    ZeroSize {
        /// The size's name.
        what: &'static str,
    },
    /// A probability of dropout between layers is not in [0, 1).
    #[error("the dropout probability {value} is not in [0, 1)")]
    Dropout {
        /// It, as text.
        value: String,
    },
    /// A parameter is drawn before training by a formula of which the numbers may be infinite, or that names a parameter which is not drawn from
    /// numbers alone.
    #[error(
        "cell `{cell}`: what is drawn for `{name}` may be infinite, or names a unit that is not drawn from numbers alone"
    )]
    Draw {
        /// The cell.
        cell: &'static str,
        /// The unit.
        name: &'static str,
    },
    /// The cell names a value that nothing provides.
    #[error("cell `{cell}`: `{name}` is neither `x`, nor carried, nor written by an earlier stage")]
    UnknownValue {
        /// The cell.
        cell: &'static str,
        /// The unknown name.
        name: &'static str,
    },
    /// The cell carries a value that no stage writes, or writes one twice.
    #[error("cell `{cell}`: `{name}` must be written by exactly one stage")]
    NotWrittenOnce {
        /// The cell.
        cell: &'static str,
        /// The value.
        name: &'static str,
    },
    /// A value is read pointwise, or normalised, in a stage of another width.
    #[error("cell `{cell}`: `{name}` is read in a stage of another width")]
    WidthMismatch {
        /// The cell.
        cell: &'static str,
        /// The value.
        name: &'static str,
    },
}

/// Where a name in a stage takes its value from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The layer's input at this step.
    Input,
    /// A value of the step before: index into [`Layer::values`].
    Before(usize),
    /// A value written earlier in this step: index into [`Layer::values`].
    Now(usize),
}

/// A value that stages write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its name in the equations.
    pub name: &'static str,
    /// Its symbolic width.
    pub width: Width,
    /// Its position among the carried values, if it is carried.
    pub carried: Option<usize>,
}

/// What a parameter is to the stages that use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A matrix (rows, cols) from a source to gates.
    Weight,
    /// A bias (rows); of a normalised gate, added after the normaliser.
    Bias,
    /// The gains of normalised gates (rows).
    Gain,
    /// One number a unit (rows).
    Unit,
}

/// The part of a parameter that belongs to one gate (or is one per-unit vector): `width` rows from `row` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Stage.
    pub stage: usize,
    /// Gate of the stage, or index among its units for [`Role::Unit`].
    pub gate: usize,
    /// For a weight: which of the gate's sources it multiplies.
    pub source: usize,
    /// First row in the parameter.
    pub row: usize,
}

/// One parameter of a layer, in PyTorch's layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// PyTorch's name without the layer's suffix: `weight_ih`, `weight_hh`, `bias_ih`, `weight_hr`, ...
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Rows: gates × width of their stage.
    pub rows: usize,
    /// Columns: width of the source; 1 for biases and units.
    pub cols: usize,
    /// The gates that its rows belong to.
    pub blocks: Vec<Block>,
}

impl Parameter {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether it has no element (never, for a valid layer).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its shape: two dimensions for a weight, one for the rest.
    pub fn shape(&self) -> Vec<usize> {
        match self.role {
            Role::Weight => vec![self.rows, self.cols],
            Role::Bias | Role::Gain | Role::Unit => vec![self.rows],
        }
    }
}

/// A stage with its names resolved.
#[derive(Clone, Debug)]
pub struct ResolvedStage {
    /// Width of the stage in numbers.
    pub width: usize,
    /// For each gate, its sources.
    pub gates: Vec<Vec<Place>>,
    /// For each gate, whether it is normalised.
    pub normalisers: Vec<Normaliser<Place>>,
    /// The distinct sources of all gates, in order of first use.
    pub sources: Vec<Place>,
    /// Values read.
    pub reads: Vec<Place>,
    /// Values written: indices into [`Layer::values`].
    pub writes: Vec<usize>,
    /// Number of per-unit parameters.
    pub units: usize,
    /// Number of feeds.
    pub feeds: usize,
}

/// A cell at given sizes: one direction over time.
#[derive(Clone, Debug)]
pub struct Layer {
    cell: Arc<dyn Cell>,
    sizes: Sizes,
    values: Vec<Value>,
    stages: Vec<ResolvedStage>,
    parameters: Vec<Parameter>,
    /// Index into `values` of each carried value.
    carried: Vec<usize>,
    output: usize,
}

impl Layer {
    /// Resolves a cell's names at these sizes.
    ///
    /// # Errors
    /// A size is zero, or the cell's description does not hold together: an unknown name, a value twice or never written.
    pub fn new(cell: Arc<dyn Cell>, sizes: Sizes) -> Result<Layer, LayerError> {
        let spec = cell.spec();
        let uses_output = spec.stages.iter().any(|s| s.width == Width::Output);
        for (what, size, used) in [
            ("input size", sizes.input, true),
            ("hidden size", sizes.hidden, true),
            ("output size", sizes.output, uses_output),
        ] {
            if used && size == 0 {
                return Err(LayerError::ZeroSize { what });
            }
        }

        let mut values: Vec<Value> = Vec::new();
        for stage in spec.stages {
            let mut draws = stage.units.iter().zip(stage.draws).filter_map(|(&name, draw)| Some((name, (*draw)?)));
            if let Some((name, _)) = draws.find(|(_, draw)| draw.range(spec).is_none()) {
                return Err(LayerError::Draw { cell: spec.name, name });
            }
            for &name in stage.writes {
                if name == "x" || values.iter().any(|v| v.name == name) {
                    return Err(LayerError::NotWrittenOnce { cell: spec.name, name });
                }
                let carried = spec.carry.iter().position(|&c| c == name);
                values.push(Value { name, width: stage.width, carried });
            }
        }
        let find = |name: &'static str| values.iter().position(|v| v.name == name);
        let mut carried = Vec::new();
        for &name in spec.carry {
            carried.push(find(name).ok_or(LayerError::NotWrittenOnce { cell: spec.name, name })?);
        }
        let output = spec
            .carry
            .iter()
            .position(|&c| c == spec.output)
            .map(|i| carried[i])
            .ok_or(LayerError::NotWrittenOnce { cell: spec.name, name: spec.output })?;

        let mut written = Vec::new();
        let mut stages = Vec::new();
        for stage in spec.stages {
            let place = |name: &'static str| -> Result<Place, LayerError> {
                if name == "x" {
                    return Ok(Place::Input);
                }
                match find(name) {
                    Some(v) if written.contains(&v) => Ok(Place::Now(v)),
                    Some(v) if values[v].carried.is_some() => Ok(Place::Before(v)),
                    _ => Err(LayerError::UnknownValue { cell: spec.name, name }),
                }
            };
            let read = |name: &'static str| -> Result<Place, LayerError> {
                let found = place(name)?;
                let width = match found {
                    Place::Input => Width::Input,
                    Place::Before(v) | Place::Now(v) => values[v].width,
                };
                if width == stage.width { Ok(found) } else { Err(LayerError::WidthMismatch { cell: spec.name, name }) }
            };
            let mut gates = Vec::new();
            let mut sources = Vec::new();
            let mut normalisers = Vec::new();
            for gate in stage.gates {
                let places = gate.sources.iter().map(|&s| place(s)).collect::<Result<Vec<_>, _>>()?;
                for &p in &places {
                    if !sources.contains(&p) {
                        sources.push(p);
                    }
                }
                gates.push(places);
                normalisers.push(match gate.normaliser {
                    Normaliser::None => Normaliser::None,
                    Normaliser::Sum => Normaliser::Sum,
                    Normaliser::Value(name) => Normaliser::Value(read(name)?),
                });
            }
            let reads = stage.reads.iter().map(|&name| read(name)).collect::<Result<Vec<_>, _>>()?;
            let writes: Vec<usize> = stage.writes.iter().filter_map(|&w| find(w)).collect();
            written.extend(&writes);
            stages.push(ResolvedStage {
                width: sizes.of(stage.width),
                gates,
                normalisers,
                sources,
                reads,
                writes,
                units: stage.units.len(),
                feeds: stage.feeds.len(),
            });
        }
        let mut layer = Layer { cell, sizes, values, stages, parameters: Vec::new(), carried, output };
        layer.parameters = layer.name_parameters();
        Ok(layer)
    }

    /// Groups the matrices under PyTorch's names: rows in the order in which the gates are declared.
    fn name_parameters(&self) -> Vec<Parameter> {
        let spec = self.cell.spec();
        let mut weights: Vec<Parameter> = Vec::new();
        let mut biases: Vec<Parameter> = Vec::new();
        let mut gains: Vec<Parameter> = Vec::new();
        let mut units: Vec<Parameter> = Vec::new();
        let add = |list: &mut Vec<Parameter>, name: String, role, rows: usize, cols: usize, mut block: Block| match list
            .iter_mut()
            .find(|p| p.name == name)
        {
            Some(p) => {
                block.row = p.rows;
                p.rows += rows;
                p.blocks.push(block);
            }
            None => list.push(Parameter { name, role, rows, cols, blocks: vec![block] }),
        };
        // A bias beside the recurrent matrix exists where some gate has that matrix and not the input's.
        let second_bias = spec.stages.iter().any(|stage| {
            stage.width == Width::Hidden
                && stage.gates.iter().any(|g| g.bias && !g.sources.is_empty() && !g.sources.contains(&"x"))
                && stage.gates.iter().any(|g| g.sources.contains(&"x"))
        });
        for (s, (stage, resolved)) in spec.stages.iter().zip(&self.stages).enumerate() {
            let recurrent = if stage.width == Width::Output { "hr" } else { "hh" };
            for (g, (gate, places)) in stage.gates.iter().zip(&resolved.gates).enumerate() {
                let mut first = true;
                for (k, (&source, &place)) in gate.sources.iter().zip(places).enumerate() {
                    let kind = match source {
                        "x" => "ih".to_string(),
                        _ if std::mem::take(&mut first) => recurrent.to_string(),
                        other => format!("{other}h"),
                    };
                    // Sources of different widths cannot share a matrix.
                    let cols = self.width_of(place);
                    let names = [kind, format!("{source}h"), format!("{source}h_{s}")].map(|k| format!("weight_{k}"));
                    let fits = |name: &&String| weights.iter().all(|p| p.name != **name || p.cols == cols);
                    let name = names.iter().find(fits).unwrap_or(&names[2]).clone();
                    let block = Block { stage: s, gate: g, source: k, row: 0 };
                    add(&mut weights, name, Role::Weight, resolved.width, cols, block);
                }
                if gate.bias {
                    let from_input = gate.sources.contains(&"x");
                    let block = Block { stage: s, gate: g, source: 0, row: 0 };
                    let mut bias = |kind: &str| {
                        add(&mut biases, format!("bias_{kind}"), Role::Bias, resolved.width, 1, block);
                    };
                    match (stage.width, from_input) {
                        _ if matches!(gate.normaliser, Normaliser::Value(_)) => bias("ln"),
                        (Width::Output, false) => bias("hr"),
                        (_, false) if second_bias => bias("hh"),
                        _ => bias("ih"),
                    }
                    if from_input && second_bias && gate.sources.len() > 1 {
                        bias("hh");
                    }
                }
                if gate.normaliser != Normaliser::None {
                    let block = Block { stage: s, gate: g, source: 0, row: 0 };
                    add(&mut gains, "weight_ln".to_string(), Role::Gain, resolved.width, 1, block);
                }
            }
            for (u, &unit) in stage.units.iter().enumerate() {
                let block = Block { stage: s, gate: u, source: 0, row: 0 };
                add(&mut units, format!("weight_{unit}"), Role::Unit, resolved.width, 1, block);
            }
        }
        weights.into_iter().chain(biases).chain(gains).chain(units).collect()
    }

    /// The cell.
    pub fn cell(&self) -> &Arc<dyn Cell> {
        &self.cell
    }

    /// The sizes.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Every value that stages write.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The stages with their names resolved.
    pub fn stages(&self) -> &[ResolvedStage] {
        &self.stages
    }

    /// The parameters, in the order in which every function of the engine takes and returns them.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The least and the largest number with which a per-unit parameter may begin, where its cell says so.
    pub fn initial_range(&self, parameter: &Parameter) -> Option<(f64, f64)> {
        self.initial_draw(parameter)?.range(self.cell.spec())
    }

    /// How a per-unit parameter is drawn before training, where its cell says so. The parameter of a unit that the formula names is called
    /// `weight_` and that name.
    pub fn initial_draw(&self, parameter: &Parameter) -> Option<Draw> {
        let block = parameter.blocks.first().filter(|_| parameter.role == Role::Unit)?;
        self.cell.spec().stages[block.stage].draws[block.gate]
    }

    /// For each feed, in the order of [`Sequence::feeds`](crate::engine::Sequence::feeds): the width of its stage and its probability, see
    /// [`StageSpec::feed_probabilities`](crate::cell::StageSpec::feed_probabilities).
    pub fn feeds(&self) -> Vec<(usize, Option<f64>)> {
        let stages = self.cell.spec().stages.iter().zip(&self.stages);
        let probability = |spec: &crate::cell::StageSpec, f: usize| spec.feed_probabilities.get(f).copied().flatten();
        stages.flat_map(|(spec, stage)| (0..stage.feeds).map(move |f| (stage.width, probability(spec, f)))).collect()
    }

    /// Index into [`values`](Layer::values) of each carried value; states are taken and returned in this order.
    pub fn carried(&self) -> &[usize] {
        &self.carried
    }

    /// Width of each carried value.
    pub fn state_widths(&self) -> Vec<usize> {
        self.carried.iter().map(|&v| self.sizes.of(self.values[v].width)).collect()
    }

    /// Index into [`values`](Layer::values) of the output.
    pub fn output(&self) -> usize {
        self.output
    }

    /// Width of the output.
    pub fn output_width(&self) -> usize {
        self.sizes.of(self.values[self.output].width)
    }

    /// Width of what stands at a place.
    pub fn width_of(&self, place: Place) -> usize {
        match place {
            Place::Input => self.sizes.input,
            Place::Before(v) | Place::Now(v) => self.sizes.of(self.values[v].width),
        }
    }

    /// Total number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(Parameter::len).sum()
    }
}
