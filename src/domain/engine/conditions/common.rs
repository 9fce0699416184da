//! What many stores have at once has one cause in most cases, and that is to be looked for first.

use super::super::store::ReadProblem;
use super::super::{Condition, Context, Judged};
use super::Store;
use crate::domain::incident::Cause;
use crate::domain::source::SourceFaultKind;
use crate::domain::verdict::VerdictKind;

/// Fewer than so many have nothing to do with one another.
const LEAST: usize = 3;

/// The same, with what is to be said where many stores have an incident of this cause. How many is not said: the words
/// stay as they are while that lasts.
pub(in crate::domain::engine) fn told(store: &Store, judged: Judged, cx: &Context<'_>) -> Judged {
    let (cause, condition) = judged;
    let Condition::Holds { mut evidence, remedy } = condition else { return (cause, condition) };
    // This one is counted before it is open.
    let new = !cx.shared.book.is_open(Some(store.name()), cause);
    let count = cx.shared.book.count(cause) + usize::from(new);
    let look = look_first(store, cause).filter(|_| count >= LEAST && count >= cx.shared.stores.div_ceil(2));
    let Some(look) = look else { return (cause, Condition::Holds { evidence, remedy }) };
    evidence.push("At least half of all stores have the same trouble now.".to_owned());
    let remedy = format!("Look for a common cause first: {look} If it is this store alone: {remedy}");
    (cause, Condition::Holds { evidence, remedy })
}

fn look_first(store: &Store, cause: Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::Forbidden => {
            "a block of the address that the daemon's requests come from, or of all accounts (see BigCommerce's status \
             page)."
        }
        Cause::Moved => {
            "a proxy or a DNS server between here and the stores, trouble of the platform (see BigCommerce's status page), \
             or a change of many stores' domains."
        }
        Cause::CertificateTrouble if store.streak.kind() == Some(VerdictKind::TlsError) => {
            "a proxy that breaks TLS open, the CA certificates of the machine or image that the daemon runs on, or its clock."
        }
        Cause::Unverified => {
            "the network, the DNS or the proxy between here and the stores, a block or a limit for the address that the \
             daemon's requests come from, or trouble of the platform (see BigCommerce's status page)."
        }
        Cause::SecretMissing => match &store.problem {
            Some(ReadProblem::Fault(fault)) if fault.kind() == SourceFaultKind::Forbidden => {
                "the policy of the daemon's role in Vault, which may have been changed or lost, or the mount."
            }
            _ => {
                "the mount in Vault, its path in the configuration, or a Vault that was restored without these secrets."
            }
        },
        Cause::SecretMalformed => {
            "whoever writes these secrets, or the names of the fields in the configuration."
        }
        Cause::RegeneratedOrRevoked
        | Cause::BadWrite
        | Cause::Misconfigured
        | Cause::PublishFailed
        | Cause::FilesUnstable
        | Cause::ReloadFailed
        | Cause::Unacknowledged
        | Cause::SupersededLive
        | Cause::CertificateTrouble
        | Cause::PlatformTrouble
        | Cause::SourceLoginRefused
        | Cause::SourceTokenExpiring
        | Cause::SourceUnavailable
        | Cause::DiscoveryFailed
        | Cause::Test => return None,
    })
}
