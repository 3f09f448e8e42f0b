//! The gradient check can fail: with a derivative rule broken on purpose it reports a mismatch.

use crate::algebra::broken_rule::BROKEN;
use crate::algebra::lanes::Isa;
use crate::cells;
use crate::layer::{Layer, Sizes};
use crate::testing::{Failure, Fused, Problem, Reference, Runner, gradient_check};

#[test]
fn a_broken_derivative_rule_is_caught() {
    let layer = Layer::new((cells::find("lstm").unwrap().make)(), Sizes::new(2, 3)).unwrap();
    let problem = Problem::new(&layer, 3, 2, 1).states();
    // One thread: the rule is broken in this thread only.
    let mut runners: Vec<Box<dyn Runner<f64>>> = vec![Box::new(Reference)];
    runners.extend(Isa::available().into_iter().map(|isa| Box::new(Fused::new(isa, 1)) as Box<dyn Runner<f64>>));
    for mut runner in runners {
        gradient_check(&mut *runner, &problem).unwrap();
        BROKEN.set(true);
        let broken = gradient_check(&mut *runner, &problem);
        BROKEN.set(false);
        assert!(matches!(broken, Err(Failure::Gradient { .. })), "{}: a slope off by 0.1 % passed", runner.name());
        gradient_check(&mut *runner, &problem).unwrap();
    }
}
