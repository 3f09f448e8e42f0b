//! Matrices known by their eigenvalues.

use super::{Shape, fan};
use crate::random::Random;
use rayon::prelude::*;

pub fn identity(shape: Shape, _: &mut Random) -> Option<Vec<f32>> {
    diagonal(shape, 1.0)
}

pub fn identity_small(shape: Shape, _: &mut Random) -> Option<Vec<f32>> {
    diagonal(shape, 0.01)
}

fn diagonal(shape: Shape, value: f32) -> Option<Vec<f32>> {
    let n = square(shape)?;
    Some((0..n * n).map(|i| if i % (n + 1) == 0 { value } else { 0.0 }).collect())
}

fn square(shape: Shape) -> Option<usize> {
    (shape.rows == shape.cols).then_some(shape.rows)
}

pub fn gaussian(shape: Shape, random: &mut Random) -> Option<Vec<f32>> {
    fan::normal(shape, random, 1.0 / (shape.cols as f32).sqrt())
}

/// The orthogonal factor of a normal matrix, whose distribution is uniform (Haar's) where the other factor has a positive
/// diagonal (Mezzadri 2007): Gram & Schmidt's gives just that. A block that is not square has orthonormal rows or
/// columns, whichever are fewer.
pub fn orthogonal(shape: Shape, random: &mut Random) -> Option<Vec<f32>> {
    let (rows, cols) = (shape.rows.min(shape.cols), shape.rows.max(shape.cols));
    let mut q: Vec<Vec<f64>> = (0..rows).map(|_| (0..cols).map(|_| f64::from(random.normal())).collect()).collect();
    for i in 0..rows {
        let (before, rest) = q.split_at_mut(i);
        let row = &mut rest[0];
        // Twice is enough (Kahan and Parlett): the second pass takes away what rounding left of the first.
        for _ in 0..2 {
            for other in before.iter() {
                let along = dot(row, other);
                row.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
            }
        }
        let norm = dot(row, row).sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    let at = |r: usize, c: usize| if shape.rows <= shape.cols { q[r][c] } else { q[c][r] };
    Some((0..shape.rows * shape.cols).map(|i| at(i / shape.cols, i % shape.cols) as f32).collect())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub fn normalised(shape: Shape, random: &mut Random) -> Option<Vec<f32>> {
    let n = square(shape)?;
    let a: Vec<f64> = (0..n * n).map(|_| f64::from(random.normal())).collect();
    let radius = spectral_radius(&a, n);
    Some(a.iter().map(|a| (a / radius) as f32).collect())
}

pub fn normalised_positive_definite(shape: Shape, random: &mut Random) -> Option<Vec<f32>> {
    let n = square(shape)?;
    // Rᵀ, row after row; that is as good a draw as R.
    let r: Vec<f64> = (0..n * n).map(|_| f64::from(random.normal())).collect();
    let row = |i: usize| &r[i * n..][..n];
    let element = |i: usize, j: usize| dot(row(i), row(j)) / n as f64 + f64::from(u8::from(i == j));
    let a: Vec<f64> = (0..n * n).into_par_iter().map(|k| element(k / n, k % n)).collect();
    let largest = spectral_radius(&a, n);
    Some(a.iter().map(|a| (a / largest) as f32).collect())
}

/// The largest |eigenvalue| ρ of a square matrix, by Gelfand's formula ρ = lim ‖Aᵏ‖^(1/k), with k doubled by squaring until
/// the value stays. It needs no gap between eigenvalues and does not mind complex ones, where power iteration fails.
///
/// The error falls as 1/k, so that some 25 products reach the precision of f32: a second for n = 400, on one core.
pub(super) fn spectral_radius(a: &[f64], n: usize) -> f64 {
    let mut power = a.to_vec();
    // A^k = exp(log) power, with the norm of `power` 1.
    let (mut log, mut k, mut before) = (0.0, 1.0, f64::NEG_INFINITY);
    for _ in 0..40 {
        let norm = dot(&power, &power).sqrt();
        if norm == 0.0 {
            return 0.0;
        }
        power.iter_mut().for_each(|x| *x /= norm);
        log += norm.ln();
        let estimate = log / k;
        if (estimate - before).abs() < 1e-8 {
            return estimate.exp();
        }
        before = estimate;
        power = squared(&power, n);
        log *= 2.0;
        k *= 2.0;
    }
    before.exp()
}

fn squared(a: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; n * n];
    out.par_chunks_mut(n).zip(a.par_chunks(n)).for_each(|(out, row)| {
        for (&x, other) in row.iter().zip(a.chunks(n)) {
            out.iter_mut().zip(other).for_each(|(o, y)| *o += x * y);
        }
    });
    out
}
