//! The command line: one file for each subcommand.

mod alert_test;
mod check;
mod client;
mod completions;
#[cfg(feature = "demo")]
mod demo;
mod exit;
mod explain;
mod help;
mod incidents;
mod log_level;
mod output;
mod progress;
mod run;
#[cfg(feature = "demo")]
mod sandbox;
mod silence;
mod status;
mod unreachable;
mod validate;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::{Config, ConfigError, Environment, preflight};
use crate::publish::check_templates;
use crate::system::panics;

pub use self::completions::{Shell, script};
pub use self::exit::Exit;

/// The name of the program.
const NAME: &str = "bc-secrets-sync";
/// What is not in the shipped binary.
const TRIALS: [&str; 2] = ["demo", "sandbox"];
/// Where the configuration is looked for when nothing else is said.
const DEFAULT_CONFIG: &str = "/etc/bc-secrets-sync/config.toml";

/// Delivers BigCommerce Legacy API credentials from Vault or OpenBao to apps, checks that they work, and
/// says so when they stop working.
#[derive(Debug, Parser)]
#[command(name = NAME, version, after_long_help = help::ALL, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish the credentials of every store, and keep watching them
    ///
    /// Runs until SIGTERM or SIGINT. SIGHUP, and a change of the configuration file, load the configuration
    /// anew; SIGUSR1 checks every store now. With --one-time it makes a single pass instead, for an init
    /// container or a Job: read, verify, publish, tell the apps, and tell by the exit code what it came to.
    #[command(after_long_help = help::RUN)]
    Run(run::Run),
    /// Read every secret and ask every store; publish nothing
    ///
    /// Looks at all stores of the configuration, and at those that are discovered, each once. What came of it is on
    /// standard output; how far it is, on a terminal, on standard error. Needs no daemon, and disturbs none.
    #[command(after_long_help = help::CHECK)]
    Check(check::Check),
    /// Check a configuration without any network
    ///
    /// Reads the configuration, and looks whether the files that it names can be read and its directories
    /// can be written. Creates and changes nothing.
    #[command(after_long_help = help::VALIDATE)]
    Validate(validate::Validate),
    /// Send a test through every channel that is configured, and say what came back
    ///
    /// Routes do not count, and neither the state nor a running daemon is touched: each channel is tried once.
    /// PagerDuty, the webhook and the command are then told that the test is over; an Alertmanager lets it end
    /// by itself after five minutes.
    #[command(after_long_help = help::ALERT_TEST)]
    AlertTest(alert_test::AlertTest),
    /// Show how the running daemon and its stores are
    ///
    /// Asks through the daemon's control socket, which its user and root may open, or with --url at the address of
    /// its HTTP listener. The stores that are worst off come first.
    #[command(after_long_help = help::STATUS)]
    Status(status::Status),
    /// Tell what is known of a store, and what the running daemon has decided about it and why
    ///
    /// Its open incidents with evidence and what to do, and the last decisions, each with its reason.
    #[command(after_long_help = help::EXPLAIN)]
    Explain(explain::Explain),
    /// List the open incidents of the running daemon
    ///
    /// Asks through the daemon's control socket, which its user and root may open, or with --url at the address of
    /// its HTTP listener. The most serious ones come first, and those that are open for longest.
    #[command(after_long_help = help::INCIDENTS)]
    Incidents(incidents::Incidents),
    /// Send no reminders about an open incident for a while
    ///
    /// That it is over is told all the same, and ends the silence. When the silence ends first, reminders go on. It
    /// outlives restarts of the daemon; where the answer says that it is not on the disk yet, only once it is, and the
    /// exit code is 0 all the same. An Alertmanager still has the alert: it has silences of its own.
    #[command(after_long_help = help::SILENCE)]
    Silence(silence::Silence),
    /// Send reminders about an incident again
    #[command(after_long_help = help::UNSILENCE)]
    Unsilence(silence::Unsilence),
    /// Show or change the level of the running daemon's log, for a while
    ///
    /// Without a restart, and without a change of the configuration: when the time is over, what the configuration says
    /// is in force again.
    #[command(after_long_help = help::LOG_LEVEL)]
    LogLevel(log_level::LogLevelCommand),
    /// Print the script by which a shell completes this command line
    #[command(after_long_help = help::COMPLETIONS)]
    Completions(completions::Completions),
    /// Watch the life of a token, from its publication to its revocation, without any set-up
    ///
    /// Runs the unmodified daemon against a simulated BigCommerce store, over HTTPS on loopback, and a small
    /// Vault, in a temporary directory; tells what happens as it happens; then stays up to be looked at.
    #[cfg(feature = "demo")]
    #[command(after_long_help = help::DEMO)]
    Demo(demo::Demo),
    /// Serve the simulated store alone, for measurements
    #[cfg(feature = "demo")]
    #[command(hide = true)]
    Sandbox(sandbox::Sandbox),
}

/// Where the configuration is.
#[derive(Args, Debug)]
struct ConfigFile {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

impl ConfigFile {
    /// Reads and checks the configuration, and looks whether what it names is there.
    fn load(&self, environment: &Environment) -> Result<Config, ConfigError> {
        let config = Config::load(&self.config, environment)?;
        preflight(&config)
            .and_then(|()| check_templates(&config))
            .map_err(|error| error.located(&self.config))?;
        Ok(config)
    }

    fn path(&self) -> &Path {
        &self.config
    }
}

/// Parses the arguments, does what they say, and returns how it ended.
#[must_use]
pub fn main() -> Exit {
    panics::end_process(Exit::Internal as u8);
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors, and go to standard output.
            let printed = error.print();
            if error.use_stderr() {
                return Exit::Usage;
            }
            return output::end(output::printed(printed), Exit::Good);
        }
    };
    let environment = Arc::new(Environment::of_process());
    match arguments.command {
        Command::Run(run) => run.main(&environment),
        Command::Check(check) => check.main(&environment),
        Command::Validate(validate) => validate.main(&environment),
        Command::AlertTest(test) => test.main(&environment),
        Command::Status(status) => status.main(&environment),
        Command::Explain(explain) => explain.main(&environment),
        Command::Incidents(incidents) => incidents.main(&environment),
        Command::Silence(silence) => silence.main(&environment),
        Command::Unsilence(unsilence) => unsilence.main(&environment),
        Command::LogLevel(level) => level.main(&environment),
        Command::Completions(completions) => completions.main(),
        #[cfg(feature = "demo")]
        Command::Demo(demo) => demo.main(),
        #[cfg(feature = "demo")]
        Command::Sandbox(sandbox) => sandbox.main(),
    }
}

/// The command line of the shipped binary, for its manual pages and completions.
#[must_use]
pub fn product() -> clap::Command {
    let all = Arguments::command();
    let shipped = all.get_subcommands().filter(|command| !TRIALS.contains(&command.get_name()));
    clap::Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .about(all.get_about().cloned().unwrap_or_default())
        .after_long_help(help::ALL)
        .subcommand_required(true)
        .subcommands(shipped.cloned())
}

/// A runtime on one thread: this daemon waits far more than it works. Blocking calls (the disk, and the
/// system's resolver, which each probe may need) have threads of their own, which end when they are idle.
fn runtime(blocking: usize) -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(blocking)
        .thread_keep_alive(std::time::Duration::from_secs(2))
        .thread_name("blocking")
        .build()
}
