//! The service manager: tells systemd how things stand, where it wants to know.

use std::time::Duration;

use sd_notify::NotifyState;

/// How things stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State<'a> {
    /// Every store is published.
    Ready,
    /// A new configuration is being loaded.
    Reloading,
    /// The daemon is stopping.
    Stopping,
    /// The loop has completed a pass.
    Alive,
    /// One line for people.
    Status(&'a str),
}

/// Tells the service manager. Without one, or when it does not listen, nothing happens: it is no part of the
/// daemon's work.
pub fn tell(state: State<'_>) {
    let told = match state {
        State::Ready => sd_notify::notify(&[NotifyState::Ready]),
        State::Reloading => NotifyState::monotonic_usec_now()
            .and_then(|stamp| sd_notify::notify(&[NotifyState::Reloading, stamp])),
        State::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        State::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
        State::Status(text) => sd_notify::notify(&[NotifyState::Status(text)]),
    };
    if let Err(error) = told {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// How often the service manager wants to hear [`State::Alive`]: half of its limit; none: never.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}
