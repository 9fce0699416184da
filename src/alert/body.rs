//! A message in the words of receivers: as JSON, as the webhook sends it and the command reads it; and a cause as a
//! name.

use serde::Serialize;

use crate::domain::incident::{Cause, Message, Resolution, Severity};
use crate::domain::time::Timestamp;

/// The JSON. Its fields are a promise to receivers: add, never rename.
#[derive(Serialize)]
pub(super) struct Body<'message> {
    r#type: String,
    timestamp: Timestamp,
    data: Data<'message>,
}

#[derive(Serialize)]
struct Data<'message> {
    incident_id: &'message str,
    store: Option<&'message str>,
    cause: Cause,
    severity: Severity,
    title: &'static str,
    headline: String,
    opened_at: Timestamp,
    evidence: &'message [String],
    remedy: &'message str,
    resolution: Option<Resolution>,
    resolution_text: Option<&'static str>,
    messages: u32,
}

impl<'message> Body<'message> {
    pub(super) fn of(message: &'message Message) -> Self {
        let incident = &message.incident;
        Self {
            r#type: format!("bc_secrets_sync.incident.{}", message.kind.label()),
            timestamp: message.at,
            data: Data {
                incident_id: incident.id.as_str(),
                store: incident.store.as_deref(),
                cause: incident.cause,
                severity: incident.severity,
                title: incident.cause.title(),
                headline: message.headline(),
                opened_at: incident.opened_at,
                evidence: &incident.evidence,
                remedy: &incident.remedy,
                resolution: message.resolution,
                resolution_text: message.resolution.map(Resolution::words),
                messages: incident.messages,
            },
        }
    }
}

/// A cause as those write it who name things in CamelCase.
pub(super) fn camel_case(cause: Cause) -> String {
    let mut name = String::new();
    for word in cause.label().split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}
