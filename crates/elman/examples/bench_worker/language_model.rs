//! A whole step of a language model: embedding, layers, readout, cross-entropy, clipping, optimiser, carried state.

use crate::Work;
use crate::spec::{Spec, tokens};
use burn::tensor::Device;
use elman::Runtime;
use elman::network::{LanguageModel, LanguageModelConfig, TokenBatch};
use elman::parameters::Named;
use elman::train::{BatchSource, Optimiser, Rule, Trainer};

/// Batches that go round.
const BATCHES: usize = 4;

/// Steps whose losses are compared with a peer's.
const CHECKED: usize = 3;

pub struct Training {
    trainer: Trainer<LanguageModel>,
    source: Tokens,
}

struct Tokens {
    batches: Vec<TokenBatch>,
    next: usize,
}

impl BatchSource<TokenBatch> for Tokens {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        self.next += 1;
        Ok(self.batches[(self.next - 1) % self.batches.len()].clone())
    }

    fn cursor(&self) -> String {
        self.next.to_string()
    }

    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.next = cursor.parse().map_err(|_| format!("`{cursor}` is not a number"))?;
        Ok(())
    }
}

impl Training {
    pub fn new(spec: &Spec) -> Self {
        let (t, b, h, v) = (spec.number("T"), spec.number("B"), spec.number("H"), spec.number("V"));
        let config = LanguageModelConfig {
            vocabulary: v,
            embedding: h,
            hidden: h,
            output: h,
            layers: spec.number("layers"),
            dropout: 0.0,
            cell: spec.cell(),
        };
        let network = config.init(1, &Device::flex().autodiff()).expect("sizes are not zero");
        let fill = |p: Named| Named { values: spec.parameter(&p.name, p.values.len()), ..p };
        let parameters = network.parameters().into_iter().map(fill).collect();
        let mut network = network.with_parameters(parameters).expect("the network's own parameters");
        network.rnn = network.rnn.with_runtime(Runtime::new(spec.number("threads")));
        let batch = |k: usize| TokenBatch {
            ids: tokens(&format!("ids{k}"), t * b, v as u32).into(),
            targets: tokens(&format!("targets{k}"), t * b, v as u32),
            batch: b,
            lengths: None,
            fresh: false,
            carry: None,
        };
        let rule = if spec.text("rule") == "adam" { Rule::ADAM } else { Rule::SGD };
        let mut trainer = Trainer::new(network, Optimiser::new(rule, 0.0), spec.real("rate"), 1);
        trainer.clip = Some(spec.real("clip"));
        Training { trainer, source: Tokens { batches: (0..BATCHES).map(batch).collect(), next: 0 } }
    }
}

impl Work for Training {
    fn run(&mut self) {
        self.trainer.step(&mut self.source).expect("a finite loss");
    }

    fn check(&mut self) -> Vec<(String, Vec<f32>)> {
        let mut loss = || self.trainer.step(&mut self.source).expect("a finite loss").loss as f32;
        vec![("loss".into(), (0..CHECKED).map(|_| loss()).collect())]
    }
}
