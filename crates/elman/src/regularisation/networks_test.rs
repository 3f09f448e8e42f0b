//! Networks of several layers, each run by itself.

use super::tests::{ALL, B, H, I, NONE, T, cell, layers};
use super::*;
use crate::network::testing::{doubled, numbers, tensor};
use crate::network::{BidirectionalConfig, Merge, Read, Stack};
use crate::parameters::{Named, export, import};
use crate::recurrent::RecurrentConfig;
use elman_core::Sizes;
use std::sync::Arc;

/// A stack of the layers of `rnn`, each by itself.
fn apart(rnn: &Recurrent, read: Read) -> Stack {
    let device = Device::flex();
    let parameters = export(rnn);
    let one = |(l, layer): (usize, &Arc<elman_core::Layer>)| {
        let suffix = format!("_l{l}");
        let own = parameters.iter().filter_map(|p| Some((p, p.name.strip_suffix(&suffix)?)));
        let own = own.map(|(p, stem)| Named { name: format!("{stem}_l0"), ..p.clone() }).collect();
        let config = RecurrentConfig::new(layer.cell().clone(), layer.sizes());
        doubled(import(config.init(1, &device).unwrap(), own).unwrap())
    };
    Stack::new(rnn.layers().iter().enumerate().map(one).collect(), false, read, 0.0).unwrap()
}

fn words(device: &Device) -> Input {
    let ids: Arc<[u32]> = (0..T * B).map(|k| (k * k % 6) as u32).collect();
    Input::Tokens { ids, batch: B, table: tensor([6, I], "table", device) }
}

fn lengths() -> Option<Arc<[usize]>> {
    Some([2, T, 4].into())
}

#[test]
fn a_stack_of_one_layer_is_that_layer() {
    let device = Device::flex();
    let rnn = layers(cell("gru"), 1, &device);
    let stack = Stack::new(vec![rnn.clone()], false, Read::Last, 0.0).unwrap().with_regularisation(ALL).unwrap();
    for lengths in [None, lengths()] {
        let mut random = [Random::new(5, "masks"), Random::new(5, "masks")];
        let found = stack.run_regularised(words(&device), None, lengths.clone(), Some(&mut random[0]));
        let options = Options { lengths, dropout: Some(&mut random[1]), ..Options::default() };
        let want = ALL.run(&rnn, words(&device), None, options);
        assert_eq!(numbers(found.y), numbers(want.y));
        assert_eq!(numbers(found.penalty.unwrap()), numbers(want.penalty.unwrap()));
        assert_eq!(numbers(found.state.layers[0][0].clone()), numbers(want.state.layers[0][0].clone()));
        assert_eq!(random[0].position(), random[1].position());
    }
}

/// One kind of mask at a time is drawn in the same order by both.
#[test]
fn a_stack_of_layers_is_the_layers_together() {
    let device = Device::flex();
    let rnn = layers(cell("lstm"), 3, &device);
    for some in [
        Regularisation { dropout_words: 0.5, ..NONE },
        Regularisation { dropout_input: 0.5, ..NONE },
        Regularisation { dropout_between: 0.5, ..NONE },
        Regularisation { dropout_recurrent: 0.5, ..NONE },
        Regularisation { drop_connect: 0.5, ..NONE },
        Regularisation { dropout_output: 0.5, activation: 1.5, temporal: 0.5, ..NONE },
    ] {
        let stack = apart(&rnn, Read::Last).with_regularisation(some).unwrap();
        let mut random = [Random::new(5, "masks"), Random::new(5, "masks")];
        let found = stack.run_regularised(words(&device), None, lengths(), Some(&mut random[0]));
        let options = Options { lengths: lengths(), dropout: Some(&mut random[1]), ..Options::default() };
        let want = some.run(&rnn, words(&device), None, options);
        let plain = numbers(rnn.run(words(&device), None, Options { lengths: lengths(), ..Options::default() }).0);
        assert_ne!(numbers(found.y.clone()), plain, "{some:?}");
        assert_eq!(numbers(found.y), numbers(want.y), "{some:?}");
        assert_eq!(found.penalty.map(numbers), want.penalty.map(numbers), "{some:?}");
        // At evaluation nothing is dropped.
        let found = stack.run_regularised(words(&device), None, lengths(), None);
        assert_eq!(numbers(found.y), plain);
        assert!(found.penalty.is_none() && found.output_mask.is_none());
    }
}

/// The mask of the output is as wide as what is read, and one for all steps.
#[test]
fn the_output_is_what_is_read() {
    let device = Device::flex();
    let some = Regularisation { dropout_output: 0.5, ..NONE };
    let stack = apart(&layers(cell("elman"), 2, &device), Read::All).with_regularisation(some).unwrap();
    let x = || Input::Dense(tensor([T, B, I], "x", &device));
    let (plain, _) = stack.run(x(), None, None, None);
    let found = stack.run_regularised(x(), None, None, Some(&mut Random::new(5, "masks")));
    let mask = numbers(found.output_mask.unwrap());
    assert_eq!(mask.len(), B * 2 * H);
    let want: Vec<f64> = numbers(plain).iter().enumerate().map(|(k, y)| y * mask[k % mask.len()]).collect();
    assert_eq!(numbers(found.y), want);
}

/// The two directions, by hand: words are dropped once for both, everything else for each by itself.
#[test]
fn directions_have_masks_of_their_own() {
    let device = Device::flex();
    for merge in [Merge::Concat, Merge::Sum] {
        let config =
            BidirectionalConfig { layers: 2, merge, ..BidirectionalConfig::new(cell("gru"), Sizes::new(I, H)) };
        let plain = doubled(config.init(3, &device).unwrap());
        let network = plain.clone().with_regularisation(ALL).unwrap();
        let found = network.run_regularised(words(&device), None, lengths(), Some(&mut Random::new(5, "masks")));

        let mut random = Random::new(5, "masks");
        let mut input = ALL.drop_words(words(&device), Some(&mut random));
        for (l, pair) in network.layers().iter().enumerate() {
            let dropout_input = if l == 0 { ALL.dropout_input } else { ALL.dropout_between };
            let own = Regularisation { dropout_recurrent: 0.5, drop_connect: 0.5, dropout_input, ..NONE };
            let mut directions = Vec::new();
            for (one, reverse) in pair.iter().zip([false, true]) {
                let options = Options { lengths: lengths(), reverse, dropout: Some(&mut random), ..Options::default() };
                directions.push(own.run(one, input.clone(), None, options).y);
            }
            let y = match merge {
                Merge::Concat => Tensor::cat(directions, 2),
                Merge::Sum => directions.remove(0) + directions.remove(0),
            };
            input = Input::Dense(y);
        }
        let Input::Dense(raw) = input else { unreachable!() };
        let mask = found.output_mask.unwrap();
        let want = raw * mask.unsqueeze::<3>();
        assert_eq!(numbers(found.y), numbers(want), "{merge:?}");
        assert!(numbers(found.penalty.unwrap())[0] > 0.0);
        // At evaluation nothing is dropped.
        let [found, want] = [network, plain].map(|n| numbers(n.run(words(&device), None, lengths(), None).0));
        assert_eq!(found, want);
    }
}

#[test]
fn what_no_layer_has_cannot_be_dropped() {
    let device = Device::flex();
    let stack = |cells: [&str; 2]| {
        let one = |name: &&str| RecurrentConfig::new(cell(name), Sizes::new(H, H)).init(1, &device).unwrap();
        Stack::new(cells.iter().map(one).collect(), false, Read::Last, 0.0).unwrap()
    };
    let some = Regularisation { drop_connect: 0.5, ..NONE };
    let line = "drop-connect is 0.5; it must be 0 for a cell without a matrix of what is carried";
    assert_eq!(stack(["indrnn", "unit-feedback"]).with_regularisation(some).unwrap_err().to_string(), line);
    assert!(stack(["indrnn", "gru"]).with_regularisation(some).is_ok());
    let config = BidirectionalConfig::new(cell("indrnn"), Sizes::new(I, H));
    let error = config.init(1, &device).unwrap().with_regularisation(some).unwrap_err();
    assert_eq!(error.to_string(), line);
}
