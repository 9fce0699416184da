//! The shell: one loop that turns the engine's actions into I/O, and what comes of them into events.
//!
//! [`run`] is the daemon, [`once`] a single pass. Both drive the same engine through the same adapters; the
//! loop decides nothing.

mod adapters;
mod alerts;
mod confinement;
mod diary;
mod error;
mod file_watch;
mod happening;
mod listeners;
mod live;
mod manager;
mod output_watch;
mod pass;
mod prepared;
mod pulse;
mod queue;
mod restock;
mod retry;
mod services;
mod settings;
mod snapshots;
mod spans;
mod state_disk;
mod timeline;
mod work;

pub use self::confinement::{Confinement, Unavailable, confine};
pub use self::error::DaemonError;
pub use self::live::{Start, run};
pub use self::pass::{Pass, once};
pub use self::work::HOOK_LIMIT;
