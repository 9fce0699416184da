//! TLS as `[vault.tls]` asks for it: whom to trust, who we are, and which name the server must have.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, ClientBuilder, Identity};
use url::Url;
use zeroize::Zeroizing;

use crate::config;
use crate::system::files::{Stamp, stamp};
use crate::system::names::Names;

use super::files;
use super::transport::BuildError;
use super::unreachable::NotResolved;

/// The largest file with certificates or a key, in bytes: ten times the usual system bundle.
const LIMIT: usize = 4 * 1024 * 1024;

/// Gives the client the roots and the client certificate.
///
/// `ca_file` and `ca_directory` are the only roots when they are given. A plain address needs none, and
/// then none are loaded: the system's bundle costs start-up time and memory.
pub(super) fn apply(
    mut client: ClientBuilder,
    address: &Url,
    tls: &config::Tls,
) -> Result<ClientBuilder, BuildError> {
    if address.scheme() != "https" {
        return Ok(client.tls_certs_only([]));
    }
    if tls.skip_verify {
        client = client.tls_danger_accept_invalid_certs(true);
    } else if tls.ca_file.is_some() || tls.ca_directory.is_some() {
        client = client.tls_certs_only(roots(tls)?);
    }
    if let Some((certificate, key)) = &tls.client {
        client = client.identity(identity(certificate, key)?);
    }
    Ok(client)
}

/// The address to ask for when the server's certificate has another name than its host: the address with
/// that name in it, to go with a [`Resolver`] that leads the name to the host.
pub(super) fn renamed(address: &Url, name: &str) -> Result<Url, BuildError> {
    let mut renamed = address.clone();
    let set = renamed.set_host(Some(name));
    // A resolver is never asked for an IP address, so the connection would go to that one.
    if set.is_err() || renamed.domain().is_none() {
        return Err(BuildError::ServerName);
    }
    Ok(renamed)
}

/// Resolves names with the system's resolver, one of them as if it were another.
pub(super) struct Resolver {
    pub(super) names: Names,
    /// The name that stands for the host, and the host.
    pub(super) alias: Option<(String, String)>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = match &self.alias {
            Some((alias, host)) if alias == name.as_str() => host.clone(),
            Some(_) | None => name.as_str().to_owned(),
        };
        let names = self.names.clone();
        Box::pin(async move {
            // The port comes from the URL.
            if let Ok(address) = host.parse::<IpAddr>() {
                return Ok(Box::new(std::iter::once(SocketAddr::new(address, 0))) as Addrs);
            }
            let found = names.look_up(host).await.map_err(NotResolved)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Where a file is, and what tells that it has changed.
pub(super) type FileStamp = (PathBuf, Option<Stamp>);

/// The stamps of all files that are named.
pub(super) fn stamps(tls: &config::Tls) -> Vec<FileStamp> {
    let mut files: Vec<PathBuf> = tls.ca_file.iter().cloned().collect();
    if let Some((certificate, key)) = &tls.client {
        files.extend([certificate.clone(), key.clone()]);
    }
    if let Some(directory) = &tls.ca_directory {
        // One that cannot be listed has no files; that it could be before is a change.
        files.extend(files_in(directory).unwrap_or_default());
    }
    files.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}

fn roots(tls: &config::Tls) -> Result<Vec<Certificate>, BuildError> {
    let mut roots = Vec::new();
    if let Some(file) = &tls.ca_file {
        let found = certificates(file)?;
        if found.is_empty() {
            return Err(BuildError::NoCertificate(file.clone()));
        }
        roots.extend(found);
    }
    if let Some(directory) = &tls.ca_directory {
        let before = roots.len();
        for file in files_in(directory)? {
            roots.extend(certificates(&file)?);
        }
        if roots.len() == before {
            return Err(BuildError::NoCertificate(directory.clone()));
        }
    }
    Ok(roots)
}

/// The files of a directory by name, without hidden ones: a mounted Kubernetes volume keeps its machinery there.
fn files_in(directory: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let unreadable = |source| BuildError::File { path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, BuildError> {
    let pem = file(path)?;
    Certificate::from_pem_bundle(&pem).map_err(|source| BuildError::Pem { path: path.to_owned(), source })
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, BuildError> {
    let (certificates, private) = (file(certificate)?, file(key)?);
    let mut pem = Zeroizing::new(Vec::with_capacity(certificates.len() + private.len() + 1));
    pem.extend_from_slice(&certificates);
    pem.push(b'\n');
    pem.extend_from_slice(&private);
    Identity::from_pem(&pem).map_err(|source| BuildError::ClientCertificate {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    })
}

fn file(path: &Path) -> Result<Zeroizing<Vec<u8>>, BuildError> {
    files::read(path, LIMIT).map_err(|source| BuildError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[tokio::test]
    async fn a_name_that_stands_for_the_host_is_looked_up_as_the_host() {
        let names = Names::by(1, |host| match host {
            "vault.internal" => Ok(vec![SocketAddr::from(([192, 0, 2, 1], 0))]),
            _ => Err(io::Error::other("another name")),
        });
        let resolver = Resolver { names, alias: Some(("vault.test".into(), "vault.internal".into())) };
        for (name, found) in [("vault.test", true), ("vault.internal", true), ("other.test", false)] {
            assert_eq!(resolver.resolve(name.parse().unwrap()).await.is_ok(), found, "{name}");
        }
    }
}
