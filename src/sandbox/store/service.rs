//! What a simulated store answers to a request.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::json;

use super::{Behaviour, Platform};
use crate::sandbox::http::{Answer, Handler};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");

/// In which form a valid answer is sent.
#[derive(Clone, Copy)]
enum Form {
    AsAsked,
    Xml,
}

impl Handler for Platform {
    async fn handle(&self, request: Request<Bytes>) -> Answer {
        let Some((store, resource)) = split(request.uri().path()) else {
            return Answer::Whole(failure(StatusCode::NOT_FOUND, "There is no store at this address."));
        };
        match self.arrived(store) {
            None => Answer::Whole(failure(StatusCode::NOT_FOUND, "There is no such store.")),
            Some(Behaviour::Normal) => {
                Answer::Whole(self.legacy_api(store, resource, &request, Form::AsAsked))
            }
            Some(Behaviour::Xml) => Answer::Whole(self.legacy_api(store, resource, &request, Form::Xml)),
            Some(Behaviour::Slow(delay)) => {
                tokio::time::sleep(delay).await;
                Answer::Whole(self.legacy_api(store, resource, &request, Form::AsAsked))
            }
            Some(Behaviour::Answer { status, headers, body }) => {
                Answer::Whole(scripted(status, &headers, body))
            }
            Some(Behaviour::Hang) => std::future::pending().await,
            Some(Behaviour::Cut) => {
                Answer::CutShort(self.legacy_api(store, resource, &request, Form::AsAsked))
            }
            Some(Behaviour::Disconnect) => Answer::CutShort(time_as_json()),
            Some(Behaviour::Endless) => Answer::Endless(typed(JSON, format!("{{\"time\":{}", unix_time()))),
        }
    }
}

impl Platform {
    /// Counts a request and tells how the store behaves; nothing for a store that is not there.
    fn arrived(&self, store: &str) -> Option<Behaviour> {
        let mut stores = self.stores();
        let store = stores.get_mut(store)?;
        store.requests += 1;
        Some(store.behaviour.clone())
    }

    fn legacy_api(
        &self,
        store: &str,
        resource: &str,
        request: &Request<Bytes>,
        form: Form,
    ) -> Response<Bytes> {
        if resource != "api/v2/time" {
            return failure(StatusCode::NOT_FOUND, "The requested resource was not found.");
        }
        if request.method() != Method::GET {
            let mut response = failure(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed here.");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return response;
        }
        let remaining = match self.authenticate(store, request.headers()) {
            Ok(remaining) => remaining,
            Err(message) => return failure(StatusCode::UNAUTHORIZED, message),
        };
        let mut response = match form {
            Form::AsAsked if asks_for_json(request.headers()) => time_as_json(),
            Form::AsAsked | Form::Xml => typed(
                XML,
                format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<time>\n  <time>{}</time>\n</time>\n",
                    unix_time()
                ),
            ),
        };
        response.headers_mut().insert(REMAINING, HeaderValue::from(remaining));
        response
    }

    /// Compares the presented credentials with the store's accounts, and counts a refusal. Tells how many requests are
    /// left.
    fn authenticate(&self, store: &str, headers: &HeaderMap) -> Result<u64, &'static str> {
        let mut stores = self.stores();
        let Some(store) = stores.get_mut(store) else {
            return Err(WRONG_CREDENTIALS);
        };
        let outcome = match headers.get(AUTHORIZATION) {
            None => Err(NO_CREDENTIALS),
            Some(header) => {
                let presented = basic_credentials(header);
                let fits = |(username, token): (String, String)| {
                    store
                        .accounts
                        .iter()
                        .any(|account| account.username == username && account.token == token)
                };
                if presented.is_some_and(fits) { Ok(()) } else { Err(WRONG_CREDENTIALS) }
            }
        };
        if outcome.is_err() {
            store.rejected += 1;
        }
        // Begins anew when they are used up: the real one's hour is a rolling one.
        outcome.map(|()| LIMIT - store.requests % LIMIT)
    }
}

/// Requests that an account has in an hour, and the header that tells how many of them are left.
const LIMIT: u64 = 20_000;
const REMAINING: HeaderName = HeaderName::from_static("x-bc-apilimit-remaining");

/// Known from the real API.
const NO_CREDENTIALS: &str = "No credentials were supplied in the request.";
/// Invented for the simulation: what the real API says here is unknown, so nothing may depend on it.
const WRONG_CREDENTIALS: &str = "The simulation does not accept these credentials.";

/// Splits `/stores/{store}/{resource}`.
fn split(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix("/stores/")?.split_once('/')
}

/// The user name and the token of an HTTP Basic header.
fn basic_credentials(header: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let text = String::from_utf8(decoded).ok()?;
    let (username, token) = text.split_once(':')?;
    Some((username.to_owned(), token.to_owned()))
}

fn asks_for_json(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("application/json"))
}

fn time_as_json() -> Response<Bytes> {
    typed(JSON, json!({ "time": unix_time() }).to_string())
}

/// An error in the form of v2: an array. The form of errors in XML is unknown, so JSON is sent in any case.
fn failure(status: StatusCode, message: &str) -> Response<Bytes> {
    let mut response = typed(JSON, json!([{ "status": status.as_u16(), "message": message }]).to_string());
    *response.status_mut() = status;
    response
}

fn scripted(status: u16, headers: &[(String, String)], body: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    match StatusCode::from_u16(status) {
        Ok(status) if !status.is_informational() => *response.status_mut() = status,
        Ok(_) | Err(_) => return unsendable("status"),
    }
    for (name, value) in headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return unsendable("header");
        };
        response.headers_mut().append(name, value);
    }
    response
}

fn unsendable(part: &str) -> Response<Bytes> {
    let message = format!("The simulation cannot send the {part} it was told to send.");
    failure(StatusCode::INTERNAL_SERVER_ERROR, &message)
}

fn typed(content_type: HeaderValue, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// Seconds since 1970. A clock set before that reads 0.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
