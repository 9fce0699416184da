//! The HTTP client of the probe: what it never does, and whom it trusts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::{Certificate, Client, redirect, retry};

use super::fault::chain;
use super::resolve::PolicyResolver;
use crate::config::Check;
use crate::system::crypto;

/// Why the probe cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The file with the authorities could not be read.
    #[error("cannot read check.ca_file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file holds no certificate at all.
    #[error("check.ca_file {} holds no certificate; it must be a PEM file of certificate authorities", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate in the file is none.
    #[error("check.ca_file {} holds a certificate that cannot be used", path.display())]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: reqwest::Error,
    },
    /// The system has no bundle of authorities.
    #[error(
        "the system has no certificate authorities to check stores with: install the package ca-certificates, \
         or give check.ca_file"
    )]
    NoAuthorities(#[source] reqwest::Error),
    /// The client could not be built for another reason.
    #[error("cannot set up the HTTP client of the probe")]
    Client(#[source] reqwest::Error),
}

/// Builds the client.
pub(super) fn build(check: &Check) -> Result<Client, BuildError> {
    crypto::choose();
    let mut builder = Client::builder()
        .user_agent(concat!("bc-secrets-sync/", env!("CARGO_PKG_VERSION"), " (+credential check)"))
        // Credentials go to the store's own host and no other.
        .https_only(true)
        .redirect(redirect::Policy::none())
        .referer(false)
        // `HTTPS_PROXY` of the environment is not used: a proxy could answer 401 or 403 in the store's place.
        .no_proxy()
        // One probe is one request: the engine counts them.
        .retry(retry::never())
        .http1_only()
        .timeout(check.timeout)
        // Half of the limit, so that a store that answers late still differs from one that is not there.
        .connect_timeout(check.timeout / 2)
        .tcp_nodelay(true)
        // A connection for each probe: the next one of its host comes minutes later, when a kept connection would
        // mostly be a dead one, and until then those of a thousand stores would cost 15 MB.
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(PolicyResolver::new(check.addresses)));
    if let Some(path) = &check.ca_file {
        builder = builder.tls_certs_only(authorities(path)?);
    }
    builder.build().map_err(|source| match &check.ca_file {
        Some(path) => BuildError::BadCertificate { path: path.clone(), source },
        None if chain(&source).any(|error| error.is::<rustls::Error>()) => BuildError::NoAuthorities(source),
        None => BuildError::Client(source),
    })
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, BuildError> {
    let pem = fs::read(path).map_err(|source| BuildError::Unreadable { path: path.to_owned(), source })?;
    let authorities = Certificate::from_pem_bundle(&pem)
        .map_err(|source| BuildError::BadCertificate { path: path.to_owned(), source })?;
    if authorities.is_empty() {
        return Err(BuildError::NoCertificate { path: path.to_owned() });
    }
    Ok(authorities)
}
