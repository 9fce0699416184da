//! `validate`: finds what is wrong with a configuration without a network, touches nothing, and never repeats
//! a value.

use std::path::Path;

use bc_secrets_sync::sandbox::authority::Authority;
use tempfile::TempDir;

use crate::support::configuration::Configuration;
use crate::support::daemon::{Finished, run_with};
use crate::support::files::listing;

/// In every value that must not be repeated.
const MARKER: &str = "5hould-never-be-shown";

/// A configuration that is right, on a machine where nothing runs: the address is that of a discard port.
fn configuration() -> (TempDir, Configuration) {
    let home = tempfile::tempdir().unwrap();
    let mut configuration = Configuration::new(home.path(), "http://127.0.0.1:9");
    configuration.webhook = Some("https://alerts.example/hook".to_owned());
    configuration.stores = vec!["acme".to_owned()];
    for file in [
        configuration.role_id_file(),
        configuration.secret_id_file(),
        configuration.store_authority_file(),
        configuration.signing_secret_file(),
    ] {
        std::fs::write(file, "something").unwrap();
    }
    (home, configuration)
}

/// Validates, and sees to it that nothing was touched and no marker shown.
async fn validate(configuration: &Configuration) -> Finished {
    configuration.write();
    let text = std::fs::read_to_string(configuration.file()).unwrap();
    validate_text(configuration, &text).await
}

async fn validate_text(configuration: &Configuration, text: &str) -> Finished {
    configuration.write_text(text);
    let before = listing(configuration.home());
    let file = configuration.file();
    let arguments = ["validate", "--config", file.to_str().unwrap()];
    let finished = crate::support::daemon::run(configuration.home(), arguments).await;
    assert_eq!(listing(configuration.home()), before);
    assert!(!format!("{finished:?}").contains(MARKER), "{finished:?}");
    finished
}

#[tokio::test]
async fn a_right_configuration_is_valid_and_nothing_is_created() {
    let (_home, configuration) = configuration();
    let finished = validate(&configuration).await;
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    assert!(finished.stdout.contains("valid") && finished.stdout.contains('1'), "{finished:?}");
    assert!(!configuration.output.exists() && !configuration.state.exists());
}

#[tokio::test]
async fn names_that_are_no_safe_and_single_directories_are_refused() {
    let (_home, mut configuration) = configuration();
    let long = "a".repeat(64);
    for (names, reason) in [
        (&["acme", "acme"][..], "already the name"),
        (&["acme", "ACME"], "already the name"),
        (&[".."], "safe file name"),
        (&["."], "safe file name"),
        (&["..data"], "safe file name"),
        (&["a/b"], "safe file name"),
        (&["-rf"], "safe file name"),
        (&["caf\u{e9}"], "safe file name"),
        (&[""], "is empty"),
        (&[long.as_str()], "64"),
    ] {
        configuration.stores = names.iter().map(|name| (*name).to_owned()).collect();
        // The path of the secret is not what this is about.
        let text = configuration.text().replace(&format!("stores/{}", names[0]), "stores/acme");
        let finished = validate_text(&configuration, &text).await;
        assert_eq!(finished.code, Some(2), "{names:?}: {finished:?}");
        let place = format!("stores[{}].name", names.len() - 1);
        assert!(
            finished.stderr.contains(&place) && finished.stderr.contains(reason),
            "{names:?}: {finished:?}"
        );
        assert_eq!(finished.stdout, "");
    }
    configuration.stores = vec!["a".repeat(63)];
    assert_eq!(validate(&configuration).await.code, Some(0));
}

#[tokio::test]
async fn what_the_machine_cannot_give_is_refused() {
    type Change = fn(&mut Configuration);
    let cases: [(&str, Change); 7] = [
        ("output.directory", |configuration| configuration.output = configuration.role_id_file().join("a/b")),
        ("state.directory", |configuration| configuration.state = configuration.role_id_file().join("state")),
        ("state.directory", |configuration| configuration.state = configuration.output.join("state")),
        ("vault.auth.approle.role_id_file", |configuration| {
            std::fs::remove_file(configuration.role_id_file()).unwrap();
        }),
        ("vault.auth.approle.secret_id_file", |configuration| {
            std::fs::write(configuration.secret_id_file(), "").unwrap();
        }),
        ("check.ca_file", |configuration| {
            std::fs::remove_file(configuration.store_authority_file()).unwrap();
            std::fs::create_dir(configuration.store_authority_file()).unwrap();
        }),
        ("alerts.webhook.signing_secret_file", |configuration| {
            std::fs::remove_file(configuration.signing_secret_file()).unwrap();
        }),
    ];
    for (key, change) in cases {
        let (_home, mut configuration) = configuration();
        change(&mut configuration);
        let finished = validate(&configuration).await;
        assert_eq!(finished.code, Some(2), "{key}: {finished:?}");
        assert!(finished.stderr.contains(key), "{key}: {finished:?}");
    }
}

#[tokio::test]
async fn every_problem_is_told_by_line_and_key_and_no_value_is_repeated() {
    let (_home, configuration) = configuration();
    let good = configuration.text();
    let broken = good
        .replace("poll_interval = \"1s\"", &format!("poll_interval = \"{MARKER}\""))
        .replace("confirmations = 2", &format!("confirmations = \"{MARKER}\""))
        .replace("level = \"info\"", &format!("level = \"{MARKER}\""))
        .replace("http://127.0.0.1:9", &format!("https://user:{MARKER}@vault.example"))
        .replace("repeat_interval = \"1h\"", "repeat_interval = \"0s\"");
    let finished = validate_text(&configuration, &broken).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    for (line, key) in [
        ("address = ", "vault.address"),
        ("poll_interval = ", "vault.poll_interval"),
        ("confirmations = ", "check.confirmations"),
        ("level = ", "log.level"),
        ("repeat_interval = ", "alerts.repeat_interval"),
    ] {
        let number = good.lines().position(|text| text.starts_with(line)).unwrap() + 1;
        let told = finished.stderr.lines().any(|text| {
            text.contains(&format!("config.toml:{number}:")) && text.contains(&format!(" {key}: "))
        });
        assert!(told, "{key} on line {number}: {}", finished.stderr);
    }

    for (line, reason) in [
        (format!("{MARKER}\n"), "TOML"),
        (format!("api_token = {MARKER}\n"), "TOML"),
        (format!("api_token = \"{MARKER}\n"), "TOML"),
        (format!("\"{MARKER}\" = 1\n"), "no such key"),
        (format!("api_token = \"{MARKER}\"\n"), "no such key"),
    ] {
        let finished = validate_text(&configuration, &format!("{line}{good}")).await;
        assert_eq!(finished.code, Some(2), "{line}: {finished:?}");
        assert!(
            finished.stderr.contains("config.toml:1:") && finished.stderr.contains(reason),
            "{finished:?}"
        );
    }
}

#[tokio::test]
async fn what_is_valid_can_be_run_where_directories_are_still_to_be_made() {
    let (_home, mut configuration) = configuration();
    configuration.output = configuration.home().join("not/yet/there");
    configuration.state = configuration.home().join("neither/this");
    let authority = Authority::new().unwrap();
    std::fs::write(configuration.store_authority_file(), authority.ca_pem()).unwrap();
    assert_eq!(validate(&configuration).await.code, Some(0));
    // Nobody listens at the address, and the directories are made all the same.
    let finished = run_with(&configuration, "run", &["--one-time"]).await;
    assert_eq!(finished.code, Some(11), "{finished:?}");
    assert!(Path::new(&configuration.output).is_dir() && configuration.state.is_dir());
}

#[tokio::test]
async fn what_is_wrong_with_files_and_templates_is_found_without_any_values() {
    let (home, mut configuration) = configuration();
    let path = |name: &str| home.path().join(name).display().to_string();
    let cases = [
        ("good", "{{ username }} {% if host %}{{ basic }}{% endif %}\n", None),
        ("syntax", "a\n{{ username", Some("line 2: syntax error")),
        ("unknown", "{% if false %}{{ tokn }}{% endif %}", Some("it names 'tokn', which does not exist")),
        ("empty", "", Some("is empty")),
        ("missing", "", Some("does not exist")),
        ("binary", "\u{0}", Some("is no UTF-8")),
    ];
    let mut files = String::new();
    for (name, text, _) in cases {
        match name {
            "missing" => {}
            "binary" => std::fs::write(path(name), [0xff, 0xfe]).unwrap(),
            _ => std::fs::write(path(name), text).unwrap(),
        }
        let table = "[[stores.files]]";
        files += &format!(
            "{table}\nname = \"{name}\"\nformat = \"template\"\ntemplate = \"{}\"\nescape = \"none\"\n",
            path(name)
        );
    }
    configuration.edit("path = \"stores/acme\"\n", &format!("path = \"stores/acme\"\n{files}"));
    let finished = validate(&configuration).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let (mut machine, mut content) = (0, 0);
    for (at, (name, _, why)) in cases.iter().enumerate() {
        let line = finished.stderr.lines().find(|line| line.contains(&path(name)));
        match why {
            Some("is empty" | "does not exist") => {
                machine += 1;
                assert!(line.unwrap().contains(&format!("stores[0].files[{at}].template: ")), "{finished:?}");
                assert!(line.unwrap().contains(why.unwrap()), "{finished:?}");
                std::fs::write(path(name), "x").unwrap();
            }
            _ => assert_eq!(
                line, None,
                "what the files hold is looked at when they are all there: {finished:?}"
            ),
        }
    }
    let finished = validate(&configuration).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    for (at, (name, _, why)) in cases.iter().enumerate() {
        let line = finished.stderr.lines().find(|line| line.contains(&path(name)));
        match why {
            Some(why) if !["is empty", "does not exist"].contains(why) => {
                content += 1;
                assert!(line.unwrap().contains(&format!("stores[0].files[{at}].template: ")), "{finished:?}");
                assert!(line.unwrap().contains(why), "{finished:?}");
            }
            _ => assert_eq!(line, None, "{finished:?}"),
        }
    }
    assert_eq!((machine, content), (2, 3));
}

#[tokio::test]
async fn what_the_machine_does_not_have_is_told_by_line_and_key_and_what_to_do() {
    let (home, mut configuration) = configuration();
    let nowhere = home.path().join("nowhere").display().to_string();
    let template = format!(
        "path = \"stores/acme\"\n[[stores.files]]\nname = \"a.json\"\nformat = \"template\"\ntemplate = \"{nowhere}\"\n"
    );
    configuration.edit("path = \"stores/acme\"\n", &template);
    std::fs::remove_file(configuration.role_id_file()).unwrap();
    configuration.output = configuration.secret_id_file().join("output");
    let told = |stderr: &str, start: &str, key: &str, advice: &str| {
        let text = configuration.text();
        let line = text.lines().position(|line| line.starts_with(start)).unwrap() + 1;
        let column = start.len() + 1;
        let place = format!("config.toml:{line}:{column}: {key}: ");
        let found = stderr.lines().any(|line| line.contains(&place) && line.ends_with(advice));
        assert!(found, "{place} {advice}: {stderr}");
    };
    let finished = validate(&configuration).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let missing = "does not exist; put it there, or correct the path";
    told(&finished.stderr, "role_id_file = ", "vault.auth.approle.role_id_file", missing);
    told(&finished.stderr, "template = ", "stores[0].files[0].template", missing);
    told(&finished.stderr, "directory = ", "output.directory", "correct the path");
    assert_eq!(finished.stderr.lines().count(), 3, "{finished:?}");

    // What is wrong inside of a template too.
    configuration.output = home.path().join("output");
    std::fs::write(configuration.role_id_file(), "something").unwrap();
    std::fs::write(&nowhere, "{{ tokn }}").unwrap();
    let finished = validate(&configuration).await;
    let place = finished.stderr.contains("config.toml:") && finished.stderr.contains("files[0].template: ");
    assert!(finished.code == Some(2) && place, "{finished:?}");
}
