//! Events in a cluster: what a pod has in its environment is enough, and what goes wrong is told and mended.

use std::net::SocketAddr;
use std::path::PathBuf;

use bc_secrets_sync::sandbox::kubernetes::{Rights, SmallApiServer};
use serde_json::Value;

use crate::support::daemon::{Daemon, run_with};
use crate::support::wait::wait_until;
use crate::support::world::World;

const TOKEN: &str = "the-token-of-the-pod";

/// A cluster with the daemon in one of its pods, whose only channel are Events.
struct Pod {
    world: World,
    cluster: SmallApiServer,
    token_file: PathBuf,
}

impl Pod {
    async fn start() -> Self {
        let mut world = World::start().await;
        world.configuration.webhook = None;
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let cluster = SmallApiServer::start(any_port, &world.authority, "shop", TOKEN).await.unwrap();
        let token_file = world.configuration.home().join("token");
        std::fs::write(&token_file, TOKEN).unwrap();
        let authority = world.configuration.store_authority_file();
        let channel = format!(
            "repeat_interval = \"1h\"\n[alerts.kubernetes]\ntoken_file = \"{}\"\nca_file = \"{}\"\n",
            token_file.display(),
            authority.display()
        );
        world.configuration.edit("repeat_interval = \"1h\"\n", &channel);
        world.configuration.environment = vec![
            ("KUBERNETES_SERVICE_HOST", cluster.address().ip().to_string()),
            ("KUBERNETES_SERVICE_PORT", cluster.address().port().to_string()),
            ("POD_NAMESPACE", "shop".to_owned()),
            ("POD_NAME", "shop-sync-0".to_owned()),
            ("POD_UID", "6e1c4a6e-3f7f".to_owned()),
        ];
        Self { world, cluster, token_file }
    }

    async fn wait_events(&self, count: usize) -> Vec<Value> {
        wait_until(&format!("{count} Events"), async || self.cluster.events().len() >= count).await;
        self.cluster.events()
    }

    /// Waits until a try has failed, for this reason.
    async fn wait_refused(&self, daemon: &Daemon, why: &str) {
        wait_until(why, async || {
            let channels = daemon.status().await["channels"].clone();
            let channel = channels.as_array().unwrap().iter().find(|channel| channel["name"] == "kubernetes");
            channel.is_some_and(|channel| channel["error"].as_str().is_some_and(|error| error.contains(why)))
        })
        .await;
    }
}

#[tokio::test]
async fn an_incident_is_seen_with_the_pod_from_its_beginning_to_its_end() {
    let mut pod = Pod::start().await;
    let mut account = pod.world.add_store("acme").await;
    let daemon = pod.world.daemon().await;
    daemon.settled().await;
    account.api_token = pod.world.bigcommerce.regenerate_token("acme");
    let opened = pod.wait_events(1).await.remove(0);
    assert_eq!((&opened["type"], &opened["reason"]), (&"Warning".into(), &"RegeneratedOrRevoked".into()));
    let regarding = &opened["regarding"];
    assert_eq!((&regarding["kind"], &regarding["name"]), (&"Pod".into(), &"shop-sync-0".into()));
    assert_eq!((&regarding["uid"], &regarding["namespace"]), (&"6e1c4a6e-3f7f".into(), &"shop".into()));
    assert_eq!(opened["reportingInstance"], "shop-sync-0");
    let note = opened["note"].as_str().unwrap();
    assert!(
        note.starts_with("acme: API token regenerated or revoked. What to do: In the store's admin"),
        "{note}"
    );

    pod.world.write("acme", &account).await;
    let resolved = pod.wait_events(2).await.remove(1);
    assert_eq!((&resolved["type"], &resolved["action"]), (&"Normal".into(), &"Resolved".into()));
    assert!(resolved["note"].as_str().unwrap().contains("regenerated, caught up"));
    wait_until("both are counted", async || {
        daemon.metric("alerts_delivered_total{channel=\"kubernetes\"}").await == Some(2.0)
    })
    .await;
    assert_eq!(pod.cluster.requests(), 2);
    let log = daemon.stop().await.log;
    assert!(!std::fs::read_to_string(log).unwrap().contains(TOKEN));
}

#[tokio::test]
async fn what_an_api_server_refuses_is_told_and_delivered_when_it_is_mended() {
    let mut pod = Pod::start().await;
    pod.world.add_store("acme").await;
    let daemon = pod.world.daemon().await;
    daemon.settled().await;
    pod.cluster.answer_next(503, Some(1));
    pod.cluster.set_rights(Rights::None);
    pod.world.bigcommerce.regenerate_token("acme");
    pod.wait_refused(&daemon, "apiGroups: [\"events.k8s.io\"]").await;
    assert_eq!(pod.cluster.events(), [Value::Null; 0]);
    assert_eq!(daemon.metric("alerts_pending{channel=\"kubernetes\"}").await, Some(1.0));

    // Kubernetes has replaced the token meanwhile, as it does each hour; the daemon is told to look again.
    pod.cluster.set_token("the-next-token");
    std::fs::write(&pod.token_file, "the-next-token").unwrap();
    pod.cluster.set_rights(Rights::CreateEvents);
    daemon.kill().await;
    let daemon = pod.world.daemon().await;
    let name = pod.wait_events(1).await[0]["metadata"]["name"].clone();
    assert!(name.as_str().unwrap().starts_with("bc-secrets-sync."));
    daemon.stop().await;
}

#[tokio::test]
async fn a_delivery_that_was_not_written_down_is_no_second_event() {
    let mut pod = Pod::start().await;
    pod.world.add_store("acme").await;
    let state = pod.world.configuration.state.clone();
    let daemon = pod.world.daemon().await;
    daemon.settled().await;
    pod.cluster.answer_next(503, Some(3600));
    pod.world.bigcommerce.regenerate_token("acme");
    pod.wait_refused(&daemon, "answered 503").await;
    daemon.kill().await;
    // The state as it was before the delivery comes back, as after a crash in between.
    let copy = pod.world.configuration.home().join("copy");
    copy_files(&state, &copy);
    let daemon = pod.world.daemon().await;
    let events = pod.wait_events(1).await;
    daemon.kill().await;
    copy_files(&copy, &state);
    let requests = pod.cluster.requests();
    let daemon = pod.world.daemon().await;
    wait_until("it is delivered once more", async || {
        daemon.metric("alerts_delivered_total{channel=\"kubernetes\"}").await == Some(1.0)
    })
    .await;
    assert!(pod.cluster.requests() > requests);
    assert_eq!(pod.cluster.events(), events);
    daemon.stop().await;
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        // Not the control socket, which a killed daemon leaves behind.
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn alert_test_and_validate_say_what_a_pod_lacks() {
    let mut pod = Pod::start().await;
    pod.world.add_store("acme").await;
    // Without the environment of a pod.
    let told = run_with(&pod.world.configuration, "validate", &[]).await;
    assert_eq!(told.code, Some(2));
    for part in ["KUBERNETES_SERVICE_HOST", "POD_NAMESPACE", "POD_NAME by the downward API"] {
        assert!(told.stderr.contains(part), "{part}: {}", told.stderr);
    }
    let address = pod.cluster.address();
    pod.world.configuration.edit(
        "[alerts.kubernetes]\n",
        &format!(
            "[alerts.kubernetes]\nurl = \"https://{address}\"\nnamespace = \"shop\"\n\
             regarding = {{ name = \"shop-sync-0\" }}\n"
        ),
    );
    let told = run_with(&pod.world.configuration, "alert-test", &[]).await;
    assert!(told.code == Some(0) && told.stdout.contains("kubernetes  delivered"), "{told:?}");
    assert_eq!(pod.cluster.events()[0]["reason"], "Test");
    pod.cluster.set_rights(Rights::None);
    let told = run_with(&pod.world.configuration, "alert-test", &[]).await;
    assert!(told.code == Some(16) && told.stdout.contains("verbs: [\"create\"]"), "{told:?}");
}
