use super::*;

fn example() -> Checkpoint {
    Checkpoint {
        step: 300,
        updates: 299,
        random: (1u128 << 66) + 5,
        cursor: "12 7".into(),
        note: "hidden = 3".into(),
        entries: vec![
            Entry { name: "optimiser/m/a".into(), shape: vec![3], values: vec![1.0, -0.0, f32::MIN_POSITIVE / 4.0] },
            Entry { name: "parameter/a".into(), shape: vec![3, 1], values: vec![0.5, f32::MAX, -1e-30] },
        ],
    }
}

#[test]
fn a_round_trip_keeps_every_bit_and_the_same_content_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    example().save(&path).unwrap();
    let first = fs::read(&path).unwrap();
    let back = Checkpoint::load(&path).unwrap();
    assert_eq!(back, example());
    assert!(back.entries[0].values[1].is_sign_negative());
    back.save(&path).unwrap();
    assert_eq!(first, fs::read(&path).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn every_flipped_bit_is_refused_or_changes_nothing() {
    let bytes = example().to_bytes();
    let mut refused = 0;
    for i in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[i] ^= 1 << bit;
            match Checkpoint::from_bytes(&flipped) {
                Err(_) => refused += 1,
                // The header is text: a letter of an escape, say, may change without a change of meaning.
                Ok(read) => assert_eq!(read, example(), "bit {bit} of byte {i}"),
            }
        }
    }
    assert!(refused > bytes.len() * 7, "{refused} of {}", bytes.len() * 8);
}

#[test]
fn every_truncation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let bytes = example().to_bytes();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = Checkpoint::load(&path).unwrap_err();
        assert!(matches!(error, CheckpointError::Damaged { .. }), "{length}: {error}");
    }
}

#[test]
fn foreign_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let message = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Checkpoint::load(&path).unwrap_err().to_string()
    };
    let mut huge = example().to_bytes();
    huge[..8].copy_from_slice(&(1u64 << 40).to_le_bytes());
    assert!(message(&huge).contains("header of 1099511627776 bytes"), "{}", message(&huge));
    assert!(message(b"PK\x03\x04 something else entirely").contains("announce a header"));
    let foreign = serialize(Vec::<(String, TensorView)>::new(), None).unwrap();
    assert!(message(&foreign).contains("not written by Elman"));
    assert!(Checkpoint::load(&folder.path().join("none")).unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn a_note_that_could_not_be_read_again_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    example().save(&path).unwrap();
    let long = Checkpoint { note: "x".repeat(17 << 20), ..example() };
    let message = long.save(&path).unwrap_err().to_string();
    assert!(message.contains("its note and names make a header of 1782"), "{message}");
    assert_eq!(Checkpoint::load(&path).unwrap().note, example().note);
}

#[test]
fn a_failed_save_leaves_the_former_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    example().save(&path).unwrap();
    let before = fs::read(&path).unwrap();
    // A folder in the temporary file's place makes the write fail for any user.
    fs::create_dir(folder.path().join("c.tmp")).unwrap();
    let error = Checkpoint { step: 301, ..example() }.save(&path).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}
