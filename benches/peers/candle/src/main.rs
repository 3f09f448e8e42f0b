//! candle's LSTM, forward and backward. The requests are those of `bench_worker` of the crate `elman`.

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::rnn::{LSTM, LSTMConfig, RNN, lstm};
use candle_nn::{VarBuilder, VarMap};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::BufRead;
use std::time::Instant;

/// FNV-1a of a name, mixed with an index by the finaliser of MurmurHash3; numbers in [-scale, scale), of 24 bits.
fn values(name: &str, n: usize, scale: f32) -> Vec<f32> {
    let salt = name.bytes().fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let mix = |i: u32| {
        let mut x = i.wrapping_mul(0x9e37_79b1).wrapping_add(salt);
        x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
        x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
        x ^ (x >> 16)
    };
    (0..n as u32).map(|i| ((mix(i) >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale).collect()
}

struct Layer {
    lstm: LSTM,
    /// (B, T, I), as candle wants it.
    x: Var,
}

impl Layer {
    fn new(work: &Value) -> Result<Self> {
        let number = |key: &str| work[key].as_u64().expect("a whole number") as usize;
        let (t, b, i, h) = (number("T"), number("B"), number("I"), number("H"));
        let (device, mut map) = (Device::Cpu, VarMap::new());
        let lstm = lstm(i, h, LSTMConfig::default(), VarBuilder::from_varmap(&map, DType::F32, &device))?;
        let scale = 1.0 / (h as f32).sqrt();
        let fill =
            |name: &str, shape: &[usize]| Tensor::from_vec(values(name, shape.iter().product(), scale), shape, &device);
        map.set_one("weight_ih_l0", fill("weight_ih_l0", &[4 * h, i])?)?;
        map.set_one("weight_hh_l0", fill("weight_hh_l0", &[4 * h, h])?)?;
        map.set_one("bias_ih_l0", fill("bias_ih_l0", &[4 * h])?)?;
        // Elman has one bias a gate.
        map.set_one("bias_hh_l0", Tensor::zeros(4 * h, DType::F32, &device)?)?;
        let x = Tensor::from_vec(values("x", t * b * i, 1.0), (t, b, i), &device)?;
        Ok(Layer { lstm, x: Var::from_tensor(&x.transpose(0, 1)?.contiguous()?)? })
    }

    /// The output and the input's gradient, both (T, B, width).
    fn pass(&self) -> Result<[Tensor; 2]> {
        let states = self.lstm.seq(&self.x)?;
        let y = self.lstm.states_to_tensor(&states)?;
        let gradients = y.sum_all()?.backward()?;
        let d_x = gradients.get(&self.x).expect("the input's gradient");
        Ok([y.transpose(0, 1)?, d_x.transpose(0, 1)?])
    }
}

/// Up to 257 of the values, evenly spread from the first to the last.
fn sample(tensor: &Tensor) -> Result<Vec<f32>> {
    let values: Vec<f32> = tensor.contiguous()?.flatten_all()?.to_vec1()?;
    let n = values.len().min(257);
    Ok((0..n).map(|k| values[k * (values.len() - 1) / (n - 1).max(1)]).collect())
}

fn answer(works: &mut HashMap<String, Layer>, request: &Value) -> Result<Value> {
    let id = request["id"].as_str().unwrap_or_default();
    match request["do"].as_str() {
        Some("prepare") => {
            works.insert(id.into(), Layer::new(&request["work"])?);
            Ok(json!({ "operations": 0.0 }))
        }
        Some("check") => {
            let [y, d_x] = works[id].pass()?;
            Ok(json!({ "y": sample(&y)?, "d_x": sample(&d_x)? }))
        }
        Some("time") => {
            if request["warm"] == true {
                works[id].pass()?;
            }
            let mut seconds = Vec::new();
            for _ in 0..request["calls"].as_u64().unwrap_or(1) {
                let began = Instant::now();
                works[id].pass()?;
                seconds.push(began.elapsed().as_secs_f64());
            }
            Ok(json!({ "seconds": seconds }))
        }
        Some("drop") => {
            works.remove(id);
            Ok(json!({}))
        }
        other => Ok(json!({ "error": format!("no request {other:?}") })),
    }
}

fn main() {
    let mut works = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        let request = serde_json::from_str(&line.expect("a line")).expect("a JSON object");
        let answer = answer(&mut works, &request);
        println!("{}", answer.unwrap_or_else(|error| json!({ "error": error.to_string() })));
    }
}
