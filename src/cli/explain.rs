//! `explain`: what is known of one store, and what the running daemon has decided about it and why.

use clap::Args;
use reqwest::Method;
use serde::Deserialize;

use crate::config::Environment;
use crate::domain::incident::{Incident, Severity};
use crate::domain::snapshot::StoreState;
use crate::domain::time::Timestamp;

use super::Exit;
use super::client::{AskError, Asked, wait};
use super::output::{ago, ahead, columns, complain, finish, plain, wrap};

/// Wider lines are hard to read.
const WIDEST: usize = 100;

#[derive(Args, Debug)]
pub(super) struct Explain {
    /// The store
    #[arg(value_name = "STORE")]
    store: String,
    #[command(flatten)]
    asked: Asked,
}

/// What of the daemon's answer is shown.
#[derive(Deserialize)]
struct Page {
    at: Timestamp,
    stores: Vec<Store>,
    incidents: Vec<Incident>,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Store {
    name: String,
    secret: String,
    pinned_version: Option<u64>,
    state: StoreState,
    since: Timestamp,
    detail: String,
    published: Option<Published>,
    candidate: Option<Candidate>,
    last_check_at: Option<Timestamp>,
    verified_at: Option<Timestamp>,
    next_check_at: Option<Timestamp>,
    certificate_expires_at: Option<Timestamp>,
    last_read_at: Option<Timestamp>,
    read_error: Option<String>,
    publish_error: Option<String>,
}

#[derive(Deserialize)]
struct Published {
    generation: u64,
    version: Option<u64>,
    published_at: Timestamp,
}

#[derive(Deserialize)]
struct Candidate {
    version: Option<u64>,
    seen_at: Timestamp,
    last_verdict: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    at: Timestamp,
    store: Option<String>,
    severity: Option<Severity>,
    text: String,
}

impl Explain {
    pub(super) fn main(self, environment: &Environment) -> Exit {
        match self.ask(environment).and_then(|page| self.text(&page, columns())) {
            Ok(text) => finish(&text, Exit::Good),
            Err(error) => {
                complain(&error);
                error.exit()
            }
        }
    }

    fn ask(&self, environment: &Environment) -> Result<Page, AskError> {
        let line = self.asked.line(environment)?;
        wait(line.ask(Method::GET, &["status"], None))
    }

    fn text(&self, page: &Page, width: Option<usize>) -> Result<String, AskError> {
        let Some(store) = page.stores.iter().find(|store| store.name == self.store) else {
            return Err(AskError::no_store(&self.store));
        };
        let width = width.map(|width| width.min(WIDEST));
        let mut text = facts(store, page.at, width);
        for incident in page.incidents.iter().filter(|incident| incident.store.as_ref() == Some(&store.name))
        {
            let head = format!("{} ({})", incident.cause.title(), incident.cause.label());
            text.push_str(&format!("\nopen incident, since {}\n", ago(incident.opened_at, page.at)));
            text.push_str(&wrap(&plain(&head), "  ", "  ", width));
            for sentence in &incident.evidence {
                text.push_str(&wrap(&plain(sentence), "  - ", "    ", width));
            }
            text.push_str(&wrap(&plain(&incident.remedy), "  What to do: ", "    ", width));
        }
        text.push_str("\nwhat was decided, and why; the newest last\n");
        let mut events =
            page.events.iter().filter(|event| event.store.as_ref() == Some(&store.name)).peekable();
        if events.peek().is_none() {
            let elsewhere = format!(
                "nothing that is still remembered; older decisions are in the log: `journalctl STORE={0}` under systemd, the \
                 lines with \"store\":\"{0}\" where it is JSON",
                store.name
            );
            text.push_str(&wrap(&plain(&elsewhere), "  ", "    ", width));
        }
        for event in events {
            let severity = event.severity.map_or(String::new(), |severity| format!(" {}:", severity.label()));
            let first = format!("  {}{severity} ", event.at);
            text.push_str(&wrap(&plain(&event.text), &first, "    ", width));
        }
        Ok(text)
    }
}

/// What is known of a store, line by line.
fn facts(store: &Store, now: Timestamp, width: Option<usize>) -> String {
    let mut text = String::new();
    let mut fact = |name: &str, value: &str| {
        text.push_str(&wrap(&plain(value), &format!("{name:<12} "), &" ".repeat(13), width));
    };
    let version =
        |version: Option<u64>| version.map_or(String::new(), |number| format!("version {number}, "));
    fact("store", &store.name);
    fact("state", &format!("{}, since {}: {}", store.state.label(), ago(store.since, now), store.detail));
    let pinned = store.pinned_version.map_or(String::new(), |number| format!(", pinned to version {number}"));
    let read = store.last_read_at.map_or("never read".to_owned(), |at| format!("read {}", ago(at, now)));
    fact("secret", &format!("{}{pinned}, {read}", store.secret));
    if let Some(error) = &store.read_error {
        fact("", error);
    }
    match &store.published {
        Some(set) => fact(
            "published",
            &format!("{}generation {}, {}", version(set.version), set.generation, ago(set.published_at, now)),
        ),
        None => fact("published", "nothing"),
    }
    if let Some(error) = &store.publish_error {
        fact("", error);
    }
    if let Some(candidate) = &store.candidate {
        let verdict = candidate.last_verdict.as_deref().unwrap_or("not asked about yet");
        let seen = ago(candidate.seen_at, now);
        fact("candidate", &format!("{}seen {seen}, {verdict}", version(candidate.version)));
    }
    let verified =
        store.verified_at.map_or("never accepted".to_owned(), |at| format!("accepted {}", ago(at, now)));
    let checked =
        store.last_check_at.map_or("never asked".to_owned(), |at| format!("asked {}", ago(at, now)));
    let next = store.next_check_at.map_or(String::new(), |at| format!(", next {}", ahead(at, now)));
    fact("checks", &format!("{verified}, {checked}{next}"));
    if let Some(at) = store.certificate_expires_at {
        fact("certificate", &format!("expires {} ({at})", ahead(at, now)));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn explained(events: &serde_json::Value) -> String {
        let page = json!({
            "at": "2026-11-23T05:53:22Z",
            "stores": [{
                "name": "acme",
                "secret": "secret/acme",
                "state": "verified",
                "since": "2026-11-22T05:53:22Z",
                "detail": "accepted",
            }],
            "incidents": [],
            "events": events,
        });
        let page = serde_json::from_value(page).unwrap();
        let explain = Explain { store: "acme".to_owned(), asked: Asked::at("/run/none".into()) };
        explain.text(&page, None).unwrap()
    }

    #[test]
    fn where_nothing_is_remembered_it_is_said_where_older_decisions_are() {
        let of = |store: &str| json!([{ "at": "2026-11-23T05:53:02Z", "store": store, "text": "published" }]);
        let text = explained(&of("other"));
        let words = "\n  nothing that is still remembered; older decisions are in the log: `journalctl STORE=acme` under \
                     systemd, the lines with \"store\":\"acme\" where it is JSON\n";
        assert!(text.ends_with(words), "{text}");
        let text = explained(&of("acme"));
        assert!(text.ends_with("\n  2026-11-23T05:53:02.000Z published\n"), "{text}");
    }
}
