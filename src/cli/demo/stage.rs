//! What the story is played on: the simulated store, the small Vault, the files and the daemon itself.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::sandbox::authority::Authority;
use crate::sandbox::http::Server;
use crate::sandbox::store::{Account, SimulatedBigCommerce};
use crate::sandbox::vault::SmallVault;

use super::Failure;
use super::buttons::{Board, Buttons};

pub(super) const STORE: &str = "acme";
const SECRET: &str = "bigcommerce/acme";
const STATUS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9847);
const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How long the daemon is given to stop.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// The merchant's and the operator's side of the story.
#[derive(Clone)]
pub(super) struct World {
    pub(super) store: SimulatedBigCommerce,
    pub(super) vault: SmallVault,
}

impl World {
    /// The operator writes an account to Vault; returns the version.
    pub(super) fn write(&self, username: &str, token: &str) -> u64 {
        let api_path = self.store.api_path(STORE);
        self.vault.write(SECRET, json!({"username": username, "api_token": token, "api_path": api_path}))
    }
}

/// What was asked for cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unfit(String);

pub(super) struct Stage {
    pub(super) world: World,
    pub(super) board: Arc<Board>,
    pub(super) listen: SocketAddr,
    /// How many alerts the story has told.
    pub(super) alerts_told: usize,
    directory: PathBuf,
    temporary: bool,
    buttons: Server,
    daemon: Child,
}

impl Stage {
    /// Sets everything up, and starts the daemon. Nothing is in Vault yet.
    pub(super) async fn set(listen: Option<SocketAddr>, directory: Option<PathBuf>) -> Result<Self, Failure> {
        let temporary = directory.is_none();
        let listen = free_address(listen)?;
        let directory = empty_directory(directory)?;
        let authority = Authority::new()?;
        let world = World {
            store: SimulatedBigCommerce::start(FREE, &authority).await?,
            vault: SmallVault::start(FREE).await?,
        };
        let board = Arc::new(Board::default());
        let buttons = Server::start(FREE, None, Arc::new(Buttons::new(world.clone(), board.clone()))).await?;
        let signing_secret = format!("whsec_{}", STANDARD.encode(world.vault.secret_id()));
        for (name, content) in [
            ("authority.pem", authority.ca_pem()),
            ("role-id", world.vault.role_id()),
            ("secret-id", world.vault.secret_id()),
            ("webhook-secret", &signing_secret),
            ("config.toml", &config(&directory, listen, &world, buttons.address())),
        ] {
            let file = directory.join(name);
            fs::write(&file, content).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        let log = fs::File::create(directory.join("daemon.log"))?;
        let daemon = Command::new(std::env::current_exe()?)
            .args(["run", "--config"])
            .arg(directory.join("config.toml"))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Self { world, board, listen, alerts_told: 0, directory, temporary, buttons, daemon })
    }

    pub(super) fn create_account(&self, username: &str) -> Account {
        self.world.store.create_account(STORE, username)
    }

    /// Where an app finds the store's files.
    pub(super) fn files(&self) -> PathBuf {
        self.directory.join("secrets").join(STORE)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("daemon.log")
    }

    /// Whether exactly this token is what an app reads now.
    pub(super) fn is_published(&self, token: &str) -> bool {
        fs::read_to_string(self.files().join("api_token")).is_ok_and(|published| published == token)
    }

    pub(super) fn generation(&self) -> Option<u64> {
        let text = fs::read(self.files().join("generation.json")).ok()?;
        serde_json::from_slice::<serde_json::Value>(&text).ok()?.get("generation")?.as_u64()
    }

    pub(super) fn check_daemon(&mut self) -> Result<(), Failure> {
        match self.daemon.try_wait()? {
            Some(status) => Err(format!("the daemon ended ({status})").into()),
            None => Ok(()),
        }
    }

    pub(super) async fn daemon_ended(&mut self) {
        while self.check_daemon().is_ok() {
            sleep(Duration::from_millis(200)).await;
        }
    }

    pub(super) fn last_of_the_log(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(10)..).unwrap_or_default();
        format!("The end of the daemon's log:\n{}\n", last.join("\n"))
    }

    pub(super) fn buttons_to_press(&self) -> String {
        let buttons = self.buttons.address();
        format!(
            "\nThe daemon stays up until Ctrl-C. Look at http://{}/ in a browser, and at {}.\n\
             Go on with the story yourself:\n  \
             curl -X POST http://{buttons}/create-account      the merchant creates an account\n  \
             curl -X POST http://{buttons}/write-to-vault      the operator writes the account to Vault\n  \
             curl -X POST http://{buttons}/generate-new-token  the merchant presses Generate New Token\n  \
             curl -X POST http://{buttons}/mistype             the operator writes a mistyped token to Vault\n  \
             curl -X POST http://{buttons}/delete-account      the merchant deletes the account\n  \
             curl http://{buttons}/alerts                      the alerts that the webhook has received\n",
            self.listen,
            self.files().display(),
        )
    }

    /// Stops the daemon, and removes what was only temporary.
    pub(super) async fn strike(mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + STOP_LIMIT;
        let pid = i32::try_from(self.daemon.id()).ok().and_then(Pid::from_raw);
        if let (Ok(None), Some(pid)) = (self.daemon.try_wait(), pid) {
            kill_process(pid, Signal::TERM)?;
        }
        let ended = loop {
            match self.daemon.try_wait()? {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    self.daemon.kill()?;
                    break self.daemon.wait()?;
                }
                None => sleep(Duration::from_millis(20)).await,
            }
        };
        if self.temporary {
            fs::remove_dir_all(&self.directory)?;
        }
        // Before it listens for signals it is ended by them, and has nothing to finish.
        let by_stop =
            [Signal::TERM, Signal::INT].map(|signal| Some(signal.as_raw())).contains(&ended.signal());
        if ended.success() || by_stop {
            Ok(())
        } else {
            Err(format!("the daemon did not stop cleanly ({ended})").into())
        }
    }
}

fn config(directory: &Path, listen: SocketAddr, world: &World, buttons: SocketAddr) -> String {
    let file = |name: &str| toml_string(&directory.join(name).display().to_string());
    format!(
        "# Short intervals, so that the story is soon told. See config.example.toml for ordinary ones.\n\
         [vault]\naddress = {vault}\npoll_interval = \"1s\"\n\
         [vault.auth.approle]\nrole_id_file = {role}\nsecret_id_file = {secret}\n\
         [check]\ninterval = \"1s\"\nconfirmations = 3\nconfirmation_spacing = \"500ms\"\n\
         allow_private_addresses = true\nca_file = {authority}\n\
         [output]\ndirectory = {output}\n\
         [state]\ndirectory = {state}\n\
         [http]\nlisten = \"{listen}\"\n\
         [log]\nformat = \"human\"\n\
         [alerts.webhook]\nurl = \"http://{buttons}/webhook\"\nsigning_secret_file = {signing}\n\
         [[stores]]\nname = \"{STORE}\"\npath = \"{SECRET}\"\n",
        vault = toml_string(&world.vault.address()),
        role = file("role-id"),
        secret = file("secret-id"),
        authority = file("authority.pem"),
        output = file("secrets"),
        state = file("state"),
        signing = file("webhook-secret"),
    )
}

/// A text as a basic string of TOML. JSON escapes what TOML wants escaped.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn empty_directory(wanted: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let directory = match wanted {
        Some(directory) => {
            fs::create_dir_all(&directory).map_err(|error| unusable(&directory, &error))?;
            directory
        }
        None => {
            let name = format!("bc-secrets-sync-demo-{}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            fs::create_dir(&directory)
                .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
            directory
        }
    };
    let directory = directory.canonicalize().map_err(|error| unusable(&directory, &error))?;
    let mut files = fs::read_dir(&directory).map_err(|error| unusable(&directory, &error))?;
    if files.next().is_some() {
        let text = format!("{} is not empty; give an empty or a new directory", directory.display());
        return Err(Unfit(text).into());
    }
    Ok(directory)
}

fn unusable(directory: &Path, error: &std::io::Error) -> Unfit {
    Unfit(format!("cannot use {}: {error}", directory.display()))
}

/// The wanted address, with a real port; otherwise the usual one, or a free port where that is taken.
fn free_address(wanted: Option<SocketAddr>) -> Result<SocketAddr, Failure> {
    let listener = match wanted {
        Some(address) => TcpListener::bind(address)
            .map_err(|error| Unfit(format!("cannot listen on {address}: {error}")))?,
        None => TcpListener::bind(STATUS).or_else(|_| TcpListener::bind(FREE))?,
    };
    Ok(listener.local_addr()?)
}
