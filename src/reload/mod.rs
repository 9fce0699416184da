//! Telling the app that a new generation was published: a signal to the process that a PID file names.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::{Pid, kill_process};

use crate::config::{Reload, ReloadSignal};
use crate::domain::publication::ReloadFault;

/// A PID file holds a number and a line break.
const MAX_LENGTH: u64 = 64;

/// Sends the configured signal. Blocks on the disk.
///
/// # Errors
/// The PID file cannot be read or holds no number of a process, or the process cannot be signalled.
pub fn tell(reload: &Reload) -> Result<(), ReloadFault> {
    let path = reload.pid_file.display();
    let text = read(&reload.pid_file).map_err(|error| ReloadFault(format!("cannot read {path}: {error}")))?;
    // 1 is the first process of a machine or container, and a negative number a whole group.
    let number = text.trim().parse::<i32>().ok().filter(|number| *number > 1);
    let pid = number.and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| ReloadFault(format!("{path} holds no number of a process over 1")))?;
    let signal = match reload.signal {
        ReloadSignal::Hup => rustix::process::Signal::HUP,
        ReloadSignal::Usr1 => rustix::process::Signal::USR1,
        ReloadSignal::Usr2 => rustix::process::Signal::USR2,
        ReloadSignal::Term => rustix::process::Signal::TERM,
    };
    kill_process(pid, signal)
        .map_err(|error| ReloadFault(format!("cannot signal process {}: {error}", pid.as_raw_nonzero())))
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
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    fn reload(content: &str) -> (tempfile::TempDir, Reload) {
        let directory = tempfile::tempdir().unwrap();
        let pid_file = directory.path().join("app.pid");
        std::fs::write(&pid_file, content).unwrap();
        (directory, Reload { pid_file, signal: ReloadSignal::Usr2 })
    }

    #[test]
    fn the_process_that_the_pid_file_names_gets_the_signal() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let (_directory, reload) = reload(&format!("{}\n", child.id()));
        assert_eq!(tell(&reload), Ok(()));
        assert_eq!(child.wait().unwrap().signal(), Some(rustix::process::Signal::USR2.as_raw()));
        let fault = tell(&reload).unwrap_err().to_string();
        assert!(fault.starts_with("cannot signal process"), "{fault}");
    }

    #[test]
    fn a_pipe_in_the_place_of_the_file_holds_nobody_up() {
        let (_directory, reload) = reload("");
        std::fs::remove_file(&reload.pid_file).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &reload.pid_file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(tell(&reload).unwrap_err().to_string().contains("holds no number of a process"));
    }

    #[test]
    fn a_file_that_names_no_single_ordinary_process_is_refused() {
        for content in ["", "abc", "0", "1", "-1", "-4242", "99999999999", "12 13"] {
            let (_directory, reload) = reload(content);
            let fault = tell(&reload).unwrap_err().to_string();
            assert!(fault.contains("holds no number of a process"), "{content:?}: {fault}");
        }
        let (directory, reload) = reload("2");
        drop(directory);
        assert!(tell(&reload).unwrap_err().to_string().starts_with("cannot read"));
    }
}
