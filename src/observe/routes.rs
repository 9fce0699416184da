//! The paths and what each answers. Pages are here, what can be asked for below `/v1/` is in `api`.

use std::error::Error;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Bytes};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

use super::access::{Access, Refused};
use super::api::{self, Resource};
use super::body::{AnswerBody, Content, Holding};
use super::feed::{ANSWER_LIMIT, Heartbeat, NoAnswer, RequestSource, SnapshotSource};
use super::metrics;
use super::negotiation::Exposition;
use super::origin::Visitor;
use super::page::{self as status_page, EventStream, Hold, LISTENERS, Live};
use super::probes::{Check, Detail, Health};
use super::room::{Peer, Room};
use crate::config::Open;
use crate::domain::incident::Incident;
use crate::domain::snapshot::{Snapshot, StateStatus};
use crate::domain::time::Timestamp;
use crate::system::logging::Levels;

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// With more stores than that, metrics are written beside the daemon's loop, which would stand still meanwhile: one
/// thread runs both. With fewer that takes some milliseconds, and another thread would cost memory.
const ENCODED_AT_ONCE: usize = 200;

/// One text at a time is written there: each may take 25 MB.
static ASIDE: Semaphore = Semaphore::const_new(1);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// Somebody who reached the address.
    Network(Visitor),
    /// Somebody who may open the control socket.
    Local { uid: u32, pid: i32 },
}

impl Caller {
    /// The process at the other end, as the kernel knows it; for the log.
    pub(super) fn local(stream: &UnixStream) -> Self {
        let peer = stream.peer_cred();
        let uid = peer.as_ref().map_or(u32::MAX, tokio::net::unix::UCred::uid);
        Self::Local { uid, pid: peer.ok().and_then(|peer| peer.pid()).unwrap_or_default() }
    }
}

/// Every page, and what the pages are made from.
#[derive(Clone, Debug)]
pub struct Pages {
    source: SnapshotSource,
    heartbeat: watch::Receiver<Heartbeat>,
    pub(super) requests: RequestSource,
    pub(super) access: Access,
    pub(super) levels: Levels,
    live: Live,
    network: Rooms,
    local: Rooms,
}

/// Where answers take place while they are under way. The control socket has rooms of its own.
#[derive(Clone, Debug)]
struct Rooms {
    /// For all but the probes and events, which have a limit of their own: both together are fewer than connections.
    answers: Room,
    /// For those that may be long: each is in memory until it was read.
    long: Room,
    /// For events: they last, and a browser has six connections at the most.
    events: Room,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            answers: Room::new(32, 16),
            long: Room::new(6, 3),
            events: Room::new(LISTENERS, LISTENERS / 2),
        }
    }
}

/// What is answered: a page, or events as they come.
pub(super) type Answer = Response<AnswerBody>;

impl Pages {
    /// Pages made from what the loop says.
    #[must_use]
    pub fn new(
        source: SnapshotSource,
        requests: RequestSource,
        heartbeat: watch::Receiver<Heartbeat>,
        access: Access,
        levels: Levels,
    ) -> Self {
        let (network, local) = (Rooms::default(), Rooms::default());
        Self { source, heartbeat, requests, access, levels, live: Live::default(), network, local }
    }

    /// Answers a request.
    pub(super) async fn answer<B>(&self, request: Request<B>, caller: Caller) -> Answer
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (mut holding, hold) = (Holding::default(), request.extensions().get::<Hold>().cloned());
        let mut answer = match self.admit(&request, caller, hold.as_ref(), &mut holding).await {
            Err(refusal) => refusal.map(text),
            Ok(()) => match Resource::of(request.uri().path()) {
                Some(_) => api::answer(self, request, caller).await.map(text),
                None => match self.events(&request, hold) {
                    Some(events) => events,
                    None => self.page(&request).await.map(text),
                },
            },
        }
        .map(|content| AnswerBody::new(content, holding));
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        status_page::guard(headers);
        answer
    }

    /// Whether a request is looked at, and room for its answer; else the answer that says why not.
    async fn admit<B>(
        &self,
        request: &Request<B>,
        caller: Caller,
        hold: Option<&Hold>,
        holding: &mut Holding,
    ) -> Result<(), Response<Full<Bytes>>> {
        let route = Route::of(request.uri().path());
        // What can be asked for has rules of its own, with its method.
        let is_page = Resource::of(request.uri().path()).is_none() && !route.is_some_and(Route::is_part);
        let (rooms, peer) = match caller {
            Caller::Network(visitor) => {
                if is_page {
                    let open = route.and_then(Route::opened_by);
                    self.access.show((request.uri(), request.headers()), visitor, open).await?;
                }
                (&self.network, Peer::of(visitor.address))
            }
            Caller::Local { .. } => (&self.local, Peer::LOCAL),
        };
        if route.is_some_and(Route::is_short) {
            return Ok(());
        }
        let full = || self.access.refuse(Refused::NoRoom);
        if route == Some(Route::Events) {
            holding.places.push(rooms.events.enter(peer).ok_or_else(too_many_listeners)?);
        } else {
            holding.places.push(rooms.answers.enter_within(peer, ANSWER_LIMIT).await.ok_or_else(full)?);
        }
        // Who still waits for a place can be done without, when there are too many connections.
        holding.under_way = hold.map(|hold| hold.under_way.one());
        if route.is_some_and(Route::is_long) {
            holding.places.push(rooms.long.enter_within(peer, ANSWER_LIMIT).await.ok_or_else(full)?);
        }
        Ok(())
    }

    async fn page<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return not_allowed("GET, HEAD");
        }
        let detail = Detail::of(request.uri().query());
        match Route::of(request.uri().path()) {
            Some(Route::Index) => self.index(request.headers(), request.uri().query()).await,
            Some(Route::Events) => too_many_listeners(),
            Some(Route::Style) => page(StatusCode::OK, "text/css; charset=utf-8", status_page::STYLE),
            Some(Route::Script) => {
                page(StatusCode::OK, "text/javascript; charset=utf-8", status_page::SCRIPT)
            }
            Some(Route::Icon) => page(StatusCode::OK, "image/svg+xml", status_page::ICON),
            Some(Route::Live) => probe(&Check::live(&self.heartbeat), detail),
            Some(Route::Ready) => probe(&Check::ready(&self.heartbeat), detail),
            Some(Route::Started) => probe(&Check::started(&self.heartbeat), detail),
            Some(Route::Health) => self.health().await,
            Some(Route::Metrics) => self.metrics(request.headers()).await,
            Some(Route::Incidents) => match self.source.snapshot().await {
                Ok(snapshot) => {
                    let incidents = |snapshot: &Snapshot| Incidents {
                        at: snapshot.at,
                        incidents: snapshot.incidents.clone(),
                        state: snapshot.state.clone(),
                    };
                    write_aside(snapshot, move |snapshot| json(StatusCode::OK, &incidents(snapshot))).await
                }
                Err(reason) => unavailable(reason),
            },
            Some(Route::Status) => match self.source.snapshot().await {
                Ok(snapshot) => write_aside(snapshot, |snapshot| json(StatusCode::OK, snapshot)).await,
                Err(reason) => unavailable(reason),
            },
            None => page(StatusCode::NOT_FOUND, PLAIN, format!("there is no such page\n\n{}", index())),
        }
    }

    /// The status page for those who want HTML, the list of pages for others.
    async fn index(&self, headers: &HeaderMap, query: Option<&str>) -> Response<Full<Bytes>> {
        let mut page = if status_page::is_wanted(headers) {
            let (snapshot, place) = match self.live.page(&self.source).await {
                Ok(made) => made,
                Err(reason) => return unavailable(reason),
            };
            let (query, place) = (query.map(str::to_owned), place.to_string());
            let stores = snapshot.stores.len();
            let render = move || status_page::render(&snapshot, query.as_deref(), &place);
            match status_page::aside(stores, render).await {
                Ok(html) => page(StatusCode::OK, HTML, html),
                Err(error) => return broken(&error),
            }
        } else {
            page(StatusCode::OK, PLAIN, index())
        };
        page.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
        page
    }

    /// The events, if they are asked for and there is room for one more who listens.
    fn events<B>(&self, request: &Request<B>, hold: Option<Hold>) -> Option<Response<Content>> {
        let is_head = request.method() == Method::HEAD;
        let is_read = is_head || request.method() == Method::GET;
        if !is_read || Route::of(request.uri().path()) != Some(Route::Events) {
            return None;
        }
        let content = if is_head {
            Content::Text(Bytes::new())
        } else {
            let asked = (request.headers(), request.uri().query());
            Content::Events(EventStream::open(&self.live, &self.source, &self.heartbeat, hold, asked)?)
        };
        let mut answer = Response::new(content);
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        // For proxies that would gather them.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Some(answer)
    }

    async fn health(&self) -> Response<Full<Bytes>> {
        let live = Check::live(&self.heartbeat);
        // A stalled loop would not answer: nobody should have to wait to hear that.
        let (worst_state, error) = if live.passed {
            match self.source.snapshot().await {
                Ok(snapshot) => (snapshot.worst_state(), None),
                Err(reason) => (None, Some(reason.to_string())),
            }
        } else {
            (None, Some(live.says))
        };
        let health = Health {
            live: live.passed,
            ready: Check::ready(&self.heartbeat).passed,
            started: Check::started(&self.heartbeat).passed,
            worst_state,
            error,
        };
        json(status(health.live), &health)
    }

    async fn metrics(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let exposition = Exposition::of(headers);
        let snapshot: Arc<Snapshot> = match self.source.snapshot().await {
            Ok(snapshot) => snapshot,
            Err(reason) => return unavailable(reason),
        };
        let encoded = if snapshot.stores.len() > ENCODED_AT_ONCE {
            encode_aside(snapshot, exposition).await
        } else {
            metrics::encode(snapshot, exposition)
        };
        match encoded {
            Ok(text) => {
                let mut page = page(StatusCode::OK, exposition.content_type(), text);
                page.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
                page
            }
            Err(error) => broken(&error),
        }
    }
}

/// `/v1/incidents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incidents {
    /// When they stood so.
    pub at: Timestamp,
    /// The open incidents, the oldest first.
    pub incidents: Vec<Incident>,
    /// Whether they are on the disk.
    pub state: StateStatus,
}

/// A path that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Index,
    Events,
    Style,
    Script,
    Icon,
    Live,
    Ready,
    Started,
    Health,
    Metrics,
    Status,
    Incidents,
}

impl Route {
    const ALL: [Self; 12] = [
        Self::Index,
        Self::Events,
        Self::Style,
        Self::Script,
        Self::Icon,
        Self::Live,
        Self::Ready,
        Self::Started,
        Self::Health,
        Self::Metrics,
        Self::Status,
        Self::Incidents,
    ];

    fn of(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.path() == path)
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Index => "/",
            Self::Events => "/events",
            Self::Style => "/page.css",
            Self::Script => "/page.js",
            Self::Icon => "/icon.svg",
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Started => "/startupz",
            Self::Health => "/healthz",
            Self::Metrics => "/metrics",
            Self::Status => "/status",
            Self::Incidents => "/v1/incidents",
        }
    }

    /// Whether it is only a part of another page.
    const fn is_part(self) -> bool {
        matches!(self, Self::Style | Self::Script | Self::Icon)
    }

    /// What of the configuration may open it to those without a token.
    const fn opened_by(self) -> Option<Open> {
        match self {
            Self::Live | Self::Ready | Self::Started | Self::Health => Some(Open::Probes),
            Self::Metrics => Some(Open::Metrics),
            Self::Index
            | Self::Events
            | Self::Style
            | Self::Script
            | Self::Icon
            | Self::Status
            | Self::Incidents => None,
        }
    }

    /// Whether it is a few bytes that are there at once: always answered, however many others are.
    const fn is_short(self) -> bool {
        matches!(self, Self::Live | Self::Ready | Self::Started)
    }

    /// Whether it grows with the number of stores.
    const fn is_long(self) -> bool {
        matches!(self, Self::Index | Self::Metrics | Self::Status | Self::Incidents)
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Index => "the status page in a browser; this list elsewhere",
            Self::Events => "what changes on the status page, as server-sent events",
            Self::Style | Self::Script | Self::Icon => "a part of the status page",
            Self::Live => "whether the daemon makes progress (?verbose for more)",
            Self::Ready => "whether every store has published credentials (?verbose for more)",
            Self::Started => "whether the daemon has finished starting (?verbose for more)",
            Self::Health => "a summary, as JSON",
            Self::Metrics => "metrics for Prometheus",
            Self::Status => "everything that is known, as JSON; no secrets",
            Self::Incidents => "the open incidents, as JSON",
        }
    }
}

async fn encode_aside(snapshot: Arc<Snapshot>, exposition: Exposition) -> Result<String, std::fmt::Error> {
    let _alone = ASIDE.acquire().await;
    // Made here and not there: the allocator would keep as much again for each thread that ever did it.
    let text = metrics::room(&snapshot);
    let encode = move || metrics::encode_into(text, snapshot, exposition);
    spawn_blocking(encode).await.unwrap_or(Err(std::fmt::Error))
}

/// Writes a page of a snapshot, away from the loop's thread where that takes a while.
async fn write_aside(
    snapshot: Arc<Snapshot>,
    write: impl Fn(&Snapshot) -> Response<Full<Bytes>> + Send + 'static,
) -> Response<Full<Bytes>> {
    let size = snapshot.stores.len().max(snapshot.incidents.len());
    let written = status_page::aside(size, move || write(&snapshot)).await;
    written.unwrap_or_else(|error| broken(&error))
}

fn too_many_listeners() -> Response<Full<Bytes>> {
    let text = "there are too many listeners; try again soon\n";
    let mut page = page(StatusCode::SERVICE_UNAVAILABLE, PLAIN, text);
    page.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
    page
}

fn text(page: Full<Bytes>) -> Content {
    Content::Text(page.into_inner().unwrap_or_default())
}

fn index() -> String {
    let line = |(path, title): (&str, &str)| format!("{path:<16} {title}\n");
    let pages = Route::ALL.into_iter().filter(|route| !route.is_part());
    pages.map(|route| (route.path(), route.title())).chain(api::INDEX).map(line).collect()
}

fn probe(check: &Check, detail: Detail) -> Response<Full<Bytes>> {
    page(status(check.passed), PLAIN, check.page(detail))
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_string_pretty(value) {
        Ok(mut text) => {
            text.push('\n');
            page(status, JSON, text)
        }
        Err(error) => broken(&error),
    }
}

pub(super) fn unavailable(reason: NoAnswer) -> Response<Full<Bytes>> {
    page(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{reason}\n"))
}

/// A page that could not be written: a defect of ours.
fn broken(error: &(dyn Error + 'static)) -> Response<Full<Bytes>> {
    tracing::error!(error, "a page could not be written; please report this");
    page(
        StatusCode::INTERNAL_SERVER_ERROR,
        PLAIN,
        "the page could not be written; the log says why\n".to_owned(),
    )
}

pub(super) fn not_allowed(methods: &'static str) -> Response<Full<Bytes>> {
    let text = format!("only {}\n", methods.replace(", ", " and "));
    let mut page = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, text);
    page.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    page
}

const fn status(passed: bool) -> StatusCode {
    if passed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

pub(super) fn page(
    status: StatusCode,
    content_type: &'static str,
    text: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(text.into()));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    page
}
