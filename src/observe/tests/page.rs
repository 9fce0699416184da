//! The status page and its events over HTTP.

use super::*;

/// The state that a page is in.
fn place(page: &str) -> &str {
    page.split("data-at=\"").nth(1).unwrap().split('"').next().unwrap()
}

#[tokio::test]
async fn a_browser_gets_the_status_page_and_all_it_needs() {
    let mut running = running().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    let stream = TcpStream::connect(&running.address).await.unwrap();
    let page = exchange(stream, &request("GET", "/?q=a", "Accept: text/html,*/*;q=0.8\r\n")).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(page.header("vary"), Some("accept"));
    assert!(page.body.starts_with("<!DOCTYPE html>") && page.body.contains("<main>"), "{}", page.body);
    for (path, content_type) in [
        ("page.css", "text/css; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        assert!(page.body.contains(&format!("=\"{path}\"")), "{path}");
        let part = get(&running, &format!("/{path}")).await;
        assert_eq!((part.status, part.header("content-type")), (200, Some(content_type)), "{path}");
    }
    for path in ["/", "/page.js", "/status", "/nowhere", "/v1/stores/acme/report"] {
        let answer = get(&running, path).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("set-cookie"), None, "{path}");
    }
}

#[tokio::test]
async fn events_come_while_they_are_read_and_end_when_the_listener_stops() {
    let mut running = running().await;
    answering(std::mem::replace(&mut running.requests, mpsc::channel(1).1));
    let stream = TcpStream::connect(&running.address).await.unwrap();
    let page = exchange(stream, &request("GET", "/", "Accept: text/html\r\n")).await.body;
    let mut streams = Vec::new();
    let connect = async |from: &str| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(from.parse().unwrap()).unwrap();
        socket.connect(running.address.parse().unwrap()).await.unwrap()
    };
    for number in 0..16 {
        let mut stream = connect(if number < 8 { "127.0.0.1:0" } else { "127.0.0.2:0" }).await;
        let path = format!("/events?since={}", place(&page));
        stream.write_all(request("GET", &path, "").as_bytes()).await.unwrap();
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(first, *b"HTTP/1.1 200 OK");
        streams.push(stream);
    }
    let refused = exchange(connect("127.0.0.3:0").await, &request("GET", "/events", "")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("10")));
    assert_eq!(get(&running, "/livez").await.status, 200, "others are served");
    running.stop.send(()).unwrap();
    for mut stream in streams {
        let mut text = String::new();
        timeout(Duration::from_secs(10), stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let is_whole = text.contains("content-type: text/event-stream") && text.contains("event: beat");
        assert!(is_whole, "{text}");
    }
}

#[tokio::test]
async fn who_asks_what_events_would_be_gets_the_head_alone() {
    let running = running().await;
    let ask = async |method: &str| {
        let stream = TcpStream::connect(&running.address).await.unwrap();
        exchange(stream, &request(method, "/events", "")).await
    };
    for _ in 0..20 {
        let head = ask("HEAD").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "no place is kept");
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!((head.header("retry-after"), head.header("content-length")), (None, None));
    }
    let posted = ask("POST").await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_events_is_not_cut_off_while_they_are_taken() {
    let (_heartbeat, source, seen) = well();
    let (mut client, _stopping) = piped(source, seen);
    client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n").await.unwrap();
    let mut page = Vec::new();
    while !page.ends_with(b"</html>\n") {
        page.push(client.read_u8().await.unwrap());
    }
    let page = String::from_utf8(page).unwrap();
    let begun = Instant::now();
    let events = exchange(client, &request("GET", &format!("/events?since={}", place(&page)), "")).await;
    assert!(begun.elapsed() > 10 * REQUEST_LIMIT, "{:?}", begun.elapsed());
    assert_eq!(events.body.matches("event: beat").count(), 120, "{}", events.body);
}
