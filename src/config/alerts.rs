//! `[alerts]` as checked types: who is told of incidents, and how.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::domain::routing::Route;

/// `[alerts]`.
#[derive(Debug)]
pub struct Alerts {
    /// How long after a message about an open incident the next one follows.
    pub repeat_interval: Duration,
    /// The webhook.
    pub webhook: Option<Webhook>,
    /// Slack.
    pub slack: Option<Slack>,
    /// PagerDuty.
    pub pagerduty: Option<PagerDuty>,
    /// Alertmanager.
    pub alertmanager: Option<Alertmanager>,
    /// Kubernetes.
    pub kubernetes: Option<Kubernetes>,
    /// The command.
    pub command: Option<AlertCommand>,
}

/// `[alerts.webhook]`: a receiver that understands Standard Webhooks.
#[derive(Debug)]
pub struct Webhook {
    /// Where messages are sent.
    pub url: Url,
    /// File with the signing secret, `whsec_` and base64.
    pub signing_secret_file: PathBuf,
    /// Limit of one try.
    pub timeout: Duration,
    /// PEM file with the only authorities to trust; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// What it is told of.
    pub route: Route,
}

/// `[alerts.slack]`: an incoming webhook of Slack.
#[derive(Debug)]
pub struct Slack {
    /// File with the address, which is a secret.
    pub url_file: PathBuf,
    /// Limit of one try.
    pub timeout: Duration,
    /// PEM file with the only authorities to trust; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// What it is told of.
    pub route: Route,
}

/// `[alerts.pagerduty]`: a service of PagerDuty, through its Events API version 2.
#[derive(Debug)]
pub struct PagerDuty {
    /// Where events are sent.
    pub url: Url,
    /// File with the integration key.
    pub routing_key_file: PathBuf,
    /// Limit of one try.
    pub timeout: Duration,
    /// PEM file with the only authorities to trust; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// What it is told of.
    pub route: Route,
}

/// `[alerts.alertmanager]`: an Alertmanager, or every member of a cluster.
#[derive(Debug)]
pub struct Alertmanager {
    /// Their addresses, without `/api/v2`; at least one.
    pub urls: Vec<Url>,
    /// How often open alerts are sent again.
    pub resend_interval: Duration,
    /// The label `instance`.
    pub instance: Option<String>,
    /// Limit of one try.
    pub timeout: Duration,
    /// PEM file with the only authorities to trust; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// What it is told of.
    pub route: Route,
}

/// `[alerts.kubernetes]`: Events in the cluster that we run in.
#[derive(Debug)]
pub struct Kubernetes {
    /// Address of the API server, without `/apis`.
    pub url: Url,
    /// The namespace of the Events, and of the object that they are about.
    pub namespace: String,
    /// The object that they are about.
    pub regarding: Regarding,
    /// Who reports: the pod that we run in, or else the name of the object.
    pub instance: String,
    /// File with the token of a service account.
    pub token_file: PathBuf,
    /// PEM file with the only authorities to trust; none over plain HTTP, to a proxy on this host.
    pub ca_file: Option<PathBuf>,
    /// Limit of one try.
    pub timeout: Duration,
    /// What it is told of.
    pub route: Route,
}

/// `[alerts.kubernetes.regarding]`: the object that Events are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regarding {
    /// Group and version of its kind, such as `apps/v1`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its identifier; without it, `kubectl describe` does not show the Events with the object.
    pub uid: Option<String>,
}

/// `[alerts.command]`: a command that is run for each message.
#[derive(Debug)]
pub struct AlertCommand {
    /// The program, by its absolute path, and its arguments.
    pub argv: Vec<String>,
    /// Limit of one run.
    pub timeout: Duration,
    /// What it is told of.
    pub route: Route,
}
