//! The durable outbox, the daemon's own or a model of it; and the receiver at the other end.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use bc_secrets_sync::alert::ledger::{Change, Ledger, Recipient};
use bc_secrets_sync::domain::incident::{Incident, Message, MessageKind};
use bc_secrets_sync::domain::routing::Route;
use bc_secrets_sync::domain::time::Timestamp;
use tempfile::TempDir;

use crate::watch::{Violation, ensure};

const CHANNEL: &str = "webhook";

/// Open incidents and undelivered messages, that survive the process.
pub(crate) enum Outbox {
    /// The daemon's own, closed and opened again with each crash.
    Real { directory: TempDir, ledger: Option<Ledger> },
    /// The same promises, in memory.
    Model { open: BTreeMap<String, Incident>, waiting: VecDeque<Arc<Message>> },
}

impl Outbox {
    pub(crate) fn new(real: bool) -> Self {
        if !real {
            return Self::Model { open: BTreeMap::new(), waiting: VecDeque::new() };
        }
        // Each commit waits for the disk: memory is the fastest one.
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self::Real { directory: directory.unwrap(), ledger: None }
    }

    /// The process starts: what is open.
    pub(crate) fn start(&mut self) -> Vec<Incident> {
        match self {
            Self::Real { directory, ledger } => {
                let opened = Ledger::open(
                    directory.path(),
                    &[Recipient::new(CHANNEL, Route::everything())],
                    Timestamp::default(),
                )
                .unwrap();
                assert_eq!(opened.recovered(), None, "the ledger was damaged");
                ledger.insert(opened).load()
            }
            Self::Model { open, .. } => open.values().cloned().collect(),
        }
    }

    /// The process is gone.
    pub(crate) fn stop(&mut self) {
        if let Self::Real { ledger, .. } = self {
            *ledger = None;
        }
    }

    /// Keeps messages and what they say of their incidents, all or none.
    pub(crate) fn record(&mut self, changes: &[Change]) {
        match self {
            Self::Real { ledger, .. } => ledger.as_ref().unwrap().record(changes).unwrap(),
            Self::Model { open, waiting } => {
                for change in changes {
                    match change {
                        Change::Open { incident, .. } => {
                            open.insert(incident.id.as_str().to_owned(), incident.clone());
                        }
                        Change::Resolved { message } => drop(open.remove(message.incident.id.as_str())),
                    }
                    waiting.extend(change.message().cloned().map(Arc::new));
                }
            }
        }
    }

    /// The oldest message that was not delivered.
    pub(crate) fn next(&self) -> Option<Arc<Message>> {
        match self {
            Self::Real { ledger, .. } => ledger.as_ref()?.next(CHANNEL),
            Self::Model { waiting, .. } => waiting.front().cloned(),
        }
    }

    pub(crate) fn delivered(&mut self, id: &str) {
        match self {
            Self::Real { ledger, .. } => ledger.as_ref().unwrap().delivered(CHANNEL, id).unwrap(),
            Self::Model { waiting, .. } => waiting.retain(|message| message.id != id),
        }
    }
}

/// What somebody was told: every message about each incident, repetitions dropped by their identifier.
#[derive(Default)]
pub(crate) struct Receiver {
    told: BTreeMap<String, Vec<Arc<Message>>>,
    pub(crate) down_until: u64,
    pub(crate) messages: u64,
}

impl Receiver {
    /// A message arrives, perhaps not for the first time.
    pub(crate) fn receive(&mut self, message: &Arc<Message>) -> Result<(), Violation> {
        let told = self.told.entry(message.incident.id.as_str().to_owned()).or_default();
        if let Some(known) = told.iter().find(|known| known.id == message.id) {
            return messages_are_never_reused(known, message);
        }
        messages_come_in_order(told, message)?;
        told.push(message.clone());
        self.messages += 1;
        Ok(())
    }

    /// The incidents whose end was not told.
    pub(crate) fn open(&self) -> Vec<&str> {
        let ended = |told: &Vec<Arc<Message>>| {
            told.last().is_some_and(|message| message.kind == MessageKind::Resolved)
        };
        self.told.iter().filter(|(_, told)| !ended(told)).map(|(id, _)| id.as_str()).collect()
    }
}

/// The identifier of a message stands for one message, for ever.
fn messages_are_never_reused(known: &Message, message: &Message) -> Result<(), Violation> {
    ensure(*known == *message, "messages_are_never_reused", message.incident.store.as_deref(), || {
        format!("{} was used for two messages:\n  {known:?}\n  {message:?}", message.id)
    })
}

/// Opened, then reminders, then resolved; numbered without a gap; and nothing after the end.
pub(crate) fn messages_come_in_order(told: &[Arc<Message>], message: &Message) -> Result<(), Violation> {
    let name = "messages_come_in_order";
    let store = message.incident.store.as_deref();
    let number = told.len() + 1;
    ensure(message.id == format!("{}:{number}", message.incident.id), name, store, || {
        format!("{} is message number {number} of its incident", message.id)
    })?;
    ensure((message.kind == MessageKind::Opened) == told.is_empty(), name, store, || {
        format!("{} says '{}'", message.id, message.kind.label())
    })?;
    let ended = told.last().is_some_and(|last| last.kind == MessageKind::Resolved);
    ensure(!ended, name, store, || format!("{} follows the end of its incident", message.id))
}
