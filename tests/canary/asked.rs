//! What the running daemon says to those who ask: its commands, its events as they come, and a log for people.

use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::json;
use tokio::task::AbortHandle;

use crate::support::daemon::{Daemon, run};
use crate::support::markers::Markers;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;
use crate::{ECHOES, MALFORMED, TOKEN, USERNAME, fields_of};

/// The commands that ask the daemon, and what each says at least.
const COMMANDS: [(&[&str], &str); 11] = [
    (&["status"], "echo-401"),
    (&["status", "--output", "json"], "\"echo-401\""),
    (&["status", "acme", "badly-written"], "badly-written"),
    (&["explain", "acme"], "acme"),
    (&["explain", "badly-written"], "badly-written"),
    (&["explain", "echo-401"], "401"),
    (&["explain", "echo-host"], "echo-host"),
    (&["incidents", "--verbose"], "echo-401"),
    (&["incidents", "--output", "json"], "\"echo-401\""),
    (&["log-level"], "trace"),
    (&["log-level", "trace", "--for", "1m"], "trace"),
];

/// Asks by each command, and once with a secret in the place of a store.
pub(super) async fn by_commands(world: &World, markers: &Markers, pages: &mut Vec<(String, Vec<u8>)>) {
    for (command, part) in COMMANDS {
        let shown = ask(world, command).await;
        assert!(shown.contains(part), "{command:?} does not speak of {part}: {shown}");
        the_search_finds_what_is_planted(markers, &shown);
        pages.push((format!("{command:?}"), shown.into_bytes()));
    }
}

/// Sends a test through every channel; returns whether all of them took it.
pub(super) async fn by_a_test_of_alerts(world: &World, pages: &mut Vec<(String, Vec<u8>)>) -> bool {
    let shown = ask(world, &["alert-test"]).await;
    for channel in ["webhook", "slack", "pagerduty", "alertmanager", "kubernetes", "command"] {
        assert!(shown.contains(channel), "{shown}");
    }
    let is_taken = !shown.contains("failed");
    pages.push(("alert-test".to_owned(), shown.into_bytes()));
    is_taken
}

async fn ask(world: &World, command: &[&str]) -> String {
    let file = world.configuration.file();
    let arguments = [command, &["--config", file.to_str().unwrap()]].concat();
    let finished = run(world.configuration.home(), &arguments).await;
    format!("{}{}", finished.stdout, finished.stderr)
}

/// The search can fail in a text like this one.
fn the_search_finds_what_is_planted(markers: &Markers, text: &str) {
    let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
    let (before, after) = text.split_at(middle);
    assert_eq!(markers.found_in(format!("{before}{TOKEN}{after}").as_bytes()), ["the token"]);
}

/// Somebody who listens to the events, over and over.
pub(super) struct Listener {
    heard: Arc<Mutex<Vec<u8>>>,
    task: AbortHandle,
}

impl Listener {
    pub(super) fn of(daemon: &Daemon) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (keep, address) = (Arc::clone(&heard), daemon.address().to_owned());
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let page =
                    client.get(format!("http://{address}/")).header("accept", "text/html").send().await;
                let Ok(page) = page.and_then(|page| page.error_for_status()) else { break };
                let page = page.text().await.unwrap();
                let place = page.split("data-at=\"").nth(1).unwrap().split('"').next().unwrap();
                let events = client.get(format!("http://{address}/events?since={place}")).send().await;
                let Ok(mut events) = events else { break };
                while let Ok(Some(chunk)) = events.chunk().await {
                    keep.lock().unwrap().extend_from_slice(&chunk);
                }
            }
        });
        Self { heard, task: task.abort_handle() }
    }

    pub(super) fn end(self, markers: &Markers, pages: &mut Vec<(String, Vec<u8>)>) {
        self.task.abort();
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        let text = String::from_utf8_lossy(&heard);
        for part in ["echo-401", "badly-written", "regenerated or revoked"] {
            assert!(text.contains(part), "no event speaks of {part}");
        }
        the_search_finds_what_is_planted(markers, &text);
        pages.push(("/events".to_owned(), heard));
    }
}

/// A short life with the same stores, while nobody takes alerts, whose log is written for people.
pub(super) async fn in_a_log_for_people(world: &mut World, markers: &Markers) {
    let mut bad = fields_of(world, "badly-written");
    bad["api_path"] = json!(format!("https://{USERNAME}:{MALFORMED}@shop.example/api/v2/"));
    world.write_fields("badly-written", bad).await;
    world.receiver.echo(500);
    world.configuration.edit("level = \"trace\"", "level = \"trace\"\nformat = \"human\"");
    world.configuration.write();
    let mut daemon = Daemon::launch(&world.configuration);
    let is_told = |parts: [&str; 2]| {
        let log = daemon.log_text();
        log.lines().any(|line| parts.iter().all(|part| line.contains(part)))
    };
    let stores = ECHOES.map(|(store, ..)| ["published credentials: ", store]);
    let channels = ["webhook", "slack", "pagerduty", "alertmanager", "kubernetes"];
    let refused = channels.map(|channel| ["answered 500 channel=", channel]);
    let others = [
        ["cannot be used: field 'api_path'", "badly-written"],
        ["alerts.command ended", "BC_SECRETS_SYNC_CAUSE"],
        ["the app could not be told", "badly-written"],
        ["the app could not be told", "acme"],
    ];
    for parts in stores.into_iter().chain(refused).chain(others) {
        wait_until(&format!("the log has {parts:?} in a line"), async || is_told(parts)).await;
    }
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended(DEADLINE).await.code(), Some(0));
    let log = daemon.log_text();
    assert!(log.lines().all(|line| !line.starts_with('{')), "that is JSON: {log}");
    the_search_finds_what_is_planted(markers, &log);
    for line in log.lines() {
        markers.none_in("the log for people", line);
    }
}
