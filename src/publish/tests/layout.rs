//! The layout, the rights, and that nothing is written without need.

use std::process::Command;

use super::*;

#[test]
fn a_generation_is_laid_out_as_atomic_writer_does() {
    let place = Place::new();
    place.publish(1);
    let names = place.names();
    let (generation, rest) = names.split_first().unwrap();
    assert!(generation.starts_with("..2026_11_23_05_51_22."), "{generation}");
    assert_eq!(rest, ["..data", "api_path", "api_token", "generation.json", "username"]);
    assert_eq!(
        super::names(&place.path(generation)),
        ["api_path", "api_token", "generation.json", "username"]
    );
    assert_eq!(fs::read_link(place.path("..data")).unwrap(), PathBuf::from(generation));
    for name in ["api_path", "api_token", "generation.json", "username"] {
        assert_eq!(fs::read_link(place.path(name)).unwrap(), PathBuf::from("..data").join(name));
    }
}

#[test]
fn files_hold_exactly_the_values() {
    let place = Place::new();
    place.publish(1);
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(read("username"), "user1");
    assert_eq!(read("api_token"), "token1");
    assert_eq!(read("api_path"), "https://store1.mybigcommerce.com/api/v2/");
    let json: serde_json::Value = serde_json::from_str(&read("generation.json")).unwrap();
    assert_eq!(json["generation"], 1);
    assert_eq!(json["version"], 11);
    assert_eq!(json["published_at"], "2026-11-23T05:51:22.123Z");
    assert_eq!(json["verified_at"], "2026-11-23T05:51:21.000Z");
    assert!(!read("generation.json").contains("token1"));
}

#[test]
fn what_was_published_is_read_from_the_disk() {
    let place = Place::new();
    assert_eq!(place.published(), None);
    let written = place.publish(1);
    let OnDisk::Published(read) = place.read() else {
        panic!("nothing published");
    };
    assert_eq!(read.stamp, written.stamp);
    assert!(read.credentials.same_as(&written.credentials));
    // Another process, which knows nothing but the configuration and the key.
    let other = Publisher::new(&place.output, key());
    assert!(matches!(other.inspect(&store()).found, Ok(OnDisk::Published(_))));
}

#[test]
fn links_stay_good_when_the_volume_is_mounted_elsewhere() {
    let place = Place::new();
    place.publish(1);
    let elsewhere = place.root.path().join("elsewhere");
    fs::rename(&place.output.directory, &elsewhere).unwrap();
    assert_eq!(fs::read_to_string(elsewhere.join("acme/api_token")).unwrap(), "token1");
}

#[test]
fn modes_are_exact() {
    for (file_mode, directory_mode) in [(0o440, 0o750), (0o600, 0o700), (0o666, 0o777), (0o444, 0o2755)] {
        let place = Place::with(|output| {
            output.file_mode = file_mode;
            output.directory_mode = directory_mode;
        });
        place.publish(1);
        place.publish(2);
        assert_eq!(mode(&place.output.directory), directory_mode);
        assert_eq!(mode(place.path("")), directory_mode);
        for generation in place.generations() {
            assert_eq!(mode(place.path(&generation)), directory_mode);
            for file in ["api_path", "api_token", "generation.json", "username"] {
                assert_eq!(mode(place.path(&generation).join(file)), file_mode);
            }
        }
        assert_eq!(place.published(), Some(2));
    }
}

/// The umask belongs to the whole process, so the test above is run again in processes of its own.
#[test]
fn modes_do_not_depend_on_the_umask() {
    for umask in ["077", "000"] {
        let output = Command::new("sh")
            .arg("-c")
            .arg(r#"umask "$1" && exec "$0" --exact publish::tests::layout::modes_are_exact"#)
            .arg(std::env::current_exe().unwrap())
            .arg(umask)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "umask {umask}: {text}");
        assert!(text.contains("1 passed"), "umask {umask}: {text}");
    }
}

#[test]
fn owner_and_group_are_set_on_files_and_directories() {
    let own = fs::metadata("/proc/self").unwrap();
    // Only root may give files away; anybody else gives them to itself.
    let (owner, group) = if own.uid() == 0 { (12_345, 23_456) } else { (own.uid(), own.gid()) };
    let place = Place::with(|output| {
        output.owner = Some(owner);
        output.group = Some(group);
    });
    place.publish(1);
    let generation = place.generations().remove(0);
    for path in [
        place.output.directory.clone(),
        place.path(""),
        place.path(&generation),
        place.path(&generation).join("api_token"),
        place.path(&generation).join("generation.json"),
    ] {
        let is = fs::metadata(&path).unwrap();
        assert_eq!((is.uid(), is.gid()), (owner, group), "{}", path.display());
    }
    assert_eq!(place.published(), Some(1));
}

#[test]
fn the_output_directory_is_made_once_and_then_left_alone() {
    let place = Place::new();
    place.publisher.prepare().unwrap();
    assert_eq!(mode(&place.output.directory), 0o750);
    set_mode(&place.output.directory, 0o711);
    place.publisher.prepare().unwrap();
    assert_eq!(mode(&place.output.directory), 0o711);
}

#[test]
fn an_output_directory_may_be_reached_through_a_link() {
    let place = Place::new();
    fs::create_dir(place.root.path().join("volume")).unwrap();
    std::os::unix::fs::symlink("volume", &place.output.directory).unwrap();
    place.publish(1);
    assert_eq!(place.published(), Some(1));
}

#[test]
fn the_generation_before_is_kept_and_older_ones_are_not() {
    let place = Place::new();
    place.publish(1);
    let first = place.generations().remove(0);
    place.publish(2);
    assert_eq!(place.generations().len(), 2);
    assert_eq!(fs::read_to_string(place.path(&first).join("api_token")).unwrap(), "token1");
    for generation in 3..10 {
        place.publish(generation);
        assert_eq!(place.generations().len(), 2);
    }
    assert!(!place.generations().contains(&first));
    assert_eq!(place.published(), Some(9));
}

#[test]
fn publishing_what_is_published_writes_nothing() {
    let place = Place::new();
    place.publish(1);
    place.publish(2);
    let look = |name: &str| {
        let is = fs::symlink_metadata(place.path(name)).unwrap();
        (is.ino(), is.mtime_nsec(), is.ctime(), is.ctime_nsec())
    };
    let before: Vec<_> = place.names().iter().map(|name| look(name)).collect();
    let names = place.names();
    place.publish(2);
    place.publisher.inspect(&store()).swept.unwrap();
    place.read();
    assert_eq!(place.names(), names);
    assert_eq!(names.iter().map(|name| look(name)).collect::<Vec<_>>(), before);
}

#[test]
fn a_new_generation_does_not_touch_good_links() {
    let place = Place::new();
    place.publish(1);
    let inode = |name: &str| fs::symlink_metadata(place.path(name)).unwrap().ino();
    let before = inode("api_token");
    place.publish(2);
    assert_eq!(inode("api_token"), before);
}

#[test]
fn nothing_that_can_be_printed_holds_a_value() {
    let place = Place::new();
    let published = place.publish(1);
    let text = format!("{:?} {published:?} {:?}", place.publisher, place.read());
    for secret in ["user1", "token1", "store1."] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_withdrawn_set_is_gone_whole_and_can_be_published_again() {
    let place = Place::new();
    place.publish(1);
    place.publish(2);
    place.publisher.withdraw(&store()).unwrap();
    assert_eq!(place.names(), ["api_path", "api_token", "generation.json", "username"]);
    assert_eq!(fs::read(place.path("api_token")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert_eq!(place.published(), None);
    place.publisher.withdraw(&store()).unwrap();
    place.publish(3);
    assert_eq!(fs::read_to_string(place.path("api_token")).unwrap(), "token3");
}
