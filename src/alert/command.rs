//! One message to a command of the operator's: JSON on its standard input, and 0 means delivered.

use std::ffi::OsString;
use std::time::Duration;

use crate::config;
use crate::domain::incident::Message;
use crate::system::command::{self, Failure, Job};

use super::body::Body;
use super::client::json;
use super::fault::DeliveryFault;

/// A command.
#[derive(Debug)]
pub struct Command {
    argv: Vec<String>,
    timeout: Duration,
    inherited: Vec<(String, OsString)>,
}

impl Command {
    /// Takes the command as it is configured. Runs nothing.
    #[must_use]
    pub fn new(config: &config::AlertCommand) -> Self {
        let inherited = command::inherited(&["PATH"]);
        Self { argv: config.argv.clone(), timeout: config.timeout, inherited }
    }

    /// Runs the command once, in a process group of its own and without a shell. Its environment has `PATH`
    /// and what tells of the message, and nothing else of ours. When its time is up, or when nobody waits for
    /// it any more, the group is killed.
    ///
    /// # Errors
    /// It could not be started, did not end in time, or did not end with 0.
    pub async fn deliver(&self, message: &Message) -> Result<(), DeliveryFault> {
        let (program, arguments) = self
            .argv
            .split_first()
            .ok_or_else(|| DeliveryFault::Command("alerts.command.argv is empty".to_owned()))?;
        let body = json(&Body::of(message))?;
        let incident = &message.incident;
        let variables = [
            ("KIND", message.kind.label()),
            ("STORE", incident.store.as_deref().unwrap_or_default()),
            ("CAUSE", incident.cause.label()),
            ("SEVERITY", incident.severity.label()),
            ("INCIDENT", incident.id.as_str()),
        ];
        let variables =
            variables.map(|(name, value)| (format!("BC_SECRETS_SYNC_{name}"), OsString::from(value)));
        let environment: Vec<_> = self.inherited.iter().cloned().chain(variables).collect();
        let job = Job { program, arguments, environment: &environment, input: &body, timeout: self.timeout };
        let fault = match command::run(&job).await {
            Ok(ended) if ended.status.success() => return Ok(()),
            Ok(ended) => {
                format!("{program} of alerts.command ended with {}{}", ended.status, said(&ended.words))
            }
            Err(Failure::Start(error)) => format!("cannot start {program} of alerts.command.argv: {error}"),
            Err(Failure::Wait(error)) => format!("cannot wait for {program} of alerts.command: {error}"),
            Err(Failure::Late(words)) => format!(
                "{program} of alerts.command did not end within {:?} and was killed{}",
                self.timeout,
                said(&words)
            ),
        };
        Err(DeliveryFault::Command(fault))
    }
}

/// What goes behind an error.
fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

#[cfg(test)]
mod tests;
