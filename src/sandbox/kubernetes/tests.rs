//! Which Events the small API server takes, and which it refuses.

use reqwest::Client;

use super::*;
use crate::sandbox::testing::{ANY_PORT, client};

const TOKEN: &str = "a-token";

fn good() -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": { "name": "a-name.0123", "namespace": "shop", "annotations": { "a.b/c": "d" } },
        "eventTime": "2026-11-23T07:32:36.849000Z",
        "type": "Warning",
        "reason": "Moved",
        "action": "Opened",
        "note": "x".repeat(1024),
        "regarding": { "kind": "Pod", "namespace": "shop", "name": "shop-0" },
        "reportingController": "bc-secrets-sync",
        "reportingInstance": "shop-0",
    })
}

async fn start() -> (SmallApiServer, Client) {
    let authority = Authority::new().unwrap();
    let server = SmallApiServer::start(ANY_PORT, &authority, "shop", TOKEN).await.unwrap();
    (server, client(Some(authority.ca_pem())))
}

async fn post(server: &SmallApiServer, client: &Client, namespace: &str, token: &str, event: &Value) -> u16 {
    let port = server.address().port();
    let url = format!("https://localhost:{port}/apis/events.k8s.io/v1/namespaces/{namespace}/events");
    let request = client.post(url).bearer_auth(token).header("content-type", "application/json");
    request.body(event.to_string()).send().await.unwrap().status().as_u16()
}

#[test]
fn each_rule_refuses_what_breaks_it_and_nothing_else() {
    assert_eq!(event::refusals(&good(), "shop"), [""; 0]);
    for (pointer, bad) in [
        ("/apiVersion", json!("v1")),
        ("/kind", json!("Events")),
        ("/metadata/name", json!("a_name")),
        ("/metadata/name", json!("A-name")),
        ("/metadata/name", json!("a..b")),
        ("/metadata/name", json!("a:b")),
        ("/metadata/name", json!("a".repeat(254))),
        ("/metadata/namespace", json!("other")),
        ("/metadata/annotations", json!({ "a/b/c": "d" })),
        ("/metadata/annotations", json!({ "a": 1 })),
        ("/eventTime", Value::Null),
        ("/eventTime", json!("2026-11-23T07:32:36.849Z")),
        ("/eventTime", json!("2026-11-23T07:32:36Z")),
        ("/type", json!("Error")),
        ("/reportingController", json!("")),
        ("/reportingController", json!("a b")),
        ("/reportingInstance", json!("")),
        ("/action", Value::Null),
        ("/reason", json!("r".repeat(129))),
        ("/note", json!("é".repeat(513))),
        ("/regarding/namespace", json!("")),
    ] {
        let mut event = good();
        *event.pointer_mut(pointer).unwrap() = bad.clone();
        let refusals = event::refusals(&event, "shop");
        let field = pointer.trim_start_matches('/').replace('/', ".");
        assert!(matches!(&*refusals, [one] if one.starts_with(&field)), "{pointer} {bad}: {refusals:?}");
    }
    let mut event = good();
    event["deprecatedCount"] = json!(1);
    event["series"] = json!({ "count": 1 });
    assert_eq!(event::refusals(&event, "shop").len(), 2);
}

#[tokio::test]
async fn an_event_is_created_once_by_whom_may() {
    let (server, client) = start().await;
    assert_eq!(post(&server, &client, "shop", "other", &good()).await, 401);
    assert_eq!(post(&server, &client, "other", TOKEN, &good()).await, 403);
    assert_eq!(post(&server, &client, "shop", TOKEN, &json!({})).await, 422);
    assert_eq!(post(&server, &client, "shop", TOKEN, &good()).await, 201);
    assert_eq!(post(&server, &client, "shop", TOKEN, &good()).await, 409);
    assert_eq!((server.events(), server.requests()), (vec![good()], 5));
    server.expire("a-name.0123");
    assert_eq!(server.events(), [Value::Null; 0]);
    server.answer_next(503, Some(7));
    assert_eq!(post(&server, &client, "shop", TOKEN, &good()).await, 503);
    server.set_rights(Rights::None);
    assert_eq!(post(&server, &client, "shop", TOKEN, &good()).await, 403);
    server.set_rights(Rights::CreateEvents);
    server.set_token("other");
    assert_eq!(post(&server, &client, "shop", "other", &good()).await, 201);
    assert!(!format!("{server:?}").contains("other"));
}
