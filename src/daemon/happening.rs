//! What the daemon's loop waits for.

use std::path::PathBuf;

use crate::alert::delivery::DeliveryEvent;
use crate::domain::credentials::StoreName;
use crate::domain::engine::Event;
use crate::observe::{EngineRequest, SnapshotRequest};
use crate::system::directories::Disturbed;
use crate::system::signals::Signal;

/// One thing that has happened.
pub(super) enum Happening {
    /// A signal came.
    Signal(Signal),
    /// A piece of work has ended, or its time has come.
    Event(Event),
    /// The configuration file has changed, or a file that is read with it.
    FileChanged(PathBuf),
    /// A configuration that was refused is to be tried again.
    Retry,
    /// Somebody has touched published files.
    Disturbed(Disturbed<StoreName>),
    /// Somebody wants to know how things stand.
    Asked(SnapshotRequest),
    /// Somebody wants something of the engine.
    Requested(EngineRequest),
    /// A message was delivered, or could not be.
    Delivered(DeliveryEvent),
    /// Nothing for a while.
    Pulse,
}
