//! Listings: changes are found without reading each secret, and nothing is missed where they do not come.

use std::sync::Arc;
use std::time::Duration;

use super::shops::Shop;
use super::world::{DAY, HOUR, MINUTE, SECOND, World, settings};
use crate::domain::engine::{Settings, StoreSpec};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::publication::OnDisk;
use crate::domain::source::{SecretLocation, SourceFault};

const STORES: [&str; 3] = ["acme", "bravo", "corp"];

/// A source that lists; all stores are published.
pub(super) fn listed() -> World {
    let mut world = World::new(&STORES);
    world.listing = Ok(());
    world.pass(2 * MINUTE);
    assert_eq!(world.publications.len(), 3);
    world
}

#[test]
fn unchanged_secrets_are_listed_and_not_read() {
    let mut world = listed();
    let (reads, lists) = (world.calls("read"), world.calls("list"));
    world.pass(HOUR);
    assert_eq!(world.calls("read"), reads);
    assert_eq!(world.calls("list") - lists, 60);
    let source = world.snapshot().source;
    assert_eq!((source.list_requests, source.listed_stores), (lists + 60, 3));
}

#[test]
fn a_listed_change_is_read_and_published_at_once() {
    let mut world = listed();
    let reads = world.calls("read");
    world.write("bravo", "user", "token-2");
    world.accept("bravo", "user", "token-2");
    world.pass(MINUTE + SECOND);
    assert_eq!(world.published("bravo"), Some((2, "token-2".into())));
    assert_eq!(world.calls("read") - reads, 1);
}

#[test]
fn a_source_that_does_not_list_is_read_as_ever_and_asked_again_later() {
    let mut world = World::new(&STORES);
    world.pass(HOUR);
    assert_eq!(world.snapshot().source.listed_stores, 0);
    assert!((180..=186).contains(&world.calls("read")), "{:?}", world.calls);
    assert!((5..=7).contains(&world.calls("list")), "{:?}", world.calls);
    world.listing = Ok(());
    world.pass(12 * MINUTE);
    let reads = world.calls("read");
    world.pass(HOUR);
    assert_eq!(world.calls("read"), reads);
}

#[test]
fn what_is_written_back_while_another_version_is_published_is_published_again() {
    let mut world = listed();
    world.pass(HOUR);
    world.slow = vec!["publish"];
    world.shops.insert(
        "acme".into(),
        Shop::Accepts(["token-1", "token-2"].map(|token| ("user".into(), token.into())).into()),
    );
    world.write("acme", "user", "token-2");
    world.pass_until(|world| !world.kept_back.is_empty());
    world.write("acme", "user", "token-1");
    world.pass(10 * MINUTE);
    world.release();
    world.pass(MINUTE);
    assert_eq!(world.published("acme"), Some((3, "token-1".into())));
}

#[test]
fn a_policy_that_forbids_listing_alone_is_no_incident() {
    let mut world = listed();
    world.listing = Err(SourceFault::Forbidden);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(3 * MINUTE);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    assert_eq!(world.said(), []);
    assert_eq!(world.snapshot().source.listed_stores, 0);
}

#[test]
fn a_listing_that_fails_while_reads_work_is_given_up() {
    let mut world = listed();
    world.listing = Err(SourceFault::Malformed("too long".into()));
    world.write("corp", "user", "token-2");
    world.accept("corp", "user", "token-2");
    world.pass(5 * MINUTE);
    assert_eq!(world.published("corp"), Some((2, "token-2".into())));
    assert_eq!(world.said(), []);
}

#[test]
fn a_source_that_is_gone_is_an_incident_although_nothing_is_read() {
    let mut world = listed();
    let gone = SourceFault::Unreachable("connection refused".into());
    (world.listing, world.read_fault) = (Err(gone.clone()), Some(gone.clone()));
    (world.renew, world.look_up, world.log_in) = (Err(gone.clone()), Err(gone.clone()), Err(gone));
    world.pass(HOUR + 10 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceUnavailable)]);
}

#[test]
fn a_secret_that_is_no_longer_listed_is_read_and_an_incident() {
    let mut world = listed();
    world.secrets.remove("acme");
    world.pass(2 * HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMissing)]);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
}

#[test]
fn each_secret_is_read_once_a_day_whatever_is_listed() {
    let mut world = listed();
    let reads = world.calls("read");
    for _ in 0..48 {
        world.pass(DAY / 48 + Duration::from_millis(1));
    }
    assert_eq!(world.calls("read") - reads, 3);
}

#[test]
fn a_secret_that_was_removed_and_written_anew_is_read_although_its_number_is_the_same() {
    let mut world = listed();
    world.pass(HOUR);
    world.secrets.remove("bravo");
    world.write("bravo", "user", "token-2");
    // The old one works on: no rejection causes a read.
    let pair = |token: &str| ("user".to_owned(), token.to_owned());
    world.shops.insert("bravo".into(), Shop::Accepts(vec![pair("token-1"), pair("token-2")]));
    world.pass(2 * MINUTE);
    assert_eq!(world.published("bravo"), Some((1, "token-2".into())));
}

#[test]
fn a_pinned_version_is_read_by_itself_and_the_others_are_listed() {
    let mut world = listed();
    let pinned = |world: &World| {
        let spec = world.spec("acme");
        let location = SecretLocation { pinned: Some(1), ..(*spec.location).clone() };
        StoreSpec { location: Arc::new(location), ..spec }
    };
    let specs = vec![pinned(&world), world.spec("bravo"), world.spec("corp")];
    world.configure_specs(specs);
    world.pass(2 * MINUTE);
    let reads = world.calls("read");
    world.write("acme", "user", "token-2");
    world.pass(HOUR);
    assert_eq!(world.calls("read") - reads, 60);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.snapshot().source.listed_stores, 2);
}

#[test]
fn a_secret_is_read_before_its_listing_does_not_come() {
    let mut world = World::with(&STORES, Settings { poll_interval: HOUR, ..settings() });
    world.pass(SECOND);
    let (mut reads, mut waited) = (world.calls("read"), Duration::ZERO);
    for _ in 0..4 * 60 {
        world.pass(MINUTE);
        waited = if world.calls("read") == reads { waited + MINUTE } else { Duration::ZERO };
        reads = world.calls("read");
        assert!(waited <= HOUR + MINUTE, "{waited:?}");
    }
    assert!(world.calls("list") > 0);
}

#[test]
fn what_somebody_else_has_published_is_compared_with_the_secret_although_its_listing_is_the_same() {
    let mut world = listed();
    let OnDisk::Published(mut other) = world.disks["acme"].clone() else { panic!("nothing is published") };
    world.write("acme", "user", "token-2");
    world.shops.insert(
        "acme".into(),
        Shop::Accepts(vec![("user".into(), "token-1".into()), ("user".into(), "token-2".into())]),
    );
    world.pass(2 * MINUTE);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    // As from another life of the directory, whose numbers were higher.
    other.stamp.generation = 7;
    world.disks.insert("acme".into(), OnDisk::Published(other));
    world.pass(2 * MINUTE);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
}
