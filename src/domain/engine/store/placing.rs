//! A store's disk: whether what is published is where, and as, the configuration in force wants it.

use super::super::Context;
use super::{Disk, Store};
use crate::domain::incident::Severity;
use crate::domain::publication::{OnDisk, Output, Published};

/// What a new configuration, or a start, leaves open about the place. What differs from it then is nobody's damage.
#[derive(Debug, Default)]
pub(super) struct Placing {
    /// The output directory is another one than that in which the last good set was published.
    moved: bool,
    /// Since these rights are configured, the set was seen to have them or was written with them.
    settled: bool,
    /// What is being written now, or taken away, is so under the configuration before.
    outdated: bool,
}

impl Placing {
    /// What is seen is where it should be, and with the rights that it should have.
    pub(super) const fn settle(&mut self) {
        self.moved = false;
        self.settled = true;
    }

    /// What is seen is where it should be.
    pub(super) const fn arrive(&mut self) {
        self.moved = false;
    }

    /// Whether other rights than are configured may have been configured before.
    pub(super) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether the last good set is not in the output directory yet.
    pub(super) const fn is_moved(&self) -> bool {
        self.moved
    }

    /// A write, or a removal, has ended: whether it was done under the configuration that is in force.
    pub(super) const fn ended(&mut self) -> bool {
        !std::mem::replace(&mut self.outdated, false)
    }

    /// A set was written as it is configured: what is new about that, beside the set itself.
    pub(super) const fn wrote(&mut self) -> Option<&'static str> {
        let news = if self.moved {
            Some("in the output directory that is configured now")
        } else if !self.settled {
            Some("with the modes and owners that are configured now")
        } else {
            None
        };
        self.settle();
        news
    }
}

impl Store {
    /// The output may be another one now.
    pub(super) fn placed(&mut self, old: &Output, new: &Output) {
        if old != new {
            self.placing.moved |= old.directory != new.directory;
            self.placing.settled = false;
            self.placing.outdated = self.publishing;
        }
    }

    /// Whether what lies in the output directory, which is another one now, is not the last good set: nobody has
    /// published that there yet, and what somebody else has, or we once had, does not take its place.
    pub(super) fn is_elsewhere(&self, found: &OnDisk) -> bool {
        let Some(good) = self.good.as_ref().filter(|_| self.placing.moved && !self.withdrawn) else {
            return false;
        };
        match found {
            OnDisk::Nothing | OnDisk::Damaged(_) => true,
            OnDisk::OtherRights(set, _) | OnDisk::Outdated(set) | OnDisk::Published(set) => {
                self.is_older(set) || !set.credentials.same_as(&good.credentials)
            }
        }
    }

    /// See [`Store::is_elsewhere`].
    pub(super) fn seen_elsewhere(&mut self, cx: &mut Context<'_>) {
        if self.is_published() {
            let text = "the output directory is another one; publishing it in the output directory that is \
                        configured now";
            self.say(cx, None, text.to_owned());
        }
        self.disk = Disk::Absent(None);
    }

    /// The set is whole and apps go on reading it, until it is published with the rights that are configured now.
    pub(super) fn seen_with_other_rights(&mut self, published: Published, why: &str, cx: &mut Context<'_>) {
        // At a start nobody can tell who changed what; after a reload it was the operator.
        let severity = if self.good.is_none() { Some(Severity::Warning) } else { None };
        let text = format!("other modes or owners than are configured now ({why})");
        self.seen_outdated(published, severity, &text, cx);
    }
}
