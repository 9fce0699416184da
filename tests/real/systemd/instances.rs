//! Several instances by the template: each with its own configuration, directories and control socket.

use super::hands::{configure_below, install_units, status};
use super::machine::Machine;
use crate::support::files::published;
use crate::support::world::{World, as_published};

const INSTANCES: [&str; 2] = ["red", "blue"];

fn unit(name: &str) -> String {
    format!("bc-secrets-sync@{name}.service")
}

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_runs_several_instances_that_share_nothing() {
    let machine = Machine::with_binary("bookworm").await;
    install_units(&machine).await;
    let mut worlds = Vec::new();
    for name in INSTANCES {
        let mut world = World::start().await;
        let account = world.add_store(name).await;
        // So that commands find its control socket by its configuration.
        world.configuration.more = format!("\n[state]\ndirectory = \"/var/lib/bc-secrets-sync-{name}\"\n");
        let directory = format!("/etc/bc-secrets-sync/{name}");
        configure_below(&mut world, &machine, &directory, &format!("/run/bc-secrets-sync-{name}"));
        machine.ok(&["systemctl", "start", &unit(name)]).await;
        worlds.push((world, account));
    }
    for (name, (_, account)) in INSTANCES.iter().zip(&worlds) {
        let output = machine.path(&format!("/run/bc-secrets-sync-{name}/credentials"));
        assert_eq!(published(&output, name), Some(as_published(account)));
        let said = status(&machine, &format!("/etc/bc-secrets-sync/{name}/config.toml")).await;
        assert_eq!(said["stores"][0]["name"], *name, "{said}");
        assert_eq!(said["stores"].as_array().unwrap().len(), 1);
    }
    machine.ok(&["systemctl", "stop", &unit("red")]).await;
    assert_eq!(machine.property(&unit("blue"), "ActiveState").await, "active");
    assert!(machine.path("/run/bc-secrets-sync-red/credentials/red/api_token").exists());
}
