//! Every file that a configuration names to be read: one list for whoever checks them, and whoever may read nothing else.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::{Alerts, Auth, Config, Files, Format, Hook, Http, Reload, Vault};

/// The largest file with a secret, in bytes.
const MAX_SECRET_SIZE: u64 = 64 << 10;
/// The largest template, in bytes.
pub const MAX_TEMPLATE_SIZE: u64 = 64 << 10;
/// The largest file with certificates, in bytes: a system's whole bundle has some 220 KiB.
const MAX_CERTIFICATES_SIZE: u64 = 1 << 20;

/// A file that is named, and must be there.
#[derive(Debug)]
pub struct NamedFile<'a> {
    /// The key that names it, in full.
    pub key: Cow<'static, str>,
    /// Where it is.
    pub path: &'a Path,
    /// The largest size that is read, in bytes.
    pub most: u64,
    /// Whether it is read with the configuration only; any other is read anew when it is needed or has changed.
    pub read_at_load: bool,
}

impl<'a> NamedFile<'a> {
    fn secret<P: AsRef<Path>>(key: impl Into<Cow<'static, str>>, path: &'a P) -> Self {
        Self { key: key.into(), path: path.as_ref(), most: MAX_SECRET_SIZE, read_at_load: false }
    }

    fn certificates<P: AsRef<Path>>(key: impl Into<Cow<'static, str>>, path: &'a P) -> Self {
        Self { key: key.into(), path: path.as_ref(), most: MAX_CERTIFICATES_SIZE, read_at_load: false }
    }

    fn certificates_at_load<P: AsRef<Path>>(key: impl Into<Cow<'static, str>>, path: &'a P) -> Self {
        Self { read_at_load: true, ..Self::certificates(key, path) }
    }
}

/// All of them. Not among them are directories, programs, and files that need not be there.
#[must_use]
pub fn named_files(config: &Config) -> Vec<NamedFile<'_>> {
    let mut files = Vec::new();
    vault(&config.vault, &mut files);
    files.extend(
        config.check.ca_file.as_ref().map(|path| NamedFile::certificates_at_load("check.ca_file", path)),
    );
    listener(&config.http, &mut files);
    channels(&config.alerts, &mut files);
    for (at, reload) in reloads(config) {
        match &reload.hook {
            Hook::Request(request) => {
                let token = request.bearer_token_file.as_ref();
                let authorities = request.ca_file.as_ref();
                files.extend(
                    token.map(|path| NamedFile::secret(format!("{at}.reload.bearer_token_file"), path)),
                );
                files.extend(
                    authorities.map(|path| NamedFile::certificates(format!("{at}.reload.ca_file"), path)),
                );
            }
            // A program is another thing; and of an app that does not run yet there is no file.
            Hook::Command { argv: _, timeout: _ } | Hook::Signal { target: _, signal: _ } => {}
        }
    }
    for list in lists_of_files(config) {
        for (index, file) in list.list.iter().enumerate() {
            if let Format::Template { file, escape: _ } = &file.format {
                let key = format!("{}[{index}].template", list.at).into();
                files.push(NamedFile { key, path: file, most: MAX_TEMPLATE_SIZE, read_at_load: true });
            }
        }
    }
    files
}

/// How apps are told, each with the table that says so; what was discovered has its discovery's.
pub fn reloads(config: &Config) -> impl Iterator<Item = (String, &Reload)> {
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

fn vault<'a>(vault: &'a Vault, files: &mut Vec<NamedFile<'a>>) {
    let tls = &vault.tls;
    files.extend(tls.ca_file.as_ref().map(|path| NamedFile::certificates("vault.tls.ca_file", path)));
    if let Some((certificate, key)) = &tls.client {
        files.push(NamedFile::certificates("vault.tls.client_certificate_file", certificate));
        files.push(NamedFile::secret("vault.tls.client_key_file", key));
    }
    match &vault.auth {
        Auth::Token(_) | Auth::Certificate { mount: _, role: _ } => {}
        Auth::TokenFile(path) => files.push(NamedFile::secret("vault.auth.token_file.path", path)),
        Auth::Jwt { mount: _, role: _, token_file } => {
            files.push(NamedFile::secret("vault.auth.*.token_file", token_file));
        }
        Auth::Userpass { mount: _, username: _, password_file } => {
            files.push(NamedFile::secret("vault.auth.userpass.password_file", password_file));
        }
        Auth::AppRole { mount: _, role_id_file, secret_id_file, wrapping_path: _ } => {
            files.push(NamedFile::secret("vault.auth.approle.role_id_file", role_id_file));
            files.push(NamedFile::secret("vault.auth.approle.secret_id_file", secret_id_file));
        }
    }
}

fn listener<'a>(http: &'a Http, files: &mut Vec<NamedFile<'a>>) {
    let Http {
        listen: _,
        tls,
        token_file,
        open: _,
        host_names: _,
        report_token_file,
        metrics_store_limit: _,
    } = http;
    if let Some(tls) = tls {
        files.push(NamedFile::certificates("http.tls.certificate_file", &tls.certificate_file));
        files.push(NamedFile::secret("http.tls.key_file", &tls.key_file));
    }
    let tokens = [("http.token_file", token_file), ("http.report_token_file", report_token_file)];
    files.extend(tokens.into_iter().filter_map(|(key, path)| Some(NamedFile::secret(key, path.as_ref()?))));
}

fn channels<'a>(alerts: &'a Alerts, files: &mut Vec<NamedFile<'a>>) {
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
    files.extend(secrets.into_iter().flatten().map(|(key, path)| NamedFile::secret(key, path)));
    files.extend(
        authorities.into_iter().filter_map(|(key, path)| Some(NamedFile::certificates_at_load(key, path?))),
    );
}
