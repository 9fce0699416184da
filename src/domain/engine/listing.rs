//! Listings: one answer of the source tells of all stores below a path whether their secrets have changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::store::Store;
use super::{Action, Context, Folder};
use crate::domain::schedule::{next_turn, phase};
use crate::domain::source::{Listing, SourceFault, SourceFaultKind};
use crate::domain::time::Instant;

/// How long a source that does not list is not asked again. Its policy may be changed, or the server.
const REFUSED_PAUSE: Duration = Duration::from_secs(600);
/// How many listings may fail in a row before the source counts as one that does not list: one that is too long
/// for it would fail each time.
const PATIENCE: u32 = 3;

/// The folders that are listed. A folder with a single store is none: to read its secret costs no more.
#[derive(Debug, Default)]
pub(super) struct Listings {
    folders: BTreeMap<Arc<Folder>, State>,
    /// Requests that listings took, since the start.
    pub(super) requests: u64,
}

#[derive(Debug)]
struct State {
    /// Where its stores are.
    stores: Vec<usize>,
    next: Instant,
    under_way: bool,
    failures: u32,
    /// Whether the source lists it, as far as is known.
    listed: Option<bool>,
}

impl Listings {
    /// Finds the folders of the stores anew. What is known of one that was there before stays known.
    pub(super) fn regroup(&mut self, stores: &mut [Store], cx: &Context<'_>) {
        let mut folders: BTreeMap<Folder, Vec<usize>> = BTreeMap::new();
        for (at, store) in stores.iter_mut().enumerate() {
            store.unlisted(cx);
            folders.entry(Folder::of(&store.spec.location)).or_default().push(at);
        }
        folders.retain(|_, stores| stores.len() > 1);
        let mut before = std::mem::take(&mut self.folders);
        for (folder, members) in folders {
            let folder = Arc::new(folder);
            let state = match before.remove(&folder) {
                Some(state) => State { stores: members, under_way: false, ..state },
                // Each secret is read once before that: a listing then spares the second time.
                None => State {
                    stores: members,
                    next: cx.now.instant.plus(cx.settings.poll_interval / 2),
                    under_way: false,
                    failures: 0,
                    listed: None,
                },
            };
            if state.listed != Some(false) {
                each(stores, &state.stores, Store::may_be_listed);
            }
            self.folders.insert(folder, state);
        }
    }

    /// Asks for the listings that are due.
    pub(super) fn advance(&mut self, usable: bool, cx: &mut Context<'_>) {
        for (folder, state) in self.folders.iter_mut().filter(|_| usable) {
            if !state.under_way && cx.now.instant >= state.next {
                state.under_way = true;
                cx.actions.push(Action::List { folder: Arc::clone(folder) });
            }
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.folders.values().filter(|state| !state.under_way).map(|state| state.next).min()
    }

    /// How many stores are watched by listings.
    pub(super) fn watched(&self) -> usize {
        let listed = self.folders.values().filter(|state| state.listed == Some(true));
        listed.map(|state| state.stores.len()).sum()
    }

    /// Takes in what a listing said. Returns the stores that have to act on it.
    pub(super) fn listed(
        &mut self,
        folder: &Folder,
        result: Result<Listing, SourceFault>,
        stores: &mut [Store],
        cx: &mut Context<'_>,
    ) -> Vec<usize> {
        // Another configuration may have dropped it, or begun anew.
        let Some(state) = self.folders.get_mut(folder).filter(|state| state.under_way) else {
            return Vec::new();
        };
        state.under_way = false;
        let interval = cx.settings.poll_interval;
        let turn = next_turn(cx.now.instant, phase(&folder.to_string(), "list", interval), interval);
        match result {
            Ok(listing) => {
                self.requests += u64::from(listing.requests);
                if state.listed.replace(true) != Some(true) {
                    cx.say(None, None, format!("changes below {folder} are found by listing it"));
                }
                (state.failures, state.next) = (0, turn);
                each(stores, &state.stores, |store| {
                    let version = listing.versions.get(Folder::name_of(&store.spec.location));
                    store.listed(version.copied(), cx);
                });
                state.stores.clone()
            }
            Err(fault) => {
                self.requests += 1;
                state.failures = state.failures.saturating_add(1);
                let refused = fault.kind() != SourceFaultKind::Unavailable || state.failures >= PATIENCE;
                let pause = if refused { REFUSED_PAUSE.max(interval) } else { Duration::ZERO };
                state.next = turn.plus(pause);
                if refused && state.listed.replace(false) != Some(false) {
                    let text = format!("changes below {folder} are found by reading each secret: {fault}");
                    cx.say(None, None, text);
                    each(stores, &state.stores, |store| store.unlisted(cx));
                    return state.stores.clone();
                }
                // A read shows what is wrong with the source, if it is not the listing alone.
                let first = state.stores.first().copied();
                if let Some(store) = first.and_then(|at| stores.get_mut(at)).filter(|_| !refused) {
                    store.read_soon(cx.now.instant);
                }
                first.into_iter().collect()
            }
        }
    }
}

fn each(stores: &mut [Store], members: &[usize], mut act: impl FnMut(&mut Store)) {
    for at in members {
        stores.get_mut(*at).into_iter().for_each(&mut act);
    }
}
