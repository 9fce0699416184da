//! What is counted and timed over all stores.

use super::shops::Shop;
use super::world::{HOUR, MINUTE, SECOND, World, settings};
use crate::domain::engine::Settings;
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::verdict::VerdictKind;

#[test]
fn totals_do_not_fall_when_a_store_goes() {
    let mut world = World::new(&["acme", "other"]);
    world.pass(HOUR);
    let before = world.snapshot();
    let sum = |kind| before.stores.iter().filter_map(|store| store.verdicts.get(&kind)).sum::<u64>();
    assert_eq!(before.totals.publications, 2);
    assert_eq!(before.totals.verdicts[&VerdictKind::Accepted], sum(VerdictKind::Accepted));
    assert_eq!(before.durations.checks.count(), sum(VerdictKind::Accepted));
    world.configure(&["acme"]);
    world.pass(HOUR);
    let after = world.snapshot();
    assert_eq!((after.stores.len(), after.totals.publications), (1, 2));
    assert!(after.totals.verdicts[&VerdictKind::Accepted] > before.totals.verdicts[&VerdictKind::Accepted]);
}

#[test]
fn a_detection_is_timed_once_from_the_last_acceptance_on() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    assert_eq!(world.snapshot().durations.detections.count(), 0);
    let accepted = world.store("acme").verified_at.unwrap();
    world.accept("acme", "user", "token-2");
    world.pass_until(|world| world.said() == [(MessageKind::Opened, Cause::RegeneratedOrRevoked)]);
    let unnoticed = world.messages[0].at.since(accepted);
    assert!(unnoticed > 2 * MINUTE, "{unnoticed:?}");
    world.pass(HOUR);
    let detections = world.snapshot().durations.detections;
    assert_eq!(detections.count(), 1);
    assert_eq!(u128::from(detections.sum_us()), unnoticed.as_micros());
}

#[test]
fn a_detection_is_not_timed_where_a_restart_has_forgotten_the_last_acceptance() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.accept("acme", "user", "token-2");
    world.restart();
    world.pass_until(|world| world.said() == [(MessageKind::Opened, Cause::RegeneratedOrRevoked)]);
    let incident = world.messages[0].incident.clone();
    let published = world.store("acme").published.unwrap().published_at;
    let words = format!("It had accepted them before, at {published} and perhaps later: before a start at ");
    assert!(incident.evidence.iter().any(|line| line.starts_with(&words)), "{words}: {incident:#?}");
    assert_eq!(world.snapshot().durations.detections.count(), 0);
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.snapshot().durations.detections.count(), 0);
}

#[test]
fn a_publication_is_timed_from_the_write_of_its_version_and_not_of_what_was_there_before_us() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    assert_eq!(world.snapshot().durations.publications.count(), 0, "nobody waited for it");
    world.accept("acme", "user", "token-2");
    world.write("acme", "user", "token-2");
    world.pass(10 * MINUTE);
    assert_eq!(world.published("acme").unwrap().0, 2);
    let publications = world.snapshot().durations.publications;
    let published = world.publications.last().unwrap().1.clone();
    let delay = published.published_at.since(published.version_created_at.unwrap());
    assert_eq!((publications.count(), u128::from(publications.sum_us())), (1, delay.as_micros()));
}

#[test]
fn the_budget_is_what_an_account_may_still_be_asked() {
    let mut world = World::with(&["acme"], Settings { check_interval: HOUR, ..settings() });
    assert_eq!(world.store("acme").budget_remaining, None, "no account is known yet");
    world.pass(SECOND);
    assert_eq!(world.store("acme").budget_remaining.map(|left| left >= 58), Some(true));
    world.pass(MINUTE);
    assert_eq!(world.store("acme").budget_remaining, Some(60));
}

#[test]
fn what_a_store_says_is_left_of_its_quota_counts_for_an_hour() {
    let mut world = World::new(&["acme"]);
    world.remaining = Some(1_500);
    world.pass(HOUR);
    let said = world.store("acme").last_check_at.unwrap();
    world.remaining = None;
    world.shops.insert("acme".into(), Shop::Status(503, None));
    world.pass(HOUR - world.now.wall.since(said) - SECOND);
    assert_eq!(world.store("acme").requests_remaining, Some(1_500));
    world.pass(SECOND);
    assert_eq!(world.store("acme").requests_remaining, None);
}
