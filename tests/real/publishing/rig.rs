//! One store's daemon, as single passes, with everything around it: a secret that can be rotated, and a store that
//! accepts each version.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use bc_secrets_sync::sandbox::authority::Authority;
use bc_secrets_sync::sandbox::store::SimulatedBigCommerce;
use bc_secrets_sync::sandbox::vault::SmallVault;
use serde_json::json;
use tempfile::TempDir;

use super::gate::Gate;
use super::tracing::{Call, Injection, all_calls, attach, calls_of_a_publication, under_strace};
use crate::DEADLINE;
use crate::support::configuration::Configuration;

/// How often an injection is tried that did not come to pass.
const TRIES: usize = 10;
pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_bc-secrets-sync");

/// What is shared by all rigs: the simulated world outside.
pub(super) struct Outside {
    vault: SmallVault,
    bigcommerce: SimulatedBigCommerce,
    authority: Authority,
}

impl Outside {
    pub(super) fn start() -> Self {
        let (send, started) = channel();
        // It ends with the process of the tests.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let any = SocketAddr::from(([127, 0, 0, 1], 0));
                let authority = Authority::new().unwrap();
                let bigcommerce = SimulatedBigCommerce::start(any, &authority).await.unwrap();
                let vault = SmallVault::start(any).await.unwrap();
                send.send(Self { vault, bigcommerce, authority }).ok().unwrap();
                std::future::pending::<()>().await;
            });
        });
        started.recv().unwrap()
    }
}

/// What was published as some version: each value tells of which one it is.
#[derive(Clone)]
pub(super) struct Versions {
    store: String,
    gate: SocketAddr,
}

impl Versions {
    pub(super) fn username(version: u64) -> String {
        format!("user-{version}")
    }

    pub(super) fn api_token(version: u64) -> String {
        format!("token-{version}")
    }

    pub(super) fn api_path(&self, version: u64) -> String {
        format!("https://{}/stores/{}/api/v2/", self.gate, self.account(version))
    }

    fn account(&self, version: u64) -> String {
        format!("{}-{version}", self.store)
    }
}

/// Which files a store is published in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// The three values.
    Usual,
    /// Some of the values, and other formats, a template among them.
    Several,
}

impl Files {
    /// What apps open, in the published generation.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Usual => &["api_path", "api_token", "username"],
            Self::Several => &["api_token", "app.conf", "credentials.env", "credentials.json", "netrc"],
        }
    }

    /// What the other formats hold.
    pub(super) fn contents(self, versions: &Versions, version: u64) -> Vec<(&'static str, String)> {
        if self == Self::Usual {
            return Vec::new();
        }
        let (username, token) = (Versions::username(version), Versions::api_token(version));
        let path = versions.api_path(version);
        let fields = json!({ "username": username, "api_token": token, "api_path": path });
        let json = format!(
            "{{\"username\":{},\"api_token\":{},\"api_path\":{}}}\n",
            fields["username"], fields["api_token"], fields["api_path"]
        );
        let env = format!(
            "BIGCOMMERCE_USERNAME={username}\nBIGCOMMERCE_API_TOKEN={token}\nBIGCOMMERCE_API_PATH={path}\n"
        );
        let netrc = format!("machine 127.0.0.1\nlogin {username}\npassword {token}\n");
        let conf = format!("user '{username}' token '{token}' path '{path}'\n");
        vec![("credentials.json", json), ("credentials.env", env), ("netrc", netrc), ("app.conf", conf)]
    }
}

const TEMPLATE: &str = "user {{ username }} token {{ api_token }} path {{ api_path }}\n";

/// One store and its output directory.
pub(super) struct Rig {
    vault: SmallVault,
    bigcommerce: SimulatedBigCommerce,
    gate: Gate,
    configuration: Configuration,
    store: String,
    versions: Versions,
    newest: u64,
    before: Vec<String>,
    files: Files,
    /// Counts the runs, each of which may publish once.
    runs: Arc<AtomicU64>,
    home: TempDir,
}

impl Rig {
    /// A store with two generations, the second of them published.
    pub(super) fn new(outside: &Outside, number: usize, files: Files) -> Self {
        let mut rig = Self::bare(outside, number, files);
        for _ in 0..2 {
            rig.rotate();
            rig.succeed();
        }
        rig
    }

    /// A store of which nothing was published yet.
    pub(super) fn bare(outside: &Outside, number: usize, files: Files) -> Self {
        // In memory, as the volume is that this is written for.
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let gate = Gate::new(outside.bigcommerce.address());
        let store = format!("store-{number}");
        let mut configuration = Configuration::new(home.path(), &outside.vault.address());
        std::fs::write(configuration.role_id_file(), outside.vault.role_id()).unwrap();
        std::fs::write(configuration.secret_id_file(), outside.vault.secret_id()).unwrap();
        std::fs::write(configuration.store_authority_file(), outside.authority.ca_pem()).unwrap();
        configuration.stores.push(store.clone());
        // Nothing is looked at again while a pass waits for its store.
        (configuration.poll_interval, configuration.check_interval) = ("30m", "30m");
        configuration.check_timeout = "30s";
        configuration.output = home.path().join("volume/of/credentials");
        // A mode that no usual umask lets through, and another owner where that may be set: so that setting either
        // is part of each publication.
        let mut rights = "[output]\nfile_mode = \"0460\"\n".to_owned();
        if std::os::unix::fs::chown(configuration.role_id_file(), None, Some(12_345)).is_ok() {
            rights.push_str("group = 12345\n");
        }
        configuration.edit("[output]\n", &rights);
        if files == Files::Several {
            let template = home.path().join("app.conf.j2");
            std::fs::write(&template, TEMPLATE).unwrap();
            let mut list = String::new();
            for (name, format) in [
                ("api_token", "api_token"),
                ("credentials.json", "json"),
                ("credentials.env", "env"),
                ("netrc", "netrc"),
            ] {
                list.push_str(&format!("[[output.files]]\nname = \"{name}\"\nformat = \"{format}\"\n"));
            }
            let template = template.display();
            list.push_str(&format!(
                "[[output.files]]\nname = \"app.conf\"\nformat = \"template\"\ntemplate = \"{template}\"\n\
                 escape = \"shell\"\n[check]\n"
            ));
            configuration.edit("[check]\n", &list);
        }
        configuration.edit("[check]\n", "[check]\nconcurrency = 1\n");
        configuration.write();
        Self {
            vault: outside.vault.clone(),
            bigcommerce: outside.bigcommerce.clone(),
            versions: Versions { store: store.clone(), gate: gate.address() },
            gate,
            configuration,
            store,
            newest: 0,
            before: Vec::new(),
            files,
            runs: Arc::default(),
            home,
        }
    }

    /// Where the store is published.
    pub(super) fn directory(&self) -> PathBuf {
        self.configuration.output.join(&self.store)
    }

    /// Where a file system can be mounted before anything is published.
    pub(super) fn volume(&self) -> PathBuf {
        self.home.path().join("volume")
    }

    pub(super) fn store(&self) -> &str {
        &self.store
    }

    /// The configuration for a daemon instead of single passes.
    pub(super) fn of_a_daemon(&self) -> Configuration {
        let mut configuration = self.configuration.clone();
        (configuration.poll_interval, configuration.check_interval) = ("1s", "1s");
        configuration
    }

    pub(super) fn versions(&self) -> Versions {
        self.versions.clone()
    }

    pub(super) const fn files(&self) -> Files {
        self.files
    }

    pub(super) fn runs(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.runs)
    }

    /// The newest version in Vault.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Writes another version into Vault, and makes the store accept it.
    pub(super) fn rotate(&mut self) {
        let version = self.newest + 1;
        let (username, token) = (Versions::username(version), Versions::api_token(version));
        self.bigcommerce.set_account(&self.versions.account(version), &username, &token);
        let api_path = self.versions.api_path(version);
        let fields = json!({ "username": username, "api_token": token, "api_path": api_path });
        self.newest = self.vault.write(&format!("stores/{}", self.store), fields);
        assert_eq!(self.newest, version);
    }

    /// Lists the calls of the publication of one rotation.
    pub(super) fn trace(&mut self) -> Vec<Call> {
        let mut trace = String::new();
        for _ in 0..TRIES {
            self.rotate();
            let ended = self.run_with(&Injection::None, &mut trace);
            assert!(ended.success(), "{ended}: {}", self.log());
            self.is_settled();
            if let Some(calls) = calls_of_a_publication(&trace, &self.configuration.output) {
                return calls;
            }
        }
        panic!("the thread that publishes was never traced: {trace}");
    }

    /// Lists the calls of the first pass, from the start of the process on, in all threads.
    pub(super) fn trace_of_a_first(&mut self) -> Vec<String> {
        self.rotate();
        let log = self.home.path().join("trace");
        let ended = wait(&mut self.start_by(under_strace(&log, &Injection::None)));
        assert!(ended.success(), "{ended}: {}", self.log());
        self.is_settled();
        all_calls(&std::fs::read_to_string(&log).unwrap())
    }

    /// One pass to its end, in which something is done from the start of the process on, counted in each thread by
    /// itself; none: it made fewer such calls.
    pub(super) fn injected_from_the_start(&self, injection: &Injection) -> Option<ExitStatus> {
        let log = self.home.path().join("trace");
        let ended = wait(&mut self.start_by(under_strace(&log, injection)));
        let done = was_killed(ended) || std::fs::read_to_string(&log).unwrap().contains("INJECTED");
        done.then_some(ended)
    }

    /// One pass to its end, while something is done to it from the moment before it publishes.
    pub(super) fn injected(&mut self, injection: &Injection) -> ExitStatus {
        let mut trace = String::new();
        for _ in 0..TRIES {
            self.before = names(&self.directory());
            let ended = self.run_with(injection, &mut trace);
            if was_killed(ended) || trace.contains("INJECTED") {
                return ended;
            }
            // Another thread published, or it is a call that need not come each time.
            assert!(ended.success(), "{ended}: {}", self.log());
            self.is_settled();
            self.rotate();
        }
        panic!("nothing was injected: {injection:?}: {}", self.log());
    }

    /// The names that were in the store's directory before the last pass in which something was injected.
    pub(super) fn before(&self) -> &[String] {
        &self.before
    }

    /// A pass that must succeed, and after which all is as it should be.
    pub(super) fn succeed(&self) {
        let mut child = self.start();
        let ended = wait(&mut child);
        assert!(ended.success(), "{ended}: {}", self.log());
        self.is_settled();
    }

    /// The newest version is published, the one before is kept, and nothing else is there.
    pub(super) fn is_settled(&self) {
        let names = names(&self.directory());
        let generations = names.iter().filter(|name| name.starts_with("..20")).count();
        assert_eq!(generations, self.newest.min(2) as usize, "{names:?}");
        // Beside the files, `..data` and what says of the generation what it is.
        assert_eq!(names.len() - generations, self.files.names().len() + 2, "{names:?}");
        assert!(self.files.names().iter().all(|name| names.iter().any(|is| is == name)), "{names:?}");
        assert_eq!(self.published(), self.newest);
    }

    /// The version that is published.
    pub(super) fn published(&self) -> u64 {
        let token = std::fs::read_to_string(self.directory().join("api_token")).unwrap();
        token.strip_prefix("token-").unwrap().parse().unwrap()
    }

    /// What the last pass has said.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// One pass, traced from the moment before it publishes.
    fn run_with(&self, injection: &Injection, trace: &mut String) -> ExitStatus {
        let log = self.home.path().join("trace");
        self.gate.close();
        let mut child = self.start();
        self.gate.wait();
        let strace = attach(child.id(), &log, injection);
        self.gate.open();
        let ended = wait(&mut child);
        trace.clear();
        if let Some(mut strace) = strace {
            wait(&mut strace);
            trace.push_str(&std::fs::read_to_string(&log).unwrap());
        }
        ended
    }

    fn start(&self) -> Child {
        let mut command = Command::new(BINARY);
        command.env_clear();
        self.start_by(command)
    }

    /// Starts a pass by a command that only lacks its arguments.
    fn start_by(&self, mut command: Command) -> Child {
        self.runs.fetch_add(1, Ordering::AcqRel);
        let log = std::fs::File::create(self.home.path().join("log")).unwrap();
        command
            .args(["run", "--one-time", "--config"])
            .arg(self.configuration.file())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }
}

/// Whether a process was killed.
pub(super) fn was_killed(ended: ExitStatus) -> bool {
    ended.signal() == Some(9)
}

/// The names in a directory, sorted.
pub(super) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn wait(child: &mut Child) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            return ended;
        }
        if started.elapsed() > DEADLINE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("a process did not end within {DEADLINE:?}");
        }
        thread::sleep(std::time::Duration::from_millis(2));
    }
}
