//! The processes that `/proc` shows: their names, their parents, and when they started.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const PROC: &str = "/proc";

/// A process that runs, as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) number: i32,
    /// The number of its parent, 0 where that is in another namespace.
    parent: i32,
    /// In ticks since the machine started: with the number, it tells the process from all others.
    started: u64,
    /// What the kernel calls it: at most 15 bytes of its program's name, unless it has changed that.
    command: String,
    /// The last part of its first argument, which it may have changed too.
    argument: String,
    pub(super) user: u32,
}

impl Process {
    /// Whether it has this name, exactly.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.command == name || self.argument == name
    }

    /// The name to show.
    pub(super) fn name(&self) -> &str {
        &self.command
    }

    /// Looks at one process; none: it does not run, or is not shown to us.
    pub(super) fn look(number: i32) -> Option<Self> {
        look(Path::new(PROC), number)
    }

    /// Looks at all of them.
    pub(super) fn all() -> io::Result<BTreeMap<i32, Self>> {
        let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        let numbers = fs::read_dir(PROC)?.filter_map(|entry| number(entry.ok()?));
        Ok(numbers.filter_map(|number| Some((number, Self::look(number)?))).collect())
    }
}

/// Those of this name whose parent has another one: what a server calls its master.
pub(super) fn oldest<'a>(all: &'a BTreeMap<i32, Process>, name: &str) -> Vec<&'a Process> {
    let is_named = |number: &i32| all.get(number).is_some_and(|process| process.is_named(name));
    all.values().filter(|process| process.is_named(name) && !is_named(&process.parent)).collect()
}

fn look(proc: &Path, number: i32) -> Option<Process> {
    let directory: PathBuf = proc.join(number.to_string());
    let stat = fs::read(directory.join("stat")).ok()?;
    let line = String::from_utf8_lossy(&stat);
    // The name may hold anything, parentheses too.
    let (before, after) = line.rsplit_once(')')?;
    let (_, command) = before.split_once('(')?;
    let mut fields = after.split_ascii_whitespace();
    // The fields 3, 4 and 22 of proc_pid_stat(5).
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    let arguments = fs::read(directory.join("cmdline")).unwrap_or_default();
    let first = arguments.split(|byte| *byte == 0).next().unwrap_or_default();
    let base = first.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    Some(Process {
        number,
        parent,
        started,
        command: command.to_owned(),
        argument: String::from_utf8_lossy(base).into_owned(),
        user: fs::metadata(&directory).ok()?.uid(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(number: i32, parent: i32, command: &str, argument: &str) -> (i32, Process) {
        let (command, argument) = (command.to_owned(), argument.to_owned());
        (number, Process { number, parent, started: 1, command, argument, user: 0 })
    }

    fn found(all: &BTreeMap<i32, Process>, name: &str) -> Vec<i32> {
        oldest(all, name).iter().map(|process| process.number).collect()
    }

    #[test]
    fn only_the_oldest_of_a_name_is_found_and_names_are_exact() {
        let all = BTreeMap::from([
            process(1, 0, "pause", "pause"),
            process(7, 0, "nginx", "nginx: master process nginx -g daemon off;"),
            process(8, 7, "nginx", "nginx: worker process"),
            process(9, 8, "nginx", "nginx"),
            process(20, 1, "python3", "python3"),
            process(21, 1, "a-name-of-many-", "a-name-of-many-letters"),
            process(22, 21, "a-name-of-many-", "a-name-of-many-letters"),
            process(30, 1, "php-fpm", "php-fpm"),
            process(31, 1, "php-fpm", "php-fpm"),
        ]);
        assert_eq!(found(&all, "nginx"), [7]);
        assert_eq!(found(&all, "a-name-of-many-letters"), [21]);
        assert_eq!(found(&all, "php-fpm"), [30, 31]);
        for none in ["ngin", "nginx:", "Nginx", "python", "", "worker"] {
            assert!(found(&all, none).is_empty(), "{none}");
        }
    }

    #[test]
    fn a_process_is_read_whatever_its_name_holds() {
        let proc = tempfile::tempdir().unwrap();
        let write = |stat: &[u8], cmdline: &[u8]| {
            fs::create_dir_all(proc.path().join("42")).unwrap();
            fs::write(proc.path().join("42/stat"), stat).unwrap();
            fs::write(proc.path().join("42/cmdline"), cmdline).unwrap();
            look(proc.path(), 42)
        };
        let rest = "1 1 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 9876 1 2 3";
        let read = write(format!("42 (a) R (b) S 7 {rest}").as_bytes(), b"/usr/bin/x y\0-z\0").unwrap();
        assert_eq!((read.name(), read.parent, read.started), ("a) R (b", 7, 9876));
        assert!(read.is_named("x y") && read.is_named("a) R (b") && !read.is_named("-z"));
        let odd = write(format!("42 (x) S 7 {rest}").as_bytes(), b"").unwrap();
        assert!(odd.is_named("x"));
        assert_eq!(write(format!("42 (x) Z 7 {rest}").as_bytes(), b"x\0"), None, "a zombie");
        for stat in ["", "42", "42 (x)", "42 (x) S", "42 (x) S y", "42 x S 7"] {
            assert_eq!(write(stat.as_bytes(), b"x\0"), None, "{stat}");
        }
        assert_eq!(look(proc.path(), 43), None);
    }

    #[test]
    fn this_very_process_is_among_all() {
        let own = i32::try_from(std::process::id()).unwrap();
        let all = Process::all().unwrap();
        assert_eq!(all.get(&own), Process::look(own).as_ref());
        assert!(all[&own].started > 0);
    }
}
