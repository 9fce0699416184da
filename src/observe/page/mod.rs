//! The status page: HTML from a snapshot, whole without a script, kept up to date with one.

mod html;
mod live;
mod query;
mod rows;
mod sections;
mod stream;
#[cfg(test)]
mod tests;

use http::header::{ACCEPT, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};
use tokio::task::{JoinError, spawn_blocking};

use self::html::Html;
use self::query::{Order, Query};
use crate::domain::snapshot::{Snapshot, StoreState};

pub(super) use self::live::{LISTENERS, Live};
pub(super) use self::stream::{EventStream, Hold};

/// What the page needs beside itself, and nothing from elsewhere.
pub(super) const STYLE: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");
pub(super) const ICON: &str = include_str!("icon.svg");

/// Up to so many stores are shown before the rest of the page, more of them after it.
const FEW: usize = 20;

/// With more stores than that, the page is made beside the daemon's loop, as metrics are.
const MADE_AT_ONCE: usize = 200;

/// What browsers are told on every page.
const GUARDS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Tells browsers to trust nothing that is not ours.
pub(super) fn guard(headers: &mut HeaderMap) {
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Whether a client wants HTML: browsers say so, also those for text; curl and its like do not.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accepted.flat_map(|accept| accept.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("text/html"))
            && parts.all(|part| part.trim_start_matches("q=").parse() != Ok(0.0))
    })
}

/// Does what takes a while with many stores; away from the loop's thread then.
pub(super) async fn aside<T: Send + 'static>(
    stores: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if stores > MADE_AT_ONCE { spawn_blocking(work).await } else { Ok(work()) }
}

/// The page as it stands; `at` says which updates are in it. Takes a while with many stores.
pub(super) fn render(snapshot: &Snapshot, query: Option<&str>, at: &str) -> String {
    let mut html = Html::new(snapshot.at);
    head(&mut html, snapshot, at);
    let query = Query::of(query);
    let section = |section| sections::section(section, snapshot);
    html.part(&section(sections::HEADLINE)).part(&section(sections::INCIDENTS));
    // What is short comes before what is long.
    let is_long = snapshot.stores.len() > FEW;
    if !is_long {
        stores(&mut html, snapshot, &query);
    }
    for part in [sections::VAULT, sections::CHANNELS, sections::TIMELINE] {
        html.part(&section(part));
    }
    if is_long {
        stores(&mut html, snapshot, &query);
    }
    foot(&mut html, snapshot);
    html.done().text
}

fn head(html: &mut Html, snapshot: &Snapshot, at: &str) {
    html.markup("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.markup("<title>bc-secrets-sync</title>");
    html.markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.markup("<meta name=\"color-scheme\" content=\"light dark\">");
    html.markup("<link rel=\"icon\" type=\"image/svg+xml\" href=\"icon.svg\">");
    html.markup("<link rel=\"stylesheet\" href=\"page.css\">");
    html.markup("<script src=\"page.js\" defer></script></head>\n<body data-at=\"").text(at);
    html.markup("\" data-now=\"").text(snapshot.at.as_millis()).markup("\">\n");
    html.markup("<header><h1>bc-secrets-sync</h1><nav aria-label=\"On this page\">");
    for (part, title) in [
        ("#incidents", "Incidents"),
        ("#stores", "Stores"),
        ("#vault", "Vault"),
        ("#channels", "Alerts"),
        ("#timeline", "Last events"),
    ] {
        html.markup("<a href=\"").markup(part).markup("\">").markup(title).markup("</a> ");
    }
    html.markup("</nav><p id=\"live\">As of ").clock(snapshot.at);
    html.markup(". This page does not follow by itself: reload it.</p></header>\n");
    html.markup("<p id=\"said\" class=\"quiet\" role=\"status\"></p>\n<main>\n");
}

fn stores(html: &mut Html, snapshot: &Snapshot, query: &Query) {
    html.markup("<section id=\"stores\" aria-labelledby=\"stores-title\">");
    html.markup("<h2 id=\"stores-title\">Stores</h2>\n").part(&sections::section(sections::COUNTS, snapshot));
    let troubles = rows::troubles(snapshot);
    let (wanted, more) = rows::wanted(snapshot, &troubles, query);
    form(html, query);
    html.markup("<p id=\"shown\">");
    if more > 0 {
        html.text(wanted.len()).markup(" stores are shown, and ").text(more);
        html.markup(" more are not: filter for what you look for.");
    } else {
        html.text(wanted.len()).markup(" of ").text(snapshot.stores.len()).markup(" stores are shown.");
    }
    html.markup("</p>\n<div class=\"wide\"><table id=\"table\"");
    // A script that filters by itself would not find what was left out.
    html.markup(if wanted.len() < snapshot.stores.len() { " data-cut>" } else { ">" });
    html.markup("<caption class=\"quiet\">Each store\u{2019}s state, why it is so, what is published, ");
    html.markup("and what happens next</caption><thead><tr><th scope=\"col\">Store</th>");
    html.markup("<th scope=\"col\">State</th><th scope=\"col\">Why</th><th scope=\"col\">Published</th>");
    html.markup("<th scope=\"col\">Next</th></tr></thead><tbody>\n");
    for store in wanted {
        html.part(&rows::row(store, &troubles, snapshot.at));
    }
    html.markup("</tbody></table></div></section>\n");
}

fn form(html: &mut Html, query: &Query) {
    html.markup("<form method=\"get\" role=\"search\" action=\"#stores\"><label>Filter ");
    html.markup("<input type=\"search\" name=\"q\" maxlength=\"100\" placeholder=\"name or path\" value=\"");
    html.text(&query.text).markup("\"></label> <label>State <select name=\"state\">");
    html.markup("<option value=\"\">all</option>");
    for state in StoreState::ALL {
        option(html, state.label(), state.label(), query.state == Some(state));
    }
    html.markup("</select></label> <label>Order <select name=\"sort\">");
    for order in Order::ALL {
        option(html, order.label(), order.title(), query.order == order);
    }
    html.markup("</select></label> <button>Show</button></form>\n");
}

fn option(html: &mut Html, value: &'static str, title: &'static str, selected: bool) {
    html.markup("<option value=\"").markup(value);
    html.markup(if selected { "\" selected>" } else { "\">" }).markup(title).markup("</option>");
}

fn foot(html: &mut Html, snapshot: &Snapshot) {
    html.markup("</main>\n<footer id=\"foot\"><p>Version ").text(snapshot.version).markup(", started ");
    html.when(snapshot.started_at).markup("; configuration loaded ");
    html.when(snapshot.configuration.loaded_at).markup(". No secret is on this page. Also: ");
    for (path, title) in [
        ("status", "everything as JSON"),
        ("v1/incidents", "incidents as JSON"),
        ("metrics", "metrics"),
        ("healthz", "summary"),
    ] {
        html.markup("<a href=\"").markup(path).markup("\">").markup(title).markup("</a> ");
    }
    html.markup("</p></footer></body></html>\n");
}
