//! `[stores.reload]` as checked types: how an app is told of a new generation.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// `[stores.reload]`: what is done after other content was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// The way to tell the app.
    pub hook: Hook,
    /// How far apart two runs begin at least.
    pub min_interval: Duration,
    /// How often a run that failed is repeated before that is an incident.
    pub retries: u32,
}

/// A way to tell an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A command is run.
    Command {
        /// The program, by its absolute path, and its arguments; with `shell = true` those of the shell.
        argv: Vec<String>,
        /// Limit of one run.
        timeout: Duration,
    },
    /// A request is sent.
    Request(HookRequest),
    /// A process gets a signal.
    Signal {
        /// Which one.
        target: Target,
        /// The signal.
        signal: ReloadSignal,
    },
}

/// A request that tells an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRequest {
    /// The method.
    pub method: Method,
    /// Where it is sent. Plain HTTP with a token goes to loopback only.
    pub url: Url,
    /// File with the token of its Authorization header.
    pub bearer_token_file: Option<PathBuf>,
    /// PEM file with the only authorities to trust; none: the system's.
    pub ca_file: Option<PathBuf>,
    /// The statuses that mean that the app was told; none: those from 200 to 299.
    pub expected_statuses: Option<Vec<u16>>,
    /// Limit of one try.
    pub timeout: Duration,
}

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
}

/// A process to signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The one whose number a file holds; read each time.
    PidFile {
        /// The file.
        path: PathBuf,
        /// The name that the process must have: the file may be older than it.
        name: Option<String>,
    },
    /// The only one of this name whose parent has another one.
    Named(String),
}

/// A signal that apps take as a wish to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadSignal {
    /// SIGHUP.
    Hup,
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
    /// SIGTERM: for an app that is started again by its supervisor.
    Term,
}
