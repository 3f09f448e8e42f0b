//! Equations as trees, as they are written.

use super::error::{At, Problem, TextCellError};
use super::function::Function;
use super::lexer::{Name, Placed, Token};

/// The most operations of an equation, and the deepest brackets: trees are walked by recursion.
pub(super) const MAX_OPERATIONS: usize = 256;
pub(super) const MAX_DEPTH: usize = 64;

/// A right side, or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub at: At,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Number(f64),
    Name(Name),
    Neg(Box<Tree>),
    Add(Box<Tree>, Box<Tree>),
    Sub(Box<Tree>, Box<Tree>),
    Mul(Box<Tree>, Box<Tree>),
    Div(Box<Tree>, Box<Tree>),
    Square(Box<Tree>),
    /// 1 where positive, else 0.
    Positive(Box<Tree>),
    Call(Function, Box<Tree>),
    Norm(Box<Tree>),
    /// A matrix and what it multiplies.
    Product(Name, Box<Tree>),
}

impl Kind {
    fn at(self, at: At) -> Tree {
        Tree { at, kind: self }
    }
}

/// `name = right`.
#[derive(Clone, Debug)]
pub(super) struct Equation {
    pub name: Name,
    pub at: At,
    pub right: Tree,
}

/// Reads tokens of one equation.
struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
    operations: usize,
}

type Parsed<T> = Result<T, TextCellError>;

/// Joins lines into equations: a line that begins with a sign, follows one, or stands inside brackets goes on with the one
/// before.
pub(super) fn join(lines: Vec<Vec<Placed>>) -> Vec<Vec<Placed>> {
    let mut equations: Vec<Vec<Placed>> = Vec::new();
    let open = |tokens: &[Placed]| {
        let count = |signs: [char; 2]| tokens.iter().filter(|(t, _)| signs.iter().any(|&s| t.is(s))).count();
        count(['(', '[']) > count([')', ']'])
    };
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        let binary = |token: &Token, also: char| ['+', '-', '*', '/', also].iter().any(|&s| token.is(s));
        let begins = binary(&line[0].0, ')');
        match equations.last_mut() {
            // A line with an equation of its own never goes on with one whose bracket was forgotten.
            Some(before)
                if begins
                    || binary(&before[before.len() - 1].0, '=')
                    || (open(before) && !line.iter().any(|(t, _)| t.is('='))) =>
            {
                before.extend(line)
            }
            _ => equations.push(line),
        }
    }
    equations
}

/// Reads one equation.
pub(super) fn equation(tokens: Vec<Placed>) -> Parsed<Equation> {
    let mut parser = Parser::new(tokens);
    let (first, at) = parser.take();
    let name = match first {
        Token::Name(name) => name,
        other => return Err(at.error(Problem::LeftSide { found: other.shown() })),
    };
    let (sign, sign_at) = parser.take();
    if !sign.is('=') {
        return Err(sign_at.error(Problem::NoEquals { name: name.text, found: sign.shown() }));
    }
    let right = parser.whole()?;
    Ok(Equation { name, at, right })
}

/// Reads an expression that is all there is.
pub(super) fn expression(tokens: Vec<Placed>) -> Parsed<Tree> {
    Parser::new(tokens).whole()
}

impl Parser {
    fn new(mut tokens: Vec<Placed>) -> Parser {
        let end = tokens.last().map_or(At { line: 1, column: 1 }, |(token, at)| {
            let width = match token {
                Token::Name(name) => name.text.chars().count(),
                _ => 1,
            };
            At { line: at.line, column: at.column + width }
        });
        tokens.push((Token::End, end));
        Parser { tokens, next: 0, depth: 0, operations: 0 }
    }

    fn peek(&self) -> &Placed {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Placed {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn take_sign(&mut self, sign: char) -> bool {
        let found = self.peek().0.is(sign);
        self.next += usize::from(found);
        found
    }

    fn whole(&mut self) -> Parsed<Tree> {
        let tree = self.sum()?;
        let (token, at) = self.take();
        let found = token.shown();
        match token {
            Token::End => Ok(tree),
            Token::Sign(')' | ']') => Err(at.error(Problem::ClosedTwice { found })),
            Token::Sign('>') => Err(at.error(Problem::Step)),
            _ => Err(at.error(Problem::NoSign { found })),
        }
    }

    fn operation(&mut self, at: At) -> Parsed<()> {
        self.operations += 1;
        if self.operations > MAX_OPERATIONS || self.depth > MAX_DEPTH {
            return Err(at.error(Problem::Long { limit: MAX_OPERATIONS, depth: MAX_DEPTH }));
        }
        Ok(())
    }

    fn sum(&mut self) -> Parsed<Tree> {
        let mut left = self.product()?;
        loop {
            let (token, at) = self.peek().clone();
            let make: fn(Box<Tree>, Box<Tree>) -> Kind = match token {
                Token::Sign('+') => Kind::Add,
                Token::Sign('-') => Kind::Sub,
                _ => return Ok(left),
            };
            self.next += 1;
            self.operation(at)?;
            let right = self.product()?;
            left = make(Box::new(left), Box::new(right)).at(at);
        }
    }

    fn product(&mut self) -> Parsed<Tree> {
        // The sign of a term is that of all its factors: `-a * b`.
        let (token, at) = self.peek().clone();
        if token.is('-') {
            self.next += 1;
            self.operation(at)?;
            self.depth += 1;
            let negative = self.product()?;
            self.depth -= 1;
            return Ok(Kind::Neg(Box::new(negative)).at(at));
        }
        let mut left = self.factor()?;
        loop {
            let (token, at) = self.peek().clone();
            let make: fn(Box<Tree>, Box<Tree>) -> Kind = match token {
                Token::Sign('*') => Kind::Mul,
                Token::Sign('/') => Kind::Div,
                // `0.5 c_t`: a number needs no sign.
                Token::Name(_) | Token::Sign('(' | '[') if matches!(left.kind, Kind::Number(_)) => {
                    self.operation(at)?;
                    let right = self.factor()?;
                    left = Kind::Mul(Box::new(left), Box::new(right)).at(at);
                    continue;
                }
                _ => return Ok(left),
            };
            self.next += 1;
            self.operation(at)?;
            let right = self.factor()?;
            left = make(Box::new(left), Box::new(right)).at(at);
        }
    }

    fn factor(&mut self) -> Parsed<Tree> {
        let (token, at) = self.peek().clone();
        if token.is('-') {
            self.next += 1;
            self.operation(at)?;
            self.depth += 1;
            let negative = self.factor()?;
            self.depth -= 1;
            return Ok(Kind::Neg(Box::new(negative)).at(at));
        }
        let mut tree = self.atom()?;
        while self.peek().0.is('²') {
            let at = self.take().1;
            self.operation(at)?;
            tree = Kind::Square(Box::new(tree)).at(at);
        }
        Ok(tree)
    }

    fn atom(&mut self) -> Parsed<Tree> {
        let (token, at) = self.take();
        self.operation(at)?;
        match token {
            Token::Number(number) => Ok(Kind::Number(number).at(at)),
            Token::Sign('(') => self.bracket(at),
            Token::Sign('[') => {
                self.depth += 1;
                let inside = self.sum()?;
                self.depth -= 1;
                let above = self.take_sign('>') && self.take().0 == Token::Number(0.0) && self.take_sign(']');
                if above { Ok(Kind::Positive(Box::new(inside)).at(at)) } else { Err(at.error(Problem::Step)) }
            }
            Token::Name(name) if name.time.is_some() => {
                if name.base.starts_with(char::is_uppercase) {
                    return Err(at.error(Problem::CapitalValue { name: name.text }));
                }
                Ok(Kind::Name(name).at(at))
            }
            Token::Name(name) => self.named(name, at),
            other => Err(at.error(Problem::NoValue { found: other.shown() })),
        }
    }

    /// What follows an opening bracket.
    fn bracket(&mut self, open: At) -> Parsed<Tree> {
        self.depth += 1;
        self.operation(open)?;
        let inside = self.sum()?;
        self.depth -= 1;
        if self.take_sign(')') {
            return Ok(inside);
        }
        let (token, at) = self.take();
        let found = token.shown();
        Err(match token {
            Token::End | Token::Sign('=' | ']') => at.error(Problem::OpenBracket { open, found }),
            Token::Sign('>') => at.error(Problem::Step),
            _ => at.error(Problem::NoSign { found }),
        })
    }

    /// A function, a matrix, or a name without a step.
    fn named(&mut self, name: Name, at: At) -> Parsed<Tree> {
        let function = Function::find(&name.joined());
        if function.is_some() || name.text == "norm" {
            let squared = self.take_sign('²');
            let open = self.peek().1;
            if !self.take_sign('(') {
                return Err(at.error(Problem::FunctionAlone { name: name.text }));
            }
            let argument = Box::new(self.bracket(open)?);
            let call = match function {
                Some(function) => Kind::Call(function, argument).at(at),
                None => Kind::Norm(argument).at(at),
            };
            return Ok(if squared { Kind::Square(Box::new(call)).at(at) } else { call });
        }
        let opens = self.peek().0.is('(');
        if name.base.starts_with(char::is_uppercase) {
            if !opens && !matches!(&self.peek().0, Token::Name(next) if !next.base.starts_with(char::is_uppercase)) {
                return Err(at.error(Problem::MatrixAlone { name: name.text }));
            }
            self.depth += 1;
            let vector = self.factor()?;
            self.depth -= 1;
            return Ok(Kind::Product(name, Box::new(vector)).at(at));
        }
        if opens {
            return Err(at.error(Problem::UnknownFunction { name: name.text }));
        }
        Ok(Kind::Name(name).at(at))
    }
}
