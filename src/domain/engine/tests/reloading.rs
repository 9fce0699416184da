//! What apps are told, when, and what a life leaves to the next one.

use super::shops::Shop;
use super::world::{HOUR, MINUTE, SECOND, World, settings, spec};
use crate::domain::engine::{Event, FirstCheck, Gate, Hook, Outcome, Settings};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::publication::{OnDisk, ReloadFault};

/// Rotates a store's token, in Vault and in the store, and lets the daemon find it.
fn rotate(world: &mut World, token: &str) {
    world.write("acme", "user", token);
    world.accept("acme", "user", token);
    let before = world.publications.len();
    world.pass_until(|world| world.publications.len() > before);
}

fn generations(world: &World) -> Vec<u64> {
    world.reloads.iter().map(|(generation, _)| *generation).collect()
}

fn fails() -> Result<(), ReloadFault> {
    Err(ReloadFault { reason: "it ended with 1".into(), output: "token: 123".into() })
}

#[test]
fn an_app_is_told_once_of_each_other_content() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    assert_eq!(generations(&world), [1]);
    rotate(&mut world, "token-2");
    world.pass(24 * HOUR);
    assert_eq!(generations(&world), [1, 2]);
    let reload = world.store("acme").reload.unwrap();
    assert_eq!((reload.generation, reload.pending, reload.next_run_at), (Some(2), false, None));
    assert_eq!((reload.succeeded, reload.failed, reload.error), (2, 0, None));
    let last = reload.last_run.unwrap();
    assert_eq!((last.generation, last.duration_ms, last.successful), (2, 1000, true));
}

#[test]
fn nothing_is_told_before_it_is_published_nor_while_it_cannot_be() {
    let mut world = World::new(&["acme"]);
    world.shops.insert("acme".into(), Shop::Accepts(Vec::new()));
    world.pass(HOUR);
    assert_eq!(world.calls("reload"), 0);
    world.accept("acme", "user", "token-1");
    world.pass(HOUR);
    world.write("acme", "user", "mistyped");
    world.pass(HOUR);
    assert_eq!(generations(&world), [1]);
}

#[test]
fn while_a_hook_runs_newer_generations_become_one_next_run() {
    let mut world = World::new(&["acme"]);
    world.slow = vec!["reload"];
    world.pass(MINUTE);
    assert_eq!(generations(&world), [1]);
    for token in ["token-2", "token-3", "token-4"] {
        rotate(&mut world, token);
    }
    assert_eq!(generations(&world), [1], "it still runs");
    assert_eq!(world.store("acme").reload.unwrap().next_run_at, None);
    world.release();
    assert_eq!(generations(&world), [1, 4]);
    world.pass(HOUR);
    assert_eq!(generations(&world), [1, 4]);
}

#[test]
fn two_runs_are_an_interval_apart_and_only_the_latest_waits_for_it() {
    let mut world = World::new(&["acme"]);
    world.min_interval = HOUR;
    world.configure(&["acme"]);
    world.pass(MINUTE);
    for token in ["token-2", "token-3"] {
        rotate(&mut world, token);
    }
    assert_eq!(generations(&world), [1]);
    assert!(world.store("acme").reload.unwrap().pending);
    // Impatience changes nothing.
    world.send(Event::CheckNow);
    world.configure(&["acme"]);
    world.pass(2 * HOUR);
    assert_eq!(generations(&world), [1, 3]);
    assert!(world.reloads[1].1.since(world.reloads[0].1) >= HOUR);
    // A failure is repeated no sooner.
    world.reload = fails();
    rotate(&mut world, "token-4");
    world.pass(4 * HOUR);
    let gaps = world.reloads.windows(2).map(|pair| pair[1].1.since(pair[0].1));
    assert!(world.reloads.len() >= 5 && gaps.min() >= Some(HOUR), "{:?}", world.reloads);
}

#[test]
fn a_hook_that_fails_is_an_incident_after_its_retries_and_over_when_it_works() {
    let mut world = World::new(&["acme"]);
    world.reload = fails();
    world.pass_until(|world| world.calls("reload") == 3);
    assert_eq!(world.said(), [], "it has retries left");
    world.pass_until(|world| world.calls("reload") == 4);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::ReloadFailed)]);
    let incident = world.messages[0].incident.clone();
    let evidence = incident.evidence.join(" ");
    assert!(
        evidence.contains("generation 1, tried 4 times") && evidence.contains("it ended with 1"),
        "{evidence}"
    );
    assert!(
        !format!("{incident:?} {:?}", world.snapshot()).contains("token: 123"),
        "output is for the log alone"
    );
    assert!(incident.remedy.contains("[stores.reload]"), "{}", incident.remedy);
    assert!(world.store("acme").reload.unwrap().pending);

    // Tried for ever, at least every five minutes.
    let before = world.calls("reload");
    world.pass(24 * HOUR);
    assert!((24 * 12..24 * 17).contains(&(world.calls("reload") - before)));

    // A newer generation, that fails for the first time, is the same trouble.
    rotate(&mut world, "token-2");
    assert!(world.snapshot().incidents.iter().any(|incident| incident.cause == Cause::ReloadFailed));
    world.reload = Ok(());
    world.pass(5 * MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::ReloadFailed)));
    assert_eq!(world.store("acme").reload.unwrap().error, None);
    let opened =
        world.said().iter().filter(|said| **said == (MessageKind::Opened, Cause::ReloadFailed)).count();
    assert_eq!(opened, 1);
}

#[test]
fn a_hook_that_is_taken_away_takes_its_incident_with_it() {
    let mut world = World::new(&["acme"]);
    world.reload = fails();
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::ReloadFailed)]);
    let mut without = spec("acme");
    without.hook = None;
    world.configure_specs(vec![without]);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::ReloadFailed)));
    assert!(world.store("acme").reload.is_none());
    let before = world.calls("reload");
    world.pass(HOUR);
    assert_eq!(world.calls("reload"), before);
}

#[test]
fn a_mended_hook_is_tried_at_once() {
    let mut world = World::new(&["acme"]);
    world.reload = fails();
    world.pass(HOUR);
    world.reload = Ok(());
    world.configure(&["acme"]);
    assert!(!world.store("acme").reload.unwrap().pending);
    world.reload = fails();
    rotate(&mut world, "token-2");
    world.pass(HOUR);
    world.reload = Ok(());
    world.send(Event::CheckNow);
    assert!(!world.store("acme").reload.unwrap().pending);
}

#[test]
fn after_a_restart_only_what_was_not_told_is_told() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.restart();
    world.pass(HOUR);
    assert_eq!(generations(&world), [1]);
    let reload = world.store("acme").reload.unwrap();
    assert_eq!((reload.generation, reload.pending), (Some(1), false));
    assert!(reload.at.is_some() && reload.last_run.is_none());

    // Killed after the swap, before the hook had ended.
    world.slow = vec!["reload"];
    let notes = world.notes.clone();
    rotate(&mut world, "token-2");
    (world.notes, world.kept_back) = (notes, Vec::new());
    world.slow.clear();
    world.restart();
    world.pass(SECOND);
    assert_eq!(generations(&world), [1, 2, 2]);
    // Killed again after the note.
    world.restart();
    world.pass(HOUR);
    assert_eq!(generations(&world), [1, 2, 2]);
}

#[test]
fn an_incident_of_an_earlier_life_is_over_when_the_hook_works() {
    let mut world = World::new(&["acme"]);
    world.reload = fails();
    world.pass(10 * MINUTE);
    world.restart();
    world.pass(SECOND);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::ReloadFailed)]);
    world.reload = Ok(());
    world.pass(10 * MINUTE);
    assert_eq!(
        world.said(),
        [(MessageKind::Opened, Cause::ReloadFailed), (MessageKind::Resolved, Cause::ReloadFailed)]
    );
}

#[test]
fn a_restored_set_is_nothing_new_now_and_after_a_restart() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.disks.insert("acme".into(), OnDisk::Damaged("api_token was edited".into()));
    world.pass(2 * MINUTE);
    assert_eq!(world.store("acme").restorations, 1);
    assert_eq!(world.calls("remember"), 1);
    world.restart();
    world.pass(HOUR);
    assert_eq!(generations(&world), [1]);
}

#[test]
fn a_set_that_is_restored_while_the_app_is_told_of_it_is_told_once() {
    let mut world = World::new(&["acme"]);
    world.slow = vec!["reload"];
    world.pass(MINUTE);
    world.disks.clear();
    world.pass(2 * MINUTE);
    assert_eq!(world.store("acme").restorations, 1);
    world.release();
    world.pass(HOUR);
    world.restart();
    world.pass(HOUR);
    assert_eq!(generations(&world), [1]);
}

#[test]
fn content_that_comes_back_is_other_content() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    // The app may have read the second set, although telling it failed.
    world.reload = fails();
    rotate(&mut world, "token-2");
    rotate(&mut world, "token-1");
    world.restart();
    world.reload = Ok(());
    world.pass(10 * MINUTE);
    assert_eq!(generations(&world).last(), Some(&3));
    assert!(!world.store("acme").reload.unwrap().pending);
}

#[test]
fn a_set_that_was_lost_while_nobody_ran_is_told_again_although_its_number_is_the_same() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.disks.clear();
    world.restart();
    world.pass(HOUR);
    assert_eq!(generations(&world), [1, 1]);
}

#[test]
fn a_new_hook_is_told_of_what_is_published_and_a_known_one_is_not() {
    let mut world = World::new(&["acme"]);
    let mut without = spec("acme");
    without.hook = None;
    world.configure_specs(vec![without.clone()]);
    world.pass(HOUR);
    assert_eq!(world.calls("reload"), 0);
    world.configure(&["acme"]);
    world.pass(MINUTE);
    assert_eq!(generations(&world), [1]);
    world.configure_specs(vec![without]);
    world.configure_specs(vec![spec("acme")]);
    world.pass(HOUR);
    assert_eq!(generations(&world), [1]);
}

#[test]
fn one_app_that_cannot_be_told_does_not_hold_up_the_others() {
    let mut world = World::new(&["one", "two"]);
    world.slow = vec!["reload"];
    world.pass(MINUTE);
    let kept = std::mem::take(&mut world.kept_back);
    let (one, two): (Vec<_>, Vec<_>) = kept
        .into_iter()
        .partition(|event| matches!(event, Event::Reloaded { store, .. } if store.as_str() == "one"));
    assert_eq!((one.len(), two.len()), (1, 1));
    for event in two {
        world.send(event);
    }
    assert!(!world.store("two").reload.unwrap().pending);
    assert!(world.store("one").reload.unwrap().pending);
}

#[test]
fn with_the_gate_open_an_app_is_told_of_what_is_published() {
    let mut world = World::with(&["acme"], Settings { gate: Gate::Open, ..settings() });
    world.shops.insert("acme".into(), Shop::Status(503, None));
    world.pass(MINUTE);
    assert_eq!(generations(&world), [1]);
}

#[test]
fn a_single_pass_waits_for_the_hook_and_tells_what_came_of_it() {
    let at_once = Settings { first_check: FirstCheck::AtOnce, ..settings() };
    let mut world = World::with(&["acme"], at_once.clone());
    world.slow = vec!["reload"];
    world.send(Event::Tick);
    assert!(world.published("acme").is_some());
    assert_eq!(world.engine.outcome(), None, "the hook still runs");
    world.release();
    assert_eq!(world.engine.outcome(), Some(Outcome::Good));

    let mut world = World::with(&["acme"], at_once);
    world.reload = fails();
    world.send(Event::Tick);
    assert_eq!(world.engine.outcome(), Some(Outcome::Untold));
    world.shops.insert("acme".into(), Shop::Accepts(Vec::new()));
    world.restart();
    world.send(Event::Tick);
    assert_eq!(world.engine.outcome(), Some(Outcome::Rejected), "the more serious one");
}

#[test]
fn a_hook_has_no_retries_where_none_are_configured() {
    let mut world = World::new(&["acme"]);
    world.reload = fails();
    let hook = Some(Hook { min_interval: SECOND, retries: 0, told: None });
    world.configure_specs(vec![crate::domain::engine::StoreSpec { hook, ..spec("acme") }]);
    world.pass_until(|world| world.calls("reload") == 1);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::ReloadFailed)]);
}

#[test]
fn an_old_set_that_comes_back_is_told_although_the_app_knew_it_before() {
    // In this life it is published anew; a new life takes it as it is.
    for (crash, told) in [(false, 3), (true, 1)] {
        let mut world = World::new(&["acme"]);
        world.pass(HOUR);
        let first = world.disks["acme"].clone();
        // The app may have read the second set, although telling it failed.
        world.reload = fails();
        rotate(&mut world, "token-2");
        world.pass(HOUR);
        world.write("acme", "user", "token-1");
        world.accept("acme", "user", "token-1");
        world.disks.insert("acme".into(), first);
        world.reload = Ok(());
        if crash {
            world.restart();
        }
        world.pass(10 * MINUTE);
        assert_eq!(generations(&world).last(), Some(&told), "{crash}");
        assert_eq!(world.published("acme").unwrap().1, "token-1");
        assert!(!world.store("acme").reload.unwrap().pending);
    }
}
