//! The configuration as the engine sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tracing::warn;

use crate::config::{Auth, Config, Tls, Vault};
use crate::domain::credentials::StoreName;
use crate::domain::engine::{
    Acknowledge, FirstCheck, Gate, Hook, Settings, SourceChange, StoreSpec, TokenOrigin,
};
use crate::domain::publication::{Acknowledged, Told};
use crate::domain::snapshot::MountStatus;
use crate::domain::version::KvVersion;

/// How many stores that are no longer configured are named; the rest is counted.
const MOST_DROPPED: usize = 20;

/// What earlier lives have noted of the apps.
#[derive(Debug)]
pub(super) struct Noted {
    /// What they were told last.
    pub(super) told: BTreeMap<StoreName, Told>,
    /// What they have acknowledged last.
    pub(super) acknowledged: BTreeMap<StoreName, Acknowledged>,
}

pub(super) fn settings(config: &Config, first_check: FirstCheck) -> Settings {
    Settings {
        poll_interval: config.vault.poll_interval,
        check_interval: config.check.interval,
        confirmations: config.check.confirmations,
        confirmation_spacing: config.check.confirmation_spacing,
        stale_after: config.check.stale_after,
        certificate_warning: config.check.certificate_warning,
        repeat_interval: config.alerts.repeat_interval,
        token_origin: match config.vault.auth {
            Auth::TokenFile(_) | Auth::Token(_) => TokenOrigin::Given,
            Auth::AppRole { .. } | Auth::Jwt { .. } | Auth::Certificate { .. } | Auth::Userpass { .. } => {
                TokenOrigin::Own
            }
        },
        hosts: config.check.hosts.clone(),
        output: config.output.clone(),
        gate: if config.check.verify_before_publish { Gate::Verified } else { Gate::Open },
        first_check,
        discoveries: config.discover.iter().map(|discover| discover.discovery.clone()).collect(),
    }
}

/// The stores, with what their apps were told and have acknowledged as far as that is known.
pub(super) fn stores(config: &Config, noted: &Noted) -> Vec<StoreSpec> {
    let spec = |store: &crate::config::Store| StoreSpec {
        name: store.name.clone(),
        location: Arc::new(store.location()),
        on_rejection: store.on_rejection,
        hook: store.reload.as_ref().map(|reload| Hook {
            min_interval: reload.min_interval,
            retries: reload.retries,
            told: noted.told.get(&store.name).copied(),
        }),
        acknowledge: store.acknowledge.as_ref().map(|acknowledge| Acknowledge {
            within: acknowledge.within,
            last: noted.acknowledged.get(&store.name).copied(),
        }),
        discovered: store.discovered,
    };
    config.stores.iter().map(spec).collect()
}

/// Says which stores a new configuration no longer has: what is published of them is nobody's any more.
pub(super) fn tell_dropped(old: &Config, new: &Config) {
    let dropped = dropped(old, new);
    for store in dropped.iter().take(MOST_DROPPED) {
        warn!(%store, "store {store} is no longer configured: what is published of it stays, and is looked after no more");
    }
    let more = dropped.len().saturating_sub(MOST_DROPPED);
    if more > 0 {
        warn!(
            stores = more,
            "{more} more stores are no longer configured: what is published of them stays, too"
        );
    }
}

fn dropped<'a>(old: &'a Config, new: &Config) -> Vec<&'a StoreName> {
    let kept: BTreeSet<&StoreName> = new.stores.iter().map(|store| &store.name).collect();
    old.stores.iter().map(|store| &store.name).filter(|name| !kept.contains(name)).collect()
}

/// The mounts that the stores are read from, each with what is known of it.
pub(super) fn mounts(config: &Config, vault: &crate::vault::Vault) -> Vec<MountStatus> {
    let mut configured = BTreeMap::new();
    for store in &config.stores {
        let version = configured.entry(store.mount.as_str()).or_insert(store.kv_version);
        *version = version.or(store.kv_version);
    }
    let status = |(mount, configured): (&str, Option<KvVersion>)| MountStatus {
        mount: mount.to_owned(),
        kv_version: configured.or_else(|| vault.kv_version(mount)),
        configured: configured.is_some(),
    };
    configured.into_iter().map(status).collect()
}

/// Whether the token in hand is still of use with the new configuration.
pub(super) fn source_change(old: &Vault, new: &Vault) -> SourceChange {
    let same = old.address == new.address
        && old.proxy == new.proxy
        && old.namespace == new.namespace
        && same_tls(&old.tls, &new.tls)
        && same_auth(&old.auth, &new.auth);
    if same { SourceChange::Kept } else { SourceChange::Replaced }
}

/// Whether a secret ID that the old connection has unwrapped is one of the server that is configured now.
pub(super) fn same_server(old: &Vault, new: &Vault) -> bool {
    old.address == new.address && old.namespace == new.namespace
}

fn same_tls(old: &Tls, new: &Tls) -> bool {
    old.ca_file == new.ca_file
        && old.ca_directory == new.ca_directory
        && old.client == new.client
        && old.server_name == new.server_name
        && old.skip_verify == new.skip_verify
}

fn same_auth(old: &Auth, new: &Auth) -> bool {
    match (old, new) {
        (Auth::Token(old), Auth::Token(new)) => old.same_as(new),
        (Auth::Token(_), _) | (_, Auth::Token(_)) => false,
        (old, new) => names_of(old) == names_of(new),
    }
}

/// What tells two ways to log in apart: the kind, the mount, the names and the files.
fn names_of(auth: &Auth) -> (&str, &str, Option<&str>, [Option<&Path>; 2]) {
    match auth {
        Auth::Token(_) => ("token", "", None, [None, None]),
        Auth::TokenFile(file) => ("token_file", "", None, [Some(file), None]),
        Auth::AppRole { mount, role_id_file, secret_id_file, wrapping_path } => {
            let files = [Some(role_id_file.as_path()), Some(secret_id_file.as_path())];
            ("approle", mount, wrapping_path.as_deref(), files)
        }
        Auth::Jwt { mount, role, token_file } => ("jwt", mount, role.as_deref(), [Some(token_file), None]),
        Auth::Certificate { mount, role } => ("cert", mount, role.as_deref(), [None, None]),
        Auth::Userpass { mount, username, password_file } => {
            ("userpass", mount, Some(username), [Some(password_file), None])
        }
    }
}
