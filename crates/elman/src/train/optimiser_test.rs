use super::*;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

#[test]
fn five_updates_equal_pytorch() {
    // Written by golden/optimisers.py.
    let golden: Value = serde_json::from_str(include_str!("optimiser_golden.json")).unwrap();
    let gradients: Vec<Vec<f32>> = golden["gradients"].as_array().unwrap().iter().map(numbers).collect();
    let cases = [
        ("adam", Rule::ADAM, 0.01, 0.0),
        ("adam-decay", Rule::Adam { beta1: 0.8, beta2: 0.95, epsilon: 1e-6 }, 0.01, 0.1),
        // Beside gradients of a tenth to ten an epsilon of 1e-8 does not show.
        ("adam-epsilon", Rule::Adam { beta1: 0.9, beta2: 0.999, epsilon: 0.01 }, 0.01, 0.0),
        ("adam-decoupled", Rule::ADAM, 0.01, 0.1),
        ("sgd", Rule::SGD, 0.05, 0.0),
        ("sgd-momentum-decay", Rule::Sgd { momentum: 0.9 }, 0.05, 0.1),
        ("rmsprop", Rule::RMS_PROP, 0.01, 0.0),
        ("rmsprop-momentum-decay", Rule::RmsProp { alpha: 0.99, momentum: 0.9, epsilon: 1e-8 }, 0.01, 0.1),
    ];
    assert_eq!(golden["rules"].as_object().unwrap().len(), cases.len(), "every golden has its case");
    for (name, rule, rate, decay) in cases {
        let mut optimiser = Optimiser::new(rule, decay);
        optimiser.decoupled = name.ends_with("decoupled");
        let mut p = numbers(&golden["start"]);
        for (k, g) in gradients.iter().enumerate() {
            // Twice the gradient times a half: the same bits.
            let g: Vec<f32> = g.iter().map(|g| 2.0 * g).collect();
            optimiser.begin(0.5);
            optimiser.update("p", rate, &mut p, &g);
            for (got, want) in p.iter().zip(numbers(&golden["rules"][name][k])) {
                // Both compute in f32; PyTorch fuses and orders some operations otherwise: a few units in the last place.
                assert!((got - want).abs() <= 1e-6 * want.abs().max(0.1), "{name}, update {k}: {got}, PyTorch {want}");
            }
        }
    }
}

/// Another rule begins as at a first update, whatever state there was.
#[test]
fn a_rule_can_be_changed_between_updates() {
    let rules = [
        Rule::ADAM,
        Rule::SGD,
        Rule::Sgd { momentum: 0.9 },
        Rule::RMS_PROP,
        Rule::RmsProp { alpha: 0.9, momentum: 0.5, epsilon: 1e-8 },
    ];
    let steps = |optimiser: &mut Optimiser, p: &mut [f32]| {
        for g in [[0.3, -0.7], [0.2, 0.1]] {
            optimiser.begin(1.0);
            optimiser.update("a", 0.1, p, &g);
        }
    };
    for former in rules {
        for rule in rules.into_iter().filter(|rule| rule.slots() != former.slots()) {
            let mut optimiser = Optimiser::new(former, 0.0);
            steps(&mut optimiser, &mut [1.0, 2.0]);
            optimiser.rule = rule;
            let (mut changed, mut fresh) = ([1.0f32, 2.0], [1.0f32, 2.0]);
            steps(&mut optimiser, &mut changed);
            steps(&mut Optimiser::new(rule, 0.0), &mut fresh);
            assert_eq!(changed.map(f32::to_bits), fresh.map(f32::to_bits), "{former:?}, then {rule:?}");
        }
    }
}

#[test]
fn restored_state_continues_to_the_bit_and_foreign_state_is_refused() {
    for rule in [Rule::ADAM, Rule::Sgd { momentum: 0.9 }, Rule::RmsProp { alpha: 0.9, momentum: 0.5, epsilon: 1e-8 }] {
        let step = |optimiser: &mut Optimiser, p: &mut [f32]| {
            optimiser.begin(1.0);
            optimiser.update("a.b", 0.1, p, &[0.3, -0.7]);
        };
        let (mut one, mut p) = (Optimiser::new(rule, 0.01), [1.0f32, 2.0]);
        step(&mut one, &mut p);
        let saved: Vec<_> = one.state().map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_vec())).collect();
        let (mut two, mut q) = (Optimiser::new(rule, 0.01), p);
        two.restore(one.step(), saved).unwrap();
        step(&mut one, &mut p);
        step(&mut two, &mut q);
        assert_eq!(p.map(f32::to_bits), q.map(f32::to_bits), "{rule:?}");
    }
    let mut adam = Optimiser::new(Rule::ADAM, 0.0);
    let slot = |name: &str| ("a".to_string(), name.to_string(), vec![0.0]);
    assert!(adam.restore(1, vec![slot("b")]).unwrap_err().contains("`b` of `a`"));
    assert!(adam.restore(1, vec![slot("m")]).unwrap_err().contains("not complete"));
    assert_eq!(adam.step(), 0);
}
