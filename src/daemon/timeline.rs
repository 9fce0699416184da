//! The last things that were decided or told, for the status: bounded, however much happens.

use std::collections::VecDeque;

use crate::domain::credentials::StoreName;
use crate::domain::engine::Decision;
use crate::domain::incident::{Message, MessageKind, Severity};
use crate::domain::snapshot::TimelineEvent;
use crate::domain::time::Timestamp;

/// How many are kept. Each is cloned for each snapshot.
const KEPT: usize = 256;
/// How long a sentence may be, in bytes: those about faults quote what others have said.
const LONGEST: usize = 400;

/// The last things that happened, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Timeline(VecDeque<TimelineEvent>);

impl Timeline {
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
    pub(super) fn events(&self) -> Vec<TimelineEvent> {
        self.0.iter().cloned().collect()
    }

    fn push(&mut self, at: Timestamp, store: Option<StoreName>, severity: Option<Severity>, text: &str) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        let mut text = text.to_owned();
        if text.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
            text.push('\u{2026}');
        }
        self.0.push_back(TimelineEvent { at, store, severity, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_make_room_and_no_sentence_is_endless() {
        let mut timeline = Timeline::default();
        for number in 0..1_000 {
            timeline.happened(Timestamp::from_millis(number), None, &"\u{fc}".repeat(1_000));
        }
        let events = timeline.events();
        assert_eq!((events.len(), events[0].at), (KEPT, Timestamp::from_millis(1_000 - KEPT as u64)));
        assert!(events.iter().all(|event| event.text.len() <= LONGEST + '\u{2026}'.len_utf8()));
    }

    #[test]
    fn messages_are_said_without_their_subject() {
        let [opened, resolved] = Message::of_test(Timestamp::from_millis(7));
        let mut timeline = Timeline::default();
        timeline.told(&opened);
        timeline.told(&resolved);
        let texts: Vec<_> = timeline.events().into_iter().map(|event| (event.severity, event.text)).collect();
        let title = "this is a test of the alerts, nothing is wrong";
        let opened = (Some(Severity::Warning), format!("incident opened: {title}"));
        let resolved = (None, format!("incident resolved: {title}: the test is over"));
        assert_eq!(texts, [opened, resolved]);
    }
}
