//! A real Alertmanager receives, groups and ends what the channel tells it.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bc_secrets_sync::alert::alertmanager::{Alertmanager, Upkeep};
use bc_secrets_sync::alert::ledger::Ledger;
use bc_secrets_sync::config;
use bc_secrets_sync::domain::routing::Route;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::{both_clocks, message};

/// Far more than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(45);

/// Two groups, one for each store, and a receiver that a test plays.
const CONFIGURATION: &str = "\
route:
  receiver: test
  group_by: [store]
  group_wait: 100ms
  group_interval: 1s
  repeat_interval: 1h
receivers:
  - name: test
    webhook_configs:
      - url: http://RECEIVER/
        send_resolved: true
";

/// A running Alertmanager, whose receiver is at an address; ended when it is dropped.
pub(super) struct Server {
    child: Child,
    home: TempDir,
    address: String,
    client: reqwest::Client,
}

impl Server {
    pub(super) async fn start(receiver: &str) -> Self {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("alertmanager.yml");
        std::fs::write(&path, CONFIGURATION.replace("RECEIVER", receiver)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let output = File::create(home.path().join("output")).unwrap();
        let child = Command::new("prometheus-alertmanager")
            .arg("--cluster.listen-address=")
            .arg(format!("--web.listen-address={address}"))
            .arg(format!("--storage.path={}", home.path().join("data").display()))
            .arg(format!("--config.file={}", path.display()))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("prometheus-alertmanager: {error}; apt-get install prometheus-alertmanager")
            });
        let mut server = Self { child, home, address, client };
        let started = Instant::now();
        while server.client.get(server.url("/-/ready")).send().await.is_err() {
            let output = std::fs::read_to_string(server.home.path().join("output")).unwrap();
            let runs = server.child.try_wait().unwrap().is_none();
            assert!(runs && started.elapsed() < DEADLINE, "Alertmanager did not start: {output}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    #[cfg(feature = "demo")]
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let text = self.client.get(self.url(path)).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// The alerts that it holds as active, once they are as many as that.
    async fn alerts(&self, count: usize) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let alerts = self.get("/api/v2/alerts").await;
            let alerts = alerts.as_array().unwrap().clone();
            if alerts.len() == count {
                return alerts;
            }
            assert!(started.elapsed() < DEADLINE, "not {count} alerts: {alerts:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// Takes what the Alertmanager tells on, and says of each whether it fires or is resolved, and of which store.
fn receive(listener: TcpListener) -> mpsc::UnboundedReceiver<(String, String)> {
    let (sender, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            use std::io::{BufRead, BufReader, Write};
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let word = |value: &Value| value.as_str().unwrap().to_owned();
            let news = (word(&body["status"]), word(&body["groupLabels"]["store"]));
            if sender.send(news).is_err() {
                return;
            }
        }
    });
    told
}

fn section(server: &Server) -> config::Alertmanager {
    config::Alertmanager {
        urls: vec![server.url("/").parse().unwrap()],
        resend_interval: Duration::from_secs(1),
        instance: Some("test".to_owned()),
        timeout: Duration::from_secs(10),
        ca_file: None,
        route: Route::everything(),
    }
}

async fn next(told: &mut mpsc::UnboundedReceiver<(String, String)>) -> (String, String) {
    tokio::time::timeout(DEADLINE, told.recv()).await.expect("the Alertmanager told nobody").unwrap()
}

#[tokio::test]
#[ignore = "needs prometheus-alertmanager: ./tests/run --real"]
async fn real_alertmanager_receives_groups_keeps_and_ends_alerts() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = listener.local_addr().unwrap().to_string();
    let mut told = receive(listener);
    let server = Server::start(&receiver).await;
    let state = tempfile::tempdir().unwrap();
    let ledger =
        Ledger::open(state.path(), &[], bc_secrets_sync::domain::time::Timestamp::default()).unwrap();
    let (events, mut reported) = mpsc::channel(64);
    let upkeep = Upkeep {
        name: "alertmanager",
        alertmanager: Alertmanager::new(&section(&server)).unwrap(),
        route: Route::everything(),
        ledger: ledger.clone(),
        events,
        clock: both_clocks,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move { upkeep.run(async { drop(stopped.await) }).await });

    ledger.record(&[message("acme", 1, "opened").into(), message("other", 1, "opened").into()]).unwrap();
    let alerts = server.alerts(2).await;
    let acme = alerts.iter().find(|alert| alert["labels"]["store"] == "acme").unwrap();
    assert_eq!(acme["labels"]["alertname"], "BcSecretsSyncRegeneratedOrRevoked");
    assert_eq!(acme["labels"]["instance"], "test");
    assert_eq!(acme["annotations"]["evidence"], "rejected 3 times in a row (HTTP 401)\n<b> & \"ü\"");
    assert_eq!(acme["status"]["state"], "active");
    let mut news = [next(&mut told).await, next(&mut told).await];
    news.sort();
    let firing = |store: &str| ("firing".to_owned(), store.to_owned());
    assert_eq!(news, [firing("acme"), firing("other")]);
    let groups = server.get("/api/v2/alerts/groups").await;
    assert_eq!(groups.as_array().unwrap().len(), 2, "{groups}");

    // Longer than an alert lives without being sent again, which is four seconds here.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(server.alerts(2).await.len(), 2);
    assert!(told.try_recv().is_err(), "nothing has changed");

    ledger.record(&[message("acme", 2, "resolved").into()]).unwrap();
    assert_eq!(next(&mut told).await, ("resolved".to_owned(), "acme".to_owned()));
    assert_eq!(server.alerts(1).await[0]["labels"]["store"], "other");

    // A daemon that is gone for long: the Alertmanager lets go of the alert by itself.
    drop(stop);
    task.await.unwrap();
    assert_eq!(next(&mut told).await, ("resolved".to_owned(), "other".to_owned()));
    assert_eq!(server.alerts(0).await.len(), 0);
    while let Ok(event) = reported.try_recv() {
        assert_eq!(event.result, Ok(()));
    }
}
