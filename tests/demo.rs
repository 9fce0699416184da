//! The demo, as somebody runs it who has just built the program.
#![cfg(feature = "demo")]

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn demo(directory: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bc-secrets-sync"));
    command.args(["demo", "--listen", "127.0.0.1:0", "--directory"]).arg(directory);
    command
}

#[test]
fn the_story_is_told_whole_and_ends_well() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("demo");
    let output = demo(&directory).arg("--exit").output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    let mut rest = told.as_str();
    for part in [
        "status page  http://127.0.0.1:",
        "files        /",
        "published as generation 1",
        "Alert (critical)",
        "acme: API token regenerated or revoked",
        "nothing newer",
        "published as generation 2",
        "regenerated, caught up",
        "deletes the account",
        "Alert (critical)",
        "two publications, three alerts",
    ] {
        let at = rest.replace("\n       ", " ").find(part);
        let at = at.unwrap_or_else(|| panic!("{part:?} is missing, or comes too early, in:\n{told}"));
        rest = rest.get(at..).unwrap_or_default();
    }
    let token = std::fs::read_to_string(directory.join("secrets/acme/api_token")).unwrap();
    assert!(!told.contains(&token));
    assert!(!std::fs::read_to_string(directory.join("daemon.log")).unwrap().contains(&token));
}

#[test]
fn the_story_waits_between_its_chapters_for_who_wants_to_look() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("demo");
    let mut child = demo(&directory)
        .args(["--exit", "--step"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut orders = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut told_until = |part: &str| {
        let mut told = String::new();
        while !told.contains(part) {
            told += &lines.next().unwrap_or_else(|| panic!("{part:?} is not in {told}"));
        }
        told
    };
    let token = || std::fs::read_to_string(directory.join("secrets/acme/api_token")).unwrap();
    let told = told_until("Enter goes on");
    assert!(told.contains("published as generation 1") && !told.contains("2. "), "{told}");
    let first = token();
    writeln!(orders).unwrap();
    let told = told_until("Enter goes on");
    assert!(told.contains("2. ") && told.contains("Alert (critical)") && !told.contains("3. "), "{told}");
    assert_eq!(token(), first);
    writeln!(orders).unwrap();
    let told = told_until("Enter goes on");
    assert!(told.contains("published as generation 2") && !told.contains("4. "), "{told}");
    assert_ne!(token(), first);
    // Who goes away waits for nothing.
    drop(orders);
    told_until("two publications, three alerts");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn after_the_story_the_daemon_stays_up_and_the_buttons_work() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("demo");
    let mut child = demo(&directory).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let buttons = lines.find(|line| line.contains("/create-account")).unwrap();
    let address = buttons.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let _last_line = lines.find(|line| line.contains("/alerts")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let press = async |button: &str| {
            let answer = client.post(format!("http://{address}{button}")).send().await.unwrap();
            answer.status().as_u16()
        };
        assert_eq!(press("/write-to-vault").await, 409, "the account was deleted in the story");
        assert_eq!(press("/create-account").await, 200);
        assert_eq!(press("/write-to-vault").await, 200);
        assert_eq!(press("/nonsense").await, 404);
        let username = directory.join("secrets/acme/username");
        let published = async {
            while std::fs::read_to_string(&username).unwrap() != "integration" {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), published).await.unwrap();
    });
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(directory.join("secrets/acme/username").exists(), "what is published stays");
}

#[test]
fn a_closed_terminal_ends_the_demo_and_its_daemon() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("demo");
    let mut child = demo(&directory).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.contains("published as generation 1")).unwrap();
    kill_process(Pid::from_child(&child), Signal::HUP).unwrap();
    assert!(child.wait().unwrap().code().is_some(), "it ended by itself");
    let log = std::fs::read_to_string(directory.join("daemon.log")).unwrap();
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn a_story_that_is_interrupted_has_not_happened() {
    let place = tempfile::tempdir().unwrap();
    let mut child = demo(&place.path().join("demo"))
        .arg("--exit")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let _first = lines.find(|line| line.starts_with("1. ")).unwrap();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(lines.find(|line| line.contains("All of it happened")), None);
    let output = child.wait_with_output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(14), "{words}");
    assert!(words.contains("interrupted by SIGTERM") && words.contains("not told to its end"), "{words}");
}

#[test]
fn what_was_asked_for_and_cannot_be_had_is_named_and_left_alone() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("mine"), "mine").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (taken, address.to_string())).unwrap();
    let directory = place.path().to_str().unwrap();
    for (option, value, words) in [
        ("--directory", directory, format!("{directory} is not empty")),
        ("--directory", "/proc/nowhere", "cannot use /proc/nowhere: No such file".to_owned()),
        ("--listen", taken.1.as_str(), format!("cannot listen on {}: Address already in use", taken.1)),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bc-secrets-sync"));
        let output = command.args(["demo", "--exit", option, value]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&words), "{said}");
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}
