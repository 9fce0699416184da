//! `incidents`: lists the open incidents of the running daemon.

use std::cmp::Reverse;

use clap::Args;
use reqwest::Method;

use crate::config::Environment;
use crate::domain::incident::Incident;
use crate::observe::Incidents as Page;

use super::Exit;
use super::client::{AskError, Asked, incident_id, wait};
use super::output::{Output, ago, ahead, columns, complain, finish, in_memory_only, plain, table, wrap};

/// Wider lines are hard to read.
const WIDEST: usize = 100;

#[derive(Args, Debug)]
pub(super) struct Incidents {
    /// Only the incident with this ID, or those whose ID begins so, with evidence and what to do
    #[arg(value_name = "INCIDENT", value_parser = incident_id)]
    incident: Option<String>,
    /// Show the evidence and what to do
    #[arg(short, long)]
    verbose: bool,
    /// How to print them
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    asked: Asked,
}

impl Incidents {
    pub(super) fn main(self, environment: &Environment) -> Exit {
        let page = self.ask(environment).and_then(|page| self.choose(page));
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                complain(&error);
                return error.exit();
            }
        };
        let text = match self.output {
            Output::Table if self.verbose || self.incident.is_some() => {
                in_full(&page, columns()) + &not_on_disk(&page, columns())
            }
            Output::Table => in_brief(&page, columns()) + &not_on_disk(&page, columns()),
            Output::Json => match serde_json::to_string_pretty(&page) {
                Ok(text) => text + "\n",
                Err(error) => {
                    complain(&error);
                    return Exit::Internal;
                }
            },
        };
        finish(&text, Exit::Good)
    }

    fn ask(&self, environment: &Environment) -> Result<Page, AskError> {
        let line = self.asked.line(environment)?;
        wait(line.ask(Method::GET, &["v1", "incidents"], None))
    }

    /// The incidents that are wanted, the most serious first and then the oldest.
    fn choose(&self, mut page: Page) -> Result<Page, AskError> {
        if let Some(id) = &self.incident {
            page.incidents.retain(|incident| incident.id.as_str().starts_with(id.as_str()));
            if page.incidents.is_empty() {
                return Err(AskError::Refused(format!(
                    "no open incident has an ID that begins with {id}; `bc-secrets-sync incidents` lists them"
                )));
            }
        }
        page.incidents.sort_by_key(|incident| (Reverse(incident.severity), incident.opened_at));
        Ok(page)
    }
}

/// A table; where that is wider than the terminal, some lines for each incident.
fn in_brief(page: &Page, width: Option<usize>) -> String {
    if page.incidents.is_empty() {
        return NONE.to_owned();
    }
    let row = |incident: &Incident| {
        vec![
            incident.severity.label().to_owned(),
            plain(incident.subject()),
            incident.cause.label().to_owned(),
            ago(incident.opened_at, page.at),
            incident.silenced_until.map_or_else(|| "-".to_owned(), |until| ahead(until, page.at)),
            ahead(incident.next_reminder(), page.at),
            plain(incident.id.as_str()),
        ]
    };
    let rows: Vec<Vec<String>> = page.incidents.iter().map(row).collect();
    let headings = ["SEVERITY", "STORE", "CAUSE", "SINCE", "SILENCE ENDS", "NEXT REMINDER", "ID"];
    let table = table(&headings, &rows);
    let widest = table.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    if width.is_none_or(|width| widest <= width) {
        return table;
    }
    let some_lines = |incident: &Incident| {
        let severity = format!("{:<9} ", incident.severity.label());
        let indent = " ".repeat(severity.chars().count());
        let head = format!("{}: {}", incident.subject(), incident.cause.title());
        let mut lines = wrap(&plain(&head), &severity, &indent, width);
        let reminder = ahead(incident.next_reminder(), page.at);
        let since = format!("since {}, next reminder {reminder}", ago(incident.opened_at, page.at));
        lines.push_str(&wrap(&since, &indent, &indent, width));
        if let Some(until) = incident.silenced_until {
            lines.push_str(&wrap(
                &format!("silence ends {}", ahead(until, page.at)),
                &indent,
                &indent,
                width,
            ));
        }
        lines.push_str(&wrap(&plain(incident.id.as_str()), &indent, &indent, width));
        lines
    };
    page.incidents.iter().map(some_lines).collect()
}

/// All that is known of each incident.
fn in_full(page: &Page, width: Option<usize>) -> String {
    if page.incidents.is_empty() {
        return NONE.to_owned();
    }
    let width = width.map(|width| width.min(WIDEST));
    let whole = |incident: &Incident| {
        let mut text = String::new();
        let mut fact = |name: &str, value: &str| {
            text.push_str(&wrap(&plain(value), &format!("  {name:<14} "), &" ".repeat(17), width));
        };
        fact("severity", incident.severity.label());
        fact("store", incident.subject());
        fact("cause", &format!("{} ({})", incident.cause.title(), incident.cause.label()));
        fact("since", &format!("{} ({})", incident.opened_at, ago(incident.opened_at, page.at)));
        if let Some(until) = incident.silenced_until {
            fact("silence ends", &format!("{until} ({})", ahead(until, page.at)));
        }
        let next = incident.next_reminder();
        fact("next reminder", &format!("{next} ({})", ahead(next, page.at)));
        text.push_str("  evidence\n");
        for sentence in &incident.evidence {
            text.push_str(&wrap(&plain(sentence), "    - ", "      ", width));
        }
        text.push_str("  what to do\n");
        text.push_str(&wrap(&plain(&incident.remedy), "    ", "    ", width));
        format!("{}\n{text}", plain(incident.id.as_str()))
    };
    let all: Vec<String> = page.incidents.iter().map(whole).collect();
    all.join("\n")
}

/// That a restart would forget them, where it is so.
fn not_on_disk(page: &Page, width: Option<usize>) -> String {
    in_memory_only(&page.state, page.at)
        .map_or_else(String::new, |text| format!("\n{}", wrap(&plain(&text), "", "", width)))
}

const NONE: &str = "no open incidents\n";

#[cfg(test)]
mod tests;
