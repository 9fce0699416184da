//! Keeps an Alertmanager's picture of the open incidents true. An alert is not a message that is delivered
//! once: it is forgotten unless it is sent again, so what is sent is always how things stand.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::debug;

use crate::domain::repeats::Repeats;
use crate::domain::routing::Route;
use crate::domain::schedule::backoff;
use crate::domain::time::Now;

use super::board::Board;
use super::{Alert, Alertmanager};
use crate::alert::delivery::{DeliveryEvent, Failure, report, warn_undelivered, works_again};
use crate::alert::fault::DeliveryFault;
use crate::alert::ledger::Ledger;

/// The wait after the first failure; doubled after each further one, up to the interval of sending.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Sends the open incidents of the ledger to one Alertmanager, at each change and at each interval.
#[derive(Debug)]
pub struct Upkeep<Clock> {
    /// The channel's name in everything that is shown.
    pub name: &'static str,
    /// Where to send.
    pub alertmanager: Alertmanager,
    /// Which incidents it is told of.
    pub route: Route,
    /// Where they are.
    pub ledger: Ledger,
    /// Who counts. An event that finds no room is lost.
    pub events: mpsc::Sender<DeliveryEvent>,
    /// What time it is.
    pub clock: Clock,
}

impl<Clock: Fn() -> Now> Upkeep<Clock> {
    /// Runs until `stop` is ready. Nothing is sent while nothing is open and nothing has ended of late.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut changes = self.ledger.changes();
        let mut stop = pin!(stop);
        let mut board = Board::default();
        let (mut attempt, mut repeats) = (0_u32, Repeats::default());
        let life = self.alertmanager.life();
        loop {
            // Marked as seen before it is looked at: what changes meanwhile is seen in the next round.
            drop(changes.borrow_and_update());
            let now = (self.clock)();
            board.update(self.open(), now, life);
            let alerts = board.alerts(now.wall, life);
            let wait = if alerts.is_empty() {
                attempt = 0;
                None
            } else {
                let posted = tokio::select! {
                    biased;
                    () = &mut stop => return,
                    posted = self.alertmanager.post(&alerts) => posted,
                };
                attempt = posted.as_ref().map_or_else(|_| attempt.saturating_add(1), |()| 0);
                Some(self.outcome(posted, alerts.len(), attempt, &mut repeats))
            };
            tokio::select! {
                biased;
                () = &mut stop => return,
                // The ledger, which is ours too, keeps the other end.
                _ = changes.changed() => {}
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
        }
    }

    fn open(&self) -> impl Iterator<Item = Alert> {
        let incidents = self.ledger.load().into_iter();
        incidents
            .filter(|incident| self.route.takes(incident))
            .map(|incident| self.alertmanager.alert(&incident))
    }

    /// Tells what came of a post, and says how long to wait: never longer than the interval, whatever a member
    /// asks for, since the alerts would end at the others.
    fn outcome(
        &self,
        posted: Result<(), DeliveryFault>,
        alerts: usize,
        attempt: u32,
        repeats: &mut Repeats,
    ) -> Duration {
        let (channel, interval) = (self.name, self.alertmanager.resend_interval);
        let what = format!("{alerts} alerts");
        let (result, wait) = match posted {
            Ok(()) => {
                debug!(channel, alerts, "sent");
                works_again(channel, repeats);
                (Ok(()), interval)
            }
            Err(fault) => {
                let least = backoff(channel, attempt, FIRST_WAIT, interval);
                let wait = least.max(fault.asked_wait().unwrap_or_default()).min(interval);
                warn_undelivered(channel, None, attempt, Some(wait), &fault, repeats, (self.clock)());
                (Err(Failure { fault, attempt, wait: Some(wait) }), wait)
            }
        };
        let at = (self.clock)().wall;
        report(&self.events, DeliveryEvent { channel, message_id: what, at, result });
        wait
    }
}
