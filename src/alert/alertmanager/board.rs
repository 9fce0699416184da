//! What an Alertmanager should know now: the open alerts, and for a while those that are over.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::time::{Instant, Now, Timestamp};

use super::{Alert, Labels};

/// How long the end of an alert is told again, at least, so that one that was missed heals.
const AFTERGLOW: Duration = Duration::from_secs(5 * 60);

/// The alerts that are sent, by their labels.
#[derive(Debug, Default)]
pub(super) struct Board {
    open: BTreeMap<Labels, Alert>,
    over: BTreeMap<Labels, Over>,
}

#[derive(Debug)]
struct Over {
    alert: Alert,
    noticed: Instant,
    ended_at: Timestamp,
}

impl Board {
    /// Takes over what is open now. What was open and is not any more is over from now on; an alert whose
    /// labels have changed, such as its severity, is over too, and another one is open. `life` is how long an
    /// alert lives without being sent again.
    pub(super) fn update(&mut self, open: impl Iterator<Item = Alert>, now: Now, life: Duration) {
        let open: BTreeMap<Labels, Alert> = open.map(|alert| (alert.labels.clone(), alert)).collect();
        for (labels, alert) in std::mem::take(&mut self.open) {
            self.over.insert(labels, Over { alert, noticed: now.instant, ended_at: now.wall });
        }
        // A receiver that heard nothing for that long has let go of it by itself.
        let afterglow = AFTERGLOW.max(life);
        self.over
            .retain(|labels, over| !open.contains_key(labels) && now.instant.since(over.noticed) < afterglow);
        self.open = open;
    }

    /// Everything to be sent now.
    pub(super) fn alerts(&self, now: Timestamp, life: Duration) -> Vec<Alert> {
        let open = self.open.values().map(|alert| alert.clone().until(now.plus(life)));
        // Where the clock was put back since, it would be open again until then.
        let over = self.over.values().map(|over| over.alert.clone().until(over.ended_at.min(now)));
        open.chain(over).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_alert_that_is_over_stays_over_when_the_clock_is_put_back() {
        let at = |hours: u64| Now {
            instant: Instant::from_millis(hours * 3_600_000),
            wall: Timestamp::from_millis(hours * 3_600_000),
        };
        let started = at(100).wall;
        let alert = Alert {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            starts_at: started,
            ends_at: started,
        };
        let (mut board, life) = (Board::default(), Duration::from_secs(60));
        board.update(std::iter::once(alert), at(100), life);
        board.update(std::iter::empty(), at(101), life);
        assert_eq!(board.alerts(at(101).wall, life)[0].ends_at, at(101).wall);
        assert_eq!(board.alerts(at(77).wall, life)[0].ends_at, at(77).wall, "a day back");
    }
}
