//! What PagerDuty gets, what its answers mean, and what errors do not show.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::super::receiver::{Receiver, message};
use super::*;
use crate::domain::routing::Route;

const ROUTING_KEY: &str = "c0ffee00c0ffee00c0ffee00c0ffee00";

fn pagerduty(url: &str, key: &str) -> (tempfile::TempDir, PagerDuty) {
    let directory = tempfile::tempdir().unwrap();
    let routing_key_file = directory.path().join("key");
    fs::write(&routing_key_file, key).unwrap();
    let config = config::PagerDuty {
        url: url.parse().unwrap(),
        routing_key_file,
        timeout: Duration::from_secs(10),
        ca_file: None,
        route: Route::everything(),
    };
    (directory, PagerDuty::new(&config).unwrap())
}

async fn fault_of(answer: &str) -> DeliveryFault {
    let receiver = Receiver::start(&[answer]);
    let (_directory, pagerduty) = pagerduty(&format!("http://{}/v2/enqueue", receiver.address), ROUTING_KEY);
    pagerduty.deliver(&message("acme", 1, MessageKind::Opened)).await.unwrap_err()
}

#[tokio::test]
async fn an_incident_triggers_reminds_and_resolves_under_one_key() {
    let accepted = "202 Accepted\r\n";
    let mut receiver = Receiver::start(&[accepted, accepted, accepted]);
    let url = format!("http://{}/v2/enqueue", receiver.address);
    let (_directory, pagerduty) = pagerduty(&url, &format!("{ROUTING_KEY}\n"));
    let mut bodies = Vec::new();
    for (number, kind) in [(1, MessageKind::Opened), (2, MessageKind::Reminder), (3, MessageKind::Resolved)] {
        pagerduty.deliver(&message("acme", number, kind)).await.unwrap();
        let request = receiver.requests.recv().await.unwrap();
        assert_eq!(request.line, "POST /v2/enqueue HTTP/1.1");
        bodies.push(serde_json::from_slice::<Value>(&request.body).unwrap());
    }
    assert_eq!(
        bodies[0],
        json!({
            "routing_key": ROUTING_KEY,
            "event_action": "trigger",
            "dedup_key": "acme:regenerated_or_revoked:1700000000000",
            "client": "bc-secrets-sync",
            "payload": {
                "summary": "acme: API token regenerated or revoked",
                "source": "acme",
                "severity": "critical",
                "timestamp": "2023-11-14T22:13:21.000Z",
                "component": "bc-secrets-sync",
                "class": "regenerated_or_revoked",
                "custom_details": {
                    "evidence": ["rejected 3 times in a row (HTTP 401)"],
                    "remedy": "Regenerate the token and write it to Vault.",
                    "opened_at": "2023-11-14T22:13:20.000Z",
                    "messages": 1,
                },
            },
        })
    );
    assert_eq!(
        (&bodies[1]["event_action"], &bodies[1]["dedup_key"]),
        (&json!("trigger"), &bodies[0]["dedup_key"])
    );
    assert_eq!(
        bodies[2],
        json!({
            "routing_key": ROUTING_KEY,
            "event_action": "resolve",
            "dedup_key": "acme:regenerated_or_revoked:1700000000000",
            "client": "bc-secrets-sync",
        })
    );
}

#[test]
fn a_warning_is_a_warning_and_a_long_summary_is_cut() {
    let mut warning = message(&"é".repeat(2000), 1, MessageKind::Opened);
    warning.incident.severity = Severity::Warning;
    let event = serde_json::to_value(Event::of(&warning, ROUTING_KEY)).unwrap();
    assert_eq!(event["payload"]["severity"], "warning");
    assert_eq!(event["payload"]["summary"].as_str().unwrap().chars().count(), 1024);
}

#[tokio::test]
async fn answers_are_judged_and_no_error_shows_the_key() {
    let limited = fault_of("429 Too Many Requests\r\nretry-after: 90\r\n").await;
    assert_eq!((limited.is_passing(), limited.asked_wait()), (true, Some(Duration::from_secs(90))));
    let broken = fault_of("500 Internal Server Error\r\n").await;
    assert!(broken.is_passing());
    let refused = fault_of("400 Bad Request\r\n").await;
    assert!(!refused.is_passing());
    assert!(
        refused.to_string().contains("alerts.pagerduty.routing_key_file holds the integration key"),
        "{refused}"
    );
    for fault in [limited, broken, refused] {
        assert!(!format!("{fault} {fault:?}").contains("c0ffee"), "{fault}");
    }
}

#[tokio::test]
async fn a_file_without_a_usable_key_is_told_without_its_content() {
    for (content, expected) in [(" \n", "it is empty"), ("c0ffee c0ffee", "letters and digits")] {
        let (_directory, pagerduty) = pagerduty("http://127.0.0.1:1/", content);
        let fault = pagerduty.check().unwrap_err();
        assert_eq!(pagerduty.deliver(&message("acme", 1, MessageKind::Opened)).await, Err(fault.clone()));
        assert!(fault.to_string().contains(expected) && !fault.to_string().contains("c0ffee"), "{fault}");
    }
}
