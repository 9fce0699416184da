//! The page and its events: what is on it, what is escaped, and what a listener hears.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use tokio::sync::watch;
use tokio::time::{Instant, advance, timeout};

use super::stream::{EventStream, Hold};
use super::*;
use crate::domain::incident::{Cause, Incident};
use crate::domain::snapshot::{FolderStatus, STALLED_AFTER, StoreStatus};
use crate::observe::feed::{Heartbeat, SnapshotSource};
use crate::observe::fixture::{incident, pending_store, snapshot, verified_store};
use crate::observe::room::UnderWay;

/// A snapshot of these stores, without incidents.
fn of(stores: Vec<StoreStatus>) -> Snapshot {
    Snapshot { stores, incidents: Vec::new(), ..snapshot() }
}

fn many(count: usize) -> Snapshot {
    of((0..count).map(|number| verified_store(&format!("store-{number:04}"))).collect())
}

/// The names of the stores that are shown, in their order.
fn shown(html: &str) -> Vec<&str> {
    html.split(" data-name=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn everything_that_comes_from_outside_is_escaped() {
    let evil = "</td><script src=//evil></script><img src=x onerror='a()'>\"&";
    let mut snapshot = snapshot();
    let text = || evil.to_owned();
    snapshot.source.error = Some(text());
    snapshot.configuration.error = Some(text());
    snapshot.state.error = Some(text());
    snapshot.channels[0].error = Some(text());
    Arc::make_mut(&mut snapshot.events[0]).text = text();
    snapshot.incidents = vec![Incident {
        store: Some(text()),
        evidence: vec![text()],
        remedy: text(),
        ..incident(Cause::BadWrite)
    }];
    let store = &mut snapshot.stores[0];
    (store.secret, store.detail) = (text(), text());
    (store.read_error, store.publish_error) = (Some(format!("1{evil}")), Some(format!("2{evil}")));
    store.reload.as_mut().unwrap().error = Some(format!("3{evil}"));
    store.acknowledgement.as_mut().unwrap().error = Some(format!("4{evil}"));
    let html = render(&snapshot, Some("q=<script>&state=<script>"), "1-1");
    let html = html + &render(&snapshot, None, "1-1");
    assert!(!html.contains("<img") && !html.contains("onerror='"), "{html}");
    assert_eq!(html.matches("<script").count(), 2, "our own, on each of the two pages: {html}");
    let escaped = "&lt;script src=//evil&gt;";
    assert_eq!(html.matches(escaped).count(), 8 + 8 + 6, "the store is on the second only: {html}");
}

#[test]
fn nothing_on_the_page_needs_what_a_strict_policy_forbids() {
    let html = render(&snapshot(), None, "1-1");
    for forbidden in ["style=", "<style", " onclick", "javascript:", "http://", "https://", "<script>"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    for part in [STYLE, SCRIPT] {
        assert!(!part.contains("http://") && !part.contains("https://") && !part.contains("url("));
    }
}

#[test]
fn a_store_says_its_state_why_since_when_and_what_comes_next() {
    let mut store = verified_store("acme");
    store.next_check_at = Some(snapshot().at.plus(Duration::from_secs(50)));
    store.acknowledgement = None;
    let html = render(&of(vec![store]), None, "1-1");
    for part in [
        "<span class=\"state verified\">verified</span>",
        "the store accepts the credentials",
        "generation 3, version 7",
        "accepted <time class=\"ago\" datetime=\"2025-08-25T00:00:01.250Z\"",
        "version 8 in Vault is being published",
        ">in 50 s</time>",
        "Telling the app: the app does not answer",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
}

#[test]
fn an_incident_says_what_to_do_and_a_silenced_one_that_it_is() {
    let html = render(&snapshot(), None, "1-1");
    assert!(html.contains("<p class=\"verdict\">2 warnings</p>"), "{html}");
    assert!(html.contains("silenced, reminders go on "), "{html}");
    assert!(html.contains("bc-secrets-sync silence acme:1 --for 2h"), "{html}");
    assert!(html.contains("<span class=\"quiet\">critical: </span>"), "not by colour alone: {html}");
    let html = render(&of(vec![verified_store("a")]), None, "1-1");
    assert!(html.contains("<div id=\"headline\" class=\"good\"><p class=\"verdict\">All is well</p>"));
}

#[test]
fn trouble_with_vault_is_in_the_head_of_the_page() {
    let words = "Vault does not do all that it is asked";
    let mut snapshot = of(vec![verified_store("a")]);
    snapshot.source.error = Some("log-in refused (400): invalid secret ID".to_owned());
    assert!(render(&snapshot, None, "1-1").contains(words));
    snapshot.source.error = None;
    assert!(!render(&snapshot, None, "1-1").contains(words));
}

#[test]
fn what_is_in_memory_only_is_said_and_since_when() {
    let mut snapshot = of(vec![verified_store("a")]);
    let words = "are in memory only (since <time datetime=\"2025-08-25T00:00:00.500Z\">";
    let html = render(&snapshot, None, "1-1");
    assert!(
        html.contains(words) && html.contains(", and a restart forgets them: no space left</p>"),
        "{html}"
    );
    snapshot.state = Default::default();
    assert!(!render(&snapshot, None, "1-1").contains("in memory only"));
}

#[test]
fn where_no_store_was_found_it_is_said_where_they_are_looked_for() {
    let folder = |path: &str, discovers| FolderStatus {
        path: path.into(),
        stores: 0,
        changes: None,
        discovers,
        error: None,
    };
    let mut snapshot = of(Vec::new());
    snapshot.source.folders = vec![folder("secret/<stores>", true), folder("secret/other", false)];
    let html = render(&snapshot, None, "1-1");
    assert!(html.contains("class=\"waiting\"><p class=\"verdict\">No store was found</p>"), "{html}");
    assert!(html.contains("none was found there: <code>secret/&lt;stores&gt;</code>.</p>"), "{html}");
    assert!(!html.contains("All is well") && !html.contains("credentials published"), "{html}");
    snapshot.source.folders = (0..7).map(|number| folder(&number.to_string(), true)).collect();
    assert!(render(&snapshot, None, "1-1").contains("<code>4</code> and 2 more."));
}

#[test]
fn the_worst_come_first_also_those_that_only_have_an_incident() {
    let mut failed = pending_store("x-failed");
    failed.state = StoreState::Failed;
    let stores =
        vec![verified_store("a"), verified_store("b"), pending_store("c"), verified_store("d"), failed];
    let mut snapshot = of(stores);
    snapshot.incidents = vec![Incident { store: Some("d".into()), ..incident(Cause::CertificateTrouble) }];
    assert_eq!(shown(&render(&snapshot, None, "1-1")), ["x-failed", "d", "c", "a", "b"]);
    assert_eq!(shown(&render(&snapshot, Some("sort=name"), "1-1")), ["a", "b", "c", "d", "x-failed"]);
    assert_eq!(shown(&render(&snapshot, Some("state=failed"), "1-1")), ["x-failed"]);
    assert_eq!(shown(&render(&snapshot, Some("q=FAIL"), "1-1")), ["x-failed"]);
    snapshot.stores[1].since = snapshot.at;
    assert_eq!(shown(&render(&snapshot, Some("sort=newest"), "1-1"))[0], "b");
}

#[test]
fn ten_thousand_stores_are_a_bounded_page_that_says_what_it_leaves_out() {
    let html = render(&many(10_000), None, "1-1");
    assert_eq!(shown(&html).len(), 1_000);
    assert!(html.contains("1000 stores are shown, and 9000 more are not"));
    assert!(html.contains(" data-cut>"), "the script must not filter by itself");
    assert!(html.len() < 2_500_000, "{}", html.len());
    assert!(!render(&many(10), None, "1-1").contains(" data-cut>"));
}

#[test]
fn only_who_asks_for_html_gets_the_page() {
    for (accept, expected) in [
        ("text/html,application/xhtml+xml,*/*;q=0.8", true),
        ("*/*", false),
        ("", false),
        ("application/json, Text/HTML;q=0.5", true),
        ("text/html;q=0", false),
    ] {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(accept).unwrap())]);
        assert_eq!(is_wanted(&headers), expected, "{accept}");
    }
}

/// A loop whose snapshot can be changed, and that says so by its heartbeat.
struct Loop {
    source: SnapshotSource,
    beats: watch::Sender<Heartbeat>,
    heartbeat: watch::Receiver<Heartbeat>,
    now: watch::Sender<Snapshot>,
    asked: Arc<std::sync::atomic::AtomicUsize>,
    live: Live,
}

impl Loop {
    fn start(snapshot: Snapshot) -> Self {
        let (source, mut requests) = SnapshotSource::channel();
        let (beats, heartbeat) = watch::channel(Heartbeat::starting());
        let (now, current) = watch::channel(snapshot);
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let snapshot = current.borrow().clone();
                let _ = request.send(Arc::new(snapshot));
            }
        });
        Self { source, beats, heartbeat, now, asked, live: Live::default() }
    }

    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        self.now.send_modify(change);
        self.pass();
    }

    fn pass(&self) {
        self.beats.send_modify(|beat| beat.last_pass = Instant::now());
    }

    async fn page(&self) -> String {
        self.live.page(&self.source).await.unwrap().1.to_string()
    }

    fn listen(&self, since: &str) -> Option<EventStream> {
        let query = format!("since={since}");
        EventStream::open(&self.live, &self.source, &self.heartbeat, None, (&HeaderMap::new(), Some(&query)))
    }
}

async fn next(stream: &mut EventStream) -> Option<String> {
    let frame = stream.frame().await?.unwrap();
    Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

/// The next piece that is no beat.
async fn news(stream: &mut EventStream) -> Option<String> {
    loop {
        let piece = next(stream).await?;
        if !piece.contains("event: beat") {
            return Some(piece);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_what_has_changed_and_nothing_else() {
    let world = Loop::start(many(3));
    let place = world.page().await;
    let mut stream = world.listen(&place).unwrap();
    assert!(next(&mut stream).await.unwrap().contains("event: beat\ndata: live\n\n"), "at once");
    world.change(|snapshot| snapshot.stores[1].detail = "<worse>\nnow".into());
    let piece = news(&mut stream).await.unwrap();
    let data = piece.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let update: serde_json::Value = serde_json::from_str(data).unwrap();
    let parts = update["parts"].as_object().unwrap();
    assert_eq!(parts.keys().collect::<Vec<_>>(), ["store-store-0001"]);
    assert!(parts["store-store-0001"].as_str().unwrap().contains("&lt;worse&gt;\nnow"));
    assert_eq!(piece.matches("\n\n").count(), 1, "one event");
    // That time passes is no news: there are only beats.
    world.change(|snapshot| snapshot.at = snapshot.at.plus(Duration::from_secs(100)));
    assert!(timeout(Duration::from_secs(60), news(&mut stream)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn however_much_happens_there_is_one_look_a_second_for_all_listeners() {
    let world = Loop::start(many(3));
    let place = world.page().await;
    let mut streams: Vec<_> = (0..3).map(|_| world.listen(&place).unwrap()).collect();
    let listening = async {
        loop {
            for stream in &mut streams {
                news(stream).await.unwrap();
            }
        }
    };
    let working = async {
        for number in 0..1_000 {
            world.change(|snapshot| snapshot.stores[0].publications = number);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! { () = listening => {}, () = working => {} }
    let asked = world.asked.load(std::sync::atomic::Ordering::Relaxed);
    assert!((9..=12).contains(&asked), "{asked} snapshots in 10 s");
}

#[tokio::test(start_paused = true)]
async fn a_stream_resumes_where_it_ended_and_says_when_it_cannot() {
    let world = Loop::start(many(3));
    let place = world.page().await;
    let mut stream = world.listen(&place).unwrap();
    for number in 0..3 {
        world.change(|snapshot| snapshot.stores[0].detail = format!("change {number}"));
        assert!(news(&mut stream).await.unwrap().contains(&format!("change {number}")));
    }
    let mut again = world.listen(&place).unwrap();
    let piece = news(&mut again).await.unwrap();
    assert!(piece.contains("change 0") && piece.contains("change 2"), "all that was missed: {piece}");
    for unknown in ["", "1-1", "nonsense", "1756080000000-99"] {
        let mut stream = world.listen(unknown).unwrap();
        assert!(news(&mut stream).await.unwrap().starts_with("event: stale\n"), "{unknown}");
        assert_eq!(next(&mut stream).await, None);
    }
    // Other stores are another page.
    world.change(|snapshot| snapshot.stores.truncate(2));
    assert!(news(&mut stream).await.unwrap().starts_with("event: stale\n"));
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_listeners_is_bounded() {
    let world = Loop::start(many(3));
    let place = world.page().await;
    let mut stream = world.listen(&place).unwrap();
    for number in 0..10 {
        world.change(|snapshot| snapshot.stores[0].detail = format!("{number}{}", "x".repeat(100_000)));
        news(&mut stream).await.unwrap();
    }
    let mut late = world.listen(&place).unwrap();
    assert!(news(&mut late).await.unwrap().starts_with("event: stale\n"));
}

#[tokio::test(start_paused = true)]
async fn there_are_few_listeners_and_none_for_good() {
    let world = Loop::start(many(1));
    let place = world.page().await;
    let mut streams: Vec<_> = (0..16).map(|_| world.listen(&place).unwrap()).collect();
    assert!(world.listen(&place).is_none());
    drop(streams.pop());
    let mut stream = world.listen(&place).unwrap();
    let begun = Instant::now();
    while next(&mut stream).await.is_some() {}
    assert_eq!(begun.elapsed(), Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_the_listener_stops_and_keeps_its_connection_until_then() {
    let world = Loop::start(many(1));
    let place = world.page().await;
    let (begun, seen) = watch::channel(Instant::now());
    let (stop, stopping) = watch::channel(false);
    let (hold, query) =
        (Some(Hold { begun, stopping, under_way: UnderWay::default() }), format!("since={place}"));
    let asked = (&HeaderMap::new(), Some(query.as_str()));
    let mut stream = EventStream::open(&world.live, &world.source, &world.heartbeat, hold, asked).unwrap();
    for _ in 0..5 {
        next(&mut stream).await.unwrap();
        assert_eq!(*seen.borrow(), Instant::now());
    }
    let (ended, ()) = tokio::join!(next(&mut stream), async {
        stop.send_replace(true);
    });
    assert_eq!(ended, None);
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_stalls_is_told() {
    let world = Loop::start(many(1));
    let place = world.page().await;
    let mut stream = world.listen(&place).unwrap();
    assert!(next(&mut stream).await.unwrap().contains("data: live"));
    advance(STALLED_AFTER).await;
    assert!(next(&mut stream).await.unwrap().contains("data: the loop has stalled"));
}
