//! What others do to the published files is mended, and told.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::daemon::Daemon;
use crate::support::files::generation;
use crate::support::wait::{DEADLINE, wait_for, wait_until, wait_within};
use crate::support::world::{World, about, as_published};

/// Edits a file; its mode is afterwards what it was.
fn overwrite(file: &Path, text: &str) {
    set_mode(file, 0o640);
    std::fs::write(file, text).unwrap();
    set_mode(file, 0o440);
}

fn set_mode(file: &Path, mode: u32) {
    std::fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn a_published_file_that_is_deleted_or_edited_is_restored() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 7] = [
        ("link", |store| std::fs::remove_file(store.join("api_token")).unwrap()),
        ("file", |store| std::fs::remove_file(store.join("..data/username")).unwrap()),
        ("edited", |store| overwrite(&store.join("..data/api_token"), "another")),
        ("stamp", |store| overwrite(&store.join("..data/generation.json"), "{}")),
        ("mode", |store| set_mode(&store.join("..data/api_token"), 0o444)),
        ("data", |store| std::fs::remove_file(store.join("..data")).unwrap()),
        ("everything", |store| std::fs::remove_dir_all(store).unwrap()),
    ];
    let mut world = World::start().await;
    let mut accounts = Vec::new();
    for (store, _) in cases {
        accounts.push(world.add_store(store).await);
    }
    let daemon = world.daemon().await;
    daemon.settled().await;

    for (store, damage) in cases {
        damage(&world.configuration.output.join(store));
    }
    for ((store, _), account) in cases.iter().zip(&accounts) {
        let series = format!("store_restorations_total{{store=\"{store}\"}}");
        wait_until(&format!("{store} is restored"), async || daemon.metric(&series).await == Some(1.0)).await;
        assert_eq!(world.published(store), Some(as_published(account)), "{store}");
        assert_eq!(generation(&world.configuration.output, store)["version"], 1);
    }
    let log = daemon.log();
    for (store, _) in cases {
        let told = log
            .iter()
            .any(|line| line["store"] == store && line["message"].as_str().unwrap().contains("was damaged"));
        assert!(told, "{store}");
    }
    // Once is enough.
    daemon.passes("link", 2).await;
    for (store, _) in cases {
        let series = format!("store_restorations_total{{store=\"{store}\"}}");
        assert_eq!(daemon.metric(&series).await, Some(1.0), "{store}");
    }
    assert_eq!(world.receiver.deliveries().len(), 0, "{:?}", world.told());
    daemon.stop().await;
}

/// A world in which nothing is looked at in its turn.
async fn unhurried() -> World {
    let mut world = World::start().await;
    world.configuration.poll_interval = "1day";
    world
}

async fn restored(daemon: &Daemon, store: &str, times: f64) {
    let series = format!("store_restorations_total{{store=\"{store}\"}}");
    wait_until("it is restored", async || daemon.metric(&series).await == Some(times)).await;
}

fn looks_damaged(daemon: &Daemon, why: &str) -> bool {
    daemon.log().iter().any(|line| {
        let message = line["message"].as_str().unwrap();
        message.contains("the published set was damaged") && message.contains(why)
    })
}

#[tokio::test]
async fn whatever_is_done_to_a_set_is_noticed_long_before_the_next_pass() {
    type Damage = fn(&Path);
    let cases: [(Damage, &str); 9] = [
        (|store| std::fs::remove_file(store.join("api_token")).unwrap(), "api_token: the link is missing"),
        (|store| std::fs::remove_file(store.join("..data/username")).unwrap(), "username: it is missing"),
        (|store| overwrite(&store.join("..data/api_token"), "another"), "one of them was edited"),
        (|store| set_mode(&store.join("..data/api_token"), 0o000), "api_token: "),
        (|store| set_mode(store, 0o000), "acme: "),
        (|store| set_mode(&store.join("..data"), 0o000), ": "),
        (|store| std::fs::remove_file(store.join("..data")).unwrap(), "it is gone"),
        (|store| std::fs::remove_dir_all(store).unwrap(), "it is gone"),
        (|store| std::fs::remove_dir_all(store.parent().unwrap()).unwrap(), "it is gone"),
    ];
    let mut world = unhurried().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    // Nothing of this needs Vault.
    world.bao.seal().await;
    for (times, (damage, why)) in (1..).zip(cases) {
        damage(&world.configuration.output.join("acme"));
        restored(&daemon, "acme", f64::from(times)).await;
        assert!(looks_damaged(&daemon, why), "{why}");
        assert_eq!(world.published("acme"), Some(as_published(&account)), "{why}");
    }
    assert_eq!(generation(&world.configuration.output, "acme")["generation"], 10);
    assert_eq!(world.receiver.deliveries().len(), 0, "{:?}", world.told());
    daemon.stop().await;
}

#[tokio::test]
async fn whoever_changes_the_files_after_each_restoration_is_told_of() {
    let mut world = unhurried().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let file = world.configuration.output.join("acme/..data/api_token");
    let ended = Arc::new(AtomicBool::new(false));
    let contest = {
        let (token, ended) = (std::fs::read_to_string(&file).unwrap(), ended.clone());
        std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                // As soon as it is restored. Between two generations there may be no such file for a moment.
                if std::fs::read_to_string(&file).is_ok_and(|is| is == token) {
                    let _gone = std::fs::set_permissions(&file, Permissions::from_mode(0o640));
                    let _gone = std::fs::write(&file, "another");
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        })
    };
    // Eleven seconds, where nothing else is slow.
    let told = async || world.receiver.messages().into_iter().next();
    let message = wait_within(4 * DEADLINE, "it is told", told).await;
    ended.store(true, Ordering::SeqCst);
    contest.join().unwrap();
    assert_eq!(message.about(), about("acme", "files_unstable", "opened"));
    let evidence = message.evidence();
    assert!(
        evidence.contains("restored 11 times") && evidence.contains("one of them was edited"),
        "{evidence}"
    );
    // What has to be restored next waits longer, and is restored all the same.
    world.wait_published("acme", &account).await;
    let restorations = daemon.metric("store_restorations_total{store=\"acme\"}").await;
    assert!(restorations >= Some(11.0) && restorations <= Some(16.0), "{restorations:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn an_output_directory_that_is_replaced_is_filled_and_watched_again() {
    let mut world = unhurried().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let output = &world.configuration.output;
    for times in [1.0, 3.0] {
        std::fs::rename(output, output.with_file_name(format!("elsewhere-{times}"))).unwrap();
        restored(&daemon, "acme", times).await;
        assert_eq!(world.published("acme"), Some(as_published(&account)));
        std::fs::remove_file(output.join("acme/username")).unwrap();
        restored(&daemon, "acme", times + 1.0).await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn files_are_watched_under_a_new_configuration_too() {
    let mut world = unhurried().await;
    world.add_store("first").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    world.add_store("second").await;
    world.configuration.output = world.configuration.home().join("another");
    world.configuration.write();
    let both = async || ["first", "second"].iter().all(|store| world.published(store).is_some());
    wait_until("it is in force", both).await;
    daemon.settled().await;
    for store in ["first", "second"] {
        std::fs::remove_file(world.configuration.output.join(store).join("..data/username")).unwrap();
        let missing = async || {
            let series = format!("store_restorations_total{{store=\"{store}\"}}");
            daemon.metric(&series).await >= Some(1.0) && world.published(store).is_some()
        };
        wait_until("it is restored", missing).await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn readers_and_floods_of_writers_do_not_keep_the_daemon_busy() {
    let mut world = unhurried().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let store = world.configuration.output.join("acme");
    let ended = Arc::new(AtomicBool::new(false));
    let flood = {
        let (store, ended) = (store.clone(), ended.clone());
        std::thread::spawn(move || {
            for _ in 0..1_500 {
                std::fs::write(store.join("stranger"), "x").unwrap();
                assert!(!std::fs::read(store.join("api_token")).unwrap().is_empty());
            }
            ended.store(true, Ordering::SeqCst);
        })
    };
    while !ended.load(Ordering::SeqCst) {
        assert_eq!(daemon.code("/livez").await, 200);
        tokio::task::yield_now().await;
    }
    flood.join().unwrap();
    std::fs::remove_file(store.join("username")).unwrap();
    restored(&daemon, "acme", 1.0).await;
    assert_eq!(std::fs::read_to_string(store.join("stranger")).unwrap(), "x");
    daemon.stop().await;
}

#[tokio::test]
async fn damage_is_mended_while_vault_is_down_and_after_a_new_start() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let file = world.configuration.output.join("acme/..data/api_token");
    let daemon = world.daemon().await;
    daemon.settled().await;
    world.bao.seal().await;
    wait_until("Vault is missed", async || daemon.metric("source_up").await == Some(0.0)).await;
    std::fs::remove_file(&file).unwrap();
    world.wait_published("acme", &account).await;
    daemon.kill().await;

    // Edited while nobody runs: the daemon does not take it for its own, and waits for Vault.
    overwrite(&file, "another");
    let daemon = world.daemon().await;
    wait_until("the edit is noticed", async || {
        daemon.log().iter().any(|line| line["message"].as_str().unwrap().contains("no whole generation"))
    })
    .await;
    assert_eq!(daemon.code("/readyz").await, 503);
    world.bao.unseal().await;
    world.wait_published("acme", &account).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_told_and_used_again_when_it_can() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let place = world.configuration.output.join("acme");
    std::fs::create_dir(&world.configuration.output).unwrap();
    std::fs::write(&place, "in the way").unwrap();
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    let message = &world.receiver.messages()[0];
    assert_eq!(message.json()["data"]["cause"], "publish_failed");
    assert!(message.evidence().contains(place.to_str().unwrap()), "{}", message.evidence());
    let store = daemon.store("acme").await;
    assert!(store["publish_error"].is_string() && store["state"] == "failed", "{store}");
    assert_eq!(std::fs::read_to_string(&place).unwrap(), "in the way");

    std::fs::remove_file(&place).unwrap();
    world.wait_published("acme", &account).await;
    let resolved = wait_for("it is over", async || world.receiver.messages().into_iter().nth(1)).await;
    assert_eq!(resolved.kind(), "resolved");
    daemon.stop().await;
}
