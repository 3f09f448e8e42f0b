use super::*;
use crate::network::testing::{Golden, Numbers, gradient_check_with, gradients, numbers, tensor, with};
use crate::random::Random;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

const I: usize = 2;
const H: usize = 3;
const ROWS: usize = 5;

/// A random tree of at most `branches` children a node, in a random order of its nodes, some branches empty, some inner nodes with an
/// input.
fn random_tree(leaves: usize, branches: usize, full: bool, random: &mut Random) -> Tree {
    let below = |random: &mut Random, n: usize| random.word() as usize % n;
    let mut nodes: Vec<Node> = (0..leaves).map(|_| Node::leaf(below(random, ROWS))).collect();
    let mut waiting: Vec<usize> = (0..leaves).collect();
    while waiting.len() > 1 {
        let count = if full { branches } else { 1 + below(random, branches) }.min(waiting.len());
        let mut children: Vec<Option<usize>> =
            (0..count).map(|_| Some(waiting.remove(below(random, waiting.len())))).collect();
        if !full {
            // An empty branch before others.
            (count < branches).then(|| children.insert(below(random, count + 1), None));
        }
        nodes.push(Node { input: (below(random, 3) == 0).then(|| below(random, ROWS)), children });
        waiting.push(nodes.len() - 1);
    }
    // Turned round: the root comes first.
    let last = nodes.len() - 1;
    let turned = nodes
        .into_iter()
        .rev()
        .map(|n| Node { children: n.children.into_iter().map(|c| c.map(|c| last - c)).collect(), ..n });
    Tree::new(turned.collect()).unwrap()
}

fn trees(branches: usize, full: bool) -> Vec<Tree> {
    let mut random = Random::new(branches as u64, "trees");
    // With K children each, a tree has 1 + m (K - 1) leaves.
    let leaves = |m: usize| 1 + m * if full { branches - 1 } else { 1 };
    [0, 1, 3, 5, 2].map(|m| random_tree(leaves(m), branches, full, &mut random)).to_vec()
}

/// Either kind of network.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Recursive(Branches, Activation),
    Lstm(Branches),
}

/// Every kind with every way of branching.
fn kinds() -> Vec<(Kind, Vec<Tree>)> {
    let mut kinds = Vec::new();
    for (branches, widest, full) in [
        (Branches::Sum, 3, false),
        (Branches::AtMost(1), 1, false),
        (Branches::AtMost(3), 3, false),
        (Branches::Exactly(2), 2, true),
        (Branches::Exactly(3), 3, true),
    ] {
        let trees = if widest == 1 { chains() } else { trees(widest, full) };
        kinds.push((Kind::Recursive(branches, Activation::Tanh), trees.clone()));
        kinds.push((Kind::Lstm(branches), trees.clone()));
    }
    kinds.push((Kind::Recursive(Branches::Sum, Activation::Sigmoid), trees(3, false)));
    kinds.push((Kind::Recursive(Branches::Exactly(2), Activation::Relu), trees(2, true)));
    kinds
}

/// Trees of one branch: sequences, with an input at each node.
fn chains() -> Vec<Tree> {
    let chain = |n: usize| {
        let node =
            |i: usize| Node { input: Some(i % ROWS), children: i.checked_sub(1).map(Some).into_iter().collect() };
        Tree::new((0..n).map(node).collect()).unwrap()
    };
    vec![chain(1), chain(6), chain(3)]
}

#[derive(Module, Debug)]
enum Network {
    Recursive(Recursive),
    Lstm(TreeLstm),
}

impl Network {
    fn new(kind: Kind, device: &Device) -> Network {
        let network = match kind {
            Kind::Recursive(branches, activation) => {
                let config = RecursiveConfig { activation, ..RecursiveConfig::new(branches, I, H) };
                Network::Recursive(config.init(3, device).unwrap())
            }
            Kind::Lstm(branches) => Network::Lstm(TreeLstmConfig::new(branches, I, H).init(3, device).unwrap()),
        };
        with(network, &Numbers::new())
    }

    fn run(&self, trees: &[Tree], x: Tensor<2>) -> Result<Vec<Tensor<2>>, TreeError> {
        let forest = Forest::new(trees)?;
        Ok(match self {
            Network::Recursive(network) => vec![network.forward(&forest, x)?],
            Network::Lstm(network) => {
                let (h, c) = network.forward(&forest, x)?;
                vec![h, c]
            }
        })
    }

    /// As tensor operations.
    fn portable(&self, trees: &[Tree], x: Tensor<2>) -> Vec<Tensor<2>> {
        let forest = Forest::new(trees).unwrap();
        match self {
            Network::Recursive(network) => network.portable(&forest, x),
            Network::Lstm(network) => network.portable(&forest, x),
        }
    }

    /// A loss that depends on all states in different ways.
    fn loss(&self, trees: &[Tree], x: Tensor<2>) -> Tensor<1> {
        Network::loss_of(self.run(trees, x).unwrap(), |_| true)
    }

    /// The same of some of the states: h, c.
    fn loss_of(states: Vec<Tensor<2>>, used: impl Fn(usize) -> bool) -> Tensor<1> {
        let states = states.into_iter().enumerate().filter(|(k, _)| used(*k));
        let weighted = states.map(|(k, s)| {
            let by = tensor(s.dims(), &format!("d {k}"), &s.device());
            (s * by).sum()
        });
        weighted.reduce(|a, b| a + b).unwrap()
    }
}

#[test]
fn gradients_are_exact_with_every_option() {
    let device = Device::flex().autodiff();
    let x = tensor([ROWS, I], "x", &device);
    for (kind, trees) in kinds() {
        let network = Network::new(kind, &device);
        // A leaf, and trees with two and four leaves or as near to it as the branches allow.
        let few = &trees[..3];
        gradient_check_with(&format!("{kind:?}"), &network, std::slice::from_ref(&x), |network, x| {
            network.loss(few, x[0].clone())
        });
    }
}

#[test]
fn a_batch_gives_the_numbers_of_its_trees_one_by_one() {
    let device = Device::flex();
    let x = tensor([ROWS, I], "x", &device);
    for (kind, trees) in kinds() {
        let network = Network::new(kind, &device);
        let together = network.run(&trees, x.clone()).unwrap();
        for (k, together) in together.into_iter().enumerate() {
            let alone =
                trees.iter().flat_map(|t| numbers(network.run(std::slice::from_ref(t), x.clone()).unwrap().remove(k)));
            for (a, b) in numbers(together).into_iter().zip(alone) {
                // Products of other sizes may order their sums differently: a few roundings of numbers below 2.
                assert!((a - b).abs() < 1e-14, "{kind:?}: {a} {b}");
            }
        }
    }
}

#[test]
fn the_operation_is_the_tensor_operations() {
    // Gradient checkpointing records under another type.
    let devices = [Device::flex().autodiff(), Device::flex().autodiff().gradient_checkpointing()];
    for (device, (kind, mut trees)) in devices.iter().flat_map(|d| kinds().into_iter().map(move |kind| (d, kind))) {
        let network = Network::new(kind, device);
        let states = if matches!(kind, Kind::Lstm(_)) { 2 } else { 1 };
        // All trees; and leaves alone, where no child's weight has a gradient.
        for k in 0..2 {
            trees.truncate(if k == 0 { trees.len() } else { 1 });
            // h and c, h alone, c alone.
            for used in [0..states, 0..1, states - 1..states] {
                let x = tensor([ROWS, I], "x", device).require_grad();
                let both = [network.run(&trees, x.clone()).unwrap(), network.portable(&trees, x.clone())];
                let [a, b] = both.map(|states| {
                    let values: Vec<f64> = states.iter().flat_map(|s| numbers(s.clone())).collect();
                    let d = Network::loss_of(states, |k| used.contains(&k)).backward();
                    let mut all = gradients(&network, &d);
                    all.insert("x".to_string(), numbers(x.grad(&d).unwrap()));
                    all.insert("states".to_string(), values);
                    all
                });
                for (name, a) in &a {
                    // On the tape nothing is nothing.
                    let b = b.get(name).cloned().unwrap_or_else(|| vec![0.0; a.len()]);
                    assert_eq!(a.len(), b.len(), "{kind:?}: {name}");
                    for (a, b) in a.iter().zip(b) {
                        // Sums of some tens of numbers in another order.
                        assert!((a - b).abs() < 1e-13, "{kind:?}, states {used:?}, {name}: {a} and {b}");
                    }
                }
            }
        }
    }
}

#[test]
fn any_number_of_branches_works() {
    // Fifteen of a Tree-LSTM have more arguments than can be recorded.
    let device = Device::flex().autodiff();
    let x = tensor([ROWS, I], "x", &device);
    for branches in [14, 15, 20] {
        let children = (0..branches).collect::<Vec<_>>();
        let nodes = children.iter().map(|&k| Node::leaf(k % ROWS)).chain([Node::inner(children.clone())]);
        let tree = Tree::new(nodes.collect()).unwrap();
        for kind in
            [Kind::Lstm(Branches::AtMost(branches)), Kind::Recursive(Branches::AtMost(branches), Activation::Tanh)]
        {
            let network = Network::new(kind, &device);
            let x: Vec<f64> = numbers(x.clone());
            let root = tree.root();
            let found = network.run(std::slice::from_ref(&tree), tensor([ROWS, I], "x", &device)).unwrap();
            let exact = by_definition(&network, kind, &tree, &x, root).0;
            for (a, b) in numbers(found[0].clone())[root * H..].iter().zip(exact) {
                assert!((a - b).abs() < 1e-13, "{kind:?}: {a} and {b}");
            }
        }
    }
}

/// The definitions, node by node on plain numbers.
fn by_definition(network: &Network, kind: Kind, tree: &Tree, x: &[f64], node: usize) -> (Vec<f64>, Vec<f64>) {
    let p = crate::network::testing::parameters(network);
    let find = |name: &str| p.iter().find(|(path, _)| path.ends_with(name)).unwrap().1;
    let (w, u, b) = (find("weight_x"), find("weight_h"), find("bias"));
    let (branches, lstm) = match kind {
        Kind::Recursive(branches, _) => (branches, false),
        Kind::Lstm(branches) => (branches, true),
    };
    let k = branches.matrices();
    let n = &tree.nodes()[node];
    let zero = || (vec![0.0; H], vec![0.0; H]);
    let mut children: Vec<(Vec<f64>, Vec<f64>)> =
        n.children.iter().map(|c| c.map_or_else(zero, |c| by_definition(network, kind, tree, x, c))).collect();
    let below: Vec<f64> = match branches {
        Branches::Sum => (0..H).map(|i| children.iter().map(|c| c.0[i]).sum()).collect(),
        _ => {
            children.resize_with(k, zero);
            children.iter().flat_map(|c| c.0.clone()).collect()
        }
    };
    let product = |m: &[f64], row: usize, v: &[f64]| -> f64 { (0..v.len()).map(|j| m[row * v.len() + j] * v[j]).sum() };
    let input = n.input.map_or(vec![0.0; I], |row| x[row * I..][..I].to_vec());
    let from_x = |row: usize| product(w, row, &input) + b[row];
    let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
    if !lstm {
        let Kind::Recursive(_, activation) = kind else { unreachable!() };
        let a = |a: f64| match activation {
            Activation::Tanh => a.tanh(),
            Activation::Sigmoid => sigmoid(a),
            Activation::Relu => a.max(0.0),
            other => unreachable!("not asked for here: {other:?}"),
        };
        return ((0..H).map(|i| a(from_x(i) + product(u, i, &below))).collect(), vec![0.0; H]);
    }
    let (mut h, mut c) = zero();
    for r in 0..H {
        let gate = |g: usize| from_x(g * H + r) + product(u, g * H + r, &below);
        let (i, o, new) = (sigmoid(gate(0)), sigmoid(gate(1)), gate(2).tanh());
        c[r] = i * new;
        for (l, child) in children.iter().enumerate() {
            let from_below = match branches {
                Branches::Sum => product(u, 3 * H + r, &child.0),
                _ => product(u, (3 + l) * H + r, &below),
            };
            c[r] += sigmoid(from_x(3 * H + r) + from_below) * child.1[r];
        }
        h[r] = o * c[r].tanh();
    }
    (h, c)
}

#[test]
fn every_node_has_the_state_of_the_definition() {
    let device = Device::flex();
    let x = tensor([ROWS, I], "x", &device);
    for (kind, trees) in kinds() {
        let network = Network::new(kind, &device);
        let all = network.run(&trees, x.clone()).unwrap();
        let mut first = 0;
        for tree in &trees {
            for node in 0..tree.nodes().len() {
                let (h, c) = by_definition(&network, kind, tree, &numbers(x.clone()), node);
                for (states, want) in all.iter().zip([h, c]) {
                    let got = numbers(states.clone().slice_dim(0, first + node..first + node + 1));
                    // Sums of a dozen numbers below 1 in another order.
                    assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() < 1e-14), "{kind:?}: {got:?} {want:?}");
                }
            }
            first += tree.nodes().len();
        }
        let forest = Forest::new(&trees).unwrap();
        assert_eq!((forest.trees(), forest.nodes()), (trees.len(), first));
        assert_eq!(forest.roots(all[0].clone()).dims(), [trees.len(), H]);
    }
}

/// Two leaves below a root, its children in this order.
fn pair(children: Vec<Option<usize>>) -> Tree {
    Tree::new(vec![Node::leaf(0), Node::leaf(1), Node { input: None, children }]).unwrap()
}

fn root_of(kind: Kind, tree: Tree, x: &Tensor<2>) -> Vec<f64> {
    let states = Network::new(kind, &x.device()).run(std::slice::from_ref(&tree), x.clone()).unwrap();
    numbers(Forest::new(&[tree]).unwrap().roots(states[0].clone()))
}

#[test]
fn the_order_of_children_matters_with_branches_and_not_in_a_sum() {
    let x = tensor([ROWS, I], "x", &Device::flex());
    for (make, matters) in [(Branches::Sum, false), (Branches::AtMost(2), true), (Branches::Exactly(2), true)] {
        for kind in [Kind::Recursive(make, Activation::Tanh), Kind::Lstm(make)] {
            let root = |children: [usize; 2]| root_of(kind, pair(children.map(Some).to_vec()), &x);
            let differ = root([0, 1]).iter().zip(root([1, 0])).any(|(a, b)| (a - b).abs() > 1e-3);
            assert_eq!(differ, matters, "{kind:?}");
        }
    }
}

/// A branch without a child counts as zeros: neither its own matrix nor other nodes of the batch reach the state.
#[test]
fn an_empty_branch_does_not_leak() {
    let device = Device::flex().autodiff();
    let single =
        |children: Vec<Option<usize>>| Tree::new(vec![Node::leaf(0), Node { input: Some(2), children }]).unwrap();
    for kind in [Kind::Recursive(Branches::AtMost(2), Activation::Tanh), Kind::Lstm(Branches::AtMost(2))] {
        let network = Network::new(kind, &device);
        let x = tensor([ROWS, I], "x", &device).require_grad();
        // Beside a tree of which a row is not a number.
        let mut poisoned = numbers(x.clone());
        poisoned[4 * I] = f64::NAN;
        let poisoned = crate::network::testing::from_values(&poisoned, [ROWS, I], &device);
        let bad = Tree::new(vec![Node::leaf(4), Node::leaf(4), Node::inner([0, 1])]).unwrap();
        let root = |trees: &[Tree], x: &Tensor<2>| {
            let states = network.run(trees, x.clone()).unwrap().remove(0);
            Forest::new(trees).unwrap().roots(states)
        };
        let alone = numbers(root(&[single(vec![Some(0)])], &x));
        let (trailing, beside) = (single(vec![Some(0), None]), single(vec![Some(0)]));
        assert_eq!(alone, numbers(root(&[trailing], &x)));
        assert_eq!(alone, numbers(root(&[beside, bad], &poisoned))[..H]);
        assert_ne!(alone, numbers(root(&[single(vec![None, Some(0)])], &x)));

        let d = root(&[single(vec![Some(0)])], &x).sum().backward();
        let d_u = crate::network::testing::gradients(&network, &d);
        let d_u = d_u.iter().find(|(name, _)| name.ends_with("weight_h")).unwrap().1;
        // Columns H.. belong to the second branch.
        assert!(d_u.chunks(2 * H).all(|row| row[H..].iter().all(|&v| v == 0.0)), "{kind:?}");
        assert!(d_u.chunks(2 * H).any(|row| row[..H].iter().any(|&v| v != 0.0)), "{kind:?}");
    }
}

#[test]
fn a_chain_of_a_thousand_nodes_works() {
    let device = Device::flex().autodiff();
    let node = |i: usize| Node { input: Some(i % ROWS), children: i.checked_sub(1).map(Some).into_iter().collect() };
    let chain = Tree::new((0..1000).map(node).collect()).unwrap();
    let network = Network::new(Kind::Lstm(Branches::Sum), &device);
    let x = tensor([ROWS, I], "x", &device).require_grad();
    let d = network.loss(&[chain], x.clone()).backward();
    assert!(numbers(x.grad(&d).unwrap()).iter().all(|v| v.is_finite() && *v != 0.0));
}

#[test]
fn what_is_no_tree_is_named() {
    let error = |nodes: Vec<Node>| Tree::new(nodes).unwrap_err().to_string();
    assert_eq!(error(vec![]), "the tree has no nodes; it needs at least one leaf");
    assert_eq!(
        error(vec![Node::leaf(0), Node::inner([0, 2])]),
        "node 1: its child 2 is not there; the tree has 2 nodes, 0 to 1"
    );
    assert_eq!(
        error(vec![Node::leaf(0), Node::inner([0]), Node::inner([0, 1])]),
        "node 0 is a child of node 1 and again of node 2; in a tree a node has one parent"
    );
    assert_eq!(
        Tree::new(vec![Node::leaf(0), Node::inner([0, 0])]),
        Err(TreeError::TwoParents { node: 0, first: 1, second: 1 })
    );
    assert_eq!(error(vec![Node::inner([0])]), "node 0 is its own ancestor; a tree has no cycles");
    assert_eq!(Tree::new(vec![Node::leaf(0), Node::inner([2]), Node::inner([1])]), Err(TreeError::Cycle { node: 2 }));
    assert_eq!(error(vec![Node::leaf(0), Node::leaf(1)]), "nodes 0 and 1 both have no parent; a tree has one root");
    assert_eq!(
        error(vec![Node::inner([]), Node::inner([0])]),
        "node 0 has neither children nor an input; give every leaf an input"
    );
    assert_eq!(Forest::new(&[]).unwrap_err(), TreeError::NoTrees);
}

#[test]
fn what_does_not_fit_a_network_is_named() {
    let device = Device::flex();
    let x = tensor([ROWS, I], "x", &device);
    let leaf = Tree::new(vec![Node::leaf(0)]).unwrap();
    let three = Tree::new(vec![Node::leaf(0), Node::leaf(0), Node::leaf(0), Node::inner([0, 1, 2])]).unwrap();
    let half = Node { input: None, children: vec![None, Some(0)] };
    let half = Tree::new(vec![Node::leaf(0), half]).unwrap();
    for make in [|b| Kind::Recursive(b, Activation::Tanh), Kind::Lstm] {
        let run = |branches, tree: &Tree, x: &Tensor<2>| {
            Network::new(make(branches), &device).run(&[leaf.clone(), tree.clone()], x.clone()).map(drop)
        };
        let error = |branches, tree: &Tree| run(branches, tree, &x).unwrap_err().to_string();
        assert_eq!(
            error(Branches::AtMost(2), &three),
            "tree 1, node 3 has 3 branches and the network 2; make it with as many, or with Branches::Sum"
        );
        assert_eq!(
            error(Branches::Exactly(4), &three),
            "tree 1, node 3: branch 3 has no child; every inner node needs 4 (Branches::AtMost allows fewer)"
        );
        assert_eq!(
            run(Branches::Exactly(2), &half, &x).unwrap_err(),
            TreeError::MissingChild { tree: 1, node: 1, branch: 0, branches: 2 }
        );
        for branches in [Branches::Sum, Branches::AtMost(4), Branches::Exactly(3)] {
            run(branches, &three, &x).unwrap();
        }
        let far = Tree::new(vec![Node::leaf(1), Node::leaf(ROWS), Node::inner([0, 1])]).unwrap();
        assert_eq!(error(Branches::Sum, &far), "tree 1, node 1 reads row 5 of an input of 5 rows");
        let wide = tensor([ROWS, I + 1], "x", &device);
        let error = run(Branches::Sum, &three, &wide).unwrap_err().to_string();
        assert_eq!(error, "the input is 3 wide and the network needs 2");
    }
    let zero = |branches, input, hidden| {
        let error = RecursiveConfig::new(branches, input, hidden).init(1, &device).unwrap_err();
        assert_eq!(TreeLstmConfig::new(branches, input, hidden).init(1, &device).unwrap_err(), error);
        error.to_string()
    };
    assert_eq!(zero(Branches::AtMost(0), 1, 1), "the number of branches must be at least 1");
    assert_eq!(zero(Branches::Exactly(0), 1, 1), "the number of branches must be at least 1");
    assert_eq!(zero(Branches::Sum, 0, 1), "the input's width must be at least 1");
    assert_eq!(zero(Branches::Sum, 1, 0), "the hidden width must be at least 1");
}

/// `golden/networks.py` has the trees as (nodes, 1 + branches) integers: the input row, then the children, -1 for none; one block of rows
/// after another, of `sizes` rows each.
fn golden_trees(golden: &Golden) -> Vec<Tree> {
    let width = golden.shape("nodes")[1];
    let index = |v: i64| usize::try_from(v).ok();
    let rows: Vec<Node> = golden
        .integers("nodes")
        .chunks(width)
        .map(|r| Node { input: index(r[0]), children: r[1..].iter().map(|&c| index(c)).collect() })
        .collect();
    let mut rows = rows.into_iter();
    golden.integers("sizes").iter().map(|&n| Tree::new(rows.by_ref().take(n as usize).collect()).unwrap()).collect()
}

#[test]
fn the_goldens_are_met() {
    let device = Device::flex().autodiff();
    for (name, kind) in [
        ("recursive-2", Kind::Recursive(Branches::AtMost(2), Activation::Tanh)),
        ("recursive-sum", Kind::Recursive(Branches::Sum, Activation::Tanh)),
        ("tree-lstm-2", Kind::Lstm(Branches::AtMost(2))),
        ("tree-lstm-sum", Kind::Lstm(Branches::Sum)),
    ] {
        let golden = Golden::read(name);
        let trees = golden_trees(&golden);
        let x = golden.tensor::<2>("x", &device).require_grad();
        let forest = Forest::new(&trees).unwrap();
        let mut loss = Tensor::zeros([1], (&device, burn::tensor::DType::F64));
        let mut add = |name: &str, states: Tensor<2>| {
            golden.compare(name, &numbers(states.clone()));
            loss = loss.clone() + (states * golden.tensor::<2>(&format!("d_{name}"), &device)).sum();
        };
        let (input, hidden) = (x.dims()[1], golden.shape("d_h")[1]);
        // Each arm has a module of its own type.
        macro_rules! finish {
            ($network:expr) => {{
                let d = loss.backward();
                golden.compare_gradients($network, &d);
                golden.compare("d_x", &numbers(x.grad(&d).unwrap()));
            }};
        }
        match kind {
            Kind::Recursive(branches, activation) => {
                let config = RecursiveConfig { activation, ..RecursiveConfig::new(branches, input, hidden) };
                let network = golden.fill(config.init(1, &device).unwrap());
                add("h", network.forward(&forest, x.clone()).unwrap());
                finish!(&network);
            }
            Kind::Lstm(branches) => {
                let network = golden.fill(TreeLstmConfig::new(branches, input, hidden).init(1, &device).unwrap());
                let (h, c) = network.forward(&forest, x.clone()).unwrap();
                add("h", h);
                add("c", c);
                finish!(&network);
            }
        }
    }
}
