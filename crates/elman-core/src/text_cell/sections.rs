//! The parts of a cell's text: name, documentation, equations, and what the rest of a printed description says about order.

use super::draws;
use super::error::{At, Problem, TextCellError};
use super::lexer::{self, Name, Placed, Token};
use super::parse::{self, Equation, Tree};
use crate::Draw;
use crate::cell::Width;
use crate::describe::SOURCE;

/// The longest text that is read as a cell: far above any; a description of one is some kilobytes.
pub const MAX_BYTES: usize = 1 << 18;
/// The longest name; one with many options is long.
const MAX_NAME: usize = 200;

/// A line of Shapes.
#[derive(Debug)]
pub(super) struct Shape {
    pub at: At,
    pub value: Tree,
    pub width: Width,
    pub output: bool,
}

/// A text in parts.
#[derive(Debug)]
pub(super) struct Sections {
    pub name: String,
    pub doc: String,
    pub source: String,
    pub equations: Vec<Equation>,
    pub shapes: Vec<Shape>,
    /// The carried values in order, if the text says so.
    pub carried: Vec<Name>,
    /// For each parameter, the symbols of its rows in order.
    pub parameters: Vec<Vec<String>>,
    /// How parameters are drawn before training, by symbol.
    pub draws: Vec<(Name, Draw, At)>,
    /// The end of the equations.
    pub end: At,
}

/// How a line about that begins.
const DRAWS: &str = "drawn before training:";

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Doc,
    Forward,
    Shapes,
    Parameters,
    Ignored,
}

/// The part that a line begins, if it is a heading.
fn heading(line: &str) -> Option<Part> {
    let word = line.split([',', ':']).next().unwrap_or("").trim_end();
    match word {
        "Forward" => Some(Part::Forward),
        "Shapes" => Some(Part::Shapes),
        "Parameters" => Some(Part::Parameters),
        "Backward" | "Operations" | "Operations a step and row" => Some(Part::Ignored),
        _ => None,
    }
}

/// Takes a text apart.
pub(super) fn split(text: &str) -> Result<Sections, TextCellError> {
    let begin = At { line: 1, column: 1 };
    if text.len() > MAX_BYTES {
        return Err(begin.error(Problem::Huge { bytes: text.len(), limit: MAX_BYTES }));
    }
    // A mark of the byte order is no part of the name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line)).peekable();
    while lines.next_if(|(_, line)| line.trim().is_empty()).is_some() {}
    let Some((number, first)) = lines.next() else { return Err(begin.error(Problem::Empty)) };
    let name = first.trim();
    // The last three are in the names of cells with options.
    let word = |c: char| c.is_alphanumeric() || "-_.:=,".contains(c);
    if heading(name).is_some() || !name.chars().all(word) || name.chars().count() > MAX_NAME {
        let line = name.chars().take(40).collect();
        return Err(At { line: number, column: 1 }.error(Problem::Name { line }));
    }
    let mut sections = Sections {
        name: name.to_string(),
        doc: String::new(),
        source: String::new(),
        equations: Vec::new(),
        shapes: Vec::new(),
        carried: Vec::new(),
        parameters: Vec::new(),
        draws: Vec::new(),
        end: At { line: number, column: 1 },
    };
    let mut part = Part::Doc;
    let mut forward: Option<Vec<Vec<Placed>>> = None;
    for (number, line) in lines {
        if let Some(next) = heading(line) {
            part = next;
            if part == Part::Forward {
                forward.get_or_insert_default();
                sections.end = At { line: number, column: 1 };
            }
            continue;
        }
        match part {
            Part::Doc => {
                sections.doc += line.trim();
                sections.doc += "\n";
            }
            // What `norm` means is known.
            Part::Forward if line.trim_start().starts_with("norm(a) =") => {}
            Part::Forward => {
                forward.get_or_insert_default().push(lexer::tokens(line, number)?);
            }
            Part::Shapes => sections.shape(line, number)?,
            Part::Parameters if line.trim_start().starts_with(DRAWS) => sections.draw(line, number)?,
            Part::Parameters => sections.parameter(line, number),
            Part::Ignored => {}
        }
    }
    sections.doc = sections.doc.trim().to_string();
    // A last paragraph that says so is the source.
    let last = sections.doc.rfind("\n\n").map_or(0, |at| at + 2);
    if let Some(source) = sections.doc[last..].strip_prefix(SOURCE) {
        let source = source.replace('\n', " ");
        sections.source = source.strip_suffix('.').unwrap_or(&source).to_string();
        sections.doc.truncate(last);
        sections.doc.truncate(sections.doc.trim_end().len());
    }
    let end = At { line: text.lines().count(), column: 1 };
    let forward = parse::join(forward.ok_or_else(|| end.error(Problem::NoForward))?);
    if forward.is_empty() {
        return Err(sections.end.error(Problem::NoEquations));
    }
    sections.equations = forward.into_iter().map(parse::equation).collect::<Result<_, _>>()?;
    Ok(sections)
}

impl Sections {
    /// `y_t  (B, P)  output ...`, or `carried from step to step: h_{t-1}, c_{t-1}; ...`
    fn shape(&mut self, line: &str, number: usize) -> Result<(), TextCellError> {
        let content = line.split('#').next().unwrap_or("").trim_end();
        let Some(start) = content.find(|c: char| !c.is_whitespace()) else { return Ok(()) };
        let at = At { line: number, column: content[..start].chars().count() + 1 };
        if let Some(list) = content.trim_start().strip_prefix("carried from step to step:") {
            let names = list.split(';').next().unwrap_or("").split(", ");
            self.carried = names.filter_map(|name| lone_name(name, number)).collect();
            return Ok(());
        }
        let wrong = || at.error(Problem::Shape);
        let (before, width, after) = shape_of(content).ok_or_else(wrong)?;
        let value = parse::expression(lexer::tokens(before, number)?)?;
        let output = after.split(|c: char| !c.is_alphanumeric()).any(|word| word == "output");
        match width {
            Width::Input => {}
            width => self.shapes.push(Shape { at, value, width, output }),
        }
        Ok(())
    }

    /// `drawn before training: ν from -4.6 to -0.7; ...`
    fn draw(&mut self, line: &str, number: usize) -> Result<(), TextCellError> {
        let begin = line.find(DRAWS).map_or(0, |start| start + DRAWS.len());
        let list = line[begin..].split('#').next().unwrap_or("");
        let at = At { line: number, column: line[..begin].chars().count() + 1 };
        for item in list.split(';').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, draw) = draws::item(item, number)
                .ok_or_else(|| at.error(Problem::Draw { item: item.chars().take(40).collect() }))?;
            self.draws.push((name, draw, at));
        }
        Ok(())
    }

    /// `weight_ih  (4H, I)  ...  W_ix; W_fx`: the last column says in which order the rows are.
    fn parameter(&mut self, line: &str, number: usize) {
        let last = line.trim().rsplit("  ").next().unwrap_or("");
        self.parameters
            .push(last.split(';').filter_map(|name| lone_name(name, number)).map(|name| name.key()).collect());
    }
}

/// A text that is one name.
fn lone_name(text: &str, line: usize) -> Option<Name> {
    match lexer::tokens(text, line).ok()?.as_slice() {
        [(Token::Name(name), _)] => Some(name.clone()),
        _ => None,
    }
}

/// Cuts a line at its first list of sizes, such as `(B, H)`, and reads the last of them.
fn shape_of(line: &str) -> Option<(&str, Width, &str)> {
    for (open, _) in line.match_indices('(') {
        let Some(length) = line[open..].find(')') else { continue };
        let sizes: Vec<&str> = line[open + 1..open + length].split(',').map(str::trim).collect();
        let width = match *sizes.last()? {
            "I" => Width::Input,
            "H" => Width::Hidden,
            "P" => Width::Output,
            _ => continue,
        };
        if sizes[..sizes.len() - 1].iter().all(|size| matches!(*size, "T" | "B")) && !line[..open].trim().is_empty() {
            return Some((&line[..open], width, &line[open + length + 1..]));
        }
    }
    None
}
