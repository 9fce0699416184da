//! Readers that do as apps should: open `..data` once, and read everything in it.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use rustix::fs::{CWD, Mode, OFlags, openat};
use serde_json::Value;

use super::rig::{Files, Rig, Versions};

/// How many readers look at one store.
const READERS: usize = 2;

/// Readers of one store. They fail the test at the first set that is not whole.
pub(super) struct Readers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

struct Reader {
    data: PathBuf,
    versions: Versions,
    files: Files,
    /// Counts the runs, each of which may publish once.
    runs: Arc<AtomicU64>,
}

impl Readers {
    pub(super) fn start(rig: &Rig) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..READERS)
            .map(|_| {
                let reader = Reader {
                    data: rig.directory().join("..data"),
                    versions: rig.versions(),
                    files: rig.files(),
                    runs: rig.runs(),
                };
                let stop = Arc::clone(&stop);
                thread::spawn(move || {
                    let mut count = 0;
                    while !stop.load(Ordering::Acquire) {
                        count += u64::from(reader.read());
                        // There are no more processors than there is work.
                        if count % 4 == 0 {
                            thread::sleep(std::time::Duration::from_millis(1));
                        }
                    }
                    count
                })
            })
            .collect();
        Self { stop, threads }
    }

    /// Fails when a reader has failed.
    pub(super) fn check(&self) {
        assert!(!self.threads.iter().any(JoinHandle::is_finished), "a reader has failed");
    }

    /// Ends them and returns how many whole sets they have read.
    pub(super) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    }
}

impl Reader {
    /// Reads one set; whether that counts. It does not when two publications ran into it: the generation is kept
    /// until the publication after the next, and no longer.
    fn read(&self) -> bool {
        let begun = self.runs.load(Ordering::Acquire);
        match self.try_read() {
            Ok(()) => true,
            Err(why) => {
                let overtaken = self.runs.load(Ordering::Acquire) > begun + 1;
                assert!(overtaken && why.starts_with("cannot open"), "not a whole set: {why}");
                false
            }
        }
    }

    fn try_read(&self) -> Result<(), String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, &self.data, flags, Mode::empty())
            .unwrap_or_else(|error| panic!("{}: {error}", self.data.display()));
        let mut stamp: Value = serde_json::from_str(&read(&directory, "generation.json")?)
            .map_err(|error| format!("generation.json: {error}"))?;
        let version = stamp["version"].take().as_u64().unwrap();
        let values = [
            ("username", Versions::username(version)),
            ("api_token", Versions::api_token(version)),
            ("api_path", self.versions.api_path(version)),
        ];
        for (name, value) in values.into_iter().chain(self.files.contents(&self.versions, version)) {
            let is = read(&directory, name)?;
            if is != value {
                return Err(format!("{name} of version {version}: {is:?}"));
            }
        }
        Ok(())
    }
}

fn read(directory: &OwnedFd, name: &str) -> Result<String, String> {
    let file = openat(directory, Path::new(name), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| format!("cannot open {name}: {error}"))?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).map_err(|error| format!("cannot read {name}: {error}"))?;
    Ok(text)
}
