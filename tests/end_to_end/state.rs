//! A state directory that takes nothing: alerts go on, and everybody who asks is told that a restart would forget them.

use std::fs;

use serde_json::Value;

use crate::support::daemon::{Daemon, Finished, run};
use crate::support::wait::wait_until;
use crate::support::world::{World, about};

const AGAIN: &str = "alerts are on the disk again";

fn said(daemon: &Daemon, message: &str) -> Vec<Value> {
    daemon.log().into_iter().filter(|line| line["message"].as_str().unwrap().starts_with(message)).collect()
}

async fn writable(daemon: &Daemon) -> bool {
    daemon.metric("state_writable").await == Some(1.0)
}

#[tokio::test]
async fn what_is_not_on_the_disk_is_said_everywhere_until_it_is() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    assert!(writable(&daemon).await);
    assert!(daemon.status().await["state"]["error"].is_null());

    // The socket goes along with the directory.
    let (state, aside) = (world.configuration.state.clone(), world.configuration.home().join("aside"));
    let ask = async |socket: &str, arguments: &[&str]| -> Finished {
        let socket = world.configuration.home().join(socket).join("control.sock");
        run(world.configuration.home(), [arguments, &["--socket", socket.to_str().unwrap()]].concat()).await
    };
    fs::rename(&state, &aside).unwrap();
    fs::write(&state, "not a directory").unwrap();
    world.bigcommerce.delete_account("acme");
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "regenerated_or_revoked", "opened")]);

    assert!(!writable(&daemon).await);
    let status = daemon.status().await;
    let reason = status["state"]["error"].as_str().unwrap();
    assert!(reason.contains("make it writable for the daemon"), "{reason}");
    assert!(status["state"]["since"].is_string(), "{status}");
    assert_eq!(daemon.code("/readyz").await, 200, "probes do not mind");
    let shown = ask("aside", &["status"]).await;
    let line = shown.stdout.lines().find(|line| line.starts_with("state "));
    assert!(line.is_some_and(|line| line.contains("in memory only for ")), "{shown:?}");
    let shown = ask("aside", &["incidents"]).await;
    assert!(shown.stdout.contains("acme") && shown.stdout.contains("\nin memory only for "), "{shown:?}");
    assert!(daemon.page("/").await.contains("are in memory only"));
    let (silence, unsilence) = (["silence", "acme:", "--for", "2h"], ["unsilence", "acme:"]);
    for arguments in [&silence[..], &unsilence, &silence] {
        let answer = ask("aside", arguments).await;
        assert_eq!(answer.code, Some(0), "{answer:?}");
        let end = "): a restart before it is forgets it\n";
        assert!(answer.stdout.contains(", but that is not on the disk yet ("), "{answer:?}");
        assert!(answer.stdout.contains(reason) && answer.stdout.ends_with(end), "{answer:?}");
    }
    // The opening, three changes and the pulses would be a line each.
    assert_eq!(said(&daemon, "alerts are not on the disk yet").len(), 1, "{}", daemon.log_text());
    assert_eq!(said(&daemon, AGAIN).len(), 0);

    fs::remove_file(&state).unwrap();
    fs::rename(&aside, &state).unwrap();
    wait_until("it is on the disk", async || writable(&daemon).await).await;
    let again = said(&daemon, AGAIN);
    assert!(again.len() == 1 && again[0]["times"].as_u64() >= Some(4), "{again:?}");
    assert!(!ask("state", &["status"]).await.stdout.contains("in memory only"));
    assert!(!daemon.page("/").await.contains("in memory only"));
    let incident = daemon.status().await["incidents"][0].clone();
    daemon.kill().await;

    // What was asked meanwhile has got there by itself.
    let daemon = world.daemon().await;
    let kept = daemon.status().await["incidents"][0].clone();
    assert_eq!(kept["id"], incident["id"]);
    assert!(kept["silenced_until"].is_string(), "{kept}");
    let silenced = ask("state", &silence).await;
    assert!(!silenced.stdout.contains("disk") && silenced.stdout.contains(": no reminders until 20"));
    assert_eq!(world.told().len(), 1, "{:?}", world.told());
    daemon.stop().await;
}
