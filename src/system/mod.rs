//! Leaves: clocks, signals, notification of the service manager, logging, files, commands, an HTTP client,
//! hardening. They know nothing of the rest of the crate.

pub mod clock;
pub mod command;
pub mod errors;
pub mod files;
pub mod hardening;
pub mod http;
pub mod logging;
pub mod secret_file;
pub mod service;
pub mod signals;
