//! In what order, how often and until when messages are delivered. Time moves only when a test moves it.

use std::future::pending;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::time::advance;

use super::super::ledger::Change;
use super::super::receiver::{NOW, Receiver, message, told_everything, webhook};
use super::super::webhook::Webhook;
use super::*;

mod crashes;

type Clock = fn() -> Now;

/// One channel that sends to `url`, and what it reports.
struct Bench {
    delivery: Arc<Delivery<Clock>>,
    events: mpsc::Receiver<DeliveryEvent>,
    _secret: TempDir,
}

impl Bench {
    fn new(name: &'static str, ledger: &Ledger, url: &str) -> Self {
        let (secret, config) = webhook(url);
        let (sender, events) = mpsc::channel(16);
        let clock: Clock = || Now { wall: NOW, ..Now::default() };
        let delivery = Delivery {
            name,
            channel: Channel::Webhook(Webhook::new(&config).unwrap()),
            ledger: ledger.clone(),
            events: sender,
            clock,
        };
        Self { delivery: Arc::new(delivery), events, _secret: secret }
    }

    fn run(&self) {
        let delivery = Arc::clone(&self.delivery);
        tokio::spawn(async move { delivery.run(pending()).await });
    }

    async fn delivered(&mut self) -> String {
        let event = self.events.recv().await.unwrap();
        assert_eq!(event.result, Ok(()));
        assert_eq!(event.at, NOW);
        event.message_id
    }

    async fn failed(&mut self) -> Failure {
        self.events.recv().await.unwrap().result.unwrap_err()
    }
}

fn url(receiver: &Receiver) -> String {
    format!("http://{}/", receiver.address)
}

/// Opened, reminded and resolved, in that order.
fn story(store: &str) -> [Message; 3] {
    [
        message(store, 1, MessageKind::Opened),
        message(store, 2, MessageKind::Reminder),
        message(store, 3, MessageKind::Resolved),
    ]
}

fn ledger_with(directory: &TempDir, channels: &[&str], messages: &[Message]) -> Ledger {
    let ledger = Ledger::open(directory.path(), &told_everything(channels), NOW).unwrap();
    let changes: Vec<_> = messages.iter().cloned().map(Change::from).collect();
    ledger.record(&changes).unwrap();
    ledger
}

#[tokio::test(start_paused = true)]
async fn a_message_is_tried_until_it_is_delivered_and_only_then_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let messages = story("acme");
    let ledger = ledger_with(&directory, &["webhook"], &messages);
    let mut receiver = Receiver::start(&["503 Busy\r\n", "500 Broken\r\n"]);
    let mut bench = Bench::new("webhook", &ledger, &url(&receiver));
    bench.run();

    for (attempt, least, most) in [(1, 750, 1000), (2, 1500, 2000)] {
        assert_eq!(receiver.next_id().await, messages[0].id);
        let failure = bench.failed().await;
        let wait = failure.wait.unwrap();
        assert_eq!(failure.attempt, attempt);
        assert!((least..=most).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(ledger.pending("webhook"), 3);
        advance(wait).await;
    }
    for message in &messages {
        assert_eq!(receiver.next_id().await, message.id);
        assert_eq!(bench.delivered().await, message.id);
    }
    assert_eq!(ledger.pending("webhook"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lasting_refusal_waits_long_and_a_receivers_wish_is_granted() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger_with(&directory, &["webhook"], &[message("acme", 1, MessageKind::Opened)]);
    let receiver = Receiver::start(&["410 Gone\r\n", "429 Slow Down\r\nretry-after: 1200\r\n"]);
    let mut bench = Bench::new("webhook", &ledger, &url(&receiver));
    bench.run();

    let gone = bench.failed().await.wait.unwrap();
    assert!((225..=300).contains(&gone.as_secs()), "{gone:?}");
    advance(gone).await;
    let limited = bench.failed().await.wait.unwrap();
    assert_eq!(limited.as_secs(), 1200);
    advance(limited).await;
    bench.delivered().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_for_good_holds_up_its_own_incident_only() {
    let directory = tempfile::tempdir().unwrap();
    let [first, then, _] = story("acme");
    let other = message("other", 1, MessageKind::Opened);
    let ledger = ledger_with(&directory, &["webhook"], &[first.clone(), then.clone(), other.clone()]);
    let mut receiver = Receiver::start(&["400 Bad Request\r\n"]);
    let mut bench = Bench::new("webhook", &ledger, &url(&receiver));
    bench.run();
    assert_eq!(receiver.next_id().await, first.id);
    let wait = bench.failed().await.wait.unwrap();
    assert!(wait >= Duration::from_secs(200), "{wait:?}");
    advance(Duration::from_secs(1)).await;
    assert_eq!(bench.delivered().await, other.id);
    assert_eq!(ledger.pending("webhook"), 2);
    advance(wait).await;
    assert_eq!(bench.delivered().await, first.id);
    assert_eq!(bench.delivered().await, then.id);
}

#[tokio::test(start_paused = true)]
async fn a_dead_channel_does_not_hold_up_another() {
    let directory = tempfile::tempdir().unwrap();
    let messages = story("acme");
    let ledger = ledger_with(&directory, &["dead", "alive"], &messages);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = Bench::new("dead", &ledger, &format!("http://{}/", silent.local_addr().unwrap()));
    let receiver = Receiver::start(&[]);
    let mut alive = Bench::new("alive", &ledger, &url(&receiver));
    dead.run();
    alive.run();

    for message in &messages {
        assert_eq!(alive.delivered().await, message.id);
    }
    assert_eq!((ledger.pending("dead"), ledger.pending("alive")), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_recorded_message_wakes_a_channel_that_has_nothing_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger_with(&directory, &["webhook"], &[message("first", 1, MessageKind::Opened)]);
    let receiver = Receiver::start(&[]);
    let mut bench = Bench::new("webhook", &ledger, &url(&receiver));
    bench.run();
    bench.delivered().await;

    let second = message("second", 1, MessageKind::Opened);
    ledger.record(&[second.clone().into()]).unwrap();
    assert_eq!(bench.delivered().await, second.id);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_not_marked_before_a_crash_is_delivered_again_with_the_same_identifier() {
    let directory = tempfile::tempdir().unwrap();
    let message = message("acme", 1, MessageKind::Opened);
    let mut receiver = Receiver::start(&[]);
    let ledger = ledger_with(&directory, &["webhook"], std::slice::from_ref(&message));
    let before = Bench::new("webhook", &ledger, &url(&receiver));
    before.delivery.channel.deliver(&message, NOW).await.unwrap();
    drop((before, ledger));

    let ledger = Ledger::open(directory.path(), &told_everything(&["webhook"]), NOW).unwrap();
    let mut after = Bench::new("webhook", &ledger, &url(&receiver));
    after.run();
    after.delivered().await;
    assert_eq!(receiver.next_id().await, receiver.next_id().await);
}

#[tokio::test(start_paused = true)]
async fn a_task_stops_when_told_whatever_it_waits_for() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger_with(&directory, &["webhook", "idle"], &[message("acme", 1, MessageKind::Opened)]);
    ledger.delivered("idle", &message("acme", 1, MessageKind::Opened).id).unwrap();
    let receiver = Receiver::start(&["503 Busy\r\n"]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/", silent.local_addr().unwrap());

    for (name, url) in [("webhook", url(&receiver)), ("webhook", silent), ("idle", url(&receiver))] {
        let mut bench = Bench::new(name, &ledger, &url);
        let (stop, stopped) = oneshot::channel::<()>();
        let delivery = Arc::clone(&bench.delivery);
        let task = tokio::spawn(async move {
            delivery.run(async { drop(stopped.await) }).await;
        });
        if name == "webhook" && url == self::url(&receiver) {
            bench.failed().await;
        }
        drop(stop);
        task.await.unwrap();
    }
    assert_eq!(ledger.pending("webhook"), 1);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_everything_is_tried_once_and_no_incident_ends_before_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let [opened, reminder, _] = story("acme");
    let other = message("other", 1, MessageKind::Opened);
    let ledger = ledger_with(&directory, &["webhook"], &[opened.clone(), reminder, other.clone()]);
    let mut receiver = Receiver::start(&["503 Busy\r\n"]);
    let mut bench = Bench::new("webhook", &ledger, &url(&receiver));

    let left = bench.delivery.flush(Instant::now() + Duration::from_secs(5)).await;
    assert_eq!(left, 2);
    assert_eq!(receiver.next_id().await, opened.id);
    assert_eq!(receiver.next_id().await, other.id);
    assert_eq!(bench.failed().await.wait, None);
    assert_eq!(bench.delivered().await, other.id);
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_past_its_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = ledger_with(&directory, &["webhook"], &story("acme"));
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let bench = Bench::new("webhook", &ledger, &format!("http://{}/", silent.local_addr().unwrap()));
    let deadline = Instant::now() + Duration::from_secs(5);
    assert_eq!(bench.delivery.flush(deadline).await, 3);
    assert_eq!(Instant::now(), deadline);
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Takes what this thread logs.
    fn take(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_target(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_fails_again_and_again_is_logged_once_and_when_it_works_with_the_number() {
    let lines = Lines::default();
    let _taken = lines.take();
    let directory = tempfile::tempdir().unwrap();
    let messages = story("acme");
    let ledger = ledger_with(&directory, &["webhook"], &messages);
    let mut receiver = Receiver::start(&["503 Busy\r\n"; 4]);
    let mut bench = Bench::new("webhook", &ledger, &url(&receiver));
    bench.run();
    for _ in 0..4 {
        receiver.next_id().await;
        advance(bench.failed().await.wait.unwrap()).await;
    }
    bench.delivered().await;
    bench.delivered().await;
    let text = lines.text();
    let failed: Vec<_> = text.lines().filter(|line| line.contains("answered 503")).collect();
    let [first, over] = failed.as_slice() else { panic!("{text}") };
    assert!(first.trim_start().starts_with("WARN not delivered: "), "{first}");
    assert!(over.trim_start().starts_with("INFO it works again; it had failed: "), "{over}");
    assert!(over.contains("times=4"), "{over}");
    assert!(text.contains(" INFO delivered "), "{text}");
}

#[test]
fn a_message_is_logged_as_seriously_as_its_incident() {
    let lines = Lines::default();
    let taken = lines.take();
    let [opened, mut reminder, resolved] = story("acme");
    reminder.incident.severity = Severity::Warning;
    for message in [opened, reminder, resolved] {
        log(&message);
    }
    drop(taken);
    let text = lines.text();
    let [opened, reminder, resolved] = text.lines().collect::<Vec<_>>().try_into().unwrap();
    assert!(opened.starts_with("ERROR acme: API token regenerated or revoked"), "{opened}");
    assert!(opened.contains("rejected 3 times in a row (HTTP 401)"), "{opened}");
    assert!(opened.contains("Regenerate the token and write it to Vault."), "{opened}");
    assert!(opened.contains("acme:regenerated_or_revoked:1700000000000"), "{opened}");
    assert!(reminder.trim_start().starts_with("WARN acme: still open since"), "{reminder}");
    assert!(resolved.trim_start().starts_with("INFO acme: resolved"), "{resolved}");
}
