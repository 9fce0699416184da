//! Hooks that tell apps of new generations: each kind, what they get and never get, and that none is forgotten.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bc_secrets_sync::sandbox::store::Account;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tokio::process::{Child, Command};

use crate::support::daemon::{Daemon, run_with};
use crate::support::wait::wait_until;
use crate::support::webhook::Receiver;
use crate::support::world::{World, about};

/// A world with one store, whose hook has these lines; `HOME` in them is the test's directory.
async fn world_with(lines: &str) -> (World, Account) {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let lines = lines.replace("HOME", world.configuration.home().to_str().unwrap());
    world.configuration.edit(
        "path = \"stores/acme\"",
        &format!("path = \"stores/acme\"\n[stores.reload]\nmin_interval = \"0s\"\n{lines}"),
    );
    (world, account)
}

/// Rotates the token, and waits until the new one is published.
async fn rotate(world: &World, account: &mut Account) {
    account.api_token = world.bigcommerce.regenerate_token("acme");
    world.write("acme", account).await;
    world.wait_published("acme", account).await;
}

fn script(world: &World, text: &str) {
    let path = world.configuration.home().join("hook");
    let text = text.replace("HOME", world.configuration.home().to_str().unwrap());
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn lines(world: &World, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(world.configuration.home().join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

async fn told(daemon: &Daemon, generation: u64) {
    wait_until(&format!("the app was told of generation {generation}"), async || {
        let reload = &daemon.store("acme").await["reload"];
        reload["generation"] == generation && reload["pending"] == false
    })
    .await;
}

fn runs(process: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

async fn gone(world: &World, file: &str) {
    let processes = lines(world, file);
    assert!(!processes.is_empty());
    wait_until("all that the hook had started is gone", async || {
        processes.iter().all(|process| !runs(process))
    })
    .await;
}

/// A command that hangs with a child, whose numbers are in `HOME/processes`; and that has begun when those are.
const HANG: &str = "trap '' TERM HUP INT\nsleep 300 & echo $! > HOME/processes.new\necho $$ >> HOME/processes.new\n\
                    mv HOME/processes.new HOME/processes\nwait";

#[tokio::test]
async fn a_command_is_told_what_is_new_and_nothing_else_and_no_shell_looks_at_it() {
    let (mut world, mut account) =
        world_with("command = [\"HOME/hook\", \"$(touch HOME/bad)\", \"a b\", \"*\", \";\"]").await;
    world.configuration.environment.push(("APP_PASSWORD", "not-for-hooks".into()));
    world.configuration.environment.push(("HOME", "/somewhere".into()));
    world.configuration.environment.push(("TZ", "UTC".into()));
    script(
        &world,
        "{ printf '%s\\n' \"$@\"; echo --; cat; echo --; } > HOME/arguments\n\
         tr '\\0' '\\n' < /proc/$$/environ > HOME/environment; echo all well",
    );
    let daemon = world.daemon().await;
    told(&daemon, 1).await;
    let home = world.configuration.home().display();
    assert_eq!(
        lines(&world, "arguments"),
        [&format!("$(touch {home}/bad)"), "a b", "*", ";", "--", "--"].map(|line: &str| line.to_owned())
    );
    assert!(!world.configuration.home().join("bad").exists());
    let mut environment = lines(&world, "environment");
    environment.sort();
    let directory = world.configuration.output.join("acme");
    assert_eq!(
        environment,
        [
            format!("BC_SECRETS_SYNC_DIRECTORY={}", directory.display()),
            "BC_SECRETS_SYNC_GENERATION=1".to_owned(),
            "BC_SECRETS_SYNC_STORE=acme".to_owned(),
            "HOME=/somewhere".to_owned(),
            "TZ=UTC".to_owned(),
        ]
    );
    assert!(directory.join("api_token").exists());

    rotate(&world, &mut account).await;
    told(&daemon, 2).await;
    assert!(lines(&world, "environment").contains(&"BC_SECRETS_SYNC_GENERATION=2".to_owned()));
    let log = daemon.log();
    let outcomes: Vec<_> =
        log.iter().filter(|line| line["message"].as_str().unwrap().contains("the app was told")).collect();
    assert_eq!(outcomes.len(), 2, "one line for each run: {outcomes:?}");
    assert!(outcomes[0]["message"].as_str().unwrap().ends_with("hook ended with 0; it said: all well"));
    let status = daemon.get("/status").await.1;
    assert!(status.contains("hook ended with 0") && !status.contains("all well"), "{status}");
    for (series, value) in [
        ("store_reload_runs_total{store=\"acme\",result=\"success\"}", 2.0),
        ("store_reload_runs_total{store=\"acme\",result=\"failure\"}", 0.0),
        ("store_reload_generation{store=\"acme\"}", 2.0),
        ("store_reload_pending{store=\"acme\"}", 0.0),
        ("store_reload_last_run_successful{store=\"acme\"}", 1.0),
    ] {
        assert_eq!(daemon.metric(series).await, Some(value), "{series}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_shell_runs_a_command_where_it_is_asked_to() {
    let (world, _) = world_with(
        "shell = true\ncommand = [\"echo $BC_SECRETS_SYNC_STORE | tr a-z A-Z > HOME/said && test -s HOME/said\"]",
    )
    .await;
    let daemon = world.daemon().await;
    told(&daemon, 1).await;
    assert_eq!(lines(&world, "said"), ["ACME"]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_request_tells_an_app_again_and_again_until_it_answers_as_expected() {
    let (mut world, _) = world_with("url = \"APP\"\nbearer_token_file = \"HOME/bearer\"").await;
    let app = Receiver::start();
    app.answer(503);
    world.configuration.edit("APP", &app.url());
    std::fs::write(world.configuration.home().join("bearer"), "the-apps-token\n").unwrap();
    let daemon = world.daemon().await;
    wait_until("the fault is shown", async || {
        let reload = daemon.store("acme").await["reload"].clone();
        reload["error"].as_str().is_some_and(|error| error.ends_with("answered 503"))
            && reload["pending"] == true
    })
    .await;
    assert_eq!(daemon.metric("store_reload_pending{store=\"acme\"}").await, Some(1.0));
    app.answer(204);
    told(&daemon, 1).await;
    assert_eq!(daemon.store("acme").await["reload"]["error"], json!(null));
    for delivery in app.deliveries() {
        assert!(delivery.line.starts_with("POST /hook "), "{}", delivery.line);
        assert_eq!(delivery.headers["authorization"], "Bearer the-apps-token");
        assert_eq!(delivery.headers["bc-secrets-sync-store"], "acme");
        assert_eq!(delivery.headers["bc-secrets-sync-generation"], "1");
        assert!(delivery.body.is_empty());
    }
    assert_eq!(app.messages().len(), 1);
    daemon.stop().await;
}

/// A server and its worker, both of the same name; they note the signals that they get. Killed when it is dropped.
struct Server(Child);

impl Server {
    fn start(path: &Path, home: &Path) -> Self {
        let text = format!(
            "#!/bin/sh\ntrap 'echo master >> {0}/signals' USR1\n\
             (trap 'echo worker >> {0}/signals' USR1; touch {0}/worker; while :; do sleep 0.1; done) &\n\
             while :; do sleep 0.1; done\n",
            home.display()
        );
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(Command::new(path).process_group(0).spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(group) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

#[tokio::test]
async fn a_process_is_found_by_its_name_and_its_oldest_alone_is_signalled() {
    let name = format!("srv{}", std::process::id());
    let (world, mut account) = world_with(&format!("process = \"{name}\"\nsignal = \"USR1\"")).await;
    let daemon = world.daemon().await;
    wait_until("the advice is shown", async || {
        let error = daemon.store("acme").await["reload"]["error"].clone();
        error.as_str().is_some_and(|error| error.contains(&name) && error.contains("shareProcessNamespace"))
    })
    .await;
    let home = world.configuration.home();
    let server = Server::start(&home.join(&name), home);
    wait_until("the worker runs", async || home.join("worker").exists()).await;
    told(&daemon, 1).await;
    rotate(&world, &mut account).await;
    told(&daemon, 2).await;
    wait_until("both signals", async || lines(&world, "signals").len() >= 2).await;
    assert_eq!(lines(&world, "signals"), ["master", "master"]);
    let number = server.0.id().unwrap().to_string();
    assert!(daemon.log_text().contains(&format!("SIGUSR1 was sent to process {number} ({name})")));
    daemon.stop().await;
}

#[tokio::test]
async fn while_a_hook_runs_newer_generations_become_one_next_run() {
    let (world, mut account) = world_with("command = [\"HOME/hook\"]\ntimeout = \"1m\"").await;
    script(
        &world,
        "echo $BC_SECRETS_SYNC_GENERATION >> HOME/runs\nwhile [ ! -e HOME/go ]; do sleep 0.05; done",
    );
    let daemon = world.daemon().await;
    wait_until("the first run", async || lines(&world, "runs") == ["1"]).await;
    for _ in 0..3 {
        rotate(&world, &mut account).await;
    }
    // What is on the disk is not at once what the daemon knows.
    let published = "store_published_generation{store=\"acme\"}";
    wait_until("the last is published", async || daemon.metric(published).await == Some(4.0)).await;
    assert_eq!(lines(&world, "runs"), ["1"]);
    std::fs::write(world.configuration.home().join("go"), "").unwrap();
    told(&daemon, 4).await;
    assert_eq!(lines(&world, "runs"), ["1", "4"]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_hook_that_a_crash_has_cut_off_or_kept_from_starting_is_run_by_the_next_life() {
    let (mut world, mut account) = world_with("command = [\"HOME/hook\"]\ntimeout = \"1m\"").await;
    world.configuration.edit("min_interval = \"0s\"", "min_interval = \"1h\"");
    script(&world, &format!("echo $BC_SECRETS_SYNC_GENERATION >> HOME/runs\n{HANG}"));
    let daemon = world.daemon().await;
    wait_until("the hook runs", async || lines(&world, "processes").len() == 2).await;
    daemon.kill().await;
    // Nobody is left to end what the hook has started.
    for process in lines(&world, "processes") {
        let process = Pid::from_raw(process.parse().unwrap()).unwrap();
        let _gone = rustix::process::kill_process(process, Signal::KILL);
    }

    script(&world, "echo $BC_SECRETS_SYNC_GENERATION >> HOME/runs");
    let daemon = world.daemon().await;
    told(&daemon, 1).await;
    assert_eq!(lines(&world, "runs"), ["1", "1"]);
    // Published, and not told: another run is not due for an hour.
    rotate(&world, &mut account).await;
    wait_until("it waits", async || daemon.store("acme").await["reload"]["pending"] == true).await;
    daemon.kill().await;
    assert_eq!(lines(&world, "runs"), ["1", "1"]);

    for violent in [true, false] {
        let daemon = world.daemon().await;
        told(&daemon, 2).await;
        daemon.settled().await;
        daemon.passes("acme", 1).await;
        assert_eq!(lines(&world, "runs"), ["1", "1", "2"], "told once, whatever comes");
        assert!(daemon.metric("store_reload_last_success_timestamp_seconds{store=\"acme\"}").await.is_some());
        if violent {
            daemon.kill().await;
        } else {
            daemon.stop().await;
        }
    }
}

#[tokio::test]
async fn a_hook_that_hangs_is_ended_with_its_children_and_is_an_incident_until_it_works() {
    let (world, account) = world_with("command = [\"HOME/hook\"]\ntimeout = \"300ms\"\nretries = 1").await;
    script(&world, &format!("echo working on it\n{HANG}"));
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "reload_failed", "opened")]);
    let message = world.receiver.messages()[0].clone();
    assert_eq!(message.json()["data"]["severity"], "warning");
    assert!(
        message.evidence().contains("did not end within 300ms, and was killed"),
        "{}",
        message.evidence()
    );
    assert!(!message.evidence().contains("working on it"), "what a command says is for the log alone");
    assert!(daemon.log_text().contains("it said: working on it"));
    let status = daemon.get("/status").await.1;
    assert!(
        status.contains("could not be told of generation") && !status.contains("working on it"),
        "{status}"
    );
    // The set itself is as good as ever.
    world.wait_published("acme", &account).await;
    assert_eq!(daemon.state("acme").await, "verified");
    assert_eq!(daemon.metric("incidents_open{cause=\"reload_failed\"}").await, Some(1.0));
    script(&world, "exit 0");
    gone(&world, "processes").await;
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("acme", "reload_failed", "resolved"));
    told(&daemon, 1).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_stop_gives_a_hook_its_time_and_no_more_and_the_next_life_makes_up_for_it() {
    let (world, mut account) = world_with("command = [\"HOME/hook\"]\ntimeout = \"1m\"").await;
    // Short enough: it ends by itself, and is not run again.
    script(&world, "touch HOME/begun; sleep 1; echo $BC_SECRETS_SYNC_GENERATION >> HOME/runs");
    let daemon = world.daemon().await;
    wait_until("the hook runs", async || world.configuration.home().join("begun").exists()).await;
    daemon.stop().await;
    assert_eq!(lines(&world, "runs"), ["1"]);
    let daemon = world.daemon().await;
    told(&daemon, 1).await;
    daemon.passes("acme", 1).await;
    assert_eq!(lines(&world, "runs"), ["1"]);

    // Too long: it is ended, with its children.
    script(&world, HANG);
    rotate(&world, &mut account).await;
    wait_until("the hook runs", async || lines(&world, "processes").len() == 2).await;
    let begun = Instant::now();
    let stopped = daemon.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    gone(&world, "processes").await;
    let log = std::fs::read_to_string(stopped.log).unwrap();
    assert!(log.contains("a hook took too long and was ended"), "{log}");

    script(&world, "echo $BC_SECRETS_SYNC_GENERATION >> HOME/runs");
    let daemon = world.daemon().await;
    told(&daemon, 2).await;
    assert_eq!(lines(&world, "runs"), ["1", "2"]);
    daemon.stop().await;
}

#[tokio::test]
async fn a_single_pass_tells_the_app_and_says_so_unless_it_is_told_not_to() {
    let (world, account) = world_with("command = [\"HOME/hook\"]").await;
    let pass =
        async |more: &[&str]| run_with(&world.configuration, "run", &[&["--one-time"], more].concat()).await;
    script(&world, "echo ran >> HOME/runs; echo it is broken >&2; exit 3");
    let finished = pass(&["--no-reload"]).await;
    assert_eq!(finished.code, Some(0), "{finished:?}");
    world.wait_published("acme", &account).await;
    assert!(lines(&world, "runs").is_empty());

    let finished = pass(&[]).await;
    assert_eq!(finished.code, Some(18), "{finished:?}");
    for part in ["ended with exit status: 3; it said: it is broken", "use --no-reload"] {
        assert!(finished.stderr.contains(part), "{part}: {finished:?}");
    }
    assert_eq!(lines(&world, "runs"), ["ran"]);
    script(&world, "echo ran >> HOME/runs; [ $(wc -l < HOME/runs) -ge 3 ]");
    let finished = pass(&["--wait", "1m"]).await;
    assert_eq!((finished.code, lines(&world, "runs").len()), (Some(0), 3), "{finished:?}");
    assert_eq!(pass(&[]).await.code, Some(0));
    assert_eq!(lines(&world, "runs").len(), 3, "it was told already");

    let help = crate::support::daemon::run(&PathBuf::from("/"), ["run", "--help"]).await;
    assert!(help.stdout.contains("--no-reload") && help.stdout.contains("18  an app could not be told"));
    assert_eq!(world.receiver.deliveries().len(), 0);
    // A daemon goes on from there.
    let daemon = world.daemon().await;
    told(&daemon, 1).await;
    daemon.passes("acme", 1).await;
    assert_eq!(lines(&world, "runs").len(), 3);
    daemon.stop().await;
}
