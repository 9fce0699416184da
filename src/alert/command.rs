//! One message to a command of the operator's: JSON on its standard input, and 0 means delivered.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;

use crate::config;
use crate::domain::incident::Message;

use super::body::Body;
use super::client::json;
use super::fault::DeliveryFault;

/// How much of what a command prints is kept, in bytes; the rest is read and forgotten.
const KEPT_OUTPUT: usize = 2048;
/// How much of it an error shows, in characters.
const SHOWN_OUTPUT: usize = 300;
/// How long output may still come after the command has ended: what it left running may hold its pipes open.
const GRACE: Duration = Duration::from_millis(100);

/// A command.
#[derive(Debug)]
pub struct Command {
    argv: Vec<String>,
    timeout: Duration,
    path: Option<OsString>,
}

impl Command {
    /// Takes the command as it is configured. Runs nothing.
    #[must_use]
    pub fn new(config: &config::AlertCommand) -> Self {
        Self { argv: config.argv.clone(), timeout: config.timeout, path: std::env::var_os("PATH") }
    }

    /// Runs the command once, in a process group of its own and without a shell. Its environment has `PATH`
    /// and what tells of the message, and nothing else of ours. When its time is up, or when nobody waits for
    /// it any more, the group is killed.
    ///
    /// # Errors
    /// It could not be started, did not end in time, or did not end with 0.
    pub async fn deliver(&self, message: &Message) -> Result<(), DeliveryFault> {
        let (program, arguments) = self
            .argv
            .split_first()
            .ok_or_else(|| DeliveryFault::Command("alerts.command.argv is empty".to_owned()))?;
        let body = json(&Body::of(message))?;
        let incident = &message.incident;
        let variables = [
            ("KIND", message.kind.label()),
            ("STORE", incident.store.as_deref().unwrap_or_default()),
            ("CAUSE", incident.cause.label()),
            ("SEVERITY", incident.severity.label()),
            ("INCIDENT", incident.id.as_str()),
        ];
        let mut command = tokio::process::Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.path.iter().map(|path| ("PATH", path)))
            .envs(variables.map(|(name, value)| (format!("BC_SECRETS_SYNC_{name}"), value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            DeliveryFault::Command(format!("cannot start {program} of alerts.command.argv: {error}"))
        })?;
        // Dropped before the child, whose number is its own until then.
        let mut group = Group::of(&child);
        let mut output = Output::default();
        let ended = timeout(self.timeout, talk(&mut child, &body, &mut output)).await;
        match ended {
            Ok(Ok(status)) => {
                group.leave();
                if status.success() {
                    return Ok(());
                }
                let words = output.words();
                Err(DeliveryFault::Command(format!("{program} of alerts.command ended with {status}{words}")))
            }
            Ok(Err(error)) => {
                Err(DeliveryFault::Command(format!("cannot wait for {program} of alerts.command: {error}")))
            }
            Err(_) => {
                let (limit, words) = (self.timeout, output.words());
                Err(DeliveryFault::Command(format!(
                    "{program} of alerts.command did not end within {limit:?} and was killed{words}"
                )))
            }
        }
    }
}

/// The process group of a child that has not been waited for: killed when it is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It may have ended by itself just now.
            let _gone = kill_process_group(pid, Signal::KILL);
        }
    }
}

/// What a command has printed, as far as it is kept.
#[derive(Default)]
struct Output {
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Output {
    /// What goes behind an error: the beginning of what it complained, or else of what it said.
    fn words(&self) -> String {
        let bytes = if self.err.trim_ascii().is_empty() { &self.out } else { &self.err };
        let text = String::from_utf8_lossy(bytes);
        let text: String = text
            .trim()
            .chars()
            .map(|character| if character.is_control() { ' ' } else { character })
            .take(SHOWN_OUTPUT)
            .collect();
        if text.is_empty() { String::new() } else { format!(": {text}") }
    }
}

/// Gives the command its input, takes its output, and waits until it ends.
async fn talk(child: &mut Child, body: &[u8], output: &mut Output) -> io::Result<ExitStatus> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let pipes = async {
        tokio::join!(feed(stdin, body), drain(stdout, &mut output.out), drain(stderr, &mut output.err))
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

async fn feed(stdin: Option<ChildStdin>, body: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A command need not read what it is told.
        let _unread = stdin.write_all(body).await;
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
