//! Which incidents the source itself should have now.

use super::token::Token;
use super::{GRACE, Source};
use crate::domain::engine::{Condition, Context, Judged};
use crate::domain::incident::Cause;
use crate::domain::source::{SourceFault, SourceFaultKind};
use crate::domain::time::Now;

impl Source {
    pub(super) fn log_in_refused(&self) -> Judged {
        let condition = match &self.fault {
            Some(fault @ (SourceFault::LoginRefused { .. } | SourceFault::LoginFile(_)))
                if self.refused.as_ref().is_some_and(|refused| refused.failures >= 2) =>
            {
                let mut evidence = vec![format!("Vault: {fault}.")];
                if let Some(end) = self.token_expires_at() {
                    evidence.push(format!("The token in use serves until {end}, and is not replaced."));
                }
                Condition::Holds {
                    evidence,
                    remedy: "Check the files that hold the log-in (role ID, secret ID or token), that the secret \
                             ID has not run out, the auth method's mount path, and vault.namespace. Published \
                             credentials stay in place meanwhile."
                        .into(),
                }
            }
            Some(_) => Condition::Unknown,
            None if self.token.is_some() => Condition::Clear,
            None => Condition::Unknown,
        };
        (Cause::SourceLoginRefused, condition)
    }

    /// A token that somebody gave us nears its end, and there is no other in its place.
    pub(super) fn token_runs_out(&self, cx: &Context<'_>) -> Judged {
        let origin = cx.settings.token_origin;
        let ends = self.token.filter(|token| token.runs_out(origin)).and_then(Token::expires_at);
        let condition = match (&self.fault, self.token, ends) {
            (Some(_), _, _) | (None, None, _) => Condition::Unknown,
            (None, Some(_), None) => Condition::Clear,
            (None, Some(_), Some(end)) => Condition::Holds {
                evidence: vec![
                    format!("The token that was given to this daemon ends at {end}."),
                    "It cannot be renewed beyond that, and there was no other in its place when it was last looked for."
                        .into(),
                ],
                remedy: format!(
                    "Write a new token into the file that vault.auth.token_file names before {end}; it is looked at \
                     every minute. One that was given as BAO_TOKEN or VAULT_TOKEN needs a restart with another. A log-in \
                     of the daemon's own (vault.auth) needs neither. Afterwards published credentials stay in place, \
                     but new versions are not noticed."
                ),
            },
        };
        (Cause::SourceTokenExpiring, condition)
    }

    pub(super) fn unavailable(&self, now: Now) -> Judged {
        let condition = match (&self.fault, &self.unavailable) {
            (Some(fault), Some(spell))
                if fault.kind() == SourceFaultKind::Unavailable
                    && now.instant.since(spell.since.instant) >= GRACE =>
            {
                Condition::Holds {
                    evidence: vec![
                        format!("Vault: {fault}."),
                        format!("It has not worked since {}.", spell.since.wall),
                    ],
                    remedy: "Check that Vault runs, is unsealed and can be reached from here. Published \
                             credentials stay in place and are still checked against their stores meanwhile."
                        .into(),
                }
            }
            // It answers, and has left nothing unanswered since: a log-in that is refused has an incident of its own.
            (Some(SourceFault::LoginRefused { .. }), None) => Condition::Clear,
            (Some(SourceFault::LoginFile(_)), None) if self.token.is_some() => Condition::Clear,
            (Some(_), _) => Condition::Unknown,
            (None, None) if self.token.is_some() => Condition::Clear,
            (None, _) => Condition::Unknown,
        };
        (Cause::SourceUnavailable, condition)
    }
}
