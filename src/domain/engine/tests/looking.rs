//! What is done when somebody touches the files: a look at once, once a second, and the set is restored.

use super::shops::Shop;
use super::world::{DAY, HOUR, MINUTE, SECOND, World, settings};
use crate::domain::credentials::StoreName;
use crate::domain::engine::{Event, Settings};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::publication::OnDisk;

const OPENED: (MessageKind, Cause) = (MessageKind::Opened, Cause::FilesUnstable);
const RESOLVED: (MessageKind, Cause) = (MessageKind::Resolved, Cause::FilesUnstable);

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

/// Damages the files again after each publication, for so long.
fn contest(world: &mut World, time: std::time::Duration) {
    let end = world.now.instant.plus(time);
    while world.now.instant < end {
        if world.published("acme").is_some() {
            world.disks.insert("acme".into(), OnDisk::Damaged("api_token: it was edited".into()));
            touch(world, "acme");
        }
        world.pass(SECOND / 2);
    }
}

#[test]
fn whoever_contests_the_files_is_told_of_and_costs_ever_less() {
    let mut world = quiet(&["acme", "other"]);
    contest(&mut world, 8 * SECOND);
    assert_eq!(world.said(), [], "somebody may only try things out");
    contest(&mut world, 5 * MINUTE);
    assert_eq!(world.said(), [OPENED]);
    let restored = world.store("acme").restorations;
    assert!((12..=25).contains(&restored), "{restored}");
    let message = &world.messages[0].incident;
    assert!(message.evidence.join(" ").contains("restored 11 times from"), "{message:?}");
    assert!(
        message.evidence.join(" ").contains("What was found last: api_token: it was edited."),
        "{message:?}"
    );
    assert!(message.remedy.contains("who else may write to the volume"), "{message:?}");
    // Ever less, and never less than once a minute.
    let before = world.store("acme").restorations;
    contest(&mut world, HOUR);
    let restored = world.store("acme").restorations - before;
    assert!((55..=85).contains(&restored), "{restored}");
    assert_eq!(world.said(), [OPENED]);
    assert_eq!(world.reloads.len(), 2, "an app need not be told of what it knows");

    // It is over by itself.
    world.pass(2 * MINUTE);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.said(), [OPENED]);
    world.pass(2 * DAY);
    let said = world.said();
    assert_eq!(said.last(), Some(&RESOLVED));
    assert_eq!(said.iter().filter(|said| **said == OPENED).count(), 1);
    // And the next damage is mended at once again.
    world.disks.remove("acme");
    touch(&mut world, "acme");
    assert!(world.published("acme").is_some());
}

#[test]
fn new_credentials_and_a_wish_of_the_operators_wait_for_no_contest() {
    let mut world = quiet(&["acme"]);
    contest(&mut world, 5 * MINUTE);
    world.disks.insert("acme".into(), OnDisk::Damaged("api_token: it was edited".into()));
    touch(&mut world, "acme");
    world.pass(SECOND);
    assert_eq!(world.published("acme"), None, "restoring waits");
    world.send(Event::CheckNow);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));

    world.disks.insert("acme".into(), OnDisk::Damaged("api_token: it was edited".into()));
    touch(&mut world, "acme");
    world.pass(SECOND);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(DAY + MINUTE);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
}

#[test]
fn a_contest_that_lasts_over_a_restart_stays_one_incident_until_the_files_are_left_alone() {
    let settings = Settings { check_interval: DAY, stale_after: 2 * DAY, ..settings() };
    let mut world = World::with(&["acme"], settings);
    world.pass(MINUTE);
    contest(&mut world, 5 * MINUTE);
    world.pass(MINUTE);
    world.restart();
    world.pass(9 * MINUTE);
    assert_eq!(world.said(), [OPENED]);
    world.pass(2 * MINUTE);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
}

#[test]
fn damage_now_and_then_is_mended_at_once_and_no_contest() {
    let mut world = quiet(&["acme"]);
    world.settings.poll_interval = MINUTE;
    world.configure(&["acme"]);
    for times in 1..=30 {
        world.pass(11 * MINUTE);
        world.disks.remove("acme");
        touch(&mut world, "acme");
        assert_eq!(world.store("acme").restorations, times);
    }
    assert_eq!(world.said(), []);
}

#[test]
fn a_generation_that_somebody_puts_back_is_replaced_by_the_newest_again() {
    let mut world = quiet(&["acme"]);
    let old = world.disks["acme"].clone();
    world.write("acme", "user", "token-2");
    world.shops.insert(
        "acme".into(),
        Shop::Accepts(vec![("user".into(), "token-1".into()), ("user".into(), "token-2".into())]),
    );
    world.send(Event::CheckNow);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    let (reads, told) = (world.calls("read"), world.reloads.len());
    world.disks.insert("acme".into(), old);
    touch(&mut world, "acme");
    world.pass(SECOND);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    let (_, stamp) = world.publications.last().unwrap();
    assert_eq!((stamp.generation, stamp.restores), (3, Some(2)));
    assert_eq!((world.calls("read"), world.reloads.len()), (reads, told), "nobody has to be asked or told");
    assert_eq!(world.store("acme").restorations, 1);
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
