//! What is done when somebody touches the files: a look at once, once a second, and the set is restored.

use super::world::{DAY, HOUR, MINUTE, SECOND, World, settings};
use crate::domain::credentials::StoreName;
use crate::domain::engine::{Event, Settings};
use crate::domain::publication::OnDisk;

/// Stores whose disks are looked at so rarely that no pass disturbs.
fn quiet(stores: &[&str]) -> World {
    let settings = Settings { poll_interval: DAY, check_interval: DAY, stale_after: 2 * DAY, ..settings() };
    let mut world = World::with(stores, settings);
    world.pass(MINUTE);
    world
}

fn touch(world: &mut World, store: &str) {
    let store = StoreName::parse(store).unwrap();
    world.send(Event::Disturbed { store: Some(store) });
}

#[test]
fn a_set_that_was_lost_is_restored_as_soon_as_somebody_touches_it() {
    let mut world = quiet(&["acme", "other"]);
    let looks = world.calls("inspect");
    world.disks.insert("acme".into(), OnDisk::Damaged("api_token was edited".into()));
    touch(&mut world, "acme");
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.store("acme").restorations, 1);
    assert_eq!(world.calls("inspect"), looks + 1, "of this store alone");
    assert_eq!(world.reloads.len(), 2, "an app need not be told of what it knows");

    world.disks.remove("other");
    world.send(Event::Disturbed { store: None });
    assert_eq!(world.published("other"), Some((1, "token-1".into())), "nobody knew whose files they were");
}

#[test]
fn what_was_written_is_looked_at_once_more_and_then_left_alone() {
    let mut world = quiet(&["acme"]);
    let looks = world.calls("inspect");
    world.disks.remove("acme");
    touch(&mut world, "acme");
    assert_eq!(world.calls("inspect"), looks + 1);
    // Its own writes are told to it, too.
    touch(&mut world, "acme");
    assert_eq!(world.calls("inspect"), looks + 1);
    world.pass(SECOND);
    assert_eq!(world.calls("inspect"), looks + 2);
    world.pass(HOUR);
    assert_eq!((world.calls("inspect"), world.store("acme").restorations), (looks + 2, 1));
}

#[test]
fn a_flood_costs_a_look_a_second() {
    let mut world = quiet(&["acme", "other"]);
    let looks = world.calls("inspect");
    for _ in 0..100 {
        for _ in 0..100 {
            touch(&mut world, "acme");
        }
        world.pass(SECOND / 10);
    }
    world.pass(HOUR);
    let looked = world.calls("inspect") - looks;
    assert!((10..=11).contains(&looked), "{looked}");
}

#[test]
fn whoever_fights_for_the_files_costs_a_restoration_a_second() {
    let mut world = quiet(&["acme"]);
    for _ in 0..100 {
        world.disks.remove("acme");
        touch(&mut world, "acme");
        world.pass(SECOND / 10);
    }
    assert!(world.store("acme").restorations <= 11, "{}", world.store("acme").restorations);
}

#[test]
fn a_touch_while_the_disk_is_looked_at_brings_another_look() {
    let mut world = quiet(&["acme"]);
    let looks = world.calls("inspect");
    world.slow = vec!["inspect"];
    touch(&mut world, "acme");
    world.disks.remove("acme");
    touch(&mut world, "acme");
    world.pass(10 * SECOND);
    assert_eq!(world.calls("inspect"), looks + 1, "one at a time");
    world.release();
    world.pass(SECOND);
    assert!(world.published("acme").is_some(), "what it saw was from before the touch");
}

#[test]
fn files_of_nobody_are_nobodys_concern() {
    let mut world = quiet(&["acme"]);
    let looks = world.calls("inspect");
    touch(&mut world, "stranger");
    world.pass(MINUTE);
    assert_eq!(world.calls("inspect"), looks);
}

#[test]
fn what_was_seen_where_nothing_is_published_any_more_is_passed_over() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.slow.push("inspect");
    world.pass(MINUTE);
    // Another output directory, in which nothing is published yet.
    world.disks.clear();
    world.configure(&["acme"]);
    world.release();
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
}
