//! Reads TOML tables key by key and keeps every problem, with its line, instead of stopping at the first.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Diagnostic, Excerpt, shown};
use crate::{duration, text};

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
    /// What is read all the same, and should be written otherwise.
    warnings: RefCell<Vec<Diagnostic>>,
    /// Problems beyond those that are kept.
    more: Cell<usize>,
}

/// Problems that are kept of one text: nobody reads more of them at once.
const MAX_PROBLEMS: usize = 200;
/// Characters of a line, of a key or of a name that are repeated.
const MAX_EXCERPT_CHARS: usize = 120;
/// Keys by which one table of several is told from the others.
const NAMING_KEYS: [&str; 2] = ["id", "name"];

impl<'t> Source<'t> {
    /// A source that starts at line `lines_before + 1` of `file`.
    #[must_use]
    pub fn new(file: &'t str, text: &'t str, lines_before: usize) -> Self {
        Self {
            file,
            text,
            lines_before,
            line_ends: OnceCell::new(),
            problems: RefCell::default(),
            warnings: RefCell::default(),
            more: Cell::new(0),
        }
    }

    /// Reads the text as TOML.
    ///
    /// # Errors
    /// Where it is no TOML.
    pub fn parse(&self) -> Result<Spanned<DeTable<'t>>, ConfigError> {
        DeTable::parse(self.text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            let is_duplicate = error.message() == "duplicate key";
            let (key, message, hint) = if is_duplicate {
                let key = text::clean_to(self.text.get(span.clone()).unwrap_or_default(), MAX_EXCERPT_CHARS);
                (key, "is written twice in one table", "keep one of the two")
            } else {
                ("TOML".to_owned(), error.message(), "see https://toml.io for how TOML is written")
            };
            let problem = Diagnostic {
                line: self.line(span.start),
                key,
                message: message.to_owned(),
                hint: hint.to_owned(),
                excerpt: if is_duplicate { self.excerpt(&span, None) } else { self.excerpt_of_error(&span) },
                ..Diagnostic::default()
            };
            ConfigError { file: self.file.to_owned(), problems: vec![problem] }
        })
    }

    /// The top of a parsed text.
    #[must_use]
    pub fn root<'s>(&'s self, table: &'s DeTable<'t>) -> Section<'s, 't> {
        Section { source: self, path: String::new(), of: Vec::new(), span: 0..0, table, seen: RefCell::default() }
    }

    /// The line, from 1, of a byte offset.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        let ends = self.line_ends.get_or_init(|| self.text.match_indices('\n').map(|(at, _)| at).collect());
        self.lines_before + ends.partition_point(|end| *end < offset) + 1
    }

    /// Keeps a problem that has no place in the text.
    pub fn report(&self, line: usize, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        let (key, message, hint) = (key.to_owned(), message.into(), hint.into());
        self.keep(Diagnostic { line, key, message, hint, ..Diagnostic::default() });
    }

    fn keep(&self, problem: Diagnostic) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() == MAX_PROBLEMS {
            self.more.set(self.more.get() + 1);
            return;
        }
        problems.push(problem);
    }

    /// What is read all the same, and should be written otherwise, in the order of the lines.
    #[must_use]
    pub fn warnings(&self) -> Vec<Diagnostic> {
        let mut warnings = self.warnings.borrow().clone();
        warnings.sort_by_key(|warning| warning.line);
        warnings
    }

    /// The line of a table's header or of a key. A value may be a secret: it is shown only where `value` is given.
    fn excerpt(&self, key: &Range<usize>, value: Option<&Range<usize>>) -> Option<Excerpt> {
        let line_start = self.text.get(..key.start)?.rfind('\n').map_or(0, |at| at + 1);
        let before = self.text.get(line_start..key.start)?.trim_start();
        let (name, rest) = (self.text.get(key.clone())?, self.text.get(key.end..)?);
        let rest = rest.lines().next().unwrap_or_default();
        if before.starts_with('[') || name.starts_with('[') {
            let header = format!("{before}{name}{}", rest.split('#').next().unwrap_or_default());
            return Some(Excerpt::new("", header.trim_end(), ""));
        }
        // In a table within one line the keys before this one have values, too.
        let before = if before.is_empty() { "" } else { "... " };
        let shown = value.and_then(|value| Some((self.text.get(key.end..value.start)?, self.text.get(value.clone())?)));
        match shown.filter(|(between, value)| !between.contains('\n') && !value.contains('\n')) {
            Some((between, value)) => Some(Excerpt::new(&format!("{before}{name}{between}"), value, "")),
            None => Some(Excerpt::new(before, name, " = ...")),
        }
    }

    /// The header of a table, where it has a line of its own.
    fn excerpt_of_table(&self, span: &Range<usize>) -> Option<Excerpt> {
        self.text.get(span.clone()).filter(|header| header.starts_with('[')).and_then(|_| self.excerpt(span, None))
    }

    /// The line of a mistake in TOML itself, as far as it is certain to hold no value.
    fn excerpt_of_error(&self, span: &Range<usize>) -> Option<Excerpt> {
        let line_start = self.text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text.get(line_start..)?.lines().next()?;
        let key = line.split(['=', '#']).next()?.trim();
        let rest = if line.contains('=') { " = ..." } else { "" };
        (!key.is_empty()).then(|| Excerpt::new("", key, rest))
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
                    let (line, key) = (last.line, "...".to_owned());
                    problems.push(Diagnostic { line, key, message, hint, ..Diagnostic::default() });
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
    /// Its tables' names, without a number.
    path: String,
    /// The ids or names of those of its tables that are one of several.
    of: Vec<String>,
    span: Range<usize>,
    table: &'s DeTable<'t>,
    seen: RefCell<BTreeSet<&'static str>>,
}

impl<'s, 't> Section<'s, 't> {
    /// The line on which the table starts.
    #[must_use]
    pub fn line(&self) -> usize {
        self.source.line(self.span.start)
    }

    /// The line of a key, or of the table where the key is absent.
    #[must_use]
    pub fn line_of(&self, key: &str) -> usize {
        let position = self.table.get_key_value(key);
        self.source.line(position.map_or(self.span.start, |(name, _)| name.span().start))
    }

    /// Keeps a problem with one of this table's keys.
    pub fn report(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.source.keep(self.diagnostic(key, message.into(), hint.into(), false));
    }

    /// Keeps a problem with a key whose value may be shown.
    fn report_value(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.source.keep(self.diagnostic(key, message.into(), hint.into(), true));
    }

    /// Says that a key is read all the same, and should be written otherwise.
    pub fn warn(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.source.warnings.borrow_mut().push(self.diagnostic(key, message.into(), hint.into(), false));
    }

    fn diagnostic(&self, key: &str, message: String, hint: String, shows_value: bool) -> Diagnostic {
        let excerpt = match self.table.get_key_value(key) {
            Some((name, value)) => self.source.excerpt(&name.span(), shows_value.then(|| value.span()).as_ref()),
            None if self.path.is_empty() => None,
            None => self.source.excerpt_of_table(&self.span),
        };
        Diagnostic { line: self.line_of(key), key: self.name(key), of: self.of.clone(), message, hint, excerpt }
    }

    /// The name by which `key` is written here: the old one, with a warning, or the new one.
    pub fn renamed(&self, old: &'static str, new: &'static str) -> &'static str {
        if self.has(new) || !self.table.contains_key(old) {
            return new;
        }
        self.warn(old, format!("is now called `{new}`; the old name will go"), format!("write `{new}`"));
        let _ = self.has(old);
        old
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
            self.report_text(key, &text, "is not valid", format!("write {expected}"));
        }
        parsed
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.report_text(key, &text, "is not known", unknown_word_hint(&text, &names));
        }
        found
    }

    /// Keeps a problem with a text, which is shown where it can be no secret.
    pub(super) fn report_text(&self, key: &str, value: &str, problem: &str, hint: impl Into<String>) {
        let shown = shown(value);
        let message = format!("{shown} {problem}");
        if shown.starts_with('`') { self.report_value(key, message, hint) } else { self.report(key, message, hint) }
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
        let section = self.below(key, value, None);
        if section.is_none() {
            let path = self.name(key);
            let is_tables =
                value.get_ref().as_array().is_some_and(|list| list.iter().all(|item| item.get_ref().is_table()));
            let (message, hint) = if is_tables {
                ("can be there only once".to_owned(), format!("write `[{path}]`, with single brackets"))
            } else {
                (format!("is {}, not a table", kind_of(value.get_ref())), format!("write `[{path}]`"))
            };
            self.report(key, message, hint);
        }
        section
    }

    /// A table below this one whose name the document chooses.
    pub fn section_named(&self, key: &str) -> Option<Section<'s, 't>> {
        self.below(key, self.table.get(key)?, None)
    }

    /// An array of tables; empty where the key is absent.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'s, 't>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let sections = value
            .get_ref()
            .as_array()
            .and_then(|array| array.iter().map(|item| self.below(key, item, name_of(item))).collect());
        sections.unwrap_or_else(|| {
            let hint = format!("write `[[{}]]`, with double brackets", self.name(key));
            self.report(key, "is not a list of tables", hint);
            Vec::new()
        })
    }

    fn below(&self, key: &str, value: &'s Spanned<DeValue<'t>>, name: Option<String>) -> Option<Section<'s, 't>> {
        let table = value.get_ref().as_table()?;
        let of = self.of.iter().cloned().chain(name).collect();
        let (path, span) = (self.name(key), value.span());
        Some(Section { source: self.source, path, of, span, table, seen: RefCell::default() })
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
    match text::did_you_mean(key, known.iter().copied()) {
        Some(question) => question,
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("remove it; the known keys here are {}", known.join(", ")),
    }
}

/// What to say about a word that is none of a few.
pub(super) fn unknown_word_hint(word: &str, known: &[&str]) -> String {
    let names: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    let question = text::did_you_mean(word, known.iter().copied()).map_or_else(String::new, |text| text + " ");
    let write = if question.is_empty() { "write" } else { "Write" };
    format!("{question}{write} one of {}", names.join(", "))
}

/// The id or the name of one table of several.
fn name_of(item: &Spanned<DeValue<'_>>) -> Option<String> {
    let table = item.get_ref().as_table()?;
    let name = NAMING_KEYS.iter().find_map(|key| table.get(*key)?.get_ref().as_str())?;
    Some(text::clean_to(name, MAX_EXCERPT_CHARS))
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
