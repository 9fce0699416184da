//! What has changed since a page was made: parts of it, numbered, kept for a while so that a stream can resume.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use serde::Serialize;
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::html::Part;
use super::{aside, rows, sections};
use crate::domain::snapshot::Snapshot;
use crate::observe::feed::{ANSWER_LIMIT, NoAnswer, SnapshotSource};

/// How many listeners there may be at once; they leave most connections to others.
pub(in crate::observe) const LISTENERS: usize = 16;
/// How long changes are gathered at least.
const PAUSE: Duration = Duration::from_secs(1);
/// So many times as long as it takes to see what has changed nobody looks again: with many stores that is work.
const SHARE: u32 = 20;
/// How much of the updates is kept, in bytes. Who has missed more loads the page anew.
const KEPT: usize = 256 * 1024;

/// The state of the pages that have been handed out, for all listeners together.
#[derive(Clone, Debug, Default)]
pub(in crate::observe) struct Live {
    shared: Arc<Mutex<Shared>>,
    /// Held by who asks the loop, so that snapshots are taken in by turns and nobody waits for a loop who need not.
    asking: Arc<Mutex<()>>,
    listeners: Listeners,
}

#[derive(Clone, Debug)]
struct Listeners(Arc<Semaphore>);

impl Default for Listeners {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LISTENERS)))
    }
}

/// Names a state of the page: which life of the daemon, and which update of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::observe) struct Place {
    life: u64,
    number: u64,
}

impl Place {
    /// Reads what [`fmt::Display`] has written; anything else is a state that is not known any more.
    pub(super) fn parse(text: &str) -> Self {
        let parsed = text
            .split_once('-')
            .and_then(|(life, number)| Some(Self { life: life.parse().ok()?, number: number.parse().ok()? }));
        parsed.unwrap_or_default()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.life, self.number)
    }
}

#[derive(Debug, Default)]
struct Shared {
    place: Place,
    /// Which stores there are.
    names: u64,
    /// The digests of the sections, then of the stores.
    digests: Vec<u64>,
    /// The last updates, up to the place.
    updates: VecDeque<Bytes>,
    rendered_at: Option<Instant>,
    next: Option<Instant>,
}

/// What a listener gets next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The page is as it was.
    None,
    /// These updates, as they are sent.
    Updates(Vec<Bytes>, Place),
    /// What was missed is not known any more: the page must be loaded anew.
    Stale,
}

impl Live {
    /// Room for one listener, if there is any.
    pub(super) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        self.listeners.0.clone().try_acquire_owned().ok()
    }

    /// A snapshot for a page, and the place from which it can be kept up to date.
    pub(in crate::observe) async fn page(
        &self,
        source: &SnapshotSource,
    ) -> Result<(Arc<Snapshot>, Place), NoAnswer> {
        let _turn = self.turn().await?;
        self.look(source, Instant::now()).await
    }

    /// When one may look again for changes.
    pub(super) async fn next(&self) -> Option<Instant> {
        self.shared.lock().await.next
    }

    /// Looks for changes, unless that was done after `seen`. `false`: it is too early.
    pub(super) async fn refresh(&self, source: &SnapshotSource, seen: Instant) -> Result<bool, NoAnswer> {
        let _turn = self.turn().await?;
        let (rendered_at, next) = {
            let shared = self.shared.lock().await;
            (shared.rendered_at, shared.next)
        };
        if rendered_at.is_some_and(|rendered| rendered > seen) {
            return Ok(true);
        }
        let begun = Instant::now();
        if next.is_some_and(|next| next > begun) {
            return Ok(false);
        }
        self.look(source, begun).await?;
        Ok(true)
    }

    async fn turn(&self) -> Result<MutexGuard<'_, ()>, NoAnswer> {
        timeout(ANSWER_LIMIT, self.asking.lock()).await.map_err(|_| NoAnswer::InTime)
    }

    /// Takes in how things stand. Whoever calls has the turn.
    async fn look(
        &self,
        source: &SnapshotSource,
        begun: Instant,
    ) -> Result<(Arc<Snapshot>, Place), NoAnswer> {
        let snapshot = source.snapshot().await?;
        let mut shared = self.shared.clone().lock_owned().await;
        let work = aside(snapshot.stores.len(), move || {
            shared.digest(&snapshot, begun);
            (snapshot, shared.place)
        });
        // A panic has ended the process already.
        work.await.map_err(|_| NoAnswer::Ended)
    }

    /// What has happened after this place.
    pub(super) async fn after(&self, place: Place) -> News {
        let shared = self.shared.lock().await;
        let behind = shared.place.number.checked_sub(place.number);
        match behind.and_then(|behind| usize::try_from(behind).ok()) {
            _ if place.life != shared.place.life => News::Stale,
            Some(0) => News::None,
            Some(behind) if behind <= shared.updates.len() => {
                let first = shared.updates.len() - behind;
                News::Updates(shared.updates.iter().skip(first).cloned().collect(), shared.place)
            }
            _ => News::Stale,
        }
    }
}

/// An update as the script reads it.
#[derive(Serialize)]
struct Update<'a> {
    /// The server's clock, in milliseconds.
    now: u64,
    /// What takes the place of the element with this identifier.
    parts: BTreeMap<String, &'a str>,
}

impl Shared {
    fn digest(&mut self, snapshot: &Snapshot, begun: Instant) {
        let troubles = rows::troubles(snapshot);
        let mut names = DefaultHasher::new();
        snapshot.stores.iter().for_each(|store| store.name.hash(&mut names));
        let names = names.finish();
        let life = snapshot.started_at.as_millis();
        let is_known = self.place.life == life && self.names == names && !self.digests.is_empty();

        let sections = sections::SECTIONS.iter();
        let sections = sections.map(|section| (section.0.to_owned(), sections::section(*section, snapshot)));
        let rows = snapshot.stores.iter();
        let rows =
            rows.map(|store| (format!("store-{}", store.name), rows::row(store, &troubles, snapshot.at)));
        let mut old = std::mem::take(&mut self.digests).into_iter();
        let mut changed: Vec<(String, Part)> = Vec::new();
        for (id, part) in sections.chain(rows) {
            self.digests.push(part.digest);
            if is_known && old.next() != Some(part.digest) {
                changed.push((id, part));
            }
        }
        if !is_known {
            // What other stores there were, and what they were like, is of no use to anybody.
            self.place = Place { life, number: self.place.number + u64::from(self.place.life == life) };
            self.updates.clear();
            self.names = names;
        } else if !changed.is_empty() {
            self.place.number += 1;
            self.keep(snapshot, &changed);
        }
        self.rendered_at = Some(begun);
        self.next = Some(begun + PAUSE.max(begun.elapsed() * SHARE));
    }

    fn keep(&mut self, snapshot: &Snapshot, changed: &[(String, Part)]) {
        let parts = changed.iter().map(|(id, part)| (id.clone(), part.text.as_str())).collect();
        let update = Update { now: snapshot.at.as_millis(), parts };
        // Texts in a map: nothing in it can fail. JSON has no line breaks, which would end the data.
        let data = serde_json::to_string(&update).unwrap_or_default();
        self.updates.push_back(Bytes::from(format!("id: {}\nevent: update\ndata: {data}\n\n", self.place)));
        while self.updates.iter().map(Bytes::len).sum::<usize>() > KEPT {
            self.updates.pop_front();
        }
    }
}
