//! Checks, without a network and without touching anything, that what a configuration names can be used.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Access, access};

use super::error::{ConfigError, Place, Problem};
use super::{Alerts, Auth, Config, Files, Format, Hook, Http, Reload};

/// The largest file with a secret, in bytes.
const MAX_SECRET_SIZE: u64 = 64 << 10;
/// The largest template, in bytes.
pub const MAX_TEMPLATE_SIZE: u64 = 64 << 10;
/// The largest file with certificates, in bytes: a system's whole bundle has some 220 KiB.
const MAX_CERTIFICATES_SIZE: u64 = 1 << 20;

/// Checks that each named file can be read and that the two directories can be written or created. Creates,
/// changes and reads nothing: a file is opened, not read.
///
/// # Errors
/// Everything that cannot be used, with its path and the reason of the system.
pub fn preflight(config: &Config) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    let mut look = |key: &str, result: Result<(), String>| {
        if let Err(message) = result {
            problems.push(Problem { place: Place::Host, key: key.to_owned(), message });
        }
    };
    let tls = &config.vault.tls;
    if let Some(path) = &tls.ca_file {
        look("vault.tls.ca_file", readable(path, MAX_CERTIFICATES_SIZE));
    }
    if let Some(path) = &tls.ca_directory {
        look("vault.tls.ca_directory", listable(path));
    }
    if let Some((certificate, key)) = &tls.client {
        look("vault.tls.client_certificate_file", readable(certificate, MAX_CERTIFICATES_SIZE));
        look("vault.tls.client_key_file", readable(key, MAX_SECRET_SIZE));
    }
    match &config.vault.auth {
        Auth::Token(_) => {}
        Auth::TokenFile(path) => look("vault.auth.token_file.path", readable(path, MAX_SECRET_SIZE)),
        Auth::Certificate { mount: _, role: _ } => {}
        Auth::Jwt { mount: _, role: _, token_file } => {
            look("vault.auth.*.token_file", readable(token_file, MAX_SECRET_SIZE));
        }
        Auth::Userpass { mount: _, username: _, password_file } => {
            look("vault.auth.userpass.password_file", readable(password_file, MAX_SECRET_SIZE));
        }
        Auth::AppRole { mount: _, role_id_file, secret_id_file, wrapping_path: _ } => {
            look("vault.auth.approle.role_id_file", readable(role_id_file, MAX_SECRET_SIZE));
            look("vault.auth.approle.secret_id_file", readable(secret_id_file, MAX_SECRET_SIZE));
        }
    }
    if let Some(path) = &config.check.ca_file {
        look("check.ca_file", readable(path, MAX_CERTIFICATES_SIZE));
    }
    for (key, file, most) in listener_files(&config.http) {
        look(key, readable(file, most));
    }
    let socket = config.control.socket.as_ref().and_then(|socket| socket.parent());
    // The state directory is made when it is missing, and no other one.
    if let Some(directory) = socket.filter(|directory| *directory != config.state.directory) {
        look("control.socket", metadata(directory).and_then(|_| writable(directory)));
    }
    for (key, file, most) in alert_files(&config.alerts) {
        look(key, readable(file, most));
    }
    if let Some(command) = &config.alerts.command {
        look(
            "alerts.command.argv",
            command.argv.first().map_or(Ok(()), |program| runnable(program.as_ref())),
        );
    }
    for (at, reload) in reloads(config) {
        match &reload.hook {
            Hook::Command { argv, timeout: _ } => {
                let program = argv.first().map_or(Ok(()), |program| runnable(program.as_ref()));
                look(&format!("{at}.reload.command"), program);
            }
            Hook::Request(request) => {
                if let Some(path) = &request.bearer_token_file {
                    look(&format!("{at}.reload.bearer_token_file"), readable(path, MAX_SECRET_SIZE));
                }
                if let Some(path) = &request.ca_file {
                    look(&format!("{at}.reload.ca_file"), readable(path, MAX_CERTIFICATES_SIZE));
                }
            }
            // The app may not run yet.
            Hook::Signal { target: _, signal: _ } => {}
        }
    }
    for files in lists_of_files(config) {
        for (index, file) in files.list.iter().enumerate() {
            if let Format::Template { file, escape: _ } = &file.format {
                look(&format!("{}[{index}].template", files.at), readable(file, MAX_TEMPLATE_SIZE));
            }
        }
    }
    let (output, state) = (&config.output.directory, &config.state.directory);
    look("output.directory", writable(output));
    look("state.directory", writable(state));
    look("state.directory", apart(output, state));
    ConfigError::unless_empty(problems)
}

/// How apps are told, each with the table that says so; what was discovered has its discovery's.
fn reloads(config: &Config) -> impl Iterator<Item = (String, &Reload)> {
    let configured = config.stores.iter().enumerate().filter(|(_, store)| store.discovered.is_none());
    let stores = configured.filter_map(|(at, store)| Some((format!("stores[{at}]"), store.reload.as_ref()?)));
    let discover = config.discover.iter().enumerate();
    stores.chain(discover.filter_map(|(at, it)| Some((format!("discover[{at}]"), it.reload.as_ref()?))))
}

/// The lists of files that stores are published in, each once; that of `[output]` also when no store uses it.
pub fn lists_of_files(config: &Config) -> Vec<&Arc<Files>> {
    let mut lists = vec![&config.files];
    let stores = config.stores.iter().map(|store| &store.files);
    for files in stores.chain(config.discover.iter().map(|discover| &discover.files)) {
        // Stores without a list of their own share one.
        if !lists.iter().any(|list| Arc::ptr_eq(list, files)) {
            lists.push(files);
        }
    }
    lists
}

/// The files that the listener needs: key, path and the largest size.
fn listener_files(http: &Http) -> impl Iterator<Item = (&'static str, &Path, u64)> {
    let Http {
        listen: _,
        tls,
        token_file,
        open: _,
        host_names: _,
        report_token_file,
        metrics_store_limit: _,
    } = http;
    let tls = tls.as_ref();
    let files = [
        ("http.tls.certificate_file", tls.map(|tls| &tls.certificate_file), MAX_CERTIFICATES_SIZE),
        ("http.tls.key_file", tls.map(|tls| &tls.key_file), MAX_SECRET_SIZE),
        ("http.token_file", token_file.as_ref(), MAX_SECRET_SIZE),
        ("http.report_token_file", report_token_file.as_ref(), MAX_SECRET_SIZE),
    ];
    files.into_iter().filter_map(|(key, path, most)| Some((key, path?.as_path(), most)))
}

/// The files that the channels need: key, path and the largest size.
fn alert_files(alerts: &Alerts) -> impl Iterator<Item = (&'static str, &Path, u64)> {
    let Alerts { repeat_interval: _, webhook, slack, pagerduty, alertmanager, kubernetes, command: _ } =
        alerts;
    let webhook = webhook.as_ref();
    let slack = slack.as_ref();
    let pagerduty = pagerduty.as_ref();
    let kubernetes = kubernetes.as_ref();
    let secrets = [
        webhook.map(|webhook| ("alerts.webhook.signing_secret_file", &webhook.signing_secret_file)),
        slack.map(|slack| ("alerts.slack.url_file", &slack.url_file)),
        pagerduty.map(|pagerduty| ("alerts.pagerduty.routing_key_file", &pagerduty.routing_key_file)),
        kubernetes.map(|kubernetes| ("alerts.kubernetes.token_file", &kubernetes.token_file)),
    ];
    let authorities = [
        ("alerts.webhook.ca_file", webhook.and_then(|webhook| webhook.ca_file.as_ref())),
        ("alerts.slack.ca_file", slack.and_then(|slack| slack.ca_file.as_ref())),
        ("alerts.pagerduty.ca_file", pagerduty.and_then(|pagerduty| pagerduty.ca_file.as_ref())),
        ("alerts.kubernetes.ca_file", kubernetes.and_then(|kubernetes| kubernetes.ca_file.as_ref())),
        ("alerts.alertmanager.ca_file", alertmanager.as_ref().and_then(|channel| channel.ca_file.as_ref())),
    ];
    let secrets = secrets.into_iter().flatten().map(|(key, path)| (key, path.as_path(), MAX_SECRET_SIZE));
    let authorities = authorities.into_iter().filter_map(|(key, path)| Some((key, path?)));
    secrets.chain(authorities.map(|(key, path)| (key, path.as_path(), MAX_CERTIFICATES_SIZE)))
}

fn runnable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if !metadata(path)?.is_file() {
        return Err(format!("{shown} is no regular file"));
    }
    access(path, Access::EXEC_OK)
        .map_err(|error| format!("{shown} cannot be run: {}", io::Error::from(error)))
}

/// The kind is looked at before the file is opened: opening a pipe would wait for its writer.
fn readable(path: &Path, most: u64) -> Result<(), String> {
    let shown = path.display();
    let metadata = metadata(path)?;
    if !metadata.is_file() {
        return Err(format!("{shown} is no regular file"));
    }
    if metadata.len() == 0 {
        return Err(format!("{shown} is empty"));
    }
    if metadata.len() > most {
        return Err(format!("{shown} has {} bytes; at most {most} are read", metadata.len()));
    }
    File::open(path).map(drop).map_err(|error| format!("{shown} cannot be opened: {error}"))
}

fn listable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if !metadata(path)?.is_dir() {
        return Err(format!("{shown} is no directory"));
    }
    std::fs::read_dir(path).map(drop).map_err(|error| format!("{shown} cannot be listed: {error}"))
}

/// A directory that is not there yet can be created in its nearest ancestor that is.
fn writable(path: &Path) -> Result<(), String> {
    for (depth, ancestor) in path.ancestors().enumerate() {
        let shown = ancestor.display();
        let missing = if depth == 0 { "" } else { ", in which it would be created," };
        match std::fs::metadata(ancestor) {
            Ok(metadata) if !metadata.is_dir() => return Err(format!("{shown}{missing} is no directory")),
            Ok(_) => {
                return access(ancestor, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
                    let error = io::Error::from(error);
                    format!("{shown}{missing} cannot be written: {error}")
                });
            }
            // A link that leads nowhere is there, yet nothing can be created in its place.
            Err(error) if error.kind() == io::ErrorKind::NotFound && ancestor.symlink_metadata().is_err() => {
            }
            Err(error) => return Err(format!("{shown} cannot be looked at: {error}")),
        }
    }
    Ok(())
}

/// Whether the state is kept out of the output even where links lead.
fn apart(output: &Path, state: &Path) -> Result<(), String> {
    match (output.canonicalize(), state.canonicalize()) {
        (Ok(output), Ok(state)) if state.starts_with(&output) => Err(format!(
            "{} is the output directory or lies in it; name a directory of its own",
            state.display()
        )),
        _ => Ok(()),
    }
}

fn metadata(path: &Path) -> Result<Metadata, String> {
    std::fs::metadata(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            format!("{} does not exist", path.display())
        } else {
            format!("{} cannot be looked at: {error}", path.display())
        }
    })
}
