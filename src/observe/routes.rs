//! The paths and what each answers.

use std::error::Error;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use tokio::sync::watch;

use super::feed::{Heartbeat, NoSnapshot, SnapshotSource};
use super::metrics;
use super::negotiation::Exposition;
use super::probes::{Check, Detail, Health};
use crate::domain::snapshot::Snapshot;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Every page, and what the pages are made from.
#[derive(Debug)]
pub(super) struct Pages {
    source: SnapshotSource,
    heartbeat: watch::Receiver<Heartbeat>,
}

impl Pages {
    /// Pages made from what the loop says.
    pub(super) const fn new(source: SnapshotSource, heartbeat: watch::Receiver<Heartbeat>) -> Self {
        Self { source, heartbeat }
    }

    /// Answers a request; its body is not looked at.
    pub(super) async fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let mut page = self.page(request).await;
        let headers = page.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        page
    }

    async fn page<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut page = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD\n".to_owned());
            page.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return page;
        }
        let detail = Detail::of(request.uri().query());
        match Route::of(request.uri().path()) {
            Some(Route::Index) => page(StatusCode::OK, PLAIN, index()),
            Some(Route::Live) => probe(&Check::live(&self.heartbeat), detail),
            Some(Route::Ready) => probe(&Check::ready(&self.heartbeat), detail),
            Some(Route::Started) => probe(&Check::started(&self.heartbeat), detail),
            Some(Route::Health) => self.health().await,
            Some(Route::Metrics) => self.metrics(request.headers()).await,
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
        match metrics::encode(snapshot, exposition) {
            Ok(text) => {
                let mut page = page(StatusCode::OK, exposition.content_type(), text);
                page.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
                page
            }
            Err(error) => broken(&error),
        }
    }
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
}

impl Route {
    const ALL: [Self; 7] =
        [Self::Index, Self::Live, Self::Ready, Self::Started, Self::Health, Self::Metrics, Self::Status];

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
        }
    }
}

fn index() -> String {
    Route::ALL.into_iter().map(|route| format!("{:<10} {}\n", route.path(), route.title())).collect()
}

fn probe(check: &Check, detail: Detail) -> Response<Full<Bytes>> {
    page(status(check.passed), PLAIN, check.page(detail))
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_string_pretty(value) {
        Ok(mut text) => {
            text.push('\n');
            page(status, JSON, text)
        }
        Err(error) => broken(&error),
    }
}

fn unavailable(reason: NoSnapshot) -> Response<Full<Bytes>> {
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

const fn status(passed: bool) -> StatusCode {
    if passed { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn page(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(Bytes::from(text)));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    page
}
