//! Sampling: the distribution that is drawn from, and the settings that are refused.

use elman_run::{Error, SampleSettings, Sampler};

const LOGITS: [f32; 6] = [0.5, 2.0, -1.0, 1.5, 2.0, f32::NEG_INFINITY];

/// How often each id is drawn in `n` draws.
fn frequencies(settings: SampleSettings, n: usize) -> Vec<f64> {
    let mut sampler = Sampler::new(LOGITS.len(), settings).unwrap();
    let mut counts = vec![0; LOGITS.len()];
    for _ in 0..n {
        counts[sampler.draw(&LOGITS).unwrap() as usize] += 1;
    }
    counts.into_iter().map(|count| f64::from(count) / n as f64).collect()
}

/// Probabilities of the ids kept, by the definition in f64.
fn probabilities(temperature: f64, kept: &[usize]) -> Vec<f64> {
    let weight = |i: usize| if kept.contains(&i) { (f64::from(LOGITS[i]) / temperature).exp() } else { 0.0 };
    let total: f64 = (0..LOGITS.len()).map(weight).sum();
    (0..LOGITS.len()).map(|i| weight(i) / total).collect()
}

#[test]
fn draws_have_the_distribution_asked_for() {
    let base = SampleSettings::default();
    for (settings, expected) in [
        (base, probabilities(1.0, &[0, 1, 2, 3, 4])),
        (SampleSettings { temperature: 0.5, ..base }, probabilities(0.5, &[0, 1, 2, 3, 4])),
        (SampleSettings { temperature: 3.0, ..base }, probabilities(3.0, &[0, 1, 2, 3, 4])),
        (SampleSettings { top_k: Some(3), ..base }, probabilities(1.0, &[1, 3, 4])),
        (SampleSettings { top_k: Some(1), ..base }, probabilities(1.0, &[1])),
        (SampleSettings { top_k: Some(100), ..base }, probabilities(1.0, &[0, 1, 2, 3, 4])),
        // The two likeliest hold 0.347 each, with the third 0.905.
        (SampleSettings { top_p: 0.3, ..base }, probabilities(1.0, &[1])),
        (SampleSettings { top_p: 0.69, ..base }, probabilities(1.0, &[1, 4])),
        (SampleSettings { top_p: 0.75, ..base }, probabilities(1.0, &[1, 3, 4])),
        (SampleSettings { top_k: Some(2), top_p: 0.9, ..base }, probabilities(1.0, &[1, 4])),
        (SampleSettings { top_p: f32::MIN_POSITIVE, ..base }, probabilities(1.0, &[1])),
    ] {
        let n = 40_000;
        for (id, (drawn, p)) in frequencies(settings, n).into_iter().zip(&expected).enumerate() {
            // Five standard deviations of a count: the seed is fixed, so that this is decided once and for all.
            let tolerance = 5.0 * (p * (1.0 - p) / n as f64).sqrt();
            assert!((drawn - p).abs() <= tolerance, "{settings:?}, id {id}: drawn {drawn}, expected {p}");
        }
    }
}

#[test]
fn the_likeliest_is_taken_at_temperature_zero_and_almost_zero() {
    for temperature in [0.0, f32::MIN_POSITIVE] {
        let mut sampler = Sampler::new(3, SampleSettings { temperature, ..Default::default() }).unwrap();
        for _ in 0..50 {
            assert_eq!(sampler.draw(&[-1e30, 1.0, 0.5]).unwrap(), 1);
        }
    }
    // Of equal ones the first.
    let mut sampler = Sampler::new(3, SampleSettings { temperature: 0.0, ..Default::default() }).unwrap();
    assert_eq!(sampler.draw(&[0.0, 1.0, 1.0]).unwrap(), 1);
}

#[test]
fn a_seed_decides_the_draws() {
    let draws = |seed| {
        let mut sampler = Sampler::new(6, SampleSettings { seed, ..Default::default() }).unwrap();
        (0..64).map(|_| sampler.draw(&LOGITS).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(draws(7), draws(7));
    assert_ne!(draws(7), draws(8));
}

#[test]
fn what_is_not_a_number_is_refused() {
    for settings in [SampleSettings::default(), SampleSettings { temperature: 0.0, ..Default::default() }] {
        for logits in [[f32::NAN, 0.0], [0.0, f32::NAN], [0.0, f32::INFINITY], [f32::NEG_INFINITY; 2]] {
            let mut sampler = Sampler::new(2, settings).unwrap();
            assert!(matches!(sampler.draw(&logits), Err(Error::NotFinite)), "{logits:?}");
        }
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let base = SampleSettings::default();
    for (settings, message) in [
        (
            SampleSettings { temperature: -1.0, ..base },
            "temperature is -1; it must be 0 (always the likeliest) or a positive number",
        ),
        (
            SampleSettings { temperature: f32::NAN, ..base },
            "temperature is NaN; it must be 0 (always the likeliest) or a positive number",
        ),
        (
            SampleSettings { temperature: f32::INFINITY, ..base },
            "temperature is inf; it must be 0 (always the likeliest) or a positive number",
        ),
        (SampleSettings { top_k: Some(0), ..base }, "top-k is 0; it must be at least 1"),
        (SampleSettings { top_p: 0.0, ..base }, "top-p is 0; it must be above 0 and at most 1"),
        (SampleSettings { top_p: 1.5, ..base }, "top-p is 1.5; it must be above 0 and at most 1"),
        (SampleSettings { top_p: f32::NAN, ..base }, "top-p is NaN; it must be above 0 and at most 1"),
    ] {
        let error = Sampler::new(6, settings).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!error.is_failure());
    }
}
