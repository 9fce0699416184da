//! The last things that were decided or told, for the status: bounded, however much happens.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::mem::take;
use std::sync::Arc;

use crate::domain::credentials::StoreName;
use crate::domain::engine::Decision;
use crate::domain::incident::{Message, MessageKind, Severity};
use crate::domain::snapshot::TimelineEvent;
use crate::domain::time::Timestamp;

/// How many are kept whatever the number of stores, how many more for each store, and how many at the most. One takes
/// some 250 bytes: 1,000 stores have about 1 MB.
const KEPT: usize = 256;
const KEPT_FOR_EACH: usize = 4;
const MOST: usize = 8_192;
/// How long a sentence may be, in bytes: those about faults quote what others have said.
const LONGEST: usize = 400;

/// The last things that happened, the oldest first. Where there is no room, the oldest of the store that has the most
/// gives way, so that much ado about one store does not make the others forgotten.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    room: usize,
    next: u64,
    events: BTreeMap<u64, Arc<TimelineEvent>>,
    /// The places of each store's events. None: those of no store, and of stores that are gone.
    places: BTreeMap<Option<StoreName>, VecDeque<u64>>,
    /// Who has how many, and where the oldest of them is. The last one gives way.
    ranks: BTreeMap<(usize, Reverse<u64>), Option<StoreName>>,
}

impl Timeline {
    /// Room for as many stores.
    pub(super) fn new(stores: usize) -> Self {
        Self { room: room(stores), ..Self::default() }
    }

    /// There are other stores, and so many. What is known of those that are gone is no longer kept for their sake.
    pub(super) fn follow(&mut self, stores: usize, is_store: impl Fn(&StoreName) -> bool) {
        self.room = room(stores);
        self.places.clear();
        self.ranks.clear();
        for event in take(&mut self.events).into_values() {
            self.enter(event.store.clone().filter(&is_store), event);
        }
        self.make_room();
    }

    /// Something was decided.
    pub(super) fn decided(&mut self, decision: &Decision, at: Timestamp) {
        self.push(at, decision.store.clone(), decision.severity, &decision.text);
    }

    /// Somebody is told of an incident.
    pub(super) fn told(&mut self, message: &Message) {
        let incident = &message.incident;
        let severity = match message.kind {
            MessageKind::Opened | MessageKind::Reminder => Some(incident.severity),
            MessageKind::Resolved => None,
        };
        let store = incident.store.as_deref().and_then(|store| StoreName::parse(store).ok());
        let headline = message.headline();
        // The subject is said already.
        let text = headline.strip_prefix(incident.subject()).and_then(|text| text.strip_prefix(": "));
        let words = match message.kind {
            MessageKind::Opened => "incident opened: ",
            MessageKind::Reminder | MessageKind::Resolved => "incident ",
        };
        self.push(message.at, store, severity, &format!("{words}{}", text.unwrap_or(&headline)));
    }

    /// Something happened to the daemon itself.
    pub(super) fn happened(&mut self, at: Timestamp, severity: Option<Severity>, text: &str) {
        self.push(at, None, severity, text);
    }

    /// All of them.
    pub(super) fn events(&self) -> Vec<Arc<TimelineEvent>> {
        self.events.values().cloned().collect()
    }

    fn push(&mut self, at: Timestamp, store: Option<StoreName>, severity: Option<Severity>, text: &str) {
        let mut text = text.to_owned();
        if text.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
            text.push('\u{2026}');
            text.shrink_to_fit();
        }
        self.enter(store.clone(), Arc::new(TimelineEvent { at, store, severity, text }));
        self.make_room();
    }

    fn enter(&mut self, subject: Option<StoreName>, event: Arc<TimelineEvent>) {
        let place = self.next;
        self.next += 1;
        self.events.insert(place, event);
        let places = self.places.entry(subject.clone()).or_default();
        let oldest = *places.front().unwrap_or(&place);
        self.ranks.remove(&(places.len(), Reverse(oldest)));
        places.push_back(place);
        self.ranks.insert((places.len(), Reverse(oldest)), subject);
    }

    fn make_room(&mut self) {
        while self.events.len() > self.room {
            let Some(((_, Reverse(oldest)), subject)) = self.ranks.pop_last() else { return };
            self.events.remove(&oldest);
            let Some(places) = self.places.get_mut(&subject) else { continue };
            places.pop_front();
            match places.front() {
                Some(next) => {
                    self.ranks.insert((places.len(), Reverse(*next)), subject);
                }
                None => {
                    self.places.remove(&subject);
                }
            }
        }
    }
}

fn room(stores: usize) -> usize {
    stores.saturating_mul(KEPT_FOR_EACH).saturating_add(KEPT).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(number: usize) -> StoreName {
        StoreName::parse(&format!("store-{number}")).unwrap()
    }

    fn say(timeline: &mut Timeline, store: &StoreName, at: u64) {
        timeline.push(Timestamp::from_millis(at), Some(store.clone()), None, "said");
    }

    /// When what is still known of a store was said.
    fn known(timeline: &Timeline, store: &StoreName) -> Vec<Timestamp> {
        timeline
            .events()
            .iter()
            .filter(|event| event.store.as_ref() == Some(store))
            .map(|event| event.at)
            .collect()
    }

    #[test]
    fn the_oldest_make_room_and_no_sentence_is_endless() {
        let mut timeline = Timeline::new(1);
        for number in 0..1_000 {
            timeline.happened(Timestamp::from_millis(number), None, &"\u{fc}".repeat(1_000));
        }
        let events = timeline.events();
        let kept = KEPT + KEPT_FOR_EACH;
        assert_eq!((events.len(), events[0].at), (kept, Timestamp::from_millis(1_000 - kept as u64)));
        assert!(events.iter().all(|event| event.text.len() <= LONGEST + '\u{2026}'.len_utf8()));
    }

    #[test]
    fn a_quiet_store_is_not_forgotten_because_of_others() {
        const STORES: usize = 200;
        let mut timeline = Timeline::new(STORES);
        let quiet = store(0);
        say(&mut timeline, &quiet, 1);
        say(&mut timeline, &quiet, 2);
        for at in 3..3_000 {
            say(&mut timeline, &store(1), at);
        }
        assert_eq!(known(&timeline, &quiet), [1, 2].map(Timestamp::from_millis));
        assert_eq!(timeline.events().len(), room(STORES));
        // Now all but that one have much to say: each has its share, and the newest of it.
        for at in 3_000..6_000 {
            say(&mut timeline, &store(1 + at as usize % (STORES - 1)), at);
        }
        assert_eq!(known(&timeline, &quiet), [1, 2].map(Timestamp::from_millis));
        let events = timeline.events();
        assert_eq!((events.len(), events.last().unwrap().at), (room(STORES), Timestamp::from_millis(5_999)));
        assert!(events.is_sorted_by_key(|event| event.at));
        let share = (room(STORES) - 2) / (STORES - 1);
        for number in 1..STORES {
            assert!((share..=share + 1).contains(&known(&timeline, &store(number)).len()), "{number}");
        }
    }

    #[test]
    fn there_is_room_for_many_stores_and_not_for_endlessly_many() {
        assert_eq!([0, 1, 1_000, 100_000, usize::MAX].map(room), [256, 260, 4_256, 8_192, 8_192]);
        let mut timeline = Timeline::new(100_000);
        for number in 0..10_000 {
            say(&mut timeline, &store(number), number as u64);
        }
        assert_eq!(timeline.events().len(), MOST);
        assert_eq!(timeline.events()[0].at, Timestamp::from_millis(10_000 - MOST as u64));
        timeline.follow(0, |_| true);
        assert_eq!(timeline.events()[0].at, Timestamp::from_millis(10_000 - KEPT as u64));
    }

    #[test]
    fn stores_that_are_gone_keep_no_room() {
        let mut timeline = Timeline::new(1);
        let stays = store(0);
        say(&mut timeline, &stays, 1);
        for at in 2..1_000 {
            say(&mut timeline, &store(at as usize), at);
            timeline.follow(1, |store| *store == stays);
        }
        assert_eq!(known(&timeline, &stays), [Timestamp::from_millis(1)]);
        let events = timeline.events();
        assert_eq!((events.len(), events.last().unwrap().at), (room(1), Timestamp::from_millis(999)));
    }

    #[test]
    fn messages_are_said_without_their_subject() {
        let [opened, resolved] = Message::of_test(Timestamp::from_millis(7));
        let mut timeline = Timeline::new(1);
        timeline.told(&opened);
        timeline.told(&resolved);
        let texts: Vec<_> =
            timeline.events().iter().map(|event| (event.severity, event.text.clone())).collect();
        let title = "this is a test of the alerts, nothing is wrong";
        let opened = (Some(Severity::Warning), format!("incident opened: {title}"));
        let resolved = (None, format!("incident resolved: {title}: the test is over"));
        assert_eq!(texts, [opened, resolved]);
    }
}
