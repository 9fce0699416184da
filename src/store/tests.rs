//! What the probe sends, and what it makes of every way in which a store can answer or fail to.

mod certificates;
mod server;

use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use self::server::{Authority, Server, Stream, read_request, respond};
use super::*;
use crate::config::Check;
use crate::domain::credentials::{AddressPolicy, Field, FieldNames, Fields, HostPattern};
use crate::domain::verdict::MAX_BODY;

/// Long enough that only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(20);

fn check(authority: &Authority) -> Check {
    Check {
        interval: Duration::from_secs(300),
        timeout: LIMIT,
        confirmations: 3,
        confirmation_spacing: Duration::from_secs(30),
        stale_after: Duration::from_secs(3600),
        certificate_warning: None,
        concurrency: 4,
        hosts: AddressPolicy::AllowPrivate.into(),
        ca_file: Some(authority.file()),
        verify_before_publish: true,
    }
}

/// Credentials of a store at a host and port. The resolver's policy is tested, not that of the parser.
fn credentials(place: &str) -> Credentials {
    let text = |text: &str| Field::Text(Secret::new(text.to_owned()));
    let fields = Fields {
        username: text("jürgen"),
        api_token: text("c0ffee:c0ffee"),
        api_path: text(&format!("https://{place}/api/v2/")),
    };
    Credentials::parse(fields, &FieldNames::default(), &AddressPolicy::AllowPrivate.into()).unwrap()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn probe(check: &Check, place: &str) -> ProbeOutcome {
    let prober = Prober::new(check).unwrap();
    run(prober.probe(&credentials(place), Timestamp::default()))
}

/// Probes a server that handles its connections so.
fn answered(handle: impl Fn(Stream) + Send + Sync + 'static) -> ProbeOutcome {
    let authority = Authority::new();
    let server = Server::start(authority.certify("localhost"), handle);
    probe(&check(&authority), &format!("localhost:{}", server.port()))
}

fn answer(outcome: ProbeOutcome) -> Answer {
    match outcome {
        ProbeOutcome::Answered(answer) => answer,
        ProbeOutcome::Failed(fault) => panic!("failed: {fault:?}"),
    }
}

#[track_caller]
fn failed(outcome: ProbeOutcome, expected: ProbeFault) {
    match outcome {
        ProbeOutcome::Failed(fault) => assert_eq!(fault, expected),
        ProbeOutcome::Answered(answer) => panic!("answered: {answer:?}"),
    }
}

#[test]
fn the_request_is_exactly_this() {
    let (sender, requests) = mpsc::channel();
    let authority = Authority::new();
    let server = Server::start(authority.certify("localhost"), move |mut stream| {
        sender.send(read_request(&mut stream)).unwrap();
        respond(&mut stream, "200 OK", "", r#"{"time":1356126086}"#);
    });
    let port = server.port();
    let answer = answer(probe(&check(&authority), &format!("localhost:{port}")));
    assert_eq!((answer.status, answer.body.as_slice()), (200, &br#"{"time":1356126086}"#[..]));
    let request = requests.recv().unwrap();
    let mut lines: Vec<_> = request.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "GET /api/v2/time HTTP/1.1");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "accept: application/json".to_owned(),
            // jürgen:c0ffee:c0ffee
            "authorization: Basic asO8cmdlbjpjMGZmZWU6YzBmZmVl".to_owned(),
            format!("host: localhost:{port}"),
            format!("user-agent: bc-secrets-sync/{} (+credential check)", env!("CARGO_PKG_VERSION")),
        ]
    );
}

#[test]
fn a_rejection_is_reported_with_its_body() {
    let body = r#"[{"status":401,"message":"No credentials were supplied in the request."}]"#;
    let answer = answer(answered(move |mut stream| {
        read_request(&mut stream);
        respond(&mut stream, "401 Unauthorized", "X-BC-ApiLimit-Remaining: 19987\r\n", body);
    }));
    assert_eq!(answer.status, 401);
    assert_eq!(answer.body, body.as_bytes());
    assert_eq!(answer.remaining, Some(19_987));
}

#[test]
fn waits_are_reported() {
    let answer = answer(answered(|mut stream| {
        read_request(&mut stream);
        respond(
            &mut stream,
            "429 Too Many Requests",
            "X-Retry-After: 15\r\nX-Rate-Limit-Time-Reset-Ms: 15123\r\n",
            "",
        );
    }));
    assert_eq!(answer.status, 429);
    assert_eq!(answer.wait, Some(Duration::from_millis(15_123)));
}

#[test]
fn a_redirect_is_reported_and_not_followed() {
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let authority = Authority::new();
        let (sender, reached) = mpsc::channel();
        let elsewhere = Server::start(authority.certify("localhost"), move |_| {
            sender.send(()).unwrap();
        });
        let location = format!("Location: https://localhost:{}/api/v2/time\r\n", elsewhere.port());
        let server = Server::start(authority.certify("localhost"), move |mut stream| {
            read_request(&mut stream);
            respond(&mut stream, status, &location, "");
        });
        let answer = answer(probe(&check(&authority), &format!("localhost:{}", server.port())));
        assert!((301..=308).contains(&answer.status));
        assert_eq!(answer.location_host.as_deref(), Some("localhost"));
        // The server has taken every connection that was made to it when it has ended.
        drop(elsewhere);
        assert!(reached.try_recv().is_err(), "{status}: followed");
    }
}

#[test]
fn a_host_with_a_secret_in_it_is_known_unless_it_was_asked_for() {
    let secret = Secret::new("C0ffee".into());
    for (host, asked, repeated) in [
        ("c0ffee.example", "store.example", true),
        ("x-C0FFEE-x.example", "store.example", true),
        ("www.c0ffee.example", "c0ffee.example", false),
        ("www.store.example", "store.example", false),
    ] {
        assert_eq!(is_repeated(&secret, host, asked), repeated, "{host}");
    }
}

#[test]
fn an_endless_body_is_cut_off_and_its_connection_closed() {
    let (sender, closed) = mpsc::channel();
    let authority = Authority::new();
    let server = Server::start(authority.certify("localhost"), move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while stream.write_all(b"5\r\nxxxxx\r\n").is_ok() {}
        sender.send(()).unwrap();
    });
    let prober = Prober::new(&check(&authority)).unwrap();
    let credentials = credentials(&format!("localhost:{}", server.port()));
    run(async {
        let answer = answer(prober.probe(&credentials, Timestamp::default()).await);
        assert_eq!(answer.body.len(), MAX_BODY);
        // With the client and its runtime still there.
        let waiting = tokio::task::spawn_blocking(move || closed.recv_timeout(LIMIT));
        waiting.await.unwrap().expect("the connection stays open");
    });
}

#[test]
fn a_long_body_is_cut_off() {
    let answer = answer(answered(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n");
        let block = vec![b'x'; 1 << 20];
        for _ in 0..10 {
            if stream.write_all(&block).is_err() {
                break;
            }
        }
    }));
    assert_eq!(answer.body.len(), MAX_BODY);
}

#[test]
fn the_announced_length_is_not_waited_for() {
    let answer = answer(answered(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
        let _ = stream.write_all(&vec![b'x'; MAX_BODY]);
        stream.wait_for_end();
    }));
    assert_eq!(answer.body.len(), MAX_BODY);
}

#[test]
fn endless_headers_are_no_answer() {
    let endless: [(&[u8], &[u8]); 3] = [
        (
            b"HTTP/1.1 200 OK\r\n",
            b"X-More: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX-Long: ",
            b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ];
    for (first, more) in endless {
        let authority = Authority::new();
        let server = Server::start(authority.certify("localhost"), move |mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(first);
            let block = more.repeat(100);
            while stream.write_all(&block).is_ok() {}
        });
        let mut check = check(&authority);
        check.timeout = Duration::from_secs(2);
        let outcome = probe(&check, &format!("localhost:{}", server.port()));
        assert!(
            matches!(outcome, ProbeOutcome::Failed(ProbeFault::Broken | ProbeFault::Timeout)),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_body_is_taken_as_it_comes_whatever_it_says_of_its_encoding() {
    let packed: &[u8] = b"\x1f\x8b\x08\x00not really packed";
    let answer = answer(answered(move |mut stream| {
        read_request(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 21\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(packed);
        stream.wait_for_end();
    }));
    assert_eq!(answer.body, packed);
}

#[test]
fn a_connection_that_ends_too_early_is_broken() {
    failed(
        answered(|mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"time\":1}");
        }),
        ProbeFault::Broken,
    );
    failed(
        answered(|mut stream| {
            read_request(&mut stream);
        }),
        ProbeFault::Broken,
    );
    failed(
        answered(|mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(b"this is not HTTP\r\n\r\n");
            stream.wait_for_end();
        }),
        ProbeFault::Broken,
    );
}

#[test]
fn a_refusal_counts_though_its_body_does_not_come_whole() {
    for (status, stalls) in [(401, false), (401, true), (503, false)] {
        let authority = Authority::new();
        let server = Server::start(authority.certify("localhost"), move |mut stream| {
            read_request(&mut stream);
            let head = format!("HTTP/1.1 {status} No\r\nContent-Length: 64\r\nRetry-After: 7\r\n\r\n[{{");
            let _ = stream.write_all(head.as_bytes());
            if stalls {
                stream.wait_for_end();
            }
        });
        let mut check = check(&authority);
        check.timeout = Duration::from_secs(if stalls { 2 } else { 20 });
        let answer = answer(probe(&check, &format!("localhost:{}", server.port())));
        assert_eq!((answer.status, answer.body.as_slice()), (status, &b"[{"[..]));
        assert_eq!(answer.wait, Some(Duration::from_secs(7)));
        assert!(answer.certificate.is_some());
    }
}

#[test]
fn a_store_that_does_not_answer_is_given_up() {
    let before: [&[u8]; 3] =
        [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"];
    for sent in before {
        let authority = Authority::new();
        let server = Server::start(authority.certify("localhost"), move |mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(sent);
            stream.wait_for_end();
        });
        let mut check = check(&authority);
        check.timeout = Duration::from_millis(500);
        failed(probe(&check, &format!("localhost:{}", server.port())), ProbeFault::Timeout);
    }
}

#[test]
fn a_handshake_may_take_all_the_time_of_a_probe_and_no_more() {
    let authority = Authority::new();
    // Connections are made by the kernel; nobody ever accepts them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut check = check(&authority);
    check.timeout = Duration::from_millis(500);
    let place = format!("localhost:{}", listener.local_addr().unwrap().port());
    let begin = Instant::now();
    failed(probe(&check, &place), ProbeFault::Timeout);
    assert!(begin.elapsed() >= check.timeout, "{:?}", begin.elapsed());
}

#[test]
fn a_server_without_tls_is_a_failure_of_tls() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    });
    failed(probe(&check(&authority), &format!("localhost:{port}")), ProbeFault::Tls);
    server.join().unwrap();
}

#[test]
fn a_port_where_nobody_listens_is_no_connection() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    failed(probe(&check(&authority), &format!("127.0.0.1:{port}")), ProbeFault::Connect);
}

#[test]
fn a_name_that_does_not_exist_is_a_failure_of_dns() {
    let authority = Authority::new();
    // Whether a name server says no or none can be reached, it is the same fault. The limit is far beyond what
    // the system's resolver waits for.
    let mut check = check(&authority);
    check.timeout = LIMIT * 10;
    failed(probe(&check, "store.invalid"), ProbeFault::Dns);
}

#[test]
fn a_private_address_is_refused_before_a_connection_is_made() {
    let authority = Authority::new();
    let mut check = check(&authority);
    check.hosts = AddressPolicy::PublicOnly.into();
    for host in ["localhost", "127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]"] {
        let (sender, reached) = mpsc::channel();
        let server = Server::start(authority.certify("localhost"), move |_| sender.send(()).unwrap());
        let place = format!("{host}:{}", server.port());
        failed(probe(&check, &place), ProbeFault::PrivateAddress);
        drop(server);
        assert!(reached.try_recv().is_err(), "{host}");
    }
}

#[test]
fn a_host_that_is_not_listed_is_not_asked_whatever_was_published_before() {
    let authority = Authority::new();
    let mut check = check(&authority);
    for (listed, asked) in [("store.example", false), ("localhost", true)] {
        let (sender, reached) = mpsc::channel();
        let server = Server::start(authority.certify("localhost"), move |mut stream| {
            sender.send(()).unwrap();
            read_request(&mut stream);
            respond(&mut stream, "200 OK", "", r#"{"time":1}"#);
        });
        check.hosts.names = Some([HostPattern::parse(listed).unwrap()].into());
        let outcome = probe(&check, &format!("localhost:{}", server.port()));
        if asked {
            assert_eq!(answer(outcome).status, 200);
        } else {
            failed(outcome, ProbeFault::HostNotAllowed);
        }
        drop(server);
        assert_eq!(reached.try_recv().is_ok(), asked, "{listed}");
    }
}

#[test]
fn an_address_in_the_place_of_the_name_is_asked_where_that_is_allowed() {
    let authority = Authority::new();
    let server = Server::start(authority.certify("127.0.0.1"), |mut stream| {
        read_request(&mut stream);
        respond(&mut stream, "200 OK", "", r#"{"time":1}"#);
    });
    let place = format!("127.0.0.1:{}", server.port());
    assert_eq!(answer(probe(&check(&authority), &place)).status, 200);
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_named() {
    let authority = Authority::new();
    let with = |content: &str| {
        std::fs::write(authority.file(), content).unwrap();
        let error = Prober::new(&check(&authority)).unwrap_err();
        assert!(error.to_string().contains(authority.file().to_str().unwrap()), "{error}");
        error
    };
    assert!(matches!(with("no certificate"), BuildError::NoCertificate { .. }));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(with(broken), BuildError::BadCertificate { .. }));
    std::fs::remove_file(authority.file()).unwrap();
    assert!(matches!(Prober::new(&check(&authority)), Err(BuildError::Unreadable { .. })));
}

/// The environment belongs to the whole process, so this runs the test below in a process of its own.
#[test]
fn a_system_without_authorities_is_told_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let file = empty.path().join("bundle.pem");
    std::fs::write(&file, "").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "store::tests::without_authorities"])
        .env("SSL_CERT_FILE", file)
        .env("SSL_CERT_DIR", empty.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "needs an environment without authorities; run by a_system_without_authorities_is_told_what_to_do"]
fn without_authorities() {
    let authority = Authority::new();
    let mut check = check(&authority);
    check.ca_file = None;
    let error = Prober::new(&check).unwrap_err();
    assert!(matches!(error, BuildError::NoAuthorities(_)), "{error:?}");
    assert!(error.to_string().contains("ca-certificates"), "{error}");
}

#[test]
fn nothing_that_can_be_printed_holds_a_secret() {
    let authority = Authority::new();
    let credentials = credentials("localhost");
    let header = basic(&credentials).unwrap();
    let prober = Prober::new(&check(&authority)).unwrap();
    let outcome = answered(|mut stream| {
        read_request(&mut stream);
        respond(&mut stream, "200 OK", "", "c0ffee");
    });
    let text = format!("{prober:?} {header:?} {credentials:?} {outcome:?}");
    for secret in ["c0ffee", "YzBmZmVl", "gen"] {
        assert!(!text.contains(secret), "{text}");
    }
}
