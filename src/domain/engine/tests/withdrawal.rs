//! What becomes of a dead set where the operator prefers none to a dead one.

use super::shops::Shop;
use super::world::{HOUR, MINUTE, World, spec};
use crate::domain::engine::{OnRejection, StoreSpec};
use crate::domain::incident::{Cause, MessageKind, Resolution};
use crate::domain::publication::PublishFault;
use crate::domain::snapshot::StoreState;

const OPENED: (MessageKind, Cause) = (MessageKind::Opened, Cause::RegeneratedOrRevoked);
const RESOLVED: (MessageKind, Cause) = (MessageKind::Resolved, Cause::RegeneratedOrRevoked);

fn withdrawing() -> World {
    let mut world = World::new(&["acme"]);
    world.configure_specs(vec![StoreSpec { on_rejection: OnRejection::Withdraw, ..spec("acme") }]);
    world.pass(HOUR);
    assert!(world.published("acme").is_some());
    world.accept("acme", "user", "token-2");
    world
}

#[test]
fn a_dead_set_is_withdrawn_only_when_that_is_confirmed_and_wanted() {
    let mut world = withdrawing();
    world.pass_until(|world| world.store("acme").state == StoreState::Suspect);
    assert!(world.published("acme").is_some());
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    assert_eq!((world.published("acme"), world.calls("withdraw")), (None, 1));
    assert!(world.messages[0].incident.remedy.contains("until then apps have none"));
    world.write("acme", "user", "token-2");
    world.pass(2 * MINUTE);
    assert_eq!(world.published("acme"), Some((2, "token-2".into())));
    assert_eq!(world.messages.last().unwrap().resolution, Some(Resolution::RegeneratedCaughtUp));
}

#[test]
fn a_withdrawn_set_comes_back_when_it_is_accepted_again() {
    let mut world = withdrawing();
    world.pass(HOUR);
    assert_eq!(world.published("acme"), None);
    world.accept("acme", "user", "token-1");
    world.pass(10 * MINUTE);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.said(), [OPENED, RESOLVED]);
    assert_eq!(world.messages[1].resolution, Some(Resolution::AcceptedAgain));
}

#[test]
fn a_restart_after_a_withdrawal_calls_the_account_nothing_else() {
    let mut world = withdrawing();
    world.pass(HOUR);
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.said(), [OPENED]);
    assert_eq!((world.published("acme"), world.store("acme").state), (None, StoreState::Rejected));
    world.write("acme", "user", "token-2");
    world.pass(10 * MINUTE);
    assert_eq!(world.said(), [OPENED, RESOLVED]);
}

#[test]
fn only_a_confirmed_rejection_withdraws_anything() {
    for shop in [Shop::Status(403, None), Shop::Status(404, None), Shop::Status(503, None)] {
        let mut world = withdrawing();
        world.shops.insert("acme".into(), shop.clone());
        world.pass(5 * HOUR);
        assert!(world.published("acme").is_some(), "{shop:?}");
    }
}

#[test]
fn what_is_published_after_a_restart_is_not_said_to_be_the_old_set() {
    let mut world = withdrawing();
    world.pass(HOUR);
    world.restart();
    world.pass(HOUR);
    world.write("acme", "user", "token-2");
    world.pass(10 * MINUTE);
    assert_eq!(world.messages[1].resolution, Some(Resolution::Recovered));
}

#[test]
fn a_withdrawal_that_fails_is_tried_ever_more_slowly_and_is_one_incident() {
    let mut world = withdrawing();
    let fault = PublishFault { operation: "cannot remove", path: "/x".into(), reason: "read-only".into() };
    world.publish_fault = Some(fault);
    world.pass(2 * HOUR);
    let tries = world.calls("withdraw");
    assert!((100..=200).contains(&tries), "{tries}");
    let failed = (MessageKind::Opened, Cause::PublishFailed);
    assert_eq!(world.said(), [OPENED, failed]);
    world.publish_fault = None;
    world.pass(2 * MINUTE);
    assert_eq!(world.published("acme"), None);
    assert_eq!(world.said(), [OPENED, failed, (MessageKind::Resolved, Cause::PublishFailed)]);
}

#[test]
fn what_somebody_puts_back_after_a_withdrawal_is_published_and_restored_like_any_set() {
    let mut world = World::new(&["acme"]);
    world.configure_specs(vec![StoreSpec { on_rejection: OnRejection::Withdraw, ..spec("acme") }]);
    world.pass(HOUR);
    let first = world.disks["acme"].clone();
    world.write("acme", "user", "token-2");
    world.accept("acme", "user", "token-2");
    world.pass(HOUR);
    world.accept("acme", "user", "token-3");
    world.pass(HOUR);
    assert_eq!(world.published("acme"), None);

    world.shops.insert("acme".into(), Shop::Status(403, None));
    world.disks.insert("acme".into(), first);
    world.pass(5 * MINUTE);
    let detail = world.store("acme").detail;
    assert!(!detail.contains("withdrawn"), "{detail}");
    world.disks.remove("acme");
    world.pass(5 * MINUTE);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
}
