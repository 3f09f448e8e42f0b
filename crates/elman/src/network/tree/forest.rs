//! A batch of trees, level by level.
//!
//! A node is computed at its depth, from the deepest level to the roots: all children of one level's nodes are then in
//! the level just below and nowhere else, each row there has exactly one parent, and a level reads nothing but that one. By height (leaves all
//! together, then their parents, and so on) there would be as many levels, but children would be spread over all of them; the backward of each
//! gather would fill an array of a whole level with zeros, or of all nodes so far. Here forward and backward take time in proportion to
//! the nodes, but for the division of the inputs among the levels, with the logarithm of their number.

use super::{Branches, Tree, TreeError};
use crate::network::rows::{divide, integers};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};
use std::ops::Range;

/// A batch of trees.
#[derive(Clone, Debug)]
pub struct Forest {
    /// From the deepest to the roots.
    levels: Vec<Level>,
    /// For each node, tree after tree, its row among the levels laid one after another.
    order: Vec<i32>,
    /// The input rows of the nodes that have one, in the order of the levels.
    inputs: Vec<i32>,
    /// For each tree, its root's place among all nodes.
    roots: Vec<i32>,
    /// (tree, node, branches) of the node of most branches.
    widest: (usize, usize, usize),
    /// For the check that no branch is empty.
    inner: Vec<Inner>,
    /// (tree, node, row) of the largest input row.
    last_input: (usize, usize, usize),
}

/// An inner node and its first empty branch.
#[derive(Clone, Copy, Debug)]
struct Inner {
    tree: usize,
    node: usize,
    /// The number of its branches if all have a child.
    empty: usize,
}

/// The nodes at one depth. Rows with children come first, rows with an input last; some have both.
#[derive(Clone, Debug)]
pub(super) struct Level {
    rows: usize,
    /// How many rows have children.
    inner: usize,
    /// How many rows have an input.
    inputs: usize,
    /// For each row of the level below, its parent's row here.
    parents: Vec<i32>,
    /// And the branch.
    branches: Vec<usize>,
}

/// Where a level's rows stand among those of all levels: all rows, those with children, those with an input.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub rows: Range<usize>,
    pub inner: Range<usize>,
    pub inputs: Range<usize>,
    /// The rows of the level below.
    pub below: Range<usize>,
}

impl Place {
    /// Among all rows, those with children.
    pub fn inner_rows(&self) -> Range<usize> {
        self.rows.start..self.rows.start + self.inner.len()
    }

    /// Among all rows, those with an input alone.
    pub fn leaves(&self) -> Range<usize> {
        self.rows.start + self.inner.len()..self.rows.end
    }

    /// Among those with an input, the leaves.
    pub fn inputs_of_leaves(&self) -> Range<usize> {
        self.inputs.start + self.both()..self.inputs.end
    }

    /// Where the input of a node with children stands, by its row in the level, if it has one.
    pub fn input_of_inner(&self, row: usize) -> Option<usize> {
        row.checked_sub(self.inner.len() - self.both()).map(|k| self.inputs.start + k)
    }

    /// What a node with children has of its input, `width` numbers, or of the bias where it has none.
    pub fn without_children<'a, F>(&self, row: usize, from_inputs: &'a [F], bias: &'a [F], width: usize) -> &'a [F] {
        self.input_of_inner(row).map_or(bias, |input| &from_inputs[input * width..][..width])
    }

    /// How many rows have both children and an input.
    fn both(&self) -> usize {
        self.inner.len() + self.inputs.len() - self.rows.len()
    }
}

impl Forest {
    /// Prepares a batch; it can be used any number of times.
    ///
    /// # Errors
    /// Without trees.
    pub fn new(trees: &[Tree]) -> Result<Forest, TreeError> {
        if trees.is_empty() {
            return Err(TreeError::NoTrees);
        }
        let depth = trees.iter().flat_map(|t| &t.depths).max().map_or(0, |d| d + 1);
        let mut at_depth: Vec<Vec<(usize, usize)>> = vec![Vec::new(); depth];
        for (t, tree) in trees.iter().enumerate() {
            tree.depths.iter().enumerate().for_each(|(i, &d)| at_depth[d].push((t, i)));
        }
        let node = |(t, i): (usize, usize)| &trees[t].nodes[i];
        // Children alone, children and input, input alone.
        let class = |place| (node(place).is_leaf(), node(place).input.is_some());
        at_depth.iter_mut().for_each(|places| places.sort_by_key(|&place| class(place)));
        let starts: Vec<usize> = trees
            .iter()
            .scan(0, |start, tree| {
                *start += tree.nodes.len();
                Some(*start - tree.nodes.len())
            })
            .collect();

        let total: usize = trees.iter().map(|t| t.nodes.len()).sum();
        let mut row_in_level = vec![0; total];
        for places in &at_depth {
            places.iter().enumerate().for_each(|(row, &(t, i))| row_in_level[starts[t] + i] = row);
        }
        let mut levels = Vec::with_capacity(depth);
        let (mut order, mut inputs, mut first) = (vec![0; total], Vec::new(), 0);
        for d in (0..depth).rev() {
            let places = &at_depth[d];
            let below = at_depth.get(d + 1).map_or(&[][..], |places| places);
            let edges = below.iter().filter_map(|&(t, i)| {
                let (parent, branch) = trees[t].parents[i]?;
                Some((row_in_level[starts[t] + parent] as i32, branch))
            });
            let (parents, branches) = edges.unzip();
            levels.push(Level {
                rows: places.len(),
                inner: places.iter().filter(|&&place| !node(place).is_leaf()).count(),
                inputs: places.iter().filter(|&&place| node(place).input.is_some()).count(),
                parents,
                branches,
            });
            inputs.extend(places.iter().filter_map(|&place| node(place).input.map(|row| row as i32)));
            for (row, &(t, i)) in places.iter().enumerate() {
                order[starts[t] + i] = (first + row) as i32;
            }
            first += places.len();
        }

        let all = || trees.iter().enumerate().flat_map(|(t, tree)| tree.nodes.iter().enumerate().map(move |n| (t, n)));
        let inner = all().filter(|(_, (_, n))| !n.is_leaf()).map(|(tree, (node, n))| Inner {
            tree,
            node,
            empty: n.children.iter().position(Option::is_none).unwrap_or(n.children.len()),
        });
        let widest = all().map(|(t, (i, n))| (t, i, n.children.len())).max_by_key(|&(.., k)| k);
        let last_input = all().filter_map(|(t, (i, n))| Some((t, i, n.input?))).max_by_key(|&(.., row)| row);
        Ok(Forest {
            levels,
            order,
            inputs,
            roots: trees.iter().zip(&starts).map(|(tree, start)| (start + tree.root) as i32).collect(),
            widest: widest.unwrap_or_default(),
            inner: inner.collect(),
            last_input: last_input.unwrap_or_default(),
        })
    }

    /// Number of trees, B.
    pub fn trees(&self) -> usize {
        self.roots.len()
    }

    /// Number of nodes of all trees.
    pub fn nodes(&self) -> usize {
        self.order.len()
    }

    /// Number of levels: the nodes on the longest way from a root to a leaf.
    pub fn levels(&self) -> usize {
        self.levels.len()
    }

    /// The rows of the roots, (B, width), of what a network gives for all nodes, (nodes, width).
    ///
    /// # Panics
    /// Unless there is a row for each node.
    pub fn roots(&self, nodes: Tensor<2>) -> Tensor<2> {
        assert_eq!(nodes.dims()[0], self.nodes(), "rows, one a node");
        let device = nodes.device();
        nodes.select(0, integers(&self.roots, &device))
    }

    /// Checks that the network's branches and input fit.
    pub(super) fn check(&self, branches: Branches, width: usize, x: &Tensor<2>) -> Result<(), TreeError> {
        let [rows, found] = x.dims();
        if found != width {
            return Err(TreeError::InputWidth { found, expected: width });
        }
        let (tree, node, row) = self.last_input;
        if row >= rows {
            return Err(TreeError::InputOutOfRange { tree, node, row, rows });
        }
        let most = branches.matrices();
        let (tree, node, children) = self.widest;
        if branches != Branches::Sum && children > most {
            return Err(TreeError::TooManyChildren { tree, node, children, branches: most });
        }
        if let (Branches::Exactly(k), Some(bad)) = (branches, self.inner.iter().find(|i| i.empty < most)) {
            return Err(TreeError::MissingChild { tree: bad.tree, node: bad.node, branch: bad.empty, branches: k });
        }
        Ok(())
    }

    /// Whether an inner node has an input of its own.
    pub(super) fn inner_nodes_read(&self) -> bool {
        self.levels.iter().any(|level| level.both() > 0)
    }

    /// Of each input, its row of x.
    pub(super) fn inputs(&self) -> &[i32] {
        &self.inputs
    }

    /// Where each level's rows stand among those of all levels.
    pub(super) fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::with_capacity(self.levels.len());
        for level in &self.levels {
            let before = places.last().cloned().unwrap_or_default();
            let next = |range: &Range<usize>, count: usize| range.end..range.end + count;
            places.push(Place {
                rows: next(&before.rows, level.rows),
                inner: next(&before.inner, level.inner),
                inputs: next(&before.inputs, level.inputs),
                below: before.rows,
            });
        }
        places
    }

    /// For each row of the level below, its parent's row in this level, and the branch, or 0 for all.
    pub(super) fn entries(&self, level: usize, sum: bool) -> impl Iterator<Item = (usize, usize)> + '_ {
        let Level { parents, branches, .. } = &self.levels[level];
        parents.iter().zip(branches).map(move |(&parent, &branch)| (parent as usize, if sum { 0 } else { branch }))
    }

    /// Rows in the order of the levels, from rows in the order of the nodes.
    pub(super) fn in_order_of_levels<F: Copy + Default>(&self, rows: &[F]) -> Vec<F> {
        let width = rows.len() / self.nodes();
        let mut ordered = vec![F::default(); rows.len()];
        for (row, &place) in rows.chunks_exact(width).zip(&self.order) {
            ordered[place as usize * width..][..width].copy_from_slice(row);
        }
        ordered
    }

    /// And the other way.
    pub(super) fn in_order_of_nodes<F: Copy>(&self, rows: &[F]) -> Vec<F> {
        let width = rows.len() / self.nodes();
        let mut ordered = Vec::with_capacity(rows.len());
        self.order.iter().for_each(|&place| ordered.extend_from_slice(&rows[place as usize * width..][..width]));
        ordered
    }

    /// Computes all nodes. `x` (rows, I) is multiplied with each of the `weights` (width, I); `step` makes a level's states of its part of the
    /// products, (rows with an input, width) each, and of the states of the level below, which the deepest level has not. The states
    /// come back in the order of the nodes.
    pub(super) fn upward(
        &self,
        x: Tensor<2>,
        weights: &[Tensor<2>],
        mut step: impl FnMut(&Level, &[Option<Tensor<2>>], Option<&[Tensor<2>]>) -> Vec<Tensor<2>>,
    ) -> Vec<Tensor<2>> {
        let device = x.device();
        let x = x.select(0, integers(&self.inputs, &device));
        let sizes: Vec<usize> = self.levels.iter().map(|level| level.inputs).collect();
        let products = weights.iter().map(|w| divide(x.clone().matmul(w.clone().transpose()), &sizes).into_iter());
        let mut products: Vec<_> = products.collect();
        let mut states: Vec<Vec<Tensor<2>>> = Vec::with_capacity(self.levels.len());
        for level in &self.levels {
            let from_x: Vec<Option<Tensor<2>>> = products.iter_mut().map(|pieces| pieces.next().flatten()).collect();
            let below = states.last().map(|s| &s[..]);
            let level_states = step(level, &from_x, below);
            states.push(level_states);
        }
        let order = integers(&self.order, &device);
        (0..states[0].len())
            .map(|k| Tensor::cat(states.iter().map(|s| s[k].clone()).collect(), 0).select(0, order.clone()))
            .collect()
    }
}

impl Level {
    /// The sum over each inner node's children of rows of the level below: (inner, width).
    pub fn sum(&self, below: Tensor<2>) -> Tensor<2> {
        let [_, width] = below.dims();
        let parents = self.parents(&below.device());
        Tensor::zeros([self.inner, width], (&below.device(), below.dtype())).select_assign(
            0,
            parents,
            below,
            IndexingUpdateOp::Add,
        )
    }

    /// For each row of the level below, its parent's row of `here`, (rows below, width).
    pub fn of_parents(&self, here: Tensor<2>) -> Tensor<2> {
        let parents = self.parents(&here.device());
        here.select(0, parents)
    }

    /// The children's rows side by side, zeros for an empty branch: (inner, branches · width).
    pub fn side_by_side(&self, below: Tensor<2>, branches: usize) -> Tensor<2> {
        let [_, width] = below.dims();
        self.children(below, 0..branches).reshape([self.inner, branches * width])
    }

    /// The children's rows of one branch, zeros where it is empty: (inner, width).
    pub fn branch(&self, below: Tensor<2>, branch: usize) -> Tensor<2> {
        self.children(below, branch..branch + 1)
    }

    /// For each inner row the children's rows of some branches, one after another.
    fn children(&self, below: Tensor<2>, branches: Range<usize>) -> Tensor<2> {
        let ([rows, _], device) = (below.dims(), below.device());
        let mut places = vec![rows as i32; self.inner * branches.len()];
        for (row, (&parent, branch)) in self.parents.iter().zip(&self.branches).enumerate() {
            if branches.contains(branch) {
                places[parent as usize * branches.len() + branch - branches.start] = row as i32;
            }
        }
        let padded = match places.contains(&(rows as i32)) {
            true => zeros_below_rows(below, rows + 1),
            false => below,
        };
        padded.select(0, integers(&places, &device))
    }

    /// (inner, width) as the first rows of (rows, width), zeros below.
    pub fn all_rows(&self, inner: Tensor<2>) -> Tensor<2> {
        zeros_below_rows(inner, self.rows)
    }

    /// What comes from the children, (inner, width), plus what comes from the inputs, (rows with an input, width): (rows, width).
    pub fn sum_of_sources(&self, children: Option<Tensor<2>>, inputs: Option<Tensor<2>>) -> Tensor<2> {
        match (children, inputs) {
            (Some(children), Some(inputs)) if self.both() == 0 => Tensor::cat(vec![children, inputs], 0),
            (Some(children), Some(inputs)) => self.all_rows(children) + rows_below_zeros(inputs, self.rows),
            (Some(alone), None) | (None, Some(alone)) => alone,
            (None, None) => unreachable!("a node has children or an input"),
        }
    }

    /// Of what comes from the inputs, what comes to inner nodes, (inner, width); none if nothing does.
    pub fn of_inner(&self, inputs: Option<Tensor<2>>) -> Option<Tensor<2>> {
        let both = self.both();
        inputs.filter(|_| both > 0).map(|inputs| rows_below_zeros(inputs.slice_dim(0, 0..both), self.inner))
    }

    /// How many rows have both children and an input.
    fn both(&self) -> usize {
        self.inner + self.inputs - self.rows
    }

    fn parents(&self, device: &Device) -> Tensor<1, Int> {
        integers(&self.parents, device)
    }
}

fn zeros(like: &Tensor<2>, rows: usize) -> Tensor<2> {
    Tensor::zeros([rows, like.dims()[1]], (&like.device(), like.dtype()))
}

fn zeros_below_rows(rows: Tensor<2>, total: usize) -> Tensor<2> {
    match total - rows.dims()[0] {
        0 => rows,
        more => Tensor::cat(vec![rows.clone(), zeros(&rows, more)], 0),
    }
}

fn rows_below_zeros(rows: Tensor<2>, total: usize) -> Tensor<2> {
    match total - rows.dims()[0] {
        0 => rows,
        more => Tensor::cat(vec![zeros(&rows, more), rows], 0),
    }
}
