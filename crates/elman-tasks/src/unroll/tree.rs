//! Networks over trees: a node from its children, the root on top.

use super::{Kind, MAX_DRAWN, Unrolled, Way};
use crate::Error;
use elman::network::tree::Tree;

/// Which network computes the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeCell {
    /// [`Recursive`](elman::network::tree::Recursive): a node has h.
    Recursive,
    /// [`TreeLstm`](elman::network::tree::TreeLstm): a node has h and c.
    TreeLstm,
}

impl TreeCell {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            TreeCell::Recursive => "recursive",
            TreeCell::TreeLstm => "tree-lstm",
        }
    }

    /// What a node hands to its parent.
    fn carried(self, node: usize) -> String {
        match self {
            TreeCell::Recursive => format!("h_{node}"),
            TreeCell::TreeLstm => format!("h_{node}, c_{node}"),
        }
    }
}

/// Where a node stands: the row below the root's, and the column.
struct Places<'a> {
    tree: &'a Tree,
    at: Vec<(usize, f64)>,
    leaves: usize,
}

impl Places<'_> {
    /// Leaves one after another, what is above them over their middle.
    fn set(&mut self, node: usize, depth: usize) -> f64 {
        let children: Vec<usize> = self.tree.nodes()[node].children.iter().flatten().copied().collect();
        let column = match children.len() {
            0 => {
                self.leaves += 1;
                self.leaves as f64
            }
            n => children.into_iter().map(|child| self.set(child, depth + 1)).sum::<f64>() / n as f64,
        };
        self.at[node] = (depth, column);
        column
    }
}

impl Unrolled {
    /// A network over a tree, from the leaves to the root, whose output has the loss. Nodes are numbered from 1 in the order of [`Tree::nodes`]; a
    /// node that reads has its word beside or below it, `words` by the row that it reads (x_1, ... where there is none).
    ///
    /// ```
    /// use elman::network::tree::{Node, Tree};
    /// use elman_tasks::unroll::{TreeCell, Unrolled};
    /// let tree = Tree::new(vec![Node::leaf(0), Node::leaf(1), Node::inner([0, 1])]).unwrap();
    /// let dot = Unrolled::tree(&tree, TreeCell::TreeLstm, &["not".into(), "good".into()])?.dot();
    /// assert!(dot.contains("tree-lstm 3") && dot.contains("h_1, c_1"));
    /// # Ok::<(), elman_tasks::Error>(())
    /// ```
    ///
    /// # Errors
    /// More than twice [`MAX_DRAWN`] nodes.
    pub fn tree(tree: &Tree, cell: TreeCell, words: &[String]) -> Result<Unrolled, Error> {
        let count = tree.nodes().len();
        if count > 2 * MAX_DRAWN {
            return Err(Error::Usage(format!("--tree: it has {count} nodes; at most {} can be drawn", 2 * MAX_DRAWN)));
        }
        let mut places = Places { tree, at: vec![(0, 0.0); count], leaves: 0 };
        places.set(tree.root(), 0);
        let at = places.at;
        let mut graph = Unrolled::empty(format!("{} over a tree of {count} nodes", cell.name()));
        let lowest = at.iter().map(|place| place.0).max().unwrap_or(0);
        let weights = graph.vertex(Kind::Weights, "W".into(), 0.2, lowest + 5);
        let steps: Vec<usize> = at
            .iter()
            .enumerate()
            .map(|(i, &(depth, column))| {
                graph.vertex(Kind::Step, format!("{} {}", cell.name(), i + 1), column, depth + 3)
            })
            .collect();
        for (i, node) in tree.nodes().iter().enumerate() {
            graph.edge(weights, steps[i], String::new(), Way::Shared);
            let mut is_leaf = true;
            for &child in node.children.iter().flatten() {
                graph.edge(steps[child], steps[i], cell.carried(child + 1), Way::Plain);
                is_leaf = false;
            }
            if let Some(row) = node.input {
                let word = words.get(row).cloned().unwrap_or_else(|| format!("x_{}", row + 1));
                let (depth, column) = at[i];
                let (row, column) = if is_leaf { (depth + 4, column) } else { (depth + 3, column + 0.45) };
                let read = graph.vertex(Kind::Given, word, column, row);
                graph.edge(read, steps[i], String::new(), Way::Plain);
            }
        }
        let root = tree.root();
        let output = graph.vertex(Kind::Output, format!("y_{}", root + 1), at[root].1, 2);
        graph.edge(steps[root], output, String::new(), Way::Plain);
        graph.loss(output, "target".into(), root + 1);
        Ok(graph)
    }
}
