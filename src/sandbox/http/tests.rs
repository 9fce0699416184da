//! The small server's behaviour, seen by a client.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::sandbox::testing::{ANY_PORT, client};

/// Answers with the length of the request's body.
struct Measure;

impl Handler for Measure {
    async fn handle(&self, request: Request<Bytes>) -> Answer {
        Answer::Whole(Response::new(Bytes::from(request.body().len().to_string())))
    }
}

async fn measure() -> Server {
    Server::start(ANY_PORT, None, Arc::new(Measure)).await.unwrap()
}

async fn post(server: &Server, length: usize) -> reqwest::Response {
    client(None).post(format!("http://{}/", server.address())).body(vec![b'x'; length]).send().await.unwrap()
}

#[tokio::test]
async fn a_body_up_to_the_limit_is_read_whole() {
    let server = measure().await;
    assert_eq!(post(&server, MAX_REQUEST_BODY).await.text().await.unwrap(), MAX_REQUEST_BODY.to_string());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let server = measure().await;
    assert_eq!(post(&server, MAX_REQUEST_BODY + 1).await.status(), 413);
}

#[tokio::test]
async fn an_address_that_is_not_loopback_is_refused() {
    let refused = Server::start("0.0.0.0:0".parse().unwrap(), None, Arc::new(Measure)).await;
    assert!(matches!(refused, Err(SandboxError::NotLoopback(_))));
}

#[tokio::test]
async fn an_address_in_use_is_refused_with_its_name() {
    let first = measure().await;
    let second = Server::start(first.address(), None, Arc::new(Measure)).await;
    assert!(second.unwrap_err().to_string().contains(&first.address().to_string()));
}

#[tokio::test]
async fn after_a_shutdown_the_same_address_can_be_used_again() {
    let first = measure().await;
    let address = first.address();
    post(&first, 1).await;
    first.clone().shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
    let second = Server::start(address, None, Arc::new(Measure)).await.unwrap();
    assert_eq!(post(&second, 2).await.text().await.unwrap(), "2");
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_server_and_an_earlier_clone_does_not() {
    let server = measure().await;
    let mut ended = server.running.ended.clone();
    drop(server.clone());
    assert_eq!(post(&server, 1).await.status(), 200);
    drop(server);
    assert!(ended.changed().await.is_err());
}

/// Notes how many requests are handled at once, at most.
#[derive(Default)]
struct Crowd {
    present: AtomicUsize,
    most: AtomicUsize,
}

impl Handler for Crowd {
    async fn handle(&self, _: Request<Bytes>) -> Answer {
        let present = self.present.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(present, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.present.fetch_sub(1, Ordering::SeqCst);
        Answer::Whole(Response::default())
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let crowd = Arc::new(Crowd::default());
    let server = Server::start_with_room(2, ANY_PORT, None, Arc::clone(&crowd)).await.unwrap();
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let request = client(None).get(format!("http://{}/", server.address())).header("Connection", "close");
        clients.spawn(request.send());
    }
    for answer in clients.join_all().await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(crowd.most.load(Ordering::SeqCst), 2);
}

#[test]
fn an_answer_printed_for_debugging_shows_no_body() {
    let printed = format!("{:?}", Answer::Whole(Response::new(Bytes::from_static(b"canary"))));
    assert_eq!(printed, "Whole { status: 200, .. }");
}
