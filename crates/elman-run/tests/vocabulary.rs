//! The vocabulary: ids, its JSON form, and what it lacks.

use elman_run::{Error, Vocabulary};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn a_text_is_decoded_as_it_was_encoded(text in "\\PC{1,60}|[a-z \n]{1,60}") {
        let vocabulary = Vocabulary::new(text.chars()).unwrap();
        let ids = vocabulary.encode(&text).unwrap();
        prop_assert_eq!(vocabulary.decode(&ids), text.clone());
        // Ids are positions among the sorted distinct characters, as in the PyTorch script's `sorted(set(text))`.
        let mut sorted: Vec<char> = text.chars().collect();
        sorted.sort_unstable();
        sorted.dedup();
        prop_assert_eq!(vocabulary.characters(), &sorted);
        for (id, &character) in sorted.iter().enumerate() {
            prop_assert_eq!(vocabulary.id(character), Some(id as u32));
        }
        prop_assert_eq!(Vocabulary::from_json(&vocabulary.to_json()).unwrap(), vocabulary);
    }

    #[test]
    fn the_first_character_that_lacks_is_named(known in "[a-m]{1,30}", unknown in "[n-zé🙂]", rest in "[a-zé]{0,9}") {
        let vocabulary = Vocabulary::new(known.chars()).unwrap();
        let error = vocabulary.encode(&format!("{known}{unknown}{rest}")).unwrap_err();
        let Error::UnknownCharacter { character, position, .. } = error else { panic!("{error:?}") };
        prop_assert_eq!(character.to_string(), unknown);
        prop_assert_eq!(position, known.chars().count() + 1);
    }
}

#[test]
fn the_nearest_character_is_suggested() {
    let vocabulary = Vocabulary::new("abcé'\"-Q ".chars()).unwrap();
    for (missing, near) in [('A', "'a'"), ('É', "'é'"), ('q', "'Q'"), ('’', "'\\''"), ('“', "'\"'"), ('—', "'-'")]
    {
        let error = vocabulary.encode(&format!("a{missing}")).unwrap_err();
        assert_eq!(error.to_string(), format!("character 2 is {missing:?}, which the vocabulary lacks; it has {near}"));
    }
}

#[test]
fn a_file_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocabulary.json");
    let vocabulary = Vocabulary::new("a\n\"\\🙂".chars()).unwrap();
    vocabulary.save(&path).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\"version\":1,\"kind\":\"character\",\"symbols\":[\"\\n\",\"\\\"\",\"\\\\\",\"a\",\"🙂\"]}\n"
    );
    assert_eq!(Vocabulary::load(&path).unwrap(), vocabulary);
}

#[test]
fn a_wrong_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocabulary.json");
    assert!(matches!(Vocabulary::load(&path).unwrap_err(), Error::Missing { .. }));
    let symbols = |s: &str| format!("{{\"version\":1,\"kind\":\"character\",\"symbols\":{s}}}");
    for (json, said) in [
        ("{".to_string(), "not its JSON form"),
        (symbols("[]"), "it has no character"),
        (symbols("[\"ab\"]"), "\"ab\" is not one character"),
        (symbols("[\"\"]"), "\"\" is not one character"),
        (symbols("[\"b\",\"a\"]"), "'a' stands after 'b'"),
        (symbols("[\"a\",\"a\"]"), "'a' stands after 'a'"),
        (symbols("[\"a\"]").replace("1", "2"), "version 2, this program reads up to 1"),
        (symbols("[\"a\"]").replace("character", "byte"), "of the kind `byte`"),
        (symbols("[\"a\",\"<eos>\"]").replace("character", "word"), "the word `<unk>` is missing"),
        (symbols("[\"<unk>\"]").replace("character", "word"), "the word `<eos>` is missing"),
        (symbols("[\"<unk>\",\"<eos>\",\"<unk>\"]").replace("character", "word"), "the words 0 and 2 are the same"),
        (symbols("[\"<unk>\",\"<eos>\",\"a b\"]").replace("character", "word"), "\"a b\" is not a word"),
    ] {
        std::fs::write(&path, json).unwrap();
        let message = Vocabulary::load(&path).unwrap_err().to_string();
        assert!(message.contains(said) && message.contains("vocabulary.json"), "{message}");
    }
    assert!(Vocabulary::new("".chars()).is_err());
}

#[test]
fn words_are_read_and_written_as_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vocabulary.json");
    let words = ["<unk>", "naïve", "<eos>", "\"", "the"].map(String::from);
    let vocabulary = Vocabulary::of_words(words).unwrap();
    assert_eq!((vocabulary.len(), vocabulary.unit(), vocabulary.characters()), (5, "word", &[][..]));
    // White space of any kind and amount; a last line without its end does not end.
    let ids = vocabulary.encode("  the\tnaïve \u{3000}Naïve\r\n\n<eos> the").unwrap();
    assert_eq!(ids, [4, 1, 0, 2, 2, 2, 4]);
    assert_eq!(vocabulary.decode(&ids), "the naïve <unk>\n\n\nthe");
    assert_eq!(vocabulary.encode("").unwrap(), [0u32; 0]);
    assert_eq!((vocabulary.word_id("the"), vocabulary.word_id("THE"), vocabulary.id('t')), (Some(4), Some(0), None));
    assert_eq!(
        (vocabulary.symbol(1), vocabulary.written(1, true), vocabulary.written(1, false)),
        ("naïve", "naïve", " naïve")
    );
    vocabulary.save(&path).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\"version\":1,\"kind\":\"word\",\"symbols\":[\"<unk>\",\"naïve\",\"<eos>\",\"\\\"\",\"the\"]}\n"
    );
    assert_eq!(Vocabulary::load(&path).unwrap(), vocabulary);
    let characters = Vocabulary::new("the".chars()).unwrap();
    assert_eq!((characters.word_id("the"), characters.unit(), characters.written(0, false)), (None, "character", "e"));
}
