//! What a request says, and what its answers mean.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

use super::*;
use crate::config::Method;
use crate::domain::credentials::StoreName;

/// Answers one request with this text, and returns what was asked.
async fn exchange(
    answer: &'static str,
    change: impl FnOnce(&mut HookRequest),
) -> (String, Result<String, ReloadFault>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut request = HookRequest {
        method: Method::Post,
        url: Url::parse(&format!("http://{address}/-/reload?all=1")).unwrap(),
        bearer_token_file: None,
        ca_file: None,
        expected_statuses: None,
        timeout: Duration::from_secs(20),
    };
    change(&mut request);
    let store = StoreName::parse("acme").unwrap();
    let news = News { store: &store, generation: 7, directory: std::path::Path::new("/nowhere") };
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            asked.extend(byte);
        }
        if answer.is_empty() {
            // Silence until the other side goes away.
            let _gone = stream.read(&mut [0]).await;
        }
        stream.write_all(answer.as_bytes()).await.ok();
        String::from_utf8(asked).unwrap()
    };
    tokio::join!(serve, send(&request, &news))
}

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

#[tokio::test]
async fn a_request_tells_of_store_and_generation_and_nothing_else() {
    let (asked, result) = exchange(NO_CONTENT, |_| {}).await;
    assert!(asked.starts_with("POST /-/reload?all=1 HTTP/1.1\r\n"), "{asked}");
    let lower = asked.to_ascii_lowercase();
    assert!(lower.contains("\r\nbc-secrets-sync-store: acme\r\n"), "{asked}");
    assert!(lower.contains("\r\nbc-secrets-sync-generation: 7\r\n"), "{asked}");
    assert!(!lower.contains("authorization"), "{asked}");
    assert!(result.unwrap().ends_with(" answered 204"));
    for (method, line) in [(Method::Get, "GET /"), (Method::Put, "PUT /")] {
        let (asked, _) = exchange(NO_CONTENT, |request| request.method = method).await;
        assert!(asked.starts_with(line), "{asked}");
    }
}

#[tokio::test]
async fn the_token_is_read_for_each_request_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    for token in ["first-token", "second-token"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        let (asked, result) =
            exchange(NO_CONTENT, |request| request.bearer_token_file = Some(file.clone())).await;
        assert!(asked.contains(&format!(": Bearer {token}\r\n")), "{asked}");
        assert!(!result.unwrap().contains(token));
    }
    let store = StoreName::parse("acme").unwrap();
    let news = News { store: &store, generation: 7, directory: std::path::Path::new("/nowhere") };
    for content in ["tok\u{7f}en-secret", "token\nsecret"] {
        std::fs::write(&file, content).unwrap();
        let request = HookRequest {
            method: Method::Post,
            url: Url::parse("http://127.0.0.1:1/").unwrap(),
            bearer_token_file: Some(file.clone()),
            ca_file: None,
            expected_statuses: None,
            timeout: Duration::from_secs(20),
        };
        let fault = send(&request, &news).await.unwrap_err();
        assert!(fault.reason.starts_with("cannot use bearer_token_file"), "{fault}");
        assert!(!format!("{fault:?}").contains("secret-"), "{fault}");
        assert!(fault.reason.contains("in one line"), "{fault}");
    }
}

#[tokio::test]
async fn only_the_expected_statuses_mean_that_the_app_was_told() {
    let created = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
    let moved = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/token\r\ncontent-length: 0\r\n\r\n";
    let broken = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 6\r\n\r\nsecret";
    assert!(exchange(created, |_| {}).await.1.is_ok());
    let fault = exchange(created, |request| request.expected_statuses = Some(vec![200, 204])).await.1;
    assert!(fault.unwrap_err().reason.ends_with(" answered 201"));
    assert!(exchange(moved, |request| request.expected_statuses = Some(vec![302])).await.1.is_ok());
    let fault = exchange(moved, |_| {}).await.1.unwrap_err();
    assert!(fault.reason.contains("answered 302: redirects are not followed"), "{fault}");
    assert!(!fault.reason.contains("token"), "{fault}");
    let fault = exchange(broken, |_| {}).await.1.unwrap_err();
    assert!(fault.reason.ends_with(" answered 500") && fault.output.is_empty(), "{fault:?}");
    let denied = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
    let fault = exchange(denied, |_| {}).await.1.unwrap_err();
    assert!(fault.reason.contains("name its file in bearer_token_file"), "{fault}");
}

#[tokio::test]
async fn an_app_that_does_not_answer_is_left_when_the_time_is_up() {
    let (_, result) = exchange("", |request| request.timeout = Duration::from_millis(200)).await;
    let fault = result.unwrap_err();
    assert!(fault.reason.starts_with("no answer from 127.0.0.1:"), "{fault}");
    assert!(fault.reason.ends_with("within 200ms"), "{fault}");
}
