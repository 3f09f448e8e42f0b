//! The recursive network.

use super::equations::{Kind, NodeEquations};
use super::{Branches, Forest, TreeError, fused};
use crate::network::activation::activate;
use crate::random::Random;
use crate::recurrent::leaf;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use elman_core::algebra::Activation;
use std::sync::Arc;

/// How a [`Recursive`] is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecursiveConfig {
    /// How children enter.
    pub branches: Branches,
    /// I.
    pub input: usize,
    /// H.
    pub hidden: usize,
    /// The function a in h = a(...).
    pub activation: Activation,
}

impl RecursiveConfig {
    /// With tanh.
    pub fn new(branches: Branches, input: usize, hidden: usize) -> Self {
        RecursiveConfig { branches, input, hidden, activation: Activation::Tanh }
    }

    /// Makes the module; every parameter is uniform in ±1/√H, from the stream of `seed` named by its path.
    ///
    /// # Errors
    /// If a width or the number of branches is 0.
    pub fn init(&self, seed: u64, device: &Device) -> Result<Recursive, TreeError> {
        self.branches.check_sizes(self.input, self.hidden)?;
        let (h, k) = (self.hidden, self.branches.matrices());
        Ok(Recursive {
            weight_x: matrix("weight_x", h, self.input, h, seed, device),
            weight_h: matrix("weight_h", h, k * h, h, seed, device),
            bias: vector("bias", h, h, seed, device),
            config: *self,
            equations: NodeEquations::new(Kind::Recursive(self.activation), self.branches).map(Arc::new),
        })
    }
}

/// A recursive network with a fixed number of branches K, or with the sum of any number of children.
///
/// ```text
/// inner node:  h = a(W x + Σ_k U_k h_k + b)      Branches::AtMost(K), Branches::Exactly(K)
///              h = a(W x + U Σ_k h_k + b)        Branches::Sum
/// leaf:        h = a(W x + b)
/// ```
///
/// x is the input row that the node names, an embedding for instance; a node without one has x = 0. A leaf thus goes through W, so
/// that embeddings may have any width. (In Socher's networks of K = 2 the leaf's state is the embedding itself and I = H.)
///
/// Parameters: `weight_x` W (H, I), `weight_h` [U_1 ... U_K] (H, K·H), `bias` (H): `H (I + K H + 1)` numbers.
///
/// Source: J. B. Pollack 1990 and C. Goller & A. Küchler 1996 for the network and its training, R. Socher et al. 2011, 2013 for its use.
#[derive(Module, Debug)]
pub struct Recursive {
    /// (H, I).
    pub weight_x: Param<Tensor<2>>,
    /// (H, K·H).
    pub weight_h: Param<Tensor<2>>,
    /// (H).
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    config: RecursiveConfig,
    #[module(skip)]
    equations: Option<Arc<NodeEquations>>,
}

impl Recursive {
    /// The states of all nodes, (nodes, H), tree after tree in the order of their nodes. `x` is (rows, I).
    ///
    /// # Errors
    /// If the trees' branches or inputs do not fit.
    pub fn forward(&self, forest: &Forest, x: Tensor<2>) -> Result<Tensor<2>, TreeError> {
        forest.check(self.config.branches, self.config.input, &x)?;
        let mut states = match &self.equations {
            Some(equations) if fused::runs(&x) => {
                fused::run(equations, forest, x, [self.weight_x.val(), self.weight_h.val()], self.bias.val())
            }
            _ => self.portable(forest, x),
        };
        Ok(states.swap_remove(0))
    }

    /// The same as tensor operations: any device.
    pub(super) fn portable(&self, forest: &Forest, x: Tensor<2>) -> Vec<Tensor<2>> {
        let RecursiveConfig { branches, activation, .. } = self.config;
        let (u, b) = (self.weight_h.val().transpose(), self.bias.val().unsqueeze::<2>());
        forest.upward(x, &[self.weight_x.val()], |level, from_x, below| {
            let children = below.map(|below| match branches {
                Branches::Sum => level.sum(below[0].clone()),
                Branches::AtMost(k) | Branches::Exactly(k) => level.side_by_side(below[0].clone(), k),
            });
            let from_children = children.map(|children| children.matmul(u.clone()));
            vec![activate(activation, level.sum_of_sources(from_children, from_x[0].clone()) + b.clone())]
        })
    }
}

/// A parameter (rows, columns), uniform in ±1/√H.
pub(crate) fn matrix(
    name: &str,
    rows: usize,
    columns: usize,
    hidden: usize,
    seed: u64,
    device: &Device,
) -> Param<Tensor<2>> {
    let values = draw(name, rows * columns, hidden, seed);
    leaf(Tensor::from_data(TensorData::new(values, [rows, columns]), device))
}

/// A parameter (len), uniform in ±1/√H.
pub(crate) fn vector(name: &str, len: usize, hidden: usize, seed: u64, device: &Device) -> Param<Tensor<1>> {
    leaf(Tensor::from_data(TensorData::new(draw(name, len, hidden, seed), [len]), device))
}

fn draw(name: &str, len: usize, hidden: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed, &format!("init/{name}"));
    let bound = 1.0 / (hidden as f32).sqrt();
    (0..len).map(|_| random.symmetric(bound)).collect()
}
