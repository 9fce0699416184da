//! What a single pass came to, store by store.

use super::store::{Disk, ReadProblem, Store};
use super::{Engine, Gate};
use crate::domain::source::SourceFaultKind;
use crate::domain::verdict::VerdictKind;

/// What a pass came to for a store. The order is that of seriousness: the last is the most serious.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// What the source has newest is published and accepted.
    Good,
    /// The app could not be told of what is published.
    Untold,
    /// Nobody could tell whether the credentials work.
    Inconclusive,
    /// The source is unavailable.
    SourceUnavailable,
    /// The source refuses the log-in.
    LoginRefused,
    /// The secret is missing, may not be read, or is malformed.
    SecretUnusable,
    /// The store rejects the credentials.
    Rejected,
    /// The credentials could not be written.
    PublishFailed,
}

impl Engine {
    /// What the pass came to: the most serious outcome of all stores; `None` while something is still to
    /// come.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        let source = self.source.fault().map(|fault| match fault.kind() {
            SourceFaultKind::LoginRefused | SourceFaultKind::Forbidden => Outcome::LoginRefused,
            SourceFaultKind::Missing | SourceFaultKind::Unavailable => Outcome::SourceUnavailable,
        });
        let mut most = match self.listings.pending() {
            // Whoever has secrets looked for expects some.
            None if self.stores.is_empty() => Outcome::SecretUnusable,
            None => Outcome::Good,
            // What is known already may fail for certain; whatever else comes may be worse.
            Some(None) => source?,
            Some(Some(SourceFaultKind::Unavailable)) => Outcome::SourceUnavailable,
            Some(Some(SourceFaultKind::LoginRefused)) => Outcome::LoginRefused,
            Some(Some(SourceFaultKind::Forbidden | SourceFaultKind::Missing)) => Outcome::SecretUnusable,
        };
        for store in &self.stores {
            let outcome = store.outcome(self.settings.gate);
            most = most.max(outcome.or(source.filter(|_| store.needs_source()))?);
        }
        Some(most)
    }
}

impl Store {
    /// Whether nothing can come of it before the source works: what was read is verified and published
    /// without it.
    fn needs_source(&self) -> bool {
        self.problem.is_some() || self.read_success.is_none()
    }

    /// `None` while this store's part is still to come.
    fn outcome(&self, gate: Gate) -> Option<Outcome> {
        let outcome = self.credentials_outcome(gate)?;
        Some(outcome.max(self.reload_outcome()?))
    }

    fn credentials_outcome(&self, gate: Gate) -> Option<Outcome> {
        if self.failed_write.is_some() {
            return Some(Outcome::PublishFailed);
        }
        match &self.problem {
            Some(ReadProblem::Malformed { .. }) => return Some(Outcome::SecretUnusable),
            Some(ReadProblem::Fault(fault)) => match fault.kind() {
                SourceFaultKind::Missing => return Some(Outcome::SecretUnusable),
                SourceFaultKind::Forbidden => return self.refused.then_some(Outcome::SecretUnusable),
                SourceFaultKind::Unavailable => return Some(Outcome::SourceUnavailable),
                SourceFaultKind::LoginRefused => return None,
            },
            None => {}
        }
        self.read_success?;
        if matches!(self.disk, Disk::Unknown) {
            return None;
        }
        if let Some(candidate) = &self.candidate {
            return match candidate.streak.kind() {
                _ if gate == Gate::Open => None,
                None | Some(VerdictKind::Accepted) => None,
                Some(VerdictKind::Rejected) => Some(Outcome::Rejected),
                Some(_) => Some(Outcome::Inconclusive),
            };
        }
        if !self.is_up_to_date() {
            return None;
        }
        match self.streak.kind()? {
            VerdictKind::Accepted => Some(Outcome::Good),
            VerdictKind::Rejected => Some(Outcome::Rejected),
            VerdictKind::Forbidden
            | VerdictKind::Moved
            | VerdictKind::RateLimited
            | VerdictKind::Unavailable
            | VerdictKind::Malformed
            | VerdictKind::NetworkError
            | VerdictKind::TlsError => Some(Outcome::Inconclusive),
        }
    }
}
