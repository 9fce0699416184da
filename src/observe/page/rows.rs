//! The stores on the page: a row for each, with its state, why, since when, and what happens next.

use std::collections::BTreeMap;

use super::html::{Html, Part};
use super::query::{Order, Query};
use crate::domain::incident::{Incident, Severity};
use crate::domain::publication::GenerationStamp;
use crate::domain::snapshot::{Snapshot, StoreState, StoreStatus};
use crate::domain::time::Timestamp;

/// How many stores are shown at most; who has more filters.
pub(super) const MOST: usize = 1_000;

/// The open incidents of each store.
pub(super) type Troubles<'a> = BTreeMap<&'a str, Vec<&'a Incident>>;

/// Sorts the open incidents by their stores.
pub(super) fn troubles(snapshot: &Snapshot) -> Troubles<'_> {
    let mut troubles = Troubles::new();
    for incident in &snapshot.incidents {
        if let Some(store) = &incident.store {
            troubles.entry(store).or_default().push(incident);
        }
    }
    troubles
}

/// How badly a store is off, from 0: by its state and by its incidents.
fn rank(store: &StoreStatus, incidents: &[&Incident]) -> u8 {
    let incidents = incidents.iter().map(|incident| match incident.severity {
        Severity::Warning => StoreState::Suspect.gravity(),
        Severity::Critical => StoreState::Rejected.gravity(),
    });
    incidents.max().unwrap_or_default().max(store.state.gravity())
}

/// The stores that a reader wants to see, in the order that he wants; and how many more there are of them.
pub(super) fn wanted<'a>(
    snapshot: &'a Snapshot,
    troubles: &Troubles<'_>,
    query: &Query,
) -> (Vec<&'a StoreStatus>, usize) {
    let fits = |store: &&StoreStatus| {
        let named = |text: &str| text.to_lowercase().contains(&query.text);
        query.state.is_none_or(|state| state == store.state)
            && (query.text.is_empty() || named(store.name.as_str()) || named(&store.secret))
    };
    let mut stores: Vec<&StoreStatus> = snapshot.stores.iter().filter(fits).collect();
    stores.sort_by_cached_key(|store| {
        let rank = rank(store, incidents_of(troubles, store));
        let key = match query.order {
            Order::Worst => u64::from(u8::MAX - rank),
            Order::Name => 0,
            Order::Newest => u64::MAX - store.since.as_millis(),
            Order::Unchecked => store.last_check_at.unwrap_or_default().as_millis(),
        };
        (key, store.name.clone())
    });
    let more = stores.len().saturating_sub(MOST);
    stores.truncate(MOST);
    (stores, more)
}

fn incidents_of<'a, 'b>(troubles: &'b Troubles<'a>, store: &StoreStatus) -> &'b [&'a Incident] {
    troubles.get(store.name.as_str()).map_or(&[], Vec::as_slice)
}

/// The row of a store, digested.
pub(super) fn row(store: &StoreStatus, troubles: &Troubles<'_>, now: Timestamp) -> Part {
    let mut html = Html::new(now);
    write(&mut html, store, incidents_of(troubles, store));
    html.done()
}

fn write(html: &mut Html, store: &StoreStatus, incidents: &[&Incident]) {
    let state = store.state.label();
    html.markup("<tr id=\"store-").text(&store.name).markup("\" data-name=\"").text(&store.name);
    html.markup("\" data-state=\"").markup(state).markup("\" data-rank=\"").text(rank(store, incidents));
    html.markup("\" data-since=\"").text(store.since.as_millis()).markup("\" data-checked=\"");
    html.text(store.last_check_at.unwrap_or_default().as_millis());
    html.markup("\">\n<th scope=\"row\"><span class=\"name\">").text(&store.name);
    html.markup("</span><span class=\"path\">").text(&store.secret);
    if let Some(version) = store.pinned_version {
        html.markup(", version ").text(version).markup(" is pinned");
    }
    html.markup("</span></th>\n<td data-label=\"State\"><span class=\"state ").markup(state).markup("\">");
    html.markup(state).markup("</span><span class=\"minor\">since ").when(store.since);
    html.markup("</span></td>\n<td data-label=\"Why\">").text(&store.detail);
    for incident in incidents {
        html.markup("<a class=\"minor\" href=\"#").text(&incident.id).markup("\">Incident: ");
        html.markup(incident.cause.title()).markup("</a>");
    }
    troubles_beside(html, store);
    more(html, store);
    html.markup("</td>\n<td data-label=\"Published\">");
    match &store.published {
        Some(stamp) => published(html, stamp, store.verified_at),
        None => drop(html.markup("nothing")),
    }
    html.markup("</td>\n<td data-label=\"Next\">");
    next(html, store);
    html.markup("</td>\n</tr>\n");
}

/// What goes wrong beside the credentials themselves, where the sentence does not say it already.
fn troubles_beside(html: &mut Html, store: &StoreStatus) {
    let reload = store.reload.as_ref().and_then(|reload| reload.error.as_ref());
    let acknowledgement = store.acknowledgement.as_ref().and_then(|status| status.error.as_ref());
    for (what, error) in [
        ("Reading: ", &store.read_error),
        ("Publishing: ", &store.publish_error),
        ("Telling the app: ", &reload.cloned()),
        ("The app\u{2019}s file: ", &acknowledgement.cloned()),
    ] {
        if let Some(error) = error.as_ref().filter(|error| !store.detail.contains(error.as_str())) {
            html.markup("<span class=\"minor\">").markup(what).text(error).markup("</span>");
        }
    }
}

fn published(html: &mut Html, stamp: &GenerationStamp, verified_at: Option<Timestamp>) {
    html.markup("generation ").text(stamp.generation);
    if let Some(version) = stamp.version.number() {
        html.markup(", version ").text(version);
    }
    html.markup("<span class=\"minor\">published ").when(stamp.published_at);
    match verified_at.or(stamp.verified_at) {
        Some(at) => html.markup(", accepted ").when(at),
        None => html.markup(", never accepted"),
    };
    html.markup("</span>");
}

fn next(html: &mut Html, store: &StoreStatus) {
    if let Some(candidate) = &store.candidate {
        html.text(candidate.version);
        match (candidate.next_probe_at, candidate.last_verdict) {
            (Some(at), Some(_)) => html.markup(" in Vault is tried again ").due(at),
            (Some(_), None) => html.markup(" in Vault is being verified"),
            (None, _) => html.markup(" in Vault is being published"),
        };
    } else if matches!(store.state, StoreState::Pending | StoreState::Failed) {
        html.markup("waits for credentials in Vault");
    } else if store.state == StoreState::Rejected {
        html.markup("waits for new credentials in Vault");
    }
    if let Some(at) = store.next_check_at {
        html.markup("<span class=\"minor\">next check ").due(at).markup("</span>");
    }
    if let Some(reload) = store.reload.as_ref().filter(|reload| reload.pending) {
        html.markup("<span class=\"minor\">the app is told ");
        match reload.next_run_at {
            Some(at) => html.due(at),
            None => html.markup("now"),
        };
        html.markup("</span>");
    }
    if store.acknowledgement.as_ref().is_some_and(|status| status.pending) {
        html.markup("<span class=\"minor\">the app has still to acknowledge it</span>");
    }
}

/// What is seldom asked for.
fn more(html: &mut Html, store: &StoreStatus) {
    html.markup("<details><summary>more<span class=\"quiet\"> about ").text(&store.name);
    html.markup("</span></summary><dl>");
    for (name, at) in [
        ("last check", store.last_check_at),
        ("Vault read", store.last_read_at),
        ("certificate ends", store.certificate_expires_at),
        ("app told", store.reload.as_ref().and_then(|reload| reload.at)),
        ("app acknowledged", store.acknowledgement.as_ref().and_then(|status| status.at)),
        ("app reported", store.reports.last_at),
    ] {
        if let Some(at) = at {
            html.markup("<dt>").markup(name).markup("</dt><dd>").when(at).markup("</dd>");
        }
    }
    let generation = |number: &GenerationStamp| number.fingerprint.to_string();
    if let Some(fingerprint) = store.published.as_ref().map(generation) {
        html.markup("<dt>fingerprint</dt><dd>").text(fingerprint).markup("</dd>");
    }
    for (name, count) in [
        ("requests left", store.requests_remaining),
        ("publications", Some(store.publications)),
        ("restorations", Some(store.restorations).filter(|count| *count > 0)),
    ] {
        if let Some(count) = count {
            html.markup("<dt>").markup(name).markup("</dt><dd>").text(count).markup("</dd>");
        }
    }
    for (verdict, count) in &store.verdicts {
        html.markup("<dt>").text(verdict.label()).markup("</dt><dd>").text(count).markup("</dd>");
    }
    html.markup("</dl></details>");
}
