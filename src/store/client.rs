//! The HTTP client of the probe: what it never does, and whom it trusts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::{Client, redirect, retry};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use super::resolve::PolicyResolver;
use crate::config::Check;
use crate::system::{crypto, names};

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
    /// The file with the authorities is no PEM file.
    #[error("check.ca_file {} is no PEM file of certificate authorities", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
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
        source: rustls::Error,
    },
    /// The system has no bundle of authorities.
    #[error(
        "the system has no certificate authorities to check stores with: install the package ca-certificates, \
         or give check.ca_file"
    )]
    NoAuthorities(#[source] rustls::Error),
    /// TLS could not be set up.
    #[error("cannot set up TLS for the probe")]
    Tls(#[source] rustls::Error),
    /// The client could not be built for another reason.
    #[error("cannot set up the HTTP client of the probe")]
    Client(#[source] reqwest::Error),
}

/// Builds the client.
pub(super) fn build(check: &Check) -> Result<Client, BuildError> {
    Client::builder()
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
        .tls_backend_preconfigured(tls(check.ca_file.as_deref())?)
        .tls_info(true)
        .timeout(check.timeout)
        // It ends no probe earlier. It is divided among the addresses of a host, so that one that says nothing leaves
        // time for the next.
        .connect_timeout(check.timeout)
        .tcp_nodelay(true)
        // A connection for each probe: the next one of its host comes minutes later, when a kept connection would
        // mostly be a dead one, and until then those of a thousand stores would cost 15 MB.
        .pool_max_idle_per_host(0)
        // No connection outlives its one request, which has its own limit.
        .tcp_keepalive(None)
        .tcp_keepalive_interval(None)
        .tcp_keepalive_retries(None)
        .tcp_user_timeout(None)
        .dns_resolver(Arc::new(PolicyResolver::new(names::STORES.clone(), check.hosts.addresses)))
        .build()
        .map_err(BuildError::Client)
}

/// Whom the probe trusts: these authorities only, or the system's.
fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, BuildError> {
    crypto::choose();
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(BuildError::Tls)?;
    let builder = match ca_file {
        Some(path) => builder.with_root_certificates(authorities(path)?),
        None => builder.with_platform_verifier().map_err(BuildError::NoAuthorities)?,
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session shows the certificate of the session before it and checks none: one that has expired would
    // go unnoticed for as long as the store hands out tickets, and one that was renewed too.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn authorities(path: &Path) -> Result<RootCertStore, BuildError> {
    let pem = fs::read(path).map_err(|source| BuildError::Unreadable { path: path.to_owned(), source })?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate =
            certificate.map_err(|source| BuildError::NotPem { path: path.to_owned(), source })?;
        authorities
            .add(certificate)
            .map_err(|source| BuildError::BadCertificate { path: path.to_owned(), source })?;
    }
    if authorities.is_empty() {
        return Err(BuildError::NoCertificate { path: path.to_owned() });
    }
    Ok(authorities)
}
