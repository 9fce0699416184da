//! The configuration as the engine sees it.

use std::sync::Arc;

use crate::config::{Auth, Config, Tls, Vault};
use crate::domain::engine::{FirstCheck, Gate, Hook, SecretLocation, Settings, SourceChange, StoreSpec};

pub(super) fn settings(config: &Config, first_check: FirstCheck) -> Settings {
    Settings {
        poll_interval: config.vault.poll_interval,
        check_interval: config.check.interval,
        confirmations: config.check.confirmations,
        confirmation_spacing: config.check.confirmation_spacing,
        stale_after: config.check.stale_after,
        certificate_warning: config.check.certificate_warning,
        repeat_interval: config.alerts.repeat_interval,
        addresses: config.check.addresses,
        gate: if config.check.verify_before_publish { Gate::Verified } else { Gate::Open },
        first_check,
    }
}

pub(super) fn stores(config: &Config) -> Vec<StoreSpec> {
    let spec = |store: &crate::config::Store| StoreSpec {
        name: store.name.clone(),
        location: Arc::new(SecretLocation {
            mount: store.mount.clone(),
            path: store.path.clone(),
            fields: store.fields.clone(),
        }),
        on_rejection: store.on_rejection,
        hook: if store.reload.is_some() { Hook::Configured } else { Hook::None },
    };
    config.stores.iter().map(spec).collect()
}

/// Whether the token in hand is still of use with the new configuration.
pub(super) fn source_change(old: &Vault, new: &Vault) -> SourceChange {
    let same = old.address == new.address
        && old.namespace == new.namespace
        && old.timeout == new.timeout
        && same_tls(&old.tls, &new.tls)
        && same_auth(&old.auth, &new.auth);
    if same { SourceChange::Kept } else { SourceChange::Replaced }
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
        (Auth::TokenFile(old), Auth::TokenFile(new)) => old == new,
        (Auth::Token(old), Auth::Token(new)) => old.same_as(new),
        (
            Auth::AppRole { mount, role_id_file, secret_id_file },
            Auth::AppRole { mount: new_mount, role_id_file: new_role, secret_id_file: new_secret },
        ) => mount == new_mount && role_id_file == new_role && secret_id_file == new_secret,
        (Auth::TokenFile(_) | Auth::Token(_) | Auth::AppRole { .. }, _) => false,
    }
}
