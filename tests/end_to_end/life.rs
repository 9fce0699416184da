//! The life of a token: published, regenerated, caught up with, deleted; and who hears of it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bc_secrets_sync::sandbox::store::Account;

use crate::support::files::{Content, generation, listing};
use crate::support::wait::{wait_until, wait_within};
use crate::support::webhook::SIGNING_SECRET;
use crate::support::world::{World, about, as_published};

/// How soon a regenerated token must be known: an interval of checks, one confirmation and the ways of the
/// messages, on a busy machine.
const NOTICED_WITHIN: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_secret_is_verified_and_published_whole_as_soon_as_it_is_written() {
    let mut world = World::start().await;
    let account = world.add_store_without_secret("acme");
    let daemon = world.daemon().await;
    assert_eq!(daemon.code("/livez").await, 200);
    assert_eq!(daemon.code("/readyz").await, 503);
    assert_eq!(daemon.code("/startupz").await, 503);
    assert_eq!(world.published("acme"), None);

    world.write("acme", &account).await;
    world.wait_published("acme", &account).await;
    wait_until("ready", async || daemon.code("/readyz").await == 200).await;
    assert_eq!(daemon.code("/startupz").await, 200);
    daemon.settled().await;
    assert!(daemon.log().iter().any(|line| line["message"] == "every store is published"));
    assert_eq!(daemon.metric("store_published_generation{store=\"acme\"}").await, Some(1.0));

    let (index, text) = daemon.get("/").await;
    assert!(index == 200 && text.contains("/status"), "{text}");
    assert_eq!(daemon.code("/nothing").await, 404);
}

#[tokio::test]
async fn what_is_published_has_the_layout_modes_and_stamp_that_apps_rely_on() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;

    let output = &world.configuration.output;
    assert_eq!(world.published("acme"), Some(as_published(&account)));
    for (name, target) in [
        ("username", "..data/username"),
        ("api_token", "..data/api_token"),
        ("api_path", "..data/api_path"),
        ("generation.json", "..data/generation.json"),
    ] {
        assert_eq!(std::fs::read_link(output.join("acme").join(name)).unwrap(), Path::new(target));
    }
    let data = std::fs::read_link(output.join("acme/..data")).unwrap();
    assert!(data.is_relative() && data.components().count() == 1, "{data:?}");

    for (path, entry) in listing(output) {
        match entry.content {
            Content::Directory => assert_eq!(entry.mode, 0o750, "{path:?}"),
            Content::File(_) => assert_eq!(entry.mode, 0o440, "{path:?}"),
            Content::Link(_) => {}
        }
    }
    assert_eq!(std::fs::metadata(&world.configuration.state).unwrap().permissions().mode() & 0o077, 0);

    let mut stamp = generation(output, "acme");
    let keys: Vec<&str> = stamp.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["fingerprint", "generation", "published_at", "seal", "verified_at", "version", "version_created_at"]
    );
    assert_eq!((stamp["generation"].as_u64(), stamp["version"].as_u64()), (Some(1), Some(1)));
    for value in [&account.username, &account.api_token, &account.api_path] {
        assert!(!stamp.to_string().contains(value.as_str()), "{stamp}");
    }
    let seal = stamp.as_object_mut().unwrap().remove("seal").unwrap();
    assert!(seal.as_str().is_some_and(|seal| seal.len() == 16), "{seal}");
    assert_eq!(daemon.store("acme").await["published"], stamp);

    // The volume can be mounted anywhere: the links hold when the directory is moved.
    let moved = output.with_file_name("elsewhere");
    std::fs::rename(output, &moved).unwrap();
    let token: PathBuf = moved.join("acme/api_token");
    assert_eq!(std::fs::read_to_string(token).unwrap(), account.api_token);
}

#[tokio::test]
async fn a_regenerated_token_is_told_once_kept_in_place_and_caught_up_with() {
    let mut world = World::start().await;
    let old = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;

    let token = world.bigcommerce.regenerate_token("acme");
    let opened = wait_within(NOTICED_WITHIN, "the regeneration is told", async || {
        world.receiver.messages().into_iter().next()
    })
    .await;
    assert_eq!(opened.about(), about("acme", "regenerated_or_revoked", "opened"));
    assert_eq!(opened.verify(SIGNING_SECRET), Ok(()));
    assert!(opened.verify("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").is_err());
    let data = opened.json()["data"].clone();
    assert_eq!(data["severity"], "critical");
    let evidence = opened.evidence();
    for word in ["rejected the published credentials (version 1) with 401", "accepted them before", "Vault"] {
        assert!(evidence.contains(word), "{word} is not in {evidence}");
    }
    assert!(data["remedy"].as_str().unwrap().contains("secret/stores/acme"), "{data}");

    assert_eq!(world.published("acme"), Some(as_published(&old)));
    assert_eq!(daemon.state("acme").await, "rejected");
    assert_eq!(daemon.code("/readyz").await, 200);
    assert_eq!(daemon.metric("incidents_open{cause=\"regenerated_or_revoked\"}").await, Some(1.0));

    let new = Account { api_token: token, ..old };
    world.write("acme", &new).await;
    world.wait_published("acme", &new).await;
    world.wait_messages(2).await;
    let resolved = &world.receiver.messages()[1];
    assert_eq!(resolved.about(), about("acme", "regenerated_or_revoked", "resolved"));
    assert_eq!(resolved.verify(SIGNING_SECRET), Ok(()));
    assert_eq!(resolved.json()["data"]["resolution"], "regenerated_caught_up");
    assert_eq!(resolved.json()["data"]["incident_id"], data["incident_id"]);
    assert_ne!(resolved.id(), opened.id());
    assert_eq!(generation(&world.configuration.output, "acme")["generation"], 2);
    daemon.settled().await;
    daemon.passes("acme", 2).await;
    assert_eq!(world.receiver.deliveries().len(), 2, "{:?}", world.told());

    world.bigcommerce.delete_account("acme");
    world.wait_messages(3).await;
    let again = &world.receiver.messages()[2];
    assert_eq!(again.about(), about("acme", "regenerated_or_revoked", "opened"));
    assert_ne!(again.json()["data"]["incident_id"], data["incident_id"]);
    assert_eq!(world.published("acme"), Some(as_published(&new)));

    let other = world.bigcommerce.create_account("acme", "another-user");
    world.write("acme", &other).await;
    world.wait_published("acme", &other).await;
    world.wait_messages(4).await;
    assert_eq!(world.receiver.messages()[3].json()["data"]["resolution"], "account_replaced");
    daemon.stop().await;
}

#[tokio::test]
async fn an_open_incident_is_told_again_ever_more_rarely() {
    let mut world = World::start().await;
    world.configuration.repeat_interval = "2s";
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    world.bigcommerce.delete_account("acme");
    world.wait_messages(3).await;

    let messages = world.receiver.messages();
    let kinds: Vec<String> = messages.iter().map(|message| message.kind()).collect();
    assert_eq!(kinds, ["opened", "reminder", "reminder"]);
    // Pauses are counted on the monotonic clock and told by the wall clock, which may be slewed meanwhile.
    let slewed = Duration::from_millis(500);
    let opened = messages[0].json();
    for (reminder, seconds) in messages[1..].iter().zip([2, 2 + 4]) {
        let told = reminder.json();
        assert_ne!(reminder.id(), messages[0].id());
        assert_eq!(told["data"]["incident_id"], opened["data"]["incident_id"]);
        let since = time(&told["timestamp"]).since(time(&opened["timestamp"]));
        assert!(since + slewed >= Duration::from_secs(seconds), "{since:?}");
    }
    assert_ne!(messages[1].id(), messages[2].id());
    daemon.stop().await;
}

#[tokio::test]
async fn a_store_that_forbids_moves_or_breaks_is_never_called_regenerated() {
    use bc_secrets_sync::sandbox::store::Behaviour;
    let mut world = World::start().await;
    let answer = |status, header: Option<(&str, &str)>| Behaviour::Answer {
        status,
        headers: header.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        body: b"<html>not the API</html>".to_vec(),
    };
    let cases = [
        ("forbidding", answer(403, None), "forbidden"),
        ("moving", answer(301, Some(("location", "https://elsewhere.example/"))), "moved"),
        ("limiting", answer(429, Some(("retry-after", "1"))), "rate_limited"),
        ("upgrading", answer(503, None), "unavailable"),
        ("babbling", answer(200, None), "malformed"),
        ("breaking", Behaviour::Disconnect, "network_error"),
    ];
    let mut accounts = Vec::new();
    for (store, ..) in &cases {
        accounts.push(world.add_store(store).await);
    }
    let daemon = world.daemon().await;
    daemon.settled().await;
    for (store, behaviour, _) in &cases {
        world.bigcommerce.set_behaviour(store, behaviour.clone());
    }
    for (store, _, verdict) in &cases {
        wait_until(&format!("{store} is {verdict}"), async || {
            daemon.store(store).await["last_verdict"] == **verdict
        })
        .await;
    }
    daemon.passes("babbling", 2).await;
    for ((store, ..), account) in cases.iter().zip(&accounts) {
        assert_eq!(world.published(store), Some(as_published(account)));
    }
    world.wait_messages(2).await;
    let mut told = world.told();
    told.sort();
    assert_eq!(told, [about("forbidding", "forbidden", "opened"), about("moving", "moved", "opened")]);
    assert_eq!(daemon.code("/readyz").await, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn a_regenerated_token_is_told_though_no_answer_comes_whole() {
    use bc_secrets_sync::sandbox::store::Behaviour;
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    world.bigcommerce.set_behaviour("acme", Behaviour::Cut);
    world.bigcommerce.regenerate_token("acme");
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "regenerated_or_revoked", "opened")]);
    assert_eq!(world.published("acme"), Some(as_published(&account)));
    daemon.stop().await;
}

fn time(value: &serde_json::Value) -> bc_secrets_sync::domain::time::Timestamp {
    bc_secrets_sync::domain::time::Timestamp::parse(value.as_str().unwrap()).unwrap()
}
