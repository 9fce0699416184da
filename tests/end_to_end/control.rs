//! Asking the running daemon: reports of apps, the list of incidents, and silences.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::configuration::Configuration;
use crate::support::daemon::{Daemon, Finished, run, spawn_with};
use crate::support::terminal::Terminal;
use crate::support::wait::{DEADLINE, wait_for, wait_until};
use crate::support::world::{World, about};

const TOKEN: &str = "report-token-0123456789";
const NO_DAEMON: Option<i32> = Some(17);

/// A world whose stores are checked so rarely that only reports bring checks about.
async fn quiet() -> World {
    let mut world = World::start().await;
    world.configuration.check_interval = "1h";
    world.configuration.stale_after = "2h";
    let file = world.configuration.home().join("report-token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let listen = "listen = \"127.0.0.1:0\"";
    world.configuration.edit(listen, &format!("{listen}\nreport_token_file = \"{}\"", file.display()));
    world
}

fn socket(configuration: &Configuration) -> PathBuf {
    configuration.state.join("control.sock")
}

/// Runs a command that asks the daemon of this configuration.
async fn command(configuration: &Configuration, arguments: &[&str]) -> Finished {
    let file = configuration.file();
    let config = ["--config", file.to_str().unwrap()];
    run(configuration.home(), arguments.iter().chain(&config)).await
}

async fn incidents(configuration: &Configuration) -> Vec<Value> {
    let listed = command(configuration, &["incidents", "--output", "json"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let page: Value = serde_json::from_str(&listed.stdout).unwrap();
    page["incidents"].as_array().unwrap().clone()
}

/// How often the store was asked.
async fn reports(daemon: &Daemon, what: &str) -> u64 {
    daemon.store("acme").await["reports"][what].as_u64().unwrap()
}

#[tokio::test]
async fn a_report_brings_a_regeneration_to_light_long_before_the_next_check() {
    let mut world = quiet().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    world.bigcommerce.regenerate_token("acme");

    let (status, text) = daemon.post("/v1/stores/acme/report", None).await;
    assert_eq!(status, 401, "{text}");
    let (status, text) = daemon.post("/v1/stores/acme/report", Some("another-token-0123")).await;
    assert_eq!(status, 401, "{text}");
    assert_eq!(daemon.state("acme").await, "verified");
    assert_eq!(daemon.metric("reports_refused_total").await, Some(2.0));

    let (status, text) = daemon.post("/v1/stores/acme/report", Some(TOKEN)).await;
    assert_eq!(status, 202, "{text}");
    let said: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&said["outcome"], &said["last_verdict"]), (&json!("check_started"), &json!("accepted")));
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "regenerated_or_revoked", "opened")]);
    assert_eq!(daemon.metric("store_report_checks_total{store=\"acme\"}").await, Some(1.0));
    assert_eq!(daemon.post("/v1/stores/other/report", Some(TOKEN)).await.0, 404);
    daemon.stop().await;
}

#[tokio::test]
async fn a_thousand_reports_cost_one_request_to_the_store() {
    let mut world = quiet().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = world.bigcommerce.requests("acme");
    let mut outcomes = Vec::new();
    for _ in 0..50 {
        let posts = (0..20).map(|_| daemon.post("/v1/stores/acme/report", Some(TOKEN)));
        for (status, text) in all(posts).await {
            assert_eq!(status, 202, "{text}");
            outcomes.push(serde_json::from_str::<Value>(&text).unwrap()["outcome"].clone());
        }
    }
    wait_until("the check has ended", async || {
        daemon.store("acme").await["last_verdict"] == "accepted"
            && world.bigcommerce.requests("acme") > before
    })
    .await;
    assert_eq!(world.bigcommerce.requests("acme"), before + 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "check_started").count(), 1);
    assert_eq!((reports(&daemon, "received").await, reports(&daemon, "absorbed").await), (1000, 999));
    assert_eq!(daemon.metric("store_reports_total{store=\"acme\"}").await, Some(1000.0));
    assert_eq!(daemon.metric("store_reports_absorbed_total{store=\"acme\"}").await, Some(999.0));
    // The flood is one line of the log.
    let lines = daemon.log();
    let said = lines.iter().filter(|line| line["message"].as_str().unwrap().contains("an app reports"));
    assert_eq!(said.count(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_token_for_reports_is_rotated_and_taken_away_without_a_restart() {
    let mut world = quiet().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    assert_eq!(daemon.post("/v1/stores/acme/report", Some(TOKEN)).await.0, 202);
    let new = "another-token-0123456789";
    std::fs::write(world.configuration.home().join("report-token"), new).unwrap();
    assert_eq!(daemon.post("/v1/stores/acme/report", Some(TOKEN)).await.0, 401);
    assert_eq!(daemon.post("/v1/stores/acme/report", Some(new)).await.0, 202);

    std::fs::write(world.configuration.home().join("report-token"), "short").unwrap();
    for _ in 0..3 {
        let (status, text) = daemon.post("/v1/stores/acme/report", Some("short")).await;
        assert!(status == 503 && text.contains("the daemon's log says why"), "{text}");
    }
    let lines = daemon.log();
    let said = lines.iter().filter(|line| line["message"].as_str().unwrap().contains("could be guessed"));
    assert_eq!(said.count(), 1);

    let text = world.configuration.text();
    let without = text.lines().filter(|line| !line.starts_with("report_token_file"));
    world.configuration.write_text(&without.collect::<Vec<_>>().join("\n"));
    let answer = wait_for("reports are not taken any more", async || {
        let (status, text) = daemon.post("/v1/stores/acme/report", Some(new)).await;
        (status == 403).then_some(text)
    })
    .await;
    assert!(answer.contains("report_token_file in [http]"), "{answer}");
    daemon.stop().await;
}

#[tokio::test]
async fn the_status_is_shown_with_what_is_worst_off_first() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    world.add_store("wrong").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    world.bigcommerce.delete_account("wrong");
    world.wait_messages(1).await;
    let shown = command(&world.configuration, &["status"]).await;
    assert_eq!((shown.code, shown.stderr.as_str()), (Some(0), ""), "{shown:?}");
    for part in
        ["up ", "vault      logged in, last worked", "incidents  1 open; see", "stores     1 of 2 verified"]
    {
        assert!(shown.stdout.contains(part), "{part}: {shown:?}");
    }
    let stores: Vec<&str> =
        shown.stdout.lines().skip_while(|line| !line.starts_with("STORE")).skip(1).collect();
    assert!(
        stores[0].starts_with("wrong  rejected  1 ") && stores[1].starts_with("acme   verified  1 "),
        "{shown:?}"
    );
    // No terminal, no colours.
    assert!(!shown.stdout.contains('\u{1b}'), "{shown:?}");

    let one = command(&world.configuration, &["status", "acme"]).await;
    assert!(one.stdout.contains("\nacme ") && !one.stdout.contains("\nwrong "), "{one:?}");
    let json = command(&world.configuration, &["status", "--output", "json"]).await;
    let page: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(page["stores"][1]["state"], "rejected");
    let url = format!("http://{}", daemon.address());
    let by_url = run(world.configuration.home(), ["status", "--url", &url]).await;
    assert_eq!(by_url.code, Some(0), "{by_url:?}");

    let explained = command(&world.configuration, &["explain", "wrong"]).await;
    assert_eq!(explained.code, Some(0), "{explained:?}");
    for part in [
        "state        rejected, since ",
        "secret       secret/stores/wrong, read ",
        "published    version 1, generation 1, ",
        "open incident, since ",
        "What to do: In the store's admin",
        "published credentials: rejected by the store (401)",
    ] {
        assert!(explained.stdout.contains(part), "{part}: {explained:?}");
    }
    assert!(!explained.stdout.contains("acme"), "{explained:?}");

    for (arguments, part) in [
        (&["status", "nobody"][..], "the daemon has no store nobody"),
        (&["explain", "nobody"], "the daemon has no store nobody"),
        (&["status", "--watch"], "--watch is for a terminal"),
    ] {
        let refused = command(&world.configuration, arguments).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn open_incidents_are_listed_with_what_to_do() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let none = command(&world.configuration, &["incidents"]).await;
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), "no open incidents\n"), "{none:?}");
    assert_eq!(incidents(&world.configuration).await, [] as [Value; 0]);

    world.bigcommerce.delete_account("acme");
    world.wait_messages(1).await;
    let id = world.receiver.messages()[0].json()["data"]["incident_id"].as_str().unwrap().to_owned();
    let listed = command(&world.configuration, &["incidents"]).await;
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{listed:?}");
    assert!(lines[0].starts_with("SEVERITY  STORE  CAUSE") && lines[0].ends_with("ID"), "{listed:?}");
    assert!(lines[1].starts_with("critical  acme   regenerated_or_revoked  ") && lines[1].ends_with(&id));
    let in_json = incidents(&world.configuration).await;
    assert_eq!(in_json[0], daemon.status().await["incidents"][0]);

    for arguments in [&["incidents", "acme:"][..], &["incidents", "--verbose"], &["incidents", &id]] {
        let full = command(&world.configuration, arguments).await;
        assert_eq!(full.code, Some(0), "{full:?}");
        for part in ["with 401 2 times", "what to do", "Advanced Settings > Legacy API Settings", &id] {
            assert!(full.stdout.contains(part), "{part}: {full:?}");
        }
    }
    let url = format!("http://{}", daemon.address());
    let by_url = run(world.configuration.home(), ["incidents", "--url", &url]).await;
    assert_eq!((by_url.code, by_url.stdout.lines().count()), (Some(0), 2), "{by_url:?}");
    let socket = socket(&world.configuration);
    let by_socket =
        run(world.configuration.home(), ["incidents", "--socket", socket.to_str().unwrap()]).await;
    assert_eq!((by_socket.code, by_socket.stdout.lines().count()), (Some(0), 2), "{by_socket:?}");

    let unknown = command(&world.configuration, &["incidents", "nobody"]).await;
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("begins with nobody; `bc-secrets-sync incidents` lists"), "{unknown:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_silence_survives_a_kill_and_reminders_resume_when_it_is_ended() {
    let mut world = World::start().await;
    world.configuration.repeat_interval = "1s";
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    world.bigcommerce.delete_account("acme");
    world.wait_messages(2).await;

    let silenced = command(&world.configuration, &["silence", "acme:", "--for", "2h"]).await;
    assert_eq!(silenced.code, Some(0), "{silenced:?}");
    assert!(silenced.stdout.contains(": no reminders until 20"), "{silenced:?}");
    let until = incidents(&world.configuration).await[0]["silenced_until"].clone();
    assert!(until.is_string());
    const SILENCED: &str = "incidents_silenced{cause=\"regenerated_or_revoked\"}";
    assert_eq!(daemon.metric(SILENCED).await, Some(1.0));
    let said = daemon.log_text();
    assert!(said.contains("asked through the control socket"), "{said}");
    wait_until("what was under way is delivered", async || {
        daemon.metric("alerts_pending{channel=\"webhook\"}").await == Some(0.0)
    })
    .await;
    let told = world.told().len();
    daemon.noted(told).await;
    daemon.kill().await;

    let daemon = world.daemon().await;
    let kept = incidents(&world.configuration).await[0]["silenced_until"].clone();
    assert_eq!(daemon.metric(SILENCED).await, Some(1.0));
    let apart = time(&kept).as_millis().abs_diff(time(&until).as_millis());
    assert!(apart < 2000, "{kept} and {until}");
    // The reminder was due within seconds.
    daemon.checked("acme", 5).await;
    assert_eq!(world.told().len(), told, "{:?}", world.told());

    let ended = command(&world.configuration, &["unsilence", "acme:"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(": not silenced; the next reminder is due at 20"), "{ended:?}");
    world.wait_messages(told + 1).await;
    assert_eq!(world.told()[told], about("acme", "regenerated_or_revoked", "reminder"));
    assert_eq!(daemon.metric(SILENCED).await, Some(0.0));
    daemon.stop().await;
}

#[tokio::test]
async fn the_end_of_a_silenced_incident_is_told() {
    let mut world = World::start().await;
    let account = world.add_store_without_secret("acme");
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    let silenced =
        command(&world.configuration, &["silence", "acme:secret_missing", "--for", "30days"]).await;
    assert_eq!(silenced.code, Some(0), "{silenced:?}");
    world.write("acme", &account).await;
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("acme", "secret_missing", "resolved"));
    assert_eq!(incidents(&world.configuration).await, [] as [Value; 0]);
    daemon.stop().await;
}

#[tokio::test]
async fn who_silences_what_is_not_there_is_told_what_to_do() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    for (arguments, part) in [
        (&["silence", "acme", "--for", "1h"][..], "`bc-secrets-sync incidents` lists them"),
        (&["unsilence", "acme"], "`bc-secrets-sync incidents` lists them"),
        (&["silence", "acme", "--for", "59s"], "from 1 minute to 30 days"),
        (&["silence", "acme", "--for", "31days"], "from 1 minute to 30 days"),
        (&["silence", "acme", "--for", "soon"], "no duration"),
        (&["silence", "acme"], "--for <DURATION>"),
        (&["silence", "a/b", "--for", "1h"], "no ID of an incident"),
    ] {
        let refused = command(&world.configuration, arguments).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(part), "{arguments:?}: {refused:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn without_a_daemon_the_commands_say_so_by_an_exit_code_of_their_own() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    world.configuration.write();
    let missing = command(&world.configuration, &["incidents"]).await;
    assert_eq!(missing.code, NO_DAEMON, "{missing:?}");
    assert!(missing.stderr.contains("no daemon answers at ") && missing.stderr.contains("--socket"));

    let daemon = world.daemon().await;
    assert_eq!(command(&world.configuration, &["incidents"]).await.code, Some(0));
    let mode = socket(&world.configuration).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    daemon.kill().await;
    for arguments in
        [&["incidents"][..], &["status"], &["silence", "acme", "--for", "1h"], &["unsilence", "acme"]]
    {
        let dead = command(&world.configuration, arguments).await;
        assert_eq!(dead.code, NO_DAEMON, "{dead:?}");
        assert!(dead.stderr.contains("nobody listens there; start the daemon"), "{dead:?}");
    }

    // What a killed daemon left is replaced; what a stopped one had is gone.
    let daemon = world.daemon().await;
    assert_eq!(command(&world.configuration, &["incidents"]).await.code, Some(0));
    daemon.stop().await;
    assert!(!socket(&world.configuration).exists());
    let url = run(world.configuration.home(), ["incidents", "--url", "http://127.0.0.1:1"]).await;
    assert_eq!(url.code, NO_DAEMON, "{url:?}");
}

#[tokio::test]
async fn a_live_socket_is_not_stolen_and_a_new_configuration_moves_it() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let moved = world.configuration.home().join("moved.sock");
    let daemon = world.daemon().await;
    daemon.settled().await;

    let mut other = world.configuration.clone();
    other.state = world.configuration.home().join("other-state");
    other.output = world.configuration.home().join("other-output");
    let path = socket(&world.configuration);
    other.edit("[http]", &format!("[control]\nsocket = \"{}\"\n\n[http]", path.display()));
    other.write();
    let mut second = Daemon::launch(&other);
    assert_eq!(second.ended(DEADLINE).await.code(), Some(2));
    assert!(second.log_text().contains("another process listens on the control socket"));
    assert_eq!(command(&world.configuration, &["incidents"]).await.code, Some(0));

    // One that somebody has removed is made again with the configuration.
    world.configuration.write();
    std::fs::remove_file(&path).unwrap();
    daemon.signal(Signal::HUP);
    wait_until("it is back", async || path.exists()).await;
    assert_eq!(command(&world.configuration, &["incidents"]).await.code, Some(0));

    let text = world.configuration.text();
    world.configuration.write_text(&format!("[control]\nsocket = \"{}\"\n{text}", moved.display()));
    wait_until("it has moved", async || moved.exists() && !path.exists()).await;
    wait_until("it answers there", async || {
        command(&world.configuration, &["incidents"]).await.code == Some(0)
    })
    .await;
    world.configuration.write_text(&format!("[control]\nsocket = \"off\"\n{text}"));
    wait_until("it is gone", async || !moved.exists()).await;
    let off = command(&world.configuration, &["silence", "acme", "--for", "1h"]).await;
    assert!(off.code == Some(2) && off.stderr.contains("control.socket is \"off\""), "{off:?}");
    assert_eq!(daemon.code("/livez").await, 200);
    daemon.stop().await;
}

#[tokio::test]
async fn a_state_directory_deep_down_has_its_socket_too() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    world.configuration.listen = "off".to_owned();
    world.configuration.state = world.configuration.home().join("d".repeat(90)).join("e".repeat(90));
    world.configuration.write();
    let daemon = Daemon::launch(&world.configuration);
    wait_until("it answers", async || command(&world.configuration, &["incidents"]).await.code == Some(0))
        .await;
    daemon.stop().await;
}

async fn all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

fn time(value: &Value) -> bc_secrets_sync::domain::time::Timestamp {
    bc_secrets_sync::domain::time::Timestamp::parse(value.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn who_watches_the_status_is_shown_a_restart_as_it_happens() {
    let mut world = quiet().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let terminal = Terminal::with_columns(80);
    let arguments = ["status", "--watch"];
    let mut watching =
        spawn_with(&world.configuration, &arguments, |command| command.stdout(terminal.stdio()));
    let shows = async |words: &str| {
        let shown = terminal.shown();
        shown.rsplit("\u{1b}[2J").next().is_some_and(|screen| screen.contains(words))
    };
    wait_until("the daemon is shown", async || shows("acme").await).await;
    daemon.stop().await;
    wait_until("it is shown to be away", async || shows("no daemon answers").await).await;
    let daemon = world.daemon().await;
    wait_until("the new one is shown", async || shows("acme").await).await;
    assert!(watching.try_wait().unwrap().is_none());
    watching.kill().await.unwrap();
    daemon.stop().await;
}
