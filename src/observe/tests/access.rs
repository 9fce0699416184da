//! Who is let in: tokens, names, proxies and pages of other sites, over real connections.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::net::UnixStream;

use super::*;

const TOKEN: &str = "0123456789abcdef";
const REPORT_TOKEN: &str = "fedcba9876543210";
const REPORT: &str = "/v1/stores/acme/report";

async fn send(running: &Running, method: &str, path: &str, headers: &str) -> Answer {
    let stream = TcpStream::connect(&running.address).await.unwrap();
    exchange(stream, &request(method, path, headers)).await
}

fn token_files() -> (TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (token, report) = (directory.path().join("token"), directory.path().join("report"));
    std::fs::write(&token, TOKEN).unwrap();
    std::fs::write(&report, REPORT_TOKEN).unwrap();
    (directory, token, report)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn with_a_token_only_what_is_open_is_seen_without_it() {
    let mut running = running().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    let (_directory, token, _) = token_files();
    let guarded = ["/", "/status", "/v1/incidents", "/events", "/nowhere"];
    let (probes, metrics) = (["/livez", "/readyz", "/startupz", "/healthz"], ["/metrics"]);
    // Without anything to hide: what the page is made of is in every copy of the program.
    let parts = ["/page.css", "/page.js", "/icon.svg"];
    for open in [vec![], vec![Open::Probes], vec![Open::Metrics], vec![Open::Probes, Open::Metrics]] {
        running.access.set(rules(Http { token_file: Some(token.clone()), open: open.clone(), ..http() }));
        let is = |what| open.contains(&what);
        let expected = guarded.iter().map(|path| (path, false));
        let expected = expected
            .chain(probes.iter().map(|path| (path, is(Open::Probes))))
            .chain(metrics.iter().map(|path| (path, is(Open::Metrics))))
            .chain(parts.iter().map(|path| (path, true)));
        for (path, is_open) in expected {
            let answer = send(&running, "GET", path, "").await;
            assert_eq!(answer.status == 200, is_open, "{path} with {open:?}");
            if is_open {
                continue;
            }
            assert_eq!(answer.status, 401, "{path} with {open:?}");
            let challenges: Vec<_> =
                answer.head.lines().filter(|line| line.starts_with("www-authenticate: ")).collect();
            let [first, second] = challenges.as_slice() else { panic!("{challenges:?}") };
            assert!(first.contains("Bearer realm=") && second.contains("Basic realm="), "{challenges:?}");
            assert!(answer.body.contains("http.token_file"), "{}", answer.body);
        }
    }
    let basic = format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("anybody:{TOKEN}")));
    for headers in [bearer(TOKEN), basic] {
        for path in ["/", "/status", "/v1/incidents", "/metrics", "/livez"] {
            assert_eq!(send(&running, "GET", path, &headers).await.status, 200, "{path}");
        }
        assert_eq!(send(&running, "GET", "/nowhere", &headers).await.status, 404);
    }
}

#[tokio::test]
async fn wrong_tokens_are_counted_and_a_new_token_needs_no_restart() {
    let mut running = running().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    let (_directory, token, _) = token_files();
    running.access.set(rules(Http { token_file: Some(token.clone()), ..http() }));
    for wrong in ["0123456789abcdee", REPORT_TOKEN, "0", "0123456789abcdef0"] {
        assert_eq!(send(&running, "GET", "/status", &bearer(wrong)).await.status, 401, "{wrong}");
    }
    assert_eq!(send(&running, "GET", "/status", "").await.status, 401);
    let refused = running.access.status().refused;
    assert_eq!((refused["wrong_token"], refused["no_token"]), (4, 1));
    let metrics = send(&running, "GET", "/metrics", "").await;
    assert!(metrics.body.contains("http_refused_total{reason=\"no_token\"} "), "{}", metrics.body);

    std::fs::write(&token, REPORT_TOKEN).unwrap();
    assert_eq!(send(&running, "GET", "/status", &bearer(TOKEN)).await.status, 401);
    assert_eq!(send(&running, "GET", "/status", &bearer(REPORT_TOKEN)).await.status, 200);
    std::fs::remove_file(&token).unwrap();
    let answer = send(&running, "GET", "/status", &bearer(REPORT_TOKEN)).await;
    assert_eq!(answer.status, 503, "nobody is let in without one");
    assert_eq!(send(&running, "GET", "/livez", "").await.status, 200);
}

#[tokio::test]
async fn apps_have_a_token_of_their_own() {
    let running = running().await;
    let (_directory, token, report) = token_files();
    let both = Http { token_file: Some(token), report_token_file: Some(report), ..http() };
    running.access.set(rules(both));
    for (token, status) in [(TOKEN, 401), (REPORT_TOKEN, 404)] {
        let answer = send(&running, "POST", "/v1/stores/no%20name/report", &bearer(token)).await;
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    let basic = format!("Authorization: Basic {}\r\n", STANDARD.encode(format!(":{REPORT_TOKEN}")));
    assert_eq!(send(&running, "POST", "/v1/stores/no%20name/report", &basic).await.status, 401);
    assert_eq!(send(&running, "GET", "/status", &bearer(REPORT_TOKEN)).await.status, 401);
}

#[tokio::test]
async fn a_page_that_leads_its_own_name_here_sees_nothing() {
    let mut running = running().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    let ask = async |path: &str, host: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        exchange(TcpStream::connect(&running.address).await.unwrap(), &text).await
    };
    for path in ["/", "/status", "/metrics", "/v1/incidents", "/events"] {
        let answer = ask(path, "attacker.example:9847").await;
        assert_eq!(answer.status, 421, "{path}");
        assert!(answer.body.contains("host_names in [http]"), "{}", answer.body);
    }
    assert_eq!(running.access.status().refused["host"], 5);
    for host in ["localhost", "127.0.0.1:9847", "[::1]"] {
        assert_eq!(ask("/status", host).await.status, 200, "{host}");
    }
    assert_eq!(ask("/livez", "pod.example").await.status, 200, "probes may use any name");
    running.access.set(rules(Http { host_names: vec!["credentials.example".to_owned()], ..http() }));
    assert_eq!(ask("/status", "credentials.example:9847").await.status, 200);
    assert_eq!(ask("/status", "attacker.example").await.status, 421);
}

#[tokio::test]
async fn what_changes_something_is_refused_when_forwarded_or_from_another_site() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    let local = serving(bind_socket(&socket).await.unwrap());
    let mut running = running().await;
    let (_directory, _, report) = token_files();
    running.access.set(rules(Http { report_token_file: Some(report), ..http() }));
    let bearer = bearer(REPORT_TOKEN);
    for (header, reason) in [
        ("Forwarded: for=192.0.2.1", "came through a proxy"),
        ("X-Forwarded-For: 192.0.2.1", "came through a proxy"),
        ("X-Forwarded-Proto: https", "came through a proxy"),
        ("Via: 1.1 proxy", "came through a proxy"),
        ("Origin: https://attacker.example", "page of another site"),
        ("Origin: null", "page of another site"),
        ("Sec-Fetch-Site: cross-site", "page of another site"),
        ("Sec-Fetch-Site: same-site", "page of another site"),
    ] {
        let answer = send(&running, "POST", REPORT, &format!("{bearer}{header}\r\n")).await;
        assert_eq!(answer.status, 403, "{header}");
        assert!(answer.body.contains(reason), "{header}: {}", answer.body);
        for (method, path) in [
            ("POST", REPORT),
            ("POST", "/v1/stores/acme/acknowledge"),
            ("DELETE", "/v1/incidents/acme:/silence"),
            ("PUT", "/v1/log-level"),
        ] {
            let stream = UnixStream::connect(&socket).await.unwrap();
            let answer = exchange(stream, &request(method, path, &format!("{header}\r\n"))).await;
            assert_eq!(answer.status, 403, "{method} {path} {header}");
            assert!(answer.body.contains(reason), "{header}: {}", answer.body);
        }
    }
    let refused = running.access.status().refused;
    assert_eq!((refused["forwarded"], refused["cross_site"]), (4, 4));
    assert_eq!(local.access.status().refused["cross_site"], 16);
    assert!(running.orders.try_recv().is_err(), "nothing was asked of the engine");
    // To be looked at, it may come any way it likes; and a form of GET changes nothing.
    let seen = send(&running, "GET", "/page.css", "X-Forwarded-For: 192.0.2.1\r\n").await;
    assert_eq!(seen.status, 200);
    assert_eq!(send(&running, "GET", REPORT, &bearer).await.status, 405);

    // A page of ours could do it, if it had the token.
    let path = "/v1/stores/no%20name/report";
    let own = format!("{bearer}Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(send(&running, "POST", path, &own).await.status, 404, "it is looked at");
    drop(local.stop);
}
