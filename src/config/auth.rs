//! Checks `[vault.auth]`: how to log in, in exactly one of several ways.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Auth;
use super::checker::Checker;
use super::raw;
use super::value::{Origin, Table, Value, open};
use crate::domain::secret::Secret;

/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const ADVICE: &str = "say how to log in: add one of the tables [vault.auth.approle], [vault.auth.kubernetes], \
                      [vault.auth.jwt], [vault.auth.cert], [vault.auth.userpass] and [vault.auth.token_file], \
                      or set BAO_TOKEN or VAULT_TOKEN";

/// Checks `[vault.auth]`. `vault` is where a missing table is told of; `certified` says whether `[vault.tls]` has
/// a client certificate.
pub(super) fn auth(
    checker: &mut Checker<'_>,
    vault: Option<Range<usize>>,
    table: Option<Table<raw::Auth>>,
    certified: bool,
) -> Option<Auth> {
    let (span, raw) = open(table);
    let given = [
        ("token_file", raw.token_file.as_ref().map(|table| table.span.clone())),
        ("approle", raw.approle.as_ref().map(|table| table.span.clone())),
        ("kubernetes", raw.kubernetes.as_ref().map(|table| table.span.clone())),
        ("jwt", raw.jwt.as_ref().map(|table| table.span.clone())),
        ("cert", raw.cert.as_ref().map(|table| table.span.clone())),
        ("userpass", raw.userpass.as_ref().map(|table| table.span.clone())),
    ];
    let given: Vec<_> = given.into_iter().filter_map(|(name, span)| Some((name, span?))).collect();
    if let [(first, _), (second, place), ..] = given.as_slice() {
        let message =
            format!("two ways to log in are given; keep [vault.auth.{first}] or [vault.auth.{second}]");
        checker.refuse(&Origin::File(place.clone()), "vault.auth", message);
        return None;
    }
    if let Some(table) = raw.token_file {
        let key = "vault.auth.token_file.path";
        let (span, raw) = open(Some(table));
        return required_file(checker, span, key, raw.path).map(Auth::TokenFile);
    }
    if let Some(table) = raw.approle {
        return approle(checker, table);
    }
    if let Some(table) = raw.kubernetes {
        return service_account(checker, table);
    }
    if let Some(table) = raw.jwt {
        return jwt(checker, table);
    }
    if let Some(table) = raw.cert {
        return cert(checker, table, certified);
    }
    if let Some(table) = raw.userpass {
        return userpass(checker, table);
    }
    token(checker, span.or(vault))
}

fn approle(checker: &mut Checker<'_>, table: Table<raw::AppRole>) -> Option<Auth> {
    let (span, raw) = open(Some(table));
    let mount = mount(checker, "vault.auth.approle.mount", raw.mount, "approle");
    let role_id = "vault.auth.approle.role_id_file";
    let role_id_file = required_file(checker, span.clone(), role_id, raw.role_id_file);
    let secret_id = "vault.auth.approle.secret_id_file";
    let secret_id_file = required_file(checker, span, secret_id, raw.secret_id_file);
    let key = "vault.auth.approle.secret_id_wrapping_path";
    let given = raw.secret_id_wrapping_path.as_ref().map(|value| value.origin.clone());
    let wrapping_path = checker.vault_path(key, raw.secret_id_wrapping_path);
    if let (Some(origin), Some(path)) = (given, &wrapping_path)
        && !path.starts_with("auth/")
    {
        let message = "must be the whole path, such as \"auth/approle/role/bc-secrets-sync/secret-id\"";
        checker.refuse(&origin, key, message);
    }
    let (role_id_file, secret_id_file) = role_id_file.zip(secret_id_file)?;
    Some(Auth::AppRole { mount, role_id_file, secret_id_file, wrapping_path })
}

fn service_account(checker: &mut Checker<'_>, table: Table<raw::ServiceAccount>) -> Option<Auth> {
    let (span, raw) = open(Some(table));
    let mount = mount(checker, "vault.auth.kubernetes.mount", raw.mount, "kubernetes");
    let key = "vault.auth.kubernetes.role";
    let role = checker.text(key, raw.role).map(|(role, _)| role);
    if role.is_none() {
        checker.missing(span, key, "name the role of the auth method that the service account may use");
    }
    let key = "vault.auth.kubernetes.token_file";
    let token_file = match raw.token_file {
        Some(value) => checker.file(key, Some(value))?,
        None => Path::new(SERVICE_ACCOUNT).to_owned(),
    };
    Some(Auth::Jwt { mount, role: Some(role?), token_file })
}

fn jwt(checker: &mut Checker<'_>, table: Table<raw::Jwt>) -> Option<Auth> {
    let (span, raw) = open(Some(table));
    let mount = mount(checker, "vault.auth.jwt.mount", raw.mount, "jwt");
    let role = checker.text("vault.auth.jwt.role", raw.role).map(|(role, _)| role);
    let token_file = required_file(checker, span, "vault.auth.jwt.token_file", raw.token_file)?;
    Some(Auth::Jwt { mount, role, token_file })
}

fn cert(checker: &mut Checker<'_>, table: Table<raw::Cert>, certified: bool) -> Option<Auth> {
    let (span, raw) = open(Some(table));
    let mount = mount(checker, "vault.auth.cert.mount", raw.mount, "cert");
    let role = checker.text("vault.auth.cert.role", raw.role).map(|(role, _)| role);
    if !certified {
        let key = "vault.tls.client_certificate_file";
        checker.missing(span, key, "[vault.auth.cert] logs in with it and with client_key_file");
    }
    Some(Auth::Certificate { mount, role })
}

fn userpass(checker: &mut Checker<'_>, table: Table<raw::Userpass>) -> Option<Auth> {
    let (span, raw) = open(Some(table));
    let mount = mount(checker, "vault.auth.userpass.mount", raw.mount, "userpass");
    let key = "vault.auth.userpass.username";
    if raw.username.is_none() {
        checker.missing(span.clone(), key, "name the user of the auth method");
    }
    let username = checker.text(key, raw.username);
    if let Some((name, origin)) = &username {
        // It becomes a part of a path; these are the names that the server allows.
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let inner = name.bytes().all(|byte| letter(byte) || byte == b'.' || byte == b'-');
        let ends = [name.bytes().next(), name.bytes().next_back()];
        if !inner || !ends.into_iter().flatten().all(letter) {
            let message = "must be letters, digits, '_', '.' and '-' only, without '.' or '-' at an end";
            checker.refuse(origin, key, message);
        }
    }
    let password_file = required_file(checker, span, "vault.auth.userpass.password_file", raw.password_file);
    let ((username, _), password_file) = username.zip(password_file)?;
    Some(Auth::Userpass { mount, username, password_file })
}

fn token(checker: &mut Checker<'_>, table: Option<Range<usize>>) -> Option<Auth> {
    let key = "vault.auth";
    let Some((name, text)) = checker.variable(key, &["BAO_TOKEN", "VAULT_TOKEN"]) else {
        checker.missing(table, key, ADVICE);
        return None;
    };
    let usable = text.bytes().all(|byte| byte.is_ascii_graphic());
    let token = Secret::new(text);
    if !usable {
        let message = "contains a space, a line break or another character that no token has";
        checker.refuse(&Origin::Variable(name), key, message);
    }
    Some(Auth::Token(token))
}

/// The path of an auth method, without `auth/`.
fn mount(checker: &mut Checker<'_>, key: &str, value: Option<Value>, default: &str) -> String {
    let given = value.as_ref().map(|value| value.origin.clone());
    let mount = checker.vault_path(key, value);
    if let (Some(origin), Some(mount)) = (given, &mount)
        && mount.starts_with("auth/")
    {
        let message = format!("begins with auth/; write only what follows it, such as \"{default}\"");
        checker.refuse(&origin, key, message);
    }
    mount.unwrap_or_else(|| default.to_owned())
}

fn required_file(
    checker: &mut Checker<'_>,
    table: Option<Range<usize>>,
    key: &str,
    value: Option<Value>,
) -> Option<PathBuf> {
    if value.is_none() {
        checker.missing(table, key, "name the file by its absolute path");
    }
    checker.file(key, value)
}
