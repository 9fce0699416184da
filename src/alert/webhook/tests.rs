//! What a receiver gets, what its answers mean, and what errors do not show.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::receiver::{NOW, Receiver, SECRET, message, webhook};
use super::*;
use crate::domain::incident::MessageKind;

const URL_SECRETS: &str = "/hooks/T0PS3CRET?token=al50s3cret";

async fn fault_of(answer: &str) -> DeliveryFault {
    let receiver = Receiver::start(&[answer]);
    let (_directory, config) = webhook(&format!("http://user:p4ssword@{}{URL_SECRETS}", receiver.address));
    let webhook = Webhook::new(&config).unwrap();
    let message = message("acme", 1, MessageKind::Opened);
    webhook.deliver(&message, NOW).await.unwrap_err()
}

#[tokio::test]
async fn a_message_arrives_whole_and_signed() {
    let mut receiver = Receiver::start(&[]);
    let (_directory, config) = webhook(&format!("http://{}/alerts", receiver.address));
    let webhook = Webhook::new(&config).unwrap();
    webhook.deliver(&message("acme.eu", 2, MessageKind::Resolved), NOW).await.unwrap();

    let request = receiver.requests.recv().await.unwrap();
    assert_eq!(request.line, "POST /alerts HTTP/1.1");
    let header = |name: &str| request.headers[name].as_str();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("user-agent"), concat!("bc-secrets-sync/", env!("CARGO_PKG_VERSION")));
    assert_eq!(header("webhook-id"), "acme~2eeu:regenerated_or_revoked:1700000000000:2");
    assert_eq!(header("webhook-timestamp"), "1700000123");
    // Python: hmac.new(base64.b64decode(key), b"<id>.<timestamp>." + <the body below, as it was sent>, "sha256")
    assert_eq!(header("webhook-signature"), "v1,lEoRkUXspHMrTbuXGHV07MbrsEj7I0wghagK4ihfU1M=");
    assert_eq!(
        serde_json::from_slice::<Value>(&request.body).unwrap(),
        json!({
            "type": "bc_secrets_sync.incident.resolved",
            "timestamp": "2023-11-14T22:13:22.000Z",
            "data": {
                "incident_id": "acme.eu:regenerated_or_revoked:1700000000000",
                "store": "acme.eu",
                "cause": "regenerated_or_revoked",
                "severity": "critical",
                "title": "API token regenerated or revoked",
                "headline": "acme.eu: resolved: API token regenerated or revoked: regenerated, caught up: what \
                             Vault has now was accepted by the store and is published",
                "opened_at": "2023-11-14T22:13:20.000Z",
                "evidence": ["rejected 3 times in a row (HTTP 401)"],
                "remedy": "Regenerate the token and write it to Vault.",
                "resolution": "regenerated_caught_up",
                "resolution_text": "regenerated, caught up: what Vault has now was accepted by the store and is \
                                    published",
                "messages": 2,
            },
        })
    );
}

#[tokio::test]
async fn a_replaced_secret_signs_the_next_try() {
    let mut receiver = Receiver::start(&[]);
    let (_directory, config) = webhook(&format!("http://{}/", receiver.address));
    let webhook = Webhook::new(&config).unwrap();
    let message = message("acme", 1, MessageKind::Opened);
    webhook.deliver(&message, NOW).await.unwrap();
    let new = "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldy1zZWNyZXQ=";
    fs::write(&config.signing_secret_file, format!("{new} {SECRET}\n")).unwrap();
    webhook.deliver(&message, NOW).await.unwrap();

    let before = receiver.requests.recv().await.unwrap();
    let after = receiver.requests.recv().await.unwrap();
    assert_eq!(before.headers["webhook-id"], after.headers["webhook-id"]);
    let (new, old) = after.headers["webhook-signature"].split_once(' ').unwrap();
    assert_eq!(old, before.headers["webhook-signature"]);
    assert!(new.starts_with("v1,") && new != old);
}

#[tokio::test]
async fn an_answer_says_when_to_come_back() {
    for (answer, passing, wait) in [
        ("503 Service Unavailable\r\nretry-after: 120\r\n", true, Some(120)),
        ("429 Too Many Requests\r\nretry-after: 86400\r\n", true, Some(3600)),
        ("429 Too Many Requests\r\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n", true, None),
        ("408 Request Timeout\r\n", true, None),
        ("409 Conflict\r\n", true, None),
        ("425 Too Early\r\n", true, None),
        ("400 Bad Request\r\n", false, None),
        ("410 Gone\r\n", false, None),
        ("302 Found\r\nlocation: http://127.0.0.1:1/\r\n", false, None),
    ] {
        let fault = fault_of(answer).await;
        assert_eq!(fault.is_passing(), passing, "{answer}");
        let DeliveryFault::Refused { wait: asked, .. } = fault else {
            panic!("{answer}: {fault}");
        };
        assert_eq!(asked.map(|wait| wait.as_secs()), wait, "{answer}");
    }
}

#[tokio::test]
async fn no_error_shows_more_of_the_address_than_the_host() {
    let closed = "127.0.0.1:1";
    let (directory, config) = webhook(&format!("http://user:p4ssword@{closed}{URL_SECRETS}"));
    let message = message("acme", 1, MessageKind::Opened);
    let unreachable = Webhook::new(&config).unwrap().deliver(&message, NOW).await.unwrap_err();
    fs::write(&config.signing_secret_file, "whsec_c2VjcmV0LXZhbHVl").unwrap();
    let unsigned = Webhook::new(&config).unwrap().deliver(&message, NOW).await.unwrap_err();
    assert_eq!(Webhook::new(&config).unwrap().check(), Err(unsigned.clone()));
    let redirected = fault_of("302 Found\r\nlocation: /hooks/T0PS3CRET\r\n").await;
    let refused = fault_of("401 Unauthorized\r\n").await;

    assert!(unreachable.to_string().starts_with(&format!("cannot reach {closed}: ")), "{unreachable}");
    assert!(unsigned.to_string().contains(&*directory.path().to_string_lossy()), "{unsigned}");
    assert!(redirected.to_string().ends_with("set alerts.webhook.url to the final address"), "{redirected}");
    assert!(refused.to_string().contains(" answered 401: check that"), "{refused}");
    for fault in [unreachable, unsigned, redirected, refused] {
        let words = format!("{fault} {fault:?}");
        for secret in ["S3CRET", "s3cret", "p4ssword", "/hooks", "c2Vj"] {
            assert!(!words.contains(secret), "{words}");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let (_directory, mut config) = webhook(&format!("http://{address}/"));
    config.timeout = Duration::from_millis(50);
    let fault = Webhook::new(&config)
        .unwrap()
        .deliver(&message("acme", 1, MessageKind::Opened), NOW)
        .await
        .unwrap_err();
    assert_eq!(fault.to_string(), format!("no answer from {address} within 50ms"));
}

#[test]
fn a_file_without_authorities_is_refused() {
    let (directory, mut config) = webhook("https://hooks.example/");
    let path = directory.path().join("ca.pem");
    config.ca_file = Some(path.clone());
    assert!(matches!(Webhook::new(&config), Err(BuildError::Authorities { .. })));
    fs::write(&path, "no certificate").unwrap();
    assert!(matches!(Webhook::new(&config), Err(BuildError::NoAuthority { .. })));
}

/// Answers 204 to whoever trusts its certificate, `tries` times.
#[cfg(feature = "demo")]
fn serve_tls(identity: rcgen::CertifiedKey<rcgen::KeyPair>, tries: usize) -> std::net::SocketAddr {
    use std::io::{Read, Write};
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(identity.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)
        .unwrap();
    let config = std::sync::Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(tries) {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            // Fails when the client does not trust the certificate.
            if stream.read(&mut [0; 16 * 1024]).is_ok() {
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok();
            }
        }
    });
    address
}

#[cfg(feature = "demo")]
#[tokio::test]
async fn only_the_authorities_of_the_configuration_are_trusted() {
    let identity = || rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (trusted, other) = (identity(), identity());
    let (trusted_pem, other_pem) = (trusted.cert.pem(), other.cert.pem());
    let address = serve_tls(trusted, 2);
    let (directory, mut config) = webhook(&format!("https://{address}{URL_SECRETS}"));
    let path = directory.path().join("ca.pem");
    config.ca_file = Some(path.clone());
    let message = message("acme", 1, MessageKind::Opened);

    fs::write(&path, trusted_pem).unwrap();
    assert_eq!(Webhook::new(&config).unwrap().deliver(&message, NOW).await, Ok(()));
    fs::write(&path, other_pem).unwrap();
    let fault = Webhook::new(&config).unwrap().deliver(&message, NOW).await.unwrap_err();
    let words = fault.to_string();
    assert!(words.starts_with(&format!("cannot reach {address}: invalid peer certificate")), "{words}");
}
