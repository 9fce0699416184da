//! The built binary: as a daemon that is asked over HTTP and sent signals, or run to its end.

#![allow(dead_code, reason = "each test uses a part")]

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::configuration::Configuration;
use super::wait::{DEADLINE, wait_for, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_bc-secrets-sync");

/// A running daemon; killed when it is dropped.
pub(crate) struct Daemon {
    child: Child,
    pid: Pid,
    log: PathBuf,
    output: PathBuf,
    address: String,
    client: reqwest::Client,
}

impl Daemon {
    /// Writes the configuration, starts the daemon and waits until it listens.
    pub(crate) async fn start(configuration: &Configuration) -> Self {
        configuration.write();
        Self::launch(configuration).listening().await
    }

    /// Waits until it listens.
    pub(crate) async fn listening(mut self) -> Self {
        self.address = wait_for("the daemon listens", async || {
            assert_eq!(self.child.try_wait().unwrap(), None, "the daemon ended: {}", self.log_text());
            let lines = self.log();
            let line = lines.iter().find(|line| line["message"] == "listening")?;
            Some(line["address"].as_str().unwrap().to_owned())
        })
        .await;
        self
    }

    /// Starts the daemon with the configuration as it is on the disk, and waits for nothing.
    pub(crate) fn launch(configuration: &Configuration) -> Self {
        let started = (0..).find(|number| !log_file(configuration, *number).exists()).unwrap();
        let log = log_file(configuration, started);
        let output = configuration.home().join(format!("stdout-{started}"));
        let config = configuration.file();
        let child = command(configuration.home(), ["run".as_ref(), "--config".as_ref(), config.as_os_str()])
            .envs(configuration.environment.iter().map(|(name, value)| (name, value)))
            .stdout(File::create(&output).unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        bc_secrets_sync::system::crypto::choose();
        let client = reqwest::Client::builder()
            .tls_certs_only([])
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        Self { child, pid, log, output, address: String::new(), client }
    }

    /// Asks at another address from now on; returns the old one.
    pub(crate) fn move_to(&mut self, address: &str) -> String {
        std::mem::replace(&mut self.address, address.to_owned())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Asks for a page: its status and its text.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.client.get(format!("http://{}{path}", self.address)).send().await;
        let answer = answer.unwrap_or_else(|error| panic!("GET {path}: {error:?}"));
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Asks for a page as a browser does.
    pub(crate) async fn page(&self, path: &str) -> String {
        let request = self.client.get(format!("http://{}{path}", self.address));
        let answer = request.header("accept", "text/html").send().await;
        let answer = answer.unwrap_or_else(|error| panic!("GET {path}: {error:?}"));
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }

    /// Posts nothing, with a token or without: the answer's status and its text.
    pub(crate) async fn post(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let request = self.client.post(format!("http://{}{path}", self.address));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.unwrap_or_else(|error| panic!("POST {path}: {error:?}"));
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Posts a body, with a token or without: the answer's status and its text.
    pub(crate) async fn post_body(&self, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let request = self.client.post(format!("http://{}{path}", self.address)).body(body.to_owned());
        let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
        let answer = request.send().await.unwrap_or_else(|error| panic!("POST {path}: {error:?}"));
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The status of a page alone.
    pub(crate) async fn code(&self, path: &str) -> u16 {
        self.get(path).await.0
    }

    pub(crate) async fn status(&self) -> Value {
        let (code, text) = self.get("/status").await;
        assert_eq!(code, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    /// What `/status` says of a store.
    pub(crate) async fn store(&self, name: &str) -> Value {
        let status = self.status().await;
        let stores = status["stores"].as_array().unwrap();
        stores.iter().find(|store| store["name"] == name).cloned().unwrap_or(Value::Null)
    }

    /// In what state `/status` says that a store's credentials are.
    pub(crate) async fn state(&self, name: &str) -> String {
        self.store(name).await["state"].as_str().unwrap_or("unknown").to_owned()
    }

    /// The value of a series, written as the metrics write it and without the prefix of all names.
    pub(crate) async fn metric(&self, series: &str) -> Option<f64> {
        let (code, text) = self.get("/metrics").await;
        assert_eq!(code, 200, "{text}");
        let prefix = format!("bc_secrets_sync_{series} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&prefix))?;
        Some(line.parse().unwrap())
    }

    /// Waits until every store of the configuration is published and accepted.
    pub(crate) async fn settled(&self) {
        wait_for("every store is verified", async || {
            let status = self.status().await;
            let stores = status["stores"].as_array().unwrap();
            stores.iter().all(|store| store["state"] == "verified").then_some(())
        })
        .await;
    }

    /// Waits until the store has answered this often more.
    pub(crate) async fn checked(&self, store: &str, count: u64) {
        let answers = async || {
            let store = self.store(store).await;
            store["verdicts"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>()
        };
        let before = answers().await;
        wait_until("further checks", async || answers().await >= before + count).await;
    }

    /// Waits until the store has answered this often more and its secret was asked for again, so that whatever
    /// would follow from that has followed.
    pub(crate) async fn passes(&self, store: &str, count: u64) {
        let attempt = async || self.store(store).await["last_read_attempt_at"].clone();
        let before = attempt().await;
        self.checked(store, count).await;
        wait_until("a further read", async || attempt().await != before).await;
    }

    /// Waits until this many deliveries are on the disk. Before that a message that has arrived may come once more
    /// from the next life, and rightly so.
    pub(crate) async fn noted(&self, count: usize) {
        wait_until(&format!("{count} deliveries are noted"), async || {
            self.log().iter().filter(|line| line["message"] == "delivered").count() >= count
        })
        .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) async fn ended(&mut self, within: Duration) -> ExitStatus {
        tokio::time::timeout(within, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("the daemon did not end within {within:?}"))
            .unwrap()
    }

    /// Stops the daemon as an orchestrator does.
    pub(crate) async fn stop(mut self) -> Stopped {
        self.signal(Signal::TERM);
        let status = self.ended(DEADLINE).await;
        assert_eq!(status.code(), Some(0), "{}", self.log_text());
        Stopped { log: self.log.clone(), output: self.output.clone() }
    }

    /// Kills the daemon in the middle of whatever it does.
    pub(crate) async fn kill(mut self) {
        self.signal(Signal::KILL);
        self.ended(DEADLINE).await;
    }

    /// The log, one object a line. A line that is still being written is left out.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = self.log_text();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(line).collect()
    }

    pub(crate) fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log_text();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(80)..].join("\n");
            #[expect(clippy::print_stderr, reason = "shown with the test that failed")]
            {
                eprintln!("the end of the daemon's log:\n{end}");
            }
        }
    }
}

/// What a daemon that was stopped has left.
pub(crate) struct Stopped {
    pub(crate) log: PathBuf,
    pub(crate) output: PathBuf,
}

/// A command that has run to its end.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the binary to its end, in a directory and without an environment.
pub(crate) async fn run<A: AsRef<OsStr>>(
    directory: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Finished {
    let output = tokio::time::timeout(DEADLINE, command(directory, arguments).output())
        .await
        .unwrap_or_else(|_| panic!("the command did not end within {DEADLINE:?}"))
        .unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Writes the configuration and runs a subcommand on it.
pub(crate) async fn run_with(configuration: &Configuration, subcommand: &str, more: &[&str]) -> Finished {
    configuration.write();
    let file = configuration.file();
    let arguments = [subcommand, "--config", file.to_str().unwrap()];
    run(configuration.home(), arguments.iter().chain(more)).await
}

/// Writes the configuration and starts a subcommand on it, which a test has set up further.
pub(crate) fn spawn_with(
    configuration: &Configuration,
    arguments: &[&str],
    set_up: impl FnOnce(&mut Command) -> &mut Command,
) -> Child {
    configuration.write();
    let mut command = command(configuration.home(), arguments);
    set_up(command.arg("--config").arg(configuration.file()).stdout(Stdio::piped())).spawn().unwrap()
}

fn command<A: AsRef<OsStr>>(directory: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear().current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn log_file(configuration: &Configuration, number: usize) -> PathBuf {
    configuration.home().join(format!("stderr-{number}"))
}

/// A line of the log: an object with at least a level and a message.
fn line(text: &str) -> Value {
    let line: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"));
    assert!(line["level"].is_string() && line["message"].is_string(), "no level or no message: {text}");
    // Of two values of one key a reader takes either.
    assert_eq!(text.matches("\"message\":\"").count(), 1, "two messages: {text}");
    line
}
