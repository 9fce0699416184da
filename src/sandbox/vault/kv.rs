//! The secrets of a KV version 2 mount: versions, deletion, and the names below a prefix.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde_json::{Map, Value, json};

/// How many versions of a secret are kept, as by default in the real one.
const KEPT_VERSIONS: usize = 10;

/// All secrets of the mount, by path.
#[derive(Default)]
pub(super) struct Secrets {
    entries: BTreeMap<String, BTreeMap<u64, Version>>,
}

/// What reading a version gives, as the `data` of an answer.
pub(super) enum Reading {
    /// Never written, or no longer kept.
    Absent,
    /// Deleted: the metadata are left.
    Deleted(Value),
    /// There.
    Present(Value),
}

struct Version {
    fields: Value,
    created: SystemTime,
    deleted: Option<SystemTime>,
}

impl Secrets {
    /// Writes a new version and returns its number, beginning with 1.
    pub(super) fn write(&mut self, path: &str, fields: Value, now: SystemTime) -> u64 {
        let versions = self.entries.entry(plain(path)).or_default();
        let number = versions.last_key_value().map_or(0, |(number, _)| *number) + 1;
        versions.insert(number, Version { fields, created: now, deleted: None });
        while versions.len() > KEPT_VERSIONS {
            versions.pop_first();
        }
        number
    }

    /// Deletes the newest version; the older ones and the metadata stay.
    pub(super) fn delete(&mut self, path: &str, now: SystemTime) {
        let newest = self.entries.get_mut(&plain(path)).and_then(|versions| versions.last_entry());
        if let Some(mut newest) = newest {
            newest.get_mut().deleted.get_or_insert(now);
        }
    }

    /// The number of the newest version, deleted or not; 0 when there is none.
    pub(super) fn newest(&self, path: &str) -> u64 {
        let newest = self.entries.get(&plain(path)).and_then(BTreeMap::last_key_value);
        newest.map_or(0, |(number, _)| *number)
    }

    /// Reads a version, or the newest with `None` or 0.
    pub(super) fn read(&self, path: &str, number: Option<u64>) -> Reading {
        let number = number.filter(|number| *number != 0).unwrap_or_else(|| self.newest(path));
        let version = self.entries.get(&plain(path)).and_then(|versions| versions.get(&number));
        match version {
            None => Reading::Absent,
            Some(version) if version.deleted.is_some() => {
                Reading::Deleted(json!({ "data": null, "metadata": version.metadata(number) }))
            }
            Some(version) => {
                Reading::Present(json!({ "data": version.fields, "metadata": version.metadata(number) }))
            }
        }
    }

    /// The metadata of one version, as the answer to writing it.
    pub(super) fn version_metadata(&self, path: &str, number: u64) -> Option<Value> {
        let version = self.entries.get(&plain(path))?.get(&number)?;
        Some(version.metadata(number))
    }

    /// The metadata of a secret and all its versions.
    pub(super) fn metadata(&self, path: &str) -> Option<Value> {
        let versions = self.entries.get(&plain(path))?;
        let (oldest, first) = versions.first_key_value()?;
        let (newest, last) = versions.last_key_value()?;
        let listed: Map<String, Value> =
            versions.iter().map(|(n, version)| (n.to_string(), Value::Object(version.dates()))).collect();
        Some(json!({
            "cas_required": false,
            "created_time": timestamp(first.created),
            "current_metadata_version": 0,
            "current_version": newest,
            "custom_metadata": null,
            "delete_version_after": "0s",
            "max_versions": 0,
            "metadata_cas_required": false,
            // As in the real one: 0 until a version has been dropped.
            "oldest_version": if *oldest == 1 { 0 } else { *oldest },
            "updated_time": timestamp(last.created),
            "versions": listed,
        }))
    }

    /// The names directly below a prefix, sorted: secrets as they are, folders with a final slash.
    pub(super) fn names_below(&self, prefix: &str) -> BTreeSet<String> {
        let prefix = plain(prefix);
        let below = |path: &str| {
            let rest =
                if prefix.is_empty() { path } else { path.strip_prefix(&prefix)?.strip_prefix('/')? };
            Some(match rest.split_once('/') {
                Some((folder, _)) => format!("{folder}/"),
                None => rest.to_owned(),
            })
        };
        self.entries.keys().filter_map(|path| below(path)).collect()
    }
}

impl Version {
    fn metadata(&self, number: u64) -> Value {
        let mut metadata = self.dates();
        metadata.insert("custom_metadata".to_owned(), Value::Null);
        metadata.insert("version".to_owned(), number.into());
        Value::Object(metadata)
    }

    fn dates(&self) -> Map<String, Value> {
        Map::from_iter([
            ("created_time".to_owned(), timestamp(self.created).into()),
            ("deletion_time".to_owned(), self.deleted.map_or_else(String::new, timestamp).into()),
            ("destroyed".to_owned(), false.into()),
        ])
    }
}

/// A path without slashes around it, as paths are kept.
pub(super) fn plain(path: &str) -> String {
    path.trim_matches('/').to_owned()
}

/// RFC 3339 in UTC, with nanoseconds.
pub(super) fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_nanos(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_ten_versions_are_kept() {
        let mut secrets = Secrets::default();
        for number in 1..=12 {
            assert_eq!(secrets.write("a", json!({ "n": number }), SystemTime::now()), number);
        }
        assert!(matches!(secrets.read("a", Some(2)), Reading::Absent));
        assert!(matches!(secrets.read("a", Some(3)), Reading::Present(_)));
        assert_eq!(secrets.metadata("a").unwrap()["oldest_version"], 3);
    }

    #[test]
    fn names_below_a_prefix_are_those_of_whole_segments() {
        let mut secrets = Secrets::default();
        for path in ["stores/toys", "stores/eu/books", "stores/eu/shoes", "stores-old/toys", "alone"] {
            secrets.write(path, json!({}), SystemTime::now());
        }
        assert_eq!(secrets.names_below("stores/"), ["eu/", "toys"].map(String::from).into());
        assert_eq!(secrets.names_below(""), ["alone", "stores-old/", "stores/"].map(String::from).into());
        assert!(secrets.names_below("stores/toys").is_empty());
    }
}
