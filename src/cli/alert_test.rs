//! `alert-test`: sends a test through every channel, and says what came back.

use clap::Args;
use tokio::task::JoinSet;

use crate::alert::channel::{Outlet, outlets};
use crate::alert::fault::DeliveryFault;
use crate::config::Environment;
use crate::domain::incident::Message;
use crate::domain::time::Timestamp;
use crate::system::clock::Clock;
use crate::system::hardening;

use super::output::{complain, finish, table};
use super::{ConfigFile, Exit, runtime};

#[derive(Args, Debug)]
pub(super) struct AlertTest {
    #[command(flatten)]
    file: ConfigFile,
    /// Test this channel only: webhook, slack, pagerduty, alertmanager, kubernetes or command
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
}

/// Why nothing was tested.
#[derive(Debug, thiserror::Error)]
enum Nothing {
    #[error("no channel is configured: incidents are only in the log, the metrics and the status")]
    Configured,
    #[error("there is no channel of that name; configured: {0}")]
    Named(String),
}

impl AlertTest {
    pub(super) fn main(self, environment: &Environment) -> Exit {
        let config = match self.file.load(environment) {
            Ok(config) => config,
            Err(error) => {
                complain(&error);
                return Exit::Usage;
            }
        };
        let prepared = match outlets(&config.alerts) {
            Ok(outlets) => outlets,
            Err(error) => {
                complain(&error);
                return Exit::Usage;
            }
        };
        let chosen = match self.choose(prepared) {
            Ok(outlets) => outlets,
            Err(error) => {
                complain(&error);
                return Exit::Usage;
            }
        };
        // Nothing to be done about what could not be done: this command ends at once.
        let _undone = hardening::harden();
        let runtime = match runtime(8) {
            Ok(runtime) => runtime,
            Err(error) => {
                complain(&error);
                return Exit::Internal;
            }
        };
        let exit = runtime.block_on(test(chosen));
        runtime.shutdown_background();
        exit
    }

    fn choose(&self, outlets: Vec<Outlet>) -> Result<Vec<Outlet>, Nothing> {
        if outlets.is_empty() {
            return Err(Nothing::Configured);
        }
        let Some(name) = &self.channel else { return Ok(outlets) };
        let names: Vec<&str> = outlets.iter().map(|outlet| outlet.name).collect();
        if !names.contains(&name.as_str()) {
            return Err(Nothing::Named(names.join(", ")));
        }
        Ok(outlets.into_iter().filter(|outlet| outlet.name == name).collect())
    }
}

async fn test(outlets: Vec<Outlet>) -> Exit {
    let now = Timestamp::from(Clock::start().wall());
    let mut tries = JoinSet::new();
    for (at, outlet) in outlets.into_iter().enumerate() {
        tries.spawn(async move {
            let outcome = try_out(&outlet, now).await;
            (at, outlet.name, outcome)
        });
    }
    let mut tries = tries.join_all().await;
    tries.sort_by_key(|(at, ..)| *at);
    let rows: Vec<Vec<String>> = tries
        .iter()
        .map(|(_, name, outcome)| {
            let (result, detail) = match outcome {
                Ok(detail) => ("delivered", (*detail).to_owned()),
                Err(fault) => ("failed", fault.to_string()),
            };
            vec![(*name).to_owned(), result.to_owned(), detail]
        })
        .collect();
    let all = tries.iter().all(|(_, _, outcome)| outcome.is_ok());
    let exit = if all { Exit::Good } else { Exit::AlertFailed };
    finish(&table(&["CHANNEL", "RESULT", "DETAIL"], &rows), exit)
}

/// Sends the test, and its end where somebody waits for it.
async fn try_out(outlet: &Outlet, now: Timestamp) -> Result<&'static str, DeliveryFault> {
    let [opened, resolved] = Message::of_test(now);
    outlet.channel.deliver(&opened, now).await?;
    if !outlet.channel.remembers() {
        return Ok("the test was taken");
    }
    outlet.channel.deliver(&resolved, now).await?;
    Ok("the test and its end were taken")
}
