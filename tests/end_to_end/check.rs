//! `check`: says how things stand, and publishes nothing.

use bc_secrets_sync::sandbox::store::{Account, Behaviour};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::daemon::{Finished, run_with, spawn_with};
use crate::support::files::listing;
use crate::support::terminal::Terminal;
use crate::support::wait::wait_until;
use crate::support::world::World;

async fn check(world: &World, stores: &[&str], more: &[&str]) -> Finished {
    let mut configuration = world.configuration.clone();
    configuration.stores = stores.iter().map(|store| (*store).to_owned()).collect();
    run_with(&configuration, "check", more).await
}

#[tokio::test]
async fn every_store_is_looked_at_and_nothing_is_written_or_left_behind() {
    let mut world = World::start().await;
    let good = world.add_store("good").await;
    let typo = world.add_store("typo").await;
    let typo = Account { api_token: "5hould-never-be-shown".into(), ..typo };
    world.write("typo", &typo).await;
    world.add_store_without_secret("missing");
    let stores = ["good", "typo", "missing"];

    let table = check(&world, &stores, &[]).await;
    assert_eq!(table.code, Some(13), "{table:?}");
    assert_eq!(table.stderr, "");
    let lines: Vec<Vec<&str>> = table.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["STORE", "VERSION", "WRITTEN", "RESULT", "DETAIL"]);
    assert_eq!((lines[1][0], lines[1][1], lines[1][3]), ("good", "1", "accepted"));
    assert_eq!((lines[2][0], lines[2][1], lines[2][3]), ("typo", "2", "rejected"));
    assert_eq!((lines[3][0], lines[3][1], lines[3][3]), ("missing", "-", "missing"));

    let report = check(&world, &stores, &["--output", "json"]).await;
    assert_eq!(report.code, Some(13), "{report:?}");
    let json: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(json["exit_code"], 13);
    let results: Vec<_> =
        json["stores"].as_array().unwrap().iter().map(|store| (&store["store"], &store["result"])).collect();
    assert_eq!(
        results,
        [
            (&json!("good"), &json!("accepted")),
            (&json!("typo"), &json!("rejected")),
            (&json!("missing"), &json!("missing"))
        ]
    );
    for text in [&table.stdout, &report.stdout] {
        for secret in [&good.username, &good.api_token, &typo.api_token] {
            assert!(!text.contains(secret.as_str()), "{text}");
        }
    }
    assert!(!world.configuration.output.exists() && !world.configuration.state.exists());
    assert!(world.bao.accessors().await.is_empty());
}

#[tokio::test]
async fn the_exit_code_of_a_check_says_what_is_worst() {
    let mut world = World::start().await;
    world.add_store("good").await;
    world.add_store_without_secret("missing");
    world.add_store("inconclusive").await;
    world.bigcommerce.set_behaviour("inconclusive", Behaviour::Disconnect);
    for (stores, code) in
        [(&["good"][..], 0), (&["good", "inconclusive"], 14), (&["inconclusive", "missing"], 12)]
    {
        let finished = check(&world, stores, &[]).await;
        assert_eq!(finished.code, Some(code), "{stores:?}: {finished:?}");
    }
    let secret_id = std::fs::read(world.configuration.secret_id_file()).unwrap();
    std::fs::write(world.configuration.secret_id_file(), "wrong").unwrap();
    let refused = check(&world, &["good"], &[]).await;
    assert_eq!(refused.code, Some(10), "{refused:?}");
    std::fs::write(world.configuration.secret_id_file(), secret_id).unwrap();
    world.bao.kill();
    let gone = check(&world, &["good"], &["--output", "json"]).await;
    assert_eq!(gone.code, Some(11), "{gone:?}");
    let json: Value = serde_json::from_str(&gone.stdout).unwrap();
    assert_eq!(json["stores"][0]["result"], "vault_unavailable");

    let unknown = check(&world, &["good"], &["--output", "xml"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
}

#[tokio::test]
async fn a_check_beside_a_daemon_disturbs_neither() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);
    assert_eq!(check(&world, &["acme"], &[]).await.code, Some(0));
    daemon.passes("acme", 2).await;
    assert_eq!(listing(&world.configuration.output), before);
    assert_eq!(daemon.metric("source_logins_total").await, Some(1.0));
    assert_eq!(world.bao.accessors().await.len(), 1);
    daemon.stop().await;
}

/// Two stores, of which one never answers: somebody does not want to wait for it. What was shown and printed.
async fn interrupt(columns: u16, more: &[&str]) -> (String, String) {
    let mut world = World::start().await;
    world.configuration.check_timeout = "1m";
    world.add_store("good").await;
    world.add_store("silent").await;
    world.bigcommerce.set_behaviour("silent", Behaviour::Hang);
    let terminal = Terminal::with_columns(columns);
    let arguments = [&["check"], more].concat();
    let child = spawn_with(&world.configuration, &arguments, |command| command.stderr(terminal.stdio()));
    wait_until("it says how far it is", async || terminal.shown().contains("1 of 2 stores, ")).await;
    let shown = terminal.shown().len();
    wait_until("it goes on saying so", async || terminal.shown().len() > shown).await;
    kill_process(Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap(), Signal::INT).unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(14), "{}", terminal.shown());
    wait_until("the end is shown", async || terminal.shown().ends_with("for the others\r\n")).await;
    assert!(world.bao.accessors().await.is_empty(), "a token is left");
    (terminal.shown(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn a_long_check_shows_how_far_it_is_on_a_terminal_and_can_be_interrupted() {
    let (shown, printed) = interrupt(80, &[]).await;
    let (progress, words) = shown.rsplit_once("\r\u{1b}[K").unwrap();
    assert!(progress.contains(", now silent") || progress.contains(", now good"), "{shown}");
    assert!(words.starts_with("bc-secrets-sync: interrupted by SIGINT from process "), "{words}");
    assert!(words.contains(": 1 of 2 stores were looked at in "), "{words}");
    let rows: Vec<_> = printed.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(rows, ["good"], "{printed}");
}

#[tokio::test]
async fn what_is_shown_fits_a_narrow_terminal_and_leaves_json_alone() {
    let (shown, printed) = interrupt(24, &["-o", "json"]).await;
    let (progress, _) = shown.rsplit_once("\r\u{1b}[K").unwrap();
    for line in progress.split("\r\u{1b}[K").skip(1) {
        assert!(line.chars().count() < 24 && line.ends_with('\u{2026}'), "{line}");
    }
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&report["exit_code"], &report["interrupted"]), (&json!(14), &json!(true)));
    assert_eq!(report["stores"].as_array().unwrap().len(), 1, "{report}");
}
