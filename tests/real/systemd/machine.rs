//! A small Debian, booted by `systemd-nspawn` in an overlay over a tree that is made once: what happens in it is gone
//! when it ends. It shares the network of the test, and nothing else.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait::wait_within;

/// Names the directory that has a tree for each release; see `tests/run`.
const TREES: &str = "BC_SECRETS_SYNC_TEST_MACHINES";
/// Far more than a boot or a command takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
const BINARY: &str = env!("CARGO_BIN_EXE_bc-secrets-sync");

/// The mounts and the control groups are the machine's own: two of them, or one and the test, would share those.
const START: &str = r#"
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/tree
mount --bind "$1" /run/tree
for above in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    if [ -e "$above/cgroup.procs" ]; then
        mkdir -p "$above/$2"
        echo $$ >"$above/$2/cgroup.procs"
    fi
done
machine=$2
shift 2
exec systemd-nspawn --quiet --directory=/run/tree --machine="$machine" --boot --register=no --keep-unit \
    --volatile=overlay --resolv-conf=off --timezone=off --link-journal=no --console=pipe "$@"
"#;

/// A machine that runs; it is gone when it is dropped.
pub(crate) struct Machine {
    child: Child,
    leader: Pid,
    name: String,
}

impl Machine {
    /// Boots this release of Debian, with the built binary where the units expect it.
    pub(crate) async fn with_binary(release: &str) -> Self {
        Self::boot(release, &[&format!("--bind-ro={BINARY}:/usr/bin/bc-secrets-sync")]).await
    }

    /// Boots this release of Debian.
    pub(crate) async fn boot(release: &str, options: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bc-secrets-sync-test-{}-{count}", std::process::id());
        let trees =
            std::env::var_os(TREES).unwrap_or_else(|| panic!("{TREES} is not set: ./tests/run --real"));
        let tree = Path::new(&trees).join(release);
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", START, "sh"])
            .arg(tree)
            .arg(&name)
            .args(options)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("unshare: {error}"));
        // From here on a panic ends it too.
        let mut machine = Self { child, leader: Pid::INIT, name };
        machine.leader =
            wait_within(LIMIT, "the machine has a first process", async || machine.first()).await;
        wait_within(LIMIT, "the machine has booted", async || {
            assert!(machine.child.try_wait().unwrap().is_none(), "the machine has ended");
            let state = machine.run(&["systemctl", "is-system-running"]).await;
            let state = String::from_utf8(state.stdout).unwrap();
            matches!(state.trim(), "running" | "degraded").then_some(())
        })
        .await;
        // A small Debian has no such file, and so no name for itself.
        machine.put("/etc/hosts", 0o644, "127.0.0.1 localhost\n::1 localhost\n");
        machine
    }

    /// The process of systemd, once it is that: before, it is one of nspawn's.
    fn first(&self) -> Option<Pid> {
        let nspawn = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
        children.split_whitespace().find_map(|child| {
            let program = std::fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
            (program.trim() == "systemd").then(|| Pid::from_raw(child.parse().unwrap()).unwrap())
        })
    }

    /// Runs a command in the machine, as root.
    pub(crate) async fn run(&self, command: &[&str]) -> Output {
        let leader = self.leader.as_raw_nonzero().to_string();
        let run = tokio::process::Command::new("nsenter")
            .args([
                "--target",
                &leader,
                "--all",
                "--",
                "env",
                "-i",
                "PATH=/usr/sbin:/usr/bin",
                "LC_ALL=C.UTF-8",
            ])
            .args(command)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let run = tokio::time::timeout(LIMIT, run).await;
        run.unwrap_or_else(|_| panic!("not within {LIMIT:?}: {command:?}")).unwrap()
    }

    /// Runs a command that must work, and returns what it prints.
    pub(crate) async fn ok(&self, command: &[&str]) -> String {
        let output = self.run(command).await;
        let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            let log = self.run(&["journalctl", "--no-pager", "--output=cat", "--lines=40"]).await;
            let log = String::from_utf8_lossy(&log.stdout).into_owned();
            panic!("{command:?}: {}\n{said}{told}\nthe journal ends with:\n{log}", output.status);
        }
        said.into_owned()
    }

    /// Runs a command that must not work, and returns what it says.
    pub(crate) async fn refused(&self, command: &[&str]) -> String {
        let output = self.run(command).await;
        assert!(!output.status.success(), "{command:?}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Runs a command as a user with the groups that are its, as [`Machine::run`].
    pub(crate) async fn run_as(&self, user: &str, command: &[&str]) -> Output {
        let mut all = vec!["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"];
        all.extend(command);
        self.run(&all).await
    }

    /// A property of a unit.
    pub(crate) async fn property(&self, unit: &str, name: &str) -> String {
        let value = self.ok(&["systemctl", "show", "--property", name, "--value", unit]).await;
        value.trim().to_owned()
    }

    /// Waits until a property of a unit is this.
    pub(crate) async fn wait_property(&self, unit: &str, name: &str, value: &str) {
        wait_within(LIMIT, &format!("{name} of {unit} is {value}"), async || {
            (self.property(unit, name).await == value).then_some(())
        })
        .await;
    }

    /// Where a file of the machine is for the test. Absolute links on the way lead nowhere good.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        let leader = self.leader.as_raw_nonzero();
        PathBuf::from(format!("/proc/{leader}/root{path}"))
    }

    /// Writes a file of the machine, root's, with this mode; the directories above are made. Whoever reads it sees the
    /// old one or the new one.
    pub(crate) fn put(&self, path: &str, mode: u32, text: &str) {
        let (path, aside) = (self.path(path), self.path(&format!("{path}.new")));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&aside, text).unwrap();
        std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::rename(&aside, &path).unwrap();
    }

    /// Copies a file into the machine.
    pub(crate) fn copy(&self, from: &Path, to: &str) {
        std::fs::create_dir_all(self.path(to).parent().unwrap()).unwrap();
        std::fs::copy(from, self.path(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.leader != Pid::INIT {
            let _gone = kill_process(self.leader, Signal::KILL);
        }
        let _gone = self.child.kill();
        let _ended = self.child.wait();
        for above in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"] {
            remove_groups(&Path::new(above).join(&self.name));
        }
    }
}

/// Removes control groups from the innermost on; processes that were killed may take a moment to be gone.
fn remove_groups(group: &Path) {
    let inner = std::fs::read_dir(group).into_iter().flatten().flatten();
    inner
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .for_each(|entry| remove_groups(&entry.path()));
    for _ in 0..40 {
        match std::fs::remove_dir(group) {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(50));
            }
            _ => return,
        }
    }
}
