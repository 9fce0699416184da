//! What is left of commands where we get the orphans, as the first process of a container does.

use std::path::Path;
use std::time::Instant;

use super::*;

/// Children that nobody waits for would be taken from other tests, so each of these is in a process of its own.
fn alone(test: &str) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .arg(format!("system::command::tests::{test}"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}{output:?}");
}

fn adopt() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
}

fn is_there(process: &str) -> bool {
    Path::new("/proc").join(process).exists()
}

async fn shell(script: String, timeout: Duration) -> Result<Ended, Failure> {
    let arguments = &["-c".to_owned(), script];
    run(&Job { program: "/bin/sh", arguments, environment: &[], input: &[], timeout }).await
}

#[test]
fn what_is_killed_leaves_no_zombie_where_we_are_the_first_process() {
    alone("killed");
}

#[tokio::test]
#[ignore = "gets the orphans; run by what_is_killed_leaves_no_zombie_where_we_are_the_first_process"]
async fn killed() {
    adopt();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("processes");
    let script = format!("sleep 60 & echo $$ $! > {}; wait", file.display());
    assert!(matches!(shell(script, Duration::from_secs(1)).await, Err(Failure::Late(_))));
    let processes = std::fs::read_to_string(file).unwrap();
    assert_eq!(processes.split_whitespace().count(), 2);
    for process in processes.split_whitespace() {
        assert!(!is_there(process), "{process} is still there");
    }
}

#[test]
fn what_a_command_leaves_running_leaves_no_zombie_and_every_command_has_its_own_status() {
    alone("left_running");
}

#[tokio::test]
#[ignore = "gets the orphans; run by what_a_command_leaves_running_leaves_no_zombie_and_every_command_has_its_own_status"]
async fn left_running() {
    adopt();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("processes");
    // In its own group, in another session, and one that has a child of its own.
    let script = format!(
        "exec 2>> {}; sleep 0.3 & echo $! >&2; setsid sleep 0.5 & echo $! >&2; \
         sh -c 'sleep 0.4 & echo $! >&2; sleep 0.2' & echo $! >&2; exit 3",
        file.display()
    );
    let limit = Duration::from_secs(20);
    let started = Instant::now();
    assert_eq!(shell(script, limit).await.unwrap().status.code(), Some(3));
    let left = || std::fs::read_to_string(&file).unwrap();
    assert!(left().split_whitespace().any(is_there), "nothing was left running");
    let mut rounds = 0;
    while left().lines().count() < 4 || left().split_whitespace().any(is_there) {
        assert!(started.elapsed() < limit, "{} is still there", left());
        // Meanwhile others end, all at once, while somebody looks for orphans.
        let quick = async || shell("exit 7".to_owned(), limit).await.unwrap().status.code();
        let slow = async || shell("sleep 0.05; exit 8".to_owned(), limit).await.unwrap().status.code();
        let codes = tokio::join!(quick(), slow(), quick(), slow());
        assert_eq!(codes, (Some(7), Some(8), Some(7), Some(8)));
        rounds += 1;
    }
    assert!(rounds > 1);
}

#[test]
fn the_parent_of_a_process_is_read_whatever_its_name_is() {
    for (stat, parent) in [
        ("57 (sleep) Z 1 57 57 0", Some(1)),
        ("57 (a) S 9 (b) R 12 57", Some(12)),
        ("1 (init) S 0 1 1", None),
        ("57 (sleep", None),
    ] {
        assert_eq!(orphans::parent(stat), parent.and_then(Pid::from_raw), "{stat}");
    }
}
