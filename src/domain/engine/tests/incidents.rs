//! Which incidents open, with what evidence, and what ends them.

use super::shops::Shop;
use super::world::{HOUR, MINUTE, SECOND, World, settings};
use crate::domain::engine::{Event, Gate, Settings};
use crate::domain::incident::{Cause, MessageKind, Resolution, Severity};
use crate::domain::publication::OnDisk;
use crate::domain::snapshot::StoreState;
use crate::domain::time::Timestamp;
use crate::domain::verdict::ProbeFault;

const OPENED: (MessageKind, Cause) = (MessageKind::Opened, Cause::RegeneratedOrRevoked);
const RESOLVED: (MessageKind, Cause) = (MessageKind::Resolved, Cause::RegeneratedOrRevoked);

fn regenerated() -> World {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.accept("acme", "user", "token-2");
    world
}

#[test]
fn a_regenerated_token_is_said_once_after_it_was_confirmed_over_time() {
    let mut world = regenerated();
    world.pass_until(|world| world.store("acme").state == StoreState::Suspect);
    assert_eq!(world.said(), [], "one rejection proves nothing");
    world.pass(2 * MINUTE);
    assert_eq!(world.said(), [OPENED]);
    assert_eq!(world.store("acme").state, StoreState::Rejected);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())), "the last good set stays");
    let incident = &world.messages[0].incident;
    assert_eq!(incident.severity, Severity::Critical);
    let evidence = incident.evidence.join(" ");
    for part in [
        "rejected the published credentials (version 1) with 401 3 times",
        "accepted them before",
        "nothing newer",
    ] {
        assert!(evidence.contains(part), "{part:?} is missing from: {evidence}");
    }
    assert!(incident.remedy.contains("Advanced Settings > Legacy API Settings"));
    assert!(!format!("{:?}", world.messages).contains("token-"), "no secret in a message");
    world.pass(3 * HOUR);
    assert_eq!(world.said(), [OPENED]);
}

#[test]
fn an_open_incident_is_repeated_ever_more_rarely_and_resolved_once() {
    let mut world = regenerated();
    world.pass(13 * HOUR);
    let reminder = (MessageKind::Reminder, Cause::RegeneratedOrRevoked);
    assert_eq!(world.said(), [OPENED, reminder, reminder]);
    world.write("acme", "user", "token-2");
    world.pass(24 * HOUR);
    assert_eq!(world.said(), [OPENED, reminder, reminder, RESOLVED]);
    assert_eq!(world.messages[3].resolution, Some(Resolution::RegeneratedCaughtUp));
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    let ids: std::collections::BTreeSet<_> = world.messages.iter().map(|message| &message.id).collect();
    assert_eq!(ids.len(), 4, "every message has an id of its own");
    assert!(world.messages.iter().all(|message| message.incident.id == world.messages[0].incident.id));
}

#[test]
fn a_rotation_that_vault_has_already_is_published_without_any_alert() {
    let mut world = regenerated();
    world.write("acme", "user", "token-2");
    world.pass(HOUR);
    assert_eq!(world.said(), []);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
}

#[test]
fn a_rotation_is_found_in_vault_as_soon_as_the_old_token_is_rejected() {
    let mut world = World::new(&["acme"]);
    world.settings.poll_interval = 24 * HOUR;
    world.restart();
    world.pass(MINUTE);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(5 * MINUTE);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    assert_eq!(world.said(), []);
}

#[test]
fn another_username_means_that_the_account_was_replaced() {
    let mut world = regenerated();
    world.accept("acme", "other", "token-9");
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    world.write("acme", "other", "token-9");
    world.pass(MINUTE);
    assert_eq!(world.messages[1].resolution, Some(Resolution::AccountReplaced));
}

#[test]
fn a_short_burst_of_false_rejections_is_no_incident() {
    let mut world = regenerated();
    world.pass_until(|world| world.store("acme").state == StoreState::Suspect);
    world.pass(MINUTE);
    assert_eq!(world.store("acme").state, StoreState::Suspect);
    world.accept("acme", "user", "token-1");
    world.pass(HOUR);
    assert_eq!(world.said(), []);
    assert_eq!(world.store("acme").state, StoreState::Verified);
}

#[test]
fn rejections_in_quick_succession_prove_no_more_than_one() {
    let mut world = regenerated();
    for _ in 0..50 {
        world.send(Event::CheckNow);
    }
    world.pass(SECOND);
    assert_eq!(world.said(), []);
}

#[test]
fn answers_that_say_nothing_between_rejections_neither_confirm_nor_clear() {
    let mut world = regenerated();
    world.pass_until(|world| world.store("acme").state == StoreState::Suspect);
    world.shops.insert("acme".into(), Shop::Fails(ProbeFault::Timeout));
    world.pass(30 * MINUTE);
    assert_eq!(world.said(), []);
    assert_eq!(world.store("acme").state, StoreState::Suspect);
    world.accept("acme", "user", "token-2");
    world.pass(5 * MINUTE + 3 * MINUTE);
    assert_eq!(world.said(), [OPENED]);
}

#[test]
fn nothing_but_a_rejection_is_ever_called_regenerated_or_revoked() {
    for (shop, cause) in [
        (Shop::Status(403, None), Cause::Forbidden),
        (Shop::Status(404, None), Cause::Moved),
        (Shop::Status(301, None), Cause::Moved),
        (Shop::Status(429, None), Cause::Unverified),
        (Shop::Status(509, None), Cause::Unverified),
        (Shop::Status(503, None), Cause::Unverified),
        (Shop::Status(200, None), Cause::Unverified),
        (Shop::Status(400, None), Cause::Unverified),
        (Shop::Fails(ProbeFault::Dns), Cause::Unverified),
        (Shop::Fails(ProbeFault::CertificateExpired), Cause::CertificateTrouble),
        (Shop::Fails(ProbeFault::CertificateHost), Cause::CertificateTrouble),
    ] {
        let mut world = World::new(&["acme"]);
        world.pass(HOUR);
        world.shops.insert("acme".into(), shop.clone());
        world.pass(3 * HOUR);
        let said = world.said();
        assert_eq!(said.first(), Some(&(MessageKind::Opened, cause)), "{shop:?}");
        assert!(said.iter().all(|(_, cause)| *cause != Cause::RegeneratedOrRevoked), "{shop:?}");
        assert_eq!(world.published("acme"), Some((1, "token-1".into())), "{shop:?}");
        world.accept("acme", "user", "token-1");
        world.pass(HOUR);
        assert!(world.snapshot().incidents.is_empty(), "{shop:?}: {:?}", world.said());
    }
}

#[test]
fn what_apps_may_read_is_not_said_to_be_nothing() {
    let mut world = World::new(&["acme"]);
    world.disks.insert("acme".into(), OnDisk::Damaged("its seal is of another installation".into()));
    world.accept("acme", "user", "something else");
    world.pass(HOUR);
    let evidence = &world.messages.last().unwrap().incident.evidence;
    assert!(evidence[1].contains("(its seal is of another installation); it stays there"), "{evidence:?}");
}

#[test]
fn credentials_that_never_worked_are_misconfigured_and_not_revoked() {
    let mut world = World::new(&["acme"]);
    world.accept("acme", "user", "something else");
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::Misconfigured)]);
    let evidence = &world.messages[0].incident.evidence[1];
    assert!(
        evidence.contains("first saw them, at 20") && evidence.ends_with(" Nothing is published."),
        "{evidence}"
    );
    world.accept("acme", "user", "token-1");
    world.pass(HOUR);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::Misconfigured)));
}

#[test]
fn a_newer_version_that_is_rejected_too_is_part_of_the_evidence() {
    let mut world = regenerated();
    world.write("acme", "user", "mistyped");
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    let evidence = world.messages[0].incident.evidence.join(" ");
    assert!(evidence.contains("Vault has a newer version 2, which is not published: rejected"), "{evidence}");
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
}

#[test]
fn a_silent_vault_is_part_of_the_evidence() {
    let mut world = regenerated();
    world.read_fault = Some(crate::domain::source::SourceFault::Sealed);
    world.look_up = Err(crate::domain::source::SourceFault::Sealed);
    world.pass(10 * MINUTE);
    let opened = world.messages.iter().find(|message| message.incident.cause == Cause::RegeneratedOrRevoked);
    let evidence = opened.unwrap().incident.evidence.join(" ");
    assert!(evidence.contains("newer version is not known: the server is sealed"), "{evidence}");
}

#[test]
fn a_restart_neither_repeats_nor_forgets_an_open_incident() {
    let mut world = regenerated();
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [OPENED]);
    for _ in 0..5 {
        world.restart();
        world.pass(10 * MINUTE);
    }
    assert_eq!(world.said(), [OPENED]);
    world.pass(4 * HOUR);
    assert_eq!(world.said().len(), 2, "the reminder comes when it was due");
    world.restart();
    world.write("acme", "user", "token-2");
    world.pass(HOUR);
    assert_eq!(world.said().last(), Some(&RESOLVED));
    assert_eq!(world.messages.last().unwrap().resolution, Some(Resolution::RegeneratedCaughtUp));
}

#[test]
fn what_a_life_before_has_found_rejected_is_rejected_until_the_store_accepts_it() {
    for shop in [None, Some(Shop::Status(503, None)), Some(Shop::Fails(ProbeFault::Timeout))] {
        let mut world = regenerated();
        world.pass(10 * MINUTE);
        assert_eq!(world.said(), [OPENED]);
        shop.into_iter().for_each(|shop| drop(world.shops.insert("acme".into(), shop)));
        world.restart();
        for _ in 0..10 * 60 {
            world.pass(SECOND);
            assert_eq!(world.store("acme").state, StoreState::Rejected);
        }
        world.accept("acme", "user", "token-1");
        world.pass(HOUR);
        assert_eq!(world.store("acme").state, StoreState::Verified);
        assert_eq!(world.said(), [OPENED, RESOLVED]);
    }
}

#[test]
fn the_incident_of_a_store_that_is_no_longer_configured_is_resolved() {
    let mut world = regenerated();
    world.write("other", "user", "token-1");
    world.accept("other", "user", "token-1");
    world.pass(10 * MINUTE);
    world.configure(&["other"]);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
    assert_eq!(world.messages[1].resolution, Some(Resolution::NoLongerConfigured));
    world.pass(MINUTE);
    assert!(world.published("other").is_some());
    assert_eq!(world.snapshot().stores.len(), 1);
}

#[test]
fn a_secret_that_disappears_is_an_incident_and_nothing_is_withdrawn() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    let secret = world.secrets.remove("acme").unwrap();
    world.pass(2 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMissing)]);
    assert!(world.published("acme").is_some());
    world.secrets.insert("acme".into(), secret);
    world.pass(2 * MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::SecretMissing)));
}

#[test]
fn the_incident_of_a_store_that_was_removed_while_nothing_ran_is_resolved_at_the_start() {
    let mut world = regenerated();
    world.pass(10 * MINUTE);
    let secret = world.secrets.remove("acme").unwrap();
    world.secrets.insert("other".into(), secret);
    world.accept("other", "user", "token-2");
    world.restart();
    world.pass(SECOND);
    assert_eq!(world.said()[..2], [OPENED, RESOLVED]);
    assert_eq!(world.messages[1].resolution, Some(Resolution::NoLongerConfigured));
}

#[test]
fn a_wall_clock_that_was_set_back_does_not_silence_an_open_incident() {
    let mut world = regenerated();
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [OPENED]);
    world.now.wall = Timestamp::from_millis(1_000_000_000_000);
    world.restart();
    world.pass(5 * HOUR);
    assert_eq!(world.said(), [OPENED, (MessageKind::Reminder, Cause::RegeneratedOrRevoked)]);
}

#[test]
fn a_shorter_interval_of_repetition_is_in_force_at_once() {
    let mut world = regenerated();
    world.pass(10 * MINUTE);
    world.settings.repeat_interval = MINUTE;
    world.configure(&["acme"]);
    world.pass(MINUTE);
    assert_eq!(world.said(), [OPENED, (MessageKind::Reminder, Cause::RegeneratedOrRevoked)]);
}

#[test]
fn a_rejection_ends_the_time_in_which_nobody_could_tell() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.shops.insert("acme".into(), Shop::Status(503, None));
    world.pass(2 * HOUR);
    let unverified = |kind| (kind, Cause::Unverified);
    assert_eq!(world.said(), [unverified(MessageKind::Opened)]);
    world.write("acme", "user", "mistyped");
    world.accept("acme", "user", "token-1");
    world.pass(HOUR);
    assert_eq!(world.said()[1], unverified(MessageKind::Resolved));
    assert_eq!(world.said()[2..], [(MessageKind::Opened, Cause::BadWrite)]);
}

#[test]
fn a_version_that_is_published_before_it_is_verified_resolves_with_the_right_words() {
    let mut world = World::with(&["acme"], Settings { gate: Gate::Open, ..settings() });
    world.pass(2 * HOUR);
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    world.write("acme", "user", "token-2");
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED, RESOLVED], "nobody had to wait for long to be told");
    assert_eq!(world.messages[1].resolution, Some(Resolution::RegeneratedCaughtUp));
    world.accept("acme", "user", "token-3");
    world.pass(HOUR);
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    assert_eq!(world.messages[3].resolution, Some(Resolution::AcceptedAgain));
}

#[test]
fn a_dead_candidate_does_not_delay_word_of_a_published_set_that_nobody_can_verify() {
    let slow = Settings {
        poll_interval: 4 * HOUR,
        check_interval: 2 * HOUR,
        stale_after: 3 * HOUR,
        repeat_interval: 100 * HOUR,
        ..settings()
    };
    let mut world = World::with(&["acme"], slow);
    world.pass(9 * HOUR);
    world.write("acme", "user", "mistyped");
    world.pass(9 * HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::BadWrite)]);
    let checked = world.store("acme").verified_at;
    while world.store("acme").verified_at == checked {
        world.pass(SECOND);
    }
    world.shops.insert("acme".into(), Shop::Fails(ProbeFault::Timeout));
    world.pass(3 * HOUR + SECOND);
    assert_eq!(world.said()[1..], [(MessageKind::Opened, Cause::Unverified)]);
}
