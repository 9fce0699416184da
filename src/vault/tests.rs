//! The source against servers that misbehave.

mod faults;
mod kv;
mod log_in;
mod server;
// The certificates are made by a crate that only the feature brings along.
#[cfg(feature = "demo")]
mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::*;
use crate::config::{Auth, Tls};
use crate::domain::credentials::Field;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

use self::server::{Reply, Server};

const TOKEN: &str = "s.a-token-of-the-tests";
const CANARY: &str = "c0ffee-canary";
const LOOKED_UP: &str = r#"{"data":{"ttl":60,"renewable":true,"expire_time":"2026-01-01T00:01:00Z"}}"#;

fn config(address: &str, auth: Auth) -> config::Vault {
    config::Vault {
        address: Url::parse(address).unwrap(),
        proxy: None,
        namespace: None,
        timeout: Duration::from_secs(20),
        poll_interval: Duration::from_secs(30),
        concurrency: 2,
        revoke_token_on_exit: true,
        tls: Tls::default(),
        auth,
    }
}

fn given() -> Auth {
    Auth::Token(Secret::new(TOKEN.into()))
}

fn approle(directory: &Path) -> Auth {
    let file = |name: &str, text: &str| -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    Auth::AppRole {
        mount: "team/approle".into(),
        role_id_file: file("role-id", "the-role\n"),
        secret_id_file: file("secret-id", &format!("{CANARY}\r\n")),
        wrapping_path: None,
    }
}

/// A source that has logged in with a token, at a server that answers `reply` from then on.
async fn logged_in(reply: Reply) -> (Vault, Server) {
    let server = Server::start(vec![Reply::new("200 OK", LOOKED_UP), reply]).await;
    let vault = Vault::new(&config(&server.address(), given())).unwrap();
    vault.log_in().await.unwrap();
    (vault, server)
}

/// A secret of a mount of which it is known that it is KV version 2.
fn at(mount: &str, path: &str) -> SecretLocation {
    SecretLocation { kv_version: Some(KvVersion::Two), ..SecretLocation::new(mount, path) }
}

/// What a read comes to when it is answered like that.
async fn read(reply: Reply) -> Result<SecretVersion, SourceFault> {
    let (vault, _server) = logged_in(reply).await;
    vault.read(&at("secret", "stores/a")).await
}

async fn fault(reply: Reply) -> SourceFault {
    let fault = read(reply).await.unwrap_err();
    let shown = format!("{fault} {fault:?}");
    assert!(!shown.contains(CANARY) && !shown.contains(TOKEN), "{shown}");
    fault
}

async fn malformed(reply: Reply) -> String {
    let SourceFault::Malformed(words) = fault(reply).await else {
        panic!("another fault");
    };
    words
}

async fn no_engine(reply: Reply) -> String {
    let SourceFault::NotKeyValue(words) = fault(reply).await else {
        panic!("another fault");
    };
    words
}

async fn unreachable(reply: Reply) -> String {
    let SourceFault::Unreachable(words) = fault(reply).await else {
        panic!("another fault");
    };
    words
}

fn text(field: &Field) -> &str {
    let Field::Text(secret) = field else {
        panic!("{field:?}");
    };
    secret.expose()
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_token_stays_at_home() {
    let other = Server::start(vec![Reply::new("200 OK", "{}")]).await;
    let location = format!("Location: {}/v1/secret/data/stores/a", other.address());
    let (vault, server) = logged_in(Reply::with_header("307 Temporary Redirect", &location, "")).await;
    let fault = vault.read(&at("secret", "stores/a")).await.unwrap_err();
    assert_eq!(fault, SourceFault::Unavailable { status: 307 });
    assert_eq!(server.requests()[1].header("x-vault-token"), Some(TOKEN));
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn a_request_carries_what_vault_expects_and_keeps_the_path_prefix() {
    let server = Server::start(vec![Reply::new("200 OK", LOOKED_UP), Reply::new("200 OK", "{}")]).await;
    let mut config = config(&format!("{}/gateway/vault/", server.address()), given());
    config.namespace = Some("team/a".into());
    let vault = Vault::new(&config).unwrap();
    vault.log_in().await.unwrap();
    let _fault = vault.read(&at("/kv/team/", "a b/ü%2e?#\\")).await;
    let _fault = vault.renew().await;

    let requests = server.requests();
    assert_eq!(requests[0].line(), "GET /gateway/vault/v1/auth/token/lookup-self HTTP/1.1");
    assert_eq!(requests[1].line(), "GET /gateway/vault/v1/kv/team/data/a%20b/%C3%BC%252e%3F%23%5C HTTP/1.1");
    assert_eq!(requests[2].line(), "POST /gateway/vault/v1/auth/token/renew-self HTTP/1.1");
    for request in &requests {
        assert_eq!(request.header("x-vault-token"), Some(TOKEN));
        assert_eq!(request.header("x-vault-namespace"), Some("team/a"));
        assert_eq!(request.header("x-vault-request"), Some("true"));
        let agent = request.header("user-agent").unwrap();
        assert_eq!(agent, concat!("bc-secrets-sync/", env!("CARGO_PKG_VERSION")));
    }
}

#[tokio::test]
async fn a_path_that_would_lead_elsewhere_is_not_asked_for() {
    let (vault, server) = logged_in(Reply::new("200 OK", "{}")).await;
    for path in ["", "a//b", "a/../b", ".", "a\tb"] {
        let fault = vault.read(&at("secret", path)).await.unwrap_err();
        assert!(matches!(fault, SourceFault::Malformed(_)), "{path:?}: {fault:?}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_not_taken() {
    let long = Reply::new("200 OK", &"x".repeat(10 * 1024 * 1024));
    assert!(malformed(long).await.contains("more than 1048576 bytes"));
}

#[tokio::test]
async fn an_answer_without_end_is_broken_off() {
    let heads = [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 500 Oops\r\n\r\n",
    ];
    for head in heads {
        let (vault, server) = logged_in(Reply::Endless(head.into())).await;
        let fault = vault.read(&at("secret", "a")).await.unwrap_err();
        assert!(matches!(fault, SourceFault::Malformed(_)), "{fault:?}");
        // Much of the rest is what the kernel buffers for a connection.
        assert!(server.written() < 32 * 1024 * 1024);
    }
}

#[tokio::test]
async fn a_broken_connection_is_no_answer() {
    let cut = |text: &str| Reply::Bytes(text.into());
    let body = format!("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{{\"data\":\"{CANARY}");
    assert_eq!(unreachable(cut(&body)).await, "the connection broke off");
    assert_eq!(unreachable(cut("HTTP/1.1 200 OK\r\nX-")).await, "the connection broke off");
    assert_eq!(unreachable(cut("")).await, "the connection broke off");
    assert!(unreachable(cut("SSH-2.0-OpenSSH_9.9\r\n\r\n")).await.contains("does not speak HTTP"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let server = Server::start(vec![Reply::new("200 OK", LOOKED_UP), Reply::Silence]).await;
    let mut config = config(&server.address(), given());
    config.timeout = Duration::from_millis(500);
    let vault = Vault::new(&config).unwrap();
    vault.log_in().await.unwrap();
    let asked = std::time::Instant::now();
    assert_eq!(
        vault.renew().await.unwrap_err(),
        SourceFault::Unreachable("timed out while waiting for the answer".into())
    );
    assert!(asked.elapsed() < Duration::from_secs(10), "the limit is the configured one");
}

#[tokio::test]
async fn a_server_that_cannot_be_found_is_told_apart() {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = Vault::new(&config(&format!("http://{unused}"), given())).unwrap();
    let words = refused.log_in().await.unwrap_err().to_string();
    assert!(words.ends_with("connection refused: nothing listens there"), "{words}");

    // A label longer than 63 bytes is in no name, so that no name server is asked.
    let nowhere = Vault::new(&config(&format!("http://{}.invalid", "a".repeat(64)), given())).unwrap();
    let words = nowhere.log_in().await.unwrap_err().to_string();
    assert!(words.ends_with("name of its host could not be resolved"), "{words}");
}

#[tokio::test]
async fn a_server_without_tls_at_an_https_address_is_told_apart() {
    let server = Server::start(vec![Reply::new("400 Bad Request", "")]).await;
    let mut config = config(&server.address().replace("http:", "https:"), given());
    config.tls.skip_verify = true;
    let words = Vault::new(&config).unwrap().log_in().await.unwrap_err().to_string();
    assert!(words.contains("does not speak TLS"), "{words}");
}

#[tokio::test]
async fn each_status_has_its_meaning() {
    let denied = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
    let cases = [
        (("403 Forbidden", denied), SourceFault::Forbidden),
        (("404 Not Found", r#"{"errors":[]}"#), SourceFault::NeverWritten),
        (("503 Unavailable", r#"{"errors":["Vault is sealed"]}"#), SourceFault::Sealed),
        (("503 Unavailable", "<html>"), SourceFault::Unavailable { status: 503 }),
        (("502 Bad Gateway", "<html>c0ffee-canary"), SourceFault::Unavailable { status: 502 }),
        (("500 Oops", r#"{"errors":["internal error"]}"#), SourceFault::Unavailable { status: 500 }),
        (("429 Slow Down", r#"{"errors":["rate"]}"#), SourceFault::Unavailable { status: 429 }),
        (("473 Standby", ""), SourceFault::Unavailable { status: 473 }),
    ];
    for ((status, body), expected) in cases {
        assert_eq!(fault(Reply::new(status, body)).await, expected, "{status}");
    }
}

#[tokio::test]
async fn what_is_not_vaults_is_not_taken_for_vaults() {
    for status in ["200 OK", "403 Forbidden", "404 Not Found", "418 Teapot"] {
        let words = malformed(Reply::new(status, &format!("<html>{CANARY}</html>"))).await;
        assert!(words.contains("check vault.address"), "{words}");
    }
    let unmounted =
        r#"{"errors":["no handler for route \"nothing/data/c0ffee-canary\". route entry not found."]}"#;
    assert!(no_engine(Reply::new("404 Not Found", unmounted)).await.contains("mount"));
}

#[tokio::test]
async fn a_namespace_that_is_not_there_is_named_whatever_was_asked() {
    let reply = || Reply::new("404 Not Found", r#"{"errors":["namespace not found"]}"#);
    assert!(no_engine(reply()).await.contains("correct vault.namespace"));
    let (vault, _server) = logged_in(reply()).await;
    for version in [None, Some(KvVersion::Two)] {
        let folder = Folder { mount: "kv".into(), path: String::new() };
        let listed = vault.list(&folder, version, false).await;
        assert!(matches!(listed, Err(SourceFault::NotKeyValue(words)) if words.contains("vault.namespace")));
    }

    let refused = |result: Result<Lease, SourceFault>| match result {
        Err(SourceFault::LoginRefused { status: 404, message }) => {
            message.contains("correct vault.namespace")
        }
        Err(_) | Ok(_) => false,
    };
    let directory = tempfile::tempdir().unwrap();
    let mut wrapped = approle(directory.path());
    if let Auth::AppRole { wrapping_path, .. } = &mut wrapped {
        *wrapping_path = Some("auth/approle/role/a/secret-id".into());
    }
    for auth in [given(), approle(directory.path()), wrapped] {
        let server = Server::start(vec![reply()]).await;
        let vault = Vault::new(&config(&server.address(), auth)).unwrap();
        assert!(refused(vault.log_in().await), "{:?}", server.requests());
    }
    let (vault, _server) = logged_in(reply()).await;
    assert!(refused(vault.renew().await));
}

#[tokio::test]
async fn what_is_no_secret_of_version_2_is_said_to_be_none() {
    let bodies = [
        r#"{"data":{"username":"c0ffee-canary","api_token":"c0ffee-canary"}}"#,
        r#"{"data":{"data":{"username":"c0ffee-canary"}}}"#,
        r#"{"data":{"data":["c0ffee-canary"],"metadata":{"version":1}}}"#,
        r#"{"data":{"data":{"username":"c0ffee-canary"},"metadata":{"version":"1"}}}"#,
    ];
    for body in bodies {
        let words = no_engine(Reply::new("200 OK", body)).await;
        assert!(words.contains("KV"), "{body}: {words}");
    }
}

#[tokio::test]
async fn a_secret_is_read_whatever_else_is_beside_it() {
    let body = r#"{"extra":1,"data":{"more":2,"metadata":{"version":7,"x":[]},"data":{
        "username":"first","username":"user","api_token":"tok\u0065n","api_path":7,"other":{"deep":["x"]}}}}"#;
    let secret = read(Reply::new("200 OK", body)).await.unwrap();
    assert_eq!((secret.version.number(), secret.created_at), (Some(7), None));
    let fields = secret.fields.unwrap();
    assert_eq!(text(&fields.username), "user");
    assert_eq!(text(&fields.api_token), "token");
    assert!(matches!(fields.api_path, Field::NotText("number")));

    let body = r#"{"data":{"data":{"username":null,"api_token":["a"]},
        "metadata":{"version":1,"created_time":"2026-01-01T00:00:00.5Z","deletion_time":"2099-01-01T00:00:00Z"}}}"#;
    let secret = read(Reply::new("200 OK", body)).await.unwrap();
    assert_eq!(secret.created_at, Timestamp::parse("2026-01-01T00:00:00.5Z"));
    let fields = secret.fields.unwrap();
    assert!(matches!(fields.username, Field::NotText("null")));
    assert!(matches!(fields.api_token, Field::NotText("array")));
    assert!(matches!(fields.api_path, Field::Missing));
}

#[tokio::test]
async fn nothing_is_sent_before_the_log_in() {
    let server = Server::start(vec![Reply::Silence]).await;
    let vault = Vault::new(&config(&server.address(), given())).unwrap();
    assert_eq!(vault.look_up_self().await, Err(SourceFault::Forbidden));
    assert_eq!(vault.renew().await, Err(SourceFault::Forbidden));
    vault.revoke().await;
    assert!(server.requests().is_empty());
}
