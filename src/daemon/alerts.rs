//! Alerts as the daemon runs them: the ledger first, then the log, then the channels.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::alert::alertmanager::Upkeep;
use crate::alert::channel::{Channel, Outlet, address, outlets};
use crate::alert::delivery::{Delivery, DeliveryEvent, log};
use crate::alert::ledger::{Change, Ledger, LedgerError, Recipient};
use crate::config::Config;
use crate::domain::engine::Reply;
use crate::domain::incident::Message;
use crate::domain::secret::FingerprintKey;
use crate::domain::snapshot::{ChannelStatus, StateStatus};
use crate::domain::time::Now;
use crate::observe::EngineAnswer;
use crate::system::blocking;
use crate::system::clock::Clock;
use crate::system::errors::chain;

use super::adapters::now;
use super::error::DaemonError;
use super::services::Service;
use super::state_disk::StateDisk;

const LOG: &str = "log";
/// Reports of tries that may wait to be counted.
const REPORTS: usize = 64;

/// The ledger, the channels and what is known of them.
pub(super) struct Alerts {
    ledger: Ledger,
    disk: StateDisk,
    clock: Clock,
    reports: mpsc::Sender<DeliveryEvent>,
    pub(super) reported: mpsc::Receiver<DeliveryEvent>,
    /// One for each channel; none of them may end by itself.
    pub(super) tasks: Vec<Service>,
    /// What empties the ledger; the same as in the tasks, for the flush at the end.
    deliveries: Vec<Arc<Emptying>>,
    /// The log, then the channels.
    statuses: Vec<ChannelStatus>,
}

type Emptying = Delivery<Box<dyn Fn() -> Now + Send + Sync>>;

/// What a configuration wants of the channels, ready to be used.
#[derive(Debug)]
pub(super) struct Channels {
    outlets: Vec<Outlet>,
    /// Those that the ledger keeps messages for.
    queued: Vec<Recipient>,
}

impl Channels {
    /// Prepares the channels. Blocks on the disk.
    pub(super) fn build(config: &Config, key: &FingerprintKey) -> Result<Self, DaemonError> {
        let outlets = outlets(&config.alerts).map_err(DaemonError::Channels)?;
        for outlet in &outlets {
            if let Err(fault) = outlet.channel.check() {
                // It may be mended while we run, and alerts wait for it; so it is no reason not to start.
                tracing::error!(channel = outlet.name, "alerts cannot be delivered: {fault}");
            }
        }
        let queued = outlets.iter().filter(|outlet| outlet.channel.takes_messages());
        let queued = queued.map(|outlet| Recipient {
            address: address(&config.alerts, outlet.name, key),
            ..Recipient::new(outlet.name, outlet.route.clone())
        });
        Ok(Self { queued: queued.collect(), outlets })
    }
}

impl Alerts {
    /// Opens the ledger and starts the channels.
    pub(super) async fn open(config: &Config, channels: Channels, clock: Clock) -> Result<Self, DaemonError> {
        let (directory, queued) = (config.state.directory.clone(), channels.queued.clone());
        let at = now(&clock).wall;
        let ledger = blocking::run(move || Ledger::open(&directory, &queued, at))
            .await
            .map_err(DaemonError::Ledger)?;
        if let Some(what) = ledger.recovered() {
            tracing::error!("incidents and messages of an earlier run may be lost: {what}");
        }
        let (reports, reported) = mpsc::channel(REPORTS);
        let statuses = vec![status_of(LOG)];
        let (tasks, deliveries, disk) = (Vec::new(), Vec::new(), StateDisk::default());
        let mut alerts = Self { ledger, disk, clock, reports, reported, tasks, deliveries, statuses };
        alerts.start(channels);
        Ok(alerts)
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Replaces the channels by those of a new configuration.
    pub(super) async fn replace(&mut self, channels: Channels) -> Result<(), DaemonError> {
        self.stop().await?;
        let (ledger, queued, at) = (self.ledger.clone(), channels.queued.clone(), now(&self.clock).wall);
        if let Err(error) = blocking::run(move || ledger.set_channels(&queued, at)).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the ledger does not follow the new channels"
            );
        }
        self.start(channels);
        Ok(())
    }

    /// Starts a task for each channel. A channel that was there before goes on counting.
    fn start(&mut self, channels: Channels) {
        self.deliveries.clear();
        let mut counted = std::mem::take(&mut self.statuses);
        let mut status = |name: &'static str| {
            let known = counted.iter_mut().find(|status| status.name == name);
            known.map_or_else(|| status_of(name), |status| ChannelStatus { error: None, ..status.clone() })
        };
        self.statuses.push(status(LOG));
        for Outlet { name, route, channel } in channels.outlets {
            self.statuses.push(status(name));
            let (ledger, events, clock) = (self.ledger.clone(), self.reports.clone(), self.clock);
            let task = match channel {
                Channel::Alertmanager(alertmanager) => {
                    let clock = move || now(&clock);
                    let upkeep = Upkeep { name, alertmanager, route, ledger, events, clock };
                    Service::start(part_of(name), |stop| async move { upkeep.run(stop).await })
                }
                channel @ (Channel::Webhook(_)
                | Channel::Slack(_)
                | Channel::PagerDuty(_)
                | Channel::Kubernetes(_)
                | Channel::Command(_)) => {
                    let clock: Box<dyn Fn() -> Now + Send + Sync> = Box::new(move || now(&clock));
                    let delivery = Arc::new(Delivery { name, channel, ledger, events, clock });
                    self.deliveries.push(delivery.clone());
                    Service::start(part_of(name), |stop| async move { delivery.run(stop).await })
                }
            };
            self.tasks.push(task);
        }
    }

    /// Keeps changes on disk before anything else is done about them, then writes their messages to the log.
    pub(super) async fn keep(&mut self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let ledger = self.ledger.clone();
        let messages: Vec<Message> = changes.iter().filter_map(Change::message).cloned().collect();
        // Where that fails, they are kept in memory, delivered from there, and written when the disk works again.
        let outcome = blocking::run(move || ledger.record(&changes)).await;
        self.wrote(&outcome);
        messages.iter().for_each(log);
        let in_log = self.statuses.iter_mut().find(|status| status.name == LOG);
        if let (Some(status), Some(last)) = (in_log, messages.last()) {
            status.delivered += messages.len() as u64;
            status.last_success_at = Some(last.at);
        }
    }

    /// Writes what an earlier failure kept in memory only.
    pub(super) async fn settle(&mut self) {
        let ledger = self.ledger.clone();
        let outcome = blocking::run(move || ledger.settle()).await;
        self.wrote(&outcome);
    }

    fn wrote(&mut self, outcome: &Result<(), LedgerError>) {
        let fault = outcome.as_ref().err().map(|error| chain(error));
        self.disk.wrote(fault, now(&self.clock));
    }

    /// Whether what was recorded is on the disk.
    pub(super) fn state(&self) -> StateStatus {
        self.disk.status()
    }

    /// What the engine replied to somebody, with what they must know of its being kept.
    pub(super) fn answer(&self, reply: Reply) -> EngineAnswer {
        EngineAnswer { reply, unwritten: self.disk.status().error }
    }

    /// Counts a try.
    pub(super) fn count(&mut self, event: &DeliveryEvent) {
        let Some(status) = self.statuses.iter_mut().find(|status| status.name == event.channel) else {
            return;
        };
        match &event.result {
            Ok(()) => {
                status.delivered += 1;
                status.last_success_at = Some(event.at);
                status.error = None;
            }
            Err(failure) => {
                status.failed += 1;
                status.error = Some(failure.fault.to_string());
            }
        }
    }

    pub(super) fn status(&self) -> Vec<ChannelStatus> {
        let fresh = |status: &ChannelStatus| ChannelStatus {
            pending: self.ledger.pending(status.name),
            dropped: self.ledger.dropped(status.name),
            ..status.clone()
        };
        self.statuses.iter().map(fresh).collect()
    }

    /// Stops the channels; what they have not delivered stays in the ledger.
    pub(super) async fn stop(&mut self) -> Result<(), DaemonError> {
        let mut ended = Ok(());
        for task in self.tasks.drain(..) {
            ended = ended.and(task.stop().await);
        }
        ended
    }

    /// Tries everything that waits once more, every channel at the same time, for a daemon that stops. An
    /// Alertmanager needs no such thing: it is told how things stand at the next start.
    pub(super) async fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut flushes = JoinSet::new();
        for delivery in &self.deliveries {
            let delivery = delivery.clone();
            flushes.spawn(async move { delivery.flush(deadline).await });
        }
        let left: u64 = flushes.join_all().await.into_iter().sum();
        if left > 0 {
            tracing::warn!(left, "messages wait for the next start");
        }
    }
}

fn status_of(name: &'static str) -> ChannelStatus {
    ChannelStatus { name, ..ChannelStatus::default() }
}

/// The channel's task, as an error of its supervisor names it.
fn part_of(name: &'static str) -> &'static str {
    match name {
        "webhook" => "delivery by webhook",
        "slack" => "delivery to Slack",
        "pagerduty" => "delivery to PagerDuty",
        "alertmanager" => "the upkeep of the Alertmanager",
        "kubernetes" => "delivery to Kubernetes",
        "command" => "delivery by command",
        other => other,
    }
}

#[cfg(test)]
mod tests;
