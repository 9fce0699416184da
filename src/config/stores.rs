//! Checks `[[stores]]`: each store by itself, and that no two have one name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::acknowledge::acknowledge;
use super::checker::Checker;
use super::files::{self, Files};
use super::hooks;
use super::raw;
use super::value::{Origin, Table, Value, open};
use super::vault::Mount;
use super::{Output, State, Store};
use crate::domain::credentials::{FieldNames, StoreName};
use crate::domain::engine::OnRejection;
use crate::domain::version::KvVersion;

/// Checks all stores. Two may share a secret, but not a name: on a volume that does not tell `A` from `a`
/// they would overwrite one another.
pub(super) fn stores(
    checker: &mut Checker<'_>,
    tables: Vec<Table<raw::Store>>,
    default_mount: &Mount,
    default_files: &Arc<Files>,
    directories: Option<&(Output, State)>,
) -> Vec<Store> {
    let mut seen: BTreeMap<String, Origin> = BTreeMap::new();
    let mut files = BTreeMap::new();
    let mut stores = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let at = format!("stores[{index}]");
        let (span, raw) = open(Some(table));
        let name = name(checker, &format!("{at}.name"), span.clone(), raw.name, &mut seen);
        let (mount, kv_version) = default_mount.or(checker, &at, raw.mount, raw.kv_version);
        let version = version(checker, &format!("{at}.version"), raw.version, kv_version);
        let path_key = format!("{at}.path");
        if raw.path.is_none() {
            checker.missing(
                span.clone(),
                &path_key,
                "write path = \"stores/example\", the secret's path below the mount",
            );
        }
        let path = checker.vault_path(&path_key, raw.path);
        let fields = fields(checker, &format!("{at}.fields"), raw.fields);
        let on_rejection = on_rejection(checker, &at, raw.on_rejection);
        let output_files = raw.files.map_or_else(
            || Arc::clone(default_files),
            |listed| files::files(checker, &format!("{at}.files"), span, listed),
        );
        let reload = raw.reload.and_then(|table| hooks::reload(checker, &format!("{at}.reload"), table));
        let acknowledge = raw
            .acknowledge
            .map(|table| acknowledge(checker, &format!("{at}.acknowledge"), table, directories, &mut files));
        if let Some((name, path)) = name.zip(path) {
            stores.push(Store {
                name,
                mount,
                kv_version,
                path,
                version,
                fields,
                on_rejection,
                files: output_files,
                reload,
                acknowledge,
                discovered: None,
            });
        }
    }
    stores
}

fn name(
    checker: &mut Checker<'_>,
    key: &str,
    table: Option<std::ops::Range<usize>>,
    value: Option<Value>,
    seen: &mut BTreeMap<String, Origin>,
) -> Option<StoreName> {
    if value.is_none() {
        checker.missing(table, key, "write name = \"example\", which is also the name of its directory");
    }
    let (text, origin) = checker.text(key, value)?;
    let name = match StoreName::parse(&text) {
        Ok(name) => name,
        Err(error) => {
            checker.refuse(&origin, key, error.to_string());
            return None;
        }
    };
    if let Some(first) = seen.get(&name.caseless()) {
        let first = checker.on_line(first);
        let message =
            format!("is already the name of the store{first}; upper and lower case count as the same");
        checker.refuse(&origin, key, message);
        return None;
    }
    seen.insert(name.caseless(), origin);
    Some(name)
}

pub(super) fn on_rejection(checker: &mut Checker<'_>, at: &str, value: Option<Value>) -> OnRejection {
    let words = [("keep", OnRejection::Keep), ("withdraw", OnRejection::Withdraw)];
    checker.choice(&format!("{at}.on_rejection"), value, &words, OnRejection::Keep)
}

/// The version of the secret that is pinned; none: the newest is used.
fn version(
    checker: &mut Checker<'_>,
    key: &str,
    value: Option<Value>,
    kv_version: Option<KvVersion>,
) -> Option<u64> {
    let value = value?;
    if kv_version == Some(KvVersion::One) {
        let message = "cannot be pinned where kv_version is 1, which keeps no versions; leave the key out";
        checker.refuse(&value.origin, key, message);
        return None;
    }
    Some(checker.count(key, Some(value), 1..=u64::from(u32::MAX), 1))
}

pub(super) fn fields(checker: &mut Checker<'_>, at: &str, table: Option<Table<raw::Fields>>) -> FieldNames {
    let (span, raw) = open(table);
    let default = FieldNames::default();
    let json_field = checker.text(&format!("{at}.json_field"), raw.json_field).map(|(name, _)| name);
    let mut field = |key: &str, value, default| {
        checker.text(&format!("{at}.{key}"), value).map_or(default, |(name, _)| name)
    };
    let names = FieldNames {
        json_field,
        username: field("username", raw.username, default.username),
        api_token: field("api_token", raw.api_token, default.api_token),
        api_path: field("api_path", raw.api_path, default.api_path),
    };
    let distinct = names.username != names.api_token
        && names.api_token != names.api_path
        && names.api_path != names.username;
    if !distinct {
        let origin = span.map_or(Origin::Nowhere, Origin::File);
        checker.refuse(&origin, at, "names one field twice; each value has a field of its own");
    }
    names
}
