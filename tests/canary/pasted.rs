//! Secrets that somebody pastes into the configuration: it is refused, and nothing of them is repeated.

use rustix::process::Signal;

use crate::support::daemon::{Daemon, run};
use crate::support::markers::Markers;
use crate::support::wait::wait_until;
use crate::support::world::World;
use crate::{PASTED, look};

/// Configurations into which somebody has pasted a secret.
fn pasted(world: &World) -> Vec<String> {
    let good = world.configuration.text();
    vec![
        format!("{PASTED}\n{good}"),
        format!("token = {PASTED}\n{good}"),
        format!("api_token = \"{PASTED}\n{good}"),
        format!("api_token = \"{PASTED}\"\n{good}"),
        format!("{PASTED} = 1\n{good}"),
        format!("[\"{PASTED}\"]\n{good}"),
        good.replace("poll_interval = \"1s\"", &format!("poll_interval = \"{PASTED}\"")),
        good.replace("level = \"trace\"", &format!("level = \"{PASTED}\"")),
        good.replace("listen = \"", &format!("listen = \"{PASTED}")),
        good.replace("confirmations = 2", &format!("confirmations = \"{PASTED}\"")),
        good.replace("address = \"http://", &format!("address = \"http://{PASTED}@")),
        good.replace("address = \"http://", &format!("address = \"{PASTED}")),
        good.replace("role_id_file = \"", &format!("role_id_file = \"{PASTED}")),
        good.replace("directory = \"", &format!("directory = \"{PASTED}")),
        good.replace("name = \"acme\"", &format!("name = \"{PASTED}/{PASTED}\"")),
        good.replace("path = \"stores/acme\"", &format!("path = \"/{PASTED}\"")),
        good.replace("signing_secret_file = \"/", &format!("signing_secret_file = \"{PASTED}")),
        good.replace("url = \"http://", &format!("url = \"http://{PASTED}:{PASTED}@")),
    ]
}

/// The running daemon, `run`, `check` and `validate` refuse them, and repeat nothing.
pub(super) async fn into_the_configuration(
    world: &World,
    daemon: &Daemon,
    markers: &Markers,
    pages: &mut Vec<(String, Vec<u8>)>,
) {
    let good = world.configuration.text();
    let file = world.configuration.file();
    for text in pasted(world) {
        assert!(text != good && markers.found_in(text.as_bytes()).contains(&"the pasted value"));
        let refused = daemon.status().await["configuration"]["refused"].as_u64();
        world.configuration.write_text(&text);
        daemon.signal(Signal::HUP);
        wait_until("the configuration is refused", async || {
            daemon.status().await["configuration"]["refused"].as_u64() > refused
        })
        .await;
        look(daemon, pages).await;
        for command in [&["validate"][..], &["check"], &["run", "--one-time"]] {
            let arguments = [command, &["--config", file.to_str().unwrap()]].concat();
            let finished = run(world.configuration.home(), &arguments).await;
            assert_eq!(finished.code, Some(2), "{text}: {finished:?}");
            pages.push((format!("{command:?} of {text}"), format!("{finished:?}").into_bytes()));
        }
    }
    world.configuration.write();
    daemon.signal(Signal::HUP);
    wait_until("the configuration is taken", async || {
        daemon.status().await["configuration"]["error"].is_null()
    })
    .await;
}
