//! Which version of KV a mount is, and what secrets look like, at servers that misbehave.

use tokio::task::JoinSet;

use super::*;
use crate::domain::credentials::{FieldNames, FieldProblem};

const SECRET: &str = r#"{"data":{"data":{"username":"u"},"metadata":{"version":3}}}"#;
const NEVER: &str = r#"{"errors":[]}"#;

fn described(version: &str) -> Reply {
    let body = format!(r#"{{"data":{{"type":"kv","options":{{"version":"{version}"}},"path":"secret/"}}}}"#);
    Reply::new("200 OK", &body)
}

/// A source that has logged in, at a server that answers so one after the other.
async fn logged_in_to(replies: Vec<Reply>) -> (Vault, Server) {
    let first = std::iter::once(Reply::new("200 OK", LOOKED_UP));
    let server = Server::start(first.chain(replies).collect()).await;
    let vault = Vault::new(&config(&server.address(), given())).unwrap();
    vault.log_in().await.unwrap();
    (vault, server)
}

/// What several reads at once come to.
async fn at_once(vault: &Vault, count: usize) -> Vec<Result<Option<u64>, SourceFault>> {
    let mut reads = JoinSet::new();
    for _ in 0..count {
        let vault = vault.clone();
        reads.spawn(async move {
            let secret = vault.read(&SecretLocation::new("secret", "stores/a")).await?;
            Ok(secret.version.number())
        });
    }
    reads.join_all().await
}

/// How often the mount was asked, and how often a secret.
fn asked(server: &Server) -> (usize, usize) {
    let requests = server.requests();
    let beginning = |text: &str| requests.iter().filter(|request| request.line().starts_with(text)).count();
    (beginning("GET /v1/sys/internal/ui/mounts/secret HTTP"), beginning("GET /v1/secret/"))
}

#[tokio::test]
async fn a_mount_is_asked_once_however_many_secrets_are_read() {
    let (vault, server) = logged_in_to(vec![described("2"), Reply::new("200 OK", SECRET)]).await;
    assert_eq!(at_once(&vault, 8).await, vec![Ok(Some(3)); 8]);
    assert_eq!(at_once(&vault, 8).await, vec![Ok(Some(3)); 8]);
    assert_eq!(asked(&server), (1, 16));
    assert_eq!(vault.kv_version("/secret/"), Some(KvVersion::Two));
}

#[tokio::test]
async fn a_mount_whose_version_is_given_is_not_asked() {
    let (vault, server) = logged_in_to(vec![Reply::new("404 Not Found", NEVER)]).await;
    for _ in 0..3 {
        assert_eq!(vault.read(&at("secret", "a")).await.unwrap_err(), SourceFault::NeverWritten);
    }
    assert_eq!(asked(&server), (0, 3));
}

#[tokio::test]
async fn secrets_that_are_not_there_make_no_flood_of_questions() {
    let never = || Reply::new("404 Not Found", NEVER);
    let (vault, server) = logged_in_to(vec![described("2"), never(), described("2"), never()]).await;
    for _ in 0..5 {
        assert_eq!(at_once(&vault, 1).await, [Err(SourceFault::NeverWritten)]);
    }
    assert_eq!(at_once(&vault, 8).await, vec![Err(SourceFault::NeverWritten); 8]);
    assert_eq!(asked(&server), (2, 13), "once at first, and once because of a doubt");
}

#[tokio::test]
async fn a_mount_that_became_another_version_is_read_as_that_at_once() {
    let invalid = r#"{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine."]}"#;
    let replies = vec![
        described("1"),
        Reply::new("404 Not Found", invalid),
        described("2"),
        Reply::new("200 OK", SECRET),
    ];
    let (vault, server) = logged_in_to(replies).await;
    assert_eq!(at_once(&vault, 1).await, [Ok(Some(3))]);
    assert_eq!(asked(&server), (2, 2));
    assert_eq!(at_once(&vault, 1).await, [Ok(Some(3))]);
    assert_eq!(asked(&server), (2, 3));
}

#[tokio::test]
async fn reads_that_come_together_share_the_answer_that_the_mount_cannot_be_asked() {
    let sealed = Reply::new("503 Unavailable", r#"{"errors":["Vault is sealed"]}"#);
    let (vault, server) = logged_in_to(vec![sealed, described("2"), Reply::new("200 OK", SECRET)]).await;
    assert_eq!(at_once(&vault, 8).await, vec![Err(SourceFault::Sealed); 8]);
    assert_eq!(asked(&server), (1, 0));
    assert_eq!(vault.kv_version("secret"), None);
    assert_eq!(at_once(&vault, 1).await, [Ok(Some(3))]);
}

#[tokio::test]
async fn an_answer_about_a_mount_that_is_none_is_said_to_be_none() {
    let described = |data: &str| Reply::new("200 OK", &format!(r#"{{"data":{data}}}"#));
    let html = format!("<html>{CANARY}</html>");
    let cases = [
        (Reply::new("200 OK", &html), "check vault.address"),
        (Reply::new("404 Not Found", &html), "give it as kv_version"),
        (Reply::new("405 Not Allowed", &html), "give it as kv_version"),
        (Reply::new("200 OK", &"x".repeat(10 * 1024 * 1024)), "more than 1048576 bytes"),
        (described(&format!(r#"{{"type":"{CANARY}","options":null,"path":"secret/"}}"#)), "is no KV engine"),
        (described(r#"{"type":"kv","options":{"version":"3"},"path":"secret/"}"#), "of version 1 or 2"),
        (described(&format!(r#"{{"type":"kv","options":{{}},"path":"{CANARY}/"}}"#)), "a path below one"),
        (described(r#"{"type":"kv","options":[],"path":"secret/"}"#), "check vault.address"),
    ];
    for (reply, words) in cases {
        let (vault, _server) = logged_in_to(vec![reply]).await;
        let fault = vault.read(&SecretLocation::new("secret", "a")).await.unwrap_err();
        let shown = format!("{fault} {fault:?}");
        assert!(shown.contains(words) && !shown.contains(CANARY), "{words}: {shown}");
    }
}

#[tokio::test]
async fn a_mount_that_says_no_version_is_the_first_one() {
    let old = Reply::new("200 OK", r#"{"data":{"type":"kv","options":null,"path":"secret/"}}"#);
    let secret = Reply::new("200 OK", r#"{"lease_duration":2764800,"data":{"username":"u"}}"#);
    let (vault, server) = logged_in_to(vec![old, secret]).await;
    assert_eq!(at_once(&vault, 1).await, [Ok(None)]);
    assert_eq!(server.requests()[2].line(), "GET /v1/secret/stores/a HTTP/1.1");
}

#[tokio::test]
async fn what_is_no_secret_of_version_1_is_said_to_be_none() {
    for (status, body) in [
        ("200 OK", r#"{"data":null}"#),
        ("200 OK", r#"{"data":["c0ffee-canary"]}"#),
        ("404 Not Found", r#"{"data":null,"warnings":["c0ffee-canary"]}"#),
        ("404 Not Found", r#"{"data":{"username":"c0ffee-canary"}}"#),
    ] {
        let (vault, _server) = logged_in(Reply::new(status, body)).await;
        let location = SecretLocation { kv_version: Some(KvVersion::One), ..SecretLocation::new("kv", "a") };
        let fault = vault.read(&location).await.unwrap_err();
        let shown = format!("{fault} {fault:?}");
        assert!(shown.contains("KV version 1") && !shown.contains(CANARY), "{body}: {shown}");
    }
}

#[tokio::test]
async fn a_pinned_version_is_asked_for_by_its_number() {
    let (vault, server) = logged_in(Reply::new("404 Not Found", NEVER)).await;
    let location = SecretLocation { pinned: Some(7), ..at("secret", "stores/a") };
    assert_eq!(vault.read(&location).await.unwrap_err(), SourceFault::NoSuchVersion(7));
    assert_eq!(server.requests()[1].line(), "GET /v1/secret/data/stores/a?version=7 HTTP/1.1");
}

#[test]
fn the_text_of_a_json_object_is_read_strictly_and_never_quoted() {
    let names = FieldNames { json_field: Some("json".into()), ..FieldNames::default() };
    let read = |text: &str| json::object(text, &names).map(|fields| fields.username);
    let deep =
        |key: &str, levels: usize| format!(r#"{{"{key}":{}0{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert_eq!(text(&read(" {\"username\" : \"\\u0075\",\n \"x\":1, \"x\":[{}]} ").unwrap()), "u");
    assert!(matches!(read("{}"), Ok(Field::Missing)));
    assert!(matches!(read(&deep("x", 5_000)), Ok(Field::Missing)));
    assert!(matches!(read(r#"{"username":{"a":[1]}}"#), Ok(Field::NotText("object"))));
    let bad = [
        "",
        "null",
        "[]",
        "\u{feff}{}",
        "{} {}",
        "{'username': 'c0ffee-canary'}",
        "{\"username\": \"c0ffee-canary",
        "{\"username\": \"c0ffee-canary\",}",
        "{\"username\": c0ffee-canary}",
        &deep("username", 5_000),
    ];
    for bad in bad {
        let error = read(bad).unwrap_err();
        assert!(matches!(error.problem, FieldProblem::NotJson { .. }), "{bad}: {error}");
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    }
    for twice in [r#"{"username":"a","username":"a"}"#, r#"{"api_path":null,"username":"a","api_path":1}"#] {
        assert_eq!(read(twice).unwrap_err().problem, FieldProblem::Twice, "{twice}");
    }
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(64 * 1024));
    assert_eq!(read(&long).unwrap_err().problem, FieldProblem::TooLongJson);
}

/// Vault knows no pages, and gives all names whatever it is asked.
#[tokio::test]
async fn as_many_names_as_a_page_has_are_all_of_a_server_without_pages() {
    let keys: Vec<String> = (0..250).map(|at| format!("store-{at:03}")).collect();
    let body = serde_json::json!({ "data": { "keys": keys } }).to_string();
    let (vault, server) = logged_in_to(vec![Reply::new("200 OK", &body)]).await;
    let folder = Folder { mount: "secret".into(), path: "stores".into() };
    let listing = vault.list(&folder, Some(KvVersion::Two), false).await.unwrap();
    assert_eq!((listing.secrets.len(), listing.requests), (250, 2));
    assert_eq!(server.requests().len(), 3);
}
