//! A line of equations as names, numbers and signs.

use super::error::{At, Problem, TextCellError};
use crate::describe::greek_name;

/// The step that a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// `h_t`
    Now,
    /// `h_{t-1}`
    Before,
}

/// A name with its subscript: `W_{ig,x}`, `h_{t-1}`, `i_{g,t}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// What stands before the subscript; a Greek letter is spelt out.
    pub base: String,
    /// The subscript without commas and step.
    pub sub: String,
    pub time: Option<Time>,
    /// As it is written.
    pub text: String,
}

impl Name {
    /// What a value or parameter is called: letter and subscript together.
    pub fn joined(&self) -> String {
        format!("{}{}", self.base, self.sub)
    }

    /// Letter and subscript apart: what tells matrices from each other.
    pub fn key(&self) -> String {
        format!("{}_{}", self.base, self.sub)
    }

    /// As it is written, at another step.
    pub fn at_step(&self, mark: &str) -> String {
        let bare = self.text.split(['_', '(']).next().unwrap_or(&self.text);
        match (self.sub.is_empty(), mark) {
            (true, "t") => format!("{bare}_t"),
            (true, _) => format!("{bare}_{{{mark}}}"),
            (false, _) => format!("{bare}_{{{},{mark}}}", self.sub),
        }
    }
}

/// A piece of an equation.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(Name),
    Number(f64),
    /// One of `+ - * / ( ) [ ] > = ²`; other spellings are turned into these.
    Sign(char),
    End,
}

impl Token {
    pub fn is(&self, sign: char) -> bool {
        *self == Token::Sign(sign)
    }

    /// For messages.
    pub fn shown(&self) -> String {
        match self {
            Token::Name(name) => format!("`{}`", name.text),
            Token::Number(number) => format!("`{number}`"),
            Token::Sign(sign) => format!("`{sign}`"),
            Token::End => "the end of the equation".into(),
        }
    }
}

/// A token and where it begins.
pub(super) type Placed = (Token, At);

fn sign(c: char) -> Option<char> {
    Some(match c {
        '+' | '(' | ')' | '[' | ']' | '>' | '=' | '/' | '²' => c,
        '-' | '−' | '–' => '-',
        '*' | '⊙' | '∘' | '×' | '·' | '⋅' => '*',
        _ => return None,
    })
}

fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c) || c == '′' || c == '\''
}

fn is_word(c: char) -> bool {
    // Not every numeric character: `²` is a sign.
    c.is_alphabetic() || c.is_ascii_digit() || is_mark(c)
}

/// `t-2`, `t+1`.
fn is_other_step(part: &str) -> bool {
    let steps = part.strip_prefix("t-").or_else(|| part.strip_prefix("t+"));
    steps.is_some_and(|steps| !steps.is_empty() && steps.chars().all(|c| c.is_ascii_digit()))
}

struct Line {
    number: usize,
    characters: Vec<char>,
    next: usize,
}

impl Line {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.next + ahead).copied()
    }

    fn at(&self) -> At {
        At { line: self.number, column: self.next + 1 }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek(0).filter(|&c| is_word(c)) {
            word.push(if c == '\'' { '′' } else { c });
            self.next += 1;
        }
        word
    }

    fn written(&self, from: usize) -> String {
        self.characters[from..self.next].iter().collect()
    }

    fn name(&mut self) -> Result<Name, TextCellError> {
        let (from, at) = (self.next, self.at());
        let word = self.word();
        let base = greek_name(&word).map_or(word, str::to_string);
        let (mut parts, mut time): (Vec<String>, _) = (Vec::new(), None);
        while self.peek(0) == Some('_') && time.is_none() {
            self.next += 1;
            if self.peek(0) == Some('{') {
                self.next += 1;
                let inside = self.next;
                while self.peek(0).is_some_and(|c| c != '}') {
                    self.next += 1;
                }
                if self.peek(0).is_none() {
                    return Err(at.error(Problem::OpenSubscript { name: self.written(from) }));
                }
                let inside = self.written(inside);
                self.next += 1;
                for part in inside.split(',') {
                    let part: String = part.chars().filter(|c| !c.is_whitespace()).collect();
                    match part.replace(['−', '–'], "-").as_str() {
                        "t" => time = Some(Time::Now),
                        "t-1" => time = Some(Time::Before),
                        other if is_other_step(other) => {
                            return Err(at.error(Problem::OtherStep { name: self.written(from) }));
                        }
                        other => parts.push(other.to_string()),
                    }
                }
            } else {
                match self.word() {
                    part if part == "t" => time = Some(Time::Now),
                    part if part.is_empty() => {
                        return Err(at.error(Problem::OpenSubscript { name: self.written(from) }));
                    }
                    part => parts.push(part),
                }
                let minus_one = matches!(self.peek(0), Some('-' | '−')) && self.peek(1) == Some('1');
                if time.is_some() && minus_one {
                    let text = self.written(from);
                    let name = Name { base, sub: parts.concat(), time, text: text.clone() };
                    return Err(at.error(Problem::MinusOne { name: text, before: name.at_step("t-1") }));
                }
            }
        }
        if time.is_none() && super::function::Function::find(&base).is_none() {
            time =
                self.step_in_brackets().map_err(|()| at.error(Problem::OpenSubscript { name: self.written(from) }))?;
        }
        let wrong = parts.iter().flat_map(|part| part.chars()).find(|&c| !is_word(c));
        if let Some(character) = wrong {
            return Err(at.error(Problem::Character { character }));
        }
        Ok(Name { base, sub: parts.concat(), time, text: self.written(from) })
    }

    /// `(t)` or `(t-1)` right after a name; an error where the bracket stays open.
    fn step_in_brackets(&mut self) -> Result<Option<Time>, ()> {
        let mut inside = String::new();
        let mut ahead = 1;
        if self.peek(0) != Some('(') {
            return Ok(None);
        }
        while let Some(c) = self.peek(ahead).filter(|&c| c != ')') {
            if !c.is_whitespace() {
                inside.push(if c == '−' { '-' } else { c });
            }
            ahead += 1;
        }
        let time = match inside.as_str() {
            "t" => Time::Now,
            "t-1" => Time::Before,
            _ => return Ok(None),
        };
        let closed = self.peek(ahead).is_some();
        self.next += ahead + usize::from(closed);
        if closed { Ok(Some(time)) } else { Err(()) }
    }

    fn number(&mut self) -> Result<f64, TextCellError> {
        let (from, at) = (self.next, self.at());
        let digits = |line: &mut Line| {
            while line.peek(0).is_some_and(|c| c.is_ascii_digit() || c == '.') {
                line.next += 1;
            }
        };
        digits(self);
        if matches!(self.peek(0), Some('e' | 'E')) {
            let signed = usize::from(matches!(self.peek(1), Some('+' | '-')));
            if self.peek(1 + signed).is_some_and(|c| c.is_ascii_digit()) {
                self.next += 1 + signed;
                digits(self);
            }
        }
        let number = self.written(from);
        number.parse().ok().filter(|x: &f64| x.is_finite()).ok_or_else(|| at.error(Problem::Number { number }))
    }
}

/// The tokens of a line; `#` begins a comment.
pub(super) fn tokens(text: &str, number: usize) -> Result<Vec<Placed>, TextCellError> {
    let mut line = Line { number, characters: text.chars().collect(), next: 0 };
    let mut tokens = Vec::new();
    while let Some(c) = line.peek(0).filter(|&c| c != '#') {
        let at = line.at();
        let token = match c {
            _ if c.is_whitespace() => {
                line.next += 1;
                continue;
            }
            '^' => {
                line.next += 1;
                let power = line.word();
                if power != "2" {
                    return Err(at.error(Problem::Power));
                }
                Token::Sign('²')
            }
            '³' | '⁴' => return Err(at.error(Problem::Power)),
            _ if c.is_ascii_digit() || (c == '.' && line.peek(1).is_some_and(|d| d.is_ascii_digit())) => {
                Token::Number(line.number()?)
            }
            _ if c.is_alphabetic() => Token::Name(line.name()?),
            _ => {
                line.next += 1;
                Token::Sign(sign(c).ok_or_else(|| at.error(Problem::Character { character: c }))?)
            }
        };
        tokens.push((token, at));
    }
    Ok(tokens)
}
