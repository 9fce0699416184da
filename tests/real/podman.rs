//! podman with a store of its own, which is gone with everything in it at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Names the static binary that goes into the image.
const STATIC: &str = "BC_SECRETS_SYNC_TEST_STATIC";

/// A podman of one test.
pub(crate) struct Podman {
    home: TempDir,
}

impl Podman {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let at = home.path().display();
        // What a machine without systemd and without a bridge can do; vfs works on any file system.
        let engine = "[containers]\ndefault_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]\n\
                      [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
        let storage =
            format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{at}/store\"\nrunroot = \"{at}/run\"\n");
        std::fs::write(home.path().join("containers.conf"), engine).unwrap();
        std::fs::write(home.path().join("storage.conf"), storage).unwrap();
        Self { home }
    }

    /// A command that uses this store.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("CONTAINERS_CONF", self.home.path().join("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", self.home.path().join("storage.conf"));
        command
    }

    /// Runs podman, whatever comes of it.
    pub(crate) fn attempt(&self, arguments: &[&str]) -> Output {
        let output = self.command("podman").args(arguments).output();
        output.unwrap_or_else(|error| panic!("podman: {error}; ./tests/run --real says what it needs"))
    }

    /// Runs podman, which must work; what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.attempt(arguments);
        assert!(output.status.success(), "podman {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Builds our image of a static binary, with the shipped script.
    pub(crate) fn build(&self, binary: &Path, tag: &str) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/container/build");
        let mut command = self.command(script);
        command
            .args(["--tag", tag, "--source", "https://code.example/bc-secrets-sync", "--binary"])
            .arg(binary);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// An image of busybox alone, as an app.
    pub(crate) fn build_app(&self, tag: &str) {
        let context = self.home.path().join("app");
        let programs = context.join("bin");
        std::fs::create_dir_all(&programs).unwrap();
        std::fs::copy("/bin/busybox", programs.join("busybox")).unwrap();
        for name in ["sh", "cat", "id", "touch", "sleep"] {
            std::os::unix::fs::symlink("busybox", programs.join(name)).unwrap();
        }
        std::fs::write(context.join("Containerfile"), "FROM scratch\nCOPY bin /bin\n").unwrap();
        self.run(&["build", "--quiet", "--layers=false", "--tag", tag, context.to_str().unwrap()]);
    }

    /// What a container has printed.
    pub(crate) fn logs(&self, container: &str) -> String {
        let output = self.attempt(&["logs", container]);
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _pods = self.attempt(&["pod", "rm", "--all", "--force", "--time", "0"]);
        let _containers = self.attempt(&["rm", "--all", "--force", "--time", "0", "--volumes"]);
        let _volumes = self.attempt(&["volume", "rm", "--all", "--force"]);
        let _images = self.attempt(&["rmi", "--all", "--force"]);
    }
}

/// The static binary that `tests/run --real` has built.
pub(crate) fn static_binary() -> PathBuf {
    let binary = std::env::var_os(STATIC).map(PathBuf::from);
    binary.unwrap_or_else(|| panic!("{STATIC} must name a static binary; ./tests/run --real builds one"))
}
