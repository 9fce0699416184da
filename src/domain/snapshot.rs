//! Everything that may be shown, and no secret in it: the one thing that pages, metrics and tables read.

mod machine;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use super::credentials::StoreName;
use super::histogram::Histogram;
use super::incident::{Cause, Incident, Severity};
use super::publication::GenerationStamp;
use super::source::SourceFaultKind;
use super::time::Timestamp;
use super::verdict::VerdictKind;
use super::version::{KvVersion, Version};

pub use self::machine::{
    CertificateStatus, HardeningStatus, HttpStatus, LoopStatus, MeasureStatus, ProcessStatus,
};

/// The daemon as it stood at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// The product's version.
    pub version: &'static str,
    /// When the snapshot was taken.
    pub at: Timestamp,
    /// When the process started.
    pub started_at: Timestamp,
    /// What the probes of an orchestrator ask for.
    pub vitals: Vitals,
    /// The source of the credentials.
    pub source: SourceStatus,
    /// Every store, in the order of the configuration.
    pub stores: Vec<StoreStatus>,
    /// Every open incident, the oldest first.
    pub incidents: Vec<Incident>,
    /// How many incidents were opened since the start, by cause.
    pub incidents_opened: BTreeMap<Cause, u64>,
    /// Every channel of alerts.
    pub channels: Vec<ChannelStatus>,
    /// Whether what must outlive a restart is on the disk.
    pub state: StateStatus,
    /// The last things that were decided or told, the oldest first.
    #[serde(serialize_with = "one_by_one")]
    pub events: Vec<Arc<TimelineEvent>>,
    /// The configuration in force.
    pub configuration: ConfigurationStatus,
    /// Reports of apps that were refused because of their token, since the start.
    pub reports_refused: u64,
    /// How the listeners fare.
    pub http: HttpStatus,
    /// What was done for all stores together.
    pub totals: Totals,
    /// How long things took, for all stores together.
    pub durations: Durations,
    /// How the daemon's loop fares; absent without one.
    pub main_loop: Option<LoopStatus>,
    /// What the process uses of the machine; absent where nobody has asked.
    pub process: Option<ProcessStatus>,
    /// What the process has given up at its start; absent without a daemon.
    pub hardening: Option<HardeningStatus>,
}

/// What was done since the start for all stores together, those included that are gone.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Totals {
    /// Probes, by verdict; candidates' included.
    pub verdicts: BTreeMap<VerdictKind, u64>,
    /// Generations published.
    pub publications: u64,
    /// Sets found damaged or gone, and written again.
    pub restorations: u64,
    /// Runs of hooks that worked.
    pub reloads_succeeded: u64,
    /// Runs of hooks that failed.
    pub reloads_failed: u64,
    /// Reports of apps that came.
    pub reports: u64,
}

/// How long things took since the start, for all stores together.
#[derive(Clone, Debug, Serialize)]
pub struct Durations {
    /// A probe, from its first byte to its last.
    pub checks: Histogram,
    /// From the last probe that accepted credentials to the incident that says that they were regenerated or revoked:
    /// the longest that it can have gone unnoticed.
    pub detections: Histogram,
    /// From the write of a version, by the source's clock, to its publication; of those that were written while
    /// somebody waited for them.
    pub publications: Histogram,
}

impl Snapshot {
    /// The state of the store that is worst off; none without stores.
    #[must_use]
    pub fn worst_state(&self) -> Option<StoreState> {
        self.stores.iter().map(|store| store.state).max_by_key(|state| state.gravity())
    }
}

/// What `/livez`, `/readyz` and `/startupz` answer from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Vitals {
    /// When the loop last completed a pass, on the wall clock.
    pub last_pass_at: Timestamp,
    /// Milliseconds since the loop last completed a pass, on the monotonic clock.
    pub last_pass_age_ms: u64,
    /// Every store has a published generation.
    pub ready: bool,
    /// The daemon has finished starting: all stores were published at one moment since.
    pub started: bool,
}

/// The source of the credentials.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SourceStatus {
    /// Whether the daemon holds a working token, and the last requests of each kind were answered.
    pub up: bool,
    /// What it is doing, in a few words.
    pub state: &'static str,
    /// The last attempt to use it.
    pub last_attempt_at: Option<Timestamp>,
    /// The last time that it did what it was asked.
    pub last_success_at: Option<Timestamp>,
    /// When the token runs out; absent without a token, or for one that does not.
    pub token_expires_at: Option<Timestamp>,
    /// Why it does not work, when it does not.
    pub error: Option<String>,
    /// Log-ins that worked, since the start.
    pub logins: u64,
    /// Renewals that worked, since the start.
    pub renewals: u64,
    /// Reads of secrets that worked, since the start.
    pub reads: u64,
    /// Requests that listed secrets, since the start.
    pub list_requests: u64,
    /// How many stores are watched by such listings, instead of by reading each secret.
    pub listed_stores: usize,
    /// The folders that are listed, for changes or for stores.
    pub folders: Vec<FolderStatus>,
    /// What went wrong, by kind, since the start.
    pub errors: BTreeMap<SourceFaultKind, u64>,
    /// The mounts that stores are read from.
    pub mounts: Vec<MountStatus>,
}

/// How the secrets of a folder are watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FolderStatus {
    /// The folder's path, that of its mount included.
    pub path: String,
    /// Its stores that a listing could watch.
    pub stores: usize,
    /// How changes are found; absent until the source was asked.
    pub changes: Option<ChangesFound>,
    /// Whether its secrets are stores, whichever there are.
    pub discovers: bool,
    /// Why it does not tell which ones there are, when it does not.
    pub error: Option<String>,
}

/// How changes of secrets are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangesFound {
    /// By listing all of them with their versions.
    ByListing,
    /// By reading each one: the server, or the policy, does not list versions.
    ByReading,
}

/// A mount of the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MountStatus {
    /// Its path.
    pub mount: String,
    /// The version of its KV engine; absent until it is known.
    pub kv_version: Option<KvVersion>,
    /// Whether the configuration says so; the mount was asked otherwise.
    pub configured: bool,
}

/// In what state a store's credentials are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreState {
    /// Nothing is published yet, and nothing says that it will not be.
    Pending,
    /// Published, and the store accepted it when it was last asked.
    Verified,
    /// Published, and the last answer said nothing of the credentials, or none came yet.
    Unverified,
    /// Published, and rejected; not yet confirmed, or not judged by itself because many others turned with it.
    Suspect,
    /// Published, and rejected for good.
    Rejected,
    /// Nothing is published, and what the source has cannot be, or what was published and is gone cannot be written.
    Failed,
}

impl StoreState {
    /// Every state, in the order of the labels.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Verified, Self::Unverified, Self::Suspect, Self::Rejected, Self::Failed];

    /// The label, as metrics and tables write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Suspect => "suspect",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }

    /// How bad the state is, from 0: an app with no credentials is worse off than one with rejected ones,
    /// and one that may still get them better off than both.
    #[must_use]
    pub const fn gravity(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Unverified => 1,
            Self::Pending => 2,
            Self::Suspect => 3,
            Self::Rejected => 4,
            Self::Failed => 5,
        }
    }
}

/// One store.
#[derive(Clone, Debug, Serialize)]
pub struct StoreStatus {
    /// Its name.
    pub name: StoreName,
    /// Where its secret is, as mount and path.
    pub secret: String,
    /// The version that the configuration pins; absent: the newest is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned_version: Option<u64>,
    /// In what state its credentials are.
    pub state: StoreState,
    /// Since when, as far as this life of the daemon can tell.
    pub since: Timestamp,
    /// One sentence about it.
    pub detail: String,
    /// What is published.
    pub published: Option<GenerationStamp>,
    /// The version in the source that is not published.
    pub candidate: Option<CandidateStatus>,
    /// The last probe of the published credentials, whatever came of it.
    pub last_check_at: Option<Timestamp>,
    /// The last time that the store accepted the published credentials.
    pub verified_at: Option<Timestamp>,
    /// When the published credentials will be probed next.
    pub next_check_at: Option<Timestamp>,
    /// When the certificate expires that the store last showed to a probe of the published credentials.
    pub certificate_expires_at: Option<Timestamp>,
    /// The last verdict on the published credentials.
    pub last_verdict: Option<VerdictKind>,
    /// The last attempt to read the secret.
    pub last_read_attempt_at: Option<Timestamp>,
    /// The last time that the secret was read.
    pub last_read_at: Option<Timestamp>,
    /// Why the secret could not be read or used, when it could not.
    pub read_error: Option<String>,
    /// The same in one word.
    pub read_fault: Option<&'static str>,
    /// Why the last generation could not be written, when it could not.
    pub publish_error: Option<String>,
    /// What the app was told; absent where it does not want to be.
    pub reload: Option<ReloadStatus>,
    /// Requests left in the account's hour, as the store last said.
    pub requests_remaining: Option<u64>,
    /// Requests to the account that the daemon allows itself at once; absent while no account is known.
    pub budget_remaining: Option<u64>,
    /// Probes since the start, by verdict; candidates' included.
    pub verdicts: BTreeMap<VerdictKind, u64>,
    /// Generations published since the start.
    pub publications: u64,
    /// Sets found damaged or gone, and written again, since the start.
    pub restorations: u64,
    /// What apps have reported of it.
    pub reports: ReportStatus,
    /// What the app has acknowledged; absent where it is not expected to.
    pub acknowledgement: Option<AcknowledgementStatus>,
}

/// What a store's app says that it runs on.
#[derive(Clone, Debug, Serialize)]
pub struct AcknowledgementStatus {
    /// The generation that it acknowledged last, in this life or one before.
    pub generation: Option<u64>,
    /// When.
    pub at: Option<Timestamp>,
    /// Whether it has still to acknowledge what is published.
    pub pending: bool,
    /// How long after its publication it acknowledged what is published, in milliseconds; while that is still to come,
    /// how long ago the publication was. Absent when nothing is published.
    pub lag_ms: Option<u64>,
    /// Why the file by which it acknowledges says nothing, when there is one and it does not.
    pub error: Option<String>,
}

/// What apps have reported of a store, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReportStatus {
    /// Reports that came.
    pub received: u64,
    /// Those of them that started no check at once.
    pub absorbed: u64,
    /// Checks that were made because of reports.
    pub checks: u64,
    /// When the last report came.
    pub last_at: Option<Timestamp>,
}

/// A version in the source that is not published (yet).
#[derive(Clone, Debug, Serialize)]
pub struct CandidateStatus {
    /// Its number; absent where the source counts none.
    #[serde(skip_serializing_if = "Version::is_unnumbered")]
    pub version: Version,
    /// When it was first seen.
    pub seen_at: Timestamp,
    /// The last verdict on it.
    pub last_verdict: Option<VerdictKind>,
    /// When it will be probed next.
    pub next_probe_at: Option<Timestamp>,
}

/// What a store's app was told, and how the hook that tells it fares.
#[derive(Clone, Debug, Serialize)]
pub struct ReloadStatus {
    /// The newest generation that it was told of, in this life or one before.
    pub generation: Option<u64>,
    /// When.
    pub at: Option<Timestamp>,
    /// Whether it has still to be told of what is published.
    pub pending: bool,
    /// When that is tried next; absent while it is under way.
    pub next_run_at: Option<Timestamp>,
    /// The last run that has ended, since the start.
    pub last_run: Option<ReloadRun>,
    /// Runs that worked, since the start.
    pub succeeded: u64,
    /// Runs that failed, since the start.
    pub failed: u64,
    /// Why the last run failed, when it did.
    pub error: Option<String>,
}

/// A run of a store's hook.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReloadRun {
    /// The generation that it told of.
    pub generation: u64,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Whether it worked.
    pub successful: bool,
}

/// Something that was decided or told, for a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineEvent {
    /// When.
    pub at: Timestamp,
    /// The store; absent: the source, or all of them.
    pub store: Option<StoreName>,
    /// How serious it is; absent: it is no trouble.
    pub severity: Option<Severity>,
    /// One sentence.
    pub text: String,
}

fn one_by_one<S: Serializer>(events: &[Arc<TimelineEvent>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(events.iter().map(Arc::as_ref))
}

/// One channel of alerts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ChannelStatus {
    /// Its name.
    pub name: &'static str,
    /// Messages that wait for delivery.
    pub pending: u64,
    /// Messages delivered since the start.
    pub delivered: u64,
    /// Tries that failed since the start.
    pub failed: u64,
    /// Messages dropped because the outbox was full, since the start.
    pub dropped: u64,
    /// The last delivery that worked.
    pub last_success_at: Option<Timestamp>,
    /// Why the last try failed, when it did.
    pub error: Option<String>,
}

/// Whether open incidents, silences and undelivered messages are on the disk, in the state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateStatus {
    /// Why they are in memory only, so that a restart forgets them; absent when they are on the disk.
    pub error: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// The configuration in force.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConfigurationStatus {
    /// When it was loaded.
    pub loaded_at: Timestamp,
    /// Times that it was loaded anew since the start.
    pub reloads: u64,
    /// Times that a new one was refused since the start.
    pub refused: u64,
    /// Why the newest file is not in force, when it is not.
    pub error: Option<String>,
    /// Whether only accepted credentials are published.
    pub verify_before_publish: bool,
    /// How often each secret is read, in milliseconds.
    pub poll_interval_ms: u64,
    /// How often published credentials are checked, in milliseconds.
    pub check_interval_ms: u64,
    /// How long nobody may be able to tell before that is an incident, in milliseconds.
    pub stale_after_ms: u64,
    /// How many stores have series of their own in the metrics at the most.
    pub metrics_store_limit: usize,
}

/// Past this age of the loop's last pass, `/livez` says no.
pub const STALLED_AFTER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_that_harm_more_weigh_more() {
        let mut states = StoreState::ALL;
        states.sort_by_key(|state| state.gravity());
        assert_eq!(
            states.map(StoreState::label),
            ["verified", "unverified", "pending", "suspect", "rejected", "failed"]
        );
    }
}
