//! A small Vault: the part of the API the daemon uses, on plain HTTP, answered in the shape of OpenBao.

mod answers;
mod asked;
mod kv;
mod service;
#[cfg(test)]
mod tests;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::time::Instant;

use self::kv::Secrets;
use self::tokens::Tokens;
use super::SandboxError;
use super::http::Server;
use super::random::Unguessable;

/// A running small Vault with a KV version 2 mount at `secret/` and one AppRole. Clones are handles on the same
/// Vault; it ends, and forgets everything, at [`SmallVault::shutdown`] or when the last clone is dropped.
///
/// Paths are those below the mount (`stores/toys`, not `secret/data/stores/toys`), as they stand in a URL:
/// percent-encoding is not decoded. Token lifetimes follow tokio's clock. The root token is never counted, never
/// expires and is not subject to [`SmallVault::forbid`].
#[derive(Clone)]
pub struct SmallVault {
    server: Server,
    core: Arc<Core>,
}

/// Whose Vault it pretends to be, where the two differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Answers `detailed-metadata`.
    #[default]
    OpenBao,
    /// Answers 404 to `detailed-metadata`.
    HashiCorp,
}

impl SmallVault {
    /// Listens on a loopback address; port 0 takes a free one. It starts empty and unsealed, with tokens that live
    /// for an hour and can be renewed for 32 days.
    ///
    /// Fails when the address is refused or no random seed can be had; see [`SandboxError`].
    pub async fn start(listen: SocketAddr) -> Result<Self, SandboxError> {
        let core = Arc::new(Core::new()?);
        let server = Server::start(listen, None, Arc::clone(&core)).await?;
        Ok(Self { server, core })
    }

    /// Where it is reached: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The role ID of the one AppRole.
    #[must_use]
    pub fn role_id(&self) -> &str {
        &self.core.role_id
    }

    /// The secret ID of the one AppRole; it can be used any number of times.
    #[must_use]
    pub fn secret_id(&self) -> &str {
        &self.core.secret_id
    }

    /// A token that may do everything.
    #[must_use]
    pub fn root_token(&self) -> &str {
        &self.core.root_token
    }

    /// Writes a new version of a secret (an object of fields) and returns its number. Works while sealed.
    pub fn write(&self, path: &str, fields: Value) -> u64 {
        self.core.state().secrets.write(path, fields, SystemTime::now())
    }

    /// Deletes the newest version of a secret, as `DELETE` does; what was never written stays so.
    pub fn delete(&self, path: &str) {
        self.core.state().secrets.delete(path, SystemTime::now());
    }

    /// Answers every request with 503 `Vault is sealed` from now on.
    pub fn seal(&self) {
        self.core.state().sealed = true;
    }

    /// Answers normally again; tokens and secrets are as they were, but for the time that has passed.
    pub fn unseal(&self) {
        self.core.state().sealed = false;
    }

    /// Takes a path, and everything below it, from the policy of the AppRole: reading or writing it is answered
    /// with 403, while the token stays alive. An empty path stands for all.
    pub fn forbid(&self, path: &str) {
        self.core.state().forbidden.insert(kv::plain(path));
    }

    /// Undoes [`SmallVault::forbid`] of the same path.
    pub fn permit(&self, path: &str) {
        self.core.state().forbidden.remove(&kv::plain(path));
    }

    /// Ends all tokens from logging in, as an operator would.
    pub fn revoke_all_tokens(&self) {
        self.core.state().tokens.revoke_all();
    }

    /// How long tokens live from their next login or renewal on. The answers give whole seconds, rounded up; with
    /// zero, tokens are dead on arrival.
    pub fn set_token_ttl(&self, ttl: Duration) {
        self.core.state().tokens.ttl = ttl;
    }

    /// How long tokens of the next logins live at most, however often they are renewed.
    pub fn set_token_max_ttl(&self, max_ttl: Duration) {
        self.core.state().tokens.max_ttl = max_ttl;
    }

    /// Chooses whose Vault it pretends to be.
    pub fn set_flavour(&self, flavour: Flavour) {
        self.core.state().flavour = flavour;
    }

    /// How many requests have arrived, refused ones included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.core.requests.load(Ordering::Relaxed)
    }

    /// How many logins have succeeded.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.core.logins.load(Ordering::Relaxed)
    }

    /// How many tokens from logging in are neither expired nor revoked.
    #[must_use]
    pub fn live_tokens(&self) -> usize {
        self.core.state().tokens.live(Instant::now())
    }

    /// Ends the Vault for every clone of this handle: connections are cut, and new ones are refused.
    pub async fn shutdown(&self) {
        self.server.shutdown().await;
    }
}

/// Credentials, tokens and secrets are left out.
impl fmt::Debug for SmallVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmallVault").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// What the handles and the server share.
struct Core {
    random: Unguessable,
    role_id: String,
    secret_id: String,
    root_token: String,
    started: SystemTime,
    requests: AtomicU64,
    logins: AtomicU64,
    state: Mutex<State>,
}

struct State {
    sealed: bool,
    flavour: Flavour,
    forbidden: BTreeSet<String>,
    tokens: Tokens,
    secrets: Secrets,
}

impl Core {
    fn new() -> Result<Self, SandboxError> {
        let random = Unguessable::new()?;
        Ok(Self {
            role_id: random.uuid(),
            secret_id: random.uuid(),
            root_token: format!("s.{}", random.hex(24)),
            started: SystemTime::now(),
            requests: AtomicU64::new(0),
            logins: AtomicU64::new(0),
            state: Mutex::new(State {
                sealed: false,
                flavour: Flavour::default(),
                forbidden: BTreeSet::new(),
                tokens: Tokens::default(),
                secrets: Secrets::default(),
            }),
            random,
        })
    }

    /// A lock left by a panicking test still holds whole values, so it is used.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
