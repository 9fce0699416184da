//! The process itself, and its listener.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::histogram::Histogram;
use crate::domain::time::Timestamp;

/// How the listeners fare.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HttpStatus {
    /// Requests and connections that were refused since the start, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// The certificate that the listener shows; absent where it speaks plain HTTP.
    pub certificate: Option<CertificateStatus>,
}

/// The certificate that the listener shows.
#[derive(Clone, Debug, Serialize)]
pub struct CertificateStatus {
    /// From when on it is valid; absent where that cannot be told.
    pub valid_from: Option<Timestamp>,
    /// When it expires; absent where that cannot be told.
    pub expires_at: Option<Timestamp>,
    /// Why the files as they are now are not in use; absent when they are.
    pub error: Option<String>,
}

/// How the daemon's loop fares.
#[derive(Clone, Debug, Serialize)]
pub struct LoopStatus {
    /// How long it was busy with one event; all else waits meanwhile.
    pub passes: Histogram,
    /// How late it was when it last had to do something at a given time, in milliseconds.
    pub lag_ms: u64,
}

/// What the process uses of the machine, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessStatus {
    /// Processor time since the start, in milliseconds.
    pub cpu_ms: u64,
    /// Bytes of memory that are resident.
    pub resident_bytes: Option<u64>,
    /// Bytes of address space.
    pub virtual_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
    /// How many there may be.
    pub max_files: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

/// What the process has given up at its start, so that whoever takes it over gets little.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HardeningStatus {
    /// Files that it does not need.
    pub landlock: MeasureStatus,
    /// System calls that it does not need.
    pub seccomp: MeasureStatus,
    /// Whether others of the same user can look into its memory.
    pub dumpable: bool,
    /// Whether a crash would leave its memory in a file.
    pub core_files: bool,
}

/// Whether a measure was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MeasureStatus {
    /// Whether it was.
    pub active: bool,
    /// The version of what the kernel has of it, where that has versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abi: Option<i32>,
    /// Why it was not, or not all of it.
    pub reason: Option<String>,
}
