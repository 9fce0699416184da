//! A store's certificate: who is warned before it expires, when that has come true, and what ends it.

use std::time::Duration;

use super::shops::Shop;
use super::world::{DAY, HOUR, MINUTE, SECOND, World, settings};
use crate::domain::engine::{Event, Settings};
use crate::domain::incident::{Cause, MessageKind, Resolution, Severity};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{ProbeFault, Validity};

const OPENED: (MessageKind, Cause) = (MessageKind::Opened, Cause::CertificateTrouble);
const REMINDER: (MessageKind, Cause) = (MessageKind::Reminder, Cause::CertificateTrouble);
const RESOLVED: (MessageKind, Cause) = (MessageKind::Resolved, Cause::CertificateTrouble);
const LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

impl World {
    /// From now on the store shows a certificate that is valid for so long, of which so much is left.
    fn certify(&mut self, life: Duration, left: Duration) {
        let until = self.now.wall.plus(left);
        let from = Timestamp::from_millis(until.as_millis() - life.as_millis() as u64);
        self.certificates.insert("acme".into(), Validity { from, until });
    }
}

/// Settings under which months pass quickly.
fn hourly() -> Settings {
    Settings { poll_interval: HOUR, check_interval: HOUR, stale_after: 12 * HOUR, ..settings() }
}

/// A world whose store shows a certificate of ninety days, of which so much is left.
fn with(left: Duration) -> World {
    with_settings(settings(), left)
}

fn with_settings(settings: Settings, left: Duration) -> World {
    let mut world = World::with(&["acme"], settings);
    world.certify(LIFE, left);
    world
}

#[test]
fn somebody_is_warned_two_weeks_before_a_certificate_expires_and_told_when_it_is_renewed() {
    let mut world = with_settings(hourly(), 20 * DAY);
    world.pass(6 * DAY);
    assert_eq!(world.said(), []);
    world.pass(3 * HOUR);
    assert_eq!(world.said(), [OPENED]);
    let incident = world.messages[0].incident.clone();
    assert_eq!((incident.severity, incident.store.as_deref()), (Severity::Warning, Some("acme")));
    assert_eq!(incident.evidence.len(), 1);
    let evidence = &incident.evidence[0];
    let until = world.certificates["acme"].until;
    assert!(evidence.contains(&format!("expires at {until}, in 13 days from then")), "{evidence}");
    assert!(incident.remedy.contains("ask the merchant to renew it"), "{}", incident.remedy);
    assert!(world.store("acme").certificate_expires_at == Some(until));
    world.certify(LIFE, LIFE);
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
    assert_eq!(world.messages[1].resolution, Some(Resolution::Recovered));
    world.pass(30 * DAY);
    assert_eq!(world.said().len(), 2);
}

#[test]
fn the_evidence_counts_the_days_down() {
    let mut world = with_settings(hourly(), 14 * DAY);
    for (pass, expected) in
        [(3 * HOUR, "in 13 days"), (12 * DAY, "in 1 day from"), (DAY, "in less than a day")]
    {
        world.pass(pass);
        let incidents = world.snapshot().incidents;
        assert!(incidents[0].evidence[0].contains(expected), "{expected}: {incidents:?}");
    }
}

#[test]
fn what_was_warned_of_and_comes_true_is_one_incident_and_told_at_once() {
    let mut world = with_settings(hourly(), 14 * DAY);
    world.pass(14 * DAY);
    let before = world.said();
    assert_eq!(before[0], OPENED);
    assert!(before[1..].iter().all(|said| *said == REMINDER), "{before:?}");
    world.shops.insert("acme".into(), Shop::Fails(ProbeFault::CertificateExpired));
    world.pass(3 * HOUR);
    assert_eq!(world.said().len(), before.len() + 1, "told at once");
    assert_eq!(world.said().last(), Some(&REMINDER));
    let incident = &world.messages.last().unwrap().incident;
    assert!(incident.evidence[0].contains("has expired or is not yet valid"), "{:?}", incident.evidence);
    assert_eq!(incident.id, world.messages[0].incident.id);
    world.pass(12 * HOUR);
    assert_eq!(world.said().len(), before.len() + 1, "and only once");
    world.accept("acme", "user", "token-1");
    world.certify(LIFE, LIFE);
    world.pass(HOUR);
    assert_eq!(world.said().last(), Some(&RESOLVED));
    assert_eq!(world.said().iter().filter(|said| **said == OPENED).count(), 1);
    assert_eq!(world.said().iter().filter(|said| **said == RESOLVED).count(), 1);
}

#[test]
fn a_certificate_that_works_again_and_still_soon_expires_is_the_same_incident() {
    let mut world = with(20 * DAY);
    world.pass(HOUR);
    world.shops.insert("acme".into(), Shop::Fails(ProbeFault::CertificateHost));
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    world.accept("acme", "user", "token-1");
    world.certify(LIFE, 10 * DAY);
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    assert!(world.snapshot().incidents[0].evidence[0].contains("in 9 days"));
    world.certify(LIFE, LIFE);
    world.pass(5 * MINUTE);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
}

#[test]
fn no_answer_says_nothing_of_a_certificate() {
    let mut world = with(10 * DAY);
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    world.shops.insert("acme".into(), Shop::Fails(ProbeFault::Timeout));
    world.pass(30 * MINUTE);
    assert_eq!(world.said(), [OPENED]);
    assert!(world.store("acme").certificate_expires_at.is_some());
    // A certificate that cannot be read is one of which nothing is known.
    world.accept("acme", "user", "token-1");
    world.certificates.clear();
    world.pass(5 * MINUTE);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
    assert_eq!(world.store("acme").certificate_expires_at, None);
}

#[test]
fn whoever_wants_no_warning_gets_none_and_a_failure_is_told_all_the_same() {
    let mut world = with_settings(Settings { certificate_warning: None, ..settings() }, 2 * DAY);
    world.pass(2 * DAY);
    assert_eq!(world.said(), []);
    world.shops.insert("acme".into(), Shop::Fails(ProbeFault::CertificateExpired));
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
}

#[test]
fn another_warning_time_is_in_force_with_the_next_probes() {
    let mut world = with(10 * DAY);
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    world.settings.certificate_warning = Some(5 * DAY);
    world.configure(&["acme"]);
    world.pass(5 * MINUTE);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
    world.settings.certificate_warning = Some(30 * DAY);
    world.configure(&["acme"]);
    world.pass(20 * MINUTE);
    assert_eq!(world.said(), [OPENED, RESOLVED, OPENED]);
}

#[test]
fn short_lived_certificates_that_are_renewed_in_time_warn_nobody() {
    let mut world = with_settings(hourly(), 4 * DAY);
    for _ in 0..20 {
        world.certify(6 * DAY, 6 * DAY);
        world.pass(4 * DAY);
    }
    assert_eq!(world.said(), []);
    world.pass(16 * HOUR);
    assert_eq!(world.said(), [OPENED]);
}

#[test]
fn one_server_of_many_that_shows_an_old_certificate_now_and_then_is_no_incident() {
    let mut world = with(10 * DAY);
    world.pass(SECOND);
    for at in 0..40 {
        world.certify(LIFE, if at % 3 == 0 { LIFE } else { 10 * DAY });
        world.send(Event::CheckNow);
        world.pass(SECOND);
    }
    assert_eq!(world.said(), []);
}

#[test]
fn a_wall_clock_that_jumps_is_no_certificate_that_expires() {
    let mut world = with(40 * DAY);
    world.pass(HOUR);
    let right = world.now.wall;
    world.now.wall = right.plus(30 * DAY);
    world.send(Event::Tick);
    world.pass(10 * MINUTE);
    world.now.wall = right.plus(10 * MINUTE);
    world.pass(HOUR);
    assert_eq!(world.said(), [], "two probes under a wrong clock");
    // A wrong clock that stays is believed, and heals by itself.
    world.now.wall = right.plus(30 * DAY);
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    world.now.wall = right.plus(2 * HOUR);
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
}

#[test]
fn a_restart_neither_repeats_nor_forgets_a_warning() {
    let mut world = with(10 * DAY);
    world.pass(HOUR);
    for _ in 0..5 {
        world.restart();
        world.pass(20 * MINUTE);
    }
    assert_eq!(world.said(), [OPENED]);
    world.restart();
    world.certify(LIFE, LIFE);
    world.pass(20 * MINUTE);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
}

#[test]
fn the_certificate_is_known_as_soon_as_a_set_is_published() {
    let mut world = with(40 * DAY);
    world.pass(SECOND);
    let known = Some(world.certificates["acme"].until);
    assert!(world.published("acme").is_some());
    assert_eq!(world.store("acme").certificate_expires_at, known);
    // And stays known when another set takes its place.
    world.accept("acme", "user", "token-2");
    world.write("acme", "user", "token-2");
    world.pass(MINUTE);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    assert_eq!(world.store("acme").certificate_expires_at, known);
}

#[test]
fn a_candidate_whose_certificate_fails_is_one_incident_and_not_two() {
    let mut world = World::new(&["acme"]);
    world.shops.insert("acme".into(), Shop::Fails(ProbeFault::CertificateExpired));
    world.pass(3 * HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::CertificateTrouble)]);
}
