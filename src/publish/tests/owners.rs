//! Files that were given away or made unreadable, as root sees them and as somebody sees them who may not do anything.

use rustix::fs::{Gid, Uid, chownat};
use rustix::process::geteuid;
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};

use super::*;

const NOBODY: u32 = 65_534;

/// Runs a test as a user without privileges, which this thread alone becomes.
fn without_privileges(test: impl FnOnce() + Send + 'static) {
    let run = move || {
        if geteuid().is_root() {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            set_thread_res_gid(group, group, group).unwrap();
            set_thread_res_uid(user, user, user).unwrap();
        }
        test();
    };
    std::thread::spawn(run).join().unwrap();
}

fn data(place: &Place) -> PathBuf {
    fs::canonicalize(place.path("..data")).unwrap()
}

#[test]
fn what_was_made_unreadable_is_told_and_published_anew_and_nothing_of_it_stays() {
    without_privileges(|| {
        let place = Place::new();
        place.publish(1);
        for (generation, damage, why) in [
            (2, "api_token", "api_token: it may not be read"),
            (3, "generation.json", "generation.json: it may not be read"),
        ] {
            set_mode(data(&place).join(damage), 0);
            assert_eq!(place.damage(), why);
            place.publish(generation);
            assert_eq!(place.published(), Some(generation));
        }
        let dark = data(&place);
        set_mode(&dark, 0);
        assert!(place.damage().ends_with(": it may not be read"), "{}", place.damage());
        place.publish(4);
        assert_eq!(place.published(), Some(4));
        let inspection = place.publisher.inspect(&store());
        assert!(inspection.swept.is_ok() && !dark.exists(), "{inspection:?}");

        set_mode(place.path(""), 0);
        let fault = place.publisher.inspect(&store()).found.unwrap_err();
        assert!(fault.to_string().contains("Permission denied"), "{fault}");
        place.publish(5);
        assert_eq!(place.published(), Some(5));
    });
}

#[test]
fn what_was_given_away_is_told_also_where_no_owner_is_configured() {
    let place = Place::new();
    place.publish(1);
    let give = |path: &Path, owner: Option<u32>, group: Option<u32>| {
        chownat(
            CWD,
            path,
            owner.map(Uid::from_raw),
            group.map(Gid::from_raw),
            rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
        )
    };
    if !geteuid().is_root() {
        // Whoever is not root can give nothing away: there is nothing to be told.
        assert_eq!(give(&data(&place), Some(NOBODY), None), Err(Errno::PERM));
        return;
    }
    give(&data(&place).join("api_token"), Some(NOBODY), None).unwrap();
    assert_eq!(place.other_rights(), "api_token: its owner is 65534, not 0");
    place.publish(2);
    assert_eq!(place.published(), Some(2));
    give(&data(&place).join("username"), None, Some(NOBODY)).unwrap();
    assert_eq!(place.other_rights(), "username: its group is 65534, not 0");
    place.publish(3);
    assert_eq!(place.published(), Some(3));
    // All of it, so that it is at one with itself.
    give(&data(&place), Some(NOBODY), None).unwrap();
    for name in ["username", "api_token", "api_path", "generation.json"] {
        give(&data(&place).join(name), Some(NOBODY), None).unwrap();
    }
    assert!(place.other_rights().ends_with(": its owner is 65534, not 0"), "{}", place.other_rights());
    place.publish(4);
    assert_eq!(place.published(), Some(4));
}

#[test]
fn a_store_directory_that_was_given_away_is_taken_back_by_root_alone() {
    let place = Place::new();
    place.publish(1);
    let give = |owner| {
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        chownat(CWD, place.path(""), Some(Uid::from_raw(owner)), None, flags)
    };
    if !geteuid().is_root() {
        assert_eq!(give(NOBODY), Err(Errno::PERM));
        return;
    }
    give(NOBODY).unwrap();
    assert_eq!(place.other_rights(), "acme: its owner is 65534, not 0");
    place.publish(2);
    assert_eq!(place.published(), Some(2));
    assert_eq!(fs::metadata(place.path("")).unwrap().uid(), 0);

    // Somebody else cannot take it back, and has been let in.
    let theirs = Arc::new(Place::with(|output| output.directory_mode = 0o777));
    theirs.publisher.prepare().unwrap();
    fs::create_dir(theirs.path("")).unwrap();
    set_mode(theirs.path(""), 0o777);
    set_mode(theirs.root.path(), 0o755);
    chownat(CWD, theirs.path(""), Some(Uid::from_raw(12_345)), None, rustix::fs::AtFlags::empty()).unwrap();
    let place = Arc::clone(&theirs);
    without_privileges(move || {
        place.publish(1);
        assert_eq!(place.published(), Some(1));
    });
    assert_eq!(fs::metadata(theirs.path("")).unwrap().uid(), 12_345);
}

#[test]
fn a_link_in_the_place_of_the_output_directory_is_followed_only_where_root_or_the_daemon_has_made_it() {
    const OTHER: u32 = 12_345;
    let place = |name: &str| {
        let mut place = Place::with(|output| output.directory_mode = 0o777);
        let elsewhere = place.root.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        set_mode(&elsewhere, 0o777);
        set_mode(place.root.path(), 0o777);
        place.output.directory = place.root.path().join(name);
        place.publisher = Publisher::new(&place.output, key());
        place
    };
    let link = |place: &Place, name: &str, target: &str, owner: u32| {
        let path = place.root.path().join(name);
        std::os::unix::fs::symlink(target, &path).unwrap();
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        chownat(CWD, &path, Some(Uid::from_raw(owner)), None, flags)
    };
    let own = link(&place("planted"), "planted", "elsewhere", OTHER);
    if !geteuid().is_root() {
        assert_eq!(own, Err(Errno::PERM));
        return;
    }
    let refused = |place: &Place| {
        let reason = "neither root nor the daemon's user (65534); remove it";
        for told in [
            place.publisher.prepare().unwrap_err(),
            place.try_publish(&place.publisher, 1).unwrap_err(),
            place.publisher.inspect(&store()).found.unwrap_err(),
            place.publisher.withdraw(&store()).unwrap_err(),
        ] {
            let told = told.to_string();
            assert!(told.contains("planted: it is a link that user 12345 has made"), "{told}");
            assert!(told.contains(reason), "{told}");
        }
        assert_eq!(fs::read_dir(place.root.path().join("elsewhere")).unwrap().count(), 0);
    };
    for name in ["planted", "planted/", "planted/."] {
        let place = Arc::new(place(name));
        link(&place, "planted", "elsewhere", OTHER).unwrap();
        let inside = Arc::clone(&place);
        without_privileges(move || refused(&inside));
    }
    // Behind one of root's.
    let behind = Arc::new(place("link"));
    link(&behind, "link", "planted", 0).unwrap();
    link(&behind, "planted", "elsewhere", OTHER).unwrap();
    let inside = Arc::clone(&behind);
    without_privileges(move || refused(&inside));
    for owner in [0, NOBODY] {
        let place = Arc::new(place("link"));
        link(&place, "link", "./elsewhere/", owner).unwrap();
        let inside = Arc::clone(&place);
        without_privileges(move || {
            inside.publisher.prepare().unwrap();
            inside.publish(1);
            assert_eq!(inside.published(), Some(1));
        });
        assert!(place.root.path().join("elsewhere").join(store().as_str()).exists());
    }
}

#[test]
fn where_the_volume_gives_other_owners_they_are_no_damage() {
    if !geteuid().is_root() {
        // Only root can make a directory of another group.
        return;
    }
    let place = Place::new();
    place.publish(1);
    // A directory that hands down its group, as a volume may that was mounted so.
    let group = Gid::from_raw(NOBODY);
    chownat(CWD, place.path(""), None, Some(group), rustix::fs::AtFlags::empty()).unwrap();
    set_mode(place.path(""), 0o2750);
    let directory = Directory::at(&place.path("")).unwrap();
    let ours = rights::Ours::new(&directory, &place.output);
    fs::write(place.path("made"), "").unwrap();
    let made = rustix::fs::stat(place.path("made")).unwrap();
    assert_eq!((made.st_gid, ours.difference(&made)), (NOBODY, None));
    let token = rustix::fs::stat(data(&place).join("api_token")).unwrap();
    assert_eq!(ours.difference(&token), None, "what is the daemon's own is right everywhere");
}
