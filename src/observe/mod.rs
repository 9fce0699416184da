//! The HTTP listener and the control socket: probes, metrics and status, all from a snapshot; and requests for
//! the engine.
//!
//! | path | answers | asks the loop |
//! |---|---|---|
//! | `/` | the status page for browsers, a list of the pages for others | yes, for browsers |
//! | `/events` | what changes on the status page, as server-sent events | when something has happened |
//! | `/livez` | whether the loop makes progress, and nothing of Vault or of a store | no |
//! | `/readyz` | whether every store has a published generation | no |
//! | `/startupz` | whether the daemon has finished starting | no |
//! | `/healthz` | all of these and the worst state of a store, as JSON | yes |
//! | `/metrics` | metrics for Prometheus | yes |
//! | `/status` | the whole snapshot as JSON | yes |
//! | `/v1/incidents` | the open incidents as JSON | yes |
//! | `/v1/stores/NAME/report` | what becomes of an app's report; guarded by a token on the listener | yes |
//! | `/v1/incidents/ID/silence` | the silenced incident; on the control socket only | yes |
//! | `/v1/log-level` | the level of the log; on the control socket only | no |
//!
//! Who may see a page over the network, and who may ask for something, an [`Access`] says.
//!
//! [`bind`] opens the listener and [`bind_socket`] the control socket, [`serve`] answers until it is told to stop.
//! The daemon's loop feeds them in three ways: it sends a [`Heartbeat`] after each pass, answers the requests of a
//! [`SnapshotSource`], and hands those of a [`RequestSource`] to the engine.

mod access;
mod api;
mod body;
mod connections;
mod feed;
#[cfg(test)]
mod fixture;
mod log_level;
mod metrics;
mod negotiation;
mod origin;
mod page;
mod probes;
mod room;
mod routes;
mod server;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod token;

pub use access::{Access, Rules};
pub use api::{SilenceBody, Silenced};
pub use connections::MAX_CONNECTIONS;
pub use feed::{
    ANSWER_LIMIT, EngineAnswer, EngineRequest, Heartbeat, NoAnswer, RequestSource, SnapshotRequest,
    SnapshotSource,
};
pub use log_level::{LevelBody, LevelSpan, LogLevel};
pub use routes::{Incidents, Pages};
pub use server::{HEADER_LIMIT, Listener, ObserveError, REQUEST_LIMIT, bind, serve};
pub use socket::{SocketError, bind_socket};
pub use tls::{TlsError, check_certificate};
