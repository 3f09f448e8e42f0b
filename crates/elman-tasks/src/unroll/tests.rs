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
        let shared: Vec<usize> = graph.edges.iter().filter(|e| e.shared).map(|e| e.from).collect();
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
        let (cell, next_input) = (lstm.spec(), false);
        Unrolled::network(Topology { cell, layers, bidirectional, shape, length: 3, next_input })
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
            cell: lstm.spec(),
            layers,
            bidirectional,
            shape: Shape::ManyToMany,
            length: 4,
            next_input: true,
        };
        let graph = Unrolled::network(network).unwrap();
        let directions = 1 + usize::from(bidirectional);
        assert_eq!(steps(&graph), 4 * layers * directions);
        assert_eq!(graph.vertices.iter().filter(|v| v.kind == Kind::Weights).count(), layers * directions);
        let into = |v: usize| graph.edges.iter().filter(|e| e.to == v && !e.shared).count();
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
        cell: lstm.spec(),
        layers: 1,
        bidirectional: true,
        shape: Shape::ManyToOne,
        length: 4,
        next_input: false,
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
            let network = Topology { cell: cell.spec(), layers, bidirectional, shape, length, next_input: true };
            let svg = Unrolled::network(network).unwrap().svg();
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
                    let apart =
                        a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || a[1] + a[3] <= b[1] || b[1] + b[3] <= a[1];
                    assert!(apart, "{name}: {a:?} {b:?}");
                }
            }
        }
    }
}
