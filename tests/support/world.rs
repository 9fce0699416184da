//! Everything around the daemon: a real OpenBao, a simulated BigCommerce and a receiver of webhooks.

#![allow(dead_code, reason = "each test uses a part")]

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bc_secrets_sync::sandbox::authority::Authority;
use bc_secrets_sync::sandbox::store::{Account, SimulatedBigCommerce};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::configuration::Configuration;
use super::daemon::Daemon;
use super::files::{PublishedSet, published};
use super::openbao::{OpenBao, shipped_policy};
use super::wait::wait_until;
use super::webhook::{Receiver, SIGNING_SECRET};

/// One world a test: nothing in it is shared with another test.
pub(crate) struct World {
    pub(crate) bao: OpenBao,
    pub(crate) bigcommerce: SimulatedBigCommerce,
    pub(crate) authority: Authority,
    pub(crate) receiver: Receiver,
    pub(crate) configuration: Configuration,
    home: TempDir,
}

impl World {
    /// A world without stores, whose receiver listens.
    pub(crate) async fn start() -> Self {
        let mut world = Self::start_with_receiver_down().await;
        world.receiver.listen();
        world
    }

    /// A world whose receiver refuses connections until it is told to listen.
    pub(crate) async fn start_with_receiver_down() -> Self {
        Self::around_with_receiver_down(OpenBao::start().await).await
    }

    /// A world with this server, without stores, whose receiver listens.
    pub(crate) async fn around(bao: OpenBao) -> Self {
        let mut world = Self::around_with_receiver_down(bao).await;
        world.receiver.listen();
        world
    }

    async fn around_with_receiver_down(bao: OpenBao) -> Self {
        bao.put_policy("stores", &shipped_policy("stores")).await;
        let role = bao.enable_approle("stores").await;
        let authority = Authority::new().unwrap();
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let bigcommerce = SimulatedBigCommerce::start(any_port, &authority).await.unwrap();
        let receiver = Receiver::reserve();

        let home = tempfile::tempdir().unwrap();
        let mut configuration = Configuration::new(home.path(), bao.address());
        configuration.webhook = Some(receiver.url());
        std::fs::write(configuration.role_id_file(), role.role_id).unwrap();
        std::fs::write(configuration.secret_id_file(), role.secret_id).unwrap();
        std::fs::write(configuration.store_authority_file(), authority.ca_pem()).unwrap();
        std::fs::write(configuration.signing_secret_file(), SIGNING_SECRET).unwrap();
        Self { bao, bigcommerce, authority, receiver, configuration, home }
    }

    /// Adds a store with an account whose credentials are in OpenBao.
    pub(crate) async fn add_store(&mut self, name: &str) -> Account {
        let account = self.add_store_without_secret(name);
        self.write(name, &account).await;
        account
    }

    /// Adds a store with an account that nobody has written into OpenBao.
    pub(crate) fn add_store_without_secret(&mut self, name: &str) -> Account {
        self.configuration.stores.push(name.to_owned());
        self.bigcommerce.create_account(name, &format!("user-of-{name}"))
    }

    /// Writes an account into OpenBao and returns the version.
    pub(crate) async fn write(&self, store: &str, account: &Account) -> u64 {
        self.write_fields(store, fields(account)).await
    }

    /// Writes whatever there is to write into OpenBao and returns the version.
    pub(crate) async fn write_fields(&self, store: &str, fields: Value) -> u64 {
        self.bao.write_secret(&format!("stores/{store}"), fields).await
    }

    /// From now on every store shows a certificate that began a month ago and expires then.
    pub(crate) fn certify_until(&self, until: SystemTime) {
        let month = Duration::from_secs(30 * 24 * 3600);
        self.bigcommerce.change_certificate(&self.authority, SystemTime::now() - month..until).unwrap();
    }

    /// Starts the daemon.
    pub(crate) async fn daemon(&self) -> Daemon {
        Daemon::start(&self.configuration).await
    }

    /// What an app finds.
    pub(crate) fn published(&self, store: &str) -> Option<PublishedSet> {
        published(&self.configuration.output, store)
    }

    /// Waits until an app finds this account.
    pub(crate) async fn wait_published(&self, store: &str, account: &Account) {
        let account = as_published(account);
        wait_until(&format!("{store} is published"), async || {
            self.published(store).as_ref() == Some(&account)
        })
        .await;
    }

    /// Waits until the receiver has taken this many messages.
    pub(crate) async fn wait_messages(&self, count: usize) {
        wait_until(&format!("{count} messages"), async || self.receiver.messages().len() >= count).await;
    }

    /// What each message so far is about: store, cause and kind.
    pub(crate) fn told(&self) -> Vec<(String, String, String)> {
        self.receiver.messages().iter().map(|message| message.about()).collect()
    }
}

/// The fields of an account's secret.
pub(crate) fn fields(account: &Account) -> Value {
    json!({
        "username": account.username,
        "api_token": account.api_token,
        "api_path": account.api_path,
    })
}

/// The account as an app should find it.
pub(crate) fn as_published(account: &Account) -> PublishedSet {
    PublishedSet {
        username: account.username.clone(),
        api_token: account.api_token.clone(),
        api_path: account.api_path.clone(),
    }
}

/// A message's store, cause and kind, to compare with [`World::told`].
pub(crate) fn about(store: &str, cause: &str, kind: &str) -> (String, String, String) {
    (store.to_owned(), cause.to_owned(), kind.to_owned())
}
