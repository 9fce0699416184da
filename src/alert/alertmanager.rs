//! Alerts to an Alertmanager or to each member of a cluster, through its API version 2.
//!
//! <https://prometheus.io/docs/alerting/latest/alerts_api/>

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use url::Url;

use crate::config;
use crate::domain::incident::{Cause, Incident, Message, MessageKind};
use crate::domain::time::Timestamp;

use super::body::camel_case;
use super::client::{self, Keys, Poster, Transport};
use super::fault::{BuildError, DeliveryFault};

mod board;
mod upkeep;

pub use upkeep::Upkeep;

const KEYS: Keys = Keys { section: "alerts.alertmanager", address: "alerts.alertmanager.urls", secret: None };
/// How many intervals an alert lives without being sent again: three times may fail.
const LIVES: u32 = 4;
/// How long a test lives: longer than most Alertmanagers gather alerts before they tell anybody.
const TEST_LIFE: Duration = Duration::from_secs(5 * 60);

/// An Alertmanager, or a cluster of them.
#[derive(Debug)]
pub struct Alertmanager {
    poster: Poster,
    endpoints: Vec<Url>,
    resend_interval: Duration,
    instance: Option<String>,
}

impl Alertmanager {
    /// Prepares the connections. Reads the file of authorities, and nothing else.
    ///
    /// # Errors
    /// The authorities cannot be read, or there are none.
    pub fn new(config: &config::Alertmanager) -> Result<Self, BuildError> {
        let is_plain = config.urls.iter().all(|url| Transport::of(url) == Transport::Plain);
        let transport = if is_plain { Transport::Plain } else { Transport::Tls };
        Ok(Self {
            poster: Poster::new(KEYS, config.timeout, config.ca_file.as_deref(), transport)?,
            endpoints: config.urls.iter().map(endpoint).collect(),
            resend_interval: config.resend_interval,
            instance: config.instance.clone(),
        })
    }

    /// Posts what one message says, once. For tests of the channel: what is said once is forgotten within
    /// minutes, so a daemon keeps [`Upkeep`] running instead. An opened alert ends by itself.
    ///
    /// # Errors
    /// A member did not take it.
    pub async fn deliver(&self, message: &Message, now: Timestamp) -> Result<(), DeliveryFault> {
        let ends_at = match message.kind {
            MessageKind::Opened | MessageKind::Reminder => now.plus(TEST_LIFE),
            MessageKind::Resolved => now,
        };
        self.post(&[self.alert(&message.incident).until(ends_at)]).await
    }

    /// How long an alert lives without being sent again.
    fn life(&self) -> Duration {
        self.resend_interval * LIVES
    }

    fn alert(&self, incident: &Incident) -> Alert {
        let mut labels = BTreeMap::from([
            ("alertname", alert_name(incident.cause)),
            ("cause", incident.cause.label().to_owned()),
            ("severity", incident.severity.label().to_owned()),
        ]);
        labels.extend(incident.store.clone().map(|store| ("store", store)));
        labels.extend(self.instance.clone().map(|instance| ("instance", instance)));
        Alert {
            labels,
            annotations: BTreeMap::from([
                ("summary", format!("{}: {}", incident.subject(), incident.cause.title())),
                ("evidence", incident.evidence.join("\n")),
                ("remedy", incident.remedy.clone()),
                ("incident", incident.id.to_string()),
            ]),
            starts_at: incident.opened_at,
            ends_at: incident.opened_at,
        }
    }

    /// Posts to every member at once. The first fault, in the order of the configuration, is the outcome: what
    /// the others took they only take once more.
    async fn post(&self, alerts: &[Alert]) -> Result<(), DeliveryFault> {
        let body = client::json(&alerts)?;
        let mut posts = JoinSet::new();
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let (poster, endpoint, body) = (self.poster.clone(), endpoint.clone(), body.clone());
            posts.spawn(async move { (at, poster.post(endpoint, &[], body).await) });
        }
        let mut outcomes = posts.join_all().await;
        outcomes.sort_by_key(|(at, _)| *at);
        outcomes.into_iter().try_for_each(|(_, outcome)| outcome)
    }
}

fn endpoint(url: &Url) -> Url {
    let mut endpoint = url.clone();
    endpoint.set_path(&format!("{}/api/v2/alerts", url.path().trim_end_matches('/')));
    endpoint
}

/// `BcSecretsSync` and the cause, as alerts are named.
fn alert_name(cause: Cause) -> String {
    format!("BcSecretsSync{}", camel_case(cause))
}

/// An alert as the API takes it. Two with the same labels are the same alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: Labels,
    annotations: BTreeMap<&'static str, String>,
    starts_at: Timestamp,
    ends_at: Timestamp,
}

type Labels = BTreeMap<&'static str, String>;

impl Alert {
    /// The alert, ending then. One that ends before it starts would be refused; a clock that was put back can
    /// make one.
    fn until(self, ends_at: Timestamp) -> Self {
        Self { starts_at: self.starts_at.min(ends_at), ends_at, ..self }
    }
}

#[cfg(test)]
mod tests;
