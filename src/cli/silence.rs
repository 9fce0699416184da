//! `silence` and `unsilence`: no reminders about an incident for a while, and reminders again.

use clap::Args;
use reqwest::Method;

use crate::config::Environment;
use crate::domain::incident::SilenceSpan;
use crate::observe::{SilenceBody, Silenced};

use super::Exit;
use super::client::{AskError, Daemon, incident_id, wait};
use super::output::{complain, finish, plain};

const OTHERWISE: &str = "; incidents cannot be silenced without it";

#[derive(Args, Debug)]
pub(super) struct Silence {
    /// The incident's ID, or the beginning of it where no other one begins so
    #[arg(value_name = "INCIDENT", value_parser = incident_id)]
    incident: String,
    /// For how long: 1m to 30days, such as 2h, 90m or 3days
    #[arg(long = "for", value_name = "DURATION", value_parser = span)]
    span: SilenceSpan,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(Args, Debug)]
pub(super) struct Unsilence {
    /// The incident's ID, or the beginning of it where no other one begins so
    #[arg(value_name = "INCIDENT", value_parser = incident_id)]
    incident: String,
    #[command(flatten)]
    daemon: Daemon,
}

fn span(text: &str) -> Result<SilenceSpan, String> {
    let span = humantime::parse_duration(text).map_err(|_| "this is no duration, such as 2h".to_owned())?;
    SilenceSpan::new(span).map_err(|error| error.to_string())
}

impl Silence {
    pub(super) fn main(self, environment: &Environment) -> Exit {
        let body = SilenceBody { seconds: self.span.duration().as_secs() };
        let body = match serde_json::to_string(&body) {
            Ok(body) => body,
            Err(error) => {
                complain(&error);
                return Exit::Internal;
            }
        };
        end(ask(&self.daemon, environment, Method::PUT, &self.incident, Some(body)))
    }
}

impl Unsilence {
    pub(super) fn main(self, environment: &Environment) -> Exit {
        end(ask(&self.daemon, environment, Method::DELETE, &self.incident, None))
    }
}

fn ask(
    daemon: &Daemon,
    environment: &Environment,
    method: Method,
    incident: &str,
    body: Option<String>,
) -> Result<Silenced, AskError> {
    let line = daemon.by_socket(environment, OTHERWISE)?;
    wait(line.ask(method, &["v1", "incidents", incident, "silence"], body))
}

fn end(asked: Result<Silenced, AskError>) -> Exit {
    match asked {
        // Also where it is not on the disk: it is in force, and asking again would change nothing.
        Ok(silenced) => finish(&plain(&words(&silenced)), Exit::Good),
        Err(error) => {
            complain(&error);
            error.exit()
        }
    }
}

fn words(Silenced { incident, unwritten }: &Silenced) -> String {
    let (id, next) = (&incident.id, incident.next_reminder());
    let text = match incident.silenced_until {
        Some(until) => format!("{id}: no reminders until {until}"),
        None => format!("{id}: not silenced; the next reminder is due at {next}"),
    };
    match unwritten {
        Some(reason) => {
            format!("{text}, but that is not on the disk yet ({reason}): a restart before it is forgets it\n")
        }
        None => text + "\n",
    }
}
