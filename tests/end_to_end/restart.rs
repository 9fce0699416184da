//! Ends and new starts: nothing is published or told twice, and nothing that was owed is forgotten.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::daemon::{Daemon, run_with};
use crate::support::files::{Content, listing};
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::{World, about};

const OPEN_MISSING: &str = "incidents_open{cause=\"secret_missing\"}";

#[tokio::test]
async fn a_new_start_publishes_nothing_and_tells_nobody_again() {
    let mut world = World::start().await;
    world.add_store("good").await;
    world.add_store_without_secret("missing");
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    daemon.noted(1).await;
    wait_until("published", async || daemon.state("good").await == "verified").await;
    let incident = daemon.status().await["incidents"][0].clone();
    let before = listing(&world.configuration.output);
    daemon.stop().await;
    assert_eq!(listing(&world.configuration.output), before);

    for violent in [false, true] {
        let daemon = world.daemon().await;
        wait_until("published", async || daemon.state("good").await == "verified").await;
        daemon.passes("good", 2).await;
        let status = daemon.status().await;
        for key in ["id", "opened_at", "messages", "repeat_at"] {
            assert_eq!(status["incidents"][0][key], incident[key], "{key}");
        }
        assert_eq!(status["incidents"].as_array().unwrap().len(), 1);
        assert_eq!(daemon.metric("store_publications_total{store=\"good\"}").await, Some(0.0));
        assert_eq!(daemon.metric("store_published_generation{store=\"good\"}").await, Some(1.0));
        assert_eq!(listing(&world.configuration.output), before);
        if violent {
            daemon.kill().await;
        } else {
            daemon.stop().await;
        }
    }
    assert_eq!(world.receiver.deliveries().len(), 1, "{:?}", world.told());
    assert_eq!(world.told(), [about("missing", "secret_missing", "opened")]);
}

#[tokio::test]
async fn a_set_whose_mode_was_changed_while_nobody_ran_is_asked_about_and_alerted_on_without_vault() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    daemon.stop().await;

    let file = world.configuration.output.join("acme/..data/api_token");
    std::fs::set_permissions(&file, Permissions::from_mode(0o660)).unwrap();
    world.bigcommerce.regenerate_token("acme");
    world.bao.seal().await;
    let before = world.published("acme");
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "regenerated_or_revoked", "opened")]);
    assert_eq!(daemon.code("/readyz").await, 200);
    assert_eq!(daemon.metric("store_restorations_total{store=\"acme\"}").await, Some(0.0));
    assert_eq!(world.published("acme"), before);
    let file = world.configuration.output.join("acme/api_token");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o7777, 0o440);
    let text = daemon.log_text();
    assert!(
        text.contains("other modes or owners than are configured now (api_token: its mode is 0660"),
        "{text}"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn an_alert_that_nobody_took_is_delivered_after_a_kill_under_the_same_identifier() {
    let mut world = World::start_with_receiver_down().await;
    world.add_store_without_secret("missing");
    let daemon = world.daemon().await;
    wait_until("a try has failed", async || {
        let failed = daemon.metric("alerts_failed_total{channel=\"webhook\"}").await;
        failed.is_some_and(|failed| failed >= 1.0)
    })
    .await;
    assert_eq!(daemon.metric("alerts_pending{channel=\"webhook\"}").await, Some(1.0));
    let incident = daemon.status().await["incidents"][0]["id"].as_str().unwrap().to_owned();
    daemon.kill().await;

    world.receiver.answer(503);
    world.receiver.listen();
    let daemon = world.daemon().await;
    wait_until("a try was refused", async || !world.receiver.deliveries().is_empty()).await;
    daemon.kill().await;
    assert!(world.receiver.messages().is_empty());

    world.receiver.answer(204);
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    let (refused, taken) = (&world.receiver.deliveries()[0], &world.receiver.messages()[0]);
    assert_eq!(taken.id(), format!("{incident}:1"));
    assert_eq!((taken.id(), &taken.body), (refused.id(), &refused.body));
    wait_until("nothing waits", async || {
        daemon.metric("alerts_pending{channel=\"webhook\"}").await == Some(0.0)
    })
    .await;
    daemon.stop().await;
    assert_eq!(world.receiver.messages().len(), 1, "{:?}", world.told());
}

#[tokio::test]
async fn an_incident_that_ends_while_nobody_runs_is_told_as_over_afterwards() {
    let mut world = World::start().await;
    let account = world.add_store_without_secret("acme");
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    daemon.noted(1).await;
    daemon.kill().await;
    world.write("acme", &account).await;
    let daemon = world.daemon().await;
    world.wait_messages(2).await;
    assert_eq!(
        world.told(),
        [about("acme", "secret_missing", "opened"), about("acme", "secret_missing", "resolved")]
    );
    daemon.stop().await;
}

#[tokio::test]
async fn messages_that_waited_are_delivered_in_their_order() {
    let mut world = World::start_with_receiver_down().await;
    let account = world.add_store_without_secret("acme");
    let daemon = world.daemon().await;
    wait_until("an incident", async || daemon.metric(OPEN_MISSING).await == Some(1.0)).await;
    world.write("acme", &account).await;
    wait_until("its end", async || daemon.metric(OPEN_MISSING).await == Some(0.0)).await;
    daemon.settled().await;
    world.bigcommerce.delete_account("acme");
    wait_until("another one", async || daemon.state("acme").await == "rejected").await;
    wait_until("three wait", async || {
        daemon.metric("alerts_pending{channel=\"webhook\"}").await == Some(3.0)
    })
    .await;
    daemon.stop().await;

    world.receiver.listen();
    let daemon = world.daemon().await;
    world.wait_messages(3).await;
    assert_eq!(
        world.told(),
        [
            about("acme", "secret_missing", "opened"),
            about("acme", "secret_missing", "resolved"),
            about("acme", "regenerated_or_revoked", "opened")
        ]
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_stop_is_clean_leaves_the_files_and_revokes_the_token() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = world.daemon().await;
        daemon.settled().await;
        assert_eq!(world.bao.accessors().await.len(), 1);
        let before = listing(&world.configuration.output);
        daemon.signal(signal);
        let status = daemon.ended(Duration::from_secs(5)).await;
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert_eq!(listing(&world.configuration.output), before);
        assert!(world.bao.accessors().await.is_empty());
        let log = daemon.log();
        assert_eq!(log.last().unwrap()["message"], "stopped");
        assert!(log.iter().all(|line| line["level"] != "ERROR" && line["level"] != "WARN"), "{log:?}");
    }
}

#[tokio::test]
async fn a_second_daemon_with_the_same_state_ends_and_says_why() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);

    let mut second = Daemon::launch(&world.configuration);
    let status = second.ended(DEADLINE).await;
    assert_eq!(status.code(), Some(2));
    let log = second.log();
    let said = log.last().unwrap();
    assert_eq!(said["level"], "ERROR");
    let message = said["message"].as_str().unwrap();
    assert!(message.contains("another daemon") && message.contains("state"), "{message}");

    daemon.passes("acme", 1).await;
    assert_eq!(listing(&world.configuration.output), before);
    assert_eq!(world.bao.accessors().await.len(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn leftovers_of_a_crash_are_swept_and_strangers_are_left_alone() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    daemon.kill().await;

    let store = world.configuration.output.join("acme");
    let leftover = store.join("..2026_01_01_00_00_00.1");
    std::fs::create_dir(&leftover).unwrap();
    std::fs::write(leftover.join("api_token"), "half").unwrap();
    std::os::unix::fs::symlink("..2026_01_01_00_00_00.1", store.join("..data_tmp")).unwrap();
    std::fs::write(store.join("README"), "by hand").unwrap();
    std::fs::write(world.configuration.output.join("notes"), "by hand").unwrap();

    let daemon = world.daemon().await;
    wait_until("swept", async || !leftover.exists()).await;
    daemon.settled().await;
    assert!(store.join("..data_tmp").symlink_metadata().is_err());
    assert_eq!(std::fs::read_to_string(store.join("README")).unwrap(), "by hand");
    let notes = &listing(&world.configuration.output)[std::path::Path::new("notes")];
    assert_eq!(notes.content, Content::File(b"by hand".to_vec()));
    daemon.stop().await;
}

#[tokio::test]
async fn a_daemon_starts_from_what_is_published_while_vault_is_down() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    daemon.stop().await;
    world.bao.seal().await;
    let daemon = world.daemon().await;
    wait_until("ready", async || daemon.code("/readyz").await == 200).await;
    wait_until("still checked", async || daemon.state("acme").await == "verified").await;
    assert_eq!((daemon.code("/livez").await, daemon.code("/startupz").await), (200, 200));
    assert_eq!(daemon.metric("source_up").await, Some(0.0));
    daemon.kill().await;

    let finished = run_with(&world.configuration, "run", &["--one-time"]).await;
    assert_eq!(finished.code, Some(11), "{finished:?}");
}
