//! The metrics: every one is derived from the snapshot when it is scraped, so none can go stale.
//!
//! An optional value that is absent has no series; it is never 0. Counters have a series for each label from
//! the start, so that their first increase is seen. Labels are names of stores and closed sets of words.

mod acknowledgements;
mod family;
mod machine;
mod reloads;
mod stores;
#[cfg(test)]
mod tests;
mod totals;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;

use self::family::{Families, Sample, Value};
use super::negotiation::Exposition;
use crate::domain::incident::Cause;
use crate::domain::snapshot::{ChannelStatus, Snapshot};
use crate::domain::source::SourceFaultKind;
use crate::domain::time::Timestamp;

/// What each name starts with.
const PREFIX: &str = "bc_secrets_sync";

/// Room for what is said of the daemon and of one store, in bytes; a wrong guess costs a copy, nothing else.
const BASE_SIZE: usize = 12 * 1024;
const STORE_SIZE: usize = 2560;

/// Writes the metrics of a snapshot.
///
/// # Errors
/// Never, as far as is known: a string takes whatever is written to it.
pub(super) fn encode(snapshot: Arc<Snapshot>, exposition: Exposition) -> Result<String, fmt::Error> {
    encode_into(room(&snapshot), snapshot, exposition)
}

/// An empty text that the metrics of a snapshot fit into.
pub(super) fn room(snapshot: &Snapshot) -> String {
    let shown = snapshot.stores.len().min(snapshot.configuration.metrics_store_limit);
    String::with_capacity(BASE_SIZE + STORE_SIZE * shown)
}

/// The same as [`encode`], into a text that was made elsewhere.
///
/// # Errors
/// As [`encode`].
pub(super) fn encode_into(
    mut text: String,
    snapshot: Arc<Snapshot>,
    exposition: Exposition,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    let process = machine::Process { snapshot: snapshot.clone(), exposition };
    registry.register_collector(Box::new(process));
    let ours = registry.sub_registry_with_prefix(PREFIX);
    ours.register_collector(Box::new(Scrape { snapshot, exposition }));
    match exposition {
        Exposition::OpenMetrics => text::encode(&mut text, &registry)?,
        Exposition::Prometheus => text::encode_registry(&mut text, &registry)?,
    }
    Ok(text)
}

#[derive(Debug)]
struct Scrape {
    snapshot: Arc<Snapshot>,
    exposition: Exposition,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder, self.exposition);
        daemon(&mut families, &self.snapshot)?;
        source(&mut families, &self.snapshot)?;
        totals::families(&mut families, &self.snapshot)?;
        let shown = stores::shown(&self.snapshot);
        stores::gauges(&mut families, &shown)?;
        stores::counters(&mut families, &shown)?;
        reloads::families(&mut families, &shown)?;
        acknowledgements::families(&mut families, &shown)?;
        families.counter(
            "reports_refused_total",
            "Reports and acknowledgements of apps that were refused because of their token.",
            one(Value::Whole(self.snapshot.reports_refused)),
        )?;
        http(&mut families, &self.snapshot)?;
        incidents(&mut families, &self.snapshot)?;
        channels(&mut families, &self.snapshot)
    }
}

fn daemon(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    families.gauge(
        "build_info",
        "Version of the daemon, as a label of the constant 1.",
        [([("version", snapshot.version)], Value::Whole(1))],
    )?;
    families.gauge(
        "start_timestamp_seconds",
        "When the process started.",
        one(Value::Time(snapshot.started_at)),
    )?;
    families.gauge(
        "loop_last_pass_timestamp_seconds",
        "When the main loop last completed a pass.",
        known(snapshot.vitals.last_pass_at).map(only),
    )?;
    machine::main_loop(families, snapshot)?;
    machine::hardening(families, snapshot)?;
    families.gauge(
        "state_writable",
        "Whether open incidents, silences and undelivered messages are on the disk (1) or in memory only (0), because the \
         state directory cannot be written.",
        one(Value::flag(snapshot.state.error.is_none())),
    )?;
    let configuration = &snapshot.configuration;
    families.gauge(
        "configuration_loaded_timestamp_seconds",
        "When the configuration in force was loaded.",
        known(configuration.loaded_at).map(only),
    )?;
    families.counter(
        "configuration_reloads_total",
        "Times that a new configuration took effect.",
        one(Value::Whole(configuration.reloads)),
    )?;
    families.counter(
        "configuration_refused_total",
        "Times that a new configuration was refused.",
        one(Value::Whole(configuration.refused)),
    )?;
    families.gauge(
        "configuration_last_load_successful",
        "Whether the newest configuration is the one in force (1) or was refused (0).",
        one(Value::flag(configuration.error.is_none())),
    )?;
    families.gauge(
        "verify_before_publish",
        "Whether only credentials that the store accepted are published (1) or any (0).",
        one(Value::flag(configuration.verify_before_publish)),
    )?;
    families.gauge(
        "poll_interval_seconds",
        "How often each secret is read, as configured.",
        one(Value::Length(configuration.poll_interval_ms)),
    )?;
    families.gauge(
        "check_interval_seconds",
        "How often published credentials are checked with their store, as configured.",
        one(Value::Length(configuration.check_interval_ms)),
    )?;
    families.gauge(
        "stale_after_seconds",
        "How long nobody may be able to tell whether credentials work before that is an incident, as configured.",
        one(Value::Length(configuration.stale_after_ms)),
    )
}

fn source(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let source = &snapshot.source;
    families.gauge(
        "source_up",
        "Whether the daemon holds a working token for Vault, and the last requests of each kind were answered.",
        one(Value::flag(source.up)),
    )?;
    families.gauge(
        "source_last_attempt_timestamp_seconds",
        "When Vault was last asked for something, whatever came of it.",
        source.last_attempt_at.map(Value::Time).map(only),
    )?;
    families.gauge(
        "source_last_success_timestamp_seconds",
        "When Vault last did what it was asked.",
        source.last_success_at.map(Value::Time).map(only),
    )?;
    families.gauge(
        "source_token_expiry_timestamp_seconds",
        "When the token for Vault runs out; absent for one that does not, and without one.",
        source.token_expires_at.map(Value::Time).map(only),
    )?;
    families.counter(
        "source_logins_total",
        "Log-ins to Vault that worked.",
        one(Value::Whole(source.logins)),
    )?;
    families.counter(
        "source_renewals_total",
        "Renewals of the token for Vault that worked.",
        one(Value::Whole(source.renewals)),
    )?;
    families.counter(
        "source_reads_total",
        "Reads of secrets from Vault that worked.",
        one(Value::Whole(source.reads)),
    )?;
    families.counter(
        "source_list_requests_total",
        "Requests to Vault that listed secrets, with their versions or by their names.",
        one(Value::Whole(source.list_requests)),
    )?;
    families.gauge(
        "source_listed_stores",
        "Stores whose secrets are watched by listings, instead of by reading each one.",
        one(Value::Whole(source.listed_stores as u64)),
    )?;
    families.counter(
        "source_errors_total",
        "Requests to Vault that did not work, by reason.",
        SourceFaultKind::ALL.map(|kind| ([("reason", kind.label())], count(&source.errors, kind))),
    )
}

fn http(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    families.counter(
        "http_refused_total",
        "Requests and connections that the listeners refused, by reason.",
        snapshot.http.refused.iter().map(|(reason, count)| ([("reason", *reason)], Value::Whole(*count))),
    )?;
    let certificate = snapshot.http.certificate.as_ref();
    families.gauge(
        "http_certificate_valid_from_timestamp_seconds",
        "From when on the certificate is valid that the HTTP listener shows.",
        certificate.and_then(|certificate| certificate.valid_from).map(Value::Time).map(only),
    )?;
    families.gauge(
        "http_certificate_expiry_timestamp_seconds",
        "When the certificate expires that the HTTP listener shows.",
        certificate.and_then(|certificate| certificate.expires_at).map(Value::Time).map(only),
    )?;
    families.gauge(
        "http_certificate_last_load_successful",
        "Whether the listener shows the certificate that is in its files (1) or, because that cannot be used, a \
         former one (0).",
        certificate.map(|certificate| only(Value::flag(certificate.error.is_none()))),
    )
}

fn incidents(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let (mut open, mut silenced) = (BTreeMap::<Cause, u64>::new(), BTreeMap::<Cause, u64>::new());
    for incident in &snapshot.incidents {
        *open.entry(incident.cause).or_default() += 1;
        *silenced.entry(incident.cause).or_default() += u64::from(incident.silenced_until.is_some());
    }
    families.gauge(
        "incidents_open",
        "Incidents that are open, by cause.",
        Cause::ALL.map(|cause| ([("cause", cause.label())], count(&open, cause))),
    )?;
    families.gauge(
        "incidents_silenced",
        "Open incidents that nobody is reminded of for now, by cause.",
        Cause::ALL.map(|cause| ([("cause", cause.label())], count(&silenced, cause))),
    )?;
    families.counter(
        "incidents_opened_total",
        "Incidents that were opened, by cause.",
        Cause::ALL.map(|cause| ([("cause", cause.label())], count(&snapshot.incidents_opened, cause))),
    )
}

fn channels(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    families.gauge(
        "alerts_pending",
        "Messages that wait for delivery, by channel.",
        each_channel(snapshot, |channel| Some(Value::Whole(channel.pending))),
    )?;
    families.counter(
        "alerts_delivered_total",
        "Messages that were delivered, by channel.",
        each_channel(snapshot, |channel| Some(Value::Whole(channel.delivered))),
    )?;
    families.counter(
        "alerts_failed_total",
        "Tries to deliver a message that failed, by channel.",
        each_channel(snapshot, |channel| Some(Value::Whole(channel.failed))),
    )?;
    families.counter(
        "alerts_dropped_total",
        "Messages that were dropped because the outbox was full, by channel.",
        each_channel(snapshot, |channel| Some(Value::Whole(channel.dropped))),
    )?;
    families.gauge(
        "alerts_last_success_timestamp_seconds",
        "When a message was last delivered, by channel.",
        each_channel(snapshot, |channel| channel.last_success_at.map(Value::Time)),
    )
}

fn each_channel(
    snapshot: &Snapshot,
    value: impl Fn(&ChannelStatus) -> Option<Value>,
) -> impl Iterator<Item = Sample<'_, 1>> {
    let channels = snapshot.channels.iter();
    channels.filter_map(move |channel| Some(([("channel", channel.name)], value(channel)?)))
}

fn only(value: Value) -> Sample<'static, 0> {
    ([], value)
}

fn one(value: Value) -> [Sample<'static, 0>; 1] {
    [only(value)]
}

/// The default is the time of what never happened.
fn known(time: Timestamp) -> Option<Value> {
    (time != Timestamp::default()).then_some(Value::Time(time))
}

fn count<K: Ord>(counts: &BTreeMap<K, u64>, key: K) -> Value {
    Value::Whole(counts.get(&key).copied().unwrap_or(0))
}
