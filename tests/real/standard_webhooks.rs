//! A receiver that is not ours, with the reference library of Standard Webhooks, verifies our signatures.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use bc_secrets_sync::alert::webhook::Webhook;
use bc_secrets_sync::config;
use bc_secrets_sync::domain::routing::Route;
use bc_secrets_sync::domain::time::Timestamp;
use serde_json::Value;

use super::{PYTHON, message, now};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Receiver {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
}

impl Receiver {
    fn start() -> Self {
        let Some(python) = std::env::var_os(PYTHON) else {
            panic!(
                "{PYTHON} must name a python3 with the package standardwebhooks; ./tests/run --real makes one"
            );
        };
        let mut child = Command::new(&python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/receiver.py"))
            .arg(SECRET)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{PYTHON} names {}: {error}", python.display()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("the receiver did not start: is the package there?").unwrap();
        Self { child, lines, address: format!("127.0.0.1:{port}") }
    }

    /// What it says of the next request.
    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "needs the package standardwebhooks: ./tests/run --real"]
async fn real_receiver_verifies_our_signatures_and_nothing_else() {
    let mut receiver = Receiver::start();
    let directory = tempfile::tempdir().unwrap();
    let signing_secret_file = directory.path().join("secret");
    let webhook = Webhook::new(&config::Webhook {
        url: format!("http://{}/hook", receiver.address).parse().unwrap(),
        signing_secret_file: signing_secret_file.clone(),
        timeout: Duration::from_secs(20),
        ca_file: None,
        route: Route::everything(),
    })
    .unwrap();
    let other = "whsec_bmV3LXNlY3JldC1uZXctc2VjcmV0LW5ldy1zZWNyZXQ=";

    // Also when a new secret is being introduced, and when the secret has no padding.
    for secrets in [SECRET.to_owned(), format!("{other}\n{SECRET}\n")] {
        std::fs::write(&signing_secret_file, secrets).unwrap();
        for (number, kind) in [(1, "opened"), (2, "reminder"), (3, "resolved")] {
            webhook.deliver(&message("acme.eu", number, kind), now()).await.unwrap();
            let seen = receiver.next();
            assert_eq!(seen["verified"], true, "{seen}");
            assert_eq!(seen["payload"]["type"], format!("bc_secrets_sync.incident.{kind}"));
            assert_eq!(seen["payload"]["data"]["evidence"][1], "<b> & \"ü\"");
        }
    }

    std::fs::write(&signing_secret_file, other).unwrap();
    let fault = webhook.deliver(&message("acme", 1, "opened"), now()).await.unwrap_err();
    assert!(fault.to_string().contains("answered 401"), "{fault}");
    assert_eq!(receiver.next()["verified"], false);

    std::fs::write(&signing_secret_file, SECRET).unwrap();
    let long_ago = Timestamp::from_millis(now().as_millis() - 3_600_000);
    webhook.deliver(&message("acme", 1, "opened"), long_ago).await.unwrap_err();
    assert_eq!(receiver.next()["verified"], false);
}
