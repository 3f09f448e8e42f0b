//! Streams: the yardstick's windows, the place, and what short texts get.

use elman_data::{Split, Streams, StreamsError, Text};
use proptest::prelude::*;
use std::sync::LazyLock;

static DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn text() -> &'static Text {
    static TEXT: LazyLock<Text> = LazyLock::new(|| Text::from_static(DIGITS).unwrap());
    &TEXT
}

fn code(c: char) -> Option<u32> {
    DIGITS.iter().position(|&d| d as char == c).map(|p| p as u32)
}

/// The windows of the PyTorch script, word for word, on the text 0, 1, 2, ...
fn yardstick(n: usize, batch: usize, steps: usize, count: usize) -> Vec<(bool, Vec<u32>, Vec<u32>)> {
    let nb = (n - 1) / batch;
    let mut p = 0;
    let mut fresh = true;
    let mut windows = Vec::new();
    for _ in 0..count {
        if p + steps > nb {
            p = 0;
            fresh = true;
        }
        let grid = |shift: usize| {
            (0..steps).flat_map(|t| (0..batch).map(move |b| (b * nb + p + t + shift) as u32)).collect::<Vec<_>>()
        };
        windows.push((fresh, grid(0), grid(1)));
        fresh = false;
        p += steps;
    }
    windows
}

fn take(streams: &mut Streams, text: &Text, count: usize) -> Vec<(bool, Vec<u32>, Vec<u32>)> {
    let size = streams.batch() * streams.steps();
    (0..count)
        .map(|_| {
            let (mut x, mut y) = (vec![0; size], vec![0; size]);
            let window = streams.window(text, code, &mut x, &mut y).unwrap();
            (window.reset, x, y)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn windows_are_the_yardsticks(n in 2usize..62, batch in 1usize..9, steps in 1usize..20) {
        let (mut streams, adjusted) = Streams::new(0..n, batch, steps).unwrap();
        if (n - 1) / batch >= steps {
            prop_assert!(adjusted.is_none());
        } else {
            let adjusted = adjusted.unwrap();
            prop_assert_eq!(adjusted.batch, (batch, streams.batch()));
            prop_assert_eq!(adjusted.steps, (steps, streams.steps()));
        }
        let expected = yardstick(n, streams.batch(), streams.steps(), 3 * streams.windows() + 1);
        prop_assert_eq!(take(&mut streams, text(), expected.len()), expected);
    }

    #[test]
    fn a_place_is_found_again_exactly(n in 2usize..62, batch in 1usize..9, steps in 1usize..20, at in 0usize..40) {
        let (mut streams, _) = Streams::new(0..n, batch, steps).unwrap();
        take(&mut streams, text(), at);
        prop_assert_eq!(streams.position(), at);
        let (mut resumed, _) = Streams::new(0..n, batch, steps).unwrap();
        resumed.seek(at);
        prop_assert_eq!(resumed.position(), at);
        prop_assert_eq!(take(&mut resumed, text(), 10), take(&mut streams, text(), 10));
    }

    #[test]
    fn a_tenth_is_the_integer_tenth(n in 1usize..10_000_000) {
        prop_assert_eq!(Split::new(n, 0.1).held_out.len(), n / 10);
    }
}

#[test]
fn hello_is_one_window() {
    let hello = Text::from_static(b"hello").unwrap();
    let (mut streams, adjusted) = Streams::new(Split::new(hello.len(), 0.0).train, 64, 100).unwrap();
    assert_eq!((streams.batch(), streams.steps(), streams.windows()), (1, 4, 1));
    assert_eq!(
        adjusted.unwrap().to_string(),
        "the text has only 5 characters to learn from: batch 1 instead of 64, sequence length 4 instead of 100"
    );
    let (mut x, mut y) = ([0; 4], [0; 4]);
    for epoch in 0..3 {
        let window = streams.window(&hello, |c| Some(c as u32), &mut x, &mut y).unwrap();
        assert_eq!((window.reset, window.epoch), (true, epoch));
        assert_eq!((x, y), (['h', 'e', 'l', 'l'].map(|c| c as u32), ['e', 'l', 'l', 'o'].map(|c| c as u32)));
    }
}

#[test]
fn the_part_may_start_anywhere() {
    let (mut streams, _) = Streams::new(10..15, 1, 4).unwrap();
    assert_eq!(take(&mut streams, text(), 1), [(true, vec![10, 11, 12, 13], vec![11, 12, 13, 14])]);
}

#[test]
fn one_character_is_refused() {
    for n in [0, 1] {
        let error = Streams::new(0..n, 4, 4).unwrap_err();
        assert_eq!(error, StreamsError::TooShort { characters: n });
        assert!(error.to_string().contains("give a longer text"));
    }
}

#[test]
fn zero_sizes_are_refused() {
    assert_eq!(Streams::new(0..9, 0, 4).unwrap_err().to_string(), "the batch must be at least 1");
    assert_eq!(Streams::new(0..9, 4, 0).unwrap_err().to_string(), "the sequence length must be at least 1");
}
