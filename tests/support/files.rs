//! Looking at files: what is published for a store, and everything below a directory.

#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The three values as an app reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublishedSet {
    pub(crate) username: String,
    pub(crate) api_token: String,
    pub(crate) api_path: String,
}

/// What an app finds in a store's directory; none: not all of it is there.
pub(crate) fn published(output: &Path, store: &str) -> Option<PublishedSet> {
    let read = |name: &str| std::fs::read_to_string(output.join(store).join(name)).ok();
    Some(PublishedSet {
        username: read("username")?,
        api_token: read("api_token")?,
        api_path: read("api_path")?,
    })
}

/// What `generation.json` says.
pub(crate) fn generation(output: &Path, store: &str) -> Value {
    let text = std::fs::read_to_string(output.join(store).join("generation.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Something below a directory: enough of it to notice that it was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) inode: u64,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) changed: (i64, i64),
    pub(crate) content: Content,
}

/// What it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Directory,
    File(Vec<u8>),
    Link(PathBuf),
}

/// Everything below a directory by its path in it, the directory itself included; nothing when it is not there.
pub(crate) fn listing(directory: &Path) -> BTreeMap<PathBuf, Entry> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        let content = if metadata.is_symlink() {
            Content::Link(std::fs::read_link(&path).unwrap())
        } else if metadata.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Content::Directory
        } else {
            Content::File(std::fs::read(&path).unwrap())
        };
        let entry = Entry {
            inode: metadata.ino(),
            mode: metadata.mode() & 0o7777,
            owner: (metadata.uid(), metadata.gid()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            content,
        };
        found.insert(path.strip_prefix(directory).unwrap().to_owned(), entry);
    }
    found
}
