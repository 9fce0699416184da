//! The log: its level while the daemon runs, and systemd's journal.

use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use bc_secrets_sync::sandbox::store::Account;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::daemon::{Finished, run};
use crate::support::wait::{wait_for, wait_until};
use crate::support::world::World;

async fn log_level(world: &World, arguments: &[&str]) -> Finished {
    let file = world.configuration.file();
    let all = [&["log-level", "--config", file.to_str().unwrap()], arguments].concat();
    run(world.configuration.home(), all).await
}

#[tokio::test]
async fn the_level_of_the_log_can_be_changed_for_a_while() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let shown = log_level(&world, &[]).await;
    assert_eq!((shown.code, shown.stdout.as_str()), (Some(0), "info, as the configuration says\n"));
    assert!(!daemon.log_text().contains("\"DEBUG\""));

    let changed = log_level(&world, &["debug", "--for", "3s"]).await;
    assert_eq!(changed.code, Some(0), "{changed:?}");
    assert!(changed.stdout.starts_with("debug, for another "), "{changed:?}");
    let says = async |text: &str| {
        wait_until(text, async || daemon.log().iter().any(|line| line["message"] == text)).await;
    };
    says("begins: ask the store").await;
    says("the level of the log is the configured one again").await;
    // The level of a line is that of the line, and not the one that it is about.
    let of = |text: &str| daemon.log().iter().find(|line| line["message"] == text).unwrap()["level"].clone();
    assert_eq!(of("the level of the log is changed for a while"), "WARN");
    assert_eq!(of("the level of the log is the configured one again"), "INFO");
    let shown = log_level(&world, &[]).await;
    assert_eq!(shown.stdout, "info, as the configuration says\n");

    assert_eq!(log_level(&world, &["trace", "--for", "1day"]).await.code, Some(0));
    assert_eq!(log_level(&world, &["reset"]).await.stdout, "info, as the configuration says\n");
    for (arguments, words) in [
        (&["debug", "--for", "2days"][..], "it must be from 1s to 1day"),
        (&["loud"], "possible values: error, warn, info, debug, trace, reset"),
    ] {
        let refused = log_level(&world, arguments).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    let (status, text) = daemon.get("/v1/log-level").await;
    assert!(status == 403 && text.contains("control socket only"), "{text}");
    assert!(!daemon.log_text().contains(&account.api_token), "a value is in the log");
    daemon.stop().await;
}

#[tokio::test]
async fn a_journal_that_others_are_connected_to_is_none_of_ours() {
    let mut world = World::start().await;
    world.configuration.environment.push(("JOURNAL_STREAM", "1:2".to_owned()));
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    // Each line is JSON, or the log could not be read.
    assert!(!daemon.log().is_empty());
    daemon.stop().await;
}

/// Runs a program where its first argument is the directory of the journal's socket.
const WHERE_JOURNAL_IS: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                                mount --bind \"$1\" /run/systemd/journal && shift && exec \"$@\"";

/// The fields of an entry, as far as they are in one line each.
fn fields(entry: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(entry);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
#[ignore = "mounts in a namespace of its own: as root, or where users may have user namespaces"]
async fn real_entries_of_the_journal_have_fields_and_no_secret() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    world.configuration.write();
    let home = world.configuration.home().join("journal");
    std::fs::create_dir(&home).unwrap();
    let journal = UnixDatagram::bind(home.join("socket")).unwrap();
    std::fs::set_permissions(home.join("socket"), Permissions::from_mode(0o666)).unwrap();
    journal.set_nonblocking(true).unwrap();

    let stderr = File::create(world.configuration.home().join("stderr")).unwrap();
    let found = stderr.metadata().unwrap();
    let mut child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", WHERE_JOURNAL_IS, "sh"])
        .arg(&home)
        .args([env!("CARGO_BIN_EXE_bc-secrets-sync"), "run", "--config"])
        .arg(world.configuration.file())
        .env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let mut entries: Vec<Vec<u8>> = Vec::new();
    let mut entry = async |name: &str, value: &str| {
        wait_for(&format!("{name}={value}"), async || {
            let mut buffer = vec![0; 1 << 18];
            while let Ok(count) = journal.recv(&mut buffer) {
                entries.push(buffer[..count].to_vec());
            }
            let all = entries.iter().map(|entry| fields(entry));
            all.into_iter().find(|entry| entry.get(name).is_some_and(|found| found.contains(value)))
        })
        .await
    };
    let published = entry("MESSAGE", "which the store accepted, as generation 1").await;
    assert_eq!((published["STORE"].as_str(), published["PRIORITY"].as_str()), ("acme", "6"));
    assert_eq!(published["SYSLOG_IDENTIFIER"], "bc-secrets-sync");

    let typo = Account { api_token: "5hould-never-be-shown".to_owned(), ..account.clone() };
    world.write("acme", &typo).await;
    let opened = entry("CAUSE", "bad_write").await;
    assert!(opened["INCIDENT"].starts_with("acme:bad_write:"), "{opened:?}");
    assert_eq!((opened["STORE"].as_str(), opened["PRIORITY"].as_str()), ("acme", "4"));

    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    entry("MESSAGE", "stopped").await;
    assert!(child.wait().unwrap().success());
    let stderr = std::fs::read_to_string(world.configuration.home().join("stderr")).unwrap();
    assert_eq!(stderr, "", "all is in the journal");
    let secret_id = std::fs::read_to_string(world.configuration.secret_id_file()).unwrap();
    let all = entries.concat();
    for secret in [&account.username, &account.api_token, &typo.api_token, secret_id.trim()] {
        assert!(
            !all.windows(secret.len()).any(|part| part == secret.as_bytes()),
            "{secret} is in the journal"
        );
    }
}
