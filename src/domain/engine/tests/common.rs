//! What many stores have at once: each has its incident, and it says that the others have it too.

use super::shops::Shop;
use super::world::{HOUR, MINUTE, World};
use crate::domain::incident::{Cause, Incident};
use crate::domain::source::SourceFault;

const SAID: &str = "At least half of all stores have the same trouble now.";
const STORES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn told(incidents: &[Incident], cause: Cause) -> usize {
    let told = |incident: &&Incident| {
        assert_eq!(incident.cause, cause);
        let evidence = incident.evidence.last().is_some_and(|last| last == SAID);
        assert_eq!(evidence, incident.remedy.starts_with("Look for a common cause first: "));
        evidence
    };
    incidents.iter().filter(told).count()
}

#[test]
fn what_half_of_the_stores_have_is_told_to_have_a_common_cause() {
    let mut world = World::new(&STORES);
    world.pass(HOUR);
    for (at, store) in STORES.into_iter().enumerate() {
        world.shops.insert(store.into(), Shop::Status(403, None));
        world.pass(30 * MINUTE);
        let incidents = world.snapshot().incidents;
        assert_eq!(incidents.len(), at + 1);
        let expected = if at + 1 < 3 { 0 } else { at + 1 };
        assert_eq!(told(&incidents, Cause::Forbidden), expected);
    }
    let sent = world.messages.iter().filter(|message| message.incident.evidence.contains(&SAID.to_owned()));
    assert!(sent.count() >= 4);
    for store in &STORES[1..] {
        world.accept(store, "user", "token-1");
    }
    world.pass(30 * MINUTE);
    let left = world.snapshot().incidents;
    assert_eq!((left.len(), told(&left, Cause::Forbidden)), (1, 0));
}

#[test]
fn a_common_cause_in_vault_is_named_for_what_it_is() {
    for (fault, advice) in
        [(SourceFault::Forbidden, "the policy"), (SourceFault::NeverWritten, "was restored")]
    {
        let mut world = World::new(&STORES);
        world.pass(HOUR);
        world.read_fault = Some(fault);
        world.pass(30 * MINUTE);
        let incidents = world.snapshot().incidents;
        assert_eq!(told(&incidents, Cause::SecretMissing), STORES.len());
        assert!(incidents[0].remedy.contains(advice), "{}", incidents[0].remedy);
        // After a start, what was open before counts.
        world.restart();
        world.pass(10 * MINUTE);
        assert_eq!(told(&world.snapshot().incidents, Cause::SecretMissing), STORES.len());
    }
}

#[test]
fn a_few_of_many_or_two_alone_have_nothing_in_common() {
    let mut world = World::new(&STORES[..2]);
    world.read_fault = Some(SourceFault::NeverWritten);
    world.pass(HOUR);
    let incidents = world.snapshot().incidents;
    assert_eq!((incidents.len(), told(&incidents, Cause::SecretMissing)), (2, 0));
    let names: Vec<String> = (0..7).map(|at| format!("store-{at}")).collect();
    let mut world = World::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    world.pass(HOUR);
    for store in &names[..3] {
        world.read_faults.insert(store.clone(), SourceFault::NeverWritten);
    }
    world.pass(HOUR);
    let incidents = world.snapshot().incidents;
    assert_eq!((incidents.len(), told(&incidents, Cause::SecretMissing)), (3, 0));
}
