//! Secrets of KV version 1 and 2 on a real server: which one a mount is, pinned versions, and what is not there.

use bc_secrets_sync::domain::credentials::{FieldNames, Fields};
use bc_secrets_sync::domain::source::{Folder, SecretLocation, SourceFault};
use bc_secrets_sync::domain::version::{KvVersion, Version};
use bc_secrets_sync::vault::Vault;
use serde_json::json;

use super::support::openbao::OpenBao;
use super::{config, text, token};

const POLICY: &str = r#"
    path "secret/data/stores/*" { capabilities = ["read"] }
    path "team/kv 1/stores/*" { capabilities = ["read"] }
"#;

async fn mount_version_1(server: &OpenBao, path: &str) {
    let version_1 = json!({ "type": "kv", "options": { "version": "1" } });
    server.request("POST", &format!("sys/mounts/{path}"), Some(version_1)).await;
}

/// A source with a token that may read, and nothing else.
async fn reader(server: &OpenBao) -> Vault {
    server.put_policy("stores", POLICY).await;
    let given = server.create_token(json!({ "policies": ["stores"] })).await;
    let vault = Vault::new(&config(server.address(), token(&given))).unwrap();
    vault.log_in().await.unwrap();
    vault
}

async fn read(vault: &Vault, location: &SecretLocation) -> Result<(Option<u64>, String), SourceFault> {
    let secret = vault.read(location).await?;
    let Fields { username, .. } = secret.fields.unwrap();
    Ok((secret.version.number(), text(&username).to_owned()))
}

fn pinned(path: &str, version: u64) -> SecretLocation {
    SecretLocation { pinned: Some(version), ..SecretLocation::new("secret", path) }
}

#[tokio::test]
async fn a_mount_says_which_version_it_is_to_a_token_that_may_only_read_below_it() {
    let server = OpenBao::start().await;
    mount_version_1(&server, "team/kv%201").await;
    server.request("POST", "team/kv%201/stores/a", Some(json!({ "username": "one" }))).await;
    server.write_secret("stores/a", json!({ "username": "two" })).await;
    let vault = reader(&server).await;
    assert_eq!((vault.kv_version("secret"), vault.kv_version("team/kv 1")), (None, None));

    let (one, two) =
        (SecretLocation::new("/team/kv 1/", "stores/a"), SecretLocation::new("secret", "stores/a"));
    assert_eq!(read(&vault, &one).await, Ok((None, "one".into())));
    assert_eq!(read(&vault, &two).await, Ok((Some(1), "two".into())));
    assert_eq!(vault.read(&one).await.unwrap().version, Version::Unnumbered);
    assert_eq!(vault.kv_version("secret"), Some(KvVersion::Two));
    assert_eq!(vault.kv_version("team/kv 1"), Some(KvVersion::One));

    let never = SecretLocation { path: "stores/never".into(), ..one.clone() };
    assert_eq!(read(&vault, &never).await, Err(SourceFault::NeverWritten));
    let elsewhere = SecretLocation { path: "others/a".into(), ..one.clone() };
    assert_eq!(read(&vault, &elsewhere).await, Err(SourceFault::Forbidden));
    let pinned = SecretLocation { pinned: Some(1), ..one };
    let words = vault.read(&pinned).await.unwrap_err().to_string();
    assert!(words.contains("keeps no versions") && words.contains("pins version 1"), "{words}");
}

#[tokio::test]
async fn a_pinned_version_is_read_whatever_came_after_it() {
    let server = OpenBao::start().await;
    for user in ["first", "second", "third"] {
        server.write_secret("stores/a", json!({ "username": user })).await;
    }
    let vault = reader(&server).await;
    assert_eq!(read(&vault, &pinned("stores/a", 2)).await, Ok((Some(2), "second".into())));

    // What becomes of the newest is nothing to those who pin another one.
    server.delete_secret("stores/a").await;
    assert_eq!(read(&vault, &pinned("stores/a", 2)).await, Ok((Some(2), "second".into())));
    let newest = SecretLocation::new("secret", "stores/a");
    assert_eq!(read(&vault, &newest).await, Err(SourceFault::Deleted(3)));

    server.request("POST", "secret/delete/stores/a", Some(json!({ "versions": [1] }))).await;
    server.destroy_secret("stores/a", 2).await;
    assert_eq!(read(&vault, &pinned("stores/a", 1)).await, Err(SourceFault::Deleted(1)));
    assert_eq!(read(&vault, &pinned("stores/a", 2)).await, Err(SourceFault::Destroyed(2)));
    assert_eq!(read(&vault, &pinned("stores/a", 4)).await, Err(SourceFault::NoSuchVersion(4)));
    server.request("POST", "secret/undelete/stores/a", Some(json!({ "versions": [1] }))).await;
    assert_eq!(read(&vault, &pinned("stores/a", 1)).await, Ok((Some(1), "first".into())));
}

#[tokio::test]
async fn a_mount_that_begins_to_count_versions_is_asked_again() {
    let server = OpenBao::start().await;
    mount_version_1(&server, "kv").await;
    server.request("POST", "kv/a", Some(json!({ "username": "u" }))).await;
    let vault = Vault::new(&config(server.address(), token(server.root_token()))).unwrap();
    vault.log_in().await.unwrap();
    let location = SecretLocation::new("kv", "a");
    assert_eq!(read(&vault, &location).await, Ok((None, "u".into())));

    server.request("POST", "sys/mounts/kv/tune", Some(json!({ "options": { "version": "2" } }))).await;
    // The server is unavailable for this mount while it converts it.
    let mut tries = 0;
    let found = loop {
        match read(&vault, &location).await {
            Err(SourceFault::Malformed(_) | SourceFault::Unavailable { .. }) if tries < 100 => tries += 1,
            other => break other,
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(found, Ok((Some(1), "u".into())));
    assert_eq!(vault.kv_version("kv"), Some(KvVersion::Two));
}

#[tokio::test]
async fn what_is_no_kv_engine_is_said_to_be_none() {
    let server = OpenBao::start().await;
    let vault = Vault::new(&config(server.address(), token(server.root_token()))).unwrap();
    vault.log_in().await.unwrap();
    for (mount, word) in [("cubbyhole", "is no KV engine"), ("secret/stores", "a path below one")] {
        let words = vault.read(&SecretLocation::new(mount, "a")).await.unwrap_err().to_string();
        assert!(words.contains(word), "{mount}: {words}");
        assert_eq!(vault.kv_version(mount), None);
    }
    let wrong = SecretLocation { kv_version: Some(KvVersion::One), ..SecretLocation::new("secret", "a") };
    server.write_secret("a", json!({ "username": "u" })).await;
    let words = vault.read(&wrong).await.unwrap_err().to_string();
    assert!(words.contains("not a KV version 1 secret") && words.contains("kv_version"), "{words}");
}

#[tokio::test]
async fn the_three_values_may_be_a_json_object_in_one_field() {
    let server = OpenBao::start().await;
    let object = json!({ "user": "u", "token": "t", "api_path": "p", "note": { "deep": [1] } });
    server.write_secret("stores/text", json!({ "credentials": object.to_string() })).await;
    server.write_secret("stores/object", json!({ "credentials": object, "user": "other" })).await;
    let fields = FieldNames {
        json_field: Some("credentials".into()),
        username: "user".into(),
        api_token: "token".into(),
        ..FieldNames::default()
    };
    let vault = reader(&server).await;
    for path in ["stores/text", "stores/object"] {
        let location = SecretLocation { fields: fields.clone(), ..SecretLocation::new("secret", path) };
        let found = vault.read(&location).await.unwrap().fields.unwrap();
        let three = [&found.username, &found.api_token, &found.api_path].map(text);
        assert_eq!(three, ["u", "t", "p"], "{path}");
    }
}

#[tokio::test]
async fn a_listing_and_a_read_say_the_same_of_a_version() {
    let server = OpenBao::start().await;
    server.write_secret("stores/a", json!({ "username": "first" })).await;
    server.write_secret("stores/a", json!({ "username": "second" })).await;
    mount_version_1(&server, "kv").await;
    server.request("POST", "kv/stores/a", Some(json!({ "username": "u" }))).await;
    let vault = Vault::new(&config(server.address(), token(server.root_token()))).unwrap();
    vault.log_in().await.unwrap();
    let read = vault.read(&SecretLocation::new("secret", "stores/a")).await.unwrap();
    let listed = vault.list(&folder("secret"), None, true).await.unwrap().secrets["a"].unwrap();
    assert_eq!((Some(listed.version), listed.created_at), (read.version.number(), read.created_at));
    assert!(listed.present && listed.created_at.is_some());

    // The number is the same, and the time tells that it is another one.
    server.forget_secret("stores/a").await;
    for user in ["third", "fourth"] {
        server.write_secret("stores/a", json!({ "username": user })).await;
    }
    let anew = vault.list(&folder("secret"), None, true).await.unwrap().secrets["a"].unwrap();
    assert_eq!(anew.version, listed.version);
    assert_ne!(anew.created_at, listed.created_at);

    vault.read(&SecretLocation::new("kv", "stores/a")).await.unwrap();
    let words = vault.list(&folder("kv"), None, true).await.unwrap_err().to_string();
    assert!(words.contains("KV version 1"), "{words}");
}

#[tokio::test]
async fn names_are_listed_of_either_version_of_kv() {
    let server = OpenBao::start().await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;
    server.write_secret("stores/below/b", json!({ "username": "u" })).await;
    mount_version_1(&server, "kv").await;
    server.request("POST", "kv/stores/c", Some(json!({ "username": "u" }))).await;
    let vault = Vault::new(&config(server.address(), token(server.root_token()))).unwrap();
    vault.log_in().await.unwrap();
    for (mount, name) in [("secret", "a"), ("kv", "c")] {
        let listing = vault.list(&folder(mount), None, false).await.unwrap();
        assert_eq!((listing.secrets, listing.requests), ([(name.to_owned(), None)].into(), 1));
    }
    let empty = Folder { path: "nothing".into(), ..folder("secret") };
    assert_eq!(vault.list(&empty, None, false).await.unwrap().secrets, [].into());
    let words = vault.list(&folder("none"), None, false).await.unwrap_err().to_string();
    assert!(words.contains("mount"), "{words}");
}

fn folder(mount: &str) -> Folder {
    Folder { mount: mount.into(), path: "stores".into() }
}
