//! KV version 1, pinned versions, secrets that are not there, and JSON in one field: with the built daemon.

use bc_secrets_sync::sandbox::store::Account;
use serde_json::{Value, json};

use crate::support::configuration::Configuration;
use crate::support::daemon::{Daemon, run_with};
use crate::support::files::{generation, listing};
use crate::support::wait::wait_until;
use crate::support::world::{World, about, fields};

const PATH: &str = "path = \"stores/acme\"";

/// A world whose one store is read from a mount of KV version 1.
async fn unversioned() -> (World, Account) {
    let mut world = World::start().await;
    let mount = json!({ "type": "kv", "options": { "version": "1" } });
    world.bao.request("POST", "sys/mounts/kv1", Some(mount)).await;
    world.bao.put_policy("stores", r#"path "kv1/stores/*" { capabilities = ["read"] }"#).await;
    let account = world.add_store_without_secret("acme");
    world.configuration.edit(PATH, &format!("mount = \"kv1\"\n{PATH}"));
    write(&world, &account).await;
    (world, account)
}

async fn write(world: &World, account: &Account) {
    world.bao.request("POST", "kv1/stores/acme", Some(fields(account))).await;
}

fn regenerated(world: &World, account: &Account) -> Account {
    Account { api_token: world.bigcommerce.regenerate_token("acme"), ..account.clone() }
}

async fn wait_fault(daemon: &Daemon, fault: Value) {
    wait_until(&format!("the fault is {fault}"), async || daemon.store("acme").await["read_fault"] == fault)
        .await;
}

#[tokio::test]
async fn a_secret_of_kv_version_1_is_published_checked_and_followed() {
    let (world, first) = unversioned().await;
    let daemon = world.daemon().await;
    world.wait_published("acme", &first).await;
    daemon.settled().await;
    let stamp = generation(&world.configuration.output, "acme");
    assert_eq!((stamp.get("version"), stamp.get("version_created_at")), (None, None), "{stamp}");
    let mounts = daemon.status().await["source"]["mounts"].clone();
    assert_eq!(mounts, json!([{ "mount": "kv1", "kv_version": 1, "configured": false }]));
    assert_eq!(daemon.metric("store_published_version{store=\"acme\"}").await, None);
    assert_eq!(daemon.metric("store_published_generation{store=\"acme\"}").await, Some(1.0));

    // Another token is told, and published once it is there; the same content again is nothing new.
    let second = regenerated(&world, &first);
    world.wait_messages(1).await;
    let evidence = world.receiver.messages()[0].evidence();
    assert!(evidence.contains("(generation 1)") && !evidence.contains("version 0"), "{evidence}");
    write(&world, &second).await;
    world.wait_published("acme", &second).await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);
    write(&world, &second).await;
    daemon.passes("acme", 3).await;
    assert_eq!(listing(&world.configuration.output), before);

    // What the store rejects never gets there, over a restart too.
    write(&world, &Account { api_token: "mistyped".into(), ..second.clone() }).await;
    wait_until("it is told", async || world.told().contains(&about("acme", "bad_write", "opened"))).await;
    daemon.stop().await;
    let daemon = world.daemon().await;
    daemon.checked("acme", 2).await;
    daemon.passes("acme", 2).await;
    assert_eq!(listing(&world.configuration.output), before);
    assert_eq!(daemon.store("acme").await["candidate"].get("version"), None);
    write(&world, &second).await;
    wait_until("it is over", async || world.told().contains(&about("acme", "bad_write", "resolved"))).await;
    assert_eq!(listing(&world.configuration.output), before);

    // Nobody can tell whether it was deleted or never written.
    world.bao.request("DELETE", "kv1/stores/acme", None).await;
    wait_fault(&daemon, json!("never_written")).await;
    assert_eq!(listing(&world.configuration.output), before);
    daemon.stop().await;

    let finished = run_with(&world.configuration, "check", &[]).await;
    assert!(finished.stdout.contains("there is no secret at this path"), "{}", finished.stdout);
}

#[tokio::test]
async fn an_older_version_that_is_pinned_is_verified_and_published() {
    let mut world = World::start().await;
    let first = world.add_store("acme").await;
    let daemon = world.daemon().await;
    world.wait_published("acme", &first).await;
    let second = regenerated(&world, &first);
    world.write("acme", &second).await;
    world.wait_published("acme", &second).await;
    daemon.settled().await;

    // The store does not accept it any more: what works stays, and somebody is told.
    let newest = world.configuration.text();
    let before = listing(&world.configuration.output);
    world.configuration.write_text(&newest.replace(PATH, &format!("{PATH}\nversion = 1")));
    wait_until("it is told", async || world.told().contains(&about("acme", "bad_write", "opened"))).await;
    assert_eq!(listing(&world.configuration.output), before);
    let store = daemon.store("acme").await;
    assert_eq!((&store["pinned_version"], &store["candidate"]["version"]), (&json!(1), &json!(1)));

    // Once the store takes the old token back, it is published, and newer versions are nothing to it.
    world.bigcommerce.set_account("acme", &first.username, &first.api_token);
    world.wait_published("acme", &first).await;
    assert_eq!(generation(&world.configuration.output, "acme")["version"], 1);
    world.write("acme", &Account { api_token: "anything".into(), ..first.clone() }).await;
    daemon.passes("acme", 3).await;
    assert_eq!(generation(&world.configuration.output, "acme")["version"], 1);
    assert_eq!(daemon.store("acme").await["candidate"], Value::Null);

    world.configuration.write_text(&newest.replace(PATH, &format!("{PATH}\nversion = 9")));
    wait_fault(&daemon, json!("no_such_version")).await;
    assert_eq!(generation(&world.configuration.output, "acme")["version"], 1);
    daemon.stop().await;
}

#[tokio::test]
async fn deleted_destroyed_and_never_written_are_told_apart_and_heal() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    world.wait_published("acme", &account).await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);
    let remedy = |world: &World, at: usize| {
        let message = world.receiver.messages()[at].json();
        message["data"]["remedy"].as_str().unwrap().to_owned()
    };

    world.bao.delete_secret("stores/acme").await;
    wait_fault(&daemon, json!("deleted")).await;
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "secret_missing", "opened")]);
    assert!(remedy(&world, 0).contains("undelete version 1 of secret/stores/acme"), "{}", remedy(&world, 0));
    world.bao.request("POST", "secret/undelete/stores/acme", Some(json!({ "versions": [1] }))).await;
    wait_fault(&daemon, Value::Null).await;
    world.wait_messages(2).await;
    assert_eq!(listing(&world.configuration.output), before);

    world.bao.destroy_secret("stores/acme", 1).await;
    wait_fault(&daemon, json!("destroyed")).await;
    world.wait_messages(3).await;
    assert!(remedy(&world, 2).contains("cannot be brought back"), "{}", remedy(&world, 2));
    world.write("acme", &account).await;
    wait_fault(&daemon, Value::Null).await;
    world.wait_messages(4).await;
    assert_eq!(listing(&world.configuration.output), before, "the same values are no other generation");

    world.bao.forget_secret("stores/acme").await;
    wait_fault(&daemon, json!("never_written")).await;
    world.wait_messages(5).await;
    assert!(remedy(&world, 4).contains("correct the store's path"), "{}", remedy(&world, 4));
    assert_eq!(listing(&world.configuration.output), before);
    assert_eq!(daemon.code("/readyz").await, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn a_json_object_in_one_field_is_taken_and_a_bad_one_is_told_by_field_and_never_by_value() {
    const MARKER: &str = "5hould-never-be-shown";
    let mut world = World::start().await;
    let account = world.add_store_without_secret("acme");
    let by = format!("{PATH}\nfields = {{ json_field = \"credentials\" }}");
    world.configuration.edit(PATH, &by);
    let text = |secret: &str| json!({ "credentials": secret });
    world.write_fields("acme", text(&fields(&account).to_string())).await;
    let daemon = world.daemon().await;
    world.wait_published("acme", &account).await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);

    let whole = fields(&account).to_string();
    let mut number = fields(&account);
    number["api_token"] = json!(5);
    let cases = [
        (json!({ "username": MARKER }), "field 'credentials': it is missing from the secret"),
        (
            text(&format!("{{\"username\": {MARKER}")),
            "field 'credentials': its text is not that of a JSON object (line 1",
        ),
        (
            text(&format!("{whole} {MARKER}")),
            "field 'credentials': its text is not that of a JSON object (line 1",
        ),
        (text(&format!("\"{MARKER}\"")), "field 'credentials': its text is not that of a JSON object"),
        (json!({ "credentials": [MARKER] }), "field 'credentials': it holds a JSON array"),
        (
            text(&whole.replacen('{', &format!("{{\"api_token\":\"{MARKER}\","), 1)),
            "field 'credentials.api_token': it has this key twice",
        ),
        (text(&number.to_string()), "field 'credentials.api_token': it holds a JSON number"),
        (text(&format!("{{\"api_token\":\"{MARKER}\"}}")), "field 'credentials.username': it is missing"),
        (text(&" ".repeat(65 * 1024)), "field 'credentials': its text is longer than 65536 bytes"),
    ];
    for (secret, words) in cases {
        world.write_fields("acme", secret).await;
        wait_until(words, async || {
            daemon.store("acme").await["read_error"].as_str().is_some_and(|error| error.contains(words))
        })
        .await;
    }
    assert_eq!(listing(&world.configuration.output), before);
    let (_, status) = daemon.get("/status").await;
    assert!(!status.contains(MARKER) && !daemon.log_text().contains(MARKER));

    // An object as it is, and not its text, is as good.
    world.write_fields("acme", json!({ "credentials": fields(&account) })).await;
    wait_fault(&daemon, Value::Null).await;
    assert_eq!(listing(&world.configuration.output), before);
    for delivery in world.receiver.deliveries() {
        assert!(!String::from_utf8_lossy(&delivery.body).contains(MARKER));
    }
    daemon.stop().await;
}

#[tokio::test]
async fn stores_are_discovered_in_a_mount_of_kv_version_1_too() {
    let (mut world, first) = unversioned().await;
    let policy = r#"path "kv1/stores/*" { capabilities = ["read", "list"] }"#;
    world.bao.put_policy("stores", policy).await;
    world.configuration = Configuration::new(world.configuration.home(), world.bao.address());
    world.configuration.webhook = Some(world.receiver.url());
    world.configuration.more = "\n[[discover]]\nmount = \"kv1\"\nprefix = \"stores\"\n".into();
    let daemon = world.daemon().await;
    world.wait_published("acme", &first).await;

    let other = world.bigcommerce.create_account("other", "user-of-other");
    world.bao.request("POST", "kv1/stores/other", Some(fields(&other))).await;
    world.wait_published("other", &other).await;
    let second = regenerated(&world, &first);
    write(&world, &second).await;
    world.wait_published("acme", &second).await;
    assert_eq!(daemon.status().await["source"]["listed_stores"], 0);
    daemon.stop().await;
}
