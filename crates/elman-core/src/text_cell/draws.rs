//! How parameters are drawn before training: `p from 2 to 5`, or `q = ln(from 1 to 2)`.

use super::lexer::{self, Name, Placed, Token};
use super::parse::{MAX_DEPTH, MAX_OPERATIONS};
use crate::Draw;

/// One item of the line.
pub(super) fn item(text: &str, line: usize) -> Option<(Name, Draw)> {
    // Formulas are walked by recursion, as equations are.
    let tokens = lexer::tokens(text, line).ok().filter(|tokens| tokens.len() <= MAX_OPERATIONS)?;
    let mut reader = Reader { tokens: &tokens, depth: 0 };
    let Token::Name(name) = reader.take()? else { return None };
    let draw = match reader.peek() {
        Some(Token::Sign('=')) => {
            reader.take();
            reader.sum()?
        }
        _ => reader.range()?,
    };
    reader.tokens.is_empty().then_some((name, draw))
}

/// Reads a formula, none where something else stands.
struct Reader<'a> {
    tokens: &'a [Placed],
    depth: usize,
}

/// Formulas are parts of specifications, which stay for the life of the process.
fn kept(draw: Draw) -> &'static Draw {
    Box::leak(Box::new(draw))
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.first().map(|(token, _)| token)
    }

    fn take(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.0.clone())
    }

    fn takes(&mut self, sign: char) -> bool {
        let found = self.peek().is_some_and(|token| token.is(sign));
        self.tokens = &self.tokens[usize::from(found)..];
        found
    }

    fn word(&mut self, word: &str) -> Option<()> {
        matches!(self.take()?, Token::Name(name) if name.text == word).then_some(())
    }

    fn number(&mut self) -> Option<f64> {
        let sign = if self.takes('-') { -1.0 } else { 1.0 };
        match self.take()? {
            Token::Number(number) => Some(sign * number),
            _ => None,
        }
    }

    /// `from 2 to 5`
    fn range(&mut self) -> Option<Draw> {
        self.word("from")?;
        let low = self.number()?;
        self.word("to")?;
        let high = self.number()?;
        (low <= high).then_some(Draw::Uniform(low, high))
    }

    fn sum(&mut self) -> Option<Draw> {
        let mut left = self.product()?;
        loop {
            left = if self.takes('+') {
                Draw::Sum(kept(left), kept(self.product()?))
            } else if self.takes('-') {
                Draw::Difference(kept(left), kept(self.product()?))
            } else {
                return Some(left);
            };
        }
    }

    fn product(&mut self) -> Option<Draw> {
        let mut left = self.factor()?;
        // `2 p`: a number needs no sign.
        while self.takes('*')
            || (matches!(left, Draw::Number(_)) && matches!(self.peek(), Some(Token::Name(_) | Token::Sign('('))))
        {
            left = Draw::Product(kept(left), kept(self.factor()?));
        }
        Some(left)
    }

    fn factor(&mut self) -> Option<Draw> {
        match self.peek()? {
            Token::Number(_) | Token::Sign('-') => self.number().map(Draw::Number),
            Token::Sign('(') => self.bracket(),
            Token::Name(name) if name.text == "from" => self.range(),
            Token::Name(name) => {
                let name = name.clone();
                self.take();
                match name.text.as_str() {
                    "ln" => self.bracket().map(|a| Draw::Ln(kept(a))),
                    "exp" => self.bracket().map(|a| Draw::Exp(kept(a))),
                    _ => Some(Draw::Unit(name.joined().leak())),
                }
            }
            _ => None,
        }
    }

    fn bracket(&mut self) -> Option<Draw> {
        self.depth += 1;
        if self.depth > MAX_DEPTH || !self.takes('(') {
            return None;
        }
        let inside = self.sum()?;
        self.depth -= 1;
        self.takes(')').then_some(inside)
    }
}
