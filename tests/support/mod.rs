//! What more than one test of the real thing needs.

pub(crate) mod between;
pub(crate) mod configuration;
pub(crate) mod daemon;
pub(crate) mod files;
pub(crate) mod markers;
pub(crate) mod openbao;
pub(crate) mod terminal;
pub(crate) mod wait;
pub(crate) mod webhook;
#[cfg(feature = "demo")]
pub(crate) mod world;
