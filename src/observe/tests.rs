//! The listener over real HTTP; where time matters, over a pipe in paused time.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, timeout};

use super::fixture::snapshot;
use super::origin::Visitor;
use super::room::UnderWay;
use super::routes::Caller;
use super::server::Serving;
use super::*;
use crate::config::{Http, Open};
use crate::domain::snapshot::STALLED_AFTER;
use crate::system::logging::Levels;

mod access;
mod api;
mod limits;
mod page;
#[cfg(feature = "demo")]
mod tls;

/// A listener on a free port of the loopback, and the loop's side of it.
struct Running {
    address: String,
    heartbeat: watch::Sender<Heartbeat>,
    requests: mpsc::Receiver<SnapshotRequest>,
    orders: mpsc::Receiver<EngineRequest>,
    access: Access,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

const WELL: fn() -> Heartbeat = || Heartbeat { last_pass: Instant::now(), ready: true, started: true };

async fn running() -> Running {
    serving(bind("127.0.0.1:0".parse().unwrap()).await.unwrap())
}

fn serving(listener: Listener) -> Running {
    let address = listener.to_string();
    let (source, requests) = SnapshotSource::channel();
    let (heartbeat, seen) = watch::channel(WELL());
    let (stop, stopped) = oneshot::channel();
    let (orders_source, orders) = RequestSource::channel();
    let access = Access::new(Rules::default());
    let pages = Pages::new(source, orders_source, seen, access.clone(), levels());
    let serving = tokio::spawn(serve(listener, pages, async {
        let _ = stopped.await;
    }));
    Running { address, heartbeat, requests, orders, access, stop, serving }
}

fn levels() -> Levels {
    Levels::of_test(tracing::Level::INFO)
}

/// A loop that answers each request.
fn answering(mut requests: mpsc::Receiver<SnapshotRequest>) {
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            let _ = request.send(Arc::new(snapshot()));
        }
    });
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// Sends a request and reads until the server closes the connection.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Answer {
        status: head.split(' ').nth(1).map_or(0, |status| status.parse().unwrap()),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

fn request(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")
}

async fn get(running: &Running, path: &str) -> Answer {
    let stream = TcpStream::connect(&running.address).await.unwrap();
    exchange(stream, &request("GET", path, "")).await
}

/// Somebody on this host.
fn visitor() -> Visitor {
    let address = "127.0.0.1:1".parse().unwrap();
    Visitor::new(address, address)
}

fn over(pages: Arc<Pages>, stopping: watch::Receiver<bool>) -> Serving {
    Serving { pages, stopping, under_way: UnderWay::default() }
}

/// What `[http]` says when it says nothing, and no address.
fn http() -> Http {
    Http {
        listen: None,
        tls: None,
        token_file: None,
        open: vec![Open::Probes, Open::Metrics],
        host_names: Vec::new(),
        report_token_file: None,
        metrics_store_limit: 1_000,
    }
}

fn rules(http: Http) -> Rules {
    Rules::load(&http).unwrap()
}

/// A loop that answers, and whose passes go on for as long as the first of these is kept.
fn well() -> (watch::Sender<Heartbeat>, SnapshotSource, watch::Receiver<Heartbeat>) {
    let (source, requests) = SnapshotSource::channel();
    answering(requests);
    let (heartbeat, seen) = watch::channel(WELL());
    (heartbeat, source, seen)
}

/// Serves one connection over a pipe, so that paused time moves only when both sides wait.
fn piped(
    source: SnapshotSource,
    heartbeat: watch::Receiver<Heartbeat>,
) -> (impl AsyncRead + AsyncWrite + Unpin, watch::Sender<bool>) {
    let (client, server) = duplex(1024);
    let (stopping, stopped) = watch::channel(false);
    let access = Access::new(Rules::default());
    let pages = Arc::new(Pages::new(source, RequestSource::channel().0, heartbeat, access, levels()));
    tokio::spawn(over(pages, stopped).converse(server, Caller::Network(visitor())));
    (client, stopping)
}

#[tokio::test]
async fn each_page_answers() {
    let mut running = running().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    for (path, content_type, part) in [
        ("/", "text/plain; charset=utf-8", "/metrics "),
        ("/livez", "text/plain; charset=utf-8", "ok\n"),
        ("/livez?verbose", "text/plain; charset=utf-8", "[+] loop: the loop completed its last pass"),
        ("/readyz", "text/plain; charset=utf-8", "ok\n"),
        ("/readyz?a=b&verbose=1", "text/plain; charset=utf-8", "[+] published: "),
        ("/startupz", "text/plain; charset=utf-8", "ok\n"),
        ("/startupz?verbose", "text/plain; charset=utf-8", "[+] started: "),
        ("/healthz", "application/json", "\"worst_state\": \"pending\""),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "bc_secrets_sync_source_up 1\n"),
        ("/status", "application/json", "\"fingerprint\": \"0123456789abcdef\""),
    ] {
        let answer = get(&running, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some(content_type), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(answer.body.contains(part), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn json_pages_are_json() {
    let mut running = running().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    let status: serde_json::Value = serde_json::from_str(&get(&running, "/status").await.body).unwrap();
    assert_eq!(status["stores"][0]["verdicts"]["accepted"], 41);
    assert_eq!(status["vitals"]["last_pass_at"], "2025-08-25T00:00:02.250Z");
    let health: serde_json::Value = serde_json::from_str(&get(&running, "/healthz").await.body).unwrap();
    assert_eq!(
        health,
        serde_json::json!({"live": true, "ready": true, "started": true, "worst_state": "pending", "error": null})
    );
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let mut running = running().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    let stream = TcpStream::connect(&running.address).await.unwrap();
    let accept = "Accept: application/openmetrics-text; version=1.0.0\r\n";
    let answer = exchange(stream, &request("GET", "/metrics", accept)).await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert_eq!(answer.header("vary"), Some("accept"));
    assert!(answer.body.ends_with("\n# EOF\n"));
    assert!(!get(&running, "/metrics").await.body.contains("# EOF"));
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let mut running = running().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    for path in ["/", "/livez", "/healthz", "/metrics", "/status"] {
        let full = get(&running, path).await;
        let stream = TcpStream::connect(&running.address).await.unwrap();
        let head = exchange(stream, &request("HEAD", path, "")).await;
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.body, "", "{path}");
        assert_eq!(head.header("content-type"), full.header("content-type"), "{path}");
        assert_eq!(head.header("content-length"), Some(full.body.len().to_string().as_str()), "{path}");
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_refused_with_advice() {
    let running = running().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let stream = TcpStream::connect(&running.address).await.unwrap();
        let answer = exchange(stream, &request(method, "/livez", "Content-Length: 3\r\n")).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
    }
    for path in ["/livez/", "/LIVEZ", "/metrics/x", "//", "/..%2fstatus"] {
        let answer = get(&running, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("/startupz"), "{path}");
    }
}

#[tokio::test]
async fn a_body_is_ignored_and_a_connection_is_kept() {
    let running = running().await;
    let stream = TcpStream::connect(&running.address).await.unwrap();
    let first = "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
    let answer = exchange(stream, &format!("{first}{}", request("GET", "/readyz", ""))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body.matches("HTTP/1.1 200 OK").count(), 1, "{}", answer.body);
}

#[tokio::test]
async fn nonsense_ends_only_its_own_connection() {
    let running = running().await;
    for nonsense in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}"] {
        let mut stream = TcpStream::connect(&running.address).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
    let long = format!("X-Long: {}\r\n", "x".repeat(64 * 1024));
    let mut stream = TcpStream::connect(&running.address).await.unwrap();
    let _ = stream.write_all(request("GET", "/livez", &long).as_bytes()).await;
    drop(stream);
    assert_eq!(get(&running, "/livez").await.status, 200);
    assert!(!running.serving.is_finished());
}

#[tokio::test]
async fn readiness_and_start_follow_the_heartbeat() {
    let running = running().await;
    running.heartbeat.send_replace(Heartbeat::starting());
    for (path, part) in [
        ("/readyz", "not every store has a published generation"),
        ("/readyz?verbose", "[-] published: "),
        ("/startupz", "not every store was published yet"),
        ("/startupz?verbose", "[-] started: "),
    ] {
        let answer = get(&running, path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.body.contains(part), "{path}: {}", answer.body);
    }
    assert_eq!(get(&running, "/livez").await.status, 200);
    running.heartbeat.send_replace(WELL());
    assert_eq!(get(&running, "/readyz").await.status, 200);
    assert_eq!(get(&running, "/startupz").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_loop_is_noticed_without_its_help_and_forgiven_after_a_pass() {
    let (source, _requests) = SnapshotSource::channel();
    let (heartbeat, seen) = watch::channel(WELL());
    let ask = async |path: &str| {
        let (client, _stopping) = piped(source.clone(), seen.clone());
        exchange(client, &request("GET", path, "")).await
    };
    advance(STALLED_AFTER - Duration::from_millis(1)).await;
    assert_eq!(ask("/livez").await.status, 200);
    advance(Duration::from_millis(1)).await;
    let answer = ask("/livez").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, "the loop has stalled: it completed no pass for 60 s; the limit is 60 s\n");
    assert_eq!(ask("/readyz").await.status, 200, "what is published stays good");

    let asked = Instant::now();
    let health = ask("/healthz").await;
    assert_eq!(health.status, 503);
    assert!(health.body.contains("\"live\": false"));
    assert_eq!(asked.elapsed(), Duration::ZERO, "nobody waits for a stalled loop");

    heartbeat.send_replace(WELL());
    assert_eq!(ask("/livez").await.status, 200);
    drop(heartbeat);
    assert_eq!(ask("/livez?verbose").await.body, "[-] loop: the loop has ended\nfailed\n");
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_does_not_answer_costs_five_seconds() {
    let (source, requests) = SnapshotSource::channel();
    let (_heartbeat, seen) = watch::channel(WELL());
    // More than can wait, so that the limit is seen to hold for those that wait for room too.
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (source, seen) = (source.clone(), seen.clone());
        clients.spawn(async move {
            let (client, _stopping) = piped(source, seen);
            let asked = Instant::now();
            (exchange(client, &request("GET", "/metrics", "")).await, asked.elapsed())
        });
    }
    while let Some(ended) = clients.join_next().await {
        let (answer, took) = ended.unwrap();
        assert_eq!(answer.status, 503);
        assert_eq!(answer.body, "the loop did not answer within 5 s\n");
        assert!((ANSWER_LIMIT..ANSWER_LIMIT + Duration::from_millis(10)).contains(&took), "{took:?}");
    }
    let (client, _stopping) = piped(source.clone(), seen.clone());
    let health = exchange(client, &request("GET", "/healthz", "")).await;
    assert_eq!(health.status, 200);
    assert!(health.body.contains("\"worst_state\": null"));
    assert!(health.body.contains("the loop did not answer within 5 s"));

    drop(requests);
    assert_eq!(source.snapshot().await.unwrap_err(), NoAnswer::Ended);
    let (client, _stopping) = piped(source, seen);
    assert_eq!(exchange(client, &request("GET", "/status", "")).await.body, "the loop has ended\n");
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_and_closes_what_is_idle() {
    let mut running = running().await;
    let mut idle = TcpStream::connect(&running.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok\n") {
        assert_ne!(idle.read_buf(&mut answer).await.unwrap(), 0);
    }
    let address = running.address.clone();
    let busy = tokio::spawn(async move {
        exchange(TcpStream::connect(address).await.unwrap(), &request("GET", "/status", "")).await
    });
    let asked = running.requests.recv().await.unwrap();
    running.stop.send(()).unwrap();
    assert_eq!(idle.read_buf(&mut answer).await.unwrap(), 0, "closed");
    assert!(TcpStream::connect(&running.address).await.is_err(), "nobody listens any more");
    asked.send(Arc::new(snapshot())).unwrap();
    assert_eq!(busy.await.unwrap().status, 200);
    running.serving.await.unwrap();
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let mut running = running().await;
    let address = running.address.clone();
    let client = tokio::spawn(async move {
        exchange(TcpStream::connect(address).await.unwrap(), &request("GET", "/status", "")).await
    });
    let asked = running.requests.recv().await.unwrap();
    tokio::time::pause();
    running.stop.send(()).unwrap();
    running.serving.await.unwrap();
    assert!(asked.is_closed());
    assert_eq!(client.await.unwrap().status, 0, "cut off");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_advice() {
    let taken = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let error = bind(taken.to_string().parse().unwrap()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on {}: another process listens there; \
             stop it, or set `listen` in [http] to a free address",
            taken
        )
    );
    let error = bind("192.0.2.1:1".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, ObserveError::AddressNotHere { .. }), "{error}");
}
