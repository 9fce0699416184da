//! The metrics of the process, under the names that every exporter has for them, and those of the daemon's loop.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::family::{Families, Value};
use super::{one, only};
use crate::domain::snapshot::Snapshot;
use crate::observe::negotiation::Exposition;

/// What the process uses of the machine. Its names have no prefix of ours: dashboards look for them as they are.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) exposition: Exposition,
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families::new(encoder, self.exposition);
        let Some(process) = &self.snapshot.process else { return Ok(()) };
        families.counter(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            one(Value::Length(process.cpu_ms)),
        )?;
        families.gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            one(Value::Time(self.snapshot.started_at)),
        )?;
        for (name, help, number) in [
            ("process_resident_memory_bytes", "Resident memory size in bytes.", process.resident_bytes),
            ("process_virtual_memory_bytes", "Virtual memory size in bytes.", process.virtual_bytes),
            ("process_open_fds", "Number of open file descriptors.", process.open_files),
            ("process_max_fds", "Maximum number of open file descriptors.", process.max_files),
            ("process_threads", "Number of OS threads in the process.", process.threads),
        ] {
            families.gauge(name, help, number.map(Value::Whole).map(only))?;
        }
        Ok(())
    }
}

/// How the daemon's loop fares.
pub(super) fn main_loop(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let Some(main_loop) = &snapshot.main_loop else { return Ok(()) };
    families.gauge(
        "loop_lag_seconds",
        "How late the main loop was when its timer was last due; it is some ten seconds apart.",
        one(Value::Length(main_loop.lag_ms)),
    )?;
    families.histogram(
        "loop_pass_duration_seconds",
        "How long the main loop was busy with one event, while all else waited.",
        &main_loop.passes,
    )
}

/// What the process has given up.
pub(super) fn hardening(families: &mut Families<'_>, snapshot: &Snapshot) -> fmt::Result {
    let Some(hardening) = &snapshot.hardening else { return Ok(()) };
    families.gauge(
        "hardening_active",
        "Whether a measure against whoever takes the process over is in force (1) or not (0).",
        [
            ("landlock", hardening.landlock.active),
            ("seccomp", hardening.seccomp.active),
            ("undumpable", !hardening.dumpable),
            ("no_core_files", !hardening.core_files),
        ]
        .map(|(measure, active)| ([("measure", measure)], Value::flag(active))),
    )
}
