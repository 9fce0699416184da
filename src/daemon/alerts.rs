//! Alerts as the daemon runs them: the ledger first, then the log, then the channels.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::alert::delivery::{Channel, Delivery, DeliveryEvent, log};
use crate::alert::ledger::{Change, Ledger};
use crate::alert::webhook::Webhook;
use crate::config::Config;
use crate::domain::incident::Message;
use crate::domain::snapshot::ChannelStatus;
use crate::domain::time::Now;
use crate::system::clock::Clock;

use super::adapters::{now, on_disk};
use super::error::DaemonError;
use super::services::Service;

const WEBHOOK: &str = "webhook";
const LOG: &str = "log";
/// Reports of tries that may wait to be counted.
const REPORTS: usize = 64;

/// The ledger, the channels and what is known of them.
#[derive(Debug)]
pub(super) struct Alerts {
    ledger: Ledger,
    clock: Clock,
    reports: mpsc::Sender<DeliveryEvent>,
    pub(super) reported: mpsc::Receiver<DeliveryEvent>,
    pub(super) webhook_task: Option<Service>,
    webhook: Option<ChannelStatus>,
    log: ChannelStatus,
}

/// What a configuration wants of the channels, ready to be used.
#[derive(Debug)]
pub(super) struct Channels {
    webhook: Option<Webhook>,
}

impl Channels {
    /// Prepares the channels. Blocks on the disk.
    pub(super) fn build(config: &Config) -> Result<Self, DaemonError> {
        let webhook = config.alerts.webhook.as_ref().map(Webhook::new).transpose();
        let webhook = webhook.map_err(DaemonError::Webhook)?;
        if let Some(Err(fault)) = webhook.as_ref().map(Webhook::check) {
            // It may be mended while we run, and alerts wait for it; so it is no reason not to start.
            tracing::error!("alerts cannot be delivered: {fault}");
        }
        Ok(Self { webhook })
    }

    fn names(&self) -> Vec<&'static str> {
        self.webhook.iter().map(|_| WEBHOOK).collect()
    }
}

impl Alerts {
    /// Opens the ledger and starts the channels.
    pub(super) async fn open(config: &Config, channels: Channels, clock: Clock) -> Result<Self, DaemonError> {
        let (directory, names) = (config.state.directory.clone(), channels.names());
        let ledger = on_disk(move || Ledger::open(&directory, &names)).await.map_err(DaemonError::Ledger)?;
        if let Some(what) = ledger.recovered() {
            tracing::error!("incidents and messages of an earlier run may be lost: {what}");
        }
        let (reports, reported) = mpsc::channel(REPORTS);
        let log = ChannelStatus { name: LOG, ..ChannelStatus::default() };
        let mut alerts = Self { ledger, clock, reports, reported, webhook_task: None, webhook: None, log };
        alerts.start(channels);
        Ok(alerts)
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Replaces the channels by those of a new configuration.
    pub(super) async fn replace(&mut self, channels: Channels) -> Result<(), DaemonError> {
        self.stop().await?;
        let (ledger, names) = (self.ledger.clone(), channels.names());
        if let Err(error) = on_disk(move || ledger.set_channels(&names)).await {
            tracing::error!(
                cause = &error as &dyn std::error::Error,
                "the ledger does not follow the new channels"
            );
        }
        self.start(channels);
        Ok(())
    }

    fn start(&mut self, channels: Channels) {
        let counted = self.webhook.take();
        let Some(webhook) = channels.webhook else { return };
        self.webhook = counted.or(Some(ChannelStatus { name: WEBHOOK, ..ChannelStatus::default() }));
        let delivery = self.delivery(webhook);
        self.webhook_task = Some(Service::start("delivery by webhook", |stop| async move {
            delivery.run(stop).await;
        }));
    }

    fn delivery(&self, webhook: Webhook) -> Delivery<impl Fn() -> Now + Send + Sync + 'static> {
        let clock = self.clock;
        Delivery {
            name: WEBHOOK,
            channel: Channel::Webhook(webhook),
            ledger: self.ledger.clone(),
            events: self.reports.clone(),
            clock: move || now(&clock),
        }
    }

    /// Keeps messages on disk before anything else is done about them, then writes them to the log.
    pub(super) async fn keep(&mut self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        for message in &messages {
            log(message);
            self.log.delivered += 1;
            self.log.last_success_at = Some(message.at);
        }
        let ledger = self.ledger.clone();
        let changes: Vec<Change> = messages.into_iter().map(Change::from).collect();
        if let Err(error) = on_disk(move || ledger.record(&changes)).await {
            // They are kept in memory, delivered from there, and written when the disk works again.
            tracing::error!(cause = &error as &dyn std::error::Error, "alerts are not on the disk yet");
        }
    }

    /// Writes what an earlier failure kept in memory only.
    pub(super) async fn settle(&self) {
        let ledger = self.ledger.clone();
        if let Err(error) = on_disk(move || ledger.settle()).await {
            tracing::error!(cause = &error as &dyn std::error::Error, "alerts are still not on the disk");
        }
    }

    /// Counts a try.
    pub(super) fn count(&mut self, event: &DeliveryEvent) {
        let Some(status) = self.webhook.as_mut().filter(|status| status.name == event.channel) else {
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
        std::iter::once(self.log.clone()).chain(self.webhook.iter().map(fresh)).collect()
    }

    /// Stops the channels; what they have not delivered stays in the ledger.
    pub(super) async fn stop(&mut self) -> Result<(), DaemonError> {
        match self.webhook_task.take() {
            Some(task) => task.stop().await,
            None => Ok(()),
        }
    }

    /// Tries everything that waits once more, for a daemon that stops.
    pub(super) async fn flush(&self, config: &Config, limit: Duration) {
        let Some(section) = &config.alerts.webhook else { return };
        if self.ledger.pending(WEBHOOK) == 0 {
            return;
        }
        let Ok(webhook) = Webhook::new(section) else { return };
        let left = self.delivery(webhook).flush(Instant::now() + limit).await;
        if left > 0 {
            tracing::warn!(left, "messages wait for the next start");
        }
    }
}
