//! Commands of the operator's: run without a shell, with an environment that is given, a limit in time, and an
//! end of everything that belongs to one that is late.

mod orphans;

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpgid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};

/// How much of what a command prints is kept, in bytes; the rest is read and forgotten.
const KEPT_OUTPUT: usize = 2048;
/// How much of it is shown, in characters.
const SHOWN_OUTPUT: usize = 300;
/// How long output may still come after the command has ended: what it left running may hold its pipes open.
const GRACE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(5);

/// What is run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The program, by its path.
    pub program: &'a str,
    /// Its arguments, as they are.
    pub arguments: &'a [String],
    /// Its whole environment.
    pub environment: &'a [(String, OsString)],
    /// Its standard input.
    pub input: &'a [u8],
    /// How long it may take.
    pub timeout: Duration,
}

/// How a command ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, or the signal that ended it.
    pub status: ExitStatus,
    /// The beginning of what it complained, or else of what it said; in one line, and often empty.
    pub words: String,
}

/// Why a command did not end by itself.
#[derive(Debug)]
pub enum Failure {
    /// It could not be started.
    Start(io::Error),
    /// It was started, and is lost.
    Wait(io::Error),
    /// Its time was up, and it was killed; with its words until then.
    Late(String),
}

/// Runs a command once, in a process group of its own. When its time is up, or when nobody waits for it any more,
/// the group is killed.
///
/// # Errors
/// It could not be started, or did not end in time.
pub async fn run(job: &Job<'_>) -> Result<Ended, Failure> {
    let mut command = Command::new(job.program);
    command
        .args(job.arguments)
        .env_clear()
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = orphans::spawn(&mut command).map_err(Failure::Start)?;
    // Dropped before the child, whose number is its own until then.
    let mut group = Group::of(&child);
    let mut output = Output::default();
    match timeout(job.timeout, talk(&mut child, job.input, &mut output)).await {
        Ok(Ok(status)) => {
            group.leave();
            Ok(Ended { status, words: output.words() })
        }
        Ok(Err(error)) => Err(Failure::Wait(error)),
        Err(_) => {
            group.end(&mut child).await;
            Err(Failure::Late(output.words()))
        }
    }
}

/// Those variables of our own environment that a command gets too, as far as they are set.
#[must_use]
pub fn inherited(names: &[&str]) -> Vec<(String, OsString)> {
    let set = |name: &&str| Some(((*name).to_owned(), std::env::var_os(OsStr::new(name))?));
    names.iter().filter_map(set).collect()
}

/// The process group of a child that has not been waited for: killed when it is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(orphans::number(child))
    }

    /// Lets it go on without the child, whose status was taken.
    fn leave(&mut self) {
        if let Some(pid) = self.0.take() {
            orphans::taken(pid);
        }
    }

    /// Kills the group, and waits for those of its processes that are ours to wait for.
    async fn end(&mut self, child: &mut Child) {
        let Some(pid) = self.0.take() else { return };
        // It may have ended by itself just now.
        let _gone = kill_process_group(pid, Signal::KILL);
        if timeout(GRACE, child.wait()).await.is_ok() {
            orphans::taken(pid);
        }
        let reaped = async {
            while let Ok(ended) = waitpgid(pid, WaitOptions::NOHANG) {
                if ended.is_none() {
                    sleep(PAUSE).await;
                }
            }
        };
        let _late = timeout(GRACE, reaped).await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It may have ended by itself just now.
            let _gone = kill_process_group(pid, Signal::KILL);
        }
        orphans::look_after();
    }
}

/// What a command has printed, as far as it is kept.
#[derive(Default)]
struct Output {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Output {
    fn words(&self) -> String {
        let bytes = if self.err.trim_ascii().is_empty() { &self.out } else { &self.err };
        String::from_utf8_lossy(bytes)
            .trim()
            .chars()
            .map(|character| if character.is_control() { ' ' } else { character })
            .take(SHOWN_OUTPUT)
            .collect()
    }
}

/// Gives the command its input, takes its output, and waits until it ends.
async fn talk(child: &mut Child, input: &[u8], output: &mut Output) -> io::Result<ExitStatus> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let pipes = async {
        tokio::join!(feed(stdin, input), drain(stdout, &mut output.out), drain(stderr, &mut output.err))
    };
    let mut pipes = std::pin::pin!(pipes);
    let status = tokio::select! {
        status = child.wait() => Some(status?),
        _ = &mut pipes => None,
    };
    match status {
        Some(status) => {
            let _late = timeout(GRACE, pipes).await;
            Ok(status)
        }
        None => child.wait().await,
    }
}

async fn feed(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A command need not read what it is told.
        let _unread = stdin.write_all(input).await;
    }
}

async fn drain(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 512];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        let room = KEPT_OUTPUT.saturating_sub(kept.len());
        kept.extend(buffer.iter().take(length.min(room)));
    }
}

#[cfg(test)]
mod tests;
