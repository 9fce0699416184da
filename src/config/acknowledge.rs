//! Checks `[stores.acknowledge]`: where an app says which generation it runs on, and by when.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::checker::{Checker, DurationRule};
use super::raw;
use super::value::Table;
use super::{Acknowledge, Output, State};

const WITHIN: DurationRule = DurationRule {
    default: Duration::from_secs(5 * 60),
    least: Duration::from_secs(1),
    most: Duration::from_secs(7 * 24 * 60 * 60),
};

/// Checks the table of one store. `seen` has the files of the stores before it, with theirs.
pub(super) fn acknowledge(
    checker: &mut Checker<'_>,
    at: &str,
    table: Table<raw::Acknowledge>,
    directories: Option<&(Output, State)>,
    seen: &mut BTreeMap<PathBuf, String>,
) -> Acknowledge {
    let raw = table.content;
    let key = format!("{at}.file");
    let origin = raw.file.as_ref().map(|value| value.origin.clone());
    let file = checker.file(&key, raw.file);
    if let (Some(file), Some(origin)) = (&file, origin) {
        if let Some((output, state)) = directories {
            let owners = [(&output.directory, "output"), (&state.directory, "state")];
            for (_, what) in owners.iter().filter(|(directory, _)| file.starts_with(directory)) {
                let message = format!(
                    "lies in the {what} directory, which is the daemon's alone to write; name a file on a volume \
                     that the app may write"
                );
                checker.refuse(&origin, key.clone(), message);
            }
        }
        if let Some(other) = seen.insert(file.clone(), at.to_owned()) {
            let message = format!("is already {other}.file; each store needs a file of its own");
            checker.refuse(&origin, key, message);
        }
    }
    let within =
        raw.within.and_then(|value| checker.duration_or_off(&format!("{at}.within"), Some(value), &WITHIN));
    Acknowledge { file, within }
}
