//! Who may see the daemon over the network: TLS, tokens, and clients that would hold its listener.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bc_secrets_sync::sandbox::authority::Authority;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use reqwest::{Certificate, Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::configuration::Configuration;
use crate::support::daemon::{Daemon, Finished, run, run_with};
use crate::support::wait::wait_until;
use crate::support::world::World;

const TOKEN: &str = "access-token-0123456789";
const LISTEN: &str = "listen = \"127.0.0.1:0\"";

/// The files of `[http]`.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    token: PathBuf,
    ca: PathBuf,
}

impl Files {
    fn new(configuration: &Configuration, authority: &Authority) -> Self {
        let file = |name| configuration.home().join(name);
        let files = Self {
            certificate: file("http.crt"),
            key: file("http.key"),
            token: file("http-token"),
            ca: file("http-ca.pem"),
        };
        files.issue(authority);
        std::fs::write(&files.token, format!("{TOKEN}\n")).unwrap();
        files
    }

    /// A new pair by an authority, which clients of the command line trust from now on.
    fn issue(&self, authority: &Authority) {
        let (certificate, key) = authority.issue(&[], None).unwrap();
        replace(&self.certificate, &certificate);
        replace(&self.key, &key);
        replace(&self.ca, authority.ca_pem());
    }

    fn tls(&self) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("\n[http.tls]\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"\n")
    }
}

fn replace(path: &Path, text: &str) {
    let aside = path.with_extension("new");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(&aside, path).unwrap();
}

/// Asks over TLS, each time with a connection of its own.
fn ask(daemon: &Daemon, authority: &Authority, path: &str) -> RequestBuilder {
    let root = Certificate::from_pem(authority.ca_pem().as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([root]).no_proxy().build().unwrap();
    client.get(format!("https://{}{path}", daemon.address()))
}

async fn code(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

async fn status(daemon: &Daemon, authority: &Authority) -> Value {
    let answer: Response = ask(daemon, authority, "/status").bearer_auth(TOKEN).send().await.unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

async fn told(configuration: &Configuration, url: &str, more: &[&Path]) -> Finished {
    let mut arguments = vec!["status", "--url", url];
    let names = ["--token-file", "--ca-file"];
    for (name, file) in names.iter().zip(more).filter(|(_, file)| !file.as_os_str().is_empty()) {
        arguments.extend([*name, file.to_str().unwrap()]);
    }
    run(configuration.home(), arguments).await
}

#[tokio::test]
async fn over_tls_with_a_token_all_is_seen_and_without_it_only_what_is_open() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let files = Files::new(&world.configuration, &authority);
    let guarded = format!("{LISTEN}\ntoken_file = \"{}\"\nopen = [\"probes\"]", files.token.display());
    world.configuration.edit(LISTEN, &guarded);
    world.configuration.more = files.tls();
    let daemon = world.daemon().await;
    wait_until("the daemon is ready", async || code(ask(&daemon, &authority, "/readyz")).await == 200).await;
    for path in ["/", "/metrics", "/status", "/v1/incidents"] {
        assert_eq!(code(ask(&daemon, &authority, path)).await, 401, "{path}");
        assert_eq!(code(ask(&daemon, &authority, path).bearer_auth(TOKEN)).await, 200, "{path}");
        assert_eq!(code(ask(&daemon, &authority, path).basic_auth("me", Some(TOKEN))).await, 200, "{path}");
    }
    // What a browser does: the page, and its events from there.
    let page = ask(&daemon, &authority, "/").header("accept", "text/html").basic_auth("me", Some(TOKEN));
    let page = page.send().await.unwrap().text().await.unwrap();
    let place = page.split("data-at=\"").nth(1).unwrap().split('"').next().unwrap();
    let events = ask(&daemon, &authority, &format!("/events?since={place}")).basic_auth("me", Some(TOKEN));
    let first = events.send().await.unwrap().chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("event: beat"));

    // The command line says what is missing.
    let (configuration, url) = (&world.configuration, format!("https://{}", daemon.address()));
    let good = told(configuration, &url, &[&files.token, &files.ca]).await;
    assert!(good.code == Some(0) && good.stdout.contains("acme"), "{good:?}");
    let wrong = configuration.home().join("wrong-token");
    std::fs::write(&wrong, "another-token-0123456789").unwrap();
    let other_ca = configuration.home().join("other-ca.pem");
    std::fs::write(&other_ca, other.ca_pem()).unwrap();
    let none = Path::new("");
    let plain = url.replace("https://", "http://");
    for (url, more, code, part) in [
        (&url, [none, &files.ca], 2, "name with --token-file the file that http.token_file"),
        (&url, [&wrong, &files.ca], 2, "does not take the token in"),
        (&url, [&files.token, &other_ca], 17, "is not signed by the authority that --ca-file names"),
        (&plain, [&files.token, none], 2, "this listener speaks TLS: ask with https://"),
        (&url.replace("127.0.0.1", "127.0.0.2"), [&files.token, &files.ca], 17, "nobody listens there"),
    ] {
        let told = told(configuration, url, &more).await;
        assert_eq!(told.code, Some(code), "{told:?}");
        assert!(told.stderr.contains(part), "{part}: {told:?}");
        assert!(!told.stderr.contains("token-0123456789"), "{told:?}");
    }
    let lonely = run(configuration.home(), ["status", "--token-file", "/nowhere"]).await;
    assert!(lonely.code == Some(2) && lonely.stderr.contains("--url"), "{lonely:?}");

    let refused = status(&daemon, &authority).await["http"]["refused"].clone();
    assert_eq!(refused["wrong_token"], 1, "{refused}");
    assert!(refused["no_token"].as_u64() >= Some(5) && refused["handshake"].as_u64() >= Some(2), "{refused}");
    assert!(!daemon.log_text().contains("token-0123456789"));
    daemon.stop().await;
}

/// What `openssl req -x509` makes.
#[tokio::test]
async fn a_certificate_that_is_an_authoritys_own_is_said_to_be_one_on_both_sides() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let files = Files::new(&world.configuration, &Authority::new().unwrap());
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().pem();
    replace(&files.certificate, &certificate);
    replace(&files.key, &key.serialize_pem());
    replace(&files.ca, &certificate);
    world.configuration.more = files.tls();
    let daemon = world.daemon().await;
    let warned = |line: &Value| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == "WARN" && message.contains("http.crt is an authority's own (CA:TRUE)")
    };
    assert!(daemon.log().iter().any(warned), "{}", daemon.log_text());
    let valid = run_with(&world.configuration, "validate", &[]).await;
    let note = valid.stdout.lines().nth(1).unwrap_or_default();
    assert_eq!(valid.code, Some(0), "{valid:?}");
    assert!(note.starts_with("note: the certificate in ") && note.contains("CA:FALSE"), "{valid:?}");

    let url = format!("https://{}", daemon.address());
    let told = told(&world.configuration, &url, &[Path::new(""), &files.ca]).await;
    assert_eq!(told.code, Some(17), "{told:?}");
    let words = "its certificate is an authority's own certificate (CA:TRUE)";
    assert!(told.stderr.contains(words) && told.stderr.contains("CA:FALSE"), "{told:?}");
    assert!(!told.stderr.contains("CaUsedAsEndEntity"), "{told:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn new_files_need_no_restart_and_bad_ones_are_told_and_not_shown() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let (old, new) = (Authority::new().unwrap(), Authority::new().unwrap());
    let files = Files::new(&world.configuration, &old);
    world.configuration.more = files.tls();
    let daemon = world.daemon().await;
    assert_eq!(code(ask(&daemon, &old, "/livez")).await, 200);
    let metric = async |authority: &Authority, name: &str| {
        let text = ask(&daemon, authority, "/metrics").send().await.unwrap().text().await.unwrap();
        let prefix = format!("bc_secrets_sync_http_certificate_{name} ");
        text.lines().find_map(|line| line.strip_prefix(&prefix)?.parse::<f64>().ok()).unwrap()
    };
    assert_eq!(metric(&old, "last_load_successful").await, 1.0);

    // Half of a new pair.
    replace(&files.key, &new.issue(&[], None).unwrap().1);
    assert_eq!(metric(&old, "last_load_successful").await, 0.0);
    let error = status(&daemon, &old).await["http"]["certificate"]["error"].clone();
    assert!(error.as_str().unwrap().contains("does not belong to the first certificate"), "{error}");
    let told =
        |part: &str| daemon.log().iter().filter(|line| line["message"].to_string().contains(part)).count();
    assert_eq!(told("cannot be used; the former ones stay in use"), 1, "said once");

    files.issue(&new);
    assert_eq!(code(ask(&daemon, &new, "/livez")).await, 200);
    assert_eq!(metric(&new, "last_load_successful").await, 1.0);
    assert!(ask(&daemon, &old, "/livez").send().await.is_err());
    assert_eq!(told("are used from now on"), 1);
    let end = SystemTime::now() + Duration::from_secs(3600);
    let hours = end - Duration::from_secs(7200)..end;
    let (certificate, key) = new.issue(&[], Some(hours)).unwrap();
    replace(&files.certificate, &certificate);
    replace(&files.key, &key);
    let expected = end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((metric(&new, "expiry_timestamp_seconds").await - expected).abs() < 2.0);
    assert!((metric(&new, "valid_from_timestamp_seconds").await - (expected - 7200.0)).abs() < 2.0);
    daemon.stop().await;
}

#[tokio::test]
async fn a_volume_that_is_swapped_is_followed() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let (old, new) = (Authority::new().unwrap(), Authority::new().unwrap());
    let volume = world.configuration.home().join("volume");
    let generation = |name: &str, authority: &Authority, token: &str| {
        let directory = volume.join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let (certificate, key) = authority.issue(&[], None).unwrap();
        for (file, text) in [("tls.crt", certificate.as_str()), ("tls.key", &key), ("token", token)] {
            std::fs::write(directory.join(file), text).unwrap();
        }
        let aside = volume.join("..data_tmp");
        std::os::unix::fs::symlink(name, &aside).unwrap();
        std::fs::rename(aside, volume.join("..data")).unwrap();
    };
    generation("..1", &old, TOKEN);
    for file in ["tls.crt", "tls.key", "token"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), volume.join(file)).unwrap();
    }
    let at = volume.display();
    world.configuration.edit(LISTEN, &format!("{LISTEN}\ntoken_file = \"{at}/token\""));
    world.configuration.more =
        format!("\n[http.tls]\ncertificate_file = \"{at}/tls.crt\"\nkey_file = \"{at}/tls.key\"\n");
    let daemon = world.daemon().await;
    assert_eq!(code(ask(&daemon, &old, "/status").bearer_auth(TOKEN)).await, 200);
    let next = "next-token-0123456789";
    generation("..2", &new, next);
    std::fs::remove_dir_all(volume.join("..1")).unwrap();
    assert_eq!(code(ask(&daemon, &new, "/status").bearer_auth(TOKEN)).await, 401);
    assert_eq!(code(ask(&daemon, &new, "/status").bearer_auth(next)).await, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn a_new_configuration_brings_tls_and_a_token_and_takes_them_away() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let authority = Authority::new().unwrap();
    let files = Files::new(&world.configuration, &authority);
    let plain = world.configuration.text();
    let guarded = plain.replace(LISTEN, &format!("{LISTEN}\ntoken_file = \"{}\"", files.token.display()));

    world.configuration.write_text(&format!("{guarded}{}", files.tls()));
    wait_until("it speaks TLS", async || ask(&daemon, &authority, "/livez").send().await.is_ok()).await;
    assert_eq!(code(ask(&daemon, &authority, "/status")).await, 401);
    assert_eq!(status(&daemon, &authority).await["configuration"]["reloads"], 1);

    // A pair that does not fit refuses the whole configuration.
    let (certificate, _) = authority.issue(&[], None).unwrap();
    let bad = files.tls().replace("http.crt", "other.crt");
    std::fs::write(world.configuration.home().join("other.crt"), certificate).unwrap();
    world.configuration.write_text(&format!("{plain}{bad}"));
    wait_until("it is refused", async || {
        let error = status(&daemon, &authority).await["configuration"]["error"].clone();
        error.as_str().is_some_and(|error| error.contains("name the two that were made together"))
    })
    .await;
    assert_eq!(code(ask(&daemon, &authority, "/status")).await, 401, "the old rules are in force");

    world.configuration.write_text(&plain);
    wait_until("it is as before", async || {
        let page = Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let answer = page.get(format!("http://{}/status", daemon.address())).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn validate_looks_whether_key_and_certificate_fit_and_are_still_good() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let authority = Authority::new().unwrap();
    let files = Files::new(&world.configuration, &authority);
    world.configuration.more = files.tls();
    let good = run_with(&world.configuration, "validate", &[]).await;
    assert_eq!(good.code, Some(0), "{good:?}");
    let day = Duration::from_secs(24 * 3600);
    let past = SystemTime::now() - 2 * day..SystemTime::now() - day;
    let (expired, expired_key) = authority.issue(&[], Some(past)).unwrap();
    let (other, _) = authority.issue(&[], None).unwrap();
    for (certificate, part) in [
        (Some(expired.as_str()), "has expired: renew it"),
        (Some(&other), "does not belong to the first certificate in"),
        (Some("junk"), "holds no certificate in PEM"),
        (None, "does not exist"),
    ] {
        replace(&files.key, &expired_key);
        match certificate {
            Some(certificate) => replace(&files.certificate, certificate),
            None => std::fs::remove_file(&files.certificate).unwrap(),
        }
        let refused = run_with(&world.configuration, "validate", &[]).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("http.tls") && refused.stderr.contains(part), "{part}: {refused:?}");
    }
    // What is published matters more than who can look at it: with one that has expired the daemon starts.
    replace(&files.certificate, &expired);
    let daemon = world.daemon().await;
    assert!(daemon.log_text().contains("the certificate of [http.tls] has expired"));
    daemon.stop().await;
}

#[tokio::test]
async fn nobody_keeps_probes_from_being_answered() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let address = daemon.address().to_owned();
    let mut held = Vec::new();
    for begin in ["", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n", "\u{16}\u{3}\u{1}"] {
        for _ in 0..100 {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(begin.as_bytes()).await.unwrap();
            held.push(stream);
        }
        let asked = Instant::now();
        for path in ["/livez", "/readyz", "/startupz", "/metrics", "/status"] {
            assert_eq!(daemon.code(path).await, 200, "{path}");
        }
        // Who had to wait until the others were cut off would wait for five seconds.
        assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    }
    // Those who ask for long pages and do not read them.
    for _ in 0..100 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let _cut = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        held.push(stream);
    }
    // Whoever comes anew is answered; connections that are kept may have given way.
    for path in ["/livez", "/metrics"] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(path == "/livez" || answer.contains("http_refused_total{reason=\"no_room\"} "), "{answer}");
    }
    let (mut first, mut nothing) = (held.remove(0), [0]);
    assert!(matches!(first.read(&mut nothing).await, Ok(0) | Err(_)), "the oldest gave way");
    daemon.stop().await;
}
