//! The spans that the feature `otel` sends: to a collector of the test's own.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use bc_secrets_sync::sandbox::store::Account;
use serde_json::Value;

use crate::support::wait::wait_until;
use crate::support::world::World;

/// Takes everything that is sent to it, and keeps the bodies.
fn collector() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = bodies.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, kept) = (stream.unwrap(), kept.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|count| count > 0) {
                    assert_eq!(line, "POST /v1/traces HTTP/1.1\r\n");
                    let mut length = 0;
                    loop {
                        line.clear();
                        reader.read_line(&mut line).unwrap();
                        let header = line.trim().to_ascii_lowercase();
                        if header.is_empty() {
                            break;
                        }
                        if let Some(value) = header.strip_prefix("content-length: ") {
                            length = value.parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    kept.lock().unwrap().push(String::from_utf8(body).unwrap());
                    let answer =
                        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                    (&stream).write_all(answer.as_bytes()).unwrap();
                    line.clear();
                }
            });
        }
    });
    (address, bodies)
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn spans(bodies: &[String]) -> Vec<Value> {
    let mut spans = Vec::new();
    for body in bodies {
        let body: Value = serde_json::from_str(body).unwrap();
        for resource in array(&body, "resourceSpans") {
            let named = array(&resource["resource"], "attributes").iter().any(|attribute| {
                attribute["key"] == "service.name" && attribute["value"]["stringValue"] == "bc-secrets-sync"
            });
            assert!(named, "{resource}");
            for scope in array(resource, "scopeSpans") {
                spans.extend_from_slice(array(scope, "spans"));
            }
        }
    }
    spans
}

fn has(span: &Value, name: &str, key: &str, value: &str) -> bool {
    let is_it = |attribute: &Value| attribute["key"] == key && attribute["value"]["stringValue"] == value;
    span["name"] == name && array(span, "attributes").iter().any(is_it)
}

#[tokio::test]
async fn passes_reads_checks_publications_and_deliveries_are_spans_without_secrets() {
    let (address, bodies) = collector();
    let mut world = World::start().await;
    world.configuration.environment.push(("OTEL_EXPORTER_OTLP_ENDPOINT", address));
    world.configuration.environment.push(("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()));
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let typo = Account { api_token: "5hould-never-be-shown".to_owned(), ..account.clone() };
    world.write("acme", &typo).await;
    world.wait_messages(1).await;
    for (name, key, value) in [
        ("read", "store", "acme"),
        ("check", "store", "acme"),
        ("publish", "store", "acme"),
        ("deliver", "channel", "webhook"),
    ] {
        wait_until(name, async || {
            spans(&bodies.lock().unwrap()).iter().any(|span| has(span, name, key, value))
        })
        .await;
    }
    // Work is part of the pass that has asked for it.
    let all = spans(&bodies.lock().unwrap());
    let check = all.iter().find(|span| has(span, "check", "store", "acme")).unwrap();
    wait_until("its pass is there, too", async || {
        let is_parent = |span: &Value| span["name"] == "pass" && span["spanId"] == check["parentSpanId"];
        spans(&bodies.lock().unwrap()).iter().any(is_parent)
    })
    .await;
    // What is sent is none of what is logged.
    assert!(daemon.log().iter().all(|line| line.get("span").is_none()));
    daemon.stop().await;
    let text = bodies.lock().unwrap().concat();
    for secret in [&account.username, &account.api_token, &typo.api_token] {
        assert!(!text.contains(secret.as_str()), "a value is in a span");
    }
}

/// The library of spans has a thread of its own.
#[tokio::test]
async fn with_spans_no_thread_stays_outside_of_what_the_daemon_is_kept_to() {
    let (address, bodies) = collector();
    let mut world = World::start().await;
    world.configuration.environment.push(("OTEL_EXPORTER_OTLP_ENDPOINT", address));
    world.configuration.environment.push(("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()));
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    wait_until("spans come", async || !bodies.lock().unwrap().is_empty()).await;
    assert_eq!(daemon.status().await["hardening"]["seccomp"]["active"], true);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let held: Vec<bool> = tasks
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap())
        .map(|status| status.contains("\nNoNewPrivs:\t1\n") && status.contains("\nSeccomp_filters:\t2\n"))
        .collect();
    assert!(held.len() > 1 && held.iter().all(|held| *held), "{held:?}");
    daemon.stop().await;
}
