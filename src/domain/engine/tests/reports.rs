//! What reports of apps bring about: a check at once, now and then, and nothing else.

use super::shops::Shop;
use super::world::{HOUR, MINUTE, SECOND, World, settings};
use crate::domain::credentials::StoreName;
use crate::domain::engine::{Event, Reply, ReportOutcome, Reported, Request, Settings};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::snapshot::StoreState;
use crate::domain::verdict::VerdictKind;

/// A store that is checked so rarely that no other check disturbs.
fn quiet() -> World {
    let settings = Settings { check_interval: 24 * HOUR, stale_after: 48 * HOUR, ..settings() };
    let mut world = World::with(&["acme"], settings);
    world.pass(HOUR);
    world
}

fn report(world: &mut World, store: &str) -> Reported {
    let reply = world.ask(Request::Report { store: StoreName::parse(store).unwrap() });
    let Reply::Reported(reported) = reply else { panic!("{reply:?}") };
    reported
}

#[test]
fn a_report_is_a_reason_to_check_at_once() {
    let mut world = quiet();
    let probes = world.calls("probe");
    let reported = report(&mut world, "acme");
    assert_eq!(reported.outcome, ReportOutcome::CheckStarted);
    assert_eq!((reported.state, reported.last_verdict), (StoreState::Verified, Some(VerdictKind::Accepted)));
    assert_eq!(reported.check_at, None);
    assert!(reported.last_check_at.is_some_and(|at| at < world.now.wall));
    assert_eq!(world.calls("probe"), probes + 1);
    let store = world.store("acme");
    assert_eq!(store.last_check_at, Some(world.now.wall));
    assert_eq!((store.reports.received, store.reports.absorbed, store.reports.checks), (1, 0, 1));
}

#[test]
fn a_flood_costs_one_check_at_once_and_one_a_minute() {
    let mut world = quiet();
    let probes = world.calls("probe");
    for _ in 0..1000 {
        report(&mut world, "acme");
    }
    assert_eq!(world.calls("probe"), probes + 1);
    let reports = world.store("acme").reports;
    assert_eq!((reports.received, reports.absorbed, reports.checks), (1000, 999, 1));

    // Whoever came later is not forgotten: the token may have been regenerated since that check.
    let reported = report(&mut world, "acme");
    assert_eq!(reported.outcome, ReportOutcome::CheckPlanned);
    assert_eq!(reported.check_at, Some(world.now.wall.plus(MINUTE)));
    world.pass(MINUTE - SECOND);
    assert_eq!(world.calls("probe"), probes + 1);
    world.pass(HOUR);
    assert_eq!(world.calls("probe"), probes + 2);

    let probes = world.calls("probe");
    for _ in 0..3600 {
        report(&mut world, "acme");
        world.pass(SECOND);
    }
    assert!(world.calls("probe") <= probes + 61, "{}", world.calls("probe") - probes);
}

#[test]
fn a_check_that_is_under_way_is_not_doubled_and_is_followed_by_another_one() {
    let mut world = quiet();
    world.slow = vec!["probe"];
    let probes = world.calls("probe");
    assert_eq!(report(&mut world, "acme").outcome, ReportOutcome::CheckStarted);
    assert_eq!(report(&mut world, "acme").outcome, ReportOutcome::CheckUnderWay);
    world.pass(10 * MINUTE);
    assert_eq!(world.calls("probe"), probes + 1, "one at a time");
    world.release();
    world.pass(SECOND);
    assert_eq!(world.calls("probe"), probes + 2);
    world.pass(HOUR);
    assert_eq!(world.calls("probe"), probes + 2);
}

#[test]
fn reports_are_no_evidence_and_do_not_hasten_a_confirmation() {
    let mut world = quiet();
    for _ in 0..600 {
        report(&mut world, "acme");
        world.pass(SECOND);
    }
    assert_eq!(world.said(), [], "the store accepts them, whatever an app says");
    world.pass(2 * MINUTE);
    world.accept("acme", "user", "token-2");
    let reported_at = world.now.instant;
    report(&mut world, "acme");
    assert_eq!(world.store("acme").state, StoreState::Suspect);
    while world.said().is_empty() {
        report(&mut world, "acme");
        world.pass(SECOND);
    }
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::RegeneratedOrRevoked)]);
    assert!(world.now.instant.since(reported_at) >= 2 * MINUTE, "three rejections, a minute apart");
}

#[test]
fn a_store_that_wants_to_be_left_alone_is_left_alone() {
    let mut world = quiet();
    world.shops.insert("acme".into(), Shop::Status(429, Some(30 * MINUTE)));
    report(&mut world, "acme");
    world.accept("acme", "user", "token-1");
    let probes = world.calls("probe");
    world.pass(2 * MINUTE);
    let reported = report(&mut world, "acme");
    assert_eq!(reported.outcome, ReportOutcome::CheckPlanned);
    assert_eq!(reported.check_at, Some(world.now.wall.plus(28 * MINUTE)));
    world.pass(28 * MINUTE - SECOND);
    assert_eq!(world.calls("probe"), probes);
    world.pass(SECOND);
    assert_eq!(world.calls("probe"), probes + 1);
}

#[test]
fn a_report_about_nothing_starts_nothing() {
    let mut world = quiet();
    let unknown = world.ask(Request::Report { store: StoreName::parse("other").unwrap() });
    assert_eq!(unknown, Reply::UnknownStore);
    world.accept("new", "user", "something else");
    world.write("new", "user", "token-1");
    world.configure(&["acme", "new"]);
    world.pass(MINUTE);
    let probes = world.calls("probe");
    assert_eq!(report(&mut world, "new").outcome, ReportOutcome::NothingPublished);
    assert_eq!(world.calls("probe"), probes);
}

#[test]
fn a_newer_set_answers_the_reports_about_the_one_before() {
    let mut world = quiet();
    report(&mut world, "acme");
    report(&mut world, "acme");
    world.write("acme", "user", "token-2");
    world.shops.insert(
        "acme".into(),
        Shop::Accepts(vec![("user".into(), "token-1".into()), ("user".into(), "token-2".into())]),
    );
    world.send(Event::CheckNow);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    let checked_at = world.store("acme").last_check_at;
    world.pass(HOUR);
    assert_eq!(world.store("acme").last_check_at, checked_at, "nobody has reported the new one");
}
