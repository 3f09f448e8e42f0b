//! [`Recurrent`] as a Burn [`Module`]: its parameters by name.

use super::{LayerParam, Recurrent};
use burn::module::{Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor};
use burn::tensor::Device;

/// Forwards to the parameter within.
macro_rules! each {
    ($param:expr, $p:ident => $body:expr) => {
        match $param {
            LayerParam::Matrix($p) => LayerParam::Matrix($body),
            LayerParam::Vector($p) => LayerParam::Vector($body),
        }
    };
}

const CONTAINER: &str = "Struct:Recurrent";

impl Recurrent {
    /// Applies a change to every parameter, under its name.
    pub(super) fn convert(mut self, mut change: impl FnMut(&str, LayerParam) -> LayerParam) -> Self {
        self.params = self
            .params
            .into_iter()
            .enumerate()
            .map(|(l, params)| {
                let names = self.layers[l].parameters().iter().map(|p| format!("{}_l{l}", p.name));
                params.into_iter().zip(names).map(|(param, name)| change(&name, param)).collect()
            })
            .collect();
        self
    }
}

// Written out rather than derived, since the fields' names are PyTorch's and depend on the cell.
impl Module for Recurrent {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.params.iter().flatten().fold(devices, |devices, param| match param {
            LayerParam::Matrix(p) => p.collect_devices(devices),
            LayerParam::Vector(p) => p.collect_devices(devices),
        })
    }

    fn fork(self, device: &Device) -> Self {
        self.convert(|_, param| each!(param, p => p.fork(device)))
    }

    fn to_device(self, device: &Device) -> Self {
        self.convert(|_, param| each!(param, p => p.to_device(device)))
    }

    fn train(self) -> Self {
        self.convert(|_, param| each!(param, p => p.train()))
    }

    fn valid(&self) -> Self {
        self.clone().convert(|_, param| each!(param, p => p.valid()))
    }

    fn materialize(self) -> Self {
        self.convert(|_, param| each!(param, p => p.materialize()))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (l, (layer, params)) in self.layers.iter().zip(&self.params).enumerate() {
            for (spec, param) in layer.parameters().iter().zip(params) {
                let name = format!("{}_l{l}", spec.name);
                visitor.enter_module(&name, CONTAINER);
                match param {
                    LayerParam::Matrix(p) => p.visit(visitor),
                    LayerParam::Vector(p) => p.visit(visitor),
                }
                visitor.exit_module(&name, CONTAINER);
            }
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.convert(|name, param| {
            mapper.enter_module(name, CONTAINER);
            let param = each!(param, p => Module::map(p, mapper));
            mapper.exit_module(name, CONTAINER);
            param
        })
    }
}

impl ModuleDisplayDefault for Recurrent {
    fn content(&self, content: Content) -> Option<Content> {
        let layer = self.layers.first()?;
        let sizes = layer.sizes();
        content
            .add_formatted(&format!(
                "cell: {}, input: {}, hidden: {}, layers: {}",
                layer.cell().spec().name,
                sizes.input,
                sizes.hidden,
                self.layers.len()
            ))
            .optional()
    }
}
impl ModuleDisplay for Recurrent {}
