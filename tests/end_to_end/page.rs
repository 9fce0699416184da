//! The status page of a running daemon, as a browser without a script and as a listener of events see it.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::timeout;

use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// The events of a daemon, from the state that a page is in.
struct Events {
    answer: reqwest::Response,
    /// What came and was not asked for yet.
    text: String,
}

impl Events {
    async fn open(address: &str, page: &str) -> Self {
        let place = page.split("data-at=\"").nth(1).unwrap().split('"').next().unwrap();
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let url = format!("http://{address}/events?since={place}");
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        Self { answer, text: String::new() }
    }

    /// Reads until an event has this part, and returns that event.
    async fn until(&mut self, part: &str) -> String {
        let read = async {
            loop {
                while let Some((event, rest)) = self.text.split_once("\n\n") {
                    let event = event.to_owned();
                    self.text = rest.to_owned();
                    if event.contains(part) {
                        return event;
                    }
                }
                let chunk = self.answer.chunk().await.unwrap().unwrap();
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        timeout(DEADLINE, read).await.unwrap_or_else(|_| panic!("no event with {part:?}"))
    }
}

#[tokio::test]
async fn the_page_shows_how_things_stand_and_its_events_what_changes() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let mut daemon = world.daemon().await;
    world.wait_published("acme", &account).await;
    wait_until("acme is verified", async || daemon.state("acme").await == "verified").await;
    let page = daemon.page("/").await;
    for part in
        ["All is well", "generation 1, version 1", "1 of 1 store has", "logged in", "as generation 1</li>"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(&account.api_token) && !page.contains(&account.username));
    let events = daemon.status().await["events"].clone();
    let told =
        |text: &str| events.as_array().unwrap().iter().any(|event| event["text"].to_string().contains(text));
    assert!(told("published version 1"), "{events}");

    let mut events = Events::open(daemon.address(), &page).await;
    events.until("event: beat\ndata: live").await;
    world.bigcommerce.regenerate_token("acme");
    let update = events.until("\"incidents\":").await;
    assert!(update.starts_with("id: ") && update.contains("event: update\n"), "{update}");
    assert!(update.contains("API token regenerated or revoked"), "{update}");
    assert!(update.contains("\"store-acme\":") && update.contains("data-state=\\\"rejected\\\""), "{update}");

    // A stop does not wait for those who listen.
    let told = Instant::now();
    daemon.signal(Signal::TERM);
    assert!(daemon.ended(Duration::from_secs(10)).await.success());
    assert!(told.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_page_of_an_earlier_daemon_and_of_other_stores_is_told_that_it_is_old() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    let page = daemon.page("/").await;
    let mut events = Events::open(daemon.address(), &page).await;
    events.until("event: beat").await;
    world.add_store("more").await;
    world.configuration.write();
    events.until("event: stale").await;
    assert!(daemon.page("/").await.contains("id=\"store-more\""));
    daemon.kill().await;

    let daemon = world.daemon().await;
    Events::open(daemon.address(), &page).await.until("event: stale").await;
}
