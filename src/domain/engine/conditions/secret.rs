//! A store's secret: why it cannot be read, or cannot be used, and what mends that.

use super::super::source::GRACE;
use super::super::store::{ReadProblem, Store};
use super::super::{Condition, Context};
use super::{holds, words};
use crate::domain::source::{SecretLocation, SourceFault, SourceFaultKind};

pub(super) fn missing(store: &Store, cx: &Context<'_>) -> Condition {
    let fault = match &store.problem {
        None if store.read_success.is_some() => return Condition::Clear,
        Some(ReadProblem::Malformed { .. }) => return Condition::Clear,
        None => return Condition::Unknown,
        Some(ReadProblem::Fault(fault)) => fault,
    };
    let secret = &store.spec.location;
    let kept = kept(store);
    match fault.kind() {
        SourceFaultKind::Missing => holds(
            vec![format!("Vault was asked for {secret}: {fault}.")],
            format!("{}{kept}", remedy(fault, secret)),
        ),
        SourceFaultKind::Forbidden if store.refused => holds(
            vec![format!("Vault was asked for {secret} with a token that works: permission denied.")],
            format!(
                "Give the daemon's policy the capability 'read' on {}/data/{} (with KV version 1, on {secret}), and \
                 see that the mount exists.{kept}",
                secret.mount, secret.path
            ),
        ),
        SourceFaultKind::Unavailable => match store.unanswered {
            // While it does not answer for others either, it is the source's own trouble.
            Some(since)
                if store.still_alone
                    && cx.shared.source_works
                    && cx.now.instant.since(since.instant) >= GRACE =>
            {
                holds(
                    vec![format!(
                        "Vault has not answered for {secret} since {}, although it answers for others: {fault}.",
                        since.wall
                    )],
                    format!("Look into Vault's log, and into what stands before it, for {secret}.{kept}"),
                )
            }
            Some(_) | None => Condition::Unknown,
        },
        SourceFaultKind::Forbidden | SourceFaultKind::LoginRefused => Condition::Unknown,
    }
}

/// What mends a secret that is not there.
fn remedy(fault: &SourceFault, secret: &SecretLocation) -> String {
    let again = match secret.pinned {
        Some(_) => "or give another version as the store's version in the configuration",
        None => "or write a new version",
    };
    match fault {
        SourceFault::Deleted(version) => format!(
            "If it was deleted by mistake, undelete version {version} of {secret} (bao kv undelete -mount={} \
             -versions={version} {}, or the same with vault), {again}.",
            secret.mount, secret.path
        ),
        SourceFault::Destroyed(version) => {
            let first = match secret.pinned {
                Some(_) => {
                    "write a new version of it and give that one as the store's version in the configuration"
                }
                None => "write a new version of it",
            };
            format!(
                "Version {version} of {secret} cannot be brought back: {first}. {}",
                write(secret, "The new version needs")
            )
        }
        SourceFault::NoSuchVersion(version) => format!(
            "See which versions {secret} has (bao kv metadata get -mount={} {}, or the same with vault): version \
             {version} is to come, has been dropped because the secret keeps only so many, or the path is another \
             one. Correct the store's version or path in the configuration.",
            secret.mount, secret.path
        ),
        SourceFault::NotKeyValue(_) => format!(
            "Correct the mount of {secret}, or the kv_version that is given for it, in the configuration; the mount \
             is asked for its version where none is given."
        ),
        SourceFault::NeverWritten
        | SourceFault::LoginRefused { .. }
        | SourceFault::LoginFile(_)
        | SourceFault::Forbidden
        | SourceFault::Sealed
        | SourceFault::Unavailable { .. }
        | SourceFault::Busy { .. }
        | SourceFault::Lost(_)
        | SourceFault::Unreachable(_)
        | SourceFault::Malformed(_) => format!(
            "{} Or correct the store's path in the configuration.",
            write(secret, &format!("Write {secret} in Vault with"))
        ),
    }
}

fn write(secret: &SecretLocation, beginning: &str) -> String {
    let names = &secret.fields;
    let three = format!("'{}', '{}' and '{}'", names.username, names.api_token, names.api_path);
    match &names.json_field {
        None => format!("{beginning} the fields {three}."),
        Some(field) => format!("{beginning} the field '{field}', a JSON object with the keys {three}."),
    }
}

/// What becomes of what is published.
fn kept(store: &Store) -> String {
    if store.good.is_none() {
        return String::new();
    }
    if !matches!(store.problem, Some(ReadProblem::Fault(SourceFault::NeverWritten))) {
        return " What is published stays in place.".to_owned();
    }
    let after = store.spec.discovered.and_then(|discovered| discovered.withdraw_after);
    match (store.gone_for_good_from(), after) {
        (Some(at), _) => format!(
            " What is published stays in place until {at}; if the secret is not back by then, it is taken away, as \
             withdraw_after says."
        ),
        (None, Some(after)) => format!(
            " What is published stays in place; it is taken away once Vault has not listed the secret for {}, as \
             withdraw_after says.",
            humantime::format_duration(after)
        ),
        (None, None) => " What is published stays in place.".to_owned(),
    }
}

pub(super) fn malformed(store: &Store) -> Condition {
    match &store.problem {
        Some(ReadProblem::Malformed { version, error }) => {
            let what = words::capital(&words::of_secret(*version, &store.spec.location));
            let form = match &store.spec.location.fields.json_field {
                None => "with all three fields".to_owned(),
                Some(field) => format!("with a JSON object of all three values in the field '{field}'"),
            };
            holds(
                vec![format!("{what} in Vault cannot be used: {error}.")],
                format!(
                    "Write {}, {form}, as the account's Edit form shows them.{}",
                    words::where_to_write(store),
                    kept(store)
                ),
            )
        }
        Some(ReadProblem::Fault(fault)) if fault.kind() == SourceFaultKind::Missing => Condition::Clear,
        None if store.read_success.is_some() => Condition::Clear,
        Some(ReadProblem::Fault(_)) | None => Condition::Unknown,
    }
}
