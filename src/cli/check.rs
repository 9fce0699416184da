//! `check`: reads every secret and asks every store; publishes nothing.

mod survey;

use clap::Args;
use serde::Serialize;

use crate::config::{self, Config, Environment};
use crate::domain::engine::Outcome;
use crate::domain::source::{Folder, SourceFault, SourceFaultKind};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{Verdict, VerdictKind};
use crate::domain::version::Version;
use crate::store::Prober;
use crate::system::signals::Signals;
use crate::system::{hardening, names};
use crate::vault::Vault;

use self::survey::Survey;
use super::output::{Output, complain, finish, table};
use super::progress::Progress;
use super::{ConfigFile, Exit, runtime};

#[derive(Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// What was found for one store.
#[derive(Debug, Serialize)]
struct Finding {
    store: String,
    secret: String,
    version: Version,
    written_at: Option<Timestamp>,
    result: &'static str,
    detail: String,
    #[serde(skip)]
    outcome: Outcome,
}

/// Somebody did not want to wait for the rest.
#[derive(Debug, thiserror::Error)]
#[error("interrupted by {1}: {0}; run it again for the others")]
struct Interrupted(String, String);

#[derive(Serialize)]
struct Report<'a> {
    vault: &'a str,
    exit_code: u8,
    /// Stores are missing.
    interrupted: bool,
    stores: &'a [Finding],
}

impl Check {
    pub(super) fn main(self, environment: &Environment) -> Exit {
        let config = match self.file.load(environment) {
            Ok(config) => config,
            Err(error) => {
                complain(&error);
                return Exit::Usage;
            }
        };
        // Nothing to be done about what could not be done: this command ends at once.
        let _undone = hardening::harden();
        let runtime = match runtime(names::threads(config.check.concurrency) + 8) {
            Ok(runtime) => runtime,
            Err(error) => {
                complain(&error);
                return Exit::Internal;
            }
        };
        let exit = runtime.block_on(self.check(config, Progress::start(environment)));
        runtime.shutdown_background();
        exit
    }

    async fn check(self, mut config: Config, progress: Progress) -> Exit {
        let vault = match Vault::new(&config.vault) {
            Ok(vault) => vault,
            Err(error) => {
                complain(&error);
                return Exit::Usage;
            }
        };
        let prober = match Prober::new(&config.check) {
            Ok(prober) => prober,
            Err(error) => {
                complain(&error);
                return Exit::Usage;
            }
        };
        let mut signals = match Signals::listen() {
            Ok(signals) => signals,
            Err(error) => {
                complain(&error);
                return Exit::Internal;
            }
        };
        let mut survey = Survey::new(progress);
        let interrupted = tokio::select! {
            biased;
            signal = signals.next() => Some(signal),
            () = survey.look_at_all(&vault, &prober, &mut config) => None,
        };
        survey.progress.clear();
        if let Some(signal) = &interrupted {
            complain(&Interrupted(survey.told(), signal.origin.clone()));
        }
        if config.vault.revoke_token_on_exit {
            // Whoever is in such a hurry that there is a second one does not wait for Vault.
            tokio::select! {
                biased;
                _ = signals.next() => {}
                () = vault.revoke() => {}
            }
        }
        let findings = survey.findings();
        let unfinished = interrupted.is_some().then_some(Outcome::Inconclusive);
        let worst = findings.iter().map(|finding| finding.outcome).chain(unfinished).max();
        let exit = worst.map_or(Exit::Internal, Exit::from);
        match self.output {
            Output::Table => finish(&as_table(&findings), exit),
            Output::Json => {
                let report = Report {
                    vault: vault.address(),
                    exit_code: exit as u8,
                    interrupted: interrupted.is_some(),
                    stores: &findings,
                };
                match serde_json::to_string_pretty(&report) {
                    Ok(text) => finish(&(text + "\n"), exit),
                    Err(error) => {
                        complain(&error);
                        Exit::Internal
                    }
                }
            }
        }
    }
}

fn finding(store: &config::Store, result: &'static str, detail: String, outcome: Outcome) -> Finding {
    Finding {
        store: store.name.to_string(),
        secret: format!("{}/{}", store.mount, store.path),
        version: Version::Unnumbered,
        written_at: None,
        result,
        detail,
        outcome,
    }
}

fn of_fault(store: &config::Store, fault: &SourceFault) -> Finding {
    let (result, outcome) = result_of(fault);
    finding(store, result, fault.to_string(), outcome)
}

/// Nobody can tell which stores there are.
fn of_folder(folder: &Folder, fault: &SourceFault) -> Finding {
    let (result, outcome) = result_of(fault);
    Finding {
        store: "(discover)".to_owned(),
        secret: format!("{folder}/"),
        version: Version::Unnumbered,
        written_at: None,
        result,
        detail: format!("{folder}/: {fault}"),
        outcome,
    }
}

fn result_of(fault: &SourceFault) -> (&'static str, Outcome) {
    match fault.kind() {
        SourceFaultKind::LoginRefused => ("login_refused", Outcome::LoginRefused),
        SourceFaultKind::Forbidden => ("forbidden_by_vault", Outcome::SecretUnusable),
        SourceFaultKind::Missing => ("missing", Outcome::SecretUnusable),
        SourceFaultKind::Unavailable => ("vault_unavailable", Outcome::SourceUnavailable),
    }
}

fn of_verdict(store: &config::Store, verdict: &Verdict) -> Finding {
    let outcome = match verdict.kind() {
        VerdictKind::Accepted => Outcome::Good,
        VerdictKind::Rejected => Outcome::Rejected,
        VerdictKind::Forbidden
        | VerdictKind::Moved
        | VerdictKind::RateLimited
        | VerdictKind::Unavailable
        | VerdictKind::Malformed
        | VerdictKind::NetworkError
        | VerdictKind::TlsError => Outcome::Inconclusive,
    };
    finding(store, verdict.kind().label(), verdict.to_string(), outcome)
}

fn as_table(findings: &[Finding]) -> String {
    let row = |finding: &Finding| {
        vec![
            finding.store.clone(),
            finding.version.number().map_or_else(|| "-".to_owned(), |version| version.to_string()),
            finding.written_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            finding.result.to_owned(),
            finding.detail.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = findings.iter().map(row).collect();
    table(&["STORE", "VERSION", "WRITTEN", "RESULT", "DETAIL"], &rows)
}
