//! Silences: no reminders about an open incident for a while. Its end is told all the same.

use super::book::Book;
use super::{Action, Context, Reply};
use crate::domain::incident::{IncidentId, SilenceSpan};

/// How many incidents are named to somebody who meant one of them.
const NAMED: usize = 10;

impl Book {
    /// Silences an incident, or, without a span, ends its silence. An incident that is silent already is
    /// silent for this long from now on.
    pub(super) fn silence(incident: &str, span: Option<SilenceSpan>, cx: &mut Context<'_>) -> Reply {
        let (now, book) = (cx.now, &mut cx.shared.book);
        let mut found: Vec<IncidentId> = book.incidents(now).into_iter().map(|known| known.id).collect();
        if let Some(exact) = found.iter().find(|id| id.as_str() == incident) {
            found = vec![exact.clone()];
        } else {
            found.retain(|id| id.as_str().starts_with(incident));
        }
        let id = match found.as_slice() {
            [id] => id,
            [] => return Reply::UnknownIncident,
            _ => {
                found.truncate(NAMED);
                return Reply::AmbiguousIncident(found);
            }
        };
        let Some(entry) = book.entry(id) else { return Reply::UnknownIncident };
        let was_silent = entry.silent_until.is_some_and(|until| until > now.instant);
        entry.silent_until = span.map(|span| now.instant.plus(span.duration()));
        entry.incident.silenced_until = span.map(|span| now.wall.plus(span.duration()));
        let incident = entry.incident.clone();
        let text = match incident.silenced_until {
            Some(until) => Some(format!("no reminders about {id} until {until}")),
            None => was_silent.then(|| format!("reminders about {id} again")),
        };
        if let Some(text) = text {
            cx.actions.push(Action::Keep(incident.clone()));
            cx.say(None, None, text);
        }
        Reply::Incident(Box::new(incident))
    }
}
