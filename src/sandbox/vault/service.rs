//! Which request gets which answer: seal, token, policy, then the thing itself, in the real one's order.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::answers::{self, absent, dead_token, done, errors, forbidden_by_policy};
use super::asked::{Operation, increment, object, query};
use super::kv::{self, Reading};
use super::tokens::Renewal;
use super::{Core, Flavour, State};
use crate::sandbox::http::{Answer, Handler};

/// Who asks.
enum Bearer<'a> {
    Root,
    LoggedIn(&'a str),
}

impl Handler for Core {
    async fn handle(&self, request: Request<Bytes>) -> Answer {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Answer::Whole(self.answer(&request, Instant::now()))
    }
}

impl Core {
    fn answer(&self, request: &Request<Bytes>, now: Instant) -> Response<Bytes> {
        let mut state = self.state();
        if state.sealed {
            return errors(StatusCode::SERVICE_UNAVAILABLE, &["Vault is sealed"]);
        }
        let Some(route) = request.uri().path().strip_prefix("/v1/") else {
            return absent();
        };
        if route == "auth/approle/login" {
            return self.log_in(&mut state, request.body(), now);
        }
        let presented = request.headers().get("X-Vault-Token").and_then(|value| value.to_str().ok());
        let bearer = match presented {
            Some(secret) if secret == self.root_token => Bearer::Root,
            Some(secret) if state.tokens.find(secret, now).is_some() => Bearer::LoggedIn(secret),
            Some(_) | None => return dead_token(),
        };
        let operation = Operation::of(request);
        if let Some(own) = route.strip_prefix("auth/token/") {
            return self.own_token(&mut state, &bearer, own, operation, request.body(), now);
        }
        if let Some(path) = route.strip_prefix("sys/internal/ui/mounts/") {
            return match path.split('/').next() {
                Some("secret") => self.data(StatusCode::OK, answers::mount_described()),
                Some(_) | None => answers::no_such_mount(path),
            };
        }
        let below_mount = route.strip_prefix("secret/").and_then(|rest| rest.split_once('/'));
        let Some((kind, path)) = below_mount else {
            return no_such_route(&bearer, route);
        };
        if matches!(bearer, Bearer::LoggedIn(_)) && state.forbids(path) {
            return forbidden_by_policy();
        }
        match kind {
            "data" => self.secret(&mut state, path, operation, request),
            "metadata" => self.metadata(&state, path, operation, request),
            "detailed-metadata" if state.flavour == Flavour::OpenBao => match operation {
                Operation::List => self.list(&state, path, request, Listing::Detailed),
                Operation::Read | Operation::Write | Operation::Delete | Operation::Unsupported => {
                    unsupported()
                }
            },
            // A policy that covers the mount covers this too; it is the mount that knows nothing of it.
            _ => no_handler(route),
        }
    }

    fn log_in(&self, state: &mut State, body: &Bytes, now: Instant) -> Response<Bytes> {
        let body = object(body);
        let field = |name: &str| body.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
        // The real one answers the first of these with 500, though it is the client's mistake.
        let Some(role_id) = field("role_id") else {
            return errors(StatusCode::INTERNAL_SERVER_ERROR, &["missing role_id"]);
        };
        let Some(secret_id) = field("secret_id") else {
            return errors(StatusCode::BAD_REQUEST, &["missing secret_id"]);
        };
        if role_id != self.role_id || secret_id != self.secret_id {
            return errors(StatusCode::BAD_REQUEST, &["invalid role or secret ID"]);
        }
        let secret = format!("s.{}", self.random.hex(24));
        let token = state.tokens.issue(secret.clone(), self.random.hex(24), self.random.uuid(), now);
        self.logins.fetch_add(1, Ordering::Relaxed);
        self.auth(&secret, &token, token.left(now), None)
    }

    fn own_token(
        &self,
        state: &mut State,
        bearer: &Bearer<'_>,
        own: &str,
        operation: Operation,
        body: &Bytes,
        now: Instant,
    ) -> Response<Bytes> {
        match (own, operation, bearer) {
            ("lookup-self", Operation::Read | Operation::Write, Bearer::Root) => {
                self.data(StatusCode::OK, self.root_described())
            }
            ("lookup-self", Operation::Read | Operation::Write, Bearer::LoggedIn(secret)) => {
                match state.tokens.find(secret, now) {
                    Some(token) => self.data(StatusCode::OK, answers::token_described(secret, token, now)),
                    None => dead_token(),
                }
            }
            ("renew-self", Operation::Write, Bearer::Root) => {
                errors(StatusCode::BAD_REQUEST, &["lease is not renewable"])
            }
            ("renew-self", Operation::Write, Bearer::LoggedIn(secret)) => {
                match state.tokens.renew(secret, increment(&object(body)), now) {
                    Some((token, renewal)) => self.auth(secret, &token, token.left(now), capped(renewal)),
                    None => dead_token(),
                }
            }
            ("revoke-self", Operation::Write, Bearer::Root) => {
                // The real one would give up its root token; here it has to outlive a slip of a test.
                errors(StatusCode::BAD_REQUEST, &["the simulation keeps its root token"])
            }
            ("revoke-self", Operation::Write, Bearer::LoggedIn(secret)) => {
                state.tokens.revoke(secret);
                done()
            }
            ("lookup-self" | "renew-self" | "revoke-self", _, _) => unsupported(),
            (other, _, bearer) => no_such_route(bearer, &format!("auth/token/{other}")),
        }
    }

    fn secret(
        &self,
        state: &mut State,
        path: &str,
        operation: Operation,
        request: &Request<Bytes>,
    ) -> Response<Bytes> {
        match operation {
            Operation::Read => {
                let number = query(request, "version").and_then(|number| number.parse().ok());
                match state.secrets.read(path, number) {
                    Reading::Absent => absent(),
                    Reading::Deleted(data) => self.data(StatusCode::NOT_FOUND, data),
                    Reading::Present(data) => self.data(StatusCode::OK, data),
                }
            }
            Operation::Write => {
                let mut body = object(request.body());
                let expected =
                    body.get("options").and_then(|options| options.get("cas")).and_then(Value::as_u64);
                let Some(fields) = body.remove("data").filter(Value::is_object) else {
                    return errors(StatusCode::BAD_REQUEST, &["no data provided"]);
                };
                if expected.is_some_and(|expected| expected != state.secrets.newest(path)) {
                    let message = "check-and-set parameter did not match the current version";
                    return errors(StatusCode::BAD_REQUEST, &[message]);
                }
                let number = state.secrets.write(path, fields, SystemTime::now());
                self.data(StatusCode::OK, state.secrets.version_metadata(path, number).unwrap_or_default())
            }
            Operation::Delete => {
                state.secrets.delete(path, SystemTime::now());
                done()
            }
            Operation::List | Operation::Unsupported => unsupported(),
        }
    }

    fn metadata(
        &self,
        state: &State,
        path: &str,
        operation: Operation,
        request: &Request<Bytes>,
    ) -> Response<Bytes> {
        match operation {
            Operation::Read => match state.secrets.metadata(path) {
                Some(metadata) => self.data(StatusCode::OK, metadata),
                None => absent(),
            },
            Operation::List => self.list(state, path, request, Listing::Names),
            Operation::Write | Operation::Delete | Operation::Unsupported => unsupported(),
        }
    }

    /// Names below a prefix; `after` and `limit` page through them, as in OpenBao.
    fn list(
        &self,
        state: &State,
        prefix: &str,
        request: &Request<Bytes>,
        listing: Listing,
    ) -> Response<Bytes> {
        let after = query(request, "after").unwrap_or_default();
        let limit = query(request, "limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0);
        let names = state.secrets.names_below(prefix).into_iter().filter(|name| *name > after);
        let names: Vec<String> = names.take(limit.unwrap_or(usize::MAX)).collect();
        if names.is_empty() {
            return absent();
        }
        match listing {
            Listing::Names => self.data(StatusCode::OK, json!({ "keys": names })),
            Listing::Detailed => {
                let described = |name: &String| {
                    let metadata = if name.ends_with('/') {
                        None
                    } else {
                        state.secrets.metadata(&format!("{}/{name}", kv::plain(prefix)))
                    };
                    (name.clone(), metadata.unwrap_or_else(|| json!({})))
                };
                let key_info: Map<String, Value> = names.iter().map(described).collect();
                self.data(StatusCode::OK, json!({ "key_info": key_info, "keys": names }))
            }
        }
    }
}

/// What a list says of each name.
enum Listing {
    Names,
    Detailed,
}

impl State {
    /// Whether the AppRole's policy leaves out this path.
    fn forbids(&self, path: &str) -> bool {
        let path = kv::plain(path);
        self.forbidden.iter().any(|prefix| {
            let rest = path.strip_prefix(prefix.as_str());
            rest.is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// A policy says nothing of places that do not exist, so only the root token learns that there is nothing.
fn no_such_route(bearer: &Bearer<'_>, route: &str) -> Response<Bytes> {
    match bearer {
        Bearer::LoggedIn(_) => forbidden_by_policy(),
        Bearer::Root => no_handler(route),
    }
}

fn no_handler(route: &str) -> Response<Bytes> {
    let message = format!("no handler for route \"{route}\". route entry not found.");
    errors(StatusCode::NOT_FOUND, &[&message])
}

fn unsupported() -> Response<Bytes> {
    errors(StatusCode::METHOD_NOT_ALLOWED, &["1 error occurred:\n\t* unsupported operation\n\n"])
}

fn capped(renewal: Renewal) -> Option<String> {
    let Renewal::Capped { asked, granted } = renewal else {
        return None;
    };
    let (asked, granted) = (answers::whole_seconds(asked), answers::whole_seconds(granted));
    Some(format!(
        "TTL of \"{asked}s\" exceeded the effective max_ttl of \"{granted}s\"; TTL value is capped accordingly"
    ))
}
