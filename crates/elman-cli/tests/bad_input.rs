//! Wrong commands and wrong texts: one clear line, status 2, nothing written.

mod common;

use common::{Place, elman, finish, run};

#[test]
fn empty_file() {
    let place = Place::new();
    place.write("empty.txt", b"");
    finish(&mut place.train_on("empty.txt", "run")).fails(2, &["empty.txt: the file is empty"]);
    assert!(!place.path("run").exists());
}

#[test]
fn one_character_file() {
    let place = Place::new();
    place.write("one.txt", b"x");
    finish(&mut place.train_on("one.txt", "run")).fails(2, &["one.txt: ", "needs at least 2"]);
    assert!(!place.path("run").exists());
}

#[test]
fn file_shorter_than_a_batch_gets_a_smaller_one_said_aloud() {
    let place = Place::new();
    place.write("short.txt", common::text(20).as_bytes());
    let outcome = finish(&mut place.train_on("short.txt", "run")).ok();
    assert!(outcome.err.contains("short.txt: the text has only 18 characters"), "{}", outcome.err);
    assert!(outcome.err.contains("batch 2 instead of 4"), "{}", outcome.err);
    assert!(outcome.out.contains("held-out: "), "{}", outcome.out);
}

#[test]
fn binary_and_other_encodings() {
    let place = Place::new();
    place.write("binary", b"abc\0def");
    finish(&mut place.train_on("binary", "run")).fails(2, &["binary: a binary file (byte 3 is NUL)"]);
    place.write("latin1.txt", b"caf\xe9 au lait\n");
    finish(&mut place.train_on("latin1.txt", "run")).fails(2, &["latin1.txt: not UTF-8 at byte 3", "iconv"]);
    place.write("utf16.txt", b"\xff\xfeh\0i\0");
    finish(&mut place.train_on("utf16.txt", "run")).fails(2, &["utf16.txt: ", "UTF-16"]);
}

#[test]
fn missing_file_and_directory_as_file() {
    let place = Place::new();
    finish(&mut place.train_on("nothing.txt", "run")).fails(2, &["nothing.txt: there is no such file"]);
    finish(&mut place.train_on(".", "run")).fails(2, &["a directory, not a file"]);
}

#[test]
fn unknown_names_are_told_with_the_nearest() {
    let place = Place::new();
    finish(place.train("run").args(["--cell", "ltsm"]))
        .fails(2, &["--cell: unknown cell `ltsm`; did you mean `lstm`?"]);
    finish(place.train("run").args(["--precision", "bf61"]))
        .fails(2, &["--precision: unknown precision `bf61`; did you mean `bf16`?"]);
    finish(place.train("run").args(["--precision", "double"]))
        .fails(2, &["--precision: unknown precision `double`; it must be one of f32, bf16"]);
    finish(place.train("run").args(["--set", "cell=grus"])).fails(2, &["--set cell=grus: ", "did you mean `gru`?"]);
    finish(place.train("run").args(["--set", "hiden=3"])).fails(2, &["unknown key `hiden`; did you mean `hidden`?"]);
    finish(place.train("run").args(["--set", "hidden"])).fails(2, &["--set hidden: write it as --set KEY=VALUE"]);
    for (given, here) in [("--k1", "--stride"), ("--k2", "--seq-len"), ("--zoneout", "--cell lstm:zoneout=0.1")] {
        finish(place.train("run").args([given, "1"]))
            .fails(2, &[&format!("unexpected argument '{given}' found; "), here, "see --help"]);
    }
    run(["train", "char-ml"]).fails(2, &["unknown task `char-ml`; did you mean `char-lm`?"]);
    run(["describe", "gru-rest-after"]).fails(2, &["unknown cell", "did you mean `gru-reset-after`?"]);
    run(["describe", "lstm", "--notation", "olso"]).fails(2, &["unknown notation `olso`", "did you mean `oslo`?"]);

    let config = place.write("config.toml", b"hidden = 8\nbatchs = 3\n");
    finish(place.train("run").arg("--config").arg(&config))
        .fails(2, &["config.toml: unknown key `batchs`; did you mean `batch`?"]);
    place.write("config.toml", b"hidden = 8\nlr = = 2\n");
    finish(place.train("run").arg("--config").arg(&config)).fails(2, &["config.toml: line 2 is not TOML"]);
    place.write("config.toml", b"[network]\nhidden = 8\n");
    finish(place.train("run").arg("--config").arg(&config)).fails(2, &["config.toml: key `network` is a table"]);
    place.write("config.toml", b"task = \"music\"\n");
    finish(place.train("run").arg("--config").arg(&config)).fails(2, &["a configuration of `music`, not of `char-lm`"]);
    finish(place.train("run").arg("--config").arg(place.path("no.toml"))).fails(2, &["no.toml: there is no such file"]);
    assert!(!place.path("run").exists());

    run(["train", "char-lm", "--hiden", "3"]).fails(2, &["unexpected argument '--hiden'", "'--hidden'", "--help"]);
    run(["sampel", "x"]).fails(2, &["unrecognized subcommand 'sampel'", "'sample'"]);
    run(["describe", "lstm", "--graph", "png"]).fails(2, &["'png'", "[possible values: svg, dot]"]);
    run(["sample", "x", "--top-k", "few"]).fails(2, &["'few'", "'--top-k <N>'"]);
    run(["train"]).fails(2, &["required", "<TASK>"]);
}

#[test]
fn settings_out_of_range_are_told_with_their_range() {
    let place = Place::new();
    let whole = "it must be a whole number from 1";
    for (option, value, range) in [
        ("hidden", "0", whole),
        ("hidden", "-3", whole),
        ("hidden", "2.5", whole),
        ("hidden", "many", whole),
        ("hidden", "99999999999999999999999", whole),
        ("layers", "0", whole),
        ("batch", "0", whole),
        ("seq-len", "0", whole),
        ("steps", "0", whole),
        ("steps", "-1", whole),
        ("epochs", "0", whole),
        ("embedding", "0", whole),
        ("lr", "0", "it must be a number above 0"),
        ("lr", "-0.1", "it must be a number above 0"),
        ("lr", "NaN", "it must be a number above 0"),
        ("lr", "inf", "it must be a number above 0"),
        ("clip", "0", "it must be `off` or a number above 0"),
        ("dropout", "1", "from 0 to below 1"),
        ("dropout", "-0.1", "from 0 to below 1"),
        ("held-out", "0.6", "from 0 to 0.5"),
        ("held-out", "-0.1", "from 0 to 0.5"),
        ("seed", "-1", "a whole number from 0"),
        ("seed", "18446744073709551615", "a whole number from 0"),
        ("threads", "100000", "a whole number from 0 to 1024"),
        ("recompute", "0", "it must be `off`, a number of steps from 1, or a budget of memory such as `64MB`"),
        ("recompute", "64 parsecs", "it must be `off`, a number of steps"),
    ] {
        // The settings of `train` itself stand in the command already.
        let mut command = elman();
        command.args(["train", "char-lm", "--data"]).arg(place.path("text.txt")).arg("--out").arg(place.path("run"));
        finish(command.args([&format!("--{option}"), value]))
            .fails(2, &[&format!("--{option}: `{option}` is"), value, range]);
    }
    let huge = ["--hidden", "65536", "--layers", "100"];
    let mut command = elman();
    command.args(["train", "char-lm", "--data"]).arg(place.path("text.txt")).arg("--out").arg(place.path("run"));
    finish(command.args(huge)).fails(2, &["parameters", "lower `hidden`"]);
    place.write("long.txt", "ab".repeat(3_000_000).as_bytes());
    let long = ["--batch", "5", "--seq-len", "1000000", "--hidden", "1000"];
    finish(place.train_on("long.txt", "run").args(long))
        .fails(2, &["a step of 5 x 1000000 characters", "lower `batch`"]);
    finish(place.train("run").args(["--recompute", "10kB"])).fails(
        2,
        &["recompute: a budget of 10 kB is too small for ", "; the least is ", " steps; give more, or lower `batch`"],
    );
    assert!(!place.path("run").exists());

    run(["describe", "lstm", "--hidden", "0"]).fails(2, &["--hidden: it is 0"]);
    assert_eq!(run(["describe", "lstm", "--hidden", "-1"]).status, 2);
}

#[test]
fn sampling_settings_and_prompt() {
    let place = Place::new();
    finish(&mut place.train("run")).ok();
    let dir = place.path("run").display().to_string();
    let sample = |arguments: &[&str]| run(["sample", &dir].iter().chain(arguments));
    sample(&["--prompt", "the thq"]).fails(2, &["--prompt: character 7 is 'q', which the vocabulary lacks"]);
    sample(&["--prompt", "The"]).fails(2, &["--prompt: character 1 is 'T'", "it has 't'"]);
    sample(&["--temperature", "-1"]).fails(2, &["--temperature is -1; it must be 0"]);
    sample(&["--temperature", "nan"]).fails(2, &["--temperature is NaN"]);
    sample(&["--top-k", "0"]).fails(2, &["--top-k is 0; it must be at least 1"]);
    sample(&["--top-p", "0"]).fails(2, &["--top-p is 0; it must be above 0"]);
    sample(&["--top-p", "1.5"]).fails(2, &["--top-p is 1.5"]);
    assert_eq!(sample(&["--length", "-1"]).status, 2);
    assert_eq!(sample(&["--length", "0", "--prompt", "the"]).ok().out, "the\n");

    let eval = |data: &str| finish(elman().args(["eval", &dir, "--data"]).arg(place.path(data)));
    place.write("other.txt", "the quick".as_bytes());
    eval("other.txt").fails(2, &["other.txt: character 5 is 'q', which the vocabulary lacks"]);
    place.write("one.txt", b"t");
    eval("one.txt").fails(2, &["one.txt: ", "at least 2"]);
    eval("missing.txt").fails(2, &["missing.txt: there is no such file"]);
}

#[test]
fn a_run_without_held_out_part_is_scored_on_a_text_only() {
    let place = Place::new();
    finish(place.train("run").args(["--held-out", "0"])).ok();
    let dir = place.path("run").display().to_string();
    run(["eval", &dir]).fails(2, &["held-out part has 0 character(s)", "--data"]);
    finish(elman().args(["eval", &dir, "--data"]).arg(place.path("text.txt"))).ok();
}

#[test]
fn truncations_that_make_no_sense() {
    for (arguments, message) in [
        (["--k1", "0"].as_slice(), "k1 is 0; it must be at least 1"),
        (&["--k1", "2", "--k2", "0"], "k2 is 0; it must be at least 1"),
        (&["--k1", "4", "--k2", "3"], "k2 is 3 and k1 is 4; k2 must be at least k1"),
        (&["--steps", "0"], "--steps: it is 0; it must be from 1 to 100"),
    ] {
        finish(elman().arg("paths").args(arguments)).fails(2, &[message]);
    }
    let shown = finish(elman().args(["paths", "--steps", "6", "--k1", "1", "--k2", "3"])).ok();
    assert!(shown.out.starts_with("k1 = 1, k2 = 3, T = 6: 15 of 21 paths"), "{}", shown.out);
    let svg = finish(elman().args(["paths", "--svg"])).ok();
    assert!(svg.out.starts_with("<svg ") && svg.out.ends_with("</svg>\n"));
}
