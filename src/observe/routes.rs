//! The paths and what each answers. Pages are here, what can be asked for below `/v1/` is in `api`.

use std::error::Error;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Bytes};
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};

use super::api::{self, Resource};
use super::feed::{Heartbeat, NoAnswer, RequestSource, SnapshotSource};
use super::metrics;
use super::negotiation::Exposition;
use super::probes::{Check, Detail, Health};
use super::report_guard::ReportGuard;
use crate::domain::incident::Incident;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Timestamp;

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// With more stores than that, metrics are written beside the daemon's loop, which would stand still meanwhile: one
/// thread runs both. With fewer that takes some milliseconds, and another thread would cost memory.
const ENCODED_AT_ONCE: usize = 200;

/// One text at a time is written there: each may take 25 MB.
static ASIDE: Semaphore = Semaphore::const_new(1);

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// Somebody who reached the address.
    Network,
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
    pub(super) guard: ReportGuard,
}

impl Pages {
    /// Pages made from what the loop says.
    #[must_use]
    pub const fn new(
        source: SnapshotSource,
        requests: RequestSource,
        heartbeat: watch::Receiver<Heartbeat>,
        guard: ReportGuard,
    ) -> Self {
        Self { source, heartbeat, requests, guard }
    }

    /// Answers a request.
    pub(super) async fn answer<B>(&self, request: Request<B>, caller: Caller) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let mut page = match Resource::of(request.uri().path()) {
            Some(_) => api::answer(self, request, caller).await,
            None => self.page(&request).await,
        };
        let headers = page.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        page
    }

    async fn page<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return not_allowed("GET, HEAD");
        }
        let detail = Detail::of(request.uri().query());
        match Route::of(request.uri().path()) {
            Some(Route::Index) => page(StatusCode::OK, PLAIN, index()),
            Some(Route::Live) => probe(&Check::live(&self.heartbeat), detail),
            Some(Route::Ready) => probe(&Check::ready(&self.heartbeat), detail),
            Some(Route::Started) => probe(&Check::started(&self.heartbeat), detail),
            Some(Route::Health) => self.health().await,
            Some(Route::Metrics) => self.metrics(request.headers()).await,
            Some(Route::Incidents) => match self.source.snapshot().await {
                Ok(snapshot) => json(
                    StatusCode::OK,
                    &Incidents { at: snapshot.at, incidents: snapshot.incidents.clone() },
                ),
                Err(reason) => unavailable(reason),
            },
            Some(Route::Status) => match self.source.snapshot().await {
                Ok(snapshot) => json(StatusCode::OK, &*snapshot),
                Err(reason) => unavailable(reason),
            },
            None => page(StatusCode::NOT_FOUND, PLAIN, format!("there is no such page\n\n{}", index())),
        }
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
}

/// A path that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Index,
    Live,
    Ready,
    Started,
    Health,
    Metrics,
    Status,
    Incidents,
}

impl Route {
    const ALL: [Self; 8] = [
        Self::Index,
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
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Started => "/startupz",
            Self::Health => "/healthz",
            Self::Metrics => "/metrics",
            Self::Status => "/status",
            Self::Incidents => "/v1/incidents",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Index => "this list",
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
    tokio::task::spawn_blocking(encode).await.unwrap_or(Err(std::fmt::Error))
}

fn index() -> String {
    let line = |(path, title): (&str, &str)| format!("{path:<16} {title}\n");
    let pages = Route::ALL.map(|route| (route.path(), route.title()));
    pages.into_iter().chain(api::INDEX).map(line).collect()
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

pub(super) fn page(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(Bytes::from(text)));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    page
}
