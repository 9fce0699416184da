//! The connections of a listener: so many at once, and a new one takes the place of one that nobody would miss.

use std::collections::BTreeMap;

use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::room::{Peer, UnderWay};

/// How many connections are served at once. A further one takes the place of one that has no answer under way, of
/// whoever has most of those; answers have less room than connections, so that there is one.
pub const MAX_CONNECTIONS: usize = 64;

/// The connections that are served.
#[derive(Default)]
pub(super) struct Connections {
    tasks: JoinSet<()>,
    /// In the order in which they came.
    open: Vec<Connection>,
}

struct Connection {
    task: AbortHandle,
    peer: Peer,
    under_way: UnderWay,
}

impl Connections {
    /// Serves one more.
    pub(super) fn serve(
        &mut self,
        peer: Peer,
        under_way: UnderWay,
        serving: impl Future<Output = ()> + Send + 'static,
    ) {
        let task = self.tasks.spawn(serving);
        self.open.push(Connection { task, peer, under_way });
    }

    /// Whether there is a place for one more, if need be instead of another.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < MAX_CONNECTIONS || self.open.iter().any(|one| one.under_way.is_none())
    }

    /// Ends one that can be done without if there are too many; whether one was.
    pub(super) fn make_room(&mut self) -> bool {
        if self.open.len() < MAX_CONNECTIONS {
            return false;
        }
        let Some(at) = self.dispensable() else { return false };
        self.open.remove(at).task.abort();
        true
    }

    /// One of whoever has most without an answer under way: the oldest that has asked for nothing yet, or else the
    /// oldest that is kept.
    fn dispensable(&self) -> Option<usize> {
        let idle = || self.open.iter().enumerate().filter(|(_, one)| one.under_way.is_none());
        let mut counts = BTreeMap::<Peer, usize>::new();
        for (_, one) in idle() {
            *counts.entry(one.peer).or_default() += 1;
        }
        let most = counts.values().max()?;
        let theirs = idle().filter(|(_, one)| counts.get(&one.peer) == Some(most));
        theirs.min_by_key(|(at, one)| (one.under_way.has_asked(), *at)).map(|(at, _)| at)
    }

    /// Waits until one ends; none: there are none.
    pub(super) async fn ended(&mut self) -> Option<Result<(), JoinError>> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.open.retain(|one| one.task.id() != id);
        Some(ended.map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::of([192, 0, 2, last].into())
    }

    #[tokio::test]
    async fn a_flood_takes_its_own_places_and_none_with_an_answer_under_way() {
        let mut connections = Connections::default();
        let busy = UnderWay::default();
        let _answer = busy.one();
        connections.serve(peer(1), busy, pending());
        let kept = UnderWay::default();
        kept.asked();
        connections.serve(peer(1), kept, pending());
        connections.serve(peer(2), UnderWay::default(), pending());
        for _ in 0..200 {
            assert!(connections.has_room());
            connections.make_room();
            connections.serve(peer(1), UnderWay::default(), pending());
        }
        assert_eq!(connections.open.len(), MAX_CONNECTIONS);
        let of = |peer| connections.open.iter().filter(|one| one.peer == peer).count();
        assert_eq!((of(peer(1)), of(peer(2))), (MAX_CONNECTIONS - 1, 1));
        let first = connections.open.iter().take(2);
        assert!(
            first
                .map(|one| (one.under_way.is_none(), one.under_way.has_asked()))
                .eq([(false, false), (true, true)])
        );
        for _ in 0..139 {
            assert!(connections.ended().await.unwrap().unwrap_err().is_cancelled());
        }
        assert_eq!(connections.open.len(), MAX_CONNECTIONS);
    }

    #[tokio::test]
    async fn where_every_answer_is_under_way_a_new_one_waits() {
        let mut connections = Connections::default();
        let mut answers = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            let under_way = UnderWay::default();
            answers.push(under_way.one());
            connections.serve(peer(1), under_way, pending());
        }
        assert!(!connections.has_room() && !connections.make_room());
        answers.pop();
        assert!(connections.has_room() && connections.make_room());
    }
}
