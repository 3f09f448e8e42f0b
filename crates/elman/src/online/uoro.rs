//! Unbiased online recurrent optimisation: the influence as a random matrix of rank one.

use super::block::{Kind, axpy, dot};
use super::influence::{Column, Cost, Influence, add_features, column, settle};
use super::linear_step::LinearStep;
use crate::random::Random;
use elman_core::algebra::Element;

/// Unbiased online recurrent optimisation (Tallec & Ollivier, "Unbiased online recurrent optimization", 2017): P is estimated by one product a bᵀ of
/// a vector over the state and one over the parameters.
///
/// With random signs ν (S), independent at each step, a ← ρ₀ J a + ρ₁ ν and b ← b / ρ₀ + (∂s/∂θ)ᵀ ν / ρ₁. The expectation of a bᵀ is P, whatever the
/// factors; ρ₀ = √(‖b‖ / ‖J a‖) and ρ₁ = √(‖(∂s/∂θ)ᵀ ν‖ / ‖ν‖) make its variance small. The gradient a·d b is **unbiased** and costs what a step
/// does; its **variance** grows with S and with how long the state remembers, so that learning needs a lower rate.
pub struct Uoro<F> {
    a: Vec<F>,
    b: Vec<F>,
    /// Jᵀ's work, ν and νᵀ ∂s/∂θ.
    next: Vec<F>,
    signs: Vec<F>,
    immediate: Vec<F>,
    random: Random,
    operations: usize,
}

impl<F: Element> Uoro<F> {
    /// The estimate, zero before the first step; its signs are those of `seed`.
    pub fn new(step: &LinearStep<F>, seed: u64) -> Self {
        let (state, len) = (step.state_width(), step.layout().len);
        let zeros = |len: usize| vec![F::constant(0.0); len];
        let carried = || 0..step.carried();
        let blocks = carried().flat_map(|of| carried().map(move |by| step.carry(of, by).values().len()));
        // J a; scaling and adding in both vectors, a norm of each part, the gradient's product.
        let mut operations = blocks.sum::<usize>() + 4 * state + 5 * len;
        for rows in &step.layout().rows {
            let active = rows.rows.min(step.layout().sites[rows.site]);
            let reached = |u: usize| column(step, rows.site, u).map(|c| c.rows()).sum::<usize>();
            operations += (0..active).map(|u| reached(u) + rows.cols).sum::<usize>();
        }
        let random = Random::new(seed, "online/uoro");
        let (a, next, signs) = (zeros(state), zeros(state), zeros(state));
        Uoro { a, b: zeros(len), next, signs, immediate: zeros(len), random, operations }
    }
}

/// √(above / below) of two norms, 1 where one of them is zero or not finite.
fn factor<F: Element>(above: &[F], below: &[F]) -> F {
    let norm = |v: &[F]| v.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>().sqrt();
    let factor = (norm(above) / norm(below)).sqrt();
    F::constant(if factor.is_finite() && factor > 0.0 { factor } else { 1.0 })
}

impl<F: Element> Influence<F> for Uoro<F> {
    fn advance(&mut self, step: &LinearStep<F>) {
        let (zero, one) = (F::constant(0.0), F::constant(1.0));
        self.next.fill(zero);
        for of in 0..step.carried() {
            for by in 0..step.carried() {
                let (block, from) = (step.carry(of, by), &self.a[step.span(by)]);
                let to = &mut self.next[step.span(of)];
                match block.kind() {
                    Kind::Zero => {}
                    Kind::Diagonal => {
                        for ((to, &from), &j) in to.iter_mut().zip(from).zip(block.values()) {
                            *to = *to + j * from;
                        }
                    }
                    Kind::Dense => {
                        for (to, row) in to.iter_mut().zip(block.values().chunks(from.len())) {
                            *to = *to + dot(row, from);
                        }
                    }
                }
            }
        }
        let (mut word, mut left) = (0, 0);
        let mut sign = || {
            if left == 0 {
                (word, left) = (self.random.word(), 32);
            }
            left -= 1;
            let bit = word & 1;
            word >>= 1;
            if bit == 0 { one } else { -one }
        };
        self.signs.iter_mut().for_each(|slot| *slot = sign());
        let signs = &self.signs[..];
        self.immediate.fill(zero);
        for rows in &step.layout().rows {
            let width = step.layout().sites[rows.site];
            for row in step.active(rows) {
                let mut e = zero;
                for column in column(step, rows.site, row % width) {
                    match column {
                        Column::One(i, value) => e = e + signs[i] * value,
                        Column::All(i, values, cols, u) => {
                            values.chunks(cols).zip(&signs[i..]).for_each(|(row, &sign)| e = e + sign * row[u]);
                        }
                    }
                }
                let to = &mut self.immediate[rows.first + row * rows.cols..][..rows.cols];
                add_features(step, rows, row, e, to);
            }
        }
        let carried = factor(&self.b, &self.next);
        let fresh = factor(&self.immediate, signs);
        for ((a, &next), &sign) in self.a.iter_mut().zip(&self.next).zip(signs) {
            *a = carried * next + fresh * sign;
        }
        let (carried, fresh) = (one / carried, one / fresh);
        for (b, &immediate) in self.b.iter_mut().zip(&self.immediate) {
            *b = carried * *b + fresh * immediate;
        }
    }

    fn gradient(&mut self, d_state: &[F], d_params: &mut [F]) {
        assert!(d_state.len() == self.a.len(), "d_state has {} numbers, expected {}", d_state.len(), self.a.len());
        assert!(d_params.len() == self.b.len(), "d_params has {} numbers", d_params.len());
        d_params.fill(F::constant(0.0));
        axpy(d_params, dot(d_state, &self.a), &self.b);
    }

    fn settle(&mut self) {
        settle(&mut self.a);
        settle(&mut self.b);
    }

    fn reset(&mut self) {
        self.a.fill(F::constant(0.0));
        self.b.fill(F::constant(0.0));
    }

    fn cost(&self) -> Cost {
        Cost { numbers: self.a.len() + self.b.len(), operations: self.operations }
    }

    fn names(&self) -> Vec<String> {
        vec!["influence/state".into(), "influence/parameters".into()]
    }

    fn export(&self) -> Vec<(String, Vec<F>)> {
        vec![("influence/state".into(), self.a.clone()), ("influence/parameters".into(), self.b.clone())]
    }

    fn import(&mut self, kept: Vec<(String, Vec<F>)>) -> bool {
        let mut fits = kept.len() == 2;
        for (name, values) in kept {
            let to = match name.as_str() {
                "influence/state" => &mut self.a,
                "influence/parameters" => &mut self.b,
                _ => return false,
            };
            fits &= values.len() == to.len();
            *to = values;
        }
        fits
    }

    fn random(&self) -> u128 {
        self.random.position()
    }

    fn seek(&mut self, position: u128) {
        self.random.seek(position);
    }
}
