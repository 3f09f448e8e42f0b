//! The model file: what is written is read again to the bit, and whatever else is refused in one clear line.

use elman_core::cells;
use elman_run::{Error, Model, ModelConfig, Tensor, TensorFile, Vocabulary};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn config(cell: &str) -> ModelConfig {
    ModelConfig { task: "char-lm".into(), cell: cell.into(), embedding: 2, hidden: 3, output: 2, layers: 2 }
}

/// The tensors that a model of this configuration has, with different numbers everywhere.
fn tensors(config: &ModelConfig, vocabulary: usize) -> Vec<Tensor> {
    let mut next = 0;
    let mut tensor = |name: String, shape: Vec<usize>| {
        let values = (0..shape.iter().product())
            .map(|_| {
                next += 1;
                if next % 7 == 0 { -0.0 } else { (next as f32 * 0.7).sin() }
            })
            .collect();
        Tensor { name, shape, values }
    };
    let mut tensors = vec![tensor("embedding.weight".into(), vec![vocabulary, config.embedding])];
    let stack = config.stack().unwrap();
    for (k, layer) in stack.iter().enumerate() {
        for p in layer.parameters() {
            tensors.push(tensor(format!("rnn.{}_l{k}", p.name), p.shape()));
        }
    }
    tensors.push(tensor("readout.weight".into(), vec![vocabulary, stack[1].output_width()]));
    tensors.push(tensor("readout.bias".into(), vec![vocabulary]));
    tensors
}

fn model(cell: &str) -> Model {
    let vocabulary = Vocabulary::new("\n\"añ🙂".chars()).unwrap();
    let tensors = tensors(&config(cell), vocabulary.len());
    Model::from_tensors(config(cell), vocabulary, tensors).unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }
    fn path(&self) -> PathBuf {
        self.0.path().join("model.safetensors")
    }
    /// The bytes of a good file, and the folder to put others.
    fn good() -> (Folder, Vec<u8>) {
        let folder = Folder::new();
        model("lstm").save(folder.path()).unwrap();
        let bytes = fs::read(folder.path()).unwrap();
        (folder, bytes)
    }
    /// The error for a file with these bytes.
    fn refusal(&self, bytes: &[u8]) -> Error {
        fs::write(self.path(), bytes).unwrap();
        refusal(&self.path())
    }
}

fn refusal(path: &Path) -> Error {
    let error = Model::load(path).expect_err("a bad file was accepted");
    let message = error.to_string();
    assert!(!message.contains('\n'), "more than one line: {message}");
    assert!(message.contains("model.safetensors"), "the file is not named: {message}");
    assert!(!error.is_failure());
    error
}

fn bits(tensors: &[Tensor]) -> Vec<(String, Vec<usize>, Vec<u32>)> {
    let bits = |t: &Tensor| (t.name.clone(), t.shape.clone(), t.values.iter().map(|v| v.to_bits()).collect());
    tensors.iter().map(bits).collect()
}

#[test]
fn every_cell_is_read_as_it_was_written() {
    for entry in cells::REGISTRY {
        let folder = Folder::new();
        let model = model(entry.name);
        model.save(folder.path()).unwrap();
        let first = fs::read(folder.path()).unwrap();
        let read = Model::load(folder.path()).unwrap();
        assert_eq!(read.config(), model.config());
        assert_eq!(read.vocabulary(), model.vocabulary());
        assert_eq!(bits(&read.tensors()), bits(&model.tensors()), "{}", entry.name);
        // And the same model always gives the same bytes.
        read.save(folder.path()).unwrap();
        assert!(fs::read(folder.path()).unwrap() == first, "{}", entry.name);
        let parameters: usize = tensors(&config(entry.name), 5).iter().map(|t| t.values.len()).sum();
        assert_eq!(read.parameter_count(), parameters);
    }
}

#[test]
fn any_safetensors_reader_reads_it() {
    let (_folder, bytes) = Folder::good();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let weight = file.tensor("rnn.weight_ih_l1").unwrap();
    assert_eq!(weight.shape(), [12, 3]);
    let written = model("lstm");
    let expected: Vec<u8> = written.layers()[1].parameters[0].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(weight.data(), expected);
    // PyTorch's second bias is there, as zeros.
    let second = file.tensor("rnn.bias_hh_l1").unwrap();
    assert_eq!(second.shape(), [12]);
    assert!(second.data().iter().all(|&b| b == 0));
    assert!(u64::from_le_bytes(bytes[..8].try_into().unwrap()).is_multiple_of(8));
}

#[test]
fn a_second_bias_is_added_to_the_first() {
    let model = model("lstm");
    let mut tensors = model.tensors();
    let second = tensors.iter_mut().find(|t| t.name == "rnn.bias_hh_l0").unwrap();
    second.values[4] = 0.5;
    let read = Model::from_tensors(model.config().clone(), model.vocabulary().clone(), tensors.clone()).unwrap();
    let mut expected = model.layers()[0].parameters[2].clone();
    assert_eq!(model.layers()[0].layer.parameters()[2].name, "bias_ih");
    expected[4] += 0.5;
    assert_eq!(read.layers()[0].parameters[2], expected);
    // A file without it is as good.
    tensors.retain(|t| !t.name.starts_with("rnn.bias_hh"));
    let read = Model::from_tensors(model.config().clone(), model.vocabulary().clone(), tensors).unwrap();
    assert_eq!(bits(&read.tensors()), bits(&model.tensors()));
}

#[test]
fn a_missing_file_is_refused() {
    let error = refusal(&Folder::new().path());
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
}

#[cfg(unix)]
#[test]
fn what_the_system_refuses_is_said_with_its_reason() {
    // Not by permissions: the superuser, as whom containers run tests, may read everything.
    let (folder, _) = Folder::good();
    let error = refusal(&folder.path().join("below-a-file"));
    assert!(matches!(error, Error::Unreadable { .. }), "{error:?}");
}

#[test]
fn a_directory_is_refused() {
    let folder = Folder::new();
    fs::create_dir(folder.path()).unwrap();
    assert!(refusal(&folder.path()).to_string().contains("it is not a file"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let (folder, bytes) = Folder::good();
    for length in 0..bytes.len() {
        let error = folder.refusal(&bytes[..length]);
        assert!(matches!(error, Error::Damaged { .. }), "{length}: {error:?}");
    }
    let error = folder.refusal(&bytes[..bytes.len() - 1]);
    let said = format!("it is truncated: {} of {} bytes", bytes.len() - 1, bytes.len());
    assert!(error.to_string().contains(&said), "{error}");
    assert!(folder.refusal(&[bytes, vec![0]].concat()).to_string().contains("bytes after its last tensor"));
}

#[test]
fn a_bit_flipped_anywhere_is_refused() {
    let (folder, mut bytes) = Folder::good();
    for byte in 0..bytes.len() {
        // Every bit of the length, one of each other byte.
        for bit in if byte < 8 { 0..8 } else { byte % 8..byte % 8 + 1 } {
            bytes[byte] ^= 1 << bit;
            // In the digit of the format number the flip may name a later format.
            let error = folder.refusal(&bytes);
            assert!(matches!(error, Error::Damaged { .. } | Error::Newer { .. }), "byte {byte}, bit {bit}: {error:?}");
            bytes[byte] ^= 1 << bit;
        }
    }
    let last = bytes.len() - 1;
    bytes[last] ^= 64;
    assert!(folder.refusal(&bytes).to_string().contains("checksum"));
}

#[test]
fn a_header_that_claims_too_much_is_refused_before_anything_is_allocated() {
    let folder = Folder::new();
    for claim in [u64::MAX, 1 << 62, 100_000_001, 99_999_999, 25] {
        let error = folder.refusal(&[claim.to_le_bytes().as_slice(), b"{\"a\": 1}................"].concat());
        assert!(error.to_string().contains(&format!("its header claims {claim} bytes")), "{error}");
    }
    // Shapes whose product overflows, and one that is larger than the file.
    for shape in ["[9223372036854775807,9223372036854775807]", "[4611686018427387904]", "[1000000000000]"] {
        let header = format!(
            "{{\"__metadata__\":{{\"elman.format\":\"1\"}},\"a\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[0,4000000000000]}}}}"
        );
        let error = folder.refusal(&[(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes()].concat());
        assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    }
}

#[test]
fn what_is_no_model_file_is_refused() {
    let folder = Folder::new();
    for content in ["", "text", "This is a text, not a model, and long enough for a header."] {
        assert!(matches!(folder.refusal(content.as_bytes()), Error::Damaged { .. }));
    }
}

#[test]
fn a_foreign_safetensors_file_is_refused() {
    let folder = Folder::new();
    let data = [0u8; 8];
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &data).unwrap();
    for metadata in [None, Some([("format".to_string(), "pt".to_string())].into())] {
        let bytes = safetensors::serialize([("weight", view.clone())], metadata).unwrap();
        assert!(matches!(folder.refusal(&bytes), Error::Foreign { .. }));
    }
}

#[test]
fn a_later_format_is_refused_by_its_number() {
    let (folder, bytes) = Folder::good();
    let key = b"\"elman.format\":\"";
    let at = bytes.windows(key.len()).position(|w| w == key).unwrap() + key.len();
    let mut later = bytes.clone();
    later[at] = b'7';
    let error = folder.refusal(&later);
    assert!(error.to_string().contains("written in format 7, this program reads up to 1"), "{error}");
}

/// The error for a good container with this configuration (and vocabulary).
fn refusal_of(config: &str, vocabulary: &str, change: impl Fn(&mut Vec<Tensor>)) -> Error {
    let folder = Folder::new();
    let mut tensors = model("lstm").tensors();
    change(&mut tensors);
    let metadata = BTreeMap::from([
        ("elman.config".to_string(), config.to_string()),
        ("elman.vocabulary".to_string(), vocabulary.to_string()),
    ]);
    TensorFile { metadata, tensors }.write(folder.path()).unwrap();
    refusal(&folder.path())
}

fn good_config() -> serde_json::Value {
    serde_json::json!(config("lstm"))
}

fn good_vocabulary() -> String {
    model("lstm").vocabulary().to_json()
}

#[test]
fn an_unknown_cell_is_refused_with_the_nearest_name() {
    let mut config = good_config();
    config["cell"] = "lsmt".into();
    let error = refusal_of(&config.to_string(), &good_vocabulary(), |_| ());
    assert!(error.to_string().ends_with("unknown cell `lsmt`; did you mean `lstm`?"), "{error}");
    config["cell"] = "transformer".into();
    let error = refusal_of(&config.to_string(), &good_vocabulary(), |_| ());
    assert!(error.to_string().contains("`elman cells` lists"), "{error}");
}

#[test]
fn a_wrong_configuration_is_refused_by_its_key() {
    for (key, value, said) in [
        ("hidden", serde_json::json!(0), "`hidden` is 0"),
        ("hidden", serde_json::json!(1u64 << 60), "`hidden` is 1152921504606846976"),
        ("layers", serde_json::json!(4_000_000_000u64), "`layers` is 4000000000"),
        ("layers", serde_json::json!(0), "`layers` is 0"),
        ("hidden", serde_json::json!(-1), "invalid value: integer `-1`"),
        ("surprise", serde_json::json!(1), "unknown field `surprise`"),
    ] {
        let mut config = good_config();
        config[key] = value;
        let error = refusal_of(&config.to_string(), &good_vocabulary(), |_| ());
        assert!(error.to_string().contains(said), "{error}");
    }
    assert!(refusal_of("{", &good_vocabulary(), |_| ()).to_string().contains("configuration is wrong"));
}

#[test]
fn wrong_shapes_are_refused_by_name() {
    let said = |error: Error, what: &str| assert!(error.to_string().ends_with(what), "{error}");
    let config = good_config().to_string();
    let find = |tensors: &[Tensor], name: &str| tensors.iter().position(|t| t.name == name).unwrap();
    said(
        refusal_of(&config, &good_vocabulary(), |t| {
            let i = find(t, "rnn.weight_hh_l0");
            t[i].shape.reverse();
        }),
        "the tensor `rnn.weight_hh_l0` has the shape [3, 12], expected [12, 3]",
    );
    said(
        refusal_of(&config, &good_vocabulary(), |t| {
            t.remove(find(t, "readout.bias"));
        }),
        "the tensor `readout.bias` of shape [5] is missing",
    );
    said(
        refusal_of(&config, &good_vocabulary(), |t| {
            t.push(Tensor { name: "rnn.weight_ih_l2".into(), shape: vec![0], values: vec![] })
        }),
        "there is a tensor `rnn.weight_ih_l2`, which such a model does not have",
    );
    let smaller = Vocabulary::new("ab".chars()).unwrap().to_json();
    said(refusal_of(&config, &smaller, |_| ()), "the tensor `embedding.weight` has the shape [5, 2], expected [2, 2]");
}

#[test]
fn a_checkpoint_is_not_a_model() {
    let folder = Folder::new();
    let metadata = BTreeMap::from([("elman.step".to_string(), "300".to_string())]);
    let file = TensorFile { metadata, tensors: vec![Tensor { name: "m".into(), shape: vec![], values: vec![1.5] }] };
    file.write(folder.path()).unwrap();
    assert_eq!(TensorFile::read(folder.path()).unwrap(), file);
    assert!(refusal(&folder.path()).to_string().contains("it has no `elman.config`"));
}

#[test]
fn a_folder_that_is_missing_is_named_when_saving() {
    let folder = Folder::new();
    let error = model("gru").save(folder.0.path().join("none/model.safetensors")).unwrap_err();
    assert!(matches!(error, Error::Write { .. }));
    assert!(error.to_string().contains("create the folder first"), "{error}");
    assert!(error.is_failure());
}

/// A device that is always full: the system's own answer, not one of ours.
#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_reported() {
    use std::io::Write;
    let mut full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let source = full.write_all(b"x").unwrap_err();
    let folder = Folder::new();
    fs::write(folder.path(), b"former").unwrap();
    let error = elman_run::atomic::write(&folder.path(), |_| Err(source)).unwrap_err();
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(fs::read(folder.path()).unwrap(), b"former");
}

/// A file says that its update gate multiplies the old state: read, it gives what the formula with that z gives.
#[test]
fn update_gates_are_turned_to_the_cells_own_way() {
    let folder = Folder::new();
    let ids = [0u32, 3, 1, 4, 2, 2, 0];
    let logits = |model: &Model| {
        let mut stream = elman_run::Stream::new(model, &std::sync::Arc::new(elman_core::engine::Engine::new(1)));
        ids.map(|id| stream.step(Some(id)).to_vec())
    };
    for cell in ["gru", "gru-minimal", "gru-layer-norm", "min-gru", "gru-reset-after", "gru:bias=off"] {
        let own = model(cell);
        own.save(folder.path()).unwrap();
        let with = |multiplies: &str| {
            let mut file = TensorFile::read(folder.path()).unwrap();
            file.metadata.insert("elman.update-gate".into(), multiplies.into());
            let other = folder.path().with_extension("turned");
            file.write(&other).unwrap();
            Model::load(other)
        };
        let (native, foreign) = match cell {
            "gru-reset-after" => ("state", "candidate"),
            _ => ("candidate", "state"),
        };
        assert_eq!(logits(&with(native).unwrap()), logits(&own), "{cell}");
        let turned = with(foreign).unwrap();
        assert_ne!(logits(&turned), logits(&own), "{cell}");
        // The gate itself: 1 - z where z was. Signs of its rows alone have changed.
        for (a, b) in own.layers().iter().zip(turned.layers()) {
            for ((p, a), b) in a.layer.parameters().iter().zip(&a.parameters).zip(&b.parameters) {
                let changed = a.iter().zip(b).filter(|(a, b)| a != b).count();
                assert!(a.iter().zip(b).all(|(a, b)| a.abs() == b.abs()), "{cell} {}", p.name);
                assert!(changed < a.len(), "{cell} {}", p.name);
            }
        }
        // Turned twice it is what it was.
        turned.save(folder.path()).unwrap();
        let back = with(foreign).unwrap();
        assert_eq!(logits(&back), logits(&own), "{cell}");
        own.save(folder.path()).unwrap();
        assert!(
            with("both")
                .unwrap_err()
                .to_string()
                .contains("`elman.update-gate` is `both`; it must be candidate or state")
        );
    }
    model("lstm").save(folder.path()).unwrap();
    let mut file = TensorFile::read(folder.path()).unwrap();
    file.metadata.insert("elman.update-gate".into(), "state".into());
    file.write(folder.path()).unwrap();
    assert!(Model::load(folder.path()).unwrap_err().to_string().contains("`lstm` has none"));
}

/// h = z h' + (1 - z) n, in plain loops, from the numbers of the file: what another program computes.
#[test]
fn a_gru_whose_z_multiplies_the_old_state_is_read() {
    let folder = Folder::new();
    model("gru").save(folder.path()).unwrap();
    let mut file = TensorFile::read(folder.path()).unwrap();
    file.metadata.insert("elman.update-gate".into(), "state".into());
    file.write(folder.path()).unwrap();
    let read = Model::load(folder.path()).unwrap();
    let number = |name: &str| file.tensors.iter().find(|t| t.name == name).unwrap().values.clone();
    let sigmoid = |a: f64| 1.0 / (1.0 + (-a).exp());
    let mut states = [[0.0f64; 3]; 2];
    let mut stream = elman_run::Stream::new(&read, &std::sync::Arc::new(elman_core::engine::Engine::new(1)));
    for id in [0usize, 3, 1, 4, 2] {
        let mut x: Vec<f64> = number("embedding.weight")[2 * id..][..2].iter().map(|&v| v.into()).collect();
        for (k, h) in states.iter_mut().enumerate() {
            let (w, u) = (number(&format!("rnn.weight_ih_l{k}")), number(&format!("rnn.weight_hh_l{k}")));
            let b = number(&format!("rnn.bias_ih_l{k}"));
            let affine = |row: usize, state: &[f64]| {
                let input: f64 = x.iter().enumerate().map(|(j, x)| f64::from(w[row * x_len(k) + j]) * x).sum();
                let before: f64 = state.iter().enumerate().map(|(j, h)| f64::from(u[row * 3 + j]) * h).sum();
                input + before + f64::from(b[row])
            };
            let before = *h;
            let r: Vec<f64> = (0..3).map(|i| sigmoid(affine(i, &before))).collect();
            let reset: Vec<f64> = (0..3).map(|i| r[i] * before[i]).collect();
            for i in 0..3 {
                let (z, n) = (sigmoid(affine(3 + i, &before)), affine(6 + i, &reset).tanh());
                h[i] = z * before[i] + (1.0 - z) * n;
            }
            x = h.to_vec();
        }
        let logits = stream.step(Some(id as u32)).to_vec();
        let (weight, bias) = (number("readout.weight"), number("readout.bias"));
        for (v, got) in logits.into_iter().enumerate() {
            let want: f64 =
                (0..3).map(|j| f64::from(weight[v * 3 + j]) * states[1][j]).sum::<f64>() + f64::from(bias[v]);
            assert!((f64::from(got) - want).abs() < 1e-5, "{got}, expected {want}");
        }
    }
}

/// Columns of a layer's input: the embedding's, then the state's below.
fn x_len(layer: usize) -> usize {
    if layer == 0 { 2 } else { 3 }
}
