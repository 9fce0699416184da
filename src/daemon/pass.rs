//! A single pass: read, verify, publish, tell the apps, and say what it came to.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::config::Config;
use crate::domain::engine::{About, Engine, Event, FirstCheck, Outcome};
use crate::domain::snapshot::Snapshot;
use crate::publish::claim::Claim;
use crate::publish::key;
use crate::system::blocking;
use crate::system::clock::Clock;
use crate::system::signals::{Signals, Wish};

use super::adapters::{Adapters, now};
use super::error::DaemonError;
use super::live::FINISH_LIMIT;
use super::restock::{restock, take_stock};
use super::settings::{mounts, settings, stores};
use super::work::Work;

/// A pass that never settles ends after this much time, on top of what it was told to wait.
const LIMIT: Duration = Duration::from_secs(120);

/// What a single pass came to.
#[derive(Debug)]
pub struct Pass {
    /// The most serious outcome of all stores; none: it was interrupted.
    pub outcome: Option<Outcome>,
    /// How everything stands at its end.
    pub snapshot: Snapshot,
}

/// Makes one pass. Outcomes that may change by themselves (an unavailable Vault, an inconclusive answer) are
/// waited for as long as `wait`; whatever is good, or will not change by itself, ends the pass at once.
///
/// # Errors
/// It could not start, or a part of it failed.
pub async fn once(mut config: Config, wait: Duration, clock: Clock) -> Result<Pass, DaemonError> {
    let mut signals = Signals::listen().map_err(DaemonError::Signals)?;
    config = take_stock(config).await;
    let state = config.state.directory.clone();
    let key = blocking::run(move || key::load_or_create(&state)).await.map_err(DaemonError::Key)?;
    let key = Arc::new(key);
    let adapters = Adapters::build(&config, key.clone())?;
    let output = config.output.directory.clone();
    let claim = blocking::run(move || Claim::take(&output)).await.map_err(DaemonError::Output)?;
    let specs = stores(&config, &adapters.noted);
    let engine = Engine::new(settings(&config, FirstCheck::AtOnce), specs, key, Vec::new(), now(&clock));
    let mut work = Work::new(engine, adapters, &config, clock);
    let patience = Instant::now() + wait;
    let limit = patience + LIMIT;
    let mut event = Event::Tick;
    let outcome = loop {
        // Incidents are the daemon's: a single pass tells what it found by its exit code.
        while let Some(found) = work.handle(event).restock {
            event = restock(&mut config, &mut work, found).await;
        }
        work.start();
        match work.engine.outcome() {
            Some(outcome) if !may_change(outcome) || Instant::now() >= patience => break Some(outcome),
            Some(_) | None => {}
        }
        let due = clock.instant_at(work.engine.next_deadline().as_millis());
        event = tokio::select! {
            event = work.next() => event?,
            () = sleep_until(due.min(limit)) => Event::Tick,
            () = sleep_until(patience), if Instant::now() < patience => Event::Tick,
            signal = signals.next() => {
                if signal.wish == Wish::Stop {
                    tracing::info!(origin = signal.origin, "stopping before the pass has ended");
                    break None;
                }
                Event::Tick
            }
        };
        if Instant::now() >= limit {
            break Some(work.engine.outcome().unwrap_or(Outcome::Inconclusive));
        }
    };
    work.finish(FINISH_LIMIT, &mut Vec::new()).await;
    drop(claim);
    if config.vault.revoke_token_on_exit {
        work.adapters.vault.revoke().await;
    }
    let mounts = mounts(&config, &work.adapters.vault);
    let about = About { version: env!("CARGO_PKG_VERSION"), mounts, ..About::default() };
    Ok(Pass { outcome, snapshot: work.engine.snapshot(about, now(&clock)) })
}

const fn may_change(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Untold | Outcome::Inconclusive | Outcome::SourceUnavailable => true,
        Outcome::Good
        | Outcome::LoginRefused
        | Outcome::SecretUnusable
        | Outcome::Rejected
        | Outcome::PublishFailed => false,
    }
}
