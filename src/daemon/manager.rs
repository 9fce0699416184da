//! What the service manager knows, and what it has to be told after a pass of the loop.

use std::time::Duration;

use tokio::time::Instant;

use crate::system::service::{self, START, State, Told};

/// How long a service manager that does not listen is left alone.
const DEAF_PAUSE: Duration = Duration::from_secs(1);

/// The service manager, as far as it was told.
pub(super) struct Manager {
    ready: Readiness,
    told_status: String,
    /// How often its watchdog wants to be fed, and when it was.
    watchdog: Option<Duration>,
    fed: Instant,
    /// When it was last told that the start goes on.
    extended: Option<Instant>,
    /// It did not listen, and is left alone until then.
    deaf_until: Option<Instant>,
}

/// What the service manager knows of the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    /// Not every store was published yet.
    Starting,
    /// Every store was published, and the service manager has not heard of it.
    Untold,
    /// It has.
    Told,
}

impl Manager {
    /// One that knows nothing yet.
    pub(super) fn new() -> Self {
        Self {
            ready: Readiness::Starting,
            told_status: String::new(),
            watchdog: service::watchdog_interval(),
            fed: Instant::now(),
            extended: None,
            deaf_until: None,
        }
    }

    /// How often its watchdog wants to be fed; none: never.
    pub(super) const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Every store is published. Whether that is so for the first time.
    pub(super) fn started(&mut self) -> bool {
        let first = self.ready == Readiness::Starting;
        if first {
            self.ready = Readiness::Untold;
        }
        first
    }

    /// A new configuration is being loaded. Before the end of the start, the word that this is over would be taken for it.
    pub(super) fn reloading(&mut self) {
        if self.ready == Readiness::Told {
            service::tell(State::Reloading);
            self.ready = Readiness::Untold;
        }
    }

    /// A pass of the loop is complete: tells what it does not know yet. One that is too busy to listen is left alone
    /// for a while: each try may hold up the loop.
    pub(super) fn tell(&mut self, status: String) {
        if self.deaf_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.deaf_until = match self.try_tell(status) {
            Told::Yes => None,
            Told::No => Some(Instant::now() + DEAF_PAUSE),
        };
    }

    fn try_tell(&mut self, status: String) -> Told {
        // A busy loop has a thousand passes a second; the manager is spared all but the few that it needs.
        if self.watchdog.is_some_and(|interval| self.fed.elapsed() >= interval / 2) {
            if service::tell(State::Alive) == Told::No {
                return Told::No;
            }
            self.fed = Instant::now();
        }
        // Its watchdog is no guard before the end of the start: until then it is the start that must not run out.
        if self.ready == Readiness::Starting
            && self.extended.is_none_or(|extended| extended.elapsed() >= START / 4)
        {
            if service::tell(State::Starting) == Told::No {
                return Told::No;
            }
            self.extended = Some(Instant::now());
        }
        if status != self.told_status {
            if service::tell(State::Status(&status)) == Told::No {
                return Told::No;
            }
            self.told_status = status;
        }
        // Last: whoever waited for it looks at the line.
        if self.ready == Readiness::Untold {
            if service::tell(State::Ready) == Told::No {
                return Told::No;
            }
            self.ready = Readiness::Told;
        }
        Told::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_start_is_extended_well_before_it_runs_out_and_no_more_once_it_has_ended() {
        let mut manager = Manager::new();
        manager.tell(String::new());
        let first = manager.extended.unwrap();
        tokio::time::advance(START / 4 - Duration::from_millis(1)).await;
        manager.tell(String::new());
        assert_eq!(manager.extended, Some(first), "not with each pass");
        tokio::time::advance(Duration::from_millis(1)).await;
        manager.tell(String::new());
        let second = manager.extended.unwrap();
        assert_eq!(second - first, START / 4);
        assert!(manager.started() && !manager.started());
        tokio::time::advance(START).await;
        manager.tell(String::new());
        assert_eq!((manager.extended, manager.ready), (Some(second), Readiness::Told));
    }
}
