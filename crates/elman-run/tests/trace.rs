//! The named values of every step: against the engine, and on gates that are known.

mod common;

use common::{config, model, model_with, path};
use elman_core::cells::REGISTRY;
use elman_run::analysis::{Nature, Saturation, Series, Trace, features, most_selective};

/// For every cell, what the trace calls a state is the state that the engine has after the step.
#[test]
fn states_of_the_trace_are_the_engines() {
    for (cell, layers) in REGISTRY.iter().map(|entry| (entry.name, 1)).chain([("lstm", 3), ("lstm-projected", 2)]) {
        let (network, path, _) = path(&model(cell, 4, layers), 12);
        let trace = Trace::new(&network, &path).unwrap();
        assert_eq!(trace.steps, 11);
        for part in network.parts() {
            let c =
                network.layers()[part.layer].layer.cell().spec().carry.iter().position(|&n| n == part.name).unwrap();
            let Series { nature, width, values, .. } = trace.find(part.layer, part.name).unwrap();
            assert_eq!((*nature, *width), (Nature::State, part.width), "{cell} {}", part.name);
            for (t, found) in values.chunks(*width).enumerate() {
                for (found, want) in found.iter().zip(&path.state(t + 1)[part.layer][c]) {
                    // Sums in another order, and the state before is the engine's own: a few roundings of numbers around 1.
                    assert!(
                        (found - want).abs() < 1e-13 * want.abs().max(1.0),
                        "{cell} {} step {t}: {found} {want}",
                        part.name
                    );
                }
            }
        }
    }
}

#[test]
fn gates_are_what_the_equations_make_by_a_logistic_function() {
    let gates = |cell: &str| {
        let (network, path, _) = path(&model(cell, 4, 1), 5);
        let trace = Trace::new(&network, &path).unwrap();
        let gates = trace.series.iter().filter(|s| s.nature == Nature::Gate).map(|s| s.name).collect::<Vec<_>>();
        for s in trace.series.iter().filter(|s| s.nature == Nature::Gate) {
            assert!(s.values.iter().all(|v| (0.0..=1.0).contains(v)), "{cell} {}", s.name);
        }
        gates
    };
    assert_eq!(gates("lstm"), ["i", "f", "o"]);
    assert_eq!(gates("gru"), ["r", "z"]);
    assert!(gates("elman").is_empty());
}

#[test]
fn saturation_is_the_share_of_steps() {
    // i shut in every unit, f open in the first two and at one half in the others, o as it comes.
    let model = model_with(config("lstm", 4, 1), |name, values| match name {
        "rnn.weight_hh_l0" => values.fill(0.0),
        "rnn.weight_ih_l0" => values[..2 * 4 * 5].fill(0.0),
        "rnn.bias_ih_l0" => {
            values[..4].fill(-9.0);
            values[4..8].copy_from_slice(&[9.0, 9.0, 0.0, 0.0]);
        }
        _ => {}
    });
    let (network, path, _) = path(&model, 9);
    let trace = Trace::new(&network, &path).unwrap();
    let found = Saturation::of(&trace);
    assert_eq!(found.iter().map(|s| s.name).collect::<Vec<_>>(), ["i", "f", "o"]);
    assert_eq!((&found[0].left, &found[0].right), (&vec![1.0; 4], &vec![0.0; 4]));
    assert_eq!((&found[1].left, &found[1].right), (&vec![0.0; 4], &vec![1.0, 1.0, 0.0, 0.0]));
    assert_eq!((found[0].means(), found[1].means()), ((1.0, 0.0), (0.0, 0.5)));
}

/// A unit that is made to follow a feature is found, with its sign.
#[test]
fn the_unit_that_follows_a_feature_is_found() {
    let text: Vec<String> = "ab (cd) \"e\" f\nghi (j) k".chars().map(String::from).collect();
    let features = features(&text);
    let names: Vec<&str> = features.iter().map(|f| f.name.as_str()).collect();
    assert!(
        names.contains(&"inside quotes") && names.contains(&"place in the line") && !names.contains(&"digit"),
        "{names:?}"
    );
    let inside = features.iter().find(|f| f.name == "inside brackets").unwrap();
    let follows = |u: usize, t: usize| match u {
        1 => 0.3 - 0.2 * inside.values[t],
        _ => ((t * (u + 3)) % 7) as f64,
    };
    let width = 3;
    let steps = text.len() - 1;
    let values = (0..steps * width).map(|k| follows(k % width, k / width)).collect();
    let series = vec![Series { layer: 0, name: "h", nature: Nature::State, width, values }];
    let found = most_selective(&Trace { steps, series }, &features);
    let best = found.iter().find(|s| s.feature == "inside brackets").unwrap();
    assert_eq!((best.series, best.unit), (0, 1));
    // An affine map of the feature, to roundings.
    assert!((best.correlation + 1.0).abs() < 1e-12);
    assert!(found.windows(2).all(|w| w[0].correlation.abs() >= w[1].correlation.abs()));
}
