//! A receiver of webhooks on the loopback, and messages to send to it: for tests only.
//!
//! It runs on a blocking thread of the test's runtime. While one of those runs, paused time stands still
//! until the test moves it, so that no timeout strikes while bytes are on their way.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::ledger::Recipient;
use crate::config;
use crate::domain::incident::{Cause, Incident, IncidentId, Message, MessageKind, Resolution};
use crate::domain::routing::Route;
use crate::domain::time::Timestamp;

pub(super) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// When every test takes place.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_700_000_123_456);

/// The `number`th message about a store.
pub(super) fn message(store: &str, number: u32, kind: MessageKind) -> Message {
    let cause = Cause::RegeneratedOrRevoked;
    let opened_at = Timestamp::from_millis(1_700_000_000_000);
    let id = IncidentId::new(Some(store), cause, opened_at);
    Message {
        id: format!("{id}:{number}"),
        kind,
        at: opened_at.plus(Duration::from_secs(number.into())),
        incident: Incident {
            id,
            store: Some(store.to_owned()),
            cause,
            severity: cause.severity(),
            opened_at,
            evidence: vec!["rejected 3 times in a row (HTTP 401)".to_owned()],
            remedy: "Regenerate the token and write it to Vault.".to_owned(),
            messages: number,
            silenced_until: None,
            repeat_at: opened_at.plus(Duration::from_secs(3600)),
        },
        resolution: (kind == MessageKind::Resolved).then_some(Resolution::RegeneratedCaughtUp),
    }
}

/// A request as it arrived.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) line: String,
    /// By name in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// Answers each request with the next answer of its list, and with 204 when there is none left.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    pub(super) requests: mpsc::UnboundedReceiver<Request>,
    stop: Arc<AtomicBool>,
}

impl Receiver {
    pub(super) fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut answers: Vec<String> = answers.iter().rev().map(|&answer| answer.to_owned()).collect();
        tokio::task::spawn_blocking(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let answer = answers.pop().unwrap_or_else(|| "204 No Content\r\n".to_owned());
                let mut stream = stream.unwrap();
                let request = read(&stream);
                write!(stream, "HTTP/1.1 {answer}content-length: 0\r\nconnection: close\r\n\r\n").unwrap();
                // The test may have seen enough.
                sender.send(request).ok();
            }
        });
        Self { address, requests, stop }
    }

    /// The identifier of the next message that arrives.
    pub(super) async fn next_id(&mut self) -> String {
        self.requests.recv().await.unwrap().headers["webhook-id"].clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener up. It may be gone already.
        TcpStream::connect(self.address).ok();
    }
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let headers: BTreeMap<_, _> = lines[1..]
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    Request { line: lines[0].clone(), headers, body }
}

/// Channels that are told of everything.
pub(super) fn told_everything(names: &[&str]) -> Vec<Recipient> {
    names.iter().map(|&name| Recipient::new(name, Route::everything())).collect()
}

/// A directory with a signing secret in it, and the configuration that names it.
pub(super) fn webhook(url: &str) -> (tempfile::TempDir, config::Webhook) {
    let directory = tempfile::tempdir().unwrap();
    let signing_secret_file: PathBuf = directory.path().join("signing-secret");
    std::fs::write(&signing_secret_file, SECRET).unwrap();
    let config = config::Webhook {
        url: url.parse().unwrap(),
        signing_secret_file,
        timeout: Duration::from_secs(10),
        ca_file: None,
        route: Route::everything(),
    };
    (directory, config)
}
