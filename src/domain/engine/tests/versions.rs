//! Which version of a secret counts: none where the source counts none, a pinned one, or the newest.

use std::sync::Arc;

use super::world::{DAY, HOUR, MINUTE, World, fields};
use crate::domain::engine::StoreSpec;
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::snapshot::StoreState;
use crate::domain::source::{SecretLocation, SecretVersion, SourceFault};
use crate::domain::version::Version;

impl World {
    /// What the source finds at a store's path.
    pub(super) fn secret(&self, store: &str, pinned: Option<u64>) -> Result<SecretVersion, SourceFault> {
        let newest = self.secrets.get(store).ok_or(SourceFault::NeverWritten)?;
        let (number, user, token) = match pinned {
            None => newest,
            Some(pinned) if pinned == newest.0 => newest,
            Some(pinned) => {
                self.overwritten.get(&(store.to_owned(), pinned)).ok_or(SourceFault::NoSuchVersion(pinned))?
            }
        };
        let counted = !self.unversioned;
        let host = self.hosts.get(store).copied().or(self.host).unwrap_or(store);
        Ok(SecretVersion {
            version: Version::numbered(*number).filter(|_| counted).unwrap_or_default(),
            created_at: self.written_at.get(store).copied().filter(|_| counted),
            fields: Ok(fields(host, user, token.as_deref())),
        })
    }
}

/// A world with one store, whose source is KV version 1.
fn unversioned() -> World {
    let mut world = World::new(&["acme"]);
    world.unversioned = true;
    world
}

fn pinned(world: &World, version: Option<u64>) -> StoreSpec {
    let spec = world.spec("acme");
    let location = SecretLocation { pinned: version, ..(*spec.location).clone() };
    StoreSpec { location: Arc::new(location), ..spec }
}

/// What the open incidents say, with their remedies.
fn words(world: &mut World) -> String {
    let incidents = world.snapshot().incidents;
    incidents
        .iter()
        .map(|incident| format!("{} {}\n", incident.evidence.join(" "), incident.remedy))
        .collect()
}

#[test]
fn without_versions_new_content_is_a_candidate_and_the_same_content_is_not() {
    let mut world = unversioned();
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((0, "token-1".into())));
    world.write("acme", "user", "token-1");
    world.pass(HOUR);
    assert_eq!(world.publications.len(), 1, "nothing new was written");

    world.accept("acme", "user", "token-2");
    world.write("acme", "user", "token-2");
    world.pass(2 * MINUTE);
    assert_eq!(world.published("acme"), Some((0, "token-2".into())));
    let stamp = world.publications[1].1.clone();
    assert_eq!((stamp.generation, stamp.version, stamp.version_created_at), (2, Version::Unnumbered, None));
    assert_eq!(world.store("acme").state, StoreState::Verified);
}

#[test]
fn without_versions_earlier_content_can_be_written_back() {
    let mut world = unversioned();
    world.pass(HOUR);
    world.accept("acme", "user", "token-2");
    world.write("acme", "user", "token-2");
    world.pass(HOUR);
    world.accept("acme", "user", "token-1");
    world.write("acme", "user", "token-1");
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((0, "token-1".into())));
    assert_eq!(world.publications.len(), 3);
    assert!(world.ledger.is_empty(), "{:?}", world.ledger);
}

#[test]
fn without_versions_a_restart_takes_what_is_published_for_the_last_good_set() {
    let mut world = unversioned();
    world.pass(HOUR);
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.publications.len(), 1);
    assert_eq!(world.store("acme").state, StoreState::Verified);

    world.restart();
    world.write("acme", "user", "mistyped");
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((0, "token-1".into())));
    assert_eq!(world.store("acme").candidate.unwrap().version, Version::Unnumbered);
}

#[test]
fn without_versions_rejected_content_is_asked_about_no_more_often_than_a_rejected_version() {
    let probes = |unversioned: bool| {
        let mut world = World::new(&["acme"]);
        world.unversioned = unversioned;
        world.pass(HOUR);
        world.write("acme", "user", "mistyped");
        let before = world.calls("probe");
        world.pass(DAY);
        assert_eq!(world.said()[0], (MessageKind::Opened, Cause::BadWrite));
        world.calls("probe") - before
    };
    assert_eq!(probes(true), probes(false));
}

#[test]
fn without_versions_incidents_name_generations_and_places_instead() {
    let mut world = unversioned();
    world.pass(HOUR);
    world.write("acme", "user", "mistyped");
    world.pass(HOUR);
    let said = words(&mut world);
    for part in [
        "rejected the unversioned secret in Vault",
        "still accepts the published generation 1",
        "What is written at secret/bc/acme was probably mistyped",
        "write them again into secret/bc/acme in Vault.",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }

    world.accept("acme", "nobody", "at all");
    world.pass(HOUR);
    let said = words(&mut world);
    for part in
        ["the published credentials (generation 1)", "Vault has other content, which is not published"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    world.write("acme", "user", "token-1");
    world.pass(4 * HOUR);
    let said = words(&mut world);
    assert!(said.contains("it holds what is published, and nothing else"), "{said}");
    for text in ["version 0", "version 1", "new version of"] {
        assert!(!said.contains(text), "{text}: {said}");
    }
    let status = serde_json::to_value(world.store("acme")).unwrap();
    assert_eq!(status["published"].get("version"), None, "{status}");
}

#[test]
fn an_older_version_is_published_once_it_is_pinned_and_accepted() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));

    // Not before the store accepts it.
    world.configure_specs(vec![pinned(&world, Some(1))]);
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    assert_eq!(world.store("acme").candidate.unwrap().version, Version::numbered(1).unwrap());
    world.accept("acme", "user", "token-1");
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.publications.len(), 3);

    // What is written then is nothing to it, and a restart changes nothing.
    world.write("acme", "user", "token-3");
    world.pass(HOUR);
    assert_eq!((world.publications.len(), world.store("acme").candidate.is_none()), (3, true));
    assert_eq!(world.store("acme").pinned_version, Some(1));
    world.accept("acme", "user", "token-3");
    world.configure_specs(vec![pinned(&world, None)]);
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((3, "token-3".into())));
}

#[test]
fn a_pinned_version_that_dies_is_told_with_what_to_do_about_the_pin() {
    let mut world = World::new(&["acme"]);
    world.configure_specs(vec![pinned(&world, Some(1))]);
    world.pass(HOUR);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::RegeneratedOrRevoked)]);
    let said = words(&mut world);
    for part in [
        "version 1, which the configuration pins, holds what is published",
        "give that one as the store's version in the configuration, which pins version 1 now",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    world.configure_specs(vec![pinned(&world, Some(2))]);
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::RegeneratedOrRevoked)));
}

#[test]
fn a_pin_that_is_taken_back_before_it_was_published_leaves_no_candidate() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    world.configure_specs(vec![pinned(&world, Some(1))]);
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::BadWrite)]);
    world.configure_specs(vec![pinned(&world, None)]);
    world.pass(HOUR);
    assert!(world.store("acme").candidate.is_none());
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::BadWrite)));
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
}

#[test]
fn each_way_of_being_missing_has_its_own_remedy() {
    let cases = [
        (SourceFault::NeverWritten, None, "never_written", "Write secret/bc/acme in Vault with the fields"),
        (SourceFault::Deleted(3), None, "deleted", "bao kv undelete -mount=secret -versions=3 bc/acme"),
        (SourceFault::Deleted(3), Some(3), "deleted", "or give another version as the store's version"),
        (SourceFault::Destroyed(3), None, "destroyed", "cannot be brought back: write a new version"),
        (SourceFault::Destroyed(3), Some(3), "destroyed", "give that one as the store's version"),
        (
            SourceFault::NoSuchVersion(3),
            Some(3),
            "no_such_version",
            "bao kv metadata get -mount=secret bc/acme",
        ),
        (SourceFault::NotKeyValue("it is none".into()), None, "not_key_value", "Correct the mount"),
    ];
    for (fault, pin, label, remedy) in cases {
        let mut world = World::new(&["acme"]);
        world.pass(HOUR);
        world.configure_specs(vec![pinned(&world, pin)]);
        world.read_fault = Some(fault.clone());
        world.pass(10 * MINUTE);
        assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMissing)], "{fault:?}");
        let said = words(&mut world);
        assert!(said.contains(&fault.to_string()) && said.contains(remedy), "{fault:?}: {said}");
        assert_eq!(world.store("acme").read_fault, Some(label));
        assert_eq!(world.published("acme"), Some((1, "token-1".into())), "what is published stays");

        world.read_fault = None;
        world.configure_specs(vec![pinned(&world, None)]);
        world.pass(10 * MINUTE);
        assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::SecretMissing)));
        assert_eq!(world.store("acme").read_fault, None);
    }
}
