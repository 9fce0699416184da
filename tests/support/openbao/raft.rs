//! A server that keeps what it has on the disk, over `kill -9` too, alone or with others in a cluster.

use std::fmt::Write as _;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{DEADLINE, OpenBao, binary, client};

/// What a server with TLS shows; both in PEM.
#[derive(Clone)]
pub(crate) struct ServerCertificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl OpenBao {
    /// Starts a server with raft storage, makes it ready for use, and mounts KV version 2 at `secret/`.
    pub(crate) async fn start_with_raft(certificate: Option<&ServerCertificate>) -> Self {
        let mut server = Self::prepared("one", certificate, None);
        let deadline = Instant::now() + DEADLINE;
        server.wait(deadline, "sys/init", &[200]).await;
        let body = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let answer = server.request("POST", "sys/init", Some(body)).await;
        answer["root_token"].as_str().unwrap().clone_into(&mut server.root_token);
        server.unseal_key = Some(answer["keys"][0].as_str().unwrap().to_owned());
        server.unseal().await;
        server.wait(deadline, "sys/health", &[200]).await;
        server.request("POST", "sys/mounts/secret", Some(json!({ "type": "kv-v2" }))).await;
        server.wait(deadline, "secret/config", &[200]).await;
        server
    }

    /// Starts another member of its cluster, which may become the leader.
    pub(crate) async fn join(&self, name: &str) -> Self {
        let deadline = Instant::now() + DEADLINE;
        let mut member = Self::prepared(name, None, Some(&self.address));
        member.root_token.clone_from(&self.root_token);
        member.unseal_key.clone_from(&self.unseal_key);
        // It has to hear of the others before it can be unsealed.
        loop {
            member.wait(deadline, "sys/seal-status", &[200]).await;
            let body = json!({ "key": member.unseal_key });
            let (_, answer) = member.try_request("", "POST", "sys/unseal", Some(body)).await;
            if answer["sealed"] == false {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        member.wait(deadline, "sys/health", &[429, 473]).await;
        loop {
            let answer = self.request("GET", "sys/storage/raft/configuration", None).await;
            let servers = answer["data"]["config"]["servers"].as_array().unwrap();
            if servers.iter().any(|server| server["node_id"] == name && server["voter"] == true) {
                return member;
            }
            assert!(Instant::now() < deadline, "{name} does not become a voter: {answer}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Lets those who join soon take part in elections at once.
    pub(crate) async fn hasten_voters(&self) {
        let body = json!({ "server_stabilization_time": "1s" });
        self.request("POST", "sys/storage/raft/autopilot/configuration", Some(body)).await;
    }

    /// Starts a server that was killed again, with what it has on the disk: sealed, as after any start.
    pub(crate) async fn start_again(&mut self) {
        self.kill();
        self.child = launch(self.home.path());
        self.wait(Instant::now() + DEADLINE, "sys/seal-status", &[200]).await;
    }

    /// Waits until the server leads its cluster.
    pub(crate) async fn wait_active(&self) {
        self.wait(Instant::now() + DEADLINE, "sys/health", &[200]).await;
    }

    /// Shows another certificate from now on, without a restart.
    pub(crate) fn show(&self, certificate: &ServerCertificate) {
        write_certificate(self.home.path(), certificate);
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
    }

    /// A server that has just been started and knows nothing.
    fn prepared(name: &str, certificate: Option<&ServerCertificate>, leader: Option<&str>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (api, cluster) = (port(), port());
        let at = home.path().display();
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://127.0.0.1:{api}");
        let tls = match certificate {
            Some(certificate) => {
                write_certificate(home.path(), certificate);
                format!("tls_cert_file = \"{at}/chain.pem\"\n  tls_key_file = \"{at}/key.pem\"")
            }
            None => "tls_disable = true".to_owned(),
        };
        let mut text = format!("storage \"raft\" {{\n  path = \"{at}/raft\"\n  node_id = \"{name}\"\n");
        // An election takes as little time as it can.
        text += "  performance_multiplier = 1\n";
        if let Some(leader) = leader {
            writeln!(text, "  retry_join {{ leader_api_addr = \"{leader}\" }}").unwrap();
        }
        write!(
            text,
            "}}\nlistener \"tcp\" {{\n  address = \"127.0.0.1:{api}\"\n  cluster_address = \"127.0.0.1:{cluster}\"\n  \
             {tls}\n}}\napi_addr = \"{address}\"\ncluster_addr = \"https://127.0.0.1:{cluster}\"\n\
             disable_mlock = true\n"
        )
        .unwrap();
        std::fs::create_dir(home.path().join("raft")).unwrap();
        std::fs::write(home.path().join("server.hcl"), text).unwrap();
        let child = launch(home.path());
        Self { child, home, address, root_token: String::new(), client: client(), unseal_key: None }
    }

    async fn wait(&self, deadline: Instant, path: &str, statuses: &[u16]) {
        loop {
            let url = format!("{}/v1/{path}", self.address);
            let answer = self.client.get(url).header("X-Vault-Token", &self.root_token).send().await;
            let found = answer.map(|answer| answer.status().as_u16());
            if found.as_ref().is_ok_and(|status| statuses.contains(status)) {
                return;
            }
            assert!(Instant::now() < deadline, "{path}: {found:?}: {}", self.output());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The lease of each token that lives, as its accessor tells it.
    pub(crate) async fn look_up_accessor(&self, accessor: &str) -> Value {
        let body = json!({ "accessor": accessor });
        self.request("POST", "auth/token/lookup-accessor", Some(body)).await
    }
}

fn write_certificate(home: &Path, certificate: &ServerCertificate) {
    std::fs::write(home.join("chain.pem"), &certificate.chain).unwrap();
    std::fs::write(home.join("key.pem"), &certificate.key).unwrap();
}

fn launch(home: &Path) -> std::process::Child {
    let output = File::options().create(true).append(true).open(home.join("output")).unwrap();
    Command::new(binary())
        .arg("server")
        .arg(format!("-config={}", home.join("server.hcl").display()))
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap()
}
