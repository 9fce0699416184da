//! What a slow, greedy or hostile client can hold, and for how long.

use super::*;
use crate::config::Http;
use crate::domain::snapshot::Snapshot;
use crate::observe::fixture::verified_store;

#[tokio::test(start_paused = true)]
async fn a_client_that_is_slow_with_its_head_is_cut_off() {
    let (source, _requests) = SnapshotSource::channel();
    let (_heartbeat, seen) = watch::channel(WELL());
    for sent in ["", "GET /livez HTTP/1.1\r\nHost: te"] {
        let (client, _stopping) = piped(source.clone(), seen.clone());
        let connected = Instant::now();
        let answer = exchange(client, sent).await;
        assert_ne!(answer.status, 200);
        let took = connected.elapsed();
        assert!((HEADER_LIMIT..HEADER_LIMIT + Duration::from_millis(10)).contains(&took), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let (_heartbeat, source, seen) = well();
    let (mut client, stopping) = piped(source, seen);
    client.write_all(request("GET", "/metrics", "").as_bytes()).await.unwrap();
    let asked = Instant::now();
    // The connection holds a receiver until it ends.
    stopping.closed().await;
    let took = asked.elapsed();
    assert!((REQUEST_LIMIT..REQUEST_LIMIT + Duration::from_millis(10)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_gets_the_whole_limit_for_each_request() {
    let (source, _requests) = SnapshotSource::channel();
    let (_heartbeat, seen) = watch::channel(WELL());
    let (mut client, _stopping) = piped(source, seen);
    for _ in 0..10 {
        client.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"ok\n") {
            assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "cut off");
        }
        advance(HEADER_LIMIT - Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_its_head_bit_by_bit_has_no_more_time_for_it() {
    let (source, _requests) = SnapshotSource::channel();
    let (_heartbeat, seen) = watch::channel(WELL());
    let (mut client, stopping) = piped(source, seen);
    let connected = Instant::now();
    let head = request("GET", "/livez", &"X-More: and more\r\n".repeat(50));
    for byte in head.as_bytes() {
        if client.write_all(&[*byte]).await.is_err() || stopping.is_closed() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = connected.elapsed();
    assert!((HEADER_LIMIT..HEADER_LIMIT + Duration::from_millis(100)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_head_without_end_is_refused_when_the_buffer_is_full() {
    let (source, _requests) = SnapshotSource::channel();
    let (_heartbeat, seen) = watch::channel(WELL());
    for more in [format!("X-Long: {}", "x".repeat(32 * 1024)), "X-More: and more\r\n".repeat(2_000)] {
        let (mut client, _stopping) = piped(source.clone(), seen.clone());
        // It is closed before all was sent.
        let _closed =
            client.write_all(format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{more}").as_bytes()).await;
        let mut answer = Vec::new();
        let _closed = client.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_bit_by_bit_has_no_more_time_for_a_long_page() {
    let (_heartbeat, source, seen) = well();
    let (mut client, stopping) = piped(source, seen);
    client.write_all(request("GET", "/metrics", "").as_bytes()).await.unwrap();
    let asked = Instant::now();
    let mut read = 0;
    while client.read_u8().await.is_ok() && !stopping.is_closed() {
        read += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = asked.elapsed();
    assert!((REQUEST_LIMIT..REQUEST_LIMIT + Duration::from_millis(200)).contains(&took), "{took:?}");
    assert!(read > 100, "{read}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_waited_for_no_longer_than_a_request_may_take() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "0123456789abcdef").unwrap();
    let (source, _requests) = SnapshotSource::channel();
    let (_heartbeat, seen) = watch::channel(WELL());
    let access = Access::new(rules(Http { report_token_file: Some(file), ..http() }));
    let pages = Arc::new(Pages::new(source, RequestSource::channel().0, seen, access, levels()));
    let (mut client, server) = duplex(1024);
    let (stopping, stopped) = watch::channel(false);
    tokio::spawn(over(pages, stopped).converse(server, Caller::Network(visitor())));
    let headers = "Authorization: Bearer 0123456789abcdef\r\nContent-Length: 17\r\n";
    client.write_all(request("POST", "/v1/stores/acme/acknowledge", headers).as_bytes()).await.unwrap();
    let asked = Instant::now();
    for byte in b"{\"generation\": " {
        if stopping.is_closed() {
            break;
        }
        client.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let took = asked.elapsed();
    assert!((REQUEST_LIMIT..REQUEST_LIMIT + Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_listens_and_never_reads_has_a_place_for_no_longer_than_a_stream_lasts() {
    let (_heartbeat, source, seen) = well();
    let (mut client, stopping) = piped(source, seen);
    let begun = Instant::now();
    client.write_all(request("GET", "/events", "").as_bytes()).await.unwrap();
    stopping.closed().await;
    // Ten minutes, and what a request may take.
    assert!(begun.elapsed() <= Duration::from_secs(630), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_client_cannot_take_the_events_from_all_others() {
    let (_heartbeat, source, seen) = well();
    let pages = Pages::new(source, RequestSource::channel().0, seen, Access::new(Rules::default()), levels());
    let pages = Arc::new(pages);
    let connect = |last: u8| {
        let (client, server) = duplex(1024);
        let (stopping, stopped) = watch::channel(false);
        let visitor = Visitor { address: [127, 0, 0, last].into(), ..visitor() };
        tokio::spawn(over(pages.clone(), stopped).converse(server, Caller::Network(visitor)));
        (client, stopping)
    };
    let (client, _stopping) = connect(1);
    let page = exchange(client, &request("GET", "/", "Accept: text/html\r\n")).await.body;
    let place = page.split("data-at=\"").nth(1).unwrap().split('"').next().unwrap();
    let listen = async |last: u8| {
        let (mut client, stopping) = connect(last);
        let asked = request("GET", &format!("/events?since={place}"), "");
        client.write_all(asked.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        client.read_exact(&mut status).await.unwrap();
        (String::from_utf8(status.to_vec()).unwrap(), client, stopping)
    };
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(listen(1).await);
    }
    assert!(held.iter().all(|(status, ..)| status == "HTTP/1.1 200"));
    assert_eq!(listen(1).await.0, "HTTP/1.1 503");
    assert_eq!(listen(2).await.0, "HTTP/1.1 200");
    drop(held);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(listen(1).await.0, "HTTP/1.1 200");
}

/// A client that asks for a page, on a connection that is closed after that.
fn asking(running: &Running, path: &'static str) -> JoinHandle<Answer> {
    let address = running.address.clone();
    tokio::spawn(async move {
        exchange(TcpStream::connect(address).await.unwrap(), &request("GET", path, "")).await
    })
}

#[tokio::test]
async fn probes_answer_while_everything_else_is_taken() {
    let mut running = running().await;
    // The loop does not answer, so each holds its place, or waits for one.
    let waiting: Vec<_> = (0..MAX_CONNECTIONS).map(|_| asking(&running, "/status")).collect();
    let mut held = Vec::new();
    while held.len() < 3 {
        held.push(running.requests.recv().await.unwrap());
    }
    let mut idle = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        idle.push(TcpStream::connect(&running.address).await.unwrap());
    }
    for path in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(get(&running, path).await.status, 200, "{path}");
    }
    assert!(running.requests.try_recv().is_err(), "one client may have no more long answers");
    assert!(running.access.status().refused["no_room"] > 0, "others gave way");

    // Those whose turn it was get their answers, one after the other.
    held.into_iter().for_each(|request| drop(request.send(Arc::new(snapshot()))));
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    let mut answered = 0;
    for client in waiting {
        // The others were cut off, or are told so.
        answered += usize::from(client.await.is_ok_and(|answer| answer.status == 200));
    }
    assert!(answered >= 16, "{answered}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_room_is_told_to_come_again() {
    let (source, mut requests) = SnapshotSource::channel();
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            let stores = (0..100).map(|number| verified_store(&format!("store-{number}"))).collect();
            let _gone = request.send(Arc::new(Snapshot { stores, ..snapshot() }));
        }
    });
    let (_heartbeat, seen) = watch::channel(WELL());
    let pages = Pages::new(source, RequestSource::channel().0, seen, Access::new(Rules::default()), levels());
    let pages = Arc::new(pages);
    let connect = || {
        let (client, server) = duplex(1024);
        let (stopping, stopped) = watch::channel(false);
        tokio::spawn(over(pages.clone(), stopped).converse(server, Caller::Network(visitor())));
        (client, stopping)
    };
    let mut slow = Vec::new();
    for _ in 0..3 {
        let (mut client, stopping) = connect();
        client.write_all(request("GET", "/metrics", "").as_bytes()).await.unwrap();
        client.read_u8().await.unwrap();
        slow.push((client, stopping));
    }
    let asked = Instant::now();
    let (client, _stopping) = connect();
    let refused = exchange(client, &request("GET", "/status", "")).await;
    assert_eq!((refused.status, asked.elapsed().as_secs()), (503, ANSWER_LIMIT.as_secs()));
    assert!(refused.body.contains("too many answers are under way"), "{}", refused.body);
    assert_eq!(refused.header("retry-after"), Some("1"));
    let (client, _stopping) = connect();
    assert_eq!(exchange(client, &request("GET", "/livez", "")).await.status, 200);
    // One of them reads on, and leaves its place.
    let (mut reading, _stopping) = slow.remove(0);
    let mut rest = Vec::new();
    reading.read_to_end(&mut rest).await.unwrap();
    let (client, _stopping) = connect();
    assert_eq!(exchange(client, &request("GET", "/status", "")).await.status, 200);
    assert_eq!(pages.access.status().refused["no_room"], 1);
}

#[tokio::test]
async fn connections_that_ask_for_nothing_give_way_to_others() {
    let running = running().await;
    let mut first = TcpStream::connect(&running.address).await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..3 * MAX_CONNECTIONS {
        idle.push(TcpStream::connect(&running.address).await.unwrap());
    }
    let mut nothing = [0];
    let ended = timeout(Duration::from_secs(10), first.read(&mut nothing)).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    let begun = Instant::now();
    assert_eq!(get(&running, "/livez").await.status, 200);
    assert!(begun.elapsed() < HEADER_LIMIT, "nobody waits until they are cut off");
}
