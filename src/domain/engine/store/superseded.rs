//! The set before the published one: asked about for a while after a rotation, then forgotten and wiped.

use std::sync::Arc;
use std::time::Duration;

use super::super::Context;
use super::{Rejection, Store, Streak};
use crate::domain::credentials::Credentials;
use crate::domain::incident::Resolution;
use crate::domain::publication::Published;
use crate::domain::secret::Fingerprint;
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
    pub(in crate::domain::engine) generation: u64,
    account: Fingerprint,
    pub(in crate::domain::engine) since: Now,
    pub(in crate::domain::engine) streak: Streak,
    rejection: Option<Rejection>,
    pub(super) next_probe: Instant,
}

impl Superseded {
    /// The host that may still accept it.
    pub(in crate::domain::engine) fn host(&self) -> &str {
        self.credentials.api_path().host()
    }

    pub(super) fn ends(&self) -> Instant {
        self.since.instant.plus(WATCH)
    }
}

impl Store {
    /// Takes leave of the published set because another one takes its place.
    pub(super) fn supersede(&mut self, old: Published, new: &Credentials, cx: &Context<'_>) {
        let (now, account) = (cx.now, old.credentials.account(cx.key));
        // What is known to be dead needs no watching, and an account whose address alone changed is the same.
        let dead = self.rejection.is_some();
        let other = !old.credentials.same_account(new) || !old.credentials.same_token(new);
        // Nobody may be told to delete an account that another store uses.
        let used = cx.shared.accounts.is_of_another(account, self.account);
        // Of one that still works, nobody will know whether it dies.
        let live =
            self.superseded.take().is_some_and(|older| older.streak.kind() == Some(VerdictKind::Accepted));
        self.superseded_end = live.then_some(Resolution::NoLongerWatched);
        self.superseded = (other && !dead && !used).then(|| Superseded {
            name: old.stamp.name(),
            generation: old.stamp.generation,
            account,
            credentials: old.credentials,
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

    /// What a set that takes the place of the published one has of another place; nothing, where it has not.
    pub(super) fn change_of_place(&self, new: &Published, cx: &Context<'_>) -> String {
        let Some(good) = self.good.as_ref().filter(|_| new.stamp.verified_at.is_some()) else {
            return String::new();
        };
        let (old, account) = (good.credentials.api_path(), new.credentials.account(cx.key));
        let (before, now) = (old.host(), new.credentials.api_path().host());
        let host = if before == now {
            String::new()
        } else {
            format!("; its host is {now}, and was {before} before")
        };
        let is_new = self.account != Some(account);
        let used = is_new && cx.shared.accounts.is_of_another(account, self.account);
        format!("{host}{}", if used { "; another store publishes the same account" } else { "" })
    }

    /// The account of the published set.
    pub(in crate::domain::engine) const fn published_account(&self) -> Option<Fingerprint> {
        self.account
    }

    /// Whether another store publishes the same account as this one.
    pub(in crate::domain::engine) fn shares_its_account(&self, cx: &Context<'_>) -> bool {
        self.account.is_some_and(|account| cx.shared.accounts.is_of_another(account, self.account))
    }

    /// Forgets the superseded set when its time is over, or when its account is in use again.
    pub(super) fn advance_superseded(&mut self, cx: &mut Context<'_>) {
        let is_used = |old: &mut Superseded| cx.shared.accounts.is_of_another(old.account, self.account);
        if let Some(old) = self.superseded.take_if(is_used) {
            self.superseded_end = Some(Resolution::NoLongerWatched);
            let text =
                format!("another store publishes the account of {}, which is not watched any more", old.name);
            self.say(cx, None, text);
        }
        if self.superseded.as_ref().is_some_and(|old| cx.now.instant >= old.ends()) {
            self.superseded = None;
            self.superseded_end = Some(Resolution::NoLongerWatched);
        }
    }
}
