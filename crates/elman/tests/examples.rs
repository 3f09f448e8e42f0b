//! The examples learn what they are to learn.

use elman::network::Merge;

#[allow(dead_code)]
#[path = "../examples/bidirectional.rs"]
mod bidirectional;
#[allow(dead_code)]
#[path = "../examples/deep.rs"]
mod deep;

/// A network that sees the past alone is wrong by about the variance of the number to come; one of both directions knows it.
#[test]
fn both_directions_know_what_comes() {
    let ahead = bidirectional::held_out(None, 300);
    let [sum, concat] = [Merge::Sum, Merge::Concat].map(|merge| bidirectional::held_out(Some(merge), 300));
    println!("{ahead} forward, {sum} summed, {concat} concatenated");
    assert!(ahead > 0.25 && sum < 0.02 && concat < 0.02, "{ahead} forward, {sum} summed, {concat} concatenated");
}

/// Internal steps add depth and no parameters, and the network learns through four of them.
#[test]
fn it_learns_through_internal_steps() {
    let [(parameters, before), (same, after)] = [deep::learnt(1, 0), deep::learnt(4, 2000)];
    println!("{before} without training, {after} after it");
    assert_eq!(parameters, same);
    assert!(after < 0.01 && before > 0.3, "{before} without training, {after} after it");
}
