//! Trees in brackets, as treebanks have them: `(3 (2 It) (4 (2 's) (4 good)))`, `( (S (NP (NNP Mr.)) (VP ...)) )`.
//!
//! A node is `(label word)` or `(label node node ...)`; the label is any text without blanks and brackets, a number in the Stanford Sentiment
//! Treebank, a syntactic tag in others, and may be missing before nodes. A file has any number of trees, each on one line or over
//! several. Blank lines, and between trees lines that begin with `#`, are passed over. `-LRB-` and `-RRB-` stand for round brackets in words and
//! labels.
//!
//! ```
//! use elman_data::trees::parse;
//!
//! let trees = parse("(3 (2 It) (4 (2 's)\n  (4 -LRB-)))").unwrap();
//! let nodes = trees[0].nodes();
//! assert_eq!(nodes.len(), 5);
//! assert_eq!(trees[0].root().label, "3");
//! assert_eq!(trees[0].words().collect::<Vec<_>>(), ["It", "'s", "("]);
//! assert_eq!(trees[0].to_string(), "(3 (2 It) (4 (2 's) (4 -LRB-)))");
//! let error = parse("(3 (2 It)\n").unwrap_err();
//! assert_eq!(error.to_string(), "line 1, column 1: this bracket is never closed; add `)`");
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

/// A node of a [`BracketTree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BracketNode {
    /// Its label; empty where there is none.
    pub label: String,
    /// The word of a leaf.
    pub word: Option<String>,
    /// The places of its children; none for a leaf.
    pub children: Vec<usize>,
}

/// A tree. Children come before their parents, in the order of the words; the root is last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BracketTree {
    nodes: Vec<BracketNode>,
}

impl BracketTree {
    /// All nodes.
    pub fn nodes(&self) -> &[BracketNode] {
        &self.nodes
    }

    /// The root.
    pub fn root(&self) -> &BracketNode {
        self.nodes.last().expect("a tree has a node")
    }

    /// The words from the first to the last.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| node.word.as_deref())
    }
}

/// On one line, as it is read.
impl fmt::Display for BracketTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not by recursion: a tree may be as deep as it is long. What is still to be written, the last first.
        enum Part {
            Node(usize),
            Text(&'static str),
        }
        let mut parts = vec![Part::Node(self.nodes.len() - 1)];
        while let Some(part) = parts.pop() {
            let node = match part {
                Part::Text(text) => {
                    f.write_str(text)?;
                    continue;
                }
                Part::Node(node) => &self.nodes[node],
            };
            write!(f, "({}", escaped(&node.label))?;
            if let Some(word) = &node.word {
                write!(f, " {}", escaped(word))?;
            }
            parts.push(Part::Text(")"));
            for &child in node.children.iter().rev() {
                parts.extend([Part::Node(child), Part::Text(" ")]);
            }
        }
        Ok(())
    }
}

fn escaped(text: &str) -> String {
    text.replace('(', "-LRB-").replace(')', "-RRB-")
}

fn unescaped(text: &str) -> String {
    text.replace("-LRB-", "(").replace("-RRB-", ")")
}

/// What is wrong in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The text ends inside a tree.
    #[error("this bracket is never closed; add `)`")]
    NotClosed,
    /// A bracket too many.
    #[error("this `)` closes nothing; remove it, or add the `(` that it belongs to")]
    NotOpened,
    /// Text that is in no tree.
    #[error("there is text outside of a tree; a tree begins with `(`, and a comment is a line that begins with `#`")]
    Outside,
    /// `()` or `(label)`.
    #[error("this node has neither a word nor children; write `(label word)` or `(label (...) ...)`")]
    EmptyNode,
    /// `(label word word)` or `(label word (...))`.
    #[error("a node has one word or children, and this is one more; put it into a node of its own, `(label word)`")]
    Surplus,
    /// No tree at all.
    #[error("there are no trees; expected lines such as `(3 (2 It) (4 works))`")]
    NoTrees,
}

/// A [`Fault`] and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {fault}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What.
    pub fault: Fault,
}

/// Why a file of trees cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreesError {
    /// The system refuses it.
    #[error("{}: cannot be read: {source}; check the path", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not UTF-8.
    #[error("{}: not UTF-8 at line {line}; convert it, for example with `iconv -f latin1 -t utf-8`", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// Not trees.
    #[error("{}: {error}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: ParseError,
    },
}

/// Reads a file.
///
/// # Errors
/// If it cannot be read, is not UTF-8 or does not hold trees.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<BracketTree>, TreesError> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|source| TreesError::Unreadable { path: path.into(), source })?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        TreesError::NotUtf8 { path: path.into(), line }
    })?;
    parse(text).map_err(|error| TreesError::Parse { path: path.into(), error })
}

/// A node that is still open.
struct Open {
    at: (usize, usize),
    label: String,
    word: Option<String>,
    children: Vec<usize>,
}

/// Reads a text.
///
/// # Errors
/// The first fault, with its place.
pub fn parse(text: &str) -> Result<Vec<BracketTree>, ParseError> {
    let fault = |(line, column): (usize, usize), fault| Err(ParseError { line, column, fault });
    let (mut trees, mut nodes, mut open): (Vec<BracketTree>, Vec<BracketNode>, Vec<Open>) = Default::default();
    for (i, line) in text.lines().enumerate() {
        if open.is_empty() && line.trim_start().starts_with('#') {
            continue;
        }
        for (column, token, after_bracket) in tokens(line) {
            let at = (i + 1, column);
            match (token, open.last_mut()) {
                ("(", Some(Open { word: Some(_), .. })) => return fault(at, Fault::Surplus),
                ("(", _) => open.push(Open { at, label: String::new(), word: None, children: Vec::new() }),
                (")", None) => return fault(at, Fault::NotOpened),
                (")", Some(_)) => {
                    let Open { at, label, word, children } = open.pop().expect("there is one");
                    if word.is_none() && children.is_empty() {
                        return fault(at, Fault::EmptyNode);
                    }
                    nodes.push(BracketNode { label, word, children });
                    match open.last_mut() {
                        Some(parent) => parent.children.push(nodes.len() - 1),
                        None => trees.push(BracketTree { nodes: std::mem::take(&mut nodes) }),
                    }
                }
                (_, None) => return fault(at, Fault::Outside),
                // What follows the bracket on its line without another bracket between is the label.
                (text, Some(node)) if after_bracket => node.label = unescaped(text),
                (text, Some(node)) if node.word.is_none() && node.children.is_empty() => {
                    node.word = Some(unescaped(text))
                }
                _ => return fault(at, Fault::Surplus),
            }
        }
    }
    match (open.first(), trees.is_empty()) {
        (Some(node), _) => fault(node.at, Fault::NotClosed),
        (None, true) => fault((1, 1), Fault::NoTrees),
        (None, false) => Ok(trees),
    }
}

/// Brackets and words of a line: the column, the text, and whether it follows an opening bracket.
fn tokens(line: &str) -> impl Iterator<Item = (usize, &str, bool)> {
    let mut rest = line;
    let (mut column, mut after_bracket) = (1, false);
    std::iter::from_fn(move || {
        let blank = rest.find(|c: char| !c.is_ascii_whitespace())?;
        column += rest[..blank].chars().count();
        rest = &rest[blank..];
        let length = match rest.find(|c: char| c.is_ascii_whitespace() || c == '(' || c == ')') {
            Some(0) => 1,
            Some(length) => length,
            None => rest.len(),
        };
        let found = (column, &rest[..length], after_bracket);
        after_bracket = found.1 == "(";
        column += found.1.chars().count();
        rest = &rest[length..];
        Some(found)
    })
}
