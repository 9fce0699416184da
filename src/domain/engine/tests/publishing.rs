//! What is published, and what is left in place.

use super::shops::Shop;
use super::world::{DAY, HOUR, MINUTE, SECOND, World, settings};
use crate::domain::engine::{Event, FirstCheck, Gate, Outcome, Settings};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::publication::{OnDisk, PublishFault, ReloadFault};
use crate::domain::snapshot::StoreState;
use crate::domain::time::Instant;
use crate::domain::verdict::ProbeFault;

#[test]
fn an_accepted_candidate_is_published_at_once_and_only_once() {
    let mut world = World::new(&["acme"]);
    world.pass(SECOND);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    world.pass(24 * HOUR);
    assert_eq!(world.publications.len(), 1);
    assert_eq!(world.store("acme").state, StoreState::Verified);
    assert_eq!(world.said(), []);
}

#[test]
fn a_candidate_is_never_published_before_the_store_accepted_it() {
    for shop in [
        Shop::Accepts(Vec::new()),
        Shop::Status(403, None),
        Shop::Status(503, None),
        Shop::Status(301, None),
        Shop::Status(200, None),
        Shop::Fails(ProbeFault::Timeout),
        Shop::Fails(ProbeFault::CertificateExpired),
    ] {
        let mut world = World::new(&["acme"]);
        world.shops.insert("acme".into(), shop.clone());
        world.pass(24 * HOUR);
        assert_eq!(world.published("acme"), None, "{shop:?}");
        world.accept("acme", "user", "token-1");
        world.pass(16 * MINUTE);
        assert_eq!(world.published("acme"), Some((1, "token-1".into())), "{shop:?}");
    }
}

#[test]
fn with_the_gate_open_a_candidate_is_published_unverified_and_checked_afterwards() {
    let mut world = World::with(&["acme"], Settings { gate: Gate::Open, ..settings() });
    world.shops.insert("acme".into(), Shop::Accepts(Vec::new()));
    world.pass(SECOND);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.publications[0].1.verified_at, None);
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::Misconfigured)]);
}

#[test]
fn a_bad_write_leaves_the_last_good_generation_in_place() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.write("acme", "user", "mistyped");
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::BadWrite)]);
    world.write("acme", "user", "token-1");
    world.pass(2 * MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::BadWrite)));
    assert_eq!(world.publications.len(), 1, "the same values are not written again");
}

#[test]
fn the_same_values_written_again_are_stamped_as_the_later_version() {
    let mut world = World::new(&["acme"]);
    world.shops.insert("acme".into(), Shop::Status(503, None));
    world.pass(10 * MINUTE);
    let later = world.now.wall;
    world.write("acme", "user", "token-1");
    world.pass(2 * MINUTE);
    world.accept("acme", "user", "token-1");
    world.pass(HOUR);
    let stamp = &world.publications[0].1;
    assert_eq!(stamp.version.number(), Some(2));
    assert!(stamp.version_created_at.is_some_and(|at| at >= later), "{stamp:?}");
}

#[test]
fn a_secret_with_a_missing_field_opens_an_incident_and_publishes_nothing() {
    let mut world = World::new(&["acme"]);
    world.pass(MINUTE);
    world.secrets.insert("acme".into(), (2, "user".into(), None));
    world.pass(10 * MINUTE);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMalformed)]);
    let evidence = world.messages[0].incident.evidence.join(" ");
    assert!(evidence.contains("field 'api_token': it is missing"), "{evidence}");
    assert!(world.messages[0].incident.remedy.contains("What is published stays in place"));
}

#[test]
fn a_set_that_was_damaged_is_restored_without_asking_vault() {
    let mut world = World::new(&["acme"]);
    world.pass(MINUTE);
    world.read_fault = Some(crate::domain::source::SourceFault::Sealed);
    world.disks.insert("acme".into(), OnDisk::Damaged("api_token was edited".into()));
    world.pass(2 * MINUTE);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    world.disks.clear();
    world.pass(2 * MINUTE);
    let store = world.store("acme");
    assert_eq!((store.publications, store.restorations), (1, 2));
    assert_eq!(store.published.unwrap().generation, 3);
}

#[test]
fn what_is_published_at_a_restart_stays_and_is_checked_in_its_turn() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    let probes = world.calls("probe");
    world.restart();
    world.pass(SECOND);
    assert_eq!(world.calls("probe"), probes, "no burst of probes after a restart");
    world.pass(5 * MINUTE);
    assert!(world.calls("probe") > probes);
    assert_eq!(world.publications.len(), 1);
    assert_eq!(world.store("acme").state, StoreState::Verified);
}

#[test]
fn restarts_that_come_more_often_than_the_checks_do_not_do_away_with_them() {
    let rarely = Settings { check_interval: DAY, stale_after: 2 * DAY, ..settings() };
    let mut world = World::with(&["acme"], rarely);
    world.pass(HOUR);
    for night in 0..3 {
        let probes = world.calls("probe");
        world.restart();
        world.pass(SECOND);
        assert_eq!(world.calls("probe"), probes, "night {night}: no burst of probes after a restart");
        world.pass(10 * MINUTE);
        assert_eq!(world.calls("probe"), probes + 1, "night {night}");
        world.pass(10 * HOUR);
    }
}

#[test]
fn a_failure_to_write_opens_an_incident_is_retried_with_care_and_heals() {
    let mut world = World::new(&["acme"]);
    let reason = "No space left on device".to_owned();
    world.publish_fault = Some(PublishFault { operation: "cannot write", path: "/x".into(), reason });
    world.pass(HOUR);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::PublishFailed)]);
    assert!((60..=100).contains(&world.calls("publish")), "{}", world.calls("publish"));
    world.publish_fault = None;
    world.pass(MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::PublishFailed)));
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
}

#[test]
fn one_store_in_trouble_does_not_hold_up_the_others() {
    let mut world = World::new(&["one", "two", "three"]);
    world.shops.insert("one".into(), Shop::Fails(ProbeFault::Timeout));
    world.secrets.remove("two");
    world.pass(SECOND);
    assert!(world.published("three").is_some());
    assert!(!world.snapshot().vitals.ready);
    world.accept("one", "user", "token-1");
    world.write("two", "user", "token-1");
    world.pass(5 * MINUTE);
    assert!(world.snapshot().vitals.ready && world.snapshot().vitals.started);
}

#[test]
fn an_error_never_raises_the_rate_of_requests() {
    let day = 24 * HOUR;
    let mut healthy = World::new(&["acme"]);
    healthy.pass(day);
    for shop in [
        Shop::Accepts(Vec::new()),
        Shop::Status(403, None),
        Shop::Status(404, None),
        Shop::Status(429, None),
        Shop::Status(500, None),
        Shop::Status(503, None),
        Shop::Fails(ProbeFault::Timeout),
    ] {
        let mut world = World::new(&["acme"]);
        world.pass(HOUR);
        world.shops.insert("acme".into(), shop.clone());
        world.pass(day - HOUR);
        // The confirmation of a rejection is the one exception, and it is bounded.
        let most = healthy.calls("probe") + u64::from(world.settings.confirmations);
        assert!(world.calls("probe") <= most, "{shop:?}: {} > {most}", world.calls("probe"));
    }
}

#[test]
fn a_store_that_fails_each_time_in_another_way_is_asked_ever_more_slowly() {
    for published in [true, false] {
        let spacing = SECOND;
        let mut world = World::with(&["acme"], Settings { confirmation_spacing: spacing, ..settings() });
        if published {
            world.pass(HOUR);
        }
        world.shops.insert("acme".into(), Shop::Accepts(Vec::new()));
        let before = world.calls("probe");
        world.pass_until(|world| world.calls("probe") > before);
        for turn in 0..2 * 3600 {
            let faults = [ProbeFault::Dns, ProbeFault::Timeout, ProbeFault::CertificateHost];
            world.shops.insert("acme".into(), Shop::Fails(faults[turn % 3]));
            world.pass(SECOND);
        }
        let probes = world.calls("probe") - before;
        assert!(probes <= 32 + 12, "{published}: {probes}");
    }
}

#[test]
fn a_wait_that_the_store_asks_for_is_kept_whatever_anybody_wants() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.shops.insert("acme".into(), Shop::Status(429, Some(40 * MINUTE)));
    world.pass(5 * MINUTE);
    let limited = *world.probed_at.last().unwrap();
    world.accept("acme", "user", "token-1");
    for _ in 0..30 {
        world.send(Event::CheckNow);
        world.pass(MINUTE);
    }
    assert_eq!(world.probed_at.last(), Some(&limited));
    world.write("acme", "user", "token-2");
    world.pass(20 * MINUTE);
    let next = world.probed_at.iter().find(|at| **at > limited).unwrap();
    assert_eq!(next.since(limited), 40 * MINUTE);
}

#[test]
fn a_store_that_is_unavailable_or_limited_is_left_alone_for_a_minute_whatever_comes() {
    for status in [503, 429] {
        let mut world = World::new(&["acme"]);
        world.pass(HOUR);
        let probes = world.calls("probe");
        world.shops.insert("acme".into(), Shop::Status(status, None));
        world.pass_until(|world| world.calls("probe") > probes);
        let refused = *world.probed_at.last().unwrap();
        world.write("acme", "user", "token-2");
        world.send(Event::CheckNow);
        world.pass(10 * MINUTE);
        let next = world.probed_at.iter().find(|at| **at > refused).unwrap();
        assert!(next.since(refused) >= MINUTE, "{status}: {:?}", next.since(refused));
    }
}

#[test]
fn a_wish_to_check_now_reads_and_probes_every_store_at_once() {
    let mut world = World::new(&["one", "two"]);
    world.pass(HOUR);
    let before = (world.calls("read"), world.calls("probe"));
    world.send(Event::CheckNow);
    assert_eq!((world.calls("read"), world.calls("probe")), (before.0 + 2, before.1 + 2));
}

#[test]
fn a_single_pass_comes_to_the_most_serious_outcome() {
    let at_once = Settings { first_check: FirstCheck::AtOnce, ..settings() };
    let mut world = World::with(&["one", "two"], at_once);
    assert_eq!(world.engine.outcome(), None);
    world.send(Event::Tick);
    assert_eq!(world.engine.outcome(), Some(Outcome::Good));
    world.shops.insert("one".into(), Shop::Status(503, None));
    world.restart();
    world.send(Event::Tick);
    assert_eq!(world.engine.outcome(), Some(Outcome::Inconclusive));
    world.write("two", "user", "mistyped");
    world.restart();
    world.send(Event::Tick);
    assert_eq!(world.engine.outcome(), Some(Outcome::Rejected));
    world.log_in = Err(crate::domain::source::SourceFault::Sealed);
    world.restart();
    world.send(Event::Tick);
    assert_eq!(world.engine.outcome(), Some(Outcome::SourceUnavailable));
    assert_eq!(world.published("two"), Some((1, "token-1".into())));
}

#[test]
fn the_checks_of_many_stores_are_spread_over_the_interval() {
    let names: Vec<String> = (0..300).map(|at| format!("store-{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::new(&names);
    world.pass(10 * MINUTE);
    world.probed_at.clear();
    let start = world.now.instant;
    world.pass(5 * MINUTE);
    let in_minute = |minute: u64| {
        let inside = |at: &&Instant| at.since(start).as_secs() / 60 == minute;
        world.probed_at.iter().filter(inside).count()
    };
    assert_eq!(world.probed_at.len(), 300);
    assert!((0..5).all(|minute| (30..90).contains(&in_minute(minute))));
}

#[test]
fn the_app_is_told_of_other_content_only_and_the_latest_wins() {
    let mut world = World::new(&["acme"]);
    world.reload = Err(ReloadFault::new("no such process"));
    world.pass(10 * MINUTE);
    let tries = world.calls("reload");
    assert!((5..12).contains(&tries), "tried again, ever more slowly: {tries}");
    assert_eq!(world.store("acme").reload.unwrap().error.as_deref(), Some("no such process"));
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(10 * MINUTE);
    world.reload = Ok(());
    world.pass(10 * MINUTE);
    let told = world.store("acme").reload.unwrap();
    assert_eq!((told.generation, told.error), (Some(2), None));
    let tries = world.calls("reload");
    world.disks.clear();
    world.pass(10 * MINUTE);
    assert_eq!(world.store("acme").restorations, 1);
    assert_eq!(world.calls("reload"), tries, "a restored set is nothing new to the app");
}

#[test]
fn a_set_that_is_gone_and_cannot_be_written_is_no_verified_one() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    let reason = "No space left on device".to_owned();
    world.publish_fault = Some(PublishFault { operation: "cannot write", path: "/x".into(), reason });
    world.disks.clear();
    world.pass(HOUR);
    let store = world.store("acme");
    assert_eq!(store.state, StoreState::Failed);
    assert!(world.messages[0].at.since(store.since) <= MINUTE, "{store:?}");
    assert!(world.messages[0].incident.remedy.ends_with("until then apps have no credentials."));
    world.publish_fault = None;
    world.pass(10 * MINUTE);
    assert_eq!(world.store("acme").state, StoreState::Verified);
}

#[test]
fn what_was_accepted_before_the_disk_was_full_is_asked_about_again() {
    let mut world = World::new(&["acme"]);
    world.pass(MINUTE);
    let reason = "No space left on device".to_owned();
    world.publish_fault = Some(PublishFault { operation: "cannot write", path: "/x".into(), reason });
    let both = ["token-1", "token-2"].map(|token| ("user".into(), token.into()));
    world.shops.insert("acme".into(), Shop::Accepts(both.into()));
    world.write("acme", "user", "token-2");
    world.pass(10 * MINUTE);
    // Its account is deleted, and the one before it still works.
    world.accept("acme", "user", "token-1");
    let probes = world.calls("probe");
    world.pass(HOUR);
    assert!(world.calls("probe") - probes < 40, "{}", world.calls("probe") - probes);
    world.publish_fault = None;
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.store("acme").state, StoreState::Verified);
    world.shops.insert("acme".into(), Shop::Accepts([("user".into(), "token-2".into())].into()));
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
}

#[test]
fn a_failure_to_write_is_over_when_nothing_waits_to_be_written() {
    let mut world = World::new(&["acme"]);
    world.pass(MINUTE);
    let reason = "No space left on device".to_owned();
    world.publish_fault = Some(PublishFault { operation: "cannot write", path: "/x".into(), reason });
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(5 * MINUTE);
    assert!(world.said().contains(&(MessageKind::Opened, Cause::PublishFailed)));
    world.write("acme", "user", "token-1");
    world.accept("acme", "user", "token-1");
    world.pass(10 * MINUTE);
    assert!(world.said().contains(&(MessageKind::Resolved, Cause::PublishFailed)));
    assert_eq!(world.store("acme").publish_error, None);
    assert!(world.snapshot().incidents.is_empty());
}

#[test]
fn a_failure_to_write_is_not_over_because_another_version_is_to_be_written() {
    let mut world = World::new(&["acme"]);
    world.pass(MINUTE);
    let reason = "No space left on device".to_owned();
    world.publish_fault = Some(PublishFault { operation: "cannot write", path: "/x".into(), reason });
    for token in ["token-2", "token-3"] {
        let accepted = ["token-1", token].map(|token| ("user".into(), token.into()));
        world.shops.insert("acme".into(), Shop::Accepts(accepted.into()));
        world.write("acme", "user", token);
        world.pass(10 * MINUTE);
    }
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::PublishFailed)]);
    world.write("acme", "user", "mistyped");
    world.pass(10 * MINUTE);
    assert_eq!(
        world.said()[1..],
        [(MessageKind::Opened, Cause::BadWrite), (MessageKind::Resolved, Cause::PublishFailed)],
        "nothing waits any more"
    );
}

#[test]
fn a_token_that_was_in_vault_before_it_was_saved_is_published_as_soon_as_the_old_one_fails() {
    let mut world = World::with(&["acme"], Settings { check_interval: HOUR, ..settings() });
    world.pass(2 * HOUR);
    world.write("acme", "user", "token-2");
    world.pass_until(|world| world.store("acme").candidate.is_some());
    world.pass(5 * MINUTE);
    world.accept("acme", "user", "token-2");
    world.pass_until(|world| {
        let store = world.store("acme");
        store.state == StoreState::Suspect || store.candidate.is_none()
    });
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
}

#[test]
fn a_stamp_tells_of_one_version_only() {
    let mut world = World::new(&["acme"]);
    world.shops.insert("acme".into(), Shop::Status(503, None));
    world.pass(10 * MINUTE);
    world.write("acme", "user", "token-1");
    let written_after = world.now.wall;
    world.accept("acme", "user", "token-1");
    world.pass(HOUR);
    let stamp = &world.publications[0].1;
    assert_eq!(stamp.version.number(), Some(2));
    assert!(stamp.version_created_at.is_some_and(|at| at >= written_after));
}

#[test]
fn a_store_that_asks_for_short_waits_again_and_again_is_asked_ever_more_slowly() {
    let mut world = World::new(&["acme"]);
    world.shops.insert("acme".into(), Shop::Status(429, Some(SECOND)));
    world.pass(2 * HOUR);
    assert!(world.calls("probe") <= 15, "{}", world.calls("probe"));
}

#[test]
fn an_error_does_not_bring_the_next_question_about_a_rejected_candidate_forward() {
    for rejections in [1, 3] {
        let mut world = World::new(&["acme"]);
        world.accept("acme", "nobody", "at all");
        world.pass_until(|world| world.calls("probe") == rejections);
        let least = if rejections < 3 { MINUTE } else { 5 * MINUTE };
        world.shops.insert("acme".into(), Shop::Fails(ProbeFault::Timeout));
        world.pass_until(|world| world.calls("probe") == rejections + 3);
        let apart = world.probed_at.windows(2).skip(usize::try_from(rejections).unwrap());
        assert!(apart.clone().all(|pair| pair[1].since(pair[0]) >= least), "{:?}", world.probed_at);
    }
}

#[test]
fn an_error_does_not_bring_the_next_question_about_a_suspected_set_forward() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.accept("acme", "nobody", "at all");
    world.pass_until(|world| world.store("acme").state == StoreState::Suspect);
    world.shops.insert("acme".into(), Shop::Fails(ProbeFault::Timeout));
    let before = world.probed_at.len();
    world.pass(HOUR);
    let apart = world.probed_at[before - 1..].windows(2);
    assert!(apart.clone().all(|pair| pair[1].since(pair[0]) >= MINUTE), "{:?}", world.probed_at);
}
