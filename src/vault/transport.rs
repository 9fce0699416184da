//! Sends one request to the server and takes its answer whole, bounded in time and size.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::body::Bytes;
use reqwest::Proxy;
use reqwest::redirect::Policy;
use rustify::endpoint::Endpoint;
use tokio::time;
use url::Url;
use zeroize::Zeroizing;

use crate::config;
use crate::domain::source::SourceFault;
use crate::system::blocking::Turns;
use crate::system::{crypto, errors, names};

use super::answer::{self, Answer};
use super::login::Token;
use super::{tls, unreachable};

/// The longest answer, in bytes. Those that are asked for here have a few thousand.
pub(super) const MAX_ANSWER: usize = 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the usual 60 seconds after which load balancers close an idle connection without a word.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");
/// An Agent or Proxy with a cache puts this into its answers.
const CACHE: HeaderName = HeaderName::from_static("x-cache");

/// Where endpoints are asked for their path and body. They join a base with a path prefix wrongly, so they
/// never see the real address.
const NO_BASE: &str = "http://vault/";

/// Why the connection to the source cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file or directory with certificates or a key cannot be read.
    #[error("cannot read {}; check [vault.tls]", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds broken PEM.
    #[error("{} is not valid PEM; check [vault.tls]", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: reqwest::Error,
    },
    /// There is no certificate where the authorities should be.
    #[error("{} holds no certificate in PEM; check vault.tls.ca_file and vault.tls.ca_directory", .0.display())]
    NoCertificate(PathBuf),
    /// The client certificate or its key cannot be used.
    #[error(
        "{} and {} are no client certificate and its key, both in PEM and without a passphrase",
        certificate.display(), key.display()
    )]
    ClientCertificate {
        /// File with the certificate.
        certificate: PathBuf,
        /// File with the key.
        key: PathBuf,
        /// Why.
        source: reqwest::Error,
    },
    /// `vault.tls.server_name` is no host name.
    #[error("vault.tls.server_name must be a host name, not an IP address")]
    ServerName,
    /// `vault.address` is no base address.
    #[error("vault.address must be http://HOST[:PORT] or https://HOST[:PORT], with a path prefix at most")]
    Address,
    /// `vault.namespace` cannot be sent in a header.
    #[error("vault.namespace must be visible ASCII characters only")]
    Namespace,
    /// The system has no authorities.
    #[error(
        "the system has no usable certificate authorities; give vault.tls.ca_file or install ca-certificates"
    )]
    NoSystemAuthorities(#[source] reqwest::Error),
    /// `vault.proxy` cannot be used.
    #[error("vault.proxy must be http://HOST:PORT")]
    Proxy(#[source] reqwest::Error),
    /// The parts do not fit together.
    #[error(
        "TLS cannot be set up: check that the key belongs to the client certificate and that the authorities \
         can be used (without vault.tls.ca_file, ca-certificates must be installed)"
    )]
    Tls(#[source] reqwest::Error),
}

/// A client for one server.
pub(super) struct Transport {
    client: Mutex<Current>,
    recipe: Arc<Recipe>,
    address: String,
    /// However often they are looked for, files on a disk that hangs take one thread.
    looks: Turns,
}

/// The client in use, and the files that it was made from.
struct Current {
    client: reqwest::Client,
    files: Vec<tls::FileStamp>,
}

/// What a client is made from, again when the files that `tls` names have changed.
struct Recipe {
    base: Url,
    /// The socket that is connected to, instead of the base's host.
    socket: Option<PathBuf>,
    proxy: Option<Url>,
    headers: HeaderMap,
    /// The name that stands for the host, and the host.
    alias: Option<(String, String)>,
    timeout: Duration,
    concurrency: usize,
    tls: config::Tls,
}

impl Recipe {
    /// Makes a client that follows no redirect, takes no proxy but the configured one (`HTTPS_PROXY` is not
    /// honoured), keeps no cookies and speaks HTTP/1 only.
    fn client(&self) -> Result<reqwest::Client, BuildError> {
        let mut client = reqwest::Client::builder()
            .user_agent(concat!("bc-secrets-sync/", env!("CARGO_PKG_VERSION")))
            .default_headers(self.headers.clone())
            .redirect(Policy::none())
            .no_proxy()
            .http1_only()
            .timeout(self.timeout)
            .connect_timeout(self.timeout.min(CONNECT_TIMEOUT))
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(self.concurrency.max(1))
            .dns_resolver(tls::Resolver { names: names::VAULT.clone(), alias: self.alias.clone() });
        if let Some(socket) = &self.socket {
            client = client.unix_socket(socket.as_path());
        }
        if let Some(proxy) = &self.proxy {
            client = client.proxy(Proxy::https(proxy.as_str()).map_err(BuildError::Proxy)?);
        }
        let client = tls::apply(client, &self.base, &self.tls)?;
        let system = self.tls.ca_file.is_none() && self.tls.ca_directory.is_none();
        client.build().map_err(|error| match &self.tls.client {
            None if system => BuildError::NoSystemAuthorities(error),
            None | Some(_) => BuildError::Tls(error),
        })
    }

    /// The files as they are now; none are read for an address without TLS.
    fn files(&self) -> Vec<tls::FileStamp> {
        if self.base.scheme() == "https" { tls::stamps(&self.tls) } else { Vec::new() }
    }
}

impl Transport {
    /// Prepares the client. Nothing is sent.
    pub(super) fn new(config: &config::Vault) -> Result<Self, BuildError> {
        crypto::choose();
        let (mut base, mut socket) = (config.address.clone(), None);
        if base.scheme() == "unix" {
            socket = Some(PathBuf::from(base.path()));
            base = Url::parse("http://localhost").map_err(|_| BuildError::Address)?;
        }
        base = shown(&base)?;
        let address = socket.as_ref().map_or_else(
            || base.as_str().trim_end_matches('/').to_owned(),
            |socket| format!("unix://{}", socket.display()),
        );
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST, HeaderValue::from_static("true"));
        if let Some(namespace) = &config.namespace {
            let namespace = HeaderValue::from_str(namespace).map_err(|_| BuildError::Namespace)?;
            headers.insert(NAMESPACE, namespace);
        }
        let mut alias = None;
        if let Some(name) = config.tls.server_name.as_deref().filter(|_| base.scheme() == "https") {
            let renamed = tls::renamed(&base, name)?;
            headers.insert(HOST, authority(&base)?);
            alias = renamed.domain().map(str::to_owned).zip(host(&base));
            base = renamed;
        }
        let (timeout, concurrency, tls) = (config.timeout, config.concurrency, config.tls.clone());
        let recipe =
            Recipe { base, socket, proxy: config.proxy.clone(), headers, alias, timeout, concurrency, tls };
        // Before they are read: what changes meanwhile is then seen as a change.
        let files = recipe.files();
        let client = Mutex::new(Current { client: recipe.client()?, files });
        Ok(Self { client, recipe: Arc::new(recipe), address, looks: Turns::new(1) })
    }

    /// Makes the client anew if the files that it was made from have changed. The one in use stays when they
    /// cannot be used, or read in time.
    pub(super) async fn refresh(&self) {
        let (recipe, known) = (Arc::clone(&self.recipe), self.current().files.clone());
        if recipe.base.scheme() != "https" {
            return;
        }
        let before = known.clone();
        let looking = self.looks.run(move || {
            let files = recipe.files();
            (files != before).then(|| (recipe.client(), files))
        });
        let Ok(Some((made, files))) = time::timeout(self.recipe.timeout, looking).await else { return };
        let mut current = self.current();
        if current.files != known {
            // Somebody else has seen the change meanwhile, and said so.
            return;
        }
        // Also where they are of no use: that is said once for each change.
        current.files = files;
        match made {
            Ok(client) => {
                current.client = client;
                tracing::info!("the files of [vault.tls] have changed, and are used from now on");
            }
            Err(error) => tracing::warn!(
                "the files of [vault.tls] have changed and cannot be used; the former ones stay in use: {}",
                errors::chain(&error)
            ),
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // The lock is held for assignments and clones: a poisoned one still holds whole values.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address without anything that must not be shown.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Whether what we log in for may be used by others too, since an Agent or Proxy on this host stands between.
    pub(super) fn is_shared(&self) -> bool {
        self.recipe.socket.is_some()
    }

    /// Sends a request for a token. When no answer comes, it is told whether there may be a token all the same.
    pub(super) async fn send_log_in<E: Endpoint>(&self, endpoint: &E) -> Result<Answer, SourceFault> {
        self.ask(endpoint, None).await.map_err(|unanswered| match unanswered {
            Unanswered { fault: SourceFault::Unreachable(words), was_sent: true } => SourceFault::Lost(words),
            Unanswered { fault, .. } => fault,
        })
    }

    /// Sends a request and returns the answer, whatever its status.
    pub(super) async fn send<E: Endpoint>(
        &self,
        endpoint: &E,
        token: Option<&Token>,
    ) -> Result<Answer, SourceFault> {
        self.ask(endpoint, token).await.map_err(|unanswered| unanswered.fault)
    }

    async fn ask<E: Endpoint>(&self, endpoint: &E, token: Option<&Token>) -> Result<Answer, Unanswered> {
        let (parts, body) = endpoint.request(NO_BASE).map_err(|_| unbuilt())?.into_parts();
        let mut url = self.recipe.base.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/v1{}", parts.uri.path()));
        url.set_query(parts.uri.query().filter(|query| !query.is_empty()));
        let client = self.current().client.clone();
        let mut request = client.request(parts.method, url);
        if let Some(token) = token {
            request = request.header(TOKEN, token.header());
        }
        if !body.is_empty() {
            // The bytes hold the secret ID at a log-in: wiped when the request is done with them.
            let body = Bytes::from_owner(Zeroizing::new(body));
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let answer = match request.send().await {
            Ok(response) => receive(response).await,
            Err(error) => Err(unanswered(error)),
        };
        if matches!(answer, Err(Unanswered { fault: SourceFault::Unreachable(_), .. })) {
            // Their certificate or ours may have been replaced: the next request is made with what is there now.
            self.refresh().await;
        }
        answer
    }
}

/// A mount or a path as an endpoint can take it: no slash at its ends and no segment that would lead
/// elsewhere once it is part of an address.
pub(super) fn path(text: &str) -> Result<String, SourceFault> {
    let text = text.trim_matches('/');
    let astray = |segment: &str| {
        matches!(segment, "" | "." | "..") || segment.chars().any(|character| character.is_ascii_control())
    };
    if text.split('/').any(astray) {
        return Err(SourceFault::Malformed(
            "the mount or path has an empty segment, '.', '..' or a control character in it; check the configuration".into(),
        ));
    }
    Ok(text.to_owned())
}

/// Why there is no answer.
struct Unanswered {
    fault: SourceFault,
    /// The server may have done what it was asked.
    was_sent: bool,
}

async fn receive(mut response: reqwest::Response) -> Result<Answer, Unanswered> {
    let status = response.status().as_u16();
    let pause = pause(response.headers());
    let cached = response.headers().contains_key(CACHE);
    let mut body = Zeroizing::new(Vec::with_capacity(4096));
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        let length = body.len() + chunk.len();
        if length > MAX_ANSWER {
            let fault = SourceFault::Malformed(format!(
                "status {status} with more than {MAX_ANSWER} bytes, more than is expected here; check vault.address and the secret's size"
            ));
            return Err(Unanswered { fault, was_sent: true });
        }
        if length > body.capacity() {
            // Grown by hand, so that the outgrown copy is wiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(length.next_power_of_two()));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body, pause, cached })
}

/// For how long the server asks to be left alone. Vault says it in seconds; what is no such number is passed over.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: u64 = digits.then(|| text.parse().ok()).flatten()?;
    (seconds > 0).then(|| answer::seconds(seconds))
}

fn shown(address: &Url) -> Result<Url, BuildError> {
    let mut address = address.clone();
    if !matches!(address.scheme(), "http" | "https") || address.host().is_none() {
        return Err(BuildError::Address);
    }
    let cleared = address.set_username("").and_then(|()| address.set_password(None));
    cleared.map_err(|()| BuildError::Address)?;
    address.set_query(None);
    address.set_fragment(None);
    Ok(address)
}

fn authority(address: &Url) -> Result<HeaderValue, BuildError> {
    let host = address.host_str().ok_or(BuildError::Address)?;
    let authority = match address.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::from_str(&authority).map_err(|_| BuildError::Address)
}

/// The host as a resolver takes it: an IPv6 address without its brackets.
fn host(address: &Url) -> Option<String> {
    let host = address.host_str()?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn unanswered(error: reqwest::Error) -> Unanswered {
    let fault = SourceFault::Unreachable(unreachable::words(&error));
    Unanswered { fault, was_sent: !error.is_connect() && !error.is_builder() }
}

fn unbuilt() -> Unanswered {
    let words = "the request could not be built; check vault.address and the store's mount and path";
    Unanswered { fault: SourceFault::Malformed(words.into()), was_sent: false }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_look_that_hangs_takes_one_thread_and_the_next_one_is_made_when_it_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, "one").unwrap();
        // Not read where nothing is verified, but looked at.
        let tls = config::Tls { ca_file: Some(file.clone()), skip_verify: true, ..config::Tls::default() };
        let transport = Transport::new(&config::Vault {
            address: "https://127.0.0.1:1".parse().unwrap(),
            proxy: None,
            namespace: None,
            timeout: Duration::from_millis(20),
            poll_interval: Duration::from_secs(30),
            concurrency: 2,
            revoke_token_on_exit: true,
            tls,
            auth: config::Auth::TokenFile(PathBuf::new()),
        })
        .unwrap();
        let known = transport.current().files.clone();
        let (gate, opened) = mpsc::channel::<()>();
        // Given up at once, and still under way until the gate is dropped.
        let hung = time::timeout(Duration::ZERO, transport.looks.run(move || opened.recv())).await;
        assert!(hung.is_err());
        std::fs::write(&file, "another").unwrap();
        transport.refresh().await;
        assert_eq!(transport.current().files, known, "another thread has looked");
        drop(gate);
        let seen = async {
            while transport.current().files == known {
                transport.refresh().await;
            }
        };
        time::timeout(Duration::from_secs(20), seen).await.unwrap();
    }
}
