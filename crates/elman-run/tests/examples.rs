//! Networks whose Jacobian product is known on paper.

use elman_run::analysis::{Example, Kind, linear};

/// The first deck's slide: diag(0.5, 1.5) ten times, 0.00098 and 57.665.
#[test]
fn the_first_decks_curves() {
    let Example { products, verdict, .. } = Example::lecture().unwrap();
    assert_eq!(products.lags, (1..=10).collect::<Vec<_>>());
    for (&lag, values) in products.lags.iter().zip(&products.values) {
        let [largest, smallest] = values[..] else { panic!("two units") };
        // Ten products of numbers that are exact in binary.
        assert!((largest - 1.5f64.powi(lag as i32)).abs() < 1e-13 * largest, "{lag}: {largest}");
        assert!((smallest - 0.5f64.powi(lag as i32)).abs() < 1e-13, "{lag}: {smallest}");
    }
    let last = &products.values[9];
    assert!((last[0] - 57.665_039_062_5).abs() < 1e-9 && (last[1] - 0.000_976_562_5).abs() < 1e-12, "{last:?}");
    // Over ten steps the largest is below a thousand: this example is of one direction beside another.
    assert_eq!((verdict.lag, verdict.kind), (10, Kind::Healthy));
}

/// A largest singular value above 1 makes no product explode.
#[test]
fn a_large_singular_value_alone_decides_nothing() {
    let not_normal = Example::not_normal().unwrap();
    let largest = not_normal.products.largest();
    // σ² of (0.5 5; 0 0.5): the larger root of x² - 25.5 x + 0.0625.
    let sigma = ((25.5 + (25.5f64 * 25.5 - 0.25).sqrt()) / 2.0).sqrt();
    assert!((not_normal.recurrent.singular_values[0] - sigma).abs() < 1e-12 && (largest[0] - sigma).abs() < 1e-12);
    // A defective double eigenvalue comes out to the root of a rounding.
    assert!((not_normal.recurrent.spectral_radius().unwrap() - 0.5).abs() < 1e-7);
    // W^n = (0.5^n, n 5 0.5^(n-1); 0, 0.5^n).
    for (i, found) in largest.iter().enumerate() {
        let n = i as i32 + 1;
        let (d, corner) = (0.5f64.powi(n), f64::from(n) * 5.0 * 0.5f64.powi(n - 1));
        let want = linear::singular_values(&[d, corner, 0.0, d], 2, 2)[0];
        assert!((found - want).abs() < 1e-12 * want, "{n}: {found} {want}");
    }
    assert!(largest[1] > 1.0, "it rises before it falls");

    let saturated = Example::saturated().unwrap();
    let (sigma, radius) = (saturated.recurrent.singular_values[0], saturated.recurrent.spectral_radius().unwrap());
    assert!((sigma - 1.5).abs() < 1e-14 && (radius - 1.5).abs() < 1e-14, "{sigma} {radius}");
    let mut h = 0.0f64;
    let slopes: Vec<f64> = (0..60)
        .map(|_| {
            h = (1.5 * h + 0.2).tanh();
            1.5 * (1.0 - h * h)
        })
        .collect();
    for (i, found) in saturated.products.largest().iter().enumerate() {
        let want: f64 = slopes.iter().rev().take(i + 1).product();
        assert!((found - want).abs() < 1e-12 * want, "{}: {found} {want}", i + 1);
    }
    for example in [not_normal, saturated] {
        assert_eq!(example.verdict.kind, Kind::Vanishing, "{}", example.name);
        assert!(example.verdict.factor < 1e-3 && example.verdict.lag == 30);
    }
}
