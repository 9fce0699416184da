//! Other files than the three values: beside them, checked like them, and replaced when others are configured.

use std::os::unix::fs::symlink;

use super::*;
use crate::config::Environment;

/// A publisher for stores that are published in these files: name and format, or name and template.
fn publisher(place: &Place, files: &[(&str, &str)]) -> Publisher {
    let mut text = format!(
        "[vault]\naddress = \"https://vault.example\"\n[vault.auth.token_file]\npath = \"/token\"\n\
         [[stores]]\nname = \"acme\"\npath = \"acme\"\n[output]\ndirectory = \"{}\"\n",
        place.output.directory.display()
    );
    for (name, format) in files {
        text += &format!("[[output.files]]\nname = \"{name}\"\n");
        text += &match format.strip_prefix('/') {
            Some(template) => {
                let file = place.root.path().join(format!("{name}.template"));
                fs::write(&file, template).unwrap();
                format!("format = \"template\"\ntemplate = \"{}\"\nescape = \"none\"\n", file.display())
            }
            None => format!("format = \"{format}\"\n"),
        };
    }
    let config = Config::parse(&text, "config.toml", &Environment::empty()).unwrap();
    Publisher::of(&config, key()).unwrap()
}

const SOME: [(&str, &str); 3] =
    [(".env", "env"), ("api_token", "api_token"), ("app.conf", "/t={{ api_token }}")];

fn found(place: &Place, publisher: &Publisher) -> OnDisk {
    let inspection = publisher.inspect(&store());
    assert_eq!(inspection.swept, Ok(()), "{:?}", place.names());
    inspection.found.unwrap()
}

fn outdated(place: &Place, publisher: &Publisher) -> u64 {
    match found(place, publisher) {
        OnDisk::Outdated(published) => {
            assert!(published.credentials.same_as(&credentials(published.stamp.generation)));
            published.stamp.generation
        }
        other @ (OnDisk::Nothing | OnDisk::Damaged(_) | OnDisk::OtherRights(..) | OnDisk::Published(_)) => {
            panic!("{other:?}")
        }
    }
}

fn read(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path(name)).unwrap()
}

#[test]
fn they_are_published_with_the_values_and_only_they_have_links() {
    let place = Place::new();
    let publisher = publisher(&place, &SOME);
    let published = place.try_publish(&publisher, 1).unwrap();
    let names = place.names();
    assert_eq!(names[1..], ["..data", ".env", "api_token", "app.conf", "generation.json"]);
    assert_eq!(
        super::names(&place.path(&names[0])),
        [".env", "api_path", "api_token", "app.conf", "generation.json", "username"]
    );
    assert_eq!(read(&place, "app.conf"), "t=token1");
    assert!(read(&place, ".env").contains("BIGCOMMERCE_USERNAME=user1\n"));
    assert_eq!(mode(fs::canonicalize(place.path(".env")).unwrap()), 0o440);
    let stamp: serde_json::Value = serde_json::from_str(&read(&place, "generation.json")).unwrap();
    let fingerprint = published.stamp.files_fingerprint.unwrap().to_string();
    assert_eq!(stamp["files_fingerprint"], fingerprint);
    let OnDisk::Published(seen) = found(&place, &publisher) else { panic!("not published") };
    assert_eq!(seen.stamp, published.stamp);

    let before = place.names();
    place.try_publish(&publisher, 1).unwrap();
    assert_eq!(place.names(), before, "the very same is not written again");
}

#[test]
fn a_set_of_an_earlier_version_is_taken_over_and_others_take_its_place() {
    let place = Place::new();
    place.publish(1);
    // Whoever knows of three values alone leaves no fingerprint of files, and needs none.
    assert!(!read(&place, "generation.json").contains("files"));
    assert_eq!(place.published(), Some(1));
    let other = publisher(&place, &SOME);
    assert_eq!(outdated(&place, &other), 1);
    assert_eq!(read(&place, "username"), "user1", "apps go on reading what is there");
    place.try_publish(&other, 2).unwrap();
    assert!(matches!(found(&place, &other), OnDisk::Published(_)));
    assert_eq!(place.names()[2..], ["..data", ".env", "api_token", "app.conf", "generation.json"]);
    // And back.
    assert_eq!(outdated(&place, &place.publisher), 2);
    place.publish(3);
    assert_eq!(place.published(), Some(3));
    assert_eq!(place.names()[2..], ["..data", "api_path", "api_token", "generation.json", "username"]);
}

#[test]
fn a_template_or_a_format_that_changed_is_another_content() {
    let place = Place::new();
    let first = publisher(&place, &[("a", "/x={{ api_token }}"), ("b", "json")]);
    place.try_publish(&first, 1).unwrap();
    for files in [
        &[("a", "/y={{ api_token }}"), ("b", "json")][..],
        &[("a", "/x={{ api_token }}"), ("b", "yaml")],
        &[("a", "/x={{ api_token }}")],
        &[("a", "/x={{ api_token }}"), ("b", "json"), ("c", "netrc")],
    ] {
        assert_eq!(outdated(&place, &publisher(&place, files)), 1, "{files:?}");
    }
    let same = publisher(&place, &[("b", "json"), ("a", "/x={{ api_token }}")]);
    assert!(matches!(found(&place, &same), OnDisk::Published(_)));
}

#[test]
fn damage_to_any_of_them_is_told_and_mended() {
    type Damage = fn(&Place, &Path);
    let cases: [(&str, Damage); 6] = [
        (".env: it was edited", |_, file| {
            let text = fs::read_to_string(file).unwrap().replace("token", "toKen");
            overwrite(file, &text);
        }),
        (".env: it is too long", |_, file| overwrite(file, &(fs::read_to_string(file).unwrap() + "\n"))),
        (".env: it is missing", |_, file| fs::remove_file(file).unwrap()),
        (".env: its mode is 0444", |_, file| set_mode(file, 0o444)),
        (".env: the link is missing", |place, _| fs::remove_file(place.path(".env")).unwrap()),
        (".env: the link points elsewhere", |place, _| {
            fs::remove_file(place.path(".env")).unwrap();
            symlink("/etc/hostname", place.path(".env")).unwrap();
        }),
    ];
    for (why, damage) in cases {
        let place = Place::new();
        let publisher = publisher(&place, &SOME);
        place.try_publish(&publisher, 1).unwrap();
        damage(&place, &fs::canonicalize(place.path(".env")).unwrap());
        let is = match (found(&place, &publisher), why.contains("mode")) {
            (OnDisk::Damaged(is), false) | (OnDisk::OtherRights(_, is), true) => is,
            (other, _) => panic!("{why}: {other:?}"),
        };
        assert!(is.contains(why) && !is.contains("token1"), "{is}");
        place.try_publish(&publisher, 2).unwrap();
        assert!(matches!(found(&place, &publisher), OnDisk::Published(_)), "{why}");
        assert!(read(&place, ".env").contains("BIGCOMMERCE_API_TOKEN=token2\n"));
    }
}

fn overwrite(file: &Path, text: &str) {
    set_mode(file, 0o640);
    fs::write(file, text).unwrap();
    set_mode(file, 0o440);
}

#[test]
fn a_value_that_a_file_cannot_hold_leaves_everything_as_it_is() {
    let place = Place::new();
    place.publish(1);
    let before = place.names();
    let other =
        publisher(&place, &[("a", "/{% if username == 'x' %}{% endif %}{{ api_token }}"), ("b.env", "env")]);
    let fields = Fields {
        username: Field::Text(Secret::new("canary user".to_owned())),
        api_token: Field::Text(Secret::new("t".to_owned())),
        api_path: Field::Text(Secret::new("https://store1.mybigcommerce.com/".to_owned())),
    };
    let parsed = Credentials::parse(fields, &FieldNames::default(), &AddressPolicy::PublicOnly.into());
    let hostile = Arc::new(parsed.unwrap());
    let fault = other.publish(&store(), &hostile, &stamp(2, &hostile)).unwrap_err();
    assert_eq!(
        (fault.operation, fault.path.as_str()),
        ("cannot make", place.path("b.env").to_str().unwrap())
    );
    assert!(fault.reason.contains("the Username has a character other than letters"), "{fault}");
    assert!(!fault.to_string().contains("canary"));
    assert_eq!(place.names(), before);
    assert_eq!(place.published(), Some(1));
    // What is there is whole, and cannot be told from what is configured before that can be made.
    place.publisher.publish(&store(), &hostile, &stamp(2, &hostile)).unwrap();
    assert!(matches!(found(&place, &other), OnDisk::Outdated(_)));
}

#[test]
fn only_links_of_ours_are_removed_and_only_once_the_others_are_there() {
    let place = Place::new();
    let first = publisher(&place, &[("a", "json"), ("b", "yaml"), ("c", "env"), ("d", "netrc")]);
    place.try_publish(&first, 1).unwrap();
    fs::remove_file(place.path("b")).unwrap();
    fs::write(place.path("b"), "by hand").unwrap();
    fs::remove_file(place.path("c")).unwrap();
    symlink("/etc/hostname", place.path("c")).unwrap();
    symlink("..data/x", place.path("y")).unwrap();
    symlink("..data/x", place.path("..x_tmp")).unwrap();
    symlink("..data/y", place.path("..z_tmp")).unwrap();

    let second = publisher(&place, &[("e", "json")]);
    assert_eq!(outdated(&place, &second), 1);
    assert!(place.path("a").exists() && place.path("d").exists());
    let failing = Publisher {
        interruption: Interruption(Some(Arc::new(|step| {
            if step == Step::Swap { Err(Errno::NOSPC) } else { Ok(()) }
        }))),
        ..second.clone()
    };
    place.try_publish(&failing, 2).unwrap_err();
    assert!(place.path("a").exists() && place.path("d").exists());

    // A crash just before they are removed.
    let crashing = Publisher {
        interruption: Interruption(Some(Arc::new(|step| {
            if step == Step::RemoveOlder { Err(Errno::IO) } else { Ok(()) }
        }))),
        ..second.clone()
    };
    place.try_publish(&crashing, 2).unwrap();
    assert!(place.names().contains(&"a".to_owned()));
    assert!(matches!(found(&place, &second), OnDisk::Published(_)));
    assert_eq!(place.names()[2..], ["..data", "..z_tmp", "b", "c", "e", "generation.json", "y"]);
    assert_eq!(read(&place, "b"), "by hand");
}
