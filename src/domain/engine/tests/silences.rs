//! Silences: who is not reminded, for how long, and what is told all the same.

use super::world::{HOUR, MINUTE, SECOND, World};
use crate::domain::engine::{Reply, Request};
use crate::domain::incident::{Cause, Incident, MessageKind, Resolution, SilenceSpan};
use crate::domain::source::SourceFault;
use crate::domain::time::Timestamp;

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// A world in which a token was regenerated ten minutes ago, and was told once.
fn open() -> World {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.accept("acme", "user", "token-2");
    world.pass(10 * MINUTE);
    assert_eq!(kinds(&world), [MessageKind::Opened]);
    world
}

fn kinds(world: &World) -> Vec<MessageKind> {
    world.messages.iter().map(|message| message.kind).collect()
}

fn silence(world: &mut World, incident: &str, time: std::time::Duration) -> Incident {
    let span = SilenceSpan::new(time).unwrap();
    let reply = world.ask(Request::Silence { incident: incident.to_owned(), span });
    let Reply::Incident(incident) = reply else { panic!("{reply:?}") };
    *incident
}

fn unsilence(world: &mut World, incident: &str) -> Reply {
    world.ask(Request::Unsilence { incident: incident.to_owned() })
}

fn silenced_until(world: &mut World) -> Option<Timestamp> {
    world.snapshot().incidents[0].silenced_until
}

#[test]
fn a_silenced_incident_is_not_repeated_until_the_silence_ends() {
    let mut world = open();
    let until = world.now.wall.plus(10 * HOUR);
    assert_eq!(silence(&mut world, "acme:", 10 * HOUR).silenced_until, Some(until));
    assert_eq!(silenced_until(&mut world), Some(until));
    world.pass(10 * HOUR - SECOND);
    assert_eq!(kinds(&world), [MessageKind::Opened]);
    assert_eq!(silenced_until(&mut world), Some(until));
    world.pass(SECOND);
    assert_eq!(
        kinds(&world),
        [MessageKind::Opened, MessageKind::Reminder],
        "it was due, and comes at the end"
    );
    assert_eq!(silenced_until(&mut world), None);
    assert_eq!(world.messages[1].incident.silenced_until, None);
    world.pass(8 * HOUR);
    assert_eq!(world.messages.len(), 3, "and the next one in its turn");
}

#[test]
fn a_silence_that_ends_early_changes_nothing() {
    let mut world = open();
    let due = world.snapshot().incidents[0].repeat_at;
    silence(&mut world, "acme:", HOUR);
    world.pass(HOUR);
    assert_eq!(silenced_until(&mut world), None);
    assert_eq!(world.snapshot().incidents[0].next_reminder(), due);
    world.pass(due.since(world.now.wall));
    assert_eq!(kinds(&world), [MessageKind::Opened, MessageKind::Reminder]);
}

#[test]
fn the_end_of_a_silenced_incident_is_told_and_its_silence_ends_with_it() {
    let mut world = open();
    silence(&mut world, "acme:", 30 * DAY);
    world.write("acme", "user", "token-2");
    world.pass(2 * MINUTE);
    assert_eq!(kinds(&world), [MessageKind::Opened, MessageKind::Resolved]);
    assert_eq!(world.messages[1].resolution, Some(Resolution::RegeneratedCaughtUp));
    assert_eq!(world.messages[1].incident.silenced_until, None);
    world.accept("acme", "user", "token-3");
    world.pass(HOUR);
    assert_eq!(kinds(&world)[2..], [MessageKind::Opened], "another incident is told");
    assert_eq!(silenced_until(&mut world), None);
}

#[test]
fn a_silence_outlives_restarts_and_ends_when_it_should() {
    let mut world = open();
    silence(&mut world, "acme:", 10 * HOUR);
    for _ in 0..9 {
        world.pass(HOUR);
        world.restart();
    }
    world.pass(HOUR - SECOND);
    assert_eq!(kinds(&world), [MessageKind::Opened]);
    assert!(silenced_until(&mut world).is_some());
    world.pass(2 * SECOND);
    assert_eq!(kinds(&world), [MessageKind::Opened, MessageKind::Reminder]);
    world.restart();
    assert_eq!(silenced_until(&mut world), None);
}

#[test]
fn a_silence_can_be_ended_before_its_time() {
    let mut world = open();
    silence(&mut world, "acme:", DAY);
    world.pass(12 * HOUR);
    assert_eq!(kinds(&world), [MessageKind::Opened]);
    let Reply::Incident(incident) = unsilence(&mut world, "acme:") else { panic!() };
    assert_eq!(incident.silenced_until, None);
    assert_eq!(kinds(&world), [MessageKind::Opened, MessageKind::Reminder], "it was overdue");
    assert!(matches!(unsilence(&mut world, "acme:"), Reply::Incident(_)), "once more does no harm");
    world.restart();
    assert_eq!(silenced_until(&mut world), None);
}

#[test]
fn a_second_silence_takes_the_place_of_the_first() {
    let mut world = open();
    silence(&mut world, "acme:", DAY);
    let until = world.now.wall.plus(MINUTE);
    silence(&mut world, "acme:", MINUTE);
    assert_eq!(silenced_until(&mut world), Some(until));
    world.pass(MINUTE);
    assert_eq!(silenced_until(&mut world), None);
}

#[test]
fn incidents_are_found_by_their_id_or_by_its_beginning() {
    let mut world = World::new(&["acme", "acme2", "other"]);
    world.pass(HOUR);
    for store in ["acme", "acme2", "other"] {
        world.secrets.remove(store);
        world.pass(10 * MINUTE);
    }
    let ids: Vec<String> = world.snapshot().incidents.iter().map(|known| known.id.to_string()).collect();
    assert_eq!(silence(&mut world, &ids[1], HOUR).store.as_deref(), Some("acme2"));
    assert_eq!(silence(&mut world, "o", HOUR).store.as_deref(), Some("other"));
    let silenced = world.snapshot().incidents.iter().filter(|known| known.silenced_until.is_some()).count();
    assert_eq!(silenced, 2);
    let Reply::AmbiguousIncident(found) = unsilence(&mut world, "acme") else { panic!() };
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ids[..2]);
    assert_eq!(unsilence(&mut world, "acme3"), Reply::UnknownIncident);
    assert_eq!(unsilence(&mut world, &format!("{}0", ids[0])), Reply::UnknownIncident);
}

#[test]
fn an_incident_of_the_source_can_be_silenced_too() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    (world.read_fault, world.look_up, world.renew) =
        (Some(SourceFault::Sealed), Err(SourceFault::Sealed), Err(SourceFault::Sealed));
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceUnavailable)]);
    silence(&mut world, "vault:", 6 * HOUR);
    world.pass(6 * HOUR - SECOND);
    assert_eq!(world.messages.len(), 1);
    world.pass(SECOND);
    assert_eq!(world.said()[1..], [(MessageKind::Reminder, Cause::SourceUnavailable)]);
}

#[test]
fn a_wall_clock_that_was_set_back_makes_no_silence_endless() {
    let mut world = open();
    silence(&mut world, "acme:", HOUR);
    world.now.wall = Timestamp::from_millis(1_000_000_000_000);
    world.restart();
    world.pass(30 * DAY + MINUTE);
    assert!(kinds(&world).contains(&MessageKind::Reminder));
}

#[test]
fn a_silence_has_its_limits() {
    for (span, is_good) in
        [(59 * SECOND, false), (MINUTE, true), (30 * DAY, true), (30 * DAY + SECOND, false)]
    {
        assert_eq!(SilenceSpan::new(span).is_ok(), is_good, "{span:?}");
    }
}
