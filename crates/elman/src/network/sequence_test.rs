use super::*;
use crate::flex::to_vec;
use crate::network::testing::{Golden, gradient_check};
use crate::parameters::export;
use crate::train::{BatchSource, Optimiser, Rule, Trainer};
use elman_core::cells::find;

const T: usize = 5;
const B: usize = 3;

fn config(cell: &str, predict: Predict, learn_initial_state: bool) -> SequenceNetworkConfig {
    SequenceNetworkConfig {
        cell: (find(cell).unwrap().make)(),
        sizes: Sizes { input: 2, hidden: 4, output: 3 },
        layers: 2,
        outputs: 2,
        predict,
        init: Init::default(),
        learn_initial_state,
    }
}

fn batch(lengths: Option<[usize; B]>, target: Target) -> SequenceBatch {
    let mut random = Random::new(2, "x");
    let x = (0..T * B * 2).map(|_| random.symmetric(1.0)).collect();
    SequenceBatch { x, batch: B, lengths: lengths.map(|l| l.into()), target, fresh: true }
}

#[test]
fn the_last_prediction_is_the_one_at_each_rows_last_step() {
    let device = Device::flex().autodiff();
    // `lstm-projected` has an output of another width, and carries it beside c.
    for (cell, lengths) in [("lstm", None), ("lstm-projected", Some([2, 5, 1])), ("gru", Some([5, 3, 4]))] {
        let batch = batch(lengths, Target::Classes(vec![]));
        let last = config(cell, Predict::Last, false).init(1, &device).unwrap();
        let every = config(cell, Predict::Every, false).init(1, &device).unwrap();
        assert_eq!(export(&last), export(&every));
        let last = to_vec(last.predictions(&batch, None).0);
        let every = to_vec(every.predictions(&batch, None).0);
        assert_eq!(every.len(), T * B * 2);
        for b in 0..B {
            let t = lengths.map_or(T, |l| l[b]) - 1;
            assert_eq!(last[b * 2..][..2], every[(t * B + b) * 2..][..2], "{cell}, row {b}");
        }
    }
}

#[test]
fn losses_are_the_means_that_they_say() {
    let device = Device::flex().autodiff();
    let close = |found: Tensor<1>, want: f32| {
        let found = to_vec(found)[0];
        // f32 sums of some ten terms.
        assert!((found - want).abs() <= 1e-6 * want.abs(), "{found} {want}");
    };
    let mut random = Random::new(3, "targets");
    let values: Vec<f32> = (0..T * B * 2).map(|_| random.symmetric(1.0)).collect();
    let lengths = [2, 5, 1];
    let network = config("lstm", Predict::Every, false).init(1, &device).unwrap();

    let all = batch(None, Target::Values(values.clone()));
    let square = |i: usize, p: &[f32]| (p[i] - values[i]).powi(2);
    let p = to_vec(network.predictions(&all, None).0);
    close(network.loss(&all, None).0, (0..values.len()).map(|i| square(i, &p)).sum::<f32>() / values.len() as f32);

    let some = batch(Some(lengths), Target::Values(values.clone()));
    let p = to_vec(network.predictions(&some, None).0);
    let valid = |i: &usize| i / 2 / B < lengths[i / 2 % B];
    let sum: f32 = (0..values.len()).filter(valid).map(|i| square(i, &p)).sum();
    close(network.loss(&some, None).0, sum / 16.0);

    let network = config("lstm", Predict::Last, false).init(1, &device).unwrap();
    let classes = batch(Some(lengths), Target::Classes(vec![1, readout::IGNORE, 0]));
    let p = to_vec(network.predictions(&classes, None).0);
    let nats = |b: usize, k: usize| (p[2 * b].exp() + p[2 * b + 1].exp()).ln() - p[2 * b + k];
    close(network.loss(&classes, None).0, (nats(0, 1) + nats(2, 0)) / 2.0);
    assert_eq!(SequenceNetwork::count(&classes), 2);
}

/// Whatever stands beyond a row's length, NaN included, is as good as nothing.
#[test]
fn what_stands_beyond_a_rows_length_counts_for_nothing() {
    let device = Device::flex().autodiff();
    let lengths = [2, 5, 3];
    let network = config("gru", Predict::Every, false).init(1, &device).unwrap();
    let beyond = |i: usize, width: usize| i / width / B >= lengths[i / width % B];
    let learnt = |batch: &SequenceBatch| {
        let loss = network.loss(batch, None).0;
        let mut gradients = loss.backward();
        let gradients = crate::parameters::gradients(&network, &mut gradients);
        (to_vec(loss), gradients.into_iter().map(|(name, g)| (name, g.to_vec())).collect::<Vec<_>>())
    };
    let zeros = |values: &mut [f32], width: usize| {
        values.iter_mut().enumerate().filter(|(i, _)| beyond(*i, width)).for_each(|(_, v)| *v = 0.0);
    };
    let nans = |values: &mut [f32], width: usize| {
        values.iter_mut().enumerate().filter(|(i, _)| beyond(*i, width)).for_each(|(_, v)| *v = f32::NAN);
    };
    let values: Vec<f32> = (0..T * B * 2).map(|i| (i % 7) as f32 / 4.0 - 0.75).collect();
    let (mut clean, mut spoilt) = (values.clone(), values);
    zeros(&mut clean, 2);
    nans(&mut spoilt, 2);
    let (mut clean, mut spoilt) =
        (batch(Some(lengths), Target::Values(clean)), batch(Some(lengths), Target::Values(spoilt)));
    zeros(&mut clean.x, 2);
    nans(&mut spoilt.x, 2);
    let want = learnt(&clean);
    assert!(want.0[0] > 0.0 && want.1.iter().any(|(_, g)| g.iter().any(|&g| g != 0.0)));
    assert_eq!(learnt(&spoilt), want);

    let classes: Vec<u32> = (0..T * B).map(|i| (i % 2) as u32).collect();
    let left_out = classes.iter().enumerate().map(|(i, &c)| if beyond(i, 1) { readout::IGNORE } else { c }).collect();
    let (padded, left_out) =
        (batch(Some(lengths), Target::Classes(classes)), batch(Some(lengths), Target::Classes(left_out)));
    assert_eq!(learnt(&padded), learnt(&left_out));
    assert_eq!((SequenceNetwork::count(&padded), SequenceNetwork::count(&left_out)), (10, 10));
}

#[test]
fn gradients_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    let values: Vec<f32> = (0..T * B * 2).map(|i| (i % 7) as f32 / 4.0 - 0.75).collect();
    for (predict, target) in
        [(Predict::Last, Target::Classes(vec![1, 0, readout::IGNORE])), (Predict::Every, Target::Values(values))]
    {
        for lengths in [None, Some([2, 5, 3])] {
            let batch = batch(lengths, target.clone());
            let network = config("gru", predict, true).init(1, &device).unwrap();
            gradient_check(network, |network| network.loss(&batch, None).0);
        }
    }
}

/// Whether more numbers were positive than negative.
struct Majority(u64);

impl BatchSource<SequenceBatch> for Majority {
    fn next_batch(&mut self) -> Result<SequenceBatch, String> {
        self.0 += 1;
        let mut random = Random::new(self.0, "majority");
        let x: Vec<f32> = (0..T * 16 * 2).map(|_| random.symmetric(1.0).signum()).collect();
        let sum = |b: usize| (0..T).map(|t| x[(t * 16 + b) * 2]).sum::<f32>();
        let target = Target::Classes((0..16).map(|b| u32::from(sum(b) > 0.0)).collect());
        Ok(SequenceBatch { x, batch: 16, lengths: None, target, fresh: true })
    }
    fn cursor(&self) -> String {
        self.0.to_string()
    }
    fn seek(&mut self, _: &str) -> Result<(), String> {
        Err("not needed".into())
    }
}

#[test]
fn it_learns_and_so_does_its_initial_state() {
    let network = config("gru", Predict::Last, true).init(1, &Device::flex().autodiff()).unwrap();
    assert_eq!(export(&network).iter().filter(|p| p.name.starts_with("initial.")).count(), 2);
    let mut trainer = Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), 0.02, 1);
    let (mut first, mut last) = (0.0, 0.0);
    trainer
        .run(&mut Majority(0), 200, |report, _| {
            match report.step {
                1..=20 => first += report.loss / 20.0,
                181.. => last += report.loss / 20.0,
                _ => {}
            }
            true
        })
        .unwrap();
    // A guess costs ln 2 nats; a sum of five signs is learnt nearly whole.
    assert!(first > 0.5 && last < 0.1, "{first} {last}");
    let moved = export(trainer.network()).into_iter().filter(|p| p.name.starts_with("initial."));
    assert!(moved.flat_map(|p| p.values).all(|x| x != 0.0));
}

#[test]
fn wrong_sizes_are_errors() {
    let none = SequenceNetworkConfig { outputs: 0, ..config("gru", Predict::Last, false) };
    assert_eq!(none.init(1, &Device::flex()).unwrap_err().to_string(), "number of outputs must be at least 1");
}

#[test]
fn the_goldens_are_met() {
    let device = Device::flex().autodiff();
    for (name, predict) in [("sequence-last", Predict::Last), ("sequence-every", Predict::Every)] {
        let golden = Golden::read(name);
        let single = |what: &str| golden.values(what).iter().map(|&v| v as f32).collect::<Vec<f32>>();
        let [input, hidden, outputs] = golden.sizes("sizes")[..] else { panic!("sizes") };
        let sizes = Sizes::new(input, hidden);
        let config = SequenceNetworkConfig { sizes, layers: 1, outputs, ..config("gru-reset-after", predict, false) };
        let network = golden.fill(config.init(1, &device).unwrap());
        // What stands in the file as f64 is exact in f32.
        let class = |&k: &f64| if k < 0.0 { readout::IGNORE } else { k as u32 };
        let target = match predict {
            Predict::Last => Target::Classes(golden.values("classes").iter().map(class).collect()),
            Predict::Every => Target::Values(single("values")),
        };
        let lengths = Some(golden.sizes("lengths").into());
        let batch = SequenceBatch { x: single("x"), batch: golden.shape("x")[1], lengths, target, fresh: true };
        let (predictions, loss) = (network.predictions(&batch, None).0, network.loss(&batch, None).0);
        let d = (golden.part("loss", loss) + golden.part("predictions", predictions)).backward();
        golden.compare_gradients(&network, &d);
    }
}
