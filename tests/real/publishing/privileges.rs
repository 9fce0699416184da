//! Tests that trace or mount are run again where they may: by root, or by who is root in a user namespace.

use std::process::Command;

/// Says that this is the process that may.
const INSIDE: &str = "BC_SECRETS_SYNC_TEST_INSIDE";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// To trace a process that forbids that to others of its user, as ours does.
    Trace,
    /// To mount file systems that nobody else sees.
    Mount,
    /// To lower limits for nobody else: also root does that in a user namespace.
    Limits,
}

/// Whether this process may. If not, the test is run in one that may, and this one has nothing more to do.
pub(super) fn may(need: Need, test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if std::env::var_os(INSIDE).is_some() || (root && need == Need::Trace) {
        return true;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    if !root || need == Need::Limits {
        command.arg("--map-root-user");
    }
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--ignored", "--nocapture"]);
    let ended = command.env(INSIDE, "1").output().unwrap_or_else(|error| panic!("unshare: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    #[expect(clippy::print_stdout, reason = "what the test has found")]
    {
        println!("{stdout}");
    }
    assert!(
        ended.status.success() && stdout.contains("1 passed"),
        "{}: {stderr}\nwhere `unshare` was not permitted: run as root, in a container with the capabilities SYS_ADMIN and \
         SYS_PTRACE, or where users may have user namespaces",
        ended.status
    );
    false
}
