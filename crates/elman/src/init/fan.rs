//! Independent numbers whose spread follows from the widths.

use super::Shape;
use crate::random::Random;

/// 1/√H.
pub fn bound(hidden: usize) -> f32 {
    1.0 / (hidden as f32).sqrt()
}

pub fn uniform(shape: Shape, random: &mut Random) -> Option<Vec<f32>> {
    symmetric(shape, random, bound(shape.hidden))
}

pub fn zeros(shape: Shape, _: &mut Random) -> Option<Vec<f32>> {
    Some(vec![0.0; shape.rows * shape.cols])
}

pub fn glorot_uniform(shape: Shape, random: &mut Random) -> Option<Vec<f32>> {
    symmetric(shape, random, (6.0 / (shape.rows + shape.cols) as f32).sqrt())
}

pub fn glorot_normal(shape: Shape, random: &mut Random) -> Option<Vec<f32>> {
    normal(shape, random, (2.0 / (shape.rows + shape.cols) as f32).sqrt())
}

pub fn he_uniform(shape: Shape, random: &mut Random) -> Option<Vec<f32>> {
    symmetric(shape, random, (6.0 / shape.cols as f32).sqrt())
}

pub fn he_normal(shape: Shape, random: &mut Random) -> Option<Vec<f32>> {
    normal(shape, random, (2.0 / shape.cols as f32).sqrt())
}

fn symmetric(shape: Shape, random: &mut Random, bound: f32) -> Option<Vec<f32>> {
    Some((0..shape.rows * shape.cols).map(|_| random.symmetric(bound)).collect())
}

pub fn normal(shape: Shape, random: &mut Random, deviation: f32) -> Option<Vec<f32>> {
    Some((0..shape.rows * shape.cols).map(|_| deviation * random.normal()).collect())
}
