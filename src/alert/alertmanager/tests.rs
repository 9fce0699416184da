//! What an Alertmanager is told, when it is told again, and how an end is told.

use std::net::TcpListener;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::time::advance;

use super::super::delivery::DeliveryEvent;
use super::super::ledger::{Change, Ledger};
use super::super::receiver::{NOW, Receiver, Request, message};
use super::*;
use crate::domain::incident::Severity;
use crate::domain::routing::{Route, StorePattern};
use crate::domain::time::{Instant, Now};

const MINUTE: Duration = Duration::from_secs(60);

fn config(urls: &[String]) -> config::Alertmanager {
    config::Alertmanager {
        urls: urls.iter().map(|url| url.parse().unwrap()).collect(),
        resend_interval: MINUTE,
        instance: Some("one".to_owned()),
        timeout: Duration::from_secs(10),
        ca_file: None,
        route: Route::everything(),
    }
}

fn url(receiver: &Receiver) -> String {
    format!("http://{}", receiver.address)
}

fn alerts(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[tokio::test]
async fn an_alert_arrives_with_labels_annotations_and_times() {
    let mut receiver = Receiver::start(&[]);
    let alertmanager = Alertmanager::new(&config(&[url(&receiver) + "/base/"])).unwrap();
    alertmanager.deliver(&message("acme", 1, MessageKind::Opened), NOW).await.unwrap();
    let request = receiver.requests.recv().await.unwrap();
    assert_eq!(request.line, "POST /base/api/v2/alerts HTTP/1.1");
    assert_eq!(
        alerts(&request),
        json!([{
            "labels": {
                "alertname": "BcSecretsSyncRegeneratedOrRevoked",
                "store": "acme",
                "cause": "regenerated_or_revoked",
                "severity": "critical",
                "instance": "one",
            },
            "annotations": {
                "summary": "acme: API token regenerated or revoked",
                "evidence": "rejected 3 times in a row (HTTP 401)",
                "remedy": "Regenerate the token and write it to Vault.",
                "incident": "acme:regenerated_or_revoked:1700000000000",
            },
            "startsAt": "2023-11-14T22:13:20.000Z",
            "endsAt": "2023-11-14T22:20:23.456Z",
        }])
    );
}

#[tokio::test]
async fn every_member_of_a_cluster_must_take_it() {
    let mut good = Receiver::start(&[]);
    let mut bad = Receiver::start(&["503 Service Unavailable\r\nretry-after: 7\r\n"]);
    let alertmanager = Alertmanager::new(&config(&[url(&good), url(&bad)])).unwrap();
    let opened = message("acme", 1, MessageKind::Opened);
    let fault = alertmanager.deliver(&opened, NOW).await.unwrap_err();
    assert_eq!(fault.to_string(), format!("{} answered 503", bad.address));
    assert_eq!((fault.is_passing(), fault.asked_wait()), (true, Some(Duration::from_secs(7))));
    alertmanager.deliver(&opened, NOW).await.unwrap();
    for receiver in [&mut good, &mut bad] {
        let [first, second] = [receiver.requests.recv().await, receiver.requests.recv().await];
        assert_eq!(alerts(&first.unwrap()), alerts(&second.unwrap()));
    }
}

#[test]
fn an_alert_never_ends_before_it_starts() {
    let alertmanager = Alertmanager::new(&config(&["http://127.0.0.1:1".to_owned()])).unwrap();
    let alert = alertmanager.alert(&message("acme", 1, MessageKind::Opened).incident);
    let early = Timestamp::from_millis(5);
    let alert = alert.until(early);
    assert_eq!((alert.starts_at, alert.ends_at), (early, early));
}

/// An upkeep under a paused clock, and what it reports.
struct Bench {
    ledger: Ledger,
    events: mpsc::Receiver<DeliveryEvent>,
    _stop: oneshot::Sender<()>,
    _directory: TempDir,
}

impl Bench {
    fn start(urls: &[String], route: Route, first: &[Message]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(directory.path(), &[], NOW).unwrap();
        let (sender, events) = mpsc::channel(64);
        let (stop, stopped) = oneshot::channel();
        let began = tokio::time::Instant::now();
        let upkeep = Upkeep {
            name: "alertmanager",
            alertmanager: Alertmanager::new(&config(urls)).unwrap(),
            route,
            ledger: ledger.clone(),
            events: sender,
            clock: move || {
                let passed = began.elapsed();
                Now { instant: Instant::default().plus(passed), wall: NOW.plus(passed) }
            },
        };
        let bench = Self { ledger, events, _stop: stop, _directory: directory };
        bench.record(first);
        tokio::spawn(async move { upkeep.run(async { drop(stopped.await) }).await });
        bench
    }

    fn record(&self, messages: &[Message]) {
        let changes: Vec<_> = messages.iter().cloned().map(Into::into).collect();
        self.ledger.record(&changes).unwrap();
    }

    /// What the receiver was told, once that it was is known here.
    async fn told(&mut self, receiver: &mut Receiver) -> Vec<(String, u64)> {
        let request = receiver.requests.recv().await.unwrap();
        self.events.recv().await.unwrap();
        // Lets the upkeep go to sleep before the clock moves.
        tokio::task::yield_now().await;
        let alerts = alerts(&request);
        let alerts = alerts.as_array().unwrap().iter();
        alerts
            .map(|alert| {
                let label = |name: &str| alert["labels"][name].as_str().unwrap_or("-").to_owned();
                let ends_at = Timestamp::parse(alert["endsAt"].as_str().unwrap()).unwrap();
                let ends_in = ends_at.as_millis() as i64 - NOW.as_millis() as i64;
                (format!("{} {}", label("store"), label("severity")), (ends_in / 1000) as u64)
            })
            .collect()
    }
}

fn critical(store: &str, ends_in: u64) -> (String, u64) {
    (format!("{store} critical"), ends_in)
}

#[tokio::test(start_paused = true)]
async fn an_open_alert_is_sent_again_before_it_expires_and_its_end_for_five_minutes() {
    let mut receiver = Receiver::start(&[]);
    let opened = message("acme", 1, MessageKind::Opened);
    let mut bench = Bench::start(&[url(&receiver)], Route::everything(), &[opened]);
    for minute in 0..3 {
        assert_eq!(bench.told(&mut receiver).await, [critical("acme", 60 * minute + 240)]);
        advance(MINUTE).await;
    }
    assert_eq!(bench.told(&mut receiver).await, [critical("acme", 420)]);
    // A change is told at once.
    bench.record(&[message("acme", 2, MessageKind::Resolved), message("other", 1, MessageKind::Opened)]);
    assert_eq!(bench.told(&mut receiver).await, [critical("other", 420), critical("acme", 180)]);
    for minute in 4..8 {
        advance(MINUTE).await;
        let told = bench.told(&mut receiver).await;
        assert_eq!(told, [critical("other", 60 * minute + 240), critical("acme", 180)]);
    }
    advance(MINUTE).await;
    assert_eq!(bench.told(&mut receiver).await, [critical("other", 720)]);
    // An incident that opens again is open and nothing else.
    bench.record(&[message("other", 2, MessageKind::Resolved)]);
    assert_eq!(bench.told(&mut receiver).await, [critical("other", 480)]);
    bench.record(&[message("other", 1, MessageKind::Opened), message("other", 3, MessageKind::Opened)]);
    assert_eq!(bench.told(&mut receiver).await, [critical("other", 720)]);
}

#[tokio::test(start_paused = true)]
async fn a_silenced_incident_stays_open_here() {
    let mut receiver = Receiver::start(&[]);
    let opened = message("acme", 1, MessageKind::Opened);
    let mut bench = Bench::start(&[url(&receiver)], Route::everything(), std::slice::from_ref(&opened));
    assert_eq!(bench.told(&mut receiver).await, [critical("acme", 240)]);
    let incident = Incident { silenced_until: Some(NOW.plus(60 * MINUTE)), ..opened.incident };
    bench.ledger.record(&[Change::Open { incident, message: None }]).unwrap();
    for minute in 1..10 {
        advance(MINUTE).await;
        assert_eq!(bench.told(&mut receiver).await, [critical("acme", 60 * minute + 240)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_severity_ends_one_alert_and_begins_another() {
    let mut receiver = Receiver::start(&[]);
    let opened = message("acme", 1, MessageKind::Opened);
    let mut worse = message("acme", 2, MessageKind::Reminder);
    worse.incident.severity = Severity::Warning;
    let mut bench = Bench::start(&[url(&receiver)], Route::everything(), &[opened]);
    assert_eq!(bench.told(&mut receiver).await, [critical("acme", 240)]);
    bench.record(&[worse]);
    assert_eq!(bench.told(&mut receiver).await, [("acme warning".to_owned(), 240), critical("acme", 0)]);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_routed_to_it_is_told() {
    let mut receiver = Receiver::start(&[]);
    let route = Route { severity: Severity::Critical, stores: vec![StorePattern::parse("a*").unwrap()] };
    let [acme, other] = ["acme", "other"].map(|store| message(store, 1, MessageKind::Opened));
    let mut bench = Bench::start(&[url(&receiver)], route, &[other, acme]);
    assert_eq!(bench.told(&mut receiver).await, [critical("acme", 240)]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_soon_and_never_later_than_the_interval() {
    let busy = "503 Busy\r\nretry-after: 1800\r\n";
    let mut receiver = Receiver::start(&["500 Broken\r\n", "400 Bad\r\n", busy]);
    let opened = message("acme", 1, MessageKind::Opened);
    let mut bench = Bench::start(&[url(&receiver)], Route::everything(), &[opened]);
    for (attempt, least, most) in [(1, 750, 1000), (2, 1500, 2000), (3, 60_000, 60_000)] {
        receiver.requests.recv().await.unwrap();
        let failure = bench.events.recv().await.unwrap().result.unwrap_err();
        let wait = failure.wait.unwrap();
        assert_eq!(failure.attempt, attempt);
        assert!((least..=most).contains(&wait.as_millis()), "{wait:?}");
        tokio::task::yield_now().await;
        advance(wait).await;
    }
    assert_eq!(bench.told(&mut receiver).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_silent_does_not_keep_the_others_from_hearing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let mut receiver = Receiver::start(&[]);
    let opened = message("acme", 1, MessageKind::Opened);
    let bench = Bench::start(&[silent, url(&receiver)], Route::everything(), &[opened]);
    assert_eq!(alerts(&receiver.requests.recv().await.unwrap()).as_array().unwrap().len(), 1);
    drop(bench);
}
