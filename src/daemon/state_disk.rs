//! Whether the disk holds what must outlive a restart, and what the log says of that.

use tracing::field::display;
use tracing::{error, info};

use crate::domain::repeats::Repeats;
use crate::domain::snapshot::StateStatus;
use crate::domain::time::Now;

/// What came of the last write.
#[derive(Debug, Default)]
pub(super) struct StateDisk {
    status: StateStatus,
    repeats: Repeats,
}

impl StateDisk {
    /// The ledger was written, or was not, and why.
    pub(super) fn wrote(&mut self, fault: Option<String>, now: Now) {
        let Some(fault) = fault else { return self.works() };
        if let Some((times, since)) = self.repeats.came("", &fault, now).count() {
            let since = since.map(display);
            error!(error = fault, times, since, "alerts are not on the disk yet, and a restart forgets them");
        }
        self.status.since.get_or_insert(now.wall);
        self.status.error = Some(fault);
    }

    fn works(&mut self) {
        let StateStatus { error, since } = std::mem::take(&mut self.status);
        if let (Some(_), Some(since)) = (error, since) {
            let times: u64 = self.repeats.works("").iter().map(|over| over.times).sum();
            info!(since = %since, times = times.max(1), "alerts are on the disk again");
        }
    }

    pub(super) fn status(&self) -> StateStatus {
        self.status.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::daemon::diary::tests::{at, logged};

    #[test]
    fn a_full_disk_is_said_once_then_ever_more_seldom_and_once_more_when_it_works() {
        let mut disk = StateDisk::default();
        let full = |disk: &mut StateDisk, second| disk.wrote(Some("no room".to_owned()), at(second));
        let lines = logged(|| {
            disk.wrote(None, at(0));
            for second in (100..2_000).step_by(10) {
                full(&mut disk, second);
            }
            let expected = StateStatus { error: Some("no room".to_owned()), since: Some(at(100).wall) };
            assert_eq!(disk.status(), expected);
            disk.wrote(None, at(2_000));
            disk.wrote(None, at(2_010));
            assert_eq!(disk.status(), StateStatus::default());
            // It was whole in between: from now on it is another one.
            full(&mut disk, 2_020);
            assert_eq!(disk.status().since, Some(at(2_020).wall));
            disk.wrote(None, at(2_030));
        });
        let line = |line: &Value| {
            let level = line["level"].as_str().unwrap().to_owned();
            (level, line["times"].as_u64(), line["since"].as_str().map(str::to_owned))
        };
        let said: Vec<_> = lines.iter().map(line).collect();
        let error = |times: Option<u64>| {
            let since = times.map(|_| at(100).wall.to_string());
            ("ERROR".to_owned(), times, since)
        };
        let info = |times, since| ("INFO".to_owned(), Some(times), Some(at(since).wall.to_string()));
        let expected = [
            error(None),
            error(Some(7)),
            error(Some(19)),
            error(Some(43)),
            error(Some(91)),
            error(Some(187)),
            info(190, 100),
            error(None),
            info(1, 2_020),
        ];
        assert_eq!(said, expected, "{lines:#?}");
        assert_eq!(lines[0]["error"], "no room");
    }
}
