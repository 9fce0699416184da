//! Many stores at once: trouble of the platform is told from trouble of single tokens.

use super::shops::Shop;
use super::world::{DAY, HOUR, MINUTE, SECOND, World, settings};
use crate::domain::engine::{Event, Settings};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::snapshot::StoreState;
use crate::domain::verdict::ProbeFault;

const TROUBLE: (MessageKind, Cause) = (MessageKind::Opened, Cause::PlatformTrouble);
const OVER: (MessageKind, Cause) = (MessageKind::Resolved, Cause::PlatformTrouble);
const REVOKED: (MessageKind, Cause) = (MessageKind::Opened, Cause::RegeneratedOrRevoked);

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
    for (count, dead) in [(6, 3), (8, 3), (20, 1), (20, 3), (20, 5), (200, 5)] {
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

fn time_out(world: &mut World, stores: &[String]) {
    for store in stores {
        world.shops.insert(store.clone(), Shop::Fails(ProbeFault::Timeout));
    }
}

/// What these stores answer arrives; what the others do is kept back.
fn answers_of(world: &mut World, stores: &[String]) {
    let of =
        |event: &Event| matches!(event, Event::Probed { store, .. } if stores.contains(&store.to_string()));
    while let Some(at) = world.kept_back.iter().position(of) {
        let event = world.kept_back.remove(at);
        world.send(event);
    }
}

/// Everybody is asked at once, and what these stores answer arrives a quarter of a second before the others' answers.
fn ask_all(world: &mut World, first: &[String]) {
    world.slow = vec!["probe"];
    world.send(Event::CheckNow);
    answers_of(world, first);
    world.pass(SECOND / 4);
    world.release();
}

fn told_of(world: &World) -> Vec<&str> {
    let mut stores: Vec<&str> =
        world.messages.iter().filter_map(|message| message.incident.store.as_deref()).collect();
    stores.sort_unstable();
    stores
}

/// So many of so many stores turn, and the others do not answer then: that looks like trouble of the platform.
fn troubled(count: usize, dead: usize) -> World {
    let mut world = fleet(count);
    refuse(&mut world, &names(dead));
    time_out(&mut world, &names(count)[dead..]);
    world.send(Event::CheckNow);
    world.pass(MINUTE);
    assert_eq!(world.said(), [TROUBLE], "{dead} of {count}");
    world
}

#[test]
fn a_few_that_answer_before_all_others_are_not_blamed_on_the_platform() {
    for (count, dead) in [(6, 3), (8, 3), (8, 4), (20, 7)] {
        let mut world = fleet(count);
        refuse(&mut world, &names(dead));
        ask_all(&mut world, &names(dead));
        world.pass(67 * SECOND);
        refuse(&mut world, &names(dead + 1)[dead..]);
        world.pass(19 * MINUTE);
        assert_eq!(world.said(), vec![REVOKED; dead + 1], "{dead} and one more of {count}");
        assert_eq!(told_of(&world), names(dead + 1), "{dead} and one more of {count}");
    }
}

#[test]
fn trouble_ends_when_as_many_stores_accept_their_tokens_as_reject_them() {
    for (count, dead) in [(6, 3), (8, 3), (9, 4)] {
        let mut world = troubled(count, dead);
        mend(&mut world, &names(count)[dead..]);
        world.pass(20 * MINUTE);
        let mut expected = vec![REVOKED; dead + 2];
        expected[..2].copy_from_slice(&[TROUBLE, OVER]);
        assert_eq!(world.said(), expected, "{dead} of {count}");
        assert_eq!(told_of(&world), names(dead), "{dead} of {count}");
        world.pass(DAY / 8);
        assert_eq!(world.said().len(), dead + 2, "{:?}", world.said());
    }
}

#[test]
fn a_store_that_turns_long_after_the_trouble_began_is_told_by_itself() {
    let mut world = fleet(4);
    refuse(&mut world, &names(3));
    world.pass(HOUR);
    assert_eq!(world.said(), [TROUBLE]);
    refuse(&mut world, &names(4));
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [TROUBLE, REVOKED]);
    assert_eq!(told_of(&world), ["store-003"]);
}

#[test]
fn many_that_turn_together_while_there_is_trouble_are_told_with_it() {
    let mut world = fleet(9);
    refuse(&mut world, &names(6));
    world.pass(HOUR);
    assert_eq!(world.said(), [TROUBLE]);
    refuse(&mut world, &names(9));
    world.pass(2 * HOUR);
    assert_eq!(world.said(), [TROUBLE]);
    let evidence = world.snapshot().incidents[0].evidence.join(" ");
    assert!(evidence.starts_with("9 stores"), "{evidence}");
    mend(&mut world, &names(9));
    world.pass(HOUR);
    assert_eq!(world.said(), [TROUBLE, OVER]);
}

#[test]
fn the_evidence_names_a_store_that_turns_soon_after_the_others() {
    let mut world = troubled(5, 3);
    world.pass(67 * SECOND);
    refuse(&mut world, &names(4));
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [TROUBLE]);
    let evidence = world.snapshot().incidents[0].evidence.join(" ");
    let turned = "4 stores that had accepted their credentials reject them now: store-000, store-001, store-002, \
                  store-003.";
    assert!(evidence.starts_with(turned), "{evidence}");
    assert!(evidence.contains("No other store is known to have accepted its own since."), "{evidence}");
    mend(&mut world, &names(5)[4..]);
    world.pass(10 * MINUTE);
    let evidence = world.snapshot().incidents[0].evidence.join(" ");
    assert!(evidence.contains("1 other store has accepted its own since."), "{evidence}");
}

#[test]
fn others_that_never_answer_hold_no_single_alert_back_for_long() {
    let hasty = Settings { confirmations: 1, ..settings() };
    let names = names(4);
    let mut world = World::with(&names.iter().map(String::as_str).collect::<Vec<_>>(), hasty);
    world.pass(HOUR);
    refuse(&mut world, &names[..1]);
    world.slow = vec!["probe"];
    world.send(Event::CheckNow);
    answers_of(&mut world, &names[..1]);
    world.pass(29 * SECOND);
    assert_eq!(world.said(), []);
    world.pass(SECOND);
    assert_eq!(world.said(), [REVOKED]);
}

#[test]
fn single_alerts_wait_for_what_others_say() {
    let hasty = Settings { confirmations: 1, ..settings() };
    let names = names(5);
    let mut world = World::with(&names.iter().map(String::as_str).collect::<Vec<_>>(), hasty);
    world.pass(HOUR);
    refuse(&mut world, &names);
    world.pass(HOUR);
    assert_eq!(world.said(), [TROUBLE]);
    mend(&mut world, &names[1..]);
    world.pass(HOUR);
    assert_eq!(world.said(), [TROUBLE, OVER, REVOKED]);
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
    world.pass_until(|world| world.store("store-000").detail.starts_with("rejected by the store 3 times"));
    assert_eq!(world.store("store-000").state, StoreState::Suspect);
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
