//! What apps say that they run on: what counts, for how long nothing may be said, and what outlives a restart.

use super::world::{DAY, HOUR, MINUTE, SECOND, World, settings};
use crate::domain::credentials::StoreName;
use crate::domain::engine::{AcknowledgeOutcome, Acknowledging, Event, Reply, Request, Settings};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::publication::Sign;
use crate::domain::snapshot::AcknowledgementStatus;
use crate::domain::time::Timestamp;

const OPENED: (MessageKind, Cause) = (MessageKind::Opened, Cause::Unacknowledged);
const RESOLVED: (MessageKind, Cause) = (MessageKind::Resolved, Cause::Unacknowledged);

/// A store that was published a minute ago, and whose app has five to acknowledge it.
fn world() -> World {
    let mut world = World::with(&["acme"], Settings { poll_interval: DAY, ..settings() });
    world.within = Some(5 * MINUTE);
    world.configure(&["acme"]);
    world.pass(MINUTE);
    world
}

fn acknowledge(world: &mut World, generation: u64) -> Acknowledging {
    let store = StoreName::parse("acme").unwrap();
    let reply = world.ask(Request::Acknowledge { store, generation });
    let Reply::Acknowledging(said) = reply else { panic!("{reply:?}") };
    said
}

fn sign(world: &mut World, sign: Sign) {
    world.signs.insert("acme".into(), sign);
    world.pass(SECOND);
    world.send(Event::Disturbed { store: Some(StoreName::parse("acme").unwrap()) });
}

fn status(world: &mut World) -> AcknowledgementStatus {
    world.store("acme").acknowledgement.unwrap()
}

fn rotate(world: &mut World, token: &str) {
    world.write("acme", "user", token);
    world.accept("acme", "user", token);
    world.send(Event::CheckNow);
}

#[test]
fn what_is_acknowledged_in_time_is_no_incident() {
    let mut world = world();
    let waiting = status(&mut world);
    assert_eq!((waiting.pending, waiting.generation, waiting.lag_ms), (true, None, Some(60_000)));
    let said = acknowledge(&mut world, 1);
    assert_eq!(said.outcome, AcknowledgeOutcome::Acknowledged);
    assert_eq!((said.acknowledged_at, said.lag_ms), (Some(world.now.wall), Some(60_000)));
    world.pass(HOUR);
    let now = status(&mut world);
    assert_eq!((now.pending, now.generation, now.lag_ms), (false, Some(1), Some(60_000)));
    assert_eq!(world.said(), []);
}

#[test]
fn what_is_not_acknowledged_in_time_is_an_incident_until_it_is() {
    let mut world = world();
    world.pass(4 * MINUTE - SECOND);
    assert_eq!(world.said(), []);
    world.pass(2 * SECOND);
    assert_eq!(world.said(), [OPENED]);
    let incident = &world.messages[0].incident;
    assert!(incident.evidence[0].starts_with("Generation 1 was published at "), "{incident:?}");
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    acknowledge(&mut world, 1);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
}

#[test]
fn nobody_is_blamed_where_no_time_is_set() {
    let mut world = world();
    world.within = None;
    world.configure(&["acme"]);
    world.pass(DAY);
    assert_eq!(world.said(), []);
    assert!(status(&mut world).pending);
    world.within = Some(5 * MINUTE);
    world.configure(&["acme"]);
    world.pass(MINUTE);
    assert_eq!(world.said(), [OPENED], "it has waited for a day by now");
    world.within = None;
    world.configure(&["acme"]);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
}

#[test]
fn each_generation_has_its_time_and_is_acknowledged_by_its_own_number() {
    let mut world = world();
    acknowledge(&mut world, 1);
    rotate(&mut world, "token-2");
    assert!(status(&mut world).pending);
    assert_eq!(acknowledge(&mut world, 1).outcome, AcknowledgeOutcome::Superseded);
    assert_eq!(acknowledge(&mut world, 3).outcome, AcknowledgeOutcome::Unknown);
    world.pass(5 * MINUTE - SECOND);
    assert_eq!(world.said(), []);
    world.pass(SECOND);
    assert_eq!(world.said(), [OPENED]);
    // A newer one has its time too, and says nothing of the incident meanwhile.
    rotate(&mut world, "token-3");
    world.pass(MINUTE);
    assert_eq!(world.said(), [OPENED]);
    assert_eq!(acknowledge(&mut world, 3).outcome, AcknowledgeOutcome::Acknowledged);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
}

#[test]
fn a_restored_set_is_acknowledged_by_whoever_runs_on_its_content() {
    let mut world = world();
    acknowledge(&mut world, 1);
    let lose = |world: &mut World| {
        world.disks.remove("acme");
        world.pass(2 * SECOND);
        world.send(Event::Disturbed { store: None });
    };
    lose(&mut world);
    assert_eq!(world.publications.last().unwrap().1.restores, Some(1));
    lose(&mut world);
    let stamp = world.store("acme").published.unwrap();
    assert_eq!((stamp.generation, stamp.restores), (3, Some(1)));
    assert!(!status(&mut world).pending);
    rotate(&mut world, "token-2");
    let stamp = world.store("acme").published.unwrap();
    assert_eq!((stamp.generation, stamp.restores), (4, None));
    lose(&mut world);
    assert!(status(&mut world).pending);
    for (number, outcome) in [
        (3, AcknowledgeOutcome::Superseded),
        (6, AcknowledgeOutcome::Unknown),
        (4, AcknowledgeOutcome::Acknowledged),
    ] {
        assert_eq!(acknowledge(&mut world, number).outcome, outcome, "{number}");
    }
    assert_eq!(world.said(), []);
}

#[test]
fn a_file_counts_by_its_number_or_by_its_time() {
    let mut world = world();
    let published = world.store("acme").published.unwrap().published_at;
    let before = Timestamp::from_millis(published.as_millis() - 20);
    for nothing in [Sign::None, Sign::Touched(before), Sign::Number(1, before)] {
        sign(&mut world, nothing.clone());
        assert!(status(&mut world).pending, "{nothing:?}");
        assert_eq!(status(&mut world).error, None);
    }
    for unfit in [Sign::Unfit("it is a link".into()), Sign::Number(2, world.now.wall)] {
        sign(&mut world, unfit);
        let said = status(&mut world);
        assert!(said.pending && said.error.is_some(), "{said:?}");
    }
    let at = published.plus(3 * SECOND);
    sign(&mut world, Sign::Number(1, at));
    let said = status(&mut world);
    assert_eq!((said.pending, said.at, said.lag_ms, said.error), (false, Some(at), Some(3000), None));

    rotate(&mut world, "token-2");
    let now = world.now.wall;
    sign(&mut world, Sign::Number(1, now));
    assert!(status(&mut world).pending);
    // Its time may be a tick older than the publication that it follows, and somebody may put it ahead.
    let published = world.store("acme").published.unwrap().published_at;
    let tick = Timestamp::from_millis(published.as_millis() - 4);
    sign(&mut world, Sign::Touched(tick));
    let said = status(&mut world);
    assert_eq!((said.pending, said.generation, said.lag_ms), (false, Some(2), Some(0)));
    rotate(&mut world, "token-3");
    let now = world.now.wall;
    sign(&mut world, Sign::Touched(now.plus(DAY)));
    assert_eq!(status(&mut world).at, Some(world.now.wall));
}

#[test]
fn a_number_counts_also_where_the_clock_was_ahead_at_the_publication() {
    let mut world = world();
    world.now.wall = Timestamp::from_millis(world.now.wall.as_millis() - 24 * 3_600_000);
    let now = world.now.wall;
    sign(&mut world, Sign::Touched(now));
    assert!(status(&mut world).pending, "from before the publication, for all that is known");
    world.pass(SECOND);
    sign(&mut world, Sign::Number(1, now));
    let is = status(&mut world);
    assert_eq!((is.pending, is.generation, is.lag_ms, is.error), (false, Some(1), Some(0), None));
    world.pass(HOUR);
    assert_eq!(world.said(), []);
}

#[test]
fn an_acknowledgement_is_noted_once_and_known_after_a_restart() {
    let mut world = world();
    for _ in 0..1000 {
        acknowledge(&mut world, 1);
    }
    for number in [0, 2, u64::MAX] {
        acknowledge(&mut world, number);
    }
    assert_eq!(world.calls("remember acknowledged"), 1, "a flood costs nothing");
    let at = status(&mut world).at;
    world.restart();
    world.pass(HOUR);
    assert_eq!((status(&mut world).at, status(&mut world).pending), (at, false));
    assert_eq!(world.said(), []);
}

#[test]
fn an_incident_outlives_a_restart_and_ends_with_the_acknowledgement() {
    let mut world = world();
    world.pass(5 * MINUTE);
    assert_eq!(world.said(), [OPENED]);
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    let now = world.now.wall;
    sign(&mut world, Sign::Touched(now));
    assert_eq!(world.said(), [OPENED, RESOLVED]);
}

#[test]
fn nothing_is_acknowledged_where_nothing_is_published_or_nobody_asks_for_it() {
    let mut world = World::new(&["acme"]);
    assert_eq!(acknowledge(&mut world, 1).outcome, AcknowledgeOutcome::NothingPublished);
    world.pass(MINUTE);
    let specs = vec![crate::domain::engine::StoreSpec { acknowledge: None, ..world.spec("acme") }];
    world.configure_specs(specs);
    assert_eq!(acknowledge(&mut world, 1).outcome, AcknowledgeOutcome::NotConfigured);
    assert!(world.store("acme").acknowledgement.is_none());
    let store = StoreName::parse("other").unwrap();
    assert_eq!(world.ask(Request::Acknowledge { store, generation: 1 }), Reply::UnknownStore);
}
