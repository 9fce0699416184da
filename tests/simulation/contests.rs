//! Whoever changes published files again and again, and whoever puts an old generation back: what the daemon makes of
//! them.

use bc_secrets_sync::domain::engine::Settings;
use bc_secrets_sync::domain::publication::Published;

use crate::mischief::Deed;
use crate::places::{Account, Content};
use crate::plan::{HOUR, MINUTE, SECOND, millis};
use crate::simulation::{Occurrence, Simulation};
use crate::watch::{StoreFacts, Violation, ensure};

/// So many restorations in a row are nobody's contest.
const FEW: u32 = 10;
/// Files that were left alone for so long are left alone.
const QUIET: u64 = 10 * MINUTE;
/// How many restorations there are in an hour, whoever contests the files: a few at once, then ever fewer.
const HOURLY: u64 = 120;

/// What is known of the published files of a store, in one life.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contest {
    /// The number of the newest generation.
    newest: Option<u64>,
    /// When they were found changed or restored last.
    latest: Option<u64>,
    /// Restorations in a row, counted generously; and those that came closely one after the other.
    pub(crate) row: u32,
    close: u32,
    restored: Option<u64>,
    /// Restorations in this hour.
    hourly: u64,
}

impl StoreFacts {
    /// A set was published, which may have been published before.
    pub(crate) fn contest_published(&mut self, generation: u64, key: u64, time: u64) {
        let (again, withdrawn) = (self.published == Some(key), self.withdrawn_at.is_some());
        let contest = &mut self.contest;
        contest.newest = Some(generation);
        contest.row += u32::from(again);
        if again && !withdrawn {
            let close = contest.restored.is_some_and(|before| time < before + 5 * MINUTE);
            contest.close = if close { contest.close + 1 } else { 1 };
            contest.hourly += 1;
            (contest.restored, contest.latest) = (Some(time), Some(time));
        }
    }

    /// A whole set was found. Whether it is from before the newest, and so is not taken for what is published.
    pub(crate) fn contest_found(&mut self, generation: u64) -> bool {
        let known = self.contest.newest.filter(|_| self.withdrawn_at.is_none() && self.published.is_some());
        let older = known.is_some_and(|newest| generation < newest);
        if !older {
            self.contest.newest = Some(generation);
        }
        older
    }

    /// No set was found.
    pub(crate) fn contest_damaged(&mut self, settings: &Settings, time: u64) {
        let quiet = QUIET.max(2 * millis(settings.poll_interval));
        // The daemon may have seen damage that was gone when it was restored.
        if self.contest.latest.is_some_and(|latest| time > latest + 2 * quiet) {
            self.contest.row = 0;
        }
        self.contest.latest = Some(time);
    }

    /// Whether somebody contests the files.
    pub(crate) const fn is_contested(&self) -> bool {
        self.contest.row > FEW
    }

    /// Whether nobody can deny it.
    pub(crate) fn is_plainly_contested(&self, time: u64) -> bool {
        self.contest.close > FEW + 2 && self.contest.restored.is_some_and(|latest| time < latest + QUIET)
    }

    /// Whether the files may have been left alone since.
    pub(crate) fn is_left_alone(&self, life_began: u64, time: u64) -> bool {
        time >= self.contest.latest.unwrap_or(life_began) + QUIET
    }

    /// Every hour: whatever anybody does, there are not too many restorations.
    pub(crate) fn restorations_are_bounded(&mut self, name: &str) -> Result<(), Violation> {
        let hourly = std::mem::take(&mut self.contest.hourly);
        // A new configuration, or a wish to check now, has the next come at once.
        let most = HOURLY + 20 * self.occasions;
        ensure(hourly <= most, "restorations_are_bounded", Some(name), || format!("{hourly} in an hour"))
    }
}

impl Simulation {
    /// Something happens to the directory of a store.
    pub(crate) fn trouble_on_the_disk(&mut self, at: usize) {
        let what = self.random.below(6);
        self.note(Some(at), || format!("the disk: trouble number {what}"));
        self.watch.stores[at].occasions += 1;
        let until = self.until(Some(at), 6 * HOUR);
        self.touch(at);
        let disk = &mut self.disks[at];
        match what {
            0 => disk.content = Content::Nothing,
            1 => disk.content = Content::Damaged,
            2 => disk.unwritable_until = until,
            3 => disk.unreadable_until = until,
            4 => {
                disk.contested_until = until;
                disk.content = Content::Damaged;
            }
            _ => {
                let past = self.random.below(disk.past.len().max(1) as u64);
                if let Some(old) = disk.past.get(usize::try_from(past).unwrap()).cloned() {
                    let credentials = Account::of(&old.credentials).credentials();
                    disk.content = Content::Whole(Published { credentials, ..old });
                }
            }
        }
    }

    /// Whoever contests the files damages them once more.
    pub(crate) fn damage(&mut self, at: usize) -> Result<(), Violation> {
        if self.calm || self.disks[at].published().is_none() {
            return Ok(());
        }
        self.disks[at].content = Content::Damaged;
        self.unsettle(at);
        self.disturb(Some(at), 0)
    }

    /// Something was published, where somebody may contest it.
    pub(crate) fn will_be_damaged(&mut self, at: usize) {
        if self.time < self.disks[at].contested_until {
            let wait = self.random.between(1, 3 * SECOND);
            self.after(wait, Occurrence::Deed(Deed::Damage(at)));
        }
    }
}
