//! Logging in, and what the source says when it cannot.

use super::*;

const LOGGED_IN: &str = r#"{"auth":{"client_token":"s.new","lease_duration":60,"renewable":true}}"#;

async fn refused(reply: Reply) -> SourceFault {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(vec![reply]).await;
    let vault = Vault::new(&config(&server.address(), approle(directory.path()))).unwrap();
    let fault = vault.log_in().await.unwrap_err();
    let shown = format!("{fault} {fault:?} {vault:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    assert_eq!(vault.renew().await, Err(SourceFault::Forbidden), "no token is kept");
    fault
}

/// The fault of a token file with this content, after which nothing may have been sent.
async fn unusable(content: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, content).unwrap();
    let server = Server::start(vec![Reply::Silence]).await;
    let vault = Vault::new(&config(&server.address(), Auth::TokenFile(file))).unwrap();
    let SourceFault::LoginFile(words) = vault.log_in().await.unwrap_err() else {
        panic!("another fault");
    };
    assert!(server.requests().is_empty());
    assert!(words.contains("/token"), "{words}");
    assert!(!words.contains(CANARY), "{words}");
    words
}

#[tokio::test]
async fn approle_sends_both_files_without_a_token_and_uses_the_token_it_gets() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::new("200 OK", LOGGED_IN), Reply::new("204 No Content", "")]).await;
    let vault = Vault::new(&config(&server.address(), approle(directory.path()))).unwrap();
    let lease = vault.log_in().await.unwrap();
    assert_eq!(lease, Lease { duration: Duration::from_secs(60), renewable: true });
    vault.revoke().await;
    vault.revoke().await;

    let requests = server.requests();
    assert_eq!(requests[0].line(), "POST /v1/auth/team/approle/login HTTP/1.1");
    assert_eq!(requests[0].body, format!(r#"{{"role_id":"the-role","secret_id":"{CANARY}"}}"#));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!(requests[0].header("x-vault-token"), None);
    assert_eq!(requests[1].line(), "POST /v1/auth/token/revoke-self HTTP/1.1");
    assert_eq!(requests[1].header("x-vault-token"), Some("s.new"));
    assert_eq!(requests.len(), 2, "a token is revoked once");
    assert_eq!(vault.renew().await, Err(SourceFault::Forbidden), "and forgotten");
}

#[tokio::test]
async fn a_time_that_no_clock_can_count_is_a_hundred_years() {
    const HUNDRED_YEARS: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let longest = |renewable| Lease { duration: HUNDRED_YEARS, renewable };
    let looked_up = r#"{"data":{"ttl":18446744073709551615,"renewable":true}}"#;
    let renewed = r#"{"auth":{"lease_duration":18446744073709551615,"renewable":false}}"#;
    let replies = vec![
        Reply::new("200 OK", looked_up),
        Reply::new("200 OK", renewed),
        Reply::with_header("503 Unavailable", "Retry-After: 18446744073709551615", ""),
    ];
    let server = Server::start(replies).await;
    let vault = Vault::new(&config(&server.address(), given())).unwrap();
    assert_eq!(vault.log_in().await, Ok(longest(true)));
    assert_eq!(vault.renew().await, Ok(longest(false)));
    assert_eq!(vault.renew().await, Err(SourceFault::Busy { status: 503, pause: HUNDRED_YEARS }));
}

#[tokio::test]
async fn a_failed_log_in_leaves_the_token_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let replies = [("200 OK", LOGGED_IN), ("500 Oops", ""), ("200 OK", LOGGED_IN)];
    let server = Server::start(replies.map(|(status, body)| Reply::new(status, body)).into()).await;
    let vault = Vault::new(&config(&server.address(), approle(directory.path()))).unwrap();
    vault.log_in().await.unwrap();
    assert_eq!(vault.log_in().await, Err(SourceFault::Unavailable { status: 500 }));
    vault.renew().await.unwrap();
    assert_eq!(server.requests()[2].header("x-vault-token"), Some("s.new"));
}

#[tokio::test]
async fn a_refusal_is_quoted_in_bounds() {
    let fault =
        refused(Reply::new("400 Bad Request", r#"{"errors":["invalid\u001b[31m role","or secret ID"]}"#))
            .await;
    let message = "invalid [31m role; or secret ID".to_owned();
    assert_eq!(fault, SourceFault::LoginRefused { status: 400, message });

    let long = format!(r#"{{"errors":["{}"]}}"#, "ä".repeat(5000));
    let SourceFault::LoginRefused { message, .. } = refused(Reply::new("403 Forbidden", &long)).await else {
        panic!("another fault");
    };
    assert_eq!(message, "ä".repeat(200));
}

#[tokio::test]
async fn a_refusal_that_repeats_the_secret_id_is_not_quoted() {
    let echo = format!(r#"{{"errors":["bad secret_id {CANARY}"]}}"#);
    assert!(matches!(refused(Reply::new("400 Bad Request", &echo)).await, SourceFault::LoginRefused { .. }));
    assert!(matches!(refused(Reply::new("400 Bad Request", CANARY)).await, SourceFault::Malformed(_)));
}

#[tokio::test]
async fn a_log_in_without_a_usable_token_is_malformed() {
    let bodies = [
        "{}",
        r#"{"auth":null}"#,
        r#"{"auth":{"client_token":"","lease_duration":0,"mfa_requirement":{}}}"#,
        r#"{"auth":{"client_token":"c0ffee-canary\r\nX-Evil: 1","lease_duration":60}}"#,
        r#"{"auth":{"client_token":"c0ffee-canary"}}"#,
    ];
    for body in bodies {
        let fault = refused(Reply::new("200 OK", body)).await;
        assert!(matches!(fault, SourceFault::Malformed(_)), "{body}: {fault:?}");
    }
}

#[tokio::test]
async fn a_token_file_is_read_without_its_newline_and_read_anew() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let server = Server::start(vec![Reply::new("200 OK", LOOKED_UP)]).await;
    let vault = Vault::new(&config(&server.address(), Auth::TokenFile(file.clone()))).unwrap();
    for token in ["s.one", "s.two"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        vault.log_in().await.unwrap();
    }
    vault.revoke().await;
    let requests = server.requests();
    assert_eq!(requests.len(), 2, "a token that was given to us is not revoked");
    assert_eq!(requests[0].line(), "GET /v1/auth/token/lookup-self HTTP/1.1");
    assert_eq!(requests[0].header("x-vault-token"), Some("s.one"));
    assert_eq!(requests[1].header("x-vault-token"), Some("s.two"));
}

#[tokio::test]
async fn a_file_that_cannot_be_a_token_is_refused_and_named() {
    assert!(unusable(b"c0ffee-canary\r\nX-Evil: 1\n").await.contains("control character"));
    assert!(unusable(b"c0ffee-canary\x00").await.contains("control character"));
    assert!(unusable("c0ffee-canary ü".as_bytes()).await.contains("no token has"));
    assert!(unusable(b"token: c0ffee-canary").await.contains("no token has"));
    assert!(unusable(b" \n").await.contains("empty"));
    assert!(unusable(b"c0ffee-canary\xff").await.contains("UTF-8"));
    assert!(unusable(&vec![b'x'; 65 * 1024]).await.contains("larger than 65536 bytes"));
}

#[tokio::test]
async fn a_missing_file_and_a_directory_are_said_to_be_that() {
    let directory = tempfile::tempdir().unwrap();
    let cases =
        [(directory.path().join("token"), "does not exist"), (directory.path().into(), "regular file")];
    for (path, expected) in cases {
        let vault = Vault::new(&config("http://127.0.0.1:1", Auth::TokenFile(path))).unwrap();
        let words = vault.log_in().await.unwrap_err().to_string();
        assert!(words.contains(expected), "{words}");
    }
}

#[tokio::test]
async fn a_dead_token_that_was_given_to_us_is_a_refused_log_in() {
    let server =
        Server::start(vec![Reply::new("403 Forbidden", r#"{"errors":["permission denied"]}"#)]).await;
    let fault = Vault::new(&config(&server.address(), given())).unwrap().log_in().await.unwrap_err();
    let SourceFault::LoginRefused { status: 403, message } = fault else {
        panic!("{fault:?}");
    };
    assert!(message.starts_with("the token from BAO_TOKEN or VAULT_TOKEN is dead"), "{message}");
}

#[tokio::test]
async fn a_token_in_its_last_second_is_not_taken_for_an_eternal_one() {
    let cases = [
        (r#"{"data":{"ttl":0,"expire_time":"2026-01-01T00:00:00Z","renewable":true}}"#, 1),
        (r#"{"data":{"ttl":0,"expire_time":null}}"#, 0),
        (r#"{"data":{"ttl":59}}"#, 59),
    ];
    for (body, seconds) in cases {
        let server = Server::start(vec![Reply::new("200 OK", body)]).await;
        let lease = Vault::new(&config(&server.address(), given())).unwrap().log_in().await.unwrap();
        assert_eq!(lease.duration, Duration::from_secs(seconds), "{body}");
    }
}

#[test]
fn what_cannot_be_connected_with_is_refused_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "nothing\n").unwrap();
    let build = |address: &str, tls: Tls| {
        let mut config = config(address, given());
        config.tls = tls;
        Vault::new(&config).map(|vault| vault.address().to_owned())
    };
    let https = |tls: Tls| build("https://vault.example:8200", tls).unwrap_err();

    let missing = directory.path().join("missing.pem");
    let fault = https(Tls { ca_file: Some(missing.clone()), ..Tls::default() });
    assert!(matches!(fault, BuildError::File { path, .. } if path == missing));
    let fault = https(Tls { ca_file: Some(empty.clone()), ..Tls::default() });
    assert!(matches!(fault, BuildError::NoCertificate(path) if path == empty));
    let fault = https(Tls { ca_directory: Some(directory.path().into()), ..Tls::default() });
    assert!(matches!(fault, BuildError::NoCertificate(path) if path == directory.path()));
    let client = Some((empty.clone(), empty));
    let fault = https(Tls { client, skip_verify: true, ..Tls::default() });
    assert!(matches!(fault, BuildError::ClientCertificate { .. }));
    let server_name = Some("127.0.0.1".into());
    let fault = https(Tls { server_name, ..Tls::default() });
    assert!(matches!(fault, BuildError::ServerName));
    assert!(matches!(build("ftp://vault.example", Tls::default()), Err(BuildError::Address)));

    let unread = Tls { ca_file: Some(missing), ..Tls::default() };
    let shown = build("http://user:c0ffee-canary@127.0.0.1:8200/gateway/?c0ffee-canary#x", unread);
    assert_eq!(shown.unwrap(), "http://127.0.0.1:8200/gateway");
}
