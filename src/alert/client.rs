//! The HTTP client of the channels: one request, no redirects, a limit in time, and errors without addresses.

use std::path::Path;
use std::time::Duration;

use ::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Client, RequestBuilder};
use url::Url;

use crate::system::{http, names};

pub(super) use crate::system::http::{Transport, host};

use super::fault::{BuildError, DeliveryFault};

/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// The keys of the configuration that errors name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// The channel's table, such as `alerts.webhook`.
    pub(super) section: &'static str,
    /// The key with the address.
    pub(super) address: &'static str,
    /// The key with the file of the secret, where there is one.
    pub(super) secret: Option<&'static str>,
}

/// Sends JSON to a receiver and judges its answer.
#[derive(Clone, Debug)]
pub(super) struct Poster {
    client: Client,
    timeout: Duration,
    keys: Keys,
}

impl Poster {
    /// Prepares the client. Reads the file of authorities, and sends nothing yet.
    pub(super) fn new(
        keys: Keys,
        timeout: Duration,
        ca_file: Option<&Path>,
        transport: Transport,
    ) -> Result<Self, BuildError> {
        let client = http::client(timeout, ca_file, transport, &names::CHANNELS)
            .map_err(|error| BuildError::of(keys.section, error))?;
        Ok(Self { client, timeout, keys })
    }

    /// Posts a body of JSON once. Any status of success is success; the body of the answer is dropped unread,
    /// with its connection.
    pub(super) async fn post(
        &self,
        url: Url,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<(), DeliveryFault> {
        let host = host(&url);
        let mut request = self.client.post(url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.send(host, request, body).await
    }

    /// The same, in the name of whom a token stands for.
    pub(super) async fn post_with_token(
        &self,
        url: Url,
        token: HeaderValue,
        body: Vec<u8>,
    ) -> Result<(), DeliveryFault> {
        let host = host(&url);
        self.send(host, self.client.post(url).header(AUTHORIZATION, token), body).await
    }

    async fn send(&self, host: String, request: RequestBuilder, body: Vec<u8>) -> Result<(), DeliveryFault> {
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let answer = request
            .send()
            .await
            .map_err(|error| DeliveryFault::Unreachable(http::unreachable(&host, self.timeout, error)))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(DeliveryFault::Refused {
            host,
            status: status.as_u16(),
            wait: retry_after(answer.headers()),
            advice: self.advice(status),
        })
    }

    /// What the operator can do about an answer.
    fn advice(&self, status: StatusCode) -> String {
        let Keys { address, secret, .. } = self.keys;
        match (status, secret) {
            (status, _) if status.is_redirection() => {
                format!(": redirects are not followed; set {address} to the final address")
            }
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(secret)) => {
                format!(": check that {secret} holds the receiver's secret")
            }
            (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE, _) => {
                format!(": check {address}")
            }
            _ => String::new(),
        }
    }
}

/// Writes a body as JSON.
pub(super) fn json(body: &impl serde::Serialize) -> Result<Vec<u8>, DeliveryFault> {
    serde_json::to_vec(body)
        .map_err(|error| DeliveryFault::Unreachable(format!("cannot write the message as JSON: {error}")))
}

/// `Retry-After` in seconds; its other form, a date, is left to the daemon's own schedule.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}
