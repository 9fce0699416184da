//! The files by which apps acknowledge generations, and the notes of what they have acknowledged.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::notes::Notes;
use crate::config::Config;
use crate::domain::credentials::StoreName;
use crate::domain::publication::{Acknowledged, Sign};
use crate::domain::time::Timestamp;
use crate::system::directories::Directories;

/// Far above a number and the line break that editors add.
const LIMIT: u64 = 64;

/// What every store's app acknowledges.
#[derive(Clone, Debug)]
pub struct Acknowledgements {
    inner: Arc<Inner>,
    watch: Option<Directories<StoreName>>,
}

#[derive(Debug)]
struct Inner {
    /// The stores whose apps acknowledge, with the file by which they do where there is one.
    stores: BTreeMap<StoreName, Option<PathBuf>>,
    notes: Notes<Acknowledged>,
}

impl Acknowledgements {
    /// Takes the files as they are configured. Reads nothing.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let store = |store: &crate::config::Store| {
            Some((store.name.clone(), store.acknowledge.as_ref()?.file.clone()))
        };
        let stores = config.stores.iter().filter_map(store).collect();
        let notes = Notes::acknowledged(&config.state.directory);
        Self { inner: Arc::new(Inner { stores, notes }), watch: None }
    }

    /// From now on each look at a file also sees to it that it is watched.
    #[must_use]
    pub fn watching(self, directories: Directories<StoreName>) -> Self {
        Self { watch: Some(directories), ..self }
    }

    /// What a store's app says by its file. Blocks on the disk.
    #[must_use]
    pub fn sign(&self, store: &StoreName) -> Sign {
        let Some(Some(path)) = self.inner.stores.get(store) else { return Sign::None };
        if let (Some(watch), Some(parent), Some(name)) = (&self.watch, path.parent(), path.file_name()) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            // One that is not there yet is watched from the look on that finds it.
            if let Ok(directory) = open(parent, flags, Mode::empty()) {
                watch.watch_entry(&directory, parent, name, store);
            }
        }
        read(path).unwrap_or_else(Sign::Unfit)
    }

    /// Notes what a store's app has acknowledged. Blocks on the disk.
    ///
    /// # Errors
    /// The note could not be written, in words.
    pub fn remember(&self, store: &StoreName, acknowledged: &Acknowledged) -> Result<(), String> {
        self.inner.notes.write(store, acknowledged)
    }

    /// What the apps that acknowledge have acknowledged last, as far as it was noted. Blocks on the disk.
    #[must_use]
    pub fn remembered(&self) -> BTreeMap<StoreName, Acknowledged> {
        let noted = |store: &StoreName| Some((store.clone(), self.inner.notes.read(store)?));
        self.inner.stores.keys().filter_map(noted).collect()
    }
}

/// What a file says, or why it says nothing: never what is in it, which an app might choose.
fn read(path: &Path) -> Result<Sign, String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut file = match open(path, flags, Mode::empty()) {
        Ok(handle) => File::from(handle),
        Err(Errno::NOENT) => return Ok(Sign::None),
        Err(Errno::LOOP) => return Err("it is a link, which is not followed".to_owned()),
        Err(Errno::NXIO) => return Err("it is not a regular file".to_owned()),
        Err(error) => return Err(format!("it cannot be opened: {error}")),
    };
    let unreadable = |error: std::io::Error| format!("it cannot be read: {error}");
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let at = Timestamp::from(metadata.modified().map_err(unreadable)?);
    let mut bytes = Vec::new();
    file.by_ref().take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = bytes.trim_ascii();
    let unfit = || "it must hold the number of a generation, or nothing at all".to_owned();
    if bytes.len() as u64 > LIMIT {
        return Err(unfit());
    }
    if text.is_empty() {
        return Ok(Sign::Touched(at));
    }
    let number =
        text.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(text).ok()?.parse().ok()).flatten();
    number.map(|number| Sign::Number(number, at)).ok_or_else(unfit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_says_a_number_or_nothing_or_is_unfit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("acknowledged");
        assert_eq!(read(&path), Ok(Sign::None));
        let at = || Timestamp::from(fs::metadata(&path).unwrap().modified().unwrap());
        for (text, number) in [("7", 7), ("7\n", 7), (" 007 \r\n", 7), ("18446744073709551615", u64::MAX)] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path), Ok(Sign::Number(number, at())), "{text:?}");
        }
        for text in ["", "\n", "  \t"] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path), Ok(Sign::Touched(at())), "{text:?}");
        }
        let long = format!("1{}", " ".repeat(64));
        let blank = " ".repeat(1 << 20);
        for text in ["seven", "-7", "+7", "7 8", "7.0", "18446744073709551616", "\u{ff17}", &long, &blank] {
            fs::write(&path, text).unwrap();
            let why = read(&path).unwrap_err();
            assert!(why.contains("the number of a generation") && !why.contains(text), "{text:?}: {why}");
        }
    }

    #[test]
    fn what_is_no_plain_file_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("acknowledged");
        fs::write(directory.path().join("elsewhere"), "7").unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert_eq!(read(&path), Err("it is a link, which is not followed".to_owned()));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(read(&path), Err("it is not a regular file".to_owned()));
        fs::remove_dir(&path).unwrap();
        // Opening a pipe without a writer would block for ever.
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(read(&path), Err("it is not a regular file".to_owned()));
    }
}
