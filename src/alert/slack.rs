//! One message to a Slack channel, through an incoming webhook.
//!
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use std::path::PathBuf;

use serde_json::{Value, json};
use url::Url;

use crate::config;
use crate::domain::incident::{Message, MessageKind, Severity};
use crate::domain::secret::Secret;

use super::client::{self, Keys, Poster, Transport};
use super::fault::{BuildError, DeliveryFault};
use super::secret_file::{self, SecretFileError, read_in_background};

const URL_FILE: &str = "alerts.slack.url_file";
const KEYS: Keys = Keys { section: "alerts.slack", address: URL_FILE, secret: Some(URL_FILE) };
/// Slack refuses a section whose text is longer than 3,000 characters; a headline need not be so long.
const LONGEST_TEXT: usize = 2900;
const LONGEST_HEADLINE: usize = 500;

/// A Slack channel.
#[derive(Debug)]
pub struct Slack {
    poster: Poster,
    url_file: PathBuf,
}

impl Slack {
    /// Prepares the connection. Sends nothing. Blocks on the disk.
    ///
    /// # Errors
    /// The authorities cannot be read, or there are none.
    pub fn new(config: &config::Slack) -> Result<Self, BuildError> {
        // What cannot be read now may be there for the first message. Plain HTTP is for this host only, and so
        // for a stand-in of Slack.
        let url = secret_file::read(&config.url_file).ok().and_then(|url| address(&url).ok());
        let transport = url.map_or(Transport::Tls, |url| Transport::of(&url));
        Ok(Self {
            poster: Poster::new(KEYS, config.timeout, config.ca_file.as_deref(), transport)?,
            url_file: config.url_file.clone(),
        })
    }

    /// Looks whether there is an address, for a check before the first message is due. Blocks on the disk.
    ///
    /// # Errors
    /// [`DeliveryFault::Secret`], saying what is wrong with the file.
    pub fn check(&self) -> Result<(), DeliveryFault> {
        self.address(secret_file::read(&self.url_file)).map(drop)
    }

    /// Sends one message, once. The address is read anew, so that it can be replaced at any time.
    ///
    /// # Errors
    /// The message was not delivered, or nobody can tell whether it was.
    pub async fn deliver(&self, message: &Message) -> Result<(), DeliveryFault> {
        let url = self.address(read_in_background(&self.url_file).await)?;
        self.poster.post(url, &[], client::json(&body(message))?).await
    }

    fn address(&self, file: Result<Secret, SecretFileError>) -> Result<Url, DeliveryFault> {
        let path = self.url_file.display();
        let fault = |why: &dyn std::fmt::Display| {
            DeliveryFault::Secret(format!("cannot use the address in {URL_FILE} {path}: {why}"))
        };
        address(&file.map_err(|error| fault(&error))?).map_err(|why| fault(&why))
    }
}

/// The address that a file holds; or why it holds none, without a part of it.
fn address(secret: &Secret) -> Result<Url, &'static str> {
    let text = secret.expose().trim();
    if text.is_empty() {
        return Err("it is empty: write the incoming webhook's address into it");
    }
    let url = Url::parse(text)
        .map_err(|_| "what it holds is no address: write the incoming webhook's address into it")?;
    let is_local = || {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|address: core::net::IpAddr| address.is_loopback())
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_local() => Ok(url),
        _ => Err("what it holds does not begin with https://"),
    }
}

fn body(message: &Message) -> Value {
    let incident = &message.incident;
    let sign = match (message.kind, incident.severity) {
        (MessageKind::Resolved, _) => ":white_check_mark:",
        (MessageKind::Opened | MessageKind::Reminder, Severity::Critical) => ":red_circle:",
        (MessageKind::Opened | MessageKind::Reminder, Severity::Warning) => ":large_yellow_circle:",
    };
    let headline = escape(&message.headline(), LONGEST_HEADLINE);
    let section = |text: String| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    let mut blocks = vec![section(format!("{sign} *{headline}*"))];
    if message.kind != MessageKind::Resolved {
        let evidence: Vec<String> = incident.evidence.iter().map(|line| format!("• {line}")).collect();
        if !evidence.is_empty() {
            blocks.push(section(format!("*Evidence*\n{}", escape(&evidence.join("\n"), LONGEST_TEXT))));
        }
        blocks.push(section(format!("*What to do*\n{}", escape(&incident.remedy, LONGEST_TEXT))));
    }
    let context = format!(
        "{} | {} | opened {} | {}",
        incident.severity.label(),
        incident.cause.label(),
        incident.opened_at,
        escape(incident.id.as_str(), LONGEST_HEADLINE)
    );
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": context }] }));
    json!({ "text": headline, "blocks": blocks })
}

/// Takes the meaning from the three characters that have one in mrkdwn, so that no text becomes a link or calls
/// people; cut, with a mark, where the result would be longer than `most` characters.
///
/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>
fn escape(text: &str, most: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut length = 0;
    for character in text.chars() {
        let replacement = match character {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        length += replacement.len().max(1);
        if length > most {
            escaped.push('…');
            break;
        }
        if replacement.is_empty() {
            escaped.push(character);
        } else {
            escaped.push_str(replacement);
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
