//! The graph's vertices and edges.

use super::*;
use elman_core::cells;

fn unrolled(cell: &str, shape: Shape, length: usize) -> Unrolled {
    Unrolled::new((cells::find(cell).unwrap().make)().spec(), shape, length).unwrap()
}

fn steps(graph: &Unrolled) -> usize {
    graph.vertices.iter().filter(|v| v.kind == Kind::Step).count()
}

#[test]
fn every_shape_has_its_inputs_outputs_and_losses() {
    for (shape, inputs, outputs, all) in [
        (Shape::OneToMany, 1, 4, 4),
        (Shape::ManyToOne, 4, 1, 4),
        (Shape::ManyToMany, 4, 4, 4),
        (Shape::EncoderDecoder, 4, 4, 8),
    ] {
        let graph = unrolled("lstm", shape, 4);
        assert_eq!((graph.count('x'), graph.count('y'), graph.count('L')), (inputs, outputs, outputs), "{shape}");
        assert_eq!(steps(&graph), all, "{shape}");
        // Every step has weights and a state before it; both halves of an encoder and decoder their own.
        let shared: Vec<usize> = graph.edges.iter().filter(|e| e.way == Way::Shared).map(|e| e.from).collect();
        assert_eq!(shared.len(), all);
        let mut sets = shared;
        sets.dedup();
        assert_eq!(sets.len(), if shape == Shape::EncoderDecoder { 2 } else { 1 }, "{shape}");
        // Each loss has an output and a target, and goes into the whole.
        let total = graph.vertices.iter().position(|v| v.row == 0).unwrap();
        let into: Vec<usize> = graph.edges.iter().filter(|e| e.to == total).map(|e| e.from).collect();
        assert_eq!(into.len(), outputs);
        for loss in into {
            assert_eq!(graph.edges.iter().filter(|e| e.to == loss).count(), 2);
        }
    }
    let one = unrolled("elman", Shape::OneToOne, 1);
    assert_eq!((one.count('x'), one.count('y'), steps(&one)), (1, 1, 1));
}

/// From any loss there is a way back to the first step and to the weights.
#[test]
fn every_loss_depends_on_the_first_step() {
    for shape in [Shape::OneToMany, Shape::ManyToOne, Shape::ManyToMany, Shape::EncoderDecoder] {
        let graph = unrolled("gru", shape, 5);
        for loss in (0..graph.vertices.len()).filter(|&v| graph.vertices[v].row == 1) {
            let mut seen = vec![loss];
            let mut at = 0;
            while at < seen.len() {
                let before = graph.edges.iter().filter(|e| e.to == seen[at]).map(|e| e.from);
                let new: Vec<usize> = before.filter(|v| !seen.contains(v)).collect();
                seen.extend(new);
                at += 1;
            }
            assert!(seen.iter().any(|&v| graph.vertices[v].label == "gru 1"), "{shape}");
            assert!(seen.iter().any(|&v| graph.vertices[v].label == "x_1"), "{shape}");
            assert!(seen.iter().any(|&v| graph.vertices[v].kind == Kind::Weights), "{shape}");
        }
    }
}

#[test]
fn pictures_have_every_vertex_and_edge() {
    for entry in cells::REGISTRY {
        let graph = unrolled(entry.name, Shape::ManyToMany, 3);
        let (dot, svg) = (graph.dot(), graph.svg());
        assert_eq!(dot.matches(" -> ").count(), graph.edges.len());
        let labelled = graph.edges.iter().filter(|e| !e.label.is_empty()).count();
        assert_eq!(dot.matches("[label=").count(), graph.vertices.len() + labelled);
        assert_eq!(svg.matches("class=\"edge").count(), graph.edges.len(), "{}", entry.name);
        assert_eq!(svg.matches("class=\"vertex").count(), graph.vertices.len());
        assert!(svg.contains("<title>") && svg.contains("<desc>") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("NaN"));
    }
}

#[test]
fn what_cannot_be_unrolled() {
    let lstm = (cells::find("lstm").unwrap().make)();
    let message = |shape, length| Unrolled::new(lstm.spec(), shape, length).unwrap_err().to_string();
    assert_eq!(message(Shape::ManyToOne, 0), "--length: it is 0; it must be from 1 to 1000000000");
    assert!(message(Shape::OneToOne, 2).contains("one-to-one has one step"));
    let stacked = |layers, bidirectional, shape| {
        let (cells, next_input, feed) = (vec![lstm.spec(); layers], false, Feed::Nothing);
        Unrolled::network(Topology { cells: &cells, bidirectional, shape, length: 3, next_input, feed })
            .unwrap_err()
            .to_string()
    };
    assert_eq!(stacked(0, false, Shape::ManyToMany), "--layers: from 1 to 12 can be drawn, not 0");
    assert!(stacked(2, true, Shape::EncoderDecoder).contains("encoder-decoder does not; take many-to-one"));
    let error = "many-to-on".parse::<Shape>().unwrap_err();
    assert_eq!(error.to_string(), "--shape: unknown shape `many-to-on`; did you mean `many-to-one`?");
    assert_eq!(error.status(), 2);
    for shape in Shape::ALL {
        assert_eq!(shape.name().parse::<Shape>().unwrap(), shape);
    }
}

/// Of a long sequence the ends are drawn, and every chain still goes from one to the other.
#[test]
fn the_middle_of_a_long_sequence_is_left_out() {
    let graph = unrolled("lstm", Shape::ManyToMany, 1000);
    assert_eq!((graph.count('x'), steps(&graph)), (2 * ENDS, 2 * ENDS));
    assert!(
        graph.vertices.iter().any(|v| v.label == "lstm 997") && graph.vertices.iter().any(|v| v.label == "lstm 1000")
    );
    let gap = graph.vertices.iter().position(|v| v.kind == Kind::Gap).unwrap();
    let label = |v: usize| graph.vertices[v].label.as_str();
    let ends: Vec<_> =
        graph.edges.iter().filter(|e| e.from == gap || e.to == gap).map(|e| (label(e.from), label(e.to))).collect();
    assert_eq!(ends, [("lstm 4", "…"), ("…", "lstm 997")]);
    assert_eq!(steps(&unrolled("gru", Shape::EncoderDecoder, 1000)), 4 * ENDS);
    assert_eq!(steps(&unrolled("gru", Shape::ManyToMany, MAX_DRAWN)), MAX_DRAWN);
}

/// Layers feed each other at every step; the second direction begins at the end; each has weights of its own.
#[test]
fn layers_and_directions() {
    let lstm = (cells::find("lstm").unwrap().make)();
    for (layers, bidirectional) in [(1, true), (3, false), (2, true)] {
        let network = Topology {
            cells: &vec![lstm.spec(); layers],
            bidirectional,
            shape: Shape::ManyToMany,
            length: 4,
            next_input: true,
            feed: Feed::Nothing,
        };
        let graph = Unrolled::network(network).unwrap();
        let directions = 1 + usize::from(bidirectional);
        assert_eq!(steps(&graph), 4 * layers * directions);
        assert_eq!(graph.vertices.iter().filter(|v| v.kind == Kind::Weights).count(), layers * directions);
        let into = |v: usize| graph.edges.iter().filter(|e| e.to == v && e.way != Way::Shared).count();
        for v in 0..graph.vertices.len() {
            let vertex = &graph.vertices[v];
            match vertex.kind {
                // A state, and one input or both directions of the layer below.
                Kind::Step => {
                    let lowest = vertex.row >= 3 + (layers - 1) * (directions + 1);
                    let below = if lowest { 1 } else { directions };
                    assert_eq!(into(v), 1 + below, "{}", vertex.label);
                }
                Kind::Output => assert_eq!(into(v), directions, "{}", vertex.label),
                _ => {}
            }
        }
        assert!(graph.vertices.iter().any(|v| v.label == "x_5, target"));
        // Nothing hides another.
        let mut places: Vec<(u64, usize)> = graph.vertices.iter().map(|v| (v.column.to_bits(), v.row)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), graph.vertices.len());
        assert!(!graph.svg().contains("NaN"));
    }
    let both = Topology {
        cells: &[lstm.spec()],
        bidirectional: true,
        shape: Shape::ManyToOne,
        length: 4,
        next_input: false,
        feed: Feed::Nothing,
    };
    let graph = Unrolled::network(both).unwrap();
    let y = graph.vertices.iter().position(|v| v.kind == Kind::Output).unwrap();
    let from: Vec<_> =
        graph.edges.iter().filter(|e| e.to == y).map(|e| graph.vertices[e.from].label.as_str()).collect();
    assert_eq!(from, ["lstm 4", "lstm 1 ←"]);
}

/// Boxes in a row stand beside each other, whatever their names.
#[test]
fn no_box_covers_another() {
    for (name, layers, length) in
        [("gru-reset-after", 2, 4), ("lstm", 2, 1_000_000_000), ("deep-transition-shortcut", 3, 3)]
    {
        for bidirectional in [false, true] {
            let cell = (cells::find(name).unwrap().make)();
            let shape = Shape::ManyToMany;
            let (cells, feed) = (vec![cell.spec(); layers], Feed::Nothing);
            let network = Topology { cells: &cells, bidirectional, shape, length, next_input: true, feed };
            apart(&Unrolled::network(network).unwrap().svg(), name);
        }
    }
}

/// No two of a picture's boxes cover each other.
fn apart(svg: &str, name: &str) {
    let boxes: Vec<[f64; 4]> = svg
        .lines()
        .filter(|line| line.starts_with("<rect class=\"vertex\""))
        .map(|line| {
            ["x", "y", "width", "height"].map(|key| {
                let rest = &line[line.find(&format!(" {key}=\"")).unwrap() + key.len() + 3..];
                rest[..rest.find('"').unwrap()].parse().unwrap()
            })
        })
        .collect();
    assert!(boxes.len() > 10);
    for (i, a) in boxes.iter().enumerate() {
        for b in &boxes[..i] {
            let apart = a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || a[1] + a[3] <= b[1] || b[1] + b[3] <= a[1];
            assert!(apart, "{name}: {a:?} {b:?}");
        }
    }
}

/// Names of both ends of the edges of one kind, in the order of the graph.
fn edges(graph: &Unrolled, way: Way) -> Vec<(&str, &str)> {
    let label = |v: usize| graph.vertices[v].label.as_str();
    graph.edges.iter().filter(|e| e.way == way).map(|e| (label(e.from), label(e.to))).collect()
}

fn fed(layers: usize, shape: Shape, length: usize, next_input: bool, feed: Feed) -> Unrolled {
    let gru = (cells::find("gru").unwrap().make)();
    let cells = vec![gru.spec(); layers];
    Unrolled::network(Topology { cells: &cells, bidirectional: false, shape, length, next_input, feed }).unwrap()
}

/// What a step is given of the one before: its target while it is taught, its output when it runs freely.
#[test]
fn targets_or_outputs_are_fed_to_the_next_step() {
    for (feed, from) in [(Feed::Targets, "target"), (Feed::Outputs, "y")] {
        let name = |t: usize| if feed == Feed::Targets { format!("{from} {t}") } else { format!("{from}_{t}") };
        // From every output but the last to the next step of the lowest layer.
        let graph = fed(2, Shape::OneToMany, 4, false, feed);
        let want: Vec<_> = (1..4).map(|t| (name(t), format!("gru {}, layer 1", t + 1))).collect();
        let want: Vec<_> = want.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        assert_eq!(edges(&graph, Way::Fed), want);
        assert_eq!(graph.count('x'), 1);
        // The decoder's first step begins with a start, the others with what is fed; the encoder is given nothing.
        let graph = fed(1, Shape::EncoderDecoder, 3, false, feed);
        let want: Vec<_> = (4..6).map(|t| (name(t), format!("gru {}", t + 1))).collect();
        let want: Vec<_> = want.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        assert_eq!(edges(&graph, Way::Fed), want);
        let plain = edges(&graph, Way::Plain);
        assert!(plain.contains(&("start", "gru 4")) && graph.count('x') == 3, "{plain:?}");
        // Every decoder step has a state and one thing to read.
        for t in 4..=6 {
            let into =
                graph.edges.iter().filter(|e| e.way != Way::Shared && graph.vertices[e.to].label == format!("gru {t}"));
            assert_eq!(into.count(), 2, "{t}");
        }
        // In a language model it takes the input's place, and beside other inputs it comes besides.
        let graph = fed(1, Shape::ManyToMany, 3, true, feed);
        assert_eq!((graph.count('x'), edges(&graph, Way::Fed).len()), (1 + 3, 2), "x_1, and targets x_2, x_3, x_4");
        let first = if feed == Feed::Targets { "x_2, target" } else { "y_1" };
        assert_eq!(edges(&graph, Way::Fed)[0], (first, "gru 2"));
        let graph = fed(1, Shape::ManyToMany, 3, false, feed);
        assert_eq!((graph.count('x'), edges(&graph, Way::Fed).len()), (3, 2));
        // The first step after a gap reads, since what it would be fed is not drawn.
        let graph = fed(1, Shape::ManyToMany, 1000, true, feed);
        assert_eq!(edges(&graph, Way::Fed).len(), 2 * (ENDS - 1));
        assert!(edges(&graph, Way::Plain).contains(&("x_997", "gru 997")));
        for graph in [fed(3, Shape::EncoderDecoder, 3, false, feed), fed(2, Shape::ManyToMany, 5, true, feed)] {
            let (dot, svg) = (graph.dot(), graph.svg());
            let count = edges(&graph, Way::Fed).len();
            assert_eq!(dot.matches("constraint=false").count(), count);
            assert_eq!(svg.matches("class=\"edge fed\"").count(), count);
            assert_eq!(svg.matches("class=\"edge").count(), graph.edges.len());
            apart(&svg, "fed");
        }
    }
    assert!(edges(&fed(1, Shape::EncoderDecoder, 3, false, Feed::Nothing), Way::Fed).is_empty());
    let lstm = (cells::find("lstm").unwrap().make)();
    let refused = |bidirectional, shape, feed| {
        let length = if shape == Shape::OneToOne { 1 } else { 3 };
        let topology = Topology { cells: &[lstm.spec()], bidirectional, shape, length, next_input: false, feed };
        Unrolled::network(topology).unwrap_err().to_string()
    };
    assert!(refused(false, Shape::ManyToOne, Feed::Targets).starts_with("--feed: many-to-one has one output"));
    assert!(refused(false, Shape::OneToOne, Feed::Outputs).starts_with("--feed: one-to-one has one output"));
    assert!(
        refused(true, Shape::ManyToMany, Feed::Targets).starts_with("--feed: a network that reads in both directions")
    );
    assert!("teacher".parse::<Feed>().unwrap_err().to_string().contains("targets (teacher forcing)"));
}

/// Each layer has its own cell's name, state and output.
#[test]
fn layers_of_different_cells() {
    let made: Vec<_> = ["gru", "lstm", "jordan"].iter().map(|name| (cells::find(name).unwrap().make)()).collect();
    let cells: Vec<_> = made.iter().map(|cell| cell.spec()).collect();
    let (shape, feed) = (Shape::ManyToMany, Feed::Nothing);
    let topology = Topology { cells: &cells, bidirectional: false, shape, length: 2, next_input: false, feed };
    let graph = Unrolled::network(topology).unwrap();
    assert_eq!(graph.title, "gru + lstm + jordan unrolled, many-to-many, 3 layers");
    let label = |v: usize| graph.vertices[v].label.as_str();
    let named: Vec<_> = graph
        .edges
        .iter()
        .filter(|e| !e.label.is_empty())
        .map(|e| (label(e.from), label(e.to), e.label.as_str()))
        .collect();
    for edge in [
        ("gru 1, layer 1", "gru 2, layer 1", "h_1"),
        ("gru 1, layer 1", "lstm 1, layer 2", "h_1"),
        ("lstm 1, layer 2", "lstm 2, layer 2", "h_1, c_1"),
        ("lstm 2, layer 2", "jordan 2, layer 3", "h_2"),
        ("jordan 1, layer 3", "jordan 2, layer 3", "y_1"),
        ("jordan 2, layer 3", "y_2", "y_2"),
    ] {
        assert!(named.contains(&edge), "{edge:?} in {named:?}");
    }
    assert_eq!(named.len(), 3 + 2 * 3);
}

/// y_t from n_u inputs and n_y outputs before it, measured ones at the beginning.
#[test]
fn a_narx_network_has_its_lags() {
    use elman::network::{NarxConfig, Training};
    let config = NarxConfig { input_lags: 2, output_lags: 3, delay: 2, ..NarxConfig::new(1, 1, &[4]) };
    for (training, past) in [(Training::SeriesParallel, "target "), (Training::Parallel, "y_")] {
        let graph = Unrolled::narx(&config, training, 3).unwrap();
        // The first that has all: three outputs, and u_{t-2}, u_{t-3}, before it.
        assert_eq!((graph.count('u'), graph.count('y'), graph.count('L'), steps(&graph)), (4, 3, 3, 3));
        let into =
            |to: &str, way| edges(&graph, way).into_iter().filter(|e| e.1 == to).map(|e| e.0).collect::<Vec<_>>();
        assert_eq!(into("narx 4", Way::Plain), ["u_2", "u_1"]);
        assert_eq!(into("narx 4", Way::Fed), ["measured 3", "measured 2", "measured 1"]);
        assert_eq!(into("narx 6", Way::Plain), ["u_4", "u_3"]);
        let (one, two) = (format!("{past}5"), format!("{past}4"));
        assert_eq!(into("narx 6", Way::Fed), [one.as_str(), two.as_str(), "measured 3"]);
        assert_eq!(into("y_6", Way::Plain), ["narx 6"]);
        assert_eq!(edges(&graph, Way::Shared), [("W", "narx 4"), ("W", "narx 5"), ("W", "narx 6")]);
        apart(&graph.svg(), "narx");
    }
    let refused =
        |config: &NarxConfig, length| Unrolled::narx(config, Training::Parallel, length).unwrap_err().to_string();
    assert_eq!(refused(&config, 51), "--length: from 1 to 50 can be drawn, not 51");
    assert_eq!(refused(&NarxConfig::new(0, 0, &[]), 3), "--lags: from 1 to 12 can be drawn, not 0");
    assert_eq!(refused(&NarxConfig::new(1, 13, &[]), 3), "--lags: from 1 to 12 can be drawn, not 13");
    assert_eq!(refused(&NarxConfig { delay: 13, ..config.clone() }, 3), "--delay: from 0 to 12 can be drawn, not 13");
}

/// Each unit sees its taps of the layer below, and zeros, which are not drawn, before the first step.
#[test]
fn a_tdnn_has_its_windows() {
    let graph = Unrolled::other(&Other::Tdnn { layers: 2, taps: 3, dilation: 1 }, 6).unwrap();
    let into = |graph: &Unrolled, to: &str| {
        let all = edges(graph, Way::Plain).into_iter().filter(|e| e.1 == to);
        all.map(|e| e.0.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((graph.count('x'), graph.count('y'), steps(&graph)), (6, 6, 12));
    assert_eq!(into(&graph, "tdnn 5, layer 1"), ["x_5", "x_4", "x_3"]);
    assert_eq!(into(&graph, "tdnn 2, layer 1"), ["x_2", "x_1"]);
    assert_eq!(into(&graph, "tdnn 6, layer 2"), ["tdnn 6, layer 1", "tdnn 5, layer 1", "tdnn 4, layer 1"]);
    assert_eq!(into(&graph, "y_6"), ["tdnn 6, layer 2"]);
    assert_eq!(edges(&graph, Way::Shared).iter().filter(|e| e.0 == "W 2").count(), 6);
    // Taps two and four steps apart.
    let graph = Unrolled::other(&Other::Tdnn { layers: 2, taps: 2, dilation: 2 }, 6).unwrap();
    assert_eq!(into(&graph, "tdnn 6, layer 1"), ["x_6", "x_4"]);
    assert_eq!(into(&graph, "tdnn 6, layer 2"), ["tdnn 6, layer 1", "tdnn 2, layer 1"]);
    apart(&graph.svg(), "tdnn");
    let refused =
        |layers, taps, dilation| Unrolled::other(&Other::Tdnn { layers, taps, dilation }, 6).unwrap_err().to_string();
    assert_eq!(refused(13, 1, 1), "--layers: from 1 to 12 can be drawn, not 13");
    assert_eq!(refused(1, 0, 1), "--taps: from 1 to 50 can be drawn, not 0");
    assert_eq!(refused(2, 3, 51), "--dilation: from 1 to 50 can be drawn, not 51");
}

/// Simple recurrent layers; the output is fed back if it is recurrent.
#[test]
fn an_rmlp_may_feed_back_its_output() {
    for recurrent_output in [false, true] {
        let graph = Unrolled::other(&Other::Rmlp { layers: 2, recurrent_output }, 3).unwrap();
        let plain = edges(&graph, Way::Plain);
        assert!(plain.contains(&("elman 2, layer 1", "elman 2, layer 2")) && steps(&graph) == 6);
        let fed: Vec<_> = plain.into_iter().filter(|e| e.0.starts_with("y_") && e.1.starts_with("y_")).collect();
        assert_eq!(fed, if recurrent_output { vec![("y_1", "y_2"), ("y_2", "y_3")] } else { vec![] });
    }
    // Not over the steps that are left out.
    let long = Unrolled::other(&Other::Rmlp { layers: 1, recurrent_output: true }, 100).unwrap();
    let plain = edges(&long, Way::Plain);
    let fed = plain.iter().filter(|e| e.0.starts_with("y_") && e.1.starts_with("y_"));
    assert_eq!(fed.count(), 2 * (ENDS - 1));
    assert!(Unrolled::other(&Other::Rmlp { layers: 0, recurrent_output: true }, 3).is_err());
}

#[test]
fn a_tree_goes_from_its_leaves_to_its_root() {
    let text = "(3 (2 It) (4 (2 is) (4 (2 so) (4 good))))";
    for (cell, carried) in [(TreeCell::TreeLstm, "h_5, c_5"), (TreeCell::Recursive, "h_5")] {
        let graph = Unrolled::other(&Other::Tree { cell, text }, 1).unwrap();
        let name = cell.name();
        let node = |i: usize| format!("{name} {i}");
        assert_eq!((steps(&graph), graph.count('y'), graph.count('L')), (7, 1, 1));
        // Children come before their parents: 1 It, 2 is, 3 so, 4 good, 5 so good, 6 is so good, 7 all.
        let pairs = [(1, 7), (2, 6), (3, 5), (4, 5), (5, 6), (6, 7)].map(|(child, parent)| (node(child), node(parent)));
        let plain = edges(&graph, Way::Plain);
        for (child, parent) in &pairs {
            assert!(plain.contains(&(child.as_str(), parent.as_str())), "{child} {parent} in {plain:?}");
        }
        for (word, leaf) in ["It", "is", "so", "good"].iter().zip(1..) {
            assert!(plain.contains(&(word, node(leaf).as_str())), "{word}");
        }
        assert!(plain.contains(&(node(7).as_str(), "y_7")));
        // Between nodes, from words, to the output, and from it and the target to the loss.
        assert_eq!(plain.len(), 6 + 4 + 1 + 2);
        assert_eq!(edges(&graph, Way::Shared).len(), 7, "one set of weights");
        assert!(graph.edges.iter().any(|e| e.label == carried && graph.vertices[e.to].label == node(6)));
        // A parent stands above the middle of its children.
        let place = |i: usize| {
            let vertex = graph.vertices.iter().find(|v| v.label == node(i)).unwrap();
            (vertex.column, vertex.row)
        };
        assert_eq!((place(5), place(3), place(4)), ((3.5, 5), (3.0, 6), (4.0, 6)));
        apart(&graph.svg(), name);
    }
    // A node with children may read too; a missing branch is no edge.
    use elman::network::tree::{Node, Tree};
    let inner = Node { input: Some(2), children: vec![Some(0), None, Some(1)] };
    let tree = Tree::new(vec![Node::leaf(0), Node::leaf(1), inner]).unwrap();
    let graph = Unrolled::tree(&tree, TreeCell::Recursive, &["a".into()]).unwrap();
    let plain = edges(&graph, Way::Plain);
    assert_eq!(
        plain.iter().filter(|e| e.1 == "recursive 3").map(|e| e.0).collect::<Vec<_>>(),
        ["recursive 1", "recursive 2", "x_3"]
    );
    let refused = |text| Unrolled::other(&Other::Tree { cell: TreeCell::Recursive, text }, 1).unwrap_err().to_string();
    assert_eq!(refused("(1 a) (2 b)"), "--tree: there are 2 trees; give one");
    assert!(refused("(1 a").starts_with("--tree: line 1, column 1"), "{}", refused("(1 a"));
    let long = format!("(1 {})", "(2 a) ".repeat(100));
    assert_eq!(refused(&long), "--tree: it has 101 nodes; at most 100 can be drawn");
}
