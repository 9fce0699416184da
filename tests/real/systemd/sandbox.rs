//! The sandbox of the units: what `systemd-analyze` says of it, and what each shipped drop-in is for.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::hands::{
    CONFIG, OUTPUT, UNIT, configure, found, install_units, shipped_drop_in, text, wait_found, with_one_store,
};
use super::machine::Machine;
use crate::support::wait::wait_within;

const TEMPLATE: &str = "bc-secrets-sync@.service";

/// Tenths; the limit is 1.2.
const EXPOSURE: &str = "--threshold=12";

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_finds_nothing_wrong_with_the_units_and_little_exposed() {
    for release in ["bookworm", "trixie"] {
        let machine = Machine::with_binary(release).await;
        install_units(&machine).await;
        if release == "trixie" {
            shipped_drop_in(&machine, "notify-reload.conf").await;
        }
        for unit in [UNIT, TEMPLATE] {
            let path = format!("/etc/systemd/system/{unit}");
            // Without manual pages, which are not on this machine.
            let verified = machine.run(&["systemd-analyze", "verify", "--man=no", &path]).await;
            let said = String::from_utf8_lossy(&verified.stderr);
            assert!(verified.status.success() && said.is_empty(), "{release}: {unit}: {said}");
            let analyze = ["systemd-analyze", "--no-pager", "security", "--offline=yes", EXPOSURE, &path];
            machine.ok(&analyze).await;
        }
    }
}

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_keeps_the_secret_id_encrypted_on_the_disk() {
    let (mut world, account, machine) = with_one_store("bookworm").await;
    configure(&mut world, &machine);
    shipped_drop_in(&machine, "examples/encrypted-credentials.conf").await;
    let (plain, sealed) = ("/etc/bc-secrets-sync/secret-id", "/etc/bc-secrets-sync/secret-id.cred");
    machine.ok(&["systemd-creds", "encrypt", "--with-key=host", "--name=secret-id", plain, sealed]).await;
    let secret = std::fs::read(machine.path(plain)).unwrap();
    std::fs::remove_file(machine.path(plain)).unwrap();
    let kept = std::fs::read(machine.path(sealed)).unwrap();
    assert!(!kept.windows(secret.len()).any(|part| part == secret));
    machine.ok(&["systemctl", "start", UNIT]).await;
    wait_found(&machine, "acme", &account).await;
}

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_lets_files_be_given_away_by_a_drop_in_and_not_without() {
    let (mut world, account, machine) = with_one_store("bookworm").await;
    machine.ok(&["useradd", "--system", "--user-group", "app"]).await;
    configure(&mut world, &machine);
    let given = text(&world, "/etc/bc-secrets-sync", "/run/bc-secrets-sync")
        .replace("[output]\n", "[output]\ngroup = \"app\"\n");
    machine.put(CONFIG, 0o644, &given);
    machine.ok(&["systemctl", "start", "--no-block", UNIT]).await;
    wait_within(Duration::from_secs(30), "the log says that it cannot", async || {
        let log = machine.ok(&["journalctl", "--no-pager", "--output=cat", "--unit", UNIT]).await;
        log.contains("cannot set the owner of").then_some(())
    })
    .await;
    assert_eq!(found(&machine, "acme"), None);
    machine.ok(&["systemctl", "stop", UNIT]).await;

    shipped_drop_in(&machine, "examples/output-group.conf").await;
    machine.ok(&["systemctl", "start", UNIT]).await;
    wait_found(&machine, "acme", &account).await;
    let app = machine.ok(&["id", "--group", "app"]).await;
    let file = std::fs::metadata(machine.path(&format!("{OUTPUT}/acme/api_token"))).unwrap();
    assert_eq!((file.gid().to_string().as_str(), file.mode() & 0o7777), (app.trim(), 0o440));
}

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_lets_a_process_of_another_user_be_signalled_by_a_drop_in() {
    let (mut world, account, machine) = with_one_store("bookworm").await;
    machine.ok(&["useradd", "--system", "--user-group", "app"]).await;
    let app = "[Service]\nUser=app\nExecStart=/bin/sh -c 'trap \"touch /tmp/told; exit\" HUP; while :; do sleep 0.2; done'\n";
    machine.put("/etc/systemd/system/an-app.service", 0o644, app);
    machine.ok(&["systemctl", "daemon-reload"]).await;
    machine.ok(&["systemctl", "start", "an-app"]).await;
    let pid = machine.property("an-app", "MainPID").await;
    machine.put("/run/app.pid", 0o644, &pid);
    world.configuration.more = "\n[stores.reload]\npid_file = \"/run/app.pid\"\n".to_owned();
    configure(&mut world, &machine);
    shipped_drop_in(&machine, "examples/reload-hooks.conf").await;
    machine.ok(&["systemctl", "start", UNIT]).await;
    wait_found(&machine, "acme", &account).await;
    machine.wait_property("an-app", "ActiveState", "inactive").await;
    assert!(machine.path("/tmp/told").exists());
}

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_takes_every_shipped_drop_in() {
    let machine = Machine::with_binary("bookworm").await;
    install_units(&machine).await;
    let examples = std::fs::read_dir(super::hands::shipped("examples")).unwrap();
    let names: Vec<String> =
        examples.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        shipped_drop_in(&machine, &format!("examples/{name}")).await;
        let verified = machine.run(&["systemd-analyze", "verify", "--man=no", UNIT]).await;
        assert!(verified.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&verified.stderr));
    }
}
