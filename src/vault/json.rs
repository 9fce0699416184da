//! Reads the text of a JSON object that stands in one field of a secret.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::secret::field;
use crate::domain::credentials::{Field, FieldError, FieldNames, FieldProblem, Fields, MAX_JSON_LENGTH};

/// The three values in the text of a JSON object, under the keys that `names` gives them. Other keys may be
/// beside them; the same key twice may not, since readers differ in which one they take.
pub(super) fn object(text: &str, names: &FieldNames) -> Result<Fields, FieldError> {
    let whole = |problem| {
        let field = names.json_field.clone().unwrap_or_default();
        FieldError { field, problem }
    };
    if text.len() > MAX_JSON_LENGTH {
        return Err(whole(FieldProblem::TooLongJson));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Three(names).deserialize(&mut deserializer).and_then(|found| {
        deserializer.end()?;
        Ok(found)
    });
    // The parser's own words may quote what it read.
    let found =
        read.map_err(|error| whole(FieldProblem::NotJson { line: error.line(), column: error.column() }))?;
    match found.twice {
        Some(key) => Err(FieldError { field: names.in_full(key), problem: FieldProblem::Twice }),
        None => Ok(found.fields),
    }
}

struct Three<'a>(&'a FieldNames);

struct Found<'a> {
    fields: Fields,
    /// A key that came more than once.
    twice: Option<&'a str>,
}

impl<'de, 'a> DeserializeSeed<'de> for Three<'a> {
    type Value = Found<'a>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'a>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, 'a> Visitor<'de> for Three<'a> {
    type Value = Found<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Found<'a>, A::Error> {
        let fields = Fields { username: Field::Missing, api_token: Field::Missing, api_path: Field::Missing };
        let mut found = Found { fields, twice: None };
        while let Some(key) = object.next_key::<String>()? {
            let Found { fields, twice } = &mut found;
            let (name, place) = if key == self.0.username {
                (&self.0.username, &mut fields.username)
            } else if key == self.0.api_token {
                (&self.0.api_token, &mut fields.api_token)
            } else if key == self.0.api_path {
                (&self.0.api_path, &mut fields.api_path)
            } else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = field(object.next_value::<Value>()?);
            if !matches!(std::mem::replace(place, value), Field::Missing) {
                *twice = Some(name);
            }
        }
        Ok(found)
    }
}
