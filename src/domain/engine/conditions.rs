//! Which incidents a store should have now: the evidence table, as a pure function of what is known.

mod certificate;
pub(super) mod common;
mod rejected;
mod secret;
mod superseded;
mod unstable;
mod words;

use super::store::{Candidate, Certificate, FailedWrite, Rejection, Store, Streak};
use super::{Condition, Context, Judged};
use crate::domain::incident::Cause;
use crate::domain::time::Instant;
use crate::domain::verdict::VerdictKind;

const ADMIN: &str =
    "In the store's admin, under Advanced Settings > Legacy API Settings, open the account with Edit";

/// Judges every cause that a store can have.
pub(super) fn judge(store: &Store, source_fault: Option<&str>, cx: &Context<'_>) -> [Judged; 14] {
    [
        (Cause::RegeneratedOrRevoked, rejected::regenerated_or_revoked(store, source_fault, cx)),
        (Cause::BadWrite, rejected::bad_write(store, cx)),
        (Cause::Misconfigured, rejected::misconfigured(store, cx)),
        (Cause::Forbidden, answered(store, VerdictKind::Forbidden, cx)),
        (Cause::Moved, answered(store, VerdictKind::Moved, cx)),
        (Cause::SecretMissing, secret::missing(store, cx)),
        (Cause::SecretMalformed, secret::malformed(store)),
        (Cause::PublishFailed, publish_failed(store)),
        (Cause::FilesUnstable, unstable::unstable(store, cx)),
        (Cause::ReloadFailed, reload_failed(store)),
        (Cause::Unacknowledged, unacknowledged(store, cx.now.instant)),
        (Cause::SupersededLive, superseded::live(store, cx)),
        (Cause::CertificateTrouble, certificate::trouble(store, cx)),
        (Cause::Unverified, unverified(store, cx)),
    ]
}

/// When a condition changes by the mere passing of time.
pub(super) fn next_change(store: &Store, cx: &Context<'_>) -> Option<Instant> {
    let published = store.good.as_ref().map(|_| last_certainty(store, cx));
    let candidate = store.candidate.as_ref().map(|candidate| seen_since(candidate, cx));
    let stale = published.into_iter().chain(candidate).map(|since| since.plus(cx.settings.stale_after));
    let unstable = cx.shared.book.is_open(Some(store.name()), Cause::FilesUnstable);
    let calm = unstable.then(|| store.left_alone_at(cx));
    stale.chain(store.acknowledgement_due()).chain(calm).filter(|at| *at > cx.now.instant).min()
}

fn holds(evidence: Vec<String>, remedy: String) -> Condition {
    Condition::Holds { evidence, remedy }
}

fn accepted_now(store: &Store) -> bool {
    store.good.is_some() && store.rejection.is_none() && store.streak.kind() == Some(VerdictKind::Accepted)
}

fn confirmed(store: &Store, cx: &Context<'_>) -> Option<Rejection> {
    store.rejection.filter(|rejection| store.confirmed(rejection, cx))
}

fn candidate_confirmed(store: &Store, cx: &Context<'_>) -> Option<Rejection> {
    store.candidate_rejection.filter(|rejection| store.confirmed(rejection, cx))
}

fn rejected_words(what: &str, rejection: &Rejection) -> String {
    let times = if rejection.count == 1 { "once".to_owned() } else { format!("{} times", rejection.count) };
    format!(
        "The store rejected {what} with 401 {times}, from {} to {}.",
        rejection.first.wall, rejection.latest.wall
    )
}

/// Whether the store gives one and the same answer about the account or the address, time after time.
fn answered(store: &Store, kind: VerdictKind, cx: &Context<'_>) -> Condition {
    let least = cx.settings.confirmations;
    let published =
        store.good.as_ref().map(|good| (&store.streak, format!("the published {}", good.stamp.name())));
    let candidate =
        store.candidate.as_ref().map(|candidate| (&candidate.streak, candidate.version.to_string()));
    let both = published.into_iter().chain(candidate);
    if let Some((streak, what)) = both.clone().find(|(streak, _)| streak.is(kind, least)) {
        let verdict = streak.last.as_ref().map(ToString::to_string).unwrap_or_default();
        let evidence = format!(
            "Asked about {what}, the store answered {} times from {} to {}: {verdict}.",
            streak.count, streak.first.wall, streak.latest.wall
        );
        let remedy = if kind == VerdictKind::Moved {
            format!(
                "{ADMIN} and compare its API Path with {} in Vault: changing a store's domain changes it, and the \
                 token may have to be made again.",
                store.spec.location
            )
        } else {
            format!(
                "{ADMIN} and see that the account is active; ask whether the store's owner or its domain changed."
            )
        };
        return holds(vec![evidence], remedy);
    }
    let conclusive = |of: Option<VerdictKind>| match of {
        Some(VerdictKind::Accepted | VerdictKind::Rejected | VerdictKind::Forbidden | VerdictKind::Moved) => {
            of != Some(kind)
        }
        Some(
            VerdictKind::RateLimited
            | VerdictKind::Unavailable
            | VerdictKind::Malformed
            | VerdictKind::NetworkError
            | VerdictKind::TlsError,
        )
        | None => false,
    };
    let mut any = false;
    for (streak, _) in both {
        any = true;
        if !conclusive(streak.kind()) {
            return Condition::Unknown;
        }
    }
    if any { Condition::Clear } else { Condition::Unknown }
}

fn publish_failed(store: &Store) -> Condition {
    match &store.failed_write {
        Some(FailedWrite { fault, .. }) => {
            let meanwhile = if store.is_published() {
                "the previous generation stays in place"
            } else {
                "until then apps have no credentials"
            };
            let remedy = format!(
                "See that the volume is mounted, writable and has room, and that the daemon may set the configured \
                 modes, owner and group; where a file cannot hold a value, give it another format. It is tried \
                 again by itself; {meanwhile}."
            );
            holds(vec![format!("Publishing failed: {fault}.")], remedy)
        }
        None if store.is_up_to_date() || store.is_withdrawn() => Condition::Clear,
        None => Condition::Unknown,
    }
}

fn reload_failed(store: &Store) -> Condition {
    let Some(hook) = &store.spec.hook else { return Condition::Clear };
    let Some(generation) = store.untold() else {
        return if store.is_published() { Condition::Clear } else { Condition::Unknown };
    };
    let (Some(fault), Some(last)) = (&store.reload.fault, store.reload.last) else {
        return Condition::Unknown;
    };
    // While a newer generation is tried for the first times, an older one's incident stays open.
    if store.reload.failures <= hook.retries {
        return Condition::Unknown;
    }
    let before = store.reload.told.map_or_else(
        || "It was told of nothing before, as far as anybody knows.".to_owned(),
        |told| format!("It was told last of generation {}, at {}.", told.generation.generation, told.told_at),
    );
    holds(
        vec![
            format!(
                "The app could not be told of generation {}, tried {} times, last at {}: {fault}.",
                generation.generation, store.reload.failures, last.ended_at
            ),
            before,
        ],
        "See that the app runs, and that the store's [stores.reload] fits it; the daemon's log has what a command \
         said. It is tried again by itself, at least every 5 minutes. The new credentials are published; an app \
         that only reads them when it is told still uses those that it has."
            .into(),
    )
}

fn unacknowledged(store: &Store, now: Instant) -> Condition {
    if store.spec.acknowledge.as_ref().is_none_or(|acknowledge| acknowledge.within.is_none()) {
        return Condition::Clear;
    }
    let Some(stamp) = store.unacknowledged() else {
        return if store.is_published() { Condition::Clear } else { Condition::Unknown };
    };
    // While a newer generation still has time, an older one's incident stays open.
    if store.acknowledgement_due().is_none_or(|due| now < due) {
        return Condition::Unknown;
    }
    let before = store.acknowledgement.last.map_or_else(
        || "It has acknowledged none before, as far as anybody knows.".to_owned(),
        |last| {
            format!(
                "It acknowledged generation {} last, at {}.",
                last.generation.generation, last.acknowledged_at
            )
        },
    );
    let file = store.acknowledgement.problem.as_ref().map(|why| format!("Its file says nothing: {why}."));
    let published = format!(
        "Generation {} was published at {}, and the app has not acknowledged it within the time that \
         acknowledge.within allows.",
        stamp.generation, stamp.published_at
    );
    holds(
        [published, before].into_iter().chain(file).collect(),
        format!(
            "See that the app runs, that it has read the new credentials, and that it acknowledges them by the file \
             in the store's [stores.acknowledge] or by POST /v1/stores/{}/acknowledge. They are published; an app that \
             has not read them still uses those that it has.",
            store.name()
        ),
    )
}

/// While the machine stood still nobody asked, which says nothing of the store.
fn last_certainty(store: &Store, cx: &Context<'_>) -> Instant {
    let known = store.known_since.instant.max(cx.shared.awake_since);
    store.accepted.map_or(known, |at| at.instant.max(known))
}

fn seen_since(candidate: &Candidate, cx: &Context<'_>) -> Instant {
    candidate.seen.instant.max(cx.shared.awake_since)
}

fn unverified(store: &Store, cx: &Context<'_>) -> Condition {
    let stale = |since: Instant| cx.now.instant.since(since) >= cx.settings.stale_after;
    let last = |verdict: Option<String>| verdict.unwrap_or_else(|| "it was not asked".into());
    let remedy = || {
        "See why the store cannot be asked: its maintenance, its certificate, the network from here, or its rate \
         limit. What is published stays in place."
            .to_owned()
    };
    // A more telling incident is open about the same silence.
    let explained = |streak: &Streak| {
        [VerdictKind::Forbidden, VerdictKind::Moved, VerdictKind::TlsError]
            .into_iter()
            .any(|kind| streak.is(kind, cx.settings.confirmations))
    };
    if explained(&store.streak) {
        return Condition::Unknown;
    }
    if store.good.is_some() && store.rejection.is_none() && stale(last_certainty(store, cx)) {
        let since = match store.verified_at.filter(|_| store.accepted.is_some()) {
            Some(at) => format!("{at}"),
            None => format!("a start at {}", store.known_since.wall),
        };
        return holds(
            vec![
                format!("The store has not said since {since} whether the published credentials work."),
                format!("Its last answer: {}.", last(store.streak.last.as_ref().map(ToString::to_string))),
            ],
            remedy(),
        );
    }
    if let Some(candidate) = &store.candidate
        && store.candidate_rejection.is_none()
        && candidate.accepted.is_none()
        && !explained(&candidate.streak)
        && stale(seen_since(candidate, cx))
    {
        return holds(
            vec![
                format!(
                    "{} in Vault could not be verified since {}; it is not published.",
                    words::capital(&candidate.version.to_string()),
                    candidate.seen.wall
                ),
                format!(
                    "The store's last answer: {}.",
                    last(candidate.streak.last.as_ref().map(ToString::to_string))
                ),
            ],
            remedy(),
        );
    }
    // A rejection is an answer too, and has incidents of its own.
    let told = store.rejection.is_some() || accepted_now(store);
    let judged = store
        .candidate
        .as_ref()
        .is_none_or(|candidate| candidate.accepted.is_some() || store.candidate_rejection.is_some());
    if told && judged { Condition::Clear } else { Condition::Unknown }
}
