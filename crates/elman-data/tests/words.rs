//! Words: against a plain reading, and the Penn Treebank's known numbers; files that gzip packed.

mod data;

use elman_data::words::{EOS, UNK};
use elman_data::{Text, Words, gzip};
use proptest::prelude::*;

fn words(content: &str) -> Words {
    Words::read(&Text::from_static(content.to_string().leak().as_bytes()).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn they_are_those_of_a_plain_reading(content in "[ab\u{e9}\u{3000} \t\r\n]{1,80}", least in 1u64..4, most in 2usize..6) {
        let read = words(&content);
        // As Python's `text.replace("\n", " <eos> ").split()` of a text whose last line has its end.
        let ended = if content.ends_with('\n') { content.clone() } else { content.clone() + "\n" };
        let replaced = ended.replace('\n', " <eos> ");
        let plain: Vec<&str> = replaced.split_whitespace().collect();
        prop_assert_eq!(read.iter().collect::<Vec<_>>(), plain.clone());
        let part = 0..plain.len() / 2;
        let count = |word: &str| plain[part.clone()].iter().filter(|&&w| w == word).count() as u64;
        let frequent = read.frequent(part.clone(), least, most);
        prop_assert!(frequent.len() <= most && frequent.contains(&EOS) && frequent.contains(&UNK));
        let ordinary: Vec<&str> = frequent.iter().copied().filter(|w| ![EOS, UNK].contains(w)).collect();
        prop_assert!(ordinary.iter().all(|w| count(w) >= least));
        prop_assert!(ordinary.windows(2).all(|w| (count(w[1]), w[0]) < (count(w[0]), w[1])));
        // Nothing more frequent was left out.
        let left = plain[part.clone()].iter().filter(|w| !frequent.contains(w)).map(|w| count(w)).filter(|&n| n >= least).max();
        if let Some(left) = left {
            prop_assert!(frequent.len() == most && ordinary.iter().all(|w| count(w) >= left));
        }
        let ids = read.encode(|word| frequent.iter().position(|&w| w == word).unwrap_or(99) as u32);
        for (id, word) in ids.into_iter().zip(plain) {
            prop_assert_eq!(frequent.get(id as usize), frequent.iter().find(|&&w| w == word));
        }
    }
}

#[test]
fn the_penn_treebank_has_its_known_numbers() {
    let Some(data) = data::folder() else { return };
    let read = |name: &str| Words::read(&Text::open(data.join("ptb").join(name)).unwrap()).unwrap();
    let train = read("ptb.train.txt.gz");
    // Words and line ends, as they are given everywhere.
    assert_eq!((train.len(), train.distinct()), (929_589, 10_000));
    let vocabulary = train.frequent(0..train.len(), 1, 10_000);
    assert_eq!(vocabulary.len(), 10_000);
    assert_eq!(vocabulary[..4], ["the", UNK, EOS, "N"]);
    for (name, count) in [("ptb.valid.txt", 73_760), ("ptb.test.txt", 82_430)] {
        let part = read(name);
        assert_eq!(part.len(), count, "{name}");
        // Its vocabulary is closed.
        assert!(part.iter().all(|word| vocabulary.contains(&word)), "{name}");
    }
}

/// Blocks of all three kinds, made by packed.py: stored, with the fixed code, with a code of its own; and all in one file.
#[test]
fn packed_files_are_unpacked() {
    let text: String = (0..3000).map(|i| format!("{} ", i * i % 1009)).collect();
    let stored = include_bytes!("stored.gz");
    let fixed = include_bytes!("fixed.gz");
    let own = include_bytes!("own.gz");
    for packed in [&stored[..], fixed, own] {
        assert!(gzip::unpack(packed).unwrap() == text.as_bytes());
    }
    assert!(gzip::unpack(&[&stored[..], own].concat()).unwrap() == text.repeat(2).as_bytes());

    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        Text::open(path)
    };
    let unpacked = open("text.txt.gz", own).unwrap();
    assert_eq!(unpacked.len(), text.len());
    assert_eq!(unpacked.fingerprint(), open("text.txt", text.as_bytes()).unwrap().fingerprint());
    let refusal = |content: &[u8]| open("bad.gz", content).unwrap_err().to_string();
    assert!(
        refusal(b"plain text").ends_with(
            "bad.gz: it cannot be unpacked: it is not a gzip file; take another copy, or unpack it with gzip"
        )
    );
    assert!(refusal(&own[..own.len() - 9]).contains("it is cut off"));
    assert!(refusal(&[]).contains("the file is empty"));
    // Any change is found out, or is one of what has no meaning: time and system in the header, bits behind the last block.
    for at in 0..own.len() {
        let mut changed = own.to_vec();
        changed[at] ^= 0x10;
        if let Ok(unpacked) = gzip::unpack(&changed) {
            assert!(unpacked == text.as_bytes(), "byte {at}");
        }
        changed.truncate(at);
        assert!(gzip::unpack(&changed).is_err(), "{at} bytes");
    }
}
