//! The example of tree networks learns what it is to learn, and the sum of children what a sum can.

use elman::network::tree::Branches;

#[allow(dead_code)]
#[path = "../examples/tree_logic.rs"]
mod tree_logic;

use tree_logic::{Kind, held_out};

#[test]
fn branches_know_the_order_and_sums_do_not() {
    for kind in [Kind::Recursive, Kind::TreeLstm] {
        let [branches, sum] = [Branches::Exactly(3), Branches::Sum].map(|branches| held_out(kind, branches, 400));
        println!("{kind:?}: {branches} by branches, {sum} by the sum");
        assert!(branches > 0.97, "{kind:?}: {branches}");
        assert!(sum < branches - 0.05 && sum > 0.6, "{kind:?}: {sum} beside {branches}");
    }
}
