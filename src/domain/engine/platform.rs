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
/// How often other stores are asked at once because one has turned.
const SAMPLE_PAUSE: Duration = Duration::from_secs(10 * 60);
/// How many are asked then.
pub(super) const SAMPLE: usize = 4;
/// How long trouble that a life before has left holds single stores back, where few of them can be asked.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Stores that the evidence names.
const NAMED: usize = 10;

/// What a store says of its published credentials.
#[derive(Debug)]
pub(super) enum Standing {
    /// It rejects them, and had accepted them before.
    Rejected { since: Now, place: String },
    /// It accepted them.
    Accepted { at: Instant },
    /// It says nothing, or an incident about it is open already.
    Other,
}

#[derive(Debug)]
struct Suspect {
    since: Now,
    place: String,
}

#[derive(Debug, Default)]
pub(super) struct Platform {
    suspects: BTreeMap<StoreName, Suspect>,
    /// Stores that accepted their credentials since the first of the suspects turned.
    sound: BTreeSet<StoreName>,
    troubled_since: Option<Now>,
    /// Something was noted since it was last decided.
    changed: bool,
    sampled_at: Option<Instant>,
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
        let clear = asked && (doubtful < LEAST || accepted > 2 * doubtful);
        let over = |since: &mut Instant| clear || now.instant.since(*since) >= PATIENCE;
        self.inherited.take_if(over).is_some() && !self.is_troubled()
    }

    /// Takes note of a store. Returns whether others should be asked at once, to tell the platform from the
    /// token.
    pub(super) fn note(&mut self, store: &StoreName, standing: Standing, now: Now) -> bool {
        match standing {
            Standing::Rejected { since, place } => {
                self.sound.remove(store);
                if self.suspects.contains_key(store) {
                    return false;
                }
                self.changed = true;
                self.suspects.insert(store.clone(), Suspect { since, place });
                let due = self.sampled_at.is_none_or(|at| now.instant.since(at) >= SAMPLE_PAUSE);
                if due {
                    self.sampled_at = Some(now.instant);
                }
                return due;
            }
            Standing::Accepted { at } => {
                self.changed |= self.suspects.remove(store).is_some();
                let after = |suspect: &Suspect| at >= suspect.since.instant;
                if !self.sound.contains(store) && self.suspects.values().any(after) {
                    self.sound.insert(store.clone());
                    self.changed = true;
                }
            }
            Standing::Other => self.changed |= self.suspects.remove(store).is_some(),
        }
        if self.suspects.is_empty() {
            self.sound.clear();
        }
        false
    }

    /// Forgets stores that are no longer configured.
    pub(super) fn keep(&mut self, known: impl Fn(&StoreName) -> bool) {
        self.changed = true;
        self.suspects.retain(|store, _| known(store));
        self.sound.retain(|store| known(store));
    }

    /// Decides whether the platform is in trouble, among so many stores. True when it has just ceased to be:
    /// whoever is still rejected then has to be confirmed anew.
    pub(super) fn decide(&mut self, stores: usize, now: Now) -> bool {
        if !std::mem::take(&mut self.changed) {
            return false;
        }
        let places = |within: Duration| {
            let recent = |suspect: &&Suspect| now.instant.since(suspect.since.instant) <= within;
            let places: BTreeSet<&str> =
                self.suspects.values().filter(recent).map(|suspect| suspect.place.as_str()).collect();
            places.len()
        };
        let many = MANY.max(stores / PART);
        let turned = places(if self.troubled_since.is_some() { Duration::MAX } else { WINDOW });
        match self.troubled_since {
            None => {
                if turned >= LEAST && (turned >= 2 * self.sound.len() || turned >= many) {
                    self.troubled_since = Some(now);
                }
                false
            }
            Some(_) if turned < LEAST || (turned < many && self.sound.len() > 2 * turned) => {
                self.troubled_since = None;
                true
            }
            Some(_) => false,
        }
    }

    pub(super) const fn is_troubled(&self) -> bool {
        self.troubled_since.is_some()
    }

    /// Whether a store's own incident waits until the platform's trouble is over.
    pub(super) fn holds_back(&self, store: &StoreName) -> bool {
        (self.is_troubled() || self.is_inherited()) && self.suspects.contains_key(store)
    }

    pub(super) fn is_suspect(&self, store: &StoreName) -> bool {
        self.suspects.contains_key(store)
    }

    /// While it is not known how trouble stands that was there before, it is not over.
    pub(super) fn judge(&self) -> Judged {
        let Some(since) = self.troubled_since else {
            let condition = if self.is_inherited() { Condition::Unknown } else { Condition::Clear };
            return (Cause::PlatformTrouble, condition);
        };
        let count = self.suspects.len();
        let mut names: Vec<&str> = self.suspects.keys().take(NAMED).map(StoreName::as_str).collect();
        if count > NAMED {
            names.push("and others");
        }
        let evidence = vec![
            format!("{count} stores that had accepted their credentials reject them now: {}.", names.join(", ")),
            format!("They turned within minutes of one another, by {}.", since.wall),
            "Tokens of unrelated stores are not regenerated at one moment; the platform has refused valid tokens \
             before, in September 2020."
                .to_owned(),
        ];
        let remedy = "See BigCommerce's status page, and do not generate new tokens yet. What is published stays in \
                      place; each store that is still rejected when the others work again gets an alert of its own. \
                      If all these tokens were changed on purpose, write the new ones to Vault."
            .to_owned();
        (Cause::PlatformTrouble, Condition::Holds { evidence, remedy })
    }
}
