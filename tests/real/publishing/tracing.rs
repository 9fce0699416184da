//! strace, attached to the threads that block on the disk: which calls a publication makes, and what is done to them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::rig::BINARY;
use crate::DEADLINE;

/// One system call of a publication: the nth of its name since strace was attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) nth: usize,
    /// Whether it is about the output directory.
    pub(super) on_disk: bool,
    /// The line of the trace.
    pub(super) line: String,
}

/// What is done to the process.
#[derive(Clone, Debug)]
pub(super) enum Injection {
    /// It is only watched.
    None,
    /// It is killed when it makes the call.
    Kill(Call),
    /// The call fails, and nothing of it is done.
    Fail(Call, &'static str),
    /// The call and all of its name after it fail.
    FailFrom(Call, &'static str),
}

impl Injection {
    fn arguments(&self) -> Vec<String> {
        let (call, what) = match self {
            Self::None => return vec!["--decode-fds=path".to_owned()],
            Self::Kill(call) => (call, format!("signal=KILL:when={}", call.nth)),
            Self::Fail(call, error) => (call, format!("error={error}:when={}", call.nth)),
            Self::FailFrom(call, error) => (call, format!("error={error}:when={}+", call.nth)),
        };
        let name = &call.name;
        vec![format!("--trace={name}"), format!("--inject={name}:{what}")]
    }
}

/// The command that starts the binary under strace, and lacks the binary's arguments.
pub(super) fn under_strace(log: &Path, injection: &Injection) -> Command {
    let mut command = Command::new("strace");
    command.args(["--follow-forks", "--quiet=all", "--string-limit=256", "--output"]).arg(log);
    command
        .args(injection.arguments())
        .arg(BINARY)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap());
    command
}

/// Attaches strace to the threads of a process that block on the disk, and waits until it is; none: they have ended,
/// having waited for work too long.
///
/// Only to them: strace counts the calls of each thread by themselves, and the others have nothing to do with
/// publishing.
pub(super) fn attach(pid: u32, log: &Path, injection: &Injection) -> Option<Child> {
    let mut command = Command::new("strace");
    command.arg("--output").arg(log).arg("--string-limit=256").args(injection.arguments());
    let threads = blocking_threads(pid);
    if threads.is_empty() {
        return None;
    }
    for thread in &threads {
        command.arg(format!("--attach={thread}"));
    }
    let mut strace = command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("strace: {error}; apt-get install strace"));
    let mut said = BufReader::new(strace.stderr.take().unwrap());
    let mut all = String::new();
    for _ in &threads {
        let before = all.len();
        said.read_line(&mut all).unwrap();
        if all[before..].contains("No such process") {
            strace.kill().unwrap();
            strace.wait().unwrap();
            return None;
        }
        assert!(
            all[before..].contains(" attached"),
            "strace may not trace here: {all}run the tests as root, in a container with the capability SYS_PTRACE"
        );
    }
    // It has nothing more to say, but must not die of saying it.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    Some(strace)
}

/// The threads beside the main one, once all of them wait for work: which one gets it next is not known.
fn blocking_threads(pid: u32) -> Vec<String> {
    let started = Instant::now();
    loop {
        let entries = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        let threads =
            entries.map(|entry| entry.unwrap()).filter(|entry| *entry.file_name() != *pid.to_string());
        // After the name: the state.
        let waiting = |stat: String| stat.split_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'));
        let threads: Vec<_> = threads
            .map(|entry| {
                let stat = std::fs::read_to_string(entry.path().join("stat"));
                (entry.file_name().into_string().unwrap(), stat.is_ok_and(waiting))
            })
            .collect();
        if threads.iter().all(|(_, waits)| *waits) {
            return threads.into_iter().map(|(thread, _)| thread).collect();
        }
        assert!(started.elapsed() < DEADLINE, "the process is busy: {threads:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The calls in a trace, with their threads, in the order in which they began. Where a call of another thread came
/// between its beginning and its end, it is put together again.
fn calls(trace: &str) -> Vec<(&str, String)> {
    let mut calls: Vec<(&str, String)> = Vec::new();
    for line in trace.lines() {
        // With several threads each line begins with its number.
        let (thread, call) = match line.split_once(' ') {
            Some((number, call)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                (number, call.trim_start())
            }
            Some(_) | None => ("", line),
        };
        match call.strip_prefix("<... ").and_then(|call| call.split_once(" resumed>")) {
            Some((_, end)) => {
                let begun = calls.iter_mut().rev().find(|(begun, _)| *begun == thread);
                let begun = &mut begun.expect("what is resumed was begun").1;
                begun.truncate(begun.rfind(" <unfinished").expect("what is resumed was unfinished"));
                begun.push_str(end);
            }
            None => calls.push((thread, call.to_owned())),
        }
    }
    calls
}

/// All calls of all threads.
pub(super) fn all_calls(trace: &str) -> Vec<String> {
    calls(trace).into_iter().map(|(_, call)| call).collect()
}

/// Calls that a thread makes when it must, not each time; they have nothing to do with the disk.
const INCONSTANT: [&str; 6] = ["futex", "brk", "mmap", "munmap", "mprotect", "madvise"];

/// The calls of the one thread that published, from the first to the last that names the output directory; none: it
/// was not traced.
pub(super) fn calls_of_a_publication(trace: &str, output: &Path) -> Option<Vec<Call>> {
    let output = output.to_str().unwrap();
    let mut threads: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (thread, call) in calls(trace) {
        threads.entry(thread).or_default().push(call);
    }
    threads.retain(|_, calls| calls.iter().any(|call| call.contains(output)));
    assert!(threads.len() <= 1, "one thread publishes: {trace}");
    let lines = threads.into_values().next()?;
    let first = lines.iter().position(|line| line.contains(output))?;
    let last = lines.iter().rposition(|line| line.contains(output))?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        // Also lines such as `+++ exited +++` and `<... futex resumed>`.
        let Some((name, _)) = line.split_once('(') else { continue };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let nth = counts.entry(name).or_default();
        *nth += 1;
        if (first..=last).contains(&at) {
            if INCONSTANT.contains(&name) {
                continue;
            }
            let (name, nth, on_disk) = (name.to_owned(), *nth, line.contains(output));
            calls.push(Call { name, nth, on_disk, line: line.clone() });
        }
    }
    Some(calls)
}
