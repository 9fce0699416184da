//! Checks `[[discover]]`, and turns what was discovered into stores.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::checker::{Checker, DurationRule};
use super::files::{self, Files};
use super::raw;
use super::stores::{fields, on_rejection};
use super::value::{Table, open};
use super::vault::Mount;
use super::{Config, Discover, Store, hooks};
use crate::domain::discovery::{Discovered, Discovery, Found, NamePattern, place};
use crate::domain::source::Folder;

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;
const WITHDRAW_AFTER: DurationRule = DurationRule {
    default: Duration::from_secs(DAY),
    least: Duration::from_secs(MINUTE),
    most: Duration::from_secs(365 * DAY),
};

/// Checks where stores are discovered.
pub(super) fn discover(
    checker: &mut Checker<'_>,
    tables: Vec<Table<raw::Discover>>,
    default_mount: &Mount,
    default_files: &Arc<Files>,
) -> Vec<Discover> {
    let mut all: Vec<Discover> = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let at = format!("discover[{index}]");
        let (span, raw) = open(Some(table));
        let (mount, kv_version) = default_mount.or(checker, &at, raw.mount, raw.kv_version);
        let prefix_key = format!("{at}.prefix");
        let path = match raw.prefix {
            None => {
                let advice =
                    "write prefix = \"bigcommerce\", the path above the secrets; \"\" is the mount itself";
                checker.missing(span.clone(), &prefix_key, advice);
                None
            }
            Some(value) if value.is_empty_text() => Some(String::new()),
            Some(value) => checker.vault_path(&prefix_key, Some(value)),
        };
        let name_key = format!("{at}.name");
        let (name, origin) = checker.text(&name_key, raw.name).unzip();
        let pattern = NamePattern::parse(name.as_deref().unwrap_or("{store}"));
        if let (Err(error), Some(origin)) = (&pattern, &origin) {
            checker.refuse(origin, &name_key, error.to_string());
        }
        let withdraw_after = raw.withdraw_after.and_then(|value| {
            checker.duration_or_off(&format!("{at}.withdraw_after"), Some(value), &WITHDRAW_AFTER)
        });
        let fields = fields(checker, &format!("{at}.fields"), raw.fields);
        let on_rejection = on_rejection(checker, &at, raw.on_rejection);
        let files = raw.files.map_or_else(
            || Arc::clone(default_files),
            |listed| files::files(checker, &format!("{at}.files"), span, listed),
        );
        let reload = raw.reload.and_then(|table| hooks::reload(checker, &format!("{at}.reload"), table));
        if let (Ok(pattern), Some(path)) = (pattern, path) {
            let folder = Folder { mount, path };
            let discovery = Discovery { folder, kv_version, pattern, withdraw_after };
            all.push(Discover { discovery, fields, on_rejection, files, reload });
        }
    }
    all
}

impl Config {
    /// The stores are now the configured ones and these. What no discovery takes any more is left out, and so is what
    /// has the name of another store: upper and lower case count as the same.
    pub fn restock(&mut self, found: &[Found]) {
        self.stores.retain(|store| store.discovered.is_none());
        let configured: BTreeSet<(String, String)> =
            self.stores.iter().map(|store| (store.mount.clone(), store.path.clone())).collect();
        let mut taken: BTreeSet<String> = self.stores.iter().map(|store| store.name.caseless()).collect();
        for found in found {
            let discoveries = self.discover.iter().map(|discover| &discover.discovery);
            let Some((at, Ok(name))) = place(discoveries, &found.mount, &found.path) else { continue };
            let Some(discover) = self.discover.get(at) else { continue };
            let is_configured = configured.contains(&(found.mount.clone(), found.path.clone()));
            if is_configured || !taken.insert(name.caseless()) {
                continue;
            }
            self.stores.push(Store {
                name,
                mount: found.mount.clone(),
                kv_version: discover.discovery.kv_version,
                path: found.path.clone(),
                version: None,
                fields: discover.fields.clone(),
                on_rejection: discover.on_rejection,
                files: Arc::clone(&discover.files),
                reload: discover.reload.clone(),
                acknowledge: None,
                discovered: Some(Discovered {
                    gone_since: found.gone_since,
                    withdraw_after: discover.discovery.withdraw_after,
                }),
            });
        }
    }

    /// Where the secrets of all stores are. Those that are configured now count as found when they no longer are: a
    /// store that only loses its name in the configuration goes on.
    #[must_use]
    pub fn found(&self) -> Vec<Found> {
        let found = |store: &Store| {
            let gone_since = store.discovered.and_then(|discovered| discovered.gone_since);
            Found { mount: store.mount.clone(), path: store.path.clone(), gone_since }
        };
        self.stores.iter().map(found).collect()
    }
}
