//! `elman inits`

use crate::args::List;
use crate::failure::Failure;
use crate::output;
use elman_tasks::init::{Bias, PRESETS, REGISTRY};
use serde_json::json;

pub fn run(command: &List) -> Result<(), Failure> {
    let bias = |bias| if bias == Bias::Zeros { "zeros" } else { "uniform" };
    if command.json {
        let inits: Vec<_> = REGISTRY.iter().map(|i| json!({"name": i.name, "doc": i.doc})).collect();
        let presets: Vec<_> = PRESETS
            .iter()
            .map(|p| {
                let (cell, recurrent, bias) = (p.cell, p.recurrent, bias(p.bias));
                json!({"name": p.name, "title": p.title, "doc": p.doc, "cell": cell, "recurrent": recurrent, "bias": bias})
            })
            .collect();
        let object = [("inits".to_string(), inits.into()), ("presets".to_string(), presets.into())];
        return output::json(object.into_iter().collect());
    }
    let names = REGISTRY.iter().map(|i| i.name).chain(PRESETS.iter().map(|p| p.name));
    let width = names.map(str::len).max().unwrap_or(0);
    let mut text = "Matrices, for --init-input and --init-recurrent (N: the width of a square one):\n".to_string();
    for i in REGISTRY {
        text += &format!("  {:width$}  {}\n", i.name, i.doc);
    }
    text += "\nCells with their initialisation, for --cell (Talathi & Vartak 2015, the first deck's table):\n";
    for p in PRESETS {
        let settings = format!("--cell {} --init-recurrent {} --init-bias {}", p.cell, p.recurrent, bias(p.bias));
        text += &format!("  {:width$}  {}: {}; {settings}\n", p.name, p.title, p.doc);
    }
    text += "\nBiases: --init-bias uniform or zeros; --forget-bias B for the gate `f`; --chrono T for LSTM units that remember for up to T steps at\n";
    text += "first (Tallec & Ollivier 2018)\n";
    output::text(&text)
}
