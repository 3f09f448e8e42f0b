//! The nearest known name.

/// The candidate that `name` was most probably meant to be, if one is near enough.
///
/// ```
/// use elman_run::nearest;
/// assert_eq!(nearest("ltsm", ["elman", "lstm", "gru"]), Some("lstm"));
/// assert_eq!(nearest("lstm-peephol", ["lstm", "lstm-peephole"]), Some("lstm-peephole"));
/// assert_eq!(nearest("transformer", ["elman", "lstm", "gru"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Jaro-Winkler favours a common beginning, as in `lstm-peep`; below 0.75 unrelated names begin to match.
    let name = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&name, candidate), candidate))
        .filter(|&(similarity, _)| similarity >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
