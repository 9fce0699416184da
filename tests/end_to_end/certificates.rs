//! The store's certificate: before it expires, when it has, and when it is renewed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::wait::wait_until;
use crate::support::world::{World, about, as_published};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_certificate_is_one_incident_from_the_warning_until_it_is_renewed() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    daemon.checked("acme", 3).await;
    assert_eq!(world.told(), [], "the certificate is good for long");

    let until = SystemTime::now() + 5 * DAY + DAY / 2;
    world.certify_until(until);
    world.wait_messages(1).await;
    let told = &world.receiver.messages()[0];
    assert_eq!(told.about(), about("acme", "certificate_trouble", "opened"));
    assert_eq!(told.json()["data"]["severity"], "warning");
    let date = humantime::format_rfc3339_seconds(until).to_string();
    let date = date.trim_end_matches('Z');
    assert!(told.evidence().contains(&format!("expires at {date}.000Z, in 5 days")), "{}", told.evidence());
    let status = daemon.store("acme").await;
    assert_eq!(status["certificate_expires_at"], format!("{date}.000Z"));
    let expiry = daemon.metric("store_certificate_expiry_timestamp_seconds{store=\"acme\"}").await;
    assert_eq!(expiry, Some(until.duration_since(UNIX_EPOCH).unwrap().as_secs() as f64));
    assert_eq!(daemon.state("acme").await, "verified");

    world.certify_until(SystemTime::now() - DAY);
    world.wait_messages(2).await;
    let told = &world.receiver.messages()[1];
    assert_eq!(told.about(), about("acme", "certificate_trouble", "reminder"));
    assert!(told.evidence().contains("has expired or is not yet valid"), "{}", told.evidence());
    assert_eq!(daemon.state("acme").await, "unverified");
    assert_eq!(world.published("acme"), Some(as_published(&account)));

    world.certify_until(SystemTime::now() + 60 * DAY);
    world.wait_messages(3).await;
    daemon.checked("acme", 3).await;
    let told: Vec<_> = world.told().into_iter().skip(2).collect();
    assert_eq!(told, [about("acme", "certificate_trouble", "resolved")]);
    wait_until("no incident is open", async || {
        daemon.status().await["incidents"].as_array().unwrap().is_empty()
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn nobody_is_warned_who_does_not_want_to_be() {
    let mut world = World::start().await;
    world.configuration.edit("confirmations = 2", "confirmations = 2\ncertificate_warning = \"off\"");
    world.add_store("acme").await;
    world.certify_until(SystemTime::now() + DAY);
    let daemon = world.daemon().await;
    daemon.settled().await;
    daemon.checked("acme", 3).await;
    assert!(daemon.store("acme").await["certificate_expires_at"].is_string());
    assert_eq!(world.told(), []);
    daemon.stop().await;
}
