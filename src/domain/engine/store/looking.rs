//! A store's disk: when it is looked at, in its turn and whenever somebody has touched it.

use std::time::Duration;

use super::Store;
use crate::domain::time::Instant;

/// However often the files are touched, so far apart are the looks that this brings about.
const PAUSE: Duration = Duration::from_secs(1);

/// When the disk is looked at.
#[derive(Debug)]
pub(super) struct Looks {
    pub(super) next: Instant,
    /// Somebody has touched the files since the last look began. Whether it was us is not asked: one look more tells.
    disturbed: bool,
    /// When the last look began, or something was written last.
    last: Option<Instant>,
}

impl Looks {
    /// The first look is due from now on.
    pub(super) const fn from(now: Instant) -> Self {
        Self { next: now, disturbed: false, last: None }
    }

    pub(super) fn due(&self) -> Instant {
        let soon = self.last.map_or_else(Instant::default, |last| last.plus(PAUSE));
        if self.disturbed { self.next.min(soon) } else { self.next }
    }

    pub(super) const fn begin(&mut self, now: Instant) {
        self.disturbed = false;
        self.last = Some(now);
    }

    /// What was written is looked at once more, a moment later: whoever watches watches what is there by then.
    pub(super) const fn wrote(&mut self, now: Instant) {
        self.disturbed = true;
        self.last = Some(now);
    }
}

impl Store {
    /// Somebody has touched the files.
    pub(in crate::domain::engine) const fn disturbed(&mut self) {
        self.looks.disturbed = true;
    }
}
