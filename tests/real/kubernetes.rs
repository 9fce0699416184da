//! The Events that we post hold against Kubernetes' own schemas, of every version that there are schemas of.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use bc_secrets_sync::alert::kubernetes::Kubernetes;
use bc_secrets_sync::config;
use bc_secrets_sync::domain::routing::Route;
use bc_secrets_sync::sandbox::authority::Authority;
use bc_secrets_sync::sandbox::kubernetes::SmallApiServer;
use serde_json::{Value, json};

use super::{PYTHON, message};

/// What each version of Kubernetes has against an Event.
fn problems(event: &Value) -> BTreeMap<String, Option<String>> {
    let Some(python) = std::env::var_os(PYTHON) else {
        panic!("{PYTHON} must name a python3 with what is needed; ./tests/run --real makes one");
    };
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/validate_event.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(event.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

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
    for event in &events {
        let problems = problems(event);
        assert!(problems.len() >= 10 && problems.contains_key("v1.37.0"), "{problems:?}");
        assert!(problems.values().all(Option::is_none), "{event}: {problems:?}");
    }

    // The schemas do refuse: a field that there is none of, a wrong type, a time that is none.
    for (pointer, bad) in
        [("/regarding", json!({ "uuid": "" })), ("/note", json!(1)), ("/eventTime", json!("now"))]
    {
        let mut event = events[0].clone();
        *event.pointer_mut(pointer).unwrap() = bad;
        assert!(problems(&event).values().all(Option::is_some), "{event}");
    }
}
