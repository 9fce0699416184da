//! A new configuration while the daemon runs: the whole of it, or nothing; and checks on demand.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bc_secrets_sync::sandbox::store::Account;
use rustix::process::Signal;

use crate::support::daemon::Daemon;
use crate::support::files::{listing, published};
use crate::support::wait::{wait_until, wait_within};
use crate::support::world::{World, about, as_published};

async fn wait_reloads(daemon: &Daemon, count: u64) {
    wait_until("the configuration is loaded anew", async || {
        daemon.status().await["configuration"]["reloads"].as_u64() >= Some(count)
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_added_to_the_file_is_published_without_a_restart() {
    let mut world = World::start().await;
    world.add_store("first").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = listing(&world.configuration.output.join("first"));

    // The file is replaced, as editors and ConfigMaps do it; nobody sends a signal.
    let second = world.add_store("second").await;
    world.configuration.write();
    world.wait_published("second", &second).await;
    wait_reloads(&daemon, 1).await;
    daemon.settled().await;
    assert_eq!(listing(&world.configuration.output.join("first")), before);

    // The same file again, by signal.
    daemon.signal(Signal::HUP);
    wait_reloads(&daemon, 2).await;
    daemon.settled().await;
    assert_eq!(world.bao.accessors().await.len(), 1);

    // A store that is taken out is no longer shown, and its files stay: an app may still read them.
    world.configuration.stores.remove(0);
    world.configuration.write();
    wait_until("one store is left", async || daemon.status().await["stores"].as_array().unwrap().len() == 1)
        .await;
    daemon.passes("second", 2).await;
    assert_eq!(listing(&world.configuration.output.join("first")), before);
    assert_eq!(daemon.metric("store_published_generation{store=\"first\"}").await, None);
    assert_eq!(world.receiver.deliveries().len(), 0, "{:?}", world.told());
    daemon.stop().await;
}

#[tokio::test]
async fn stores_that_are_taken_out_are_named_in_the_log() {
    let mut world = World::start().await;
    world.add_store("stays").await;
    for number in 0..23 {
        world.add_store_without_secret(&format!("goes-{number:02}"));
    }
    let daemon = world.daemon().await;
    world.configuration.stores.truncate(1);
    world.configuration.write();
    wait_reloads(&daemon, 1).await;
    let warnings = daemon.log().into_iter().filter(|line| line["level"] == "WARN");
    let told: Vec<String> = warnings.filter_map(|line| Some(line["message"].as_str()?.to_owned())).collect();
    let words = "is no longer configured: what is published of it stays, and is looked after no more";
    let named = told.iter().filter(|text| text.ends_with(words));
    let expected: Vec<String> = (0..20).map(|number| format!("store goes-{number:02} {words}")).collect();
    assert!(named.eq(&expected), "{told:?}");
    assert!(told.iter().any(|text| text.starts_with("3 more stores are no longer configured")), "{told:?}");

    // The same again takes nothing out.
    daemon.signal(Signal::HUP);
    wait_reloads(&daemon, 2).await;
    assert_eq!(daemon.log_text().matches(words).count(), 20);
    daemon.stop().await;
}

#[tokio::test]
async fn incidents_of_a_store_that_is_taken_out_are_told_as_over() {
    let mut world = World::start().await;
    world.add_store("stays").await;
    world.add_store_without_secret("goes");
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    world.configuration.stores.pop();
    world.configuration.write();
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("goes", "secret_missing", "resolved"));
    assert_eq!(world.receiver.messages()[1].json()["data"]["resolution"], "no_longer_configured");
    wait_until("ready", async || daemon.code("/readyz").await == 200).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_broken_configuration_is_refused_whole_and_the_old_one_stays() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    assert_eq!(daemon.metric("configuration_last_load_successful").await, Some(1.0));

    // What is right in the broken file does not come into force either.
    let second = world.add_store("second").await;
    let good = world.configuration.text();
    world.configuration.write_text(&good.replace("interval = \"1s\"\ntimeout", "interval = 5\ntimeout"));
    daemon.signal(Signal::HUP);
    wait_until("the file is refused", async || {
        daemon.status().await["configuration"]["refused"].as_u64() >= Some(1)
    })
    .await;
    let status = daemon.status().await;
    let error = status["configuration"]["error"].as_str().unwrap();
    let line = good.lines().position(|line| line == "interval = \"1s\"").unwrap() + 1;
    assert!(error.contains(&format!("config.toml:{line}:")) && error.contains("check.interval"), "{error}");
    assert_eq!(status["stores"].as_array().unwrap().len(), 1);
    assert_eq!(status["configuration"]["reloads"], 0);
    assert_eq!(daemon.metric("configuration_last_load_successful").await, Some(0.0));
    assert!(daemon.log().iter().any(|line| {
        line["level"] == "ERROR" && line["message"].as_str().unwrap().contains("check.interval")
    }));
    daemon.passes("acme", 2).await;
    assert_eq!(world.published("second"), None);
    assert_eq!(world.published("acme"), Some(as_published(&account)));

    // What cannot be used is refused as well as what cannot be read.
    let missing = world.configuration.home().join("nowhere");
    let broken =
        good.replace(world.configuration.secret_id_file().to_str().unwrap(), missing.to_str().unwrap());
    world.configuration.write_text(&broken);
    let line = good.lines().position(|line| line.starts_with("secret_id_file = ")).unwrap() + 1;
    wait_until("the missing file is told", async || {
        let status = daemon.status().await;
        let error = status["configuration"]["error"].as_str().unwrap_or_default();
        error.contains(&format!("config.toml:{line}:"))
            && error.contains("secret_id_file")
            && error.contains("does not exist")
    })
    .await;

    world.configuration.write_text(&good);
    world.wait_published("second", &second).await;
    wait_until("the error is gone", async || daemon.status().await["configuration"]["error"].is_null()).await;
    assert_eq!(daemon.metric("configuration_last_load_successful").await, Some(1.0));
    daemon.stop().await;
}

#[tokio::test]
async fn another_vault_and_another_receiver_are_taken_over_while_running() {
    let mut world = World::start().await;
    let first = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;

    let other = World::start().await;
    for (from, to) in [
        (other.configuration.role_id_file(), world.configuration.role_id_file()),
        (other.configuration.secret_id_file(), world.configuration.secret_id_file()),
    ] {
        std::fs::copy(from, to).unwrap();
    }
    let account = world.bigcommerce.create_account("acme", "known-to-the-other");
    other.write("acme", &account).await;
    world.configuration.vault = other.bao.address().to_owned();
    world.configuration.webhook = Some(other.receiver.url());
    world.configuration.write();
    world.wait_published("acme", &account).await;
    world.bigcommerce.delete_account_named("acme", &first.username);
    wait_until("the old token is revoked", async || world.bao.accessors().await.is_empty()).await;
    assert_eq!(other.bao.accessors().await.len(), 1);

    world.bigcommerce.delete_account("acme");
    other.wait_messages(1).await;
    assert_eq!(other.told(), [about("acme", "regenerated_or_revoked", "opened")]);
    assert_eq!(world.receiver.deliveries().len(), 0);
    daemon.stop().await;
    assert!(other.bao.accessors().await.is_empty());
}

#[tokio::test]
async fn another_place_and_another_address_are_taken_together_or_not_at_all() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let mut daemon = world.daemon().await;
    daemon.settled().await;

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    world.configuration.listen = taken.local_addr().unwrap().to_string();
    let new = world.configuration.home().join("new");
    let output = std::mem::replace(&mut world.configuration.output, new);
    world.configuration.write();
    wait_until("the address is refused", async || {
        daemon.status().await["configuration"]["refused"].as_u64() >= Some(1)
    })
    .await;
    let error = daemon.status().await["configuration"]["error"].clone();
    assert!(error.as_str().unwrap().contains(&world.configuration.listen), "{error}");
    assert!(!world.configuration.output.exists(), "nothing of it came into force");

    drop(taken);
    daemon.signal(Signal::HUP);
    wait_until("the new address answers", async || {
        tokio::net::TcpStream::connect(&world.configuration.listen).await.is_ok()
    })
    .await;
    let old = daemon.move_to(&world.configuration.listen);
    assert_eq!(daemon.status().await["configuration"]["reloads"], 1);
    // The new output directory holds the whole set, and the old one still does.
    world.wait_published("acme", &account).await;
    assert_eq!(published(&output, "acme"), Some(as_published(&account)));
    assert!(tokio::net::TcpStream::connect(old).await.is_err());
    // The operator's own change is no damage.
    published_anew(&daemon, "acme", "in the output directory that is configured now").await;
    daemon.stop().await;
}

/// The set was published twice, the second time for this reason, and restored never.
async fn published_anew(daemon: &Daemon, store: &str, why: &str) {
    let count = async |what| daemon.metric(&format!("store_{what}_total{{store=\"{store}\"}}")).await;
    wait_until("it is published anew", async || count("publications").await == Some(2.0)).await;
    assert_eq!(count("restorations").await, Some(0.0));
    let text = daemon.log_text();
    assert!(text.contains(why) && !text.contains("was damaged"), "{text}");
}

#[tokio::test]
async fn another_mode_is_given_to_what_is_published_and_is_no_damage() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let directory = format!("directory = \"{}\"", world.configuration.output.display());
    world.configuration.edit(&directory, &format!("{directory}\nfile_mode = \"0400\""));
    world.configuration.write();
    published_anew(&daemon, "acme", "with the modes and owners that are configured now").await;
    let file = world.configuration.output.join("acme/api_token");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o7777, 0o400);
    assert_eq!(world.published("acme"), Some(as_published(&account)));
    daemon.stop().await;
}

#[tokio::test]
async fn the_same_port_at_another_address_is_taken_over_without_a_restart_or_left_as_it_was() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (inside, everywhere) = (format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}"));
    world.configuration.listen.clone_from(&inside);
    let daemon = world.daemon().await;
    daemon.settled().await;
    let answers = async |address: &str| tokio::net::TcpStream::connect(address).await.is_ok();
    // Nobody may be asked meanwhile: who waits for an answer of the old listener gets none.
    let wait_in_force = async |count| {
        wait_until("the configuration is in force", async || {
            daemon.log_text().matches("the new configuration is in force").count() == count
        })
        .await;
    };
    let another = format!("127.0.0.2:{port}");
    for (count, listen) in [(1, &everywhere), (2, &inside)] {
        world.configuration.listen.clone_from(listen);
        world.configuration.write();
        wait_in_force(count).await;
        assert_eq!(answers(&another).await, count == 1);
    }

    // Where another process is in the way, too, nothing changes.
    let taken = TcpListener::bind(&another).unwrap();
    world.configuration.listen = everywhere;
    world.configuration.write();
    wait_until("the address is refused", async || {
        daemon.log_text().contains("another process listens there")
    })
    .await;
    wait_until("it answers where it did", async || answers(&inside).await).await;
    let status = daemon.status().await;
    assert_eq!(
        (&status["configuration"]["reloads"], &status["configuration"]["refused"]),
        (&2.into(), &1.into())
    );
    drop(taken);
    daemon.signal(Signal::HUP);
    wait_in_force(3).await;
    assert!(answers(&another).await);
    daemon.stop().await;
}

#[tokio::test]
async fn a_secret_id_that_was_unwrapped_and_the_token_serve_on_when_only_the_timeout_changes() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let path = "auth/approle/role/test/secret-id";
    std::fs::write(world.configuration.secret_id_file(), world.bao.wrapped("POST", path).await).unwrap();
    let file = format!("secret_id_file = \"{}\"", world.configuration.secret_id_file().display());
    world.configuration.edit(&file, &format!("{file}\nsecret_id_wrapping_path = \"{path}\""));
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = world.bao.accessors().await;

    world.configuration.edit("timeout = \"5s\"\n\n[vault.auth", "timeout = \"4s\"\n\n[vault.auth");
    world.configuration.write();
    wait_reloads(&daemon, 1).await;
    daemon.passes("acme", 2).await;
    assert_eq!(world.bao.accessors().await, before, "the same token");

    // Another source, as far as anybody can tell: the token is not used again, and the secret ID is.
    let role_id = world.configuration.home().join("another-role-id");
    std::fs::copy(world.configuration.role_id_file(), &role_id).unwrap();
    let old = format!("role_id_file = \"{}\"", world.configuration.role_id_file().display());
    world.configuration.edit(&old, &format!("role_id_file = \"{}\"", role_id.display()));
    world.configuration.write();
    wait_reloads(&daemon, 2).await;
    wait_until("there is another token", async || {
        let now = world.bao.accessors().await;
        now.len() == 1 && now != before
    })
    .await;
    daemon.passes("acme", 2).await;
    assert_eq!(world.told(), []);
    daemon.stop().await;
}

#[tokio::test]
async fn everything_is_checked_now_when_somebody_asks_for_it() {
    let mut world = World::start().await;
    world.configuration.poll_interval = "1h";
    world.configuration.check_interval = "1h";
    world.configuration.stale_after = "2h";
    let old = world.add_store("acme").await;
    let daemon = world.daemon().await;
    world.wait_published("acme", &old).await;
    let asked = world.bigcommerce.requests("acme");

    let new = Account { api_token: world.bigcommerce.regenerate_token("acme"), ..old };
    world.write("acme", &new).await;
    assert_eq!(world.bigcommerce.requests("acme"), asked);
    daemon.signal(Signal::USR1);
    wait_within(Duration::from_secs(5), "the new token is published", async || {
        (world.published("acme") == Some(as_published(&new))).then_some(())
    })
    .await;
    assert!(world.bigcommerce.requests("acme") > asked);
    daemon.stop().await;
}
