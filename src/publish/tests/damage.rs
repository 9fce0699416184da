//! What is told when the disk does not hold what was published, and that publishing again mends it.

use std::os::unix::fs::symlink;

use super::*;

/// Publishes, does damage, and expects the reason; then publishes again and expects it mended.
fn told(damage: impl FnOnce(&Place), why: &str) {
    told_as(damage, Place::damage, why);
}

fn told_as(damage: impl FnOnce(&Place), told: impl Fn(&Place) -> String, why: &str) {
    let place = Place::new();
    place.publish(1);
    damage(&place);
    let is = told(&place);
    assert!(is.contains(why), "{is:?} does not say {why:?}");
    for secret in ["user1", "token1"] {
        assert!(!is.contains(secret), "{is}");
    }
    place.publish(2);
    assert_eq!(place.published(), Some(2), "after {why:?}");
}

fn file(place: &Place, name: &str) -> PathBuf {
    fs::canonicalize(place.path(name)).unwrap()
}

fn replace_link(path: &Path, target: &str) {
    fs::remove_file(path).unwrap();
    symlink(target, path).unwrap();
}

#[test]
fn a_link_that_is_missing_or_leads_elsewhere() {
    told(|place| fs::remove_file(place.path("api_token")).unwrap(), "api_token: the link is missing");
    told(
        |place| replace_link(&place.path("username"), "/etc/hostname"),
        "username: the link points elsewhere",
    );
    told(
        |place| {
            fs::remove_file(place.path("api_path")).unwrap();
            fs::write(place.path("api_path"), "https://store1.mybigcommerce.com/api/v2/").unwrap();
        },
        "api_path: it is not a link",
    );
}

#[test]
fn a_data_link_that_leads_nowhere_good() {
    for target in ["/etc", "../acme", "username", ".."] {
        told(
            |place| replace_link(&place.path("..data"), target),
            "..data: it points out of the store's directory",
        );
    }
    told(
        |place| replace_link(&place.path("..data"), "..gone"),
        "..data: the generation that it points to is missing",
    );
    told(|place| replace_link(&place.path("..data"), "..data"), "..data: it does not point to a directory");
    told(
        |place| {
            fs::remove_file(place.path("..data")).unwrap();
            fs::write(place.path("..data"), "").unwrap();
        },
        "..data: it is not a link",
    );
}

#[test]
fn without_a_data_link_nothing_is_published() {
    let place = Place::new();
    place.publish(1);
    fs::remove_file(place.path("..data")).unwrap();
    assert_eq!(place.published(), None);
    place.publish(2);
    assert_eq!(place.published(), Some(2));
    assert_eq!(place.generations().len(), 1);
}

/// As a copy is in which links were followed, or what an app has made there.
fn replace_by_directory(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::create_dir_all(path.join("nested".repeat(3)).join("twice")).unwrap();
    fs::write(path.join("api_token"), "token1").unwrap();
    set_mode(path, 0o500);
}

#[test]
fn a_directory_in_the_place_of_a_link_is_removed() {
    for (name, why) in [("..data", "..data: it is not a link"), ("username", "username: it is not a link")] {
        told(|place| replace_by_directory(&place.path(name)), why);
    }
    let place = Place::new();
    place.publish(1);
    replace_by_directory(&place.path("..data"));
    // Nor is it an obstacle where the link is prepared, however deep it is.
    fs::create_dir_all(place.path("..data_tmp").join("1/2/3/4/5/6/7/8/9/10/11/12")).unwrap();
    place.publish(2);
    assert_eq!(place.published(), Some(2));
    assert_eq!(place.names().iter().filter(|name| name.starts_with("..data")).count(), 1);
}

#[test]
fn an_edited_file() {
    for (name, content) in [
        ("username", "user2"),
        ("api_token", "token2"),
        ("api_path", "https://store2.mybigcommerce.com/api/v2/"),
        ("api_path", "https://store1.mybigcommerce.com/api/v2"),
    ] {
        told(|place| fs::write(file(place, name), content).unwrap(), "one of them was edited");
    }
    told(
        |place| fs::write(file(place, "api_token"), "token1\n").unwrap(),
        "field 'api_token': it contains a line break",
    );
    told(|place| fs::write(file(place, "username"), "").unwrap(), "field 'username': it is empty");
    told(
        |place| fs::write(file(place, "username"), [0xff, 0xfe]).unwrap(),
        "username: it is not text in UTF-8",
    );
    told(
        |place| fs::write(file(place, "api_token"), "x".repeat(1 << 20)).unwrap(),
        "api_token: it is too long",
    );
}

#[test]
fn another_key() {
    let place = Place::new();
    place.publish(1);
    let other = Publisher::new(&place.output, Arc::new(FingerprintKey::new(&[8; 32])));
    let Ok(OnDisk::Damaged(why)) = other.inspect(&store()).found else {
        panic!("not damaged");
    };
    assert!(why.contains("the key in the state directory is a new one"), "{why}");
}

#[test]
fn a_file_that_is_missing_or_none() {
    for name in ["username", "generation.json"] {
        told(|place| fs::remove_file(file(place, name)).unwrap(), "it is missing");
    }
    told(
        |place| {
            let path = file(place, "api_token");
            fs::remove_file(&path).unwrap();
            symlink("/etc/hostname", path).unwrap();
        },
        "api_token: it is not a regular file",
    );
    told(
        |place| {
            let path = file(place, "api_token");
            fs::remove_file(&path).unwrap();
            fs::create_dir(path).unwrap();
        },
        "api_token: it is not a regular file",
    );
    told(
        |place| {
            let path = file(place, "api_token");
            fs::remove_file(&path).unwrap();
            // Opening a pipe without a writer would block for ever.
            rustix::fs::mknodat(CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        },
        "api_token: it is not a regular file",
    );
}

#[test]
fn a_stamp_that_cannot_be_read() {
    for content in ["", "{}", "[]", "{\"generation\":1", &"[".repeat(4000), &" ".repeat(5000)] {
        told(
            |place| fs::write(file(place, "generation.json"), content).unwrap(),
            if content.len() > 4096 {
                "generation.json: it is too long"
            } else {
                "generation.json: it is not the stamp"
            },
        );
    }
}

#[test]
fn a_stamp_that_was_edited_tells_nobody_anything() {
    for (from, to) in [
        ("\"generation\":1,", "\"generation\":18446744073709551615,"),
        ("\"version\":11,", "\"version\":99,"),
        ("05:51:22.123Z", "05:51:22.124Z"),
        ("\"verified_at\":\"2026-11-23T05:51:21.000Z\",", ""),
        ("}", ",\"restores\":1}"),
        ("}", "}\n"),
    ] {
        told(
            |place| {
                let path = file(place, "generation.json");
                let text = fs::read_to_string(&path).unwrap();
                assert!(text.contains(from), "{text}");
                fs::write(&path, text.replace(from, to)).unwrap();
            },
            "generation.json: its seal does not match: it was edited",
        );
    }
}

#[test]
fn a_number_that_somebody_invented_is_not_gone_on_from() {
    let place = Place::new();
    place.publish(7);
    let path = file(&place, "generation.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"generation\":7,", "\"generation\":18446744073709551614,")).unwrap();
    assert_eq!(place.publish(8).stamp.generation, 8);
    assert_eq!(place.publish(9).stamp.generation, 9);
}

#[test]
fn rights_that_are_not_the_configured_ones() {
    let told = |damage: fn(&Place), why| told_as(damage, Place::other_rights, why);
    told(|place| set_mode(file(place, "api_token"), 0o444), "api_token: its mode is 0444, not 0440");
    told(
        |place| set_mode(file(place, "generation.json"), 0o640),
        "generation.json: its mode is 0640, not 0440",
    );
    told(|place| set_mode(place.path(""), 0o755), "acme: its mode is 0755, not 0750");
    told(|place| set_mode(file(place, "..data"), 0o700), ": its mode is 0700, not 0750");
}

/// Rights say who could have written, and the seal and the fingerprint who has.
#[test]
fn other_rights_do_not_hide_what_else_is_wrong() {
    let opened = |place: &Place| {
        set_mode(place.path(""), 0o777);
        set_mode(file(place, "..data"), 0o777);
        set_mode(file(place, "generation.json"), 0o666);
        set_mode(file(place, "api_token"), 0o666);
    };
    told_as(opened, Place::other_rights, "acme: its mode is 0777, not 0750");
    told(
        |place| {
            opened(place);
            fs::write(file(place, "api_token"), "token2").unwrap();
        },
        "one of them was edited",
    );
    told(
        |place| {
            opened(place);
            let text = fs::read_to_string(file(place, "generation.json")).unwrap();
            fs::write(file(place, "generation.json"), text.replace("\"version\":11", "\"version\":12"))
                .unwrap();
        },
        "generation.json: its seal does not match",
    );
    told(
        |place| {
            opened(place);
            replace_link(&place.path("username"), "..data/api_token");
        },
        "username: the link points elsewhere",
    );
}

#[test]
fn another_owner_or_group_than_the_configured_one() {
    let place = Place::new();
    place.publish(1);
    let is = fs::metadata(place.path("")).unwrap();
    for (owner, group, why) in [
        (Some(is.uid() + 1), None, format!("acme: its owner is {}, not", is.uid())),
        (None, Some(is.gid() + 1), format!("acme: its group is {}, not", is.gid())),
    ] {
        let output = config::Output { owner, group, ..place.output.clone() };
        let Ok(OnDisk::OtherRights(_, is)) = Publisher::new(&output, key()).inspect(&store()).found else {
            panic!("they are as configured");
        };
        assert!(is.contains(&why), "{is}");
    }
}

#[test]
fn an_address_that_is_no_longer_allowed_is_no_damage() {
    let place = Place::new();
    let fields = |text: &str| Field::Text(Secret::new(text.into()));
    let private = Credentials::parse(
        Fields {
            username: fields("user1"),
            api_token: fields("token1"),
            api_path: fields("https://127.0.0.1/"),
        },
        &FieldNames::default(),
        &AddressPolicy::AllowPrivate.into(),
    )
    .unwrap();
    let private = Arc::new(private);
    place.publisher.publish(&store(), &private, &stamp(1, &private)).unwrap();
    assert!(matches!(place.publisher.inspect(&store()).found, Ok(OnDisk::Published(_))));
}
