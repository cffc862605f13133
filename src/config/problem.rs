//! What is wrong with a file, and how to mend it.

use std::fmt;

/// One mistake in a file that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// The line, from 1.
    pub line: usize,
    /// The key with its tables, such as `database[2].rto`.
    pub key: String,
    /// What is wrong, with the value where it may be shown.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Of a value so much is repeated.
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
            write!(f, "\n  {}:{}: `{}`: {}", self.file, problem.line, problem.key, problem.message)?;
            write!(f, "\n    hint: {}", problem.hint)?;
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
