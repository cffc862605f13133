//! What is wrong with a file, and how to mend it.

use std::fmt;

/// One mistake in a file that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The key with its tables, such as `database[2].rto`.
    pub key: String,
    /// What is wrong, with the value where it may be shown.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Everything that is wrong with one file.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Invalid {
    /// The file's name as the user gave it.
    pub file: String,
    /// At least one problem, in the order of the lines.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
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
