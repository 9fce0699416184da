//! What each app was told or has acknowledged last, on disk: a small file a store, without any secret.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::credentials::StoreName;
use crate::domain::publication::{Acknowledged, Told};

/// Far above what a note needs.
const LIMIT: u64 = 4096;

/// The notes of one kind, in one state directory.
#[derive(Debug)]
pub(super) struct Notes<T> {
    directory: PathBuf,
    /// What follows when a note cannot be read.
    without: &'static str,
    kind: PhantomData<fn() -> T>,
}

impl Notes<Told> {
    /// What apps were told last.
    pub(super) fn told(state: &Path) -> Self {
        Self::new(state, "told", "the app is told again")
    }
}

impl Notes<Acknowledged> {
    /// What apps have acknowledged last.
    pub(super) fn acknowledged(state: &Path) -> Self {
        Self::new(state, "acknowledged", "the app has to acknowledge again what it runs on")
    }
}

impl<T: Serialize + DeserializeOwned> Notes<T> {
    fn new(state: &Path, directory: &str, without: &'static str) -> Self {
        Self { directory: state.join(directory), without, kind: PhantomData }
    }

    /// A store's note. One that is missing or cannot be read is none: the app is asked or told once more.
    pub(super) fn read(&self, store: &StoreName) -> Option<T> {
        let path = self.path(store);
        let mut text = String::new();
        let read = fs::File::open(&path).and_then(|file| file.take(LIMIT).read_to_string(&mut text));
        let note = match read {
            Ok(_) => serde_json::from_str(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => Err(error),
        };
        note.inspect_err(|error| {
            tracing::warn!(%store, "{}: {} cannot be read: {error}", self.without, path.display());
        })
        .ok()
    }

    /// Replaces a store's note. It is not forced to the disk: a note that is lost with the power is made up for by
    /// asking or telling the app once more.
    pub(super) fn write(&self, store: &StoreName, note: &T) -> Result<(), String> {
        let path = self.path(store);
        let aside = self.directory.join(format!("{store}.new"));
        let write = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
            let text = serde_json::to_vec(note)?;
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
            file.write_all(&text)?;
            drop(file);
            fs::rename(&aside, &path)
        };
        write().map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Removes a store's note, if there is one.
    pub(super) fn remove(&self, store: &StoreName) -> Result<(), String> {
        let path = self.path(store);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("cannot remove {}: {error}", path.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Ends otherwise than a file that is put aside, so that no store's name makes the one of the other.
    fn path(&self, store: &StoreName) -> PathBuf {
        self.directory.join(format!("{store}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::publication::GenerationId;
    use crate::domain::secret::Fingerprint;
    use crate::domain::time::Timestamp;

    fn told(generation: u64) -> Told {
        let fingerprint = Fingerprint::parse("00000000000000ff").unwrap();
        let published_at = Timestamp::from_millis(1_001);
        let generation = GenerationId { generation, fingerprint, published_at };
        Told { generation, told_at: Timestamp::from_millis(2_002) }
    }

    #[test]
    fn a_note_is_read_back_as_it_was_written_and_each_store_has_its_own() {
        let state = tempfile::tempdir().unwrap();
        let notes = Notes::told(state.path());
        // Names that would be one another's files, if files were named carelessly.
        let stores = ["acme", "acme.json", "acme.new", "acme.json.new"];
        let stores = stores.map(|name| StoreName::parse(name).unwrap());
        assert_eq!(stores.each_ref().map(|store| notes.read(store)), [None; 4]);
        for (store, generation) in stores.iter().zip(1..) {
            notes.write(store, &told(generation + 10)).unwrap();
            notes.write(store, &told(generation)).unwrap();
        }
        let read = Notes::told(state.path());
        assert_eq!(stores.each_ref().map(|store| read.read(store)), [1, 2, 3, 4].map(|at| Some(told(at))));
        let text = fs::read_to_string(state.path().join("told/acme.json")).unwrap();
        assert_eq!(
            text,
            r#"{"generation":1,"fingerprint":"00000000000000ff","published_at":"1970-01-01T00:00:01.001Z","told_at":"1970-01-01T00:00:02.002Z"}"#
        );
    }

    #[test]
    fn a_note_that_cannot_be_read_is_none_and_one_that_cannot_be_written_says_why() {
        let state = tempfile::tempdir().unwrap();
        let notes = Notes::told(state.path());
        let store = StoreName::parse("acme").unwrap();
        for text in ["", "{", "{\"generation\":1}", "[]"] {
            fs::create_dir_all(state.path().join("told")).unwrap();
            fs::write(state.path().join("told/acme.json"), text).unwrap();
            assert_eq!(notes.read(&store), None, "{text}");
        }
        notes.write(&store, &told(1)).unwrap();
        assert_eq!(notes.read(&store), Some(told(1)));
        assert_eq!((notes.remove(&store), notes.remove(&store), notes.read(&store)), (Ok(()), Ok(()), None));
        fs::remove_dir_all(state.path().join("told")).unwrap();
        fs::write(state.path().join("told"), "in the way").unwrap();
        let error = notes.write(&store, &told(1)).unwrap_err();
        assert!(error.starts_with("cannot write") && error.contains("told/acme.json"), "{error}");
    }
}
