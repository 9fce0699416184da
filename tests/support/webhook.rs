//! A receiver of webhooks that keeps what it gets, answers as it is told, and checks signatures by itself.

#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::AbortHandle;

/// What the receiver and the daemon share.
pub(crate) const SIGNING_SECRET: &str = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

/// Has its address from the beginning, and refuses connections until it listens.
pub(crate) struct Receiver {
    address: SocketAddr,
    socket: Option<TcpSocket>,
    accepting: Option<AbortHandle>,
    book: Arc<Book>,
}

#[derive(Default)]
struct Book {
    answer: AtomicU16,
    echo: AtomicBool,
    deliveries: Mutex<Vec<Delivery>>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The request line.
    pub(crate) line: String,
    /// By name in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// The status that it was answered with.
    pub(crate) answer: u16,
}

impl Receiver {
    /// Takes a free port of the loopback, without listening.
    pub(crate) fn reserve() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        let book = Book { answer: AtomicU16::new(204), ..Book::default() };
        Self { address, socket: Some(socket), accepting: None, book: Arc::new(book) }
    }

    /// Listens, and answers everything with 204 until told otherwise.
    pub(crate) fn start() -> Self {
        let mut receiver = Self::reserve();
        receiver.listen();
        receiver
    }

    /// Listens from now on.
    pub(crate) fn listen(&mut self) {
        let listener = self.socket.take().unwrap().listen(64).unwrap();
        let book = Arc::clone(&self.book);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(receive(stream, Arc::clone(&book)));
            }
        });
        self.accepting = Some(accepting.abort_handle());
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers with this status from now on.
    pub(crate) fn answer(&self, status: u16) {
        self.book.answer.store(status, Ordering::SeqCst);
    }

    /// Answers with this status from now on, and with the whole request as an error in the form of Vault.
    pub(crate) fn echo(&self, status: u16) {
        self.answer(status);
        self.book.echo.store(true, Ordering::SeqCst);
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.book.deliveries.lock().unwrap().clone()
    }

    /// Those that were answered with success.
    pub(crate) fn messages(&self) -> Vec<Delivery> {
        self.deliveries().into_iter().filter(|delivery| delivery.answer < 300).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

impl Delivery {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// `opened`, `reminder` or `resolved`.
    pub(crate) fn kind(&self) -> String {
        let json = self.json();
        json["type"].as_str().unwrap().strip_prefix("bc_secrets_sync.incident.").unwrap().to_owned()
    }

    /// The store, the cause and the kind: what the message is about.
    pub(crate) fn about(&self) -> (String, String, String) {
        let data = &self.json()["data"];
        let text = |key: &str| data[key].as_str().unwrap_or_default().to_owned();
        (text("store"), text("cause"), self.kind())
    }

    /// The evidence as one text.
    pub(crate) fn evidence(&self) -> String {
        let json = self.json();
        let lines = json["data"]["evidence"].as_array().unwrap();
        lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
    }

    /// Checks the signature as Standard Webhooks wants it, and that it was made just now.
    pub(crate) fn verify(&self, secret: &str) -> Result<(), String> {
        let header = |name: &str| self.headers.get(name).ok_or_else(|| format!("no {name}"));
        let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
        let seconds: u64 = timestamp.parse().map_err(|_| format!("timestamp {timestamp}"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        if now.abs_diff(seconds) > 300 {
            return Err(format!("signed at {seconds}, now is {now}"));
        }
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &self.body].concat();
        let signatures = header("webhook-signature")?;
        let valid = signatures.split(' ').any(|signature| {
            let tag = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
            tag.is_some_and(|tag| hmac::verify(&key, &signed, &tag).is_ok())
        });
        if valid { Ok(()) } else { Err(format!("no valid signature in {signatures}")) }
    }
}

/// Reads one request, keeps it, and answers. Whoever breaks off has not delivered.
async fn receive(mut stream: TcpStream, book: Arc<Book>) -> Option<()> {
    let mut reader = BufReader::new(&mut stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let headers: BTreeMap<String, String> = lines
        .get(1..)?
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await.ok()?;
    let answer = book.answer.load(Ordering::SeqCst);
    let echo = json!({ "errors": [lines.join(" "), String::from_utf8_lossy(&body)] }).to_string();
    let delivery = Delivery { line: lines.first()?.clone(), headers, body, answer };
    book.deliveries.lock().unwrap().push(delivery);
    let said = if book.echo.load(Ordering::SeqCst) { echo } else { String::new() };
    let head =
        format!("HTTP/1.1 {answer} Told\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", said.len());
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(said.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
