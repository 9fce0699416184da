//! Reports and silences over real connections, to the listener and to the control socket.

use std::path::Path;

use tempfile::TempDir;
use tokio::net::UnixStream;

use super::*;
use crate::domain::credentials::StoreName;
use crate::domain::engine::{AcknowledgeOutcome, Acknowledging, Reply, ReportOutcome, Reported, Request};
use crate::domain::incident::{Cause, IncidentId, SilenceSpan};
use crate::domain::snapshot::StoreState;
use crate::observe::fixture::incident;

const TOKEN: &str = "0123456789abcdef";

/// The engine's side: keeps what was asked and replies as it is told.
fn engine(
    running: &mut Running,
    reply: impl Fn(&Request) -> Reply + Send + 'static,
) -> mpsc::Receiver<Request> {
    engine_on(None, running, reply)
}

/// The same with this fault of the disk.
fn engine_on(
    unwritten: Option<&str>,
    running: &mut Running,
    reply: impl Fn(&Request) -> Reply + Send + 'static,
) -> mpsc::Receiver<Request> {
    let unwritten = unwritten.map(str::to_owned);
    let (asked, seen) = mpsc::channel(64);
    let mut orders = std::mem::replace(&mut running.orders, mpsc::channel(1).1);
    tokio::spawn(async move {
        while let Some(EngineRequest { request, reply: answer }) = orders.recv().await {
            let _ = answer.send(EngineAnswer { reply: reply(&request), unwritten: unwritten.clone() });
            asked.send(request).await.unwrap();
        }
    });
    seen
}

fn reported(store: &str) -> Reply {
    Reply::Reported(Reported {
        store: StoreName::parse(store).unwrap(),
        outcome: ReportOutcome::CheckStarted,
        detail: "being checked".to_owned(),
        check_at: None,
        state: StoreState::Verified,
        last_verdict: None,
        last_check_at: None,
    })
}

/// Generation 3 is published.
fn acknowledging(store: &str, generation: u64) -> Reply {
    let outcome = match generation {
        0..3 => AcknowledgeOutcome::Superseded,
        3 => AcknowledgeOutcome::Acknowledged,
        4.. => AcknowledgeOutcome::Unknown,
    };
    Reply::Acknowledging(Acknowledging {
        store: StoreName::parse(store).unwrap(),
        outcome,
        detail: "in words".to_owned(),
        published_generation: Some(3),
        acknowledged_at: None,
        lag_ms: None,
    })
}

fn knows(store: &'static str) -> impl Fn(&Request) -> Reply + Send + 'static {
    move |request| match request {
        Request::Report { store: asked } if asked.as_str() == store => reported(store),
        Request::Acknowledge { store: asked, generation } if asked.as_str() == store => {
            acknowledging(store, *generation)
        }
        Request::Report { .. } | Request::Acknowledge { .. } => Reply::UnknownStore,
        Request::Silence { .. } | Request::Unsilence { .. } => Reply::UnknownIncident,
    }
}

async fn send(running: &Running, method: &str, path: &str, headers: &str) -> Answer {
    let stream = TcpStream::connect(&running.address).await.unwrap();
    exchange(stream, &request(method, path, headers)).await
}

async fn send_to(socket: &Path, method: &str, path: &str, body: &str) -> Answer {
    let stream = UnixStream::connect(socket).await.unwrap();
    let length = format!("Content-Length: {}\r\n", body.len());
    exchange(stream, &(request(method, path, &length) + body)).await
}

fn bearing(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn token_file() -> (TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    (directory, file)
}

fn reporting(report_token_file: Option<std::path::PathBuf>) -> Rules {
    rules(Http { report_token_file, ..http() })
}

/// A control socket that serves.
async fn controlled() -> (TempDir, std::path::PathBuf, Running) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let running = serving(bind_socket(&path).await.unwrap());
    (directory, path, running)
}

#[tokio::test]
async fn a_report_that_bears_the_token_is_handed_to_the_engine() {
    let mut running = running().await;
    let (_directory, file) = token_file();
    running.access.set(reporting(Some(file)));
    let mut asked = engine(&mut running, knows("acme"));
    let answer = send(&running, "POST", "/v1/stores/acme/report", &bearing(TOKEN)).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((&said["outcome"], &said["state"]), (&"check_started".into(), &"verified".into()));
    assert_eq!(asked.recv().await, Some(Request::Report { store: StoreName::parse("acme").unwrap() }));
    for unknown in ["other", "not%20a%20name", "-"] {
        let answer = send(&running, "POST", &format!("/v1/stores/{unknown}/report"), &bearing(TOKEN)).await;
        assert_eq!(answer.status, 404, "{unknown}");
        assert!(answer.body.contains("no store of this name"), "{}", answer.body);
    }
    assert_eq!(send(&running, "GET", "/v1/stores/acme/report", &bearing(TOKEN)).await.status, 405);
}

#[tokio::test]
async fn an_acknowledgement_is_handed_to_the_engine_and_a_wrong_one_is_answered_clearly() {
    let mut running = running().await;
    let (_directory, file) = token_file();
    running.access.set(reporting(Some(file)));
    let mut asked = engine(&mut running, knows("acme"));
    let path = "/v1/stores/acme/acknowledge";
    let post = async |path: &str, body: &str, headers: &str| {
        let headers = format!("{headers}Content-Length: {}\r\n", body.len());
        let stream = TcpStream::connect(&running.address).await.unwrap();
        exchange(stream, &(request("POST", path, &headers) + body)).await
    };
    for (body, status, outcome) in [
        ("{\"generation\": 3}", 200, "acknowledged"),
        // A generation's file, as it is.
        ("{\"generation\":3,\"version\":7,\"published_at\":\"2026-11-23T07:32:35Z\"}", 200, "acknowledged"),
        ("{\"generation\": 2}", 409, "superseded"),
        ("{\"generation\": 4}", 409, "unknown"),
    ] {
        let answer = post(path, body, &bearing(TOKEN)).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&said["outcome"], &said["published_generation"]), (&outcome.into(), &3.into()));
        let store = StoreName::parse("acme").unwrap();
        assert!(matches!(asked.recv().await, Some(Request::Acknowledge { store: of, .. }) if of == store));
    }
    let long = format!("{{\"generation\": 3{}}}", " ".repeat(5000));
    for (body, status) in [
        ("", 400),
        ("3", 400),
        ("{}", 400),
        ("{\"generation\": -3}", 400),
        ("{\"generation\": \"3\"}", 400),
        (&long, 413),
    ] {
        let answer = post(path, body, &bearing(TOKEN)).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(status == 413 || answer.body.contains("{\"generation\": 3}"), "{}", answer.body);
    }
    let good = "{\"generation\": 3}";
    assert_eq!(post("/v1/stores/other/acknowledge", good, &bearing(TOKEN)).await.status, 404);
    assert_eq!(post(path, good, "").await.status, 401);
    assert_eq!(post(path, good, &bearing("0123456789abcdee")).await.status, 401);
    assert_eq!(send(&running, "PUT", path, &bearing(TOKEN)).await.status, 405);
    running.access.set(reporting(None));
    assert_eq!(post(path, good, &bearing(TOKEN)).await.status, 403);
}

#[tokio::test]
async fn without_the_token_nothing_is_done_and_nothing_is_told_of_the_stores() {
    let mut running = running().await;
    let mut asked = engine(&mut running, knows("acme"));
    let answer = send(&running, "POST", "/v1/stores/acme/report", &bearing(TOKEN)).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("report_token_file in [http]"), "{}", answer.body);

    let (_directory, file) = token_file();
    running.access.set(reporting(Some(file.clone())));
    let mut told = Vec::new();
    for store in ["acme", "other"] {
        for headers in [String::new(), bearing("0123456789abcdee")] {
            let answer = send(&running, "POST", &format!("/v1/stores/{store}/report"), &headers).await;
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
            told.push(answer.body);
        }
    }
    assert_eq!(told[..2], told[2..], "whether a store exists is not told");
    assert_eq!(running.access.reports_refused(), 4);

    std::fs::remove_file(file).unwrap();
    let answer = send(&running, "POST", "/v1/stores/acme/report", &bearing(TOKEN)).await;
    assert_eq!(answer.status, 503);
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_long_body_of_a_report_is_not_read() {
    let mut running = running().await;
    let (_directory, file) = token_file();
    running.access.set(reporting(Some(file)));
    let _asked = engine(&mut running, knows("acme"));
    let mut stream = TcpStream::connect(&running.address).await.unwrap();
    let length = format!("{}Content-Length: 1000000000\r\n", bearing(TOKEN));
    stream.write_all(request("POST", "/v1/stores/acme/report", &length).as_bytes()).await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 202");
}

#[tokio::test]
async fn the_listener_silences_nothing() {
    let mut running = running().await;
    let (_directory, file) = token_file();
    running.access.set(reporting(Some(file)));
    let mut asked = engine(&mut running, knows("acme"));
    for method in ["PUT", "DELETE", "GET", "POST"] {
        let answer = send(&running, method, "/v1/incidents/acme:/silence", &bearing(TOKEN)).await;
        assert_eq!(answer.status, 403, "{method}");
        assert!(answer.body.contains("bc-secrets-sync silence"), "{}", answer.body);
    }
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn the_control_socket_serves_the_pages_and_takes_reports_without_a_token() {
    let (_directory, socket, mut running) = controlled().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    let _asked = engine(&mut running, knows("acme"));
    assert_eq!(send_to(&socket, "GET", "/livez", "").await.body, "ok\n");
    let status = send_to(&socket, "GET", "/status", "").await;
    assert!(status.status == 200 && status.body.contains("reports_refused"), "{}", status.body);
    let incidents: Incidents =
        serde_json::from_str(&send_to(&socket, "GET", "/v1/incidents", "").await.body).unwrap();
    assert_eq!(incidents.incidents, snapshot().incidents);
    assert_eq!(send_to(&socket, "POST", "/v1/stores/acme/report", "").await.status, 202);
    assert_eq!(send_to(&socket, "POST", "/v1/stores/other/report", "").await.status, 404);
    assert_eq!(send_to(&socket, "POST", "/v1/incidents", "").await.status, 405);
}

#[tokio::test]
async fn a_silence_is_handed_to_the_engine_within_its_limits() {
    let (_directory, socket, mut running) = controlled().await;
    let mut asked = engine(&mut running, |_| Reply::Incident(Box::new(incident(Cause::BadWrite))));
    let path = "/v1/incidents/acme:bad_write:1/silence";
    let answer = send_to(&socket, "PUT", path, "{\"seconds\": 7200}").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(said["cause"], "bad_write");
    let wanted = "acme:bad_write:1".to_owned();
    let span = SilenceSpan::new(Duration::from_secs(7200)).unwrap();
    assert_eq!(asked.recv().await, Some(Request::Silence { incident: wanted.clone(), span }));
    assert_eq!(send_to(&socket, "DELETE", path, "").await.status, 200);
    assert_eq!(asked.recv().await, Some(Request::Unsilence { incident: wanted }));

    let long = format!("{{\"seconds\": {}7200}}", " ".repeat(5000));
    for (body, status, part) in [
        ("{\"seconds\": 59}", 400, "from 1 minute to 30 days"),
        ("{\"seconds\": 2592001}", 400, "from 1 minute to 30 days"),
        ("{\"seconds\": -1}", 400, "JSON such as"),
        ("{\"seconds\": 7200, \"more\": 1}", 400, "JSON such as"),
        ("", 400, "JSON such as"),
        (&long, 413, "too long"),
    ] {
        let answer = send_to(&socket, "PUT", path, body).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.body.contains(part), "{}", answer.body);
    }
    assert_eq!(send_to(&socket, "POST", path, "{\"seconds\": 7200}").await.status, 405);
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_silence_that_is_not_on_the_disk_yet_says_so() {
    for fault in [None, Some("no space left")] {
        let (_directory, socket, mut running) = controlled().await;
        let _asked = engine_on(fault, &mut running, |_| Reply::Incident(Box::new(incident(Cause::Moved))));
        for (method, body) in [("PUT", "{\"seconds\": 7200}"), ("DELETE", "")] {
            let answer = send_to(&socket, method, "/v1/incidents/acme:1/silence", body).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let said: Silenced = serde_json::from_str(&answer.body).unwrap();
            assert_eq!((&said.incident, said.unwritten.as_deref()), (&incident(Cause::Moved), fault));
            assert_eq!(answer.body.contains("unwritten"), fault.is_some());
        }
    }
}

#[tokio::test]
async fn an_incident_that_is_not_meant_for_sure_is_not_silenced_and_the_answer_says_why() {
    let (_directory, socket, mut running) = controlled().await;
    let _asked = engine(&mut running, |request| match request {
        Request::Unsilence { incident } if incident == "acme" => {
            let now = crate::domain::time::Timestamp::from_millis(5);
            let id = |cause| IncidentId::new(Some("acme"), cause, now);
            Reply::AmbiguousIncident(vec![id(Cause::BadWrite), id(Cause::Moved)])
        }
        Request::Report { .. }
        | Request::Acknowledge { .. }
        | Request::Silence { .. }
        | Request::Unsilence { .. } => Reply::UnknownIncident,
    });
    let answer = send_to(&socket, "DELETE", "/v1/incidents/acme/silence", "").await;
    assert_eq!(answer.status, 409);
    assert!(answer.body.ends_with(": acme:bad_write:5, acme:moved:5\n"), "{}", answer.body);
    let answer = send_to(&socket, "DELETE", "/v1/incidents/nobody/silence", "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("`bc-secrets-sync incidents` lists them"), "{}", answer.body);
    for nowhere in
        ["/v1/incidents//silence", "/v1/incidents/a/b/silence", "/v1/stores/a", "/v1/", "/v1/stores//report"]
    {
        assert_eq!(send_to(&socket, "DELETE", nowhere, "").await.status, 405, "{nowhere}");
        assert_eq!(send_to(&socket, "GET", nowhere, "").await.status, 404, "{nowhere}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_does_not_answer_costs_a_request_five_seconds() {
    let (source, orders) = RequestSource::channel();
    let asked = Instant::now();
    let request = || Request::Unsilence { incident: "acme".to_owned() };
    assert_eq!(source.ask(request()).await, Err(NoAnswer::InTime));
    assert_eq!(asked.elapsed(), ANSWER_LIMIT);
    drop(orders);
    assert_eq!(source.ask(request()).await, Err(NoAnswer::Ended));
}
