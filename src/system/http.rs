//! An HTTP client for what the operator names: no redirects, no proxies, no second tries, and a limit in time.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, redirect, retry};
use url::Url;

use super::crypto;
use super::names::Names;

const USER_AGENT: &str = concat!("bc-secrets-sync/", env!("CARGO_PKG_VERSION"));

/// Whether there is anything to verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The server shows a certificate.
    Tls,
    /// It does not.
    Plain,
}

impl Transport {
    /// That of an address.
    #[must_use]
    pub fn of(url: &Url) -> Self {
        if url.scheme() == "http" { Self::Plain } else { Self::Tls }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of authorities cannot be read.
    #[error("cannot read authorities from {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of authorities holds none.
    #[error("{} holds no certificate in PEM", path.display())]
    NoAuthority {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to trust, or what there is cannot be used.
    #[error("cannot set up TLS")]
    Tls(#[source] reqwest::Error),
}

/// Prepares a client whose requests take no longer than `timeout`. Reads the file of authorities, or else the
/// system's where there is something to verify. `names` says whose threads look up its hosts. Blocks on the disk.
///
/// # Errors
/// The authorities cannot be read, or there are none.
pub fn client(
    timeout: Duration,
    ca_file: Option<&Path>,
    transport: Transport,
    names: &Names,
) -> Result<Client, ClientError> {
    crypto::choose();
    let builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .timeout(timeout)
        .dns_resolver(names.clone())
        // Requests are rare: a kept connection would mostly be a dead one.
        .pool_max_idle_per_host(0);
    let builder = match ca_file {
        Some(path) => builder.tls_certs_only(authorities(path)?),
        // Nothing to verify, so the system's authorities need not be there, nor in memory.
        None if transport == Transport::Plain => builder.tls_certs_only([]),
        None => builder,
    };
    builder.build().map_err(|error| ClientError::Tls(error.without_url()))
}

/// Why no answer came from `host`, without the address, which may hold a secret.
#[must_use]
pub fn unreachable(host: &str, timeout: Duration, error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer from {host} within {timeout:?}");
    }
    let error = error.without_url();
    // The outermost words only say that a request was not sent; the innermost say why.
    let mut innermost: &dyn Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    format!("cannot reach {host}: {innermost}")
}

/// Host and port of an address: all of it that is shown.
#[must_use]
pub fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("the receiver");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The authorities in a PEM file. Blocks on the disk.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn authorities(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let pem = fs::read(path).map_err(|source| ClientError::Unreadable { path: path.to_owned(), source })?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(authorities) if !authorities.is_empty() => Ok(authorities),
        Ok(_) | Err(_) => Err(ClientError::NoAuthority { path: path.to_owned() }),
    }
}
