//! The metrics of all stores together, which are right also where not every store has series of its own.

use std::collections::BTreeMap;
use std::fmt;

use super::family::{Families, Value};
use super::{count, one};
use crate::domain::snapshot::{Snapshot, StoreState};
use crate::domain::verdict::VerdictKind;

/// Counts and durations over all stores.
pub(super) fn families(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let mut states = BTreeMap::<StoreState, u64>::new();
    for store in &snapshot.stores {
        *states.entry(store.state).or_default() += 1;
    }
    families.gauge(
        "stores",
        "Stores, by the state of their credentials.",
        StoreState::ALL.map(|state| ([("state", state.label())], count(&states, state))),
    )?;
    families.gauge(
        "metrics_stores_limit",
        "How many stores have series of their own at the most, as configured; those with trouble come first.",
        one(Value::Whole(snapshot.configuration.metrics_store_limit as u64)),
    )?;
    let totals = &snapshot.totals;
    families.counter(
        "checks_total",
        "Checks of credentials with all stores, those of candidates included, by verdict.",
        VerdictKind::ALL.map(|verdict| ([("verdict", verdict.label())], count(&totals.verdicts, verdict))),
    )?;
    families.counter(
        "publications_total",
        "Generations published for all stores.",
        one(Value::Whole(totals.publications)),
    )?;
    families.counter(
        "restorations_total",
        "Published sets of all stores that were found damaged or gone, and written again.",
        one(Value::Whole(totals.restorations)),
    )?;
    families.counter(
        "reload_runs_total",
        "Runs of the hooks that tell apps, by result.",
        [("success", totals.reloads_succeeded), ("failure", totals.reloads_failed)]
            .map(|(result, runs)| ([("result", result)], Value::Whole(runs))),
    )?;
    families.counter(
        "reports_total",
        "Reports of apps that a store refuses its credentials.",
        one(Value::Whole(totals.reports)),
    )?;
    let durations = &snapshot.durations;
    families.histogram(
        "check_duration_seconds",
        "How long a check of credentials with a store took, whatever came of it.",
        &durations.checks,
    )?;
    families.histogram(
        "detection_duration_seconds",
        "From the last check that accepted credentials to the incident that they were regenerated or revoked: the \
         longest that it can have gone unnoticed. What a restart has made forgotten is not counted.",
        &durations.detections,
    )?;
    families.histogram(
        "publication_delay_seconds",
        "From the write of a new version to Vault, by its clock, to its publication.",
        &durations.publications,
    )
}
