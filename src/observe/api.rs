//! What can be asked for below `/v1/`: reports and acknowledgements of apps, and silences. Each is handed to the
//! engine.

use std::error::Error;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::feed::{EngineAnswer, NoAnswer};
use super::log_level;
use super::routes::{Caller, PLAIN, Pages, json, not_allowed, page, unavailable};
use crate::domain::credentials::StoreName;
use crate::domain::engine::{self, AcknowledgeOutcome, Reply};
use crate::domain::incident::{Incident, IncidentId, SilenceSpan};

/// The longest body that is read, in bytes.
const LONGEST_BODY: usize = 4096;

/// The lines of the index.
pub(super) const INDEX: [(&str, &str); 4] = [
    ("/v1/stores/NAME/report", "POST: an app says that its store refuses the credentials (with a token)"),
    ("/v1/stores/NAME/acknowledge", "POST: an app runs on a generation (with the same token)"),
    ("/v1/incidents/ID/silence", "PUT and DELETE: reminders about an incident (on the control socket only)"),
    ("/v1/log-level", "GET, PUT and DELETE: the level of the log (on the control socket only)"),
];

/// Something that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    Report { store: &'a str },
    Acknowledge { store: &'a str },
    Silence { incident: &'a str },
    LogLevel,
}

impl<'a> Resource<'a> {
    pub(super) fn of(path: &'a str) -> Option<Self> {
        if path == "/v1/log-level" {
            return Some(Self::LogLevel);
        }
        let single = |text: &&str| !text.is_empty() && !text.contains('/');
        if let Some(rest) = path.strip_prefix("/v1/stores/") {
            let store = |verb| rest.strip_suffix(verb).filter(single);
            let report = store("/report").map(|store| Self::Report { store });
            return report.or_else(|| Some(Self::Acknowledge { store: store("/acknowledge")? }));
        }
        let incident = path.strip_prefix("/v1/incidents/")?.strip_suffix("/silence").filter(single)?;
        Some(Self::Silence { incident })
    }
}

/// The body of a request for a silence.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilenceBody {
    /// For how long, in seconds.
    pub seconds: u64,
}

/// The answer to a request for a silence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Silenced {
    /// The incident as it stands now.
    #[serde(flatten)]
    pub incident: Incident,
    /// Why that is not on the disk yet, so that a restart forgets it; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwritten: Option<String>,
}

/// The body of an acknowledgement. Whatever else is in it is passed over, so that an app may send the generation's
/// file as it is.
#[derive(Deserialize)]
struct AcknowledgeBody {
    /// The number of the generation that the app runs on.
    generation: u64,
}

/// Answers a request below `/v1/`.
pub(super) async fn answer<B>(pages: &Pages, request: Request<B>, caller: Caller) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    match Resource::of(parts.uri.path()) {
        Some(Resource::Report { store }) => {
            if parts.method != Method::POST {
                return not_allowed("POST");
            }
            // What else an app says is not looked at: that it says something is all that counts.
            match admit(pages, &parts, caller).await {
                Ok(()) => report(pages, store).await,
                Err(refusal) => refusal,
            }
        }
        Some(Resource::Acknowledge { store }) => {
            if parts.method != Method::POST {
                return not_allowed("POST");
            }
            if let Err(refusal) = admit(pages, &parts, caller).await {
                return refusal;
            }
            match parsed::<AcknowledgeBody, B>(body, "{\"generation\": 3}").await {
                Ok(body) => acknowledge(pages, store, body.generation).await,
                Err(refusal) => refusal,
            }
        }
        Some(Resource::Silence { incident }) => {
            let Caller::Local { uid, pid } = caller else {
                return say(
                    StatusCode::FORBIDDEN,
                    "incidents are silenced through the control socket only: run `bc-secrets-sync silence` where \
                     the daemon runs",
                );
            };
            if parts.method != Method::PUT && parts.method != Method::DELETE {
                return not_allowed("PUT, DELETE");
            }
            if let Err(reason) = pages.access.change((&parts.uri, &parts.headers), caller) {
                return pages.access.refuse(reason);
            }
            let incident = incident.to_owned();
            let request = if parts.method == Method::DELETE {
                engine::Request::Unsilence { incident }
            } else {
                match span(body).await {
                    Ok(span) => engine::Request::Silence { incident, span },
                    Err(refusal) => return refusal,
                }
            };
            silence(pages, request, uid, pid).await
        }
        Some(Resource::LogLevel) => log_level::answer(pages, &parts, body, caller).await,
        // Whoever calls has looked.
        None => say(StatusCode::NOT_FOUND, "there is no such page"),
    }
}

/// Whether an app may say something from there; else the answer that says why not.
async fn admit(pages: &Pages, parts: &Parts, caller: Caller) -> Result<(), Response<Full<Bytes>>> {
    let may = pages.access.change((&parts.uri, &parts.headers), caller);
    may.map_err(|reason| pages.access.refuse(reason))?;
    match caller {
        Caller::Network(_) => pages.access.report(&parts.headers).await,
        Caller::Local { .. } => Ok(()),
    }
}

async fn report(pages: &Pages, store: &str) -> Response<Full<Bytes>> {
    let Ok(store) = StoreName::parse(store) else { return unknown_store() };
    match reply(pages, engine::Request::Report { store }).await {
        Ok(Reply::Reported(reported)) => json(StatusCode::ACCEPTED, &reported),
        Ok(Reply::UnknownStore) => unknown_store(),
        Ok(
            Reply::Acknowledging(_)
            | Reply::Incident(_)
            | Reply::UnknownIncident
            | Reply::AmbiguousIncident(_),
        ) => mistaken(),
        Err(reason) => unavailable(reason),
    }
}

async fn acknowledge(pages: &Pages, store: &str, generation: u64) -> Response<Full<Bytes>> {
    let Ok(store) = StoreName::parse(store) else { return unknown_store() };
    match reply(pages, engine::Request::Acknowledge { store, generation }).await {
        Ok(Reply::Acknowledging(said)) => {
            let status = match said.outcome {
                AcknowledgeOutcome::Acknowledged => StatusCode::OK,
                AcknowledgeOutcome::Superseded
                | AcknowledgeOutcome::Unknown
                | AcknowledgeOutcome::NothingPublished
                | AcknowledgeOutcome::NotConfigured => StatusCode::CONFLICT,
            };
            json(status, &said)
        }
        Ok(Reply::UnknownStore) => unknown_store(),
        Ok(
            Reply::Reported(_) | Reply::Incident(_) | Reply::UnknownIncident | Reply::AmbiguousIncident(_),
        ) => mistaken(),
        Err(reason) => unavailable(reason),
    }
}

/// The engine's reply, for those to whom it does not matter whether the ledger is on the disk.
async fn reply(pages: &Pages, request: engine::Request) -> Result<Reply, NoAnswer> {
    pages.requests.ask(request).await.map(|answer| answer.reply)
}

fn unknown_store() -> Response<Full<Bytes>> {
    say(StatusCode::NOT_FOUND, "no store of this name is configured; /status lists them")
}

async fn silence(pages: &Pages, request: engine::Request, uid: u32, pid: i32) -> Response<Full<Bytes>> {
    let answer = pages.requests.ask(request).await;
    let (reply, unwritten) = match answer {
        Ok(EngineAnswer { reply, unwritten }) => (reply, unwritten),
        Err(reason) => return unavailable(reason),
    };
    match reply {
        Reply::Incident(incident) => {
            let (id, until) = (incident.id.as_str(), incident.silenced_until.map(|until| until.to_string()));
            tracing::info!(incident = id, until, uid, pid, "asked through the control socket");
            json(StatusCode::OK, &Silenced { incident: *incident, unwritten })
        }
        Reply::UnknownIncident => say(
            StatusCode::NOT_FOUND,
            "no open incident has this ID, nor one that begins so; `bc-secrets-sync incidents` lists them",
        ),
        Reply::AmbiguousIncident(ids) => {
            let ids: Vec<&str> = ids.iter().map(IncidentId::as_str).collect();
            let text = format!("several open incidents have an ID that begins so: {}", ids.join(", "));
            say(StatusCode::CONFLICT, &text)
        }
        Reply::Reported(_) | Reply::Acknowledging(_) | Reply::UnknownStore => mistaken(),
    }
}

/// The span that a body asks for, or the answer that says what is wrong with it.
async fn span<B>(body: B) -> Result<SilenceSpan, Response<Full<Bytes>>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let body: SilenceBody = parsed(body, "{\"seconds\": 7200}").await?;
    SilenceSpan::new(Duration::from_secs(body.seconds))
        .map_err(|error| say(StatusCode::BAD_REQUEST, &error.to_string()))
}

/// A body as JSON, or the answer that says what is wrong with it.
pub(super) async fn parsed<T, B>(body: B, example: &str) -> Result<T, Response<Full<Bytes>>>
where
    T: DeserializeOwned,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let bytes = match Limited::new(body, LONGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Err(say(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"));
        }
        Err(_) => return Err(say(StatusCode::BAD_REQUEST, "the body did not come whole")),
    };
    serde_json::from_slice(&bytes)
        .map_err(|_| say(StatusCode::BAD_REQUEST, &format!("the body must be JSON such as {example}")))
}

pub(super) fn say(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    page(status, PLAIN, format!("{text}\n"))
}

/// The engine replied to something else: a defect of ours.
fn mistaken() -> Response<Full<Bytes>> {
    tracing::error!("the engine's reply does not fit the request; please report this");
    say(StatusCode::INTERNAL_SERVER_ERROR, "the reply does not fit the request; please report this")
}
