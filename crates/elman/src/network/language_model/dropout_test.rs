use super::*;
use crate::network::testing::{gradient_check, numbers};
use elman_core::cells::find;

const V: usize = 6;
const T: usize = 4;
const B: usize = 3;

fn batch() -> TokenBatch {
    let ids: Vec<u32> = (0..T * B).map(|i| (i * 5 % V) as u32).collect();
    let targets = (0..T * B).map(|i| (i * 2 % V) as u32).collect();
    TokenBatch { ids: ids.into(), targets, batch: B, lengths: None, fresh: true, carry: None }
}

fn model(device: &Device) -> LanguageModel {
    let cell = (find("lstm").unwrap().make)();
    let config =
        LanguageModelConfig { vocabulary: V, embedding: 5, hidden: 3, output: 3, layers: 2, dropout: 0.4, cell };
    config.init(1, device).unwrap()
}

/// The loss written out: a mask of its own for the embedding's output, between the layers and before the readout, in this order, the first
/// layer's input dense.
#[test]
fn masks_stand_where_no_recurrent_connection_is() {
    let device = Device::flex().autodiff();
    let (p, q) = (0.3, 0.2);
    let model = crate::network::testing::doubled(model(&device)).with_dropout(p, q).unwrap();
    let found = numbers(model.loss(&batch(), None, Some(&mut Random::new(4, "train"))).0)[0];

    let mut random = Random::new(4, "train");
    let table = numbers(model.embedding.weight.val());
    let mut mask = vec![0.0; T * B * 5];
    random.dropout(p, &mut mask);
    let x: Vec<f64> = batch()
        .ids
        .iter()
        .flat_map(|&id| table[id as usize * 5..][..5].to_vec())
        .zip(&mask)
        .map(|(x, &m)| x * f64::from(m))
        .collect();
    let x = Tensor::<3>::from_data(TensorData::new(x, [T, B, 5]), (&device, burn::tensor::DType::F64));
    let options = Options { dropout: Some(&mut random), ..Options::default() };
    let (y, _) = model.rnn.run(Input::Dense(x), None, options);
    let y = drop_elements(y, q, &mut random).reshape([T * B, 3]);
    let want = readout::cross_entropy(y, model.readout.weight.val(), model.readout.bias.val(), &batch().targets);
    // The same operations in f64, in another order at most.
    assert!((found - numbers(want)[0]).abs() < 1e-13);
    assert!(mask.contains(&0.0) && mask.iter().any(|&m| m > 1.0));
}

#[test]
fn gradients_with_masks_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    gradient_check(model(&device).with_dropout(0.3, 0.2).unwrap(), |model| {
        model.loss(&batch(), None, Some(&mut Random::new(4, "train"))).0
    });
}

#[test]
fn everything_is_never_dropped() {
    let error = model(&Device::flex()).with_dropout(0.0, 1.0).unwrap_err();
    assert_eq!(error.to_string(), "dropout-readout is 1; it must be from 0 to below 1");
}

/// With so little dropout of elements that none falls, words are dropped as they are without it.
#[test]
fn words_are_dropped_from_the_table_that_elements_are_looked_up_in() {
    let device = Device::flex();
    let words = Regularisation { dropout_words: 0.5, ..Regularisation::default() };
    let config = |dropout: f64, words: Regularisation| {
        let cell = (find("lstm").unwrap().make)();
        let config =
            LanguageModelConfig { vocabulary: V, embedding: 5, hidden: 3, output: 3, layers: 1, dropout: 0.0, cell };
        let model = crate::network::testing::doubled(config.init(1, &device).unwrap());
        model.with_dropout(dropout, 0.0).unwrap().with_regularisation(words).unwrap()
    };
    let loss = |model: LanguageModel| numbers(model.loss(&batch(), None, Some(&mut Random::new(4, "train"))).0)[0];
    let (both, alone) = (loss(config(1e-12, words)), loss(config(0.0, words)));
    assert!((both - alone).abs() < 1e-9, "{both} and {alone}");
    assert!((both - loss(config(1e-12, Regularisation::default()))).abs() > 1e-3);
}

/// Whatever stands beyond a row's length counts as little as the token that says so.
#[test]
fn targets_beyond_a_rows_length_do_not_count() {
    let device = Device::flex();
    let model = crate::network::testing::doubled(model(&device));
    let lengths: Vec<usize> = (0..B).map(|b| T - b % 2).collect();
    let long = TokenBatch { lengths: Some(lengths.clone().into()), ..batch() };
    let mut left_out = long.clone();
    let mut counted = 0;
    for (i, target) in left_out.targets.iter_mut().enumerate() {
        if i / B >= lengths[i % B] {
            *target = readout::IGNORE;
        }
        counted += usize::from(*target != readout::IGNORE);
    }
    assert_ne!(left_out.targets, long.targets);
    let loss = |batch: &TokenBatch| numbers(model.loss(batch, None, None).0)[0];
    assert_eq!(loss(&long), loss(&left_out));
    assert_eq!(LanguageModel::count(&long), counted);
}
