//! What can be asked of the engine from outside, and what it replies.

use serde::Serialize;

use crate::domain::credentials::StoreName;
use crate::domain::incident::{Incident, IncidentId, SilenceSpan};
use crate::domain::snapshot::StoreState;
use crate::domain::time::Timestamp;
use crate::domain::verdict::VerdictKind;

/// A wish from outside that is answered by exactly one [`Reply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// An app says that its store refuses the published credentials. A reason to check them, and no evidence.
    Report {
        /// The store.
        store: StoreName,
    },
    /// An app runs on a generation.
    Acknowledge {
        /// The store.
        store: StoreName,
        /// The generation's number.
        generation: u64,
    },
    /// No reminders about an incident for a while.
    Silence {
        /// Its identifier, or the beginning of it where no other open incident begins so.
        incident: String,
        /// For how long, from now on.
        span: SilenceSpan,
    },
    /// Reminders about an incident again.
    Unsilence {
        /// As above.
        incident: String,
    },
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// What becomes of a report.
    Reported(Reported),
    /// What becomes of an acknowledgement.
    Acknowledging(Acknowledging),
    /// No store has this name.
    UnknownStore,
    /// The incident as it stands now.
    Incident(Box<Incident>),
    /// No open incident has an identifier that begins so.
    UnknownIncident,
    /// Several have; the oldest first.
    AmbiguousIncident(Vec<IncidentId>),
}

/// What becomes of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reported {
    /// The store.
    pub store: StoreName,
    /// What is done about it.
    pub outcome: ReportOutcome,
    /// The same in words.
    pub detail: String,
    /// When the published credentials will be checked because of reports, when that is still to come.
    pub check_at: Option<Timestamp>,
    /// In what state the published credentials are.
    pub state: StoreState,
    /// The last verdict on them, from before this report.
    pub last_verdict: Option<VerdictKind>,
    /// When it was given.
    pub last_check_at: Option<Timestamp>,
}

/// What is done about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportOutcome {
    /// The published credentials are being checked now, because of this report.
    CheckStarted,
    /// A check that began before this report is under way; one more follows later.
    CheckUnderWay,
    /// A check follows: one because of reports was made a moment ago, or the store wants to be left alone.
    CheckPlanned,
    /// Nothing is published for the store, so there is nothing to check.
    NothingPublished,
}

impl ReportOutcome {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::CheckStarted => "the published credentials are being checked now",
            Self::CheckUnderWay => "a check of the published credentials is under way; one more follows",
            Self::CheckPlanned => "the published credentials will be checked again when it is time",
            Self::NothingPublished => "nothing is published for this store, so there is nothing to check",
        }
    }
}

/// What becomes of an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Acknowledging {
    /// The store.
    pub store: StoreName,
    /// What came of it.
    pub outcome: AcknowledgeOutcome,
    /// The same in words.
    pub detail: String,
    /// The generation that is published now.
    pub published_generation: Option<u64>,
    /// When it was acknowledged for the first time.
    pub acknowledged_at: Option<Timestamp>,
    /// How long after its publication, in milliseconds.
    pub lag_ms: Option<u64>,
}

/// What came of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AcknowledgeOutcome {
    /// The app runs on what is published, as far as it says so; now or already before.
    Acknowledged,
    /// Something newer is published.
    Superseded,
    /// No generation of this number was published.
    Unknown,
    /// Nothing is published.
    NothingPublished,
    /// Nobody wants this store's generations acknowledged.
    NotConfigured,
}

impl AcknowledgeOutcome {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Acknowledged => "the app runs on what is published",
            Self::Superseded => "a newer generation is published: read it, and acknowledge that one",
            Self::Unknown => "no generation of this number was published: send the one in generation.json",
            Self::NothingPublished => {
                "nothing is published for this store, so there is nothing to acknowledge"
            }
            Self::NotConfigured => "the store has no [stores.acknowledge] in the daemon's configuration",
        }
    }
}
