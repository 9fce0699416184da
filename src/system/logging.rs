//! The log: to standard error, for people on a terminal, one JSON object a line elsewhere.

use std::io::{self, IsTerminal};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl Format {
    /// For people on a terminal, JSON elsewhere.
    #[must_use]
    pub fn of_terminal() -> Self {
        if io::stderr().is_terminal() { Self::Human } else { Self::Json }
    }
}

/// Changes the level while the process runs.
#[derive(Clone, Debug)]
pub struct Levels(reload::Handle<Targets, Registry>);

impl Levels {
    /// From now on this level and the more serious ones are written.
    pub fn set(&self, level: Level) {
        // It fails only when the subscriber is gone, and then nobody reads the log.
        let _gone = self.0.reload(targets(level));
    }
}

/// Starts to write the log. Only the first call has an effect.
pub fn start(level: Level, format: Format) -> Levels {
    let (filter, handle) = reload::Layer::new(targets(level));
    let lines = match format {
        Format::Human => {
            let colours =
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
            fmt::layer().with_writer(io::stderr).with_ansi(colours).with_target(false).boxed()
        }
        Format::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(io::stderr)
            .boxed(),
    };
    // A second subscriber is refused; the first one goes on.
    let _started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Levels(handle)
}

/// Our own events only: libraries may put into theirs what must not be logged.
fn targets(level: Level) -> Targets {
    Targets::new().with_target("bc_secrets_sync", level)
}
