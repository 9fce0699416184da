//! The HTTP listener: probes, metrics and status, all from a snapshot.
//!
//! | path | answers | asks the loop |
//! |---|---|---|
//! | `/livez` | whether the loop makes progress, and nothing of Vault or of a store | no |
//! | `/readyz` | whether every store has a published generation | no |
//! | `/startupz` | whether the daemon has finished starting | no |
//! | `/healthz` | all of these and the worst state of a store, as JSON | yes |
//! | `/metrics` | metrics for Prometheus | yes |
//! | `/status` | the whole snapshot as JSON | yes |
//!
//! [`bind`] opens the listener, [`serve`] answers until it is told to stop. The daemon's loop feeds it in two
//! ways: it sends a [`Heartbeat`] after each pass, and answers the requests of a [`SnapshotSource`].

mod feed;
#[cfg(test)]
mod fixture;
mod metrics;
mod negotiation;
mod probes;
mod routes;
mod server;
#[cfg(test)]
mod tests;

pub use feed::{ANSWER_LIMIT, Heartbeat, NoSnapshot, SnapshotRequest, SnapshotSource};
pub use server::{HEADER_LIMIT, Listener, MAX_CONNECTIONS, ObserveError, REQUEST_LIMIT, bind, serve};
