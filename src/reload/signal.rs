//! A signal that tells an app, to the process that a PID file or a name stands for, and to no other.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal};

use super::processes::{Process, oldest};
use super::{ReloadSignal, Target};
use crate::domain::publication::ReloadFault;

/// A PID file holds a number and a line break.
const MAX_LENGTH: u64 = 64;

/// Sends the signal. Blocks on the disk.
///
/// # Errors
/// There is no such process or more than one, it is not an app's, or it may not be signalled.
pub(super) fn send(target: &Target, signal: ReloadSignal) -> Result<String, ReloadFault> {
    let own = getpid();
    let held = match target {
        Target::PidFile { path, name } => of_file(path, name.as_deref(), own)?,
        Target::Named(name) => of_name(name, own)?,
    };
    let (signal, word) = match signal {
        ReloadSignal::Hup => (Signal::HUP, "SIGHUP"),
        ReloadSignal::Usr1 => (Signal::USR1, "SIGUSR1"),
        ReloadSignal::Usr2 => (Signal::USR2, "SIGUSR2"),
        ReloadSignal::Term => (Signal::TERM, "SIGTERM"),
    };
    held.signal(signal).map_err(|error| fault(&held, error))?;
    Ok(format!("{word} was sent to process {}", held.shown()))
}

/// A process that keeps its number as long as this is held: a signal never reaches one that came after it.
struct Held {
    pid: Pid,
    /// None where the kernel has no such thing.
    handle: Option<OwnedFd>,
    process: Option<Process>,
}

impl Held {
    /// Holds a process, and only then looks at it.
    fn hold(pid: Pid) -> Result<Self, Errno> {
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => Some(handle),
            Err(Errno::NOSYS) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { pid, handle, process: Process::look(pid.as_raw_pid()) })
    }

    fn signal(&self, signal: Signal) -> Result<(), Errno> {
        match &self.handle {
            Some(handle) => pidfd_send_signal(handle, signal),
            None => kill_process(self.pid, signal),
        }
    }

    fn shown(&self) -> String {
        let name = self.process.as_ref().map(|process| format!(" ({})", process.name()));
        format!("{}{}", self.pid.as_raw_pid(), name.unwrap_or_default())
    }
}

fn of_file(path: &Path, name: Option<&str>, own: Pid) -> Result<Held, ReloadFault> {
    let shown = path.display();
    let text = read(path).map_err(|error| ReloadFault::new(format!("cannot read {shown}: {error}")))?;
    // 1 is the first process of a machine or container, and a negative number a whole group.
    let number = text.trim().parse::<i32>().ok().filter(|number| *number > 1);
    let pid = number.and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| ReloadFault::new(format!("{shown} holds no number of a process over 1")))?;
    if pid == own {
        return Err(ReloadFault::new(format!("{shown} holds the number of this daemon itself")));
    }
    let number = pid.as_raw_pid();
    let held = Held::hold(pid).map_err(|error| {
        let error = io::Error::from(error);
        ReloadFault::new(format!("cannot signal process {number}, which {shown} names: {error}"))
    })?;
    match (name, &held.process) {
        (Some(name), Some(process)) if process.is_named(name) => Ok(held),
        (Some(name), Some(process)) => Err(ReloadFault::new(format!(
            "process {number}, which {shown} names, is {} and not {name}: the file is left from an earlier run",
            process.name()
        ))),
        (Some(name), None) => Err(ReloadFault::new(format!(
            "cannot see whether process {number}, which {shown} names, is {name}: /proc does not show it"
        ))),
        (None, _) => Ok(held),
    }
}

fn of_name(name: &str, own: Pid) -> Result<Held, ReloadFault> {
    let mut all = Process::all()
        .map_err(|error| ReloadFault::new(format!("cannot look for {name} in /proc: {error}")))?;
    all.remove(&own.as_raw_pid());
    let found = oldest(&all, name);
    let process = match found.as_slice() {
        [process] => *process,
        [] => {
            return Err(ReloadFault::new(format!(
                "no process is named {name}, as far as the daemon sees: let the app run; in Kubernetes, set \
                 shareProcessNamespace: true; with systemd, let ProtectProc= be default"
            )));
        }
        several => {
            let numbers: Vec<String> =
                several.iter().take(5).map(|process| process.number.to_string()).collect();
            return Err(ReloadFault::new(format!(
                "{} processes are named {name}, and none is the parent of the others ({}): name the right one \
                 with pid_file",
                several.len(),
                numbers.join(", ")
            )));
        }
    };
    let ended = || ReloadFault::new(format!("process {} ({name}) has just ended", process.number));
    let pid = Pid::from_raw(process.number).ok_or_else(ended)?;
    let held = Held::hold(pid).map_err(|_| ended())?;
    // Between the search and the hold the number may have become another process's.
    if held.process.as_ref() == Some(process) { Ok(held) } else { Err(ended()) }
}

fn fault(held: &Held, error: Errno) -> ReloadFault {
    let shown = held.shown();
    if error != Errno::PERM {
        return ReloadFault::new(format!("cannot signal process {shown}: {}", io::Error::from(error)));
    }
    let user = held.process.as_ref().map(|process| format!(" of user {}", process.user));
    ReloadFault::new(format!(
        "may not signal process {shown}{}: run the daemon as the same user, or give it the capability KILL; in \
         Kubernetes, that is besides shareProcessNamespace: true",
        user.unwrap_or_default()
    ))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    // A pipe without a writer must not hold up the disk's other work.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    file.take(MAX_LENGTH).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
