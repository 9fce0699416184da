//! Snapshots for those who ask, made so that nobody who shares the loop's thread has to wait for a whole one.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::domain::engine::Engine;
use crate::domain::snapshot::{Snapshot, StoreStatus};
use crate::domain::time::Now;
use crate::observe::SnapshotRequest;

/// So many stores are looked at before others have their turn: less than a millisecond's work.
const PIECE: usize = 256;

/// How every store stands at one moment. Nothing is handled meanwhile, but probes are answered.
pub(super) async fn statuses(engine: &mut Engine, at: Now) -> Vec<StoreStatus> {
    let count = engine.store_count();
    let mut statuses = Vec::with_capacity(count);
    for begin in (0..count).step_by(PIECE) {
        if begin > 0 {
            yield_now().await;
        }
        statuses.extend(engine.statuses(begin..begin + PIECE, at));
    }
    statuses
}

/// Gives one snapshot to whoever asked for it, and to those who have asked since.
pub(super) fn hand_out(
    snapshot: &Arc<Snapshot>,
    first: SnapshotRequest,
    more: &mut mpsc::Receiver<SnapshotRequest>,
) {
    // Whoever asked may be gone by now.
    let mut _gone = first.send(snapshot.clone());
    while let Ok(request) = more.try_recv() {
        _gone = request.send(snapshot.clone());
    }
}
