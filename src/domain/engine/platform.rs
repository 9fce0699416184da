//! The one rule for the fleet: when many unrelated stores turn at once, the platform is suspected, not each
//! of their tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Condition, Judged};
use crate::domain::credentials::StoreName;
use crate::domain::incident::Cause;
use crate::domain::time::{Instant, Now};

/// Stores that turn within this time turn together.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// How many must turn together at the least.
const LEAST: usize = 3;
/// So many are suspicious however many others still accept theirs; in a large fleet, one store in twenty.
const MANY: usize = 10;
const PART: usize = 20;
/// How often other stores are asked at once because one has turned, or because many have.
const SAMPLE_PAUSE: Duration = Duration::from_secs(10 * 60);
/// How many are asked then, at the least.
const SAMPLE: usize = 4;
/// How long their answers are waited for.
const SAMPLE_TIME: Duration = Duration::from_secs(30);
/// How long trouble that a life before has left holds single stores back, where few of them can be asked.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Stores that the evidence names.
const NAMED: usize = 10;

/// What a store says of its published credentials.
#[derive(Debug)]
pub(super) enum Standing {
    /// It rejects them, and had accepted them before: when last, if that was in this life.
    Rejected { since: Now, place: String, accepted: Option<Instant> },
    /// It accepted them.
    Accepted { at: Instant },
    /// It says nothing, or an incident about it is open already.
    Other,
}

/// What is to be done because of what the stores say now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Rest,
    /// So many others are to be asked at once, of those that have not accepted theirs since then.
    Ask {
        count: usize,
        since: Instant,
    },
    /// The trouble is over: whoever is still rejected has to be confirmed anew.
    Over,
}

#[derive(Debug)]
struct Suspect {
    since: Now,
    place: String,
    accepted: Option<Instant>,
}

#[derive(Debug)]
struct Trouble {
    since: Now,
    /// When many turned together last.
    renewed: Instant,
}

/// Others were asked, and have not all answered.
#[derive(Debug)]
struct Asked {
    stores: BTreeSet<StoreName>,
    at: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Platform {
    suspects: BTreeMap<StoreName, Suspect>,
    /// When others have accepted their credentials, while there are suspects.
    sound: BTreeMap<StoreName, Instant>,
    trouble: Option<Trouble>,
    /// Something was noted since it was last decided.
    changed: bool,
    /// The evidence is not what it was when it was last told.
    news: bool,
    /// One has turned, and others are to be asked because of it.
    curious: bool,
    /// When others were last asked because one had turned, and because many had.
    sampled_at: Option<Instant>,
    doubted_at: Option<Instant>,
    asked: Option<Asked>,
    /// When this life began, where the one before it left trouble of the platform, until it is known how that stands.
    inherited: Option<Instant>,
}

impl Platform {
    /// Begins with trouble that was open when the last process ended, or with none.
    pub(super) fn restored(troubled: bool, now: Now) -> Self {
        Self { inherited: troubled.then_some(now.instant), ..Self::default() }
    }

    /// Whether it is still unknown how trouble stands that a life before has left.
    pub(super) const fn is_inherited(&self) -> bool {
        self.inherited.is_some()
    }

    /// Ends that, when every published set was asked about and too few are rejected or silent to be trouble of the
    /// platform; and after a while in any case, since a token may really be dead. True when it has just ended:
    /// whoever is rejected then has to be confirmed anew.
    pub(super) fn settle_inherited(
        &mut self,
        asked: bool,
        accepted: usize,
        doubtful: usize,
        now: Now,
    ) -> bool {
        let clear = asked && (doubtful < LEAST || accepted >= doubtful);
        let over = |since: &mut Instant| clear || now.instant.since(*since) >= PATIENCE;
        let over = self.inherited.take_if(over).is_some() && !self.is_troubled();
        if over {
            self.ask_afresh();
        }
        over
    }

    /// Takes note of a store.
    pub(super) fn note(&mut self, store: &StoreName, standing: Standing, now: Now) {
        match standing {
            Standing::Rejected { since, place, accepted } => {
                self.sound.remove(store);
                if let Some(suspect) = self.suspects.get(store) {
                    // What is together depends on the time, and it may be about to be told by itself.
                    self.changed |= !self.covers(suspect);
                    return;
                }
                self.changed = true;
                self.suspects.insert(store.clone(), Suspect { since, place, accepted });
                if self.sampled_at.is_none_or(|at| now.instant.since(at) >= SAMPLE_PAUSE) {
                    self.sampled_at = Some(now.instant);
                    self.curious = true;
                }
            }
            Standing::Accepted { at } => {
                self.changed |= self.suspects.remove(store).is_some();
                let before = self.sound.get(store).copied();
                let tells = |suspect: &Suspect| {
                    let since = suspect.since.instant;
                    at >= since && before.is_none_or(|before| before < since)
                };
                if self.suspects.values().any(tells) {
                    self.sound.insert(store.clone(), at);
                    self.changed = true;
                }
            }
            Standing::Other => self.changed |= self.suspects.remove(store).is_some(),
        }
        if self.suspects.is_empty() {
            self.sound.clear();
        }
    }

    /// These others are asked now. While they are, nothing is said of those that have turned: neither of each, nor of
    /// all together.
    pub(super) fn ask(&mut self, stores: impl Iterator<Item = StoreName>, now: Now) {
        let mut stores: BTreeSet<StoreName> = stores.collect();
        stores.extend(self.asked.take().into_iter().flat_map(|asked| asked.stores));
        self.asked = (!stores.is_empty()).then_some(Asked { stores, at: now.instant });
        self.changed = true;
    }

    /// A store has last said something of its published credentials then. True when it was the last of those that
    /// were asked.
    pub(super) fn heard(&mut self, store: &StoreName, at: Option<Instant>) -> bool {
        let Some(asked) = &mut self.asked else { return false };
        if at.is_some_and(|at| at >= asked.at) {
            asked.stores.remove(store);
        }
        let all = asked.stores.is_empty();
        self.asked.take_if(|_| all).is_some_and(|_| self.changes())
    }

    /// When those that were asked and have not answered are not waited for any more.
    pub(super) fn due(&self) -> Option<Instant> {
        self.asked.as_ref().map(|asked| asked.at.plus(SAMPLE_TIME))
    }

    /// True when that is now.
    pub(super) fn give_up_asking(&mut self, now: Now) -> bool {
        let late = self.due().is_some_and(|due| due <= now.instant);
        self.asked.take_if(|_| late).is_some_and(|_| self.changes())
    }

    const fn changes(&mut self) -> bool {
        self.changed = true;
        true
    }

    /// What others have said before does not count for what comes now.
    fn ask_afresh(&mut self) {
        (self.sampled_at, self.doubted_at, self.asked) = (None, None, None);
    }

    /// Forgets stores that are no longer configured.
    pub(super) fn keep(&mut self, known: impl Fn(&StoreName) -> bool) {
        self.changed = true;
        self.suspects.retain(|store, _| known(store));
        self.sound.retain(|store, _| known(store));
    }

    /// Decides whether the platform is in trouble, among so many stores.
    pub(super) fn decide(&mut self, stores: usize, now: Now) -> Step {
        if std::mem::take(&mut self.curious) {
            return Step::Ask { count: SAMPLE, since: now.instant };
        }
        if !std::mem::take(&mut self.changed) {
            return Step::Rest;
        }
        let many = MANY.max(stores / PART);
        if self.is_troubled() {
            self.news = true;
            let (turned, sound) = self.count(|suspect| self.covers(suspect));
            if turned < LEAST || (turned < many && sound >= turned) {
                self.trouble = None;
                self.ask_afresh();
                return Step::Over;
            }
        }
        if self.suspects.values().all(|suspect| self.is_troubled() && self.covers(suspect)) {
            return Step::Rest;
        }
        let recent = |suspect: &Suspect| now.instant.since(suspect.since.instant) <= WINDOW;
        let (turned, sound) = self.count(recent);
        if turned < LEAST || (turned < many && turned < 2 * sound) {
            return Step::Rest;
        }
        if turned < many {
            if self.asked.is_some() {
                return Step::Rest;
            }
            if self.doubted_at.is_none_or(|at| now.instant.since(at) >= SAMPLE_PAUSE) {
                self.doubted_at = Some(now.instant);
                let since = self.first(recent).unwrap_or(now.instant);
                return Step::Ask { count: SAMPLE.max(turned), since };
            }
        }
        let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
        self.trouble = Some(Trouble { since, renewed: now.instant });
        self.news = true;
        Step::Rest
    }

    /// When the first of these turned.
    fn first(&self, which: impl Fn(&Suspect) -> bool) -> Option<Instant> {
        self.suspects.values().filter(|suspect| which(suspect)).map(|suspect| suspect.since.instant).min()
    }

    /// How many these are, at different places, and how many others have accepted theirs since the first of them
    /// turned.
    fn count(&self, which: impl Fn(&Suspect) -> bool) -> (usize, usize) {
        let these = || self.suspects.values().filter(|suspect| which(suspect));
        let places: BTreeSet<&str> = these().map(|suspect| suspect.place.as_str()).collect();
        let first = self.first(&which);
        let sound = self.sound.values().filter(|at| first.is_some_and(|first| **at >= first));
        (places.len(), sound.count())
    }

    pub(super) const fn is_troubled(&self) -> bool {
        self.trouble.is_some()
    }

    /// Whether it may have turned together with those that the trouble began with. When a store turned, nobody knows
    /// better than that it was after it last accepted.
    fn covers(&self, suspect: &Suspect) -> bool {
        let renewed = self.trouble.as_ref().map(|trouble| trouble.renewed);
        let last = renewed.into_iter().chain(self.inherited).max();
        last.is_some_and(|last| suspect.accepted.is_none_or(|at| at <= last.plus(WINDOW)))
    }

    /// Whether a store's own incident waits: until others have said whether they turned as well, or until the
    /// platform's trouble is over.
    pub(super) fn holds_back(&self, store: &StoreName) -> bool {
        self.suspects.get(store).is_some_and(|suspect| self.asked.is_some() || self.covers(suspect))
    }

    pub(super) fn is_suspect(&self, store: &StoreName) -> bool {
        self.suspects.contains_key(store)
    }

    pub(super) fn suspects(&self) -> impl Iterator<Item = &StoreName> {
        self.suspects.keys()
    }

    /// Whether there is news of the trouble, which is told once.
    pub(super) const fn take_news(&mut self) -> bool {
        std::mem::replace(&mut self.news, false)
    }

    /// While it is not known how trouble stands that was there before, it is not over.
    pub(super) fn judge(&self) -> Judged {
        let Some(trouble) = &self.trouble else {
            let condition = if self.is_inherited() { Condition::Unknown } else { Condition::Clear };
            return (Cause::PlatformTrouble, condition);
        };
        let covered = || self.suspects.iter().filter(|(_, suspect)| self.covers(suspect));
        let count = covered().count();
        let mut names: Vec<&str> = covered().take(NAMED).map(|(store, _)| store.as_str()).collect();
        if count > NAMED {
            names.push("and others");
        }
        let (_, sound) = self.count(|suspect| self.covers(suspect));
        let others = match sound {
            0 => "No other store is known to have accepted its own since.".to_owned(),
            1 => "1 other store has accepted its own since.".to_owned(),
            sound => format!("{sound} other stores have accepted theirs since."),
        };
        let evidence = vec![
            format!("{count} stores that had accepted their credentials reject them now: {}.", names.join(", ")),
            format!(
                "At least {LEAST} of them turned within minutes of one another, by {}. {others}",
                trouble.since.wall
            ),
            "Tokens of unrelated stores are not regenerated at one moment; the platform has refused valid tokens \
             before, in September 2020."
                .to_owned(),
        ];
        let remedy = "See BigCommerce's status page, and do not generate new tokens yet. What is published stays in \
                      place; each store that is still rejected when the others work again gets an alert of its own, \
                      and so does one that turns later. If all these tokens were changed on purpose, write the new \
                      ones to Vault."
            .to_owned();
        (Cause::PlatformTrouble, Condition::Holds { evidence, remedy })
    }
}
