//! The pure core: no I/O, no clock, no randomness, no logging; `now` is always an argument.
//!
//! [`engine::Engine`] takes events and returns actions. Everything else here is what events and actions are
//! made of.

pub mod credentials;
pub mod discovery;
pub mod engine;
pub mod histogram;
pub mod incident;
pub mod publication;
pub mod repeats;
pub mod routing;
pub mod schedule;
pub mod secret;
pub mod snapshot;
pub mod source;
pub mod time;
pub mod verdict;
pub mod version;
