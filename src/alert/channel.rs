//! The channels of a configuration, and what all of them can do.

use std::path::Path;

use crate::config;
use crate::domain::incident::Message;
use crate::domain::routing::Route;
use crate::domain::secret::{Fingerprint, FingerprintKey};
use crate::domain::time::Timestamp;

use super::alertmanager::Alertmanager;
use super::command::Command;
use super::fault::{BuildError, DeliveryFault};
use super::kubernetes::Kubernetes;
use super::pagerduty::PagerDuty;
use super::slack::Slack;
use super::webhook::Webhook;

/// A configured channel: its name, what it is told of, and the way.
#[derive(Debug)]
pub struct Outlet {
    /// The name in the ledger and in everything that is shown: that of its table below `[alerts]`.
    pub name: &'static str,
    /// Which incidents it is told of.
    pub route: Route,
    /// How it is told.
    pub channel: Channel,
}

/// A way to tell somebody.
#[derive(Debug)]
pub enum Channel {
    /// A receiver that understands Standard Webhooks.
    Webhook(Webhook),
    /// A Slack channel.
    Slack(Slack),
    /// A service of PagerDuty.
    PagerDuty(PagerDuty),
    /// An Alertmanager or a cluster of them. Takes no messages from the ledger: it is kept up to date by
    /// [`super::alertmanager::Upkeep`].
    Alertmanager(Alertmanager),
    /// Events in a Kubernetes cluster.
    Kubernetes(Kubernetes),
    /// A command.
    Command(Command),
}

impl Channel {
    /// Tries to deliver one message, once.
    ///
    /// # Errors
    /// The message was not delivered, or nobody can tell whether it was.
    pub async fn deliver(&self, message: &Message, now: Timestamp) -> Result<(), DeliveryFault> {
        match self {
            Self::Webhook(webhook) => webhook.deliver(message, now).await,
            Self::Slack(slack) => slack.deliver(message).await,
            Self::PagerDuty(pagerduty) => pagerduty.deliver(message).await,
            Self::Alertmanager(alertmanager) => alertmanager.deliver(message, now).await,
            Self::Kubernetes(kubernetes) => kubernetes.deliver(message).await,
            Self::Command(command) => command.deliver(message).await,
        }
    }

    /// Looks whether the secret that the channel needs is there, before the first message is due. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// [`DeliveryFault::Secret`], saying what is wrong with its file.
    pub fn check(&self) -> Result<(), DeliveryFault> {
        match self {
            Self::Webhook(webhook) => webhook.check(),
            Self::Slack(slack) => slack.check(),
            Self::PagerDuty(pagerduty) => pagerduty.check(),
            Self::Kubernetes(kubernetes) => kubernetes.check(),
            Self::Alertmanager(_) | Self::Command(_) => Ok(()),
        }
    }

    /// Whether the ledger keeps messages for the channel.
    #[must_use]
    pub const fn takes_messages(&self) -> bool {
        match self {
            Self::Webhook(_)
            | Self::Slack(_)
            | Self::PagerDuty(_)
            | Self::Kubernetes(_)
            | Self::Command(_) => true,
            Self::Alertmanager(_) => false,
        }
    }

    /// Whether what a test has begun must be ended by a second message: elsewhere that would only be noise, or
    /// the test ends by itself.
    #[must_use]
    pub const fn remembers(&self) -> bool {
        match self {
            Self::PagerDuty(_) | Self::Webhook(_) | Self::Command(_) => true,
            Self::Slack(_) | Self::Alertmanager(_) | Self::Kubernetes(_) => false,
        }
    }
}

/// Tells where the messages of a channel go from anywhere else, and to nobody where that is. What its files hold does
/// not count: a secret that is renewed there is no other receiver.
#[must_use]
pub fn address(config: &config::Alerts, name: &str, key: &FingerprintKey) -> Option<Fingerprint> {
    let file = |path: &Path| path.to_string_lossy().into_owned();
    let parts: Vec<String> = match name {
        "webhook" => config.webhook.as_ref().map(|it| vec![it.url.to_string()]),
        "slack" => config.slack.as_ref().map(|it| vec![file(&it.url_file)]),
        "pagerduty" => {
            config.pagerduty.as_ref().map(|it| vec![it.url.to_string(), file(&it.routing_key_file)])
        }
        "kubernetes" => config.kubernetes.as_ref().map(|it| vec![it.url.to_string(), it.namespace.clone()]),
        "command" => config.command.as_ref().map(|it| it.argv.clone()),
        _ => None,
    }?;
    Some(key.of(&parts.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// Prepares every channel that is configured, in the order of the documentation. Sends nothing. Blocks on the
/// disk.
///
/// # Errors
/// A channel's authorities cannot be read, or there are none.
pub fn outlets(config: &config::Alerts) -> Result<Vec<Outlet>, BuildError> {
    let mut outlets = Vec::new();
    let mut add = |name, route: &Route, channel| outlets.push(Outlet { name, route: route.clone(), channel });
    if let Some(section) = &config.webhook {
        add("webhook", &section.route, Channel::Webhook(Webhook::new(section)?));
    }
    if let Some(section) = &config.slack {
        add("slack", &section.route, Channel::Slack(Slack::new(section)?));
    }
    if let Some(section) = &config.pagerduty {
        add("pagerduty", &section.route, Channel::PagerDuty(PagerDuty::new(section)?));
    }
    if let Some(section) = &config.alertmanager {
        add("alertmanager", &section.route, Channel::Alertmanager(Alertmanager::new(section)?));
    }
    if let Some(section) = &config.kubernetes {
        add("kubernetes", &section.route, Channel::Kubernetes(Kubernetes::new(section)?));
    }
    if let Some(section) = &config.command {
        add("command", &section.route, Channel::Command(Command::new(section)));
    }
    Ok(outlets)
}
