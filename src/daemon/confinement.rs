//! What the daemon gives up at its start, worked out from the configuration, and whether a new one gets along with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tracing::{debug, info, warn};

use crate::config::{Config, GO_ON_WITHOUT, Hardening, Hook, Measure, Target, named_files, reloads};
use crate::domain::snapshot::{HardeningStatus, MeasureStatus};
use crate::publish::{self, key};
use crate::system::errors::chain;
use crate::system::hardening::landlock::{Domain, Reach};
use crate::system::hardening::seccomp::{self, Calls};
use crate::system::hardening::{Memory, memory};

use super::error::DaemonError;

/// What has been given up. There is no way back.
#[derive(Debug)]
pub struct Confinement {
    hardening: Hardening,
    domain: Option<Domain>,
    /// Whose system calls may be made; none: anybody's.
    calls: Option<Calls>,
    status: HardeningStatus,
}

/// A measure that is required cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("hardening.{measure} is \"required\", and cannot be had: {reason}; {GO_ON_WITHOUT}")]
pub struct Unavailable {
    measure: &'static str,
    reason: String,
}

/// Gives up what this configuration does not need. To be called while the process has one thread only. Makes the
/// directories that are written first.
///
/// # Errors
/// A measure that is required cannot be taken, or a directory that is written cannot be made.
pub fn confine(config: &Config, file: &Path) -> Result<Confinement, DaemonError> {
    let hardening = config.hardening;
    let (domain, landlock) = match enter(config, file)? {
        Ok(domain) => {
            let abi = domain.abi();
            (Some(domain), MeasureStatus { active: true, abi: Some(abi), reason: None })
        }
        Err(reason) => {
            required("landlock", hardening.landlock, &reason)?;
            (None, MeasureStatus { active: false, abi: None, reason: Some(reason) })
        }
    };
    let Memory { dumpable, core_files } = memory();
    // Last, as it refuses what leads to the measures above.
    let (calls, seccomp) = match filter(config) {
        Ok(calls) => (Some(calls), MeasureStatus { active: true, abi: None, reason: weaker(calls, config) }),
        Err(reason) => {
            required("seccomp", hardening.seccomp, &reason)?;
            (None, MeasureStatus { active: false, abi: None, reason: Some(reason) })
        }
    };
    let status = HardeningStatus { landlock, seccomp, dumpable, core_files };
    Ok(Confinement { hardening, domain, calls, status })
}

fn required(measure: &'static str, wanted: Measure, reason: &str) -> Result<(), Unavailable> {
    match wanted {
        Measure::Required => Err(Unavailable { measure, reason: reason.to_owned() }),
        Measure::Auto | Measure::Off => Ok(()),
    }
}

/// The domain, or why there is none.
fn enter(config: &Config, file: &Path) -> Result<Result<Domain, String>, DaemonError> {
    if let Some(reason) = config.without_landlock() {
        return Ok(Err(reason));
    }
    // They cannot be named otherwise. From within, whoever tried again would be refused, and for another reason. What is
    // wrong with one that is there is told by whoever needs it first.
    let (state, output) = (&config.state.directory, &config.output.directory);
    key::make_state_directory(state).or_else(|error| there(state, DaemonError::Key(error)))?;
    publish::make_output_directory(config).or_else(|error| there(output, DaemonError::Directory(error)))?;
    Ok(Domain::enter(&reach(config, file)).map_err(|error| chain(&error)))
}

fn there(directory: &Path, error: DaemonError) -> Result<(), DaemonError> {
    if directory.is_dir() { Ok(()) } else { Err(error) }
}

fn filter(config: &Config) -> Result<Calls, String> {
    if config.hardening.seccomp == Measure::Off {
        return Err("it is switched off in [hardening]".to_owned());
    }
    let calls = if config.command().is_some() { Calls::Commands } else { Calls::Own };
    seccomp::enter(calls).map_err(|error| error.to_string())?;
    Ok(calls)
}

fn weaker(calls: Calls, config: &Config) -> Option<String> {
    let command = config.command().filter(|_| calls == Calls::Commands)?;
    Some(format!("{command} is configured, so only dangerous system calls are refused"))
}

impl Confinement {
    /// Says in the log what was not given up, and why: apart, because a log may start a thread.
    pub fn tell(&self) {
        let HardeningStatus { landlock, seccomp, dumpable: _, core_files: _ } = &self.status;
        let wanted = self.hardening;
        for (measure, wanted, status) in
            [("landlock", wanted.landlock, landlock), ("seccomp", wanted.seccomp, seccomp)]
        {
            let Some(reason) = status.reason.as_ref().filter(|_| !status.active) else { continue };
            if wanted == Measure::Off {
                warn!(measure, "switched off in [hardening]");
            } else {
                info!(measure, reason, "started with less hardening");
            }
        }
        let Some(domain) = &self.domain else { return };
        let shown = |paths: &mut dyn Iterator<Item = &Path>| {
            paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        debug!(
            abi = domain.abi(),
            reads = shown(&mut domain.read()),
            writes = shown(&mut domain.written()),
            "Landlock keeps the daemon to the files that it needs"
        );
    }

    /// What is to be shown of it.
    #[must_use]
    pub fn status(&self) -> HardeningStatus {
        self.status.clone()
    }

    /// Whether a new configuration needs nothing that was given up.
    ///
    /// # Errors
    /// It does, in words.
    pub(super) fn admits(&self, config: &Config, file: &Path) -> Result<(), String> {
        if config.hardening != self.hardening {
            return Err("restart needed: [hardening] cannot change while the daemon runs".to_owned());
        }
        let is_closed = self.domain.is_some() || self.calls == Some(Calls::Own);
        if let Some(command) = config.command().filter(|_| is_closed) {
            return Err(format!(
                "restart needed: {command} is configured, and the daemon gave up running programs at its start"
            ));
        }
        let Some(domain) = &self.domain else { return Ok(()) };
        domain.allows(&reach(config, file)).map_err(|problem| {
            format!(
                "restart needed: {problem}, as Landlock keeps the daemon to what was configured at its start"
            )
        })
    }
}

/// Everything that the configuration names.
fn reach(config: &Config, file: &Path) -> Reach {
    let mut reach = Reach { files: BTreeSet::from([absolute(file)]), ..Reach::default() };
    reach.files.extend(named_files(config).into_iter().map(|file| file.path.to_owned()));
    reach.directories.extend(config.vault.tls.ca_directory.clone());
    for (_, reload) in reloads(config) {
        if let Hook::Signal { target, signal: _ } = &reload.hook {
            reach.processes = true;
            if let Target::PidFile { path, name: _ } = target {
                reach.files.insert(path.clone());
            }
        }
    }
    let acknowledgements = config.stores.iter().filter_map(|store| store.acknowledge.as_ref());
    reach.files.extend(acknowledgements.filter_map(|acknowledge| acknowledge.file.clone()));
    let socket = config.control.socket.as_ref().and_then(|socket| socket.parent());
    let directories = [config.output.directory.as_path(), config.state.directory.as_path()];
    reach.written = directories.into_iter().chain(socket).map(Path::to_owned).collect();
    reach.remade = Some(config.output.directory.clone());
    reach
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
