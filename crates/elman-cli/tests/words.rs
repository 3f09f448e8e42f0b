//! The task `word-lm` through the program.

mod common;

use common::{Place, elman, finish, run, same};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `n` sentences of a few words; one word in some is there only once.
fn sentences(n: usize, seed: u64) -> String {
    let words = ["the", "network", "naïve", "state", "gate", "память", "learns"];
    let mut random = seed;
    let mut text = String::new();
    for line in 0..n {
        for _ in 0..4 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            text += words[(random >> 33) as usize % words.len()];
            text += "  ";
        }
        text += &if line % 10 == 3 { format!("rare{seed}-{line}\n") } else { "\n".into() };
    }
    text
}

/// A folder with three files, one of them packed.
fn folder(place: &Place) -> PathBuf {
    let folder = place.path("texts");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in [
        ("my.train.txt.gz", packed(&sentences(200, 1))),
        ("my.valid.txt", sentences(30, 2).into()),
        ("my.test.txt", sentences(20, 3).into()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    folder
}

/// A gzip file of one stored block (RFC 1951 and 1952).
fn packed(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut sum = u32::MAX;
    for byte in text.bytes() {
        sum ^= u32::from(byte);
        (0..8).for_each(|_| sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 });
    }
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    file.extend(length.to_le_bytes().into_iter().chain((!length).to_le_bytes()));
    file.extend(text.bytes());
    file.extend((!sum).to_le_bytes().into_iter().chain(u32::from(length).to_le_bytes()));
    file
}

/// A small training command: some milliseconds.
fn train_on(data: &Path, place: &Place, out: &str) -> Command {
    let mut command = elman();
    command.args(["train", "word-lm", "--data"]).arg(data).arg("--out").arg(place.path(out));
    command.args("--hidden 8 --batch 4 --seq-len 5 --steps 60 --sample-length 20 --threads 1".split(' '));
    command
}

fn train(place: &Place, out: &str) -> Command {
    train_on(&folder(place), place, out)
}

fn resume(place: &Place, out: &str) -> Command {
    let mut command = elman();
    command.args(["train", "word-lm", "--resume", "--out"]).arg(place.path(out));
    command
}

fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn train_eval_and_sample_agree() {
    let place = Place::new();
    let outcome = finish(train(&place, "run").args(["--json", "--lr", "0.02"])).ok();
    let trained = object(&outcome.out);
    let dir = place.path("run").display().to_string();
    let scored = object(&run(["eval", &dir, "--json"]).ok().out);
    // Four words and the line's end, and one more in every tenth line; the first is given.
    assert_eq!((&scored["tokens"], &scored["test"]["tokens"]), (&(30 * 5 + 3 - 1).into(), &(20 * 5 + 2 - 1).into()));
    for key in ["task", "tokens", "nats", "bits", "perplexity", "test"] {
        assert_eq!(scored[key], trained[key], "{key}");
    }
    let nats = scored["nats"].as_f64().unwrap();
    // Definitions, in f64.
    assert!((scored["bits"].as_f64().unwrap() - nats / std::f64::consts::LN_2).abs() < 1e-12);
    assert!((scored["perplexity"].as_f64().unwrap() / nats.exp() - 1.0).abs() < 1e-12);
    // The line's end comes after four words: far below the unigram's, which is about ln 8.
    assert!(nats < 1.85 && nats > 1.4, "{nats}");
    assert!(trained["words_per_second"].is_number() && trained["unigram_nats"].as_f64().unwrap() > 1.9);
    for word in [
        "words, 9 distinct",
        "153 held out, 102 for the test",
        "a vocabulary of 9 from 28 distinct words; 1.96 % of the words learnt from are `<unk>`",
        "perplexity",
        "words/s",
    ] {
        assert!(outcome.err.contains(word), "{word} of {}", outcome.err);
    }
    // The file of a part is the part, in any number of threads.
    let eval = |name: &str, extra: &[&str]| {
        let mut command = elman();
        command.args(["eval", &dir, "--json", "--data"]).arg(place.path("texts").join(name)).args(extra);
        object(&finish(&mut command).ok().out)
    };
    assert_eq!(eval("my.valid.txt", &[])["nats"], scored["nats"]);
    assert_eq!(eval("my.test.txt", &["--threads", "3"])["nats"], scored["test"]["nats"]);
    let text = run(["eval", &dir, "--best"]).ok().out;
    assert!(text.starts_with("held-out: ") && text.contains("\ntest: ") && text.contains("bits a word"), "{text}");

    let lines = String::from_utf8(place.read("run/metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["held_out_whole"], &last["test"]), (&scored["nats"], &scored["test"]["nats"]));
    // An epoch has (1020 - 1) / 4 / 5 = 50 steps: one score while training.
    let held: Vec<Value> = lines.lines().map(object).filter(|line| line["held_out"].is_number()).collect();
    assert_eq!(held.iter().map(|line| line["step"].as_u64().unwrap()).collect::<Vec<_>>(), [50]);
}

#[test]
fn samples_are_lines_of_words() {
    let place = Place::new();
    finish(&mut train(&place, "run")).ok();
    let dir = place.path("run").display().to_string();
    let sample = |extra: &[&str]| run(["sample", &dir, "--length", "40"].iter().chain(extra)).ok().out;
    let text = sample(&[]);
    let known = ["the", "network", "naïve", "state", "gate", "память", "learns", "<unk>"];
    let count: usize = text.lines().map(|line| line.split(' ').filter(|word| !word.is_empty()).count()).sum();
    assert!(text.lines().all(|line| line.split(' ').all(|word| word.is_empty() || known.contains(&word))), "{text:?}");
    assert!(
        !text.contains("<eos>") && !text.contains("  ") && !text.contains(" \n") && !text.contains("\n "),
        "{text:?}"
    );
    // The program ends the last line where the model did not.
    let ends = text.matches('\n').count();
    assert!(count + ends == 40 || count + ends == 41, "{count} words and {ends} ends: {text:?}");
    assert_eq!(sample(&[]), text);
    assert_ne!(sample(&["--seed", "2"]), text);
    // What is not known is read as <unk>; the prompt itself is printed as it is.
    let after = |prompt: &str| sample(&["--prompt", prompt])[prompt.len()..].to_string();
    assert_eq!(after("the quick"), after("the <unk>"));
    assert!(after("the").starts_with([' ', '\n']) && !after("the ").starts_with(' '));
    let json = object(&run(["sample", &dir, "--length", "3", "--prompt", "the", "--json"]).ok().out);
    assert!(json["text"].as_str().unwrap().starts_with([' ', '\n']));
}

#[test]
fn stopped_and_resumed_is_the_same_to_the_bit() {
    let place = Place::new();
    let varied = "--layers 2 --dropout 0.25 --dropout-embedding 0.3 --dropout-readout 0.2 --init-range 0.1 --optimiser sgd --lr 4 --clip 0.5 \
                  --schedule epochs --hold-epochs 1 --gamma 0.5 --eval-every 11 --sample-every 13 --log-every 3 --checkpoint-every 7";
    let varied = || varied.split_whitespace();
    finish(train(&place, "whole").args(varied()).args(["--steps", "120"])).ok();
    finish(train(&place, "parts").args(varied()).args(["--steps", "45"])).ok();
    finish(resume(&place, "parts").args(["--steps", "77"])).ok();
    finish(resume(&place, "parts").args(["--steps", "120"])).ok();
    // The number of threads is in config.toml and nowhere else.
    finish(train(&place, "three").args(varied()).args(["--steps", "120", "--threads", "3"])).ok();
    for file in [
        "model.safetensors",
        "best.safetensors",
        "checkpoint.safetensors",
        "metrics.jsonl",
        "samples.txt",
        "vocabulary.json",
    ] {
        same(&place.path("whole").join(file), &place.path("parts").join(file));
        same(&place.path("whole").join(file), &place.path("three").join(file));
    }
    same(&place.path("whole/config.toml"), &place.path("parts/config.toml"));
    // Halved after each epoch of 50 steps from the second on.
    let lines = String::from_utf8(place.read("whole/metrics.jsonl")).unwrap();
    let rate =
        |step: u64| object(lines.lines().find(|line| object(line)["step"] == step).unwrap())["learning_rate"].clone();
    assert_eq!((rate(48), rate(51), rate(99), rate(102)), (4.0.into(), 2.0.into(), 2.0.into(), 1.0.into()));

    finish(resume(&place, "whole").args(["--vocabulary", "5"])).fails(2, &["vocabulary: 10000 -> 5"]);
    finish(resume(&place, "whole").args(["--init-range", "0.2"])).fails(2, &["init-range: 0.1 -> 0.2"]);
    std::fs::write(place.path("texts/my.valid.txt"), sentences(31, 2)).unwrap();
    finish(&mut resume(&place, "whole")).fails(2, &["another text", "fingerprint"]);
}

/// The text in one file, its parts by fraction, or in three files: the same words and numbers.
#[test]
fn parts_come_from_one_file_a_folder_or_three_files() {
    let place = Place::new();
    let texts = folder(&place);
    let one = object(&finish(train_on(&texts.join("my.train.txt.gz"), &place, "one").arg("--json")).ok().out);
    // The last tenth of 200 lines of 5 words and 20 more, less the one that is given.
    assert_eq!(one["tokens"], 102 - 1);
    assert!(one.get("test").is_none());
    finish(&mut train_on(&texts, &place, "folder")).ok();
    let mut command = train_on(&texts.join("my.train.txt.gz"), &place, "files");
    command.arg("--valid").arg(texts.join("my.valid.txt")).arg("--test").arg(texts.join("my.test.txt"));
    finish(&mut command).ok();
    same(&place.path("folder/model.safetensors"), &place.path("files/model.safetensors"));
    same(&place.path("folder/metrics.jsonl"), &place.path("files/metrics.jsonl"));
    // Neither the held-out part nor the test part gives words.
    let vocabulary = String::from_utf8(place.read("folder/vocabulary.json")).unwrap();
    assert!(
        vocabulary.starts_with("{\"version\":1,\"kind\":\"word\",\"symbols\":[\"<eos>\",")
            && !vocabulary.contains("rare")
    );
    let all = finish(train_on(&texts, &place, "all").args(["--min-count", "1"])).ok();
    assert!(all.err.contains("a vocabulary of 29 from 28 distinct words; 0.00 %"), "{}", all.err);
    let few = finish(train_on(&texts, &place, "few").args(["--vocabulary", "4"])).ok();
    assert!(few.err.contains("a vocabulary of 4 from 28 distinct words"), "{}", few.err);
    // Without any text: the one in the program.
    let mut command = elman();
    command
        .args(["train", "word-lm", "--steps", "3", "--hidden", "4", "--vocabulary", "50", "--out"])
        .arg(place.path("own"));
    assert!(finish(&mut command).ok().err.contains("the embedded text: "));
}

#[test]
fn presets_are_settings_and_others_replace_them() {
    let place = Place::new();
    let small = "--preset zaremba-small --hidden 6 --vocabulary 20 --set seq-len=4 --epochs 2";
    let texts = folder(&place);
    let mut command = elman();
    command.args(["train", "word-lm", "--data"]).arg(&texts).arg("--out").arg(place.path("run")).args(small.split(' '));
    finish(&mut command).ok();
    let config = String::from_utf8(place.read("run/config.toml")).unwrap();
    for line in [
        "hidden = 6",
        "# embedding = 6  # as hidden",
        "seq-len = 4",
        "batch = 20",
        "lr = 20.0",
        "clip = \"0.25\"",
        "optimiser = \"sgd\"",
        "steps = 24",
    ] {
        assert!(config.lines().any(|l| l == line), "{line} of {config}");
    }
    assert!(!config.contains("\npreset"), "{config}");
    // Said again, it changes nothing; nor does it in a file.
    let again = finish(resume(&place, "run").args(small.split(' '))).ok();
    assert!(!again.err.contains("changed for the steps to come"), "{}", again.err);
    let file = place.write("small.toml", b"batch = 7\npreset = \"zaremba-small\"\n");
    let mut command = train_on(&texts, &place, "file");
    finish(command.arg("--config").arg(file).args(["--batch", "7"])).ok();
    finish(train(&place, "bad").args(["--preset", "zaremba-smal"]))
        .fails(2, &["--preset: unknown preset `zaremba-smal`; did you mean `zaremba-small`?"]);
}

#[test]
fn bad_input_is_told_in_a_line() {
    let place = Place::new();
    let fails = |name: &str, content: &[u8], extra: &[&str], words: &[&str]| {
        let path = place.write(name, content);
        finish(train_on(&path, &place, "run").args(extra)).fails(2, words);
        assert!(!place.path("run").exists());
    };
    fails("empty.txt", b"", &[], &["empty.txt: the file is empty"]);
    fails("latin.txt", b"caf\xe9\n", &[], &["latin.txt: not UTF-8 at byte 3"]);
    fails("binary.txt", b"a\0b", &[], &["binary.txt: a binary file"]);
    fails("packed.txt.gz", b"not packed", &[], &["packed.txt.gz: it cannot be unpacked: it is not a gzip file"]);
    fails("blank.txt", b"\n", &["--min-count", "1"], &["blank.txt: it has no word, only ends of lines"]);
    let text = sentences(50, 1);
    fails(
        "text.txt",
        text.as_bytes(),
        &["--min-count", "1000"],
        &["none is left with min-count 1000 and vocabulary 10000; lower `min-count`"],
    );
    fails("text.txt", text.as_bytes(), &["--vocabulary", "2"], &["none is left with min-count 2 and vocabulary 2"]);
    fails(
        "text.txt",
        text.as_bytes(),
        &["--vocabulary", "0"],
        &["--vocabulary: `vocabulary` is 0; it must be a whole number from 2"],
    );
    fails("text.txt", text.as_bytes(), &["--min-count", "0"], &["--min-count: `min-count` is 0"]);
    fails(
        "text.txt",
        text.as_bytes(),
        &["--init-range", "0"],
        &["`init-range` is `0`; it must be `off` or a number above 0"],
    );
    fails(
        "text.txt",
        text.as_bytes(),
        &["--init-range", "0.1", "--forget-bias", "1"],
        &["init-range: it draws every parameter; leave out"],
    );
    fails(
        "text.txt",
        text.as_bytes(),
        &["--dropout-readout", "1"],
        &["`dropout-readout` is 1; it must be a number from 0 to below 1"],
    );
    fails("text.txt", text.as_bytes(), &["--valid", "nowhere.txt"], &["nowhere.txt: there is no such file"]);
    let valid = place.write("valid.txt", b"\n").display().to_string();
    fails(
        "text.txt",
        text.as_bytes(),
        &["--valid", &valid],
        &["valid.txt: it has 1 word; a prediction needs at least 2"],
    );
    // One word, told twice, is enough to learn; a text shorter than a batch gets a smaller one.
    place.write("one.txt", b"a a");
    let one = finish(&mut train_on(&place.path("one.txt"), &place, "one")).ok();
    for word in ["too short (3 words) for a held-out part", "batch 1 instead of 4"] {
        assert!(one.err.contains(word), "{word} of {}", one.err);
    }

    let texts = folder(&place);
    std::fs::write(texts.join("other.train.txt"), "a b").unwrap();
    finish(&mut train_on(&texts, &place, "run"))
        .fails(2, &["texts: both my.train.txt.gz and other.train.txt may be its part `train`"]);
    std::fs::remove_file(texts.join("other.train.txt")).unwrap();
    std::fs::remove_file(texts.join("my.test.txt")).unwrap();
    finish(&mut train_on(&texts, &place, "run")).fails(2, &["texts: there is no file *test*.txt"]);
    // A setting of words is none of characters, and the other way round a configuration.
    finish(place.train("run").args(["--min-count", "2"]))
        .fails(2, &["--min-count: `min-count` is a setting of word-lm, and char-lm has none of this name"]);
    assert!(!place.path("run").exists());
}

#[test]
fn the_toy_is_shown_vector_by_vector() {
    let place = Place::new();
    let path = place.write("toy.txt", b"a rose is a rose\n");
    let mut command = elman();
    command
        .args("train word-lm --cell elman --hidden 4 --min-count 1 --held-out 0 --lr 0.1 --verbose --data".split(' '));
    let outcome = finish(command.arg(path).arg("--out").arg(place.path("run"))).ok();
    let after = outcome.err.split("after 150 steps").last().unwrap();
    for title in ["step 1: a -> rose\n", "step 2: rose -> is\n", "step 5: rose -> <eos>\n"] {
        assert!(after.contains(title), "{title} of {after}");
    }
    // The two `rose` have different successors: only the state can tell.
    let sample =
        run(["sample", place.path("run").to_str().unwrap(), "--prompt", "a", "--length", "5", "--temperature", "0"])
            .ok();
    assert_eq!(sample.out, "a rose is a rose\n");
}
