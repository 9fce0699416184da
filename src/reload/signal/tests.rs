//! Who gets a signal, and who never does.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::*;

/// A PID file with this content, in a directory of its own.
fn pid_file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.pid");
    fs::write(&path, content).unwrap();
    (directory, path)
}

fn to_file(path: &Path, name: Option<&str>) -> Result<String, ReloadFault> {
    let (path, name) = (path.to_owned(), name.map(str::to_owned));
    send(&Target::PidFile { path, name }, ReloadSignal::Usr2)
}

fn to_name(name: &str) -> Result<String, ReloadFault> {
    send(&Target::Named(name.to_owned()), ReloadSignal::Usr2)
}

/// Ended and waited for when it is dropped, with all of its group.
struct App(Child);

impl App {
    /// Runs a script whose process has the script's name.
    fn of_script(path: &Path, script: &str) -> Self {
        fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(std::os::unix::process::CommandExt::process_group(&mut Command::new(path), 0).spawn().unwrap())
    }

    fn ended_by(&mut self) -> Option<i32> {
        self.0.wait().unwrap().signal()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let group = Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        let _gone = rustix::process::kill_process_group(group, Signal::KILL);
        let _ended = self.0.wait();
    }
}

/// A name that no other process has, of at most 15 characters.
fn own_name(kind: &str) -> String {
    format!("{kind}-{}", std::process::id())
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !so() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_process_that_the_pid_file_names_gets_the_signal() {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let (_directory, path) = pid_file(&format!("{}\n", child.id()));
    until("it sleeps", || Process::look(child.id().cast_signed()).is_some_and(|it| it.is_named("sleep")));
    assert_eq!(to_file(&path, None), Ok(format!("SIGUSR2 was sent to process {} (sleep)", child.id())));
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::USR2.as_raw()));
    let fault = to_file(&path, None).unwrap_err().to_string();
    assert!(fault.starts_with("cannot signal process"), "{fault}");
}

#[test]
fn a_pid_file_that_is_left_from_an_earlier_run_hits_nobody_where_the_name_is_known() {
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    let (_directory, path) = pid_file(&stranger.id().to_string());
    until("it sleeps", || Process::look(stranger.id().cast_signed()).is_some_and(|it| it.is_named("sleep")));
    let fault = to_file(&path, Some("nginx")).unwrap_err().to_string();
    assert!(fault.contains("is sleep and not nginx: the file is left from an earlier run"), "{fault}");
    assert_eq!(stranger.try_wait().unwrap(), None);
    assert!(to_file(&path, Some("sleep")).is_ok());
    assert_eq!(stranger.wait().unwrap().signal(), Some(Signal::USR2.as_raw()));
}

#[test]
fn a_pipe_in_the_place_of_the_file_holds_nobody_up() {
    let (_directory, path) = pid_file("");
    fs::remove_file(&path).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(to_file(&path, None).unwrap_err().to_string().contains("holds no number of a process"));
}

#[test]
fn a_file_that_names_no_single_ordinary_process_is_refused() {
    for content in ["", "abc", "0", "1", "-1", "-4242", "99999999999", "12 13"] {
        let (_directory, path) = pid_file(content);
        let fault = to_file(&path, None).unwrap_err().to_string();
        assert!(fault.contains("holds no number of a process"), "{content:?}: {fault}");
    }
    let (_directory, path) = pid_file(&std::process::id().to_string());
    let fault = to_file(&path, None).unwrap_err().to_string();
    assert!(fault.ends_with("holds the number of this daemon itself"), "{fault}");
    let (directory, path) = pid_file("2");
    drop(directory);
    assert!(to_file(&path, None).unwrap_err().to_string().starts_with("cannot read"));
}

#[test]
fn by_name_the_oldest_alone_gets_the_signal() {
    let directory = tempfile::tempdir().unwrap();
    let name = own_name("mst");
    let children = directory.path().join("children");
    // Its children have its name, as those of many servers do; a signal ends whoever gets it.
    let script = format!(
        "(while :; do sleep 1; done) & first=$!\n(while :; do sleep 1; done) & echo $first $! > {0}.new\n\
         mv {0}.new {0}\nwait",
        children.display()
    );
    let mut app = App::of_script(&directory.path().join(&name), &script);
    until("its children run", || children.exists());
    let number = app.0.id();
    assert_eq!(to_name(&name), Ok(format!("SIGUSR2 was sent to process {number} ({name})")));
    assert_eq!(app.ended_by(), Some(Signal::USR2.as_raw()));
    for child in fs::read_to_string(&children).unwrap().split_whitespace() {
        let child = Process::look(child.parse().unwrap());
        assert!(child.is_some_and(|child| child.is_named(&name)), "a child was signalled too");
    }
    // Both are orphans now, and nobody can say which of them is meant.
    let fault = to_name(&name).unwrap_err().to_string();
    assert!(fault.starts_with(&format!("2 processes are named {name}")), "{fault}");
    assert!(fault.contains("pid_file"), "{fault}");
}

#[test]
fn nobody_is_signalled_where_nobody_has_the_name_or_only_we_do() {
    let fault = to_name("no-such-process").unwrap_err().to_string();
    assert!(fault.contains("no process is named") && fault.contains("shareProcessNamespace"), "{fault}");
    let directory = tempfile::tempdir().unwrap();
    let name = own_name("own");
    // It starts no process of its own, which would have its name for a moment.
    let app = App::of_script(&directory.path().join(&name), "kill -STOP $$");
    until("it has its name", || of_name(&name, getpid()).is_ok());
    // Were it the daemon, there would be nobody else.
    let own = Pid::from_raw(app.0.id().cast_signed()).unwrap();
    let fault = of_name(&name, own).err().unwrap().to_string();
    assert!(fault.contains("no process is named"), "{fault}");
}

#[test]
fn a_signal_that_is_not_permitted_says_what_to_do() {
    let own = Held::hold(getpid()).unwrap();
    let fault = fault(&own, Errno::PERM).to_string();
    for part in ["may not signal process", "of user", "same user", "capability KILL", "shareProcessNamespace"]
    {
        assert!(fault.contains(part), "{part}: {fault}");
    }
}

#[test]
fn a_process_that_took_the_number_of_another_is_never_hit() {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let held = Held::hold(Pid::from_raw(child.id().cast_signed()).unwrap()).unwrap();
    assert!(held.handle.is_some(), "the kernel has no pidfd");
    child.kill().unwrap();
    child.wait().unwrap();
    // Whatever has the number now, the handle stands for the one that is gone.
    assert_eq!(held.signal(Signal::USR2), Err(Errno::SRCH));
}
