//! Keeps the memory of the process to itself.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hardened_process_leaves_no_core_file_and_cannot_be_dumped() {
        assert_eq!(harden(), Vec::<String>::new());
        let limit = rustix::process::getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
