//! What is told while trouble goes on and changes: never what is known to be so no more.

use super::world::{DAY, HOUR, MINUTE, SECOND, World, settings};
use crate::domain::engine::{Gate, Settings};
use crate::domain::incident::{Cause, Incident, MessageKind};
use crate::domain::publication::PublishFault;
use crate::domain::snapshot::StoreState;
use crate::domain::source::SourceFault;

const OPENED: (MessageKind, Cause) = (MessageKind::Opened, Cause::RegeneratedOrRevoked);
const REMINDER: (MessageKind, Cause) = (MessageKind::Reminder, Cause::RegeneratedOrRevoked);

fn regenerated() -> World {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.accept("acme", "user", "token-2");
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [OPENED]);
    world
}

fn last(world: &World, cause: Cause) -> &Incident {
    let of = |message: &&crate::domain::incident::Message| message.incident.cause == cause;
    &world.messages.iter().rfind(of).unwrap().incident
}

fn open(world: &mut World, cause: Cause) -> Incident {
    let incidents = world.snapshot().incidents.clone();
    incidents.into_iter().find(|incident| incident.cause == cause).unwrap()
}

#[test]
fn nobody_is_told_to_generate_a_token_while_one_that_works_cannot_be_written() {
    let mut world = regenerated();
    let reason = "No space left on device".to_owned();
    world.publish_fault = Some(PublishFault { operation: "cannot write", path: "/x".into(), reason });
    world.write("acme", "user", "token-2");
    world.pass(5 * HOUR);
    let reminder = last(&world, Cause::RegeneratedOrRevoked);
    let evidence = reminder.evidence.join(" ");
    assert!(world.said().contains(&REMINDER));
    assert!(
        evidence.contains("The store accepts version 2 in Vault, and it cannot be published"),
        "{evidence}"
    );
    assert!(!evidence.contains("nothing newer"), "{evidence}");
    assert!(reminder.remedy.starts_with("Do not generate another token"), "{}", reminder.remedy);
    world.publish_fault = None;
    world.pass(5 * MINUTE);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    assert!(world.said().contains(&(MessageKind::Resolved, Cause::RegeneratedOrRevoked)));
}

#[test]
fn a_bad_write_is_not_said_to_leave_apps_what_works_when_that_dies_too() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.write("acme", "user", "mistyped");
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::BadWrite)]);
    assert!(last(&world, Cause::BadWrite).remedy.contains("Apps keep what is published"));
    world.accept("acme", "user", "token-9");
    world.pass(5 * HOUR);
    let told = last(&world, Cause::BadWrite);
    assert!(world.said().contains(&(MessageKind::Reminder, Cause::BadWrite)));
    assert!(
        told.evidence[1].starts_with("The store rejected the published version 1 as well"),
        "{:?}",
        told.evidence
    );
    assert!(!told.remedy.contains("Apps keep"), "{}", told.remedy);
}

#[test]
fn each_wrong_answer_to_an_alert_is_told_once() {
    let mut world = regenerated();
    let wrong = |world: &mut World, token: &str| {
        world.write("acme", "user", token);
        world.pass(30 * MINUTE);
    };
    wrong(&mut world, "mistyped");
    assert_eq!(world.said(), [OPENED, REMINDER]);
    let evidence = &last(&world, Cause::RegeneratedOrRevoked).evidence;
    assert!(
        evidence.iter().any(|said| said.contains("a newer version 2, which is not published")),
        "{evidence:?}"
    );
    wrong(&mut world, "mistyped again");
    assert_eq!(world.said(), [OPENED, REMINDER, REMINDER]);
    world.restart();
    world.pass(30 * MINUTE);
    assert_eq!(world.said(), [OPENED, REMINDER, REMINDER], "a restart is no news");
    wrong(&mut world, "and again");
    assert_eq!(world.said(), [OPENED, REMINDER, REMINDER, REMINDER]);
}

#[test]
fn no_single_token_is_called_dead_while_the_platform_is_suspected() {
    let names: Vec<String> = (0..12).map(|at| format!("store-{at}")).collect();
    let mut world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.pass(HOUR);
    for name in &names {
        world.accept(name, "nobody", "at all");
    }
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::PlatformTrouble)]);
    for name in &names {
        let store = world.store(name);
        assert_eq!(store.state, StoreState::Suspect, "{name}");
        assert!(store.detail.contains("not judged by itself"), "{}", store.detail);
    }
    for name in &names[1..] {
        world.accept(name, "user", "token-1");
    }
    world.pass(HOUR);
    assert_eq!(world.store("store-0").state, StoreState::Rejected);
}

#[test]
fn an_outage_of_the_source_is_not_blamed_on_those_that_it_met_first() {
    let names: Vec<String> = (0..12).map(|at| format!("store-{at}")).collect();
    let mut world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.pass(HOUR);
    let away = SourceFault::Unreachable("connection refused".into());
    for name in &names[..6] {
        world.read_faults.insert(name.clone(), away.clone());
    }
    world.pass(2 * MINUTE - 5 * SECOND);
    world.read_fault = Some(away.clone());
    world.log_in = Err(away.clone());
    world.renew = Err(away.clone());
    world.look_up = Err(away);
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceUnavailable)]);
}

#[test]
fn what_nobody_has_verified_is_not_said_to_be_accepted() {
    let mut world = World::with(&["acme"], Settings { gate: Gate::Open, ..settings() });
    world.accept("acme", "user", "something else");
    world.pass(10 * MINUTE);
    let incident = open(&mut world, Cause::Misconfigured);
    assert!(incident.evidence[1].contains("and never accepted since"), "{:?}", incident.evidence);
    world.restart();
    world.pass(10 * MINUTE);
    let incident = open(&mut world, Cause::Misconfigured);
    assert!(incident.evidence[1].contains("since a start at"), "{:?}", incident.evidence);
}

#[test]
fn what_worked_and_died_before_it_could_be_written_is_not_called_misconfigured() {
    let mut world = World::new(&["acme"]);
    let reason = "No space left on device".to_owned();
    world.publish_fault = Some(PublishFault { operation: "cannot write", path: "/x".into(), reason });
    world.pass(HOUR);
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    assert!(
        world.said().contains(&OPENED)
            && !world.said().iter().any(|(_, cause)| *cause == Cause::Misconfigured)
    );
    let incident = open(&mut world, Cause::RegeneratedOrRevoked);
    assert!(incident.evidence[1].contains("when they could not be published"), "{:?}", incident.evidence);
    assert!(incident.evidence[2].contains("nothing newer"), "{:?}", incident.evidence);
    assert!(incident.remedy.ends_with("until then apps have none."), "{}", incident.remedy);
    world.publish_fault = None;
    world.write("acme", "user", "token-2");
    world.pass(HOUR);
    assert_eq!(world.store("acme").state, StoreState::Verified);
    assert_eq!(world.snapshot().incidents, []);
}

/// Stores whose credentials are accepted and cannot be written; their secrets are read once a day.
fn unwritten(stores: &[&str]) -> World {
    let mut world = World::with(stores, Settings { poll_interval: DAY, ..settings() });
    let reason = "No space left on device".to_owned();
    world.publish_fault = Some(PublishFault { operation: "cannot write", path: "/x".into(), reason });
    world.pass(HOUR);
    world
}

#[test]
fn before_what_could_not_be_written_is_called_dead_vault_is_asked_for_something_newer() {
    let mut world = unwritten(&["acme"]);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    assert!(!world.said().contains(&OPENED), "{:?}", world.said());
    world.publish_fault = None;
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    assert_eq!(world.snapshot().incidents, []);
}

#[test]
fn many_that_die_together_before_they_are_written_are_trouble_of_the_platform() {
    let stores = ["a", "b", "c", "d"];
    let mut world = unwritten(&stores);
    for store in stores {
        world.accept(store, "user", "another");
    }
    world.pass(HOUR);
    assert!(!world.said().contains(&OPENED), "{:?}", world.said());
    assert!(world.said().contains(&(MessageKind::Opened, Cause::PlatformTrouble)), "{:?}", world.said());
    world.accept("a", "user", "token-1");
    world.accept("b", "user", "token-1");
    world.pass(2 * HOUR);
    let dead = |message: &&(MessageKind, Cause)| **message == OPENED;
    assert_eq!(world.said().iter().filter(dead).count(), 2, "{:?}", world.said());
    // What was counted before was the platform's.
    let opened = world.messages.iter().find(|message| message.incident.cause == Cause::RegeneratedOrRevoked);
    let evidence = &opened.unwrap().incident.evidence[0];
    assert!(evidence.contains("with 401 3 times"), "{evidence}");
}

#[test]
fn what_could_not_be_written_is_not_called_dead_while_vault_is_being_asked() {
    let mut world = unwritten(&["acme"]);
    world.slow = vec!["read"];
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    assert!(!world.said().contains(&OPENED), "{:?}", world.said());
    world.slow = Vec::new();
    world.release();
    world.pass(MINUTE);
    assert!(world.said().contains(&OPENED), "{:?}", world.said());
}
