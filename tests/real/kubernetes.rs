//! The Events that we post hold against Kubernetes' own schemas, of every version that there are schemas of.

use std::net::SocketAddr;
use std::time::Duration;

use bc_secrets_sync::alert::kubernetes::Kubernetes;
use bc_secrets_sync::config;
use bc_secrets_sync::domain::routing::Route;
use bc_secrets_sync::sandbox::authority::Authority;
use bc_secrets_sync::sandbox::kubernetes::SmallApiServer;
use serde_json::json;

use super::{message, schemas};

#[tokio::test]
#[ignore = "needs the schemas of the package kubernetes-validate: ./tests/run --real"]
async fn real_schemas_of_kubernetes_allow_our_events() {
    let authority = Authority::new().unwrap();
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = SmallApiServer::start(any_port, &authority, "shop", "token").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let kubernetes = Kubernetes::new(&config::Kubernetes {
        url: format!("https://{}", server.address()).parse().unwrap(),
        namespace: "shop".to_owned(),
        regarding: config::Regarding {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: "shop-sync-0".to_owned(),
            uid: Some("6e1c4a6e".to_owned()),
        },
        instance: "shop-sync-0".to_owned(),
        token_file: file("token", "token"),
        ca_file: Some(file("ca.crt", authority.ca_pem())),
        timeout: Duration::from_secs(20),
        route: Route::everything(),
    })
    .unwrap();
    for (number, kind) in [(1, "opened"), (2, "reminder"), (3, "resolved")] {
        kubernetes.deliver(&message("acme", number, kind)).await.unwrap();
    }
    let events = server.events();
    assert_eq!(events.len(), 3);
    let said = schemas::of_objects(&events);
    said.assert_allowed();
    assert!(said.problems.len() >= 10 && said.objects == events, "{said:?}");

    // The schemas do refuse: a field that there is none of, a wrong type, a time that is none.
    for (pointer, bad) in
        [("/regarding", json!({ "uuid": "" })), ("/note", json!(1)), ("/eventTime", json!("now"))]
    {
        let mut event = events[0].clone();
        *event.pointer_mut(pointer).unwrap() = bad;
        schemas::of_objects(&[event]).assert_refused();
    }
}
