//! Reads TOML tables key by key and keeps every problem, with its line, instead of stopping at the first.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Diagnostic, shown};
use crate::duration;

/// The text that is being read, and what was found wrong with it so far.
#[derive(Debug)]
pub struct Source<'t> {
    file: &'t str,
    text: &'t str,
    /// How many lines of the file come before `text`: a TOML block may stand inside another document.
    lines_before: usize,
    /// Where each line ends; found when the first line is asked for.
    line_ends: OnceCell<Vec<usize>>,
    problems: RefCell<Vec<Diagnostic>>,
    /// Problems beyond those that are kept.
    more: Cell<usize>,
}

/// Problems that are kept of one text: nobody reads more of them at once.
const MAX_PROBLEMS: usize = 200;

impl<'t> Source<'t> {
    /// A source that starts at line `lines_before + 1` of `file`.
    #[must_use]
    pub fn new(file: &'t str, text: &'t str, lines_before: usize) -> Self {
        Self { file, text, lines_before, line_ends: OnceCell::new(), problems: RefCell::default(), more: Cell::new(0) }
    }

    /// Reads the text as TOML.
    ///
    /// # Errors
    /// Where it is no TOML.
    pub fn parse(&self) -> Result<Spanned<DeTable<'t>>, ConfigError> {
        DeTable::parse(self.text).map_err(|error| {
            let problem = Diagnostic {
                line: self.line(error.span().map_or(0, |span| span.start)),
                key: "TOML".to_owned(),
                message: error.message().to_owned(),
                hint: "see https://toml.io for how TOML is written".to_owned(),
            };
            ConfigError { file: self.file.to_owned(), problems: vec![problem] }
        })
    }

    /// The top of a parsed text.
    #[must_use]
    pub fn root<'s>(&'s self, table: &'s DeTable<'t>) -> Section<'s, 't> {
        Section { source: self, path: String::new(), start: 0, table, seen: RefCell::default() }
    }

    /// The line, from 1, of a byte offset.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        let ends = self.line_ends.get_or_init(|| self.text.match_indices('\n').map(|(at, _)| at).collect());
        self.lines_before + ends.partition_point(|end| *end < offset) + 1
    }

    /// Keeps a problem.
    pub fn report(&self, line: usize, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() == MAX_PROBLEMS {
            self.more.set(self.more.get() + 1);
            return;
        }
        problems.push(Diagnostic { line, key: key.to_owned(), message: message.into(), hint: hint.into() });
    }

    fn has_room(&self) -> bool {
        self.problems.borrow().len() < MAX_PROBLEMS
    }

    /// `value` where nothing was wrong.
    ///
    /// # Errors
    /// With every problem that was kept.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ConfigError> {
        let mut problems = self.problems.into_inner();
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ => {
                problems.sort_by_key(|problem| problem.line);
                let more = self.more.get();
                if let (Some(last), 1..) = (problems.last(), more) {
                    let (message, hint) =
                        (format!("{more} more problems are not shown"), "correct these first".to_owned());
                    problems.push(Diagnostic { line: last.line, key: "...".to_owned(), message, hint });
                }
                Err(ConfigError { file: self.file.to_owned(), problems })
            }
        }
    }
}

/// One table of the text. Keys that nobody asked for are reported by [`Section::finish`].
#[derive(Debug)]
pub struct Section<'s, 't> {
    source: &'s Source<'t>,
    path: String,
    start: usize,
    table: &'s DeTable<'t>,
    seen: RefCell<BTreeSet<&'static str>>,
}

impl<'s, 't> Section<'s, 't> {
    /// The line on which the table starts.
    #[must_use]
    pub fn line(&self) -> usize {
        self.source.line(self.start)
    }

    /// The line of a key, or of the table where the key is absent.
    #[must_use]
    pub fn line_of(&self, key: &str) -> usize {
        let position = self.table.get_key_value(key);
        self.source.line(position.map_or(self.start, |(name, _)| name.span().start))
    }

    /// Keeps a problem with one of this table's keys.
    pub fn report(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.source.report(self.line_of(key), &self.name(key), message, hint);
    }

    fn name(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    fn get(&self, key: &'static str) -> Option<&'s Spanned<DeValue<'t>>> {
        self.seen.borrow_mut().insert(key);
        self.table.get(key)
    }

    /// Whether the key is there.
    #[must_use]
    pub fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// The raw value of a key.
    #[must_use]
    pub fn raw(&self, key: &'static str) -> Option<&'s DeValue<'t>> {
        self.get(key).map(Spanned::get_ref)
    }

    /// Text, where the key is there.
    pub fn text(&self, key: &'static str) -> Option<String> {
        let value = self.get(key)?.get_ref();
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            self.report(key, format!("is {}, not text", kind_of(value)), format!("write `{key} = \"...\"`"));
        }
        text.filter(|text| {
            let blank = text.trim().is_empty();
            if blank {
                self.report(key, "is empty", format!("give `{key}` a value, or remove the line"));
            }
            !blank
        })
    }

    /// Text that must be there.
    pub fn required_text(&self, key: &'static str) -> Option<String> {
        if !self.has(key) {
            self.report(key, "is missing", format!("add `{key} = \"...\"`"));
        }
        self.text(key)
    }

    /// Text that `parse` understands. `expected` ends the hint: "write ...".
    pub fn parsed<T>(&self, key: &'static str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(key)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.report(key, format!("{} is not valid", shown(&text)), format!("write {expected}"));
        }
        parsed
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
            self.report(key, format!("{} is not known", shown(&text)), format!("write one of {}", names.join(", ")));
        }
        found
    }

    /// A duration such as `15m`.
    pub fn duration(&self, key: &'static str) -> Option<Duration> {
        self.parsed(key, "a duration such as `\"15m\"`, `\"1h 30m\"` or `\"30d\"`", duration::parse)
    }

    /// True or false.
    pub fn boolean(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?.get_ref();
        let boolean = value.as_bool();
        if boolean.is_none() {
            self.report(key, format!("is {}, not true or false", kind_of(value)), format!("write `{key} = true`"));
        }
        boolean
    }

    /// A whole number that is not negative.
    pub fn count(&self, key: &'static str) -> Option<u64> {
        let value = self.get(key)?.get_ref();
        let number = value.as_integer().and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok());
        if number.is_none() {
            self.report(key, format!("is {}, not a whole number", kind_of(value)), format!("write `{key} = 1`"));
        }
        number
    }

    /// A list of texts; empty where the key is absent.
    pub fn texts(&self, key: &'static str) -> Vec<String> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let texts = value.get_ref().as_array().and_then(|array| {
            array.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        texts.unwrap_or_else(|| {
            self.report(key, "is not a list of texts", format!("write `{key} = [\"...\", \"...\"]`"));
            Vec::new()
        })
    }

    /// A table below this one.
    pub fn section(&self, key: &'static str) -> Option<Section<'s, 't>> {
        let value = self.get(key)?;
        let section = self.below(self.name(key), value);
        if section.is_none() {
            self.report(key, format!("is {}, not a table", kind_of(value.get_ref())), format!("write `[{key}]`"));
        }
        section
    }

    /// A table below this one whose name the document chooses.
    pub fn section_named(&self, key: &str) -> Option<Section<'s, 't>> {
        self.below(self.name(key), self.table.get(key)?)
    }

    /// An array of tables; empty where the key is absent.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'s, 't>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let sections = value.get_ref().as_array().and_then(|array| {
            let items = array.iter().enumerate();
            items.map(|(at, item)| self.below(format!("{}[{}]", self.name(key), at + 1), item)).collect()
        });
        sections.unwrap_or_else(|| {
            self.report(key, "is not a list of tables", format!("write `[[{}]]`", self.name(key)));
            Vec::new()
        })
    }

    fn below(&self, path: String, value: &'s Spanned<DeValue<'t>>) -> Option<Section<'s, 't>> {
        let table = value.get_ref().as_table()?;
        Some(Section { source: self.source, path, start: value.span().start, table, seen: RefCell::default() })
    }

    /// Every key of the table, asked for or not.
    pub fn keys(&self) -> impl Iterator<Item = &'s str> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    /// The whole table, for those who check its keys themselves.
    #[must_use]
    pub fn table(&self) -> &'s DeTable<'t> {
        self.table
    }

    /// Reports every key that nobody asked for, with the nearest known one.
    pub fn finish(&self) {
        let seen = self.seen.borrow();
        for key in self.keys().filter(|key| !seen.contains(key)) {
            // A hint takes a while to find, and beyond those that are kept nobody reads it.
            let hint = match self.source.has_room() {
                true => unknown_key_hint(key, seen.iter().copied()),
                false => String::new(),
            };
            self.report(key, "is not a known key", hint);
        }
    }
}

/// What to say about a key that is not known.
pub(crate) fn unknown_key_hint<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.collect();
    let nearest = known.iter().max_by(|a, b| strsim::jaro_winkler(key, a).total_cmp(&strsim::jaro_winkler(key, b)));
    match nearest {
        Some(nearest) if strsim::jaro_winkler(key, nearest) > 0.8 => format!("did you mean `{nearest}`?"),
        _ if known.is_empty() => "remove it".to_owned(),
        _ => format!("remove it; the known keys here are {}", known.join(", ")),
    }
}

/// A TOML value's type, with its article.
fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
