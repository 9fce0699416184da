//! One message to one receiver that understands Standard Webhooks: built, signed, sent, and the answer judged.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use reqwest::{Certificate, Client, redirect, retry};
use serde::Serialize;
use url::Url;

use crate::config;
use crate::domain::incident::{Cause, Message, Resolution, Severity};
use crate::domain::time::Timestamp;

use super::signature::{KeyError, Keys, webhook_id};

const USER_AGENT: &str = concat!("bc-secrets-sync/", env!("CARGO_PKG_VERSION"));
/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// Why there is no webhook to send to.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The file of authorities cannot be read.
    #[error("cannot read the authorities of alerts.webhook.ca_file from {}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of authorities holds none.
    #[error("alerts.webhook.ca_file {} holds no certificate in PEM", path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to trust, or what there is cannot be used.
    #[error(
        "cannot set up TLS for the webhook: install the system's CA bundle, or name a PEM file in \
         alerts.webhook.ca_file"
    )]
    Client(#[source] reqwest::Error),
}

/// Why a message was not delivered. Names the receiver by its host only: the rest of a webhook's URL is
/// often a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryFault {
    /// The receiver answered, and not with success.
    #[error("{host} answered {status}{}", advice(*.status))]
    Refused {
        /// Host and port of the receiver.
        host: String,
        /// The status of the answer.
        status: u16,
        /// How long the receiver asked to be left alone, at most an hour.
        wait: Option<Duration>,
    },
    /// No answer came.
    #[error("{0}")]
    Unreachable(String),
    /// There is no key to sign with.
    #[error("{0}")]
    Secret(String),
}

/// A receiver of messages.
#[derive(Debug)]
pub struct Webhook {
    client: Client,
    url: Url,
    host: String,
    signing_secret_file: PathBuf,
    timeout: Duration,
}

impl Webhook {
    /// Prepares the connection. Reads the file of authorities, and nothing else yet.
    ///
    /// # Errors
    /// The authorities cannot be read, or there are none.
    pub fn new(config: &config::Webhook) -> Result<Self, BuildError> {
        // Refused when another part of the program was first: then it is the same one.
        rustls::crypto::ring::default_provider().install_default().ok();
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .timeout(config.timeout)
            // Messages are rare: a kept connection would mostly be a dead one.
            .pool_max_idle_per_host(0);
        let builder = match &config.ca_file {
            Some(path) => builder.tls_certs_only(authorities(path.clone())?),
            // Nothing to verify, so the system's authorities need not be there, nor in memory.
            None if config.url.scheme() == "http" => builder.tls_certs_only([]),
            None => builder,
        };
        let host = config.url.host_str().unwrap_or("the receiver");
        Ok(Self {
            client: builder.build().map_err(|error| BuildError::Client(error.without_url()))?,
            host: config.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            url: config.url.clone(),
            signing_secret_file: config.signing_secret_file.clone(),
            timeout: config.timeout,
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
        let path = self.signing_secret_file.clone();
        let keys = tokio::task::spawn_blocking(move || Keys::read(&path))
            .await
            .map_err(|error| DeliveryFault::Secret(format!("cannot read the signing secret: {error}")))?
            .map_err(|error| self.secret_fault(&error))?;
        let body = serde_json::to_vec(&Body::of(message)).map_err(|error| {
            DeliveryFault::Unreachable(format!("cannot write the message as JSON: {error}"))
        })?;
        let id = webhook_id(&message.id);
        let timestamp = now.as_seconds();
        let signature = keys.sign(&id, timestamp, &body);
        let answer = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await
            .map_err(|error| self.unreachable(error))?;
        // The body of the answer says nothing that matters here: it is dropped unread, with its connection.
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(DeliveryFault::Refused {
            host: self.host.clone(),
            status: status.as_u16(),
            wait: retry_after(answer.headers()),
        })
    }

    fn secret_fault(&self, error: &KeyError) -> DeliveryFault {
        let path = self.signing_secret_file.display();
        DeliveryFault::Secret(format!("cannot sign with alerts.webhook.signing_secret_file {path}: {error}"))
    }

    fn unreachable(&self, error: reqwest::Error) -> DeliveryFault {
        let host = &self.host;
        if error.is_timeout() {
            let timeout = self.timeout;
            return DeliveryFault::Unreachable(format!("no answer from {host} within {timeout:?}"));
        }
        let error = error.without_url();
        // The outermost words only say that a request was not sent; the innermost say why.
        let mut innermost: &dyn std::error::Error = &error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        DeliveryFault::Unreachable(format!("cannot reach {host}: {innermost}"))
    }
}

impl DeliveryFault {
    /// Whether trying again soon may help. When not, somebody has to change something first.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => match *status {
                408 | 409 | 425 | 429 => true,
                status => status >= 500,
            },
            Self::Unreachable(_) | Self::Secret(_) => true,
        }
    }
}

/// What the operator can do about an answer.
fn advice(status: u16) -> &'static str {
    match StatusCode::from_u16(status) {
        Ok(status) if status.is_redirection() => {
            ": redirects are not followed; set alerts.webhook.url to the final address"
        }
        Ok(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            ": check that alerts.webhook.signing_secret_file holds the receiver's secret"
        }
        Ok(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE) => {
            ": check alerts.webhook.url"
        }
        Ok(_) | Err(_) => "",
    }
}

fn authorities(path: PathBuf) -> Result<Vec<Certificate>, BuildError> {
    let pem = match fs::read(&path) {
        Ok(pem) => pem,
        Err(source) => return Err(BuildError::Authorities { path, source }),
    };
    match Certificate::from_pem_bundle(&pem) {
        Ok(authorities) if !authorities.is_empty() => Ok(authorities),
        Ok(_) | Err(_) => Err(BuildError::NoAuthority { path }),
    }
}

/// `Retry-After` in seconds; its other form, a date, is left to the daemon's own schedule.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// The body of a request. Its fields are a promise to receivers: add, never rename.
#[derive(Serialize)]
struct Body<'message> {
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
    fn of(message: &'message Message) -> Self {
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

#[cfg(test)]
mod tests;
