//! The local Jacobian of a stage: exact, or cut where Hochreiter & Schmidhuber's rule cuts it.

use elman_core::Layer;
use elman_core::algebra::Element;
use elman_core::algebra::expression::{ArgumentKind, Node, StageGraph};

/// Whether errors flow back through everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The whole derivative.
    Full,
    /// Errors leave the step before only through values read pointwise, as the cell's carousel is; they pass neither a matrix (Hochreiter &
    /// Schmidhuber 1997, appendix A.1) nor a peephole, a per-unit parameter times a value (Gers & Schmidhuber 2000). Parameters themselves have
    /// their whole derivative within the step.
    Truncated,
}

/// The nodes of the recorded equations for one unit: values, and derivatives by every argument. What it holds before has no meaning.
#[derive(Default)]
pub(super) struct Walk<F> {
    values: Vec<F>,
    partials: Vec<F>,
}

/// The equations of one stage, ready to be differentiated.
pub(super) struct Local {
    stage: usize,
    graph: StageGraph,
    flow: Flow,
    /// `depends[o * arguments + a]`: whether output o can depend on argument a.
    pub depends: Vec<bool>,
}

impl Local {
    pub fn new(layer: &Layer, stage: usize, flow: Flow) -> Local {
        let graph = StageGraph::of(&**layer.cell(), stage);
        let arguments = graph.arguments.len();
        let mut local = Local { stage, graph, flow, depends: Vec::new() };
        let mut by: Vec<Vec<bool>> = Vec::new();
        for (id, &node) in local.graph.nodes.iter().enumerate() {
            let mut row = vec![false; arguments];
            if let Node::Argument(a) = node {
                row[a] = true;
            } else if !matches!(node, Node::Step(_)) {
                for operand in node.operands().filter(|&operand| !local.is_cut(id, operand)) {
                    row.iter_mut().zip(&by[operand]).for_each(|(d, &o)| *d |= o);
                }
            }
            by.push(row);
        }
        local.depends = local.graph.outputs.iter().flat_map(|&o| by[o].clone()).collect();
        local
    }

    /// Whether the error of node `id` does not pass on to its operand: the value at a peephole.
    fn is_cut(&self, id: usize, operand: usize) -> bool {
        let is_unit = |id: usize| match self.graph.nodes[id] {
            Node::Argument(a) => self.graph.arguments[a].kind == ArgumentKind::Unit,
            _ => false,
        };
        match self.graph.nodes[id] {
            Node::Mul(a, b) if self.flow == Flow::Truncated && is_unit(a) != is_unit(b) => !is_unit(operand),
            _ => false,
        }
    }

    /// Outputs of one unit and their derivatives: `jacobian[o * arguments + a]`.
    pub fn jacobian<F: Element>(
        &self,
        layer: &Layer,
        args: &[F],
        outs: &mut [F],
        jacobian: &mut [F],
        walk: &mut Walk<F>,
    ) {
        match self.flow {
            Flow::Full => F::pointwise(&**layer.cell()).jacobian(self.stage, args, outs, jacobian),
            Flow::Truncated => self.walk(args, outs, jacobian, walk),
        }
    }

    /// Forward differentiation along the recorded equations, without the operands that are cut.
    fn walk<F: Element>(&self, args: &[F], outs: &mut [F], jacobian: &mut [F], walk: &mut Walk<F>) {
        let (zero, one, n) = (F::constant(0.0), F::constant(1.0), args.len());
        let nodes = &self.graph.nodes;
        let Walk { values, partials } = walk;
        values.clear();
        partials.clear();
        partials.resize(nodes.len() * n, zero);
        for (id, &node) in nodes.iter().enumerate() {
            let y = node.eval(args, values);
            let v = |id: usize| values[id];
            // The derivative of the node by each of its operands.
            let slopes = match node {
                Node::Constant(_) | Node::Step(_) => [None, None],
                Node::Argument(a) => {
                    partials[id * n + a] = one;
                    [None, None]
                }
                Node::Add(a, b) => [Some((a, one)), Some((b, one))],
                Node::Sub(a, b) => [Some((a, one)), Some((b, -one))],
                Node::Mul(a, b) => [Some((a, v(b))), Some((b, v(a)))],
                Node::Div(a, b) => [Some((a, one / v(b))), Some((b, -y / v(b)))],
                Node::Neg(a) => [Some((a, -one)), None],
                Node::Exp(a) => [Some((a, y)), None],
                Node::Tanh(a) => [Some((a, one - y * y)), None],
                Node::Sigmoid(a) => [Some((a, y * (one - y))), None],
                Node::Relu(a) => [Some((a, y.step())), None],
                Node::Softplus(a) => [Some((a, v(a).sigmoid())), None],
                Node::Sin(a) => [Some((a, v(a).cos())), None],
                Node::Cos(a) => [Some((a, -v(a).sin())), None],
            };
            for (operand, slope) in slopes.into_iter().flatten().filter(|&(operand, _)| !self.is_cut(id, operand)) {
                let (before, own) = partials.split_at_mut(id * n);
                super::block::axpy(&mut own[..n], slope, &before[operand * n..][..n]);
            }
            values.push(y);
        }
        for (o, &id) in self.graph.outputs.iter().enumerate() {
            outs[o] = values[id];
            jacobian[o * n..][..n].copy_from_slice(&partials[id * n..][..n]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elman_core::cell::Pointwise;
    use elman_core::testing::Noise;
    use elman_core::{Sizes, cells};

    /// Without units there is nothing to cut: both ways to the Jacobian must agree for every cell.
    #[test]
    fn the_walk_is_the_jacobian_where_nothing_is_cut() {
        let mut compared = 0;
        for entry in cells::REGISTRY {
            let layer = Layer::new((entry.make)(), Sizes::new(1, 2)).unwrap();
            for (s, spec) in layer.cell().spec().stages.iter().enumerate() {
                let args: Vec<f64> = Noise(3).uniform(spec.arguments(), 1.0);
                let len = (spec.writes.len(), spec.writes.len() * args.len());
                let (mut outs, mut jacobian) = (vec![0.0; len.0], vec![0.0; len.1]);
                let (mut outs_walked, mut walked) = (outs.clone(), jacobian.clone());
                Pointwise::<f64>::jacobian(&**layer.cell(), s, &args, &mut outs, &mut jacobian);
                let local = Local::new(&layer, s, Flow::Truncated);
                local.walk(&args, &mut outs_walked, &mut walked, &mut Walk::default());
                let full = Local::new(&layer, s, Flow::Full);
                for i in 0..len.1 {
                    assert!(full.depends[i] || jacobian[i] == 0.0, "{}: {i}", entry.name);
                    assert!(local.depends[i] || walked[i] == 0.0, "{}: {i}", entry.name);
                }
                if spec.units.is_empty() {
                    // The same rules in nearly the same order: some roundings of numbers around 1.
                    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-14);
                    assert!(near(&outs, &outs_walked) && near(&jacobian, &walked), "{} stage {s}", entry.name);
                    compared += 1;
                }
            }
        }
        assert!(compared > 30, "{compared}");
    }

    #[test]
    fn a_peephole_is_cut_for_its_value_and_not_for_itself() {
        let layer = Layer::new((cells::find("lstm-peephole").unwrap().make)(), Sizes::new(1, 1)).unwrap();
        let local = Local::new(&layer, 0, Flow::Truncated);
        // Arguments: i f g o, c, pi pf po. Outputs: h, c.
        let args = [0.3, -0.2, 0.5, 0.1, 0.7, 0.4, -0.6, 0.9];
        let (mut outs, mut jacobian) = ([0.0; 2], [0.0; 16]);
        local.jacobian(&layer, &args, &mut outs, &mut jacobian, &mut Walk::default());
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let f = sigmoid(-0.2 + -0.6 * 0.7);
        let i = sigmoid(0.3 + 0.4 * 0.7);
        // d c / d c' is the forget gate alone; d c / d p_i = i (1 - i) g c'.
        assert!((jacobian[8 + 4] - f).abs() < 1e-15);
        assert!((jacobian[8 + 5] - i * (1.0 - i) * 0.5_f64.tanh() * 0.7).abs() < 1e-15);
        // d h / d c' passes the output's tanh and not its peephole.
        let c = outs[1];
        let o = sigmoid(0.1 + 0.9 * c);
        assert!((jacobian[4] - o * (1.0 - c.tanh().powi(2)) * f).abs() < 1e-15);
    }
}
