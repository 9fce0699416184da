//! Checks `[check]`, `[http]`, `[log]` and `[alerts]`.

use std::ops::Range;
use std::time::Duration;

use super::checker::{Checker, DurationRule};
use super::locations::PlainHttp;
use super::raw;
use super::value::{Origin, Table, Value, open};
use super::{Alerts, Check, Http, Log, LogFormat, Webhook};
use crate::domain::credentials::AddressPolicy;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// At one second a store gets 3,600 requests an hour, far below the 20,000 that BigCommerce allows.
const CHECK_INTERVAL: DurationRule = DurationRule {
    default: Duration::from_secs(5 * MINUTE),
    least: Duration::from_secs(1),
    most: Duration::from_secs(DAY),
};
const CHECK_TIMEOUT: DurationRule = DurationRule {
    default: Duration::from_secs(10),
    least: Duration::from_millis(100),
    most: Duration::from_secs(60),
};
const CONFIRMATION_SPACING: DurationRule = DurationRule {
    default: Duration::from_secs(MINUTE),
    least: Duration::from_millis(200),
    most: Duration::from_secs(HOUR),
};
const STALE_AFTER: DurationRule = DurationRule {
    default: Duration::from_secs(HOUR),
    least: Duration::from_secs(1),
    most: Duration::from_secs(7 * DAY),
};
/// The upper bound also catches `1M`, which is a month and not a minute.
const REPEAT_INTERVAL: DurationRule = DurationRule {
    default: Duration::from_secs(4 * HOUR),
    least: Duration::from_secs(1),
    most: Duration::from_secs(30 * DAY),
};
const WEBHOOK_TIMEOUT: DurationRule = DurationRule {
    default: Duration::from_secs(10),
    least: Duration::from_millis(100),
    most: Duration::from_secs(60),
};
const DEFAULT_LISTEN: &str = "127.0.0.1:9847";

/// Checks `[check]`.
pub(super) fn check(checker: &mut Checker<'_>, table: Option<Table<raw::Check>>) -> Check {
    let (_, raw) = open(table);
    let origin = |value: &Option<Value>| value.as_ref().map(|value| value.origin.clone());
    let culprit = origin(&raw.stale_after).or_else(|| origin(&raw.interval));
    let interval = checker.duration("check.interval", raw.interval, &CHECK_INTERVAL);
    let stale_after = checker.duration("check.stale_after", raw.stale_after, &STALE_AFTER);
    if stale_after <= interval {
        let message = format!(
            "is {}, which must be longer than check.interval, which is {}",
            humantime::format_duration(stale_after),
            humantime::format_duration(interval)
        );
        checker.refuse(&culprit.unwrap_or(Origin::Nowhere), "check.stale_after", message);
    }
    let private = checker.boolean("check.allow_private_addresses", raw.allow_private_addresses, false);
    let concurrency = checker.count("check.concurrency", raw.concurrency, 1..=256, 32_u16);
    Check {
        interval,
        timeout: checker.duration("check.timeout", raw.timeout, &CHECK_TIMEOUT),
        confirmations: checker.count("check.confirmations", raw.confirmations, 1..=20, 3),
        confirmation_spacing: checker.duration(
            "check.confirmation_spacing",
            raw.confirmation_spacing,
            &CONFIRMATION_SPACING,
        ),
        stale_after,
        concurrency: concurrency.into(),
        addresses: if private { AddressPolicy::AllowPrivate } else { AddressPolicy::PublicOnly },
        ca_file: checker.file("check.ca_file", raw.ca_file),
        verify_before_publish: checker.boolean(
            "check.verify_before_publish",
            raw.verify_before_publish,
            true,
        ),
    }
}

/// Checks `[http]`.
pub(super) fn http(checker: &mut Checker<'_>, table: Option<Table<raw::Http>>) -> Http {
    let key = "http.listen";
    let (_, raw) = open(table);
    let (text, origin) =
        checker.text(key, raw.listen).unwrap_or_else(|| (DEFAULT_LISTEN.to_owned(), Origin::Nowhere));
    if text == "off" {
        return Http { listen: None };
    }
    let listen = text.parse().ok();
    if listen.is_none() {
        let message =
            "must be an IP address and a port, such as \"127.0.0.1:9847\" or \"[::]:9847\", or \"off\"";
        checker.refuse(&origin, key, message);
    }
    Http { listen }
}

/// Checks `[log]`.
pub(super) fn log(checker: &mut Checker<'_>, table: Option<Table<raw::Log>>) -> Log {
    use tracing::Level;
    let (_, raw) = open(table);
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let formats = [("auto", LogFormat::Auto), ("human", LogFormat::Human), ("json", LogFormat::Json)];
    Log {
        level: checker.choice("log.level", raw.level, &levels, Level::INFO),
        format: checker.choice("log.format", raw.format, &formats, LogFormat::Auto),
    }
}

/// Checks `[alerts]`.
pub(super) fn alerts(checker: &mut Checker<'_>, table: Option<Table<raw::Alerts>>) -> Option<Alerts> {
    let (_, raw) = open(table);
    let repeat_interval = checker.duration("alerts.repeat_interval", raw.repeat_interval, &REPEAT_INTERVAL);
    let webhook = match raw.webhook {
        Some(table) => {
            let (span, raw) = open(Some(table));
            Some(webhook(checker, span, raw)?)
        }
        None => None,
    };
    Some(Alerts { repeat_interval, webhook })
}

fn webhook(checker: &mut Checker<'_>, table: Option<Range<usize>>, raw: raw::Webhook) -> Option<Webhook> {
    let url_key = "alerts.webhook.url";
    if raw.url.is_none() {
        checker.missing(table.clone(), url_key, "write url = \"https://alerts.example/hook\"");
    }
    let advice = "use https://; plain http:// is for a receiver on this host only";
    let url = checker.url(url_key, raw.url, PlainHttp::LoopbackOnly, advice);
    let secret_key = "alerts.webhook.signing_secret_file";
    if raw.signing_secret_file.is_none() {
        let advice = "name the file that holds the secret which signs the messages by its absolute path";
        checker.missing(table, secret_key, advice);
    }
    let signing_secret_file = checker.file(secret_key, raw.signing_secret_file);
    let timeout = checker.duration("alerts.webhook.timeout", raw.timeout, &WEBHOOK_TIMEOUT);
    let ca_file = checker.file("alerts.webhook.ca_file", raw.ca_file);
    Some(Webhook { url: url?.0, signing_secret_file: signing_secret_file?, timeout, ca_file })
}
