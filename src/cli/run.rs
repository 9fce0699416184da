//! `run`: the daemon, or a single pass of it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tracing::Level;

use crate::config::{Config, Environment, LogFormat, MAX_FILE_SIZE};
use crate::daemon::{self, DaemonError, Start};
use crate::system::clock::Clock;
use crate::system::errors::chain;
use crate::system::files::Known;
use crate::system::logging::{self, Format};
#[cfg(feature = "otel")]
use crate::system::traces;
use crate::system::{hardening, names};

use super::output::complain;
use super::{ConfigFile, Exit, runtime};

/// How long a single pass may be told to wait: longer than anybody does, and no clock overflows.
const LONGEST_WAIT: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    file: ConfigFile,
    /// Make a single pass, then exit
    #[arg(long)]
    one_time: bool,
    /// With --one-time: how long to wait for a Vault that is unavailable or a store that cannot tell
    #[arg(long, value_name = "DURATION", default_value = "0s", requires = "one_time", value_parser = patience)]
    wait: Duration,
    /// With --one-time: tell no app; for an init container, where the app does not run yet
    #[arg(long, requires = "one_time")]
    no_reload: bool,
}

impl Run {
    pub(super) fn main(self, environment: &Arc<Environment>) -> Exit {
        let clock = Clock::start();
        // Before it is loaded: a change meanwhile is one that the daemon has to see.
        let known = Known::look(self.file.path(), MAX_FILE_SIZE);
        let config = match self.file.load(environment) {
            Ok(config) => config,
            Err(error) => {
                // How the log looks is said in what could not be loaded.
                let format = Format::of_standard_error();
                logging::start(Level::INFO, format);
                fail(&error, format);
                return Exit::Usage;
            }
        };
        let format = format(&config);
        let undone = hardening::harden();
        let config = self.told(config);
        // While there is one thread: others would stay outside, and the log may have one, for spans.
        let confined = daemon::confine(&config, self.file.path());
        let levels = logging::start(config.log.level, format);
        for undone in undone {
            tracing::warn!("{undone}");
        }
        let confinement = match confined {
            Ok(confinement) => confinement,
            Err(error) => {
                fail(&error, format);
                return Exit::from(&error);
            }
        };
        confinement.tell();
        // Lookups of names may hold all of their threads for long, and each hook one; the disk has its own.
        let runtime = match runtime(names::threads(config.check.concurrency) + daemon::HOOK_LIMIT + 8) {
            Ok(runtime) => runtime,
            Err(error) => {
                fail(&error, format);
                return Exit::Internal;
            }
        };
        #[cfg(feature = "otel")]
        traces::send_by(runtime.handle());
        let ended = if self.one_time {
            runtime.block_on(one_time(config, self.wait, clock))
        } else {
            let start = Start {
                config,
                path: self.file.path().to_owned(),
                known,
                environment: environment.clone(),
                clock,
                levels,
                confinement,
            };
            runtime.block_on(daemon::run(start)).map(|()| Exit::Good)
        };
        #[cfg(feature = "otel")]
        runtime.block_on(traces::close());
        // What still hangs in a resolver must not hold up the end.
        runtime.shutdown_background();
        ended.unwrap_or_else(|error| {
            fail(&error, format);
            Exit::from(&error)
        })
    }

    /// The configuration of a single pass: without hooks where no app is to be told.
    fn told(&self, mut config: Config) -> Config {
        if self.no_reload {
            config.stores.iter_mut().for_each(|store| store.reload = None);
            config.discover.iter_mut().for_each(|discover| discover.reload = None);
        }
        config
    }
}

/// A time to wait that the clock can be set to.
fn patience(text: &str) -> Result<Duration, String> {
    let wait =
        humantime::parse_duration(text).map_err(|_| "this is no duration, such as 30s or 5m".to_owned())?;
    if wait > LONGEST_WAIT {
        return Err("a single pass waits for 7 days at most".to_owned());
    }
    Ok(wait)
}

async fn one_time(config: Config, wait: Duration, clock: Clock) -> Result<Exit, DaemonError> {
    let pass = daemon::once(config, wait, clock).await?;
    for store in &pass.snapshot.stores {
        let state = store.state.label();
        tracing::info!(store = %store.name, state, "{}", store.detail);
        if store.reload.as_ref().is_some_and(|reload| reload.pending && reload.error.is_some()) {
            tracing::warn!(
                store = %store.name,
                "the app was not told; the next run tells it again. In an init container, where the app does not run \
                 yet, use --no-reload"
            );
        }
    }
    if let Some(error) = &pass.snapshot.source.error {
        tracing::error!("Vault: {error}");
    }
    Ok(pass.outcome.map_or(Exit::Inconclusive, Exit::from))
}

fn format(config: &Config) -> Format {
    match config.log.format {
        LogFormat::Auto => Format::of_standard_error(),
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
        LogFormat::Journal => Format::Journal,
    }
}

/// Says why the end has come. Where the log is for programs, they read this too: one object for each problem.
fn fail(error: &dyn Error, format: Format) {
    match format {
        Format::Human => complain(error),
        Format::Json | Format::Journal => {
            for problem in chain(error).lines() {
                tracing::error!("{problem}");
            }
        }
    }
}
