//! Stores that are found below a path of Vault, and changes that are found by listing it.

use std::time::Duration;

use bc_secrets_sync::sandbox::store::Account;
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, run_with};
use crate::support::files::listing;
use crate::support::openbao::shipped_policy;
use crate::support::wait::{wait_until, wait_within};
use crate::support::world::{World, about};

/// A world whose stores are all that is below `secret/stores`. The policy is that of `deploy/vault`, as the script makes it for everybody.
async fn world(more: &str) -> World {
    let mut world = World::start().await;
    world.configuration.more = format!("\n[[discover]]\nprefix = \"stores\"\n{more}");
    world
}

async fn create(world: &World, name: &str) -> Account {
    let account = world.bigcommerce.create_account(name, &format!("user-of-{name}"));
    world.write(name, &account).await;
    account
}

async fn names(daemon: &Daemon) -> Vec<Value> {
    let status = daemon.status().await;
    status["stores"].as_array().unwrap().iter().map(|store| store["name"].clone()).collect()
}

#[tokio::test]
async fn stores_come_and_go_without_a_restart() {
    let world = world("withdraw_after = \"1m\"\n").await;
    // As at a Vault, which lists names alone.
    let policy = shipped_policy("stores").replace("/detailed-metadata/", "/elsewhere/");
    world.bao.put_policy("stores", &policy).await;
    let acme = create(&world, "acme").await;
    world.bao.write_secret("stores/no name", json!({ "a": 1 })).await;
    world.bao.write_secret("stores/folder/inside", json!({ "a": 1 })).await;
    let daemon = world.daemon().await;
    world.wait_published("acme", &acme).await;
    let bravo = create(&world, "bravo").await;
    world.wait_published("bravo", &bravo).await;
    assert_eq!(names(&daemon).await, ["acme", "bravo"]);
    assert!(daemon.log_text().contains("a secret below secret/stores is no store"));
    let folders = daemon.status().await["source"]["folders"].clone();
    let folder = json!({ "path": "secret/stores", "stores": 2, "changes": "by_reading", "discovers": true, "error": null });
    assert_eq!(folders, json!([folder]));

    let before = listing(&world.configuration.output);
    world.bao.forget_secret("stores/acme").await;
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "secret_missing", "opened")]);
    assert_eq!(listing(&world.configuration.output), before);
    // A restart knows it although Vault does not, and has not told it again.
    daemon.stop().await;
    let daemon = world.daemon().await;
    daemon.checked("acme", 1).await;
    assert_eq!(names(&daemon).await, ["acme", "bravo"]);
    assert_eq!(listing(&world.configuration.output), before);

    world.write("acme", &acme).await;
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("acme", "secret_missing", "resolved"));
    daemon.stop().await;
}

#[tokio::test]
async fn a_folder_is_discovered_by_a_table_of_its_own_with_the_shipped_policy() {
    let world = world("[[discover]]\nprefix = \"stores/eu\"\n").await;
    let acme = create(&world, "acme").await;
    let bravo = world.bigcommerce.create_account("bravo", "user-of-bravo");
    world.write("eu/bravo", &bravo).await;
    let daemon = world.daemon().await;
    world.wait_published("acme", &acme).await;
    world.wait_published("bravo", &bravo).await;
    wait_until("both are listed with their versions", async || {
        let folders = daemon.status().await["source"]["folders"].clone();
        let found =
            |folder: &Value| (folder["path"].clone(), folder["stores"].clone(), folder["changes"].clone());
        let found: Vec<_> = folders.as_array().unwrap().iter().map(found).collect();
        let expected = ["secret/stores", "secret/stores/eu"];
        found == expected.map(|path| (json!(path), json!(1), json!("by_listing")))
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn what_may_not_be_listed_is_an_incident_and_heals() {
    let world = world("").await;
    world.bao.put_policy("stores", POLICY_WITHOUT_LIST).await;
    let acme = create(&world, "acme").await;
    let daemon = world.daemon().await;
    wait_until("it is said", async || daemon.log_text().contains("cannot be discovered: permission denied"))
        .await;
    let checked = run_with(&world.configuration, "check", &[]).await;
    assert_eq!(checked.code, Some(12), "{checked:?}");
    assert!(checked.stdout.contains("secret/stores/: permission denied"), "{checked:?}");
    world.bao.put_policy("stores", &shipped_policy("stores")).await;
    world.wait_published("acme", &acme).await;
    let checked = run_with(&world.configuration, "check", &[]).await;
    assert_eq!((checked.code, checked.stdout.contains("acme")), (Some(0), true), "{checked:?}");
    daemon.stop().await;
}

const POLICY_WITHOUT_LIST: &str = r#"path "secret/data/stores/*" { capabilities = ["read"] }"#;

#[tokio::test]
async fn a_single_pass_publishes_what_it_finds() {
    let world = world("").await;
    let acme = create(&world, "acme").await;
    let bravo = create(&world, "bravo").await;
    let pass = run_with(&world.configuration, "run", &["--one-time"]).await;
    assert_eq!(pass.code, Some(0), "{pass:?}");
    world.wait_published("acme", &acme).await;
    world.wait_published("bravo", &bravo).await;
}

/// The figure of the issue: a poll of 1,000 unchanged stores costs at most five requests.
#[tokio::test]
async fn a_poll_of_a_thousand_unchanged_stores_costs_at_most_five_requests() {
    let mut world = world("").await;
    world.configuration.poll_interval = "4s";
    world.configuration.check_interval = "30m";
    for at in 0..1000 {
        create(&world, &format!("store-{at:04}")).await;
    }
    let daemon = world.daemon().await;
    wait_within(Duration::from_secs(120), "all are published and listed", async || {
        let status = daemon.status().await;
        let verified = |stores: &Vec<Value>| stores.iter().all(|store| store["state"] == "verified");
        let stores = status["stores"].as_array().filter(|stores| stores.len() == 1000 && verified(stores));
        (stores.is_some() && status["source"]["listed_stores"] == 1000).then_some(())
    })
    .await;
    let lists = async || daemon.metric("source_list_requests_total").await.unwrap();
    let reads = async || daemon.metric("source_reads_total").await.unwrap();
    let poll = async |before: f64| wait_until("a poll", async || lists().await > before).await;
    // All requests of a poll are counted at its end.
    let (begun, read) = (lists().await, reads().await);
    poll(begun).await;
    let once = lists().await - begun;
    assert!((1.0..=5.0).contains(&once), "{once} requests");
    poll(lists().await).await;
    assert_eq!(lists().await - begun, 2.0 * once);
    // Each secret is read once a day even so: one of a thousand in a minute and a half.
    let of_the_day = reads().await - read;
    assert!(of_the_day <= 2.0, "{of_the_day} reads");

    let changed = world.bigcommerce.create_account("other", "user-2");
    world.write("store-0500", &changed).await;
    world.wait_published("store-0500", &changed).await;
    let reads = reads().await - read;
    assert!((1.0..=4.0).contains(&reads), "{reads} reads");
    assert_eq!(daemon.status().await["source"]["folders"][0]["changes"], "by_listing");
    daemon.stop().await;
}

#[tokio::test]
async fn a_path_where_no_secret_is_a_store_is_said_to_be_one() {
    let world = world("name = \"bc-{store}\"\n").await;
    create(&world, "acme").await;
    let checked = run_with(&world.configuration, "check", &[]).await;
    assert_eq!(checked.code, Some(12), "{checked:?}");
    assert!(checked.stdout.contains("no secret here is a store"), "{checked:?}");
    let pass = run_with(&world.configuration, "run", &["--one-time"]).await;
    assert_eq!(pass.code, Some(12), "{pass:?}");
    let valid = run_with(&world.configuration, "validate", &[]).await;
    assert!(valid.stdout.contains("valid, 0 stores and those that [[discover]] finds"), "{valid:?}");
}
