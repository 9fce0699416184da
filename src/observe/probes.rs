//! The probes of an orchestrator: each is a named check of the heartbeat, with a sentence about it.

use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::feed::Heartbeat;
use crate::domain::snapshot::{STALLED_AFTER, StoreState};

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    /// The check's name.
    pub(super) name: &'static str,
    /// Whether it passed.
    pub(super) passed: bool,
    /// One sentence about it.
    pub(super) says: String,
}

impl Check {
    /// The loop completed a pass less than [`STALLED_AFTER`] ago. Says nothing of Vault or of the stores, so
    /// that their trouble restarts nobody.
    pub(super) fn live(heartbeat: &watch::Receiver<Heartbeat>) -> Self {
        let age = Instant::now().saturating_duration_since(heartbeat.borrow().last_pass);
        let (age_seconds, limit) = (age.as_secs(), STALLED_AFTER.as_secs());
        // The sender is dropped together with the loop.
        let ended = heartbeat.has_changed().is_err();
        Self {
            name: "loop",
            passed: age < STALLED_AFTER && !ended,
            says: if ended {
                "the loop has ended".to_owned()
            } else if age < STALLED_AFTER {
                format!("the loop completed its last pass {age_seconds} s ago, which is below {limit} s")
            } else {
                format!(
                    "the loop has stalled: it completed no pass for {age_seconds} s; the limit is {limit} s"
                )
            },
        }
    }

    /// Every store has a published generation.
    pub(super) fn ready(heartbeat: &watch::Receiver<Heartbeat>) -> Self {
        let passed = heartbeat.borrow().ready;
        let says = if passed {
            "every store has a published generation"
        } else {
            "not every store has a published generation; /status says which have none"
        };
        Self { name: "published", passed, says: says.to_owned() }
    }

    /// The daemon has finished starting: apps that wait for it find their credentials.
    pub(super) fn started(heartbeat: &watch::Receiver<Heartbeat>) -> Self {
        let passed = heartbeat.borrow().started;
        let says = if passed {
            "every store was published since the start"
        } else {
            "not every store was published yet since the start; /status says which were not"
        };
        Self { name: "started", passed, says: says.to_owned() }
    }

    /// The page: `ok` or the reason; in full, the check by name.
    pub(super) fn page(&self, detail: Detail) -> String {
        match (detail, self.passed) {
            (Detail::Brief, true) => "ok\n".to_owned(),
            (Detail::Brief, false) => format!("{}\n", self.says),
            (Detail::Full, true) => format!("[+] {}: {}\nok\n", self.name, self.says),
            (Detail::Full, false) => format!("[-] {}: {}\nfailed\n", self.name, self.says),
        }
    }
}

/// How much a probe's page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// One line.
    Brief,
    /// Each check.
    Full,
}

impl Detail {
    /// In full with `?verbose`, with or without a value.
    pub(super) fn of(query: Option<&str>) -> Self {
        let verbose = |pair: &str| pair == "verbose" || pair.starts_with("verbose=");
        if query.unwrap_or_default().split('&').any(verbose) { Self::Full } else { Self::Brief }
    }
}

/// `/healthz`.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    /// As `/livez`.
    pub(super) live: bool,
    /// As `/readyz`.
    pub(super) ready: bool,
    /// As `/startupz`.
    pub(super) started: bool,
    /// The state of the store that is worst off; none when the loop did not say.
    pub(super) worst_state: Option<StoreState>,
    /// What is wrong with the daemon itself, when something is.
    pub(super) error: Option<String>,
}
