//! Configuration: TOML into checked types, refused with file, line and key.
//!
//! [`Config::load`] is the border: what it gives is right in itself. [`preflight()`] then asks the machine
//! whether the files and directories can be used. Both tell of all problems at once and never of a value.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use crate::domain::publication::Output;

use crate::domain::credentials::{FieldNames, HostPolicy, StoreName};
use crate::domain::discovery::{Discovered, Discovery};
use crate::domain::engine::OnRejection;
use crate::domain::secret::Secret;
use crate::domain::source::SecretLocation;
use crate::domain::version::KvVersion;

mod accounts;
mod acknowledge;
mod alerts;
mod auth;
mod channels;
mod checker;
mod control;
mod directories;
mod discover;
mod environment;
mod error;
mod files;
mod hardening;
mod hooks;
mod http;
mod kubernetes;
mod locate;
mod locations;
mod named_files;
mod parse;
mod preflight;
mod raw;
mod read;
mod reload;
mod sections;
mod spelling;
mod stores;
mod value;
mod vault;

pub use alerts::{AlertCommand, Alertmanager, Alerts, Kubernetes, PagerDuty, Regarding, Slack, Webhook};
pub use environment::Environment;
pub use error::{ConfigError, Place, Problem};
pub use files::{BuiltIn, Escape, Files, Format, OutputFile};
pub use hardening::{GO_ON_WITHOUT, Hardening, Measure};
pub use http::{Http, Open, ServerTls};
pub use named_files::{MAX_TEMPLATE_SIZE, NamedFile, lists_of_files, named_files, reloads};
pub use parse::MAX_FILE_SIZE;
pub use preflight::preflight;
pub use reload::{Hook, HookRequest, Method, Reload, ReloadSignal, Target};
pub use sections::LEVELS;

/// A whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// Where the credentials come from.
    pub vault: Vault,
    /// How they are checked.
    pub check: Check,
    /// Where they are published.
    pub output: Output,
    /// The files of stores that have none of their own.
    pub files: Arc<Files>,
    /// Where the daemon keeps what must survive a restart.
    pub state: State,
    /// The listener for probes, metrics and status.
    pub http: Http,
    /// The socket for commands to the running daemon.
    pub control: Control,
    /// What the daemon gives up at its start.
    pub hardening: Hardening,
    /// What is logged, and how.
    pub log: Log,
    /// Who is told of incidents.
    pub alerts: Alerts,
    /// The stores, no two with one name: those that are configured, then those that were discovered.
    pub stores: Vec<Store>,
    /// Where stores are discovered.
    pub discover: Vec<Discover>,
}

/// `[[discover]]`: each secret of a folder is a store.
#[derive(Debug)]
pub struct Discover {
    /// Which folder, and which of its secrets.
    pub discovery: Discovery,
    /// Names of the fields in the secrets.
    pub fields: FieldNames,
    /// What becomes of a published set when its rejection is confirmed.
    pub on_rejection: OnRejection,
    /// The files that each store is published in.
    pub files: Arc<Files>,
    /// How apps are told of a new generation; none: they find out by themselves.
    pub reload: Option<Reload>,
}

/// `[vault]`: the source.
#[derive(Debug)]
pub struct Vault {
    /// Base address, without `/v1`. Plain HTTP only on loopback unless allowed; `unix:` is the socket of an agent
    /// or proxy on this host.
    pub address: Url,
    /// The HTTP proxy on the way to an `https` address.
    pub proxy: Option<Url>,
    /// Namespace, sent with each request.
    pub namespace: Option<String>,
    /// Limit of one request.
    pub timeout: Duration,
    /// How often each secret is read to look for a new version.
    pub poll_interval: Duration,
    /// How many reads run at once.
    pub concurrency: usize,
    /// Whether the daemon's own token is revoked when it stops. Never one that was given to it.
    pub revoke_token_on_exit: bool,
    /// TLS.
    pub tls: Tls,
    /// How to log in.
    pub auth: Auth,
}

/// `[vault.tls]`.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// PEM file with the only authorities to trust; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// Directory of such PEM files.
    pub ca_directory: Option<PathBuf>,
    /// Client certificate and key, both PEM.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Name that the server's certificate must have, when it is not the address's host.
    pub server_name: Option<String>,
    /// Whether certificates are not verified at all. Only through `VAULT_SKIP_VERIFY`.
    pub skip_verify: bool,
}

/// How to log in.
#[derive(Debug)]
pub enum Auth {
    /// A token that somebody else renews or not: the file is read again when the token stops working.
    TokenFile(PathBuf),
    /// A token from `BAO_TOKEN` or `VAULT_TOKEN`.
    Token(Secret),
    /// AppRole.
    AppRole {
        /// Path of the auth method.
        mount: String,
        /// File with the role ID.
        role_id_file: PathBuf,
        /// File with the secret ID, or with the token that it is wrapped in.
        secret_id_file: PathBuf,
        /// Where the wrapping token must have been made, if the secret ID is wrapped.
        wrapping_path: Option<String>,
    },
    /// The token of a Kubernetes service account, or another JSON Web Token: both are sent alike.
    Jwt {
        /// Path of the auth method.
        mount: String,
        /// The role; none: the method's default role.
        role: Option<String>,
        /// File with the token.
        token_file: PathBuf,
    },
    /// The client certificate of `[vault.tls]`.
    Certificate {
        /// Path of the auth method.
        mount: String,
        /// The role; none: whichever one the certificate fits.
        role: Option<String>,
    },
    /// Username and password.
    Userpass {
        /// Path of the auth method.
        mount: String,
        /// The user.
        username: String,
        /// File with the password.
        password_file: PathBuf,
    },
}

/// `[check]`: how credentials are checked against their store.
#[derive(Clone, Debug)]
pub struct Check {
    /// How often the published credentials are checked.
    pub interval: Duration,
    /// Limit of one probe.
    pub timeout: Duration,
    /// How many rejections in a row confirm that credentials are rejected.
    pub confirmations: u32,
    /// How far apart those probes are.
    pub confirmation_spacing: Duration,
    /// How long nobody may be able to tell before that is an incident of its own.
    pub stale_after: Duration,
    /// How long before a store's certificate expires somebody is warned; none: nobody is.
    pub certificate_warning: Option<Duration>,
    /// How many probes run at once.
    pub concurrency: usize,
    /// Which hosts an API Path may name.
    pub hosts: HostPolicy,
    /// PEM file with the only authorities to trust; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether only accepted credentials are published.
    pub verify_before_publish: bool,
}

/// `[state]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The directory for incidents, undelivered messages and the key of the fingerprints.
    pub directory: PathBuf,
}

/// `[control]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Where the control socket is; none: there is none.
    pub socket: Option<PathBuf>,
}

/// `[log]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least serious level that is written.
    pub level: tracing::Level,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The journal under systemd, for people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
    /// Entries of systemd's journal, with fields.
    Journal,
}

/// `[[stores]]`: one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Its name; also that of its directory.
    pub name: StoreName,
    /// Mount of the KV engine.
    pub mount: String,
    /// The engine's version; none: the mount is asked.
    pub kv_version: Option<KvVersion>,
    /// Path of the secret below the mount.
    pub path: String,
    /// The version of the secret that is used; none: the newest.
    pub version: Option<u64>,
    /// Names of the fields in the secret.
    pub fields: FieldNames,
    /// What becomes of its published set when its rejection is confirmed.
    pub on_rejection: OnRejection,
    /// The files that it is published in.
    pub files: Arc<Files>,
    /// How its app is told of a new generation; none: it finds out by itself.
    pub reload: Option<Reload>,
    /// How its app acknowledges generations; none: it does not.
    pub acknowledge: Option<Acknowledge>,
    /// It was discovered; none: it is configured by its name.
    pub discovered: Option<Discovered>,
}

impl Store {
    /// Where its secret is.
    #[must_use]
    pub fn location(&self) -> SecretLocation {
        SecretLocation {
            mount: self.mount.clone(),
            path: self.path.clone(),
            fields: self.fields.clone(),
            pinned: self.version,
            kv_version: self.kv_version,
        }
    }
}

/// `[stores.acknowledge]`: an app says which generation it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledge {
    /// The file by which it does; none: only by a request.
    pub file: Option<PathBuf>,
    /// How long after a publication it may say nothing before that is an incident; none: for ever.
    pub within: Option<Duration>,
}

#[cfg(test)]
mod tests;
