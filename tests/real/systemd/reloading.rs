//! `systemctl reload`: the whole of a new configuration, or the whole of the old one.

use std::time::Duration;

use super::hands::{CONFIG, UNIT, configure, shipped_drop_in, status, text, wait_found, with_one_store};
use super::machine::Machine;
use crate::support::wait::wait_within;
use crate::support::world::World;

/// A machine whose unit is ready, with one store of two.
async fn ready(release: &str, drop_in: Option<&str>) -> (World, Machine) {
    let (mut world, _account, machine) = with_one_store(release).await;
    if let Some(name) = drop_in {
        shipped_drop_in(&machine, name).await;
    }
    configure(&mut world, &machine);
    machine.ok(&["systemctl", "start", UNIT]).await;
    (world, machine)
}

fn configured(world: &World) -> String {
    text(world, "/etc/bc-secrets-sync", "/run/bc-secrets-sync")
}

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_reloads_and_a_configuration_that_is_refused_changes_nothing() {
    let (mut world, machine) = ready("bookworm", None).await;
    let pid = machine.property(UNIT, "MainPID").await;
    // By the signal alone: the file is as it was.
    machine.ok(&["systemctl", "reload", UNIT]).await;
    wait_within(Duration::from_secs(30), "it was loaded anew", async || {
        (status(&machine, CONFIG).await["configuration"]["reloads"] == 1).then_some(())
    })
    .await;
    machine.wait_property(UNIT, "SubState", "running").await;

    machine.put(CONFIG, 0o644, "broken");
    machine.ok(&["systemctl", "reload", UNIT]).await;
    wait_within(Duration::from_secs(30), "the status line says so", async || {
        let line = machine.property(UNIT, "StatusText").await;
        line.ends_with("; the new configuration is refused, the log says why").then_some(())
    })
    .await;
    machine.wait_property(UNIT, "SubState", "running").await;
    let other = world.add_store("other").await;
    machine.put(CONFIG, 0o644, &configured(&world));
    machine.ok(&["systemctl", "reload", UNIT]).await;
    wait_found(&machine, "other", &other).await;
    machine.wait_property(UNIT, "StatusText", "2 of 2 stores published, 0 incidents open").await;
    assert_eq!(machine.property(UNIT, "MainPID").await, pid);
    assert_eq!(machine.property(UNIT, "NRestarts").await, "0");
}

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_of_today_waits_for_the_end_of_a_reload() {
    let (mut world, machine) = ready("trixie", Some("notify-reload.conf")).await;
    assert_eq!(machine.property(UNIT, "Type").await, "notify-reload");
    let other = world.add_store("other").await;
    for reloads in 1..4_u64 {
        machine.ok(&["systemctl", "reload", UNIT]).await;
        assert_eq!(
            status(&machine, CONFIG).await["configuration"]["reloads"],
            reloads,
            "when the command ends"
        );
    }
    machine.put(CONFIG, 0o644, "broken");
    machine.ok(&["systemctl", "reload", UNIT]).await;
    let line = machine.property(UNIT, "StatusText").await;
    assert!(line.ends_with("; the new configuration is refused, the log says why"), "{line}");
    machine.put(CONFIG, 0o644, &configured(&world));
    machine.ok(&["systemctl", "reload", UNIT]).await;
    let said = status(&machine, CONFIG).await;
    assert_eq!(said["stores"].as_array().unwrap().len(), 2, "{said}");
    wait_found(&machine, "other", &other).await;
    assert_eq!(machine.property(UNIT, "SubState").await, "running");
}
