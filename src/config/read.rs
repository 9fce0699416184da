//! TOML into the raw shape; tells of bad syntax and of unknown keys without repeating a line of the file.

use std::ops::Range;

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place, Problem};
use super::raw;
use super::spelling::nearest;

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
    let deserializer = toml::Deserializer::parse(text).map_err(|error| {
        let message = format!("this is no valid TOML: {}", error.message());
        problem(error.span(), String::new(), message)
    })?;
    raw::Config::deserialize(deserializer).map_err(|error| {
        let (key, message) = explain(text, &error.span().unwrap_or_default(), error.message());
        problem(error.span(), key, message)
    })
}

/// The key at fault and what to say, given where it stands and serde's message, which may hold a value.
fn explain(text: &str, span: &Range<usize>, message: &str) -> (String, String) {
    // Only a refused file is parsed once more for its path: following the path while reading would cost each
    // table of the shape a second reader in the binary.
    let root = DeTable::parse(text).map(Spanned::into_inner).unwrap_or_default();
    if let Some(existing) = existing_fields(message) {
        let (table, name) = key_at(&root, "", span).unwrap_or_default();
        return unknown_key(&table, &name, &existing);
    }
    let table = value_in(&root, "", span).unwrap_or_default();
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

/// The key that stands at `span`, and its table as people write it: `stores[1].fields`.
fn key_at(table: &DeTable<'_>, path: &str, span: &Range<usize>) -> Option<(String, String)> {
    table.iter().find_map(|(key, value)| {
        if key.span() == *span {
            return Some((path.to_owned(), key.get_ref().to_string()));
        }
        tables_below(&below(path, key.get_ref()), value)
            .into_iter()
            .find_map(|(path, table)| key_at(table, &path, span))
    })
}

/// The path of the value that stands at `span`; the outermost, where a table and its only value begin and end alike.
fn value_in(table: &DeTable<'_>, path: &str, span: &Range<usize>) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let path = below(path, key.get_ref());
        let entry = |(index, value): (usize, &Spanned<DeValue<'_>>)| {
            (value.span() == *span).then(|| format!("{path}[{index}]"))
        };
        if value.span() == *span {
            return Some(path);
        }
        let entry = value.get_ref().as_array().and_then(|list| list.iter().enumerate().find_map(entry));
        entry.or_else(|| {
            tables_below(&path, value).into_iter().find_map(|(path, table)| value_in(table, &path, span))
        })
    })
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The table that `value` is, or the tables of the list that it is, each with its path.
fn tables_below<'t, 'i>(path: &str, value: &'t Spanned<DeValue<'i>>) -> Vec<(String, &'t DeTable<'i>)> {
    match value.get_ref() {
        DeValue::Table(table) => vec![(path.to_owned(), table)],
        DeValue::Array(list) => list
            .iter()
            .enumerate()
            .filter_map(|(index, value)| Some((format!("{path}[{index}]"), value.get_ref().as_table()?)))
            .collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => Vec::new(),
    }
}

/// The names that exist, of serde's message ``unknown field `NAME`, expected one of `A`, `B` ``. Only what comes
/// after the name is ours, so it is cut from behind.
fn existing_fields(message: &str) -> Option<Vec<&str>> {
    let (_, existing) = message.strip_prefix("unknown field `")?.rsplit_once("`, expected ")?;
    Some(existing.split('`').skip(1).step_by(2).collect())
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
