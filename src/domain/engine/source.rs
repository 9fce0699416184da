//! The source's state machine: one token for all stores, kept alive, replaced only when it is dead.

mod bearing;
mod failing;
mod incidents;
mod token;

use std::collections::BTreeMap;
use std::time::Duration;

use super::book::Book;
use super::{Action, Context, TokenOrigin};
use crate::domain::incident::Severity;
use crate::domain::source::{Lease, SourceFault, SourceFaultKind};
use crate::domain::time::{Instant, Now, Timestamp};

use self::failing::Spell;
use self::token::{Token, lease_words};

pub(super) use self::bearing::{Bearing, Trouble};

/// How long the source may be unavailable before that is an incident.
pub(crate) const GRACE: Duration = Duration::from_secs(120);
/// How long nothing may work with a token that cannot be asked about, before it is replaced.
const BLIND_PATIENCE: Duration = Duration::from_secs(3600);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The same for log-ins whose answers get lost: each of them may leave a token on the server that nobody knows.
const LONGEST_LOSING_WAIT: Duration = Duration::from_secs(300);
/// How long the source may ask to be left alone.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How far apart questions about the token are at least.
const QUESTION_SPACING: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    LogIn,
    Renew,
    LookUp,
}

#[derive(Debug)]
pub(super) struct Source {
    token: Option<Token>,
    in_flight: Option<Call>,
    /// Why the last call or read failed as a whole; none: the source works.
    fault: Option<SourceFault>,
    /// Log-ins are refused: since when, and with what.
    refused: Option<Spell>,
    /// The source does not serve, whatever it says to log-ins.
    unavailable: Option<Spell>,
    next_try: Instant,
    /// A read was forbidden, and nobody knows yet whether that is because the token is dead.
    doubted: bool,
    asked_at: Option<Instant>,
    signs_of_life: u64,
    /// Why a read was not answered, while none has been since.
    unread: Option<SourceFault>,
    /// Why names were not listed, while none have been since.
    unlisted: Option<SourceFault>,
    last_read: Option<Instant>,
    last_listed: Option<Instant>,
    /// A read, or a question about it, has worked with this token.
    proved: bool,
    /// The token before this one was given up because it was refused when it was asked about itself.
    refused_before: bool,
    /// The token may not look itself up, so a refusal to do so says nothing about its life.
    blind: bool,
    due: Option<Instant>,
    pub(super) last_attempt_at: Option<Timestamp>,
    pub(super) last_success_at: Option<Timestamp>,
    pub(super) logins: u64,
    pub(super) renewals: u64,
    pub(super) reads: u64,
    pub(super) errors: BTreeMap<SourceFaultKind, u64>,
}

impl Source {
    pub(super) const fn new(now: Now) -> Self {
        Self {
            token: None,
            in_flight: None,
            fault: None,
            refused: None,
            unavailable: None,
            next_try: now.instant,
            doubted: false,
            asked_at: None,
            signs_of_life: 0,
            unread: None,
            unlisted: None,
            last_read: None,
            last_listed: None,
            proved: false,
            refused_before: false,
            blind: false,
            due: None,
            last_attempt_at: None,
            last_success_at: None,
            logins: 0,
            renewals: 0,
            reads: 0,
            errors: BTreeMap::new(),
        }
    }

    /// Whether the source works, as far as is known. One that answers for its token alone does not.
    pub(super) fn is_up(&self) -> bool {
        self.token.is_some() && self.trouble().is_none() && !self.doubted
    }

    /// Whether secrets can be read now, or it is worth a try. A token that could not be replaced serves to its end.
    pub(super) fn usable(&self) -> bool {
        self.token.is_some() && !self.doubted && (self.fault.is_none() || self.is_locked_out())
    }

    /// What the source does not do now.
    pub(super) fn trouble(&self) -> Option<&SourceFault> {
        self.fault.as_ref().or(self.unread.as_ref()).or(self.unlisted.as_ref())
    }

    pub(super) fn trouble_words(&self) -> Option<String> {
        self.trouble().map(ToString::to_string)
    }

    /// Whether it is the log-in alone that failed: it was refused or not even tried, or its answer got lost.
    fn is_locked_out(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| {
            fault.kind() == SourceFaultKind::LoginRefused || matches!(fault, SourceFault::Lost(_))
        })
    }

    pub(super) const fn fault(&self) -> Option<&SourceFault> {
        self.fault.as_ref()
    }

    pub(super) fn fault_words(&self) -> Option<String> {
        self.fault.as_ref().map(ToString::to_string)
    }

    pub(super) fn state(&self) -> &'static str {
        match (&self.token, self.trouble()) {
            (_, Some(_)) => "failing",
            (None, None) => "logging in",
            (Some(_), None) => "logged in",
        }
    }

    /// What a line about everything says of it: nothing, where all is well.
    pub(super) fn in_brief(&self) -> &'static str {
        match self.trouble() {
            None if self.token.is_some() => "",
            None => "; logging in to Vault",
            Some(fault) if fault.kind() == SourceFaultKind::LoginRefused => "; the log-in to Vault fails",
            Some(_) => "; Vault is not available",
        }
    }

    pub(super) fn token_expires_at(&self) -> Option<Timestamp> {
        self.token.and_then(Token::expires_at)
    }

    /// The token in hand is of no use any more: another source, or another way to log in.
    pub(super) fn replaced(&mut self, now: Now) {
        let counters = (self.logins, self.renewals, self.reads, std::mem::take(&mut self.errors));
        *self = Self::new(now);
        (self.logins, self.renewals, self.reads, self.errors) = counters;
    }

    pub(super) const fn try_now(&mut self, now: Now) {
        self.next_try = now.instant;
        if let Some(refused) = &mut self.refused {
            refused.next_try = now.instant;
        }
    }

    pub(super) fn logged_in(&mut self, result: Result<Lease, SourceFault>, cx: &mut Context<'_>) {
        if self.in_flight != Some(Call::LogIn) {
            return;
        }
        self.in_flight = None;
        match result {
            Ok(lease) => {
                let (seed, turn) = (seed(cx), self.turn());
                let given = cx.settings.token_origin == TokenOrigin::Given;
                // A token that was given to us may be looked at again and again before there is another one.
                if let Some(same) = self.token.filter(|token| given && token.is_same(lease, cx.now)) {
                    self.token = Some(same.continued(lease, &seed, turn, cx.now));
                    self.works(cx);
                    return;
                }
                self.logins += 1;
                self.proved = false;
                self.token = Some(Token::new(lease, &seed, turn, cx.now));
                self.works(cx);
                cx.say(None, None, format!("logged in to Vault; {}", lease_words(lease)));
            }
            // A token that still lives serves on: only its replacement failed.
            Err(fault) => {
                let lost = matches!(fault, SourceFault::Lost(_) | SourceFault::Malformed(_));
                let answered = matches!(fault, SourceFault::LoginRefused { .. });
                self.fails(fault, if lost { LONGEST_LOSING_WAIT } else { LONGEST_WAIT }, cx);
                if answered {
                    self.answered_log_in(cx);
                }
            }
        }
    }

    pub(super) fn renewed(&mut self, result: Result<Lease, SourceFault>, cx: &mut Context<'_>) {
        if self.in_flight != Some(Call::Renew) {
            return;
        }
        self.in_flight = None;
        match result {
            Ok(lease) => {
                self.renewals += 1;
                let (seed, turn) = (seed(cx), self.turn());
                self.token = self.token.map(|token| token.continued(lease, &seed, turn, cx.now));
                self.works(cx);
            }
            // The server works and will not renew. A token that is dead for other requests too is found out by them;
            // until then it serves, while we log in anew.
            Err(SourceFault::Malformed(_) | SourceFault::Forbidden) => {
                cx.say(None, None, "the Vault token cannot be renewed; logging in again".into());
                if let Some(token) = &mut self.token {
                    token.cannot_be_renewed();
                }
                self.fault = None;
            }
            Err(fault) => self.token_in_doubt(fault, cx),
        }
    }

    pub(super) fn looked_up(&mut self, result: Result<Lease, SourceFault>, cx: &mut Context<'_>) {
        if self.in_flight != Some(Call::LookUp) {
            return;
        }
        self.in_flight = None;
        match result {
            Ok(_) => {
                self.blind = false;
                (self.proved, self.refused_before) = (true, false);
                self.lives(cx);
            }
            // A new token that is refused like the one before it: it is not the token's life that ended.
            // Logging in again and again would fill the server with tokens.
            Err(SourceFault::Forbidden) if self.blind || (!self.proved && self.refused_before) => {
                self.blind = true;
                self.lives(cx);
            }
            // It was only asked whether the source serves again, and it does. What the token may do, reads tell: there is
            // no other in its place.
            Err(SourceFault::Forbidden) if self.refused.is_some() && !self.doubted => {
                self.stays_refused(cx);
            }
            Err(fault) => {
                self.refused_before = fault.kind() == SourceFaultKind::Forbidden;
                self.token_in_doubt(fault, cx);
            }
        }
    }

    /// A read has ended, with or without a fault.
    pub(super) fn used(
        &mut self,
        fault: Option<&SourceFault>,
        store: Trouble,
        cx: &mut Context<'_>,
    ) -> Bearing {
        let alone = store.unanswered.zip(self.last_read).is_some_and(|(since, last)| last > since);
        let still_alone =
            alone && store.tried.zip(self.last_used()).is_some_and(|(tried, last)| last > tried);
        let bearing = Bearing { alone, still_alone, signs_of_life: self.signs_of_life, blind: self.blind };
        self.last_attempt_at = Some(cx.now.wall);
        if let Some(fault) = fault {
            *self.errors.entry(fault.kind()).or_default() += 1;
        } else {
            self.reads += 1;
        }
        match fault.map(|fault| (fault.kind(), fault)) {
            // The source did answer, even if it has no usable secret for this store.
            None | Some((SourceFaultKind::Missing, _)) => {
                self.last_success_at = Some(cx.now.wall);
                self.last_read = Some(cx.now.instant);
                (self.proved, self.refused_before) = (true, false);
                if self.unread.take().is_some() {
                    self.recovered_if_well(cx);
                }
            }
            // One store's trouble is its own.
            Some((SourceFaultKind::Unavailable, _)) if alone => {}
            Some((SourceFaultKind::Unavailable, fault)) => {
                self.unread = Some(fault.clone());
                self.fails_counted(fault.clone(), LONGEST_WAIT, cx);
            }
            Some((SourceFaultKind::Forbidden, _)) => {
                self.give_up_if_idle(cx);
                // A store that is forbidden for good must not cause a question with each of its reads, nor
                // any while others are read: they are forbidden too when the token is dead.
                let interval = cx.settings.poll_interval;
                let within =
                    |at: Option<Instant>, limit| at.is_some_and(|at| cx.now.instant.since(at) < limit);
                let limit = if store.refused { LONGEST_WAIT } else { QUESTION_SPACING };
                let known = store.refused && within(self.last_used(), interval * 2);
                self.doubted |= !(self.blind || known || within(self.asked_at, limit.min(interval)));
            }
            Some((SourceFaultKind::LoginRefused, _)) => {}
        }
        bearing
    }

    /// The source has listed secrets: it works, and so does the token.
    pub(super) fn listed(&mut self, cx: &mut Context<'_>) {
        self.last_attempt_at = Some(cx.now.wall);
        self.last_success_at = Some(cx.now.wall);
        self.last_listed = Some(cx.now.instant);
        (self.proved, self.refused_before) = (true, false);
        if self.unlisted.take().is_some() {
            self.recovered_if_well(cx);
        }
    }

    /// The source has not listed names, which every one does that works and permits it.
    pub(super) fn not_listed(&mut self, fault: &SourceFault, cx: &mut Context<'_>) {
        if fault.is_of_the_source() {
            self.unlisted = Some(fault.clone());
            return self.fails(fault.clone(), LONGEST_WAIT, cx);
        }
        *self.errors.entry(fault.kind()).or_default() += 1;
        // It did answer.
        if self.unlisted.take().is_some() {
            self.recovered_if_well(cx);
        }
        if fault.kind() == SourceFaultKind::Forbidden {
            self.give_up_if_idle(cx);
        }
        let lately = self.asked_at.is_some_and(|at| cx.now.instant.since(at) < LONGEST_WAIT);
        self.doubted |= fault.kind() == SourceFaultKind::Forbidden && !(self.blind || lately);
    }

    /// The source has said that it does nothing now, when it was to list secrets.
    pub(super) fn leave_alone(&mut self, fault: &SourceFault, cx: &mut Context<'_>) {
        self.fails(fault.clone(), LONGEST_WAIT, cx);
    }

    /// No names are wanted from now on, so no answer could end that they are not listed.
    pub(super) fn names_unwanted(&mut self) {
        if self.unlisted.take().is_some() && self.trouble().is_none() {
            (self.refused, self.unavailable) = (None, None);
        }
    }

    /// When a secret was read last, or some were listed: with a token that lived.
    fn last_used(&self) -> Option<Instant> {
        self.last_read.max(self.last_listed)
    }

    fn give_up_if_idle(&mut self, cx: &mut Context<'_>) {
        if self.blind && self.is_idle(cx.now) {
            let text = "nothing works with the Vault token, which cannot be asked about; logging in again";
            cx.say(None, Some(Severity::Warning), text.into());
            self.token = None;
            self.next_try = cx.now.instant;
        }
    }

    /// Whether neither a log-in nor a read has worked for long.
    fn is_idle(&self, now: Now) -> bool {
        let long_ago = |at: Instant| now.instant.since(at) >= BLIND_PATIENCE;
        self.token.is_some_and(|token| token.age(now) >= BLIND_PATIENCE)
            && self.last_used().is_none_or(long_ago)
    }

    /// Acts on what is known: at most one call is under way.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>) {
        let (now, origin) = (cx.now.instant, cx.settings.token_origin);
        self.token = self.token.filter(|token| !token.has_ended(cx.now));
        let call = match self.token {
            _ if self.in_flight.is_some() => None,
            None => (now >= self.next_try).then_some(Call::LogIn),
            Some(_) if self.doubted && self.is_locked_out() => Some(Call::LookUp),
            Some(_) if self.fault.is_some() => (now >= self.next_try).then(|| self.remedy(origin, cx.now)),
            Some(_) if self.doubted => Some(Call::LookUp),
            Some(token) => token.call(origin, cx.now),
        };
        if let Some(call) = call {
            self.in_flight = Some(call);
            if call == Call::LookUp {
                self.asked_at = Some(now);
            }
            cx.actions.push(match call {
                Call::LogIn => Action::LogIn,
                Call::Renew => Action::Renew,
                Call::LookUp => Action::LookUp,
            });
        }
        let settled = [self.log_in_refused(), self.token_runs_out(cx), self.unavailable(cx.now)];
        Book::settle(None, settled, |_| None, cx);
        self.due = match self.token {
            _ if self.in_flight.is_some() => None,
            None => Some(self.next_try),
            Some(_) if self.fault.is_some() => Some(self.next_try),
            Some(token) => token.act_at(origin),
        };
        let grace =
            self.unavailable.as_ref().map(|spell| spell.since.instant.plus(GRACE)).filter(|end| *end > now);
        self.due = self.due.into_iter().chain(grace).min();
    }

    pub(super) fn due(&self, book: &Book) -> Option<Instant> {
        self.due.into_iter().chain(book.next_reminder(None)).min()
    }

    /// What tells whether a failing source works again: a question that costs it little, or a new log-in
    /// when the log-in is what failed.
    fn remedy(&self, origin: TokenOrigin, now: Now) -> Call {
        let too_soon = self.refused.as_ref().is_some_and(|refused| now.instant < refused.next_try);
        match self.token {
            Some(_) if !self.is_locked_out() && too_soon => Call::LookUp,
            Some(token) if !self.is_locked_out() => token.call(origin, now).unwrap_or(Call::LookUp),
            Some(_) | None => Call::LogIn,
        }
    }

    /// Counts what the server has granted.
    const fn turn(&self) -> u64 {
        self.logins + self.renewals
    }
}

/// What tells this instance from others, where those that failed together must not come back together.
fn seed(cx: &Context<'_>) -> String {
    cx.key.of(&["vault"]).to_string()
}
