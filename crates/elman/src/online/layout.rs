//! Where parameters stand in one flat vector, and what each of them reaches within a step.

use elman_core::Layer;
use elman_core::cell::Normaliser;
use elman_core::layer::{Place, Role};

/// What a parameter is multiplied by where it enters a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The vector at a place, one element a column.
    Source(Place),
    /// The number 1.
    One,
    /// The normalised vector of a gate of a stage, one element a row.
    Normalised(usize, usize),
}

/// Rows of parameters that enter the step at the same site: row u at its unit u.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Where the first one stands in the flat vector. Rows follow each other.
    pub first: usize,
    /// Their number: the site's width; for an embedding table V times it.
    pub rows: usize,
    /// Parameters of a row.
    pub cols: usize,
    /// Index of the site.
    pub site: usize,
    /// What they are multiplied by.
    pub feature: Feature,
}

/// Where the parameters of a gate start in the flat vector.
#[derive(Clone, Debug, Default)]
pub(super) struct GateAt {
    /// For each source.
    pub weights: Vec<usize>,
    pub biases: Vec<usize>,
    pub gain: usize,
    /// Site of the gate itself, and of its sum of products before a normaliser.
    pub site: usize,
    pub sum: usize,
}

/// The flat vector of a layer's parameters: those of [`Layer::parameters`] in order, then the embedding table (V, I) if it is learned.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Number of the layer's own parameters.
    pub parameters: usize,
    /// Rows of the embedding table; 0: none.
    pub vocabulary: usize,
    /// All parameters: `parameters` + V I.
    pub len: usize,
    /// What each parameter reaches. Together they are the whole vector.
    pub rows: Vec<Rows>,
    /// Width of each site: gates, sums of products under a normaliser, per-unit parameters, and last the input.
    pub sites: Vec<usize>,
    pub(super) gates: Vec<Vec<GateAt>>,
    /// For each stage and per-unit parameter: its start and its site.
    pub(super) units: Vec<Vec<(usize, usize)>>,
}

impl Layout {
    /// The layout of a layer, with an embedding table of `vocabulary` rows where that is not 0.
    pub(super) fn new(layer: &Layer, vocabulary: usize) -> Layout {
        let mut sites = Vec::new();
        let mut site = |width: usize| {
            sites.push(width);
            sites.len() - 1
        };
        let (mut gates, mut units) = (Vec::new(), Vec::new());
        for stage in layer.stages() {
            let mut of_stage = Vec::new();
            for (sources, normaliser) in stage.gates.iter().zip(&stage.normalisers) {
                let own = site(stage.width);
                let sum = if *normaliser == Normaliser::None { own } else { site(stage.width) };
                of_stage.push(GateAt { weights: vec![0; sources.len()], site: own, sum, ..GateAt::default() });
            }
            gates.push(of_stage);
            units.push((0..stage.units).map(|_| (0, site(stage.width))).collect::<Vec<_>>());
        }
        let mut rows = Vec::new();
        let mut first = 0;
        for parameter in layer.parameters() {
            for block in &parameter.blocks {
                let at = first + block.row * parameter.cols;
                let stage = &layer.stages()[block.stage];
                let gate = gates[block.stage].get_mut(block.gate);
                let (site, feature) = match (parameter.role, gate) {
                    (Role::Weight, Some(gate)) => {
                        gate.weights[block.source] = at;
                        (gate.sum, Feature::Source(stage.gates[block.gate][block.source]))
                    }
                    (Role::Bias, Some(gate)) => {
                        gate.biases.push(at);
                        (gate.site, Feature::One)
                    }
                    (Role::Gain, Some(gate)) => {
                        gate.gain = at;
                        (gate.site, Feature::Normalised(block.stage, block.gate))
                    }
                    _ => {
                        let unit = &mut units[block.stage][block.gate];
                        unit.0 = at;
                        (unit.1, Feature::One)
                    }
                };
                rows.push(Rows { first: at, rows: stage.width, cols: parameter.cols, site, feature });
            }
            first += parameter.len();
        }
        let input = layer.sizes().input;
        sites.push(input);
        if vocabulary > 0 {
            let site = sites.len() - 1;
            rows.push(Rows { first, rows: vocabulary * input, cols: 1, site, feature: Feature::One });
        }
        Layout { parameters: first, vocabulary, len: first + vocabulary * input, rows, sites, gates, units }
    }

    /// The site of the layer's input.
    pub fn input_site(&self) -> usize {
        self.sites.len() - 1
    }
}
