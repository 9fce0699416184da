//! Work under way: bounded lanes, so that no kind of work and no single store crowds out the rest.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::{Instrument, Span};

use crate::alert::ledger::Change;
use crate::config::Config;
use crate::domain::credentials::StoreName;
use crate::domain::discovery::Found;
use crate::domain::engine::{Action, Engine, Event, Reply};
use crate::system::clock::Clock;

use super::adapters::{Adapters, now};
use super::diary::{self, Diary};
use super::error::DaemonError;
use super::queue::Queue;
use super::spans;
use super::timeline::Timeline;

/// How many generations are read or written at once: more would not make a disk faster.
const DISK_LIMIT: usize = 2;
/// How many apps are told at once: enough that some that hang do not hold up the others, and few enough that all
/// of their commands fit beside the apps.
pub const HOOK_LIMIT: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Source,
    Read,
    Probe,
    Disk,
    Hook,
}

/// What follows from an event and comes before everything else.
#[derive(Debug, Default)]
pub(super) struct First {
    /// What the ledger must hold.
    pub(super) changes: Vec<Change>,
    /// What is said then to whoever asked.
    pub(super) reply: Option<Reply>,
    /// The secrets that are stores from now on.
    pub(super) restock: Option<Vec<Found>>,
}

struct Done {
    lane: Lane,
    epoch: u64,
    events: Vec<Event>,
    /// The stores whose disks it was about.
    stores: Vec<StoreName>,
}

/// The engine and everything that it has asked for.
pub(super) struct Work {
    pub(super) engine: Engine,
    pub(super) adapters: Adapters,
    pub(super) timeline: Timeline,
    diary: Diary,
    pass: Span,
    clock: Clock,
    tasks: JoinSet<Done>,
    /// What was done and not handed on yet.
    done: VecDeque<Event>,
    queues: [Queue; 5],
    /// Counts the sources: an answer of an earlier one means nothing any more.
    epoch: u64,
}

impl Work {
    pub(super) fn new(engine: Engine, adapters: Adapters, config: &Config, clock: Clock) -> Self {
        let (tasks, done, queues) = (JoinSet::new(), VecDeque::new(), Default::default());
        let (timeline, diary) = (Timeline::new(engine.store_count()), Diary::default());
        let pass = Span::none();
        let mut work = Self { engine, adapters, timeline, diary, pass, clock, tasks, done, queues, epoch: 0 };
        work.limit(config);
        work
    }

    fn limit(&mut self, config: &Config) {
        self.queue(Lane::Source).limit = 1;
        self.queue(Lane::Read).limit = config.vault.concurrency;
        self.queue(Lane::Probe).limit = config.check.concurrency;
        self.queue(Lane::Disk).limit = DISK_LIMIT;
        self.queue(Lane::Hook).limit = HOOK_LIMIT;
    }

    /// From now on new work is done by other adapters.
    pub(super) fn replace(&mut self, adapters: Adapters, config: &Config, new_source: bool) {
        self.adapters = adapters;
        self.limit(config);
        if new_source {
            self.epoch += 1;
            // What waits was asked of the old source; the engine asks again.
            self.queue(Lane::Source).waiting.clear();
            self.queue(Lane::Read).waiting.clear();
        }
    }

    /// Hands an event to the engine, and returns what must be on the disk before anything else happens.
    ///
    /// The rest is started only by [`Work::start`].
    pub(super) fn handle(&mut self, event: Event) -> First {
        let mut first = First::default();
        let at = now(&self.clock);
        self.diary.turn(at);
        self.pass = spans::pass();
        let other_stores = matches!(event, Event::Configured { .. } | Event::Restocked { .. });
        for action in self.engine.handle(event, at) {
            diary::begins(&action);
            match action {
                Action::Notify(message) => {
                    self.timeline.told(&message);
                    first.changes.push(message.into());
                }
                Action::Keep(incident) => first.changes.push(Change::Open { incident, message: None }),
                Action::Reply(reply) => first.reply = Some(reply),
                Action::Restock { found } => first.restock = Some(found),
                Action::Say(decision) => {
                    self.diary.decided(&decision, at);
                    self.timeline.decided(&decision, at.wall);
                }
                action @ (Action::LogIn | Action::Renew | Action::LookUp) => {
                    self.enqueue(Lane::Source, action)
                }
                action @ (Action::Read { .. } | Action::List { .. }) => self.enqueue(Lane::Read, action),
                action @ Action::Probe { .. } => self.enqueue(Lane::Probe, action),
                action @ (Action::Inspect { .. }
                | Action::Publish { .. }
                | Action::Withdraw { .. }
                | Action::Remember { .. }) => self.enqueue(Lane::Disk, action),
                action @ Action::Reload { .. } => self.enqueue(Lane::Hook, action),
            }
        }
        if other_stores {
            let engine = &self.engine;
            self.timeline.follow(engine.store_count(), |store| engine.has_store(store));
            let [.., disk, _] = &mut self.queues;
            disk.forget(|store| engine.has_store(store));
            self.done.retain(|event| store_of(event).is_none_or(|store| engine.has_store(store)));
        }
        first
    }

    /// Starts what waits, as far as the lanes have room.
    pub(super) fn start(&mut self) {
        let (clock, epoch) = (self.clock, self.epoch);
        let _pass = std::mem::replace(&mut self.pass, Span::none()).entered();
        for lane in [Lane::Source, Lane::Read, Lane::Probe, Lane::Hook] {
            while let Some(action) = self.queue(lane).next() {
                let span = spans::of(&action);
                let task = self.adapters.clone().perform(action, clock).instrument(span);
                self.tasks.spawn(async move {
                    let (events, stores) = (task.await.into_iter().collect(), Vec::new());
                    Done { lane, epoch, events, stores }
                });
            }
        }
        let lane = Lane::Disk;
        while let Some(actions) = self.queue(lane).batch() {
            let stores = actions.iter().filter_map(Queue::store_of).cloned().collect();
            let task = self.adapters.clone().perform_on_disk(actions).in_current_span();
            self.tasks.spawn(async move { Done { lane, epoch, events: task.await, stores } });
        }
    }

    /// The next event. Waits for ever when nothing is under way.
    ///
    /// # Errors
    /// A task has panicked.
    pub(super) async fn next(&mut self) -> Result<Event, DaemonError> {
        loop {
            if let Some(event) = self.done.pop_front() {
                return Ok(event);
            }
            let Some(done) = self.tasks.join_next().await else { std::future::pending().await };
            self.ended(done)?;
        }
    }

    /// Waits until no generation is being written, no app is being told and all is noted, and drops everything
    /// else. What takes longer than `limit` is ended, or left alone where it cannot be: the next start makes up for
    /// it. What must be kept is added to `changes` as it comes: only now can it be said what ended an incident.
    pub(super) async fn finish(&mut self, limit: Duration, changes: &mut Vec<Change>) {
        if timeout(limit, self.finish_begun(changes)).await.is_err() {
            if self.queue(Lane::Disk).running > 0 {
                tracing::warn!("a generation that was being written is left to the next start");
            }
            if self.queue(Lane::Hook).running > 0 {
                tracing::warn!("a hook took too long and was ended; the next start runs it again");
            }
        }
        // Waits until they are gone: a command must not outlive the daemon that limits its time.
        self.tasks.shutdown().await;
    }

    async fn finish_begun(&mut self, changes: &mut Vec<Change>) {
        loop {
            while let Some(event) = self.done.pop_front() {
                changes.extend(self.handle(event).changes);
            }
            self.drop_waiting();
            self.start();
            if self.queue(Lane::Disk).running + self.queue(Lane::Hook).running == 0 {
                break;
            }
            let Some(done) = self.tasks.join_next().await else { return };
            // What has failed is no longer of interest.
            let _ = self.ended(done);
        }
    }

    /// All but the notes of what apps were told: without them, the next start would tell the same content again.
    fn drop_waiting(&mut self) {
        self.queues.iter_mut().for_each(Queue::drop_waiting);
    }

    fn ended(&mut self, done: Result<Done, JoinError>) -> Result<(), DaemonError> {
        let done = done.map_err(|end| DaemonError::ended("a piece of work", Err(end)))?;
        let queue = self.queue(done.lane);
        queue.running = queue.running.saturating_sub(1);
        let orphans = queue.ended(&done.stores);
        let outdated = done.epoch != self.epoch && matches!(done.lane, Lane::Source | Lane::Read);
        if !outdated {
            // A store of the same name that was added since knows nothing of it.
            let is_wanted = |event: &Event| store_of(event).is_none_or(|store| !orphans.contains(store));
            self.done.extend(done.events.into_iter().filter(is_wanted));
        }
        Ok(())
    }

    fn enqueue(&mut self, lane: Lane, action: Action) {
        self.queue(lane).waiting.push_back(action);
    }

    fn queue(&mut self, lane: Lane) -> &mut Queue {
        let [source, read, probe, disk, hook] = &mut self.queues;
        match lane {
            Lane::Source => source,
            Lane::Read => read,
            Lane::Probe => probe,
            Lane::Disk => disk,
            Lane::Hook => hook,
        }
    }
}

/// The store of whose disk this tells.
const fn store_of(event: &Event) -> Option<&StoreName> {
    match event {
        Event::Inspected { store, .. }
        | Event::PublishEnded { store, .. }
        | Event::Withdrawn { store, .. } => Some(store),
        Event::Tick
        | Event::LoggedIn(_)
        | Event::Renewed(_)
        | Event::LookedUp(_)
        | Event::Read { .. }
        | Event::Listed { .. }
        | Event::Disturbed { .. }
        | Event::Probed { .. }
        | Event::Reloaded { .. }
        | Event::CheckNow
        | Event::Asked(_)
        | Event::Restocked { .. }
        | Event::Configured { .. } => None,
    }
}
