//! strace, attached to the threads that block on the disk: which calls a publication makes, and what is done to them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// One system call of a publication: the nth of its name since strace was attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) nth: usize,
    /// Whether it has to do with the output directory: others, such as those about memory, need not come each time.
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

/// Attaches strace to the threads of a process that block on the disk, and waits until it is.
///
/// Only to them: strace counts the calls of each thread by themselves, and the others have nothing to do with
/// publishing.
pub(super) fn attach(pid: u32, log: &Path, injection: &Injection) -> Child {
    let mut command = Command::new("strace");
    command.arg("--output").arg(log).arg("--string-limit=256").args(injection.arguments());
    let threads = blocking_threads(pid);
    assert!(!threads.is_empty(), "the process has looked at no disk");
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
        assert!(
            all[before..].contains(" attached"),
            "strace cannot trace: {all}run the tests as root, in a container with the capability SYS_PTRACE, or with \
             `unshare --map-root-user ./tests/run --real`"
        );
    }
    // It has nothing more to say, but must not die of saying it.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    strace
}

fn blocking_threads(pid: u32) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let threads = entries.map(|entry| entry.unwrap());
    threads
        .filter(|thread| {
            std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name.trim() == "blocking")
        })
        .map(|thread| thread.file_name().into_string().unwrap())
        .collect()
}

/// The calls of the one thread that published, from the first to the last that names the output directory.
pub(super) fn calls_of_a_publication(trace: &str, output: &Path) -> Vec<Call> {
    let output = output.to_str().unwrap();
    let mut threads: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in trace.lines() {
        // With several threads each line begins with its number.
        let (thread, call) = match line.split_once(' ') {
            Some((number, call)) if number.bytes().all(|byte| byte.is_ascii_digit()) => (number, call.trim_start()),
            Some(_) | None => ("", line),
        };
        threads.entry(thread).or_default().push(call);
    }
    threads.retain(|_, calls| calls.iter().any(|call| call.contains(output)));
    assert_eq!(threads.len(), 1, "one thread publishes: {trace}");
    let lines = threads.into_values().next().unwrap();
    let first = lines.iter().position(|line| line.contains(output)).unwrap();
    let last = lines.iter().rposition(|line| line.contains(output)).unwrap();
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
            let (name, nth, on_disk) = (name.to_owned(), *nth, line.contains(output));
            calls.push(Call { name, nth, on_disk, line: (*line).to_owned() });
        }
    }
    calls
}
