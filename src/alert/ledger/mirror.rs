//! The ledger in memory: open incidents, one bounded queue a channel, and what the disk must write to follow.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tracing::warn;

use crate::domain::incident::{Incident, Message, MessageKind};
use crate::domain::routing::Route;
use crate::domain::time::Timestamp;

use super::Change;
use super::recipient::{Recipient, channel_of};

/// How many identifiers of recorded messages are remembered, beyond those that still wait.
const REMEMBERED: usize = 1024;

/// One thing that the disk must do to follow the mirror.
#[derive(Clone, Debug)]
pub(super) enum Write {
    /// Keep an open incident.
    PutIncident(Entry),
    /// Forget an incident.
    RemoveIncident(String),
    /// Keep a message for a channel.
    PutMessage(String, u64, Arc<Message>),
    /// Forget a message of a channel.
    RemoveMessage(String, u64),
}

/// An open incident, the last message recorded about it, and the channels that were told of it, as
/// [`Recipient::noted`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) incident: Incident,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_message: Option<String>,
    /// The message itself, for a channel that hears of the incident later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<Box<Message>>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) told: BTreeSet<String>,
}

/// What was found on disk.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) incidents: Vec<Entry>,
    pub(super) messages: Vec<(String, u64, Message)>,
    /// What could not be read, in words.
    pub(super) lost: Option<String>,
}

/// What one channel still has to deliver, by position.
#[derive(Debug, Default)]
struct Queue {
    /// None until the channels of the configuration are known.
    route: Option<Route>,
    /// How it is noted that the channel was told.
    noted: String,
    messages: BTreeMap<u64, Arc<Message>>,
    dropped: u64,
    bell: Arc<Notify>,
}

impl Queue {
    /// The message that is missed least: a reminder, as another one follows; then that of an incident whose end waits
    /// too, and says all of it; then the oldest. What ends an incident is kept longest, as the receiver may have been
    /// told of it by a try that seemed to fail.
    fn spare(&self) -> Option<(u64, &Message)> {
        let kind = |wanted| self.messages.iter().filter(move |(_, message)| message.kind == wanted);
        let over = || {
            let ends = kind(MessageKind::Resolved).map(|(at, end)| (end.incident.id.as_str(), at));
            let ends: BTreeMap<&str, &u64> = ends.collect();
            let has_ended = |at, it: &Message| ends.get(it.incident.id.as_str()).is_some_and(|end| at < *end);
            kind(MessageKind::Opened).find(|(at, message)| has_ended(*at, message))
        };
        let spare = kind(MessageKind::Reminder).next().or_else(over);
        let spare = spare.or_else(|| self.messages.first_key_value());
        spare.map(|(at, message)| (*at, message.as_ref()))
    }
}

/// The state of the ledger.
#[derive(Debug)]
pub(super) struct Mirror {
    incidents: BTreeMap<String, Entry>,
    queues: BTreeMap<String, Queue>,
    /// Identifiers of the messages recorded last, so that recording one again changes nothing.
    recorded: VecDeque<String>,
    /// The position given to a message last. One count for all channels, and never used twice in one run.
    last: u64,
    /// Messages up to this position may be delivered.
    shown: u64,
    capacity: usize,
    changed: watch::Sender<()>,
    recovered: Option<String>,
}

impl Mirror {
    /// Takes over what was found on disk. Every channel that has messages there is a channel, until
    /// [`Mirror::set_channels`] says otherwise.
    pub(super) fn new(contents: Contents, capacity: usize) -> Self {
        let mut queues = BTreeMap::<String, Queue>::new();
        let mut last = 0;
        for (channel, position, message) in contents.messages {
            last = last.max(position);
            let queue = queues.entry(channel).or_default();
            queue.messages.insert(position, Arc::new(message));
        }
        let incidents: BTreeMap<_, _> = contents
            .incidents
            .into_iter()
            .map(|entry| (entry.incident.id.as_str().to_owned(), entry))
            .collect();
        Self {
            recorded: incidents.values().filter_map(|entry| entry.last_message.clone()).collect(),
            incidents,
            queues,
            last,
            shown: last,
            capacity,
            changed: watch::Sender::new(()),
            recovered: contents.lost,
        }
    }

    pub(super) fn recovered(&self) -> Option<String> {
        self.recovered.clone()
    }

    pub(super) fn incidents(&self) -> Vec<Incident> {
        let mut incidents: Vec<_> = self.incidents.values().map(|entry| entry.incident.clone()).collect();
        incidents.sort_by_key(|incident| incident.opened_at);
        incidents
    }

    pub(super) fn record(&mut self, changes: &[Change]) -> Vec<Write> {
        let mut writes = Vec::new();
        for change in changes {
            let (id, message) = match change {
                Change::Open { incident, message } => (&incident.id, message.as_ref()),
                Change::Resolved { message } => (&message.incident.id, Some(message)),
            };
            if message.is_some_and(|message| self.is_recorded(&message.id)) {
                continue;
            }
            let known = self.incidents.get(id.as_str());
            let mut told = known.map(|entry| entry.told.clone()).unwrap_or_default();
            match change {
                Change::Open { incident, message } => {
                    let receivers: BTreeSet<String> = message
                        .iter()
                        .flat_map(|_| self.takers(incident))
                        .map(|(channel, _)| channel.clone())
                        .collect();
                    told.extend(
                        message
                            .iter()
                            .flat_map(|_| self.takers(incident))
                            .map(|(_, queue)| queue.noted.clone()),
                    );
                    let last_message = message
                        .as_ref()
                        .map(|message| message.id.clone())
                        .or_else(|| known.and_then(|entry| entry.last_message.clone()));
                    let last =
                        message.clone().map(Box::new).or_else(|| known.and_then(|entry| entry.last.clone()));
                    let entry = Entry { incident: incident.clone(), last_message, last, told };
                    self.incidents.insert(id.as_str().to_owned(), entry.clone());
                    writes.push(Write::PutIncident(entry));
                    if let Some(message) = message {
                        self.enqueue(message, &receivers, &mut writes);
                    }
                }
                Change::Resolved { message } => {
                    self.incidents.remove(id.as_str());
                    writes.push(Write::RemoveIncident(id.as_str().to_owned()));
                    let receivers = told.iter().map(|note| channel_of(note).to_owned()).collect();
                    self.enqueue(message, &receivers, &mut writes);
                }
            }
        }
        writes
    }

    pub(super) fn delivered(&mut self, channel: &str, message_id: &str) -> Vec<Write> {
        let Some(queue) = self.queues.get_mut(channel) else {
            return Vec::new();
        };
        let position = queue.messages.iter().find(|(_, message)| message.id == message_id).map(|(at, _)| *at);
        position
            .into_iter()
            .inspect(|position| drop(queue.messages.remove(position)))
            .map(|position| Write::RemoveMessage(channel.to_owned(), position))
            .collect()
    }

    /// The channels whose route takes the incident.
    fn takers(&self, incident: &Incident) -> impl Iterator<Item = (&String, &Queue)> {
        let takes = |queue: &Queue| queue.route.as_ref().is_some_and(|route| route.takes(incident));
        self.queues.iter().filter(move |(_, queue)| takes(queue))
    }

    pub(super) fn set_channels(&mut self, channels: &[Recipient], now: Timestamp) -> Vec<Write> {
        let mut writes = Vec::new();
        let mut unheard = Vec::new();
        self.queues.retain(|channel, queue| {
            let stays = channels.iter().any(|recipient| recipient.name == *channel);
            if !stays && !queue.messages.is_empty() {
                warn!(
                    channel,
                    messages = queue.messages.len(),
                    "the channel is no longer configured: its undelivered messages are removed"
                );
            }
            if !stays {
                let positions = queue.messages.keys();
                writes.extend(positions.map(|at| Write::RemoveMessage(channel.clone(), *at)));
                unheard.extend(
                    queue.messages.values().map(|message| (channel.clone(), message.incident.id.clone())),
                );
            }
            stays
        });
        for (channel, incident) in unheard {
            // Should the channel come back, it is told anew.
            if let Some(entry) = self.incidents.get_mut(incident.as_str()) {
                entry.told.retain(|note| channel_of(note) != channel);
                writes.push(Write::PutIncident(entry.clone()));
            }
        }
        for recipient in channels {
            let queue = self.queues.entry(recipient.name.clone()).or_default();
            queue.route = Some(recipient.route.clone());
            queue.noted = recipient.noted();
            shrink(&recipient.name, queue, self.capacity, &mut writes);
        }
        self.tell_late(now, &mut writes);
        writes
    }

    /// Hands the last message about each open incident to the channels that were not told of it: those that are new, or
    /// have another address or another route, or were away with it. A silenced incident waits for its next reminder.
    fn tell_late(&mut self, now: Timestamp, writes: &mut Vec<Write>) {
        for Incident { id, silenced_until, .. } in self.incidents() {
            let is_silenced = silenced_until.is_some_and(|until| until > now);
            let Some(entry) = self.incidents.get(id.as_str()).filter(|_| !is_silenced) else { continue };
            let Some(message) = entry.last.clone() else { continue };
            // A note without an address is of a version that noted none.
            let is_told = |channel: &String, queue: &Queue| {
                entry.told.contains(channel) || entry.told.contains(&queue.noted)
            };
            let late = self.takers(&entry.incident).filter(|(channel, queue)| !is_told(channel, queue));
            let (channels, notes): (BTreeSet<String>, Vec<String>) =
                late.map(|(channel, queue)| (channel.clone(), queue.noted.clone())).unzip();
            let Some(entry) = self.incidents.get_mut(id.as_str()).filter(|_| !notes.is_empty()) else {
                continue;
            };
            entry.told.extend(notes);
            writes.push(Write::PutIncident(entry.clone()));
            self.last += 1;
            let message: Arc<Message> = message.into();
            for (channel, queue) in self.queues.iter_mut().filter(|(channel, _)| channels.contains(*channel))
            {
                // What still waits goes to the new address, too.
                if queue.messages.values().any(|waiting| waiting.incident.id == id) {
                    continue;
                }
                queue.messages.insert(self.last, Arc::clone(&message));
                writes.push(Write::PutMessage(channel.clone(), self.last, Arc::clone(&message)));
                shrink(channel, queue, self.capacity, writes);
            }
        }
    }

    /// The messages that the channel may deliver, the oldest first.
    pub(super) fn waiting(&self, channel: &str) -> impl Iterator<Item = Arc<Message>> {
        let queue = self.queues.get(channel).into_iter();
        queue.flat_map(|queue| queue.messages.range(..=self.shown).map(|(_, message)| Arc::clone(message)))
    }

    pub(super) fn pending(&self, channel: &str) -> u64 {
        self.queues.get(channel).map_or(0, |queue| queue.messages.len() as u64)
    }

    pub(super) fn dropped(&self, channel: &str) -> u64 {
        self.queues.get(channel).map_or(0, |queue| queue.dropped)
    }

    /// The bell of the channel; one that never rings for a channel that there is not.
    pub(super) fn bell(&self, channel: &str) -> Arc<Notify> {
        self.queues.get(channel).map(|queue| Arc::clone(&queue.bell)).unwrap_or_default()
    }

    /// Lets the channels deliver everything that was recorded so far.
    pub(super) fn show(&mut self) {
        if self.shown != self.last {
            self.shown = self.last;
            self.queues.values().for_each(|queue| queue.bell.notify_one());
            self.changed.send_replace(());
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Everything, for a disk that starts from nothing.
    pub(super) fn contents(&self) -> Vec<Write> {
        let incidents = self.incidents.values().cloned().map(Write::PutIncident);
        let messages = self.queues.iter().flat_map(|(channel, queue)| {
            let messages = queue.messages.iter();
            messages.map(|(at, message)| Write::PutMessage(channel.clone(), *at, Arc::clone(message)))
        });
        incidents.chain(messages).collect()
    }

    fn is_recorded(&self, message_id: &str) -> bool {
        let mut waiting = self.queues.values().flat_map(|queue| queue.messages.values());
        self.recorded.iter().any(|id| id == message_id) || waiting.any(|message| message.id == message_id)
    }

    fn enqueue(&mut self, message: &Message, receivers: &BTreeSet<String>, writes: &mut Vec<Write>) {
        if self.recorded.len() >= REMEMBERED.max(self.incidents.len()) {
            self.recorded.pop_front();
        }
        self.recorded.push_back(message.id.clone());
        self.last += 1;
        let message = Arc::new(message.clone());
        for (channel, queue) in self.queues.iter_mut().filter(|(channel, _)| receivers.contains(*channel)) {
            queue.messages.insert(self.last, Arc::clone(&message));
            writes.push(Write::PutMessage(channel.clone(), self.last, Arc::clone(&message)));
            shrink(channel, queue, self.capacity, writes);
        }
    }
}

/// Drops what is over the capacity: the oldest of what [`Queue::spare`] finds, one by one.
fn shrink(channel: &str, queue: &mut Queue, capacity: usize, writes: &mut Vec<Write>) {
    while queue.messages.len() > capacity {
        let Some((position, id)) = queue.spare().map(|(at, message)| (at, message.id.clone())) else {
            return;
        };
        queue.messages.remove(&position);
        queue.dropped += 1;
        writes.push(Write::RemoveMessage(channel.to_owned(), position));
        warn!(channel, message_id = id, dropped = queue.dropped, "the outbox is full: a message was dropped");
    }
}
