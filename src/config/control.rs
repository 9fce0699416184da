//! Checks `[control]`: where the running daemon can be reached. Commands look for nothing else in the file.

use std::path::{Path, PathBuf};

use super::checker::Checker;
use super::directories::state_directory;
use super::environment::Environment;
use super::error::{ConfigError, Place, Problem};
use super::value::{Table, Value, open};
use super::{Config, Control, Output, State, parse, raw, read};

const KEY: &str = "control.socket";
const NAME: &str = "control.sock";

/// Checks `[control]` beside the two directories.
pub(super) fn control(
    checker: &mut Checker<'_>,
    table: Option<Table<raw::Control>>,
    output: &Output,
    state: &State,
) -> Control {
    let value = open(table).1.socket;
    let origin = value.as_ref().map(|value| value.origin.clone());
    let control = located(checker, value, &state.directory);
    if let (Some(socket), Some(origin)) = (&control.socket, origin)
        && socket.starts_with(&output.directory)
    {
        let message = "lies in the output directory, where apps would see it; name a path elsewhere";
        checker.refuse(&origin, KEY, message);
    }
    control
}

fn located(checker: &mut Checker<'_>, value: Option<Value>, state: &Path) -> Control {
    if value.is_none() {
        return Control { socket: Some(state.join(NAME)) };
    }
    if value.as_ref().is_some_and(Value::is_off) {
        return Control { socket: None };
    }
    Control { socket: checker.file(KEY, value) }
}

impl Config {
    /// Where the daemon with this configuration has its control socket; none: it has none. Nothing else of the
    /// configuration is checked, so that it is found also by somebody who cannot read all that it names.
    ///
    /// # Errors
    /// The file cannot be read, or is no configuration; or it does not say where.
    pub fn control_socket(path: &Path, environment: &Environment) -> Result<Option<PathBuf>, ConfigError> {
        let (file, text) = parse::text_of(path)?;
        let raw = read::read(&text, &file)?;
        let mut checker = Checker::new(&file, &text, environment);
        let value = open(raw.control).1.socket;
        let control = match value {
            Some(_) => Some(located(&mut checker, value, Path::new(""))),
            None => state_directory(&mut checker, open(raw.state).1.directory)
                .map(|(state, _)| located(&mut checker, None, &state)),
        };
        ConfigError::unless_empty(checker.into_problems())?;
        let incomplete = || {
            let message = "it is incomplete".to_owned();
            ConfigError::new(vec![Problem { place: Place::File(file.clone()), key: KEY.to_owned(), message }])
        };
        control.map(|control| control.socket).ok_or_else(incomplete)
    }
}
