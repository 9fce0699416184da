//! What a command gets, and what becomes of one that fails, hangs or talks too much.

use std::path::Path;
use std::time::Instant;

use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::super::receiver::message;
use super::*;
use crate::domain::incident::MessageKind;
use crate::domain::routing::Route;

fn shell(script: &str, limit: Duration) -> Command {
    Command::new(&config::AlertCommand {
        argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        timeout: limit,
        route: Route::everything(),
    })
}

async fn run(script: &str) -> Result<(), DeliveryFault> {
    shell(script, Duration::from_secs(20)).deliver(&message("acme", 1, MessageKind::Opened)).await
}

async fn fault_of(script: &str) -> String {
    run(script).await.unwrap_err().to_string()
}

/// Whether a process that wrote its number to the file is there, and no zombie.
fn is_running(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

async fn until_gone(pid_file: &Path) {
    let started = Instant::now();
    while is_running(pid_file) {
        assert!(started.elapsed() < Duration::from_secs(20), "it still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_command_gets_the_message_and_nothing_else_of_ours() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().display();
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    run(&format!("cat > {at}/input; env > {at}/environment")).await.unwrap();

    let input: Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("input")).unwrap()).unwrap();
    assert_eq!(input["type"], "bc_secrets_sync.incident.opened");
    assert_eq!(input["data"]["incident_id"], "acme:regenerated_or_revoked:1700000000000");
    let environment = std::fs::read_to_string(directory.path().join("environment")).unwrap();
    // The shell adds some of its own.
    let mut variables: Vec<&str> = environment
        .lines()
        .filter(|line| !["PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|own| line.starts_with(own)))
        .collect();
    variables.sort_unstable();
    let path = format!("PATH={}", std::env::var("PATH").unwrap());
    let expected = [
        "BC_SECRETS_SYNC_CAUSE=regenerated_or_revoked",
        "BC_SECRETS_SYNC_INCIDENT=acme:regenerated_or_revoked:1700000000000",
        "BC_SECRETS_SYNC_KIND=opened",
        "BC_SECRETS_SYNC_SEVERITY=critical",
        "BC_SECRETS_SYNC_STORE=acme",
        path.as_str(),
    ];
    assert_eq!(variables, expected);
}

#[tokio::test]
async fn no_shell_looks_at_the_arguments() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("$(echo x) *");
    let command = Command::new(&config::AlertCommand {
        argv: vec!["/usr/bin/touch".to_owned(), file.display().to_string()],
        timeout: Duration::from_secs(20),
        route: Route::everything(),
    });
    command.deliver(&message("acme", 1, MessageKind::Opened)).await.unwrap();
    assert!(file.exists());
}

#[tokio::test]
async fn a_failure_says_how_it_ended_and_what_it_complained() {
    let fault = fault_of("echo fine; printf 'no\\nroute\\033[0m' >&2; exit 3").await;
    assert_eq!(fault, "/bin/sh of alerts.command ended with exit status: 3: no route [0m");
    assert!(fault_of("echo only this; exit 1").await.ends_with("exit status: 1: only this"));
    assert!(fault_of("exit 1").await.ends_with("exit status: 1"));
    assert!(fault_of("kill -9 $$").await.contains("signal: 9"));
    let missing = Command::new(&config::AlertCommand {
        argv: vec!["/nowhere/tell".to_owned()],
        timeout: Duration::from_secs(20),
        route: Route::everything(),
    });
    let fault = missing.deliver(&message("acme", 1, MessageKind::Opened)).await.unwrap_err().to_string();
    assert!(fault.starts_with("cannot start /nowhere/tell of alerts.command.argv: No such file"), "{fault}");
}

#[tokio::test]
async fn a_command_that_talks_without_end_is_listened_to_and_cut() {
    let fault = fault_of("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1").await;
    assert!(fault.len() < 400 && fault.ends_with("xxx"), "{}", fault.len());
}

#[tokio::test]
async fn a_command_that_reads_nothing_is_no_failure() {
    assert_eq!(run("exec <&-; exit 0").await, Ok(()));
}

#[tokio::test]
async fn what_a_command_leaves_running_does_not_hold_it_up() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let started = Instant::now();
    assert_eq!(run(&format!("sleep 60 & echo $! > {}", pid_file.display())).await, Ok(()));
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert!(is_running(&pid_file));
    let pid = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn when_its_time_is_up_it_is_killed_with_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let script = format!("trap '' TERM; echo begun >&2; sleep 60 & echo $! > {}; wait", pid_file.display());
    let command = shell(&script, Duration::from_millis(500));
    let fault = command.deliver(&message("acme", 1, MessageKind::Opened)).await.unwrap_err();
    assert_eq!(fault.to_string(), "/bin/sh of alerts.command did not end within 500ms and was killed: begun");
    assert!(fault.is_passing());
    until_gone(&pid_file).await;
}

#[tokio::test]
async fn when_nobody_waits_for_it_any_more_it_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let pid_file = directory.path().join("pid");
    let command =
        shell(&format!("sleep 60 & echo $! > {}; wait", pid_file.display()), Duration::from_secs(60));
    let message = message("acme", 1, MessageKind::Opened);
    tokio::select! {
        outcome = command.deliver(&message) => panic!("{outcome:?}"),
        () = async {
            while !std::fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n')) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        } => {}
    }
    until_gone(&pid_file).await;
}
