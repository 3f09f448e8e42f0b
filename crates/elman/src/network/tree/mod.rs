//! Tree networks: the state of a node is made of its children's, from the leaves towards the root.
//!
//! * [`Recursive`]: h = a(W x + Σ_k U_k h_k + b), with a matrix for each branch or one for the sum of the children;
//! * [`TreeLstm`]: the child-sum and the N-ary Tree-LSTM.
//!
//! A batch of trees is a [`Forest`]: all nodes of all its trees at one depth are computed together. On Flex, forward and backward
//! are one operation each in `f32` and `f64`; on other devices, and for Tree-LSTMs with more than 14 branches, they are tensor operations.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use elman::network::tree::{Branches, Forest, Node, Tree, TreeLstmConfig};
//!
//! // ((0 1) 2): three leaves, which read the rows 0, 1, 2 of the input, and two inner nodes.
//! let leaf = Node::leaf;
//! let tree = Tree::new(vec![leaf(0), leaf(1), Node::inner([0, 1]), leaf(2), Node::inner([2, 3])]).unwrap();
//! assert_eq!(tree.root(), 4);
//!
//! let device = Device::flex().autodiff();
//! let network = TreeLstmConfig::new(Branches::Exactly(2), 3, 5).init(1, &device).unwrap();
//! let forest = Forest::new(&[tree.clone(), tree]).unwrap();
//! let x = Tensor::<2>::ones([3, 3], &device); // rows, I
//! let (h, c) = network.forward(&forest, x).unwrap();
//! assert_eq!((h.dims(), c.dims()), ([10, 5], [10, 5])); // nodes, H: tree after tree, as their nodes were given
//! let roots = forest.roots(h);
//! assert_eq!(roots.dims(), [2, 5]); // B, H
//! roots.sum().backward();
//! ```

mod equations;
mod forest;
mod fused;
mod lstm;
mod recursive;

pub use elman_core::algebra::Activation;
pub use forest::Forest;
pub use lstm::{TreeLstm, TreeLstmConfig};
pub use recursive::{Recursive, RecursiveConfig};

/// What is wrong with a tree, a batch of trees, or a network for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// No nodes.
    #[error("the tree has no nodes; it needs at least one leaf")]
    Empty,
    /// No trees.
    #[error("there are no trees; a batch needs at least one")]
    NoTrees,
    /// A child that is not there.
    #[error("node {node}: its child {child} is not there; the tree has {nodes} nodes, 0 to {}", .nodes - 1)]
    ChildOutOfRange {
        /// The parent.
        node: usize,
        /// What it names.
        child: usize,
        /// Number of nodes.
        nodes: usize,
    },
    /// Two parents.
    #[error("node {node} is a child of node {first} and again of node {second}; in a tree a node has one parent")]
    TwoParents {
        /// The child.
        node: usize,
        /// A parent.
        first: usize,
        /// Another, or the same again.
        second: usize,
    },
    /// Nodes that are each other's ancestors.
    #[error("node {node} is its own ancestor; a tree has no cycles")]
    Cycle {
        /// A node of the cycle.
        node: usize,
    },
    /// More than one node without a parent.
    #[error("nodes {first} and {second} both have no parent; a tree has one root")]
    TwoRoots {
        /// One.
        first: usize,
        /// Another.
        second: usize,
    },
    /// A leaf of which nothing is known.
    #[error("node {node} has neither children nor an input; give every leaf an input")]
    LeafWithoutInput {
        /// The leaf.
        node: usize,
    },
    /// An empty branch where all must be full.
    #[error(
        "tree {tree}, node {node}: branch {branch} has no child; every inner node needs {branches} (Branches::AtMost allows \
         fewer)"
    )]
    MissingChild {
        /// The tree in the batch.
        tree: usize,
        /// Its node.
        node: usize,
        /// The branch, from 0.
        branch: usize,
        /// How many there must be.
        branches: usize,
    },
    /// More children than branches.
    #[error(
        "tree {tree}, node {node} has {children} branches and the network {branches}; make it with as many, or with Branches::Sum"
    )]
    TooManyChildren {
        /// The tree in the batch.
        tree: usize,
        /// Its node.
        node: usize,
        /// Number of its branches.
        children: usize,
        /// The network's.
        branches: usize,
    },
    /// A node that reads a row which is not there.
    #[error("tree {tree}, node {node} reads row {row} of an input of {rows} rows")]
    InputOutOfRange {
        /// The tree in the batch.
        tree: usize,
        /// Its node.
        node: usize,
        /// The row that it names.
        row: usize,
        /// The input's rows.
        rows: usize,
    },
    /// The input's width is not the network's.
    #[error("the input is {found} wide and the network needs {expected}")]
    InputWidth {
        /// The input's.
        found: usize,
        /// The network's.
        expected: usize,
    },
    /// A size of 0.
    #[error("{what} must be at least 1")]
    ZeroSize {
        /// Which.
        what: &'static str,
    },
}

/// How a node's children enter it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branches {
    /// As a sum: any number, in no order.
    Sum,
    /// Each branch through a matrix of its own, at most so many; an empty branch counts as a state of zeros.
    AtMost(usize),
    /// The same; a node that has children has exactly so many.
    Exactly(usize),
}

impl Branches {
    /// The number of matrices for the children's states.
    pub(crate) fn matrices(self) -> usize {
        match self {
            Branches::Sum => 1,
            Branches::AtMost(k) | Branches::Exactly(k) => k,
        }
    }

    pub(crate) fn check_sizes(self, input: usize, hidden: usize) -> Result<(), TreeError> {
        let sizes =
            [("the number of branches", self.matrices()), ("the input's width", input), ("the hidden width", hidden)];
        match sizes.into_iter().find(|&(_, size)| size == 0) {
            Some((what, _)) => Err(TreeError::ZeroSize { what }),
            None => Ok(()),
        }
    }
}

/// A node: what it reads and its children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The row of the network's input that it reads: a token's id where the input is an embedding table. Leaves must have one.
    pub input: Option<usize>,
    /// Its children by branch, as their places in the list of nodes; none for an empty branch.
    pub children: Vec<Option<usize>>,
}

impl Node {
    /// A leaf.
    pub fn leaf(input: usize) -> Node {
        Node { input: Some(input), children: Vec::new() }
    }

    /// A node of these children that reads nothing itself.
    pub fn inner(children: impl IntoIterator<Item = usize>) -> Node {
        Node { input: None, children: children.into_iter().map(Some).collect() }
    }

    fn is_leaf(&self) -> bool {
        self.children.iter().all(Option::is_none)
    }
}

/// A tree: nodes in any order, checked to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    nodes: Vec<Node>,
    root: usize,
    /// For each node its parent and the branch there; none for the root.
    parents: Vec<Option<(usize, usize)>>,
    /// Steps from the root.
    depths: Vec<usize>,
}

impl Tree {
    /// A tree of the nodes.
    ///
    /// # Errors
    /// Without nodes; where a child is not there or has two parents; with a cycle or two roots; where a leaf has no input.
    pub fn new(nodes: Vec<Node>) -> Result<Tree, TreeError> {
        let n = nodes.len();
        if n == 0 {
            return Err(TreeError::Empty);
        }
        let mut parents = vec![None; n];
        for (node, branch, child) in edges(&nodes) {
            match parents.get(child) {
                None => return Err(TreeError::ChildOutOfRange { node, child, nodes: n }),
                Some(&Some((first, _))) => return Err(TreeError::TwoParents { node: child, first, second: node }),
                Some(None) => parents[child] = Some((node, branch)),
            }
        }
        let mut roots = (0..n).filter(|&i| parents[i].is_none());
        // Everybody has a parent: going up from any node ends in a cycle.
        let Some(root) = roots.next() else { return Err(TreeError::Cycle { node: on_a_cycle(&parents, 0) }) };
        if let Some(second) = roots.next() {
            return Err(TreeError::TwoRoots { first: root, second });
        }
        let mut depths = vec![None; n];
        depths[root] = Some(0);
        let mut waiting = vec![root];
        while let Some(node) = waiting.pop() {
            for &child in nodes[node].children.iter().flatten() {
                depths[child] = depths[node].map(|d| d + 1);
                waiting.push(child);
            }
        }
        if let Some(apart) = depths.iter().position(Option::is_none) {
            return Err(TreeError::Cycle { node: on_a_cycle(&parents, apart) });
        }
        if let Some(node) = nodes.iter().position(|node| node.is_leaf() && node.input.is_none()) {
            return Err(TreeError::LeafWithoutInput { node });
        }
        Ok(Tree { nodes, root, parents, depths: depths.into_iter().flatten().collect() })
    }

    /// The nodes as given.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The place of the root among them.
    pub fn root(&self) -> usize {
        self.root
    }
}

/// (parent, branch, child) of every edge.
fn edges(nodes: &[Node]) -> impl Iterator<Item = (usize, usize, usize)> {
    nodes.iter().enumerate().flat_map(|(node, n)| {
        n.children.iter().enumerate().filter_map(move |(branch, child)| Some((node, branch, (*child)?)))
    })
}

/// A node of the cycle in which the ancestors of `node` end.
fn on_a_cycle(parents: &[Option<(usize, usize)>], node: usize) -> usize {
    // After as many steps as there are nodes one is in it.
    (0..parents.len()).fold(node, |node, _| parents[node].map_or(node, |(parent, _)| parent))
}

#[cfg(test)]
mod tests;
