//! Who touches published files, and apps that say what they run on; and what the daemon makes of both.

use std::time::Duration;

use bc_secrets_sync::domain::engine::{AcknowledgeOutcome, Acknowledging, Event, Reply, Request};
use bc_secrets_sync::domain::publication::Sign;

use crate::mischief::Deed;
use crate::plan::{DAY, HOUR, MINUTE, SECOND};
use crate::simulation::{Occurrence, Simulation};
use crate::watch::{Violation, ensure};

/// How long an app may say nothing.
pub(crate) const WITHIN: Duration = Duration::from_secs(2 * 3600);
/// How long a look may take to come: other work on the disk is slow.
const LOOKED_AT_WITHIN: u64 = 25 * MINUTE;

/// When a disk is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Looks {
    /// The last two.
    last: [Option<u64>; 2],
    /// Something else than the files asked for a look since.
    pub(crate) excused: bool,
    disturbed_since: Option<u64>,
}

impl Looks {
    /// The daemon looks; files that are touched make it do so once a second at the most, and its turn may come then.
    pub(crate) fn begin(&mut self, name: &str, time: u64) -> Result<(), Violation> {
        let last = self.last;
        self.last = [last[1], Some(time)];
        let excused = std::mem::take(&mut self.excused);
        self.disturbed_since = None;
        let rare = excused || last[0].is_none_or(|last| time >= last + SECOND);
        ensure(rare, "looks_are_bounded", Some(name), || format!("after {last:?}"))
    }
}

/// Whether the app of this store says what it runs on.
pub(crate) const fn acknowledges(at: usize) -> bool {
    at.is_multiple_of(4)
}

impl Simulation {
    /// Somebody touches the files of a store, or of all, and so many times more.
    pub(crate) fn disturb(&mut self, at: Option<usize>, times: u64) -> Result<(), Violation> {
        if times > 0 {
            let wait = self.random.between(1, 40);
            self.after(wait, Occurrence::Deed(Deed::Disturb(at, times - 1)));
        }
        let time = self.time;
        for (store, facts) in self.watch.stores.iter_mut().enumerate() {
            let theirs = at.is_none_or(|at| at == store) && self.places[store].is_some();
            if theirs && self.engine.is_some() {
                facts.looks.disturbed_since.get_or_insert(time);
            }
        }
        let store = at.map(|at| self.names[at].clone());
        self.handle(Event::Disturbed { store })
    }

    /// Whatever was touched is looked at long before its turn.
    pub(crate) fn touched_files_are_looked_at(&self) -> Result<(), Violation> {
        for (at, facts) in self.watch.stores.iter().enumerate() {
            let since = facts.looks.disturbed_since.filter(|_| self.engine.is_some());
            let soon = since.is_none_or(|since| self.time <= since + LOOKED_AT_WITHIN);
            ensure(soon, "touched_files_are_looked_at", Some(self.names[at].as_str()), || {
                format!("touched {} s ago", (self.time - since.unwrap_or_default()) / SECOND)
            })?;
        }
        Ok(())
    }

    /// The app was told, and will say so, if it does not forget.
    pub(crate) fn will_acknowledge(&mut self, at: usize) {
        if acknowledges(at) && (self.calm || !self.random.once_in(6)) {
            let wait = if self.calm { SECOND } else { self.random.wait(SECOND, DAY) };
            self.after(wait, Occurrence::Deed(Deed::Acknowledge(at)));
        }
    }

    /// An app says what it runs on, or something else; when all is calm it goes on saying so.
    pub(crate) fn acknowledge(&mut self, at: usize) -> Result<(), Violation> {
        if self.calm {
            self.after(10 * MINUTE, Occurrence::Deed(Deed::Acknowledge(at)));
        }
        let Some(number) = self.disks[at].published().map(|published| published.stamp.generation) else {
            return Ok(());
        };
        let now = self.now().wall;
        // A clock that was set back makes a file look older than what it acknowledges.
        let way = if self.calm { 0 } else { self.random.below(8) };
        let generation = match way {
            0..4 => number,
            4 => number.saturating_sub(1),
            5 => number + 1,
            _ => {
                let touched = Sign::Touched(now);
                self.apps[at].sign = if way == 6 { touched } else { Sign::Number(number, now) };
                return self.disturb(Some(at), 0);
            }
        };
        let store = self.names[at].clone();
        self.handle(Event::Asked(Request::Acknowledge { store, generation }))
    }

    /// Only what is published is taken as acknowledged, and whatever else is said is called what it is.
    pub(crate) fn is_rightly_acknowledged(&self, at: usize, number: u64, reply: &Reply) -> bool {
        let Reply::Acknowledging(Acknowledging { outcome, published_generation, acknowledged_at, .. }) =
            reply
        else {
            return self.places[at].is_none() && *reply == Reply::UnknownStore;
        };
        let published = published_generation.unwrap_or_default();
        acknowledged_at.is_some() == (*outcome == AcknowledgeOutcome::Acknowledged)
            && match outcome {
                AcknowledgeOutcome::Acknowledged => number <= published,
                AcknowledgeOutcome::Superseded => number < published,
                AcknowledgeOutcome::Unknown => number > published,
                AcknowledgeOutcome::NothingPublished => published_generation.is_none(),
                AcknowledgeOutcome::NotConfigured => !acknowledges(at),
            }
    }

    /// Whoever damages files touches them; now and then it is somebody who does so all the time.
    pub(crate) fn touch(&mut self, at: usize) {
        let times = if self.random.once_in(10) { 200 } else { 0 };
        let wait = self.random.between(1, SECOND);
        // Not every file system tells.
        if !self.random.once_in(3) {
            let whose = (!self.random.once_in(5)).then_some(at);
            self.after(wait, Occurrence::Deed(Deed::Disturb(whose, times)));
        }
        if self.random.once_in(4) {
            let wait = self.random.between(1, HOUR);
            self.after(wait, Occurrence::Deed(Deed::Disturb(Some(at), 3)));
        }
    }
}
