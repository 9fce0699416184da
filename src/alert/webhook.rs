//! One message to one receiver that understands Standard Webhooks: built, signed and sent.

use std::path::PathBuf;

use url::Url;

use crate::config;
use crate::domain::incident::Message;
use crate::domain::time::Timestamp;

use super::body::Body;
use super::client::{self, Poster, Transport, json};
use super::fault::{BuildError, DeliveryFault};
use super::secret_file::read_in_background;
use super::signature::{KeyError, Keys, webhook_id};

const SECRET: &str = "alerts.webhook.signing_secret_file";
const KEYS: client::Keys =
    client::Keys { section: "alerts.webhook", address: "alerts.webhook.url", secret: Some(SECRET) };

/// A receiver of messages.
#[derive(Debug)]
pub struct Webhook {
    poster: Poster,
    url: Url,
    signing_secret_file: PathBuf,
}

impl Webhook {
    /// Prepares the connection. Reads the file of authorities, and nothing else yet.
    ///
    /// # Errors
    /// The authorities cannot be read, or there are none.
    pub fn new(config: &config::Webhook) -> Result<Self, BuildError> {
        let transport = Transport::of(&config.url);
        Ok(Self {
            poster: Poster::new(KEYS, config.timeout, config.ca_file.as_deref(), transport)?,
            url: config.url.clone(),
            signing_secret_file: config.signing_secret_file.clone(),
        })
    }

    /// Looks whether messages could be signed now, for a check before the first of them is due.
    /// Reads a file: call it where that may block.
    ///
    /// # Errors
    /// [`DeliveryFault::Secret`], saying what is wrong with the file.
    pub fn check(&self) -> Result<(), DeliveryFault> {
        Keys::read(&self.signing_secret_file).map(drop).map_err(|error| self.secret_fault(&error))
    }

    /// Sends one message, once. The signing secret is read anew, so that it can be replaced at any time.
    ///
    /// # Errors
    /// The message was not delivered, or nobody can tell whether it was.
    pub async fn deliver(&self, message: &Message, now: Timestamp) -> Result<(), DeliveryFault> {
        let secret = read_in_background(&self.signing_secret_file).await;
        let keys = secret.map_err(KeyError::File).and_then(|secret| Keys::parse(&secret));
        let keys = keys.map_err(|error| self.secret_fault(&error))?;
        let body = json(&Body::of(message))?;
        let id = webhook_id(&message.id);
        let timestamp = now.as_seconds();
        let signature = keys.sign(&id, timestamp, &body);
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", signature),
        ];
        self.poster.post(self.url.clone(), &headers, body).await
    }

    fn secret_fault(&self, error: &KeyError) -> DeliveryFault {
        let path = self.signing_secret_file.display();
        DeliveryFault::Secret(format!("cannot sign with {SECRET} {path}: {error}"))
    }
}

#[cfg(test)]
mod tests;
