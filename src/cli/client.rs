//! Asking the running daemon: through its control socket, or at the address of its listener.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::{Client, Method, Response, StatusCode, redirect, retry};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::config::{Config, ConfigError, Environment};
use crate::system::http::{ClientError, authorities};
use crate::system::socket_path::SocketPath;
use crate::system::{crypto, short_file};

use super::{DEFAULT_CONFIG, Exit, runtime, unreachable};

/// Longer than the daemon's loop may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Ten thousand incidents are some 20 MB.
const LONGEST_ANSWER: usize = 64 << 20;

/// Where the running daemon is.
#[derive(Args, Debug)]
pub(super) struct Daemon {
    /// The configuration of the running daemon: it says where the control socket is
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// The control socket, whatever the configuration says
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Where the running daemon, or what it lets everybody see, is to be asked.
#[derive(Args, Debug)]
pub(super) struct Asked {
    #[command(flatten)]
    daemon: Daemon,
    /// Ask the HTTP listener at this address instead, such as http://127.0.0.1:9847
    #[arg(long, value_name = "URL", conflicts_with = "socket")]
    url: Option<String>,
    /// With --url: the file with the listener's token, which http.token_file of the daemon names
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
    /// With --url: a PEM file with the authorities to trust, instead of the system's
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
}

impl Asked {
    /// The daemon behind a socket.
    #[cfg(test)]
    pub(super) fn at(socket: PathBuf) -> Self {
        Self { daemon: Daemon::at(socket), url: None, token_file: None, ca_file: None }
    }

    /// The line to it. Nothing is sent yet.
    pub(super) fn line(&self, environment: &Environment) -> Result<Line, AskError> {
        match &self.url {
            Some(url) => Line::by_url(url, self.token_file.as_deref(), self.ca_file.as_deref()),
            None => self.daemon.by_socket(environment, "; ask the HTTP listener with --url"),
        }
    }
}

/// Why the daemon has not done what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(transparent)]
    Config(ConfigError),
    #[error("the configuration says that there is no control socket: control.socket is \"off\"{0}")]
    NoSocket(&'static str),
    #[error("{0} is no address of a daemon: write it as http://HOST:PORT")]
    Address(String),
    #[error(
        "--url names a user or a password, which others on this host see in the list of processes: leave it out, and \
         name a file with the listener's token with --token-file"
    )]
    Password,
    #[error("no daemon answers at {place}: {why}")]
    NoDaemon { place: String, why: String },
    #[error("{0}")]
    Refused(String),
    #[error("the daemon at {place} gave an answer that cannot be read ({why}): is it of this version?")]
    Strange { place: String, why: String },
    #[error("{0} is not on this host, and over http:// the token could be read on the way: write https://")]
    Exposed(String),
    #[error("the token in {} cannot be used: {why}", path.display())]
    Token { path: PathBuf, why: String },
    #[error(
        "the daemon at {0} wants a token: name with --token-file the file that http.token_file of its configuration \
         names"
    )]
    NoToken(String),
    #[error(
        "the daemon at {place} does not take the token in {}: is it the one that http.token_file of its configuration \
         names?",
        path.display()
    )]
    WrongToken { place: String, path: PathBuf },
    #[error(transparent)]
    Authorities(ClientError),
    #[error("cannot prepare the connection to the daemon")]
    Client(#[source] reqwest::Error),
    #[error("cannot start")]
    Runtime(#[source] io::Error),
}

impl AskError {
    /// Somebody wants to know of a store that there is none of.
    pub(super) fn no_store(name: &str) -> Self {
        let name = super::output::plain(name);
        Self::Refused(format!("the daemon has no store {name}; `bc-secrets-sync status` lists them"))
    }

    pub(super) const fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::NoSocket(_)
            | Self::Address(_)
            | Self::Password
            | Self::Refused(_)
            | Self::Exposed(_)
            | Self::Token { .. }
            | Self::NoToken(_)
            | Self::WrongToken { .. }
            | Self::Authorities(_) => Exit::Usage,
            Self::NoDaemon { .. } | Self::Strange { .. } => Exit::NoDaemon,
            Self::Client(_) | Self::Runtime(_) => Exit::Internal,
        }
    }
}

/// A connection to be made.
pub(super) struct Line {
    client: Client,
    base: Url,
    place: String,
    /// What the listener wants, and where it was.
    token: Option<(Zeroizing<String>, PathBuf)>,
    /// What the socket's path may lead through is open until the end.
    _socket: Option<SocketPath>,
}

impl Daemon {
    #[cfg(test)]
    fn at(socket: PathBuf) -> Self {
        Self { config: PathBuf::new(), socket: Some(socket) }
    }

    /// The control socket. Nothing is sent yet.
    pub(super) fn by_socket(
        &self,
        environment: &Environment,
        otherwise: &'static str,
    ) -> Result<Line, AskError> {
        let path = match &self.socket {
            Some(path) => path.clone(),
            None => Config::control_socket(&self.config, environment)
                .map_err(AskError::Config)?
                .ok_or(AskError::NoSocket(otherwise))?,
        };
        let place = path.display().to_string();
        let short = SocketPath::of(&path)
            .map_err(|error| AskError::NoDaemon { place: place.clone(), why: unreachable::io(&error) })?;
        let base = address("http://localhost")?;
        Line::new(base, place, Some(short), None)
    }
}

fn address(text: &str) -> Result<Url, AskError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    // What it is must not be shown, and must not go where a token from a file would not.
    if text.contains('@') {
        return Err(AskError::Password);
    }
    url.ok_or_else(|| AskError::Address(text.to_owned()))
}

fn token(path: &Path) -> Result<Zeroizing<String>, AskError> {
    let refused = |why: String| AskError::Token { path: path.to_owned(), why };
    let text = short_file::read(path).map_err(|error| refused(error.to_string()))?;
    let token = Zeroizing::new(text.trim_ascii().to_owned());
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused("it must hold one word of plain letters, digits and signs".to_owned()));
    }
    Ok(token)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Waits for an answer, and for nothing that hangs in the system's resolver when nobody waits for that any more.
pub(super) fn wait<T>(asking: impl Future<Output = Result<T, AskError>>) -> Result<T, AskError> {
    let runtime = runtime(2).map_err(AskError::Runtime)?;
    let answer = runtime.block_on(asking);
    runtime.shutdown_background();
    answer
}

impl Line {
    /// The listener at an address. Nothing is sent yet.
    fn by_url(url: &str, token_file: Option<&Path>, ca_file: Option<&Path>) -> Result<Self, AskError> {
        let base = address(url)?;
        let token = match token_file {
            Some(_) if base.scheme() == "http" && !is_loopback(&base) => {
                return Err(AskError::Exposed(url.to_owned()));
            }
            Some(path) => Some((token(path)?, path.to_owned())),
            None => None,
        };
        let line = Self::new(base, url.to_owned(), None, ca_file)?;
        Ok(Self { token, ..line })
    }

    fn new(
        base: Url,
        place: String,
        socket: Option<SocketPath>,
        ca_file: Option<&Path>,
    ) -> Result<Self, AskError> {
        crypto::choose();
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .http1_only()
            .timeout(LIMIT);
        if base.scheme() == "http" {
            // Nothing to verify, so the system's authorities need not be there.
            builder = builder.tls_certs_only([]);
        } else if let Some(path) = ca_file {
            builder = builder.tls_certs_only(authorities(path).map_err(AskError::Authorities)?);
        }
        if let Some(socket) = &socket {
            builder = builder.unix_socket(socket.as_path());
        }
        let client = builder.build().map_err(AskError::Client)?;
        Ok(Self { client, base, place, token: None, _socket: socket })
    }

    /// Asks for something, and reads the answer as JSON.
    pub(super) async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: Option<String>,
    ) -> Result<T, AskError> {
        let bytes = self.ask_bytes(method, path, body).await?;
        self.parse(&bytes)
    }

    /// Asks for something, and gives the answer as it came.
    pub(super) async fn ask_bytes(
        &self,
        method: Method,
        path: &[&str],
        body: Option<String>,
    ) -> Result<Vec<u8>, AskError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self.client.request(method, url);
        let request = match body {
            Some(body) => request.body(body),
            None => request,
        };
        let request = match &self.token {
            Some((token, _)) => request.bearer_auth(token.as_str()),
            None => request,
        };
        let mut answer = request.send().await.map_err(|error| self.unreachable(error))?;
        let bytes = self.read(&mut answer).await?;
        match answer.status() {
            status if status.is_success() => Ok(bytes),
            StatusCode::SERVICE_UNAVAILABLE => {
                Err(AskError::NoDaemon { place: self.place.clone(), why: text(&bytes) })
            }
            StatusCode::UNAUTHORIZED => Err(match &self.token {
                Some((_, path)) => AskError::WrongToken { place: self.place.clone(), path: path.clone() },
                None => AskError::NoToken(self.place.clone()),
            }),
            status if status.is_client_error() => Err(AskError::Refused(text(&bytes))),
            status => Err(self.strange(format!("status {status}"))),
        }
    }

    /// Reads an answer as JSON.
    pub(super) fn parse<T: serde::de::DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, AskError> {
        serde_json::from_slice(bytes).map_err(|error| self.strange(format!("line {}: {error}", error.line())))
    }

    async fn read(&self, answer: &mut Response) -> Result<Vec<u8>, AskError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(error))? {
            if bytes.len() + chunk.len() > LONGEST_ANSWER {
                return Err(self.strange(format!("more than {LONGEST_ANSWER} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn strange(&self, why: String) -> AskError {
        AskError::Strange { place: self.place.clone(), why }
    }

    fn unreachable(&self, error: reqwest::Error) -> AskError {
        let place = self.place.clone();
        if error.is_timeout() {
            let why = format!("it has not answered within {} s; its log may say why", LIMIT.as_secs());
            return AskError::NoDaemon { place, why };
        }
        let why = unreachable::words(error);
        AskError::NoDaemon { place, why }
    }
}

/// An answer in words, as far as a terminal should show it.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(2000)).unwrap_or_default());
    super::output::plain(text.trim_end())
}

/// The identifier of an incident or its beginning: nothing else leads anywhere.
pub(super) fn incident_id(text: &str) -> Result<String, &'static str> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_' | b'.');
    let is_good = text.bytes().all(good) && text.contains(|letter| letter != '.');
    is_good
        .then(|| text.to_owned())
        .ok_or("this is no ID of an incident; `bc-secrets-sync incidents` lists them")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_lookup_that_hangs_does_not_hold_up_who_has_an_answer() {
        let (gate, opened) = mpsc::channel::<()>();
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            let answer = wait(async {
                tokio::task::spawn_blocking(move || opened.recv());
                tokio::task::yield_now().await;
                Ok(7)
            });
            sender.send(answer.unwrap()).unwrap();
        });
        assert_eq!(answers.recv_timeout(Duration::from_secs(20)), Ok(7));
        drop(gate);
    }

    #[test]
    fn only_what_may_be_an_id_is_taken() {
        for good in ["acme:bad_write:1795419156849", "a", "A-b_c.D:"] {
            assert!(incident_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "a?b", "\u{f6}"] {
            assert!(incident_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_of_http() {
        let by_url = |url| Line::by_url(url, None, None);
        assert!(by_url("http://127.0.0.1:9847").is_ok());
        for bad in ["127.0.0.1:9847", "ftp://a/", "unix:/a", "http://"] {
            assert!(matches!(by_url(bad), Err(AskError::Address(_))), "{bad}");
        }
        for bad in ["http://me:c0ffee@host.example", "https://c0ffee@127.0.0.1", "me:c0ffee@host.example:1"] {
            let refused = by_url(bad).map(drop).unwrap_err().to_string();
            assert!(refused.contains("--token-file") && !refused.contains("c0ffee"), "{refused}");
        }
    }

    #[test]
    fn a_token_stays_on_this_host_or_goes_over_tls() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let by_url = |url| Line::by_url(url, Some(&file), None).map(drop);
        let missing = by_url("http://localhost:9847").unwrap_err();
        assert!(missing.to_string().contains("cannot be used: it cannot be read"), "{missing}");
        std::fs::write(&file, "two words").unwrap();
        assert!(matches!(by_url("http://localhost:9847"), Err(AskError::Token { .. })));
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        for good in ["http://localhost:9847", "http://127.0.0.1:1", "http://[::1]:1", "https://host.example"]
        {
            assert!(by_url(good).is_ok(), "{good}");
        }
        for bad in ["http://host.example", "http://10.0.0.1:9847", "http://localhost.example"] {
            assert!(matches!(by_url(bad), Err(AskError::Exposed(_))), "{bad}");
        }
    }

    #[tokio::test]
    async fn who_is_not_there_is_said_with_advice() {
        let directory = tempfile::tempdir().unwrap();
        let daemon = Daemon::at(directory.path().join("control.sock"));
        let ask = async || {
            let line = daemon.by_socket(&Environment::empty(), "").unwrap();
            line.ask::<u8>(Method::GET, &["v1", "incidents"], None).await.unwrap_err()
        };
        let error = ask().await;
        assert!(error.to_string().contains("there is no such socket; start the daemon"), "{error}");
        assert_eq!(error.exit(), Exit::NoDaemon);
        drop(std::os::unix::net::UnixListener::bind(directory.path().join("control.sock")).unwrap());
        let error = ask().await;
        assert!(error.to_string().contains("nobody listens there"), "{error}");
    }
}
