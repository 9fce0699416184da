//! Channels against the real thing: Debian's Alertmanager, a receiver that is not ours, the schemas of Kubernetes and
//! Chromium; a Prometheus that scrapes; the image under podman; the units and the package under systemd. Left out
//! unless `./tests/run --real` asks for them; then what they need must be there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod alertmanager;
#[cfg(feature = "demo")]
mod browser;
#[cfg(feature = "demo")]
mod chart;
#[cfg(feature = "demo")]
mod container;
#[cfg(feature = "demo")]
mod debian;
#[cfg(feature = "demo")]
#[path = "../../deploy/documents/mod.rs"]
mod documents;
#[cfg(feature = "demo")]
mod kubernetes;
#[cfg(feature = "demo")]
mod manifests;
#[cfg(feature = "demo")]
mod page;
#[cfg(feature = "demo")]
mod pod;
#[cfg(feature = "demo")]
mod podman;
#[cfg(feature = "demo")]
mod prometheus;
#[cfg(feature = "demo")]
mod publishing;
#[cfg(feature = "demo")]
mod schemas;
mod standard_webhooks;
#[cfg(feature = "demo")]
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "demo")]
mod systemd;

use std::time::{Duration, SystemTime};

use bc_secrets_sync::domain::incident::Message;
use bc_secrets_sync::domain::time::{Instant, Now, Timestamp};
use serde_json::json;

/// Names a Python that has the packages of `./tests/run --real`.
const PYTHON: &str = "BC_SECRETS_SYNC_TEST_PYTHON";

/// How long anything may take; far more than it does on a busy machine.
#[cfg(feature = "demo")]
const DEADLINE: Duration = Duration::from_secs(60);

/// The moment at which a test runs, by the machine's clock.
fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Both clocks; the steady one counts from where the wall clock began.
fn both_clocks() -> Now {
    Now { instant: Instant::from_millis(now().as_millis()), wall: now() }
}

/// The `number`th message about a store, as the ledger would read it.
fn message(store: &str, number: u32, kind: &str) -> Message {
    let opened_at = Timestamp::from_millis(now().as_millis() - 60_000);
    let id = format!("{store}:regenerated_or_revoked:1700000000000");
    let mut message = json!({
        "id": format!("{id}:{number}"),
        "kind": kind,
        "at": now().to_string(),
        "incident": {
            "id": id,
            "store": store,
            "cause": "regenerated_or_revoked",
            "severity": "critical",
            "opened_at": opened_at.to_string(),
            "evidence": ["rejected 3 times in a row (HTTP 401)", "<b> & \"ü\""],
            "remedy": "Regenerate the token and write it to Vault.",
            "messages": number,
            "repeat_at": opened_at.plus(Duration::from_secs(3600)).to_string(),
        },
    });
    if kind == "resolved" {
        message["resolution"] = "regenerated_caught_up".into();
    }
    serde_json::from_value(message).unwrap()
}
