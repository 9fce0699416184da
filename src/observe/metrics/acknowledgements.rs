//! The metrics of what apps say that they run on.

use std::fmt;

use super::family::{Families, Value};
use super::stores::each_store;
use crate::domain::snapshot::{AcknowledgementStatus, StoreStatus};

/// A gauge that each store has whose app acknowledges: its name, its meaning, and where its value is.
type Gauge = (&'static str, &'static str, fn(&AcknowledgementStatus) -> Option<Value>);

/// What each app has acknowledged.
pub(super) fn families(families: &mut Families<'_>, shown: &[&StoreStatus]) -> fmt::Result {
    let gauges: [Gauge; 4] = [
        (
            "store_acknowledgement_pending",
            "Whether the app has still to acknowledge what is published (1) or has (0).",
            |said| Some(Value::flag(said.pending)),
        ),
        (
            "store_acknowledgement_lag_seconds",
            "How long after its publication the app acknowledged what is published, or has not by now.",
            |said| said.lag_ms.map(Value::Length),
        ),
        ("store_acknowledged_generation", "The generation that the app acknowledged last.", |said| {
            said.generation.map(Value::Whole)
        }),
        ("store_acknowledged_timestamp_seconds", "When the app acknowledged a generation last.", |said| {
            said.at.map(Value::Time)
        }),
    ];
    for (name, help, value) in gauges {
        families.gauge(name, help, each_store(shown, |store| value(store.acknowledgement.as_ref()?)))?;
    }
    Ok(())
}
