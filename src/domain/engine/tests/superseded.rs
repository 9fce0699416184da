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

/// Two stores, of which the first accepts the other's account too, so that a mistake is published.
fn pasted() -> World {
    let mut world = World::new(&["alpha", "beta"]);
    world.write("beta", "user", "token-b");
    world.accept("beta", "user", "token-b");
    world.pass(HOUR);
    let both = [("user", "token-1"), ("user", "token-b")].map(|(user, token)| (user.into(), token.into()));
    world.shops.insert("alpha".into(), Shop::Accepts(both.to_vec()));
    paste(&mut world);
    world
}

fn paste(world: &mut World) {
    world.hosts.insert("alpha".into(), "beta");
    world.write("alpha", "user", "token-b");
    world.pass(20 * MINUTE);
    assert_eq!(world.published("alpha"), Some((2, "token-b".into())));
}

#[test]
fn another_stores_set_in_the_wrong_secret_is_told_as_such() {
    let world = pasted();
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::SupersededLive)]);
    let incident = &world.messages[0].incident;
    let evidence = incident.evidence.join(" ");
    for part in [
        "Its host, alpha.mybigcommerce.com, still accepts the credentials of version 1,",
        "Version 2 is for another host, beta.mybigcommerce.com.",
        "Another store publishes the same account as version 2",
    ] {
        assert!(evidence.contains(part), "{evidence}");
    }
    assert!(incident.remedy.contains("delete nothing"), "{}", incident.remedy);
    let line = "its host is beta.mybigcommerce.com, and was alpha.mybigcommerce.com before; another store publishes the \
                same account";
    assert!(world.decided.iter().any(|text| text.contains(line)), "{:?}", world.decided);
}

#[test]
fn an_account_that_another_store_uses_is_never_called_old() {
    let mut world = pasted();
    world.hosts.clear();
    world.write("alpha", "user", "token-1");
    world.pass(HOUR);
    assert_eq!(world.published("alpha"), Some((3, "token-1".into())));
    assert_eq!(world.said()[1..], [(MessageKind::Resolved, Cause::SupersededLive)]);
    assert_eq!(world.messages[1].resolution, Some(Resolution::NoLongerWatched));
}

#[test]
fn a_replaced_account_that_another_store_comes_to_use_is_not_watched_any_more() {
    let mut world = pasted();
    // What belongs to the first is written to the second's secret by mistake, or on purpose.
    world.hosts.insert("beta".into(), "alpha");
    world.write("beta", "user", "token-1");
    world.accept("beta", "user", "token-1");
    world.pass(20 * MINUTE);
    assert_eq!(world.said()[1..], [(MessageKind::Resolved, Cause::SupersededLive)]);
    // The second has gone since, and what it used is nobody's.
    world.configure(&["alpha"]);
    world.pass(20 * MINUTE);
    assert_eq!(world.said().len(), 2);
    world.hosts.clear();
    world.write("alpha", "user", "token-1");
    world.pass(20 * MINUTE);
    assert_eq!(world.said()[2..], [(MessageKind::Opened, Cause::SupersededLive)]);
}

#[test]
fn a_rejection_that_ends_at_another_host_is_no_regeneration() {
    let mut world = World::new(&["alpha", "beta"]);
    world.pass(HOUR);
    world.accept("alpha", "user", "token-b");
    world.pass(HOUR);
    paste(&mut world);
    assert_eq!(world.messages[1].resolution, Some(Resolution::AccountReplaced));
}

#[test]
fn two_versions_of_one_number_are_told_apart() {
    let mut world = replaced();
    world.secrets.insert("acme".into(), (2, "user".into(), Some("token-1".into())));
    world.pass(30 * MINUTE);
    let evidence = world.messages[0].incident.evidence.join(" ");
    assert!(evidence.contains("Version 2 (generation 3) has been published"), "{evidence}");
    assert!(evidence.contains("accepts the credentials of version 2 (generation 2)"), "{evidence}");
}
