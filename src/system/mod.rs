//! Leaves: clocks, signals, notification of the service manager, logging, files, commands, an HTTP client,
//! hardening. They know nothing of the rest of the crate.

pub mod blocking;
pub mod certificate;
pub mod clock;
pub mod command;
pub mod crypto;
pub mod directories;
pub mod errors;
pub mod files;
pub mod hardening;
pub mod http;
mod journal;
pub mod logging;
pub mod names;
pub mod panics;
pub mod process;
pub mod service;
pub mod short_file;
pub mod signals;
pub mod socket_path;
#[cfg(feature = "otel")]
pub mod traces;
