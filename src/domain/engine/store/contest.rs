//! A store's disk: whoever changes what is published again and again, and how long restoring it waits then.

use std::time::Duration;

use super::super::Context;
use super::{Disk, FIRST_WAIT, Store};
use crate::domain::publication::GenerationStamp;
use crate::domain::schedule::backoff;
use crate::domain::time::{Instant, Now};

/// So many restorations in a row come at once: people try things out, and files may be damaged one by one.
pub(in crate::domain::engine) const AT_ONCE: u32 = 10;
/// However long the contest lasts, the set is restored again after this much time at the latest.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A set that was left alone for so long is left alone, unless the disk is looked at more rarely than that.
const QUIET: Duration = Duration::from_secs(10 * 60);

/// What somebody else does to the published set, and how often it was restored.
#[derive(Debug)]
pub(in crate::domain::engine) struct Contest {
    /// Restorations in a row, with no quiet time between them.
    pub(in crate::domain::engine) restorations: u32,
    /// When the first of them was, and the last.
    pub(in crate::domain::engine) first: Option<Now>,
    pub(in crate::domain::engine) latest: Option<Now>,
    /// What was found before the last.
    pub(in crate::domain::engine) damage: String,
    /// What was found has not been restored yet.
    damaged: bool,
    /// Since when the set may have been left alone.
    calm_since: Instant,
    next: Instant,
}

impl Contest {
    pub(super) const fn from(now: Instant) -> Self {
        Self {
            restorations: 0,
            first: None,
            latest: None,
            damage: String::new(),
            damaged: false,
            calm_since: now,
            next: now,
        }
    }

    /// Somebody wants everything done now.
    pub(super) const fn hasten(&mut self, now: Instant) {
        self.next = now;
    }
}

impl Store {
    /// The published set was found changed or gone.
    pub(super) fn damaged(&mut self, why: &str, cx: &Context<'_>) {
        if cx.now.instant >= self.left_alone_at(cx) {
            self.contest.restorations = 0;
            self.contest.first = None;
        }
        why.clone_into(&mut self.contest.damage);
        self.contest.damaged = true;
        self.contest.calm_since = cx.now.instant;
    }

    /// It is as it was published.
    pub(super) fn restored(&mut self, now: Now) {
        if !std::mem::take(&mut self.contest.damaged) {
            return;
        }
        let contest = &mut self.contest;
        contest.restorations = contest.restorations.saturating_add(1);
        contest.first.get_or_insert(now);
        contest.latest = Some(now);
        contest.calm_since = now.instant;
        let beyond = contest.restorations.saturating_sub(AT_ONCE);
        if beyond > 0 {
            let wait = backoff(self.spec.name.as_str(), beyond, FIRST_WAIT, LONGEST_WAIT);
            contest.next = now.instant.plus(wait);
        }
    }

    /// Other content was published in the place of what was damaged.
    pub(super) const fn replaced(&mut self) {
        self.contest.damaged = false;
    }

    /// When a set may be written. New content waits for nobody who contests the old.
    pub(super) fn may_publish_at(&self, stamp: &GenerationStamp) -> Instant {
        let restores = stamp.restores.is_some() && matches!(self.disk, Disk::Absent(_));
        if restores { self.next_publish.max(self.contest.next) } else { self.next_publish }
    }

    /// When the published set will have been left alone for long enough.
    pub(in crate::domain::engine) fn left_alone_at(&self, cx: &Context<'_>) -> Instant {
        // Where nobody tells of changes, only a pass finds them.
        self.contest.calm_since.plus(QUIET.max(cx.settings.poll_interval.saturating_mul(2)))
    }
}
