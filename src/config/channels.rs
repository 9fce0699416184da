//! Checks `[alerts]` and its channels.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::checker::{Checker, DurationRule};
use super::kubernetes::kubernetes;
use super::locations::PlainHttp;
use super::raw;
use super::value::{Table, Value, open};
use super::{AlertCommand, Alertmanager, Alerts, PagerDuty, Slack, Webhook};
use crate::domain::incident::Severity;
use crate::domain::routing::{Route, StorePattern};

const HOUR: u64 = 60 * 60;

/// The upper bound also catches `1M`, which is a month and not a minute.
const REPEAT_INTERVAL: DurationRule = DurationRule {
    default: Duration::from_secs(4 * HOUR),
    least: Duration::from_secs(1),
    most: Duration::from_secs(30 * 24 * HOUR),
};
pub(super) const TIMEOUT: DurationRule = DurationRule {
    default: Duration::from_secs(10),
    least: Duration::from_millis(100),
    most: Duration::from_secs(60),
};
const RESEND_INTERVAL: DurationRule = DurationRule {
    default: Duration::from_secs(60),
    least: Duration::from_secs(1),
    most: Duration::from_secs(HOUR),
};
const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";
pub(super) const USE_HTTPS: &str = "use https://; plain http:// is for a receiver on this host only";

/// Checks `[alerts]`.
pub(super) fn alerts(checker: &mut Checker<'_>, table: Option<Table<raw::Alerts>>) -> Option<Alerts> {
    let (_, raw) = open(table);
    let repeat_interval = checker.duration("alerts.repeat_interval", raw.repeat_interval, &REPEAT_INTERVAL);
    // All of them are checked before the first that is refused ends it.
    let webhook = raw.webhook.map(|table| webhook(checker, table.span, table.content));
    let slack = raw.slack.map(|table| slack(checker, table.span, table.content));
    let pagerduty = raw.pagerduty.map(|table| pagerduty(checker, table.span, table.content));
    let alertmanager = raw.alertmanager.map(|table| alertmanager(checker, table.span, table.content));
    let kubernetes = raw.kubernetes.map(|table| kubernetes(checker, table.span, table.content));
    let command = raw.command.map(|table| command(checker, table.span, table.content));
    Some(Alerts {
        repeat_interval,
        webhook: all_or_none(webhook)?,
        slack: all_or_none(slack)?,
        pagerduty: all_or_none(pagerduty)?,
        alertmanager: all_or_none(alertmanager)?,
        kubernetes: all_or_none(kubernetes)?,
        command: all_or_none(command)?,
    })
}

/// A channel that is there and refused makes the whole refused.
fn all_or_none<T>(channel: Option<Option<T>>) -> Option<Option<T>> {
    channel.map_or(Some(None), |channel| channel.map(Some))
}

fn webhook(checker: &mut Checker<'_>, table: Range<usize>, raw: raw::Webhook) -> Option<Webhook> {
    let url_key = "alerts.webhook.url";
    if raw.url.is_none() {
        checker.missing(Some(table.clone()), url_key, "write url = \"https://alerts.example/hook\"");
    }
    let url = checker.url(url_key, raw.url, PlainHttp::LoopbackOnly, USE_HTTPS);
    let what = "the secret which signs the messages";
    let secret = "alerts.webhook.signing_secret_file";
    let signing_secret_file = secret_file(checker, table, secret, what, raw.signing_secret_file);
    let timeout = checker.duration("alerts.webhook.timeout", raw.timeout, &TIMEOUT);
    let ca_file = checker.file("alerts.webhook.ca_file", raw.ca_file);
    let route = route(checker, "alerts.webhook", raw.severity, raw.stores);
    Some(Webhook { url: url?.0, signing_secret_file: signing_secret_file?, timeout, ca_file, route })
}

fn slack(checker: &mut Checker<'_>, table: Range<usize>, raw: raw::Slack) -> Option<Slack> {
    let what = "the address of the incoming webhook";
    let url_file = secret_file(checker, table, "alerts.slack.url_file", what, raw.url_file);
    let timeout = checker.duration("alerts.slack.timeout", raw.timeout, &TIMEOUT);
    let ca_file = checker.file("alerts.slack.ca_file", raw.ca_file);
    let route = route(checker, "alerts.slack", raw.severity, raw.stores);
    Some(Slack { url_file: url_file?, timeout, ca_file, route })
}

fn pagerduty(checker: &mut Checker<'_>, table: Range<usize>, raw: raw::PagerDuty) -> Option<PagerDuty> {
    let what = "the integration key of the service";
    let key = "alerts.pagerduty.routing_key_file";
    let routing_key_file = secret_file(checker, table, key, what, raw.routing_key_file);
    let url_key = "alerts.pagerduty.url";
    let url = match raw.url {
        Some(url) => checker.url(url_key, Some(url), PlainHttp::LoopbackOnly, USE_HTTPS),
        None => {
            let origin = super::value::Origin::Nowhere;
            checker.url_of(url_key, PAGERDUTY_URL.to_owned(), origin, PlainHttp::LoopbackOnly, USE_HTTPS)
        }
    };
    let timeout = checker.duration("alerts.pagerduty.timeout", raw.timeout, &TIMEOUT);
    let ca_file = checker.file("alerts.pagerduty.ca_file", raw.ca_file);
    let route = route(checker, "alerts.pagerduty", raw.severity, raw.stores);
    Some(PagerDuty { url: url?.0, routing_key_file: routing_key_file?, timeout, ca_file, route })
}

fn alertmanager(
    checker: &mut Checker<'_>,
    table: Range<usize>,
    raw: raw::Alertmanager,
) -> Option<Alertmanager> {
    let key = "alerts.alertmanager.urls";
    if raw.urls.is_none() {
        checker.missing(Some(table), key, "write urls = [\"http://alertmanager.example:9093\"]");
    }
    let urls = checker.texts(key, raw.urls).map(|(texts, _)| {
        let checked: Vec<_> = texts
            .into_iter()
            .enumerate()
            .map(|(index, (text, origin))| {
                let key = format!("{key}[{index}]");
                let (url, origin) = checker.url_of(&key, text, origin, PlainHttp::Anywhere, USE_HTTPS)?;
                if url.query().is_some() || url.path().contains("/api/v2") {
                    let message =
                        "must be the Alertmanager's own address, without /api/v2 and without a query";
                    checker.refuse(&origin, key, message);
                }
                Some(url)
            })
            .collect();
        checked
    });
    let resend_interval =
        checker.duration("alerts.alertmanager.resend_interval", raw.resend_interval, &RESEND_INTERVAL);
    let instance = checker.text("alerts.alertmanager.instance", raw.instance).map(|(text, _)| text);
    let timeout = checker.duration("alerts.alertmanager.timeout", raw.timeout, &TIMEOUT);
    let ca_file = checker.file("alerts.alertmanager.ca_file", raw.ca_file);
    let route = route(checker, "alerts.alertmanager", raw.severity, raw.stores);
    let urls = urls?.into_iter().collect::<Option<_>>()?;
    Some(Alertmanager { urls, resend_interval, instance, timeout, ca_file, route })
}

fn command(checker: &mut Checker<'_>, table: Range<usize>, raw: raw::AlertCommand) -> Option<AlertCommand> {
    let key = "alerts.command.argv";
    if raw.argv.is_none() {
        checker.missing(Some(table), key, "write argv = [\"/usr/local/bin/tell\", \"--an-argument\"]");
    }
    let argv = checker.texts(key, raw.argv).map(|(texts, _)| texts);
    if let Some((program, origin)) = argv.iter().flatten().next()
        && (!program.starts_with('/') || program.ends_with('/'))
    {
        let message = "must be the absolute path of a program; it is run without a shell";
        checker.refuse(origin, format!("{key}[0]"), message);
    }
    let timeout = checker.duration("alerts.command.timeout", raw.timeout, &TIMEOUT);
    let route = route(checker, "alerts.command", raw.severity, raw.stores);
    let argv = argv?.into_iter().map(|(text, _)| text).collect();
    Some(AlertCommand { argv, timeout, route })
}

fn secret_file(
    checker: &mut Checker<'_>,
    table: Range<usize>,
    key: &str,
    what: &str,
    value: Option<Value>,
) -> Option<PathBuf> {
    if value.is_none() {
        let advice = format!("name the file that holds {what} by its absolute path");
        checker.missing(Some(table), key, &advice);
    }
    checker.file(key, value)
}

/// What a channel is told of. An incident of the source goes to every channel that its severity reaches.
pub(super) fn route(
    checker: &mut Checker<'_>,
    table: &str,
    severity: Option<Value>,
    stores: Option<Value>,
) -> Route {
    let severities = [Severity::Warning, Severity::Critical].map(|severity| (severity.label(), severity));
    let severity = checker.choice(&format!("{table}.severity"), severity, &severities, Severity::Warning);
    let key = format!("{table}.stores");
    let mut patterns = Vec::new();
    for (index, (text, origin)) in
        checker.texts(&key, stores).into_iter().flat_map(|(texts, _)| texts).enumerate()
    {
        match StorePattern::parse(&text) {
            Some(pattern) => patterns.push(pattern),
            None => {
                let message =
                    "must be the name of a store, in which * stands for any text, such as \"acme-*\"";
                checker.refuse(&origin, format!("{key}[{index}]"), message);
            }
        }
    }
    if patterns.is_empty() {
        patterns.push(StorePattern::everything());
    }
    Route { severity, stores: patterns }
}
