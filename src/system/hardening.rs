//! What the process gives up at its start, so that whoever takes it over gets little: others' looks at its memory, files
//! that it does not need, and system calls that it does not need.

pub mod landlock;
pub mod seccomp;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Switches core files off, and forbids other processes of the same user to look into this one's memory.
///
/// Returns what could not be done, in words. The daemon works without it all the same.
#[must_use]
pub fn harden() -> Vec<String> {
    let mut undone = Vec::new();
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        undone.push(format!("core files could not be switched off: {error}"));
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        undone.push(format!("the process could not be made undumpable: {error}"));
    }
    undone
}

/// Whether core files are off, and whether others of the same user are kept out of the memory.
#[must_use]
pub fn memory() -> Memory {
    Memory {
        core_files: rustix::process::getrlimit(Resource::Core).current != Some(0),
        dumpable: rustix::process::dumpable_behavior() != Ok(DumpableBehavior::NotDumpable),
    }
}

/// Who sees the memory of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// A crash leaves it in a file.
    pub core_files: bool,
    /// Others of the same user can look into it.
    pub dumpable: bool,
}

#[cfg(test)]
mod tests;
