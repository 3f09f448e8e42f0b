//! What stands for a cell in settings and files: a registered name, one with options, or the whole text of a cell of its own.
//!
//! Options stand behind the name: `lstm:zoneout=0.05,zoneout-cell=0.5`, `elman:activation=relu,bias=off`, `leaky-fixed:alpha=0.3`. They are those of
//! [`elman_core::options::OPTIONS`].
//!
//! A file of equations is read once; from then on its text goes wherever a name would go: into `config.toml`, into the model and the
//! checkpoint. So a run needs the file no more, and one that goes on notices other equations.

use crate::{Error, cell_options, nearest};
use elman_core::text_cell::{self, MAX_BYTES, TextCellError};
use elman_core::{Cell, cells};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, is_separator};
use std::sync::Arc;

/// Whether this is the text of a cell rather than a name: it has several lines.
fn is_text(cell: &str) -> bool {
    cell.contains('\n')
}

/// The cell of a registered name, of one with options, or of a text.
///
/// ```
/// use elman_run::cell;
/// assert_eq!(cell::make("lstm")?.spec().output, "h");
/// assert_eq!(cell::make("lstm:zoneout=0.1")?.spec().stages[0].feeds, ["keep_h"]);
/// let own = "mine\nForward\n  h_t = tanh(W_hx x_t + W_hh h_{t-1} + b_h)\n";
/// assert_eq!(cell::make(own)?.spec().name, "mine");
/// assert_eq!(cell::title(own), "mine");
/// # Ok::<(), elman_run::Error>(())
/// ```
///
/// # Errors
/// There is no such name, an option is wrong, or the text is no cell.
pub fn make(cell: &str) -> Result<Arc<dyn Cell>, Error> {
    if is_text(cell) {
        return text_cell::parse(cell).map_err(|source| Error::CellText { origin: title(cell).into(), source });
    }
    if cell_options::has_options(cell) {
        return cell_options::make(cell);
    }
    let entry = cells::find(cell).ok_or_else(|| crate::model::unknown_cell(cell))?;
    Ok((entry.make)())
}

/// What a user gives for a cell: a registered name, one with options, the path of a file of equations, or (from a configuration) a text. The result is
/// a name or a text, and makes a cell.
///
/// # Errors
/// There is no such name or file, an option is wrong, or the text is no cell.
pub fn read(given: &str) -> Result<String, Error> {
    if is_text(given) || cells::find(given).is_some() {
        make(given)?;
        return Ok(given.to_string());
    }
    if cell_options::has_options(given) && !given.ends_with(".cell") {
        let tidy = cell_options::tidy(given)?;
        make(&tidy)?;
        return Ok(tidy);
    }
    if !given.contains(is_separator) && !given.ends_with(".cell") {
        let near = nearest(given, cells::REGISTRY.iter().map(|entry| entry.name));
        let near = near.map_or("`elman cells` lists them.".to_string(), |near| format!("did you mean `{near}`?"));
        let advice = format!("{near} A file of equations ends in `.cell`, or is given with its folder: `./{given}`");
        return Err(Error::UnknownCell { name: given.to_string(), advice });
    }
    let path = Path::new(given);
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => Error::Missing { path: path.to_path_buf() },
        _ => Error::Unreadable { path: path.to_path_buf(), source },
    };
    let mut bytes = Vec::new();
    // Whatever it is, no more is read than could be a cell.
    File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    let wrong = |source: TextCellError| Error::CellText { origin: given.to_string(), source };
    let text = text_cell::decode(&bytes).map_err(wrong)?.replace("\r\n", "\n");
    text_cell::parse(&text).map_err(wrong)?;
    Ok(text)
}

/// What to call it in a line: a registered name, or the name in the text.
pub fn title(cell: &str) -> Cow<'_, str> {
    let first = cell.trim_start_matches('\u{feff}').lines().map(str::trim).find(|line| !line.is_empty());
    let name = first.unwrap_or("");
    if name.chars().count() <= 64 { name.into() } else { name.chars().take(64).collect::<String>().into() }
}
