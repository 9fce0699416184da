//! A single pass, for init containers and Jobs: what it publishes, and what its exit code says.

use std::time::Duration;

use bc_secrets_sync::sandbox::store::{Account, Behaviour};
use serde_json::{Value, json};

use crate::support::daemon::{Finished, run, run_with};
use crate::support::files::generation;
use crate::support::webhook::Receiver;
use crate::support::world::{World, as_published};

/// A store that answers, and says nothing of the credentials.
fn babble() -> Behaviour {
    Behaviour::Answer { status: 200, headers: Vec::new(), body: b"<html>parked</html>".to_vec() }
}

async fn one_time(world: &World, stores: &[&str], more: &[&str]) -> Finished {
    let mut configuration = world.configuration.clone();
    configuration.stores = stores.iter().map(|store| (*store).to_owned()).collect();
    let arguments = [&["--one-time"], more].concat();
    run_with(&configuration, "run", &arguments).await
}

#[tokio::test]
async fn a_wait_that_no_clock_can_be_set_to_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for (wait, words) in
        [("500000000000years", "waits for 7 days at most"), ("8days", "7 days"), ("soon", "no duration")]
    {
        let refused = run(home.path(), ["run", "--one-time", "--wait", wait]).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
}

#[tokio::test]
async fn a_single_pass_publishes_and_ends_without_leaving_a_token_or_telling_anybody() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let finished = one_time(&world, &["acme"], &[]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(world.published("acme"), Some(as_published(&account)));
    assert!(world.bao.accessors().await.is_empty());
    let last: Value = serde_json::from_str(finished.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&last["store"], &last["state"]), (&json!("acme"), &json!("verified")));
    assert_eq!(finished.stdout, "");

    // The same again: nothing is published twice, and the store is asked once more.
    let (before, asked) =
        (generation(&world.configuration.output, "acme"), world.bigcommerce.requests("acme"));
    assert_eq!(one_time(&world, &["acme"], &[]).await.code, Some(0));
    assert_eq!(generation(&world.configuration.output, "acme"), before);
    assert_eq!(world.bigcommerce.requests("acme"), asked + 1);

    // A daemon goes on from there.
    let daemon = world.daemon().await;
    daemon.settled().await;
    assert_eq!(generation(&world.configuration.output, "acme"), before);
    assert!(world.receiver.deliveries().is_empty());
    daemon.stop().await;
}

#[tokio::test]
async fn a_single_pass_and_a_daemon_never_serve_one_output_directory_together() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = generation(&world.configuration.output, "acme");
    let refused = one_time(&world, &["acme"], &[]).await;
    let words = "another daemon or single pass uses the output directory";
    assert!(refused.code == Some(2) && refused.stderr.contains(words), "{refused:?}");
    // A second daemon is told of the first one, also where it keeps its own state.
    let refused = run_with(&world.configuration, "run", &[]).await;
    let same_state = "another daemon uses the state directory";
    assert!(refused.code == Some(2) && refused.stderr.contains(same_state), "{refused:?}");
    let mut other = world.configuration.clone();
    other.state = world.configuration.home().join("other-state");
    for arguments in [&[][..], &["--one-time"]] {
        let refused = run_with(&other, "run", arguments).await;
        assert!(refused.code == Some(2) && refused.stderr.contains(words), "{refused:?}");
    }
    assert_eq!(generation(&world.configuration.output, "acme"), before);
    assert_eq!(daemon.code("/readyz").await, 200);
    assert!(world.receiver.deliveries().is_empty());
    // However it ends, nothing of its claim is left.
    daemon.kill().await;
    for _ in 0..2 {
        let finished = one_time(&world, &["acme"], &[]).await;
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
}

#[tokio::test]
async fn the_exit_code_says_what_the_pass_came_to() {
    let mut world = World::start().await;
    let good = world.add_store("good").await;
    world.add_store_without_secret("missing");
    let malformed = world.add_store("malformed").await;
    world.write_fields("malformed", json!({ "username": malformed.username })).await;
    let rejected = world.add_store("rejected").await;
    world.write("rejected", &Account { api_token: "wrong".into(), ..rejected }).await;
    world.add_store("inconclusive").await;
    world.bigcommerce.set_behaviour("inconclusive", babble());
    world.add_store("unwritable").await;
    std::fs::create_dir(&world.configuration.output).unwrap();
    std::fs::write(world.configuration.output.join("unwritable"), "in the way").unwrap();

    for (stores, code) in [
        (&["missing"][..], 12),
        (&["malformed"], 12),
        (&["rejected"], 13),
        (&["inconclusive"], 14),
        (&["unwritable"], 15),
        (&["good", "inconclusive", "missing"], 12),
        (&["missing", "rejected", "good"], 13),
        (&["rejected", "unwritable", "missing"], 15),
    ] {
        let finished = one_time(&world, stores, &[]).await;
        assert_eq!(finished.code, Some(code), "{stores:?}: {finished:?}");
    }
    // One store's trouble is its own.
    assert_eq!(world.published("good"), Some(as_published(&good)));
    for store in ["missing", "malformed", "rejected", "inconclusive", "unwritable"] {
        assert_eq!(world.published(store), None, "{store}");
    }
    assert!(world.bao.accessors().await.is_empty());
}

#[tokio::test]
async fn the_exit_code_tells_a_refused_log_in_from_a_vault_that_is_not_there() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let secret_id = std::fs::read(world.configuration.secret_id_file()).unwrap();
    std::fs::write(world.configuration.secret_id_file(), "wrong").unwrap();
    let refused = one_time(&world, &["acme"], &["--wait", "1m"]).await;
    assert_eq!(refused.code, Some(10), "{refused:?}");
    std::fs::write(world.configuration.secret_id_file(), secret_id).unwrap();

    // Nobody listens there, and nobody else can take the port.
    let nobody = Receiver::reserve();
    world.configuration.vault = nobody.url().trim_end_matches("/hook").to_owned();
    let gone = one_time(&world, &["acme"], &[]).await;
    assert_eq!(gone.code, Some(11), "{gone:?}");
    assert!(gone.stderr.contains("Vault: "), "{gone:?}");
    assert_eq!(world.published("acme"), None);
}

#[tokio::test]
async fn trouble_that_passes_is_waited_for_as_long_as_told() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    world.bigcommerce.set_behaviour("acme", babble());
    let begun = std::time::Instant::now();
    let finished = one_time(&world, &["acme"], &["--wait", "1500ms"]).await;
    assert_eq!(finished.code, Some(14), "{finished:?}");
    assert!(begun.elapsed() >= Duration::from_millis(1500));
    assert!(world.bigcommerce.requests("acme") >= 2);

    let (finished, ()) = tokio::join!(one_time(&world, &["acme"], &["--wait", "1m"]), async {
        while world.bigcommerce.requests("acme") < 4 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.bigcommerce.set_behaviour("acme", Behaviour::Normal);
    });
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(world.published("acme"), Some(as_published(&account)));

    world.bao.seal().await;
    let (finished, ()) = tokio::join!(one_time(&world, &["acme"], &["--wait", "1m"]), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.bao.unseal().await;
    });
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[tokio::test]
async fn wrong_usage_and_a_wrong_configuration_are_told_apart_from_all_else() {
    let world = World::start().await;
    let home = world.configuration.home();
    for arguments in [
        &["run", "--no-such-option"][..],
        &["run", "--one-time", "--wait", "soon"],
        &["run", "--wait", "1s"],
        &["run", "--config", "/nowhere/config.toml"],
        &["no-such-command"],
        &[],
    ] {
        let finished = run(home, arguments).await;
        assert_eq!(finished.code, Some(2), "{arguments:?}: {finished:?}");
        assert!(!finished.stderr.is_empty() && finished.stdout.is_empty(), "{finished:?}");
    }
    // No store at all; said in the form of the log, since this is no terminal.
    let finished = one_time(&world, &[], &[]).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let said: Value = serde_json::from_str(&finished.stderr).unwrap();
    assert_eq!(said["level"], "ERROR");
    assert!(said["message"].as_str().unwrap().contains("stores"), "{said}");

    for arguments in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let finished = run(home, arguments).await;
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
    assert!(run(home, ["run", "--help"]).await.stdout.contains("13  a store rejects its credentials"));
}
