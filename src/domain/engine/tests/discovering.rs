//! Discovery: the secrets that are there are the stores, and none is lost because a listing does not come.

use std::time::Duration;

use super::world::{DAY, HOUR, MINUTE, SECOND, World};
use crate::domain::engine::Outcome;
use crate::domain::incident::{Cause, MessageKind, Resolution};
use crate::domain::source::SourceFault;

/// A world with these secrets below the folder of its discovery.
fn world(secrets: &[&str], withdraw_after: Option<Duration>) -> World {
    let mut world = World::discovering(&[], withdraw_after);
    for secret in secrets {
        add(&mut world, secret);
    }
    world.start();
    world.pass(2 * MINUTE);
    world
}

fn add(world: &mut World, secret: &str) {
    world.write(secret, "user", "token-1");
    world.accept(secret, "user", "token-1");
}

fn names(world: &mut World) -> Vec<String> {
    world.snapshot().stores.iter().map(|store| store.name.to_string()).collect()
}

fn open(world: &mut World) -> Vec<Cause> {
    world.snapshot().incidents.iter().map(|incident| incident.cause).collect()
}

#[test]
fn every_secret_below_a_folder_is_a_store_without_a_restart() {
    let mut world = world(&["acme", "bravo"], None);
    assert_eq!(names(&mut world), ["acme", "bravo"]);
    assert_eq!(world.publications.len(), 2);
    let calls = (world.calls("inspect"), world.calls("read"));
    add(&mut world, "corp");
    world.pass(MINUTE + SECOND);
    assert_eq!(names(&mut world), ["acme", "bravo", "corp"]);
    assert_eq!(world.published("corp"), Some((1, "token-1".into())));
    assert_eq!(world.calls("restock"), 2);
    // The others are looked at and read as ever.
    assert!(world.calls("inspect") <= calls.0 + 6, "{:?}", world.calls);
    assert!(world.calls("read") <= calls.1 + 4, "{:?}", world.calls);
    assert_eq!(world.said(), []);
}

#[test]
fn a_source_that_lists_versions_is_asked_for_nothing_else() {
    let mut world = World::discovering(&[], None);
    world.listing = Ok(());
    for secret in ["acme", "bravo", "corp"] {
        add(&mut world, secret);
    }
    world.start();
    world.pass(2 * MINUTE);
    assert_eq!(world.publications.len(), 3);
    let reads = world.calls("read");
    world.pass(HOUR);
    assert_eq!((world.calls("read"), world.calls("list names")), (reads, 0));
}

#[test]
fn a_store_whose_secret_is_gone_stays_and_is_an_incident() {
    let mut world = world(&["acme", "bravo"], None);
    world.secrets.remove("acme");
    world.pass(30 * DAY);
    assert_eq!(names(&mut world), ["acme", "bravo"]);
    assert_eq!(world.said()[0], (MessageKind::Opened, Cause::SecretMissing));
    assert!(world.said()[1..].iter().all(|said| *said == (MessageKind::Reminder, Cause::SecretMissing)));
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert!(world.found[0].gone_since.is_some());
    add(&mut world, "acme");
    world.pass(5 * MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::SecretMissing)));
    assert_eq!(world.found[0].gone_since, None);
}

#[test]
fn it_is_withdrawn_after_the_time_that_the_configuration_says_and_then_forgotten() {
    let mut world = world(&["acme", "bravo"], Some(DAY));
    world.secrets.remove("acme");
    world.pass(DAY - HOUR);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    // The end is told beforehand: it was not known yet when the incident opened, and then it is.
    let remedy = &world.messages[0].incident.remedy;
    assert!(
        remedy.ends_with("once Vault has not listed the secret for 1day, as withdraw_after says."),
        "{remedy}"
    );
    let until = world.found[0].gone_since.unwrap().plus(DAY);
    let remedy = world.snapshot().incidents[0].remedy.clone();
    assert!(remedy.contains(&format!("What is published stays in place until {until}; ")), "{remedy}");
    // The time goes on while the daemon does not run.
    world.restart();
    world.pass(30 * MINUTE);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    world.pass(HOUR);
    assert_eq!(world.published("acme"), None);
    assert_eq!(world.calls("withdraw"), 1);
    assert_eq!(names(&mut world), ["bravo"]);
    let last = world.messages.last().unwrap();
    assert_eq!((last.kind, last.incident.cause), (MessageKind::Resolved, Cause::SecretMissing));
    assert_eq!(last.resolution, Some(Resolution::StayedAway));
    assert_eq!(world.published("bravo"), Some((1, "token-1".into())));
    add(&mut world, "acme");
    world.pass(2 * MINUTE);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
}

#[test]
fn whatever_was_wrong_with_a_store_whose_secret_stayed_away_ends_with_it_and_says_so() {
    let mut world = world(&["acme", "bravo"], Some(DAY));
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    world.secrets.remove("acme");
    world.pass(2 * DAY);
    assert_eq!(names(&mut world), ["bravo"]);
    let ends = world.messages.iter().filter(|message| message.kind == MessageKind::Resolved);
    let ends: Vec<_> = ends.map(|message| (message.incident.cause, message.resolution.unwrap())).collect();
    let [rejected, missing] =
        [Cause::RegeneratedOrRevoked, Cause::SecretMissing].map(|cause| (cause, Resolution::StayedAway));
    assert_eq!(ends, [rejected, missing]);
    // What is configured no longer is another matter.
    world.accept("bravo", "user", "token-2");
    world.pass(HOUR);
    world.settings.discoveries.clear();
    world.configure(&[]);
    assert_eq!(world.messages.last().unwrap().resolution, Some(Resolution::NoLongerConfigured));
}

#[test]
fn what_is_only_not_listed_is_not_withdrawn() {
    let mut world = world(&["acme", "bravo"], Some(HOUR));
    // It is not in the listing, and can still be read.
    world.unlisted.push("acme".into());
    world.pass(3 * HOUR);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.said(), []);
    // It is not in the listing, and may not be read: nobody can tell that it is gone.
    world.read_faults.insert("acme".into(), SourceFault::Forbidden);
    world.pass(3 * HOUR);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.calls("withdraw"), 0);
}

#[test]
fn a_deleted_version_is_no_secret_that_is_gone() {
    let mut world = world(&["acme", "bravo"], Some(HOUR));
    world.read_faults.insert("acme".into(), SourceFault::Deleted(1));
    world.pass(3 * HOUR);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMissing)]);
}

#[test]
fn a_folder_that_may_not_be_listed_is_an_incident_and_changes_nothing() {
    let mut world = world(&["acme", "bravo"], Some(HOUR));
    world.names = Err(SourceFault::Forbidden);
    world.pass(6 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::DiscoveryFailed)]);
    let incident = &world.messages[0].incident;
    assert!(incident.evidence[0].contains("secret/bc: permission denied"), "{incident:?}");
    assert!(incident.remedy.contains("list on MOUNT/metadata/PREFIX"), "{incident:?}");
    world.pass(2 * HOUR);
    assert_eq!(names(&mut world), ["acme", "bravo"]);
    assert_eq!(world.snapshot().source.logins, 1);
    world.names = Ok(());
    world.pass(3 * MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::DiscoveryFailed)));
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
}

#[test]
fn a_dead_token_is_found_out_by_a_listing_where_there_is_no_store() {
    let mut world = world(&[], None);
    world.token_dead = true;
    add(&mut world, "acme");
    world.pass(3 * MINUTE);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.snapshot().source.logins, 2);
    assert_eq!(world.said(), []);
}

#[test]
fn a_source_that_is_gone_is_an_incident_where_there_is_no_store() {
    let mut world = world(&[], None);
    let gone = SourceFault::Unreachable("connection refused".into());
    (world.names, world.look_up) = (Err(gone.clone()), Err(gone.clone()));
    world.listing = Err(gone);
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceUnavailable)]);
    (world.names, world.look_up) = (Ok(()), world.log_in.clone());
    world.pass(5 * MINUTE);
    assert_eq!(world.said()[1..], [(MessageKind::Resolved, Cause::SourceUnavailable)]);
}

#[test]
fn discovered_stores_are_known_before_the_source_answers() {
    let mut world = world(&["acme", "bravo"], None);
    let gone = SourceFault::Unreachable("connection refused".into());
    world.log_in = Err(gone);
    world.restart();
    let probes = world.calls("probe");
    world.pass(10 * MINUTE);
    assert_eq!(names(&mut world), ["acme", "bravo"]);
    assert!(world.calls("probe") >= probes + 2);
}

#[test]
fn a_configured_store_comes_first() {
    let mut world = World::discovering(&["acme"], None);
    for secret in ["acme", "ACME", "bravo", "no name"] {
        add(&mut world, secret);
    }
    world.start();
    world.pass(10 * MINUTE);
    assert_eq!(names(&mut world), ["acme", "bravo"]);
    assert_eq!(world.calls("restock"), 1);
}

#[test]
fn a_single_pass_waits_until_it_is_known_which_stores_there_are() {
    let mut world = World::discovering(&[], None);
    add(&mut world, "acme");
    assert_eq!(world.engine.outcome(), None);
    world.start();
    world.pass(SECOND);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.engine.outcome(), Some(Outcome::Good));
    let mut refused = World::discovering(&[], None);
    refused.names = Err(SourceFault::Forbidden);
    refused.start();
    refused.pass(SECOND);
    assert_eq!(refused.engine.outcome(), Some(Outcome::SecretUnusable));
}

#[test]
fn a_source_that_does_not_list_names_is_not_up_until_it_answers_even_if_with_a_refusal() {
    let mut world = world(&["acme", "bravo"], None);
    world.names = Err(SourceFault::Unavailable { status: 500 });
    world.pass(2 * MINUTE);
    for _ in 0..10 * 60 {
        world.pass(SECOND);
        assert!(!world.snapshot().source.up);
    }
    assert_eq!(world.said()[0], (MessageKind::Opened, Cause::SourceUnavailable));
    world.names = Err(SourceFault::Forbidden);
    world.pass(10 * MINUTE);
    assert!(world.snapshot().source.up);
    assert_eq!(open(&mut world), [Cause::DiscoveryFailed]);
}

#[test]
fn a_source_that_lists_no_names_is_up_again_when_none_are_wanted_any_more() {
    let mut world = World::discovering(&["acme"], None);
    add(&mut world, "bravo");
    world.start();
    world.pass(2 * MINUTE);
    world.names = Err(SourceFault::Unavailable { status: 500 });
    world.pass(10 * MINUTE);
    assert!(open(&mut world).contains(&Cause::SourceUnavailable) && !world.snapshot().source.up);
    world.settings.discoveries.clear();
    world.configure(&["acme"]);
    world.pass(MINUTE);
    assert_eq!((open(&mut world), world.snapshot().source.up), (vec![], true));
}
