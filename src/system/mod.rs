//! Leaves: clocks, signals, notification of the service manager, logging, files, hardening.
//! They know nothing of the rest of the crate.

pub mod clock;
pub mod crypto;
pub mod errors;
pub mod files;
pub mod hardening;
pub mod logging;
pub mod service;
pub mod short_file;
pub mod signals;
pub mod socket_path;
