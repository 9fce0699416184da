//! Other files are configured: the same credentials are published anew, and apps are told.

use super::world::{HOUR, MINUTE, World};
use crate::domain::engine::Outcome;
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::publication::{OnDisk, PublishFault};
use crate::domain::secret::Fingerprint;
use crate::domain::source::SourceFault;

fn others() -> Option<Fingerprint> {
    Fingerprint::parse("00000000000000ff")
}

/// A world in which one store has been published in the three values for an hour, and then other files are configured.
fn reconfigured() -> World {
    let mut world = World::new(&["acme"]);
    world.pass(HOUR);
    world.files = others();
    world
}

fn generations(world: &World) -> Vec<u64> {
    world.reloads.iter().map(|(generation, _)| *generation).collect()
}

#[test]
fn they_are_a_new_generation_that_the_app_is_told_of_and_vault_is_not_needed() {
    let mut world = reconfigured();
    world.read_fault = Some(SourceFault::Sealed);
    world.configure(&["acme"]);
    world.pass(MINUTE);
    let store = world.store("acme");
    assert_eq!((store.publications, store.restorations), (2, 0));
    let stamp = store.published.unwrap();
    assert_eq!((stamp.generation, stamp.version.number(), stamp.files_fingerprint), (2, Some(1), others()));
    assert_eq!(generations(&world), [1, 2]);
    world.pass(HOUR);
    assert_eq!(world.publications.len(), 2, "once is enough");
    assert_eq!(generations(&world), [1, 2]);
}

#[test]
fn they_are_noticed_at_a_start_and_a_single_pass_does_not_end_before() {
    let mut world = reconfigured();
    world.restart();
    world.slow = vec!["publish"];
    world.pass(HOUR);
    assert!(world.snapshot().vitals.ready, "apps go on reading what is there");
    assert_eq!(world.engine.outcome(), None);
    world.release();
    world.pass(MINUTE);
    assert_eq!(world.engine.outcome(), Some(Outcome::Good));
    assert_eq!(generations(&world), [1, 2]);
}

#[test]
fn damage_at_the_same_time_does_not_hide_them() {
    let mut world = reconfigured();
    world.disks.insert("acme".into(), OnDisk::Damaged("api_token was edited".into()));
    world.configure(&["acme"]);
    world.pass(MINUTE);
    let store = world.store("acme");
    assert_eq!((store.publications, store.restorations), (2, 0));
    assert_eq!(generations(&world), [1, 2]);
}

#[test]
fn an_app_that_could_not_be_told_of_the_old_files_is_told_of_the_new_ones_at_once() {
    let mut world = World::new(&["acme"]);
    world.reload = Err(crate::domain::publication::ReloadFault {
        reason: "it ended with 1".into(),
        output: String::new(),
    });
    world.pass(HOUR);
    world.reload = Ok(());
    world.files = others();
    world.disks.remove("acme");
    world.pass(MINUTE + MINUTE / 2);
    assert_eq!(world.store("acme").reload.unwrap().generation, Some(2));
}

#[test]
fn files_that_cannot_be_made_leave_the_last_good_set_and_open_an_incident_that_heals() {
    let mut world = reconfigured();
    let fault = PublishFault {
        operation: "cannot make",
        path: "/out/acme/credentials.env".into(),
        reason: "the API Token has a character that not every reader takes".into(),
    };
    world.publish_fault = Some(fault);
    world.configure(&["acme"]);
    world.pass(HOUR);
    assert_eq!(world.published("acme"), Some((1, "token-1".into())));
    assert_eq!(world.said(), [(MessageKind::Opened, Cause::PublishFailed)]);
    assert!(world.messages[0].incident.evidence.join(" ").contains("not every reader takes"));
    assert!(world.snapshot().vitals.ready);
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.said().len(), 1, "still open, and not told twice: {:?}", world.said());

    world.publish_fault = None;
    world.pass(2 * MINUTE);
    assert_eq!(world.said().last(), Some(&(MessageKind::Resolved, Cause::PublishFailed)));
    assert_eq!(world.store("acme").published.unwrap().files_fingerprint, others());
    // Back to the old ones: again another content.
    world.files = None;
    world.configure(&["acme"]);
    world.pass(MINUTE);
    assert_eq!(world.store("acme").published.unwrap().files_fingerprint, None);
    assert_eq!(generations(&world), [1, 2, 3]);
}
