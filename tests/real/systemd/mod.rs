//! The shipped units under a real systemd, which is the first process of a small Debian of its own.

pub(crate) mod hands;
mod instances;
mod life;
pub(crate) mod machine;
mod reloading;
mod sandbox;
mod watchdog;
