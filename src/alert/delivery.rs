//! Delivery: one task a channel takes the oldest message, delivers it, and lets go of it only then.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::field::display;
use tracing::{Instrument, Span, debug, error, error_span, info, warn};

use crate::domain::incident::{IncidentId, Message, MessageKind, Severity};
use crate::domain::repeats::{Over, Repeats};
use crate::domain::schedule::backoff;
use crate::domain::time::{Now, Timestamp};
use crate::system::blocking;

use super::channel::Channel;
use super::fault::DeliveryFault;
use super::ledger::{Ledger, LedgerError};

/// The wait after the first failure of a message; doubled after each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait that is not the receiver's wish.
const LONGEST_WAIT: Duration = Duration::from_secs(5 * 60);

/// Writes a message to the log. Needs no outbox: call it when the message is recorded.
pub fn log(message: &Message) {
    let headline = message.headline();
    let incident = message.incident.id.as_str();
    let (store, cause) = (message.incident.store.as_deref(), message.incident.cause.label());
    let evidence = message.incident.evidence.join("; ");
    let remedy = message.incident.remedy.as_str();
    match (message.kind, message.incident.severity) {
        (MessageKind::Resolved, _) => info!(incident, store, cause, "{headline}"),
        (MessageKind::Opened | MessageKind::Reminder, Severity::Critical) => {
            error!(incident, store, cause, evidence, remedy, "{headline}");
        }
        (MessageKind::Opened | MessageKind::Reminder, Severity::Warning) => {
            warn!(incident, store, cause, evidence, remedy, "{headline}");
        }
    }
}

/// What came of one try to deliver one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryEvent {
    /// The channel.
    pub channel: &'static str,
    /// The message.
    pub message_id: String,
    /// When the try ended.
    pub at: Timestamp,
    /// Whether the message was delivered.
    pub result: Result<(), Failure>,
}

/// A try that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub fault: DeliveryFault,
    /// How often this message was tried in a row.
    pub attempt: u32,
    /// When the message is tried again; none: after the next start.
    pub wait: Option<Duration>,
}

/// A message that its receiver refuses for good, and with it those that follow about the same incident.
#[derive(Debug)]
struct Refused {
    again: Instant,
    attempt: u32,
}

/// Empties one channel's part of the ledger. There must be one for each channel, and no more.
#[derive(Debug)]
pub struct Delivery<Clock> {
    /// The channel's name in the ledger, and in everything that is shown.
    pub name: &'static str,
    /// How to deliver.
    pub channel: Channel,
    /// What to deliver.
    pub ledger: Ledger,
    /// Who counts. An event that finds no room is lost: delivery never waits for its audience.
    pub events: mpsc::Sender<DeliveryEvent>,
    /// What time it is.
    pub clock: Clock,
}

impl<Clock: Fn() -> Now> Delivery<Clock> {
    /// Delivers messages in the order in which they were recorded, one at a time and each until it is
    /// delivered, until `stop` is ready. A try that is under way then is given up: see [`Delivery::flush`].
    ///
    /// A receiver that cannot take anything now holds up all of them; a message that it refuses for good holds
    /// up those of its own incident only.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let bell = self.ledger.bell(self.name);
        let mut stop = pin!(stop);
        let mut attempt = 0_u32;
        let mut refused: BTreeMap<IncidentId, Refused> = BTreeMap::new();
        let mut repeats = Repeats::default();
        loop {
            let Some(message) = self.due(&mut refused) else {
                let again = refused.values().map(|refused| refused.again).min();
                tokio::select! {
                    biased;
                    () = &mut stop => return,
                    () = bell.notified() => continue,
                    () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => continue,
                }
            };
            let result = tokio::select! {
                biased;
                () = &mut stop => return,
                result = self.channel.deliver(&message, (self.clock)().wall).instrument(self.span()) => result,
            };
            let incident = message.incident.id.clone();
            let Err(fault) = result else {
                attempt = 0;
                refused.remove(&incident);
                works_again(self.name, &mut repeats);
                self.delivered(&message).await;
                continue;
            };
            let before = if fault.is_passing() {
                attempt
            } else {
                refused.get(&incident).map_or(0, |was| was.attempt)
            };
            let tries = before.saturating_add(1);
            let wait = pause(&message.id, tries, &fault);
            // Even a receiver that refuses everything is asked about one message a second at the most.
            let pause = if fault.is_passing() { wait } else { wait.min(FIRST_WAIT) };
            if fault.is_passing() {
                attempt = tries;
            } else {
                refused.insert(incident, Refused { again: Instant::now() + wait, attempt: tries });
            }
            self.failed(&message, Failure { fault, attempt: tries, wait: Some(wait) }, &mut repeats);
            let next = Instant::now() + pause;
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = sleep_until(next) => {}
            }
        }
    }

    /// The oldest message that may be tried now. Forgets refusals of messages that are gone.
    fn due(&self, refused: &mut BTreeMap<IncidentId, Refused>) -> Option<Arc<Message>> {
        if refused.is_empty() {
            return self.ledger.next(self.name);
        }
        let waiting = self.ledger.waiting(self.name);
        refused.retain(|id, _| waiting.iter().any(|message| message.incident.id == *id));
        let now = Instant::now();
        let free =
            |message: &Arc<Message>| refused.get(&message.incident.id).is_none_or(|was| was.again <= now);
        waiting.into_iter().find(free)
    }

    /// Tries everything that waits once more, until the deadline; for a daemon that stops. A message whose
    /// incident has an earlier one that could not be delivered is passed over, so that nobody hears the end
    /// of an incident before its start. Returns how many messages are left for the next start.
    pub async fn flush(&self, deadline: Instant) -> u64 {
        let (mut held_up, mut repeats): (Vec<IncidentId>, _) = (Vec::new(), Repeats::default());
        for message in self.ledger.waiting(self.name) {
            if held_up.contains(&message.incident.id) {
                continue;
            }
            let now = (self.clock)().wall;
            match timeout_at(deadline, self.channel.deliver(&message, now).instrument(self.span())).await {
                Ok(Ok(())) => self.delivered(&message).await,
                Ok(Err(fault)) => {
                    held_up.push(message.incident.id.clone());
                    self.failed(&message, Failure { fault, attempt: 1, wait: None }, &mut repeats);
                }
                Err(_) => break,
            }
        }
        self.ledger.pending(self.name)
    }

    /// One try, for those who measure.
    fn span(&self) -> Span {
        error_span!(target: "traces", parent: None, "deliver", channel = self.name)
    }

    async fn delivered(&self, message: &Message) {
        let (ledger, channel, id) = (self.ledger.clone(), self.name, message.id.clone());
        match blocking::run(move || ledger.delivered(channel, &id)).await {
            Ok(()) => info!(channel, message_id = message.id, "delivered"),
            Err(cause) => warn_unmarked(channel, message, &cause),
        }
        self.report(message, Ok(()));
    }

    fn failed(&self, message: &Message, failure: Failure, repeats: &mut Repeats) {
        let Failure { fault, attempt, wait } = &failure;
        let (id, now) = (message.id.as_str(), (self.clock)());
        warn_undelivered(self.name, Some(id), *attempt, *wait, fault, repeats, now);
        self.report(message, Err(failure));
    }

    fn report(&self, message: &Message, result: Result<(), Failure>) {
        let event = DeliveryEvent {
            channel: self.name,
            message_id: message.id.clone(),
            at: (self.clock)().wall,
            result,
        };
        report(&self.events, event);
    }
}

/// Writes why a message was not delivered. What is wrong with a channel is wrong for each message and at each try, so
/// that it is written once and then counted.
pub(in crate::alert) fn warn_undelivered(
    channel: &str,
    message_id: Option<&str>,
    attempt: u32,
    wait: Option<Duration>,
    fault: &DeliveryFault,
    repeats: &mut Repeats,
    now: Now,
) {
    let Some((times, since)) = repeats.came(channel, &fault.to_string(), now).count() else {
        debug!(channel, message_id, attempt, ?wait, "not delivered: {fault}");
        return;
    };
    let since = since.map(display);
    warn!(channel, message_id, attempt, ?wait, times, since, "not delivered: {fault}");
}

/// Writes how often a channel has failed that works.
pub(in crate::alert) fn works_again(channel: &str, repeats: &mut Repeats) {
    for Over { words, times, since, .. } in repeats.works(channel) {
        info!(channel, times, since = %since, "it works again; it had failed: {words}");
    }
}

/// Tells of a try. Delivery never waits for its audience.
pub(super) fn report(events: &mpsc::Sender<DeliveryEvent>, event: DeliveryEvent) {
    let channel = event.channel;
    if events.try_send(event).is_err() {
        debug!(channel, "nobody counts this try");
    }
}

fn warn_unmarked(channel: &str, message: &Message, cause: &LedgerError) {
    warn!(
        channel,
        message_id = message.id,
        error = cause as &dyn std::error::Error,
        "delivered, but that could not be written down: a restart before it is may deliver it once more"
    );
}

/// How long to wait after a failure: longer each time, from the start the longest where somebody must change
/// something first, and never less than the receiver asked for.
fn pause(message_id: &str, attempt: u32, fault: &DeliveryFault) -> Duration {
    let attempt = if fault.is_passing() { attempt } else { u32::MAX };
    let wait = backoff(message_id, attempt, FIRST_WAIT, LONGEST_WAIT);
    wait.max(fault.asked_wait().unwrap_or_default())
}

#[cfg(test)]
mod tests;
