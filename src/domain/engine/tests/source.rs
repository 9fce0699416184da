//! The token's life, and what a failing source does and does not cause.

use super::world::{HOUR, MINUTE, SECOND, World, settings};
use crate::domain::engine::Event;
use crate::domain::engine::Settings;
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::source::{Lease, SourceFault};

#[test]
fn the_token_is_renewed_at_two_thirds_of_its_lease_and_never_replaced_while_it_lives() {
    let mut world = World::new(&["acme"]);
    world.pass(24 * HOUR);
    assert_eq!(world.calls("log in"), 1);
    // Every 40 minutes, or up to six minutes earlier.
    assert!((37..=42).contains(&world.calls("renew")), "{}", world.calls("renew"));
}

#[test]
fn a_lease_that_no_longer_grows_is_replaced_by_a_new_log_in_before_its_end() {
    let mut world = World::new(&["acme"]);
    world.pass(MINUTE);
    world.renew = Ok(Lease { duration: 10 * MINUTE, renewable: true });
    world.pass(HOUR);
    assert_eq!((world.calls("log in"), world.calls("renew")), (2, 1));
    assert!(world.snapshot().source.up);
}

#[test]
fn a_token_that_cannot_be_renewed_is_replaced_at_two_thirds_of_its_lease() {
    let mut world = World::new(&["acme"]);
    world.log_in = Ok(Lease { duration: HOUR, renewable: false });
    for log_ins in 2..20 {
        world.pass(34 * MINUTE - SECOND);
        assert_eq!((world.calls("log in"), world.calls("renew")), (log_ins - 1, 0));
        world.pass_until(|world| world.calls("log in") == log_ins);
        let left = world.snapshot().source.token_expires_at.unwrap();
        assert!(left.since(world.now.wall) >= HOUR - SECOND, "it is the new one's hour");
    }
}

#[test]
fn a_token_without_an_end_is_left_alone() {
    let mut world = World::new(&["acme"]);
    world.log_in = Ok(Lease { duration: std::time::Duration::ZERO, renewable: false });
    world.pass(48 * HOUR);
    assert_eq!((world.calls("log in"), world.calls("renew"), world.calls("look up")), (1, 0, 0));
}

#[test]
fn a_dead_token_is_found_out_and_replaced_once() {
    let mut world = World::new(&["acme"]);
    world.pass(10 * MINUTE);
    world.token_dead = true;
    world.pass(3 * MINUTE);
    assert_eq!((world.calls("log in"), world.calls("look up")), (2, 1));
    assert_eq!(world.said(), []);
    assert!(world.snapshot().source.up);
}

#[test]
fn a_missing_permission_is_told_from_a_dead_token_and_costs_no_flood_of_questions() {
    let names: Vec<String> = (0..50).map(|at| format!("store-{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(&names);
    world.pass(10 * MINUTE);
    world.read_fault = Some(SourceFault::Forbidden);
    world.pass(HOUR);
    assert_eq!(world.calls("log in"), 1);
    assert!(world.calls("look up") <= 80, "{}", world.calls("look up"));
    assert!(world.said().iter().all(|said| *said == (MessageKind::Opened, Cause::SecretMissing)));
    assert_eq!(world.said().len(), 50);
    assert!(names.iter().all(|name| world.published(name).is_some()));
    world.read_fault = None;
    world.pass(2 * MINUTE);
    assert!(world.snapshot().incidents.is_empty());
}

#[test]
fn while_vault_is_down_it_is_asked_little_and_the_stores_are_still_checked() {
    let mut world = World::new(&["one", "two", "three"]);
    world.pass(10 * MINUTE);
    let probes = world.calls("probe");
    world.read_fault = Some(SourceFault::Unavailable { status: 502 });
    world.look_up = Err(SourceFault::Unavailable { status: 502 });
    world.renew = Err(SourceFault::Unavailable { status: 502 });
    world.log_in = Err(SourceFault::Unavailable { status: 502 });
    let reads = world.calls("read");
    world.pass(HOUR);
    assert!(world.calls("read") - reads <= 3, "reads wait until Vault works again");
    assert!(world.calls("look up") <= 100, "{}", world.calls("look up"));
    assert!(world.calls("probe") - probes >= 3 * 11);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceUnavailable)]);
    world.read_fault = None;
    let lease = Ok(Lease { duration: HOUR, renewable: true });
    (world.log_in, world.renew, world.look_up) = (lease.clone(), lease.clone(), lease);
    world.pass(2 * MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::SourceUnavailable)));
}

#[test]
fn a_refused_log_in_is_an_incident_tried_again_ever_more_slowly() {
    let mut world = World::new(&["acme"]);
    world.log_in =
        Err(SourceFault::LoginRefused { status: 400, message: "invalid role or secret ID".into() });
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceLoginRefused)]);
    assert!((60..90).contains(&world.calls("log in")), "{}", world.calls("log in"));
    world.log_in = Ok(Lease { duration: HOUR, renewable: true });
    world.pass(MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::SourceLoginRefused)));
    assert!(world.published("acme").is_some());
}

#[test]
fn a_short_outage_is_no_incident() {
    let mut world = World::new(&["acme"]);
    world.pass(10 * MINUTE);
    world.read_fault = Some(SourceFault::Sealed);
    world.look_up = Err(SourceFault::Sealed);
    world.pass(MINUTE + 30 * SECOND);
    world.read_fault = None;
    world.look_up = Ok(Lease { duration: HOUR, renewable: true });
    world.pass(HOUR);
    assert_eq!(world.said(), []);
    assert_eq!(world.calls("log in"), 1, "no new token where a live one serves");
}

#[test]
fn a_token_whose_renewal_is_not_possible_is_replaced_by_a_new_log_in() {
    let mut world = World::new(&["acme"]);
    world.renew = Err(SourceFault::Malformed("lease is not renewable".into()));
    world.pass(HOUR);
    assert_eq!((world.calls("log in"), world.calls("renew")), (2, 1));
    assert!(world.snapshot().source.up);
}

#[test]
fn a_token_that_may_not_look_itself_up_causes_no_flood_of_log_ins() {
    let mut world = World::new(&["one", "two"]);
    world.look_up = Err(SourceFault::Forbidden);
    world.read_fault = Some(SourceFault::Forbidden);
    world.pass(24 * HOUR);
    assert!(world.calls("log in") <= 26, "{}", world.calls("log in"));
    assert_eq!(world.said()[..2], [(MessageKind::Opened, Cause::SecretMissing); 2]);
    world.read_fault = None;
    world.pass(2 * MINUTE);
    assert!(world.published("one").is_some() && world.published("two").is_some());
}

#[test]
fn a_token_that_dies_soon_after_it_has_shown_that_it_lives_is_no_missing_permission() {
    let names: Vec<String> = (0..20).map(|at| format!("store-{at}")).collect();
    let mut world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.secrets.insert("store-3".into(), (2, "user".into(), None));
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMalformed)]);
    for after in [MINUTE, 20 * SECOND, 10 * SECOND, 30 * SECOND] {
        world.token_dead = true;
        let log_ins = world.calls("log in");
        world.pass_until(|world| world.calls("log in") > log_ins);
        world.pass(after);
    }
    assert_eq!(world.said().len(), 1, "{:?}", world.said());
}

#[test]
fn a_secret_that_alone_cannot_be_read_is_an_incident_of_its_store_and_holds_up_nobody() {
    let mut world = World::new(&["one", "two", "three"]);
    world.pass(10 * MINUTE);
    world.read_faults.insert("two".into(), SourceFault::Unavailable { status: 500 });
    let reads = world.calls("read");
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMissing)]);
    assert_eq!(world.messages[0].incident.store.as_deref(), Some("two"));
    assert!(world.calls("look up") <= 8, "{}", world.calls("look up"));
    assert!((170..=190).contains(&(world.calls("read") - reads)), "{}", world.calls("read") - reads);
    assert!(world.snapshot().source.up);
    world.read_faults.clear();
    world.pass(2 * MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::SecretMissing)));
}

#[test]
fn a_source_that_knows_the_token_and_reads_nothing_is_unavailable_all_the_same() {
    let mut world = World::new(&["one", "two"]);
    world.pass(10 * MINUTE);
    world.read_fault = Some(SourceFault::Unavailable { status: 500 });
    let reads = world.calls("read");
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SourceUnavailable)]);
    assert!(world.calls("read") - reads <= 200, "{}", world.calls("read") - reads);
    world.read_fault = None;
    world.pass(2 * MINUTE);
    assert_eq!(world.said()[1..], [(MessageKind::Resolved, Cause::SourceUnavailable)]);
}

#[test]
fn one_readable_secret_among_forbidden_ones_causes_no_flood_of_log_ins() {
    let mut world = World::new(&["one", "two"]);
    world.look_up = Err(SourceFault::Forbidden);
    world.read_faults.insert("one".into(), SourceFault::Forbidden);
    world.pass(24 * HOUR);
    assert!(world.calls("log in") <= 3, "{}", world.calls("log in"));
    assert_eq!(world.said()[0], (MessageKind::Opened, Cause::SecretMissing));
}

#[test]
fn one_secret_that_vault_cannot_serve_is_an_incident_of_its_own_and_no_flood() {
    for fault in [SourceFault::Unavailable { status: 500 }, SourceFault::Malformed("no engine".into())] {
        let mut world = World::new(&["one", "two"]);
        world.pass(10 * MINUTE);
        world.read_faults.insert("one".into(), fault);
        let before = (world.calls("read"), world.calls("look up"));
        world.pass(6 * HOUR);
        let (reads, questions) = (world.calls("read") - before.0, world.calls("look up") - before.1);
        assert!(reads <= 2 * 360 + 100 && questions <= 400 + 100, "{reads} reads, {questions} questions");
        assert_eq!(world.said()[..1], [(MessageKind::Opened, Cause::SecretMissing)]);
        world.read_faults.clear();
        world.pass(2 * MINUTE);
        assert!(world.snapshot().incidents.is_empty(), "{:?}", world.said());
    }
}

#[test]
fn a_token_that_dies_soon_after_it_was_proved_is_no_missing_permission() {
    for age in [SECOND, 20 * SECOND, 50 * SECOND] {
        let mut world = World::new(&["acme"]);
        world.pass(10 * MINUTE);
        world.token_dead = true;
        world.pass(2 * MINUTE);
        world.pass_until(|world| world.calls("log in") == 2);
        world.pass(age);
        world.token_dead = true;
        world.send(Event::CheckNow);
        world.pass(5 * MINUTE);
        assert_eq!((world.said(), world.calls("log in")), (vec![], 3), "{age:?}");
        assert!(world.snapshot().source.up);
    }
}

#[test]
fn a_token_that_may_not_look_itself_up_is_replaced_when_nothing_works_with_it() {
    let mut world = World::new(&["acme"]);
    world.log_in = Ok(Lease { duration: std::time::Duration::ZERO, renewable: false });
    world.look_up = Err(SourceFault::Forbidden);
    world.read_fault = Some(SourceFault::Forbidden);
    world.pass(10 * MINUTE);
    world.read_fault = None;
    world.pass(HOUR);
    assert!(world.published("acme").is_some());
    world.token_dead = true;
    world.pass(3 * HOUR);
    assert!(!world.token_dead, "it was replaced");
    assert!(world.snapshot().incidents.is_empty(), "{:?}", world.said());
}

#[test]
fn a_source_that_reads_nothing_is_not_asked_more_often_than_one_that_works() {
    let settings = Settings { poll_interval: 20 * MINUTE, ..settings() };
    let mut world = World::with(&["one", "two"], settings);
    world.pass(HOUR);
    world.read_fault = Some(SourceFault::Unavailable { status: 500 });
    let reads = world.calls("read");
    world.pass(6 * HOUR);
    // As often as healthy ones, and a bounded number at the beginning.
    assert!(world.calls("read") - reads <= 2 * (18 + 18), "{}", world.calls("read") - reads);
    world.read_fault = None;
    world.pass(20 * MINUTE);
    assert!(world.snapshot().incidents.is_empty());
}

#[test]
fn a_token_that_only_found_a_secret_deleted_has_shown_that_it_lives() {
    let mut world = World::new(&["acme"]);
    world.pass(10 * MINUTE);
    world.read_fault = Some(SourceFault::Deleted(1));
    world.token_dead = true;
    world.pass(10 * MINUTE);
    let said = world.said().len();
    assert_eq!(world.said().last(), Some(&(MessageKind::Opened, Cause::SecretMissing)));
    world.read_fault = None;
    world.token_dead = true;
    world.pass(10 * MINUTE);
    assert_eq!(world.said()[said..], [(MessageKind::Resolved, Cause::SecretMissing)]);
    assert_eq!(world.calls("log in"), 3);
}

#[test]
fn a_token_that_dies_before_it_was_used_is_no_missing_permission() {
    let mut world = World::new(&["acme"]);
    world.renew = Err(SourceFault::Malformed("lease is not renewable".into()));
    world.pass_until(|world| world.calls("log in") == 2);
    world.token_dead = true;
    world.pass(5 * MINUTE);
    assert_eq!((world.said(), world.calls("log in")), (vec![], 3));
    assert!(world.snapshot().source.up);
}

#[test]
fn a_source_that_knows_the_token_and_reads_nothing_is_not_up_at_any_moment() {
    let mut world = World::new(&["one", "two"]);
    world.pass(10 * MINUTE);
    assert!(world.snapshot().source.up);
    world.read_fault = Some(SourceFault::Unavailable { status: 500 });
    world.pass(2 * MINUTE);
    for _ in 0..30 * 60 {
        world.pass(SECOND);
        let source = world.snapshot().source;
        assert_eq!((source.up, source.state), (false, "failing"));
        assert!(source.error.unwrap().contains("500"));
    }
    world.read_fault = None;
    world.pass(2 * MINUTE);
    let source = world.snapshot().source;
    assert_eq!((source.up, source.state, source.error), (true, "logged in", None));
}
