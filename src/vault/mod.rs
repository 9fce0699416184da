//! The source: logs in to Vault or OpenBao, renews its token, and reads secrets.

mod answer;
mod files;
mod json;
mod list;
mod login;
mod mounts;
mod secret;
pub mod stock;
mod tls;
mod transport;
mod unreachable;
mod wrapping;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vaultrs::api::kv1::requests::GetSecretRequest;
use vaultrs::api::kv2::requests::ReadSecretRequest;
use vaultrs::api::token::requests::{LookupTokenSelfRequest, RenewTokenSelfRequest, RevokeTokenSelfRequest};

use crate::config;
use crate::domain::source::{Folder, Lease, Listing, SecretLocation, SecretVersion, SourceFault};
use crate::domain::version::KvVersion;

use self::login::{LogIn, Token};
use self::mounts::Mounts;
use self::transport::Transport;

pub use self::transport::BuildError;

/// A connection to Vault or OpenBao and the token that is in use. Clones share both.
///
/// It does what it is asked, once, and reports what came of it: when to log in, renew and read, and what
/// an answer means for a store, is decided elsewhere.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    transport: Transport,
    log_in: LogIn,
    token: Arc<Mutex<Option<Token>>>,
    mounts: Arc<Mounts>,
}

impl Vault {
    /// Prepares the connection; nothing is sent. For an `https` address the files named in `[vault.tls]` are
    /// read here, and again when they have changed: before a log-in and a renewal, and when the server could not
    /// be reached.
    ///
    /// # Errors
    /// Says which part of `[vault]` cannot be used, and what to do about it.
    pub fn new(config: &config::Vault) -> Result<Self, BuildError> {
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(config)?,
            log_in: LogIn::new(&config.auth, config.timeout),
            token: Arc::default(),
            mounts: Arc::default(),
        })))
    }

    /// As [`Vault::new`], for a connection to the same server in the place of this one. A wrapping token gives out its
    /// secret ID once, so what was unwrapped is shared; and so is the token, where it is still of use (`keep_token`).
    ///
    /// # Errors
    /// As [`Vault::new`].
    pub fn succeeded(&self, config: &config::Vault, keep_token: bool) -> Result<Self, BuildError> {
        let Inner { log_in: old, token, mounts, .. } = &*self.0;
        let mut log_in = LogIn::new(&config.auth, config.timeout);
        old.shared_with(&mut log_in);
        let (token, mounts) =
            if keep_token { (Arc::clone(token), Arc::clone(mounts)) } else { Default::default() };
        Ok(Self(Arc::new(Inner { transport: Transport::new(config)?, log_in, token, mounts })))
    }

    /// The server's address as it may be shown: without user, password and query.
    #[must_use]
    pub fn address(&self) -> &str {
        self.0.transport.address()
    }

    /// Logs in and keeps the token for all later calls. Files with credentials are read anew each time.
    ///
    /// A token in use before is replaced only when this succeeds. It is not revoked, even if it was our own:
    /// reads that are under way may still use it, and it ends with its lease.
    ///
    /// # Errors
    /// [`SourceFault::LoginRefused`] and [`SourceFault::LoginFile`] when the credentials do not work, and the
    /// faults of a server that does not answer as it should.
    pub async fn log_in(&self) -> Result<Lease, SourceFault> {
        self.0.transport.refresh().await;
        let (token, lease) = self.0.log_in.log_in(&self.0.transport).await?;
        *self.token() = Some(token);
        Ok(lease)
    }

    /// Renews the token.
    ///
    /// # Errors
    /// [`SourceFault::Forbidden`] when the token is dead; [`SourceFault::Malformed`] when it cannot be renewed
    /// (the server answers 400), which the lease had said before.
    pub async fn renew(&self) -> Result<Lease, SourceFault> {
        self.0.transport.refresh().await;
        let token = self.token_in_use()?;
        let request = RenewTokenSelfRequest { increment: None };
        let answer = self.0.transport.send(&request, Some(&token)).await?;
        answer::renewed(&answer)
    }

    /// Asks what is left of the token.
    ///
    /// # Errors
    /// [`SourceFault::Forbidden`] when the token is dead. It also comes from a token that may not look itself
    /// up, which is one that was made without the policy `default`.
    pub async fn look_up_self(&self) -> Result<Lease, SourceFault> {
        let token = self.token_in_use()?;
        let answer = self.0.transport.send(&LookupTokenSelfRequest {}, Some(&token)).await?;
        answer::looked_up(&answer)
    }

    /// Reads a secret: the pinned version of it, or the newest. A mount whose version of KV is not known is
    /// asked for it first, and again when what is known does not explain what was found.
    ///
    /// # Errors
    /// [`SourceFault::NeverWritten`], [`SourceFault::NoSuchVersion`], [`SourceFault::Deleted`] and
    /// [`SourceFault::Destroyed`] when there is nothing to read, [`SourceFault::NotKeyValue`] when the mount is no
    /// such engine; [`SourceFault::Forbidden`], also before the first log-in.
    pub async fn read(&self, location: &SecretLocation) -> Result<SecretVersion, SourceFault> {
        let token = self.token_in_use()?;
        let (mount, path) = (transport::path(&location.mount)?, transport::path(&location.path)?);
        if let Some(version) = location.kv_version {
            return self.read_as(version, &token, mount, path, location).await;
        }
        let (transport, mounts) = (&self.0.transport, &self.0.mounts);
        let version = mounts.version(transport, &token, &mount).await?;
        let read = self.read_as(version, &token, mount.clone(), path.clone(), location).await;
        let Err(
            SourceFault::Forbidden
            | SourceFault::NeverWritten
            | SourceFault::NoSuchVersion(_)
            | SourceFault::NotKeyValue(_),
        ) = &read
        else {
            return read;
        };
        match mounts.doubted(transport, &token, &mount, version).await {
            Some(other) => self.read_as(other, &token, mount, path, location).await,
            None => read,
        }
    }

    async fn read_as(
        &self,
        engine: KvVersion,
        token: &Token,
        mount: String,
        path: String,
        location: &SecretLocation,
    ) -> Result<SecretVersion, SourceFault> {
        let transport = &self.0.transport;
        let answer = match (engine, location.pinned) {
            (KvVersion::One, Some(pinned)) => return Err(unversioned(pinned)),
            (KvVersion::One, None) => transport.send(&GetSecretRequest { mount, path }, Some(token)).await?,
            (KvVersion::Two, version) => {
                transport.send(&ReadSecretRequest { mount, path, version }, Some(token)).await?
            }
        };
        secret::secret(&answer, engine, location)
    }

    /// The version of the KV engine at a mount, as far as the server was asked and has said so.
    #[must_use]
    pub fn kv_version(&self, mount: &str) -> Option<KvVersion> {
        self.0.mounts.known(mount.trim_matches('/'))
    }

    /// Lists the secrets of a folder, in as many requests as that takes. With their versions
    /// (`detailed`) OpenBao does so where a policy grants `list` on `MOUNT/detailed-metadata/PATH`, and Vault does
    /// not; their names alone each server lists where a policy grants `list` on `MOUNT/metadata/PATH`,
    /// or, of KV v1, on `MOUNT/PATH`.
    ///
    /// # Errors
    /// [`SourceFault::Forbidden`] and [`SourceFault::NotKeyValue`] when the server does not list; the faults of a
    /// server that does not answer as it should.
    pub async fn list(
        &self,
        folder: &Folder,
        kv_version: Option<KvVersion>,
        detailed: bool,
    ) -> Result<Listing, SourceFault> {
        let token = self.token_in_use()?;
        let transport = &self.0.transport;
        let mount = transport::path(&folder.mount)?;
        let version = match kv_version {
            Some(version) => version,
            None => self.0.mounts.version(transport, &token, &mount).await?,
        };
        if detailed && version == KvVersion::One {
            return Err(SourceFault::NotKeyValue(
                "the mount is KV version 1, which counts no versions".into(),
            ));
        }
        list::list(transport, &token, folder, version, detailed).await
    }

    /// Revokes the token if we logged in for it ourselves, and forgets it. A token that was given to us
    /// belongs to somebody else and stays as it is; so does one that came through an Agent or Proxy on this host,
    /// which may give it to others too, or put its own in the place of ours.
    ///
    /// This is a courtesy when the daemon stops: if it fails, the token ends with its lease.
    pub async fn revoke(&self) {
        let token = self.token().take_if(|token| token.is_ours());
        if let Some(token) = token.filter(|_| !self.0.transport.is_shared()) {
            let _answer = self.0.transport.send(&RevokeTokenSelfRequest {}, Some(&token)).await;
        }
    }

    /// Without a token the server would answer 403; we say the same without asking it.
    fn token_in_use(&self) -> Result<Token, SourceFault> {
        self.token().clone().ok_or(SourceFault::Forbidden)
    }

    fn token(&self) -> MutexGuard<'_, Option<Token>> {
        // The lock is held for an assignment or a clone: a poisoned one still holds a whole value.
        self.0.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unversioned(pinned: u64) -> SourceFault {
    SourceFault::NotKeyValue(format!(
        "the store's mount is KV version 1, which keeps no versions, and the configuration pins version {pinned}; \
         take the store's version out of the configuration"
    ))
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Vault({})", self.address())
    }
}

#[cfg(test)]
mod tests;
