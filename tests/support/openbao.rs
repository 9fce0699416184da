//! A real OpenBao (or Vault) for one test: started in memory on a free port, and killed when it is dropped.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod raft;

use std::ffi::OsString;
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Names the binary of the server.
const BINARY: &str = "BC_SECRETS_SYNC_TEST_VAULT";

/// The script that sets up a server for the daemon.
pub(crate) const SET_UP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/vault/setup");

/// The policy that the script gives the daemon, for secrets below `secret/PREFIX/`.
pub(crate) fn shipped_policy(prefix: &str) -> String {
    let printed = Command::new(SET_UP).args(["--print-policy", "--prefix", prefix]).output().unwrap();
    assert!(printed.status.success(), "{printed:?}");
    String::from_utf8(printed.stdout).unwrap()
}

/// How long the server may take to start; far more than it does on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server in development mode: unsealed, KV version 2 at `secret/`, everything in memory.
pub(crate) struct OpenBao {
    child: Child,
    home: TempDir,
    address: String,
    root_token: String,
    client: Client,
    /// None: it has printed it.
    unseal_key: Option<String>,
}

/// What AppRole asks for.
pub(crate) struct AppRole {
    pub(crate) role_id: String,
    pub(crate) secret_id: String,
}

impl OpenBao {
    /// Starts a server with plain HTTP on loopback.
    pub(crate) async fn start() -> Self {
        Self::start_on("127.0.0.1", "http").await
    }

    /// Starts a server with a certificate of its own for `localhost` and 127.0.0.1, on that address or on
    /// another one of loopback.
    pub(crate) async fn start_with_tls(host: &str) -> Self {
        Self::start_on(host, "https").await
    }

    async fn start_on(host: &str, scheme: &str) -> Self {
        let binary = binary();
        let started = Instant::now();
        loop {
            // Somebody else can take the port before the server does: then another one is tried.
            let port = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap().port();
            let home = tempfile::tempdir().unwrap();
            let output = File::create(home.path().join("output")).unwrap();
            let root_token = format!("root-{}-{port}", std::process::id());
            let mut command = Command::new(&binary);
            command
                .args(["server", "-dev", "-dev-no-store-token"])
                .arg(format!("-dev-root-token-id={root_token}"))
                .arg(format!("-dev-listen-address={host}:{port}"));
            if scheme == "https" {
                command.arg("-dev-tls").arg(format!("-dev-tls-cert-dir={}", home.path().display()));
            }
            let child = command
                .env_clear()
                .env("HOME", home.path())
                .stdin(Stdio::null())
                .stdout(output.try_clone().unwrap())
                .stderr(output)
                .spawn()
                .unwrap_or_else(|error| panic!("{BINARY} names {}: {error}", binary.display()));
            let address = format!("{scheme}://{host}:{port}");
            let mut server = Self { child, home, address, root_token, client: client(), unseal_key: None };
            if server.is_ready(started + DEADLINE).await {
                return server;
            }
            assert!(started.elapsed() < DEADLINE, "the server did not start: {}", server.output());
        }
    }

    /// Waits until the server answers for the root token, which only ours knows; `false` when it ended.
    async fn is_ready(&mut self, deadline: Instant) -> bool {
        while Instant::now() < deadline && self.child.try_wait().unwrap().is_none() {
            let url = format!("{}/v1/secret/config", self.address);
            let request = self.client.get(url).header("X-Vault-Token", &self.root_token);
            if request.send().await.is_ok_and(|answer| answer.status() == 200) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// The server's address, without `/v1`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A token that may do everything.
    pub(crate) fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The certificate of the authority that signed the server's own.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.home.path().join("vault-ca.pem")
    }

    /// Everything that the server has printed.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(self.home.path().join("output")).unwrap()
    }

    /// Sends a request as root and returns the JSON of the answer, which must be a success. `path` begins
    /// after `/v1/` and is sent as it is.
    pub(crate) async fn request(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.try_request(&self.root_token, method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Sends a request with a token and returns the status and the JSON of the answer.
    pub(crate) async fn try_request(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}/v1/{path}", self.address);
        let mut request = self.client.request(method, url).header("X-Vault-Token", token);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Sends a request as root whose answer is wrapped, and returns the token that it is wrapped in.
    pub(crate) async fn wrapped(&self, method: &str, path: &str) -> String {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}/v1/{path}", self.address));
        let request = request.header("X-Vault-Token", &self.root_token).header("X-Vault-Wrap-TTL", "1m");
        let answer: Value =
            serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        answer["wrap_info"]["token"].as_str().unwrap().to_owned()
    }

    /// Writes a new version of a secret below `secret/` and returns its number.
    pub(crate) async fn write_secret(&self, path: &str, fields: Value) -> u64 {
        let answer =
            self.request("POST", &format!("secret/data/{path}"), Some(json!({ "data": fields }))).await;
        answer["data"]["version"].as_u64().unwrap()
    }

    /// Deletes the newest version of a secret.
    pub(crate) async fn delete_secret(&self, path: &str) {
        self.request("DELETE", &format!("secret/data/{path}"), None).await;
    }

    /// Destroys a version of a secret.
    pub(crate) async fn destroy_secret(&self, path: &str, version: u64) {
        let body = json!({ "versions": [version] });
        self.request("PUT", &format!("secret/destroy/{path}"), Some(body)).await;
    }

    /// Deletes a secret with all its versions, as if it had never been written.
    pub(crate) async fn forget_secret(&self, path: &str) {
        self.request("DELETE", &format!("secret/metadata/{path}"), None).await;
    }

    /// Writes a policy.
    pub(crate) async fn put_policy(&self, name: &str, rules: &str) {
        let body = json!({ "policy": rules });
        self.request("PUT", &format!("sys/policies/acl/{name}"), Some(body)).await;
    }

    /// Mounts AppRole at `approle/` and makes a role with this policy, whose tokens live for a minute and can
    /// be renewed for an hour.
    pub(crate) async fn enable_approle(&self, policy: &str) -> AppRole {
        self.request("POST", "sys/auth/approle", Some(json!({ "type": "approle" }))).await;
        let role = json!({ "token_policies": [policy], "token_ttl": "60s", "token_max_ttl": "1h" });
        self.request("POST", "auth/approle/role/test", Some(role)).await;
        let role_id = self.request("GET", "auth/approle/role/test/role-id", None).await;
        let secret_id = self.request("POST", "auth/approle/role/test/secret-id", None).await;
        AppRole {
            role_id: role_id["data"]["role_id"].as_str().unwrap().to_owned(),
            secret_id: secret_id["data"]["secret_id"].as_str().unwrap().to_owned(),
        }
    }

    /// Makes a token; `parameters` are those of `auth/token/create`.
    pub(crate) async fn create_token(&self, parameters: Value) -> String {
        let answer = self.request("POST", "auth/token/create", Some(parameters)).await;
        answer["auth"]["client_token"].as_str().unwrap().to_owned()
    }

    /// The accessors of all living tokens but the root token's own.
    pub(crate) async fn accessors(&self) -> Vec<String> {
        let own = self.request("GET", "auth/token/lookup-self", None).await;
        let all = self.request("LIST", "auth/token/accessors", None).await;
        let all = all["data"]["keys"].as_array().unwrap().iter();
        let all = all.filter(|accessor| **accessor != own["data"]["accessor"]);
        all.map(|accessor| accessor.as_str().unwrap().to_owned()).collect()
    }

    /// Revokes the token with this accessor.
    pub(crate) async fn revoke_accessor(&self, accessor: &str) {
        let body = json!({ "accessor": accessor });
        self.request("POST", "auth/token/revoke-accessor", Some(body)).await;
    }

    /// Runs `deploy/vault/setup` against this server, as root.
    pub(crate) fn set_up(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(SET_UP);
        command.arg("--cli").arg(std::env::var_os(BINARY).unwrap()).args(arguments);
        command.env_clear().env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin");
        for name in ["BAO", "VAULT"] {
            command.env(format!("{name}_ADDR"), &self.address).env(format!("{name}_TOKEN"), &self.root_token);
        }
        command.output().unwrap()
    }

    /// Kills the server: from now on connections are refused, and what it held is lost.
    pub(crate) fn kill(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }

    /// Seals the server: from now on it answers 503.
    pub(crate) async fn seal(&self) {
        self.request("POST", "sys/seal", None).await;
    }

    /// Unseals it.
    pub(crate) async fn unseal(&self) {
        let output = self.output();
        let printed = output.lines().find_map(|line| line.strip_prefix("Unseal Key: "));
        let key = self.unseal_key.as_deref().or(printed).unwrap();
        let answer = self.request("POST", "sys/unseal", Some(json!({ "key": key.trim() }))).await;
        assert_eq!(answer["sealed"], false);
    }
}

fn binary() -> OsString {
    let Some(binary) = std::env::var_os(BINARY) else {
        panic!("{BINARY} must name a `bao` or `vault` binary; ./tests/run finds one and sets it");
    };
    binary
}

/// Our own, which believes whatever certificate it is shown.
fn client() -> Client {
    bc_secrets_sync::system::crypto::choose();
    Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        self.kill();
    }
}
