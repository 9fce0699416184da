//! A service from its start to its end: ready when it should be, its files for its group alone, its credentials for
//! nobody else; what is published outlives a kill and a stop.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::hands::{
    CONFIG, OUTPUT, UNIT, configure, found, install_units, status, wait_found, with_one_store,
};
use super::machine::Machine;
use crate::support::wait::{wait_until, wait_within};
use crate::support::world::{World, as_published};

/// The processes of apps: one is a member of the group.
async fn add_apps(machine: &Machine) {
    machine.ok(&["useradd", "--system", "--groups", "bc-secrets-sync", "--user-group", "app"]).await;
    machine.ok(&["useradd", "--system", "--user-group", "stranger"]).await;
}

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_runs_the_service_from_its_start_to_its_end() {
    let mut world = World::start().await;
    let account = world.add_store_without_secret("acme");
    let machine = Machine::with_binary("bookworm").await;
    install_units(&machine).await;
    add_apps(&machine).await;
    configure(&mut world, &machine);

    // Not ready before everything is published, and it says what it waits for.
    machine.ok(&["systemctl", "start", "--no-block", UNIT]).await;
    wait_within(Duration::from_secs(30), "the status line", async || {
        let line = machine.property(UNIT, "StatusText").await;
        line.starts_with("0 of 1 stores published (waiting for acme), 1 incidents open").then_some(())
    })
    .await;
    assert_eq!(machine.property(UNIT, "ActiveState").await, "activating");
    // `systemctl reload` would wait for the end of the start; the signal does not.
    machine.ok(&["systemctl", "kill", "--signal=HUP", "--kill-whom=main", UNIT]).await;
    wait_within(Duration::from_secs(30), "it was loaded anew", async || {
        (status(&machine, CONFIG).await["configuration"]["reloads"] == 1).then_some(())
    })
    .await;
    assert_eq!(machine.property(UNIT, "ActiveState").await, "activating");
    world.write("acme", &account).await;
    machine.wait_property(UNIT, "ActiveState", "active").await;
    assert_eq!(found(&machine, "acme"), Some(as_published(&account)));
    machine.wait_property(UNIT, "StatusText", "1 of 1 stores published, 0 incidents open").await;
    assert_eq!(machine.property(UNIT, "NRestarts").await, "0");

    // The journal has it by its fields, from the one unit.
    let entries = machine.ok(&["journalctl", "--no-pager", "--output=json", "STORE=acme"]).await;
    let entries: Vec<Value> = entries.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let with = |field: &str, value: &str| entries.iter().filter(|entry| entry[field] == value).count();
    assert!(with("PRIORITY", "4") >= 1 && with("PRIORITY", "6") >= 1, "{entries:#?}");
    for (field, value) in [
        ("SYSLOG_IDENTIFIER", "bc-secrets-sync"),
        ("_SYSTEMD_UNIT", UNIT),
        ("_TRANSPORT", "journal"),
        ("STORE", "acme"),
    ] {
        assert_eq!(with(field, value), entries.len(), "{field}: {entries:#?}");
    }
    let text = entries.iter().map(|entry| entry["MESSAGE"].as_str().unwrap()).collect::<Vec<_>>().join("\n");
    assert!(text.contains("published version 1"), "{text}");
    assert!(!machine.ok(&["journalctl", "--no-pager", "--output=export"]).await.contains(&account.api_token));

    // The files are for the group; the credentials, the state and the control socket for the daemon alone.
    let token = format!("{OUTPUT}/acme/api_token");
    assert!(machine.run_as("app", &["cat", &token]).await.status.success());
    let credential = "/run/credentials/bc-secrets-sync.service/secret-id";
    let socket = "/var/lib/bc-secrets-sync/control.sock";
    for (user, command) in [
        ("stranger", vec!["cat", &token]),
        ("app", vec!["touch", &token]),
        ("app", vec!["cat", credential]),
        ("app", vec!["ls", "/var/lib/bc-secrets-sync"]),
        ("bc-secrets-sync", vec!["cat", "/etc/bc-secrets-sync/secret-id"]),
    ] {
        let tried = machine.run_as(user, &command).await;
        let said = String::from_utf8_lossy(&tried.stderr);
        assert!(said.contains("Permission denied"), "{user} {command:?}: {tried:?}");
    }
    assert!(machine.run_as("bc-secrets-sync", &["cat", credential]).await.status.success());
    let asked = machine.run_as("app", &["bc-secrets-sync", "incidents", "--socket", socket]).await;
    let said = String::from_utf8_lossy(&asked.stderr);
    assert!(said.contains("run this as the daemon's user, or as root"), "{asked:?}");
    let said = status(&machine, CONFIG).await;
    assert_eq!(said["vitals"]["ready"], true, "root is answered");
    // The unit lets it take away from itself what the unit could not.
    assert_eq!(said["hardening"]["seccomp"]["active"], true, "{said}");
    let refused = said["hardening"]["landlock"]["reason"].as_str().unwrap_or_default();
    assert!(refused.is_empty() || refused.contains("kernel"), "{refused}");

    // Its process has nothing that it could lose, and its own user cannot look into it.
    let pid = machine.property(UNIT, "MainPID").await;
    let process = std::fs::read_to_string(machine.path(&format!("/proc/{pid}/status"))).unwrap();
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(process.contains(line), "{line} is missing in {process}");
    }
    assert!(!process.contains("Uid:\t0"), "{process}");
    let peek = machine.run_as("bc-secrets-sync", &["cat", &format!("/proc/{pid}/environ")]).await;
    assert!(String::from_utf8_lossy(&peek.stderr).contains("Permission denied"), "{peek:?}");

    // Killed, it comes back; an app has its files all the while.
    machine.ok(&["systemctl", "kill", "--signal=KILL", "--kill-whom=main", UNIT]).await;
    wait_within(Duration::from_secs(30), "it is back", async || {
        assert!(found(&machine, "acme").is_some());
        let back = machine.property(UNIT, "MainPID").await;
        (back != "0" && back != pid && machine.property(UNIT, "ActiveState").await == "active").then_some(())
    })
    .await;
    assert_eq!(machine.property(UNIT, "NRestarts").await, "1");

    // Stopped, it ends well and in time, and leaves the files.
    let begun = Instant::now();
    machine.ok(&["systemctl", "stop", UNIT]).await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(machine.property(UNIT, "Result").await, "success");
    assert_eq!(found(&machine, "acme"), Some(as_published(&account)));
    assert!(!machine.path(credential).exists());

    // With Vault away it is ready by what is published.
    let new = world.bigcommerce.create_account("acme", "another");
    drop(std::mem::replace(&mut world.bao, crate::support::openbao::OpenBao::start().await));
    machine.ok(&["systemctl", "start", UNIT]).await;
    assert_eq!(found(&machine, "acme"), Some(as_published(&account)));
    let line = machine.property(UNIT, "StatusText").await;
    assert!(line.ends_with("; Vault is not available"), "{line}");
    assert_ne!(as_published(&new), as_published(&account));
    machine.ok(&["systemctl", "stop", UNIT]).await;
    machine.ok(&["systemctl", "clean", "--what=runtime", UNIT]).await;
    assert!(!machine.path("/run/bc-secrets-sync").exists());
}

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_starts_nothing_without_its_credentials_or_with_a_configuration_that_is_refused() {
    let (mut world, account, machine) = with_one_store("bookworm").await;
    configure(&mut world, &machine);
    let good = std::fs::read_to_string(machine.path(CONFIG)).unwrap();
    machine.put(CONFIG, 0o644, &good.replace("[check]\n", "[check]\nnonsense = 1\n"));
    machine.refused(&["systemctl", "start", UNIT]).await;
    assert_eq!(machine.property(UNIT, "ExecMainStatus").await, "2");
    // Nobody tries again what stays refused.
    assert_eq!(machine.property(UNIT, "ActiveState").await, "failed");
    // The journal may take the line in after systemd has noticed the end of the process.
    wait_until("the journal has the reason", async || {
        let log = machine.ok(&["journalctl", "--no-pager", "--output=cat", "--unit", UNIT]).await;
        log.contains("check.nonsense") && log.contains(CONFIG)
    })
    .await;

    // What is published could be taken away only from a unit that has not failed.
    let clean = ["systemctl", "clean", "--what=runtime", UNIT];
    machine.refused(&clean).await;
    machine.ok(&["systemctl", "reset-failed", UNIT]).await;
    machine.ok(&clean).await;

    machine.put(CONFIG, 0o644, &good);
    // By hand there is no directory of credentials, unless one is given.
    for command in ["validate", "check"] {
        let command = ["bc-secrets-sync", command, "--config", CONFIG];
        let said = machine.refused(&command).await;
        assert!(said.contains("CREDENTIALS_DIRECTORY"), "{said}");
        let given = ["env", "CREDENTIALS_DIRECTORY=/etc/bc-secrets-sync"];
        machine.ok(&[&given[..], &command].concat()).await;
    }
    let role_id = std::fs::read_to_string(machine.path("/etc/bc-secrets-sync/role-id")).unwrap();
    std::fs::remove_file(machine.path("/etc/bc-secrets-sync/role-id")).unwrap();
    machine.ok(&["systemctl", "start", "--no-block", UNIT]).await;
    machine.wait_property(UNIT, "SubState", "auto-restart").await;
    // It heals by itself.
    machine.put("/etc/bc-secrets-sync/role-id", 0o600, &role_id);
    machine.wait_property(UNIT, "ActiveState", "active").await;
    wait_found(&machine, "acme", &account).await;
    let mode = std::fs::metadata(machine.path("/run/bc-secrets-sync")).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o750);
}
