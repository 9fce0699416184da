//! The certificate that a store shows to probes: when it expires, and how often in a row that was too soon.

use super::super::{Context, Settings};
use super::Store;
use crate::domain::incident::Cause;
use crate::domain::time::Now;
use crate::domain::verdict::{ProbeOutcome, Validity, VerdictKind};

/// Certificates that are renewed by a machine are, when a third of their life is left: nobody is warned before
/// this part of it is left, however short it is.
const LAST_PART: u32 = 4;

/// What the last answer of a store came under.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain::engine) struct Certificate {
    pub(in crate::domain::engine) validity: Validity,
    /// When it was shown last.
    pub(in crate::domain::engine) seen: Now,
    /// Answers in a row that came under a certificate that soon expires.
    pub(in crate::domain::engine) ending: u32,
}

impl Certificate {
    /// Takes note of a probe. Without an answer, what is known stays.
    pub(super) fn note(certificate: &mut Option<Self>, outcome: &ProbeOutcome, cx: &Context<'_>) {
        let ProbeOutcome::Answered(answer) = outcome else { return };
        let before = certificate.map_or(0, |certificate| certificate.ending);
        *certificate = answer.certificate.map(|validity| {
            let seen = Self { validity, seen: cx.now, ending: 0 };
            let ending = if seen.is_ending(cx.settings) { before.saturating_add(1) } else { 0 };
            Self { ending, ..seen }
        });
    }

    /// Whether somebody should be warned. Counted from the moment at which it was shown, by the clock that had
    /// verified it then: the wall clock may have jumped since.
    pub(in crate::domain::engine) fn is_ending(&self, settings: &Settings) -> bool {
        let Validity { from, until } = self.validity;
        let left = until.since(self.seen.wall);
        settings.certificate_warning.is_some_and(|warning| left < warning.min(until.since(from) / LAST_PART))
    }
}

impl Store {
    /// What was a warning has come true: who was warned is told at once, however long the pause between
    /// reminders has become. Only once for each time that there was something to warn of.
    pub(super) fn certificate_failed(&mut self, cx: &mut Context<'_>) {
        let least = cx.settings.confirmations;
        if let Some(certificate) = &mut self.certificate
            && certificate.ending >= least
            && self.streak.is(VerdictKind::TlsError, least)
        {
            certificate.ending = 0;
            cx.shared.book.remind_now(&self.spec.name, Cause::CertificateTrouble, cx.now.instant);
        }
    }
}
