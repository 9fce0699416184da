//! Discovery when the source hesitates, clocks jump, secrets move, and nothing is found.

use std::sync::Arc;

use super::shops::Shop;
use super::world::{DAY, HOUR, MINUTE, SECOND, World};
use crate::domain::engine::{Event, Outcome, StoreSpec};
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::source::SourceFault;
use crate::domain::verdict::ProbeFault;

fn add(world: &mut World, secret: &str) {
    world.write(secret, "user", "token-1");
    world.accept(secret, "user", "token-1");
}

/// A source that lists versions, and whose stores are found.
fn listed(secrets: &[&str]) -> World {
    let mut world = World::discovering(&[], None);
    world.listing = Ok(());
    for secret in secrets {
        add(&mut world, secret);
    }
    world.start();
    world.pass(2 * MINUTE);
    assert_eq!(world.publications.len(), secrets.len());
    world
}

#[test]
fn a_source_that_was_away_for_a_moment_is_listed_as_before() {
    let mut world = listed(&["acme", "bravo", "corp"]);
    let gone = SourceFault::Unreachable("connection refused".into());
    (world.listing, world.names) = (Err(gone.clone()), Err(gone));
    world.pass(90 * SECOND);
    (world.listing, world.names) = (Ok(()), Ok(()));
    world.pass(5 * MINUTE);
    let reads = world.calls("read");
    world.pass(30 * MINUTE);
    assert_eq!(world.calls("read"), reads);
    assert_eq!(world.snapshot().source.listed_stores, 3);
}

#[test]
fn a_source_that_lists_names_but_no_versions_any_more_is_read() {
    let mut world = listed(&["acme", "bravo"]);
    world.listing = Err(SourceFault::Malformed("too long".into()));
    world.pass(5 * MINUTE);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(MINUTE + SECOND);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
}

#[test]
fn a_source_that_asks_to_be_left_alone_when_it_is_to_list_is_asked_for_nothing() {
    for mut world in [listed(&["acme", "bravo"]), super::listing::listed()] {
        let busy = SourceFault::Busy { status: 429, pause: 4 * MINUTE };
        (world.listing, world.names) = (Err(busy.clone()), Err(busy));
        let lists = world.calls("list");
        world.pass_until(|world| world.calls("list") > lists);
        let calls = ["list", "list names", "read", "look up"].map(|what| world.calls(what));
        world.pass(3 * MINUTE);
        assert_eq!(calls, ["list", "list names", "read", "look up"].map(|what| world.calls(what)));
        world.pass(HOUR);
        assert!(world.calls("read") <= calls[2] + 120, "{:?}", world.calls);
    }
}

#[test]
fn a_new_token_is_tried_for_what_the_old_one_was_refused() {
    let mut world = listed(&["acme", "bravo"]);
    world.token_dead = true;
    world.pass(5 * MINUTE);
    assert_eq!(world.snapshot().source.logins, 2);
    assert_eq!(world.snapshot().source.listed_stores, 2);
}

#[test]
fn a_new_secret_does_not_cause_the_others_to_be_read() {
    let secrets: Vec<String> = (0..60).map(|at| format!("store-{at}")).collect();
    let mut world = listed(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
    let reads = world.calls("read");
    add(&mut world, "another");
    world.pass(10 * MINUTE);
    assert!(world.published("another").is_some());
    assert!(world.calls("read") <= reads + 2, "{} reads", world.calls("read") - reads);
}

#[test]
fn a_clock_that_is_set_ahead_withdraws_nothing_early() {
    let mut world = World::discovering(&[], Some(DAY));
    add(&mut world, "acme");
    world.start();
    world.pass(2 * MINUTE);
    world.secrets.remove("acme");
    world.pass(HOUR);
    world.now.wall = world.now.wall.plus(300 * DAY);
    world.pass(HOUR);
    assert_eq!(world.calls("withdraw"), 0);
    world.pass(DAY);
    assert_eq!(world.calls("withdraw"), 1);
}

#[test]
fn what_was_withdrawn_does_not_come_back_while_its_source_is_gone() {
    let mut world = World::discovering(&[], Some(HOUR));
    add(&mut world, "acme");
    world.start();
    world.pass(2 * MINUTE);
    world.secrets.remove("acme");
    world.pass_until(|world| world.calls("restock") == 2);
    world.pass(HOUR - MINUTE);
    world.slow = vec!["list", "list names"];
    world.pass_until(|world| world.calls("withdraw") == 1);
    world.read_fault = Some(SourceFault::Unreachable("connection refused".into()));
    world.pass(HOUR);
    assert_eq!(world.published("acme"), None);
    assert_eq!(world.calls("withdraw"), 1);
}

#[test]
fn a_secret_that_moves_to_another_place_keeps_its_store() {
    let mut world = World::discovering(&[], None);
    let mut other = world.settings.discoveries[0].clone();
    other.folder.path = "old".into();
    world.settings.discoveries.push(other);
    let settings = world.settings.clone();
    world.engine = super::world::engine([], &settings, Vec::new(), world.now);
    add(&mut world, "acme");
    world.start();
    world.pass(2 * MINUTE);
    assert_eq!(world.publications.len(), 1);
    let spec = |world: &World, gone_since| {
        let mut location = (*world.spec("acme").location).clone();
        location.path = "old/acme".into();
        let discovered = crate::domain::discovery::Discovered { gone_since, withdraw_after: None };
        StoreSpec { location: Arc::new(location), discovered: Some(discovered), ..world.spec("acme") }
    };
    let stores = vec![spec(&world, Some(world.now.wall))];
    world.found.clear();
    world.send(Event::Restocked { stores });
    world.pass(3 * MINUTE);
    assert_eq!(world.found.len(), 1);
    assert_eq!((world.found[0].path.as_str(), world.found[0].gone_since), ("bc/acme", None));
    assert_eq!(world.publications.len(), 1);
    assert_eq!(world.said(), []);
}

#[test]
fn nobody_is_told_that_all_is_well_before_any_store_is_known() {
    let mut world = World::discovering(&[], None);
    world.names = Err(SourceFault::Forbidden);
    world.start();
    world.pass(MINUTE);
    let vitals = world.snapshot().vitals;
    assert!(!vitals.ready && !vitals.started);
    world.names = Ok(());
    world.pass(3 * MINUTE);
    assert!(world.snapshot().vitals.ready);
    // A single pass that finds none has not done what it is for.
    assert_eq!(world.engine.outcome(), Some(Outcome::SecretUnusable));
}

/// A configured store that is published, and a path that cannot be listed.
fn unlisted() -> World {
    let mut world = World::discovering(&["acme"], None);
    add(&mut world, "bravo");
    world.names = Err(SourceFault::Forbidden);
    world.start();
    world.pass(HOUR - MINUTE);
    let vitals = world.snapshot().vitals;
    assert!(world.published("acme").is_some() && !vitals.ready && !vitals.started);
    let line = world.engine.headline();
    assert!(
        line.contains("1 of 1 stores published (waiting for the list of those below secret/bc)"),
        "{line}"
    );
    world
}

#[test]
fn nobody_is_told_that_all_is_well_before_it_is_known_which_stores_there_are_beside_the_configured_ones() {
    let mut world = unlisted();
    world.names = Ok(());
    // Between the listing and its stores nothing is well either.
    world.slow = vec!["restock"];
    world.pass_until(|world| !world.kept_back.is_empty());
    let vitals = world.snapshot().vitals;
    assert!(!vitals.ready && !vitals.started);
    world.slow = vec!["publish"];
    for event in std::mem::take(&mut world.kept_back) {
        world.send(event);
    }
    world.pass(SECOND);
    let vitals = world.snapshot().vitals;
    assert!(!vitals.ready && !vitals.started, "bravo is waited for");
    world.release();
    let vitals = world.snapshot().vitals;
    assert!(world.published("bravo").is_some() && vitals.ready && vitals.started);
}

#[test]
fn a_listing_that_does_not_come_holds_up_what_is_published_for_a_time_only() {
    let mut world = unlisted();
    world.pass(3 * MINUTE);
    let vitals = world.snapshot().vitals;
    assert!(vitals.ready && vitals.started);
    assert!(!world.engine.headline().contains("waiting"), "{}", world.engine.headline());
}

#[test]
fn a_listing_that_does_not_come_is_waited_for_as_long_as_nothing_is_published() {
    let mut world = World::discovering(&[], None);
    world.names = Err(SourceFault::Forbidden);
    world.start();
    world.pass(DAY);
    let vitals = world.snapshot().vitals;
    assert!(!vitals.ready && !vitals.started);
}

#[test]
fn a_restart_goes_on_with_what_was_found_before_although_no_listing_comes() {
    let mut world = World::discovering(&["acme"], None);
    add(&mut world, "bravo");
    world.start();
    world.pass(2 * MINUTE);
    assert!(world.snapshot().vitals.started);
    world.names = Err(SourceFault::Forbidden);
    world.restart();
    world.pass(MINUTE);
    let vitals = world.snapshot().vitals;
    assert!(vitals.ready && vitals.started);
    // What was found, and is not published, is waited for as ever.
    world.disks.clear();
    world.read_fault = Some(SourceFault::Unreachable("connection refused".into()));
    world.restart();
    world.pass(MINUTE);
    assert!(!world.snapshot().vitals.ready);
}

#[test]
fn a_secret_that_is_found_and_of_no_use_holds_up_nobody_else() {
    let mut world = World::discovering(&[], None);
    add(&mut world, "acme");
    // Its token is none that the store knows.
    add(&mut world, "zeta");
    world.write("zeta", "user", "mistyped");
    world.start();
    world.pass(5 * SECOND);
    let vitals = world.snapshot().vitals;
    assert!(!vitals.ready && !vitals.started, "it may still turn out to be good");
    world.pass(HOUR);
    assert!(world.published("zeta").is_none());
    assert_eq!(world.snapshot().incidents[0].cause, Cause::Misconfigured);
    let vitals = world.snapshot().vitals;
    assert!(vitals.ready && vitals.started);
    add(&mut world, "zeta");
    world.pass(HOUR);
    assert!(world.published("zeta").is_some() && world.snapshot().vitals.ready);
}

#[test]
fn a_secret_that_is_found_and_leads_to_a_host_that_never_answers_holds_up_others_for_a_time_only() {
    let mut world = World::discovering(&[], None);
    for name in ["acme", "zeta"] {
        add(&mut world, name);
        world.shops.insert(name.into(), Shop::Fails(ProbeFault::Timeout));
    }
    world.start();
    world.pass(2 * HOUR);
    let vitals = world.snapshot().vitals;
    assert!(!vitals.ready && !vitals.started, "nothing is published: it may be the network");
    assert!(world.engine.headline().contains("(waiting for acme, zeta)"), "{}", world.engine.headline());
    world.accept("acme", "user", "token-1");
    world.pass(HOUR);
    let vitals = world.snapshot().vitals;
    assert!(world.published("acme").is_some() && vitals.ready && vitals.started);
    assert!(!world.engine.headline().contains("waiting"), "{}", world.engine.headline());
    // One that is found later has its time, too, however often somebody writes it anew.
    add(&mut world, "late");
    world.shops.insert("late".into(), Shop::Fails(ProbeFault::Timeout));
    world.pass(30 * MINUTE);
    assert!(!world.snapshot().vitals.ready);
    world.write("late", "user", "token-2");
    world.pass(40 * MINUTE);
    assert!(world.published("late").is_none() && world.snapshot().vitals.ready);
}

#[test]
fn an_incident_of_a_store_that_is_found_again_is_not_told_to_be_over() {
    let mut world = listed(&["acme"]);
    world.read_faults.insert("acme".into(), SourceFault::Deleted(1));
    world.written_at.insert("acme".into(), world.now.wall);
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMissing)]);
    // What was found is not known any more.
    world.found.clear();
    world.restart();
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SecretMissing)]);
}

#[test]
fn a_token_that_lists_is_not_given_up_because_of_a_store_that_it_may_not_read() {
    let mut world = listed(&["acme", "bravo"]);
    let lease = crate::domain::source::Lease { duration: 30 * DAY, renewable: true };
    (world.log_in, world.look_up) = (Ok(lease), Err(SourceFault::Forbidden));
    world.token_dead = true;
    world.pass(3 * MINUTE);
    world.token_dead = false;
    world.read_faults.insert("acme".into(), SourceFault::Forbidden);
    world.write("acme", "user", "token-2");
    world.pass(HOUR);
    let logins = world.snapshot().source.logins;
    world.pass(12 * HOUR);
    assert_eq!(world.snapshot().source.logins, logins);
}
