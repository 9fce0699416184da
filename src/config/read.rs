//! TOML into the raw shape; tells of bad syntax and of unknown keys without repeating a line of the file.

use std::ops::Range;

use toml::de::DeTable;

use super::error::{ConfigError, Place, Problem};
use super::raw;
use super::spelling::nearest;
use super::value::{Misfit, fill_table};

/// Reads a file's text.
///
/// # Errors
/// The first place at which the text is no TOML, or has a key or a table that does not exist.
pub(super) fn read(text: &str, file: &str) -> Result<raw::Config, ConfigError> {
    let problem = |span: Option<Range<usize>>, key: String, message: String| {
        let place = match span {
            Some(span) => Place::of_byte(file, text, span.start),
            None => Place::File(file.to_owned()),
        };
        ConfigError::new(vec![Problem { place, key, message }])
    };
    // The messages of the parser are fixed texts; its Display would print the line.
    let written = DeTable::parse(text).map_err(|error| {
        let message = format!("this is no valid TOML: {}", error.message());
        problem(error.span(), String::new(), message)
    })?;
    let mut config = raw::Config::default();
    fill_table(&mut config, written.into_inner(), "").map_err(|misfit| {
        let (span, key, message) = explain(misfit);
        problem(Some(span), key, message)
    })?;
    Ok(config)
}

/// The place, the key at fault, and what to say.
fn explain(misfit: Misfit) -> (Range<usize>, String, String) {
    match misfit {
        Misfit::UnknownKey { table, key, span, existing } => {
            let (key, message) = unknown_key(&table, &key, existing);
            (span, key, message)
        }
        Misfit::NoTable { path, span } => {
            let advice = if path.contains('[') {
                "must be a table".to_owned()
            } else {
                format!("must be a table; begin it with the line [{path}]")
            };
            (span, path, advice)
        }
        Misfit::NoList { path, span } => {
            let list: String = path.split('[').map(|part| part.rsplit(']').next().unwrap_or(part)).collect();
            let each = list.rsplit('.').next().unwrap_or(&list).trim_end_matches('s').to_owned();
            (span, path, format!("must be a list of tables; begin each {each} with the line [[{list}]]"))
        }
    }
}

fn unknown_key(table: &str, name: &str, existing: &[&str]) -> (String, String) {
    let guess = nearest(name, existing);
    // Somebody may have pasted a token where a key belongs: a name that does not look like one is not shown.
    let looks_like_a_key =
        name.len() <= 24 && name.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'));
    let key = match (table, guess.is_some() || looks_like_a_key) {
        ("", true) => name.to_owned(),
        (table, true) => format!("{table}.{name}"),
        (table, false) => table.to_owned(),
    };
    let guess =
        guess.map_or("; there are:".to_owned(), |guess| format!("; did you mean {guess}? There are:"));
    let room = if table.is_empty() { "at the top of the file".to_owned() } else { format!("in {table}") };
    let message = format!("there is no such key {room}{guess} {}", existing.join(", "));
    (key, message)
}
