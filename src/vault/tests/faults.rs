//! Answers that get lost, drip or ask for a pause, and tokens that are not ours to revoke.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener};

use super::*;

const LOGGED_IN: &str = r#"{"auth":{"client_token":"s.new","lease_duration":60,"renewable":true}}"#;
const REVOKE: &str = "POST /v1/auth/token/revoke-self HTTP/1.1";

/// What was asked of a server that answers the log-in like that, by one who logs in and then stops.
async fn asked(log_in: Reply) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(vec![log_in, Reply::new("204 No Content", "")]).await;
    let vault = Vault::new(&config(&server.address(), approle(directory.path()))).unwrap();
    vault.log_in().await.unwrap();
    vault.revoke().await;
    server.requests().iter().map(|request| request.line().to_owned()).collect()
}

#[tokio::test]
async fn only_a_token_that_nobody_else_can_have_is_revoked() {
    assert_eq!(asked(Reply::new("200 OK", LOGGED_IN)).await[1..], [REVOKE]);
    for cached in ["X-Cache: MISS", "X-Cache: HIT"] {
        assert_eq!(asked(Reply::with_header("200 OK", cached, LOGGED_IN)).await.len(), 1, "{cached}");
    }
    let batch = LOGGED_IN.replace("true}", r#"false,"accessor":"","token_type":"batch"}"#);
    assert_eq!(asked(Reply::new("200 OK", &batch)).await.len(), 1, "a batch token cannot be revoked");

    // An Agent's socket: it may put its own token in the place of ours.
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(vec![Reply::new("200 OK", LOGGED_IN)]).await;
    let path = directory.path().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let target = server.address().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&target).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let address = format!("unix://{}", path.display());
    let vault = Vault::new(&config(&address, approle(directory.path()))).unwrap();
    vault.log_in().await.unwrap();
    vault.revoke().await;
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_log_in_whose_answer_gets_lost_is_told_from_one_that_never_arrived() {
    let directory = tempfile::tempdir().unwrap();
    let log_in = async |address: &str| {
        let mut config = config(address, approle(directory.path()));
        config.timeout = Duration::from_millis(700);
        Vault::new(&config).unwrap().log_in().await.unwrap_err()
    };
    let cut =
        format!("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{{\"auth\":{{\"client_token\":\"{CANARY}");
    let drip = Reply::Drip(cut.clone().into_bytes());
    for reply in [Reply::Bytes(cut.into()), Reply::Bytes(Vec::new()), Reply::Silence, drip] {
        let server = Server::start(vec![reply]).await;
        let fault = log_in(&server.address()).await;
        assert!(matches!(fault, SourceFault::Lost(_)), "{fault:?}");
        assert!(!format!("{fault} {fault:?}").contains(CANARY));
        assert_eq!(server.requests().len(), 1, "it is not sent twice by itself");
    }
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let fault = log_in(&format!("http://{unused}")).await;
    assert!(matches!(fault, SourceFault::Unreachable(_)), "{fault:?}");
}

#[tokio::test]
async fn an_answer_that_drips_is_broken_off_in_time() {
    let heads = ["HTTP/1.1 200 OK\r\nX-Drip:", "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{"];
    for head in heads {
        let replies = vec![Reply::new("200 OK", LOOKED_UP), Reply::Drip(head.into())];
        let server = Server::start(replies).await;
        let mut config = config(&server.address(), given());
        config.timeout = Duration::from_millis(700);
        let vault = Vault::new(&config).unwrap();
        vault.log_in().await.unwrap();
        let began = std::time::Instant::now();
        let fault = vault.read(&at("secret", "a")).await.unwrap_err();
        assert_eq!(fault, SourceFault::Unreachable("timed out while waiting for the answer".into()));
        assert!(server.written() > 0 && began.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn a_server_that_says_for_how_long_is_believed_and_one_that_leads_elsewhere_explained() {
    let with = |status: &str, header: &str| Reply::with_header(status, header, r#"{"errors":["rate"]}"#);
    let busy = |status, seconds| SourceFault::Busy { status, pause: Duration::from_secs(seconds) };
    assert_eq!(fault(with("429 Slow Down", "Retry-After: 7")).await, busy(429, 7));
    assert_eq!(fault(with("503 Unavailable", "Retry-After:  120 ")).await, busy(503, 120));
    for nothing in ["0", "-1", "+5", "soon", "1.5", "", "99999999999999999999999"] {
        let reply = with("429 Slow Down", &format!("Retry-After: {nothing}"));
        assert_eq!(fault(reply).await, SourceFault::Unavailable { status: 429 }, "{nothing}");
    }
    let sealed = Reply::with_header("503 Sealed", "Retry-After: 9", r#"{"errors":["Vault is sealed"]}"#);
    assert_eq!(fault(sealed).await, SourceFault::Sealed);
    let words = busy(429, 7).to_string();
    assert!(words.contains("too many requests") && words.contains("7s"), "{words}");
    let words = fault(with("307 Temporary Redirect", "Location: http://192.0.2.1/v1/x")).await.to_string();
    assert!(words.contains("not followed") && words.contains("vault.address"), "{words}");
}
