//! How incidents speak of what the source holds, whether it counts versions or not.

use super::super::store::{ReadProblem, Store};
use crate::domain::source::SecretLocation;
use crate::domain::version::Version;

/// What the source has beside the published set, which is made of `published`.
pub(super) fn of_source(store: &Store, source_fault: Option<&str>, published: Version) -> String {
    if let Some(fault) = source_fault {
        return unknown(fault);
    }
    match (&store.problem, &store.candidate, store.read_success) {
        (Some(ReadProblem::Fault(fault)), _, _) => unknown(&fault.to_string()),
        (Some(ReadProblem::Malformed { version, error }), _, _) => {
            format!("Vault has {}, which cannot be used: {error}.", beside(*version, published))
        }
        (None, Some(candidate), _) => {
            let held = beside(candidate.version, published);
            match &candidate.streak.last {
                Some(verdict) => format!("Vault has {held}, which is not published: {verdict}."),
                None => format!("Vault has {held}, which is being verified."),
            }
        }
        (None, None, Some(at)) => {
            let held = store.held.unwrap_or(published);
            let nothing = match (held, store.spec.location.pinned) {
                (_, Some(pinned)) => format!(
                    "version {pinned}, which the configuration pins, holds what is published, and no other version \
                     was looked at"
                ),
                (Version::Numbered(number), None) => {
                    format!("version {number} is its newest, and it has nothing newer")
                }
                (Version::Unnumbered, None) => "it holds what is published, and nothing else".into(),
            };
            format!("Vault was read again at {}: {nothing}.", at.wall)
        }
        (None, None, None) => "Vault has not been read yet.".into(),
    }
}

/// What the source has beside the candidate, which it held when it was read before.
pub(super) fn of_source_since(store: &Store, source_fault: Option<&str>) -> String {
    match (source_fault, &store.problem, store.read_success) {
        (Some(fault), _, _) => unknown(fault),
        (None, Some(ReadProblem::Fault(fault)), _) => unknown(&fault.to_string()),
        (None, Some(ReadProblem::Malformed { version, error }), _) => {
            format!("Vault has {version} by now, which cannot be used: {error}.")
        }
        (None, None, Some(at)) => format!("Vault was read again at {}: it has nothing newer.", at.wall),
        (None, None, None) => unknown("it has not been read yet"),
    }
}

fn unknown(fault: &str) -> String {
    format!("Whether Vault has a newer version is not known: {fault}.")
}

/// What the source holds instead of the published set.
fn beside(held: Version, published: Version) -> String {
    match (held.number(), published.number()) {
        (Some(held), Some(published)) if held > published => format!("a newer version {held}"),
        (Some(held), _) => format!("version {held}"),
        (None, _) => "other content".into(),
    }
}

/// A version of a secret, by its place too.
pub(super) fn of_secret(version: Version, location: &SecretLocation) -> String {
    match version {
        Version::Numbered(number) => format!("version {number} of {location}"),
        Version::Unnumbered => format!("what is written at {location}"),
    }
}

/// Where somebody has to write what is to be used from then on.
pub(super) fn where_to_write(store: &Store) -> String {
    let location = &store.spec.location;
    match (store.held, location.pinned) {
        (_, Some(pinned)) => format!(
            "a new version of {location} in Vault, and give that one as the store's version in the configuration, \
             which pins version {pinned} now"
        ),
        (Some(Version::Unnumbered), None) => format!("{location} in Vault"),
        (Some(Version::Numbered(_)) | None, None) => format!("a new version of {location} in Vault"),
    }
}

/// The same with a capital, for the beginning of a sentence.
pub(super) fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
