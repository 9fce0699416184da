//! The service manager: tells systemd how things stand, where it wants to know.

use std::fmt::Write as _;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use sd_notify::NotifyState;

/// How long a manager that is busy is waited for: the loop stands still meanwhile.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long a start may go on without a word. The units' `TimeoutStartSec=` is the same.
pub const START: Duration = Duration::from_secs(60);

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
    /// The same before [`State::Ready`], while nobody looks at [`State::Alive`]: the start may go on for [`START`].
    Starting,
    /// One line for people.
    Status(&'a str),
}

/// Whether the service manager was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It was, or there is none.
    Yes,
    /// It does not listen, or not now.
    No,
}

/// Tells the service manager. Without one nothing happens, and one that does not listen is not waited for:
/// it is no part of the daemon's work.
pub fn tell(state: State<'_>) -> Told {
    let told = match state {
        State::Ready => send(&[NotifyState::Ready]),
        State::Reloading => {
            NotifyState::monotonic_usec_now().and_then(|stamp| send(&[NotifyState::Reloading, stamp]))
        }
        State::Stopping => send(&[NotifyState::Stopping]),
        State::Alive => send(&[NotifyState::Watchdog]),
        State::Starting => {
            send(&[NotifyState::ExtendTimeoutUsec(u32::try_from(START.as_micros()).unwrap_or(u32::MAX))])
        }
        State::Status(text) => send(&[NotifyState::Status(text)]),
    };
    match told {
        Ok(()) => Told::Yes,
        Err(error) => {
            tracing::debug!(%error, "the service manager could not be told");
            Told::No
        }
    }
}

/// How often the service manager wants to hear [`State::Alive`]: half of its limit; none: never.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// As `sd_notify::notify`, which waits for ever when the manager's queue is full.
fn send(states: &[NotifyState<'_>]) -> io::Result<()> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let mut text = String::new();
    for state in states {
        writeln!(text, "{state}").map_err(io::Error::other)?;
    }
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.send_to(text.as_bytes(), path).map(drop)
}
