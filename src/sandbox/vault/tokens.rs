//! The tokens that logging in gives out: how long each lives, and which are still alive.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// An hour, a usual choice for AppRoles.
const DEFAULT_TTL: Duration = Duration::from_secs(60 * 60);
/// OpenBao's own default.
const DEFAULT_MAX_TTL: Duration = Duration::from_secs(32 * 24 * 60 * 60);

/// A hundred years: far enough for every wish, near enough for every clock.
const LONGEST_TTL: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// All tokens from logging in.
pub(super) struct Tokens {
    /// How long a token lives after a login or a renewal.
    pub(super) ttl: Duration,
    /// How long a token lives at most after its login.
    pub(super) max_ttl: Duration,
    issued: BTreeMap<String, Token>,
}

/// One token, without its secret.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) accessor: String,
    pub(super) entity_id: String,
    /// For showing only; what is alive is told by the other clock.
    pub(super) created: SystemTime,
    /// What the login granted.
    pub(super) creation_ttl: Duration,
    expires: Instant,
    latest_expiry: Instant,
}

/// Whether a renewal got what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    Whole,
    /// Cut to what the maximum leaves.
    Capped {
        asked: Duration,
        granted: Duration,
    },
}

impl Default for Tokens {
    fn default() -> Self {
        Self { ttl: DEFAULT_TTL, max_ttl: DEFAULT_MAX_TTL, issued: BTreeMap::new() }
    }
}

impl Token {
    /// How long it has still to live.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.expires.saturating_duration_since(now)
    }
}

impl Tokens {
    /// Takes in a new token.
    pub(super) fn issue(
        &mut self,
        secret: String,
        accessor: String,
        entity_id: String,
        now: Instant,
    ) -> Token {
        let max_ttl = self.max_ttl.min(LONGEST_TTL);
        let granted = self.ttl.min(max_ttl);
        let token = Token {
            accessor,
            entity_id,
            created: SystemTime::now(),
            creation_ttl: granted,
            expires: now + granted,
            latest_expiry: now + max_ttl,
        };
        self.forget_expired(now);
        self.issued.insert(secret, token.clone());
        token
    }

    /// The token, if it is alive.
    pub(super) fn find(&mut self, secret: &str, now: Instant) -> Option<&Token> {
        self.forget_expired(now);
        self.issued.get(secret)
    }

    /// Lets a live token live on for `increment` from now, or for the usual time, but not beyond its maximum.
    pub(super) fn renew(
        &mut self,
        secret: &str,
        increment: Option<Duration>,
        now: Instant,
    ) -> Option<(Token, Renewal)> {
        let asked = increment.unwrap_or(self.ttl);
        self.forget_expired(now);
        let token = self.issued.get_mut(secret)?;
        let granted = asked.min(token.latest_expiry.saturating_duration_since(now));
        token.expires = now + granted;
        let renewal = if granted < asked { Renewal::Capped { asked, granted } } else { Renewal::Whole };
        Some((token.clone(), renewal))
    }

    /// Ends one token.
    pub(super) fn revoke(&mut self, secret: &str) {
        self.issued.remove(secret);
    }

    /// Ends all tokens.
    pub(super) fn revoke_all(&mut self) {
        self.issued.clear();
    }

    /// How many are alive.
    pub(super) fn live(&mut self, now: Instant) -> usize {
        self.forget_expired(now);
        self.issued.len()
    }

    fn forget_expired(&mut self, now: Instant) {
        self.issued.retain(|_, token| token.expires > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn tokens_with_one(now: Instant) -> Tokens {
        let mut tokens = Tokens { ttl: 60 * SECOND, max_ttl: 100 * SECOND, ..Tokens::default() };
        tokens.issue("s.one".to_owned(), "accessor".to_owned(), "entity".to_owned(), now);
        tokens
    }

    #[test]
    fn a_token_lives_until_its_time_is_over() {
        let start = Instant::now();
        let mut tokens = tokens_with_one(start);
        assert_eq!(tokens.find("s.one", start + 59 * SECOND).unwrap().left(start + 59 * SECOND), SECOND);
        assert!(tokens.find("s.one", start + 60 * SECOND).is_none());
        assert_eq!(tokens.live(start + 60 * SECOND), 0);
    }

    #[test]
    fn a_renewal_counts_from_now() {
        let start = Instant::now();
        let mut tokens = tokens_with_one(start);
        let (token, renewal) = tokens.renew("s.one", None, start + 30 * SECOND).unwrap();
        assert_eq!((token.left(start + 30 * SECOND), renewal), (60 * SECOND, Renewal::Whole));
    }

    #[test]
    fn a_renewal_does_not_go_beyond_the_maximum() {
        let start = Instant::now();
        let mut tokens = tokens_with_one(start);
        tokens.renew("s.one", None, start + 50 * SECOND).unwrap();
        let (_, renewal) = tokens.renew("s.one", None, start + 90 * SECOND).unwrap();
        assert_eq!(renewal, Renewal::Capped { asked: 60 * SECOND, granted: 10 * SECOND });
        assert!(tokens.find("s.one", start + 100 * SECOND).is_none());
    }

    #[test]
    fn a_lifetime_beyond_any_clock_is_shortened_to_one_that_can_be_counted() {
        let now = Instant::now();
        let mut tokens = Tokens { ttl: Duration::MAX, max_ttl: Duration::MAX, ..Tokens::default() };
        let token = tokens.issue("s.one".to_owned(), "accessor".to_owned(), "entity".to_owned(), now);
        assert_eq!(token.left(now), LONGEST_TTL);
        assert!(tokens.renew("s.one", Some(Duration::MAX), now).is_some());
    }

    #[test]
    fn an_expired_token_cannot_be_renewed() {
        let start = Instant::now();
        assert!(tokens_with_one(start).renew("s.one", None, start + 61 * SECOND).is_none());
    }
}
