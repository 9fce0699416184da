//! Many stores at once: trouble of the platform is told from trouble of single tokens.

use super::shops::Shop;
use super::world::{HOUR, MINUTE, SECOND, World, settings};
use crate::domain::engine::{Event, Settings};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::snapshot::StoreState;
use crate::domain::verdict::ProbeFault;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("store-{at:03}")).collect()
}

fn fleet(count: usize) -> World {
    let names = names(count);
    let mut world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.pass(HOUR);
    world
}

fn refuse(world: &mut World, stores: &[String]) {
    for store in stores {
        world.accept(store, "nobody", "at all");
    }
}

fn mend(world: &mut World, stores: &[String]) {
    for store in stores {
        world.accept(store, "user", "token-1");
    }
}

#[test]
fn many_stores_that_turn_at_once_are_one_incident_and_none_of_their_own() {
    for count in [3, 10, 200] {
        let mut world = fleet(count);
        refuse(&mut world, &names(count));
        world.pass(3 * HOUR);
        assert_eq!(world.said(), [(MessageKind::Opened, Cause::PlatformTrouble)], "{count} stores");
        let evidence = world.messages[0].incident.evidence.join(" ");
        assert!(
            evidence.contains("stores that had accepted their credentials reject them now"),
            "{evidence}"
        );
        mend(&mut world, &names(count));
        world.pass(HOUR);
        assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::PlatformTrouble)));
        assert_eq!(world.said().len(), 2, "{count} stores: {:?}", world.said());
        assert_eq!(world.publications.len(), count);
    }
}

#[test]
fn a_token_that_is_really_dead_gets_its_own_alert_when_the_platform_works_again() {
    let mut world = fleet(20);
    refuse(&mut world, &names(20));
    world.pass(HOUR);
    mend(&mut world, &names(20)[1..]);
    world.pass(HOUR);
    assert_eq!(
        world.said(),
        [
            (MessageKind::Opened, Cause::PlatformTrouble),
            (MessageKind::Resolved, Cause::PlatformTrouble),
            (MessageKind::Opened, Cause::RegeneratedOrRevoked),
        ]
    );
    assert_eq!(world.messages[2].incident.store.as_deref(), Some("store-000"));
}

#[test]
fn a_few_dead_tokens_in_a_fleet_that_works_are_not_blamed_on_the_platform() {
    for (count, dead) in [(20, 1), (20, 3), (20, 5), (200, 5)] {
        let mut world = fleet(count);
        refuse(&mut world, &names(dead));
        world.pass(HOUR);
        let opened = (MessageKind::Opened, Cause::RegeneratedOrRevoked);
        assert_eq!(world.said(), vec![opened; dead], "{dead} of {count}");
    }
}

#[test]
fn stores_that_share_one_account_are_not_many() {
    let mut world = World::new(&["only"]);
    let mut alone = fleet(2);
    for world in [&mut world, &mut alone] {
        world.pass(HOUR);
        let stores: Vec<String> = world.secrets.keys().cloned().collect();
        refuse(world, &stores);
        world.pass(HOUR);
        assert!(world.said().iter().all(|said| *said == (MessageKind::Opened, Cause::RegeneratedOrRevoked)));
        assert_eq!(world.said().len(), stores.len());
    }
}

#[test]
fn what_is_suspected_of_the_platform_survives_a_restart_without_a_second_word() {
    let mut world = fleet(20);
    refuse(&mut world, &names(20));
    world.pass(HOUR);
    world.restart();
    world.pass(2 * HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::PlatformTrouble)]);
    mend(&mut world, &names(20));
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::PlatformTrouble)));
    assert_eq!(world.said().len(), 2);
}

/// A few stores that are asked once an hour: they turn within a restart, one after another.
fn slow_fleet() -> World {
    let names = names(4);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world =
        World::with(&names, Settings { check_interval: HOUR, stale_after: 24 * HOUR, ..settings() });
    world.pass(2 * HOUR);
    world
}

#[test]
fn stores_that_were_not_asked_since_the_start_are_asked_when_one_turns() {
    let mut world = slow_fleet();
    world.restart();
    refuse(&mut world, &names(4));
    world.pass(3 * HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::PlatformTrouble)]);
}

#[test]
fn single_stores_are_held_back_after_a_restart_until_it_is_known_how_the_trouble_stands() {
    let mut world = fleet(4);
    refuse(&mut world, &names(4));
    world.pass(HOUR);
    world.restart();
    for store in &names(4)[1..] {
        world.shops.insert(store.clone(), Shop::Fails(ProbeFault::Timeout));
    }
    world.pass_until(|world| world.store("store-000").state == StoreState::Rejected);
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::PlatformTrouble)]);
    mend(&mut world, &names(4)[1..]);
    world.pass(HOUR);
    assert_eq!(
        world.said()[1..],
        [(MessageKind::Resolved, Cause::PlatformTrouble), (MessageKind::Opened, Cause::RegeneratedOrRevoked),]
    );
}

#[test]
fn trouble_of_the_platform_is_not_over_because_nobody_answers_after_a_restart() {
    let mut world = fleet(4);
    refuse(&mut world, &names(4));
    world.pass(HOUR);
    world.restart();
    for store in names(4) {
        world.shops.insert(store, Shop::Fails(ProbeFault::Timeout));
    }
    world.pass(HOUR / 2);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::PlatformTrouble)]);
    refuse(&mut world, &names(4));
    world.pass(2 * HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::PlatformTrouble)]);
    mend(&mut world, &names(4));
    world.pass(HOUR);
    assert_eq!(world.said()[1..], [(MessageKind::Resolved, Cause::PlatformTrouble)]);
}

#[test]
fn stores_that_share_one_account_get_their_turns_however_little_it_grants() {
    let names: Vec<String> = (0..60).map(|at| format!("store-{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::with(&names, Settings { check_interval: SECOND, ..settings() });
    world.host = Some("store-of-all");
    world.pass(10 * MINUTE);
    for name in names {
        let asked = world.store(name).verdicts.values().sum::<u64>();
        assert!((10..=30).contains(&asked), "{name}: {asked}");
    }
}

#[test]
fn a_dead_candidate_does_not_keep_the_published_set_from_its_turn() {
    let names: Vec<String> = (0..60).map(|at| format!("store-{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hurried = Settings { check_interval: SECOND, confirmation_spacing: SECOND, ..settings() };
    let mut world = World::with(&names, hurried);
    world.host = Some("store-of-all");
    world.pass(MINUTE);
    world.write("store-7", "user", "mistyped");
    world.pass(30 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::BadWrite)]);
}

#[test]
fn however_often_somebody_asks_an_account_stays_within_its_budget() {
    let mut world = World::with(&["acme"], Settings { check_interval: SECOND, ..settings() });
    world.pass(MINUTE);
    let before = world.calls("probe");
    for _ in 0..6_000 {
        world.send(Event::CheckNow);
        world.pass(SECOND / 10);
    }
    let spent = world.calls("probe") - before;
    assert!((900..=1_061).contains(&spent), "{spent} requests in ten minutes");
    assert_eq!(world.store("acme").state, StoreState::Verified);
}
