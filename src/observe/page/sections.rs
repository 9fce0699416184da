//! What is on the page beside the stores: how things stand, open incidents, Vault, channels and the timeline.

use std::cmp::Reverse;

use super::html::{Html, Part};
use crate::domain::incident::{Incident, Severity};
use crate::domain::snapshot::{Snapshot, StateStatus, StoreState, TimelineEvent};

/// How many incidents are told in full; who has more has other worries, and `/v1/incidents`.
const MOST_INCIDENTS: usize = 50;
/// How many paths are named in which no store was found.
const MOST_FOLDERS: usize = 5;
/// How many events are told.
const MOST_EVENTS: usize = 100;
/// How many of them are seen at once.
const LAST_EVENTS: usize = 15;

/// A part of the page, with the identifier of its element.
pub(super) type Section = (&'static str, fn(&Snapshot, &mut Html));

/// Every part that is replaced when it has changed.
pub(super) const SECTIONS: [Section; 6] = [HEADLINE, INCIDENTS, COUNTS, VAULT, CHANNELS, TIMELINE];

pub(super) const HEADLINE: Section = ("headline", headline);
pub(super) const INCIDENTS: Section = ("incidents", incidents);
pub(super) const COUNTS: Section = ("counts", counts);
pub(super) const VAULT: Section = ("vault", vault);
pub(super) const CHANNELS: Section = ("channels", channels);
pub(super) const TIMELINE: Section = ("timeline", timeline);

/// A part, digested.
pub(super) fn section((_, write): Section, snapshot: &Snapshot) -> Part {
    let mut html = Html::new(snapshot.at);
    write(snapshot, &mut html);
    html.done()
}

fn count(html: &mut Html, count: usize, one: &'static str, many: &'static str) {
    html.text(count).markup(if count == 1 { one } else { many });
}

/// The worst of it in one sentence; and what is wrong with the daemon itself.
fn headline(snapshot: &Snapshot, html: &mut Html) {
    let critical = of_severity(snapshot, Severity::Critical).count();
    let warnings = of_severity(snapshot, Severity::Warning).count();
    let none = snapshot.stores.is_empty();
    let unwell = snapshot.stores.iter().filter(|store| store.state != StoreState::Verified).count();
    let mood = match (critical, warnings, unwell.max(usize::from(none))) {
        (1.., ..) => "critical",
        (0, 1.., _) => "warning",
        (0, 0, 1..) => "waiting",
        (0, 0, 0) => "good",
    };
    html.markup("<div id=\"headline\" class=\"").markup(mood).markup("\"><p class=\"verdict\">");
    if critical + warnings > 0 {
        if critical > 0 {
            count(html, critical, " critical incident", " critical incidents");
        }
        if critical > 0 && warnings > 0 {
            html.markup(", ");
        }
        if warnings > 0 {
            count(html, warnings, " warning", " warnings");
        }
    } else if unwell > 0 {
        html.markup("No incidents; ");
        count(html, unwell, " store is not verified", " stores are not verified");
    } else if none {
        html.markup("No store was found");
    } else {
        html.markup("All is well");
    }
    html.markup("</p>");
    html.markup("<p>");
    if none {
        nothing_found(snapshot, html);
    } else {
        let published = snapshot.stores.iter().filter(|store| store.published.is_some()).count();
        html.text(published).markup(" of ");
        count(html, snapshot.stores.len(), " store has", " stores have");
        html.markup(" credentials published.");
    }
    if snapshot.source.error.is_some() {
        html.markup(" Vault does not do all that it is asked; what is published stays.");
    }
    html.markup("</p>");
    if let Some(error) = &snapshot.configuration.error {
        html.markup("<p class=\"trouble\">The newest configuration is not in force: ").text(error);
        html.markup("</p>");
    }
    if let StateStatus { error: Some(error), since } = &snapshot.state {
        html.markup(
            "<p class=\"trouble\">Open incidents, silences and undelivered messages are in memory only",
        );
        if let Some(since) = since {
            html.markup(" (since ").clock(*since).markup(")");
        }
        html.markup(", and a restart forgets them: ").text(error).markup("</p>");
    }
    if !snapshot.configuration.verify_before_publish {
        html.markup("<p class=\"trouble\">Credentials are published without being verified ");
        html.markup("(<code>check.verify_before_publish</code> is off).</p>");
    }
    html.markup("</div>\n");
}

/// Where stores are looked for, while there are none.
fn nothing_found(snapshot: &Snapshot, html: &mut Html) {
    let mut folders = snapshot.source.folders.iter().filter(|folder| folder.discovers).peekable();
    if folders.peek().is_none() {
        html.markup("No store is configured.");
        return;
    }
    html.markup("Each secret directly below these paths of Vault is a store, and none was found there:");
    for folder in folders.by_ref().take(MOST_FOLDERS) {
        html.markup(" <code>").text(&folder.path).markup("</code>");
    }
    let more = folders.count();
    if more > 0 {
        html.markup(" and ").text(more).markup(" more");
    }
    html.markup(".");
}

fn of_severity(snapshot: &Snapshot, severity: Severity) -> impl Iterator<Item = &Incident> {
    snapshot.incidents.iter().filter(move |incident| incident.severity == severity)
}

fn incidents(snapshot: &Snapshot, html: &mut Html) {
    html.markup("<section id=\"incidents\" aria-labelledby=\"incidents-title\">");
    html.markup("<h2 id=\"incidents-title\">Open incidents</h2>\n");
    if snapshot.incidents.is_empty() {
        html.markup("<p class=\"none\">None.</p>");
    }
    let mut all: Vec<&Incident> = snapshot.incidents.iter().collect();
    // Stable: the oldest come first among the equally serious.
    all.sort_by_key(|incident| Reverse(incident.severity));
    for incident in all.iter().take(MOST_INCIDENTS) {
        write_incident(incident, html);
    }
    let more = all.len().saturating_sub(MOST_INCIDENTS);
    if more > 0 {
        html.markup("<p>And ").text(more).markup(" more: <code>bc-secrets-sync incidents</code>, ");
        html.markup("or <a href=\"v1/incidents\">all of them as JSON</a>.</p>");
    }
    html.markup("</section>\n");
}

fn write_incident(incident: &Incident, html: &mut Html) {
    html.markup("<article id=\"").text(&incident.id).markup("\" class=\"incident ");
    html.markup(incident.severity.label()).markup("\"><h3><span class=\"state ");
    html.markup(incident.severity.label()).markup("\">").markup(incident.severity.label());
    html.markup("</span> <span class=\"name\">").text(incident.subject()).markup("</span>: ");
    html.markup(incident.cause.title()).markup("</h3><p class=\"minor\">open since ");
    html.clock(incident.opened_at).markup(" (").when(incident.opened_at).markup("); ");
    match incident.silenced_until {
        Some(until) => html.markup("silenced, reminders go on ").due(until),
        None => html.markup("next reminder ").due(incident.next_reminder()),
    };
    html.markup("</p>");
    if !incident.remedy.is_empty() {
        html.markup("<h4>What to do</h4><p>").text(&incident.remedy).markup("</p>");
    }
    if !incident.evidence.is_empty() {
        html.markup("<h4>How it is known</h4><ul>");
        for evidence in &incident.evidence {
            html.markup("<li>").text(evidence).markup("</li>");
        }
        html.markup("</ul>");
    }
    html.markup("<p class=\"minor\">No more reminders for a while: <code>bc-secrets-sync silence ");
    html.text(&incident.id).markup(" --for 2h</code></p></article>\n");
}

/// How many stores are in each state, the worst first; each leads to those.
fn counts(snapshot: &Snapshot, html: &mut Html) {
    let mut states = StoreState::ALL;
    states.sort_by_key(|state| Reverse(state.gravity()));
    html.markup("<ul id=\"counts\" aria-label=\"Stores by state\">");
    for state in states {
        let stores = snapshot.stores.iter().filter(|store| store.state == state).count();
        if stores > 0 {
            html.markup("<li><a class=\"state ").markup(state.label()).markup("\" href=\"?state=");
            html.markup(state.label()).markup("#stores\">").text(stores).markup(" ").markup(state.label());
            html.markup("</a></li>");
        }
    }
    html.markup("</ul>\n");
}

fn vault(snapshot: &Snapshot, html: &mut Html) {
    let source = &snapshot.source;
    let state = if source.up { "verified" } else { "failed" };
    html.markup("<section id=\"vault\" aria-labelledby=\"vault-title\"><h2 id=\"vault-title\">Vault</h2>");
    html.markup("<p><span class=\"state ").markup(state).markup("\">").markup(source.state);
    html.markup("</span></p>");
    if let Some(error) = &source.error {
        html.markup("<p class=\"trouble\">").text(error).markup("</p>");
    }
    html.markup("<dl>");
    for (name, at) in [
        ("last answer", source.last_success_at),
        ("last attempt", source.last_attempt_at),
        ("token ends", source.token_expires_at),
    ] {
        if let Some(at) = at {
            html.markup("<dt>").markup(name).markup("</dt><dd>").when(at).markup("</dd>");
        }
    }
    for mount in &source.mounts {
        html.markup("<dt>mount <code>").text(&mount.mount).markup("</code></dt><dd>");
        match mount.kv_version {
            Some(version) => html.text(version),
            None => html.markup("not asked yet"),
        };
        html.markup("</dd>");
    }
    let errors: u64 = source.errors.values().sum();
    for (name, count) in [("log-ins", source.logins), ("secrets read", source.reads), ("errors", errors)] {
        html.markup("<dt>").markup(name).markup("</dt><dd>").text(count).markup("</dd>");
    }
    html.markup("</dl></section>\n");
}

fn channels(snapshot: &Snapshot, html: &mut Html) {
    html.markup("<section id=\"channels\" aria-labelledby=\"channels-title\">");
    html.markup("<h2 id=\"channels-title\">Alerts</h2><div class=\"wide\"><table>");
    html.markup("<caption class=\"quiet\">Channels of alerts, and what became of their messages</caption>");
    html.markup("<thead><tr><th scope=\"col\">Channel</th><th scope=\"col\">Waiting</th>");
    html.markup("<th scope=\"col\">Sent</th><th scope=\"col\">Failed</th><th scope=\"col\">Last sent</th>");
    html.markup("</tr></thead><tbody>\n");
    for channel in &snapshot.channels {
        html.markup("<tr><th scope=\"row\">").text(channel.name);
        if let Some(error) = &channel.error {
            html.markup("<span class=\"minor trouble\">").text(error).markup("</span>");
        }
        if channel.dropped > 0 {
            html.markup("<span class=\"minor trouble\">").text(channel.dropped).markup(" dropped</span>");
        }
        html.markup("</th>");
        for count in [channel.pending, channel.delivered, channel.failed] {
            html.markup("<td>").text(count).markup("</td>");
        }
        html.markup("<td>");
        match channel.last_success_at {
            Some(at) => html.when(at),
            None => html.markup("never"),
        };
        html.markup("</td></tr>\n");
    }
    html.markup("</tbody></table></div></section>\n");
}

fn timeline(snapshot: &Snapshot, html: &mut Html) {
    html.markup("<section id=\"timeline\" aria-labelledby=\"timeline-title\">");
    html.markup("<h2 id=\"timeline-title\">Last events</h2>");
    if snapshot.events.is_empty() {
        html.markup("<p class=\"none\">None yet.</p>");
    }
    let events: Vec<&TimelineEvent> =
        snapshot.events.iter().rev().take(MOST_EVENTS).map(AsRef::as_ref).collect();
    let (last, earlier) = events.split_at(events.len().min(LAST_EVENTS));
    list(last, html);
    if !earlier.is_empty() {
        html.markup("<details><summary>").text(earlier.len()).markup(" earlier</summary>");
        list(earlier, html);
        html.markup("</details>");
    }
    html.markup("</section>\n");
}

fn list(events: &[&TimelineEvent], html: &mut Html) {
    html.markup("<ol>\n");
    for TimelineEvent { at, store, severity, text } in events {
        html.markup("<li");
        if let Some(severity) = severity {
            html.markup(" class=\"").markup(severity.label()).markup("\"");
        }
        html.markup(">").clock(*at).markup(" ");
        if let Some(severity) = severity {
            html.markup("<span class=\"quiet\">").markup(severity.label()).markup(": </span>");
        }
        if let Some(store) = store {
            html.markup("<span class=\"name\">").text(store).markup("</span> ");
        }
        html.text(text).markup("</li>\n");
    }
    html.markup("</ol>");
}
