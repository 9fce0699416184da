//! Signals as a stream of wishes, each with who sent it.

use std::io;
use std::pin::Pin;

use futures_core::Stream;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook_tokio::SignalsInfo;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// SIGTERM or SIGINT: stop cleanly.
    Stop,
    /// SIGHUP: load the configuration anew.
    Reload,
    /// SIGUSR1: check every store now.
    CheckNow,
}

/// A signal that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// What it asks for.
    pub wish: Wish,
    /// Its name and its sender, for the log.
    pub origin: String,
}

/// The signals of this process, from the moment that this was made.
pub struct Signals(SignalsInfo<WithOrigin>);

impl Signals {
    /// Takes the signals over from their default actions.
    ///
    /// # Errors
    /// When the operating system refuses the handlers.
    pub fn listen() -> io::Result<Self> {
        SignalsInfo::with_exfiltrator([SIGTERM, SIGINT, SIGHUP, SIGUSR1], WithOrigin::default()).map(Self)
    }

    /// The next signal. Waits for ever when none comes.
    pub async fn next(&mut self) -> Signal {
        loop {
            let next = std::future::poll_fn(|context| Pin::new(&mut self.0).poll_next(context)).await;
            let Some(origin) = next else { std::future::pending().await };
            let (wish, name) = match origin.signal {
                SIGTERM => (Wish::Stop, "SIGTERM"),
                SIGINT => (Wish::Stop, "SIGINT"),
                SIGHUP => (Wish::Reload, "SIGHUP"),
                SIGUSR1 => (Wish::CheckNow, "SIGUSR1"),
                _ => continue,
            };
            let sender = origin.process.map_or_else(
                || "the kernel".to_owned(),
                |process| format!("process {} of user {}", process.pid, process.uid),
            );
            return Signal { wish, origin: format!("{name} from {sender}") };
        }
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Signals")
    }
}
