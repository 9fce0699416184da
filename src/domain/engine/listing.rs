//! Listings: one answer of the source tells of all stores below a path whether their secrets have changed, and which
//! secrets there are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::book::Book;
use super::source::GRACE;
use super::store::Store;
use super::{Action, Condition, Context, Judged};
use crate::domain::credentials::StoreName;
use crate::domain::discovery::{Found, place};
use crate::domain::incident::{Cause, Severity};
use crate::domain::schedule::{next_turn, phase};
use crate::domain::snapshot::{ChangesFound, FolderStatus};
use crate::domain::source::{Folder, Listing, SourceFault, SourceFaultKind};
use crate::domain::time::{Instant, Now};
use crate::domain::version::KvVersion;

/// How long a source that does not list versions is not asked again. Its policy may be changed, or the server.
const REFUSED_PAUSE: Duration = Duration::from_secs(600);
/// How many listings may fail in a row before the source counts as one that does not list: one that is too long
/// for it would fail each time.
const PATIENCE: u32 = 3;

/// The folders that are listed: those of discoveries, and those with several stores. To read a single store's secret
/// costs no more.
#[derive(Debug, Default)]
pub(super) struct Listings {
    folders: BTreeMap<Arc<Folder>, State>,
    /// Requests that listings took, since the start.
    pub(super) requests: u64,
    /// Names of secrets that can be no stores, and were told of.
    refused: BTreeSet<String>,
    /// Stores whose secret stayed away until nothing of them was left, and which are about to be none any more.
    stayed_away: BTreeSet<String>,
    /// Other stores were asked for, and are not here yet.
    restocking: bool,
}

#[derive(Debug)]
struct State {
    kv_version: Option<KvVersion>,
    /// Where its stores are.
    stores: Vec<usize>,
    next: Instant,
    under_way: bool,
    failures: u32,
    /// Whether the source lists it with versions, as far as is known.
    listed: Option<bool>,
    /// When it is asked again for versions, where it does not tell them.
    detailed_again: Instant,
    /// Its secrets are stores, whichever there are.
    discovery: Option<Discovering>,
}

/// What is known of a folder's names.
#[derive(Debug)]
struct Discovering {
    seen: bool,
    /// Stores that were found there are known from before, so a restart needs no listing to go on.
    inherited: bool,
    since: Instant,
    failing: Option<(Now, SourceFault)>,
}

impl Listings {
    /// Finds the folders of the stores anew. What is known of one that was there before stays known.
    pub(super) fn regroup(&mut self, stores: &mut [Store], cx: &Context<'_>) {
        self.restocking = false;
        let mut folders: BTreeMap<Folder, (Option<KvVersion>, Vec<usize>)> = BTreeMap::new();
        for (at, store) in stores.iter().enumerate() {
            let location = &store.spec.location;
            // A listing tells of the newest version, and only where versions are counted.
            if location.pinned.is_some() || location.kv_version == Some(KvVersion::One) {
                continue;
            }
            let (kv_version, stores) = folders.entry(location.folder()).or_default();
            *kv_version = kv_version.or(location.kv_version);
            stores.push(at);
        }
        let discovered: BTreeSet<&Folder> =
            cx.settings.discoveries.iter().map(|discovery| &discovery.folder).collect();
        folders.retain(|folder, (_, stores)| stores.len() > 1 || discovered.contains(folder));
        for discovery in &cx.settings.discoveries {
            let (kv_version, _) = folders.entry(discovery.folder.clone()).or_default();
            *kv_version = kv_version.or(discovery.kv_version);
        }
        let mut before = std::mem::take(&mut self.folders);
        let mut listed = BTreeSet::new();
        for (folder, (kv_version, members)) in folders {
            let discovery = discovered.contains(&folder);
            let folder = Arc::new(folder);
            let mut state = match before.remove(&folder) {
                Some(state) => State {
                    kv_version,
                    stores: members,
                    // The interval may be a shorter one now.
                    next: state.next.min(cx.now.instant.plus(cx.settings.poll_interval / 2)),
                    ..state
                },
                None => State {
                    kv_version,
                    stores: members,
                    // Each secret is read once before that: a listing then spares the second time.
                    next: cx.now.instant.plus(cx.settings.poll_interval / 2),
                    under_way: false,
                    failures: 0,
                    listed: None,
                    detailed_again: cx.now.instant,
                    discovery: None,
                },
            };
            if discovery && state.discovery.is_none() {
                let found = |store: &Store| store.spec.discovered.is_some();
                state.discovery = Some(Discovering {
                    seen: false,
                    inherited: stores.iter().any(|it| found(it) && it.spec.location.folder() == *folder),
                    since: cx.now.instant,
                    failing: None,
                });
                state.next = cx.now.instant;
            } else if !discovery {
                state.discovery = None;
            }
            if state.listed != Some(false) {
                each(stores, &state.stores, Store::may_be_listed);
                listed.extend(state.stores.iter().copied());
            }
            self.folders.insert(folder, state);
        }
        for (_, store) in stores.iter_mut().enumerate().filter(|(at, _)| !listed.contains(at)) {
            store.unlisted(cx);
        }
    }

    /// There is another token, whose policy may be another one: what was refused is asked for once more.
    pub(super) fn ask_again(&mut self, now: Instant) {
        for state in self.folders.values_mut().filter(|state| state.listed == Some(false)) {
            (state.detailed_again, state.next) = (now, now);
        }
    }

    /// Another source, or other wishes: what was asked is not answered, and all is listed anew.
    pub(super) fn forget(&mut self) {
        self.folders.clear();
        self.refused.clear();
    }

    /// Asks for the listings that are due.
    pub(super) fn advance(&mut self, usable: bool, cx: &mut Context<'_>) {
        let now = cx.now.instant;
        for (folder, state) in self.folders.iter_mut().filter(|_| usable) {
            if !state.under_way && now >= state.next {
                state.under_way = true;
                let detailed = state.discovery.is_none() || now >= state.detailed_again;
                let kv_version = state.kv_version;
                cx.actions.push(Action::List { folder: Arc::clone(folder), kv_version, detailed });
            }
        }
        let judged = self.unlistable(usable, cx.now);
        Book::settle(None, [judged], |_| None, cx);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.folders.values().filter(|state| !state.under_way).map(|state| state.next).min()
    }

    /// How many stores are watched by listings.
    pub(super) fn watched(&self) -> usize {
        let listed = self.folders.values().filter(|state| state.listed == Some(true));
        listed.map(|state| state.stores.len()).sum()
    }

    pub(super) fn status(&self) -> Vec<FolderStatus> {
        let status = |(folder, state): (&Arc<Folder>, &State)| FolderStatus {
            path: folder.to_string(),
            stores: state.stores.len(),
            changes: state
                .listed
                .map(|listed| if listed { ChangesFound::ByListing } else { ChangesFound::ByReading }),
            discovers: state.discovery.is_some(),
            error: state
                .discovery
                .as_ref()
                .and_then(|discovery| discovery.failing.as_ref())
                .map(|(_, fault)| fault.to_string()),
        };
        self.folders.iter().map(status).collect()
    }

    /// Whether it is still to come which stores there are; or why nobody can tell.
    pub(super) fn pending(&self) -> Option<Option<SourceFaultKind>> {
        let mut discoveries = self.folders.values().filter_map(|state| state.discovery.as_ref());
        if self.restocking {
            return Some(None);
        }
        let unseen = discoveries.find(|discovery| !discovery.seen)?;
        Some(unseen.failing.as_ref().map(|(_, fault)| fault.kind()))
    }

    /// Whether other stores were asked for, and are not here yet.
    pub(super) const fn is_restocking(&self) -> bool {
        self.restocking
    }

    /// The first folder of which nobody knows yet which stores are in it, whose listing is waited for. One that does not
    /// come is waited for without end only as long as nothing is published: whoever may break it must not hold up
    /// everybody.
    pub(super) fn awaited(&self, now: Instant, patience: Duration, any_published: bool) -> Option<&Folder> {
        let overdue = |it: &Discovering| any_published && now.since(it.since) >= patience;
        let awaits = |it: &Discovering| !it.seen && !it.inherited && !overdue(it);
        let found = self.folders.iter().find(|(_, state)| state.discovery.as_ref().is_some_and(awaits));
        found.map(|(folder, _)| &**folder)
    }

    /// The first folder of which neither this life nor one before it has seen which stores are in it.
    pub(super) fn unseen(&self) -> Option<&Folder> {
        let unseen = |it: &Discovering| !it.seen && !it.inherited;
        let found = self.folders.iter().find(|(_, state)| state.discovery.as_ref().is_some_and(unseen));
        found.map(|(folder, _)| &**folder)
    }

    /// The stores that are no more because their secrets stayed away. They are told of once.
    pub(super) fn take_stayed_away(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.stayed_away)
    }

    /// Takes in what a listing said. Returns the stores that have to act on it.
    pub(super) fn listed(
        &mut self,
        folder: &Folder,
        detailed: bool,
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
                state.next = turn;
                let mut first_look = false;
                if let Some(discovery) = &mut state.discovery {
                    first_look = !discovery.seen;
                    if let Some((since, _)) = &discovery.failing {
                        let text = format!(
                            "stores below {folder} are discovered again, for the first time since {}",
                            since.wall
                        );
                        cx.say(None, None, text);
                    }
                    (discovery.seen, discovery.failing) = (true, None);
                }
                let members = state.stores.clone();
                if detailed {
                    state.failures = 0;
                    if state.listed.replace(true) != Some(true) {
                        cx.say(None, None, format!("changes below {folder} are found by listing it"));
                    }
                    each(stores, &members, |store| {
                        let version = listing.secrets.get(store.spec.location.name());
                        store.listed(version.copied().flatten(), cx);
                    });
                }
                if state.discovery.is_some() {
                    let any = self.compare(folder, &listing, stores, cx);
                    if first_look && !any {
                        let text = format!(
                            "no secret below {folder} is a store; check mount, prefix and name of [[discover]]"
                        );
                        cx.say(None, Some(Severity::Warning), text);
                    }
                }
                members
            }
            Err(fault) if detailed => {
                self.requests += 1;
                // To read each secret of a server that is asked for too much would be too much again.
                state.failures = state.failures.saturating_add(u32::from(!fault.is_said_of_the_source()));
                let refused = fault.kind() != SourceFaultKind::Unavailable || state.failures >= PATIENCE;
                let pause = if refused { REFUSED_PAUSE.max(interval) } else { Duration::ZERO };
                state.next = turn.plus(pause);
                let discovers = state.discovery.is_some();
                if discovers {
                    // The names alone are asked for at once, and in each interval until then. Each server that works
                    // lists them, so they also show whether it does.
                    (state.detailed_again, state.next) = (state.next, cx.now.instant);
                }
                if refused && state.listed.replace(false) != Some(false) {
                    let text = format!("changes below {folder} are found by reading each secret: {fault}");
                    cx.say(None, None, text);
                    each(stores, &state.stores, |store| store.unlisted(cx));
                    return state.stores.clone();
                }
                // A read shows what is wrong with the source, if it is not the listing alone.
                let first = state.stores.first().copied();
                if let Some(store) =
                    first.and_then(|at| stores.get_mut(at)).filter(|_| !refused && !discovers)
                {
                    store.read_soon(cx.now.instant);
                }
                first.into_iter().collect()
            }
            Err(fault) => {
                self.requests += 1;
                state.next = turn.min(cx.now.instant.plus(GRACE));
                if let Some(discovery) = state.discovery.as_mut().filter(|_| !fault.is_of_the_source()) {
                    if discovery.failing.is_none() {
                        let text = format!("stores below {folder} cannot be discovered: {fault}");
                        cx.say(None, Some(Severity::Warning), text);
                    }
                    let since = discovery.failing.take().map_or(cx.now, |(since, _)| since);
                    discovery.failing = Some((since, fault));
                }
                Vec::new()
            }
        }
    }

    /// Compares the stores that were discovered in a folder with what is there now, and asks for others where they
    /// differ. A store whose secret is gone stays until it was withdrawn, or until its name is that of another secret:
    /// then it has moved there. Returns whether any secret is a store's.
    fn compare(
        &mut self,
        folder: &Folder,
        listing: &Listing,
        stores: &[Store],
        cx: &mut Context<'_>,
    ) -> bool {
        let mut here: BTreeMap<String, StoreName> = BTreeMap::new();
        for secret in listing.secrets.keys() {
            let path = folder.path_to(secret);
            match place(cx.settings.discoveries.iter(), &folder.mount, &path) {
                Some((_, Ok(name))) => drop(here.insert(path, name)),
                Some((_, Err(error))) if self.refused.insert(format!("{folder}/{secret}")) => {
                    let text = format!("a secret below {folder} is no store, because of its name: {error}");
                    cx.say(None, Some(Severity::Warning), text);
                }
                Some((_, Err(_))) | None => {}
            }
        }
        let any = !here.is_empty();
        let is_here = |store: &Store| store.spec.location.folder() == *folder;
        let known: BTreeSet<&str> = stores
            .iter()
            .filter(|store| is_here(store))
            .map(|store| store.spec.location.path.as_str())
            .collect();
        let news = here.iter().filter(|(path, _)| !known.contains(path.as_str()));
        let claimed: BTreeSet<String> = news.map(|(_, name)| name.caseless()).collect();
        let (mut all, mut changed, mut taken) = (Vec::new(), false, BTreeSet::new());
        for store in stores {
            let location = &store.spec.location;
            let (name, is_here) = (store.name().caseless(), is_here(store));
            let is_gone = match store.spec.discovered {
                Some(_) if is_here => !here.contains_key(&location.path),
                Some(known) => known.gone_since.is_some(),
                None => false,
            };
            if is_gone && claimed.contains(&name) {
                continue;
            }
            taken.insert(name);
            let found =
                |gone_since| Found { mount: location.mount.clone(), path: location.path.clone(), gone_since };
            match store.spec.discovered {
                None if is_here => drop(here.remove(&location.path)),
                None => {}
                Some(known) if !is_here => all.push(found(known.gone_since)),
                Some(known) if here.remove(&location.path).is_some() => {
                    changed |= known.gone_since.is_some();
                    all.push(found(None));
                }
                Some(_) if store.may_be_forgotten(cx.now) => {
                    changed = true;
                    self.stayed_away.insert(store.name().as_str().to_owned());
                }
                Some(known) => {
                    changed |= known.gone_since.is_none();
                    all.push(found(Some(known.gone_since.unwrap_or(cx.now.wall))));
                }
            }
        }
        for (path, name) in here {
            if taken.insert(name.caseless()) {
                changed = true;
                all.push(Found { mount: folder.mount.clone(), path, gone_since: None });
            } else if self.refused.insert(path.clone()) {
                let text =
                    format!("{}/{path} is no store, because another one is called {name} too", folder.mount);
                cx.say(None, Some(Severity::Warning), text);
            }
        }
        if changed {
            all.sort();
            self.restocking = true;
            cx.actions.push(Action::Restock { found: all });
        }
        any
    }

    fn unlistable(&self, usable: bool, now: Now) -> Judged {
        let failing = |(folder, state): (&Arc<Folder>, &State)| {
            let (since, fault) = state.discovery.as_ref()?.failing.as_ref()?;
            Some((since.instant, format!("{folder}: {fault}, since {}.", since.wall)))
        };
        let failing: Vec<(Instant, String)> =
            self.folders.iter().filter_map(|(folder, state)| failing((folder, state))).collect();
        let long = failing.iter().any(|(since, _)| now.instant.since(*since) >= GRACE);
        let unseen = self.folders.values().any(|state| state.discovery.as_ref().is_some_and(|it| !it.seen));
        let condition = if failing.is_empty() {
            if unseen { Condition::Unknown } else { Condition::Clear }
        } else if long && usable {
            Condition::Holds {
                evidence: failing.into_iter().map(|(_, text)| text).collect(),
                remedy: "Check mount and prefix of [[discover]], and grant the token's policy the capability list on \
                         MOUNT/metadata/PREFIX. Stores that are known already stay as they are meanwhile; new ones \
                         are not found."
                    .into(),
            }
        } else {
            Condition::Unknown
        };
        (Cause::DiscoveryFailed, condition)
    }
}

fn each(stores: &mut [Store], members: &[usize], mut act: impl FnMut(&mut Store)) {
    for at in members {
        stores.get_mut(*at).into_iter().for_each(&mut act);
    }
}
