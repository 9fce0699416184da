//! Through a real Agent: tokens that its cache or its own log-in gives to others too are not ours to revoke.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bc_secrets_sync::config::Auth;
use bc_secrets_sync::vault::Vault;
use serde_json::json;

use super::support::openbao::OpenBao;
use super::support::wait::wait_until;
use super::{POLICY, approle, config, read};

/// A running `bao agent`; killed when it is dropped.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn start(directory: &Path, text: &str) -> Agent {
    let file = directory.join("agent.hcl");
    std::fs::write(&file, text).unwrap();
    let output = File::create(directory.join("agent.log")).unwrap();
    let child = Command::new(std::env::var_os("BC_SECRETS_SYNC_TEST_VAULT").unwrap())
        .arg("agent")
        .arg(format!("-config={}", file.display()))
        .env_clear()
        .env("HOME", directory)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    Agent(child)
}

/// A server with a role, and a client that logs in at this address with it once somebody listens there.
async fn logged_in(address: &str, auth: Auth) -> Vault {
    let vault = Vault::new(&config(address, auth)).unwrap();
    wait_until("logged in through the agent", async || vault.log_in().await.is_ok()).await;
    vault
}

#[tokio::test]
async fn a_token_out_of_the_cache_of_an_agent_stays_for_the_others_who_have_it() {
    let server = OpenBao::start().await;
    let directory = tempfile::tempdir().unwrap();
    server.put_policy("stores", POLICY).await;
    let role = server.enable_approle("stores").await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "vault {{\n  address = \"{}\"\n}}\ncache {{}}\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  \
         tls_disable = true\n}}\n",
        server.address()
    );
    let _agent = start(directory.path(), &text);
    let address = format!("http://127.0.0.1:{port}");
    let first = logged_in(&address, approle(directory.path(), &role)).await;
    let second = logged_in(&address, approle(directory.path(), &role)).await;
    assert_eq!(server.accessors().await.len(), 1, "both have the same token");
    first.revoke().await;
    assert_eq!(server.accessors().await.len(), 1);
    read(&second, "stores/a").await.unwrap();

    // Without an agent it is ours alone.
    let direct = logged_in(server.address(), approle(directory.path(), &role)).await;
    assert_eq!(server.accessors().await.len(), 2);
    direct.revoke().await;
    assert_eq!(server.accessors().await.len(), 1);
}

#[tokio::test]
async fn an_agent_that_puts_its_own_token_into_requests_keeps_it() {
    let server = OpenBao::start().await;
    let directory = tempfile::tempdir().unwrap();
    server.put_policy("stores", POLICY).await;
    let role = server.enable_approle("stores").await;
    server.write_secret("stores/a", json!({ "username": "u" })).await;
    let (at, socket) = (directory.path().display(), directory.path().join("agent.sock"));
    let text = format!(
        "vault {{\n  address = \"{}\"\n}}\napi_proxy {{\n  use_auto_auth_token = \"force\"\n}}\n\
         listener \"unix\" {{\n  address = \"{}\"\n  tls_disable = true\n}}\nauto_auth {{\n  method \"approle\" {{\n    \
         config = {{\n      role_id_file_path = \"{at}/role-id\"\n      secret_id_file_path = \"{at}/secret-id\"\n      \
         remove_secret_id_file_after_reading = false\n    }}\n  }}\n}}\n",
        server.address(),
        socket.display()
    );
    let auth = approle(directory.path(), &role);
    let _agent = start(directory.path(), &text);
    wait_until("the agent has a token", async || server.accessors().await.len() == 1).await;
    let vault = logged_in(&format!("unix://{}", socket.display()), auth).await;
    read(&vault, "stores/a").await.unwrap();
    let before = server.accessors().await;
    assert_eq!(before.len(), 2, "the agent's and ours");
    vault.revoke().await;
    assert_eq!(server.accessors().await.len(), 2, "what would have been revoked is the agent's");
}
