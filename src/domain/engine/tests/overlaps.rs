//! What happens while something else is under way.

use std::sync::Arc;

use super::shops::Shop;
use super::world::{HOUR, MINUTE, SECOND, World, settings, spec};
use crate::domain::credentials::{AddressPolicy, HostPattern};
use crate::domain::engine::{Event, FirstCheck, Gate, Outcome, Settings, SourceChange};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::publication::{OnDisk, PublishFault};
use crate::domain::source::{SecretLocation, SourceFault};

#[test]
fn nothing_is_written_where_somebody_looks_at_the_disk() {
    let mut world = World::new(&["acme"]);
    world.pass(10 * MINUTE);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.slow = vec!["inspect"];
    world.pass(2 * MINUTE);
    assert_eq!((world.kept_back.len(), world.calls("publish")), (1, 1));
    world.release();
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    world.slow = vec!["publish"];
    world.disks.insert("acme".into(), OnDisk::Damaged("api_token was edited".into()));
    world.pass(MINUTE);
    let looks = world.calls("inspect");
    world.pass(5 * MINUTE);
    assert_eq!((world.kept_back.len(), world.calls("inspect")), (1, looks));
}

#[test]
fn a_read_that_began_before_the_rejection_does_not_say_that_vault_has_nothing_newer() {
    let mut world = World::with(&["acme"], Settings { confirmations: 1, ..settings() });
    world.pass(HOUR);
    world.slow = vec!["read"];
    world.pass_until(|world| !world.kept_back.is_empty());
    world.accept("acme", "user", "token-2");
    world.write("acme", "user", "token-2");
    world.pass_until(|world| world.store("acme").verdicts.len() == 2);
    world.release();
    world.pass(SECOND);
    assert_eq!(world.said(), []);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
}

#[test]
fn the_trouble_of_one_place_is_not_over_because_another_is_configured() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.secrets.remove("acme");
    world.pass(5 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMissing)]);
    let mut moved = spec("acme");
    let location = SecretLocation { path: "bc/elsewhere".into(), ..(*moved.location).clone() };
    moved.location = Arc::new(location);
    let settings = world.settings.clone();
    world.send(Event::Configured { settings, stores: vec![moved], source: SourceChange::Kept });
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMissing)]);
}

#[test]
fn a_candidate_that_the_new_configuration_may_refuse_is_read_again_before_it_is_published() {
    let mut world =
        World::with(&["acme"], Settings { hosts: AddressPolicy::AllowPrivate.into(), ..settings() });
    let reason = "No space left on device".to_owned();
    world.publish_fault = Some(PublishFault { operation: "cannot write", path: "/x".into(), reason });
    world.pass(MINUTE);
    assert!(world.store("acme").candidate.is_some());
    world.publish_fault = None;
    world.slow = vec!["read"];
    world.settings.hosts = AddressPolicy::PublicOnly.into();
    world.configure(&["acme"]);
    world.pass(MINUTE);
    assert_eq!(world.published("acme"), None);
    world.release();
    assert!(world.published("acme").is_some());
}

#[test]
fn a_candidate_at_a_host_that_is_no_longer_listed_is_neither_asked_about_nor_published() {
    let mut world = World::with(&["acme"], Settings { gate: Gate::Open, ..settings() });
    let reason = "No space left on device".to_owned();
    world.publish_fault = Some(PublishFault { operation: "cannot write", path: "/x".into(), reason });
    world.pass(MINUTE);
    assert!(world.store("acme").candidate.is_some());
    world.publish_fault = None;
    let other = HostPattern::parse("other.mybigcommerce.com").unwrap();
    world.settings.hosts.names = Some([other].into());
    world.slow = vec!["read"];
    world.configure(&["acme"]);
    let probes = world.calls("probe");
    world.pass(10 * MINUTE);
    world.slow = Vec::new();
    world.release();
    world.pass(10 * MINUTE);
    assert_eq!((world.published("acme"), world.calls("probe")), (None, probes));
    let told = world.messages.last().unwrap();
    assert_eq!(told.incident.cause, Cause::SecretMalformed);
    assert!(told.incident.evidence.iter().any(|text| text.contains("check.allowed_hosts")), "{told:?}");

    world.settings.hosts.names = Some([HostPattern::parse("*.mybigcommerce.com").unwrap()].into());
    world.configure(&["acme"]);
    world.pass(MINUTE);
    assert!(world.published("acme").is_some());
}

#[test]
fn a_shorter_interval_of_checks_is_in_force_at_once() {
    let mut world = World::with(&["acme"], Settings { check_interval: 10 * HOUR, ..settings() });
    world.pass(MINUTE);
    world.settings.check_interval = MINUTE;
    world.configure(&["acme"]);
    let probes = world.calls("probe");
    world.pass(MINUTE);
    assert_eq!(world.calls("probe"), probes + 1);
}

#[test]
fn a_shorter_spacing_of_confirmations_is_in_force_at_once() {
    let spacing = 2 * HOUR;
    let mut world = World::with(&["acme"], Settings { confirmation_spacing: spacing, ..settings() });
    world.pass(HOUR);
    world.accept("acme", "user", "token-2");
    world.pass(10 * MINUTE);
    world.settings.confirmation_spacing = SECOND;
    world.configure(&["acme"]);
    world.pass(MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::RegeneratedOrRevoked)]);
}

#[test]
fn a_machine_that_stood_still_says_nothing_of_its_stores() {
    let mut world = World::with(&["acme"], Settings { stale_after: HOUR, ..settings() });
    world.pass(10 * MINUTE);
    (world.now.instant, world.now.wall) = (world.now.instant.plus(8 * HOUR), world.now.wall.plus(8 * HOUR));
    world.pass(HOUR);
    assert_eq!(world.said(), []);
    world.shops.insert("acme".into(), Shop::Status(503, None));
    world.pass(2 * HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::Unverified)]);
}

#[test]
fn a_single_pass_publishes_what_was_read_although_the_source_has_failed_since() {
    let mut world = World::with(&["one", "two"], Settings { first_check: FirstCheck::AtOnce, ..settings() });
    world.slow = vec!["probe"];
    world.secrets.remove("two");
    world.send(Event::Tick);
    world.slow = vec!["probe", "look up"];
    world.read_fault = Some(SourceFault::Sealed);
    world.pass(2 * SECOND);
    assert!(world.snapshot().source.error.is_some());
    assert_eq!(world.engine.outcome(), None, "a probe is under way");
    world.release();
    assert!(world.published("one").is_some());
    assert_eq!(world.engine.outcome(), Some(Outcome::SourceUnavailable));
}

#[test]
fn nothing_is_called_revoked_while_what_replaces_it_is_being_written() {
    let mut world = World::with(&["acme"], Settings { confirmations: 1, ..settings() });
    world.pass(HOUR);
    world.accept("acme", "user", "token-2");
    world.write("acme", "user", "token-2");
    world.slow = vec!["publish"];
    world.pass_until(|world| !world.kept_back.is_empty());
    world.write("acme", "user", "mistyped");
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [], "it may have been written already");
    world.release();
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::BadWrite)]);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
}
