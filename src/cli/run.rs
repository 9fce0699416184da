//! `run`: the daemon, or a single pass of it.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::config::{Config, Environment, LogFormat};
use crate::daemon::{self, DaemonError, Start};
use crate::system::clock::Clock;
use crate::system::hardening;
use crate::system::logging::{self, Format, Levels};

use super::output::complain;
use super::{ConfigFile, Exit, runtime};

#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    file: ConfigFile,
    /// Make a single pass, then exit
    #[arg(long)]
    one_time: bool,
    /// With --one-time: how long to wait for a Vault that is unavailable or a store that cannot tell
    #[arg(long, value_name = "DURATION", default_value = "0s", requires = "one_time", value_parser = humantime::parse_duration)]
    wait: Duration,
}

impl Run {
    pub(super) fn main(self, environment: &Arc<Environment>) -> Exit {
        let clock = Clock::start();
        let config = match self.file.load(environment) {
            Ok(config) => config,
            Err(error) => {
                complain(&error);
                return Exit::Usage;
            }
        };
        let levels = start_log(&config);
        for undone in hardening::harden() {
            tracing::warn!("{undone}");
        }
        // Each probe may hold a thread in the system's resolver; the disk must not wait for it.
        let runtime = match runtime(config.check.concurrency + 8) {
            Ok(runtime) => runtime,
            Err(error) => {
                complain(&error);
                return Exit::Internal;
            }
        };
        let ended = if self.one_time {
            runtime.block_on(one_time(config, self.wait, clock))
        } else {
            let path = self.file.path().to_owned();
            let start = Start { config, path, environment: environment.clone(), clock, levels };
            runtime.block_on(daemon::run(start)).map(|()| Exit::Good)
        };
        // What still hangs in a resolver must not hold up the end.
        runtime.shutdown_background();
        ended.unwrap_or_else(|error| {
            complain(&error);
            Exit::from(&error)
        })
    }
}

async fn one_time(config: Config, wait: Duration, clock: Clock) -> Result<Exit, DaemonError> {
    let pass = daemon::once(config, wait, clock).await?;
    for store in &pass.snapshot.stores {
        let state = store.state.label();
        tracing::info!(store = %store.name, state, "{}", store.detail);
    }
    if let Some(error) = &pass.snapshot.source.error {
        tracing::error!("Vault: {error}");
    }
    Ok(pass.outcome.map_or(Exit::Inconclusive, Exit::from))
}

fn start_log(config: &Config) -> Levels {
    let format = match config.log.format {
        LogFormat::Auto => Format::of_terminal(),
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    };
    logging::start(config.log.level, format)
}
