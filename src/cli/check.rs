//! `check`: reads every secret and asks every store; publishes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::config::{self, Config, Environment};
use crate::domain::credentials::Credentials;
use crate::domain::discovery::{Found, place};
use crate::domain::engine::Outcome;
use crate::domain::source::{Folder, SourceFault, SourceFaultKind};
use crate::domain::time::Timestamp;
use crate::domain::verdict::{Verdict, VerdictKind, judge};
use crate::domain::version::{KvVersion, Version};
use crate::store::Prober;
use crate::system::clock::Clock;
use crate::system::hardening;
use crate::vault::Vault;

use super::output::{Output, complain, print, table};
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

#[derive(Serialize)]
struct Report<'a> {
    vault: &'a str,
    exit_code: u8,
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
        let runtime = match runtime(config.check.concurrency + 8) {
            Ok(runtime) => runtime,
            Err(error) => {
                complain(&error);
                return Exit::Internal;
            }
        };
        let exit = runtime.block_on(self.check(config));
        runtime.shutdown_background();
        exit
    }

    async fn check(self, config: Config) -> Exit {
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
        let mut config = config;
        let findings = match vault.log_in().await {
            Ok(_) => {
                let mut findings = discover(&vault, &mut config).await;
                findings.splice(0..0, look_at_all(&vault, &prober, &config).await);
                findings
            }
            Err(fault) => {
                let stores = config.stores.iter().map(|store| of_fault(store, &fault));
                let discover = config.discover.iter().map(|it| of_folder(&it.discovery.folder, &fault));
                stores.chain(discover).collect()
            }
        };
        if config.vault.revoke_token_on_exit {
            vault.revoke().await;
        }
        let exit = findings.iter().map(|finding| finding.outcome).max().map_or(Exit::Internal, Exit::from);
        match self.output {
            Output::Table => print(&as_table(&findings)),
            Output::Json => {
                let report = Report { vault: vault.address(), exit_code: exit as u8, stores: &findings };
                match serde_json::to_string_pretty(&report) {
                    Ok(text) => print(&(text + "\n")),
                    Err(error) => {
                        complain(&error);
                        return Exit::Internal;
                    }
                }
            }
        }
        exit
    }
}

/// Finds the stores that are not configured by their names. Returns what could not be listed.
async fn discover(vault: &Vault, config: &mut Config) -> Vec<Finding> {
    let folders: BTreeMap<Folder, Option<KvVersion>> =
        config.discover.iter().map(|it| (it.discovery.folder.clone(), it.discovery.kv_version)).collect();
    let (mut found, mut findings) = (Vec::new(), Vec::new());
    for (folder, kv_version) in folders {
        match vault.list(&folder, kv_version, false).await {
            Ok(listing) if listing.secrets.is_empty() => {
                findings.push(of_folder(&folder, &SourceFault::NeverWritten))
            }
            Ok(listing) => {
                let here = listing.secrets.into_keys().map(|secret| Found {
                    mount: folder.mount.clone(),
                    path: folder.path_to(&secret),
                    gone_since: None,
                });
                let discoveries = || config.discover.iter().map(|it| &it.discovery);
                let is_store =
                    |it: &Found| matches!(place(discoveries(), &it.mount, &it.path), Some((_, Ok(_))));
                let before = found.len();
                found.extend(here.filter(is_store));
                if found.len() == before {
                    let words = "no secret here is a store; check prefix and name of [[discover]]";
                    findings.push(of_folder(&folder, &SourceFault::NotKeyValue(words.into())));
                }
            }
            Err(fault) => findings.push(of_folder(&folder, &fault)),
        }
    }
    config.restock(&found);
    findings
}

/// Looks at all stores, a bounded number at once, and returns them in the order of the configuration.
async fn look_at_all(vault: &Vault, prober: &Prober, config: &Config) -> Vec<Finding> {
    let room = Arc::new(Semaphore::new(config.check.concurrency.min(config.vault.concurrency)));
    let mut tasks = JoinSet::new();
    for (at, store) in config.stores.iter().cloned().enumerate() {
        let (vault, prober, room, policy) =
            (vault.clone(), prober.clone(), room.clone(), config.check.addresses);
        tasks.spawn(async move {
            // The room is never closed, so a place is always to be had.
            let _place = room.acquire_owned().await;
            let read = vault.read(&store.location()).await;
            let secret = match read {
                Ok(secret) => secret,
                Err(fault) => return (at, of_fault(&store, &fault)),
            };
            let (version, written_at) = (secret.version, secret.created_at);
            let finding =
                match secret.fields.and_then(|fields| Credentials::parse(fields, &store.fields, policy)) {
                    Err(error) => finding(&store, "malformed", error.to_string(), Outcome::SecretUnusable),
                    Ok(credentials) => {
                        let now = Timestamp::from(Clock::start().wall());
                        of_verdict(&store, &judge(&prober.probe(&credentials, now).await))
                    }
                };
            (at, Finding { version, written_at, ..finding })
        });
    }
    let mut findings = tasks.join_all().await;
    findings.sort_by_key(|(at, _)| *at);
    findings.into_iter().map(|(_, finding)| finding).collect()
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
