//! Checks `[vault]`: where credentials come from, how the server is recognised and how to log in.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::auth::auth;
use super::checker::{Checker, DurationRule};
use super::locations::PlainHttp;
use super::raw;
use super::value::{Kind, Origin, Table, Value, open};
use super::{Tls, Vault};
use crate::domain::version::KvVersion;

const TIMEOUT: DurationRule = DurationRule {
    default: Duration::from_secs(10),
    least: Duration::from_secs(1),
    most: Duration::from_secs(60),
};
const POLL_INTERVAL: DurationRule = DurationRule {
    default: Duration::from_secs(60),
    least: Duration::from_secs(1),
    most: Duration::from_secs(24 * 3600),
};
const SOCKET: &str = "unix://";
const DEFAULT_MOUNT: &str = "secret";

/// A mount of the KV engine, and its version where that is given.
pub(super) struct Mount {
    pub(super) path: String,
    pub(super) kv_version: Option<KvVersion>,
}

impl Mount {
    /// The mount that a table names, or else this one; with its version.
    pub(super) fn or(
        &self,
        checker: &mut Checker<'_>,
        at: &str,
        mount: Option<Value>,
        version: Option<Value>,
    ) -> (String, Option<KvVersion>) {
        let version = kv_version(checker, &format!("{at}.kv_version"), version);
        match checker.vault_path(&format!("{at}.mount"), mount) {
            // What is said of the default mount says nothing of another one.
            Some(mount) if mount != self.path => (mount, version),
            Some(_) | None => (self.path.clone(), version.or(self.kv_version)),
        }
    }
}

/// Checks `[vault]`; also gives the default mount of the stores.
pub(super) fn vault(checker: &mut Checker<'_>, table: Option<Table<raw::Vault>>) -> (Option<Vault>, Mount) {
    let (span, raw) = open(table);
    let address = address(checker, span.clone(), raw.address, raw.allow_plain_http);
    let namespace = namespace(checker, raw.namespace);
    let mount = Mount {
        path: checker.vault_path("vault.mount", raw.mount).unwrap_or_else(|| DEFAULT_MOUNT.to_owned()),
        kv_version: kv_version(checker, "vault.kv_version", raw.kv_version),
    };
    let poll_interval = checker.duration("vault.poll_interval", raw.poll_interval, &POLL_INTERVAL);
    let timeout = checker.duration("vault.timeout", raw.timeout, &TIMEOUT);
    let concurrency = checker.count("vault.concurrency", raw.concurrency, 1..=256, 16_u16);
    let revoke_token_on_exit = checker.boolean("vault.revoke_token_on_exit", raw.revoke_token_on_exit, true);
    let tls = tls(checker, raw.tls);
    let proxy = proxy(checker, raw.proxy, address.as_ref(), &tls);
    let auth = auth(checker, span, raw.auth, tls.client.is_some());
    let vault = address.zip(auth).map(|(address, auth)| Vault {
        address,
        proxy,
        namespace,
        timeout,
        poll_interval,
        concurrency: concurrency.into(),
        revoke_token_on_exit,
        tls,
        auth,
    });
    (vault, mount)
}

/// The version of a mount's engine; none: the mount is asked.
fn kv_version(checker: &mut Checker<'_>, key: &str, value: Option<Value>) -> Option<KvVersion> {
    match checker.count(key, Some(value?), 1..=2, 2_u8) {
        1 => Some(KvVersion::One),
        _ => Some(KvVersion::Two),
    }
}

fn address(
    checker: &mut Checker<'_>,
    table: Option<Range<usize>>,
    address: Option<Value>,
    allow_plain_http: Option<Value>,
) -> Option<url::Url> {
    let key = "vault.address";
    let plain_http = match checker.boolean("vault.allow_plain_http", allow_plain_http, false) {
        true => PlainHttp::Anywhere,
        false => PlainHttp::LoopbackOnly,
    };
    let Some(address) = checker.or_variable(key, address, &["BAO_ADDR", "VAULT_ADDR"]) else {
        let advice =
            "write address = \"https://vault.example:8200\" below [vault], or set BAO_ADDR or VAULT_ADDR";
        checker.missing(table, key, advice);
        return None;
    };
    if matches!(&address.kind, Kind::Text(text) if text.starts_with(SOCKET)) {
        return socket(checker, key, address);
    }
    let advice = "use https://, or set vault.allow_plain_http = true if the network is trusted";
    let (mut url, origin) = checker.url(key, Some(address), plain_http, advice)?;
    let path = url.path().trim_end_matches('/').to_owned();
    if url.query().is_some() {
        checker.refuse(&origin, key, "carries a query; write it without the ?");
    } else if path.ends_with("/v1") {
        checker.refuse(&origin, key, "ends with /v1; write the address without it");
    }
    url.set_path(&path);
    Some(url)
}

/// The socket of a Vault Agent or Proxy on this host, as `unix:///PATH`.
fn socket(checker: &mut Checker<'_>, key: &str, value: Value) -> Option<url::Url> {
    let (text, origin) = checker.text(key, Some(value))?;
    let url = url::Url::parse(&text).ok();
    // What the address shows is what is connected to: nothing that is written differently in an address.
    let usable = url.as_ref().is_some_and(|url| text.strip_prefix(SOCKET) == Some(url.path()));
    if !usable || text.len() <= SOCKET.len() + 1 {
        checker.refuse(
            &origin,
            key,
            "must be the absolute path of a socket, such as \"unix:///run/vault/agent.sock\"",
        );
        return None;
    }
    url
}

fn proxy(
    checker: &mut Checker<'_>,
    value: Option<Value>,
    address: Option<&url::Url>,
    tls: &Tls,
) -> Option<url::Url> {
    let key = "vault.proxy";
    let (url, origin) = checker.url(key, Some(value?), PlainHttp::Anywhere, "")?;
    let problem = if address.is_some_and(|address| address.scheme() != "https") {
        "is only for an address with https://, through which it tunnels: it would read tokens and credentials"
    } else if tls.server_name.is_some() {
        "cannot be used with vault.tls.server_name: the proxy looks up the name by itself"
    } else if url.path() != "/" || url.query().is_some() {
        "must be http://HOST:PORT, without a path"
    } else {
        return Some(url);
    };
    checker.refuse(&origin, key, problem);
    None
}

/// An empty text in the file stands for no namespace, even if the environment has one.
fn namespace(checker: &mut Checker<'_>, value: Option<Value>) -> Option<String> {
    let key = "vault.namespace";
    if value.as_ref().is_some_and(Value::is_empty_text) {
        return None;
    }
    let value = checker.or_variable(key, value, &["BAO_NAMESPACE", "VAULT_NAMESPACE"]);
    let (text, origin) = checker.text(key, value)?;
    let namespace = text.trim_matches('/');
    if namespace.is_empty() || !namespace.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = "must be letters, digits and slashes, such as \"admin/team\"";
        checker.refuse(&origin, key, message);
    }
    Some(namespace.to_owned())
}

/// Authorities are taken either from the file or from the environment, never mixed: a `VAULT_CAPATH` must not
/// widen what the file trusts. The client's certificate and key likewise belong together.
fn tls(checker: &mut Checker<'_>, table: Option<Table<raw::Tls>>) -> Tls {
    let (_, mut raw) = open(table);
    if raw.ca_file.is_none() && raw.ca_directory.is_none() {
        let names = ["BAO_CACERT", "VAULT_CACERT"];
        raw.ca_file = checker.or_variable("vault.tls.ca_file", None, &names);
        let names = ["BAO_CAPATH", "VAULT_CAPATH"];
        raw.ca_directory = checker.or_variable("vault.tls.ca_directory", None, &names);
    }
    let server_name = checker.or_variable(
        "vault.tls.server_name",
        raw.server_name,
        &["BAO_TLS_SERVER_NAME", "VAULT_TLS_SERVER_NAME"],
    );
    Tls {
        ca_file: checker.file("vault.tls.ca_file", raw.ca_file),
        ca_directory: checker.directory("vault.tls.ca_directory", raw.ca_directory).map(|(path, _)| path),
        client: client(checker, raw.client_certificate_file, raw.client_key_file),
        server_name: self::server_name(checker, server_name),
        skip_verify: skip_verify(checker),
    }
}

fn client(
    checker: &mut Checker<'_>,
    mut certificate: Option<Value>,
    mut key: Option<Value>,
) -> Option<(PathBuf, PathBuf)> {
    let certificate_key = "vault.tls.client_certificate_file";
    let key_key = "vault.tls.client_key_file";
    if certificate.is_none() && key.is_none() {
        let names = ["BAO_CLIENT_CERT", "VAULT_CLIENT_CERT"];
        certificate = checker.or_variable(certificate_key, None, &names);
        key = checker.or_variable(key_key, None, &["BAO_CLIENT_KEY", "VAULT_CLIENT_KEY"]);
    }
    match (&certificate, &key) {
        (Some(given), None) => {
            let message = "needs client_key_file (or BAO_CLIENT_KEY, VAULT_CLIENT_KEY) beside it: both from \
                           the file, or both from the environment";
            checker.refuse(&given.origin, certificate_key, message);
        }
        (None, Some(given)) => {
            let message = "needs client_certificate_file (or BAO_CLIENT_CERT, VAULT_CLIENT_CERT) beside it: \
                           both from the file, or both from the environment";
            checker.refuse(&given.origin, key_key, message);
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    let certificate = checker.file(certificate_key, certificate);
    let key = checker.file(key_key, key);
    certificate.zip(key)
}

fn server_name(checker: &mut Checker<'_>, value: Option<Value>) -> Option<String> {
    let key = "vault.tls.server_name";
    let (text, origin) = checker.text(key, value)?;
    if ServerName::try_from(text.as_str()).is_err() {
        let message = "must be a host name without scheme and port, such as \"vault.example\"";
        checker.refuse(&origin, key, message);
    }
    Some(text)
}

/// Reads the variable as Go's `strconv.ParseBool` does, so that it means here what it means to the `vault`
/// command. A misspelt value is refused, since either guess would be wrong for somebody.
fn skip_verify(checker: &mut Checker<'_>) -> bool {
    let key = "vault.tls";
    let Some((name, text)) = checker.variable(key, &["BAO_SKIP_VERIFY", "VAULT_SKIP_VERIFY"]) else {
        return false;
    };
    match text.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
        _ => {
            checker.refuse(&Origin::Variable(name), key, "must be true or false, or not be set");
            false
        }
    }
}
