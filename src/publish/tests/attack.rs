//! Somebody else who may write to the volume plants links while the publisher is at work: nothing outside changes.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{RenameFlags, renameat_with};

use super::*;

/// How many publications there are at least; and how many links are planted at least.
const ROUNDS: u64 = 300;
const PLANTED: usize = 3000;

/// Enough of everything below a directory to notice that it was touched.
type Listing = BTreeMap<PathBuf, (u64, u32, (i64, i64), (i64, i64), Vec<u8>)>;

fn listing(directory: &Path) -> Listing {
    let mut found = Listing::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        let is = fs::symlink_metadata(&path).unwrap();
        let mut content = Vec::new();
        if is.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            // A link that leads nowhere is a change, too.
            content = fs::read(&path).unwrap_or_default();
        }
        let (changed, modified) = ((is.ctime(), is.ctime_nsec()), (is.mtime(), is.mtime_nsec()));
        found.insert(path, (is.ino(), is.mode(), changed, modified, content));
    }
    found
}

/// A directory with all names that the publisher would write, replace, remove or give other rights.
fn bait(directory: &Path) {
    fs::create_dir_all(directory.join("..2026_11_23_05_51_22.1/deep")).unwrap();
    fs::create_dir(directory.join("deep")).unwrap();
    for name in [
        "username",
        "api_token",
        "generation.json",
        "..2026_11_23_05_51_22.1/api_token",
        "..2026_11_23_05_51_22.1/deep/file",
        "deep/file",
    ] {
        fs::write(directory.join(name), "theirs").unwrap();
        set_mode(directory.join(name), 0o604);
    }
    set_mode(directory, 0o705);
}

/// Puts a link to `target` in the place of whatever is at `path`, in one step, or takes it away again.
fn exchange(path: &Path, aside: &Path, target: &Path) -> bool {
    if fs::symlink_metadata(aside).is_err() && symlink(target, aside).is_err() {
        return false;
    }
    renameat_with(CWD, path, CWD, aside, RenameFlags::EXCHANGE).is_ok()
}

fn attack(place: &Place, outside: &Path, stop: &AtomicBool, planted: &AtomicUsize) {
    let store = place.path("").components().as_path().to_owned();
    let aside = place.output.directory.join("aside");
    let names = ["..data", "..data_tmp", "username", "..username_tmp", "api_token", "generation.json"];
    while !stop.load(Ordering::Acquire) {
        let mut count = 0;
        // The store's own directory, there and back.
        count += usize::from(exchange(&store, &aside, outside));
        thread::yield_now();
        count += usize::from(exchange(&store, &aside, outside));
        // Each generation, also the one that is being written, and what is in it.
        for entry in fs::read_dir(&store).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if !name.starts_with("..20") {
                continue;
            }
            let beside = store.join(format!("{name}.aside"));
            count += usize::from(exchange(&path, &beside, outside));
            thread::yield_now();
            count += usize::from(exchange(&path, &beside, outside));
            let _ = fs::remove_file(&beside);
            for file in ["api_token", "planted"] {
                count += usize::from(symlink(outside.join("api_token"), path.join(file)).is_ok());
            }
        }
        for name in names {
            let target = if name.contains("data") { outside.to_owned() } else { outside.join("username") };
            let _ = fs::remove_file(store.join(name));
            count += usize::from(symlink(target, store.join(name)).is_ok());
        }
        planted.fetch_add(count, Ordering::AcqRel);
    }
}

#[test]
fn a_link_planted_at_any_moment_leads_nobody_out_of_the_output_directory() {
    let own = fs::metadata("/proc/self").unwrap();
    let place = Place::with(|output| {
        // So that owners are set, too, where that is allowed.
        output.owner = (own.uid() == 0).then_some(12_345);
    });
    let outside = place.root.path().join("outside");
    bait(&outside);
    place.publish(1);
    let before = listing(&outside);
    let (stop, planted) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut generation = 1;
    let mut published = 0;
    thread::scope(|scope| {
        scope.spawn(|| attack(&place, &outside, &stop, &planted));
        while generation < ROUNDS || planted.load(Ordering::Acquire) < PLANTED {
            generation += 1;
            published += u64::from(place.try_publish(&place.publisher, generation).is_ok());
            let _ = place.publisher.inspect(&store());
            if generation % 10 == 0 {
                let _ = place.publisher.withdraw(&store());
            }
        }
        stop.store(true, Ordering::Release);
    });
    assert_eq!(listing(&outside), before);
    assert!(published > 0, "nothing was published in between, so little was tried");
    // Once nobody attacks any more, publishing mends what it may.
    if fs::symlink_metadata(place.path("").components().as_path()).unwrap().is_symlink() {
        exchange(place.path("").components().as_path(), &place.output.directory.join("aside"), &outside);
    }
    place.publish(generation + 1);
    assert_eq!(place.published(), Some(generation + 1));
    assert_eq!(listing(&outside), before);
}
