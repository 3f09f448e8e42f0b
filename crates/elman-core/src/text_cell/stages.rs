//! From resolved equations to stages: what needs a matrix product of this step's values comes after them.

use super::error::{At, Problem, TextCellError};
use super::lexer::{Name, Time};
use super::resolve::{Gate, Item, Leaf, Norm, Resolved, Source, Use, free_name};
use super::sections::Sections;
use super::term::{Equations, Place, Term};
use crate::Draw;
use crate::algebra::program::MAX_ARGUMENTS;
use crate::cell::{CellSpec, GateSpec, Normaliser, StageSpec, Width};

type Result<T> = std::result::Result<T, TextCellError>;

/// A cell's contract and its equations, stage by stage.
pub(super) struct Staged {
    pub spec: &'static CellSpec,
    pub equations: Vec<Equations>,
    /// For each stage, the resolved gate behind each of its gates.
    pub gates: Vec<Vec<usize>>,
}

/// A cell lives as long as the program: its contract holds names for ever. They are some hundred bytes, and the same text is
/// never taken apart twice.
fn leak(name: &str) -> &'static str {
    Box::leak(name.to_string().into_boxed_str())
}

fn leaked<T>(list: Vec<T>) -> &'static [T] {
    Box::leak(list.into_boxed_slice())
}

/// The width of each item. What meets without a matrix between is as wide; lines of Shapes say how wide, H where none does.
fn widths(resolved: &Resolved, shapes: &[Shaped]) -> Result<Vec<Width>> {
    let items = &resolved.items;
    let mut group: Vec<usize> = (0..items.len()).collect();
    for (i, item) in items.iter().enumerate() {
        let normalised = resolved.gates.iter().filter(|g| g.item == i).filter_map(|g| match g.norm {
            Norm::Value(value) => Some(value.item),
            _ => None,
        });
        let read = item.term.leaves().into_iter().filter_map(|leaf| match leaf {
            Leaf::Value(value) => Some(value.item),
            _ => None,
        });
        for other in read.chain(normalised) {
            let (from, to) = (group[other], group[i]);
            group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
        }
    }
    let mut widths = vec![Width::Hidden; items.len()];
    for &(item, width, at) in shapes {
        if let Some((other, ..)) = shapes.iter().find(|(o, w, _)| group[*o] == group[item] && *w != width) {
            let [name, other] = [item, *other].map(|i| items[i].name.clone());
            return Err(at.error(Problem::Widths { name, other }));
        }
        (0..items.len()).filter(|&i| group[i] == group[item]).for_each(|i| widths[i] = width);
    }
    Ok(widths)
}

/// How many matrix products of this step's values each item waits for, one after the other.
fn levels(resolved: &Resolved, order: &[usize]) -> Vec<usize> {
    let mut levels = vec![0; resolved.items.len()];
    for &i in order {
        let mut level = 0;
        for leaf in resolved.items[i].term.leaves() {
            match leaf {
                Leaf::Value(Use { item, time: Time::Now }) => level = level.max(levels[item]),
                Leaf::Gate(gate) => {
                    for Use { item, time } in gate_values(&resolved.gates[gate]) {
                        if time == Time::Now {
                            level = level.max(levels[item] + 1);
                        }
                    }
                }
                _ => {}
            }
        }
        levels[i] = level;
    }
    levels
}

/// The values that a gate takes.
fn gate_values(gate: &Gate) -> impl Iterator<Item = Use> {
    let sources = gate.sources.iter().filter_map(|source| match source {
        Source::Value(value) => Some(*value),
        Source::Input => None,
    });
    sources.chain(match gate.norm {
        Norm::Value(value) => Some(value),
        _ => None,
    })
}

/// Items by stage: level by level, each width of a level apart, in the order of the text.
fn stages(levels: &[usize], widths: &[Width], order: &[usize]) -> Vec<Vec<usize>> {
    let mut stages: Vec<Vec<usize>> = Vec::new();
    for level in 0..=levels.iter().copied().max().unwrap_or(0) {
        let first = stages.len();
        for &i in order.iter().filter(|&&i| levels[i] == level) {
            match stages[first..].iter_mut().find(|stage| widths[stage[0]] == widths[i]) {
                Some(stage) => stage.push(i),
                None => stages.push(vec![i]),
            }
        }
    }
    stages
}

/// A value of the step before that is needed after this step's has been written is kept under a name of its own.
fn keep_former(resolved: &mut Resolved, stages: &mut [Vec<usize>], widths: &mut Vec<Width>) {
    let stage_of = |stages: &[Vec<usize>], item: usize| stages.iter().position(|s| s.contains(&item)).unwrap_or(0);
    let mut copies: Vec<(usize, usize)> = Vec::new();
    for stage in 0..stages.len() {
        for i in stages[stage].clone() {
            let mut replaced = |resolved: &mut Resolved, stages: &mut [Vec<usize>], value: Use| -> Use {
                let home = stage_of(stages, value.item);
                if value.time == Time::Now || home >= stage {
                    return value;
                }
                if let Some(&(_, copy)) = copies.iter().find(|(of, _)| *of == value.item) {
                    return Use { item: copy, time: Time::Now };
                }
                let of = &resolved.items[value.item];
                let name = free_name(&format!("{}prev", of.name), |n| resolved.items.iter().any(|i| i.name == n));
                let copy = resolved.items.len();
                let item = Item { name, at: of.at, order: (0, 0), term: Term::Leaf(Leaf::Value(value)) };
                resolved.items.push(item);
                resolved.used.push(true);
                widths.push(widths[value.item]);
                stages[home].insert(0, copy);
                copies.push((value.item, copy));
                Use { item: copy, time: Time::Now }
            };
            let term = resolved.items[i].term.clone();
            let term = term.map(&mut |leaf| -> std::result::Result<Leaf, ()> {
                Ok(match leaf {
                    Leaf::Value(value) => Leaf::Value(replaced(resolved, stages, value)),
                    other => other,
                })
            });
            if let Ok(term) = term {
                resolved.items[i].term = term;
            }
            for g in (0..resolved.gates.len()).filter(|&g| resolved.gates[g].item == i).collect::<Vec<_>>() {
                let mut gate = resolved.gates[g].clone();
                for source in &mut gate.sources {
                    if let Source::Value(value) = *source {
                        *source = Source::Value(replaced(resolved, stages, value));
                    }
                }
                if let Norm::Value(value) = gate.norm {
                    gate.norm = Norm::Value(replaced(resolved, stages, value));
                }
                resolved.gates[g] = gate;
            }
        }
    }
}

/// A line of Shapes: an item, its width, and where it stands.
type Shaped = (usize, Width, At);

/// What lines of Shapes say of items, and which item is the output.
fn shapes(sections: &Sections, resolved: &Resolved) -> Result<(Vec<Shaped>, usize)> {
    let (mut list, mut output) = (Vec::new(), None);
    for (shape, item) in sections.shapes.iter().zip(&resolved.shapes) {
        // What stands in no equation any more has no width either.
        let Some(item) = *item else { continue };
        list.push((item, shape.width, shape.at));
        if shape.output && output.replace(item).is_some() {
            return Err(shape.at.error(Problem::TwoOutputs { name: resolved.items[item].name.clone() }));
        }
    }
    let h = resolved.items.iter().position(|item| item.name == "h");
    let output = output.or(h).ok_or_else(|| sections.end.error(Problem::NoOutput))?;
    Ok((list, output))
}

/// Makes stages of equations.
pub(super) fn stage(sections: &Sections, mut resolved: Resolved) -> Result<(Staged, Resolved)> {
    let unit = |name: &Name| resolved.units.iter().any(|unit| unit.name.key() == name.key());
    if let Some((name, .., at)) = sections.draws.iter().find(|(name, ..)| !unit(name)) {
        return Err(at.error(Problem::DrawOfNothing { name: name.text.clone() }));
    }
    let (shapes, output) = shapes(sections, &resolved)?;
    resolved.used[output] = true;
    if let Some(i) = resolved.used.iter().position(|used| !used) {
        let item = &resolved.items[i];
        return Err(item.at.error(Problem::Unused { name: sections.equations[i].name.text.clone() }));
    }
    let mut widths = widths(&resolved, &shapes)?;
    let mut order: Vec<usize> = (0..resolved.items.len()).collect();
    order.sort_by_key(|&i| resolved.items[i].order);
    let levels = levels(&resolved, &order);
    let mut stages = stages(&levels, &widths, &order);
    keep_former(&mut resolved, &mut stages, &mut widths);

    // Carried: the output, and what is used at the step after; in the order that the text gives, if it does.
    let mut carried: Vec<usize> = Vec::new();
    let mut carry = |item: usize| {
        if !carried.contains(&item) {
            carried.push(item);
        }
    };
    let named = |joined: String| sections.equations.iter().position(|e| e.name.joined() == joined);
    sections.carried.iter().filter_map(|name| named(name.joined())).for_each(&mut carry);
    carry(output);
    let former = |i: &usize| {
        let read = |item: &Item| item.term.leaves().contains(&Leaf::Value(Use { item: *i, time: Time::Before }));
        let taken = |gate: &Gate| gate_values(gate).any(|v| v == Use { item: *i, time: Time::Before });
        resolved.items.iter().any(read) || resolved.gates.iter().any(taken)
    };
    (0..sections.equations.len()).filter(former).for_each(&mut carry);

    let mut built = Staged { spec: &EMPTY, equations: Vec::new(), gates: Vec::new() };
    let mut specs = Vec::new();
    for (s, stage) in stages.iter().enumerate() {
        let (spec, gates, equations) = one_stage(sections, &resolved, &stages, s, &carried, &shapes, widths[stage[0]])?;
        specs.push(spec);
        built.gates.push(gates);
        built.equations.push(equations);
    }
    built.spec = Box::leak(Box::new(CellSpec {
        name: leak(&sections.name),
        doc: leak(&sections.doc),
        source: leak(&sections.source),
        carry: leaked(carried.iter().map(|&i| leak(&resolved.items[i].name)).collect()),
        output: leak(&resolved.items[output].name),
        stages: leaked(specs),
    }));
    Ok((built, resolved))
}

const EMPTY: CellSpec = CellSpec { name: "", doc: "", source: "", carry: &[], output: "", stages: &[] };

/// A stage's contract, the resolved gates behind its gates, and its equations.
fn one_stage(
    sections: &Sections,
    resolved: &Resolved,
    stages: &[Vec<usize>],
    index: usize,
    carried: &[usize],
    shapes: &[Shaped],
    width: Width,
) -> Result<(StageSpec, Vec<usize>, Equations)> {
    let stage = &stages[index];
    let (items, leaves) = (&resolved.items, |i: usize| resolved.items[i].term.leaves());
    let gates = gate_order(sections, resolved, stage);
    let (mut reads, mut units): (Vec<Use>, Vec<usize>) = (Vec::new(), Vec::new());
    for &i in stage {
        for leaf in leaves(i) {
            match leaf {
                Leaf::Value(value) if value.time == Time::Now && stage.contains(&value.item) => {}
                Leaf::Value(value) if !reads.contains(&value) => reads.push(value),
                Leaf::Unit(unit) if !units.contains(&unit) => units.push(unit),
                _ => {}
            }
        }
    }
    for &unit in &units {
        let unit = &resolved.units[unit];
        if let Some((_, at)) = unit.uses.iter().find(|(item, _)| !stage.contains(item)) {
            return Err(at.error(Problem::UnitTwice { name: unit.name.text.clone() }));
        }
    }
    let used = gates.len() + reads.len() + units.len();
    if used > MAX_ARGUMENTS {
        return Err(items[stage[0]].at.error(Problem::Arguments { used, limit: MAX_ARGUMENTS }));
    }
    // Written: what is carried, and what a later stage uses. The order is that of the shapes, then of the carried values.
    let later = |item: usize| {
        let value = Use { item, time: Time::Now };
        let reads = |stage: &Vec<usize>| {
            stage.iter().any(|&i| {
                leaves(i).contains(&Leaf::Value(value))
                    || resolved.gates.iter().any(|g| g.item == i && gate_values(g).any(|v| v == value))
            })
        };
        stages[index + 1..].iter().any(reads)
    };
    let mut writes: Vec<usize> = (0..stage.len()).filter(|&l| carried.contains(&stage[l]) || later(stage[l])).collect();
    writes.sort_by_key(|&l| {
        let shape = shapes.iter().position(|(item, ..)| *item == stage[l]).unwrap_or(usize::MAX);
        (shape, carried.iter().position(|&c| c == stage[l]).unwrap_or(usize::MAX), l)
    });

    let mut lines = Vec::new();
    for &i in stage {
        let term = items[i].term.map(&mut |leaf| -> Result<Place> {
            let (n, at) = (gates.len(), |position: Option<usize>| position.unwrap_or(0));
            Ok(match leaf {
                Leaf::Gate(gate) => Place::Argument(at(gates.iter().position(|&g| g == gate))),
                Leaf::Unit(unit) => Place::Argument(n + reads.len() + at(units.iter().position(|&u| u == unit))),
                Leaf::Value(value) if value.time == Time::Now && stage.contains(&value.item) => {
                    Place::Result(at(stage.iter().position(|&s| s == value.item)))
                }
                Leaf::Value(value) => Place::Argument(n + at(reads.iter().position(|&r| r == value))),
            })
        })?;
        lines.push((leak(&items[i].name), term));
    }
    let mut names: Vec<String> = Vec::new();
    for &g in &gates {
        let name = gate_name(resolved, &gates, g);
        let name = free_name(&name, |n| names.iter().any(|other| other == n));
        names.push(name);
    }
    let value = |value: Use| leak(&items[value.item].name);
    let gate_spec = |(&g, name): (&usize, &String)| {
        let gate = &resolved.gates[g];
        let sources = gate.sources.iter().map(|source| match source {
            Source::Input => "x",
            Source::Value(v) => value(*v),
        });
        GateSpec {
            name: leak(name),
            sources: leaked(sources.collect()),
            bias: !gate.biases.is_empty(),
            normaliser: match gate.norm {
                Norm::None => Normaliser::None,
                Norm::Sum => Normaliser::Sum,
                Norm::Value(v) => Normaliser::Value(value(v)),
            },
        }
    };
    let draw = |unit: &Name| {
        let named = |(name, draw, _): &(Name, Draw, At)| (name.key() == unit.key()).then_some(*draw);
        sections.draws.iter().find_map(named)
    };
    let spec = StageSpec {
        width,
        gates: leaked(gates.iter().zip(&names).map(gate_spec).collect()),
        reads: leaked(reads.iter().map(|&r| value(r)).collect()),
        units: leaked(units.iter().map(|&u| leak(&resolved.units[u].name.joined())).collect()),
        draws: leaked(units.iter().map(|&u| draw(&resolved.units[u].name)).collect()),
        feeds: &[],
        feed_probabilities: &[],
        writes: leaked(writes.iter().map(|&l| leak(&items[stage[l]].name)).collect()),
    };
    Ok((spec, gates, Equations { lines, outputs: writes }))
}

/// The gates of a stage as they are written, but in the order of printed lists of parameters where there are such lists.
fn gate_order(sections: &Sections, resolved: &Resolved, stage: &[usize]) -> Vec<usize> {
    let mut left: Vec<usize> = (0..resolved.gates.len()).filter(|&g| stage.contains(&resolved.gates[g].item)).collect();
    let place = |row: &[String], g: usize| row.iter().position(|key| resolved.gates[g].letters.contains(key));
    let mut order = Vec::new();
    while !left.is_empty() {
        let is_next = |&g: &usize| {
            sections.parameters.iter().all(|row| {
                let before = |&other: &usize| place(row, other).is_some_and(|o| place(row, g).is_some_and(|p| o < p));
                !left.iter().any(before)
            })
        };
        // Lists of an older text may contradict each other; then they count no more.
        let next = left.iter().position(is_next).unwrap_or(0);
        order.push(left.remove(next));
    }
    order
}

/// A gate goes by the name of what it makes; where several make one, by that and its first source.
fn gate_name(resolved: &Resolved, gates: &[usize], gate: usize) -> String {
    let this = &resolved.gates[gate];
    let alone = gates.iter().filter(|&&g| resolved.gates[g].item == this.item).count() == 1;
    let name = &resolved.items[this.item].name;
    let source = match this.sources.first() {
        _ if alone => "",
        Some(Source::Input) => "x",
        Some(Source::Value(value)) => &resolved.items[value.item].name,
        None => "",
    };
    format!("{name}{source}")
}
