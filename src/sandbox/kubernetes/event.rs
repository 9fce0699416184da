//! What an API server refuses of an Event of `events.k8s.io/v1` that is created.
//!
//! After Kubernetes' own rules, in words of our own:
//! <https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/events.go>

use serde_json::Value;

/// The Event's name.
pub(super) fn name(event: &Value) -> Option<&str> {
    event.pointer("/metadata/name")?.as_str()
}

/// Everything that is wrong with it.
pub(super) fn refusals(event: &Value, namespace: &str) -> Vec<String> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let mut found = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            found.push(what.to_owned());
        }
    };
    must(text("/apiVersion") == "events.k8s.io/v1", "apiVersion: not that of the address");
    must(text("/kind") == "Event", "kind: not Event");
    must(is_subdomain(text("/metadata/name")), "metadata.name: no lower-case RFC 1123 subdomain");
    must(
        event.pointer("/metadata/namespace").is_none_or(|value| value == namespace),
        "metadata.namespace: not that of the address",
    );
    let annotations = event.pointer("/metadata/annotations");
    let annotations = annotations.and_then(Value::as_object).into_iter().flatten();
    for (key, value) in annotations {
        must(
            is_qualified_name(key) && value.is_string(),
            "metadata.annotations: no qualified name, or no text",
        );
    }
    must(is_micro_time(text("/eventTime")), "eventTime: not RFC 3339 with microseconds");
    must(matches!(text("/type"), "Normal" | "Warning"), "type: neither Normal nor Warning");
    must(is_qualified_name(text("/reportingController")), "reportingController: no qualified name");
    for field in ["reportingInstance", "action", "reason"] {
        let value = text(&format!("/{field}"));
        must((1..=128).contains(&value.len()), &format!("{field}: not 1 to 128 bytes"));
    }
    must(text("/note").len() <= 1024, "note: more than 1024 bytes");
    let home = matches!(namespace, "default" | "kube-system");
    must(home || !text("/regarding/namespace").is_empty(), "regarding.namespace: does not match the Event's");
    for field in
        ["deprecatedCount", "deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedSource"]
    {
        must(event.get(field).is_none(), &format!("{field}: needs to be unset"));
    }
    if let Some(series) = event.get("series") {
        let count = series.get("count").and_then(Value::as_i64).unwrap_or_default();
        let last = series.get("lastObservedTime").and_then(Value::as_str).unwrap_or_default();
        must(count >= 2 && is_micro_time(last), "series: fewer than 2, or without the time of the last");
    }
    found
}

/// Labels of lower-case letters, digits and `-` between dots; 253 bytes at most.
fn is_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// A name of at most 63 letters, digits, `-`, `_` and `.`, after a subdomain and a slash or alone.
fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let ends = |name: &str| {
        let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        end(name.bytes().next()) && end(name.bytes().last())
    };
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    prefix.is_none_or(is_subdomain) && name.len() <= 63 && name.bytes().all(inner) && ends(name)
}

/// `2006-01-02T15:04:05.000000Z`: Go's parser wants these six digits, no more and no fewer. Another zone than UTC
/// would do, and is not looked for.
fn is_micro_time(text: &str) -> bool {
    let shape = "0000-00-00T00:00:00.000000Z";
    let fits =
        |(found, wanted): (u8, u8)| if wanted == b'0' { found.is_ascii_digit() } else { found == wanted };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}
