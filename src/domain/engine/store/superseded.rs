//! The set before the published one: asked about for a while after a rotation, then forgotten and wiped.

use std::sync::Arc;
use std::time::Duration;

use super::super::Context;
use super::{Rejection, Store, Streak};
use crate::domain::credentials::Credentials;
use crate::domain::incident::Resolution;
use crate::domain::publication::Published;
use crate::domain::time::{Instant, Now};
use crate::domain::verdict::{Verdict, VerdictKind};

/// How long superseded credentials are asked about.
const WATCH: Duration = Duration::from_secs(24 * 3600);

/// Credentials that were published before, and may still work.
#[derive(Debug)]
pub(in crate::domain::engine) struct Superseded {
    pub(super) credentials: Arc<Credentials>,
    /// What it is called.
    pub(in crate::domain::engine) name: String,
    pub(in crate::domain::engine) since: Now,
    pub(in crate::domain::engine) streak: Streak,
    rejection: Option<Rejection>,
    pub(super) next_probe: Instant,
}

impl Superseded {
    pub(super) fn ends(&self) -> Instant {
        self.since.instant.plus(WATCH)
    }
}

impl Store {
    /// Takes leave of the published set because another one takes its place.
    pub(super) fn supersede(&mut self, old: Published, new: &Credentials, now: Now) {
        // What is known to be dead needs no watching, and an account whose address alone changed is the same.
        let dead = self.rejection.is_some();
        let other = !old.credentials.same_account(new) || !old.credentials.same_token(new);
        // Of one that still works, nobody will know whether it dies.
        let live =
            self.superseded.take().is_some_and(|older| older.streak.kind() == Some(VerdictKind::Accepted));
        self.superseded_end = live.then_some(Resolution::NoLongerWatched);
        self.superseded = (other && !dead).then(|| Superseded {
            credentials: old.credentials,
            name: old.stamp.name(),
            since: now,
            streak: Streak::default(),
            rejection: None,
            next_probe: now.instant,
        });
    }

    pub(super) fn superseded_judged(&mut self, verdict: Verdict, cx: &mut Context<'_>) {
        let Some(mut old) = self.superseded.take() else { return };
        let wait = match &verdict {
            Verdict::Rejected { none_seen } => {
                Rejection::add(&mut old.rejection, *none_seen, cx.now);
                cx.settings.confirmation_spacing
            }
            Verdict::Accepted => {
                old.rejection = None;
                cx.settings.check_interval
            }
            Verdict::RateLimited { .. } | Verdict::Unavailable { .. } => {
                self.pause(&verdict, old.streak.silent()).max(cx.settings.check_interval)
            }
            Verdict::Forbidden
            | Verdict::Moved { .. }
            | Verdict::Malformed { .. }
            | Verdict::Network(_)
            | Verdict::Tls(_) => cx.settings.check_interval,
        };
        if verdict.kind() == VerdictKind::Accepted && old.streak.kind() != Some(VerdictKind::Accepted) {
            let text = format!("{}, which is no longer published, is still accepted", old.name);
            self.say(cx, None, text);
        }
        old.streak.push(verdict, cx.now);
        old.next_probe = cx.now.instant.plus(wait);
        if old.rejection.is_some_and(|rejection| self.confirmed(&rejection, cx)) {
            self.say(cx, None, format!("{} is dead, and forgotten", old.name));
        } else {
            self.superseded = Some(old);
        }
    }

    /// Forgets the superseded set when its time is over.
    pub(super) fn advance_superseded(&mut self, cx: &mut Context<'_>) {
        if self.superseded.as_ref().is_some_and(|old| cx.now.instant >= old.ends()) {
            self.superseded = None;
            self.superseded_end = Some(Resolution::NoLongerWatched);
        }
    }
}
