//! The probe: sends one request to a store and returns the facts of the answer; judges nothing.
//!
//! `GET {api_path}time` with preemptive HTTP Basic is the cheapest question that only valid credentials
//! answer. The request goes to the store's own host and nowhere else: redirects are not followed, proxies of
//! the environment are not used, and every host and address is held against the configuration's policy before a
//! connection is made.

mod answer;
mod certificate;
mod client;
mod fault;
mod resolve;
#[cfg(test)]
#[cfg(feature = "demo")]
mod tests;

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, InvalidHeaderValue};
use http::{HeaderValue, StatusCode};
use reqwest::tls::TlsInfo;
use url::Host;
use zeroize::Zeroizing;

pub use self::client::BuildError;
use crate::config;
use crate::domain::credentials::{Credentials, HostPolicy};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::domain::verdict::{Answer, ProbeFault, ProbeOutcome};

/// Asks stores whether they accept credentials. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Prober {
    client: reqwest::Client,
    hosts: HostPolicy,
}

impl Prober {
    /// Takes the limit of a probe, the hosts that are allowed, and whom to trust. Reads the
    /// authorities' certificates; makes no connection.
    ///
    /// # Errors
    /// `check.ca_file` cannot be used, or none is given and the system has no authorities.
    pub fn new(check: &config::Check) -> Result<Self, BuildError> {
        Ok(Self { client: client::build(check)?, hosts: check.hosts.clone() })
    }

    /// Sends one request and reports what came back, within the configured limit. `now` is for answers that
    /// ask to wait until a date.
    pub async fn probe(&self, credentials: &Credentials, now: Timestamp) -> ProbeOutcome {
        match self.ask(credentials, now).await {
            Ok(answer) => ProbeOutcome::Answered(answer),
            Err(fault) => ProbeOutcome::Failed(fault),
        }
    }

    async fn ask(&self, credentials: &Credentials, now: Timestamp) -> Result<Answer, ProbeFault> {
        let url = credentials.api_path().time_url();
        // What was published before there was this list is not asked about either.
        if !self.hosts.lists(credentials.api_path().host()) {
            return Err(ProbeFault::HostNotAllowed);
        }
        // An address in the place of the name is never looked up, so the resolver does not see it.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        if literal.is_some_and(|address| !self.hosts.addresses.allows(address)) {
            return Err(ProbeFault::PrivateAddress);
        }
        // Base64 is always a valid header; were it not, the request could not be sent whole.
        let authorization = basic(credentials).map_err(|_| ProbeFault::Broken)?;
        let mut response = self
            .client
            .get(url.clone())
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, authorization)
            .send()
            .await
            .map_err(|error| fault::of(&error))?;
        let (body, cut) = answer::body(&mut response).await;
        // A status alone says that the store refuses; that it accepts, only a whole body does.
        if let Some(error) = cut.filter(|_| response.status() == StatusCode::OK) {
            return Err(fault::of(&error));
        }
        let mut answer = answer::of(response.status().as_u16(), response.headers(), body, &url, now);
        let tls = response.extensions().get::<TlsInfo>();
        answer.certificate = tls.and_then(TlsInfo::peer_certificate).and_then(certificate::validity);
        let asked = credentials.api_path().host();
        let secrets = [credentials.username(), credentials.api_token()];
        answer.location_host.take_if(|host| secrets.iter().any(|secret| is_repeated(secret, host, asked)));
        Ok(answer)
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Prober").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// Whether a host that an answer names has a secret in it. Hosts are shown, so that one is not reported. What
/// the host that was asked has in it as well is no news: many a Username is the store's name.
fn is_repeated(secret: &Secret, host: &str, asked: &str) -> bool {
    let secret = Zeroizing::new(secret.expose().to_ascii_lowercase());
    host.to_ascii_lowercase().contains(&*secret) && !asked.contains(&*secret)
}

/// The value of the Authorization header, marked sensitive (RFC 7617, in UTF-8). The copies made on the way
/// are wiped.
fn basic(credentials: &Credentials) -> Result<HeaderValue, InvalidHeaderValue> {
    let (username, token) = (credentials.username().expose(), credentials.api_token().expose());
    // Room for all of it at once: growing would leave copies behind.
    let mut pair = Zeroizing::new(String::with_capacity(username.len() + token.len() + 1));
    pair.push_str(username);
    pair.push(':');
    pair.push_str(token);
    let mut text = Zeroizing::new(String::with_capacity(pair.len().div_ceil(3) * 4 + 6));
    text.push_str("Basic ");
    STANDARD.encode_string(pair.as_bytes(), &mut text);
    let mut value = HeaderValue::from_str(&text)?;
    value.set_sensitive(true);
    Ok(value)
}
