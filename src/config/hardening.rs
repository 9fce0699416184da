//! Checks `[hardening]`: what the daemon gives up at its start.

use std::path::Path;

use super::checker::Checker;
use super::error::{ConfigError, Place, Problem};
use super::named_files::reloads;
use super::raw;
use super::value::{Table, open};
use super::{Config, Hook};

/// `[hardening]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardening {
    /// Whether the kernel keeps the daemon to the files that the configuration names.
    pub landlock: Measure,
    /// Whether it keeps the daemon to the system calls that it needs.
    pub seccomp: Measure,
}

/// Whether a measure is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Where the kernel has it.
    Auto,
    /// Not at all.
    Off,
    /// Without it the daemon does not start.
    Required,
}

/// What to do where a measure that is required cannot be had.
pub const GO_ON_WITHOUT: &str = "write \"auto\" to go on without it";

const MEASURES: [(&str, Measure); 3] =
    [("auto", Measure::Auto), ("off", Measure::Off), ("required", Measure::Required)];

/// Checks `[hardening]`.
pub(super) fn hardening(checker: &mut Checker<'_>, table: Option<Table<raw::Hardening>>) -> Hardening {
    let (_, raw) = open(table);
    let mut measure = |key: &str, value| checker.choice(key, value, &MEASURES, Measure::Auto);
    Hardening {
        landlock: measure("hardening.landlock", raw.landlock),
        seccomp: measure("hardening.seccomp", raw.seccomp),
    }
}

impl Config {
    /// Why Landlock is left out under this configuration, whatever the kernel has; none: it is not.
    #[must_use]
    pub fn without_landlock(&self) -> Option<String> {
        if self.hardening.landlock == Measure::Off {
            return Some("it is switched off in [hardening]".to_owned());
        }
        let command = self.command()?;
        Some(format!("{command} is configured, and Landlock would keep what it runs to the daemon's files"))
    }

    /// Whether what is required can be had where the kernel has it. `run` may do without commands (`--no-reload`), and
    /// is not asked this.
    ///
    /// # Errors
    /// The daemon would never start with it.
    pub fn check_hardening(&self, file: &Path) -> Result<(), ConfigError> {
        let reason = self.without_landlock().filter(|_| self.hardening.landlock == Measure::Required);
        let problem = |reason| Problem {
            place: Place::File(file.display().to_string()),
            key: "hardening.landlock".to_owned(),
            message: format!("is \"required\", and cannot be had: {reason}; {GO_ON_WITHOUT}"),
        };
        ConfigError::unless_empty(reason.map(problem).into_iter().collect())
    }

    /// A program that the daemon runs, with the table that names it; none: it runs none.
    #[must_use]
    pub fn command(&self) -> Option<&'static str> {
        if self.alerts.command.is_some() {
            return Some("[alerts.command]");
        }
        let is_command = |hook: &Hook| matches!(hook, Hook::Command { .. });
        reloads(self).any(|(_, reload)| is_command(&reload.hook)).then_some("command in a [reload]")
    }
}
