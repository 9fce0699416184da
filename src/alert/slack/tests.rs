//! What Slack gets, what is escaped, and what errors do not show.

use std::fs;
use std::time::Duration;

use super::super::receiver::{NOW, Receiver, message};
use super::*;
use crate::domain::routing::Route;

/// A Slack whose address is `content`, and the directory with the file.
fn slack(content: &str) -> (tempfile::TempDir, Slack) {
    let directory = tempfile::tempdir().unwrap();
    let url_file = directory.path().join("slack-url");
    fs::write(&url_file, content).unwrap();
    let config = config::Slack {
        url_file,
        timeout: Duration::from_secs(10),
        ca_file: None,
        route: Route::everything(),
    };
    (directory, Slack::new(&config).unwrap())
}

fn texts(body: &Value) -> Vec<String> {
    let blocks = body["blocks"].as_array().unwrap().iter();
    let text = |block: &Value| block["text"]["text"].as_str().map(str::to_owned);
    blocks.filter_map(text).collect()
}

#[tokio::test]
async fn a_message_arrives_as_text_and_blocks() {
    let mut receiver = Receiver::start(&["200 OK\r\n"]);
    let (_directory, slack) = slack(&format!("http://{}/services/T0/B0/s3cret\n", receiver.address));
    slack.deliver(&message("acme", 1, MessageKind::Opened)).await.unwrap();

    let request = receiver.requests.recv().await.unwrap();
    assert_eq!(request.line, "POST /services/T0/B0/s3cret HTTP/1.1");
    assert_eq!(request.headers["content-type"], "application/json");
    let section = |text: &str| json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } });
    assert_eq!(
        serde_json::from_slice::<Value>(&request.body).unwrap(),
        json!({
            "text": "acme: API token regenerated or revoked",
            "blocks": [
                section(":red_circle: *acme: API token regenerated or revoked*"),
                section("*Evidence*\n• rejected 3 times in a row (HTTP 401)"),
                section("*What to do*\nRegenerate the token and write it to Vault."),
                { "type": "context", "elements": [{
                    "type": "mrkdwn",
                    "text": "critical | regenerated_or_revoked | opened 2023-11-14T22:13:20.000Z | \
                             acme:regenerated_or_revoked:1700000000000",
                }] },
            ],
        })
    );
}

#[test]
fn each_kind_of_message_looks_different() {
    let [opened, reminder, resolved] = [MessageKind::Opened, MessageKind::Reminder, MessageKind::Resolved]
        .map(|kind| texts(&body(&message("acme", 1, kind))));
    assert!(reminder[0].starts_with(":red_circle: *acme: still open since "), "{reminder:?}");
    assert!(resolved[0].starts_with(":white_check_mark: *acme: resolved: "), "{resolved:?}");
    assert_eq!((opened.len(), reminder.len(), resolved.len()), (3, 3, 1));
    let test = texts(&body(&Message::of_test(NOW)[0]));
    assert!(test[0].contains("this is a test of the alerts, nothing is wrong"), "{test:?}");
}

#[test]
fn no_text_becomes_a_link_or_calls_people() {
    let mut message = message("acme", 1, MessageKind::Opened);
    message.incident.evidence = vec!["<!channel> & <https://evil.example|here>".to_owned()];
    message.incident.remedy = "a < b > c".to_owned();
    let texts = texts(&body(&message));
    assert_eq!(texts[1], "*Evidence*\n• &lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;");
    assert_eq!(texts[2], "*What to do*\na &lt; b &gt; c");
}

#[test]
fn no_text_is_longer_than_slack_takes_and_no_escape_is_cut() {
    let mut message = message("acme", 1, MessageKind::Opened);
    message.incident.evidence = vec!["&".repeat(5000)];
    message.incident.remedy = "ü".repeat(5000);
    for text in &texts(&body(&message))[1..] {
        assert!(text.chars().count() <= 3000 && text.ends_with('…'), "{}", text.chars().count());
    }
    assert!(texts(&body(&message))[1].ends_with("&amp;…"));
}

#[test]
fn a_file_without_a_usable_address_is_told_without_its_content() {
    for (content, expected) in [
        ("\n", "it is empty"),
        ("T0/B0/c0ffee", "no address"),
        ("ftp://hooks.example/c0ffee", "https://"),
        ("http://hooks.example/c0ffee", "https://"),
    ] {
        let fault = slack(content).1.check().unwrap_err().to_string();
        assert!(fault.starts_with("cannot use the address in alerts.slack.url_file /"), "{fault}");
        assert!(fault.contains(expected) && !fault.contains("c0ffee"), "{fault}");
    }
    assert_eq!(slack("http://[::1]:9/c0ffee").1.check(), Ok(()));
}

#[tokio::test]
async fn answers_are_judged_and_no_error_shows_the_address() {
    for (answer, passing, wait, words) in [
        ("429 Too Many Requests\r\nretry-after: 30\r\n", true, Some(30), "answered 429"),
        ("500 Rollup Error\r\n", true, None, "answered 500"),
        ("404 Not Found\r\n", false, None, "answered 404: check alerts.slack.url_file"),
        ("403 Forbidden\r\n", false, None, "answered 403: check that alerts.slack.url_file holds"),
        ("302 Found\r\nlocation: /services/c0ffee\r\n", false, None, "redirects are not followed"),
    ] {
        let receiver = Receiver::start(&[answer]);
        let (_directory, slack) = slack(&format!("http://{}/services/c0ffee", receiver.address));
        let fault = slack.deliver(&message("acme", 1, MessageKind::Opened)).await.unwrap_err();
        assert_eq!((fault.is_passing(), fault.asked_wait().map(|wait| wait.as_secs())), (passing, wait));
        let shown = format!("{fault} {fault:?}");
        assert!(shown.contains(words) && !shown.contains("c0ffee"), "{shown}");
    }
    let (_directory, slack) = slack("http://127.0.0.1:1/services/c0ffee");
    let fault = slack.deliver(&message("acme", 1, MessageKind::Opened)).await.unwrap_err();
    let shown = format!("{fault} {fault:?}");
    assert!(shown.contains("cannot reach 127.0.0.1:1") && !shown.contains("c0ffee"), "{shown}");
}
