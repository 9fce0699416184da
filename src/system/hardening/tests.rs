//! What others of the same user see of a process.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::geteuid;

use super::*;

/// A user without rights; none: we are one.
fn nobody() -> Option<u32> {
    geteuid().is_root().then_some(65_534)
}

fn as_nobody(command: &mut Command) -> &mut Command {
    match nobody() {
        Some(user) => command.uid(user).gid(user),
        None => command,
    }
}

/// A process of that user which runs a test until its input ends.
fn victim(test: &str) -> Child {
    // Where that user may run it.
    let program = PathBuf::from("/proc/self/exe").canonicalize().unwrap();
    let mut child = as_nobody(&mut Command::new(program))
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .arg(format!("system::hardening::tests::{test}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.ends_with("at rest")), "it did not start");
    child
}

/// Whether another process of the user opens the memory, or the part of it that needs least: where Yama is on, only a
/// parent may have all.
fn is_open(child: &Child) -> bool {
    ["mem", "environ"].iter().any(|part| {
        let memory = format!("/proc/{}/{part}", child.id());
        let mut script = Command::new("/bin/sh");
        let script = script.args(["-c", "exec 3<\"$0\"", &memory]).stderr(Stdio::null());
        as_nobody(script).status().unwrap().success()
    })
}

#[test]
fn another_process_of_the_same_user_is_kept_out_of_the_memory() {
    for (test, open) in [("open", true), ("hardened", false)] {
        let mut child = victim(test);
        assert_eq!(is_open(&child), open, "{test}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn rest() {
    println!("at rest");
    let _ended = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
#[ignore = "waits; run by another_process_of_the_same_user_is_kept_out_of_the_memory"]
fn open() {
    assert!(File::open("/proc/self/mem").is_ok());
    rest();
}

#[test]
#[ignore = "waits; run by another_process_of_the_same_user_is_kept_out_of_the_memory"]
fn hardened() {
    assert_eq!(harden(), Vec::<String>::new());
    rest();
}

#[test]
fn a_hardened_process_leaves_no_core_file_and_cannot_be_dumped() {
    assert_eq!(harden(), Vec::<String>::new());
    assert_eq!(memory(), Memory { core_files: false, dumpable: false });
    let limit = rustix::process::getrlimit(Resource::Core);
    assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
    assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
}
