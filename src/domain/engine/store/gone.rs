//! A store that was discovered, and whose secret is listed no more: for how long.

use std::time::Duration;

use super::Store;
use crate::domain::discovery::Discovered;
use crate::domain::engine::book::Book;
use crate::domain::incident::Cause;
use crate::domain::time::{Instant, Now, Timestamp};

/// What is wrong with the secret, and not with us or the platform.
const SECRET_IS_UNUSABLE: [Cause; 5] =
    [Cause::Misconfigured, Cause::Forbidden, Cause::Moved, Cause::SecretMissing, Cause::SecretMalformed];

/// For how long a secret is gone. The wall clock tells what went by before this life; one that is set meanwhile must
/// not take away what is published.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone {
    since: Timestamp,
    /// When this was noted, ...
    noted: Instant,
    /// ... and how long it had been gone then.
    before: Duration,
}

impl Gone {
    pub(super) fn of(discovered: Option<Discovered>, now: Now) -> Option<Self> {
        let since = discovered?.gone_since?;
        Some(Self { since, noted: now.instant, before: now.wall.since(since) })
    }
}

impl Store {
    /// What is known of it because it was discovered.
    pub(in crate::domain::engine) fn discovered(&mut self, discovered: Option<Discovered>, now: Now) {
        self.spec.discovered = discovered;
        let since = discovered.and_then(|discovered| discovered.gone_since);
        if self.gone.map(|gone| gone.since) != since {
            self.gone = Gone::of(discovered, now);
        }
    }

    /// Whether it was discovered, and its secret is listed no more.
    pub(super) const fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// Whether it was discovered so long ago that others do not wait for it any more, whatever keeps it from being
    /// published: its secret may lead to a host that never answers.
    pub(in crate::domain::engine) fn is_overdue(&self, now: Instant, patience: Duration) -> bool {
        self.spec.discovered.is_some() && now.since(self.known_since.instant) >= patience
    }

    /// Whether all is not ready before it is published. One that was discovered, and whose secret has been found to be
    /// unusable, is not waited for: otherwise whoever may write a secret there could hold up everybody.
    pub(in crate::domain::engine) fn is_awaited(&self, book: &Book) -> bool {
        let unusable = || SECRET_IS_UNUSABLE.iter().any(|cause| book.is_open(Some(self.name()), *cause));
        !self.is_published() && (self.spec.discovered.is_none() || !unusable())
    }

    /// The same by the wall clock, for people.
    pub(in crate::domain::engine) fn gone_for_good_from(&self) -> Option<Timestamp> {
        let (gone, after) = (self.gone?, self.spec.discovered?.withdraw_after?);
        Some(gone.since.plus(after))
    }

    /// When its secret will have been gone for longer than it stays published.
    pub(super) fn gone_for_good_at(&self) -> Option<Instant> {
        let (gone, after) = (self.gone?, self.spec.discovered?.withdraw_after?);
        Some(gone.noted.plus(after.saturating_sub(gone.before)))
    }
}
