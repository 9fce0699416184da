//! A message as an Event, within the limits of the API server.

use ring::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::json;

use crate::alert::body::camel_case;
use crate::config::Regarding;
use crate::domain::incident::{Message, MessageKind};

/// The API server refuses a longer note, in bytes.
const LONGEST_NOTE: usize = 1024;
/// And a longer name of who reports.
const LONGEST_INSTANCE: usize = 128;
/// How much of the digest of a message's identifier is in the Event's name, in bytes.
const DIGEST: usize = 16;

/// The Event as the API takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    api_version: &'static str,
    kind: &'static str,
    metadata: serde_json::Value,
    event_time: String,
    r#type: &'static str,
    reason: String,
    action: &'static str,
    note: String,
    regarding: serde_json::Value,
    reporting_controller: &'static str,
    reporting_instance: String,
}

impl Event {
    pub(super) fn of(message: &Message, namespace: &str, regarding: &Regarding, instance: &str) -> Self {
        let Regarding { api_version, kind, name, uid } = regarding;
        let (r#type, action) = match message.kind {
            MessageKind::Opened => ("Warning", "Opened"),
            MessageKind::Reminder => ("Warning", "Reminded"),
            MessageKind::Resolved => ("Normal", "Resolved"),
        };
        let mut regarding =
            json!({ "apiVersion": api_version, "kind": kind, "namespace": namespace, "name": name });
        if let (Some(uid), Some(fields)) = (uid, regarding.as_object_mut()) {
            fields.insert("uid".to_owned(), uid.as_str().into());
        }
        Self {
            api_version: "events.k8s.io/v1",
            kind: "Event",
            metadata: json!({
                "name": name_of(&message.id),
                "namespace": namespace,
                "annotations": { "bc-secrets-sync/incident": message.incident.id },
            }),
            // Microseconds, and neither more nor fewer: the API server reads nothing else.
            event_time: message.at.to_string().replace('Z', "000Z"),
            r#type,
            reason: camel_case(message.incident.cause),
            action,
            note: note(message),
            regarding,
            reporting_controller: "bc-secrets-sync",
            reporting_instance: at_most(instance.to_owned(), LONGEST_INSTANCE),
        }
    }
}

/// A name that follows from the message and from nothing else. The message's own identifier has characters that
/// no name may have, and a store's name may be too long.
fn name_of(message_id: &str) -> String {
    let digest = digest(&SHA256, message_id.as_bytes());
    let hex: String = digest.as_ref().iter().take(DIGEST).map(|byte| format!("{byte:02x}")).collect();
    format!("bc-secrets-sync.{hex}")
}

/// What to do comes before the evidence: where the room ends, the end of the evidence is missed least.
fn note(message: &Message) -> String {
    let mut note = message.headline();
    if message.kind != MessageKind::Resolved {
        let incident = &message.incident;
        note = format!("{note}. What to do: {} Evidence: {}", incident.remedy, incident.evidence.join(" "));
    }
    at_most(note, LONGEST_NOTE)
}

/// Cuts a text that is longer than `most` bytes, with a mark.
fn at_most(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    let room = most.saturating_sub('…'.len_utf8());
    let fits = |(at, character): &(usize, char)| at + character.len_utf8() <= room;
    let mut cut: String = text.char_indices().take_while(fits).map(|(_, character)| character).collect();
    cut.push('…');
    cut
}
