//! One message to PagerDuty, as an event of its Events API version 2.
//!
//! <https://developer.pagerduty.com/docs/send-alert-event>

use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;
use url::Url;

use crate::config;
use crate::domain::incident::{Message, MessageKind, Severity};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

use super::client::{self, Keys, Poster, Transport};
use super::fault::{BuildError, DeliveryFault};
use super::secret_file::{self, SecretFileError, read_in_background};

const SECRET: &str = "alerts.pagerduty.routing_key_file";
const KEYS: Keys =
    Keys { section: "alerts.pagerduty", address: "alerts.pagerduty.url", secret: Some(SECRET) };
/// PagerDuty cuts longer summaries off.
const LONGEST_SUMMARY: usize = 1024;
const BAD_REQUEST: u16 = 400;

/// A service of PagerDuty.
#[derive(Debug)]
pub struct PagerDuty {
    poster: Poster,
    url: Url,
    routing_key_file: PathBuf,
}

impl PagerDuty {
    /// Prepares the connection. Reads the file of authorities, and nothing else yet.
    ///
    /// # Errors
    /// The authorities cannot be read, or there are none.
    pub fn new(config: &config::PagerDuty) -> Result<Self, BuildError> {
        let transport = Transport::of(&config.url);
        Ok(Self {
            poster: Poster::new(KEYS, config.timeout, config.ca_file.as_deref(), transport)?,
            url: config.url.clone(),
            routing_key_file: config.routing_key_file.clone(),
        })
    }

    /// Looks whether there is a routing key, for a check before the first message is due. Blocks on the disk.
    ///
    /// # Errors
    /// [`DeliveryFault::Secret`], saying what is wrong with the file.
    pub fn check(&self) -> Result<(), DeliveryFault> {
        self.usable(secret_file::read(&self.routing_key_file)).map(drop)
    }

    /// Sends one message, once: an incident opens and reminds with `trigger` and ends with `resolve`, all with
    /// its own identifier as the key by which PagerDuty knows that they belong together. The routing key is
    /// read anew, so that it can be replaced at any time.
    ///
    /// # Errors
    /// The message was not delivered, or nobody can tell whether it was.
    pub async fn deliver(&self, message: &Message) -> Result<(), DeliveryFault> {
        let key = self.usable(read_in_background(&self.routing_key_file).await)?;
        let body = client::json(&Event::of(message, key.expose().trim()))?;
        self.poster.post(self.url.clone(), &[], body).await.map_err(explain)
    }

    fn usable(&self, file: Result<Secret, SecretFileError>) -> Result<Secret, DeliveryFault> {
        let path = self.routing_key_file.display();
        let fault = |why: &dyn std::fmt::Display| {
            DeliveryFault::Secret(format!("cannot use the key in {SECRET} {path}: {why}"))
        };
        let secret = file.map_err(|error| fault(&error))?;
        let key = secret.expose().trim();
        if key.is_empty() {
            return Err(fault(&"it is empty: write the integration key of the service into it"));
        }
        if !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(fault(&"it holds more than letters and digits: copy the integration key alone"));
        }
        Ok(secret)
    }
}

/// PagerDuty answers 400 to an event that it will never take; ours are well formed, so it is the key.
fn explain(fault: DeliveryFault) -> DeliveryFault {
    let key = format!(": check that {SECRET} holds the integration key of an Events API v2 integration");
    match fault {
        DeliveryFault::Refused { host, status, wait, advice } => {
            let advice = if status == BAD_REQUEST { key } else { advice };
            DeliveryFault::Refused { host, status, wait, advice }
        }
        DeliveryFault::Unreachable(_) | DeliveryFault::Secret(_) | DeliveryFault::Command(_) => fault,
    }
}

#[derive(Serialize)]
struct Event<'a> {
    routing_key: &'a str,
    event_action: &'static str,
    dedup_key: &'a str,
    client: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'a>>,
}

#[derive(Serialize)]
struct Payload<'a> {
    summary: String,
    source: &'a str,
    severity: &'static str,
    timestamp: Timestamp,
    component: &'static str,
    class: &'static str,
    custom_details: serde_json::Value,
}

impl<'a> Event<'a> {
    fn of(message: &'a Message, routing_key: &'a str) -> Self {
        let (event_action, payload) = match message.kind {
            MessageKind::Opened | MessageKind::Reminder => ("trigger", Some(Payload::of(message))),
            MessageKind::Resolved => ("resolve", None),
        };
        Self {
            routing_key,
            event_action,
            dedup_key: message.incident.id.as_str(),
            client: "bc-secrets-sync",
            payload,
        }
    }
}

impl<'a> Payload<'a> {
    fn of(message: &'a Message) -> Self {
        let incident = &message.incident;
        Self {
            summary: message.headline().chars().take(LONGEST_SUMMARY).collect(),
            source: incident.subject(),
            severity: match incident.severity {
                Severity::Warning => "warning",
                Severity::Critical => "critical",
            },
            timestamp: message.at,
            component: "bc-secrets-sync",
            class: incident.cause.label(),
            custom_details: json!({
                "evidence": incident.evidence,
                "remedy": incident.remedy,
                "opened_at": incident.opened_at,
                "messages": incident.messages,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
