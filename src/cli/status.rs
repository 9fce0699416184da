//! `status`: shows how the running daemon and its stores are.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde::Deserialize;

use crate::config::Environment;
use crate::domain::incident::Incident;
use crate::domain::snapshot::{StateStatus, StoreState};
use crate::domain::time::Timestamp;
use crate::system::errors::chain;

use super::Exit;
use super::client::{AskError, Asked, Line, wait};
use super::output::{
    Output, ago, ahead, columns, complain, finish, fit, in_memory_only, in_words, plain, rows, table, wrap,
};

/// A loop that moves less often than this is stuck.
const STUCK_MS: u64 = 30_000;
/// How often it is asked anew, with --watch.
const INTERVAL: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub(super) struct Status {
    /// Only these stores
    #[arg(value_name = "STORE")]
    stores: Vec<String>,
    /// Ask again every two seconds until it is interrupted; on a terminal only, as much as it shows at once
    #[arg(short, long, conflicts_with = "output")]
    watch: bool,
    /// How to print it; json is what the daemon says on /status
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    asked: Asked,
}

/// What of the daemon's answer is shown.
#[derive(Deserialize)]
struct Page {
    version: String,
    at: Timestamp,
    started_at: Timestamp,
    vitals: Vitals,
    source: Source,
    stores: Vec<Store>,
    incidents: Vec<Incident>,
    channels: Vec<Channel>,
    configuration: Configuration,
    hardening: Option<Hardening>,
    state: StateStatus,
}

#[derive(Deserialize)]
struct Vitals {
    ready: bool,
    last_pass_age_ms: u64,
}

#[derive(Deserialize)]
struct Source {
    state: String,
    last_success_at: Option<Timestamp>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Store {
    name: String,
    state: StoreState,
    detail: String,
    published: Option<Published>,
    verified_at: Option<Timestamp>,
    next_check_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Published {
    generation: u64,
    version: Option<u64>,
}

#[derive(Deserialize)]
struct Channel {
    name: String,
    pending: u64,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Hardening {
    landlock: Measure,
    seccomp: Measure,
}

#[derive(Deserialize)]
struct Measure {
    active: bool,
    reason: Option<String>,
}

impl Hardening {
    fn measures(&self) -> [(&'static str, &Measure); 2] {
        [("Landlock", &self.landlock), ("seccomp", &self.seccomp)]
    }
}

#[derive(Deserialize)]
struct Configuration {
    error: Option<String>,
}

impl Status {
    pub(super) fn main(self, environment: &Environment) -> Exit {
        if self.watch && !stdout().is_terminal() {
            complain(&AskError::Refused("--watch is for a terminal; leave it out".to_owned()));
            return Exit::Usage;
        }
        match self.show(environment) {
            Ok(exit) => exit,
            Err(error) => {
                complain(&error);
                error.exit()
            }
        }
    }

    fn show(&self, environment: &Environment) -> Result<Exit, AskError> {
        let line = self.asked.line(environment)?;
        wait(async {
            let mut text = self.ask(&line, environment).await?;
            if !self.watch {
                return Ok(finish(&text, Exit::Good));
            }
            loop {
                // From the upper left corner on an empty screen.
                let screen = fit(&text, columns(), rows());
                let drawn = finish(&format!("\u{1b}[H\u{1b}[2J{screen}"), Exit::Good);
                if drawn != Exit::Good {
                    return Ok(drawn);
                }
                tokio::time::sleep(INTERVAL).await;
                // It may be started anew, which is what one watches for.
                text = self.ask(&line, environment).await.unwrap_or_else(|error| {
                    let asking = format!("{}; asking again every two seconds", chain(&error));
                    wrap(&plain(&asking), "", "", columns())
                });
            }
        })
    }

    /// What is to be printed.
    async fn ask(&self, line: &Line, environment: &Environment) -> Result<String, AskError> {
        let bytes = line.ask_bytes(Method::GET, &["status"], None).await?;
        if self.output == Output::Json {
            return Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned() + "\n");
        }
        let page = self.choose(line.parse(&bytes)?)?;
        let look = Look { width: columns(), colours: colours(environment) };
        Ok(look.at(&page))
    }

    /// The stores that are wanted, those that are worst off first.
    fn choose(&self, mut page: Page) -> Result<Page, AskError> {
        if let Some(stranger) =
            self.stores.iter().find(|name| !page.stores.iter().any(|it| it.name == **name))
        {
            return Err(AskError::no_store(stranger));
        }
        if !self.stores.is_empty() {
            page.stores.retain(|store| self.stores.contains(&store.name));
        }
        page.stores.sort_by(|one, other| {
            other.state.gravity().cmp(&one.state.gravity()).then_with(|| one.name.cmp(&other.name))
        });
        Ok(page)
    }
}

/// How it is laid out.
struct Look {
    width: Option<usize>,
    colours: bool,
}

impl Look {
    /// The daemon in some lines, then its stores.
    fn at(&self, page: &Page) -> String {
        let mut text = String::new();
        let mut fact = |name: &str, value: &str| {
            text.push_str(&wrap(&plain(value), &format!("{name:<10} "), &" ".repeat(11), self.width));
        };
        let (count, verified) = (page.stores.len(), page.stores.iter().filter(|it| is_well(it)).count());
        let ready = if page.vitals.ready { "ready" } else { "not ready" };
        let up = in_words(page.at.since(page.started_at));
        fact("daemon", &format!("version {}, up {up}, {ready}", page.version));
        if page.vitals.last_pass_age_ms > STUCK_MS {
            fact("", &format!("its loop has not moved for {} s", page.vitals.last_pass_age_ms / 1000));
        }
        if let Some(error) = &page.configuration.error {
            fact("", &format!("the newest configuration is refused: {error}"));
        }
        let source = &page.source;
        let last = source
            .last_success_at
            .map_or("never worked".to_owned(), |at| format!("last worked {}", ago(at, page.at)));
        fact("vault", &format!("{}, {last}", source.state));
        if let Some(error) = &source.error {
            fact("", error);
        }
        for (name, measure) in page.hardening.iter().flat_map(Hardening::measures) {
            if let Some(reason) = &measure.reason {
                let without = if measure.active { "" } else { "without " };
                fact("hardening", &format!("{without}{name}: {reason}"));
            }
        }
        for channel in page.channels.iter().filter(|channel| channel.error.is_some() || channel.pending > 0) {
            let error = channel.error.as_deref().unwrap_or("none has failed");
            fact("alerts", &format!("{}: {} wait for delivery; {error}", channel.name, channel.pending));
        }
        if let Some(text) = in_memory_only(&page.state, page.at) {
            fact("state", &text);
        }
        let open = page.incidents.len();
        let how = if open == 0 { "" } else { "; see `bc-secrets-sync incidents`" };
        fact("incidents", &format!("{open} open{how}"));
        fact("stores", &format!("{verified} of {count} verified"));
        if count > 0 {
            text.push('\n');
            text.push_str(&self.stores(page));
        }
        text
    }

    fn stores(&self, page: &Page) -> String {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let row = |store: &Store| {
            vec![
                plain(&store.name),
                store.state.label().to_owned(),
                number(store.published.as_ref().map(|published| published.generation)),
                number(store.published.as_ref().and_then(|published| published.version)),
                store.verified_at.map_or_else(|| "never".to_owned(), |at| ago(at, page.at)),
                store.next_check_at.map_or_else(|| "-".to_owned(), |at| ahead(at, page.at)),
                plain(&store.detail),
            ]
        };
        let rows: Vec<Vec<String>> = page.stores.iter().map(row).collect();
        let headings = ["STORE", "STATE", "GENERATION", "VERSION", "VERIFIED", "NEXT CHECK", "DETAIL"];
        let table = table(&headings, &rows);
        let (heading, lines) = table.split_once('\n').unwrap_or((&table, ""));
        let mut text = format!("{}\n", self.cut(heading));
        for (store, line) in page.stores.iter().zip(lines.lines()) {
            let line = self.cut(line);
            let label = store.state.label();
            // The state comes after the name, and a name may hold the same word.
            let place =
                line.char_indices().nth(plain(&store.name).chars().count()).map_or(line.len(), |(at, _)| at);
            let (name, rest) = line.split_at_checked(place).unwrap_or((&line, ""));
            let coloured = format!("\u{1b}[{}m{label}\u{1b}[0m", colour(store.state));
            let rest = if self.colours { rest.replacen(label, &coloured, 1) } else { rest.to_owned() };
            text.push_str(&format!("{name}{rest}\n"));
        }
        text
    }

    /// A line of the table as far as the terminal shows it.
    fn cut(&self, line: &str) -> String {
        match self.width {
            Some(width) if line.chars().count() > width => {
                line.chars().take(width.saturating_sub(1)).chain(['\u{2026}']).collect()
            }
            Some(_) | None => line.to_owned(),
        }
    }
}

/// Whether its published credentials work, as far as is known.
fn is_well(store: &Store) -> bool {
    store.state == StoreState::Verified
}

/// The number of a state's colour, as terminals know it: green, yellow or red.
const fn colour(state: StoreState) -> u8 {
    match state {
        StoreState::Verified => 32,
        StoreState::Unverified | StoreState::Pending | StoreState::Suspect => 33,
        StoreState::Rejected | StoreState::Failed => 31,
    }
}

/// On a terminal, unless the environment wants none: <https://no-color.org>.
fn colours(environment: &Environment) -> bool {
    stdout().is_terminal() && !environment.has("NO_COLOR") && !environment.is("TERM", "dumb")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page() -> Page {
        let store = |name: &str, state: &str, detail: &str| {
            json!({
                "name": name,
                "state": state,
                "detail": detail,
                "published": { "generation": 3, "version": 7 },
                "verified_at": "2026-11-23T05:51:22.004Z",
                "next_check_at": "2026-11-23T05:56:22Z",
            })
        };
        let page = json!({
            "version": "0.1.0",
            "at": "2026-11-23T05:53:22Z",
            "started_at": "2026-11-22T03:53:22Z",
            "vitals": { "ready": true, "last_pass_age_ms": 3 },
            "source": { "state": "logged in", "last_success_at": "2026-11-23T05:53:02Z", "error": null },
            "stores": [
                store("acme", "verified", "accepted"),
                store("rejected", "rejected", "401\u{1b}[2J again"),
            ],
            "incidents": [],
            "channels": [
                { "name": "webhook", "pending": 0, "error": null },
                { "name": "slack", "pending": 2, "error": "connection refused" },
            ],
            "configuration": { "error": null },
            "state": { "error": "no space left", "since": "2026-11-23T05:50:22Z" },
        });
        serde_json::from_value(page).unwrap()
    }

    fn status(stores: &[&str]) -> Status {
        let stores = stores.iter().map(|name| (*name).to_owned()).collect();
        Status { stores, watch: false, output: Output::Table, asked: Asked::at("/run/none".into()) }
    }

    #[test]
    fn those_that_are_worst_off_come_first() {
        let page = status(&[]).choose(page()).unwrap();
        assert_eq!(
            Look { width: None, colours: false }.at(&page),
            "\
daemon     version 0.1.0, up 1d 2h, ready
vault      logged in, last worked 20s ago
alerts     slack: 2 wait for delivery; connection refused
state      in memory only for 3m, and a restart forgets it: no space left
incidents  0 open
stores     1 of 2 verified

STORE     STATE     GENERATION  VERSION  VERIFIED  NEXT CHECK  DETAIL
rejected  rejected  3           7        1m ago    in 3m       401\u{fffd}[2J again
acme      verified  3           7        1m ago    in 3m       accepted
"
        );
    }

    #[test]
    fn a_terminal_gets_colours_and_no_longer_lines_than_it_has_columns() {
        let page = status(&[]).choose(page()).unwrap();
        let text = Look { width: Some(40), colours: true }.at(&page);
        assert!(text.contains("rejected  \u{1b}[31mrejected\u{1b}[0m  3"), "{text}");
        assert!(text.contains("acme      \u{1b}[32mverified\u{1b}[0m"), "{text}");
        let shown =
            |line: &str| line.replace("\u{1b}[31m", "").replace("\u{1b}[32m", "").replace("\u{1b}[0m", "");
        assert!(text.lines().all(|line| shown(line).chars().count() <= 40), "{text}");
    }

    #[test]
    fn only_the_stores_that_are_asked_for_are_shown() {
        let some = status(&["acme"]).choose(page()).unwrap();
        assert_eq!(some.stores.len(), 1);
        let error = status(&["acme", "other"]).choose(page()).map(drop).unwrap_err();
        assert!(error.to_string().contains("the daemon has no store other"), "{error}");
    }
}
