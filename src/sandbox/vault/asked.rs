//! What a request asks for: the operation, and the fields of its query and body.

use std::time::Duration;

use hyper::body::Bytes;
use hyper::{Method, Request};
use serde_json::{Map, Value};

/// What is asked, as far as the HTTP method tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    List,
    Write,
    Delete,
    Unsupported,
}

impl Operation {
    /// Reads the method; a GET with `list=true` is a LIST.
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        match *request.method() {
            Method::GET if query(request, "list").as_deref() == Some("true") => Self::List,
            Method::GET => Self::Read,
            Method::POST | Method::PUT => Self::Write,
            Method::DELETE => Self::Delete,
            ref other if other.as_str() == "LIST" => Self::List,
            _ => Self::Unsupported,
        }
    }
}

/// A body that is not an object counts as an empty one.
pub(super) fn object(body: &Bytes) -> Map<String, Value> {
    serde_json::from_slice(body).unwrap_or_default()
}

/// A parameter of the query, decoded.
pub(super) fn query(request: &Request<Bytes>, name: &str) -> Option<String> {
    let text = request.uri().query()?;
    url::form_urlencoded::parse(text.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// How long a renewal is asked to last: seconds as a number or as text, or text with a unit; zero asks for nothing.
pub(super) fn increment(body: &Map<String, Value>) -> Option<Duration> {
    let value = body.get("increment")?;
    let asked = match value.as_str() {
        Some(text) => text.parse().map(Duration::from_secs).or_else(|_| humantime::parse_duration(text)).ok(),
        None => value.as_u64().map(Duration::from_secs),
    };
    asked.filter(|asked| !asked.is_zero())
}
