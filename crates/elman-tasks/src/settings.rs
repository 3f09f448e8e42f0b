//! The settings of a task: what there is, what it may be, where each value came from.
//!
//! A task declares its settings once; help texts, command-line options, configuration files, checks and the comparison
//! when a run is resumed all come from that list.

use crate::{Error, tasks};
use elman::init::find_preset;
use elman_run::nearest;
use std::collections::BTreeMap;
use std::path::Path;

/// The largest whole number: TOML's.
pub const MAX: u64 = i64::MAX as u64;

/// Settings: keys and values.
pub type Pairs = Vec<(&'static str, String)>;

/// What a setting may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A whole number within bounds, both included.
    Integer(u64, u64),
    /// A number for which the function holds; the text says for which.
    Number(fn(f64) -> bool, &'static str),
    /// One of these names.
    Choice(fn() -> Vec<&'static str>),
    /// A text for which the function holds; the words say for which.
    Text(fn(&str) -> bool, &'static str),
    /// A path; empty for none.
    Path,
    /// A cell: its registered name, or its text, given by the path of a file, see [`elman_run::cell`]; or a name that stands for several
    /// settings. The functions give all names, and those settings.
    Cell(fn() -> Vec<&'static str>, fn(&str) -> Option<Pairs>),
    /// A name that only stands for several settings, which replace it; others that are given count, wherever they stand. The functions as for a cell.
    Preset(fn() -> Vec<&'static str>, fn(&str) -> Option<Pairs>),
}

/// What a setting is when nobody sets it.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// This.
    Is(&'static str),
    /// The value of another setting.
    Same(&'static str),
    /// The task decides; the text says how.
    Auto(&'static str),
}

/// Whether a resumed run may have another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Yes.
    Free,
    /// No: the network or the data would be another.
    Fixed,
}

/// One setting of a task.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name: the key in files, `--key` on the command line.
    pub key: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is otherwise.
    pub default: Default,
    /// Whether a resumed run may change it.
    pub resume: Resume,
    /// One sentence.
    pub help: &'static str,
}

impl Setting {
    /// What it may be, in words.
    pub fn range(&self) -> String {
        match self.kind {
            Kind::Integer(min, MAX) => format!("a whole number from {min}"),
            Kind::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Number(_, words) => format!("a number {words}"),
            Kind::Choice(names) | Kind::Preset(names, _) => format!("one of {}", names().join(", ")),
            Kind::Text(_, words) => words.into(),
            Kind::Path => "a path".into(),
            Kind::Cell(..) => "a name that `elman cells` lists, or the path of a file of equations".into(),
        }
    }

    /// What it is by default, in words.
    pub fn default_text(&self) -> String {
        match self.default {
            Default::Is(text) => text.into(),
            Default::Same(key) => format!("as {key}"),
            Default::Auto(words) => words.into(),
        }
    }

    /// Reads a value.
    fn parse(&self, text: &str) -> Result<Value, String> {
        let wrong = |shown: &str| format!("`{}` is {shown}; it must be {}", self.key, self.range());
        match self.kind {
            Kind::Integer(min, max) => match text.replace('_', "").parse::<u64>() {
                Ok(n) if (min..=max).contains(&n) => Ok(Value::Integer(n)),
                Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow && max == MAX => {
                    Err(format!("{}, and at most {MAX}", wrong(text)))
                }
                Ok(n) if n > MAX && max == MAX => Err(format!("{}, and at most {MAX}", wrong(text))),
                _ if text.parse::<f64>().is_ok() => Err(wrong(text)),
                _ => Err(wrong(&format!("`{text}`"))),
            },
            Kind::Number(holds, _) => match text.parse::<f64>() {
                Ok(x) if holds(x) => Ok(Value::Number(x)),
                Ok(_) => Err(wrong(text)),
                Err(_) => Err(wrong(&format!("`{text}`"))),
            },
            Kind::Choice(names) | Kind::Preset(names, _) => {
                let names = names();
                if let Some(&name) = names.iter().find(|&&name| name == text) {
                    return Ok(Value::Text(name.into()));
                }
                Err(match nearest(text, names) {
                    Some(near) => format!("unknown {} `{text}`; did you mean `{near}`?", self.key),
                    None => format!("unknown {} `{text}`; it must be {}", self.key, self.range()),
                })
            }
            Kind::Text(holds, _) if !holds(text) => Err(wrong(&format!("`{text}`"))),
            Kind::Text(..) | Kind::Path => Ok(Value::Text(text.into())),
            Kind::Cell(names, _) => elman_run::cell::read(text).map(Value::Text).map_err(|error| match error {
                elman_run::Error::UnknownCell { name, .. } if find_preset(&name).is_some() => format!(
                    "`{name}` is a cell with its initialisation, for which this task has no settings; give a cell that `elman cells` lists"
                ),
                elman_run::Error::UnknownCell { name, advice } => match nearest(text, names()) {
                    Some(near) => {
                        let file =
                            format!("A file of equations ends in `.cell`, or is given with its folder: `./{name}`");
                        format!("unknown cell `{name}`; did you mean `{near}`? {file}")
                    }
                    None => elman_run::Error::UnknownCell { name, advice }.to_string(),
                },
                other => other.to_string(),
            }),
        }
    }
}

/// One that a resumed run may change.
pub const fn setting(key: &'static str, kind: Kind, default: Default, help: &'static str) -> Setting {
    Setting { key, kind, default, resume: Resume::Free, help }
}

/// One whose change would make another network, or other data.
pub const fn fixed(key: &'static str, kind: Kind, default: Default, help: &'static str) -> Setting {
    Setting { key, kind, default, resume: Resume::Fixed, help }
}

/// Above 0.
pub const POSITIVE: Kind = Kind::Number(|x| x > 0.0 && x.is_finite(), "above 0");
/// A share that is not all.
pub const FRACTION: Kind = Kind::Number(|x| (0.0..1.0).contains(&x), "from 0 to below 1");
/// From 0.
pub const NOT_NEGATIVE: Kind = Kind::Number(|x| x >= 0.0 && x.is_finite(), "from 0");
/// A width.
pub const SIZE: Kind = Kind::Integer(1, 65_536);
/// How many; at least one.
pub const COUNT: Kind = Kind::Integer(1, MAX);
/// How often; 0 is never.
pub const EVERY: Kind = Kind::Integer(0, MAX);

/// A value that was checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Integer(u64),
    /// A number.
    Number(f64),
    /// A name or a path.
    Text(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Integer(n) => write!(f, "{n}"),
            Value::Number(x) => write!(f, "{x}"),
            Value::Text(text) => write!(f, "{text}"),
        }
    }
}

/// The values of a task's settings. Later ones replace earlier ones.
#[derive(Clone, Debug)]
pub struct Settings {
    list: &'static [Setting],
    values: BTreeMap<&'static str, Value>,
}

/// Keys of a configuration file that are not settings: what made it.
const NOTES: [&str; 4] = ["task", "version", "fingerprint", "precision-ran"];

impl Settings {
    /// Nothing set yet.
    pub fn new(list: &'static [Setting]) -> Settings {
        Settings { list, values: BTreeMap::new() }
    }

    /// What can be set.
    pub fn list(&self) -> &'static [Setting] {
        self.list
    }

    /// Sets one. `origin` (`config.toml: `, `--set: `) begins the message when it is wrong.
    ///
    /// # Errors
    /// The key is unknown or the value is out of range.
    pub fn set(&mut self, key: &str, text: &str, origin: &str) -> Result<(), Error> {
        let Some(setting) = self.list.iter().find(|s| s.key == key) else {
            let has = |task: &&tasks::Task| task.settings.iter().any(|s| s.key == key);
            if let Some(task) = tasks::REGISTRY.iter().find(has) {
                let own = tasks::REGISTRY.iter().find(|own| std::ptr::eq(own.settings, self.list));
                let own = own.map_or("this task", |task| task.name);
                return Err(Error::Usage(format!(
                    "{origin}`{key}` is a setting of {}, and {own} has none of this name; leave it out",
                    task.name
                )));
            }
            let near = nearest(key, self.list.iter().map(|s| s.key));
            let advice = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", self.list.iter().map(|s| s.key).collect::<Vec<_>>().join(", ")),
            };
            return Err(Error::Usage(format!("{origin}unknown key `{key}`; {advice}")));
        };
        if let Kind::Cell(_, expand) | Kind::Preset(_, expand) = setting.kind
            && let Some(values) = expand(text)
        {
            return values.into_iter().try_for_each(|(key, text)| self.set(key, &text, origin));
        }
        let value = setting.parse(text).map_err(|message| Error::Usage(format!("{origin}{message}")))?;
        // Two ways to say how long: the later one counts.
        match key {
            "steps" => self.values.remove("epochs"),
            "epochs" => self.values.remove("steps"),
            _ => None,
        };
        self.values.insert(setting.key, value);
        Ok(())
    }

    /// Whether this setting stands for others; such ones are set first.
    pub(crate) fn is_preset(&self, key: &str) -> bool {
        self.list.iter().any(|s| s.key == key && matches!(s.kind, Kind::Preset(..)))
    }

    /// Sets what nobody has set.
    pub(crate) fn fill(&mut self, key: &'static str, value: Value) {
        self.values.entry(key).or_insert(value);
    }

    /// Sets everything that a configuration file has, flat `key = value` lines.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, is of another task, or has a wrong key or value.
    pub fn read(&mut self, path: &Path, task: &str) -> Result<(), Error> {
        let table = read_table(path)?;
        let origin = format!("{}: ", path.display());
        if let Some(other) = table.get("task").and_then(|t| t.as_str()).filter(|&other| other != task) {
            return Err(Error::Usage(format!("{origin}it is a configuration of `{other}`, not of `{task}`")));
        }
        if table.contains_key("steps") && table.contains_key("epochs") {
            return Err(Error::Usage(format!("{origin}it has `steps` and `epochs`; leave one out")));
        }
        let mut lines: Vec<_> = table.iter().filter(|(key, _)| !NOTES.contains(&key.as_str())).collect();
        lines.sort_by_key(|(key, _)| !self.is_preset(key));
        for (key, value) in lines {
            let text = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Table(_) | toml::Value::Array(_) => {
                    return Err(Error::Usage(format!("{origin}key `{key}` is a table or a list; give one value")));
                }
                other => other.to_string(),
            };
            self.set(key, &text, &origin)?;
        }
        Ok(())
    }

    /// Gives every setting that is still open its default.
    pub fn complete(&mut self) {
        for setting in self.list {
            if let Default::Is(text) = setting.default
                && !self.values.contains_key(setting.key)
                && let Ok(value) = setting.parse(text)
            {
                self.values.insert(setting.key, value);
            }
        }
        for setting in self.list {
            if let Default::Same(other) = setting.default
                && let Some(value) = self.values.get(other).cloned()
            {
                self.fill(setting.key, value);
            }
        }
    }

    /// The value, if it has one.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Whether it has another value than nobody's setting it would give.
    pub(crate) fn is_changed(&self, key: &str) -> bool {
        self.list.iter().find(|s| s.key == key).is_some_and(|setting| match setting.default {
            Default::Is(text) => self.get(key) != setting.parse(text).ok().as_ref(),
            Default::Same(other) => self.get(key) != self.get(other),
            Default::Auto(_) => self.get(key).is_some(),
        })
    }

    /// A whole number that is set.
    ///
    /// # Panics
    /// If it is not, or no whole number: an error of the task's list.
    #[track_caller]
    pub fn integer(&self, key: &str) -> u64 {
        match self.get(key) {
            Some(Value::Integer(n)) => *n,
            other => panic!("`{key}` is {other:?}, not a whole number"),
        }
    }

    /// A whole number as a size in memory.
    #[track_caller]
    pub fn size(&self, key: &str) -> usize {
        usize::try_from(self.integer(key)).unwrap_or(usize::MAX)
    }

    /// A number that is set.
    #[track_caller]
    pub fn number(&self, key: &str) -> f64 {
        match self.get(key) {
            Some(Value::Number(x)) => *x,
            other => panic!("`{key}` is {other:?}, not a number"),
        }
    }

    /// A text that is set.
    #[track_caller]
    pub fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Value::Text(text)) => text,
            other => panic!("`{key}` is {other:?}, not a text"),
        }
    }

    /// The setting that this one follows, having no value of its own.
    fn follows(&self, setting: &Setting) -> Option<&'static str> {
        match setting.default {
            Default::Same(other) if self.get(other) == self.get(setting.key) => Some(other),
            _ => None,
        }
    }

    /// What differs from `former`, as `key: former -> now`; with `resume` only settings of that kind.
    pub fn differences(&self, former: &Settings, resume: Resume) -> Vec<String> {
        let shown = |value: Option<&Value>, kind: Kind| match (value, kind) {
            (Some(Value::Text(cell)), Kind::Cell(..)) => elman_run::cell::title(cell).into_owned(),
            _ => value.map_or("none".into(), Value::to_string),
        };
        self.list
            .iter()
            .filter(|s| s.resume == resume && self.get(s.key) != former.get(s.key))
            // What followed another and follows it still is told with that one.
            .filter(|s| self.follows(s).is_none() || former.follows(s).is_none())
            .map(|s| {
                let (before, now) = (shown(former.get(s.key), s.kind), shown(self.get(s.key), s.kind));
                // Two texts may go by one name.
                let other = if before == now { " with other equations" } else { "" };
                format!("{}: {before} -> {now}{other}", s.key)
            })
            .collect()
    }

    /// The configuration file: every setting that has a value, with its explanation. `precision` is the one that ran.
    pub fn to_toml(&self, task: &str, fingerprint: &str, precision: &str) -> String {
        let quoted = |text: &str| toml::Value::String(text.into()).to_string();
        let mut out = format!(
            "# Every setting of this run. `elman train {task} --config FILE` trains with them again.\n\
             task = {}\nversion = {}\nfingerprint = {}  # of the data: bytes and hash\n\
             precision-ran = {}  # what the machine made of `precision`\n",
            quoted(task),
            quoted(env!("CARGO_PKG_VERSION")),
            quoted(fingerprint),
            quoted(precision)
        );
        for setting in self.list {
            let value = match self.get(setting.key) {
                None => continue,
                Some(Value::Text(text)) => quoted(text),
                Some(Value::Integer(n)) => n.to_string(),
                Some(Value::Number(x)) => toml::Value::Float(*x).to_string(),
            };
            // In the next run too.
            out += &match self.follows(setting) {
                Some(other) => format!("\n# {}\n# {} = {value}  # as {other}\n", setting.help, setting.key),
                None => format!("\n# {}\n{} = {value}\n", setting.help, setting.key),
            };
        }
        out
    }
}

/// Reads a TOML file; a mistake is told with its line.
pub(crate) fn read_table(path: &Path) -> Result<toml::Table, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => elman_run::Error::Missing { path: path.to_path_buf() }.into(),
        _ => Error::unreadable(path, source),
    })?;
    text.parse::<toml::Table>().map_err(|error| {
        let before = error.span().map_or(0, |span| span.start).min(text.len());
        let line = 1 + text.as_bytes()[..before].iter().filter(|&&b| b == b'\n').count();
        let message = error.message().trim().replace('\n', ", ");
        Error::Usage(format!("{}: line {line} is not TOML: {message}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[Setting] = &[
        Setting {
            key: "hidden",
            kind: Kind::Integer(1, 100),
            default: Default::Is("7"),
            resume: Resume::Fixed,
            help: "Units.",
        },
        Setting {
            key: "embedding",
            kind: Kind::Integer(1, 100),
            default: Default::Same("hidden"),
            resume: Resume::Fixed,
            help: "Width.",
        },
        Setting {
            key: "lr",
            kind: Kind::Number(|x| x > 0.0 && x.is_finite(), "above 0"),
            default: Default::Is("0.1"),
            resume: Resume::Free,
            help: "Rate.",
        },
        Setting {
            key: "rule",
            kind: Kind::Choice(|| vec!["adam", "sgd"]),
            default: Default::Is("adam"),
            resume: Resume::Fixed,
            help: "Rule.",
        },
        Setting {
            key: "cell",
            kind: Kind::Cell(
                || vec!["lstm", "gru", "large-gru"],
                |name| {
                    (name == "large-gru").then(|| {
                        [("cell", "gru"), ("hidden", "90"), ("rule", "sgd")].map(|(k, v)| (k, v.into())).into()
                    })
                },
            ),
            default: Default::Is("lstm"),
            resume: Resume::Fixed,
            help: "Cell.",
        },
        Setting {
            key: "word",
            kind: Kind::Text(|text| text.len() == 3, "of three letters"),
            default: Default::Is("abc"),
            resume: Resume::Free,
            help: "Word.",
        },
    ];

    fn error(key: &str, text: &str) -> String {
        Settings::new(LIST).set(key, text, "x: ").unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_value_is_named_with_what_it_may_be() {
        for bad in ["0", "-3", "101", "1.5"] {
            assert_eq!(error("hidden", bad), format!("x: `hidden` is {bad}; it must be a whole number from 1 to 100"));
        }
        assert_eq!(error("hidden", "many"), "x: `hidden` is `many`; it must be a whole number from 1 to 100");
        for bad in ["0", "-1", "NaN", "inf"] {
            assert_eq!(error("lr", bad), format!("x: `lr` is {bad}; it must be a number above 0"));
        }
        assert_eq!(error("rule", "adamm"), "x: unknown rule `adamm`; did you mean `adam`?");
        assert_eq!(error("hiden", "3"), "x: unknown key `hiden`; did you mean `hidden`?");
        assert_eq!(error("qqq", "3"), "x: unknown key `qqq`; there are hidden, embedding, lr, rule, cell, word");
        assert_eq!(error("word", "12"), "x: `word` is `12`; it must be of three letters");
    }

    #[test]
    fn a_configuration_is_read_as_it_was_written() {
        let mut settings = Settings::new(LIST);
        settings.set("hidden", "12", "").unwrap();
        settings.set("lr", "1e-3", "").unwrap();
        settings.set("word", "100", "").unwrap();
        settings.complete();
        assert_eq!(settings.integer("embedding"), 12);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), settings.to_toml("t", "f", "f32")).unwrap();
        let mut again = Settings::new(LIST);
        again.read(file.path(), "t").unwrap();
        // What follows `hidden` stands there as a remark.
        assert_eq!(again.get("embedding"), None);
        again.complete();
        assert_eq!(again.values, settings.values);
        let error = Settings::new(LIST).read(file.path(), "other").unwrap_err().to_string();
        assert!(error.ends_with("it is a configuration of `t`, not of `other`"), "{error}");
        again.set("hidden", "13", "").unwrap();
        again.set("lr", "1", "").unwrap();
        assert_eq!(again.differences(&settings, Resume::Fixed), ["hidden: 12 -> 13"]);
        assert_eq!(again.differences(&settings, Resume::Free), ["lr: 0.001 -> 1"]);
    }

    #[test]
    fn a_preset_is_its_values_and_later_settings_replace_them() {
        let mut settings = Settings::new(LIST);
        settings.set("hidden", "12", "").unwrap();
        settings.set("cell", "large-gru", "").unwrap();
        settings.set("rule", "adam", "").unwrap();
        settings.complete();
        assert_eq!((settings.text("cell"), settings.integer("hidden"), settings.text("rule")), ("gru", 90, "adam"));
        settings.set("cell", "gru", "").unwrap();
        assert_eq!(settings.integer("hidden"), 90, "a plain name sets nothing else");
        assert!(
            error("cell", "large-gr")
                .starts_with("x: unknown cell `large-gr`; did you mean `large-gru`? A file of equations")
        );
    }

    #[test]
    fn a_mistake_in_a_file_is_told_with_its_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hidden = 3\nlr = = 2\n").unwrap();
        let error = Settings::new(LIST).read(file.path(), "t").unwrap_err();
        assert!(error.to_string().contains(": line 2 is not TOML: "), "{error}");
        assert!(!error.to_string().contains('\n'));
        assert_eq!(error.status(), 2);
    }
}
