//! Something between the daemon and its server that passes requests on, or does to answers what proxies do.

#![allow(dead_code, reason = "each test uses a part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of an answer.
#[derive(Clone)]
pub(crate) enum Treatment {
    /// It is passed on.
    Pass,
    /// The request is passed on, and the connection cut after half of the answer.
    Cut,
    /// The request is not passed on; this is the answer, and then the end of the connection.
    Say(Vec<u8>),
    /// Likewise, and then this many bytes more.
    Long(Vec<u8>, usize),
    /// Likewise, and then a byte now and then for ever.
    Drip(Vec<u8>),
}

/// A proxy in front of one server. Each connection carries one request.
pub(crate) struct Between {
    address: String,
    state: Arc<Mutex<State>>,
}

struct State {
    /// What happens to requests whose first line has this in it.
    treatment: (String, Treatment),
    requests: Vec<String>,
    written: usize,
}

impl Between {
    /// Listens on loopback for the server at `http://HOST:PORT`.
    pub(crate) async fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let target = server.trim_start_matches("http://").to_owned();
        let treatment = (String::new(), Treatment::Pass);
        let state = Arc::new(Mutex::new(State { treatment, requests: Vec::new(), written: 0 }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, target.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// From now on this happens to requests with `part` in their first line, and the others are passed on.
    pub(crate) fn treat(&self, part: &str, treatment: Treatment) {
        self.state.lock().unwrap().treatment = (part.to_owned(), treatment);
    }

    /// The first lines of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// How many bytes of its own it could give away.
    pub(crate) fn written(&self) -> usize {
        self.state.lock().unwrap().written
    }
}

async fn serve(mut client: TcpStream, target: String, state: Arc<Mutex<State>>) {
    let Some(request) = read(&mut client).await else { return };
    let line = request.lines().next().unwrap_or_default().to_owned();
    let treatment = {
        let mut state = state.lock().unwrap();
        state.requests.push(line.clone());
        let (part, treatment) = &state.treatment;
        if line.contains(part.as_str()) { treatment.clone() } else { Treatment::Pass }
    };
    match treatment {
        Treatment::Pass => {
            let answer = forward(&request, &target).await;
            let _gone = client.write_all(&answer).await;
        }
        Treatment::Cut => {
            let answer = forward(&request, &target).await;
            let _gone = client.write_all(&answer[..answer.len() / 2]).await;
        }
        Treatment::Say(answer) => {
            let _gone = client.write_all(&answer).await;
        }
        Treatment::Long(head, mut length) => {
            let mut sent = client.write_all(&head).await;
            let chunk = vec![b'x'; 64 * 1024];
            while sent.is_ok() && length > 0 {
                sent = client.write_all(&chunk).await;
                length = length.saturating_sub(chunk.len());
                state.lock().unwrap().written += chunk.len();
            }
        }
        Treatment::Drip(head) => {
            let mut sent = client.write_all(&head).await;
            while sent.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
                sent = client.write_all(b" ").await;
                state.lock().unwrap().written += 1;
            }
        }
    }
    let _closed = client.shutdown().await;
}

/// The whole answer; nothing when there is no server.
async fn forward(request: &str, target: &str) -> Vec<u8> {
    let (line, rest) = request.split_once("\r\n").unwrap();
    let mut answer = Vec::new();
    if let Ok(mut server) = TcpStream::connect(target).await {
        let request = format!("{line}\r\nConnection: close\r\n{rest}");
        let _sent = server.write_all(request.as_bytes()).await;
        let _read = server.read_to_end(&mut answer).await;
    }
    answer
}

/// A request with its body.
async fn read(client: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut more = [0; 4096];
        let length = client.read(&mut more).await.ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&more[..length]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let announced = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
        });
        if body.len() >= announced.unwrap_or(0_usize) {
            return Some(text);
        }
    }
}
