//! The shapes of a Vault's answers: the envelope around data, what is said of a token, and errors.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Core;
use super::kv::timestamp;
use super::tokens::Token;

/// The policies of the AppRole.
const POLICIES: [&str; 2] = ["bc-secrets-sync", "default"];

impl Core {
    /// An answer with `data`.
    pub(super) fn data(&self, status: StatusCode, data: Value) -> Response<Bytes> {
        self.envelope(status, data, Value::Null, Value::Null)
    }

    /// An answer with `auth`: a login or a renewal. `lifetime` is what the token has left.
    pub(super) fn auth(
        &self,
        secret: &str,
        token: &Token,
        lifetime: Duration,
        warning: Option<String>,
    ) -> Response<Bytes> {
        let auth = json!({
            "client_token": secret,
            "accessor": token.accessor,
            "policies": POLICIES,
            "token_policies": POLICIES,
            "metadata": { "role_name": "bc-secrets-sync" },
            "lease_duration": whole_seconds(lifetime),
            "renewable": true,
            "entity_id": token.entity_id,
            "token_type": "service",
            "orphan": true,
            "mfa_requirement": null,
            "num_uses": 0,
        });
        let warnings = warning.map_or(Value::Null, |warning| json!([warning]));
        self.envelope(StatusCode::OK, Value::Null, auth, warnings)
    }

    fn envelope(&self, status: StatusCode, data: Value, auth: Value, warnings: Value) -> Response<Bytes> {
        let body = json!({
            "request_id": self.random.uuid(),
            "lease_id": "",
            "renewable": false,
            "lease_duration": 0,
            "data": data,
            "wrap_info": null,
            "warnings": warnings,
            "auth": auth,
        });
        answer(status, Bytes::from(format!("{body}\n")))
    }

    /// What looking up the root token gives.
    pub(super) fn root_described(&self) -> Value {
        json!({
            "accessor": "root",
            "creation_time": unix_seconds(self.started),
            "creation_ttl": 0,
            "display_name": "token",
            "entity_id": "",
            "expire_time": null,
            "explicit_max_ttl": 0,
            "id": self.root_token,
            "issue_time": timestamp(self.started),
            "meta": null,
            "num_uses": 0,
            "orphan": true,
            "path": "auth/token/create",
            "policies": ["root"],
            "renewable": false,
            "ttl": 0,
            "type": "service",
        })
    }
}

/// What looking up a token from logging in gives.
pub(super) fn token_described(secret: &str, token: &Token, now: Instant) -> Value {
    let left = token.left(now);
    json!({
        "accessor": token.accessor,
        "creation_time": unix_seconds(token.created),
        "creation_ttl": whole_seconds(token.creation_ttl),
        "display_name": "approle",
        "entity_id": token.entity_id,
        "expire_time": timestamp(SystemTime::now() + left),
        "explicit_max_ttl": 0,
        "id": secret,
        "issue_time": timestamp(token.created),
        "meta": { "role_name": "bc-secrets-sync" },
        "num_uses": 0,
        "orphan": true,
        "path": "auth/approle/login",
        "policies": POLICIES,
        "renewable": true,
        "ttl": whole_seconds(left),
        "type": "service",
    })
}

/// What `sys/internal/ui/mounts` says of the one mount.
pub(super) fn mount_described() -> Value {
    json!({
        "accessor": "kv_simulated",
        "config": { "default_lease_ttl": 0, "force_no_cache": false, "max_lease_ttl": 0 },
        "deprecation_status": "supported",
        "description": "key/value secret storage",
        "external_entropy_access": false,
        "local": false,
        "options": { "version": "2" },
        "path": "secret/",
        "plugin_version": "",
        "running_plugin_version": "v2.7.2+builtin.bao",
        "running_sha256": "",
        "seal_wrap": false,
        "type": "kv",
        "uuid": "00000000-0000-0000-0000-000000000000",
    })
}

/// An error with its messages; an absent thing has none.
pub(super) fn errors(status: StatusCode, messages: &[&str]) -> Response<Bytes> {
    answer(status, Bytes::from(format!("{}\n", json!({ "errors": messages }))))
}

/// The token is unknown, expired, revoked or missing.
pub(super) fn dead_token() -> Response<Bytes> {
    errors(StatusCode::FORBIDDEN, &["permission denied"])
}

/// The token is alive, and its policy does not allow the request. OpenBao words the two cases differently; only
/// `lookup-self` is meant to tell them apart.
pub(super) fn forbidden_by_policy() -> Response<Bytes> {
    errors(StatusCode::FORBIDDEN, &["1 error occurred:\n\t* permission denied\n\n"])
}

/// There is no mount at that path, or none the token may know of.
pub(super) fn no_such_mount(path: &str) -> Response<Bytes> {
    let message = format!(
        "preflight capability check returned 403, please ensure client's policies grant access to path \"{path}/\""
    );
    errors(StatusCode::FORBIDDEN, &[&message])
}

/// Never written, or nothing below that prefix.
pub(super) fn absent() -> Response<Bytes> {
    errors(StatusCode::NOT_FOUND, &[])
}

/// Done, with nothing to say.
pub(super) fn done() -> Response<Bytes> {
    answer(StatusCode::NO_CONTENT, Bytes::new())
}

fn answer(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Rounded up, so that a token that lives for less than a second does not look as if it lived for ever.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Seconds since 1970. A clock set before that reads 0.
fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
