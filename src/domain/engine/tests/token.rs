//! The token's life: renewals that are spread, tokens that others care for, and log-ins that leave tokens behind.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::world::{DAY, HOUR, MINUTE, SECOND, World, settings};
use crate::domain::engine::{Engine, Event, Settings, TokenOrigin};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::secret::FingerprintKey;
use crate::domain::source::{Lease, SourceFault};

fn lease(duration: Duration, renewable: bool) -> Result<Lease, SourceFault> {
    Ok(Lease { duration, renewable })
}

/// A world of an installation whose key is made of this byte.
fn installation(seed: u8) -> World {
    let mut world = World::new(&["acme"]);
    let key = Arc::new(FingerprintKey::new(&[seed; 32]));
    let stores = vec![world.spec("acme")];
    world.engine = Engine::new(world.settings.clone(), stores, key, Vec::new(), world.now);
    world
}

/// A world whose token was given to the daemon.
fn given(first: Result<Lease, SourceFault>) -> World {
    let settings = Settings { token_origin: TokenOrigin::Given, ..settings() };
    let mut world = World::with(&["acme"], settings);
    world.log_in = first;
    world
}

/// The end of the token moves no further: what is left of it shrinks.
fn pass_to_the_end(world: &mut World, from: Duration, time: Duration, renewable: bool) {
    let began = world.now.instant;
    while world.now.instant.since(began) < time {
        let left = from.saturating_sub(world.now.instant.since(began));
        let answer = if left.is_zero() { Err(SourceFault::Forbidden) } else { lease(left, renewable) };
        world.token_dead = left.is_zero();
        world.renew = answer.clone();
        world.log_in = match answer {
            Err(_) => Err(SourceFault::LoginRefused { status: 403, message: "it is dead".into() }),
            alive => alive,
        };
        world.pass(SECOND);
    }
}

#[test]
fn renewals_come_at_other_moments_on_other_machines_and_each_time() {
    let mut pauses = BTreeSet::new();
    for seed in 0..8 {
        let mut world = installation(seed);
        let mut last = world.now.instant;
        for renewals in 1..=5 {
            world.pass_until(|world| world.calls("renew") == renewals);
            let pause = world.now.instant.since(last);
            assert!(pause > 33 * MINUTE && pause <= 40 * MINUTE + SECOND, "{pause:?}");
            pauses.insert(pause);
            last = world.now.instant;
        }
    }
    assert!(pauses.len() > 25, "{pauses:?}");
}

#[test]
fn instances_that_lost_the_server_together_do_not_come_back_together() {
    let tries = |seed| {
        let mut world = installation(seed);
        world.log_in = Err(SourceFault::Unavailable { status: 503 });
        let mut at = Vec::new();
        for log_ins in 1..=8 {
            world.pass_until(|world| world.calls("log in") >= log_ins);
            at.push(world.now.instant.as_millis() / 1000);
        }
        at
    };
    let all: BTreeSet<Vec<u64>> = (0..6).map(tries).collect();
    assert_eq!(all.len(), 6, "{all:?}");
}

#[test]
fn a_given_token_that_runs_out_is_told_in_time_and_the_next_one_is_found_within_a_minute() {
    let mut world = given(lease(12 * HOUR, false));
    pass_to_the_end(&mut world, 12 * HOUR, 9 * HOUR + 50 * MINUTE, false);
    assert_eq!(world.said(), [], "who cares for it may still replace it");
    assert!(world.calls("log in") <= 5, "{}", world.calls("log in"));
    pass_to_the_end(&mut world, 2 * HOUR + 10 * MINUTE, 15 * MINUTE, false);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceTokenExpiring)]);
    let end = world.now.wall.plus(HOUR + 55 * MINUTE).to_string();
    let evidence = &world.messages[0].incident.evidence[0];
    assert!(evidence.contains(&end[..15]), "{evidence}: {end}");
    assert!(world.snapshot().source.up);
    assert_eq!(world.snapshot().source.logins, 1, "it is still the same token");
    let looks = world.calls("log in");
    pass_to_the_end(&mut world, HOUR + 55 * MINUTE, 10 * MINUTE, false);
    assert!((9..=11).contains(&(world.calls("log in") - looks)), "{}", world.calls("log in") - looks);

    world.log_in = lease(12 * HOUR, false);
    world.pass(MINUTE + SECOND);
    assert_eq!(world.said()[1..], [(MessageKind::Resolved, Cause::SourceTokenExpiring)]);
    assert_eq!(world.snapshot().source.logins, 2);
    world.pass(HOUR);
    assert_eq!(world.said().len(), 2);
}

#[test]
fn a_given_token_that_nobody_replaces_is_told_twice_and_the_next_one_heals_both() {
    let mut world = given(lease(12 * HOUR, false));
    pass_to_the_end(&mut world, 12 * HOUR, 13 * HOUR, false);
    let opened = [Cause::SourceTokenExpiring, Cause::SourceLoginRefused];
    assert_eq!(world.said(), opened.map(|cause| (MessageKind::Opened, cause)));
    assert!(world.published("acme").is_some());
    (world.token_dead, world.log_in) = (false, lease(12 * HOUR, false));
    world.pass(2 * MINUTE);
    assert!(world.snapshot().incidents.is_empty(), "{:?}", world.said());
    assert!(world.snapshot().source.up);
}

#[test]
fn a_given_token_that_is_renewed_is_told_only_when_it_may_not_be_renewed_further() {
    let mut world = given(lease(HOUR, true));
    world.pass(5 * DAY);
    assert_eq!(world.said(), []);
    assert!(world.calls("renew") > 150 && world.calls("log in") == 1);
    pass_to_the_end(&mut world, HOUR, 45 * MINUTE, true);
    assert_eq!(world.said(), []);
    pass_to_the_end(&mut world, 15 * MINUTE, 8 * MINUTE, true);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceTokenExpiring)]);
}

#[test]
fn a_given_token_without_an_end_is_looked_at_once() {
    let mut world = given(lease(Duration::ZERO, false));
    world.pass(5 * DAY);
    assert_eq!((world.said(), world.calls("log in")), (vec![], 1));
}

#[test]
fn a_token_that_cannot_be_replaced_serves_to_its_end() {
    let mut world = World::new(&["acme"]);
    world.log_in = lease(HOUR, false);
    world.pass(30 * MINUTE);
    world.log_in = Err(SourceFault::LoginRefused { status: 400, message: "invalid secret ID".into() });
    world.pass(15 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceLoginRefused)]);
    let evidence = &world.messages[0].incident.evidence;
    assert!(evidence[1].contains("serves until"), "{evidence:?}");
    assert!(!world.snapshot().source.up);
    // A new version is still found, and one store's missing permission still told from a dead token.
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(2 * MINUTE);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    world.read_faults.insert("acme".into(), SourceFault::Forbidden);
    world.pass(3 * MINUTE);
    assert_eq!(world.said()[1..], [(MessageKind::Opened, Cause::SecretMissing)]);
    world.read_faults.clear();
    world.pass(MINUTE + SECOND);
    assert_eq!(world.said()[2..], [(MessageKind::Resolved, Cause::SecretMissing)]);
    let reads = world.calls("read");
    world.pass(HOUR);
    assert!(world.calls("read") - reads <= 16, "it has ended");
    world.log_in = lease(HOUR, false);
    world.pass(MINUTE);
    assert!(world.snapshot().incidents.is_empty());
}

#[test]
fn a_token_serves_on_while_the_answers_to_log_ins_get_lost() {
    let mut world = World::new(&["acme"]);
    world.log_in = lease(HOUR, false);
    world.pass(30 * MINUTE);
    world.log_in = Err(SourceFault::Lost("cut".into()));
    world.pass(15 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceUnavailable)]);
    let reads = world.calls("read");
    world.pass(10 * MINUTE);
    assert_eq!(world.calls("read") - reads, 10);
    world.log_in = lease(HOUR, false);
    world.pass(5 * MINUTE);
    assert_eq!(world.said()[1..], [(MessageKind::Resolved, Cause::SourceUnavailable)]);
    assert!(world.snapshot().source.up);
}

#[test]
fn a_renewal_that_is_forbidden_leaves_the_token_in_use_until_there_is_another() {
    let mut world = World::new(&["acme"]);
    world.renew = Err(SourceFault::Forbidden);
    world.pass(39 * MINUTE);
    world.log_in = Err(SourceFault::Unavailable { status: 502 });
    world.pass_until(|world| world.calls("renew") == 1);
    world.pass(MINUTE);
    world.log_in = lease(HOUR, true);
    world.pass(MINUTE);
    assert_eq!((world.said(), world.calls("renew")), (vec![], 1));
    assert!(world.snapshot().source.up);
}

#[test]
fn log_ins_whose_answers_get_lost_leave_few_tokens_behind() {
    for fault in [SourceFault::Lost("cut".into()), SourceFault::Malformed("no JSON".into())] {
        let mut world = World::new(&["acme"]);
        world.log_in = Err(fault);
        world.pass(HOUR);
        assert!(world.calls("log in") <= 25, "{}", world.calls("log in"));
        assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceUnavailable)]);
        world.log_in = lease(HOUR, true);
        world.send(Event::CheckNow);
        assert!(world.snapshot().source.up, "somebody who asks for it need not wait");
    }
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it_in_bounds() {
    for (asked, kept, said) in [(40 * SECOND, 40 * SECOND, 0), (9 * HOUR, 5 * MINUTE, 2)] {
        let mut world = World::new(&["acme"]);
        world.pass(10 * MINUTE);
        world.read_fault = Some(SourceFault::Busy { status: 429, pause: asked });
        world.pass_until(|world| !world.snapshot().source.up);
        let questions = world.calls("look up") + world.calls("read");
        world.read_fault = None;
        world.pass(kept - SECOND);
        assert_eq!(world.calls("look up") + world.calls("read"), questions, "{asked:?}");
        world.pass(MINUTE);
        assert!(world.snapshot().source.up);
        assert_eq!(world.said().len(), said, "a long pause is an incident: {:?}", world.said());
    }
}

#[test]
fn a_pause_that_is_asked_for_one_secret_alone_is_kept_for_it_alone() {
    let settings = Settings { poll_interval: 5 * SECOND, ..settings() };
    let mut world = World::with(&["one", "two"], settings);
    world.pass(10 * MINUTE);
    world.read_faults.insert("two".into(), SourceFault::Busy { status: 429, pause: MINUTE });
    world.pass(10 * MINUTE);
    let reads = world.calls("read");
    world.pass(10 * MINUTE);
    let (reads, one) = (world.calls("read") - reads, 10 * 12);
    assert!((one..=one + 11).contains(&reads), "{reads}");
}

#[test]
fn an_hour_of_any_failure_costs_few_log_ins() {
    let refused = SourceFault::LoginRefused { status: 400, message: "invalid secret ID".into() };
    type Case<'a> = (&'a str, u64, &'a dyn Fn(&mut World));
    let cases: [Case<'_>; 6] = [
        ("sealed", 1, &|world| {
            (world.read_fault, world.look_up, world.renew) =
                (Some(SourceFault::Sealed), Err(SourceFault::Sealed), Err(SourceFault::Sealed));
        }),
        ("no policy", 1, &|world| world.read_fault = Some(SourceFault::Forbidden)),
        ("no policy at all", 3, &|world| {
            world.read_fault = Some(SourceFault::Forbidden);
            (world.look_up, world.renew) = (Err(SourceFault::Forbidden), Err(SourceFault::Forbidden));
        }),
        ("a false engine", 1, &|world| world.read_fault = Some(SourceFault::Malformed("HTML".into()))),
        ("no answers", 25, &|world| {
            let lost = Err(SourceFault::Lost("cut".into()));
            (world.token_dead, world.log_in) = (true, lost);
        }),
        ("refused", 90, &|world| (world.token_dead, world.log_in) = (true, Err(refused.clone()))),
    ];
    for (name, most, strike) in cases {
        let mut world = World::new(&["one", "two", "three"]);
        world.pass(10 * MINUTE);
        strike(&mut world);
        // A renewal of its own falls into the hour.
        let before = world.calls("log in");
        world.pass(HOUR);
        assert!(world.calls("log in") - before <= most, "{name}: {}", world.calls("log in") - before);
        assert!(["one", "two", "three"].iter().all(|store| world.published(store).is_some()), "{name}");
    }
}

/// A world whose token serves on while the log-in that is to replace it is refused.
fn locked_out(duration: Duration) -> World {
    let mut world = World::new(&["acme"]);
    world.log_in = lease(duration, false);
    world.pass(MINUTE);
    world.log_in = Err(SourceFault::LoginRefused { status: 400, message: "invalid secret ID".into() });
    world.pass(duration * 3 / 4);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceLoginRefused)]);
    world
}

#[test]
fn a_hiccup_while_log_ins_are_refused_is_no_incident_and_the_token_goes_on_serving() {
    for answer in [lease(HOUR, false), Err(SourceFault::Forbidden)] {
        let mut world = locked_out(HOUR);
        world.look_up = answer.clone();
        let log_ins = world.calls("log in");
        world.read_fault = Some(SourceFault::Unavailable { status: 503 });
        world.pass_until(|world| world.snapshot().source.error.unwrap().contains("503"));
        world.read_fault = None;
        world.write("acme", "user", "token-2");
        world.accept("acme", "user", "token-2");
        world.pass(10 * SECOND);
        assert_eq!(world.published("acme"), Some((2, "token-2".into())), "{answer:?}");
        world.pass(3 * MINUTE);
        assert_eq!(world.said().len(), 1, "{answer:?}: {:?}", world.said());
        assert!(world.calls("log in") - log_ins <= 5, "{answer:?}: {}", world.calls("log in") - log_ins);
        assert!(world.decided.iter().any(|text| text.contains("answers again")), "{:?}", world.decided);
    }
}

#[test]
fn a_vault_that_answers_only_to_refuse_the_log_in_is_not_called_unavailable() {
    let mut world = World::new(&["acme"]);
    world.pass(10 * MINUTE);
    world.read_fault = Some(SourceFault::Sealed);
    let sealed = Err(SourceFault::Sealed);
    (world.look_up, world.renew, world.log_in) = (sealed.clone(), sealed.clone(), sealed);
    world.pass(2 * HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceUnavailable)]);
    world.log_in = Err(SourceFault::LoginRefused { status: 400, message: "invalid secret ID".into() });
    world.pass(2 * MINUTE);
    let cause =
        [(MessageKind::Resolved, Cause::SourceUnavailable), (MessageKind::Opened, Cause::SourceLoginRefused)];
    assert_eq!(world.said()[1..], cause);
}

#[test]
fn a_vault_that_reads_nothing_and_refuses_log_ins_is_both_and_is_asked_little() {
    let mut world = locked_out(DAY);
    world.read_fault = Some(SourceFault::Unavailable { status: 500 });
    let calls = |world: &World| ["log in", "look up", "read"].map(|call| world.calls(call));
    let before = calls(&world);
    world.pass(HOUR);
    assert_eq!(world.said()[1..], [(MessageKind::Opened, Cause::SourceUnavailable)]);
    let after = calls(&world);
    for (before, after) in before.into_iter().zip(after) {
        assert!(after - before <= 90, "log-ins, questions, reads: {:?}", calls(&world));
    }
    world.read_fault = None;
    world.pass(3 * MINUTE);
    assert_eq!(world.said()[2..], [(MessageKind::Resolved, Cause::SourceUnavailable)]);
    world.log_in = lease(DAY, false);
    world.pass(2 * MINUTE);
    assert_eq!(world.said()[3..], [(MessageKind::Resolved, Cause::SourceLoginRefused)]);
}

#[test]
fn a_lease_without_measure_is_no_trouble() {
    for (renewable, mut world) in
        [(true, installation(1)), (false, installation(1)), (true, given(lease(Duration::MAX, true)))]
    {
        world.log_in = lease(Duration::MAX, renewable);
        world.renew = lease(Duration::MAX, renewable);
        world.pass(2 * DAY);
        assert_eq!((world.calls("log in"), world.calls("renew")), (1, 0));
    }
}
