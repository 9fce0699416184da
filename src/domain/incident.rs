//! Incidents: what is wrong, since when, how it is known, and what to do; and the messages about them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Published credentials that were accepted before are rejected, confirmed over time.
    RegeneratedOrRevoked,
    /// The newest version in the source is rejected while the published one is still accepted.
    BadWrite,
    /// The credentials were never accepted since they were first seen.
    Misconfigured,
    /// The store forbids the account (403).
    Forbidden,
    /// The API is not at the API Path any more.
    Moved,
    /// The secret is missing: never written, deleted, destroyed, or may not be read.
    SecretMissing,
    /// A field of the secret is missing or cannot be used.
    SecretMalformed,
    /// A generation could not be written.
    PublishFailed,
    /// Published files do not stay as they were published, time after time.
    FilesUnstable,
    /// The app could not be told of what was published.
    ReloadFailed,
    /// The app has not acknowledged what was published.
    Unacknowledged,
    /// Credentials that another version has taken the place of still work.
    SupersededLive,
    /// The store's certificate cannot be trusted, or soon expires.
    CertificateTrouble,
    /// Nobody could tell for too long whether the published credentials work.
    Unverified,
    /// Many unrelated stores reject their credentials at once.
    PlatformTrouble,
    /// The source refuses our log-in.
    SourceLoginRefused,
    /// The token that was given to us for the source runs out, and there is no other.
    SourceTokenExpiring,
    /// The source cannot be reached, is sealed or answers nonsense.
    SourceUnavailable,
    /// Nobody can tell which stores there are: the source does not list their secrets.
    DiscoveryFailed,
    /// Nothing: somebody tests the channels.
    Test,
}

impl Cause {
    pub(crate) const FIRST: Self = Self::RegeneratedOrRevoked;
    pub(crate) const LAST: Self = Self::DiscoveryFailed;

    /// Every cause that an incident can have, in the order of the labels; a test is none.
    pub const ALL: [Self; 19] = [
        Self::RegeneratedOrRevoked,
        Self::BadWrite,
        Self::Misconfigured,
        Self::Forbidden,
        Self::Moved,
        Self::SecretMissing,
        Self::SecretMalformed,
        Self::PublishFailed,
        Self::FilesUnstable,
        Self::ReloadFailed,
        Self::Unacknowledged,
        Self::SupersededLive,
        Self::CertificateTrouble,
        Self::Unverified,
        Self::PlatformTrouble,
        Self::SourceLoginRefused,
        Self::SourceTokenExpiring,
        Self::SourceUnavailable,
        Self::DiscoveryFailed,
    ];

    /// The label, as metrics, messages and tables write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::RegeneratedOrRevoked => "regenerated_or_revoked",
            Self::BadWrite => "bad_write",
            Self::Misconfigured => "misconfigured",
            Self::Forbidden => "forbidden",
            Self::Moved => "moved",
            Self::SecretMissing => "secret_missing",
            Self::SecretMalformed => "secret_malformed",
            Self::PublishFailed => "publish_failed",
            Self::FilesUnstable => "files_unstable",
            Self::ReloadFailed => "reload_failed",
            Self::Unacknowledged => "unacknowledged",
            Self::SupersededLive => "superseded_live",
            Self::CertificateTrouble => "certificate_trouble",
            Self::Unverified => "unverified",
            Self::PlatformTrouble => "platform_trouble",
            Self::SourceLoginRefused => "source_login_refused",
            Self::SourceTokenExpiring => "source_token_expiring",
            Self::SourceUnavailable => "source_unavailable",
            Self::DiscoveryFailed => "discovery_failed",
            Self::Test => "test",
        }
    }

    /// The cause in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::RegeneratedOrRevoked => "API token regenerated or revoked",
            Self::BadWrite => "new credentials in Vault are rejected by the store",
            Self::Misconfigured => "credentials are not accepted by the store",
            Self::Forbidden => "store forbids the account",
            Self::Moved => "store is not at its API Path",
            Self::SecretMissing => "secret cannot be read from Vault",
            Self::SecretMalformed => "secret in Vault is unusable",
            Self::PublishFailed => "credentials cannot be published",
            Self::FilesUnstable => "published files do not stay as they were published",
            Self::ReloadFailed => "the app cannot be told of new credentials",
            Self::Unacknowledged => "the app has not acknowledged new credentials",
            Self::SupersededLive => "superseded credentials still work",
            Self::CertificateTrouble => "trouble with the store's certificate",
            Self::PlatformTrouble => "many stores reject their credentials at once",
            Self::Unverified => "credentials could not be verified for too long",
            Self::SourceLoginRefused => "Vault refuses the log-in",
            Self::SourceTokenExpiring => "the token for Vault runs out",
            Self::SourceUnavailable => "Vault is unavailable",
            Self::DiscoveryFailed => "Vault does not tell which stores there are",
            Self::Test => "this is a test of the alerts, nothing is wrong",
        }
    }

    /// How serious it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::RegeneratedOrRevoked
            | Self::Misconfigured
            | Self::PublishFailed
            | Self::FilesUnstable
            | Self::PlatformTrouble
            | Self::SourceLoginRefused => Severity::Critical,
            Self::BadWrite
            | Self::Forbidden
            | Self::Moved
            | Self::SecretMissing
            | Self::SecretMalformed
            | Self::ReloadFailed
            | Self::Unacknowledged
            | Self::SupersededLive
            | Self::CertificateTrouble
            | Self::Unverified
            | Self::SourceTokenExpiring
            | Self::SourceUnavailable
            | Self::DiscoveryFailed
            | Self::Test => Severity::Warning,
        }
    }
}

/// How serious an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Apps keep working for now; somebody should look.
    Warning,
    /// Apps fail, or are about to.
    Critical,
}

impl Severity {
    /// The label, as metrics and messages write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What ended an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// A newer version of the same account was accepted and published.
    RegeneratedCaughtUp,
    /// Another account, by its Username or its API Path, was accepted and published.
    AccountReplaced,
    /// The published credentials are accepted again.
    AcceptedAgain,
    /// The trouble is over.
    Recovered,
    /// Superseded credentials are no longer asked about.
    NoLongerWatched,
    /// The store is no longer configured.
    NoLongerConfigured,
    /// The store's secret stayed away for as long as the configuration says, and nothing of it is published any more.
    StayedAway,
    /// It was a test, and it is over.
    TestOver,
}

impl Resolution {
    /// The resolution in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::RegeneratedCaughtUp => {
                "regenerated, caught up: what Vault has now was accepted by the store and is published"
            }
            Self::AccountReplaced => {
                "account replaced: what Vault has now, with another Username or API Path, was accepted and is published"
            }
            Self::AcceptedAgain => "the store accepts the published credentials again",
            Self::Recovered => "the trouble is over",
            Self::NoLongerWatched => {
                "the superseded credentials were forgotten, and are no longer asked about"
            }
            Self::NoLongerConfigured => "the store is no longer configured",
            Self::StayedAway => {
                "its secret stayed away for as long as withdraw_after says, and what was published of it was taken away"
            }
            Self::TestOver => "the test is over",
        }
    }
}

/// Identifies an incident for ever: the subject, the cause, and when it opened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(String);

impl IncidentId {
    pub(crate) fn new(store: Option<&str>, cause: Cause, opened_at: Timestamp) -> Self {
        Self(format!("{}:{}:{}", store.unwrap_or("vault"), cause.label(), opened_at.as_millis()))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An open incident. Holds no secret; it is kept on disk and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Identifies it for ever.
    pub id: IncidentId,
    /// The store that it is about; none: the source itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// What is wrong.
    pub cause: Cause,
    /// How serious it is.
    pub severity: Severity,
    /// When it opened.
    pub opened_at: Timestamp,
    /// How it is known, in plain sentences.
    pub evidence: Vec<String>,
    /// What to do about it.
    pub remedy: String,
    /// How many messages were sent about it so far.
    pub messages: u32,
    /// When the next reminder is due.
    pub repeat_at: Timestamp,
    /// Until when there are no reminders, because somebody wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced_until: Option<Timestamp>,
}

impl Incident {
    /// When there will be another reminder if nothing changes: when it is due, and not before a silence ends.
    #[must_use]
    pub fn next_reminder(&self) -> Timestamp {
        self.silenced_until.map_or(self.repeat_at, |until| self.repeat_at.max(until))
    }

    /// What it is about, in a word: a store, all of them, or the source.
    #[must_use]
    pub fn subject(&self) -> &str {
        let source = if self.cause == Cause::PlatformTrouble { "stores" } else { "vault" };
        self.store.as_deref().unwrap_or(source)
    }
}

/// For how long an incident may be silenced: a minute to thirty days, so that none is forgotten for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilenceSpan(Duration);

/// The span is too short or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a silence lasts from 1 minute to 30 days, such as 2h or 3days")]
pub struct SilenceSpanError;

impl SilenceSpan {
    pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
    const SHORTEST: Duration = Duration::from_secs(60);

    /// Takes a span within the limits.
    ///
    /// # Errors
    /// It is shorter than a minute or longer than thirty days.
    pub fn new(span: Duration) -> Result<Self, SilenceSpanError> {
        (Self::SHORTEST..=Self::LONGEST).contains(&span).then_some(Self(span)).ok_or(SilenceSpanError)
    }

    /// The span as a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// What a message says of its incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// The incident has opened.
    Opened,
    /// The incident is still open.
    Reminder,
    /// The incident is over.
    Resolved,
}

impl MessageKind {
    /// The label, as messages and logs write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reminder => "reminder",
            Self::Resolved => "resolved",
        }
    }
}

/// A message about an incident, to be delivered at least once. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The same at each try, so that a receiver can drop a repetition: the incident's and a number.
    pub id: String,
    /// What it says.
    pub kind: MessageKind,
    /// When it was written.
    pub at: Timestamp,
    /// The incident, as it stood then.
    pub incident: Incident,
    /// What ended it, in a message that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
}

impl Message {
    /// The two messages of a test of the channels: that it begins, and that it is over. They are about nothing
    /// and say so; no engine knows of them.
    #[must_use]
    pub fn of_test(now: Timestamp) -> [Self; 2] {
        let id = IncidentId::new(Some("test"), Cause::Test, now);
        let incident = Incident {
            id,
            store: Some("test".to_owned()),
            cause: Cause::Test,
            severity: Cause::Test.severity(),
            opened_at: now,
            evidence: vec!["somebody ran `bc-secrets-sync alert-test`".to_owned()],
            remedy: "Nothing is to be done: if you read this, the channel works.".to_owned(),
            messages: 1,
            repeat_at: now,
            silenced_until: None,
        };
        let message = |number: u32, kind, resolution| Self {
            id: format!("{}:{number}", incident.id),
            kind,
            at: now,
            incident: Incident { messages: number, ..incident.clone() },
            resolution,
        };
        [message(1, MessageKind::Opened, None), message(2, MessageKind::Resolved, Some(Resolution::TestOver))]
    }

    /// One line for a log or a subject.
    #[must_use]
    pub fn headline(&self) -> String {
        let subject = self.incident.subject();
        let title = self.incident.cause.title();
        match (self.kind, self.resolution) {
            (MessageKind::Opened, _) => format!("{subject}: {title}"),
            (MessageKind::Reminder, _) => {
                format!("{subject}: still open since {}: {title}", self.incident.opened_at)
            }
            (MessageKind::Resolved, resolution) => format!(
                "{subject}: resolved: {title}: {}",
                resolution.unwrap_or(Resolution::Recovered).words()
            ),
        }
    }
}
