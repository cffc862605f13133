//! What is wrong with a file, where, and what to write instead.

use std::fmt;

use crate::text::clean_to;

/// One mistake in a file that a person wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// The line, from 1.
    pub line: usize,
    /// The key with its tables, such as `database.rto`.
    pub key: String,
    /// The ids and names of those tables where they have one: which database, which check. Empty where none has.
    pub of: Vec<String>,
    /// What is wrong, with the value where it may be shown.
    pub message: String,
    /// What to write instead.
    pub hint: String,
    /// The place in the file, where it can be shown.
    #[serde(skip)]
    pub excerpt: Option<Excerpt>,
}

impl Diagnostic {
    /// `drctl.toml:16: `database.kind` of `shop`: ...`, the line with a caret, and the hint.
    #[must_use]
    pub fn display(&self, file: &str) -> String {
        let of: Vec<_> = self.of.iter().map(|name| format!("`{name}`")).collect();
        let of = if of.is_empty() { String::new() } else { format!(" of {}", of.join(", ")) };
        let mut text = format!("{file}:{}: `{}`{of}: {}", self.line, self.key, self.message);
        if let Some(Excerpt { text: line, before, marked }) = &self.excerpt {
            let number = self.line.to_string();
            let (pad, skip, carets) = (" ".repeat(number.len()), " ".repeat(*before), "^".repeat((*marked).max(1)));
            text = format!("{text}\n    {number} | {line}\n    {pad} | {skip}{carets}");
        }
        format!("{text}\n    hint: {}", self.hint)
    }
}

/// One line of a file, without what may be a secret, and what is marked in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line.
    pub text: String,
    /// Characters before the mark.
    pub before: usize,
    /// Characters that are marked.
    pub marked: usize,
}

impl Excerpt {
    /// A line that is marked between `before` and `after`.
    pub(super) fn new(before: &str, marked: &str, after: &str) -> Self {
        let [before, marked, after] = [before, marked, after].map(|part| clean_to(part, MAX_SHOWN_CHARS));
        let (skipped, count) = (before.chars().count(), marked.chars().count());
        Self { text: format!("{before}{marked}{after}"), before: skipped, marked: count }
    }
}

/// Characters of a value that are repeated.
const MAX_SHOWN_CHARS: usize = 120;

/// A value as it may be repeated: cut, and without what lets somebody in. Of an address only the host is shown.
#[must_use]
pub(super) fn shown(value: &str) -> String {
    if let Some((_, address)) = value.split_once("://") {
        let host = address.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        let host: String = host.rsplit('@').next().unwrap_or_default().chars().take(MAX_SHOWN_CHARS).collect();
        return format!("an address at {host}");
    }
    if value.to_ascii_lowercase().contains("password") || value.contains('@') {
        return "a value that may hold a password (not shown here)".to_owned();
    }
    let cut: String = value.chars().take(MAX_SHOWN_CHARS).collect();
    let more = if cut.len() < value.len() { "..." } else { "" };
    format!("`{cut}{more}`")
}

/// Everything that is wrong with one file.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ConfigError {
    /// The file's name as the user gave it.
    pub file: String,
    /// At least one problem, in the order of the lines.
    pub problems: Vec<Diagnostic>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "`{}` has {count} problem{plural}", self.file)?;
        for problem in &self.problems {
            write!(f, "\n  {}", problem.display(&self.file))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_may_let_somebody_in_is_not_repeated() {
        for value in [
            "ftp://user:hunter2@example.com/hunter2?token=hunter2",
            "https://hunter2@example.com#hunter2",
            "postgres:hunter2@example.com:5432",
            "host=example.com password=hunter2",
        ] {
            assert!(!shown(value).contains("hunter2"), "{}", shown(value));
        }
        assert_eq!(shown("ftp://user:hunter2@example.com/x"), "an address at example.com");
        assert_eq!(shown("15 minutes"), "`15 minutes`");
        assert!(shown(&"x".repeat(3_000_000)).len() < 200);
    }
}
