//! The log of what the engine decides: a line for each decision, with its reason; what comes again and again is
//! counted.

use std::time::Duration;

use tracing::field::display;
use tracing::{debug, error, info, warn};

use crate::domain::credentials::StoreName;
use crate::domain::engine::{Action, Decision};
use crate::domain::incident::Severity;
use crate::domain::repeats::{Over, Repeats};
use crate::domain::time::{Instant, Now};

/// How often it is looked whether something is over.
const TURN: Duration = Duration::from_secs(60);

/// What was written of late.
#[derive(Debug, Default)]
pub(super) struct Diary {
    repeats: Repeats,
    turned: Instant,
}

impl Diary {
    /// Writes a decision, unless it is trouble that was written lately.
    pub(super) fn decided(&mut self, decision: &Decision, now: Now) {
        let (store, text) = (decision.store.as_ref().map(StoreName::as_str), decision.text.as_str());
        // Not in its words: what is said differently each time may be the same trouble.
        let said = match decision.output.as_str() {
            "" => String::new(),
            output => format!("; it said: {output}"),
        };
        let Some(severity) = decision.severity else {
            info!(store, "{text}{said}");
            return;
        };
        let Some((times, since)) = self.repeats.came(store.unwrap_or_default(), text, now).count() else {
            return;
        };
        let since = since.map(display);
        match severity {
            Severity::Warning => warn!(store, times, since, "{text}{said}"),
            Severity::Critical => error!(store, times, since, "{text}{said}"),
        }
    }

    /// Time has passed: writes what has not come again for a while.
    pub(super) fn turn(&mut self, now: Now) {
        if now.instant.since(self.turned) < TURN {
            return;
        }
        self.turned = now.instant;
        for Over { subject, words, times, since } in self.repeats.quiet(now) {
            let store = Some(subject.as_str()).filter(|store| !store.is_empty());
            info!(store, times, since = %since, "it has not come again for a while: {words}");
        }
    }
}

/// What is begun because of an event, for those who look closely. No value of a secret is in it.
pub(super) fn begins(action: &Action) {
    let (what, store) = match action {
        Action::LogIn => ("log in to Vault", None),
        Action::Renew => ("renew the token", None),
        Action::LookUp => ("ask Vault about the token", None),
        Action::Inspect { store } => ("look at the disk", Some(store)),
        Action::Read { store, .. } => ("read the secret", Some(store)),
        Action::List { folder, .. } => {
            debug!(%folder, "begins: list the secrets");
            return;
        }
        Action::Probe { store, .. } => ("ask the store", Some(store)),
        Action::Publish { store, .. } => ("publish", Some(store)),
        Action::Withdraw { store } => ("withdraw what is published", Some(store)),
        Action::Reload { store, .. } => ("tell the app", Some(store)),
        Action::Remember { store, .. } => ("note what the app knows", Some(store)),
        Action::Restock { .. } => ("take other stores over", None),
        // They have lines of their own.
        Action::Notify(_) | Action::Keep(_) | Action::Say(_) | Action::Reply(_) => return,
    };
    debug!(store = store.map(StoreName::as_str), "begins: {what}");
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::domain::time::Timestamp;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    pub(in crate::daemon) fn logged(log: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(lines.clone()).finish();
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(in crate::daemon) fn at(seconds: u64) -> Now {
        let wall = Timestamp::from_millis(seconds * 1000);
        Now { instant: Instant::from_millis(seconds * 1000), wall }
    }

    #[test]
    fn trouble_is_written_once_then_counted_and_its_end_is_written() {
        let store = StoreName::parse("acme").unwrap();
        let trouble = Decision {
            store: Some(store.clone()),
            severity: Some(Severity::Critical),
            text: "publishing failed: the disk is full".to_owned(),
            output: String::new(),
        };
        let text = "published".to_owned();
        let good = Decision { store: Some(store), severity: None, text, output: "thanks".to_owned() };
        let lines = logged(|| {
            let mut diary = Diary::default();
            for second in (0..100).step_by(10) {
                let output = format!("at {second}");
                diary.decided(&Decision { output, ..trouble.clone() }, at(second));
                diary.decided(&good, at(second));
            }
            for second in 100..2_000 {
                diary.turn(at(second));
            }
        });
        let of = |text: &str| {
            let has = |line: &&Value| line["message"].as_str().unwrap().contains(text);
            lines.iter().filter(has).collect::<Vec<_>>()
        };
        let failed = of("publishing failed");
        assert_eq!(failed.len(), 3, "{lines:#?}");
        assert!(failed.iter().all(|line| line["store"] == "acme"));
        assert_eq!(failed[1]["message"], "publishing failed: the disk is full; it said: at 60");
        assert_eq!((&failed[0]["level"], failed[0].get("times")), (&Value::from("ERROR"), None));
        assert_eq!(
            (&failed[1]["times"], &failed[1]["since"]),
            (&7.into(), &"1970-01-01T00:00:00.000Z".into())
        );
        assert_eq!((&failed[2]["level"], &failed[2]["times"]), (&Value::from("INFO"), &10.into()));
        assert_eq!(of("published; it said: thanks").len(), 10, "what is no trouble is always written");
    }
}
