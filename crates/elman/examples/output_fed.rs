//! Jordan's network with teacher forcing: all steps at once, in chunks, one by one, and backpropagation through time of the free run. Prints
//! serial steps, time and memory for a forward and backward pass over T steps.
//!
//! `cargo run --release -p elman --example output_fed`

use burn::tensor::{Device, Tensor};
use elman::network::OutputFed;
use elman::{RecurrentConfig, Sizes, cells};
use std::time::Instant;

const BATCH: usize = 8;
const SIZES: Sizes = Sizes { input: 16, hidden: 64, output: 16 };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [steps, chunk] = &arguments[..] {
        return one(steps.parse().expect("T"), chunk.parse().expect("a chunk"));
    }
    println!("Jordan, H = {}, I = P = {}, B = {BATCH}; chunk 0: free run", SIZES.hidden, SIZES.input);
    println!("{:>8} {:>8} {:>12} {:>10} {:>12}", "T", "chunk", "serial steps", "seconds", "memory MB");
    // Each in a process of its own: the peak of memory is a process's.
    let program = std::env::current_exe().expect("this program's path");
    for steps in [1_000, 10_000, 100_000] {
        for chunk in [steps, 100, 1, 0] {
            let arguments = [steps.to_string(), chunk.to_string()];
            let output =
                std::process::Command::new(&program).args(arguments).output().expect("it can be started again");
            print!("{}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

/// One line.
fn one(steps: usize, chunk: usize) {
    let device = Device::flex();
    let jordan = (cells::find("jordan").expect("registered").make)();
    let rnn = RecurrentConfig::new(jordan, SIZES).init(1, &device.clone().autodiff()).expect("sizes are not zero");
    let network = OutputFed::new(rnn).expect("it carries its output alone");
    let ones = |width: usize| Tensor::<3>::ones([steps, BATCH, width], &device).mul_scalar(0.5);
    let (x, targets, first) = (ones(SIZES.input), ones(SIZES.output), Tensor::zeros([BATCH, SIZES.output], &device));
    let with_gradient = |x: Tensor<3>| Tensor::from_inner(x);
    let before = peak();
    let began = Instant::now();
    let serial = match chunk {
        0 => {
            let y = network.free_run(with_gradient(x), Tensor::from_inner(first));
            (y - with_gradient(targets)).powi_scalar(2).sum().backward();
            steps
        }
        _ => {
            let mut serial = 0;
            let chunks =
                network.chunks(with_gradient(x), with_gradient(targets.clone()), Tensor::from_inner(first), chunk);
            for (y, range) in chunks {
                (y - with_gradient(targets.clone().slice_dim(0, range))).powi_scalar(2).sum().backward();
                serial += 1;
            }
            serial
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    println!("{steps:>8} {chunk:>8} {serial:>12} {seconds:>10.3} {:>12.1}", (peak() - before) / 1e6);
}

/// The most memory that the process has had, in bytes; 0 where the system does not tell.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
}
