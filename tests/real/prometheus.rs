//! A real Prometheus scrapes the daemon: the shipped rules fire and end, its Alertmanager hears of them, the shipped
//! dashboard's questions have answers, and promtool finds nothing to say.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bc_secrets_sync::sandbox::store::Account;
use serde_json::Value;
use tempfile::TempDir;

use super::DEADLINE;
use super::alertmanager::Server as Alertmanager;
use super::support::wait::{wait_until, wait_within};
use super::support::world::World;

/// The families that only a listener with TLS has.
const OF_TLS: [&str; 3] = [
    "bc_secrets_sync_http_certificate_expiry_timestamp_seconds",
    "bc_secrets_sync_http_certificate_last_load_successful",
    "bc_secrets_sync_http_certificate_valid_from_timestamp_seconds",
];

fn shipped(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

/// Runs promtool on a file or on what it is given.
fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}; apt-get install prometheus"));
    // One that reads files closes its input.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

struct Prometheus {
    child: Child,
    home: TempDir,
    address: String,
    client: reqwest::Client,
}

impl Prometheus {
    /// Scrapes the daemon each second, with the shipped rules, and tells the Alertmanager.
    async fn start(daemon: &str, alertmanager: &str) -> Self {
        Self::scraping(&format!("static_configs: [{{targets: ['{daemon}']}}]"), alertmanager).await
    }

    /// Scrapes as one line of a configuration says.
    async fn scraping(how: &str, alertmanager: &str) -> Self {
        bc_secrets_sync::system::crypto::choose();
        let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        let home = tempfile::tempdir().unwrap();
        let (alerts, recording) = (shipped("prometheus/alerts.yml"), shipped("prometheus/recording.yml"));
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{}', '{}']\n\
             alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}\n\
             scrape_configs:\n  - job_name: bc-secrets-sync\n    {how}\n",
            alerts.display(),
            recording.display(),
        );
        let file = home.path().join("prometheus.yml");
        std::fs::write(&file, configuration).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let output = File::create(home.path().join("output")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", home.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            // What fires before it knows of its Alertmanager is told only so much later.
            .arg("--rules.alert.resend-delay=1s")
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error}; apt-get install prometheus"));
        let mut server = Self { child, home, address, client };
        wait_within(DEADLINE, "Prometheus is ready", async || {
            let output = std::fs::read_to_string(server.home.path().join("output")).unwrap();
            assert!(server.child.try_wait().unwrap().is_none(), "Prometheus has ended: {output}");
            let ready = server.client.get(format!("http://{}/-/ready", server.address)).send().await;
            ready.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
        server
    }

    /// Asks its API, and unpacks what it says.
    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let mut url = reqwest::Url::parse(&format!("http://{}/api/v1/{path}", self.address)).unwrap();
        url.query_pairs_mut().extend_pairs(query);
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["status"], "success", "{path} {query:?}: {answer}");
        answer["data"].clone()
    }

    /// The series that an expression has now.
    async fn query(&self, expression: &str) -> Vec<Value> {
        let data = self.get("query", &[("query", expression)]).await;
        data["result"].as_array().unwrap().clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// What the Alertmanager holds as firing: alert and store.
async fn firing(alertmanager: &Alertmanager) -> BTreeSet<(String, String)> {
    let alerts = alertmanager.get("/api/v2/alerts?active=true").await;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let labels = |alert: &Value| (word(&alert["labels"]["alertname"]), word(&alert["labels"]["store"]));
    alerts.as_array().unwrap().iter().map(labels).collect()
}

/// The dashboard's questions, as Grafana would ask them with everything chosen.
fn questions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(expression) = fields.get("expr").and_then(Value::as_str) {
                let mut expression = expression.to_owned();
                for (variable, by) in [
                    ("$__rate_interval", "1m"),
                    ("$__interval", "1m"),
                    ("$job", ".*"),
                    ("$instance", ".*"),
                    ("$store", ".*"),
                ] {
                    expression = expression.replace(variable, by);
                }
                found.push(expression);
            }
            fields.values().for_each(|value| questions(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| questions(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every family that the metrics are written down with.
fn families(text: &str) -> BTreeSet<&str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    lines.collect()
}

#[test]
#[ignore = "needs promtool: ./tests/run --real"]
fn real_promtool_passes_the_shipped_rules_and_their_tests() {
    let file = |name| shipped("prometheus").join(name).display().to_string();
    for arguments in [
        ["check", "rules", &file("alerts.yml")],
        ["check", "rules", &file("recording.yml")],
        ["test", "rules", &file("rules_test.yml")],
    ] {
        let said = promtool(&arguments, "");
        assert!(said.status.success(), "{arguments:?}: {said:?}");
    }
}

#[tokio::test]
#[ignore = "needs Prometheus and Alertmanager: ./tests/run --real"]
async fn real_prometheus_sees_the_life_of_a_token_and_its_alertmanager_hears_of_it() {
    let mut world = World::start().await;
    let old = world.add_store("acme").await;
    let acknowledged = world.configuration.home().join("acknowledged");
    world.configuration.more = format!(
        "[stores.reload]\ncommand = [\"true\"]\nshell = true\nmin_interval = \"0s\"\n\
         [stores.acknowledge]\nfile = \"{}\"\n",
        acknowledged.display()
    );
    let daemon = world.daemon().await;
    daemon.settled().await;
    std::fs::write(&acknowledged, "1").unwrap();

    let alertmanager = Alertmanager::start("127.0.0.1:9").await;
    let prometheus = Prometheus::start(daemon.address(), alertmanager.address()).await;
    let pair = |name: &str, store: &str| (name.to_owned(), store.to_owned());
    let well = BTreeSet::from([pair("BcSecretsSyncWatchdog", "")]);
    let rejected = pair("BcSecretsSyncCredentialsRejected", "acme");
    let until = async |what: &str, expected: &BTreeSet<(String, String)>| {
        let started = Instant::now();
        loop {
            let firing = firing(&alertmanager).await;
            if firing == *expected {
                return;
            }
            let (home, late) = (prometheus.home.path(), started.elapsed() > DEADLINE);
            let output = || std::fs::read_to_string(home.join("output")).unwrap();
            assert!(!late, "not so: {what}, but {firing:?}; Prometheus says: {}", output());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until("the watchdog fires, and nothing else", &well).await;
    wait_within(DEADLINE, "the daemon is scraped", async || {
        let up = prometheus.query("up{job=\"bc-secrets-sync\"} == 1").await;
        (!up.is_empty()).then_some(())
    })
    .await;

    let token = world.bigcommerce.regenerate_token("acme");
    until("the rejection is told", &well.iter().cloned().chain([rejected]).collect()).await;
    let alerts = alertmanager.get("/api/v2/alerts").await;
    let alert = alerts.as_array().unwrap().iter().find(|alert| alert["labels"]["store"] == "acme").unwrap();
    assert_eq!(alert["labels"]["severity"], "critical");
    assert_eq!(alert["annotations"]["summary"], "acme rejects the published credentials.");

    let new = Account { api_token: token, ..old };
    world.write("acme", &new).await;
    world.wait_published("acme", &new).await;
    until("the rejection is over", &well).await;

    wait_until("the app was told and the detection is counted", async || {
        daemon.metric("detection_duration_seconds_count").await == Some(1.0)
            && daemon.metric("publication_delay_seconds_count").await == Some(1.0)
            && daemon.metric("store_reload_runs_total{store=\"acme\",result=\"success\"}").await >= Some(2.0)
            && daemon.metric("alerts_last_success_timestamp_seconds{channel=\"webhook\"}").await.is_some()
    })
    .await;
    let (code, text) = daemon.get("/metrics").await;
    assert_eq!(code, 200);
    let said = promtool(&["check", "metrics"], &text);
    assert!(said.status.success() && said.stdout.is_empty() && said.stderr.is_empty(), "{said:?}");
    // What rules and dashboard are held to without a Prometheus is what a daemon says.
    let golden = include_str!("../../src/observe/metrics/golden.prometheus.txt");
    let (here, written) = (families(&text), families(golden));
    let missing: Vec<_> = here.symmetric_difference(&written).collect();
    // This listener shows no certificate; the test below has one that does.
    assert_eq!(missing, OF_TLS.iter().collect::<Vec<_>>());

    let groups = prometheus.get("rules", &[]).await["groups"].clone();
    let mut rules = 0;
    for rule in groups.as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()) {
        assert_eq!(rule["health"], "ok", "{rule}");
        rules += 1;
    }
    assert!(rules >= 25, "{rules}");
    let dashboard = std::fs::read_to_string(shipped("grafana/bc-secrets-sync.json")).unwrap();
    let mut asked = Vec::new();
    questions(&serde_json::from_str(&dashboard).unwrap(), &mut asked);
    assert!(asked.len() > 35);
    for expression in asked {
        // What is empty when all is well.
        if ["!= 0", "> 0", "== 1"].iter().any(|end| expression.contains(end)) {
            prometheus.query(&expression).await;
            continue;
        }
        // A rate has an answer two scrapes after there was something to count.
        wait_within(DEADLINE, &expression, async || {
            (!prometheus.query(&expression).await.is_empty()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
#[ignore = "needs Prometheus: ./tests/run --real"]
async fn real_prometheus_scrapes_over_tls_with_the_token_and_not_without_it() {
    const TOKEN: &str = "scrape-token-0123456789";
    let mut world = World::start().await;
    world.add_store("acme").await;
    let home = world.configuration.home().to_owned();
    let file = |name: &str, text: &str| {
        let path = home.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = world.authority.issue(&[], None).unwrap();
    let (certificate, key) = (file("http.crt", &certificate), file("http.key", &key));
    let (ca, token) = (file("http-ca.pem", world.authority.ca_pem()), file("http-token", TOKEN));
    let wrong = file("wrong-token", "another-token-0123456789");
    let listen = "listen = \"127.0.0.1:0\"";
    world.configuration.edit(listen, &format!("{listen}\ntoken_file = \"{token}\"\nopen = []"));
    world.configuration.more =
        format!("\n[http.tls]\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"\n");
    let daemon = world.daemon().await;
    let scrape = |token: &str| {
        let target = format!("static_configs: [{{targets: ['{}']}}]", daemon.address());
        let tls = format!("scheme: https\n    tls_config: {{ca_file: '{ca}'}}");
        format!("{target}\n    {tls}\n    authorization: {{credentials_file: '{token}'}}")
    };
    for (token, up) in [(&token, "1"), (&wrong, "0")] {
        let prometheus = Prometheus::scraping(&scrape(token), "127.0.0.1:9").await;
        wait_within(DEADLINE, "it was scraped", async || {
            let series = prometheus.query("up{job=\"bc-secrets-sync\"}").await;
            series.first().is_some_and(|series| series["value"][1] == up).then_some(())
        })
        .await;
        let targets = prometheus.get("targets", &[]).await;
        let error = targets["activeTargets"][0]["lastError"].to_string();
        assert_eq!(error.contains("401 Unauthorized"), up == "0", "{error}");
        if up == "0" {
            continue;
        }
        for family in OF_TLS {
            wait_within(DEADLINE, "its metrics are there", async || {
                (!prometheus.query(&format!("{family} > 0")).await.is_empty()).then_some(())
            })
            .await;
        }
    }
}
