//! Checks `[check]` and `[log]`.

use std::sync::Arc;
use std::time::Duration;

use tracing::Level;

use super::checker::{Checker, DurationRule};
use super::raw;
use super::value::{Origin, Table, Value, open};
use super::{Check, Log, LogFormat};
use crate::domain::credentials::{AddressPolicy, HostPattern, HostPolicy};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The levels of the log, from the least lines to the most.
pub const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

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
const CERTIFICATE_WARNING: DurationRule = DurationRule {
    default: Duration::from_secs(14 * DAY),
    least: Duration::from_secs(HOUR),
    most: Duration::from_secs(30 * DAY),
};

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
    let addresses = if private { AddressPolicy::AllowPrivate } else { AddressPolicy::PublicOnly };
    let names = allowed_hosts(checker, raw.allowed_hosts);
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
        certificate_warning: checker.duration_or_off(
            "check.certificate_warning",
            raw.certificate_warning,
            &CERTIFICATE_WARNING,
        ),
        concurrency: concurrency.into(),
        hosts: HostPolicy { addresses, names },
        ca_file: checker.file("check.ca_file", raw.ca_file),
        verify_before_publish: checker.boolean(
            "check.verify_before_publish",
            raw.verify_before_publish,
            true,
        ),
    }
}

fn allowed_hosts(checker: &mut Checker<'_>, value: Option<Value>) -> Option<Arc<[HostPattern]>> {
    let key = "check.allowed_hosts";
    let (texts, _) = checker.texts(key, value)?;
    let mut patterns = Vec::new();
    for (index, (text, origin)) in texts.iter().enumerate() {
        match HostPattern::parse(text) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => checker.refuse(origin, format!("{key}[{index}]"), error.to_string()),
        }
    }
    Some(patterns.into())
}

/// Checks `[log]`.
pub(super) fn log(checker: &mut Checker<'_>, table: Option<Table<raw::Log>>) -> Log {
    let (_, raw) = open(table);
    let formats = [
        ("auto", LogFormat::Auto),
        ("human", LogFormat::Human),
        ("json", LogFormat::Json),
        ("journal", LogFormat::Journal),
    ];
    Log {
        level: checker.choice("log.level", raw.level, &LEVELS, Level::INFO),
        format: checker.choice("log.format", raw.format, &formats, LogFormat::Auto),
    }
}
