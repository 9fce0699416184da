//! The metrics of each store.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;

use super::count;
use super::family::{Families, Sample, Value};
use crate::domain::snapshot::{Snapshot, StoreState, StoreStatus};
use crate::domain::time::Timestamp;
use crate::domain::verdict::VerdictKind;

/// A gauge that each store has: its name, its meaning, and where its value is.
type StoreGauge<T> = (&'static str, &'static str, fn(&StoreStatus) -> Option<T>);

/// How things stand with each store.
pub(super) fn gauges(families: &mut Families<'_>, shown: &[&StoreStatus]) -> fmt::Result {
    families.gauge(
        "store_state",
        "The state of a store's credentials: 1 for the state that they are in, 0 for the others.",
        shown.iter().flat_map(|store| {
            StoreState::ALL.into_iter().map(|state| {
                let labels = [("store", store.name.as_str()), ("state", state.label())];
                (labels, Value::flag(store.state == state))
            })
        }),
    )?;
    let times: [StoreGauge<Timestamp>; 7] = [
        (
            "store_last_check_timestamp_seconds",
            "When the published credentials were last checked with the store, whatever came of it.",
            |store| store.last_check_at,
        ),
        (
            "store_verified_timestamp_seconds",
            "When the store last accepted the published credentials; after a start, until it does again, when it did \
             before they were published.",
            |store| store.verified_at,
        ),
        (
            "store_certificate_expiry_timestamp_seconds",
            "When the certificate expires that the store last showed.",
            |store| store.certificate_expires_at,
        ),
        (
            "store_last_read_attempt_timestamp_seconds",
            "When a read of the secret was last tried, whatever came of it.",
            |store| store.last_read_attempt_at,
        ),
        ("store_last_read_timestamp_seconds", "When the secret was last read.", |store| store.last_read_at),
        ("store_published_timestamp_seconds", "When the published generation was published.", |store| {
            Some(store.published.as_ref()?.published_at)
        }),
        (
            "store_credentials_written_timestamp_seconds",
            "When the published version was written to Vault, by its clock.",
            |store| store.published.as_ref()?.version_created_at,
        ),
    ];
    for (name, help, time) in times {
        families.gauge(name, help, each_store(shown, |store| time(store).map(Value::Time)))?;
    }
    let numbers: [StoreGauge<u64>; 5] = [
        (
            "store_secret_version",
            "The version of the secret that was read last, published or not; none with KV version 1.",
            newest_version,
        ),
        (
            "store_published_version",
            "The version of the secret that is published; none with KV version 1.",
            |store| store.published.as_ref()?.version.number(),
        ),
        ("store_published_generation", "The number of the published generation.", |store| {
            Some(store.published.as_ref()?.generation)
        }),
        (
            "store_requests_remaining",
            "Requests left of the store's quota, as it said within the last hour.",
            |store| store.requests_remaining,
        ),
        (
            "store_request_budget_remaining",
            "Requests to the account that the daemon allows itself at once; it gets 6,000 an hour.",
            |store| store.budget_remaining,
        ),
    ];
    for (name, help, number) in numbers {
        families.gauge(name, help, each_store(shown, |store| number(store).map(Value::Whole)))?;
    }
    Ok(())
}

/// What was done for each store since the start.
pub(super) fn counters(families: &mut Families<'_>, shown: &[&StoreStatus]) -> fmt::Result {
    families.counter(
        "store_checks_total",
        "Checks of credentials with the store, those of candidates included, by verdict.",
        shown.iter().flat_map(|store| {
            VerdictKind::ALL.into_iter().map(|verdict| {
                let labels = [("store", store.name.as_str()), ("verdict", verdict.label())];
                (labels, count(&store.verdicts, verdict))
            })
        }),
    )?;
    families.counter(
        "store_publications_total",
        "Generations published.",
        each_store(shown, |store| Some(Value::Whole(store.publications))),
    )?;
    families.counter(
        "store_restorations_total",
        "Published sets that were found damaged or gone, and written again.",
        each_store(shown, |store| Some(Value::Whole(store.restorations))),
    )?;
    families.counter(
        "store_reports_total",
        "Reports of apps that the store refuses its credentials.",
        each_store(shown, |store| Some(Value::Whole(store.reports.received))),
    )?;
    families.counter(
        "store_reports_absorbed_total",
        "Those of them that started no check at once.",
        each_store(shown, |store| Some(Value::Whole(store.reports.absorbed))),
    )?;
    families.counter(
        "store_report_checks_total",
        "Checks that were made because of reports.",
        each_store(shown, |store| Some(Value::Whole(store.reports.checks))),
    )
}

/// A candidate is what was read last; without one, what is published is. What was published before a restart
/// says nothing of the source until it was read.
pub(super) fn newest_version(store: &StoreStatus) -> Option<u64> {
    store.last_read_at?;
    let published = store.published.as_ref().map(|stamp| stamp.version);
    store.candidate.as_ref().map(|candidate| candidate.version).or(published)?.number()
}

pub(super) fn each_store<'a>(
    shown: &'a [&StoreStatus],
    value: impl Fn(&StoreStatus) -> Option<Value>,
) -> impl Iterator<Item = Sample<'a, 1>> {
    shown.iter().filter_map(move |store| Some(([("store", store.name.as_str())], value(store)?)))
}

/// The stores that have series of their own: all of them, or as many as the configuration allows. Then those with
/// trouble come first, so that a rule on a store's series sees it.
pub(super) fn shown(snapshot: &Snapshot) -> Vec<&StoreStatus> {
    let limit = snapshot.configuration.metrics_store_limit;
    if snapshot.stores.len() <= limit {
        return snapshot.stores.iter().collect();
    }
    let troubled: BTreeSet<&str> =
        snapshot.incidents.iter().filter_map(|incident| incident.store.as_deref()).collect();
    let mut places: Vec<(bool, u8, usize)> = Vec::with_capacity(snapshot.stores.len());
    for (at, store) in snapshot.stores.iter().enumerate() {
        places.push((troubled.contains(store.name.as_str()), store.state.gravity(), at));
    }
    places.sort_unstable_by_key(|(troubled, gravity, at)| (Reverse(*troubled), Reverse(*gravity), *at));
    let mut places: Vec<usize> = places.into_iter().take(limit).map(|(_, _, at)| at).collect();
    places.sort_unstable();
    places.into_iter().filter_map(|at| snapshot.stores.get(at)).collect()
}
