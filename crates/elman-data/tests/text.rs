//! Texts: every refusal, and random access against a plain `Vec<char>`.

use elman_data::{Text, TextError, corpus};
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

/// A file in a folder that goes when the test ends.
fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.txt");
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn refusal(content: &[u8]) -> String {
    let (folder, path) = file(content);
    let message = Text::open(&path).unwrap_err().to_string();
    assert!(!message.contains('\n'), "more than one line: {message}");
    message.replace(&folder.path().display().to_string(), "")
}

fn code(c: char) -> Option<u32> {
    Some(c as u32)
}

#[test]
fn a_missing_file_is_refused() {
    let (folder, _) = file(b"x");
    let error = Text::open(folder.path().join("other.txt")).unwrap_err();
    assert!(matches!(error, TextError::Missing { .. }), "{error:?}");
    assert!(error.to_string().ends_with("other.txt: there is no such file; check the path"));
}

/// Some programs begin UTF-8 with a byte order mark.
#[test]
fn a_byte_order_mark_is_no_character() {
    let (_folder, plain) = file("naïve".as_bytes());
    let (_other, marked) = file("\u{feff}naïve".as_bytes());
    let (plain, marked) = (Text::open(plain).unwrap(), Text::open(marked).unwrap());
    assert_eq!(marked.fingerprint(), plain.fingerprint());
    assert_eq!((marked.len(), marked.len_bytes()), (5, 6));
    let mut codes = [0; 5];
    marked.read(0, &mut codes, code).unwrap();
    assert_eq!(codes, ['n', 'a', 'ï', 'v', 'e'].map(|c| c as u32));
    // Elsewhere it is one; and offsets in messages are those of the file.
    let (_folder, within) = file("a\u{feff}b".as_bytes());
    assert_eq!(Text::open(within).unwrap().len(), 3);
    let (_folder, broken) = file(b"\xef\xbb\xbfab\xff");
    assert!(Text::open(broken).unwrap_err().to_string().contains("not UTF-8 at byte 5 (line 1, value 0xff)"));
    let (_folder, alone) = file(b"\xef\xbb\xbf");
    assert!(matches!(Text::open(alone).unwrap_err(), TextError::Empty { .. }));
}

#[test]
fn a_directory_is_refused() {
    let (folder, _) = file(b"x");
    let error = Text::open(folder.path()).unwrap_err();
    assert!(matches!(error, TextError::NotAFile { .. }), "{error:?}");
    assert!(error.to_string().contains("this is a directory, not a file"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_device_is_refused() {
    let error = Text::open("/dev/null").unwrap_err();
    assert!(error.to_string().contains("a pipe or a device"), "{error}");
}

#[cfg(unix)]
#[test]
fn what_the_system_refuses_is_said_with_its_reason() {
    // Not by permissions: the superuser, as whom containers run tests, may read everything.
    let (_folder, path) = file(b"x");
    let error = Text::open(path.join("below-a-file")).unwrap_err();
    assert!(matches!(error, TextError::Unreadable { .. }), "{error:?}");
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn an_empty_file_is_refused() {
    assert_eq!(refusal(b""), "/text.txt: the file is empty; give a text to learn from");
}

#[test]
fn a_binary_file_is_refused_with_the_offset() {
    assert_eq!(refusal(b"\x7fELF\x02\0\0"), "/text.txt: a binary file (byte 5 is NUL); give a UTF-8 text file");
}

#[test]
fn another_encoding_is_refused_with_the_offset_and_the_line() {
    assert_eq!(
        refusal(b"one\ntwo\ncaf\xe9 three"),
        "/text.txt: not UTF-8 at byte 11 (line 3, value 0xe9); convert it, for example with `iconv -f latin1 -t utf-8`"
    );
    let utf16 = [&[0xff, 0xfe], "hi".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>().as_slice()].concat();
    assert!(refusal(&utf16).contains("it looks like UTF-16"), "{}", refusal(&utf16));
}

#[test]
fn a_character_that_encode_lacks_is_named_with_its_position() {
    for content in ["hello world", "héllo world"] {
        let (_folder, path) = file(content.as_bytes());
        let text = Text::open(path).unwrap();
        let error = text.read(2, &mut [0; 6], |c| (c != 'w').then_some(0)).unwrap_err();
        assert!(error.to_string().contains("character 7 is 'w', which the vocabulary lacks;"), "{error}");
        let sooner = text.require(|c| c != 'w').unwrap_err();
        assert_eq!(sooner.to_string(), error.to_string());
        text.require(|c| c != 'x').unwrap();
    }
}

#[test]
fn a_file_changed_under_the_map_is_found_out() {
    let (_folder, path) = file("a".repeat(5000).as_bytes());
    let text = Text::open(&path).unwrap();
    // Written in place, not replaced: the map shows the new content.
    use std::io::{Seek, SeekFrom, Write};
    let mut open = fs::OpenOptions::new().write(true).open(&path).unwrap();
    open.seek(SeekFrom::Start(4000)).unwrap();
    open.write_all("é".as_bytes()).unwrap();
    let error = text.read(3990, &mut [0; 100], code).unwrap_err();
    assert!(matches!(error, TextError::Changed { .. }), "{error:?}");
}

#[test]
#[should_panic(expected = "characters 3..6 of a text of 5")]
fn reading_beyond_the_end_panics() {
    let _ = Text::from_static("naïve".as_bytes()).unwrap().read(3, &mut [0; 3], code);
}

#[test]
fn the_embedded_corpus_is_a_text() {
    let text = corpus::text().unwrap();
    // Large enough to learn from, small enough for the program.
    assert!((100_000..=600 << 10).contains(&text.len_bytes()), "{} bytes", text.len_bytes());
    assert!(text.unigram_nats() > 2.0);
}

/// Texts with characters of one to four bytes, long enough to need several entries of the index.
fn texts() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        5 => proptest::char::range('\u{1}', '\u{7f}'),
        1 => proptest::char::range('\u{80}', '\u{7ff}'),
        1 => proptest::char::range('\u{800}', '\u{ffff}'),
        1 => proptest::char::range('\u{10000}', '\u{10ffff}'),
    ];
    (prop::collection::vec(character, 1..300), 1usize..30)
        .prop_map(|(characters, times)| characters.iter().collect::<String>().repeat(times))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_range_reads_as_a_vector_of_characters(content in texts(), a in 0.0..1.0f64, b in 0.0..1.0f64) {
        let (_folder, path) = file(content.as_bytes());
        let text = Text::open(&path).unwrap();
        let plain: Vec<char> = content.chars().collect();
        prop_assert_eq!(text.len(), plain.len());
        let mut sorted = plain.clone();
        sorted.sort_unstable();
        sorted.dedup();
        prop_assert_eq!(text.characters().collect::<Vec<_>>(), sorted);
        prop_assert_eq!(text.counts().iter().map(|c| c.1).sum::<u64>(), plain.len() as u64);
        let start = (a * (plain.len() + 1) as f64) as usize;
        let count = (b * (plain.len() - start + 1) as f64) as usize;
        let mut read = vec![0; count];
        text.read(start, &mut read, code).unwrap();
        let expected: Vec<u32> = plain[start..start + count].iter().map(|&c| c as u32).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn bytes_are_accepted_exactly_if_they_are_utf8_without_nul(content in prop::collection::vec(any::<u8>(), 1..40)) {
        let (_folder, path) = file(&content);
        let good = std::str::from_utf8(&content).is_ok() && !content.contains(&0);
        prop_assert_eq!(Text::open(&path).is_ok(), good);
    }
}
