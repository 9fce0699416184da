//! Faults of Vault and of what is on the way to it: told rightly, bounded, healed without a restart, and what is
//! published stays untouched throughout.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bc_secrets_sync::sandbox::store::Account;
use rustix::process::Signal;
use serde_json::json;

use crate::support::between::{Between, Treatment};
use crate::support::daemon::Daemon;
use crate::support::files::{Entry, listing};
use crate::support::openbao::{OpenBao, shipped_policy};
use crate::support::wait::{wait_until, wait_within};
use crate::support::world::{World, about};

/// Waits until the status says that the source does not work, with this in the words.
async fn wait_fault(daemon: &Daemon, words: &str) {
    wait_until(&format!("the source fails: {words}"), async || {
        let source = daemon.status().await["source"].clone();
        source["up"] == false && source["error"].as_str().is_some_and(|error| error.contains(words))
    })
    .await;
}

async fn wait_works(daemon: &Daemon) {
    // Tries grow apart, and an election takes its time.
    wait_within(Duration::from_secs(40), "the source works", async || {
        (daemon.metric("source_up").await == Some(1.0)).then_some(())
    })
    .await;
}

fn published(world: &World) -> BTreeMap<PathBuf, Entry> {
    listing(&world.configuration.output)
}

/// A new token is found and published, so all is well; and then what it took the place of is swept.
async fn rotate(daemon: &Daemon, world: &World, store: &str, old: Account) -> Account {
    let new = Account { api_token: world.bigcommerce.regenerate_token(store), ..old };
    let version = world.write(store, &new).await;
    world.wait_published(store, &new).await;
    wait_until("it is known to be published", async || {
        daemon.store(store).await["published"]["version"] == version
    })
    .await;
    new
}

#[tokio::test]
async fn a_server_that_is_killed_and_comes_back_sealed_is_used_again_with_the_same_token() {
    let mut world = World::around(OpenBao::start_with_raft(None).await).await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = published(&world);
    let accessors = world.bao.accessors().await;

    world.bao.kill();
    wait_fault(&daemon, "connection refused").await;
    daemon.checked("acme", 2).await;
    world.bao.start_again().await;
    wait_fault(&daemon, "sealed").await;
    assert_eq!(published(&world), before);

    world.bao.unseal().await;
    wait_works(&daemon).await;
    assert_eq!(published(&world), before);
    rotate(&daemon, &world, "acme", account).await;
    assert_eq!(daemon.metric("source_logins_total").await, Some(1.0), "the token has survived as well");
    assert_eq!(world.bao.accessors().await, accessors);
    daemon.stop().await;
}

#[tokio::test]
#[ignore = "waits for the two minutes after which an outage is an incident"]
async fn real_outages_are_told_after_two_minutes_and_are_over_when_the_server_is_unsealed() {
    let mut world = World::around(OpenBao::start_with_raft(None).await).await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = published(&world);
    world.bao.kill();
    let began = std::time::Instant::now();
    wait_within(Duration::from_secs(150), "the outage is told", async || {
        (world.receiver.messages().len() == 1).then_some(())
    })
    .await;
    assert!(began.elapsed() > Duration::from_secs(115), "a short outage is no incident");
    assert_eq!(world.told(), [about("", "source_unavailable", "opened")]);
    let evidence = world.receiver.messages()[0].evidence();
    assert!(evidence.contains("connection refused"), "{evidence}");
    world.bao.start_again().await;
    world.bao.unseal().await;
    world.bao.wait_active().await;
    // By itself it asks once a minute by now.
    daemon.signal(Signal::USR1);
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("", "source_unavailable", "resolved"));
    assert_eq!(published(&world), before);
    assert_eq!(daemon.metric("source_logins_total").await, Some(2.0), "the lease was a minute");
    daemon.stop().await;
}

#[tokio::test]
async fn a_leader_that_dies_is_survived_through_a_member_that_stays() {
    let leader = OpenBao::start_with_raft(None).await;
    leader.hasten_voters().await;
    let (member, _third) = tokio::join!(leader.join("two"), leader.join("three"));
    let mut world = World::around(leader).await;
    member.address().clone_into(&mut world.configuration.vault);
    // Renewals and log-ins are the leader's business: a lease that ends soon shows that they are done again.
    let role = json!({ "token_policies": ["stores"], "token_ttl": "8s", "token_max_ttl": "1h" });
    world.bao.request("POST", "auth/approle/role/test", Some(role)).await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = published(&world);
    let renewals = daemon.metric("source_renewals_total").await.unwrap();

    drop(std::mem::replace(&mut world.bao, member));
    wait_within(Duration::from_secs(50), "renewed or replaced by the new leader", async || {
        let done = daemon.metric("source_renewals_total").await.unwrap()
            + daemon.metric("source_logins_total").await.unwrap();
        (done > renewals + 1.0 && daemon.metric("source_up").await == Some(1.0)).then_some(())
    })
    .await;
    assert_eq!(published(&world), before);
    rotate(&daemon, &world, "acme", account).await;
    assert!(world.bao.accessors().await.len() <= 2);
    daemon.stop().await;
}

#[tokio::test]
async fn a_policy_that_is_taken_away_and_given_back_costs_no_token_and_no_file() {
    let mut world = World::start().await;
    let acme = world.add_store("acme").await;
    world.add_store("other").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = published(&world);
    let accessors = world.bao.accessors().await;

    world.bao.put_policy("stores", r#"path "secret/data/elsewhere" { capabilities = ["read"] }"#).await;
    world.wait_messages(2).await;
    let mut told = world.told();
    told.sort();
    assert_eq!(told, ["acme", "other"].map(|store| about(store, "secret_missing", "opened")));
    assert!(world.receiver.messages()[0].evidence().contains("permission denied"));
    assert_eq!(daemon.metric("source_up").await, Some(1.0), "the token works: it is not the log-in");
    daemon.checked("acme", 3).await;
    assert_eq!(published(&world), before);
    assert_eq!(daemon.metric("source_logins_total").await, Some(1.0));

    world.bao.put_policy("stores", &shipped_policy("stores")).await;
    world.wait_messages(4).await;
    assert!(world.told()[2..].iter().all(|told| told.2 == "resolved"), "{:?}", world.told());
    assert_eq!(published(&world), before);
    rotate(&daemon, &world, "acme", acme).await;
    assert_eq!(world.bao.accessors().await, accessors, "neither was a token made nor one given up");
    daemon.stop().await;
}

#[tokio::test]
async fn a_wrong_secret_id_is_told_when_the_token_dies_and_the_right_one_heals_it() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = published(&world);
    let right = std::fs::read(world.configuration.secret_id_file()).unwrap();

    std::fs::write(world.configuration.secret_id_file(), "no-such-secret-id").unwrap();
    world.bao.revoke_accessor(&world.bao.accessors().await[0]).await;
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("", "source_login_refused", "opened")]);
    let message = world.receiver.messages()[0].clone();
    assert!(message.evidence().contains("invalid role or secret ID"), "{}", message.evidence());
    assert!(world.bao.accessors().await.is_empty());
    assert_eq!(published(&world), before);

    std::fs::write(world.configuration.secret_id_file(), right).unwrap();
    world.wait_messages(2).await;
    assert_eq!(world.told()[1], about("", "source_login_refused", "resolved"));
    assert_eq!(published(&world), before);
    rotate(&daemon, &world, "acme", account).await;
    assert_eq!(world.bao.accessors().await.len(), 1);
    daemon.stop().await;
}

/// A token that was given to the daemon, and ends after this long.
async fn give(world: &World, ttl: &str) -> String {
    let token = json!({ "policies": ["stores"], "ttl": ttl, "renewable": false });
    let token = world.bao.create_token(token).await;
    let file = world.configuration.home().join("token");
    std::fs::write(world.configuration.home().join("token-aside"), &token).unwrap();
    std::fs::rename(world.configuration.home().join("token-aside"), &file).unwrap();
    token
}

#[tokio::test]
async fn a_given_token_that_runs_out_is_told_while_it_works_and_the_next_one_is_taken() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    give(&world, "12s").await;
    let approle = format!(
        "[vault.auth.approle]\nrole_id_file = \"{}\"\nsecret_id_file = \"{}\"",
        world.configuration.role_id_file().display(),
        world.configuration.secret_id_file().display()
    );
    let file = world.configuration.home().join("token");
    world.configuration.edit(&approle, &format!("[vault.auth.token_file]\npath = \"{}\"", file.display()));
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = published(&world);
    world.wait_messages(1).await;
    assert_eq!(world.told(), [about("", "source_token_expiring", "opened")]);
    let expires = daemon.status().await["source"]["token_expires_at"].as_str().unwrap().to_owned();
    let message = world.receiver.messages()[0].clone();
    assert!(message.evidence().contains(&expires[..18]), "{expires}: {}", message.evidence());

    give(&world, "1h").await;
    world.wait_messages(2).await;
    wait_until("all is resolved", async || daemon.status().await["incidents"].as_array().unwrap().is_empty())
        .await;
    assert!(world.told().contains(&about("", "source_token_expiring", "resolved")));
    assert_eq!(published(&world), before);
    rotate(&daemon, &world, "acme", account).await;
    daemon.stop().await;
    wait_until("the tokens that are no longer used have ended", async || {
        world.bao.accessors().await.len() == 1
    })
    .await;
}

#[tokio::test]
async fn batch_tokens_are_replaced_before_they_end_and_no_read_notices() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let role = json!({ "token_policies": ["stores"], "token_ttl": "3s", "token_type": "batch" });
    world.bao.request("POST", "auth/approle/role/test", Some(role)).await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = published(&world);
    wait_until("logged in three times", async || daemon.metric("source_logins_total").await.unwrap() >= 3.0)
        .await;
    assert_eq!(daemon.metric("source_renewals_total").await, Some(0.0));
    assert_eq!(daemon.metric("source_errors_total{reason=\"forbidden\"}").await, Some(0.0));
    assert!(world.bao.accessors().await.is_empty(), "batch tokens are nothing that the server keeps");
    assert_eq!(published(&world), before);
    rotate(&daemon, &world, "acme", account).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_periodic_token_is_renewed_for_as_long_as_it_takes() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let role = json!({ "token_policies": ["stores"], "token_period": "2s", "token_max_ttl": "0" });
    world.bao.request("POST", "auth/approle/role/test", Some(role)).await;
    let daemon = world.daemon().await;
    wait_until("renewed five times", async || daemon.metric("source_renewals_total").await.unwrap() >= 5.0)
        .await;
    assert_eq!(daemon.metric("source_logins_total").await, Some(1.0));
    assert_eq!(world.bao.accessors().await.len(), 1);
    daemon.stop().await;
}

/// The greatest memory of a process so far, in bytes.
fn peak_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// The faults, each with what is said of it, come one after the other and go away again.
async fn strike(cases: Vec<(&str, Treatment)>) {
    let mut world = World::start().await;
    let between = Between::start(world.bao.address()).await;
    let direct = std::mem::replace(&mut world.configuration.vault, between.address().to_owned());
    assert_eq!(direct, world.bao.address());
    let mut account = world.add_store("acme").await;
    world.configuration.edit("timeout = \"5s\"\n\n[vault", "timeout = \"1s\"\n\n[vault");
    let daemon = world.daemon().await;
    daemon.settled().await;
    let memory = peak_memory(daemon.pid());
    let accessors = world.bao.accessors().await;
    for (words, treatment) in cases {
        let before = published(&world);
        let (asked, given) = (between.requests().len(), between.written());
        between.treat("", treatment);
        wait_fault(&daemon, words).await;
        daemon.checked("acme", 3).await;
        let (asked, given) = (between.requests().len() - asked, between.written() - given);
        // Three seconds and more, at a read a second, one to begin with and backoffs that grow from one.
        assert!(asked <= 12, "{words}: {asked} requests");
        // Most of it is what the kernel holds for a connection.
        assert!(given <= asked * 16 * 1024 * 1024, "{words}: {given} bytes");
        assert_eq!(published(&world), before, "{words}");
        between.treat("", Treatment::Pass);
        wait_works(&daemon).await;
        account = rotate(&daemon, &world, "acme", account).await;
    }
    let grown = peak_memory(daemon.pid()).saturating_sub(memory);
    assert!(grown < 24 * 1024 * 1024, "{grown} bytes more");
    assert_eq!(world.bao.accessors().await, accessors, "no token was given up for it");
    daemon.stop().await;
}

#[tokio::test]
async fn answers_that_are_cut_or_false_cost_little_and_are_forgotten_when_they_end() {
    let html = b"HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\n<html>Please log in here</html>".to_vec();
    let error = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec();
    strike(vec![
        ("the connection broke off", Treatment::Cut),
        ("the connection broke off", Treatment::Say(Vec::new())),
        ("not what Vault answers", Treatment::Say(html)),
        ("unavailable (502", Treatment::Say(error)),
    ])
    .await;
}

#[tokio::test]
async fn answers_that_are_long_or_endless_cost_little_and_are_forgotten_when_they_end() {
    let open = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n{\"data\":\"".to_vec();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n{\"data\":\"".to_vec();
    strike(vec![
        ("more than 1048576 bytes", Treatment::Long(open.clone(), 100_000_000)),
        ("more than 1048576 bytes", Treatment::Long(chunked, 200_000_000)),
        ("timed out", Treatment::Drip(open)),
        ("timed out", Treatment::Drip(b"HTTP/1.1 200 OK\r\nX: ".to_vec())),
    ])
    .await;
}

#[tokio::test]
async fn log_ins_whose_answers_get_lost_leave_as_many_tokens_as_there_were_tries() {
    let mut world = World::start().await;
    let between = Between::start(world.bao.address()).await;
    between.address().clone_into(&mut world.configuration.vault);
    let account = world.add_store("acme").await;
    between.treat("/login", Treatment::Cut);
    let daemon = world.daemon().await;
    wait_until("four tokens that nobody knows", async || world.bao.accessors().await.len() >= 4).await;
    wait_fault(&daemon, "its answer got lost").await;
    let tries = between.requests().iter().filter(|line| line.contains("/login")).count();
    assert_eq!(tries, world.bao.accessors().await.len(), "{:?}", between.requests());
    assert_eq!(tries, between.requests().len(), "nothing else is asked without a token");
    assert!(tries <= 6, "{tries}: they wait 1, 2, 4 and 8 seconds");

    between.treat("", Treatment::Pass);
    world.wait_published("acme", &account).await;
    let accessors = world.bao.accessors().await.len();
    daemon.passes("acme", 3).await;
    assert_eq!(world.bao.accessors().await.len(), accessors, "now there is one for all");
    daemon.stop().await;
    assert_eq!(world.bao.accessors().await.len(), accessors - 1, "of the others, each ends with its lease");
}

#[tokio::test]
async fn a_server_that_limits_requests_is_left_alone_for_as_long_as_it_says() {
    let mut world = World::start().await;
    let between = Between::start(world.bao.address()).await;
    between.address().clone_into(&mut world.configuration.vault);
    let account = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let before = published(&world);
    // The quota and the header are the server's own: one request in five seconds.
    let (status, _) = world
        .bao
        .try_request(
            world.bao.root_token(),
            "POST",
            "sys/quotas/config",
            Some(json!({ "enable_rate_limit_response_headers": true })),
        )
        .await;
    assert_eq!(status, 204);
    let quota = json!({ "path": "secret/", "rate": 1, "interval": "5s" });
    world.bao.request("POST", "sys/quotas/rate-limit/stores", Some(quota)).await;
    wait_fault(&daemon, "asks to be left alone").await;
    let asked = between.requests().len();
    daemon.checked("acme", 2).await;
    assert!(between.requests().len() - asked <= 2, "{:?}", &between.requests()[asked..]);
    assert_eq!(published(&world), before);
    world.bao.request("DELETE", "sys/quotas/rate-limit/stores", None).await;
    wait_works(&daemon).await;
    rotate(&daemon, &world, "acme", account).await;
    daemon.stop().await;
}
