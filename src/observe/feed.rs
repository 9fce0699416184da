//! What the daemon's loop tells the listeners: that it lives, how things stand, and what came of a request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::domain::engine::{Reply, Request};
use crate::domain::snapshot::Snapshot;

/// How long the loop may take to answer.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How many requests for a snapshot may wait for the loop. Further ones wait for room, under the same limit.
const WAITING: usize = 8;

/// A page's request for a snapshot: the loop sends the snapshot into it. The page may be gone by then.
pub type SnapshotRequest = oneshot::Sender<Arc<Snapshot>>;

/// What the probes answer from. The loop sends one after each completed pass, and nothing else does.
///
/// It holds the time of the pass and not its age, so a loop that stands still is noticed without its help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// When the loop last completed a pass; before the first, when it started.
    pub last_pass: Instant,
    /// Every store has a published generation.
    pub ready: bool,
    /// The daemon has finished starting.
    pub started: bool,
}

impl Heartbeat {
    /// The heartbeat to start with: no pass was completed yet, and the first one is awaited from now on.
    #[must_use]
    pub fn starting() -> Self {
        Self { last_pass: Instant::now(), ready: false, started: false }
    }
}

/// Why there is no snapshot and no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The loop is busy or stuck.
    #[error("the loop did not answer within {} s", ANSWER_LIMIT.as_secs())]
    InTime,
    /// The loop is gone; the daemon is about to end.
    #[error("the loop has ended")]
    Ended,
}

/// Asks the daemon's loop for snapshots.
#[derive(Clone, Debug)]
pub struct SnapshotSource {
    requests: mpsc::Sender<SnapshotRequest>,
}

impl SnapshotSource {
    /// The source for the listener, and the requests for the loop to answer.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<SnapshotRequest>) {
        let (requests, receiver) = mpsc::channel(WAITING);
        (Self { requests }, receiver)
    }

    /// Asks for a snapshot.
    ///
    /// # Errors
    /// When the loop does not answer within [`ANSWER_LIMIT`], or is gone.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, NoAnswer> {
        let asked = async {
            let (request, answer) = oneshot::channel();
            self.requests.send(request).await.map_err(|_| NoAnswer::Ended)?;
            answer.await.map_err(|_| NoAnswer::Ended)
        };
        timeout(ANSWER_LIMIT, asked).await.unwrap_or(Err(NoAnswer::InTime))
    }
}

/// A request for the engine. The loop sends the reply; whoever asked may be gone by then.
#[derive(Debug)]
pub struct EngineRequest {
    /// What is wanted.
    pub request: Request,
    /// Who waits for the reply.
    pub reply: oneshot::Sender<EngineAnswer>,
}

/// What came of a request for the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineAnswer {
    /// The engine's reply.
    pub reply: Reply,
    /// Why what was asked is not on the disk yet, so that a restart may forget it; none: it is.
    pub unwritten: Option<String>,
}

/// Hands requests to the engine, through the daemon's loop. They wait apart from the requests for snapshots, so
/// that a flood of one kind does not hold up the other.
#[derive(Clone, Debug)]
pub struct RequestSource {
    requests: mpsc::Sender<EngineRequest>,
}

impl RequestSource {
    /// The source for the listeners, and the requests for the loop to answer.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<EngineRequest>) {
        let (requests, receiver) = mpsc::channel(WAITING);
        (Self { requests }, receiver)
    }

    /// Asks, and waits for the reply.
    ///
    /// # Errors
    /// When the loop does not answer within [`ANSWER_LIMIT`], or is gone. The request may take effect later.
    pub async fn ask(&self, request: Request) -> Result<EngineAnswer, NoAnswer> {
        let asked = async {
            let (reply, answer) = oneshot::channel();
            self.requests.send(EngineRequest { request, reply }).await.map_err(|_| NoAnswer::Ended)?;
            answer.await.map_err(|_| NoAnswer::Ended)
        };
        timeout(ANSWER_LIMIT, asked).await.unwrap_or(Err(NoAnswer::InTime))
    }
}
