//! The model step by step: against PyTorch, against the reference engine, and against itself.

use elman_core::cells;
use elman_core::engine::{Engine, Input, Sequence, WeightFormat, reference};
use elman_core::layer::{Place, Role};
use elman_run::{Error, Generator, Model, ModelConfig, SampleSettings, Scorer, Stream, Tensor, Vocabulary};
use safetensors::{Dtype, SafeTensors};
use std::sync::Arc;

fn engine(threads: usize) -> Arc<Engine> {
    Arc::new(Engine::new(threads))
}

/// A model with numbers of a fixed pseudo-random sequence.
fn model(cell: &str, hidden: usize, layers: usize) -> Model {
    let config = ModelConfig { task: "char-lm".into(), cell: cell.into(), embedding: 5, hidden, output: 3, layers };
    let mut random = 1u64;
    let mut tensor = |name: String, shape: Vec<usize>| {
        let values = (0..shape.iter().product())
            .map(|_| {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (random >> 40) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect();
        Tensor { name, shape, values }
    };
    let stack = config.stack().unwrap();
    let width = stack[layers - 1].output_width();
    let mut tensors = vec![
        tensor("embedding.weight".into(), vec![6, 5]),
        tensor("readout.weight".into(), vec![6, width]),
        tensor("readout.bias".into(), vec![6]),
    ];
    for (k, layer) in stack.iter().enumerate() {
        tensors.extend(layer.parameters().iter().map(|p| tensor(format!("rnn.{}_l{k}", p.name), p.shape())));
    }
    Model::from_tensors(config, Vocabulary::new("abcdef".chars()).unwrap(), tensors).unwrap()
}

/// f32 against f64, as a part of the largest number: sums of a few dozen terms over a dozen steps; the bar for goldens in f32.
const TOLERANCE: f64 = 2e-6;

/// The largest difference, as a part of the largest number.
fn difference(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|x| x.is_finite()));
    let largest = expected.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
    found.iter().zip(expected).fold(0.0, |m: f64, (f, e)| m.max((f64::from(*f) - e).abs())) / largest
}

fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    let difference = difference(found, expected);
    assert!(difference <= TOLERANCE, "{what}: a difference of {difference:e}");
}

#[test]
fn models_of_pytorch_answer_as_they_do_there() {
    let bytes = include_bytes!("pytorch.safetensors");
    let file = SafeTensors::deserialize(bytes).unwrap();
    let f64s = |name: &str| -> Vec<f64> {
        let view = file.tensor(name).unwrap();
        match view.dtype() {
            Dtype::F32 => view.data().chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
            Dtype::F64 => view.data().chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            other => panic!("{other:?}"),
        }
    };
    for cell in ["elman", "lstm", "gru-reset-after", "lstm-projected"] {
        let tensors = file.names().into_iter().filter_map(|name| {
            let own = name.strip_prefix(&format!("{cell}/"))?.to_string();
            let values = f64s(name).iter().map(|&v| v as f32).collect();
            Some(Tensor { name: own, shape: file.tensor(name).unwrap().shape().to_vec(), values })
        });
        let config =
            ModelConfig { task: "char-lm".into(), cell: cell.into(), embedding: 5, hidden: 7, output: 3, layers: 2 };
        let vocabulary = Vocabulary::new("abcdef".chars()).unwrap();
        let model = Model::from_tensors(config, vocabulary, tensors.collect()).unwrap();
        let ids: Vec<u32> = f64s(&format!("{cell}:ids")).iter().map(|&id| id as u32).collect();

        let mut stream = Stream::new(&model, &engine(1));
        let logits: Vec<f32> = ids.iter().flat_map(|&id| stream.step(Some(id)).to_vec()).collect();
        assert_close(&logits, &f64s(&format!("{cell}:logits")), cell);

        stream.reset();
        let tokens = std::iter::once(None).chain(ids.iter().copied().map(Some));
        let logits: Vec<f32> = tokens.flat_map(|token| stream.step(token).to_vec()).collect();
        assert_close(&logits, &f64s(&format!("{cell}:from_zero")), cell);

        let mut scorer = Scorer::new(&model, &engine(1));
        scorer.push(&ids);
        let score = scorer.score().unwrap();
        assert_eq!(score.tokens, 8);
        assert_close(&[score.nats as f32], &f64s(&format!("{cell}:nats")), cell);
        assert_eq!(score.bits, score.nats / std::f64::consts::LN_2);
        assert_eq!(score.perplexity, score.nats.exp());
    }
}

/// A row of a matrix as a format keeps it: 8 bits of precision, ties to even, or whole multiples of the largest number / 127.
fn round(format: WeightFormat, row: &mut [f64]) {
    match format {
        WeightFormat::Full => {}
        WeightFormat::Bf16 => row.iter_mut().for_each(|x| {
            let bits = (*x as f32).to_bits();
            let (low, high) = (bits & 0xffff, bits >> 16);
            let up = low > 0x8000 || (low == 0x8000 && high & 1 == 1);
            *x = f64::from(f32::from_bits((high + u32::from(up)) << 16));
        }),
        WeightFormat::Int8 => {
            let scale = row.iter().fold(0.0, |m: f64, x| m.max(x.abs())) / 127.0;
            row.iter_mut().for_each(|x| *x = (*x / scale).round() * scale);
        }
    }
}

/// Logits by the readable reference engine in f64, zero input first, with the weights that streaming in this format has: the products
/// of the embedding and the first layer's input matrices are made once, from the full ones.
fn by_reference(model: &Model, ids: &[u32], format: WeightFormat) -> Vec<f64> {
    let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let e = model.config().embedding;
    let mut x = vec![0.0; e];
    for &id in ids {
        x.extend(wide(&model.embedding()[id as usize * e..][..e]));
    }
    for (k, l) in model.layers().iter().enumerate() {
        let mut parameters: Vec<Vec<f64>> = l.parameters.iter().map(|p| wide(p)).collect();
        for (parameter, values) in l.layer.parameters().iter().zip(&mut parameters) {
            for block in parameter.blocks.iter().filter(|_| parameter.role == Role::Weight) {
                let stage = &l.layer.stages()[block.stage];
                if k > 0 || stage.gates[block.gate][block.source] != Place::Input {
                    let rows = values.chunks_mut(parameter.cols).skip(block.row).take(stage.width);
                    rows.for_each(|row| round(format, row));
                }
            }
        }
        let parameters: Vec<&[f64]> = parameters.iter().map(Vec::as_slice).collect();
        let state: Option<Vec<Vec<f64>>> = model.initial_state(k).map(|s| s.into_iter().map(wide).collect());
        let state = state.as_ref().map(|s| s.iter().map(Vec::as_slice).collect());
        let sequence = Sequence { state, ..Sequence::new(ids.len() + 1, 1, Input::Dense(&x)) };
        x = reference::forward(&l.layer, &parameters, &sequence).y;
    }
    let (weight, bias) = (wide(model.readout_weight()), wide(model.readout_bias()));
    let width = model.output_width();
    let affine = |y: &[f64], v: usize| bias[v] + (0..width).map(|k| weight[v * width + k] * y[k]).sum::<f64>();
    x.chunks(width).flat_map(|y| (0..bias.len()).map(move |v| affine(y, v)).collect::<Vec<_>>()).collect()
}

const IDS: [u32; 12] = [0, 5, 2, 2, 3, 1, 4, 0, 0, 5, 1, 3];

fn by_stream(stream: &mut Stream) -> Vec<f32> {
    let tokens = std::iter::once(None).chain(IDS.into_iter().map(Some));
    tokens.flat_map(|token| stream.step(token).to_vec()).collect()
}

#[test]
fn every_cell_answers_as_the_reference_does() {
    for entry in cells::REGISTRY {
        for (hidden, layers) in [(1, 1), (7, 2), (17, 3)] {
            let model = model(entry.name, hidden, layers);
            let found = by_stream(&mut Stream::new(&model, &engine(1)));
            assert_close(&found, &by_reference(&model, &IDS, WeightFormat::Full), &format!("{} {hidden}", entry.name));
        }
    }
}

#[test]
fn a_learned_initial_state_is_where_a_stream_begins() {
    for entry in cells::REGISTRY {
        let plain = model(entry.name, 5, 2);
        let mut tensors = plain.tensors();
        for (k, l) in plain.layers().iter().enumerate() {
            for (c, width) in l.layer.state_widths().into_iter().enumerate() {
                let values = (0..width).map(|i| ((k + 2 * c + 3 * i) as f32).sin() * 0.5).collect();
                tensors.push(Tensor { name: format!("initial.layers.{k}.{c}"), shape: vec![width], values });
            }
        }
        let make = |tensors| Model::from_tensors(plain.config().clone(), plain.vocabulary().clone(), tensors);
        let model = make(tensors.clone()).unwrap();
        let mut stream = Stream::new(&model, &engine(1));
        let found = by_stream(&mut stream);
        assert_close(&found, &by_reference(&model, &IDS, WeightFormat::Full), entry.name);
        assert_ne!(found, by_stream(&mut Stream::new(&plain, &engine(1))), "{}", entry.name);
        stream.reset();
        assert_eq!(by_stream(&mut stream), found, "{}", entry.name);
        let states: usize = plain.layers().iter().flat_map(|l| l.layer.state_widths()).sum();
        assert_eq!(model.parameter_count(), plain.parameter_count() + states);

        // Through a file, and not without a part of it.
        let path = tempfile::tempdir().unwrap();
        model.save(path.path().join("m")).unwrap();
        let loaded = Model::load(path.path().join("m")).unwrap();
        assert_eq!(by_stream(&mut Stream::new(&loaded, &engine(1))), found, "{}", entry.name);
        tensors.pop();
        let error = make(tensors).unwrap_err().to_string();
        assert!(error.contains("the tensor `initial.layers.1."), "{error}");
    }
}

#[test]
fn weights_in_fewer_bits_answer_as_the_rounded_weights_do() {
    for entry in cells::REGISTRY {
        let model = model(entry.name, 33, 2);
        let full = by_stream(&mut Stream::new(&model, &engine(1)));
        // One of these networks of random numbers enlarges every rounding from step to step: the full weights say how much.
        let rounding = difference(&full, &by_reference(&model, &IDS, WeightFormat::Full));
        for format in [WeightFormat::Bf16, WeightFormat::Int8] {
            let compressed = model.clone().with_stream_weights(format);
            let found = by_stream(&mut Stream::new(&compressed, &engine(1)));
            let difference = difference(&found, &by_reference(&model, &IDS, format));
            let tolerance = TOLERANCE.max(rounding);
            let what = format!("{} {format}: {difference:e}, with full weights {rounding:e}", entry.name);
            assert!(difference <= tolerance && rounding <= 2.0 * TOLERANCE, "{what}");
            assert_ne!(found, full, "{} {format}: nothing was rounded", entry.name);
        }
    }
}

#[test]
fn threads_and_a_reset_do_not_change_a_bit() {
    for entry in cells::REGISTRY {
        let model = model(entry.name, 33, 2);
        let mut stream = Stream::new(&model, &engine(1));
        let first = by_stream(&mut stream);
        stream.reset();
        assert_eq!(by_stream(&mut stream), first, "{}", entry.name);
        for threads in [2, 3] {
            assert_eq!(by_stream(&mut Stream::new(&model, &engine(threads))), first, "{}", entry.name);
        }
    }
}

#[test]
fn a_step_and_a_draw_allocate_nothing() {
    for entry in cells::REGISTRY {
        for format in [WeightFormat::Full, WeightFormat::Bf16, WeightFormat::Int8] {
            let model = model(entry.name, 17, 2).with_stream_weights(format);
            let settings = SampleSettings { top_k: Some(4), top_p: 0.9, ..Default::default() };
            let mut generator = Generator::new(&model, &engine(1), "abc", settings).unwrap();
            // The first step may make room.
            generator.next().unwrap().unwrap();
            let counted = allocation_counter::measure(|| {
                for character in generator.by_ref().take(100) {
                    character.unwrap();
                }
            });
            assert_eq!(counted.count_total, 0, "{} {format}", entry.name);
        }
    }
}

#[test]
fn the_pieces_of_a_sequence_do_not_change_its_score() {
    let model = model("lstm", 17, 2);
    let mut whole = Scorer::new(&model, &engine(1));
    assert_eq!(whole.score(), None);
    whole.push(&IDS[..1]);
    assert_eq!(whole.score(), None);
    whole.push(&IDS[1..]);
    let expected = whole.score().unwrap();
    assert_eq!(expected.tokens, IDS.len() as u64 - 1);
    for size in 1..IDS.len() {
        let mut pieces = Scorer::new(&model, &engine(1));
        IDS.chunks(size).for_each(|piece| pieces.push(piece));
        assert_eq!(pieces.score().unwrap(), expected);
    }
}

#[test]
fn writing_starts_from_zero_input_or_from_the_prompt() {
    let model = model("gru", 17, 2);
    let greedy = SampleSettings { temperature: 0.0, ..Default::default() };
    let likeliest = |logits: &[f32]| (0..6).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap() as u32;
    for prompt in ["", "f", "badface"] {
        let mut stream = Stream::new(&model, &engine(1));
        let ids = model.vocabulary().encode(prompt).unwrap();
        let mut next = match prompt {
            "" => likeliest(stream.step(None)),
            _ => ids.iter().map(|&id| likeliest(stream.step(Some(id)))).last().unwrap(),
        };
        for found in Generator::new(&model, &engine(1), prompt, greedy).unwrap().take(20) {
            assert_eq!(found.unwrap(), model.vocabulary().symbol(next));
            next = likeliest(stream.step(Some(next)));
        }
    }
}

#[test]
fn a_seed_decides_what_is_written() {
    let model = model("lstm", 17, 1);
    let write = |seed| {
        let settings = SampleSettings { seed, ..Default::default() };
        Generator::new(&model, &engine(1), "a", settings).unwrap().take(50).collect::<Result<String, _>>().unwrap()
    };
    assert_eq!(write(1), write(1));
    assert_ne!(write(1), write(2));
}

#[test]
fn a_prompt_with_an_unknown_character_is_refused() {
    let model = model("elman", 3, 1);
    let error = Generator::new(&model, &engine(1), "abQ", SampleSettings::default()).err().unwrap();
    assert!(matches!(error, Error::UnknownCharacter { character: 'Q', position: 3, .. }), "{error:?}");
}

#[test]
fn a_model_that_training_destroyed_says_so() {
    let good = model("elman", 3, 1);
    let mut tensors = good.tensors();
    tensors.last_mut().unwrap().values[2] = f32::NAN;
    let broken = Model::from_tensors(good.config().clone(), good.vocabulary().clone(), tensors).unwrap();
    let mut generator = Generator::new(&broken, &engine(1), "", SampleSettings::default()).unwrap();
    assert!(matches!(generator.next(), Some(Err(Error::NotFinite))));
}
