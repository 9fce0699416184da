//! The world's clockwork: a queue of what will happen, the daemon between crashes, and the look of the
//! onlooker at each step.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bc_secrets_sync::alert::ledger::Change;
use bc_secrets_sync::domain::credentials::StoreName;
use bc_secrets_sync::domain::engine::{
    Acknowledge, Action, Engine, Event, Hook, OnRejection, Settings, StoreSpec,
};
use bc_secrets_sync::domain::incident::{Cause, Message};
use bc_secrets_sync::domain::schedule::backoff;
use bc_secrets_sync::domain::secret::FingerprintKey;
use bc_secrets_sync::domain::source::SecretLocation;
use bc_secrets_sync::domain::time::{Instant, Now, Timestamp};

use crate::apps::{WITHIN, acknowledges};
use crate::deserved::verdicts_are_those_of_the_table;
use crate::mischief::Deed;
use crate::outbox::{Outbox, Receiver};
use crate::places::{App, Disk, EPOCH, Phase, Shop, Vault};
use crate::plan::{HOUR, LATENCY, MINUTE, Plan, SECOND, log_in_budget, settling_bound};
use crate::prng::Random;
use crate::truth::Truth;
use crate::watch::{RETRIES, Violation, Watch, ensure};

/// How many lines of a store's past are kept for a replay.
const REMEMBERED: usize = 4000;

/// What will happen.
pub(crate) enum Occurrence {
    /// The answer to an action, as it was found when the action was asked for.
    Answer {
        life: u32,
        epoch: Option<u32>,
        event: Box<Event>,
    },
    /// An action takes effect only now, and is answered at once.
    Act {
        life: u32,
        epoch: Option<u32>,
        action: Box<Action>,
    },
    /// A try to deliver the oldest message ends.
    Delivery {
        life: u32,
        message: Arc<Message>,
    },
    /// The next try to deliver.
    Try {
        life: u32,
    },
    /// Trouble comes to a store, or to everything.
    Mischief(Option<usize>),
    /// Something that was begun goes on.
    Deed(Deed),
    Crash,
    Start,
    EachHour,
    /// Trouble pauses: all that works is well, and what was not put right stays as it is.
    Calm,
    /// By now everything must be well or explained.
    Settled,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) events: u64,
    pub(crate) crashes: u64,
    pub(crate) messages: u64,
    pub(crate) publications: u64,
    pub(crate) store_months: f64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.crashes += other.crashes;
        self.messages += other.messages;
        self.publications += other.publications;
        self.store_months += other.store_months;
    }
}

/// One world.
pub(crate) struct Simulation {
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
    pub(crate) random: Random,
    pub(crate) time: u64,
    queue: BTreeMap<(u64, u64), Occurrence>,
    sequence: u64,
    pub(crate) names: Vec<StoreName>,
    /// Where the secret of each store is configured to be; none: the store is not configured.
    pub(crate) places: Vec<Option<String>>,
    /// The version of each store's secret that is pinned.
    pub(crate) pins: Vec<Option<u64>>,
    pub(crate) engine: Option<Engine>,
    pub(crate) life: u32,
    pub(crate) epoch: u32,
    pub(crate) began: u64,
    /// What the wall clock shows beyond the true time, in milliseconds.
    pub(crate) offset: i64,
    pub(crate) vault: Vault,
    pub(crate) shops: Vec<Shop>,
    pub(crate) disks: Vec<Disk>,
    pub(crate) apps: Vec<App>,
    pub(crate) platform: Phase,
    pub(crate) outbox: Outbox,
    pub(crate) receiver: Receiver,
    delivering: bool,
    attempt: u32,
    pub(crate) calm: bool,
    pub(crate) watch: Watch,
    pub(crate) truth: Truth,
    pub(crate) counts: Counts,
    pub(crate) log_ins: u64,
    pub(crate) source_occasions: u64,
    pub(crate) refused_this_hour: bool,
    second: (u64, u64),
    stalled: u32,
    pub(crate) fresh: u64,
    past: Option<Vec<VecDeque<String>>>,
}

impl Simulation {
    pub(crate) fn new(plan: Plan, remember: bool) -> Self {
        let stores = plan.stores;
        let names = (0..stores).map(|at| StoreName::parse(&format!("store-{at}")).unwrap()).collect();
        let mut world = Self {
            settings: plan.settings.clone(),
            random: Random::new(plan.seed ^ 0xabcd_ef01),
            time: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            names,
            places: (0..stores).map(|at| Some(format!("bc/{at}"))).collect(),
            pins: vec![None; stores],
            engine: None,
            life: 0,
            epoch: 0,
            began: 0,
            offset: 0,
            vault: Vault::new(&plan),
            shops: Vec::new(),
            disks: vec![Disk::default(); stores],
            apps: vec![App::default(); stores],
            platform: Phase::default(),
            outbox: Outbox::new(plan.real_ledger),
            receiver: Receiver::default(),
            delivering: false,
            attempt: 0,
            calm: false,
            watch: Watch::new(plan.settings.clone(), stores),
            truth: Truth::new(stores),
            counts: Counts { store_months: plan.store_months(), ..Counts::default() },
            log_ins: 0,
            source_occasions: 0,
            refused_this_hour: false,
            second: (0, 0),
            stalled: 0,
            fresh: 0,
            past: remember.then(|| vec![VecDeque::new(); stores + 1]),
            plan,
        };
        world.watch.may_look_up = world.plan.may_look_up;
        world.furnish();
        world
    }

    /// Lets the world run to its end.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        self.at(0, Occurrence::Start);
        self.at(HOUR, Occurrence::EachHour);
        self.at(self.plan.trouble, Occurrence::Calm);
        for at in 0..self.plan.stores {
            let wait = self.random.below(2 * self.plan.pace);
            self.at(wait, Occurrence::Mischief(Some(at)));
        }
        self.at(HOUR, Occurrence::Mischief(None));
        while self.time < self.plan.length {
            self.step()?;
        }
        self.counts.messages = self.receiver.messages;
        Ok(())
    }

    fn step(&mut self) -> Result<(), Violation> {
        let next = self.queue.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
        let due = self.engine.as_ref().map(Engine::next_deadline);
        let due = due.map_or(u64::MAX, |due| self.began.saturating_add(due.as_millis())).max(self.time);
        if due < next {
            self.it_does_not_spin(due)?;
            self.time = due;
            return self.handle(Event::Tick);
        }
        let Some(((at, _), occurrence)) = self.queue.pop_first() else { return Ok(()) };
        self.time = at;
        match occurrence {
            Occurrence::Answer { life, epoch, event } => {
                if life == self.life && epoch.is_none_or(|epoch| epoch == self.epoch) {
                    self.handle(*event)?;
                }
            }
            Occurrence::Act { life, epoch, action } => {
                if life == self.life && epoch.is_none_or(|epoch| epoch == self.epoch) {
                    let event = self.perform(*action);
                    self.handle(event)?;
                }
            }
            Occurrence::Delivery { life, message } if life == self.life => self.delivery_ends(&message)?,
            Occurrence::Try { life } if life == self.life => {
                self.delivering = false;
                self.deliver();
            }
            Occurrence::Delivery { .. } | Occurrence::Try { .. } => {}
            Occurrence::Mischief(subject) => self.mischief(subject)?,
            Occurrence::Deed(deed) => self.deed(deed)?,
            Occurrence::Crash => self.crash(),
            Occurrence::Start => self.start()?,
            Occurrence::EachHour => {
                self.each_hour()?;
                self.after(HOUR, Occurrence::EachHour);
            }
            Occurrence::Calm => {
                self.calm_down()?;
                self.after(settling_bound(&self.settings), Occurrence::Settled);
            }
            Occurrence::Settled => {
                self.everything_is_well_or_explained()?;
                self.calm = false;
                self.after(self.plan.trouble, Occurrence::Calm);
            }
        }
        Ok(())
    }

    pub(crate) fn at(&mut self, time: u64, occurrence: Occurrence) {
        self.sequence += 1;
        self.queue.insert((time, self.sequence), occurrence);
    }

    pub(crate) fn after(&mut self, wait: u64, occurrence: Occurrence) {
        self.at(self.time + wait, occurrence);
    }

    /// What was begun is not gone on with.
    pub(crate) fn drop_deeds(&mut self) {
        self.queue.retain(|_, occurrence| !matches!(occurrence, Occurrence::Deed(_) | Occurrence::Crash));
    }

    pub(crate) fn now(&self) -> Now {
        let wall = (EPOCH + self.time).saturating_add_signed(self.offset);
        Now { instant: Instant::from_millis(self.time - self.began), wall: Timestamp::from_millis(wall) }
    }

    pub(crate) fn specs(&self) -> Vec<StoreSpec> {
        let spec = |(at, place): (usize, &Option<String>)| {
            let path = place.clone()?;
            let location = SecretLocation { pinned: self.pin(at), ..SecretLocation::new("secret", path) };
            let min_interval = Duration::from_secs(if at % 4 == 0 { 300 } else { 0 });
            let hook =
                (at % 2 == 0).then(|| Hook { min_interval, retries: RETRIES, told: self.apps[at].note });
            let on_rejection = if at % 3 == 2 { OnRejection::Withdraw } else { OnRejection::Keep };
            let last = self.apps[at].acknowledged;
            let acknowledge = acknowledges(at).then_some(Acknowledge { within: Some(WITHIN), last });
            let (name, location) = (self.names[at].clone(), Arc::new(location));
            Some(StoreSpec { name, location, hook, on_rejection, acknowledge, discovered: None })
        };
        self.places.iter().enumerate().filter_map(spec).collect()
    }

    /// The process starts.
    fn start(&mut self) -> Result<(), Violation> {
        if self.engine.is_some() {
            return Ok(());
        }
        self.life += 1;
        self.began = self.time;
        self.delivering = false;
        self.attempt = 0;
        self.source_occasions += 1;
        let open = self.outbox.start();
        self.note(None, || format!("the process starts; {} incidents are open", open.len()));
        self.watch.started(self.life, &open, self.time)?;
        let key = Arc::new(FingerprintKey::new(&[7; 32]));
        self.engine = Some(Engine::new(self.settings.clone(), self.specs(), key, open, self.now()));
        self.touch_source();
        self.unsettle_all();
        self.handle(Event::Tick)?;
        self.deliver();
        Ok(())
    }

    /// The process is gone, and all that it knew; what it asked for may have had its effect or not.
    pub(crate) fn crash(&mut self) {
        if self.engine.take().is_none() {
            return;
        }
        self.note(None, || "the process crashes".into());
        self.life += 1;
        self.counts.crashes += 1;
        self.outbox.stop();
        self.unsettle_all();
        let longest = if self.random.once_in(6) { 8 * HOUR } else { MINUTE };
        let down = self.random.wait(SECOND, longest);
        self.after(down, Occurrence::Start);
    }

    /// Hands an event to the engine, keeps its messages and starts what it asks for; a crash may come before,
    /// between and after.
    pub(crate) fn handle(&mut self, event: Event) -> Result<(), Violation> {
        let now = self.now();
        if self.engine.is_none() {
            return Ok(());
        }
        if let Event::Probed { store, outcome, .. } = &event {
            verdicts_are_those_of_the_table(outcome, store.as_str())?;
        }
        self.sees(&event);
        self.counts.events += 1;
        let request = if let Event::Asked(request) = &event { Some(request.clone()) } else { None };
        let Some(engine) = &mut self.engine else { return Ok(()) };
        let actions = engine.handle(event, now);
        let (mut messages, mut changes) = (Vec::new(), Vec::new());
        let (mut work, mut replies) = (Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Notify(message) => {
                    messages.push(message.clone());
                    changes.push(Change::from(message));
                }
                Action::Keep(incident) => changes.push(Change::Open { incident, message: None }),
                Action::Reply(reply) => replies.push(reply),
                Action::Say(decision) => {
                    let at = decision.store.as_ref().map(|name| index(name.as_str()));
                    self.note(at, || format!("log: {}", decision.text));
                }
                action @ (Action::LogIn
                | Action::Renew
                | Action::LookUp
                | Action::Inspect { .. }
                | Action::Read { .. }
                | Action::List { .. }
                | Action::Restock { .. }
                | Action::Probe { .. }
                | Action::Publish { .. }
                | Action::Withdraw { .. }
                | Action::Reload { .. }
                | Action::Remember { .. }) => work.push(action),
            }
        }
        self.is_replied_to(request.as_ref(), &replies, &work)?;
        for message in &messages {
            let at = message.incident.store.as_deref().map(index);
            self.note(at, || format!("message {}: {}", message.id, message.headline()));
            self.watch.says(message, at, self.time)?;
            self.truth.said(&self.watch, message, at, self.time)?;
        }
        let interesting = !messages.is_empty()
            || work.iter().any(|action| matches!(action, Action::Publish { .. } | Action::Withdraw { .. }));
        let chance = if interesting { 40 } else { 20_000 };
        if self.random.once_in(chance) && !self.calm {
            self.note(None, || "the process crashes before anything is kept".into());
            self.crash();
            return Ok(());
        }
        if !changes.is_empty() {
            self.outbox.record(&changes);
            for message in messages {
                if message.incident.cause == Cause::PlatformTrouble {
                    self.unsettle_all();
                }
                self.watch.kept(message, self.time);
            }
            self.silences_stand(&changes);
            if self.random.once_in(chance) && !self.calm {
                self.note(None, || "the process crashes before anything is begun".into());
                self.crash();
                return Ok(());
            }
            self.deliver();
        }
        for action in work {
            self.begin(action)?;
        }
        if interesting && self.random.once_in(chance) && !self.calm {
            let wait = self.random.between(1, LATENCY);
            self.after(wait, Occurrence::Crash);
        }
        Ok(())
    }

    /// Begins to deliver the oldest message, unless a try is under way.
    fn deliver(&mut self) {
        if self.delivering || self.engine.is_none() {
            return;
        }
        let Some(message) = self.outbox.next() else { return };
        self.delivering = true;
        let wait = self.random.between(5, LATENCY);
        self.after(wait, Occurrence::Delivery { life: self.life, message });
    }

    fn delivery_ends(&mut self, message: &Arc<Message>) -> Result<(), Violation> {
        let arrived = self.time >= self.receiver.down_until;
        if arrived {
            self.receiver.receive(message)?;
            if self.random.once_in(60) && !self.calm {
                self.note(None, || "the process crashes before a delivery is written down".into());
                self.crash();
                return Ok(());
            }
        }
        if !arrived || self.random.once_in(30) {
            self.attempt = self.attempt.saturating_add(1);
            let longest = Duration::from_secs(5 * 60);
            let wait = backoff(&message.id, self.attempt, Duration::from_secs(1), longest);
            let wait = u64::try_from(wait.as_millis()).unwrap();
            self.after(wait, Occurrence::Try { life: self.life });
            return Ok(());
        }
        self.attempt = 0;
        self.outbox.delivered(&message.id);
        self.delivering = false;
        self.deliver();
        Ok(())
    }

    /// The engine is not woken again and again at one moment, and not too often within a second.
    fn it_does_not_spin(&mut self, due: u64) -> Result<(), Violation> {
        self.stalled = if due == self.time { self.stalled + 1 } else { 0 };
        let second = due / SECOND;
        self.second = if self.second.0 == second { (second, self.second.1 + 1) } else { (second, 1) };
        let most = 20 + 10 * self.plan.stores as u64;
        ensure(self.stalled <= 20 && self.second.1 <= most, "it_does_not_spin", None, || {
            format!("woken {} times at one moment, {} times in one second", self.stalled, self.second.1)
        })
    }

    fn each_hour(&mut self) -> Result<(), Violation> {
        self.budgets_hold()?;
        self.nobody_is_forgotten()?;
        self.touched_files_are_looked_at()?;
        self.what_deserves_an_incident_has_one()?;
        self.rejections_are_found_in_time()
    }

    /// Requests in the last hour were no more than the configuration allows, whatever went wrong.
    fn budgets_hold(&mut self) -> Result<(), Violation> {
        let most = log_in_budget(self.plan.lease, self.source_occasions, self.refused_this_hour);
        ensure(self.log_ins <= most, "log_ins_are_bounded", None, || {
            format!("{} log-ins in an hour; {most} are allowed", self.log_ins)
        })?;
        (self.log_ins, self.source_occasions) = (0, 0);
        self.refused_this_hour = false;
        self.watch.budgets_hold()
    }

    /// Keeps a line of a store's past, or of everybody's.
    pub(crate) fn note(&mut self, at: Option<usize>, line: impl FnOnce() -> String) {
        let Some(past) = &mut self.past else { return };
        let line = format!("{} {}", clock(self.time), line());
        for (index, lines) in past.iter_mut().enumerate() {
            if at.is_none_or(|at| at == index) || (index == self.plan.stores && at.is_none()) {
                if lines.len() == REMEMBERED {
                    lines.pop_front();
                }
                lines.push_back(line.clone());
            }
        }
    }

    /// The last that happened to a store, or to nobody in particular.
    pub(crate) fn past(&self, store: Option<&str>) -> Vec<String> {
        let at = store.map_or(self.plan.stores, index);
        self.past.as_ref().and_then(|past| past.get(at)).into_iter().flatten().cloned().collect()
    }
}

pub(crate) fn index(name: &str) -> usize {
    name.strip_prefix("store-").and_then(|number| number.parse().ok()).expect("a store of this world")
}

pub(crate) fn clock(time: u64) -> String {
    let (seconds, millis) = (time / 1000, time % 1000);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    format!("day {days} {:02}:{:02}:{:02}.{millis:03}", rest / 3600, rest / 60 % 60, rest % 60)
}
