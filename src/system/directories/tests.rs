//! Who is told of what, and who is not.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

struct Place {
    root: TempDir,
    directories: Directories<&'static str>,
    changes: Changes<&'static str>,
}

impl Place {
    /// `a` and `b` are watched whole, each with a directory `inner`; of `shared` the names `a` and `b`.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let directories = Directories::open();
        let changes = directories.changes();
        let place = Self { root, directories, changes };
        fs::create_dir(place.path("shared")).unwrap();
        for whom in ["a", "b"] {
            fs::create_dir_all(place.path(&format!("{whom}/inner"))).unwrap();
            fs::write(place.path(&format!("{whom}/inner/file")), "x").unwrap();
            place.watch(whom, Layer::Outer, whom);
            place.watch(&format!("{whom}/inner"), Layer::Inner, whom);
            let shared = place.path("shared");
            place.directories.watch_entry(File::open(&shared).unwrap(), &shared, OsStr::new(whom), &whom);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn watch(&self, name: &str, layer: Layer, whom: &'static str) {
        let path = self.path(name);
        self.directories.watch_whole(File::open(&path).unwrap(), &path, layer, &whom);
    }

    async fn tells(&mut self, whom: &[&'static str]) {
        let told = timeout(Duration::from_secs(20), self.changes.next()).await.expect("nobody was told");
        assert_eq!(told.unwrap(), Disturbed::These(whom.iter().copied().collect()));
    }

    /// Nobody is told of what has happened so far: the next that is told is of something else.
    async fn tells_nobody(&mut self) {
        fs::write(self.path("b/mark"), "").unwrap();
        self.tells(&["b"]).await;
    }
}

#[tokio::test]
async fn every_way_to_touch_a_set_is_told_of_whom_it_is() {
    let mut place = Place::new();
    let ways: [fn(&Place); 10] = [
        |place| fs::write(place.path("a/new"), "").unwrap(),
        |place| fs::remove_file(place.path("a/new")).unwrap(),
        |place| fs::write(place.path("a/inner/file"), "y").unwrap(),
        |place| fs::set_permissions(place.path("a/inner/file"), Permissions::from_mode(0o0)).unwrap(),
        |place| fs::set_permissions(place.path("a/inner"), Permissions::from_mode(0o700)).unwrap(),
        |place| fs::set_permissions(place.path("a"), Permissions::from_mode(0o700)).unwrap(),
        |place| symlink("inner", place.path("a/link")).unwrap(),
        |place| fs::rename(place.path("a/link"), place.path("a/other")).unwrap(),
        |place| fs::remove_file(place.path("a/inner/file")).unwrap(),
        |place| fs::remove_dir_all(place.path("a")).unwrap(),
    ];
    for way in ways {
        way(&place);
        place.tells(&["a"]).await;
    }
}

#[tokio::test]
async fn what_is_written_and_not_closed_is_told_too() {
    use std::io::Write;
    let mut place = Place::new();
    let mut file = File::options().append(true).open(place.path("a/inner/file")).unwrap();
    file.write_all(b"y").unwrap();
    place.tells(&["a"]).await;
}

#[tokio::test]
async fn of_a_shared_directory_only_the_own_name_is_told_and_its_end_to_all() {
    let mut place = Place::new();
    fs::write(place.path("shared/a"), "").unwrap();
    place.tells(&["a"]).await;
    fs::write(place.path("shared/nobody"), "").unwrap();
    place.tells_nobody().await;
    fs::rename(place.path("shared"), place.path("elsewhere")).unwrap();
    place.tells(&["a", "b"]).await;
}

#[tokio::test]
async fn readers_wake_nobody() {
    let mut place = Place::new();
    for _ in 0..10 {
        assert_eq!(fs::read(place.path("a/inner/file")).unwrap(), b"x");
        assert_eq!(fs::read_dir(place.path("a")).unwrap().count(), 1);
        assert!(fs::read_link(place.path("a/inner")).is_err());
        // A file without a name, as it is made to find out what owner a file is given.
        let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::WRONLY;
        drop(rustix::fs::open(place.path("a"), flags, rustix::fs::Mode::RUSR));
    }
    place.tells_nobody().await;
}

#[tokio::test]
async fn a_directory_that_took_the_place_of_another_one_is_watched_in_its_stead() {
    let mut place = Place::new();
    fs::create_dir(place.path("a/second")).unwrap();
    place.watch("a/second", Layer::Inner, "a");
    place.tells(&["a"]).await;
    fs::write(place.path("a/inner/file"), "of nobody's concern").unwrap();
    place.tells_nobody().await;
    fs::write(place.path("a/second/file"), "").unwrap();
    place.tells(&["a"]).await;

    // Lost and made anew, it is watched again from the next look on.
    fs::remove_dir_all(place.path("a")).unwrap();
    place.tells(&["a"]).await;
    fs::create_dir(place.path("a")).unwrap();
    place.watch("a", Layer::Outer, "a");
    fs::write(place.path("a/file"), "").unwrap();
    place.tells(&["a"]).await;
    let watched = place.directories.watched();
    assert_eq!(watched.interests.len(), 4, "what is gone is forgotten");
}

#[tokio::test]
async fn a_flood_is_told_a_few_times_and_nobody_is_forgotten() {
    let mut place = Place::new();
    let file = place.path("a/inner/file");
    let begun = std::time::Instant::now();
    for _ in 0..20_000 {
        // Two kinds in turn, so that the kernel does not make one of them.
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        drop(File::options().write(true).open(&file).unwrap());
    }
    fs::write(place.path("b/last"), "").unwrap();
    let mut told = 0;
    let everybody = timeout(Duration::from_secs(20), async {
        loop {
            told += 1;
            match place.changes.next().await.unwrap() {
                Disturbed::Everybody => return true,
                Disturbed::These(whom) if whom.contains("b") => return false,
                Disturbed::These(_) => {}
            }
        }
    });
    let lost = everybody.await.expect("whoever came last was forgotten");
    let most = 2 + begun.elapsed().as_millis() / QUIET.as_millis();
    assert!(told <= most, "told {told} times; {lost}");
}

#[test]
fn a_refusal_is_said_once_for_each_reason() {
    let directories = Directories::<u8>::open();
    for error in [Errno::NOSPC, Errno::NOSPC, Errno::MFILE] {
        directories.refused(Path::new("/out"), error);
    }
    assert_eq!(directories.0.refusals.lock().unwrap().len(), 2);
}
