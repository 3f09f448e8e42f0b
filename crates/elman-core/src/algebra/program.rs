//! Recorded equations as instructions over blocks of rows: what runs a cell that is not compiled.
//!
//! An instruction is decoded once for [`BLOCK`] rows, one vector each, so that its price is shared. Values stand in as few slots
//! as their lives allow, in memory that a thread keeps; nothing is allocated once it is large enough. The operations and
//! their order are those of the compiled kernels ([`kernel`](super::kernel)): so are the bits.

use super::expression::{Expr, Node, NodeId, Recording, record};
use super::lanes::{Isa, LaneTask, Lanes, dispatch};
use super::{Dual, Element};
use crate::cell::Column;
use core::mem::size_of;
use core::ops::Range;
use std::cell::RefCell;

/// Rows that an instruction works on at once. A backward pass of some twenty slots then stays in the first cache.
const BLOCK: usize = 16;

/// The most arguments that a stage can have: [`Dual`] marks which partial derivatives are there in 32 bits.
pub(crate) const MAX_ARGUMENTS: usize = 32;

/// A dual number whose parts are written down.
pub(crate) type RecordedDual = Dual<Expr, [Expr; MAX_ARGUMENTS]>;

/// What an instruction does with its operands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Copy,
    Add,
    Sub,
    Mul,
    Div,
    Neg,
    Tanh,
    Sigmoid,
    /// `a b + c`, fused where the hardware fuses.
    MulAdd,
    /// Any other operation of one or two operands, which it calls 0 and 1.
    Other(Node),
}

/// A constant, an argument or a slot, in this order.
type Operand = u16;

#[derive(Clone, Copy, Debug)]
struct Instruction {
    operation: Operation,
    from: [Operand; 3],
    to: Operand,
}

/// Equations of one stage, forward or backward.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    constants: Vec<f64>,
    inputs: usize,
    slots: usize,
    instructions: Vec<Instruction>,
    /// For each result, where it is.
    results: Vec<Operand>,
    /// These results are added to what is there.
    added: Range<usize>,
    /// Whether a result is there at all; one that is not is zero, and adds nothing.
    live: Vec<bool>,
}

/// An operation on its way into a program.
#[derive(Clone, Copy)]
enum Step {
    Node(Node),
    MulAdd(NodeId, NodeId, NodeId),
}

impl Step {
    fn operands(self) -> Vec<NodeId> {
        match self {
            Step::Node(node) => node.operands().collect(),
            Step::MulAdd(a, b, c) => vec![a, b, c],
        }
    }
}

impl Program {
    /// The equations themselves; the results are stored.
    pub fn forward(recording: &Recording) -> Program {
        let steps: Vec<Step> = recording.nodes.iter().copied().map(Step::Node).collect();
        let results: Vec<Option<NodeId>> = recording.outputs.iter().copied().map(Some).collect();
        let inputs = recording.nodes.iter().filter(|node| matches!(node, Node::Argument(_))).count();
        Program::new(inputs, steps, &results, 0..0)
    }

    /// Their exact backward: from the arguments and the gradient of each of `outputs` results, the gradient of each argument; of
    /// those in `added` (reads and units) it is added, of the others stored. `equations` are evaluated on dual numbers, as the compiled kernel does.
    pub fn backward(
        arguments: usize,
        outputs: usize,
        added: Range<usize>,
        equations: impl FnOnce(&[RecordedDual]) -> Vec<RecordedDual>,
    ) -> Program {
        // For each output, the gradient's factor for each argument.
        let mut live = vec![0u32; outputs];
        let recording = record(arguments + outputs, |expressions| {
            let duals: Vec<RecordedDual> =
                expressions[..arguments].iter().enumerate().map(|(i, &e)| Dual::argument(e, i)).collect();
            let results = equations(&duals);
            live = results.iter().map(|dual| dual.live).collect();
            results.iter().flat_map(|dual| dual.partials[..arguments].to_vec()).collect()
        });
        let mut steps: Vec<Step> = recording.nodes.iter().copied().map(Step::Node).collect();
        let is_one = |id: NodeId| recording.nodes.get(id) == Some(&Node::Constant(1.0));
        let mut results = Vec::with_capacity(arguments);
        for i in 0..arguments {
            let mut sum: Option<NodeId> = None;
            for o in (0..outputs).filter(|&o| live[o] & (1 << i) != 0) {
                let (d_out, partial) = (arguments + o, recording.outputs[o * arguments + i]);
                let step = match sum {
                    // A factor of one changes no bit, fused or not.
                    None if is_one(partial) => {
                        sum = Some(d_out);
                        continue;
                    }
                    Some(sum) if is_one(partial) => Step::Node(Node::Add(d_out, sum)),
                    None => Step::Node(Node::Mul(d_out, partial)),
                    Some(sum) => Step::MulAdd(d_out, partial, sum),
                };
                steps.push(step);
                sum = Some(steps.len() - 1);
            }
            results.push(sum);
        }
        Program::new(arguments + outputs, steps, &results, added)
    }

    fn new(inputs: usize, mut steps: Vec<Step>, results: &[Option<NodeId>], added: Range<usize>) -> Program {
        let zero = steps.len();
        steps.push(Step::Node(Node::Constant(0.0)));
        let wanted: Vec<NodeId> = results.iter().map(|id| id.unwrap_or(zero)).collect();
        // The step after which a value is no longer needed; 0 if it never is.
        let mut last = vec![0; steps.len()];
        wanted.iter().for_each(|&id| last[id] = usize::MAX);
        for id in (0..steps.len()).rev().filter(|&id| !is_leaf(steps[id])) {
            if last[id] > 0 {
                steps[id].operands().into_iter().for_each(|o| last[o] = last[o].max(id));
            }
        }
        let mut program = Program {
            constants: Vec::new(),
            inputs,
            slots: 0,
            instructions: Vec::new(),
            results: Vec::new(),
            added,
            live: results.iter().map(Option::is_some).collect(),
        };
        for (id, step) in steps.iter().enumerate() {
            if let (Step::Node(Node::Constant(value)), true) = (step, last[id] > 0) {
                program.constants.push(*value);
            }
        }
        let (mut place, mut free): (Vec<Operand>, Vec<Operand>) = (vec![0; steps.len()], Vec::new());
        let mut constant = 0;
        for (id, &step) in steps.iter().enumerate().filter(|&(id, _)| last[id] > 0) {
            place[id] = match step {
                Step::Node(Node::Constant(_)) => {
                    constant += 1;
                    operand(constant - 1)
                }
                Step::Node(Node::Argument(i)) => operand(program.constants.len() + i),
                _ => {
                    let operands = step.operands();
                    let mut from = [place[operands[0]]; 3];
                    from.iter_mut().zip(&operands).for_each(|(f, &o)| *f = place[o]);
                    // An instruction may write where it reads: it has read a row before it writes it.
                    for (n, &o) in operands.iter().enumerate() {
                        if last[o] == id && !is_leaf(steps[o]) && !operands[..n].contains(&o) {
                            free.push(place[o]);
                        }
                    }
                    let to = program.slot(&mut free);
                    program.instructions.push(Instruction { operation: operation(step), from, to });
                    to
                }
            };
        }
        for &id in &wanted {
            let mut result = place[id];
            // An output may stand where an argument did: what is passed on is read before anything is written.
            if matches!(steps[id], Step::Node(Node::Argument(_))) {
                let to = program.slot(&mut free);
                program.instructions.push(Instruction { operation: Operation::Copy, from: [result, 0, 0], to });
                result = to;
            }
            program.results.push(result);
        }
        program
    }

    fn slot(&mut self, free: &mut Vec<Operand>) -> Operand {
        free.pop().unwrap_or_else(|| {
            self.slots += 1;
            operand(self.constants.len() + self.inputs + self.slots - 1)
        })
    }

    /// Runs it in `rows` rows of one vector each.
    ///
    /// # Safety
    /// `isa` is supported by this processor. `inputs` together have one column for each input, `outputs` has one for each
    /// result, all valid for `rows` rows of `isa`'s vector of `F`; outputs do not overlap inputs except where equal.
    pub unsafe fn run<F: Element>(&self, isa: Isa, inputs: [&[Column<F>]; 2], outputs: &[Column<F>], rows: usize) {
        assert!(inputs[0].len() + inputs[1].len() == self.inputs && outputs.len() == self.results.len());
        ROOM.with_borrow_mut(|room| {
            // SAFETY: lengths checked; the rest is the caller's promise.
            unsafe { dispatch(isa, Run { program: self, inputs, outputs, rows, room }) }
        });
    }
}

fn is_leaf(step: Step) -> bool {
    matches!(step, Step::Node(Node::Constant(_) | Node::Argument(_)))
}

fn operand(index: usize) -> Operand {
    Operand::try_from(index).expect("an equation has far fewer operations than 2^16")
}

fn operation(step: Step) -> Operation {
    match step {
        Step::MulAdd(..) => Operation::MulAdd,
        Step::Node(node) => match node {
            Node::Add(..) => Operation::Add,
            Node::Sub(..) => Operation::Sub,
            Node::Mul(..) => Operation::Mul,
            Node::Div(..) => Operation::Div,
            Node::Neg(_) => Operation::Neg,
            Node::Tanh(_) => Operation::Tanh,
            Node::Sigmoid(_) => Operation::Sigmoid,
            other => {
                let operands: Vec<NodeId> = other.operands().collect();
                Operation::Other(other.renumber(|o| operands.iter().position(|&x| x == o).unwrap_or(0)))
            }
        },
    }
}

/// As wide as the widest register.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    _bytes: [u8; 64],
}

/// Where an operand's first row is, and the distance to the next in numbers.
#[derive(Clone, Copy)]
struct Place {
    ptr: *mut u8,
    stride: usize,
}

/// What a thread keeps from one run to the next.
struct Room {
    lines: Vec<Line>,
    places: Vec<Place>,
}

thread_local! {
    static ROOM: RefCell<Room> = const { RefCell::new(Room { lines: Vec::new(), places: Vec::new() }) };
}

struct Run<'a, F> {
    program: &'a Program,
    inputs: [&'a [Column<F>]; 2],
    outputs: &'a [Column<F>],
    rows: usize,
    room: &'a mut Room,
}

impl<F: Element> LaneTask<F> for Run<'_, F> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        let Run { program, inputs, outputs, rows, room } = self;
        let constants = program.constants.len();
        let numbers = (constants + program.slots * BLOCK) * V::COUNT;
        let lines = (numbers * size_of::<F>()).div_ceil(size_of::<Line>());
        if room.lines.len() < lines {
            room.lines.resize(lines, Line { _bytes: [0; 64] });
        }
        let base: *mut F = room.lines.as_mut_ptr().cast();
        let places = &mut room.places;
        places.clear();
        for (k, &value) in program.constants.iter().enumerate() {
            let ptr = base.wrapping_add(k * V::COUNT);
            // SAFETY: inside the room made above.
            unsafe { V::constant(value).store(ptr) };
            places.push(Place { ptr: ptr.cast(), stride: 0 });
        }
        places.extend(inputs.iter().copied().flatten().map(|c| Place { ptr: c.ptr.cast(), stride: c.stride }));
        places.extend((0..program.slots).map(|s| {
            let ptr = base.wrapping_add((constants + s * BLOCK) * V::COUNT);
            Place { ptr: ptr.cast(), stride: V::COUNT }
        }));

        let mut first = 0;
        while first < rows {
            let block = BLOCK.min(rows - first);
            for instruction in &program.instructions {
                // SAFETY: `Program::new` numbers operands below the number of places, which was made above.
                let [a, b, c] = instruction.from.map(|o| unsafe { *places.get_unchecked(o as usize) });
                // SAFETY: as above.
                let to = unsafe { *places.get_unchecked(instruction.to as usize) };
                macro_rules! rows {
                    ($($x:ident = $operand:ident),+ => $value:expr) => {
                        for row in 0..block {
                            // SAFETY: slots have BLOCK rows, inputs those that the caller promises.
                            unsafe {
                                $( let $x = V::load($operand.ptr.cast::<F>().wrapping_add(row * $operand.stride)); )+
                                $value.store(to.ptr.cast::<F>().wrapping_add(row * to.stride));
                            }
                        }
                    };
                }
                match instruction.operation {
                    Operation::Copy => rows!(x = a => x),
                    Operation::Add => rows!(x = a, y = b => (x + y)),
                    Operation::Sub => rows!(x = a, y = b => (x - y)),
                    Operation::Mul => rows!(x = a, y = b => (x * y)),
                    Operation::Div => rows!(x = a, y = b => (x / y)),
                    Operation::Neg => rows!(x = a => (-x)),
                    Operation::Tanh => rows!(x = a => x.tanh()),
                    Operation::Sigmoid => rows!(x = a => x.sigmoid()),
                    Operation::MulAdd => rows!(x = a, y = b, z = c => x.mul_add(y, z)),
                    // Of one operand, `b` is it once more.
                    Operation::Other(node) => rows!(x = a, y = b => node.eval(&[], &[x, y])),
                }
            }
            for (i, (&result, output)) in program.results.iter().zip(outputs).enumerate() {
                let from = places[result as usize];
                let added = program.added.contains(&i);
                if added && !program.live[i] {
                    continue;
                }
                for row in 0..block {
                    // SAFETY: as above; of a stride of 0 all rows are one, and added up in their order.
                    unsafe {
                        let value = V::load(from.ptr.cast::<F>().wrapping_add(row * from.stride));
                        let ptr = output.ptr.wrapping_add((first + row) * output.stride);
                        if added { (V::load(ptr) + value).store(ptr) } else { value.store(ptr) }
                    }
                }
            }
            for place in &mut places[constants..constants + program.inputs] {
                place.ptr = place.ptr.cast::<F>().wrapping_add(block * place.stride).cast();
            }
            first += block;
        }
    }
}
