//! Finds the lines of keys whose files or directories cannot be used. The file is read once more for it: a
//! configuration that is right need not remember where its keys stand.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place, Problem};
use super::parse::text_of;

/// Of what no line of the file says.
const ELSEWHERE: &str = "; that is the default or comes from the environment: the file does not say it";

impl ConfigError {
    /// The same, with the configuration's file and the line of the key for each problem of the machine.
    #[must_use]
    pub fn located(self, path: &Path) -> Self {
        // A pipe gives its text once.
        let source = if path.is_file() { text_of(path).ok() } else { None };
        let text = source.map(|(_, text)| text).unwrap_or_default();
        let table = DeTable::parse(&text).map(toml::Spanned::into_inner).unwrap_or_default();
        let file = path.display().to_string();
        let locate = |problem: &Problem| {
            let mut problem = problem.clone();
            if problem.place == Place::Host {
                problem.place = match find(&table, &problem.key) {
                    Some(byte) => Place::of_byte(&file, &text, byte),
                    None => Place::File(file.clone()),
                };
                if matches!(problem.place, Place::File(_)) && !table.is_empty() {
                    problem.message.push_str(ELSEWHERE);
                }
            }
            problem
        };
        Self::new(self.problems().iter().map(locate).collect())
    }
}

/// Where the value of a key such as `stores[1].files[0].template` begins; `*` is any table.
fn find(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let (segment, rest) = key.split_once('.').map_or((key, None), |(segment, rest)| (segment, Some(rest)));
    let mut indexes = segment.split('[');
    let name = indexes.next()?;
    let mut named = table.iter().filter(|(known, _)| name == "*" || known.get_ref() == name);
    named.find_map(|(_, value)| {
        let mut indexes = indexes.clone().map(|index| index.trim_end_matches(']').parse::<usize>());
        let value = indexes.try_fold(value, |value, index| {
            let DeValue::Array(list) = value.get_ref() else { return None };
            list.get(index.ok()?)
        })?;
        let Some(rest) = rest else { return Some(value.span().start) };
        let DeValue::Table(table) = value.get_ref() else { return None };
        find(table, rest)
    })
}
