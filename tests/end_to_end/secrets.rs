//! What people write into Vault by mistake: it never reaches an app, the alert says what is wrong with it
//! and never what it is, and it heals with the next version.

use std::io::ErrorKind;
use std::net::TcpListener;

use bc_secrets_sync::sandbox::store::Account;
use serde_json::{Value, json};

use crate::support::daemon::run_with;
use crate::support::files::{generation, listing};
use crate::support::wait::wait_until;
use crate::support::world::{World, about, as_published, fields};

/// In every value that must not be shown.
const MARKER: &str = "5hould-never-be-shown";

#[tokio::test]
async fn a_bad_write_is_told_and_never_reaches_the_files() {
    let mut world = World::start().await;
    let good = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);

    let typo = Account { api_token: MARKER.to_owned(), ..good.clone() };
    world.write("acme", &typo).await;
    world.wait_messages(1).await;
    let opened = &world.receiver.messages()[0];
    assert_eq!(opened.about(), about("acme", "bad_write", "opened"));
    let evidence = opened.evidence();
    assert!(evidence.contains("rejected version 2 in Vault"), "{evidence}");
    assert!(evidence.contains("still accepts the published version 1"), "{evidence}");
    let store = daemon.store("acme").await;
    assert_eq!((&store["state"], &store["candidate"]["version"]), (&json!("verified"), &json!(2)));
    assert_eq!(store["candidate"]["last_verdict"], "rejected");
    assert_eq!(listing(&world.configuration.output), before);

    // The old values again, as people mend it: nothing is published anew.
    world.write("acme", &good).await;
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("acme", "bad_write", "resolved"));
    daemon.passes("acme", 2).await;
    assert_eq!(listing(&world.configuration.output), before);
    assert_eq!(daemon.store("acme").await["candidate"], Value::Null);

    // A bad write that is mended with a new token is published, and told as over.
    world.write("acme", &typo).await;
    world.wait_messages(3).await;
    let new = Account { api_token: world.bigcommerce.regenerate_token("acme"), ..good };
    world.write("acme", &new).await;
    world.wait_published("acme", &new).await;
    daemon.settled().await;
    daemon.passes("acme", 2).await;
    let told = world.told();
    assert_eq!(told[2..4], [about("acme", "bad_write", "opened"), about("acme", "bad_write", "resolved")]);
    assert_eq!(told.len(), 4, "{told:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn credentials_that_were_never_accepted_are_misconfigured_and_not_published() {
    let mut world = World::start().await;
    let account = world.add_store_without_secret("acme");
    let typo = Account { api_token: MARKER.to_owned(), ..account.clone() };
    world.write("acme", &typo).await;
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "misconfigured", "opened")]);
    assert_eq!(daemon.state("acme").await, "failed");
    assert_eq!(world.published("acme"), None);
    assert!(!world.configuration.output.join("acme").exists());

    world.write("acme", &account).await;
    world.wait_published("acme", &account).await;
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("acme", "misconfigured", "resolved"));
    daemon.stop().await;
}

#[tokio::test]
async fn a_malformed_secret_is_told_by_store_field_and_reason_and_the_last_good_set_stays() {
    let mut world = World::start().await;
    let path = |path: &str| json!(path);
    let cases: [(&str, &str, Option<Value>, &str); 12] = [
        ("no-token", "api_token", None, "missing"),
        ("empty-name", "username", Some(json!("")), "empty"),
        ("blank-token", "api_token", Some(json!(" \t ")), "empty"),
        ("numeric-token", "api_token", Some(json!(5)), "JSON number"),
        ("nested-path", "api_path", Some(json!({ "url": MARKER })), "JSON object"),
        ("two-lines", "api_token", Some(json!(format!("{MARKER}\n"))), "line break"),
        ("pair", "username", Some(json!(format!("user:{MARKER}"))), "colon"),
        ("plain", "api_path", Some(path(&format!("http://{MARKER}.example/api/v2/"))), "https://"),
        (
            "new-api",
            "api_path",
            Some(path("https://api.bigcommerce.com/stores/x/v2/")),
            "api.bigcommerce.com",
        ),
        (
            "user",
            "api_path",
            Some(path(&format!("https://u:{MARKER}@s.example/api/v2/"))),
            "user or a password",
        ),
        ("query", "api_path", Some(path(&format!("https://s.example/api/v2/?t={MARKER}"))), "query"),
        ("no-url", "api_path", Some(path(MARKER)), "no URL"),
    ];
    let mut accounts = Vec::new();
    for (store, ..) in &cases {
        accounts.push(world.add_store(store).await);
    }
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);

    for ((store, field, value, _), account) in cases.iter().zip(&accounts) {
        let mut secret = fields(account);
        match value {
            Some(value) => secret[field] = value.clone(),
            None => drop(secret.as_object_mut().unwrap().remove(*field)),
        }
        world.write_fields(store, secret).await;
    }
    world.wait_messages(cases.len()).await;
    let messages = world.receiver.messages();
    for (store, field, _, reason) in &cases {
        let opened = about(store, "secret_malformed", "opened");
        let message = messages.iter().find(|message| message.about() == opened);
        let evidence = message.unwrap_or_else(|| panic!("nothing about {store}")).evidence();
        let error = daemon.store(store).await["read_error"].as_str().unwrap().to_owned();
        for text in [&evidence, &error] {
            assert!(text.contains(&format!("field '{field}'")) && text.contains(reason), "{store}: {text}");
        }
    }
    assert_eq!(messages.len(), cases.len(), "{:?}", world.told());
    assert_eq!(listing(&world.configuration.output), before);
    assert_eq!(daemon.code("/readyz").await, 200);
    let bodies = messages.iter().map(|message| String::from_utf8(message.body.clone()).unwrap());
    for text in bodies.chain([daemon.log_text(), daemon.get("/status").await.1]) {
        assert!(!text.contains(MARKER), "{text}");
    }

    for ((store, ..), account) in cases.iter().zip(&accounts) {
        world.write(store, account).await;
    }
    world.wait_messages(2 * cases.len()).await;
    let mut told = world.told().split_off(cases.len());
    told.sort();
    let mut expected: Vec<_> =
        cases.iter().map(|(store, ..)| about(store, "secret_malformed", "resolved")).collect();
    expected.sort();
    assert_eq!(told, expected);
    assert_eq!(listing(&world.configuration.output), before);
    daemon.stop().await;
}

#[tokio::test]
async fn a_secret_that_disappears_is_told_and_what_is_published_stays() {
    let mut world = World::start().await;
    let deleted = world.add_store("deleted").await;
    let destroyed = world.add_store("destroyed").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);

    world.bao.delete_secret("stores/deleted").await;
    world.bao.destroy_secret("stores/destroyed", 1).await;
    world.wait_messages(2).await;
    let mut told = world.told();
    told.sort();
    assert_eq!(
        told,
        [about("deleted", "secret_missing", "opened"), about("destroyed", "secret_missing", "opened")]
    );
    assert!(daemon.store("deleted").await["read_error"].as_str().unwrap().contains("deleted"));
    assert!(daemon.store("destroyed").await["read_error"].as_str().unwrap().contains("destroyed"));
    daemon.passes("deleted", 2).await;
    assert_eq!(listing(&world.configuration.output), before);
    assert_eq!(daemon.state("deleted").await, "verified");

    world.write("deleted", &deleted).await;
    world.write("destroyed", &destroyed).await;
    world.wait_messages(4).await;
    assert_eq!(listing(&world.configuration.output), before);
    daemon.stop().await;
}

#[tokio::test]
async fn a_host_that_is_not_public_is_refused_unless_it_is_allowed() {
    let mut world = World::start().await;
    world.configuration.allow_private_addresses = false;
    let account = world.add_store("local").await;
    let literal = world.add_store("literal").await;
    let port = world.bigcommerce.address().port();
    let api_path = format!("https://127.0.0.1:{port}/stores/literal/api/v2/");
    world.write("literal", &Account { api_path, ..literal }).await;
    let daemon = world.daemon().await;
    world.wait_messages(2).await;
    for (store, reason) in [("local", "loopback"), ("literal", "IP address")] {
        let store = daemon.store(store).await;
        assert_eq!(store["state"], "failed");
        let error = store["read_error"].as_str().unwrap();
        assert!(error.contains("field 'api_path'") && error.contains(reason), "{error}");
    }
    assert_eq!((world.bigcommerce.requests("local"), world.bigcommerce.requests("literal")), (0, 0));
    assert_eq!(world.published("local"), None);
    daemon.stop().await;

    world.configuration.allow_private_addresses = true;
    let daemon = world.daemon().await;
    world.wait_published("local", &account).await;
    wait_until("both are published", async || daemon.code("/readyz").await == 200).await;
    daemon.stop().await;

    // With the door closed again, what is on the disk already stays there for the apps.
    world.configuration.allow_private_addresses = false;
    let before = listing(&world.configuration.output.join("local"));
    let daemon = world.daemon().await;
    wait_until("the secret is refused", async || daemon.store("local").await["read_error"].is_string()).await;
    assert_eq!(listing(&world.configuration.output.join("local")), before);
    assert_eq!(generation(&world.configuration.output, "local")["generation"], 1);
    assert_eq!(world.published("local"), Some(as_published(&account)));
    daemon.stop().await;
}

/// Somebody who may write a secret, and not read it, wants to see the token.
#[tokio::test]
async fn a_token_is_sent_to_no_host_that_is_not_listed_not_even_after_a_reload() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let addresses = "allow_private_addresses = true";
    world.configuration.edit(addresses, &format!("{addresses}\nallowed_hosts = [\"localhost\"]"));
    let daemon = world.daemon().await;
    daemon.settled().await;
    let thief = TcpListener::bind("127.0.0.1:0").unwrap();
    thief.set_nonblocking(true).unwrap();
    let api_path = format!("https://127.0.0.1:{}/api/v2/", thief.local_addr().unwrap().port());
    world.write("acme", &Account { api_path, ..account.clone() }).await;
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "secret_malformed", "opened")]);
    let error = daemon.store("acme").await["read_error"].as_str().unwrap().to_owned();
    assert!(error.contains("field 'api_path': its host is not in check.allowed_hosts"), "{error}");
    assert!(error.contains("add it if the store is at that host") && !error.contains("127.0.0.1"), "{error}");
    let checked = run_with(&world.configuration, "check", &[]).await;
    assert!(checked.code == Some(12) && checked.stdout.contains("check.allowed_hosts"), "{checked:?}");
    daemon.passes("acme", 2).await;
    let knocked = thief.accept().map(|_| ()).unwrap_err();
    assert_eq!(knocked.kind(), ErrorKind::WouldBlock, "nobody has come");
    assert_eq!(world.published("acme"), Some(as_published(&account)));
    world.write("acme", &account).await;
    let usable = async || daemon.store("acme").await["read_error"].is_null();
    wait_until("the secret is usable again", usable).await;

    // What is published already is not asked about at a host that is taken off the list.
    world.configuration.edit("[\"localhost\"]", "[\"*.mybigcommerce.com\"]");
    world.configuration.write();
    let refused = async || daemon.store("acme").await["read_error"].is_string();
    wait_until("the secret is refused", refused).await;
    daemon.checked("acme", 1).await;
    let asked = world.bigcommerce.requests("acme");
    daemon.passes("acme", 2).await;
    assert_eq!(world.bigcommerce.requests("acme"), asked);
    assert_eq!(world.published("acme"), Some(as_published(&account)));

    world.configuration.edit("[\"*.mybigcommerce.com\"]", "[\"localhost\"]");
    world.configuration.write();
    wait_until("it is asked about again", async || world.bigcommerce.requests("acme") > asked).await;
    daemon.settled().await;
    daemon.stop().await;
}
