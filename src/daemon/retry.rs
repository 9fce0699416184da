//! When a configuration that was refused is tried again: what it names may come later than itself.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// What belongs together often comes within seconds.
const FIRST: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_secs(30);

/// The next try, if there is one.
#[derive(Debug, Default)]
pub(super) struct Retry(Option<(Instant, Duration)>);

impl Retry {
    /// It was refused, for a reason that was not known yet.
    pub(super) fn begin(&mut self) {
        self.0 = Some((Instant::now() + FIRST, FIRST));
    }

    /// It was tried again, and refused for the same reason.
    pub(super) fn go_on(&mut self) {
        let pause = self.0.map_or(FIRST, |(_, pause)| (pause * 2).min(LONGEST));
        self.0 = Some((Instant::now() + pause, pause));
    }

    /// It is in force.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    /// Waits until it is to be tried again.
    pub(super) async fn due(&self) {
        match self.0 {
            Some((due, _)) => sleep_until(due).await,
            None => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_is_tried_soon_and_then_every_half_minute_until_it_is_in_force() {
        let mut retry = Retry::default();
        retry.begin();
        let mut waited = Vec::new();
        for _ in 0..5 {
            let begun = Instant::now();
            retry.due().await;
            waited.push(begun.elapsed().as_secs());
            retry.go_on();
        }
        assert_eq!(waited, [3, 6, 12, 24, 30]);
        retry.begin();
        let begun = Instant::now();
        retry.due().await;
        assert_eq!(begun.elapsed().as_secs(), 3, "another reason begins anew");
        retry.end();
        assert!(tokio::time::timeout(LONGEST * 10, retry.due()).await.is_err());
    }
}
