//! What the configuration can change: the gate, the fields, the mount, the rights, and a signal for the app.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use bc_secrets_sync::sandbox::store::{Account, Behaviour};
use serde_json::json;
use tokio::process::{Child, Command};

use crate::support::files::{Content, generation, listing};
use crate::support::wait::{DEADLINE, wait_until};
use crate::support::world::{World, about, as_published};

#[tokio::test]
async fn with_the_gate_open_a_new_version_is_published_at_once_and_checked_afterwards() {
    let mut world = World::start().await;
    world.configuration.edit("confirmations = 2", "confirmations = 2\nverify_before_publish = false");
    let account = world.add_store_without_secret("acme");
    let typo = Account { api_token: "not-the-token".to_owned(), ..account.clone() };
    world.write("acme", &typo).await;
    let daemon = world.daemon().await;
    world.wait_published("acme", &typo).await;
    assert!(generation(&world.configuration.output, "acme").get("verified_at").is_none());
    assert_eq!(daemon.metric("verify_before_publish").await, Some(0.0));
    assert_eq!(daemon.status().await["configuration"]["verify_before_publish"], false);
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "misconfigured", "opened")]);

    world.write("acme", &account).await;
    world.wait_published("acme", &account).await;
    daemon.settled().await;
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("acme", "misconfigured", "resolved"));
    daemon.stop().await;
}

#[tokio::test]
async fn credentials_that_nobody_can_verify_for_too_long_are_told() {
    let mut world = World::start().await;
    world.configuration.stale_after = "2s";
    world.configuration.check_timeout = "500ms";
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    world.bigcommerce.set_behaviour("acme", Behaviour::Hang);
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "unverified", "opened")]);
    assert!(world.receiver.messages()[0].evidence().contains("no answer came in time"));
    assert_eq!(daemon.state("acme").await, "unverified");
    assert_eq!(world.published("acme"), Some(as_published(&account)));

    // An error never raises the rate of requests.
    let (asked, begun) = (world.bigcommerce.requests("acme"), std::time::Instant::now());
    daemon.checked("acme", 2).await;
    let most = begun.elapsed().as_secs() + 2;
    assert!(world.bigcommerce.requests("acme") - asked <= most);

    world.bigcommerce.set_behaviour("acme", Behaviour::Normal);
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("acme", "unverified", "resolved"));
    daemon.stop().await;
}

#[tokio::test]
async fn fields_mounts_and_modes_are_those_of_the_configuration() {
    let mut world = World::start().await;
    let account = world.add_store_without_secret("acme");
    world.bao.request("POST", "sys/mounts/team/kv", Some(json!({ "type": "kv-v2" }))).await;
    let policy = r#"path "team/kv/data/stores/*" { capabilities = ["read"] }"#;
    world.bao.put_policy("stores", policy).await;
    let fields = json!({ "data": {
        "user": account.username, "token": account.api_token, "url": account.api_path, "note": [1, 2]
    } });
    world.bao.request("POST", "team/kv/data/stores/acme", Some(fields)).await;
    world.configuration.edit(
        "path = \"stores/acme\"",
        "path = \"stores/acme\"\nmount = \"team/kv\"\n\
         fields = { username = \"user\", api_token = \"token\", api_path = \"url\" }",
    );
    world.configuration.edit("[output]", "[output]\nfile_mode = \"0400\"\ndirectory_mode = \"0700\"");
    let daemon = world.daemon().await;
    world.wait_published("acme", &account).await;
    for (path, entry) in listing(&world.configuration.output) {
        match entry.content {
            Content::Directory => assert_eq!(entry.mode, 0o700, "{path:?}"),
            Content::File(_) => assert_eq!(entry.mode, 0o400, "{path:?}"),
            Content::Link(_) => {}
        }
    }
    // Modes that are changed while it runs are those of the next look.
    world.configuration.edit("0400", "0440");
    world.configuration.write();
    let token = Path::new("acme/..data/api_token");
    wait_until("the new mode", async || {
        let file = world.configuration.output.join(token);
        std::fs::metadata(file)
            .is_ok_and(|file| std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777 == 0o440)
    })
    .await;
    assert_eq!(world.published("acme"), Some(as_published(&account)));
    daemon.stop().await;
}

/// An app that dies of the signal.
fn app(pid_file: &Path) -> Child {
    let child = Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap();
    std::fs::write(pid_file, format!("{}\n", child.id().unwrap())).unwrap();
    child
}

async fn signalled(mut app: Child) -> Option<i32> {
    let ended: ExitStatus = tokio::time::timeout(DEADLINE, app.wait()).await.unwrap().unwrap();
    std::os::unix::process::ExitStatusExt::signal(&ended)
}

#[tokio::test]
async fn an_app_gets_its_signal_with_each_other_content_and_never_without() {
    let mut world = World::start().await;
    let pid_file = world.configuration.home().join("app.pid");
    let first = app(&pid_file);
    let old = world.add_store("acme").await;
    let reload = format!(
        "path = \"stores/acme\"\n[stores.reload]\npid_file = \"{}\"\nsignal = \"USR1\"\nmin_interval = \"0s\"",
        pid_file.display()
    );
    world.configuration.edit("path = \"stores/acme\"", &reload);
    let daemon = world.daemon().await;
    let usr1 = Some(rustix::process::Signal::USR1.as_raw());
    assert_eq!(signalled(first).await, usr1);
    assert_eq!(world.published("acme"), Some(as_published(&old)));

    // It is started later than the publication: then it is told as soon as it is there.
    std::fs::remove_file(&pid_file).unwrap();
    let new = Account { api_token: world.bigcommerce.regenerate_token("acme"), ..old };
    world.write("acme", &new).await;
    world.wait_published("acme", &new).await;
    wait_until("the fault is shown", async || daemon.get("/status").await.1.contains("app.pid")).await;
    assert_eq!(signalled(app(&pid_file)).await, usr1);

    // A restored set and a new start are no other content.
    let mut third = app(&pid_file);
    std::fs::remove_file(world.configuration.output.join("acme/api_token")).unwrap();
    world.wait_published("acme", &new).await;
    daemon.stop().await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    daemon.passes("acme", 2).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), third.wait()).await.is_err());
    daemon.stop().await;
}
