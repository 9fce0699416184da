//! A server for tests that keeps to no rules: it records what it is sent and answers what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What one connection is answered.
#[derive(Clone)]
pub(super) enum Reply {
    /// These bytes, and then the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, and then more and more until the other side has enough.
    Endless(Vec<u8>),
    /// These bytes, and then one after the other for ever, with a pause before each.
    Drip(Vec<u8>),
    /// Nothing at all, on a connection that stays open.
    Silence,
}

impl Reply {
    pub(super) fn new(status: &str, body: &str) -> Self {
        Self::with_header(status, "Content-Type: application/json", body)
    }

    pub(super) fn with_header(status: &str, header: &str, body: &str) -> Self {
        let length = body.len();
        Self::Bytes(
            format!(
                "HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Request line and headers.
    pub(super) head: String,
    /// Body.
    pub(super) body: String,
}

impl Request {
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

#[derive(Default)]
struct Record {
    requests: Vec<Request>,
    written: usize,
}

pub(super) struct Server {
    port: u16,
    record: Arc<Mutex<Record>>,
}

impl Server {
    /// Answers each connection with the next reply, and with the last one from then on.
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let record = Arc::new(Mutex::new(Record::default()));
        let shared = Arc::clone(&record);
        tokio::spawn(async move {
            let mut number = 0;
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let reply = replies[number.min(replies.len() - 1)].clone();
                number += 1;
                tokio::spawn(answer(stream, reply, Arc::clone(&shared)));
            }
        });
        Self { port, record }
    }

    pub(super) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.record.lock().unwrap().requests.clone()
    }

    /// How many bytes it could write before the other side had enough.
    pub(super) fn written(&self) -> usize {
        self.record.lock().unwrap().written
    }
}

async fn answer(mut stream: TcpStream, reply: Reply, record: Arc<Mutex<Record>>) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    record.lock().unwrap().requests.push(request);
    match reply {
        Reply::Bytes(bytes) => {
            let _written = stream.write_all(&bytes).await;
            let _closed = stream.shutdown().await;
        }
        Reply::Endless(mut bytes) => {
            while let Ok(written) = stream.write(&bytes).await {
                record.lock().unwrap().written += written;
                bytes = vec![b'x'; 64 * 1024];
            }
        }
        Reply::Drip(bytes) => {
            let mut sent = stream.write_all(&bytes).await;
            while sent.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                sent = stream.write_all(b" ").await;
                record.lock().unwrap().written += 1;
            }
        }
        Reply::Silence => std::future::pending().await,
    }
}

/// A request with its body, or the first bytes of something that is none.
async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        let mut more = [0; 4096];
        let length = stream.read(&mut more).await.ok()?;
        if length == 0 {
            return None;
        }
        bytes.extend_from_slice(&more[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if bytes.first() == Some(&0x16) {
                return Some(Request { head: "ClientHello".into(), body: String::new() });
            }
            continue;
        };
        let request = Request { head: head.to_owned(), body: body.to_owned() };
        let expected = request.header("content-length").map_or(0, |length| length.parse().unwrap());
        if request.body.len() >= expected {
            return Some(request);
        }
    }
}
