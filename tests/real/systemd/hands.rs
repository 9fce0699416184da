//! What an operator does on a machine: unit and user, configuration and credentials.

use std::path::Path;

use bc_secrets_sync::sandbox::store::Account;
use serde_json::Value;

use super::machine::Machine;
use crate::support::files::{PublishedSet, published};
use crate::support::wait::wait_until;
use crate::support::world::{World, as_published};

pub(crate) const UNIT: &str = "bc-secrets-sync.service";
/// Where the unit's daemon publishes.
pub(crate) const OUTPUT: &str = "/run/bc-secrets-sync/credentials";
pub(crate) const CONFIG: &str = "/etc/bc-secrets-sync/config.toml";

/// A file of those that are shipped for systemd.
pub(crate) fn shipped(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd").join(name)
}

/// Puts the shipped units and their user on a machine.
pub(crate) async fn install_units(machine: &Machine) {
    machine.copy(&shipped("sysusers.conf"), "/usr/lib/sysusers.d/bc-secrets-sync.conf");
    machine.ok(&["systemd-sysusers"]).await;
    for unit in [UNIT, "bc-secrets-sync@.service"] {
        machine.copy(&shipped(unit), &format!("/etc/systemd/system/{unit}"));
    }
    machine.ok(&["systemctl", "daemon-reload"]).await;
}

/// A machine with the units, and a world with one store, for which they are to be configured.
pub(crate) async fn with_one_store(release: &str) -> (World, Account, Machine) {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let machine = Machine::with_binary(release).await;
    install_units(&machine).await;
    (world, account, machine)
}

/// Adds a drop-in to a unit.
pub(crate) async fn drop_in(machine: &Machine, unit: &str, text: &str) {
    machine.put(&format!("/etc/systemd/system/{unit}.d/test.conf"), 0o644, text);
    machine.ok(&["systemctl", "daemon-reload"]).await;
}

/// Adds a shipped drop-in to the unit.
pub(crate) async fn shipped_drop_in(machine: &Machine, name: &str) {
    let text = std::fs::read_to_string(shipped(name)).unwrap();
    drop_in(machine, UNIT, &text).await;
}

/// Writes configuration and credentials for the unit.
pub(crate) fn configure(world: &mut World, machine: &Machine) {
    configure_below(world, machine, "/etc/bc-secrets-sync", "/run/bc-secrets-sync");
}

/// Writes configuration and credentials into a directory, with the output in the runtime directory.
pub(crate) fn configure_below(world: &mut World, machine: &Machine, directory: &str, runtime: &str) {
    world.configuration.webhook = None;
    let configuration = &world.configuration;
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    machine.put(&format!("{directory}/role-id"), 0o600, &read(&configuration.role_id_file()));
    machine.put(&format!("{directory}/secret-id"), 0o600, &read(&configuration.secret_id_file()));
    machine.put(&format!("{directory}/store-ca.pem"), 0o644, &read(&configuration.store_authority_file()));
    let text = text(world, directory, runtime);
    machine.put(&format!("{directory}/config.toml"), 0o644, &text);
}

/// The configuration as it is on a machine: by systemd's directories, and with no state of its own.
pub(crate) fn text(world: &World, directory: &str, runtime: &str) -> String {
    let configuration = &world.configuration;
    let name = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let state = name(configuration.state.clone());
    configuration
        .text()
        .replace(&name(configuration.role_id_file()), "%d/role-id")
        .replace(&name(configuration.secret_id_file()), "%d/secret-id")
        .replace(&name(configuration.store_authority_file()), &format!("{directory}/store-ca.pem"))
        .replace(&format!("[state]\ndirectory = \"{state}\"\n"), "")
        .replace(&name(configuration.output.clone()), &format!("{runtime}/credentials"))
}

/// What an app finds on the machine.
pub(crate) fn found(machine: &Machine, store: &str) -> Option<PublishedSet> {
    published(&machine.path(OUTPUT), store)
}

/// Waits until an app finds this account on the machine.
pub(crate) async fn wait_found(machine: &Machine, store: &str, account: &Account) {
    let account = as_published(account);
    wait_until(&format!("{store} is published"), async || found(machine, store).as_ref() == Some(&account))
        .await;
}

/// What the daemon of a configuration says of itself, by its control socket.
pub(crate) async fn status(machine: &Machine, config: &str) -> Value {
    let said = machine.ok(&["bc-secrets-sync", "status", "--config", config, "--output", "json"]).await;
    serde_json::from_str(&said).unwrap()
}
