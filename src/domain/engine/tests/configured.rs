//! What is configured in the engine's worlds, unless a test says otherwise.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::world::{DAY, HOUR, MINUTE};
use crate::domain::credentials::{AddressPolicy, Field, Fields, StoreName};
use crate::domain::engine::{
    Acknowledge, FirstCheck, Gate, Hook, OnRejection, Settings, StoreSpec, TokenOrigin,
};
use crate::domain::publication::Output;
use crate::domain::secret::Secret;
use crate::domain::source::SecretLocation;

pub(super) fn settings() -> Settings {
    Settings {
        poll_interval: MINUTE,
        check_interval: 5 * MINUTE,
        confirmations: 3,
        confirmation_spacing: MINUTE,
        stale_after: HOUR,
        certificate_warning: Some(14 * DAY),
        repeat_interval: 4 * HOUR,
        token_origin: TokenOrigin::Own,
        hosts: AddressPolicy::PublicOnly.into(),
        output: output(),
        gate: Gate::Verified,
        first_check: FirstCheck::InTurn,
        discoveries: Vec::new(),
    }
}

/// Where the sets are published, as far as the engine cares.
pub(super) fn output() -> Output {
    let directory = PathBuf::from("/credentials");
    Output { directory, file_mode: 0o440, directory_mode: 0o750, owner: None, group: None }
}

pub(super) fn spec(name: &str) -> StoreSpec {
    StoreSpec {
        name: StoreName::parse(name).unwrap(),
        location: Arc::new(SecretLocation::new("secret", format!("bc/{name}"))),
        hook: Some(Hook { min_interval: Duration::ZERO, retries: 3, told: None }),
        on_rejection: OnRejection::Keep,
        acknowledge: Some(Acknowledge { within: None, last: None }),
        discovered: None,
    }
}

pub(super) fn fields(host: &str, user: &str, token: Option<&str>) -> Fields {
    let text = |text: &str| Field::Text(Secret::new(text.into()));
    Fields {
        username: text(user),
        api_token: token.map_or(Field::Missing, text),
        api_path: text(&format!("https://{host}.mybigcommerce.com/api/v2/")),
    }
}
