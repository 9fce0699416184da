//! A simulated BigCommerce: many stores behind one HTTPS address, whose accounts tests and the demo control.

mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::SandboxError;
use super::authority::{Authority, ShownCertificate};
use super::http::Server;
use super::random::Unguessable;

/// How many hexadecimal digits a token has, as on most real accounts.
const TOKEN_DIGITS: usize = 40;

/// A running simulation of BigCommerce's Legacy API. Clones are handles on the same simulation; it ends at
/// [`SimulatedBigCommerce::shutdown`] or when the last clone is dropped.
///
/// A store comes into being with its first account or behaviour. Its accounts are separate, as on the real
/// platform: a new one leaves the others alive. Store names become one segment of a URL path, as they are.
#[derive(Clone)]
pub struct SimulatedBigCommerce {
    server: Server,
    platform: Arc<Platform>,
    certificate: ShownCertificate,
    names: Arc<[String]>,
}

/// The three values of a Legacy API account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's name within its store.
    pub username: String,
    /// The account's secret.
    pub api_token: String,
    /// The base of all API addresses of the store, ending in `/api/v2/`.
    pub api_path: String,
}

/// How a store answers, whatever is asked. Takes effect with the next request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// As the Legacy API does.
    #[default]
    Normal,
    /// Always this. A status below 200 or a header that HTTP does not allow is answered with a 500 that says so.
    Answer {
        /// The HTTP status, 200 to 999.
        status: u16,
        /// Names and values of the headers; there are no others but the date and the length.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Takes the request and never answers.
    Hang,
    /// Begins a valid answer and closes the connection in the middle of its body.
    Disconnect,
    /// As [`Behaviour::Normal`], but closes the connection in the middle of the body.
    Cut,
    /// As [`Behaviour::Normal`], after a delay.
    Slow(Duration),
    /// A 200, the beginning of a valid answer, and then white space for ever.
    Endless,
    /// As [`Behaviour::Normal`], but a valid answer is XML even when JSON was asked for.
    Xml,
}

impl SimulatedBigCommerce {
    /// Listens on a loopback address (port 0 takes a free one) with a certificate of `authority` for `localhost`,
    /// `127.0.0.1`, `::1` and the address itself.
    ///
    /// Fails when the address is refused or no certificate or random seed can be made; see [`SandboxError`].
    pub async fn start(listen: SocketAddr, authority: &Authority) -> Result<Self, SandboxError> {
        Self::start_as(&[], listen, authority).await
    }

    /// As [`SimulatedBigCommerce::start`], with more names in the certificate, so that stores can have hosts of
    /// their own where something leads those names here. `*.` in front stands for one label.
    pub async fn start_as(
        names: &[&str],
        listen: SocketAddr,
        authority: &Authority,
    ) -> Result<Self, SandboxError> {
        let address = listen.ip().to_string();
        let names: Vec<&str> = names.iter().copied().chain([address.as_str()]).collect();
        let certificate = authority.certify(&names, None)?;
        let tls = certificate.server_config()?;
        let platform = Arc::new(Platform { random: Unguessable::new()?, stores: Mutex::default() });
        let server = Server::start(listen, Some(tls), Arc::clone(&platform)).await?;
        let names = names.into_iter().map(str::to_owned).collect();
        Ok(Self { server, platform, certificate, names })
    }

    /// The address listened on, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The API Path of a store's accounts: `https://localhost:PORT/stores/{store}/api/v2/`. On another loopback
    /// address than `127.0.0.1` and `::1`, to which `localhost` does not lead, the address takes its place.
    #[must_use]
    pub fn api_path(&self, store: &str) -> String {
        let address = self.address();
        if [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)].contains(&address.ip()) {
            format!("https://localhost:{}/stores/{store}/api/v2/", address.port())
        } else {
            format!("https://{address}/stores/{store}/api/v2/")
        }
    }

    /// Creates an account with a new token. An account of the same name gets the new token; others stay as they are.
    pub fn create_account(&self, store: &str, username: &str) -> Account {
        let api_token = self.platform.random.hex(TOKEN_DIGITS);
        self.set_account(store, username, &api_token);
        Account { username: username.to_owned(), api_token, api_path: self.api_path(store) }
    }

    /// Creates an account with a given token, or gives it to the account of that name; others stay as they are.
    pub fn set_account(&self, store: &str, username: &str, token: &str) {
        self.platform.with(store, |store| {
            store.accounts.retain(|account| account.username != username);
            store.accounts.push(Login { username: username.to_owned(), token: token.to_owned() });
        });
    }

    /// Gives the account that was created or set last a new token, which is returned; the old one is refused from
    /// now on. In a store without an account the returned token opens nothing.
    pub fn regenerate_token(&self, store: &str) -> String {
        let token = self.platform.random.hex(TOKEN_DIGITS);
        self.platform.with(store, |store| {
            if let Some(account) = store.accounts.last_mut() {
                account.token.clone_from(&token);
            }
        });
        token
    }

    /// Deletes the account that was created or set last. The store goes on answering: 401.
    pub fn delete_account(&self, store: &str) {
        self.platform.with(store, |store| {
            store.accounts.pop();
        });
    }

    /// Deletes the account of that name, if there is one, whatever others the store has.
    pub fn delete_account_named(&self, store: &str, username: &str) {
        self.platform.with(store, |store| store.accounts.retain(|account| account.username != username));
    }

    /// Shows a new certificate of `authority`, valid for so long, from the next connection on, for all stores.
    ///
    /// Fails with [`SandboxError::Certificate`].
    pub fn change_certificate(
        &self,
        authority: &Authority,
        valid: Range<SystemTime>,
    ) -> Result<(), SandboxError> {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        self.certificate.replace(&authority.certify(&names, Some(valid))?);
        Ok(())
    }

    /// Changes how the store answers, from the next request on.
    pub fn set_behaviour(&self, store: &str, behaviour: Behaviour) {
        self.platform.with(store, |store| store.behaviour = behaviour);
    }

    /// How many requests have arrived for the store, answered or not. Requests from before the store was created
    /// are not counted.
    #[must_use]
    pub fn requests(&self, store: &str) -> u64 {
        self.platform.stores().get(store).map_or(0, |store| store.requests)
    }

    /// How many of them were refused for their credentials, or for having none.
    #[must_use]
    pub fn rejected(&self, store: &str) -> u64 {
        self.platform.stores().get(store).map_or(0, |store| store.rejected)
    }

    /// Ends the simulation for every clone of this handle: connections are cut, and new ones are refused.
    pub async fn shutdown(&self) {
        self.server.shutdown().await;
    }
}

/// The token is left out.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("username", &self.username)
            .field("api_token", &"[redacted]")
            .field("api_path", &self.api_path)
            .finish()
    }
}

/// The accounts are left out.
impl fmt::Debug for SimulatedBigCommerce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedBigCommerce").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// What the handles and the server share.
struct Platform {
    random: Unguessable,
    stores: Mutex<BTreeMap<String, Store>>,
}

/// One store. The account created or set last is the last one.
#[derive(Default)]
struct Store {
    accounts: Vec<Login>,
    behaviour: Behaviour,
    requests: u64,
    rejected: u64,
}

struct Login {
    username: String,
    token: String,
}

impl Platform {
    /// A lock left by a panicking test still holds whole values, so it is used.
    fn stores(&self) -> MutexGuard<'_, BTreeMap<String, Store>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a store, which comes into being if it has to.
    fn with(&self, store: &str, change: impl FnOnce(&mut Store)) {
        change(self.stores().entry(store.to_owned()).or_default());
    }
}
