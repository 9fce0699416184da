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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::config::{Config, Environment};
    use crate::daemon::settings::{Noted, settings, stores};
    use crate::domain::engine::{About, FirstCheck};
    use crate::domain::secret::FingerprintKey;
    use tokio::sync::oneshot;

    const STORES: usize = 10 * PIECE + 1;

    fn engine() -> Engine {
        let mut text =
            "[vault]\naddress = \"https://vault.example\"\n[vault.auth.token_file]\npath = \"/token\"\n\
                        [output]\ndirectory = \"/output\"\n"
                .to_owned();
        for number in 0..STORES {
            write!(text, "[[stores]]\nname = \"store-{number}\"\npath = \"stores/{number}\"\n").unwrap();
        }
        let config = Config::parse(&text, "config.toml", &Environment::empty()).unwrap();
        let noted = Noted { told: Default::default(), acknowledged: Default::default() };
        let key = Arc::new(FingerprintKey::new(&[0; 32]));
        let specs = stores(&config, &noted);
        Engine::new(settings(&config, FirstCheck::InTurn), specs, key, Vec::new(), Now::default())
    }

    #[tokio::test]
    async fn others_have_their_turn_while_many_stores_are_looked_at() {
        let mut engine = engine();
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = turns.clone();
        let other = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        });
        let statuses = statuses(&mut engine, Now::default()).await;
        other.abort();
        assert!(turns.load(Ordering::Relaxed) >= 10, "{turns:?}");
        let whole = engine.snapshot(About::default(), Now::default());
        let names =
            |stores: &[StoreStatus]| stores.iter().map(|store| store.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&statuses), names(&whole.stores));
        assert_eq!(statuses.len(), STORES);
    }

    #[tokio::test]
    async fn those_who_have_asked_meanwhile_get_the_same_snapshot() {
        let mut engine = engine();
        let snapshot = Arc::new(engine.snapshot(About::default(), Now::default()));
        let (sender, mut more) = mpsc::channel(8);
        let mut answers = Vec::new();
        for _ in 0..3 {
            let (request, answer) = oneshot::channel();
            sender.try_send(request).unwrap();
            answers.push(answer);
        }
        let (gone, _) = oneshot::channel();
        hand_out(&snapshot, gone, &mut more);
        for answer in answers {
            assert!(Arc::ptr_eq(&answer.await.unwrap(), &snapshot));
        }
    }
}
