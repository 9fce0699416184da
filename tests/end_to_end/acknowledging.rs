//! Apps say which generation they run on: by a file or by a request; the lag is seen, and silence is told.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::daemon::Daemon;
use crate::support::wait::wait_until;
use crate::support::world::{World, about};

const TOKEN: &str = "report-token-0123456789";
const PATH: &str = "/v1/stores/acme/acknowledge";

/// A world in which nothing is looked at in its turn, and whose app acknowledges by a file and by requests.
async fn world(within: &str) -> (World, PathBuf) {
    let mut world = World::start().await;
    world.configuration.poll_interval = "1day";
    let home = world.configuration.home().to_owned();
    std::fs::write(home.join("report-token"), TOKEN).unwrap();
    std::fs::create_dir(home.join("app")).unwrap();
    let file = home.join("app/acknowledged");
    let listen = "listen = \"127.0.0.1:0\"";
    let token = home.join("report-token");
    world.configuration.edit(listen, &format!("{listen}\nreport_token_file = \"{}\"", token.display()));
    let store = "path = \"stores/acme\"";
    let table =
        format!("{store}\n[stores.acknowledge]\nfile = \"{}\"\nwithin = \"{within}\"", file.display());
    world.add_store("acme").await;
    world.configuration.edit(store, &table);
    (world, file)
}

async fn said(daemon: &Daemon) -> Value {
    daemon.store("acme").await["acknowledgement"].clone()
}

async fn acknowledged(daemon: &Daemon, generation: u64) {
    wait_until(&format!("generation {generation} is acknowledged"), async || {
        let said = said(daemon).await;
        said["pending"] == false && said["generation"] == generation
    })
    .await;
}

async fn rotate(world: &World, daemon: &Daemon, generation: u64) {
    let mut account = world.bigcommerce.create_account("acme", &format!("user-{generation}"));
    account.username = format!("user-{generation}");
    world.write("acme", &account).await;
    daemon.signal(rustix::process::Signal::USR1);
    world.wait_published("acme", &account).await;
    wait_until("the publication is known", async || {
        daemon.metric("store_published_generation{store=\"acme\"}").await == Some(generation as f64)
    })
    .await;
}

#[tokio::test]
async fn an_app_acknowledges_by_its_file_and_that_outlives_a_kill() {
    let (world, file) = world("off").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    assert_eq!(daemon.metric("store_acknowledgement_pending{store=\"acme\"}").await, Some(1.0));
    assert!(daemon.metric("store_acknowledgement_lag_seconds{store=\"acme\"}").await > Some(0.0));

    // An app that writes the number, as it stands in the generation's file.
    std::fs::write(&file, "1\n").unwrap();
    acknowledged(&daemon, 1).await;
    let lag = said(&daemon).await["lag_ms"].as_u64().unwrap();
    assert_eq!(daemon.metric("store_acknowledgement_pending{store=\"acme\"}").await, Some(0.0));
    assert_eq!(
        daemon.metric("store_acknowledgement_lag_seconds{store=\"acme\"}").await,
        Some(lag as f64 / 1000.0)
    );
    assert_eq!(daemon.metric("store_acknowledged_generation{store=\"acme\"}").await, Some(1.0));
    let at = said(&daemon).await["at"].clone();
    daemon.kill().await;
    std::fs::remove_file(&file).unwrap();
    let daemon = world.daemon().await;
    acknowledged(&daemon, 1).await;
    assert_eq!(said(&daemon).await["at"], at);

    // An app that touches it, replaces it, or makes it anew; and one that says what cannot be.
    std::fs::write(&file, "").unwrap();
    rotate(&world, &daemon, 2).await;
    assert_eq!(said(&daemon).await["pending"], true);
    std::fs::File::open(&file).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    acknowledged(&daemon, 2).await;
    rotate(&world, &daemon, 3).await;
    std::fs::write(&file, "4").unwrap();
    wait_until("it is told what is wrong", async || {
        said(&daemon).await["error"] == "it names generation 4, and 3 is the newest"
    })
    .await;
    std::fs::write(file.with_extension("new"), "3").unwrap();
    std::fs::rename(file.with_extension("new"), &file).unwrap();
    acknowledged(&daemon, 3).await;
    assert_eq!(said(&daemon).await["error"], Value::Null);

    // A link of the app's is not followed.
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(world.configuration.file(), &file).unwrap();
    wait_until("the link is refused", async || {
        said(&daemon).await["error"] == "it is a link, which is not followed"
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_app_acknowledges_by_a_request_and_a_wrong_one_is_answered_clearly() {
    let (world, _) = world("off").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    rotate(&world, &daemon, 2).await;
    let body = |generation: u64| json!({ "generation": generation }).to_string();
    assert_eq!(daemon.post_body(PATH, None, &body(2)).await.0, 401);
    assert_eq!(daemon.post_body("/v1/stores/other/acknowledge", Some(TOKEN), &body(2)).await.0, 404);
    assert_eq!(daemon.post_body(PATH, Some(TOKEN), "2").await.0, 400);
    for (generation, outcome) in [(1, "superseded"), (3, "unknown")] {
        let (status, text) = daemon.post_body(PATH, Some(TOKEN), &body(generation)).await;
        let said: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (status, &said["outcome"], &said["published_generation"]),
            (409, &json!(outcome), &json!(2))
        );
    }
    assert_eq!(said(&daemon).await["pending"], true);

    // The generation's file as it is; and then a flood.
    let stamp = std::fs::read_to_string(world.configuration.output.join("acme/generation.json")).unwrap();
    let (status, first) = daemon.post_body(PATH, Some(TOKEN), &stamp).await;
    assert_eq!(status, 200, "{first}");
    for _ in 0..200 {
        assert_eq!(daemon.post_body(PATH, Some(TOKEN), &body(2)).await, (200, first.clone()));
    }
    acknowledged(&daemon, 2).await;
    let log = daemon.log();
    let lines = log.iter().filter(|line| line["message"].as_str().unwrap().contains("has acknowledged"));
    assert_eq!(lines.count(), 1, "the flood is one line of the log");
    daemon.stop().await;
}

#[tokio::test]
async fn an_app_that_does_not_follow_is_told_of_until_it_does() {
    let (world, file) = world("2s").await;
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "unacknowledged", "opened")]);
    let message = &world.receiver.messages()[0];
    assert_eq!(message.json()["data"]["severity"], "warning");
    assert!(message.evidence().contains("has acknowledged none before"), "{}", message.evidence());
    assert_eq!(daemon.metric("incidents_open{cause=\"unacknowledged\"}").await, Some(1.0));
    daemon.kill().await;
    let daemon = world.daemon().await;
    std::fs::write(&file, "1").unwrap();
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("acme", "unacknowledged", "resolved"));
    daemon.stop().await;
}

#[tokio::test]
async fn a_hook_that_acknowledges_closes_the_loop() {
    let (mut world, file) = world("1m").await;
    let within = "within = \"1m\"";
    let hook = format!("echo $BC_SECRETS_SYNC_GENERATION >{}", file.display());
    let table =
        format!("{within}\n[stores.reload]\ncommand = ['{hook}']\nshell = true\nmin_interval = \"0s\"");
    world.configuration.edit(within, &table);
    let daemon = world.daemon().await;
    daemon.settled().await;
    for generation in 1..4 {
        if generation > 1 {
            rotate(&world, &daemon, generation).await;
        }
        acknowledged(&daemon, generation).await;
    }
    // The same content, restored under another number: the app need not be told, nor say anything.
    std::fs::remove_file(world.configuration.output.join("acme/username")).unwrap();
    wait_until("it is restored", async || daemon.store("acme").await["published"]["restores"] == 3).await;
    let store = daemon.store("acme").await;
    assert_eq!(
        (&store["published"]["generation"], &store["acknowledgement"]["pending"]),
        (&json!(4), &json!(false))
    );
    daemon.stop().await;
}
