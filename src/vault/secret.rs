//! Reads the server's answers about a secret: what KV version 2 or 1 holds there, or why there is nothing.

use serde_json::{Map, Value};
use zeroize::Zeroize;

use super::answer::{Answer, NO_NAMESPACE, errors, fault, is_no_namespace, not_vault};
use super::json;
use crate::domain::credentials::{Field, FieldError, FieldNames, FieldProblem, Fields};
use crate::domain::secret::Secret;
use crate::domain::source::{SecretLocation, SecretVersion, SourceFault};
use crate::domain::time::Timestamp;
use crate::domain::version::{KvVersion, Version};

/// What was found at a secret's location in an engine of this version.
pub(super) fn secret(
    answer: &Answer,
    engine: KvVersion,
    location: &SecretLocation,
) -> Result<SecretVersion, SourceFault> {
    if !matches!(answer.status, 200 | 404) {
        return Err(fault(answer));
    }
    if answer.status == 404
        && let Some(errors) = errors(answer)
    {
        return Err(match location.pinned {
            _ if is_no_namespace(answer) => SourceFault::NotKeyValue(NO_NAMESPACE.into()),
            _ if !errors.is_empty() => SourceFault::NotKeyValue(
                "status 404 with an error: no engine is mounted there; check the store's mount".into(),
            ),
            Some(pinned) => SourceFault::NoSuchVersion(pinned),
            None => SourceFault::NeverWritten,
        });
    }
    let mut body = Wiped(serde_json::from_slice(&answer.body).map_err(|_| not_vault())?);
    let data = body.0.get_mut("data").ok_or_else(not_vault)?;
    match (engine, data) {
        (KvVersion::One, Value::Object(data)) if answer.status == 200 => Ok(SecretVersion {
            version: Version::Unnumbered,
            created_at: None,
            fields: fields(data, &location.fields),
        }),
        // Version 2 answers so where nothing is served.
        (KvVersion::One, _) => Err(not_version_1()),
        (KvVersion::Two, Value::Object(data)) => numbered(answer.status, data, &location.fields),
        (KvVersion::Two, _) => Err(not_vault()),
    }
}

/// What KV version 2 has, or has no more.
fn numbered(
    status: u16,
    data: &mut Map<String, Value>,
    names: &FieldNames,
) -> Result<SecretVersion, SourceFault> {
    let Some(Value::Object(metadata)) = data.remove("metadata") else {
        return Err(not_version_2());
    };
    let number = metadata.get("version").and_then(Value::as_u64).ok_or_else(not_version_2)?;
    let version = Version::numbered(number).ok_or_else(not_version_2)?;
    match data.get_mut("data") {
        Some(Value::Object(data)) if status == 200 => Ok(SecretVersion {
            version,
            created_at: metadata.get("created_time").and_then(Value::as_str).and_then(Timestamp::parse),
            fields: fields(data, names),
        }),
        Some(Value::Null) if metadata.get("destroyed").and_then(Value::as_bool) == Some(true) => {
            Err(SourceFault::Destroyed(number))
        }
        Some(Value::Null) => Err(SourceFault::Deleted(number)),
        Some(_) | None => Err(not_version_2()),
    }
}

/// The three fields of a secret, or of the JSON object in its one field.
fn fields(data: &mut Map<String, Value>, names: &FieldNames) -> Result<Fields, FieldError> {
    let Some(name) = &names.json_field else { return Ok(three(data, names)) };
    let error = |problem| FieldError { field: name.clone(), problem };
    let Some(value) = data.remove(name) else { return Err(error(FieldProblem::Missing)) };
    match &mut Wiped(value).0 {
        Value::Object(object) => Ok(three(object, names)),
        Value::String(text) => json::object(text, names),
        Value::Null => Err(error(FieldProblem::NotAnObject("null"))),
        Value::Bool(_) => Err(error(FieldProblem::NotAnObject("boolean"))),
        Value::Number(_) => Err(error(FieldProblem::NotAnObject("number"))),
        Value::Array(_) => Err(error(FieldProblem::NotAnObject("array"))),
    }
}

fn three(data: &mut Map<String, Value>, names: &FieldNames) -> Fields {
    let mut take = |name: &str| data.remove(name).map_or(Field::Missing, field);
    Fields {
        username: take(&names.username),
        api_token: take(&names.api_token),
        api_path: take(&names.api_path),
    }
}

/// What a value is, as a field.
pub(super) fn field(value: Value) -> Field {
    match value {
        Value::String(text) => Field::Text(Secret::new(text)),
        Value::Null => Field::NotText("null"),
        Value::Bool(_) => Field::NotText("boolean"),
        Value::Number(_) => Field::NotText("number"),
        array @ Value::Array(_) => {
            drop(Wiped(array));
            Field::NotText("array")
        }
        object @ Value::Object(_) => {
            drop(Wiped(object));
            Field::NotText("object")
        }
    }
}

/// JSON whose texts are wiped when it is dropped. Numbers and the names of fields are not.
struct Wiped(Value);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Goes as deep as the parser did, which stops at 128 levels.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn not_version_1() -> SourceFault {
    SourceFault::NotKeyValue(
        "it is not a KV version 1 secret; check the store's mount, and its kv_version if one is given".into(),
    )
}

fn not_version_2() -> SourceFault {
    SourceFault::NotKeyValue(
        "it is not a KV version 2 secret; check the store's mount, and its kv_version if one is given".into(),
    )
}
