//! Trouble with Vault: what is published stays, the daemon lives on, and all of it heals by itself.

use bc_secrets_sync::sandbox::store::Account;
use serde_json::json;

use crate::support::daemon::Daemon;
use crate::support::files::listing;
use crate::support::wait::wait_until;
use crate::support::world::{World, about, as_published};

async fn wait_source(daemon: &Daemon, up: bool) {
    let value = if up { 1.0 } else { 0.0 };
    wait_until(&format!("the source is up: {up}"), async || daemon.metric("source_up").await == Some(value))
        .await;
}

#[tokio::test]
async fn a_sealed_vault_changes_nothing_for_apps_and_is_used_again_when_it_is_unsealed() {
    let mut world = World::start().await;
    let old = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);

    world.bao.seal().await;
    wait_source(&daemon, false).await;
    let error = daemon.status().await["source"]["error"].clone();
    assert!(error.as_str().unwrap().contains("sealed"), "{error}");
    for page in ["/livez", "/readyz", "/startupz", "/healthz"] {
        assert_eq!(daemon.code(page).await, 200, "{page}");
    }
    // The store is still asked, and a regeneration still told.
    let token = world.bigcommerce.regenerate_token("acme");
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("acme", "regenerated_or_revoked", "opened")]);
    assert!(world.receiver.messages()[0].evidence().contains("is not known"));
    assert_eq!(listing(&world.configuration.output), before);

    world.bao.unseal().await;
    let new = Account { api_token: token, ..old };
    world.write("acme", &new).await;
    world.wait_published("acme", &new).await;
    wait_source(&daemon, true).await;
    world.wait_messages(2).await;
    assert!(
        daemon.log().iter().any(|line| { line["message"].as_str().unwrap().contains("Vault works again") })
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_vault_that_is_gone_changes_nothing_for_apps_and_does_not_hold_up_the_end() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = listing(&world.configuration.output);
    world.bao.kill();
    wait_source(&daemon, false).await;
    daemon.checked("acme", 2).await;
    assert_eq!((daemon.code("/livez").await, daemon.code("/readyz").await), (200, 200));
    assert_eq!(daemon.state("acme").await, "verified");
    assert_eq!(listing(&world.configuration.output), before);
    assert_eq!(world.published("acme"), Some(as_published(&account)));
    daemon.stop().await;
    assert_eq!(listing(&world.configuration.output), before);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced_by_a_single_new_one() {
    let mut world = World::start().await;
    let old = world.add_store("acme").await;
    world.add_store("other").await;
    let daemon = world.daemon().await;
    daemon.settled().await;

    for logins in 2..4 {
        let accessors = world.bao.accessors().await;
        assert_eq!(accessors.len(), 1);
        world.bao.revoke_accessor(&accessors[0]).await;
        wait_until("logged in again", async || {
            daemon.metric("source_logins_total").await == Some(f64::from(logins))
        })
        .await;
        daemon.passes("acme", 2).await;
        assert_eq!(world.bao.accessors().await.len(), 1);
    }
    let new = Account { api_token: world.bigcommerce.regenerate_token("acme"), ..old };
    world.write("acme", &new).await;
    world.wait_published("acme", &new).await;
    assert_eq!(daemon.metric("source_logins_total").await, Some(3.0));
    daemon.stop().await;
    assert!(world.bao.accessors().await.is_empty());
}

#[tokio::test]
async fn a_policy_that_forbids_one_secret_is_told_and_causes_no_new_tokens() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    world.add_store("forbidden").await;
    let policy = r#"path "secret/data/stores/acme" { capabilities = ["read"] }"#;
    world.bao.put_policy("stores", policy).await;
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("forbidden", "secret_missing", "opened")]);
    assert!(world.receiver.messages()[0].evidence().contains("permission denied"));
    daemon.passes("acme", 3).await;
    assert_eq!(daemon.state("acme").await, "verified");
    assert_eq!(daemon.metric("source_logins_total").await, Some(1.0));
    assert_eq!(world.bao.accessors().await.len(), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_log_in_that_is_refused_is_told_and_tried_again_with_the_files_as_they_are_then() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let secret_id = std::fs::read(world.configuration.secret_id_file()).unwrap();
    std::fs::write(world.configuration.secret_id_file(), "not-the-secret-id").unwrap();
    let daemon = world.daemon().await;
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("", "source_login_refused", "opened")]);
    assert_eq!(world.published("acme"), None);
    std::fs::write(world.configuration.secret_id_file(), secret_id).unwrap();
    world.wait_published("acme", &account).await;
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("", "source_login_refused", "resolved"));
    daemon.stop().await;
}

/// Gives the tokens of the role from now on this lease and this greatest age.
async fn set_lease(world: &World, lease: &str, greatest_age: &str) {
    let role = json!({ "token_policies": ["stores"], "token_ttl": lease, "token_max_ttl": greatest_age });
    world.bao.request("POST", "auth/approle/role/test", Some(role)).await;
}

async fn wait_counted(daemon: &Daemon, series: &str, least: f64) {
    wait_until(&format!("{series} {least}"), async || daemon.metric(series).await.unwrap() >= least).await;
}

async fn no_errors(daemon: &Daemon) {
    for reason in ["forbidden", "login_refused", "missing", "unavailable"] {
        let errors = daemon.metric(&format!("source_errors_total{{reason=\"{reason}\"}}")).await;
        assert_eq!(errors, Some(0.0), "{reason}");
    }
}

#[tokio::test]
async fn a_token_is_renewed_and_replaced_before_it_runs_out_and_no_read_notices() {
    let mut world = World::start().await;
    set_lease(&world, "3s", "6s").await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    wait_counted(&daemon, "source_renewals_total", 1.0).await;
    wait_counted(&daemon, "source_logins_total", 2.0).await;
    daemon.passes("acme", 2).await;
    assert!(world.bao.accessors().await.len() <= 2);
    no_errors(&daemon).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_token_that_became_too_old_for_its_role_is_replaced_and_no_read_notices() {
    let mut world = World::start().await;
    set_lease(&world, "4s", "1h").await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    set_lease(&world, "1s", "1s").await;
    // Renewed at two thirds of its lease, the token is older than a second.
    wait_counted(&daemon, "source_logins_total", 2.0).await;
    set_lease(&world, "1m", "1h").await;
    daemon.passes("acme", 2).await;
    no_errors(&daemon).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_token_that_somebody_else_cares_for_is_read_again_when_it_is_dead_and_never_revoked() {
    let mut world = World::start().await;
    let old = world.add_store("acme").await;
    let token = async || world.bao.create_token(json!({ "policies": ["stores"], "ttl": "1h" })).await;
    let file = world.configuration.home().join("token");
    std::fs::write(&file, token().await).unwrap();
    let approle = format!(
        "[vault.auth.approle]\nrole_id_file = \"{}\"\nsecret_id_file = \"{}\"",
        world.configuration.role_id_file().display(),
        world.configuration.secret_id_file().display()
    );
    let by = format!("[vault.auth.token_file]\npath = \"{}\"", file.display());
    world.configuration.edit(&approle, &by);
    let daemon = world.daemon().await;
    daemon.settled().await;

    // Whoever cares for the token replaces it; the old one dies.
    let given = world.bao.accessors().await;
    std::fs::write(&file, token().await).unwrap();
    world.bao.revoke_accessor(&given[0]).await;
    let new = Account { api_token: world.bigcommerce.regenerate_token("acme"), ..old };
    world.write("acme", &new).await;
    world.wait_published("acme", &new).await;
    daemon.stop().await;
    assert_eq!(world.bao.accessors().await.len(), 1);
}
