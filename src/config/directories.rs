//! Checks `[output]` and `[state]`: the two directories that are written, and who may read what is in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::accounts::number_of;
use super::checker::Checker;
use super::files::{Files, files};
use super::raw;
use super::value::{Kind, Origin, Table, Value, open};
use super::{Output, State};

const DEFAULT_STATE_DIRECTORY: &str = "/var/lib/bc-secrets-sync";

/// What a mode needs and what it must not have.
struct ModeRule {
    default: u32,
    needed: u32,
    forbidden: u32,
    advice: &'static str,
}

const FILE_MODE: ModeRule = ModeRule {
    default: 0o440,
    needed: 0o400,
    forbidden: 0o113,
    advice: "its owner must be able to read, nobody to execute, and not everybody to write",
};
const DIRECTORY_MODE: ModeRule = ModeRule {
    default: 0o750,
    needed: 0o700,
    forbidden: 0o002,
    advice: "its owner must be able to read, write and enter, and not everybody to write",
};

/// The files that stores without files of their own are published in.
pub(super) fn default_files(
    checker: &mut Checker<'_>,
    output: &mut Option<Table<raw::Output>>,
) -> Arc<Files> {
    let Some(Table { content, span }) = output else { return Arc::default() };
    let listed = content.files.take();
    listed.map_or_else(Arc::default, |listed| files(checker, "output.files", Some(span.clone()), listed))
}

/// Checks `[output]` and `[state]`, which must not share a directory.
pub(super) fn directories(
    checker: &mut Checker<'_>,
    output: Option<Table<raw::Output>>,
    state: Option<Table<raw::State>>,
) -> Option<(Output, State)> {
    let (span, raw) = open(output);
    let key = "output.directory";
    if raw.directory.is_none() {
        let advice = "write directory = \"/run/bc-secrets-sync/credentials\" below [output]";
        checker.missing(span, key, advice);
    }
    let directory = checker.directory(key, raw.directory);
    let file_mode = mode(checker, "output.file_mode", raw.file_mode, &FILE_MODE);
    let directory_mode = mode(checker, "output.directory_mode", raw.directory_mode, &DIRECTORY_MODE);
    let owner = account(checker, "output.owner", raw.owner, Path::new("/etc/passwd"));
    let group = account(checker, "output.group", raw.group, Path::new("/etc/group"));
    let (state, state_origin) = state_directory(checker, open(state).1.directory)?;
    let (directory, output_origin) = directory?;
    if state.starts_with(&directory) {
        let origin = match state_origin {
            Origin::Nowhere => &output_origin,
            Origin::File(_) | Origin::Variable(_) => &state_origin,
        };
        let message =
            "is the output directory or lies in it; apps would see the state: name a directory of its own";
        checker.refuse(origin, "state.directory", message);
    }
    let output = Output { directory, file_mode, directory_mode, owner, group };
    Some((output, State { directory: state }))
}

/// Where the state is, and where that is said.
pub(super) fn state_directory(checker: &mut Checker<'_>, value: Option<Value>) -> Option<(PathBuf, Origin)> {
    let key = "state.directory";
    let Some(value) = checker.or_variable(key, value, &["STATE_DIRECTORY"]) else {
        return Some((PathBuf::from(DEFAULT_STATE_DIRECTORY), Origin::Nowhere));
    };
    // systemd separates the directories of `StateDirectory=a b` by colons.
    let several = matches!(value.origin, Origin::Variable(_))
        && matches!(&value.kind, Kind::Text(text) if text.contains(':'));
    if several {
        let message = "names several directories; say which one in state.directory";
        checker.refuse(&value.origin, key, message);
        return None;
    }
    checker.directory(key, Some(value))
}

fn mode(checker: &mut Checker<'_>, key: &str, value: Option<Value>, rule: &ModeRule) -> u32 {
    let Some(value) = value else {
        return rule.default;
    };
    let problem = match &value.kind {
        Kind::Text(text) => match parse_mode(text) {
            Some(mode) if mode & rule.needed == rule.needed && mode & rule.forbidden == 0 => return mode,
            Some(_) => rule.advice,
            None => "must be three octal digits after a zero",
        },
        Kind::Integer(_) => "must be octal digits in quotes",
        Kind::Boolean(_) | Kind::List(_) | Kind::Other => "must be a text in quotes",
    };
    checker.refuse(&value.origin, key, format!("{problem}, such as \"{:04o}\"", rule.default));
    rule.default
}

/// Bits for setuid, setgid and stickiness are not taken.
fn parse_mode(text: &str) -> Option<u32> {
    let digits = match text.len() {
        4 => text.strip_prefix('0')?,
        _ => text,
    };
    let octal = digits.len() == 3 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten()
}

/// A user or group by number or by name.
fn account(checker: &mut Checker<'_>, key: &str, value: Option<Value>, names: &Path) -> Option<u32> {
    let value = value?;
    let number = match &value.kind {
        Kind::Integer(number) => Ok(*number),
        Kind::Text(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(text.parse().unwrap_or(-1))
        }
        Kind::Text(text) if !text.is_empty() => number_of(text, names).map(i64::from),
        Kind::Text(_) | Kind::Boolean(_) | Kind::List(_) | Kind::Other => {
            Err("must be a number or a name".to_owned())
        }
    };
    // The last number stands for "leave it as it is" in the system call.
    let number = number.and_then(|number| {
        u32::try_from(number)
            .ok()
            .filter(|number| *number != u32::MAX)
            .ok_or_else(|| format!("must be a name or a number from 0 to {}", u32::MAX - 1))
    });
    number.map_err(|problem| checker.refuse(&value.origin, key, problem)).ok()
}
