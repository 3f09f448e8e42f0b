//! What to do about a verdict: what this cell has, and what this command takes.

use super::Subject;
use elman_run::analysis::{Kind, Network, Verdict};

/// Who can be told what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trained {
    /// By `elman train` of a language model, with all of its options.
    LanguageModel,
    /// By `elman train` of a plant: cells that carry their output alone, drawn as they are.
    Plant,
    /// By a program with the library.
    Program,
}

/// In a sentence or two.
pub(super) fn remedy(verdict: &Verdict, subject: &Subject, network: &Network) -> &'static str {
    let is_gate = |name: &str| {
        let mut specs = network.layers().iter().map(|l| l.layer.cell().spec());
        specs.any(|spec| spec.stages.iter().any(|stage| stage.gates.iter().any(|gate| gate.name == name)))
    };
    // A forget gate, or an update gate.
    let (forgets, adds) = (is_gate("f"), is_gate("f") || is_gate("z"));
    advice(verdict.kind, subject.trained, forgets, adds)
}

/// `forgets`: the cell has a forget gate; `adds`: that or an update gate.
fn advice(kind: Kind, trained: Trained, forgets: bool, adds: bool) -> &'static str {
    match (kind, trained) {
        (Kind::Healthy, _) => "Nothing needs to be done for these lags.",
        (Kind::Vanishing, Trained::LanguageModel) if forgets => {
            "This cell carries its state by addition: to reach further back start its forget gate more open (--forget-bias 1 or above), or its gates for \
             the longest time that matters (--chrono)."
        }
        (Kind::Vanishing, Trained::LanguageModel) if adds => {
            "This cell carries its state by addition already; one whose forget gate can start open reaches further back (--cell lstm --forget-bias 1)."
        }
        (Kind::Vanishing, Trained::LanguageModel) => {
            "To reach further back take a cell that carries its state by addition (--cell gru, --cell lstm --forget-bias 1), or start a simple network from \
             an identity or orthogonal matrix (--cell irnn, --init-recurrent orthogonal)."
        }
        (Kind::Vanishing, Trained::Plant) => {
            "Where the plant's own response has died out by then it is as it should be; where not, the output that is fed back carries too little: try \
             more units (--hidden) or another cell of those that carry their output alone (--cell)."
        }
        (Kind::Vanishing, Trained::Program) if adds => {
            "This cell carries its state by addition already: start its forget gate more open, where it has one."
        }
        (Kind::Vanishing, Trained::Program) => {
            "To reach further back take a cell that carries its state by addition (lstm, gru), or start a simple network from an identity or orthogonal \
             matrix (irnn)."
        }
        (Kind::Exploding, Trained::LanguageModel) if adds => {
            "Clip the gradient's norm (--clip), lower the rate (--lr), or start from a smaller recurrent matrix (--init-recurrent orthogonal)."
        }
        (Kind::Exploding, Trained::LanguageModel) => {
            "Clip the gradient's norm (--clip), lower the rate (--lr), or start from a smaller recurrent matrix (--init-recurrent orthogonal); a cell \
             whose gates can close (--cell lstm, --cell gru) holds it."
        }
        (Kind::Exploding, Trained::Plant) => {
            "Clip the gradient's norm (--clip), lower the rate (--lr), or feed back what was measured while it learns (--feed targets)."
        }
        (Kind::Exploding, Trained::Program) => {
            "Clip the gradient's norm, lower the rate, or start from a smaller recurrent matrix; a cell whose gates can close (lstm, gru) holds it."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks;

    /// Every option that is named is one of the command's, and no cell is told to become what it is.
    #[test]
    fn what_is_advised_can_be_done() {
        for kind in [Kind::Vanishing, Kind::Healthy, Kind::Exploding] {
            for (trained, task) in
                [(Trained::LanguageModel, Some("char-lm")), (Trained::Plant, Some("plant")), (Trained::Program, None)]
            {
                for (forgets, adds) in [(false, false), (false, true), (true, true)] {
                    let text = advice(kind, trained, forgets, adds);
                    assert!(text.ends_with('.'), "{text}");
                    let has = |key: &str| {
                        task.is_some_and(|task| tasks::find(task).unwrap().settings.iter().any(|s| s.key == key))
                    };
                    let options = text
                        .split("--")
                        .skip(1)
                        .map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or(""));
                    options.for_each(|option| assert!(has(option), "{trained:?}: --{option}"));
                    let becomes_itself = adds && text.contains("--cell gru") || forgets && text.contains("--cell lstm");
                    assert!(!becomes_itself, "{text}");
                }
            }
        }
    }
}
