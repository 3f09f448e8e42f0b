use super::Golden;
use crate::network::{LanguageModel, LanguageModelConfig, TokenBatch, readout::IGNORE};
use burn::tensor::Device;
use elman_core::cells::find;

/// The model of a file, in f64, and its batch.
fn read(golden: &Golden, device: &Device) -> (LanguageModel, TokenBatch) {
    let &[vocabulary, embedding] = golden.shape("embedding.weight") else { panic!("a table") };
    let hidden = golden.shape("readout.weight")[1];
    let cell = (find("lstm").unwrap().make)();
    let config = LanguageModelConfig { vocabulary, embedding, hidden, output: hidden, layers: 2, dropout: 0.0, cell };
    let model = golden.fill(config.init(1, device).unwrap().with_learned_initial_state());
    let target = |&k: &f64| if k < 0.0 { IGNORE } else { k as u32 };
    let batch = TokenBatch {
        ids: golden.values("ids").iter().map(|&id| id as u32).collect(),
        targets: golden.values("targets").iter().map(target).collect(),
        batch: golden.shape("ids")[1],
        lengths: Some(golden.sizes("lengths").into()),
        fresh: true,
        carry: None,
    };
    (model, batch)
}

#[test]
fn the_golden_of_the_logits_is_met() {
    let device = Device::flex().autodiff();
    let golden = Golden::read("language-model");
    let (model, batch) = read(&golden, &device);
    golden.compare("loss", &super::numbers(model.loss(&batch, None, None).0));
    let d = golden.part("logits", model.logits(&batch, None).0).backward();
    golden.compare_gradients(&model, &d);
}

/// By tensor operations, as everything in f64 is; `readout` compares f32's one operation with these.
#[test]
fn the_golden_of_the_loss_is_met() {
    let device = Device::flex().autodiff();
    let golden = Golden::read("language-model-loss");
    let (model, batch) = read(&golden, &device);
    let d = golden.part("loss", model.loss(&batch, None, None).0).backward();
    golden.compare_gradients(&model, &d);
}
