//! The book of open incidents: opens, reminds and resolves, each exactly once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Action, Condition, Context, Judged};
use crate::domain::credentials::StoreName;
use crate::domain::incident::{Cause, Incident, IncidentId, Message, MessageKind, Resolution, SilenceSpan};
use crate::domain::time::{Instant, Now, Timestamp};

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) incident: Incident,
    remind_at: Instant,
    /// No reminders before.
    pub(super) silent_until: Option<Instant>,
}

impl Entry {
    fn next_reminder(&self) -> Instant {
        self.silent_until.map_or(self.remind_at, |until| self.remind_at.max(until))
    }
}

/// However long an incident is open, it is repeated once a day at the least.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

type Key = (Option<String>, Cause);

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Book {
    open: BTreeMap<Key, Entry>,
    /// How many stores have an open incident of each cause.
    stores: BTreeMap<Cause, usize>,
    pub(super) opened: BTreeMap<Cause, u64>,
}

impl Book {
    /// Takes over what was open when the last process ended.
    ///
    /// The wall clock may have been set back meanwhile: no reminder waits longer than an interval, and no silence
    /// lasts longer than the longest.
    pub(super) fn restored(open: Vec<Incident>, repeat_interval: Duration, now: Now) -> Self {
        let entry = |incident: Incident| {
            let longest = repeat_after(repeat_interval, incident.messages);
            let remind_at = now.instant.plus(incident.repeat_at.since(now.wall).min(longest));
            let silence = incident.silenced_until.map(|until| until.since(now.wall));
            let silent_until = silence.map(|left| now.instant.plus(left.min(SilenceSpan::LONGEST)));
            ((incident.store.clone(), incident.cause), Entry { incident, remind_at, silent_until })
        };
        let open: BTreeMap<Key, Entry> = open.into_iter().map(entry).collect();
        let mut stores = BTreeMap::new();
        for (_, cause) in open.keys().filter(|(store, _)| store.is_some()) {
            *stores.entry(*cause).or_default() += 1;
        }
        Self { open, stores, opened: BTreeMap::new() }
    }

    /// Another interval is in force: what was to be repeated later than it says is repeated by then.
    pub(super) fn hasten(&mut self, repeat_interval: Duration, now: Now) {
        for entry in self.open.values_mut() {
            let longest = repeat_after(repeat_interval, entry.incident.messages);
            entry.remind_at = entry.remind_at.min(now.instant.plus(longest));
        }
    }

    /// How many incidents are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many stores have an open incident of this cause.
    pub(super) fn count(&self, cause: Cause) -> usize {
        self.stores.get(&cause).copied().unwrap_or(0)
    }

    /// Every open incident, the oldest first; a silence that is over is not shown any more.
    pub(super) fn incidents(&self, now: Now) -> Vec<Incident> {
        let shown = |entry: &Entry| {
            let left = entry.silent_until.filter(|until| *until > now.instant);
            Incident { silenced_until: left.map(|until| now.wall_at(until)), ..entry.incident.clone() }
        };
        let mut all: Vec<Incident> = self.open.values().map(shown).collect();
        all.sort_by(|a, b| a.opened_at.cmp(&b.opened_at).then_with(|| a.id.cmp(&b.id)));
        all
    }

    pub(super) fn entry(&mut self, id: &IncidentId) -> Option<&mut Entry> {
        self.open.values_mut().find(|entry| entry.incident.id == *id)
    }

    pub(super) fn is_open(&self, store: Option<&StoreName>, cause: Cause) -> bool {
        self.open.contains_key(&(store.map(|name| name.as_str().to_owned()), cause))
    }

    /// When an incident about a store was opened that is still open.
    pub(super) fn opened_at(&self, store: &StoreName, cause: Cause) -> Option<Timestamp> {
        self.open.get(&(Some(store.as_str().to_owned()), cause)).map(|entry| entry.incident.opened_at)
    }

    /// When the next reminder about this subject is due.
    pub(super) fn next_reminder(&self, store: Option<&StoreName>) -> Option<Instant> {
        let subject = store.map(|name| name.as_str().to_owned());
        let range = (subject.clone(), Cause::FIRST)..=(subject, Cause::LAST);
        self.open.range(range).map(|(_, entry)| entry.next_reminder()).min()
    }

    /// Things have become worse: the next reminder about it is due now.
    pub(super) fn remind_now(&mut self, store: &StoreName, cause: Cause, now: Instant) {
        if let Some(entry) = self.open.get_mut(&(Some(store.as_str().to_owned()), cause)) {
            entry.remind_at = entry.remind_at.min(now);
        }
    }

    /// Compares what is judged with what is open, and acts on the difference. `resolution` says what ended
    /// a rejection, where something better than "recovered" can be said.
    pub(super) fn settle(
        store: Option<&StoreName>,
        judged: impl IntoIterator<Item = Judged>,
        resolution: impl Fn(Cause) -> Option<Resolution>,
        cx: &mut Context<'_>,
    ) {
        let subject = store.map(|name| name.as_str().to_owned());
        for (cause, condition) in judged {
            let key = (subject.clone(), cause);
            match (cx.shared.book.open.contains_key(&key), condition) {
                (false, Condition::Holds { evidence, remedy }) => Self::open(key, evidence, remedy, cx),
                (true, Condition::Holds { evidence, remedy }) => {
                    if let Some(entry) = cx.shared.book.open.get_mut(&key) {
                        entry.incident.evidence = evidence;
                        entry.incident.remedy = remedy;
                    }
                    Self::remind(&key, cx);
                }
                (true, Condition::Unknown) => Self::remind(&key, cx),
                (true, Condition::Clear) => {
                    let how = resolution(cause).unwrap_or(Resolution::Recovered);
                    Self::resolve(&key, how, cx);
                }
                (false, Condition::Clear | Condition::Unknown) => {}
            }
        }
    }

    /// Resolves the incidents of stores that are no more: `end` says of a store what became of it; none: it is there.
    pub(super) fn forget_unknown(cx: &mut Context<'_>, end: impl Fn(&str) -> Option<Resolution>) {
        let gone = |key: &Key| Some((key.clone(), end(key.0.as_deref()?)?));
        let gone: Vec<(Key, Resolution)> = cx.shared.book.open.keys().filter_map(gone).collect();
        for (key, how) in gone {
            Self::resolve(&key, how, cx);
        }
    }

    fn open(key: Key, evidence: Vec<String>, remedy: String, cx: &mut Context<'_>) {
        let (store, cause) = key.clone();
        let incident = Incident {
            id: IncidentId::new(store.as_deref(), cause, cx.now.wall),
            store,
            cause,
            severity: cause.severity(),
            opened_at: cx.now.wall,
            evidence,
            remedy,
            messages: 0,
            repeat_at: cx.now.wall,
            silenced_until: None,
        };
        *cx.shared.book.opened.entry(cause).or_default() += 1;
        if key.0.is_some() {
            *cx.shared.book.stores.entry(cause).or_default() += 1;
        }
        let entry = Entry { incident, remind_at: cx.now.instant, silent_until: None };
        cx.shared.book.open.insert(key.clone(), entry);
        Self::write(&key, MessageKind::Opened, cx);
    }

    fn remind(key: &Key, cx: &mut Context<'_>) {
        if cx.shared.book.open.get(key).is_some_and(|entry| entry.next_reminder() <= cx.now.instant) {
            Self::write(key, MessageKind::Reminder, cx);
        }
    }

    fn write(key: &Key, kind: MessageKind, cx: &mut Context<'_>) {
        let Some(entry) = cx.shared.book.open.get_mut(key) else {
            return;
        };
        entry.incident.messages += 1;
        // A message is only written when no silence is in force.
        (entry.silent_until, entry.incident.silenced_until) = (None, None);
        let pause = repeat_after(cx.settings.repeat_interval, entry.incident.messages);
        entry.incident.repeat_at = cx.now.wall.plus(pause);
        entry.remind_at = cx.now.instant.plus(pause);
        let message = message(&entry.incident, kind, None, cx.now);
        cx.actions.push(Action::Notify(message));
    }

    fn resolve(key: &Key, how: Resolution, cx: &mut Context<'_>) {
        let Some(mut entry) = cx.shared.book.open.remove(key) else {
            return;
        };
        if let Some(count) = cx.shared.book.stores.get_mut(&key.1).filter(|_| key.0.is_some()) {
            *count = count.saturating_sub(1);
        }
        entry.incident.messages += 1;
        entry.incident.silenced_until = None;
        cx.actions.push(Action::Notify(message(&entry.incident, MessageKind::Resolved, Some(how), cx.now)));
    }
}

/// The pause after so many messages about one incident: the configured one, doubled each time, up to a day
/// where the configured one is not longer.
fn repeat_after(interval: Duration, messages: u32) -> Duration {
    let doubled = interval.saturating_mul(1_u32 << messages.saturating_sub(1).min(16));
    doubled.min(LONGEST_PAUSE.max(interval))
}

fn message(incident: &Incident, kind: MessageKind, resolution: Option<Resolution>, now: Now) -> Message {
    Message {
        id: format!("{}:{}", incident.id, incident.messages),
        kind,
        at: now.wall,
        incident: incident.clone(),
        resolution,
    }
}
