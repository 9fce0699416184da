//! `alert-test`, as somebody runs it who wants to know whether alerts arrive.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// Answers every request of a path with a status, and keeps what came: path and body.
struct Receiver {
    address: String,
    heard: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Receiver {
    fn start(status: impl Fn(&str) -> &'static str + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let keep = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut path, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(rest) = line.strip_prefix("POST ") {
                        path = rest.split(' ').next().unwrap().to_owned();
                    }
                    if let Some(value) = line.strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                keep.lock().unwrap().push((path.clone(), serde_json::from_slice(&body).unwrap()));
                write!(stream, "HTTP/1.1 {}\r\ncontent-length: 0\r\n\r\n", status(&path)).unwrap();
            }
        });
        Self { address, heard }
    }

    fn heard(&self, path: &str) -> Vec<Value> {
        let heard = self.heard.lock().unwrap();
        heard.iter().filter(|(to, _)| to == path).map(|(_, body)| body.clone()).collect()
    }
}

/// A configuration with every channel, all of which lead to the receiver or into the directory.
fn configure(directory: &Path, address: &str) {
    let root = directory.display();
    let write = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    write("token", "t0ken");
    write("whsec", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    write("slack", &format!("http://{address}/slack/T0PS3CRET\n"));
    write("pagerduty", "PDS3CRET0123456789");
    write("kubernetes", "K8S3CRET.token");
    write(
        "config.toml",
        &format!(
            r#"
[vault]
address = "https://vault.example"
[vault.auth.token_file]
path = "{root}/token"
[output]
directory = "{root}/output"
[state]
directory = "{root}/state"
[alerts.webhook]
url = "http://{address}/webhook"
signing_secret_file = "{root}/whsec"
severity = "critical"
stores = ["no-such-store"]
[alerts.slack]
url_file = "{root}/slack"
[alerts.pagerduty]
url = "http://{address}/v2/enqueue"
routing_key_file = "{root}/pagerduty"
[alerts.alertmanager]
urls = ["http://{address}"]
[alerts.kubernetes]
url = "http://{address}"
namespace = "shop"
token_file = "{root}/kubernetes"
regarding = {{ name = "shop-sync-0" }}
[alerts.command]
argv = ["/bin/sh", "-c", "cat >> {root}/told; echo >> {root}/told"]
[[stores]]
name = "one"
path = "stores/one"
"#
        ),
    );
}

fn alert_test(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bc-secrets-sync"))
        .args(["alert-test", "--config"])
        .arg(directory.join("config.toml"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn every_channel_gets_a_test_that_says_so_whatever_its_route() {
    let place = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_| "200 OK");
    configure(place.path(), &receiver.address);
    let output = alert_test(place.path(), &[]);
    assert_eq!(
        text(&output.stdout),
        "\
CHANNEL       RESULT     DETAIL
webhook       delivered  the test and its end were taken
slack         delivered  the test was taken
pagerduty     delivered  the test and its end were taken
alertmanager  delivered  the test was taken
kubernetes    delivered  the test was taken
command       delivered  the test and its end were taken
"
    );
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let title = "this is a test of the alerts, nothing is wrong";
    let webhook = receiver.heard("/webhook");
    assert_eq!((webhook.len(), &webhook[0]["data"]["title"]), (2, &title.into()));
    assert_eq!(webhook[1]["data"]["resolution"], "test_over");
    let slack = receiver.heard("/slack/T0PS3CRET");
    assert_eq!((slack.len(), &slack[0]["text"]), (1, &format!("test: {title}").into()));
    let pagerduty = receiver.heard("/v2/enqueue");
    let actions: Vec<&Value> = pagerduty.iter().map(|event| &event["event_action"]).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    assert_eq!(pagerduty[0]["dedup_key"], pagerduty[1]["dedup_key"]);
    assert_eq!(pagerduty[0]["payload"]["class"], "test");
    let alertmanager = receiver.heard("/api/v2/alerts");
    assert_eq!(
        (alertmanager.len(), &alertmanager[0][0]["labels"]["alertname"]),
        (1, &"BcSecretsSyncTest".into())
    );
    let events = receiver.heard("/apis/events.k8s.io/v1/namespaces/shop/events");
    assert_eq!(
        (events.len(), &events[0]["reason"], &events[0]["type"]),
        (1, &"Test".into(), &"Warning".into())
    );
    let told = std::fs::read_to_string(place.path().join("told")).unwrap();
    let kinds: Vec<Value> =
        told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone()).collect();
    assert_eq!(kinds, ["bc_secrets_sync.incident.opened", "bc_secrets_sync.incident.resolved"]);
    assert!(!place.path().join("state").exists(), "the state was touched");
}

#[test]
fn what_fails_is_said_without_secrets_and_the_others_are_tried_all_the_same() {
    let place = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|path| match path {
        "/slack/T0PS3CRET" => "404 Not Found",
        "/v2/enqueue" => "400 Bad Request",
        "/apis/events.k8s.io/v1/namespaces/shop/events" => "403 Forbidden",
        _ => "200 OK",
    });
    configure(place.path(), &receiver.address);
    let output = alert_test(place.path(), &[]);
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(16), "{told}");
    let host = &receiver.address;
    assert!(
        told.contains(&format!("slack         failed     {host} answered 404: check alerts.slack.url_file")),
        "{told}"
    );
    assert!(
        told.contains(&format!("pagerduty     failed     {host} answered 400: check that alerts.pagerduty")),
        "{told}"
    );
    assert!(
        told.contains(&format!("kubernetes    failed     {host} answered 403: the service account may not")),
        "{told}"
    );
    assert_eq!(told.matches("delivered").count(), 3, "{told}");
    assert!(!told.contains("S3CRET") && !text(&output.stderr).contains("S3CRET"), "{told}");
}

#[test]
fn one_channel_can_be_tested_alone_and_one_that_is_not_there_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(|_| "200 OK");
    configure(place.path(), &receiver.address);
    let output = alert_test(place.path(), &["--channel", "slack"]);
    assert_eq!((output.status.code(), text(&output.stdout).lines().count()), (Some(0), 2));
    assert_eq!(receiver.heard.lock().unwrap().len(), 1);

    let output = alert_test(place.path(), &["--channel", "pager"]);
    assert_eq!(output.status.code(), Some(2));
    let words = text(&output.stderr);
    assert!(
        words.contains("configured: webhook, slack, pagerduty, alertmanager, kubernetes, command"),
        "{words}"
    );

    let config = std::fs::read_to_string(place.path().join("config.toml")).unwrap();
    let (before, rest) = config.split_once("[alerts.webhook]").unwrap();
    let (_, stores) = rest.split_once("[[stores]]").unwrap();
    std::fs::write(place.path().join("config.toml"), format!("{before}[[stores]]{stores}")).unwrap();
    let output = alert_test(place.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no channel is configured"), "{}", text(&output.stderr));
}
