//! The Debian package: built of the binary under test, installed, upgraded, removed and purged on a real systemd.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::support::wait::wait_within;
use super::support::world::{World, as_published};
use super::systemd::hands::{CONFIG, UNIT, configure, configure_below, found};
use super::systemd::machine::Machine;

const INSTANCE: &str = "bc-secrets-sync@shop.service";

/// Builds the package as people do, but of the binary under test and in a hurry.
fn build(directory: &Path, revision: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = Path::new(env!("CARGO_BIN_EXE_bc-secrets-sync"));
    let documents = directory.join("documents");
    super::documents::write(&documents).unwrap();
    let built = Command::new(root.join("deploy/debian/build"))
        .arg("--binary")
        .arg(binary)
        .arg("--documents")
        .arg(&documents)
        .args(["--revision", revision])
        .arg(directory)
        .env("DPKG_DEB_OPTIONS", "-Zgzip -z1")
        .env("SOURCE_DATE_EPOCH", "1795392000")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
}

/// Copies a package into a machine, and installs it.
async fn install(machine: &Machine, package: &Path) {
    machine.copy(package, "/root/new.deb");
    machine.ok(&["dpkg", "--install", "/root/new.deb"]).await;
}

async fn pid(machine: &Machine, unit: &str) -> String {
    machine.property(unit, "MainPID").await
}

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_debian_installs_upgrades_removes_and_purges_the_package() {
    let directory = TempDir::new().unwrap();
    let (first, second) = (build(directory.path(), "1"), build(directory.path(), "2"));
    let linted =
        Command::new("lintian").args(["--fail-on", "error,warning", "--allow-root"]).arg(&first).output();
    let linted = linted.unwrap_or_else(|error| panic!("lintian: {error}; apt-get install lintian"));
    let said = String::from_utf8_lossy(&linted.stdout);
    assert!(linted.status.success() && !said.contains("W: ") && !said.contains("E: "), "{said}");

    let machine = Machine::boot("bookworm", &[]).await;
    install(&machine, &first).await;
    for path in [
        "/usr/bin/bc-secrets-sync",
        "/usr/lib/sysusers.d/bc-secrets-sync.conf",
        "/usr/share/bash-completion/completions/bc-secrets-sync",
        "/usr/share/doc/bc-secrets-sync/README.md",
        "/usr/share/doc/bc-secrets-sync/copyright",
        "/usr/share/doc/bc-secrets-sync/examples/config.example.toml",
        "/usr/share/man/man1/bc-secrets-sync.1.gz",
        "/usr/share/man/man5/bc-secrets-sync.toml.5.gz",
    ] {
        assert!(machine.path(path).exists(), "{path}");
    }
    // Neither enabled nor started: it has no configuration.
    assert_eq!(machine.property(UNIT, "UnitFileState").await, "disabled");
    assert_eq!(machine.property(UNIT, "ActiveState").await, "inactive");

    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    configure(&mut world, &machine);
    machine.ok(&["systemctl", "enable", "--now", UNIT]).await;
    assert_eq!(found(&machine, "acme"), Some(as_published(&account)));
    world.configuration.more = "\n[state]\ndirectory = \"/var/lib/bc-secrets-sync-shop\"\n".to_owned();
    configure_below(&mut world, &machine, "/etc/bc-secrets-sync/shop", "/run/bc-secrets-sync-shop");
    machine.ok(&["systemctl", "enable", "--now", INSTANCE]).await;

    // What runs is replaced, and nothing else changes.
    let before = [pid(&machine, UNIT).await, pid(&machine, INSTANCE).await];
    let config = std::fs::read(machine.path(CONFIG)).unwrap();
    install(&machine, &second).await;
    for (unit, before) in [UNIT, INSTANCE].iter().zip(&before) {
        wait_within(Duration::from_secs(30), "it is ready again", async || {
            assert!(found(&machine, "acme").is_some());
            let active = machine.property(unit, "ActiveState").await == "active";
            (active && pid(&machine, unit).await != *before).then_some(())
        })
        .await;
    }
    assert_eq!(std::fs::read(machine.path(CONFIG)).unwrap(), config);

    // Removed, it is gone, and apps have what they had.
    machine.ok(&["dpkg", "--remove", "bc-secrets-sync"]).await;
    assert!(!machine.path("/usr/bin/bc-secrets-sync").exists());
    for unit in [UNIT, INSTANCE] {
        assert_eq!(machine.property(unit, "ActiveState").await, "inactive", "{unit}");
    }
    assert_eq!(found(&machine, "acme"), Some(as_published(&account)));
    assert!(machine.path(CONFIG).exists());

    machine.ok(&["dpkg", "--purge", "bc-secrets-sync"]).await;
    let left = ["find", "/etc", "/run", "/usr", "/var/lib", "-xdev", "-name", "*bc-secrets-sync*"];
    let left = machine.ok(&left).await;
    assert_eq!(left, "", "only the user is left, whose number nobody else should have");
}
