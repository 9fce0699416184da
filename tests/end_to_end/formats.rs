//! Files that the configuration asks for: published, checked, replaced when others are asked for, and apps told.

use std::path::PathBuf;

use bc_secrets_sync::sandbox::store::Account;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::daemon::{Daemon, run_with};
use crate::support::files::{generation, listing};
use crate::support::wait::wait_until;
use crate::support::world::{World, about};

const LIST: &str = "[state]";

/// A world with one store, whose files are these and whose hook writes down each generation.
async fn world_with(files: &str) -> (World, Account) {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let home = world.configuration.home().display().to_string();
    world.configuration.edit(LIST, &format!("# FILES\n{files}\n[state]"));
    world.configuration.edit(
        "path = \"stores/acme\"",
        &format!(
            "path = \"stores/acme\"\n[stores.reload]\nmin_interval = \"0s\"\nshell = true\n\
             command = [\"echo $BC_SECRETS_SYNC_GENERATION >> {home}/told\"]"
        ),
    );
    (world, account)
}

fn file(name: &str, format: &str) -> String {
    format!("[[output.files]]\nname = \"{name}\"\nformat = \"{format}\"\n")
}

fn template(world_home: &str, name: &str) -> String {
    format!("{}template = \"{world_home}/{name}.j2\"\nescape = \"json\"\n", file(name, "template"))
}

fn home(world: &World) -> String {
    world.configuration.home().display().to_string()
}

fn told(world: &World) -> String {
    std::fs::read_to_string(world.configuration.home().join("told")).unwrap_or_default()
}

fn path(world: &World, name: &str) -> PathBuf {
    world.configuration.output.join("acme").join(name)
}

fn read(world: &World, name: &str) -> String {
    std::fs::read_to_string(path(world, name)).unwrap_or_default()
}

/// The links that apps open.
fn names(world: &World) -> Vec<String> {
    let entries = std::fs::read_dir(path(world, "")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with("..") && path(world, name).is_symlink());
    names.sort();
    names
}

async fn published(daemon: &Daemon, number: u64) {
    wait_until(&format!("generation {number}"), async || {
        let store = daemon.store("acme").await;
        store["published"]["generation"] == number && store["reload"]["generation"] == number
    })
    .await;
}

#[tokio::test]
async fn other_files_are_a_new_generation_that_the_app_is_told_of() {
    let (mut world, account) = world_with("").await;
    let daemon = world.daemon().await;
    published(&daemon, 1).await;
    assert_eq!(names(&world), ["api_path", "api_token", "generation.json", "username"]);
    assert!(generation(&world.configuration.output, "acme").get("files_fingerprint").is_none());

    // Vault need not be asked for what is published.
    world.bao.seal().await;
    std::fs::write(format!("{}/app.json.j2", home(&world)), "{\"token\": {{ api_token }}}\n").unwrap();
    let files = file("credentials.json", "json") + &template(&home(&world), "app.json");
    world.configuration.edit("# FILES\n", &files);
    world.configuration.write();
    published(&daemon, 2).await;
    assert_eq!(names(&world), ["app.json", "credentials.json", "generation.json"]);
    let json: Value = serde_json::from_str(&read(&world, "credentials.json")).unwrap();
    assert_eq!(json["username"], account.username);
    assert_eq!(read(&world, "app.json"), format!("{{\"token\": \"{}\"}}\n", account.api_token));
    assert!(generation(&world.configuration.output, "acme")["files_fingerprint"].is_string());

    world.bao.unseal().await;
    // A template is read when the configuration is.
    std::fs::write(format!("{}/app.json.j2", home(&world)), "[{{ api_token }}]").unwrap();
    daemon.signal(Signal::HUP);
    published(&daemon, 3).await;
    assert_eq!(read(&world, "app.json"), format!("[\"{}\"]", account.api_token));
    // The same again is nothing new, and what is damaged is restored without a word to the app.
    daemon.signal(Signal::HUP);
    std::fs::remove_file(path(&world, "..data/app.json")).unwrap();
    wait_until("it is restored", async || !read(&world, "app.json").is_empty()).await;
    daemon.passes("acme", 2).await;
    assert_eq!(told(&world), "1\n2\n3\n");
    assert_eq!(daemon.metric("store_publications_total{store=\"acme\"}").await, Some(3.0));
    assert_eq!(daemon.metric("store_restorations_total{store=\"acme\"}").await, Some(1.0));

    // A template that is wrong leaves everything as it is.
    std::fs::write(format!("{}/app.json.j2", home(&world)), "[{{ api_tokn }}]").unwrap();
    daemon.signal(Signal::HUP);
    wait_until("it is refused", async || daemon.metric("configuration_refused_total").await == Some(1.0))
        .await;
    let error = daemon.status().await["configuration"]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("output.files[1].template") && error.contains("'api_tokn'"), "{error}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_restart_takes_what_is_published_in_whatever_files_and_publishes_others_without_vault() {
    let (mut world, account) = world_with(&(file(".env", "env") + &file("a.yaml", "yaml"))).await;
    let daemon = world.daemon().await;
    published(&daemon, 1).await;
    assert!(read(&world, ".env").contains(&format!("BIGCOMMERCE_API_TOKEN={}\n", account.api_token)));
    daemon.stop().await;
    let before = listing(&world.configuration.output);
    world.bao.seal().await;

    let daemon = world.daemon().await;
    wait_until("still checked", async || daemon.state("acme").await == "verified").await;
    assert_eq!(listing(&world.configuration.output), before);
    daemon.stop().await;

    world.configuration.edit(".env", "credentials.properties");
    world.configuration.edit("format = \"env\"", "format = \"properties\"");
    let daemon = world.daemon().await;
    published(&daemon, 2).await;
    assert_eq!(names(&world), ["a.yaml", "credentials.properties", "generation.json"]);
    assert_eq!(told(&world), "1\n2\n");
    daemon.stop().await;
}

#[tokio::test]
async fn a_value_that_a_file_cannot_hold_leaves_the_last_good_set_and_is_an_incident_that_heals() {
    let (mut world, mut account) = world_with(&file("credentials.env", "env")).await;
    let daemon = world.daemon().await;
    published(&daemon, 1).await;
    let before = read(&world, "credentials.env");

    let hostile = "5hould-never-be-shown$(id)";
    world.bigcommerce.set_account("acme", &account.username, hostile);
    account.api_token = hostile.to_owned();
    world.write("acme", &account).await;
    world.wait_messages(1).await;
    let message = world.receiver.messages()[0].clone();
    assert_eq!(message.about(), about("acme", "publish_failed", "opened"));
    let evidence = message.evidence();
    assert!(
        evidence.contains("acme/credentials.env") && evidence.contains("the API Token has a character"),
        "{evidence}"
    );
    assert!(evidence.contains("use the format json") && !evidence.contains(hostile), "{evidence}");
    assert_eq!(read(&world, "credentials.env"), before);
    let finished = run_with(&world.configuration, "validate", &[]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");

    world.configuration.edit("format = \"env\"", "format = \"json\"");
    world.configuration.write();
    wait_until("it is published", async || read(&world, "credentials.env").contains(hostile)).await;
    wait_until("it is over", async || world.told().contains(&about("acme", "publish_failed", "resolved")))
        .await;
    for line in daemon.log() {
        assert!(!line.to_string().contains(hostile), "{line}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_single_pass_publishes_files_and_ends_only_when_others_are_there() {
    let (mut world, _) = world_with(&file("a", "json")).await;
    let finished = run_with(&world.configuration, "run", &["--one-time"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(names(&world), ["a", "generation.json"]);
    world.configuration.edit("name = \"a\"", "name = \"b\"");
    let finished = run_with(&world.configuration, "run", &["--one-time"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(names(&world), ["b", "generation.json"]);
    assert_eq!(told(&world), "1\n2\n");

    std::fs::write(format!("{}/b.j2", home(&world)), "{{ store").unwrap();
    let wrong = template(&home(&world), "b");
    world.configuration.edit(&file("b", "json"), &wrong);
    let finished = run_with(&world.configuration, "run", &["--one-time"]).await;
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(names(&world), ["b", "generation.json"]);
}
