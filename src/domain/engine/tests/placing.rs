//! Other modes, other owners, another output directory: what differs because of those is nobody's damage.

use std::sync::Arc;

use super::shops::Shop;
use super::world::{HOUR, MINUTE, SECOND, World, fields, output};
use crate::domain::credentials::{AddressPolicy, Credentials, FieldNames};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::publication::{OnDisk, Output, Published};
use crate::domain::source::SourceFault;

/// A world in which one store has been published for an hour.
fn published() -> World {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world
}

fn set(world: &World) -> Published {
    let OnDisk::Published(published) = world.disks["acme"].clone() else { panic!("nothing is published") };
    published
}

/// Somebody changes the mode of a file.
fn change_mode(world: &mut World) {
    let why = "generation.json: its mode is 0440, not 0400".to_owned();
    world.disks.insert("acme".into(), OnDisk::OtherRights(set(world), why));
}

/// How often it was published, and restored.
fn counts(world: &mut World) -> (u64, u64) {
    let store = world.store("acme");
    (store.publications, store.restorations)
}

#[test]
fn a_set_that_has_other_modes_at_a_start_is_asked_about_and_published_anew() {
    for vault in [Some(SourceFault::Sealed), None] {
        let mut world = published();
        change_mode(&mut world);
        world.shops.insert("acme".into(), Shop::Accepts(Vec::new()));
        world.read_fault = vault;
        world.restart();
        world.slow = vec!["publish"];
        world.pass(SECOND);
        assert!(world.snapshot().vitals.ready, "apps go on reading what is there");
        world.release();
        world.pass(30 * MINUTE);
        assert!(
            world.said().contains(&(MessageKind::Opened, Cause::RegeneratedOrRevoked)),
            "{:?}",
            world.said()
        );
        assert!(!world.said().contains(&(MessageKind::Opened, Cause::Misconfigured)), "{:?}", world.said());
        assert_eq!(counts(&mut world), (1, 0));
        let stamp = set(&world).stamp;
        assert_eq!((stamp.generation, stamp.restores), (2, Some(1)));
        assert_eq!(world.reloads.len(), 1, "the content is the same");
    }
}

#[test]
fn other_modes_than_this_life_has_seen_are_damage() {
    let mut world = published();
    change_mode(&mut world);
    world.pass(2 * MINUTE);
    assert_eq!(counts(&mut world), (1, 1));
    world.restart();
    world.pass(MINUTE);
    change_mode(&mut world);
    world.pass(2 * MINUTE);
    assert_eq!(counts(&mut world), (0, 1), "also what the life before has published");
    // A configuration that wants the same modes changes nothing about that.
    world.configure(&["acme"]);
    change_mode(&mut world);
    world.pass(2 * MINUTE);
    assert_eq!(counts(&mut world), (0, 2));
}

#[test]
fn modes_that_are_configured_now_are_no_damage_and_from_then_on_they_are() {
    let mut world = published();
    world.settings.output.file_mode = 0o400;
    change_mode(&mut world);
    world.configure(&["acme"]);
    world.pass(2 * MINUTE);
    assert_eq!(counts(&mut world), (2, 0));
    change_mode(&mut world);
    world.pass(2 * MINUTE);
    assert_eq!(counts(&mut world), (2, 1));
}

#[test]
fn a_publication_under_way_while_the_modes_change_has_the_old_ones() {
    let mut world = World::new(&["acme"]);
    world.slow = vec!["publish"];
    world.pass(MINUTE);
    world.settings.output.file_mode = 0o400;
    world.configure(&["acme"]);
    change_mode(&mut world);
    world.release();
    world.pass(2 * MINUTE);
    assert_eq!(counts(&mut world), (2, 0));
    assert!(matches!(world.disks["acme"], OnDisk::Published(_)));
}

/// The output directory is another one, in which this is found.
fn move_to(world: &mut World, found: OnDisk) {
    world.settings.output = Output { directory: "/elsewhere".into(), ..output() };
    world.disks.insert("acme".into(), found);
    world.configure(&["acme"]);
}

#[test]
fn in_another_output_directory_the_set_is_published_without_vault_and_not_restored() {
    let world = published();
    let before = set(&world);
    let foreign = Credentials::parse(
        fields("acme", "user", Some("another")),
        &FieldNames::default(),
        &AddressPolicy::PublicOnly.into(),
    );
    let foreign = Published { credentials: Arc::new(foreign.unwrap()), ..before.clone() };
    let mut later = foreign.clone();
    later.stamp.generation = 50;
    let mut older = before.clone();
    older.stamp.generation = 0;
    for found in [
        OnDisk::Nothing,
        OnDisk::Damaged("api_token was edited".into()),
        OnDisk::Published(foreign.clone()),
        OnDisk::Published(later),
        OnDisk::Published(older),
        OnDisk::OtherRights(foreign, "api_token: its mode is 0444, not 0440".into()),
    ] {
        let mut world = published();
        world.read_fault = Some(SourceFault::Sealed);
        let (words, probes) = (format!("{found:?}"), world.calls("probe"));
        world.slow = vec!["publish", "read"];
        move_to(&mut world, found);
        assert_eq!(
            world.store("acme").detail,
            "publishing it in the output directory that is configured now",
            "{words}"
        );
        world.release();
        world.pass(2 * MINUTE);
        assert_eq!(counts(&mut world), (2, 0), "{words}");
        assert_eq!(world.published("acme"), Some((1, "token-1".into())), "{words}");
        assert_eq!(world.calls("probe"), probes, "{words}");
        assert_eq!(world.reloads.len(), 1, "the content is the same: {words}");

        // What is done to it there is damage again.
        world.disks.remove("acme");
        world.pass(2 * MINUTE);
        assert_eq!(counts(&mut world), (2, 1), "{words}");
    }
}

#[test]
fn a_copy_of_the_set_in_another_output_directory_is_taken_as_it_is() {
    let mut world = published();
    let copy = set(&world);
    move_to(&mut world, OnDisk::Published(copy));
    world.pass(HOUR);
    assert_eq!(counts(&mut world), (1, 0));
}

#[test]
fn a_publication_under_way_while_the_output_directory_changes_is_made_in_the_new_one_too() {
    let mut world = World::new(&["acme"]);
    world.slow = vec!["publish"];
    world.pass(MINUTE);
    move_to(&mut world, OnDisk::Nothing);
    world.release();
    world.pass(2 * MINUTE);
    assert_eq!(counts(&mut world), (2, 0));
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
}
