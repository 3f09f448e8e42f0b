//! What can be wrong with a text of equations, and what to do about it.

use super::function;

/// A place in a text, both from 1; a column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Why a text is no cell: `LINE:COLUMN: what is wrong; what to do`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {problem}", at.line, at.column)]
pub struct TextCellError {
    /// Where.
    pub at: At,
    /// What.
    pub problem: Problem,
}

impl At {
    pub(super) fn error(self, problem: Problem) -> TextCellError {
        TextCellError { at: self, problem }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Problem {
    #[error("the text is empty; write the cell's name, a line `Forward`, and equations below it")]
    Empty,
    #[error("a NUL byte stands here: this is a binary file or UTF-16; give equations saved as UTF-8")]
    Binary,
    #[error("this is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    #[error("a cell's text has at most {limit} bytes, this one has {bytes}; write the equations alone")]
    Huge { bytes: usize, limit: usize },
    #[error("`{line}` is no name; begin with the cell's name, one word, on a line of its own")]
    Name { line: String },
    #[error(
        "`{item}` does not say how a parameter is drawn; write a per-unit parameter and two numbers, as in `p from -1 to 1`, or a formula, as in `p = ln(from 1 to 2)`"
    )]
    Draw { item: String },
    #[error("`{name}` is drawn here, but no equation has it as one number a unit; correct the name or leave it out")]
    DrawOfNothing { name: String },
    #[error(
        "what is drawn for `{name}` may be infinite, or hangs on a parameter that is not drawn from numbers alone; change its formula"
    )]
    DrawInfinite { name: String },
    #[error("there is no line `Forward`; write it above the equations")]
    NoForward,
    #[error("there is no equation below `Forward`; write one, such as `h_t = tanh(W_hx x_t + W_hh h_{{t-1}} + b_h)`")]
    NoEquations,
    #[error("{character:?} means nothing here; leave it out")]
    Character { character: char },
    #[error(
        "`{name}` is of another step than t and t-1; give the value of the step before a name, as in `q_t = h_{{t-1}}`, and read `q_{{t-1}}`: it is older by a step"
    )]
    OtherStep { name: String },
    #[error("`{number}` is no number; write it like 0.5 or 1e-3")]
    Number { number: String },
    #[error("`{name}` has no end; close its brackets, as in `h_{{t-1}}`")]
    OpenSubscript { name: String },
    #[error("`{name}` is a value less 1, or the value of the step before; write `{name} - 1` or `{before}`")]
    MinusOne { name: String, before: String },
    #[error("an equation begins with what it defines; write it as `h_t = ...`, not {found}")]
    LeftSide { found: String },
    #[error("`{name}` is defined without its step; write `{name}_t = ...`")]
    LeftWithoutTime { name: String },
    #[error("`{name}` is defined at the step before; write `{now} = ...`")]
    LeftBefore { name: String, now: String },
    #[error("`x_t` is the input and has no equation; name the result otherwise")]
    LeftInput,
    #[error("there is no `=` after `{name}`, but {found}; write an equation as `{name} = ...`")]
    NoEquals { name: String, found: String },
    #[error("{found} stands where a value should; write a name, a number, a function or a bracket there")]
    NoValue { found: String },
    #[error(
        "{found} follows without a sign; write `*` for the product of each element (a matrix begins with a capital letter)"
    )]
    NoSign { found: String },
    #[error("the bracket of {} is not closed; write `)` before {found}", place(*open))]
    OpenBracket { open: At, found: String },
    #[error("{found} closes no bracket; leave it out, or open one before it")]
    ClosedTwice { found: String },
    #[error("`[...]` is the sign of a value; write it as `[a > 0]`")]
    Step,
    #[error("only squares can be written, as `a^2`; write the product out")]
    Power,
    #[error(
        "an equation has at most {limit} operations, and brackets at most {depth} deep; give a part of it a name of its own"
    )]
    Long { limit: usize, depth: usize },
    #[error("unknown function `{name}`; there are {}", function::names())]
    UnknownFunction { name: String },
    #[error("the function `{name}` has no argument; write it as `{name}(...)`")]
    FunctionAlone { name: String },
    #[error("the matrix `{name}` multiplies nothing; write a value right after it, without a sign, as in `{name} x_t`")]
    MatrixAlone { name: String },
    #[error("the name `{name}` begins with a capital letter, as matrices do; begin a value's name with a small one")]
    CapitalValue { name: String },
    #[error("`{name}` stands in {} already; every matrix, bias and gain has one place: give this one another name", place(*first))]
    UsedTwice { name: String, first: At },
    #[error("two matrices of one sum multiply `{name}`; one is enough")]
    SameSource { name: String },
    #[error("a gate has one bias; leave `{name}` out")]
    TwoBiases { name: String },
    #[error("unknown value `{name}`; {advice}")]
    Unknown { name: String, advice: String },
    #[error(
        "`{name}` is read before its equation, in line {line}; move that equation up, or write `{before}` for the step before"
    )]
    TooEarly { name: String, before: String, line: usize },
    #[error("`{name}` has an equation already, in line {line}; give one of the two another name")]
    TwoEquations { name: String, line: usize },
    #[error("`{name}` has an equation and needs its step here; write `{name}_t` or `{name}_{{t-1}}`")]
    WithoutTime { name: String },
    #[error("the input needs its step; write `x_t`")]
    InputWithoutTime,
    #[error("the input of the step before is not kept; write `x_t`, or carry a value that you make of it")]
    InputBefore,
    #[error("`x_t` stands without a matrix; write one before it, as in `W_hx x_t`")]
    InputAlone,
    #[error(
        "`norm` has no gain; write one that begins with `γ_` or `gamma_` as its factor, as in `γ_i * norm(W_ix x_t)`"
    )]
    NoGain,
    #[error("`norm` takes matrix products with plus signs, or one value; give the rest an equation of its own")]
    NormArgument,
    #[error(
        "`{name}` is used before and after a matrix of this step's values; write an equation `q_t = {name}` and use `q_t` in both"
    )]
    UnitTwice { name: String },
    #[error("`{name}` and `{other}` of {} would be one parameter, as letter and index are joined in its name; choose another letter for one", place(*first))]
    OneParameter { name: String, other: String, first: At },
    #[error("`{name}` would be the parameter `{parameter}`, which there is; choose another name")]
    ParameterName { name: String, parameter: String },
    #[error("`{name}` is never used; use it, or leave its equation out")]
    Unused { name: String },
    #[error(
        "which value is the output? Name it `h`, or add a line `Shapes` and below it `y_t (B, H) output` for a value `y`"
    )]
    NoOutput,
    #[error("`{name}` is a second output; mark one line with `output`")]
    TwoOutputs { name: String },
    #[error("a line of Shapes is `h_t (B, H)` or `y_t (B, P) output`; write it so, or leave it out")]
    Shape,
    #[error("`{name}` has a shape, but no equation; write one, or leave this line out")]
    ShapeOfNothing { name: String },
    #[error(
        "`{name}` meets `{other}` without a matrix between them, and one has the width H, the other P; give both one width"
    )]
    Widths { name: String, other: String },
    #[error(
        "the equations up to a matrix of this step's values use {used} gates, values and parameters together, at most {limit} are possible; \
             carry fewer, or make a cell in Rust"
    )]
    Arguments { used: usize, limit: usize },
    #[error("these equations make no layer ({reason}); write them in another order")]
    Layer { reason: String },
}

fn place(at: At) -> String {
    format!("line {}, column {}", at.line, at.column)
}
