//! What commands write, and how they end where it cannot be written; how a daemon ends whose disk is full.

use std::fs::OpenOptions;
use std::process::Stdio;

use tokio::process::Command;

use crate::support::configuration::Configuration;
use crate::support::daemon::{Finished, spawn_with};
use crate::support::terminal::Terminal;
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::World;

/// Runs a command whose results go there.
async fn into(configuration: &Configuration, arguments: &[&str], results: Stdio) -> Finished {
    let child =
        spawn_with(configuration, arguments, |command| command.stdout(results).stderr(Stdio::piped()));
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.unwrap().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    Finished { code: output.status.code(), stdout: String::new(), stderr }
}

#[tokio::test]
async fn results_that_cannot_be_written_are_no_success_and_a_reader_may_leave() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    for arguments in [
        &["check"][..],
        &["check", "-o", "json"],
        &["status"],
        &["status", "-o", "json"],
        &["explain", "acme"],
        &["incidents"],
        &["log-level"],
        &["validate"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let unwritten = into(&world.configuration, arguments, full.into()).await;
        assert_eq!(unwritten.code, Some(70), "{arguments:?}: {unwritten:?}");
        let words = "bc-secrets-sync: cannot write to standard output: No space left on device";
        assert!(unwritten.stderr.contains(words), "{arguments:?}: {unwritten:?}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let left = into(&world.configuration, arguments, writer.into()).await;
        assert_eq!((left.code, left.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn who_watches_the_status_sees_its_head_however_many_stores_there_are() {
    const STORES: usize = 30;
    let mut world = World::start().await;
    for number in 0..STORES {
        world.add_store_without_secret(&format!("store-{number}"));
    }
    let daemon = world.daemon().await;
    let terminal = Terminal::with_columns(80);
    terminal.set_rows(20);
    let mut watching =
        spawn_with(&world.configuration, &["status", "--watch"], |command| command.stdout(terminal.stdio()));
    let screen = || {
        let shown = terminal.shown();
        let (_, screen) = shown.rsplit_once("\u{1b}[2J").unwrap_or_default();
        screen.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until("the stores that do not fit are counted", async || {
        screen().last().is_some_and(|line| line.starts_with("and ") && line.ends_with(" more"))
    })
    .await;
    let lines = screen();
    // The last row is the cursor's.
    assert_eq!(lines.len(), 19, "{lines:?}");
    assert!(lines[0].starts_with("daemon "), "{lines:?}");
    let stores = lines.iter().filter(|line| line.contains("store-")).count();
    assert_eq!(lines[18], format!("and {} more", STORES - stores));
    terminal.set_rows(60);
    wait_until("all are shown where there is room", async || {
        screen().iter().filter(|line| line.contains("store-")).count() == STORES
    })
    .await;
    assert!(!screen().iter().any(|line| line.ends_with(" more")));
    watching.kill().await.unwrap();
    daemon.stop().await;
}

/// Starts a daemon whose files may be so long, in blocks of 512 bytes, and waits for its end.
async fn start_with_room_for(blocks: u32, configuration: &Configuration) -> Finished {
    configuration.write();
    // Without that signal, what does not fit fails as it does on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" run --config \"$1\"");
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_bc-secrets-sync")).arg(configuration.file());
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_first_start_is_nothing_that_a_service_manager_gives_up_for() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    for (blocks, file) in [(0, "fingerprint.key"), (1, "incidents.redb")] {
        let ended = start_with_room_for(blocks, &world.configuration).await;
        assert_eq!(ended.code, Some(70), "{file}: {ended:?}");
        assert!(ended.stderr.contains(file) && ended.stderr.contains("File too large"), "{file}: {ended:?}");
    }
    // There is room again.
    let daemon = world.daemon().await;
    daemon.settled().await;
    daemon.stop().await;
}
