use super::*;

fn series(steps: usize) -> Series {
    let u = (0..steps).map(|t| t as f64).collect();
    let y = (0..2 * steps).map(|k| 1e5 + k as f64).collect();
    Series::new(u, 1, y, 2).unwrap()
}

#[test]
fn a_bad_series_is_refused_with_its_place() {
    let error = |u: &[f64], inputs, y: &[f64], outputs| {
        Series::new(u.to_vec(), inputs, y.to_vec(), outputs).unwrap_err().to_string()
    };
    assert_eq!(error(&[1.0], 0, &[1.0], 1), "the number of input channels is 0, which is not in 1..=1000000");
    assert_eq!(error(&[1.0; 3], 2, &[1.0], 1), "the input has 3 numbers, which are not whole rows of 2");
    let line = "the input has 2 steps and the output 1: record both at the same times";
    assert_eq!(error(&[1.0; 4], 2, &[1.0], 1), line);
    let line = "the input is inf at step 1, channel 1 (both counted from 0): fill or cut it out";
    assert_eq!(error(&[1.0, 1.0, 1.0, f64::INFINITY], 2, &[1.0; 2], 1), line);
}

#[test]
fn scaling_has_mean_zero_and_variance_one_and_goes_back() {
    let values: Vec<f64> = (0..200).flat_map(|k| [f64::from(k * k % 17), 1e6 + 1e-3 * f64::from(k % 5), 0.1]).collect();
    let scaling = Scaling::of(&values, 3);
    let normal = scaling.normalise(&values);
    let again = Scaling::of(&normal, 3);
    // The second channel's mean of 1e6 has rounding errors of 1e-10, and its deviation is 1e-3.
    assert!(again.mean.iter().all(|m| m.abs() < 1e-6), "{again:?}");
    assert!(again.deviation[..2].iter().all(|d| (d - 1.0).abs() < 1e-6), "{again:?}");
    assert_eq!(scaling.deviation[2], 1.0, "a constant channel is not divided by zero");
    let back = scaling.restore(&normal);
    assert!(values.iter().zip(&back).all(|(a, b)| (a - b).abs() <= 1e-15 * 2.0 * a.abs().max(1.0)));
}

#[test]
fn units_come_back_from_a_file_with_48_bits() {
    let units = Units {
        u: Scaling { mean: vec![101_325.123_456_7], deviation: vec![0.012_345_678_9] },
        y: Scaling { mean: vec![-3.3e-7, 2.0], deviation: vec![1e9 + 0.1, 0.3] },
    };
    let mut named = units.named();
    named.push(Named { name: "other".into(), shape: vec![1], values: vec![1.0] });
    let back = Units::none(1, 2).take(&mut named).unwrap();
    for (a, b) in [(&units.u, &back.u), (&units.y, &back.y)] {
        for (a, b) in a.mean.iter().chain(&a.deviation).zip(b.mean.iter().chain(&b.deviation)) {
            // Two f32 have 2 x 24 bits.
            assert!((a - b).abs() <= a.abs() * 2f64.powi(-47), "{a} {b}");
        }
    }
    assert_eq!(named.len(), 1, "the rest stays");
    let missing = Units::none(1, 2).take(&mut named).unwrap_err();
    assert_eq!(missing, ParameterError::Missing("units.u.mean".into()));
    let other = Units::none(2, 2).take(&mut units.named()).unwrap_err();
    assert!(matches!(other, ParameterError::Shape { .. }));
}

#[test]
fn windows_are_pieces_of_the_series_and_resume() {
    let mut windows = Windows::new(vec![series(10), series(14)], 4, 3, 1, 5).unwrap();
    let mut firsts = std::collections::BTreeSet::new();
    for k in 0..60 {
        let cursor = windows.cursor();
        let batch = windows.next_batch().unwrap();
        assert_eq!((batch.steps(), batch.count(), batch.y.len()), (4, 3 * 3 * 2, 4 * 3 * 2));
        for b in 0..3 {
            let first = batch.u[b];
            firsts.insert(first as usize);
            for t in 0..4 {
                assert_eq!(batch.u[t * 3 + b], first + t as f64);
                assert_eq!(batch.y[(t * 3 + b) * 2 + 1], 1e5 + 2.0 * (first + t as f64) + 1.0);
            }
        }
        if k % 20 == 0 {
            windows.seek(&cursor).unwrap();
            assert_eq!(windows.next_batch().unwrap(), batch);
        }
    }
    // 180 draws from 7 + 11 places: each of the first 11 starts is missed with probability below 11 (17/18)^180 = 4e-4.
    assert_eq!(firsts, (0..=10).collect());
    assert!(windows.seek("x").is_err());
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let error =
        |steps, batch, warm_up| Windows::new(vec![series(10)], steps, batch, warm_up, 1).unwrap_err().to_string();
    let line = "there are 10 steps of the series, and 11 are needed: a window must fit into every series";
    assert_eq!(error(11, 1, 1), line);
    let line = "there are 4 steps of the window, and 5 are needed: the first ones are not scored";
    assert_eq!(error(4, 1, 4), line);
    assert_eq!(error(4, 0, 1), "the batch size is 0, which is not in 1..=1000000");
    assert!(Windows::new(Vec::new(), 4, 1, 1, 1).is_err());
    let other = Series::new(vec![1.0; 20], 2, vec![1.0; 10], 1).unwrap();
    let line = "the series has 2 input channels, and the model 1";
    assert_eq!(Windows::new(vec![series(10), other], 4, 1, 1, 1).unwrap_err().to_string(), line);
}

#[test]
fn the_mean_fits_zero_per_cent() {
    let y = [1.0, 10.0, 2.0, 20.0, 6.0, 60.0];
    let mean = [3.0, 30.0].repeat(3);
    for (c, score) in scores(&y, &mean, 2).into_iter().enumerate() {
        // Squares 4 + 1 + 9 over three steps.
        let rmse = (14.0f64 / 3.0).sqrt() * [1.0, 10.0][c];
        assert!((score.rmse - rmse).abs() < 1e-12 && score.fit.abs() < 1e-12, "{score:?}");
    }
    assert_eq!(scores(&y, &y, 2)[1], Score { rmse: 0.0, fit: 100.0 });
}
