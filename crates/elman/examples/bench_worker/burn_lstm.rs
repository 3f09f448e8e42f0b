//! A peer that needs no process of its own: Burn's `Lstm`, step by step in tensor operations, on the same backend.

use crate::Work;
use crate::module::numbers;
use crate::spec::{Spec, values};
use burn::nn::{Lstm, LstmConfig};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use elman::parameters::{Named, export, import};

pub struct BurnLstm {
    module: Lstm,
    x: Tensor<3>,
}

impl BurnLstm {
    pub fn new(spec: &Spec) -> Self {
        let (t, b, i, h) = (spec.number("T"), spec.number("B"), spec.number("I"), spec.number("H"));
        let device = Device::flex().autodiff();
        let module = LstmConfig::new(i, h, true).with_batch_first(false).init(&device);
        let fill = |p: Named| Named { values: parameter(spec, &p.name, i, h), ..p };
        let parameters = export(&module).into_iter().map(fill).collect();
        BurnLstm {
            module: import(module, parameters).expect("the module's own parameters"),
            x: Tensor::from_data(TensorData::new(values("x", t * b * i, 1.0), [t, b, i]), &device).require_grad(),
        }
    }

    fn pass(&self) -> (Tensor<3>, Gradients) {
        let (y, _) = self.module.forward(self.x.clone(), None);
        let gradients = y.backward();
        (y, gradients)
    }
}

/// One gate's rows of PyTorch's parameter, which Burn keeps on its own and transposed; the second bias is zero.
fn parameter(spec: &Spec, name: &str, i: usize, h: usize) -> Vec<f32> {
    let gates = ["input_gate", "forget_gate", "cell_gate", "output_gate"];
    let gate = gates.iter().position(|g| name.starts_with(g)).expect("a gate of the LSTM");
    let from_input = name.contains("input_transform");
    if name.ends_with("bias") {
        return if from_input { spec.parameter("bias_ih_l0", 4 * h)[gate * h..][..h].to_vec() } else { vec![0.0; h] };
    }
    let (torch, columns) = if from_input { ("weight_ih_l0", i) } else { ("weight_hh_l0", h) };
    let all = spec.parameter(torch, 4 * h * columns);
    (0..columns * h).map(|k| all[(gate * h + k % h) * columns + k / h]).collect()
}

impl Work for BurnLstm {
    fn run(&mut self) {
        std::hint::black_box(self.pass());
    }

    fn check(&mut self) -> Vec<(String, Vec<f32>)> {
        let (y, gradients) = self.pass();
        let d_x = self.x.grad(&gradients).expect("the input's gradient");
        vec![("y".into(), numbers(y)), ("d_x".into(), numbers(d_x))]
    }
}
