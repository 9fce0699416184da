//! TOML into the raw shape; tells of bad syntax and of unknown keys without repeating a line of the file.

use serde::Deserialize as _;
use serde_path_to_error::Segment;

use super::error::{ConfigError, Place, Problem};
use super::raw;
use super::spelling::nearest;

/// Reads a file's text.
///
/// # Errors
/// The first place at which the text is no TOML, or has a key or a table that does not exist.
pub(super) fn read(text: &str, file: &str) -> Result<raw::Config, ConfigError> {
    let problem = |span: Option<std::ops::Range<usize>>, key: String, message: String| {
        let place = match span {
            Some(span) => Place::of_byte(file, text, span.start),
            None => Place::File(file.to_owned()),
        };
        ConfigError::new(vec![Problem { place, key, message }])
    };
    // The messages of the parser are fixed texts; its Display would print the line.
    let deserializer = toml::Deserializer::parse(text).map_err(|error| {
        let message = format!("this is no valid TOML: {}", error.message());
        problem(error.span(), String::new(), message)
    })?;
    let mut track = serde_path_to_error::Track::new();
    raw::Config::deserialize(serde_path_to_error::Deserializer::new(deserializer, &mut track)).map_err(
        |error| {
            let (key, message) = explain(&track.path(), error.message());
            problem(error.span(), key, message)
        },
    )
}

/// The path as people write it: `stores[1].fields`. A last segment that is `without` is left out.
fn dotted(path: &serde_path_to_error::Path, without: Option<&str>) -> String {
    let mut key = String::new();
    for (index, segment) in path.iter().enumerate() {
        match segment {
            Segment::Seq { index } => key.push_str(&format!("[{index}]")),
            Segment::Map { key: name }
                if name.starts_with("$__")
                    || (index + 1 == path.iter().len() && without == Some(name.as_str())) => {}
            Segment::Map { key: name } => {
                if !key.is_empty() {
                    key.push('.');
                }
                key.push_str(name);
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    key
}

/// The key at fault and what to say, given the path and serde's message, which may hold a value.
fn explain(path: &serde_path_to_error::Path, message: &str) -> (String, String) {
    if let Some((name, existing)) = unknown_field(message) {
        return unknown_key(&dotted(path, Some(name)), name, &existing);
    }
    let table = dotted(path, None);
    let advice = if table == "stores" {
        "must be a list of tables; begin each store with the line [[stores]]".to_owned()
    } else if table.ends_with("files") {
        let list = if table.starts_with("stores") { "stores.files" } else { "output.files" };
        format!("must be a list of tables; begin each file with the line [[{list}]]")
    } else if table.contains('[') {
        "must be a table".to_owned()
    } else {
        format!("must be a table; begin it with the line [{table}]")
    };
    (table, advice)
}

/// The unknown name, and the names that exist, of serde's message
/// ``unknown field `NAME`, expected one of `A`, `B` ``. Only the second part is ours, so it is cut from behind.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let (name, existing) = message.strip_prefix("unknown field `")?.rsplit_once("`, expected ")?;
    let existing = existing.split('`').skip(1).step_by(2).collect();
    Some((name, existing))
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
