//! Feeds: inputs of a cell's equations with one number a step, row and unit, given by the caller or drawn here.

use super::Input;
use crate::random::Random;
use burn::tensor::{Tensor, TensorData};
use elman_core::Layer;
use std::sync::Arc;

/// The feeds of a pass, layer by layer.
pub(super) struct Feeds {
    given: std::vec::IntoIter<Tensor<3>>,
    /// Whether those with a probability are among the given ones.
    all: bool,
}

impl Feeds {
    /// # Panics
    /// If the number of feeds is neither that of all nor that of those without a probability.
    pub fn new(layers: &[Arc<Layer>], given: Vec<Tensor<3>>) -> Feeds {
        let feeds = || layers.iter().flat_map(|layer| layer.feeds());
        let (total, needed) = (feeds().count(), feeds().filter(|(_, p)| p.is_none()).count());
        let count = given.len();
        assert!(
            count == total || count == needed,
            "{count} feeds; the cell has {total}, {needed} without a probability"
        );
        Feeds { given: given.into_iter(), all: count == total }
    }

    /// Those of the next layer, whose input this is.
    pub fn of_layer(&mut self, layer: &Layer, input: &Input, mut random: Option<&mut Random>) -> Vec<Tensor<3>> {
        let (steps, batch, device, dtype) = match input {
            Input::Dense(x) => (x.dims()[0], x.dims()[1], x.device(), x.dtype()),
            Input::Tokens { ids, batch, table } => (ids.len() / (*batch).max(1), *batch, table.device(), table.dtype()),
        };
        let feed = |(width, probability): (usize, Option<f64>)| match probability.filter(|_| !self.all) {
            None => self.given.next().expect("counted when made"),
            Some(p) => {
                let mut values = vec![p as f32; steps * batch * width];
                if let Some(random) = random.as_deref_mut() {
                    random.bernoulli(p, &mut values);
                }
                Tensor::from_data(TensorData::new(values, [steps, batch, width]), (&device, dtype))
            }
        };
        layer.feeds().into_iter().map(feed).collect()
    }
}
