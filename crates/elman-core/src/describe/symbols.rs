//! The symbol of every value, gate and parameter of a layer in one notation.

use super::math::{Accent, Function, Letter, Math, Time, formula_of};
use super::notation::{Matrices, Notation, NotationError, Table};
use super::write::{Writer, greek};
use crate::Layer;
use crate::algebra::expression::{ArgumentKind, Gradient, Node, NodeId, StageGraph};
use crate::cell::{Normaliser, StageSpec};
use crate::layer::{Place, Role};

/// A matrix and the vector that it multiplies.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub matrix: Letter,
    /// One source, or several on top of each other.
    pub vector: Vec<Place>,
    /// Whether the vector is written `[a, b]` (else as a column).
    pub concatenated: bool,
}

/// A gate: the affine map in front of a nonlinearity.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    /// Its symbol before the nonlinearity.
    pub pre: Letter,
    /// Whether an equation names the gate itself, so that it needs no symbol of its own.
    pub is_result: bool,
    /// The equation that alone uses it, if it uses no other gate.
    pub owner: Option<usize>,
    pub terms: Vec<Term>,
    pub biases: Vec<Letter>,
    /// Of a normalised gate.
    pub gain: Option<Letter>,
    /// The value that is normalised in place of a sum of products.
    pub value: Option<Place>,
}

/// Everything that has a symbol.
pub(super) struct Symbols<'a> {
    pub layer: &'a Layer,
    pub table: &'static Table,
    pub graphs: Vec<StageGraph>,
    pub gradients: Vec<Gradient>,
    /// For each stage, its gates.
    pub gates: Vec<Vec<Gate>>,
}

impl<'a> Symbols<'a> {
    pub fn new(layer: &'a Layer, notation: Notation) -> Result<Symbols<'a>, NotationError> {
        let spec = layer.cell().spec();
        let table = notation.table(spec.name)?;
        let graphs: Vec<StageGraph> = (0..spec.stages.len()).map(|k| StageGraph::of(&**layer.cell(), k)).collect();
        let gradients = graphs.iter().map(StageGraph::gradient).collect();
        let mut symbols = Symbols { layer, table, graphs, gradients, gates: Vec::new() };
        symbols.name_gates();
        Ok(symbols)
    }

    /// A writer in this notation.
    pub fn writer(&self, latex: bool) -> Writer<'static> {
        Writer { table: self.table, latex }
    }

    /// The letter for a name of the cell.
    fn spelled(&self, name: &str, time: Option<Time>) -> Letter {
        let Some((_, spelled)) = self.table.names.iter().find(|(n, _)| *n == name) else {
            return Letter { time, ..self.spelled_as_it_is(name) };
        };
        let timed = spelled.strip_suffix('!');
        let spelled = timed.unwrap_or(spelled);
        let accents = [('^', Accent::Hat), ('~', Accent::Tilde), ('-', Accent::Bar)];
        let accented = accents.iter().find_map(|&(mark, accent)| Some((accent, spelled.strip_prefix(mark)?)));
        let (accent, rest) = accented.unwrap_or((Accent::None, spelled));
        let (base, sub) = rest.split_once('_').unwrap_or((rest, ""));
        let time = if timed.is_some() { None } else { time };
        Letter { accent, time, ..Letter::plain(base, sub) }
    }

    /// `pi` is p_i if there is a gate i or it is a parameter, `alpha` is α, `h2` is h_2, `nx` is n_x, any other word itself.
    fn spelled_as_it_is(&self, name: &str) -> Letter {
        let mut stages = self.layer.cell().spec().stages.iter();
        let peephole = name.strip_prefix('p').filter(|rest| {
            let is_gate = |s: &StageSpec| s.gates.iter().any(|gate| gate.name == *rest);
            !rest.is_empty() && stages.any(|s| is_gate(s) || (*rest == "i" && s.units.contains(&name)))
        });
        if let Some(gate) = peephole {
            return Letter::plain("p", gate);
        }
        if let Some(letter) = greek(name) {
            return Letter::plain(letter, "");
        }
        let first = name.chars().next().map_or(0, char::len_utf8);
        let rest = &name[first..];
        let is_index = !rest.is_empty() && (rest.chars().count() == 1 || rest.chars().all(|c| c.is_ascii_digit()));
        if is_index { Letter::plain(&name[..first], rest.trim_start_matches('_')) } else { Letter::plain(name, "") }
    }

    /// Index of the equation that makes `name` in `stage`: the last of that name.
    fn equation_of(&self, stage: usize, name: &str) -> Option<usize> {
        self.graphs[stage].equations.iter().rposition(|e| e.name == name)
    }

    /// Whether a value of this name is written out where it is used.
    pub fn is_inline(&self, name: &str) -> bool {
        self.table.inline.iter().any(|(n, _)| *n == name)
    }

    /// The symbol of what stands at a place.
    pub fn value(&self, place: Place) -> Math {
        let values = self.layer.values();
        match place {
            Place::Input => Math::Letter(self.spelled("x", Some(Time::Now))),
            Place::Before(v) => {
                // Without a mark of time the value of the step before could not be told from this one's.
                Math::Letter(Letter { time: Some(Time::Before), ..self.spelled(values[v].name, None) })
            }
            Place::Now(v) => {
                let name = values[v].name;
                let stage = self.layer.stages().iter().position(|s| s.writes.contains(&v));
                if self.is_inline(name)
                    && let Some(stage) = stage
                    && let Some(e) = self.equation_of(stage, name)
                {
                    return self.right_side(stage, e);
                }
                Math::Letter(self.spelled(name, Some(Time::Now)))
            }
        }
    }

    /// The symbol of the result of an equation.
    pub fn result(&self, stage: usize, equation: usize) -> Math {
        let equations = &self.graphs[stage].equations;
        let name = equations[equation].name;
        if self.is_inline(name) {
            return self.right_side(stage, equation);
        }
        Math::Letter(self.result_letter(stage, equation))
    }

    fn result_letter(&self, stage: usize, equation: usize) -> Letter {
        let equations = &self.graphs[stage].equations;
        let name = equations[equation].name;
        // A name given again later in the stage, or standing for something else in another one, gets primes.
        let again = equations[equation + 1..].iter().filter(|e| e.name == name).count();
        let writes = |k: usize| self.layer.cell().spec().stages[k].writes.contains(&name);
        let elsewhere = (0..stage).filter(|&k| self.equation_of(k, name).is_some()).count();
        let taken = (0..self.graphs.len()).any(|k| k > stage && writes(k));
        let foreign = if writes(stage) { 0 } else { elsewhere + usize::from(taken) };
        Letter { primes: again + foreign, ..self.spelled(name, Some(Time::Now)) }
    }

    /// The right side of an equation, gates written as their affine maps.
    pub fn right_side(&self, stage: usize, equation: usize) -> Math {
        self.part(stage, equation, self.graphs[stage].equations[equation].value)
    }

    /// A node as it is written in an equation, gates written as their affine maps.
    pub fn part(&self, stage: usize, equation: usize, node: NodeId) -> Math {
        let graph = &self.graphs[stage];
        let leaf = |id: NodeId| match graph.name_before(equation, id) {
            Some(earlier) => Some(self.result(stage, earlier)),
            None => match graph.nodes[id] {
                Node::Argument(i) => Some(self.argument(stage, i, true)),
                _ => None,
            },
        };
        formula_of(&graph.nodes, node, &leaf)
    }

    /// The symbol of an argument; a gate either written as its affine map or by its symbol.
    pub fn argument(&self, stage: usize, argument: usize, expand_gates: bool) -> Math {
        let argument = self.graphs[stage].arguments[argument];
        match argument.kind {
            ArgumentKind::Gate if expand_gates => self.affine(&self.gates[stage][argument.index]),
            ArgumentKind::Gate => Math::Letter(self.gates[stage][argument.index].pre.clone()),
            ArgumentKind::Read => self.value(self.layer.stages()[stage].reads[argument.index]),
            ArgumentKind::Unit => Math::Letter(self.spelled(argument.name, None)),
            ArgumentKind::Feed => Math::Letter(self.spelled(argument.name, Some(Time::Now))),
        }
    }

    /// The vector that a term's matrix multiplies.
    pub fn vector(&self, term: &Term) -> Math {
        let mut values: Vec<Math> = term.vector.iter().map(|&p| self.value(p)).collect();
        match (values.len(), term.concatenated) {
            (1, _) => values.remove(0),
            (_, true) => Math::Concatenated(values),
            (_, false) => Math::Column(values),
        }
    }

    /// The affine map of a gate, past its normaliser if it has one.
    pub fn affine(&self, gate: &Gate) -> Math {
        let main = match &gate.gain {
            None => self.products(gate),
            Some(gain) => {
                let normalised = Math::Call(Function::Norm, Box::new(Math::sum(self.products(gate))));
                vec![Math::Product(vec![Math::Letter(gain.clone()), normalised])]
            }
        };
        Math::sum(main.into_iter().chain(gate.biases.iter().cloned().map(Math::Letter)).collect())
    }

    /// The terms of a gate that are normalised where it is: its products, or its value.
    pub fn products(&self, gate: &Gate) -> Vec<Math> {
        let products = gate.terms.iter().map(|t| Math::apply(Math::Letter(t.matrix.clone()), self.vector(t)));
        gate.value.map(|place| self.value(place)).into_iter().chain(products).collect()
    }

    /// The gradient by a gate, and by its sum of products (or its value), which differ where there is a normaliser between.
    pub fn gate_deltas(&self, gate: &Gate) -> (Math, Math) {
        let outer = Math::Letter(gate.pre.clone()).delta();
        let inner = match &gate.gain {
            None => outer.clone(),
            Some(gain) => Math::apply(
                Math::Call(Function::NormJacobian, Box::new(Math::sum(self.products(gate)))),
                Math::Product(vec![Math::Letter(gain.clone()), outer.clone()]),
            ),
        };
        (outer, inner)
    }

    /// The node that a gate's symbol stands for: all that is inside the nonlinearity, when that has the gate's own gradient
    /// (peepholes are then part of it, as in the papers), else the affine map.
    pub fn inside(&self, stage: usize, gate: usize) -> NodeId {
        let graph = &self.graphs[stage];
        let whole = self.gates[stage][gate].owner.and_then(|e| {
            let value = graph.nodes[graph.equations[e].value];
            let is_function = value.is_function();
            value.operands().next().filter(|_| is_function)
        });
        let total = &self.gradients[stage].total;
        whole.filter(|&w| total[w].is_some() && total[w] == total[gate]).unwrap_or(gate)
    }

    /// Gates of a stage that are written on top of each other: their indices in that order.
    pub fn stacked(&self, stage: usize) -> Option<Vec<usize>> {
        let Matrices::Stacked(order) = self.table.matrices else { return None };
        let gates = self.layer.cell().spec().stages[stage].gates;
        order.iter().map(|name| gates.iter().position(|g| g.name == *name)).collect()
    }

    /// Finds the owner of each gate (the one result that it goes into) and names its matrices and biases after it.
    fn name_gates(&mut self) {
        let spec = self.layer.cell().spec();
        let mut owners: Vec<Vec<Option<usize>>> = Vec::new();
        for (k, stage) in spec.stages.iter().enumerate() {
            let graph = &self.graphs[k];
            let users = |g: usize| (0..graph.equations.len()).filter(move |&e| graph.arguments_of(e).contains(&g));
            let only = |g: usize| Some(users(g)).filter(|u| u.clone().count() == 1).and_then(|mut u| u.next());
            owners.push((0..stage.gates.len()).map(only).collect());
        }
        let equations = |k: usize| (0..self.graphs[k].equations.len()).map(move |e| (k, e));
        let mut pres: Vec<Letter> =
            (0..spec.stages.len()).flat_map(equations).map(|(k, e)| self.result_letter(k, e)).collect();
        let mut taken: Vec<Letter> = Vec::new();
        for (k, stage) in spec.stages.iter().enumerate() {
            let mut gates = Vec::new();
            for (g, gate) in stage.gates.iter().enumerate() {
                let owner = owners[k][g];
                let partners: Vec<usize> =
                    (0..stage.gates.len()).filter(|&p| p != g && owner.is_some() && owners[k][p] == owner).collect();
                let shared = !partners.is_empty();
                // Gates that share their owner go by its name only while their sources tell them apart.
                let alike = |p: usize| {
                    let other = stage.gates[p].sources;
                    gate.sources.iter().any(|s| other.contains(s)) || (gate.sources.is_empty() && other.is_empty())
                };
                let clash = partners.iter().any(|&p| alike(p));
                let owner_name = match owner {
                    Some(e) if !clash => self.graphs[k].equations[e].name,
                    _ => gate.name,
                };
                let is_result = owner.is_some_and(|e| self.graphs[k].equations[e].value == g);
                let mut pre = match owner {
                    Some(e) if is_result => self.result_letter(k, e),
                    Some(e) if !shared => Letter { accent: self.table.pre, ..self.result_letter(k, e) },
                    _ => self.spelled(gate.name, Some(Time::Now)),
                };
                while !is_result && pres.contains(&pre) {
                    pre.primes += 1;
                }
                pres.push(pre.clone());
                let sub = match self.table.subs.iter().find(|(n, _)| *n == owner_name) {
                    Some((_, sub)) => sub,
                    None => owner_name,
                };
                let terms = self.terms(k, g, sub, gate.sources);
                let biases = self.biases(k, g, sub, shared && !clash, gate.sources);
                let from = gate.sources.first().copied().filter(|_| shared && !clash).unwrap_or("");
                let (gain, value) = match self.layer.stages()[k].normalisers[g] {
                    Normaliser::None => (None, None),
                    Normaliser::Sum => (Some(Letter::plain("γ", &format!("{sub}{from}"))), None),
                    Normaliser::Value(place) => (Some(Letter::plain("γ", sub)), Some(place)),
                };
                gates.push(Gate { pre, is_result, owner: owner.filter(|_| !shared), terms, biases, gain, value });
            }
            // Two matrices never share a symbol, unless they are one.
            if self.stacked(k).is_none() {
                for gate in &mut gates {
                    let matrices = gate.terms.iter_mut().map(|t| &mut t.matrix);
                    for letter in matrices.chain(&mut gate.biases).chain(&mut gate.gain) {
                        while taken.contains(letter) {
                            letter.primes += 1;
                        }
                        taken.push(letter.clone());
                    }
                }
            }
            self.gates.push(gates);
        }
    }

    fn terms(&self, stage: usize, gate: usize, sub: &str, sources: &[&'static str]) -> Vec<Term> {
        let places = &self.layer.stages()[stage].gates[gate];
        let mut both: Vec<(&str, Place)> = sources.iter().copied().zip(places.iter().copied()).collect();
        if self.table.recurrent_first {
            both.sort_by_key(|(_, place)| *place == Place::Input);
        }
        let term = |matrix, vector, concatenated| Term { matrix, vector, concatenated };
        let all = || both.iter().map(|b| b.1).collect::<Vec<_>>();
        match self.table.matrices {
            _ if both.is_empty() => Vec::new(),
            Matrices::Concatenated => vec![term(Letter::plain("W", sub), all(), true)],
            Matrices::Stacked(_) => vec![term(Letter::plain("W", ""), all(), false)],
            _ => both.iter().map(|&(source, place)| term(self.matrix(sub, source), vec![place], false)).collect(),
        }
    }

    fn matrix(&self, owner: &str, source: &'static str) -> Letter {
        let stands_for = self.table.inline.iter().find(|(n, _)| *n == source).map_or(source, |(_, s)| s);
        let joined = |a: &str, b: &str| {
            let comma = if a.chars().count() == 1 && b.chars().count() == 1 { "" } else { "," };
            Letter::plain("W", &format!("{a}{comma}{b}"))
        };
        match self.table.matrices {
            Matrices::SourceOwner => joined(stands_for, owner),
            Matrices::BySource(letters) => {
                let letter = letters.iter().find(|(n, _)| *n == source).map_or("W", |(_, letter)| letter);
                Letter::plain(letter, owner)
            }
            _ => joined(owner, stands_for),
        }
    }

    /// One letter for each parameter that the gate's bias is kept in.
    fn biases(&self, stage: usize, gate: usize, sub: &str, shared: bool, sources: &[&str]) -> Vec<Letter> {
        if let Matrices::Stacked(_) = self.table.matrices {
            return vec![Letter::plain("b", "")];
        }
        let here = self
            .layer
            .parameters()
            .iter()
            .filter(|p| p.role == Role::Bias && p.blocks.iter().any(|b| b.stage == stage && b.gate == gate));
        let recurrent = sources.iter().find(|s| **s != "x").copied().unwrap_or("");
        let names: Vec<&str> = here.map(|p| if p.name == "bias_ih" { "x" } else { recurrent }).collect();
        let several = names.len() > 1 || shared;
        names.iter().map(|from| Letter::plain("b", &format!("{sub}{}", if several { from } else { "" }))).collect()
    }
}
