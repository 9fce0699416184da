//! What commands leave running: where we are the first process of a container, or are told to adopt, it becomes our
//! child, and once it has ended a zombie until somebody takes its status.

use std::io;
use std::mem::replace;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, child_subreaper, getpid, waitpid};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::time::sleep;

/// The pauses between two looks grow from the one to the other: what is left behind may stay for good.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

static CHILDREN: Mutex<Children> = Mutex::new(Children { awaited: Vec::new(), is_watched: false });

struct Children {
    /// Those whose status somebody waits for: it is not ours to take.
    awaited: Vec<Pid>,
    /// Whether somebody looks for the others.
    is_watched: bool,
}

fn children() -> MutexGuard<'static, Children> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of a child that has not been waited for.
pub(super) fn number(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

/// Starts a child whose status is left to its caller.
pub(super) fn spawn(command: &mut Command) -> io::Result<Child> {
    // Held until its number is known: nobody may look for orphans in between.
    let mut children = children();
    let child = command.spawn()?;
    children.awaited.extend(number(&child));
    Ok(child)
}

/// The status of a child was taken: its number may be an orphan's soon.
pub(super) fn taken(child: Pid) {
    children().awaited.retain(|awaited| *awaited != child);
}

/// Takes the status of each orphan when it ends, as long as there are any.
pub(super) fn look_after() {
    let adopts = getpid() == Pid::INIT || child_subreaper().is_ok_and(|adopts| adopts.is_some());
    let Ok(runtime) = Handle::try_current() else { return };
    if !adopts || replace(&mut children().is_watched, true) {
        return;
    }
    runtime.spawn(async {
        let _end = End;
        let mut pause = FIRST_PAUSE;
        while look() {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    });
}

/// Also when the runtime ends before the last orphan.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        children().is_watched = false;
    }
}

/// Takes the status of the orphans that have ended; returns whether to look again.
fn look() -> bool {
    let mut children = children();
    let Ok(ours) = of_this_process() else { return true };
    // Some were killed, and their status was taken when nobody waited for it any more.
    children.awaited.retain(|child| ours.contains(child));
    let orphans = ours.into_iter().filter(|child| !children.awaited.contains(child));
    // One that has ended may have left others behind, which are ours only now.
    orphans.filter(|orphan| waitpid(Some(*orphan), WaitOptions::NOHANG).is_ok()).count() > 0
}

/// The children of this process.
fn of_this_process() -> io::Result<Vec<Pid>> {
    let mut ours = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(process) = number else { continue };
        match std::fs::read(entry.path().join("stat")) {
            Ok(stat) if parent(&String::from_utf8_lossy(&stat)) == Some(getpid()) => ours.push(process),
            Ok(_) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ours)
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The parent, in the kernel's line about a process: the second word after the name, which may hold anything.
pub(super) fn parent(stat: &str) -> Option<Pid> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok().and_then(Pid::from_raw)
}
