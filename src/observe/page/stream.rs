//! A stream of server-sent events: what has changed on a page, as long as somebody reads it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderMap;
use hyper::body::{Body, Bytes, Frame};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};
use url::form_urlencoded;

use super::live::{Live, News, Place};
use crate::observe::feed::{Heartbeat, SnapshotSource};
use crate::observe::probes::Check;
use crate::observe::room::UnderWay;

/// How often a stream shows that it lives. Together with the time that the loop may take to answer it is less than a
/// request may take, because each piece that is taken extends that.
const BEAT: Duration = Duration::from_secs(5);
/// How long a stream lasts; then the browser asks for another one. So nobody holds a place for good.
const LIFETIME: Duration = Duration::from_secs(600);

/// A connection's hold on a stream.
#[derive(Clone, Debug)]
pub(in crate::observe) struct Hold {
    /// When the connection was last seen to be of use.
    pub(in crate::observe) begun: watch::Sender<Instant>,
    /// That the listener stops.
    pub(in crate::observe) stopping: watch::Receiver<bool>,
    /// What the connection has under way.
    pub(in crate::observe) under_way: UnderWay,
}

/// The events, as the body of an answer.
pub(in crate::observe) struct EventStream(Option<Step>);

type Step = Pin<Box<dyn Future<Output = Option<(Stream, Bytes)>> + Send>>;

/// How a stream stands between two pieces.
struct Stream {
    live: Live,
    source: SnapshotSource,
    heartbeat: watch::Receiver<Heartbeat>,
    hold: Option<Hold>,
    place: Place,
    /// The loop has made a pass then, and nobody has looked what came of it.
    seen: Option<Instant>,
    next_beat: Instant,
    end: Instant,
    stale: bool,
    _permit: OwnedSemaphorePermit,
}

impl EventStream {
    /// The events after what a browser has; none when there are too many listeners.
    pub(in crate::observe) fn open(
        live: &Live,
        source: &SnapshotSource,
        heartbeat: &watch::Receiver<Heartbeat>,
        hold: Option<Hold>,
        (headers, query): (&HeaderMap, Option<&str>),
    ) -> Option<Self> {
        let permit = live.admit()?;
        let now = Instant::now();
        let stream = Stream {
            live: live.clone(),
            source: source.clone(),
            heartbeat: heartbeat.clone(),
            hold,
            place: place(headers, query),
            seen: Some(now),
            next_beat: now,
            end: now + LIFETIME,
            stale: false,
            _permit: permit,
        };
        Some(Self(Some(Box::pin(stream.step()))))
    }
}

/// Where a browser stands: what it has heard last, or what its page was made of.
fn place(headers: &HeaderMap, query: Option<&str>) -> Place {
    if let Some(last) = headers.get("last-event-id").and_then(|last| last.to_str().ok()) {
        return Place::parse(last);
    }
    let mut query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    query.find(|(key, _)| key == "since").map(|(_, since)| Place::parse(&since)).unwrap_or_default()
}

impl Stream {
    /// The next piece; none: the stream ends.
    async fn step(mut self) -> Option<(Self, Bytes)> {
        let piece = self.piece().await?;
        if let Some(hold) = &self.hold {
            hold.begun.send_replace(Instant::now());
        }
        Some((self, piece))
    }

    async fn piece(&mut self) -> Option<Bytes> {
        if self.stale {
            return None;
        }
        loop {
            if self.next_beat <= Instant::now() {
                self.next_beat = Instant::now() + BEAT;
                return Some(self.beat());
            }
            match self.live.after(self.place).await {
                News::Updates(updates, place) => {
                    self.place = place;
                    return Some(updates.concat().into());
                }
                News::Stale => {
                    // Said once: the page opens another stream when it is new.
                    self.stale = true;
                    return Some(Bytes::from_static(b"event: stale\ndata: -\n\n"));
                }
                News::None => {}
            }
            self.wait().await?;
        }
    }

    /// Waits until there may be something to say; none: the stream ends.
    async fn wait(&mut self) -> Option<()> {
        let due = match self.seen {
            Some(_) => self.live.next().await.unwrap_or_else(Instant::now),
            None => self.end,
        };
        let until = due.min(self.next_beat).min(self.end);
        let stopping = async {
            match &mut self.hold {
                // An error says that the listener is gone.
                Some(hold) => drop(hold.stopping.wait_for(|stopping| *stopping).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stopping => return None,
            passed = self.heartbeat.changed(), if self.seen.is_none() => {
                passed.ok()?;
                self.seen = Some(Instant::now());
            }
            () = sleep_until(until) => {}
        }
        if Instant::now() >= self.end {
            return None;
        }
        if let Some(seen) = self.seen.filter(|_| Instant::now() >= due) {
            // A loop that does not answer is told by the beat.
            if self.live.refresh(&self.source, seen).await.unwrap_or(true) {
                self.seen = None;
            }
        }
        Some(())
    }

    /// That the stream lives, and whether the loop does.
    fn beat(&self) -> Bytes {
        let live = Check::live(&self.heartbeat);
        let says = if live.passed { "live" } else { live.says.as_str() };
        Bytes::from(format!("retry: 2000\nevent: beat\ndata: {says}\n\n"))
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(step) = &mut self.0 else { return Poll::Ready(None) };
        match std::task::ready!(step.as_mut().poll(context)) {
            Some((stream, piece)) => {
                self.0 = Some(Box::pin(stream.step()));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            None => {
                self.0 = None;
                Poll::Ready(None)
            }
        }
    }
}
