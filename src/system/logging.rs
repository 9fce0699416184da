//! The log: to the journal under systemd, for people on a terminal, one JSON object a line elsewhere.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::Level;
use tracing_subscriber::filter::Targets;
#[cfg(feature = "otel")]
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use super::journal::{self, Journal};
#[cfg(feature = "otel")]
use super::traces;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
    /// Entries of systemd's journal, with fields.
    Journal,
}

impl Format {
    /// The one that fits where standard error leads: the journal, a terminal, or elsewhere.
    #[must_use]
    pub fn of_standard_error() -> Self {
        if journal::is_standard_error() {
            Self::Journal
        } else if io::stderr().is_terminal() {
            Self::Human
        } else {
            Self::Json
        }
    }
}

/// Changes the level while the process runs. Clones change the same.
#[derive(Clone, Debug)]
pub struct Levels {
    filter: reload::Handle<Targets, Registry>,
    chosen: Arc<Mutex<Chosen>>,
}

/// Which level is in force, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// What the configuration says.
    pub configured: Level,
    /// What somebody has asked for instead, and until when.
    pub meanwhile: Option<(Level, Instant)>,
}

impl Chosen {
    /// The least serious level that is written.
    #[must_use]
    pub fn level(&self) -> Level {
        self.meanwhile.map_or(self.configured, |(level, _)| level)
    }
}

impl Levels {
    /// Of no log.
    #[cfg(test)]
    pub(crate) fn of_test(level: Level) -> Self {
        let (_, filter) = reload::Layer::new(targets(level));
        Self { filter, chosen: Arc::new(Mutex::new(Chosen { configured: level, meanwhile: None })) }
    }

    /// What the configuration says now. What somebody has asked for stays in force for its time.
    pub fn configure(&self, level: Level) {
        self.choose(|chosen| chosen.configured = level);
    }

    /// From now on this level and the more serious ones are written, until then.
    pub fn set_until(&self, level: Level, until: Instant) {
        self.choose(|chosen| chosen.meanwhile = Some((level, until)));
    }

    /// What the configuration says is in force again.
    pub fn reset(&self) {
        self.choose(|chosen| chosen.meanwhile = None);
    }

    /// Which level is in force.
    #[must_use]
    pub fn chosen(&self) -> Chosen {
        *self.chosen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what was asked for, if its time is over; then the level that is in force from now on.
    #[must_use]
    pub fn turn(&self, now: Instant) -> Option<Level> {
        let is_over = self.chosen().meanwhile.is_some_and(|(_, until)| now >= until);
        is_over.then(|| {
            self.reset();
            self.chosen().level()
        })
    }

    fn choose(&self, change: impl FnOnce(&mut Chosen)) {
        let mut chosen = self.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut chosen);
        // It fails only when the subscriber is gone, and then nobody reads the log.
        let _gone = self.filter.reload(targets(chosen.level()));
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
        Format::Journal => Journal::of_system().boxed(),
    };
    #[cfg(feature = "otel")]
    let (lines, spans) = (lines.with_filter(filter_fn(|data| data.is_event())), traces::layer());
    #[cfg(feature = "otel")]
    let (spans, refused) = match spans {
        Ok(spans) => (spans.map(|spans| spans.with_filter(filter_fn(|data| data.is_span()))), None),
        Err(error) => (None, Some(error)),
    };
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    #[cfg(feature = "otel")]
    let subscriber = subscriber.with(spans);
    // A second subscriber is refused; the first one goes on.
    let _started = subscriber.try_init();
    #[cfg(feature = "otel")]
    if let Some(error) = refused {
        tracing::error!("spans are not sent, check OTEL_EXPORTER_OTLP_ENDPOINT: {error}");
    }
    let chosen = Arc::new(Mutex::new(Chosen { configured: level, meanwhile: None }));
    Levels { filter: handle, chosen }
}

/// Our own events only: libraries may put into theirs what must not be logged.
fn targets(level: Level) -> Targets {
    let targets = Targets::new().with_target("bc_secrets_sync", level);
    if cfg!(feature = "otel") { targets.with_target("traces", Level::ERROR) } else { targets }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_somebody_asks_for_ends_by_itself_and_outlives_a_new_configuration() {
        let levels = Levels::of_test(Level::INFO);
        let until = Instant::now() + Duration::from_secs(60);
        levels.set_until(Level::TRACE, until);
        levels.configure(Level::ERROR);
        assert_eq!(levels.chosen().level(), Level::TRACE);
        assert_eq!(levels.turn(until - Duration::from_millis(1)), None);
        assert_eq!(levels.turn(until), Some(Level::ERROR));
        assert_eq!((levels.turn(until), levels.chosen().level()), (None, Level::ERROR));
        levels.set_until(Level::DEBUG, until);
        levels.reset();
        assert_eq!(levels.chosen().level(), Level::ERROR);
    }
}
