//! What `--watch` writes to TensorBoard: the values, against the parameters, the gradients and the gates of the run itself.

mod common;

use common::{Place, elman, finish, same, text};
use elman_run::{Model, TensorFile, Vocabulary};
use std::collections::BTreeMap;

/// Scalars by tag and step.
type Scalars = BTreeMap<(String, u64), f64>;

/// A field of a protocol buffer; numbers as their bits.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn take<'a>(n: usize, data: &mut &'a [u8]) -> &'a [u8] {
    let (head, tail) = data.split_at(n);
    *data = tail;
    head
}

fn varint(data: &mut &[u8]) -> u64 {
    let (mut n, mut shift) = (0, 0);
    loop {
        let byte = take(1, data)[0];
        n |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return n;
        }
    }
}

/// The fields of a message by their numbers, each in its order.
fn fields(mut data: &[u8]) -> BTreeMap<u64, Vec<Field<'_>>> {
    let mut out: BTreeMap<u64, Vec<Field>> = BTreeMap::new();
    while !data.is_empty() {
        let key = varint(&mut data);
        let value = match key & 7 {
            0 => Field::Number(varint(&mut data)),
            1 => Field::Number(u64::from_le_bytes(take(8, &mut data).try_into().unwrap())),
            5 => Field::Number(u32::from_le_bytes(take(4, &mut data).try_into().unwrap()).into()),
            2 => {
                let len = varint(&mut data) as usize;
                Field::Bytes(take(len, &mut data))
            }
            other => panic!("wire type {other}"),
        };
        out.entry(key >> 3).or_default().push(value);
    }
    out
}

/// Every scalar in the event files of a run: records of a length, its checksum, an event and its checksum; in an event the step is field 2 and
/// the summary field 5, in that each value field 1, in that the tag field 1 and the number field 2.
fn scalars(place: &Place, run: &str) -> Scalars {
    let mut found = Scalars::new();
    for name in place.names(run).iter().filter(|name| name.contains("tfevents")) {
        let bytes = place.read(&format!("{run}/{name}"));
        let mut data = &bytes[..];
        while !data.is_empty() {
            let len = u64::from_le_bytes(take(8, &mut data).try_into().unwrap());
            take(4, &mut data);
            let event = fields(take(len as usize, &mut data));
            take(4, &mut data);
            let Some([Field::Bytes(summary)]) = event.get(&5).map(|f| &f[..]) else { continue };
            let [Field::Number(step)] = event[&2][..] else { panic!("an event without a step") };
            for value in &fields(summary)[&1] {
                let Field::Bytes(value) = value else { panic!("a value is a message") };
                let value = fields(value);
                let ([Field::Bytes(tag)], [Field::Number(bits)]) = (&value[&1][..], &value[&2][..]) else {
                    panic!("a value has a tag and a number")
                };
                let number = f32::from_bits(*bits as u32);
                found.insert((String::from_utf8(tag.to_vec()).unwrap(), step), number.into());
            }
        }
    }
    found
}

/// Numbers of a field in metrics.jsonl, by step.
fn metrics(place: &Place, run: &str, field: &str) -> BTreeMap<u64, f64> {
    let lines = String::from_utf8(place.read(&format!("{run}/metrics.jsonl"))).unwrap();
    let number = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        Some((line["step"].as_u64().unwrap(), line.get(field)?.as_f64().unwrap()))
    };
    lines.lines().filter_map(number).collect()
}

fn model(place: &Place, run: &str) -> Model {
    Model::load(place.path(run).join("model.safetensors")).unwrap()
}

/// Every parameter of a run's model, one after the other.
fn parameters(place: &Place, run: &str) -> Vec<f64> {
    model(place, run).tensors().into_iter().flat_map(|t| t.values).map(f64::from).collect()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

#[track_caller]
fn near(got: f64, want: f64, part: f64) {
    assert!((got - want).abs() <= part * want.abs(), "{got}, expected {want}");
}

#[test]
fn the_gradient_and_the_update_are_those_of_the_step() {
    const RATE: f64 = 0.5;
    let place = Place::new();
    let settings = "--optimiser sgd --lr 0.5 --clip off --log-every 1 --watch".split(' ');
    for steps in ["1", "2", "3"] {
        finish(place.train(steps).args(settings.clone()).args(["--steps", steps])).ok();
    }
    let seen = scalars(&place, "3");
    let norms = metrics(&place, "3", "gradient_norm");
    for step in [2, 3] {
        let (before, after) = (parameters(&place, &format!("{}", step - 1)), parameters(&place, &format!("{step}")));
        let update = norm(after.iter().zip(&before).map(|(after, before)| after - before));
        let ratio = update / norm(before.iter().copied());
        // Sums in f64 of the same numbers, rounded to f32 at the end.
        near(seen[&("watch/update_to_parameters".into(), step)], ratio, 1e-6);
        // Plain descent moves by rate times gradient. Each of some thousand parameters below 4 is rounded to 2^-23 of its size.
        let gradient = seen[&("train/gradient_norm".into(), step)];
        near(gradient, update / RATE, 1e-3);
        near(gradient, norms[&step], 1e-6);
        near(seen[&("train/learning_rate".into(), step)], RATE, 1e-6);
        assert_eq!(seen[&("train/clipped".into(), step)], 0.0);
        assert!(ratio > 1e-4 && gradient > 0.01, "{ratio} {gradient}");
    }
    // So low a rate that no parameter moves.
    let settings = ["--optimiser", "sgd", "--lr", "1e-30", "--steps", "2", "--log-every", "2", "--watch"];
    finish(place.train("still").args(settings)).ok();
    assert_eq!(scalars(&place, "still")[&("watch/update_to_parameters".into(), 2)], 0.0);
}

#[test]
fn the_clipped_share_is_that_of_the_steps_beyond_the_threshold() {
    let place = Place::new();
    // Nothing moves, so that the gradients are those of ten batches whatever is clipped.
    let settings = "--optimiser sgd --lr 1e-30 --steps 10 --watch".split(' ');
    let run = |name: &str, clip: &[&str], every: &str| {
        finish(place.train(name).args(settings.clone()).args(clip).args(["--log-every", every])).ok();
        scalars(&place, name)
    };
    let share = |seen: &Scalars, step| seen[&("train/clipped".to_string(), step)];
    run("free", &["--clip", "off"], "1");
    let norms: Vec<f64> = metrics(&place, "free", "gradient_norm").into_values().collect();
    assert_eq!(norms.len(), 10);
    let mut sorted = norms.clone();
    sorted.sort_by(f64::total_cmp);
    let middle = (sorted[5] + sorted[6]) / 2.0;
    let beyond = |steps: &[f64]| steps.iter().filter(|&&norm| norm > middle).count() as f64 / 5.0;
    let (first, second) = (beyond(&norms[..5]), beyond(&norms[5..]));
    assert!(first + second == 0.8);
    for (name, threshold, by) in [("norm", middle, "norm"), ("squared", middle * middle, "squared-norm")] {
        let seen = run(name, &["--clip", &threshold.to_string(), "--clip-by", by], "5");
        near(share(&seen, 5), first, 1e-6);
        near(share(&seen, 10), second, 1e-6);
        // The norm is that before clipping, the largest of five.
        near(seen[&("train/gradient_norm".into(), 5)], norms[..5].iter().copied().fold(0.0, f64::max), 1e-6);
    }
    for by in ["norm", "squared-norm", "value"] {
        assert_eq!(share(&run(&format!("{by}, all"), &["--clip", "1e-9", "--clip-by", by], "10"), 10), 1.0, "{by}");
        assert_eq!(share(&run(&format!("{by}, none"), &["--clip", "1e9", "--clip-by", by], "10"), 10), 0.0, "{by}");
    }
}

/// Shares of the units and steps at which the gates i, f and o of one LSTM layer are below 0.1 and above 0.9, in plain loops.
fn saturated(model: &Model, ids: &[u32]) -> BTreeMap<&'static str, (f64, f64)> {
    let tensors: BTreeMap<String, Vec<f64>> =
        model.tensors().into_iter().map(|t| (t.name, t.values.into_iter().map(f64::from).collect())).collect();
    let get = |name: &str| &tensors[name][..];
    let (w, u, b) = (get("rnn.weight_ih_l0"), get("rnn.weight_hh_l0"), get("rnn.bias_ih_l0"));
    let n = b.len() / 4;
    let width = w.len() / b.len();
    let (mut h, mut c) = (vec![0.0; n], vec![0.0; n]);
    let mut shares = BTreeMap::new();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for &id in ids {
        let x = &get("embedding.weight")[id as usize * width..][..width];
        // PyTorch's order: i, f, g, o.
        let sums: Vec<f64> =
            (0..4 * n).map(|r| dot(&w[r * width..][..width], x) + dot(&u[r * n..][..n], &h) + b[r]).collect();
        for k in 0..n {
            let [i, f, o] = [0, 1, 3].map(|gate| sigmoid(sums[gate * n + k]));
            c[k] = f * c[k] + i * sums[2 * n + k].tanh();
            h[k] = o * c[k].tanh();
            for (name, value) in [("i", i), ("f", f), ("o", o)] {
                let (shut, open): &mut (f64, f64) = shares.entry(name).or_default();
                let one = 1.0 / (n * ids.len()) as f64;
                *shut += if value < 0.1 { one } else { 0.0 };
                *open += if value > 0.9 { one } else { 0.0 };
            }
        }
    }
    shares
}

#[test]
fn the_saturated_shares_are_those_of_the_gates() {
    let place = Place::new();
    // So high a rate that some gates shut and some open.
    finish(place.train("run").args("--lr 0.2 --steps 15 --log-every 15 --watch".split(' '))).ok();
    let seen = scalars(&place, "run");
    let vocabulary = Vocabulary::load(place.path("run/vocabulary.json")).unwrap();
    let held_out: String = text(3000).chars().skip(2700).take(200).collect();
    let ids = vocabulary.encode(&held_out).unwrap();
    let mut some = 0;
    for (gate, (shut, open)) in saturated(&model(&place, "run"), &ids) {
        for (side, want) in [("below_0.1", shut), ("above_0.9", open)] {
            let got = seen[&(format!("watch/{gate}_l0_{side}"), 15)];
            // Sums in f32 there and f64 here: a value at the very edge, of 1,600, may fall to either side.
            assert!((got - want).abs() < 2.5 / 1600.0, "{gate} {side}: {got}, expected {want}");
            some += usize::from((0.02..0.98).contains(&want));
        }
    }
    assert!(some >= 3, "only {some} shares are neither none nor all");

    // A bias decides alone.
    for (bias, shut, open) in [("100", 0.0, 1.0), ("-100", 1.0, 0.0)] {
        let settings = ["--lr", "1e-30", "--steps", "1", "--log-every", "1", "--watch"];
        finish(place.train(bias).arg(format!("--forget-bias={bias}")).args(settings)).ok();
        let seen = scalars(&place, bias);
        assert_eq!(seen[&("watch/f_l0_below_0.1".into(), 1)], shut, "{bias}");
        assert_eq!(seen[&("watch/f_l0_above_0.9".into(), 1)], open, "{bias}");
    }
}

#[test]
fn watching_changes_nothing_and_is_asked_for() {
    let place = Place::new();
    // A switch needs no value.
    finish(place.train("run").args(["--watch", "--log-every", "5"])).ok();
    finish(place.train("other").args(["--log-every", "5"])).ok();
    for file in ["model.safetensors", "metrics.jsonl"] {
        same(&place.path("run").join(file), &place.path("other").join(file));
    }
    let tags = |run: &str| {
        let steps = scalars(&place, run).into_keys().filter(|(_, step)| *step == 10);
        steps.map(|(tag, _)| tag).collect::<Vec<String>>()
    };
    let plain = ["train/gradient_norm", "train/learning_rate", "train/nats"];
    assert_eq!(tags("other"), plain);
    let gates = ["f", "i", "o"].into_iter();
    let gates = gates.flat_map(|gate| ["above_0.9", "below_0.1"].map(|side| format!("watch/{gate}_l0_{side}")));
    let mut all: Vec<String> = plain.map(String::from).into_iter().chain(gates).collect();
    all.extend(["train/clipped".into(), "watch/update_to_parameters".into()]);
    all.sort();
    assert_eq!(tags("run"), all);
}

/// A plant has no gates; its updates and clipping are seen like those of a text.
#[test]
fn a_plants_updates_are_those_of_its_models() {
    let place = Place::new();
    let train = |out: &str, steps: &str, more: &[&str]| {
        let mut command = elman();
        command.args(["train", "plant", "--out"]).arg(place.path(out)).args(more);
        command.args(
            "--hidden 8 --samples 200 --batch 4 --seq-len 10 --schedule constant --log-every 1 --clip 0.01".split(' '),
        );
        finish(command.args(["--steps", steps])).ok();
    };
    train("nine", "9", &[]);
    train("ten", "10", &["--watch"]);
    train("plain", "10", &[]);
    same(&place.path("ten/model.safetensors"), &place.path("plain/model.safetensors"));
    let parameters = |run: &str| -> Vec<f32> {
        let file = TensorFile::read(place.path(run).join("model.safetensors")).unwrap();
        file.tensors.into_iter().filter(|t| !t.name.starts_with("units.")).flat_map(|t| t.values).collect()
    };
    let (before, after) = (parameters("nine"), parameters("ten"));
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let update = norm(&mut before.iter().zip(&after).map(|(a, b)| f64::from(*b) - f64::from(*a)));
    let want = update / norm(&mut before.iter().map(|&x| x.into()));
    let scalars = scalars(&place, "ten");
    let at = |tag: &str| scalars[&(tag.to_string(), 10)];
    // A scalar is an f32.
    assert!((at("watch/update_to_parameters") / want - 1.0).abs() < 1e-6, "{want}");
    assert_eq!(at("train/clipped"), 1.0);
    assert!(!self::scalars(&place, "plain").keys().any(|(tag, _)| tag.starts_with("watch") || tag.contains("clipped")));
}
