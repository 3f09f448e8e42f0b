//! Tree-LSTM.

use super::equations::{Kind, NodeEquations};
use super::recursive::{matrix, vector};
use super::{Branches, Forest, TreeError, fused};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, activation};
use std::sync::Arc;

/// How a [`TreeLstm`] is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeLstmConfig {
    /// [`Branches::Sum`]: child-sum; otherwise N-ary.
    pub branches: Branches,
    /// I.
    pub input: usize,
    /// H.
    pub hidden: usize,
}

impl TreeLstmConfig {
    /// A configuration.
    pub fn new(branches: Branches, input: usize, hidden: usize) -> Self {
        TreeLstmConfig { branches, input, hidden }
    }

    /// Makes the module; every parameter is uniform in ±1/√H, from the stream of `seed` named by its path.
    ///
    /// # Errors
    /// If a width or the number of branches is 0.
    pub fn init(&self, seed: u64, device: &Device) -> Result<TreeLstm, TreeError> {
        self.branches.check_sizes(self.input, self.hidden)?;
        let (h, k) = (self.hidden, self.branches.matrices());
        Ok(TreeLstm {
            weight_x: matrix("weight_x", 4 * h, self.input, h, seed, device),
            weight_h: matrix("weight_h", (3 + k) * h, k * h, h, seed, device),
            bias: vector("bias", 4 * h, h, seed, device),
            config: *self,
            equations: NodeEquations::new(Kind::Lstm, self.branches).map(Arc::new),
        })
    }
}

/// A long short-term memory over trees: child-sum (any number of children, in no order) or N-ary (a matrix for each branch).
///
/// Child-sum, [`Branches::Sum`] (equations 2 to 8 of the paper; C the node's children, x its input or 0):
///
/// ```text
/// h~  = Σ_{k in C} h_k
/// i   = σ(W_i x + U_i h~ + b_i)
/// f_k = σ(W_f x + U_f h_k + b_f)       a forget gate for each child
/// o   = σ(W_o x + U_o h~ + b_o)
/// u   = tanh(W_u x + U_u h~ + b_u)
/// c   = i ∘ u + Σ_k f_k ∘ c_k
/// h   = o ∘ tanh(c)
/// ```
///
/// N-ary, [`Branches::AtMost`] or [`Branches::Exactly`] (equations 9 to 14): every `U h~` is `Σ_l U_l h_l` with a matrix for each branch l, and
/// the forget gate of branch k is `f_k = σ(W_f x + Σ_l U_f,kl h_l + b_f)`: it sees all children. An empty branch has h = c = 0. A leaf has no
/// children in either.
///
/// Parameters: `weight_x` (4H, I), rows i, o, u, f; `bias` (4H) likewise; `weight_h`: child-sum (4H, H), rows i, o, u, f; N-ary
/// ((3 + K)H, K·H), rows i, o, u, f_1 ... f_K, columns by branch.
///
/// Source: K. S. Tai, R. Socher & C. D. Manning, "Improved semantic representations from tree-structured long short-term memory
/// networks", 2015.
#[derive(Module, Debug)]
pub struct TreeLstm {
    /// (4H, I).
    pub weight_x: Param<Tensor<2>>,
    /// (4H, H) or ((3 + K)H, K·H).
    pub weight_h: Param<Tensor<2>>,
    /// (4H).
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    config: TreeLstmConfig,
    #[module(skip)]
    equations: Option<Arc<NodeEquations>>,
}

impl TreeLstm {
    /// h and c of all nodes, each (nodes, H), tree after tree in the order of their nodes. `x` is (rows, I).
    ///
    /// # Errors
    /// If the trees' branches or inputs do not fit.
    pub fn forward(&self, forest: &Forest, x: Tensor<2>) -> Result<(Tensor<2>, Tensor<2>), TreeError> {
        forest.check(self.config.branches, self.config.input, &x)?;
        let mut states = match &self.equations {
            Some(equations) if fused::runs(&x) => {
                fused::run(equations, forest, x, [self.weight_x.val(), self.weight_h.val()], self.bias.val())
            }
            _ => self.portable(forest, x),
        };
        let c = states.swap_remove(1);
        Ok((states.swap_remove(0), c))
    }

    /// The same as tensor operations: any device.
    pub(super) fn portable(&self, forest: &Forest, x: Tensor<2>) -> Vec<Tensor<2>> {
        let TreeLstmConfig { branches, hidden: h, .. } = self.config;
        // Cut here, by gates, and not in each level: the backward of a slice fills an array as large as what it was cut from.
        let rows = |gate: usize| gate * h..(gate + 1) * h;
        // In the forget gates nothing is to be multiplied where inner nodes read nothing.
        let gates = if forest.inner_nodes_read() { 4 } else { 3 };
        let w: Vec<Tensor<2>> = (0..gates).map(|gate| self.weight_x.val().slice_dim(0, rows(gate))).collect();
        let u: Vec<Tensor<2>> =
            (0..3 + branches.matrices()).map(|gate| self.weight_h.val().slice_dim(0, rows(gate)).transpose()).collect();
        let b: Vec<Tensor<2>> = (0..4).map(|gate| self.bias.val().slice_dim(0, rows(gate)).unsqueeze()).collect();
        forest.upward(x, &w, |level, from_x, below| {
            let children = below.map(|below| match branches {
                Branches::Sum => level.sum(below[0].clone()),
                Branches::AtMost(k) | Branches::Exactly(k) => level.side_by_side(below[0].clone(), k),
            });
            let gate = |gate: usize| {
                let from_children = children.clone().map(|children| children.matmul(u[gate].clone()));
                level.sum_of_sources(from_children, from_x[gate].clone()) + b[gate].clone()
            };
            let (i, o, new) = (activation::sigmoid(gate(0)), activation::sigmoid(gate(1)), gate(2).tanh());
            let mut c = i * new;
            if let (Some(below), Some(children)) = (below, children) {
                let f_x = level.of_inner(from_x.get(3).cloned().flatten());
                let kept = match branches {
                    Branches::Sum => {
                        let f = below[0].clone().matmul(u[3].clone()) + b[3].clone();
                        let f = f_x.into_iter().fold(f, |f, x| f + level.of_parents(x));
                        level.sum(activation::sigmoid(f) * below[1].clone())
                    }
                    Branches::AtMost(k) | Branches::Exactly(k) => {
                        let of_branch = |l: usize| {
                            let f = children.clone().matmul(u[3 + l].clone()) + b[3].clone();
                            let f = f_x.clone().into_iter().fold(f, |f, x| f + x);
                            activation::sigmoid(f) * level.branch(below[1].clone(), l)
                        };
                        (1..k).fold(of_branch(0), |kept, l| kept + of_branch(l))
                    }
                };
                c = c + level.all_rows(kept);
            }
            vec![o * c.clone().tanh(), c]
        })
    }
}
