//! What is wrong with a configuration: every problem, with its place and its key, and never a value.

use std::fmt;

/// Why a configuration is refused: at least one problem, in the order of the file.
///
/// Its text has one line a problem, such as `config.toml:12:3: vault.address: must begin with https://`. No
/// value of the file or of the environment is ever in it, since people paste tokens into the wrong place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| match &problem.place {
            Place::Line { line, column, .. } => (0, *line, *column),
            Place::File(_) => (1, 0, 0),
            Place::Variable(_) | Place::Host => (2, 0, 0),
        });
        Self { problems }
    }

    pub(super) fn of_file(file: &str, message: String) -> Self {
        Self::new(vec![Problem { place: Place::File(file.to_owned()), key: String::new(), message }])
    }

    /// Passes if there is no problem.
    ///
    /// # Errors
    /// There are problems.
    pub fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self::new(problems)) }
    }

    /// The problems: those with a line by their line, then the others.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// The dotted key, such as `stores[1].name`; empty when the file as a whole is at fault.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line { file, line, column } => write!(formatter, "{file}:{line}:{column}: ")?,
            Place::File(file) => write!(formatter, "{file}: ")?,
            Place::Variable(name) => write!(formatter, "environment {name}: ")?,
            Place::Host => {}
        }
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.message)
    }
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a line of the file.
    Line {
        /// The file, as it was named on the command line.
        file: String,
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
    },
    /// In the file, but in no line: something is missing.
    File(String),
    /// In a variable of the environment.
    Variable(&'static str),
    /// On the machine: what the configuration names is not there or cannot be used. [`ConfigError::located`] finds the
    /// line that names it.
    Host,
}

impl Place {
    /// The place of a byte of a text.
    pub(super) fn of_byte(file: &str, text: &str, byte: usize) -> Self {
        let before = text.get(..byte.min(text.len())).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self::Line {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let place = |byte| match Place::of_byte("f", "ä\nüb\n", byte) {
            Place::Line { line, column, .. } => (line, column),
            Place::File(_) | Place::Variable(_) | Place::Host => panic!("no line"),
        };
        assert_eq!(place(0), (1, 1));
        assert_eq!(place(3), (2, 1));
        assert_eq!(place(5), (2, 2));
        assert_eq!(place(7), (3, 1));
        assert_eq!(place(99), (3, 1));
    }
}
