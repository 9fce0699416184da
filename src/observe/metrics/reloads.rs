//! The metrics of the hooks that tell apps of new generations.

use std::fmt;

use super::family::{Families, Value};
use super::stores::each_store;
use crate::domain::snapshot::{ReloadStatus, StoreStatus};

/// A gauge that each store with a hook has: its name, its meaning, and where its value is.
type Gauge = (&'static str, &'static str, fn(&ReloadStatus) -> Option<Value>);

/// What each app was told, and how its hook fares.
pub(super) fn families(families: &mut Families<'_>, shown: &[&StoreStatus]) -> fmt::Result {
    let gauges: [Gauge; 6] = [
        (
            "store_reload_pending",
            "Whether the app has still to be told of what is published (1) or knows it (0).",
            |reload| Some(Value::flag(reload.pending)),
        ),
        ("store_reload_generation", "The newest generation that the app was told of.", |reload| {
            reload.generation.map(Value::Whole)
        }),
        (
            "store_reload_last_success_timestamp_seconds",
            "When the app was last told of a generation.",
            |reload| reload.at.map(Value::Time),
        ),
        (
            "store_reload_last_run_timestamp_seconds",
            "When the hook last ended, whatever came of it.",
            |reload| Some(Value::Time(reload.last_run?.ended_at)),
        ),
        ("store_reload_last_run_duration_seconds", "How long the hook took then.", |reload| {
            Some(Value::Length(reload.last_run?.duration_ms))
        }),
        (
            "store_reload_last_run_successful",
            "Whether the hook told the app then (1) or failed (0).",
            |reload| Some(Value::flag(reload.last_run?.successful)),
        ),
    ];
    for (name, help, value) in gauges {
        families.gauge(name, help, each_store(shown, |store| value(store.reload.as_ref()?)))?;
    }
    let stores = shown.iter();
    let runs = stores.filter_map(|store| Some((store.name.as_str(), store.reload.as_ref()?)));
    families.counter(
        "store_reload_runs_total",
        "Runs of the hook that tells the app, by result.",
        runs.flat_map(|(store, reload)| {
            [("success", reload.succeeded), ("failure", reload.failed)]
                .map(|(result, count)| ([("store", store), ("result", result)], Value::Whole(count)))
        }),
    )
}
