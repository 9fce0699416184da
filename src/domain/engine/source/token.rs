//! The token in hand: how much of it is left, and what keeps it, or its successor, alive.

use std::time::Duration;

use super::Call;
use crate::domain::engine::TokenOrigin;
use crate::domain::schedule::phase;
use crate::domain::source::Lease;
use crate::domain::time::{Instant, Now, Timestamp};

/// Of a token that is not ours to replace, somebody is told when this part of its life is left, ...
const WARNED_PART: u32 = 6;
/// ... and never earlier than that.
const EARLIEST_WARNING: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often such a token is then read again at least.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Two looks at one token tell its end in whole seconds, and some time apart.
const SAME_END: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    /// The longest lease that was seen of it. A renewal that grants less than half of it nears its end.
    longest: Duration,
    pub(super) lease: Lease,
    since: Now,
    /// When to renew or replace it; none: never.
    act_at: Option<Instant>,
}

impl Token {
    /// A token that has just come. `seed` is that of this instance, `turn` counts its tokens and renewals: each time
    /// falls elsewhere, so that instances that started together do not stay together.
    pub(super) fn new(lease: Lease, seed: &str, turn: u64, now: Now) -> Self {
        let mut token = Self { longest: lease.duration, lease, since: now, act_at: None };
        token.act_at = token.two_thirds(seed, turn);
        token
    }

    /// The token after a renewal, or after another look at it.
    pub(super) fn continued(self, lease: Lease, seed: &str, turn: u64, now: Now) -> Self {
        Self { longest: self.longest.max(lease.duration), ..Self::new(lease, seed, turn, now) }
    }

    /// Whether a token that ends like that is most likely still this one.
    pub(super) fn is_same(self, lease: Lease, now: Now) -> bool {
        match (self.end(), (!lease.duration.is_zero()).then(|| now.instant.plus(lease.duration))) {
            (Some(one), Some(other)) => one.since(other).max(other.since(one)) <= SAME_END,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// From two thirds of the lease, up to a tenth of it is taken away.
    fn two_thirds(self, seed: &str, turn: u64) -> Option<Instant> {
        let duration = self.end().map(|_| self.lease.duration)?;
        let earlier = phase(seed, &format!("renew {turn}"), duration / 10);
        Some(
            self.since
                .instant
                .plus((duration.saturating_mul(2) / 3).saturating_sub(Duration::from_millis(earlier))),
        )
    }

    fn end(self) -> Option<Instant> {
        (!self.lease.duration.is_zero()).then(|| self.since.instant.plus(self.lease.duration))
    }

    /// When it ends by the wall clock; none: never.
    pub(super) fn expires_at(self) -> Option<Timestamp> {
        self.end().map(|_| self.since.wall.plus(self.lease.duration))
    }

    pub(super) fn has_ended(self, now: Now) -> bool {
        self.end().is_some_and(|end| now.instant >= end)
    }

    /// How long it has been in hand since it came or was renewed.
    pub(super) fn age(self, now: Now) -> Duration {
        now.instant.since(self.since.instant)
    }

    /// It turned out that it cannot be renewed.
    pub(super) const fn cannot_be_renewed(&mut self) {
        self.lease.renewable = false;
    }

    fn dwindles(self) -> bool {
        self.lease.duration.saturating_mul(2) < self.longest
    }

    /// How much of it is left, when it was last looked at, before somebody is told that it runs out: only of one that
    /// we neither made nor can keep alive.
    fn unwarned(self, origin: TokenOrigin) -> Option<Duration> {
        self.end().filter(|_| origin == TokenOrigin::Given)?;
        if self.lease.renewable && !self.dwindles() {
            return None;
        }
        let ahead = (self.longest / WARNED_PART).min(EARLIEST_WARNING);
        Some(self.lease.duration.saturating_sub(ahead))
    }

    /// Whether it runs out, and was seen to do so when it was last looked at.
    pub(super) fn runs_out(self, origin: TokenOrigin) -> bool {
        self.unwarned(origin).is_some_and(|left| left.is_zero())
    }

    /// When something is to be done for it.
    pub(super) fn act_at(self, origin: TokenOrigin) -> Option<Instant> {
        let look = self.unwarned(origin).map(|left| self.since.instant.plus(left.max(LONGEST_PAUSE)));
        self.act_at.into_iter().chain(look).min()
    }

    /// What is to be done for it now.
    pub(super) fn call(self, origin: TokenOrigin, now: Now) -> Option<Call> {
        self.act_at(origin).filter(|at| now.instant >= *at)?;
        Some(if self.lease.renewable && !self.dwindles() { Call::Renew } else { Call::LogIn })
    }
}

pub(super) fn lease_words(lease: Lease) -> String {
    if lease.duration.is_zero() {
        return "the token does not run out".into();
    }
    let how = if lease.renewable { "renewable" } else { "not renewable" };
    format!("the token lives for {} and is {how}", humantime::format_duration(lease.duration))
}
