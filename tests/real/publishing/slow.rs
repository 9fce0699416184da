//! A store that is taken out of the configuration and put back while a slow disk still publishes it: one thing at a time.

use std::path::Path;
use std::process::{Command, Stdio};

use bc_secrets_sync::sandbox::store::Account;

use crate::support::daemon::Daemon;
use crate::support::wait::wait_until;
use crate::support::world::{World, as_published};

/// Longer than two reloads take, and so often as a publication makes its store's directory lasting.
const DELAY: &str = "4s";

fn generations(store: &Path) -> usize {
    let entries = std::fs::read_dir(store).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("..20")).count()
}

async fn wait_reloads(daemon: &Daemon, count: u64) {
    wait_until("the configuration is loaded anew", async || {
        daemon.status().await["configuration"]["reloads"].as_u64() >= Some(count)
    })
    .await;
}

#[tokio::test]
#[ignore = "delays system calls with strace: ./tests/run --real"]
async fn real_a_store_that_comes_back_while_it_is_published_waits_for_that() {
    let mut world = World::start().await;
    world.add_store("stays").await;
    let old = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let store = world.configuration.output.join("acme");
    let before = generations(&store);

    let mut strace = Command::new("strace");
    strace.args(["--follow-forks", "--quiet=all", "--trace=fsync", "--trace-path"]).arg(&store);
    strace.arg(format!("--inject=fsync:delay_enter={DELAY}")).arg(format!("--attach={}", daemon.pid()));
    let mut strace = strace.arg("--output=/dev/null").stdin(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", daemon.pid());
    wait_until("strace is attached", async || {
        std::fs::read_to_string(&status).unwrap().contains(&format!("TracerPid:\t{}", strace.id()))
    })
    .await;

    let new = Account { api_token: world.bigcommerce.regenerate_token("acme"), ..old };
    world.write("acme", &new).await;
    wait_until("a generation is staged", async || generations(&store) > before).await;
    let stores = world.configuration.stores.clone();
    world.configuration.stores.pop();
    world.configuration.write();
    wait_reloads(&daemon, 1).await;
    world.configuration.stores = stores;
    world.configuration.write();
    wait_reloads(&daemon, 2).await;
    assert_ne!(world.published("acme"), Some(as_published(&new)), "the disk is too fast for this test");

    wait_until("it is published", async || {
        // Whoever reads finds a set at any moment.
        std::fs::read(store.join("api_token")).unwrap();
        world.published("acme") == Some(as_published(&new))
    })
    .await;
    wait_until("it is verified", async || {
        std::fs::read(store.join("api_token")).unwrap();
        daemon.state("acme").await == "verified"
    })
    .await;
    assert!(!daemon.log_text().contains("publishing failed"), "{}", daemon.log_text());
    assert!(world.told().iter().all(|(_, cause, _)| cause != "publish_failed"), "{:?}", world.told());
    strace.kill().unwrap();
    strace.wait().unwrap();
    daemon.stop().await;
}
