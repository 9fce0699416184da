//! Rejected credentials: whose fault it is, as far as can be told.

use super::super::store::{Candidate, Disk, Rejection, Store};
use super::super::{Condition, Context, OnRejection};
use super::{ADMIN, accepted_now, candidate_confirmed, confirmed, holds, rejected_words, words};
use crate::domain::incident::Cause;
use crate::domain::time::Timestamp;

/// What is known of when the store accepted the published set: of checks in an earlier life, nothing but that it
/// did before it was published.
fn accepted_words(store: &Store) -> Option<String> {
    let at = store.verified_at?;
    Some(if store.accepted.is_some() {
        format!("It had accepted them before, last at {at}.")
    } else {
        let start = store.known_since.wall;
        format!("It had accepted them before, at {at} and perhaps later: before a start at {start}.")
    })
}

pub(super) fn regenerated_or_revoked(
    store: &Store,
    source_fault: Option<&str>,
    cx: &Context<'_>,
) -> Condition {
    if accepted_now(store) {
        return Condition::Clear;
    }
    if let (None, Some(candidate)) = (&store.good, &store.candidate) {
        return died_unpublished(store, candidate, source_fault, cx);
    }
    let (Some(rejection), Some(good), Some(accepted)) =
        (confirmed(store, cx), &store.good, accepted_words(store))
    else {
        return Condition::Unknown;
    };
    // The source must have been asked since the last rejection, or be known not to answer.
    let asked = store.was_read_since(rejection.latest.instant);
    let untried = store.candidate.as_ref().is_some_and(|candidate| candidate.streak.last.is_none());
    let works = store.candidate.as_ref().filter(|candidate| candidate.accepted.is_some());
    if let Some(candidate) = works.filter(|_| store.is_told_rejected(cx)) {
        return works_unpublished(store, candidate, &rejection, accepted);
    }
    // What is being written now may be what ends the trouble, whatever the source holds by now.
    let ending = works.is_some() || store.is_publishing();
    // What is told already was not before this was new; whoever is reminded of it must not be told that there is nothing.
    let unsure = untried && !store.is_told_rejected(cx);
    if !(asked || source_fault.is_some()) || unsure || store.is_held_back(cx) || ending {
        return Condition::Unknown;
    }
    let mut evidence = vec![
        rejected_words(&format!("the published credentials ({})", good.stamp.name()), &rejection),
        accepted,
        words::of_source(store, source_fault, good.stamp.version),
    ];
    if rejection.none_seen {
        evidence.push(
            "The store says that no credentials came, although they were sent: the API Path's host may need www. \
             or none, or a proxy strips headers."
                .into(),
        );
    }
    evidence.push(
        "From outside, a regenerated token, a deleted account, a renamed user and an account that was shut off \
         look the same."
            .into(),
    );
    let meanwhile = match store.spec.on_rejection {
        OnRejection::Keep => "until then apps keep the rejected credentials",
        OnRejection::Withdraw => "until then apps have none, as on_rejection says",
    };
    holds(evidence, remedy(store, meanwhile))
}

fn remedy(store: &Store, meanwhile: &str) -> String {
    let place = words::where_to_write(store);
    format!(
        "{ADMIN}. If it is there, copy its Username, API Token and API Path into {place}; if its token is not to be seen, press Generate New Token, then Save, and copy that one. If the \
             account is gone, use another account of the store. What is new is verified and published by itself; \
             {meanwhile}."
    )
}

/// It worked, could not be written, and works no more: it was regenerated or revoked before any app had it.
fn died_unpublished(
    store: &Store,
    candidate: &Candidate,
    source_fault: Option<&str>,
    cx: &Context<'_>,
) -> Condition {
    let (Some(rejection), Some(worked)) = (candidate_confirmed(store, cx), candidate.worked) else {
        return Condition::Unknown;
    };
    let asked = store.was_read_since(rejection.latest.instant);
    if !(asked || source_fault.is_some()) || store.is_held_back(cx) {
        return Condition::Unknown;
    }
    holds(
        vec![
            rejected_words(&format!("{} in Vault", candidate.version), &rejection),
            format!(
                "It had accepted them before, last at {}, when they could not be published.",
                worked.wall
            ),
            words::of_source_since(store, source_fault),
        ],
        remedy(store, "until then apps have none"),
    )
}

/// It is told already, and what would end it is there, but cannot be written.
fn works_unpublished(
    store: &Store,
    candidate: &Candidate,
    rejection: &Rejection,
    accepted: String,
) -> Condition {
    let version = candidate.version;
    let why = match (&store.failed_write, candidate.accepted) {
        (Some(failed), _) => format!("it cannot be published: {}", failed.fault),
        (None, Some(at)) => format!("it is about to be published: the store accepted it at {}", at.wall),
        (None, None) => "it is about to be published".to_owned(),
    };
    holds(
        vec![
            rejected_words("the published credentials", rejection),
            accepted,
            format!("The store accepts {version} in Vault, and {why}."),
        ],
        format!(
            "Do not generate another token: {version} in Vault works. It is published by itself as soon as it can be \
             written; until then apps keep the rejected credentials."
        ),
    )
}

pub(super) fn bad_write(store: &Store, cx: &Context<'_>) -> Condition {
    let Some(candidate) = &store.candidate else {
        return if store.read_success.is_some() { Condition::Clear } else { Condition::Unknown };
    };
    if candidate.accepted.is_some() {
        return Condition::Clear;
    }
    let (Some(rejection), Some(good)) = (candidate_confirmed(store, cx), &store.good) else {
        return Condition::Unknown;
    };
    let still = store.accepted.filter(|at| at.instant >= rejection.first.instant && accepted_now(store));
    let told = cx.shared.book.is_open(Some(store.name()), Cause::BadWrite);
    let (published, meanwhile) = match (still, confirmed(store, cx).filter(|_| told)) {
        (Some(still), _) => (
            format!("It still accepts the published {}, last at {}.", good.stamp.name(), still.wall),
            "Apps keep what is published.",
        ),
        (None, Some(dead)) => (
            rejected_words(&format!("the published {} as well", good.stamp.name()), &dead),
            "What is published is rejected by now, too, so apps wait for it.",
        ),
        (None, None) => return Condition::Unknown,
    };
    holds(
        vec![rejected_words(&format!("{} in Vault", candidate.version), &rejection), published],
        format!(
            "{} was probably mistyped, or copied before Save was pressed. {ADMIN}, compare its Username, API Token \
             and API Path, and write them again into {}. {meanwhile}",
            words::capital(&words::of_secret(candidate.version, &store.spec.location)),
            words::where_to_write(store)
        ),
    )
}

pub(super) fn misconfigured(store: &Store, cx: &Context<'_>) -> Condition {
    if accepted_now(store) {
        return Condition::Clear;
    }
    let remedy = || {
        format!(
            "{ADMIN} and compare its Username, API Token and API Path with {} in Vault; write what differs into {}.",
            store.spec.location,
            words::where_to_write(store)
        )
    };
    match (&store.good, &store.candidate) {
        // A set that was withdrawn before a restart is known to have worked.
        (None, Some(_)) if cx.shared.book.is_open(Some(store.name()), Cause::RegeneratedOrRevoked) => {
            Condition::Unknown
        }
        // It did work: that is another cause.
        (None, Some(candidate)) if candidate.worked.is_some() => Condition::Unknown,
        (None, Some(candidate)) => match candidate_confirmed(store, cx) {
            Some(rejection) => holds(
                vec![
                    rejected_words(&format!("{} in Vault", candidate.version), &rejection),
                    never_accepted(store, candidate.seen.wall),
                ],
                remedy(),
            ),
            None => Condition::Unknown,
        },
        // Published without having been verified, and never accepted since.
        (Some(good), _) if store.verified_at.is_none() => match confirmed(store, cx) {
            Some(rejection) => holds(
                vec![
                    rejected_words(&format!("the published {}", good.stamp.name()), &rejection),
                    if store.inherited {
                        format!(
                            "It was published without being verified, and was not accepted since a start at {}; \
                             whether it was before is not kept, so it may have been regenerated or revoked as well.",
                            store.known_since.wall
                        )
                    } else {
                        let since = store.known_since.wall;
                        format!(
                            "It was published without being verified, at {since}, and never accepted since."
                        )
                    },
                ],
                remedy(),
            ),
            None => Condition::Unknown,
        },
        (Some(_), _) | (None, None) => Condition::Unknown,
    }
}

fn never_accepted(store: &Store, seen: Timestamp) -> String {
    let never = format!(
        "It has not accepted them since this daemon first saw them, at {seen}; whether it did before is not known here, \
         so they may have been regenerated or revoked as well."
    );
    match &store.disk {
        // A state directory that was lost, or files of somebody else.
        Disk::Absent(Some(why)) => format!(
            "{never} What is in its directory cannot be told to be the daemon's own ({why}); it stays there, and \
             apps may go on reading it."
        ),
        Disk::Absent(None) | Disk::Unknown | Disk::Outdated | Disk::Published => {
            format!("{never} Nothing is published.")
        }
    }
}
