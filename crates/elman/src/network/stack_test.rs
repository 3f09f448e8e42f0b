use super::*;
use crate::network::testing::{Golden, doubled, gradient_check, numbers, tensor};
use elman_core::cells::find;

const T: usize = 5;
const B: usize = 3;

fn layer(cell: &str, hidden: usize) -> StackLayer {
    StackLayer::new((find(cell).unwrap().make)(), hidden)
}

fn mixed() -> StackConfig {
    StackConfig::new(2, vec![layer("elman", 4), layer("lstm", 3), layer("gru", 5)])
}

#[test]
fn it_is_its_layers_one_after_the_other() {
    let device = Device::flex();
    for (residual, read) in [(false, Read::Last), (false, Read::All), (true, Read::Last), (true, Read::All)] {
        let layers = ["elman", "lstm", "gru"].map(|cell| layer(cell, 4)).to_vec();
        let config = if residual { StackConfig::new(2, layers) } else { mixed() };
        let stack = doubled(StackConfig { residual, read, ..config }.init(1, &device).unwrap());
        let x = tensor([T, B, 2], "x", &device);
        let initial: Vec<Vec<Tensor<2>>> = stack
            .layers()
            .iter()
            .enumerate()
            .map(|(l, one)| {
                let widths = one.layers()[0].state_widths().into_iter().enumerate();
                widths.map(|(k, w)| tensor([B, w], &format!("state {l} {k}"), &device)).collect()
            })
            .collect();
        let (y, last) = stack.forward(x.clone(), Some(State { layers: initial.clone() }));
        let (mut input, mut outputs, mut states) = (x, Vec::new(), Vec::new());
        for (l, one) in stack.layers().iter().enumerate() {
            let (mut h, after) = one.forward(input.clone(), Some(State { layers: vec![initial[l].clone()] }));
            if residual && l > 0 {
                h = h + input;
            }
            states.extend(after.layers.into_iter().flatten());
            outputs.push(h.clone());
            input = h;
        }
        let want = if read == Read::All { Tensor::cat(outputs, 2) } else { input };
        assert_eq!(numbers(y), numbers(want), "{residual} {read:?}");
        for (found, want) in last.layers.into_iter().flatten().zip(states) {
            assert_eq!(numbers(found), numbers(want));
        }
        assert_eq!(stack.widths(), [2, if read == Read::All { 12 } else { [5, 4][usize::from(residual)] }]);
    }
}

#[test]
fn a_layer_may_itself_be_a_stack_and_rows_may_have_lengths() {
    let device = Device::flex();
    let two = RecurrentConfig { layers: 2, ..RecurrentConfig::new((find("lstm").unwrap().make)(), Sizes::new(2, 3)) };
    let one = RecurrentConfig::new((find("gru").unwrap().make)(), Sizes::new(3, 4));
    let layers = vec![two.init(1, &device).unwrap(), one.init(2, &device).unwrap()];
    let stack = doubled(Stack::new(layers, false, Read::Last, 0.0).unwrap());
    let x = tensor([T, B, 2], "x", &device);
    let (_, state) = stack.forward(x.clone(), None);
    assert_eq!(state.layers.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    let lengths: Arc<[usize]> = [2, 5, 4].into();
    let (y, last) = stack.run(Input::Dense(x.clone()), Some(state.clone()), Some(lengths.clone()), None);
    for b in 0..B {
        let rows = |s: &Tensor<2>| s.clone().slice_dim(0, b..b + 1);
        let alone = State { layers: state.layers.iter().map(|l| l.iter().map(rows).collect()).collect() };
        let x = x.clone().slice([0..lengths[b], b..b + 1]);
        let (want, want_last) = stack.forward(x, Some(alone));
        // The engine promises the same bits.
        assert_eq!(numbers(y.clone().slice([0..lengths[b], b..b + 1])), numbers(want));
        for (found, want) in last.layers.iter().flatten().zip(want_last.layers.into_iter().flatten()) {
            assert_eq!(numbers(rows(found)), numbers(want));
        }
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    let layers = ["elman", "gru"].map(|cell| layer(cell, 3)).to_vec();
    let config = StackConfig { residual: true, read: Read::All, ..StackConfig::new(2, layers) };
    gradient_check(config.init(3, &device).unwrap(), |stack| {
        let (y, last) = stack.forward(tensor([T, B, 2], "x", &device), None);
        let d_y = tensor(y.dims(), "d y", &device);
        (y * d_y).sum() + (last.layers[0][0].clone() * tensor([B, 3], "d state", &device)).sum()
    });
}

#[test]
fn dropout_is_drawn_between_layers_only() {
    let device = Device::flex();
    let run = |layers: usize, random: Option<&mut Random>| {
        let config = StackConfig::new(2, vec![layer("elman", 8); layers]);
        let stack = StackConfig { dropout: 0.5, ..config }.init(1, &device).unwrap();
        let x = Input::Dense(Tensor::ones([T, B, 2], &device));
        crate::flex::to_vec(stack.run(x, None, None, random).0)
    };
    let mut random = Random::new(1, "masks");
    assert_ne!(run(3, Some(&mut random)), run(3, None));
    assert_eq!(random.position(), 2 * (T * B * 8) as u128);
    assert_eq!(run(1, Some(&mut random)), run(1, None));
}

#[test]
fn what_does_not_fit_together_is_an_error() {
    let device = Device::flex();
    let message = |config: StackConfig| config.init(1, &device).unwrap_err().to_string();
    assert_eq!(message(StackConfig::new(2, Vec::new())), "the number of layers is 0, which is not in 1..=1000000");
    assert_eq!(message(StackConfig::new(2, vec![layer("gru", 3), layer("gru", 0)])), "hidden size must be at least 1");
    let line =
        "layer 1 cannot add its input of width 4 to its output of width 3: make them equal, or do without residual";
    assert_eq!(message(StackConfig { residual: true, ..mixed() }), line);
    assert_eq!(message(StackConfig { dropout: -0.1, ..mixed() }), "the dropout probability -0.1 is not in [0, 1)");
    let one =
        |input| RecurrentConfig::new((find("gru").unwrap().make)(), Sizes::new(input, 4)).init(1, &device).unwrap();
    let line = "layer 1 takes inputs of width 3, and what comes before it has width 4";
    let error = Stack::new(vec![one(2), one(3)], false, Read::Last, 0.0).unwrap_err();
    assert_eq!(error.to_string(), line);
}

#[test]
fn layers_of_one_kind_are_drawn_differently() {
    let stack = StackConfig::new(4, vec![layer("gru", 4); 3]).init(1, &Device::flex()).unwrap();
    let named = crate::parameters::export(&stack);
    assert_eq!((&named[0].name[..], &named[3].name[..]), ("layers.0.weight_ih_l0", "layers.1.weight_ih_l0"));
    for (k, p) in named.iter().enumerate() {
        assert!(named[..k].iter().all(|q| q.values != p.values), "{}", p.name);
    }
}

#[test]
fn the_goldens_are_met() {
    let device = Device::flex().autodiff();
    for (name, residual, read) in
        [("stack", false, Read::Last), ("stack-lengths", false, Read::Last), ("stack-residual", true, Read::All)]
    {
        let golden = Golden::read(name);
        let sizes = golden.sizes("sizes");
        let layers = ["elman", "lstm", "gru-reset-after"].iter().zip(&sizes[1..]).map(|(c, &h)| layer(c, h)).collect();
        let config = StackConfig { residual, read, ..StackConfig::new(sizes[0], layers) };
        let stack = golden.fill(config.init(1, &device).unwrap());
        let x = golden.leaf::<3>("x", &device);
        let names = [vec!["h_l0"], vec!["h_l1", "c_l1"], vec!["h_l2"]];
        let initial = names.clone().map(|layer| -> Vec<Tensor<2>> {
            layer.iter().map(|name| golden.leaf(&name.replace("_l", "0_l"), &device)).collect()
        });
        let lengths = name.ends_with("lengths").then(|| golden.sizes("lengths").into());
        let state = State { layers: initial.to_vec() };
        let (y, last) = stack.run(Input::Dense(x.clone()), Some(state), lengths, None);
        let mut loss = golden.part("y", y);
        for (name, value) in names.iter().flatten().zip(last.layers.into_iter().flatten()) {
            loss = loss + golden.part(name, value);
        }
        let d = loss.backward();
        golden.compare_gradients(&stack, &d);
        golden.compare_leaf("x", &x, &d);
        for (name, value) in names.iter().flatten().zip(initial.iter().flatten()) {
            golden.compare_leaf(&name.replace("_l", "0_l"), value, &d);
        }
    }
}
