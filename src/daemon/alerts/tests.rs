//! What the daemon does with several channels: each has a life of its own.

use std::path::Path;

use super::*;
use crate::config::Environment;
use crate::domain::time::Timestamp;

/// Where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

fn config(directory: &Path, channels: &str) -> Config {
    let root = directory.display();
    std::fs::write(directory.join("key"), "0123456789abcdef").unwrap();
    let text = format!(
        r#"
[vault]
address = "https://vault.example"
[vault.auth.token_file]
path = "/run/token"
[output]
directory = "{root}/output"
[state]
directory = "{root}/state"
{}
[[stores]]
name = "one"
path = "stores/one"
"#,
        channels.replace("ROOT", &root.to_string())
    );
    Config::parse(&text, "config.toml", &Environment::empty()).unwrap()
}

const COMMAND: &str =
    "[alerts.command]\nargv = [\"/bin/sh\", \"-c\", \"echo $BC_SECRETS_SYNC_KIND >> ROOT/told\"]\n";

fn dead() -> String {
    format!(
        "[alerts.pagerduty]\nurl = \"http://{NOBODY}/\"\nrouting_key_file = \"ROOT/key\"\n\
         [alerts.alertmanager]\nurls = [\"http://{NOBODY}\"]\n"
    )
}

fn key() -> FingerprintKey {
    FingerprintKey::new(&[7; 32])
}

async fn open(config: &Config) -> Alerts {
    let channels = Channels::build(config, &key()).unwrap();
    Alerts::open(config, channels, Clock::start()).await.unwrap()
}

async fn until(alerts: &mut Alerts, done: impl Fn(&Alerts) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done(alerts) {
        let event = tokio::time::timeout_at(deadline, alerts.reported.recv()).await.unwrap().unwrap();
        alerts.count(&event);
    }
}

fn status(alerts: &Alerts, name: &str) -> ChannelStatus {
    alerts.status().into_iter().find(|status| status.name == name).unwrap()
}

fn test_messages() -> Vec<Message> {
    Message::of_test(Timestamp::from_millis(1_700_000_000_000)).to_vec()
}

#[tokio::test]
async fn dead_channels_hold_up_no_other_and_each_is_counted_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), &(dead() + COMMAND));
    let mut alerts = open(&config).await;
    let [opened, resolved] = test_messages().try_into().unwrap();
    alerts.keep(vec![opened.into()]).await;
    until(&mut alerts, |alerts| {
        let failed = |name| status(alerts, name).failed > 0;
        failed("pagerduty") && failed("alertmanager") && status(alerts, "command").delivered == 1
    })
    .await;
    alerts.keep(vec![resolved.into()]).await;
    until(&mut alerts, |alerts| status(alerts, "command").delivered == 2).await;

    let names: Vec<_> = alerts.status().iter().map(|status| status.name).collect();
    assert_eq!(names, ["log", "pagerduty", "alertmanager", "command"]);
    let (log, pagerduty, command) =
        (status(&alerts, "log"), status(&alerts, "pagerduty"), status(&alerts, "command"));
    assert_eq!((log.delivered, log.pending), (2, 0));
    assert_eq!((pagerduty.delivered, pagerduty.pending), (0, 2));
    assert!(pagerduty.error.unwrap().starts_with(&format!("cannot reach {NOBODY}")));
    assert_eq!((command.failed, command.pending, command.error), (0, 0, None));
    assert_eq!(std::fs::read_to_string(directory.path().join("told")).unwrap(), "opened\nresolved\n");
    alerts.stop().await.unwrap();
}

#[tokio::test]
async fn a_new_configuration_replaces_the_channels_and_those_that_stay_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let before = config(directory.path(), &(dead() + COMMAND));
    let mut alerts = open(&before).await;
    let [opened, resolved] = test_messages().try_into().unwrap();
    alerts.keep(vec![opened.into()]).await;
    until(&mut alerts, |alerts| status(alerts, "command").delivered == 1).await;

    let after = config(directory.path(), COMMAND);
    alerts.replace(Channels::build(&after, &key()).unwrap()).await.unwrap();
    assert_eq!(alerts.tasks.len(), 1);
    alerts.keep(vec![resolved.into()]).await;
    until(&mut alerts, |alerts| status(alerts, "command").delivered == 2).await;
    let names: Vec<_> = alerts.status().iter().map(|status| status.name).collect();
    assert_eq!(names, ["log", "command"]);
    alerts.stop().await.unwrap();
}

#[tokio::test]
async fn a_channel_that_comes_while_an_incident_is_open_or_leads_elsewhere_is_told_of_it_once() {
    let directory = tempfile::tempdir().unwrap();
    let told = || std::fs::read_to_string(directory.path().join("told")).unwrap_or_default();
    let mut alerts = open(&config(directory.path(), "")).await;
    let [opened, resolved] = test_messages().try_into().unwrap();
    alerts.keep(vec![opened.into()]).await;
    let elsewhere = COMMAND.replace("echo", "echo elsewhere");
    for (channels, delivered) in [(COMMAND, 1), (COMMAND, 1), (&*elsewhere, 2), (&*elsewhere, 2)] {
        let channels = Channels::build(&config(directory.path(), channels), &key()).unwrap();
        alerts.replace(channels).await.unwrap();
        until(&mut alerts, |alerts| status(alerts, "command").delivered == delivered).await;
        assert_eq!(status(&alerts, "command").pending, 0);
    }
    assert_eq!(told(), "opened\nelsewhere opened\n");
    alerts.keep(vec![resolved.into()]).await;
    until(&mut alerts, |alerts| status(alerts, "command").delivered == 3).await;
    assert_eq!(told(), "opened\nelsewhere opened\nelsewhere resolved\n");
    alerts.stop().await.unwrap();
}

#[tokio::test]
async fn what_waits_at_the_end_is_tried_once_more_by_every_channel_within_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let broken = "[alerts.command]\nargv = [\"/bin/sh\", \"-c\", \"test -e ROOT/open && touch ROOT/told\"]\n";
    let config = config(directory.path(), &(dead() + broken));
    let mut alerts = open(&config).await;
    alerts.keep(test_messages().into_iter().map(Change::from).collect()).await;
    until(&mut alerts, |alerts| status(alerts, "command").failed > 0).await;
    alerts.stop().await.unwrap();
    std::fs::write(directory.path().join("open"), "").unwrap();
    alerts.flush(Duration::from_secs(20)).await;
    assert!(directory.path().join("told").exists());
    assert_eq!((status(&alerts, "command").pending, status(&alerts, "pagerduty").pending), (0, 2));
}
