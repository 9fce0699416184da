//! A small API server of Kubernetes that takes Events over TLS, and refuses what a real one refuses.

mod event;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::SandboxError;
use super::authority::Authority;
use super::http::{Answer, Handler, Server};

/// A running API server with one namespace and one service account. Clones are handles on the same one; it ends
/// when the last clone is dropped.
#[derive(Clone)]
pub struct SmallApiServer {
    server: Server,
    cluster: Arc<Cluster>,
}

/// What the service account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Create Events.
    CreateEvents,
    /// Nothing.
    None,
}

struct Cluster {
    namespace: String,
    state: Mutex<State>,
}

struct State {
    token: String,
    rights: Rights,
    events: Vec<Value>,
    requests: u64,
    /// Given to the next request in the place of what would be right.
    answers: Vec<(u16, Option<u64>)>,
}

impl SmallApiServer {
    /// Listens on a loopback address (port 0 takes a free one) with a certificate of `authority`. Whoever has the
    /// token may create Events in the namespace.
    ///
    /// Fails when the address is refused or no certificate can be made; see [`SandboxError`].
    pub async fn start(
        listen: SocketAddr,
        authority: &Authority,
        namespace: &str,
        token: &str,
    ) -> Result<Self, SandboxError> {
        let state = State {
            token: token.to_owned(),
            rights: Rights::CreateEvents,
            events: Vec::new(),
            requests: 0,
            answers: Vec::new(),
        };
        let cluster = Arc::new(Cluster { namespace: namespace.to_owned(), state: Mutex::new(state) });
        let tls = authority.certify(&[], None)?.server_config()?;
        let server = Server::start(listen, Some(tls), Arc::clone(&cluster)).await?;
        Ok(Self { server, cluster })
    }

    /// The address listened on, with the port that was taken.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The Events so far, in the order in which they were created.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.cluster.state().events.clone()
    }

    /// How many requests have arrived.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.cluster.state().requests
    }

    /// Replaces the token: the one before is refused from now on.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut self.cluster.state().token);
    }

    /// Changes what the service account may do.
    pub fn set_rights(&self, rights: Rights) {
        self.cluster.state().rights = rights;
    }

    /// Answers the next request with this status, whatever it asks for, and asks to wait for so many seconds.
    /// Can be called for several requests in advance.
    pub fn answer_next(&self, status: u16, retry_after: Option<u64>) {
        self.cluster.state().answers.push((status, retry_after));
    }

    /// Forgets an Event, as a cluster does after an hour.
    pub fn expire(&self, name: &str) {
        self.cluster.state().events.retain(|event| event::name(event) != Some(name));
    }
}

/// The token is left out.
impl fmt::Debug for SmallApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmallApiServer").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Cluster {
    /// A lock left by a panicking test still holds whole values, so it is used.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let mut state = self.state();
        state.requests += 1;
        if !state.answers.is_empty() {
            let (code, retry_after) = state.answers.remove(0);
            let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = status(code, "Told", "told to say so");
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(HeaderName::from_static("retry-after"), seconds.into());
            }
            return response;
        }
        let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if bearer.and_then(|value| value.strip_prefix("Bearer ")) != Some(state.token.as_str()) {
            return status(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized");
        }
        let events = format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.namespace);
        if request.uri().path() != events {
            // A Role is good in its own namespace only, and rights are looked at before anything is looked for.
            return status(StatusCode::FORBIDDEN, "Forbidden", "no Role allows that");
        }
        if state.rights == Rights::None {
            let message = "cannot create resource \"events\" in API group \"events.k8s.io\"";
            return status(StatusCode::FORBIDDEN, "Forbidden", message);
        }
        if request.method() != Method::POST {
            return status(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "Events are only created here",
            );
        }
        let content_type = request.headers().get(CONTENT_TYPE);
        if content_type.is_none_or(|value| value != "application/json") {
            return status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", "not JSON");
        }
        let Ok(event) = serde_json::from_slice::<Value>(request.body()) else {
            return status(StatusCode::BAD_REQUEST, "BadRequest", "the body is no JSON");
        };
        let refusals = event::refusals(&event, &self.namespace);
        if !refusals.is_empty() {
            return status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", &refusals.join("; "));
        }
        if state.events.iter().any(|known| event::name(known) == event::name(&event)) {
            return status(StatusCode::CONFLICT, "AlreadyExists", "there is an Event of that name");
        }
        state.events.push(event.clone());
        json_answer(StatusCode::CREATED, &event)
    }
}

impl Handler for Cluster {
    async fn handle(&self, request: Request<Bytes>) -> Answer {
        Answer::Whole(self.answer(&request))
    }
}

/// A `Status`, as every refusal of an API server is one.
fn status(code: StatusCode, reason: &str, message: &str) -> Response<Bytes> {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code.as_u16(),
    });
    json_answer(code, &body)
}

fn json_answer(code: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
