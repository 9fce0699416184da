//! Real file systems that are full or read-only, under a running daemon: an incident, and nothing worse.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::privileges::{Need, may};
use super::readers::Readers;
use super::rig::{Files, Outside, Rig, names};
use crate::support::daemon::Daemon;
use crate::support::wait::wait_until;

/// A tmpfs.
struct Volume<'a>(&'a Path);

impl<'a> Volume<'a> {
    fn mount(path: &'a Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=64k,nr_inodes=1000,mode=755", "tmpfs"], path);
        Self(path)
    }

    fn remount(&self, options: &str) {
        // Told the source, too, it adds no options of its own, which it may not set where it is root by name only.
        mount(&["-o", &format!("remount,{options}"), "tmpfs"], self.0);
    }

    /// Leaves room for so many more pages of 4 KiB.
    fn fill(&self, but: u64) {
        let free = rustix::fs::statvfs(self.0).unwrap();
        let ballast = vec![0; usize::try_from((free.f_bfree - but) * free.f_bsize).unwrap()];
        std::fs::write(self.0.join("ballast"), ballast).unwrap();
    }

    fn clear(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }

    /// Leaves room for so many more files and directories.
    fn limit_files(&self, more: u64) {
        let is = rustix::fs::statvfs(self.0).unwrap();
        self.remount(&format!("nr_inodes={}", is.f_files - is.f_ffree + more));
    }
}

fn mount(arguments: &[&str], path: &Path) {
    let ended = Command::new("mount").args(arguments).arg(path).status().unwrap();
    assert!(ended.success(), "mount {arguments:?}: {ended}");
}

#[tokio::test]
#[ignore = "mounts file systems: ./tests/run --real"]
async fn real_volumes_that_are_full_or_read_only_are_an_incident_and_heal() {
    if !may(
        Need::Mount,
        "publishing::volumes::real_volumes_that_are_full_or_read_only_are_an_incident_and_heal",
    ) {
        return;
    }
    let mut rig = Rig::bare(&Outside::start(), 0, Files::Usual);
    let path = rig.volume();
    let volume = Volume::mount(&path);
    rig.rotate();
    rig.succeed();
    rig.rotate();
    let daemon = Daemon::start(&rig.of_a_daemon()).await;
    settled(&rig, &daemon).await;
    let readers = Readers::start(&rig);

    for (trouble, says) in [
        (Trouble::Full(0), "No space left"),
        (Trouble::Full(2), "No space left"),
        (Trouble::Files(0), "No space left"),
        (Trouble::Files(3), "No space left"),
        (Trouble::ReadOnly, "Read-only file system"),
    ] {
        let before = names(&rig.directory());
        match trouble {
            Trouble::Full(but) => volume.fill(but),
            Trouble::Files(more) => volume.limit_files(more),
            Trouble::ReadOnly => volume.remount("ro"),
        }
        rig.rotate();
        wait_until(&format!("{trouble:?} is an incident"), async || is_incident(&daemon).await).await;
        let error = daemon.store(rig.store()).await["publish_error"].to_string();
        assert!(error.contains(says), "{trouble:?}: {error}");
        assert_eq!(rig.published(), rig.newest() - 1, "{trouble:?}");
        assert_eq!(names(&rig.directory()), before, "{trouble:?}");
        match trouble {
            Trouble::Full(_) => volume.clear(),
            Trouble::Files(_) => volume.remount("nr_inodes=1000"),
            Trouble::ReadOnly => volume.remount("rw"),
        }
        settled(&rig, &daemon).await;
        readers.check();
    }
    readers.stop();
    daemon.stop().await;
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// There is room for so many pages.
    Full(u64),
    /// There is room for so many files.
    Files(u64),
    ReadOnly,
}

/// Whether it is an incident that publishing fails. Here every account goes on working, which is another one.
async fn is_incident(daemon: &Daemon) -> bool {
    let (code, text) = daemon.get("/v1/incidents").await;
    assert_eq!(code, 200, "{text}");
    let value: Value = serde_json::from_str(&text).unwrap();
    let incidents = value["incidents"].as_array().unwrap_or_else(|| panic!("{text}"));
    incidents.iter().any(|incident| incident["cause"] == "publish_failed")
}

/// Waits until the newest version is published and nothing is wrong; then all is as it should be.
async fn settled(rig: &Rig, daemon: &Daemon) {
    wait_until("the newest version is published", async || {
        rig.published() == rig.newest() && !is_incident(daemon).await
    })
    .await;
    rig.is_settled();
}
