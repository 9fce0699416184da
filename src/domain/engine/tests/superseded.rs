//! What becomes of credentials that another version has taken the place of.

use super::shops::Shop;
use super::world::{HOUR, MINUTE, World};
use crate::domain::incident::{Cause, MessageKind, Resolution};
use crate::domain::verdict::ProbeFault;

fn replaced() -> World {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    let both = [("user", "token-1"), ("other", "token-9")].map(|(user, token)| (user.into(), token.into()));
    world.shops.insert("acme".into(), Shop::Accepts(both.to_vec()));
    world.write("acme", "other", "token-9");
    world.pass(5 * MINUTE);
    assert_eq!(world.published("acme"), Some((2, "token-9".into())));
    world
}

#[test]
fn superseded_credentials_that_still_work_are_said_once_and_resolved_when_they_die() {
    let mut world = replaced();
    world.pass(20 * MINUTE);
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SupersededLive)]);
    let evidence = world.messages[0].incident.evidence.join(" ");
    assert!(evidence.contains("still accepts the credentials of version 1"), "{evidence}");
    world.accept("acme", "other", "token-9");
    world.pass(20 * MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::SupersededLive)));
    assert_eq!(world.messages[1].resolution, Some(Resolution::Recovered));
    let before = world.calls("probe");
    world.pass(HOUR);
    assert_eq!(
        world.calls("probe") - before,
        12,
        "the dead set is forgotten: only the published one is asked about"
    );
}

#[test]
fn superseded_credentials_are_asked_about_for_a_day_and_then_forgotten() {
    let mut world = replaced();
    world.pass(25 * HOUR);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::SupersededLive)));
    assert_eq!(world.messages.last().unwrap().resolution, Some(Resolution::NoLongerWatched));
    let before = world.calls("probe");
    world.pass(HOUR);
    assert_eq!(world.calls("probe") - before, 12);
}

#[test]
fn a_regenerated_token_is_found_dead_without_a_word() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    assert_eq!(world.said(), []);
}

#[test]
fn a_store_that_cannot_tell_keeps_the_question_open() {
    let mut world = replaced();
    world.shops.insert("acme".into(), Shop::Fails(ProbeFault::Timeout));
    world.pass(30 * MINUTE);
    assert_eq!(world.said(), []);
}

#[test]
fn a_store_that_asks_to_wait_is_asked_about_neither_set_until_then() {
    let wait = 20 * MINUTE;
    for shop in [Shop::Status(429, Some(wait)), Shop::Status(503, Some(wait))] {
        let mut world = replaced();
        world.shops.insert("acme".into(), shop.clone());
        world.probed_at.clear();
        world.pass(3 * HOUR);
        let gaps = world.probed_at.windows(2).map(|two| two[1].since(two[0]));
        assert!(gaps.clone().all(|gap| gap >= wait), "{shop:?}: {:?}", world.probed_at);
        assert!(gaps.count() >= 3, "{shop:?}: {:?}", world.probed_at);
        // The set before was among them: it still works, and that is found out at once.
        let both = [("user", "token-1"), ("other", "token-9")];
        let both = both.map(|(user, token)| (user.into(), token.into()));
        world.shops.insert("acme".into(), Shop::Accepts(both.to_vec()));
        world.pass(HOUR);
        assert_eq!(world.said().last(), Some(&(MessageKind::Opened, Cause::SupersededLive)), "{shop:?}");
    }
}

#[test]
fn what_a_restart_forgets_is_not_said_to_be_dead() {
    let mut world = replaced();
    world.pass(20 * MINUTE);
    world.restart();
    world.pass(20 * MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::SupersededLive)));
    assert_eq!(world.messages[1].resolution, Some(Resolution::NoLongerWatched));
}

#[test]
fn a_live_set_that_makes_room_for_another_one_is_not_said_to_be_dead() {
    let mut world = replaced();
    world.pass(20 * MINUTE);
    let all = [("user", "token-1"), ("third", "token-5")].map(|(user, token)| (user.into(), token.into()));
    world.write("acme", "third", "token-5");
    world.shops.insert("acme".into(), Shop::Accepts(all.to_vec()));
    world.pass(30 * MINUTE);
    assert_eq!(world.messages[1].resolution, Some(Resolution::NoLongerWatched));
}

#[test]
fn a_superseded_set_that_somebody_restores_is_the_published_one_and_nothing_else() {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.write("acme", "other", "token-9");
    let both = [("user", "token-1"), ("other", "token-9")].map(|(user, token)| (user.into(), token.into()));
    world.shops.insert("acme".into(), Shop::Accepts(both.to_vec()));
    world.pass_until(|world| world.publications.len() == 2);
    world.write("acme", "user", "token-1");
    world.pass_until(|world| world.publications.len() == 3);
    world.accept("acme", "user", "token-1");
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((3, "token-1".into())));
    assert_eq!(world.said(), []);
}
