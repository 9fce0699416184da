//! Discovery: the secrets of a folder are stores, without each of them being configured.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::credentials::{StoreName, StoreNameError};
use super::source::Folder;
use super::time::Timestamp;
use super::version::KvVersion;

/// A folder whose secrets are stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The folder.
    pub folder: Folder,
    /// The version of its engine, where it is known; none: the source finds out.
    pub kv_version: Option<KvVersion>,
    /// Which of its secrets are stores, and how each store is called.
    pub pattern: NamePattern,
    /// How long a store whose secret is gone stays published; none: for ever.
    pub withdraw_after: Option<Duration>,
}

/// How the name of a secret holds the name of its store: `{store}`, `bc-{store}`, `{store}.legacy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    before: String,
    after: String,
}

/// A pattern does not say where the store's name is, or leads to another folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must hold {{store}} once, and none of / ? # %, such as \"{{store}}\" or \"bc-{{store}}\"")]
pub struct NamePatternError;

impl NamePattern {
    const STORE: &'static str = "{store}";

    /// Takes a pattern.
    ///
    /// # Errors
    /// It has no `{store}`, or more than one, or what the name of a secret cannot have.
    pub fn parse(text: &str) -> Result<Self, NamePatternError> {
        let (before, after) = text.split_once(Self::STORE).ok_or(NamePatternError)?;
        if after.contains(Self::STORE) || text.contains(['/', '?', '#', '%']) {
            return Err(NamePatternError);
        }
        Ok(Self { before: before.to_owned(), after: after.to_owned() })
    }

    /// The name of the store whose secret has this name; none: it is no store's.
    #[must_use]
    pub fn store(&self, secret: &str) -> Option<Result<StoreName, StoreNameError>> {
        let name = secret.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        (!name.is_empty()).then(|| StoreName::parse(name))
    }
}

/// A secret that was found, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// Mount of the engine.
    pub mount: String,
    /// Path below the mount.
    pub path: String,
    /// Since when it is gone; none: it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_since: Option<Timestamp>,
}

/// What is known of a store because it was discovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// Since when its secret is gone; none: it is there.
    pub gone_since: Option<Timestamp>,
    /// How long it then stays published; none: for ever.
    pub withdraw_after: Option<Duration>,
}

/// Which of the discoveries a secret belongs to, and its store's name: the first one that takes it.
pub fn place<'a>(
    mut discoveries: impl Iterator<Item = &'a Discovery>,
    mount: &str,
    path: &str,
) -> Option<(usize, Result<StoreName, StoreNameError>)> {
    let (folder, secret) = Folder::split(path);
    let mut at = 0;
    discoveries.find_map(|discovery| {
        let here = at;
        at += 1;
        let is_there = discovery.folder.mount == mount && discovery.folder.path == folder;
        discovery.pattern.store(secret).filter(|_| is_there).map(|name| (here, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(pattern: &str, secret: &str) -> Option<Result<String, StoreNameError>> {
        let name = NamePattern::parse(pattern).unwrap().store(secret)?;
        Some(name.map(|name| name.as_str().to_owned()))
    }

    #[test]
    fn a_pattern_tells_stores_from_other_secrets() {
        assert_eq!(store("{store}", "acme"), Some(Ok("acme".into())));
        assert_eq!(store("bc-{store}", "bc-acme"), Some(Ok("acme".into())));
        assert_eq!(store("bc-{store}.v2", "bc-acme.v2"), Some(Ok("acme".into())));
        for other in ["acme", "bc-", "bc-acme", "acme.v2", "bc-.v2"] {
            assert_eq!(store("bc-{store}.v2", other), None, "{other}");
        }
        assert_eq!(store("{store}", "no name"), Some(Err(StoreNameError::Unsafe)));
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        for text in [
            "",
            "acme",
            "{store}{store}",
            "a/{store}",
            "{store",
            "{Store}",
            "{store}#1",
            "{store}?",
            "%41{store}",
        ] {
            assert_eq!(NamePattern::parse(text), Err(NamePatternError), "{text}");
        }
    }

    #[test]
    fn the_first_discovery_that_takes_a_secret_has_it() {
        let discovery = |path: &str, pattern: &str| Discovery {
            folder: Folder { mount: "kv".into(), path: path.into() },
            kv_version: None,
            pattern: NamePattern::parse(pattern).unwrap(),
            withdraw_after: None,
        };
        let all = [discovery("bc", "eu-{store}"), discovery("bc", "{store}"), discovery("", "{store}")];
        let place = |mount, path| {
            place(all.iter(), mount, path).map(|(at, name)| (at, name.unwrap().as_str().to_owned()))
        };
        assert_eq!(place("kv", "bc/eu-acme"), Some((0, "acme".into())));
        assert_eq!(place("kv", "bc/acme"), Some((1, "acme".into())));
        assert_eq!(place("kv", "acme"), Some((2, "acme".into())));
        assert_eq!(place("kv", "other/acme"), None);
        assert_eq!(place("secret", "bc/acme"), None);
    }
}
