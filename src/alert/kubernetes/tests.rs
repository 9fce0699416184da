//! Which Events the API server gets, what its answers mean, and what errors do not show.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::receiver::message;
use super::*;
use crate::domain::incident::{Cause, MessageKind};
use crate::domain::routing::Route;
use crate::sandbox::authority::Authority;
use crate::sandbox::kubernetes::{Rights, SmallApiServer};

const TOKEN: &str = "eyJhbGciOi.c0ffee.sig";

/// An API server, and a channel that leads to it.
struct Bench {
    server: SmallApiServer,
    kubernetes: Kubernetes,
    directory: TempDir,
}

fn config(directory: &TempDir, url: &str) -> config::Kubernetes {
    config::Kubernetes {
        url: url.parse().unwrap(),
        namespace: "shop".to_owned(),
        regarding: config::Regarding {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: "shop-sync-0".to_owned(),
            uid: Some("6e1c4a6e".to_owned()),
        },
        instance: "shop-sync-0".to_owned(),
        token_file: directory.path().join("token"),
        ca_file: Some(directory.path().join("ca.crt")),
        timeout: Duration::from_secs(20),
        route: Route::everything(),
    }
}

impl Bench {
    async fn start() -> Self {
        let authority = Authority::new().unwrap();
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = SmallApiServer::start(any_port, &authority, "shop", TOKEN).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.crt"), authority.ca_pem()).unwrap();
        fs::write(directory.path().join("token"), format!("{TOKEN}\n")).unwrap();
        let url = format!("https://localhost:{}", server.address().port());
        let kubernetes = Kubernetes::new(&config(&directory, &url)).unwrap();
        Self { server, kubernetes, directory }
    }

    async fn deliver(&self, number: u32, kind: MessageKind) -> Result<(), DeliveryFault> {
        self.kubernetes.deliver(&message("acme", number, kind)).await
    }

    /// What becomes of a message that is answered so.
    async fn fault_of(&self, status: u16, retry_after: Option<u64>) -> DeliveryFault {
        self.server.answer_next(status, retry_after);
        self.deliver(1, MessageKind::Opened).await.unwrap_err()
    }
}

#[tokio::test]
async fn a_message_is_an_event_about_the_pod() {
    let bench = Bench::start().await;
    bench.deliver(1, MessageKind::Opened).await.unwrap();
    assert_eq!(
        bench.server.events(),
        [json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": "bc-secrets-sync.06d4d61fea70512c6b296f7494409068",
                "namespace": "shop",
                "annotations": { "bc-secrets-sync/incident": "acme:regenerated_or_revoked:1700000000000" },
            },
            "eventTime": "2023-11-14T22:13:21.000000Z",
            "type": "Warning",
            "reason": "RegeneratedOrRevoked",
            "action": "Opened",
            "note": "acme: API token regenerated or revoked. What to do: Regenerate the token and write it to \
                     Vault. Evidence: rejected 3 times in a row (HTTP 401)",
            "regarding": {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": "shop",
                "name": "shop-sync-0",
                "uid": "6e1c4a6e",
            },
            "reportingController": "bc-secrets-sync",
            "reportingInstance": "shop-sync-0",
        })]
    );
}

#[tokio::test]
async fn every_message_is_an_event_of_its_own_and_the_end_is_no_warning() {
    let bench = Bench::start().await;
    for (number, kind) in [(1, MessageKind::Opened), (2, MessageKind::Reminder), (3, MessageKind::Resolved)] {
        bench.deliver(number, kind).await.unwrap();
    }
    let events = bench.server.events();
    let words =
        |event: &Value| ["type", "action", "reason"].map(|key| event[key].as_str().unwrap().to_owned());
    assert_eq!(
        events.iter().map(words).collect::<Vec<_>>(),
        [
            ["Warning", "Opened", "RegeneratedOrRevoked"],
            ["Warning", "Reminded", "RegeneratedOrRevoked"],
            ["Normal", "Resolved", "RegeneratedOrRevoked"],
        ]
    );
    let note = events[2]["note"].as_str().unwrap();
    assert!(note.starts_with("acme: resolved: ") && !note.contains("What to do"), "{note}");
}

#[tokio::test]
async fn the_same_message_a_second_time_is_delivered_and_no_second_event() {
    let bench = Bench::start().await;
    bench.deliver(1, MessageKind::Opened).await.unwrap();
    bench.deliver(1, MessageKind::Opened).await.unwrap();
    assert_eq!((bench.server.events().len(), bench.server.requests()), (1, 2));
}

#[tokio::test]
async fn nothing_that_a_message_can_hold_is_too_much_for_an_api_server() {
    let bench = Bench::start().await;
    for cause in Cause::ALL {
        for long in ["\u{1f4a9}", "é", "x", "\n", "\""] {
            let store = format!("A_{}.", "x".repeat(60));
            let mut message = message(&store, 1, MessageKind::Opened);
            message.id = format!("{store}:{}:{long}", cause.label());
            message.incident.cause = cause;
            message.incident.evidence = vec![long.repeat(5000); 3];
            message.incident.remedy = long.repeat(700);
            bench.kubernetes.deliver(&message).await.unwrap();
        }
    }
    let events = bench.server.events();
    assert_eq!(events.len(), Cause::ALL.len() * 5);
    for note in events.iter().map(|event| event["note"].as_str().unwrap()) {
        assert!((1020..=1024).contains(&note.len()) && note.ends_with('…'), "{}: {note}", note.len());
    }
}

#[tokio::test]
async fn an_object_without_identifier_and_a_long_name_of_who_reports_are_taken_too() {
    let bench = Bench::start().await;
    let url = format!("https://localhost:{}/", bench.server.address().port());
    let mut config = config(&bench.directory, &url);
    config.regarding = config::Regarding {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        name: "d".into(),
        uid: None,
    };
    config.instance = "x".repeat(200);
    Kubernetes::new(&config).unwrap().deliver(&message("acme", 1, MessageKind::Opened)).await.unwrap();
    let event = &bench.server.events()[0];
    let regarding =
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "d" });
    assert_eq!(event["regarding"], regarding);
    assert_eq!(event["reportingInstance"].as_str().unwrap().len(), 128);
}

#[tokio::test]
async fn a_token_that_was_replaced_is_read_anew() {
    let bench = Bench::start().await;
    bench.server.set_token("new.c0ffee");
    let fault = bench.deliver(1, MessageKind::Opened).await.unwrap_err();
    assert!(fault.to_string().contains("answered 401: the API server does not know the token"), "{fault}");
    fs::write(bench.directory.path().join("token"), "new.c0ffee").unwrap();
    bench.deliver(1, MessageKind::Opened).await.unwrap();
}

#[tokio::test]
async fn a_missing_right_is_named_as_the_rule_that_would_give_it() {
    let bench = Bench::start().await;
    bench.server.set_rights(Rights::None);
    let fault = bench.deliver(1, MessageKind::Opened).await.unwrap_err();
    assert!(!fault.is_passing());
    let rule = "a Role in the namespace shop with the rule apiGroups: [\"events.k8s.io\"], \
                resources: [\"events\"], verbs: [\"create\"]";
    assert!(fault.to_string().contains(rule), "{fault}");
    bench.server.set_rights(Rights::CreateEvents);
    bench.deliver(1, MessageKind::Opened).await.unwrap();
}

#[tokio::test]
async fn answers_are_judged_and_no_error_shows_the_token() {
    let bench = Bench::start().await;
    let limited = bench.fault_of(429, Some(7)).await;
    assert_eq!((limited.is_passing(), limited.asked_wait()), (true, Some(Duration::from_secs(7))));
    let down = bench.fault_of(503, None).await;
    assert!(down.is_passing());
    let gone = bench.fault_of(404, None).await;
    assert!(gone.to_string().contains("there is a namespace shop"), "{gone}");
    let unknown = bench.fault_of(401, None).await;
    let invalid = bench.fault_of(422, None).await;
    assert!(!invalid.is_passing());
    for fault in [limited, down, gone, unknown, invalid] {
        assert!(!format!("{fault} {fault:?} {:?}", bench.kubernetes).contains("c0ffee"), "{fault}");
    }
}

#[tokio::test]
async fn a_file_without_a_usable_token_is_told_without_its_content() {
    let bench = Bench::start().await;
    let file = bench.directory.path().join("token");
    for (content, expected) in [
        (" \n", "it is empty"),
        ("c0ffee c0ffee", "more than one word"),
        ("c0ffee\u{1}", "characters that no token has"),
    ] {
        fs::write(&file, content).unwrap();
        let fault = bench.kubernetes.check().unwrap_err();
        assert_eq!(bench.deliver(1, MessageKind::Opened).await, Err(fault.clone()));
        assert!(fault.to_string().contains(expected) && !fault.to_string().contains("c0ffee"), "{fault}");
    }
    fs::remove_file(&file).unwrap();
    let fault = bench.kubernetes.check().unwrap_err().to_string();
    assert!(fault.contains("alerts.kubernetes.token_file") && fault.contains("cannot be read"), "{fault}");
    assert_eq!(bench.server.requests(), 0);
}

#[tokio::test]
async fn a_server_of_another_authority_gets_no_token() {
    let bench = Bench::start().await;
    fs::write(bench.directory.path().join("ca.crt"), Authority::new().unwrap().ca_pem()).unwrap();
    let url = format!("https://localhost:{}", bench.server.address().port());
    let kubernetes = Kubernetes::new(&config(&bench.directory, &url)).unwrap();
    let fault = kubernetes.deliver(&message("acme", 1, MessageKind::Opened)).await.unwrap_err();
    assert!(fault.to_string().contains("cannot reach localhost"), "{fault}");
    assert_eq!(bench.server.requests(), 0);
}

#[test]
fn an_address_may_have_a_path_before_the_api() {
    for (url, path) in [
        ("http://127.0.0.1:8001", "/apis/events.k8s.io/v1/namespaces/shop/events"),
        ("https://rancher.example/k8s/c-1/", "/k8s/c-1/apis/events.k8s.io/v1/namespaces/shop/events"),
    ] {
        assert_eq!(endpoint(&url.parse().unwrap(), "shop").path(), path);
    }
}
