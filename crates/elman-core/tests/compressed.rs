//! Streaming with compressed weights is streaming with the rounded weights.

use elman_core::algebra::Element;
use elman_core::algebra::lanes::Isa;
use elman_core::engine::{Engine, StepInput, Stepper, WeightFormat};
use elman_core::layer::Role;
use elman_core::testing::{ENGINES_F32, ENGINES_F64, Problem, same};
use elman_core::{Layer, Sizes, cells};
use std::sync::Arc;

/// The nearest number with 8 bits of precision, ties to even.
fn to_bf16<F: Element>(x: F) -> F {
    let bits = (x.to_f64() as f32).to_bits();
    let (low, high) = (bits & 0xffff, bits >> 16);
    let up = low > 0x8000 || (low == 0x8000 && high & 1 == 1);
    F::constant(f64::from(f32::from_bits((high + u32::from(up)) << 16)))
}

/// A row of a matrix as whole multiples of its largest number / 127.
fn to_int8<F: Element>(row: &mut [F]) {
    let scale = row.iter().fold(0.0, |max: f64, x| max.max(x.to_f64().abs())) / 127.0;
    row.iter_mut().for_each(|x| *x = F::constant((x.to_f64() / scale).round()) * F::constant(scale));
}

/// Every output, step by step.
fn run<F: Element>(engine: &Arc<Engine>, p: &Problem<F>, params: &[Vec<F>], format: WeightFormat) -> Vec<F> {
    let params: Vec<&[F]> = params.iter().map(Vec::as_slice).collect();
    let mut stepper = Stepper::with_weights(engine, &p.layer, &params, p.batch, None, format);
    let width = p.batch * p.layer.sizes().input;
    p.input.chunks(width).flat_map(|x| stepper.step(StepInput::Dense(x)).to_vec()).collect()
}

fn rounded_weights<F: Element>(tolerance: f64) {
    for entry in cells::REGISTRY {
        // More than one panel of units and of columns, neither full, on every instruction set.
        let layer = Layer::new((entry.make)(), Sizes { input: 70, hidden: 67, output: 9 }).unwrap();
        // And rows enough for products of the input straight to the pre-activations.
        for p in [Problem::<F>::new(&layer, 5, 3, 1), Problem::<F>::new(&layer, 2, 25, 1)] {
            let rounded = |format: WeightFormat| -> Vec<Vec<F>> {
                let parameters = layer.parameters().iter().zip(&p.params);
                let round = |(parameter, values): (&elman_core::layer::Parameter, &Vec<F>)| {
                    let mut values = values.clone();
                    match (parameter.role, format) {
                        (Role::Weight, WeightFormat::Bf16) => values.iter_mut().for_each(|x| *x = to_bf16(*x)),
                        (Role::Weight, WeightFormat::Int8) => values.chunks_mut(parameter.cols).for_each(to_int8),
                        _ => {}
                    }
                    values
                };
                parameters.map(round).collect()
            };
            for isa in Isa::available() {
                for threads in [1, 2] {
                    let engine = Arc::new(Engine::with(isa, threads));
                    // The same sums of the same numbers for bf16; int8 multiplies by the factor after the sum instead of before.
                    for (format, tolerance) in [(WeightFormat::Bf16, 0.0), (WeightFormat::Int8, tolerance)] {
                        let got = run(&engine, &p, &p.params, format);
                        let want = run(&engine, &p, &rounded(format), WeightFormat::Full);
                        let what = format!("{}, {} rows, {isa}, {threads} threads, {format:?}", entry.name, p.batch);
                        same(&what, &got, &want, tolerance).unwrap();
                        assert!(got != run(&engine, &p, &p.params, WeightFormat::Full), "{what}: nothing was rounded");
                    }
                }
            }
        }
    }
}

#[test]
fn compressed_weights_are_the_rounded_weights_f32() {
    rounded_weights::<f32>(ENGINES_F32);
}

#[test]
fn compressed_weights_are_the_rounded_weights_f64() {
    rounded_weights::<f64>(ENGINES_F64);
}
