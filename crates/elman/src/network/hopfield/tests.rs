use super::*;
use crate::network::testing::Golden;

/// Symmetric weights and thresholds, uniform in ±1; every third weight is 0, so that some fields are 0 too.
fn arbitrary(n: usize, thresholds: bool, random: &mut Random) -> Hopfield {
    let mut weights = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..i {
            let w = if random.word().is_multiple_of(3) { 0.0 } else { f64::from(random.symmetric(1.0)) };
            (weights[i * n + j], weights[j * n + i]) = (w, w);
        }
    }
    let thresholds = (0..n).map(|_| if thresholds { random.symmetric(1.0).into() } else { 0.0 }).collect();
    Hopfield::new(weights, thresholds).unwrap()
}

fn start(n: usize, random: &mut Random) -> Vec<i8> {
    Patterns::random(1, n, random).unwrap().get(0)
}

/// `E` as it is written.
fn energy(network: &Hopfield, s: &[i8]) -> f64 {
    let n = s.len();
    let mut sum = 0.0;
    for i in 0..n {
        for j in 0..n {
            sum -= 0.5 * network.weights[i * n + j] * f64::from(s[i]) * f64::from(s[j]);
        }
        sum += network.thresholds[i] * f64::from(s[i]);
    }
    sum
}

#[test]
fn asynchronous_updates_never_raise_the_energy_and_end_in_a_fixed_point() {
    let mut random = Random::new(1, "energy");
    for n in [1, 2, 3, 5, 8, 13, 40] {
        for case in 0..40 {
            let network = arbitrary(n, case % 2 == 0, &mut random);
            let first = start(n, &mut random);
            let mut order = Random::new(case, "order");
            let mut state = first.clone();
            let mut last = energy(&network, &state);
            let mut sweeps = 0;
            // One sweep at a time; the generator goes on, so that together they are one recall.
            loop {
                let update = if case % 4 < 2 { Update::InOrder } else { Update::InRandomOrder(&mut order) };
                let recall = network.recall(&state, update, 1).unwrap();
                sweeps += 1;
                let now = energy(&network, &recall.state);
                assert!((network.energy(&recall.state) - now).abs() < 1e-12 * (n * n) as f64);
                // A change lowers it by twice a field, which is above the rounding of the sum of N² numbers below 1.
                assert!(if recall.state == state { recall.converged() } else { now < last }, "{n}: {last} -> {now}");
                state = recall.state;
                last = now;
                if recall.outcome == Outcome::FixedPoint {
                    break;
                }
                assert!(sweeps < 1000);
            }
            assert!(network.is_stable(&state));
            let mut again = Random::new(case, "order");
            let update = if case % 4 < 2 { Update::InOrder } else { Update::InRandomOrder(&mut again) };
            let whole = network.recall(&first, update, 1000).unwrap();
            assert_eq!((whole.sweeps, whole.outcome), (sweeps, Outcome::FixedPoint));
            assert_eq!(whole.state.len(), n);
        }
    }
}

#[test]
fn a_single_change_lowers_the_energy_by_twice_the_field() {
    let mut random = Random::new(2, "energy");
    let network = arbitrary(9, true, &mut random);
    let mut state = start(9, &mut random);
    for unit in 0..9 {
        let mut fields = network.fields(&state);
        let (before, fall) = (network.energy(&state), -2.0 * fields[unit] * f64::from(state[unit]));
        network.turn(unit, &mut state, &mut fields);
        // f64 sums of a hundred numbers below 1.
        assert!((network.energy(&state) - (before - fall)).abs() < 1e-13);
        let anew = network.fields(&state);
        assert!(fields.iter().zip(&anew).all(|(a, b)| (a - b).abs() < 1e-13));
    }
}

#[test]
fn synchronous_updates_reach_a_fixed_point_or_a_cycle_of_two() {
    let mut random = Random::new(3, "synchronous");
    let mut cycles = 0;
    for n in [1, 2, 3, 5, 8, 13, 40] {
        for case in 0..40 {
            let network = arbitrary(n, case % 2 == 0, &mut random);
            let recall = network.recall(&start(n, &mut random), Update::Synchronous, 1000).unwrap();
            let step = |s: &[i8]| network.recall(s, Update::Synchronous, 1).unwrap().state;
            let next = step(&recall.state);
            match recall.outcome {
                Outcome::FixedPoint => assert!(next == recall.state && network.is_stable(&next)),
                Outcome::TwoCycle => {
                    cycles += 1;
                    assert_ne!(next, recall.state);
                    assert_eq!(step(&next), recall.state);
                }
                Outcome::Unsettled => panic!("{n}: neither after {} sweeps", recall.sweeps),
            }
        }
    }
    assert!(cycles > 20, "{cycles} cycles: the test should meet them");
    // Two units that want to be unlike their partner's last value.
    let pair = Hopfield::new(vec![0.0, -1.0, -1.0, 0.0], vec![0.0; 2]).unwrap();
    let recall = pair.recall(&[1, 1], Update::Synchronous, 10).unwrap();
    assert_eq!((recall.outcome, recall.sweeps), (Outcome::TwoCycle, 2));
    assert!(pair.recall(&[1, 1], Update::InOrder, 10).unwrap().converged());
}

#[test]
fn hebbian_weights_are_the_sum_of_outer_products() {
    let stored = [[1i8, 1, -1], [1, -1, -1]];
    let network = Hopfield::hebbian(&Patterns::new(&stored).unwrap());
    assert_eq!(network.weights(), [0.0, 0.0, -2.0 / 3.0, 0.0, 0.0, 0.0, -2.0 / 3.0, 0.0, 0.0]);
}

#[test]
fn the_projection_keeps_correlated_and_dependent_patterns() {
    let mut random = Random::new(4, "projection");
    let n = 60;
    // Half of the units are the same in all patterns: Hebb's rule fails on these.
    let common = start(n, &mut random);
    let mut rows: Vec<Vec<i8>> = (0..20)
        .map(|_| {
            let mut row = start(n, &mut random);
            row[..n / 2].copy_from_slice(&common[..n / 2]);
            row
        })
        .collect();
    rows.push(rows[3].clone());
    rows.push(rows[5].iter().map(|v| -v).collect());
    let patterns = Patterns::new(&rows).unwrap();
    let projection = Hopfield::pseudo_inverse(&patterns);
    let hebbian = Hopfield::hebbian(&patterns);
    assert!(rows.iter().all(|row| projection.is_stable(row)));
    assert!(rows.iter().filter(|row| hebbian.is_stable(row)).count() < 5);
    // Ξ Ξ⁺ ξ = ξ: the field is 1 - P_ii times the unit; the trace of a projection is its rank.
    let mut trace = 0.0;
    let fields: Vec<Vec<f64>> = rows.iter().map(|row| projection.fields(row)).collect();
    for i in 0..n {
        let shrink = fields[0][i] * f64::from(rows[0][i]);
        trace += 1.0 - shrink;
        for (row, h) in rows.iter().zip(&fields) {
            // Sums of 60 numbers below 1, twice orthogonalised.
            assert!((h[i] * f64::from(row[i]) - shrink).abs() < 1e-12);
        }
    }
    assert!((trace - 20.0).abs() < 1e-10, "{trace}");
}

#[test]
fn noisy_patterns_are_recalled_in_every_order_of_updates() {
    let mut random = Random::new(5, "recall");
    let patterns = Patterns::random(20, 500, &mut random).unwrap();
    for storage in [Storage::Hebbian, Storage::PseudoInverse] {
        let network = Hopfield::store(&patterns, storage);
        for p in 0..20 {
            let pattern = patterns.get(p);
            let mut noisy = pattern.clone();
            add_noise(&mut noisy, 0.2, &mut random);
            for k in 0..3 {
                let update = match k {
                    0 => Update::InOrder,
                    1 => Update::InRandomOrder(&mut random),
                    _ => Update::Synchronous,
                };
                let recall = network.recall(&noisy, update, 50).unwrap();
                assert!(recall.converged() && recall.sweeps > 1);
                // At this load of 0.04 the theory leaves no errors worth the name.
                assert!(overlap(&recall.state, &pattern) >= 0.995);
            }
        }
    }
}

#[test]
fn recall_breaks_down_near_the_published_load() {
    let settings = CapacitySettings {
        units: 500,
        loads: vec![0.05, 0.11, 0.12, 0.13, 0.14, 0.15, 0.16, 0.18, 0.20],
        noise: 0.0,
        networks: 3,
        recalls: 20,
        sweeps: 100,
        storage: Storage::Hebbian,
    };
    let curve = CapacityCurve::measure(&settings, 1).unwrap();
    let critical = curve.critical_load().unwrap();
    // The published 0.138 for infinite N. Three networks of 20 recalls give the mean overlap to about 0.005 and the load to 0.003.
    assert!((0.125..0.15).contains(&critical), "{critical}");
    let (first, last) = (curve.points[0], curve.points[8]);
    assert!(first.retrieved == 1.0 && first.overlap > 0.999, "{first:?}");
    assert!(last.retrieved < 0.4 && last.overlap < 0.75, "{last:?}");

    let projection = CapacitySettings { loads: vec![0.1, 0.5, 0.9], storage: Storage::PseudoInverse, ..settings };
    let curve = CapacityCurve::measure(&CapacitySettings { networks: 1, ..projection }, 1).unwrap();
    assert!(curve.points.iter().all(|p| p.stable == 1.0 && p.overlap == 1.0), "{curve:?}");
    assert_eq!(curve.critical_load(), None);
}

#[test]
fn what_is_wrong_is_named() {
    let make = |weights: &[f64], n| Hopfield::new(weights.to_vec(), vec![0.0; n]).unwrap_err();
    assert!(matches!(make(&[], 0), HopfieldError::NoUnits));
    assert_eq!(
        make(&[0.0; 3], 2).to_string(),
        "3 weights are no square matrix; 2 units (the number of thresholds) need 2 x 2"
    );
    assert_eq!(
        make(&[0.0, 0.0, 0.0, 0.5], 2).to_string(),
        "weight (1, 1) is 0.5; a unit must not act on itself: set the diagonal to 0"
    );
    let error = make(&[0.0, 1.0, 2.0, 0.0], 2);
    assert_eq!(error, HopfieldError::NotSymmetric { row: 1, column: 0, value: 2.0, mirrored: 1.0 });
    assert!(error.to_string().starts_with("weight (1, 0) is 2 and weight (0, 1) is 1; they must be equal"));
    assert_eq!(
        make(&[0.0, f64::NAN, 0.0, 0.0], 2).to_string(),
        "weight (0, 1) is NaN; weights and thresholds must be finite"
    );
    let network = Hopfield::new(vec![0.0, 1.0, 1.0, 0.0], vec![0.0; 2]).unwrap();
    let recall = |state: &[i8]| network.recall(state, Update::InOrder, 1).unwrap_err().to_string();
    assert_eq!(recall(&[1]), "the initial state has 1 values, and 2 are needed, one a unit");
    assert_eq!(recall(&[1, 0]), "the initial state: unit 1 is 0; write +1 or -1 (2 v - 1 for a bit v)");
    assert_eq!(
        network.clone().with_thresholds(vec![f64::INFINITY, 0.0]).unwrap_err().to_string(),
        "threshold 0 is inf; weights and thresholds must be finite"
    );
    assert!(
        network.with_thresholds(vec![0.0]).unwrap_err().to_string().starts_with("the list of thresholds has 1 values")
    );
    let none: [[i8; 2]; 0] = [];
    assert_eq!(Patterns::new(&none).unwrap_err(), HopfieldError::NoPatterns);
    let uneven: [&[i8]; 2] = [&[1, 1], &[1]];
    assert_eq!(Patterns::new(&uneven).unwrap_err().to_string(), "pattern 1 has 1 values, and 2 are needed, one a unit");
    assert_eq!(Patterns::new(&[[]]).unwrap_err(), HopfieldError::NoUnits);
    let settings = CapacitySettings {
        units: 10,
        loads: vec![0.1],
        noise: 1.5,
        networks: 1,
        recalls: 1,
        sweeps: 1,
        storage: Storage::Hebbian,
    };
    let message = |settings| CapacityCurve::measure(&settings, 1).unwrap_err().to_string();
    assert_eq!(message(settings.clone()), "noise is 1.5; it must be in [0, 1]");
    let settings = CapacitySettings { noise: 0.1, ..settings };
    assert_eq!(message(CapacitySettings { units: 0, ..settings.clone() }), "units is 0; it must be at least 1");
    assert_eq!(
        message(CapacitySettings { loads: vec![0.2, 0.1], ..settings }),
        "load is 0.1; it must be above the one before it"
    );
}

/// Weights, fields, energies, and where each start ends, in both orders of updates.
fn meets(network: &Hopfield, golden: &Golden) {
    golden.compare("weights", network.weights());
    let n = network.units();
    let signs = |name: &str| golden.values(name).iter().map(|&v| v as i8).collect::<Vec<i8>>();
    let starts = signs("starts");
    golden.compare("fields", &starts.chunks(n).flat_map(|s| network.fields(s)).collect::<Vec<_>>());
    golden.compare("energy", &starts.chunks(n).map(|s| network.energy(s)).collect::<Vec<_>>());
    for order in ["in_order", "synchronous"] {
        let ends = signs(&format!("{order}.state"));
        let (sweeps, outcomes) = (golden.sizes(&format!("{order}.sweeps")), golden.sizes(&format!("{order}.outcome")));
        for (k, (start, end)) in starts.chunks(n).zip(ends.chunks(n)).enumerate() {
            let update = if order == "in_order" { Update::InOrder } else { Update::Synchronous };
            let outcome = [Outcome::FixedPoint, Outcome::TwoCycle][outcomes[k]];
            let want = Recall { state: end.to_vec(), sweeps: sweeps[k], outcome };
            assert_eq!(network.recall(start, update, 100).unwrap(), want, "{order}, start {k}");
        }
    }
}

#[test]
fn the_goldens_are_met() {
    let golden = Golden::read("hopfield");
    let network = Hopfield::new(golden.values("weights").to_vec(), golden.values("thresholds").to_vec()).unwrap();
    meets(&network, &golden);
    // The bits, weights T and thresholds U of 1982, as the module's head translates them.
    let (t, u) = (golden.values("T"), golden.values("U"));
    assert!(network.weights().iter().zip(t).all(|(w, t)| *w == t / 2.0));
    let sums = t.chunks(u.len()).map(|row| row.iter().sum::<f64>() / 2.0);
    assert!(network.thresholds().iter().zip(u).zip(sums).all(|((theta, u), half)| *theta == u - half));

    for (name, storage) in [("hopfield-hebbian", Storage::Hebbian), ("hopfield-pseudo-inverse", Storage::PseudoInverse)]
    {
        let golden = Golden::read(name);
        let values: Vec<i8> = golden.values("patterns").iter().map(|&v| v as i8).collect();
        let patterns: Vec<&[i8]> = values.chunks(golden.shape("patterns")[1]).collect();
        meets(&Hopfield::store(&Patterns::new(&patterns).unwrap(), storage), &golden);
    }
}
