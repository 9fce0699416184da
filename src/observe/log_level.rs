//! The level of the log: what it is, and another one for a while.

use std::error::Error;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Bytes};
use serde::{Deserialize, Serialize};
use tracing::Level;

use super::api::{parsed, say};
use super::routes::{Caller, Pages, json, not_allowed};
use crate::config::LEVELS;
use crate::system::logging::Chosen;

/// The body of a request for another level.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelBody {
    /// The least serious level that is written: error, warn, info, debug or trace.
    pub level: String,
    /// For how long, in seconds.
    pub seconds: u64,
}

/// The level of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogLevel {
    /// The least serious level that is written.
    pub level: String,
    /// What the configuration says, and what comes again.
    pub configured: String,
    /// After how many seconds that is; none: it is in force.
    pub seconds_left: Option<u64>,
}

impl LogLevel {
    fn of(chosen: Chosen, now: Instant) -> Self {
        let words = |level: Level| level.as_str().to_ascii_lowercase();
        let left = |until: Instant| until.saturating_duration_since(now).as_millis().div_ceil(1000);
        Self {
            level: words(chosen.level()),
            configured: words(chosen.configured),
            seconds_left: chosen.meanwhile.map(|(_, until)| u64::try_from(left(until)).unwrap_or(u64::MAX)),
        }
    }
}

/// For how long another level may be in force: it is meant for somebody who looks, and fills disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelSpan(Duration);

impl LevelSpan {
    /// A span from a second to a day.
    ///
    /// # Errors
    /// It is shorter or longer.
    pub fn new(span: Duration) -> Result<Self, &'static str> {
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(86_400));
        (least..=most).contains(&span).then_some(Self(span)).ok_or("it must be from 1s to 1day")
    }

    /// The span.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// Answers a request for the level.
pub(super) async fn answer<B>(pages: &Pages, parts: &Parts, body: B, caller: Caller) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let Caller::Local { uid, pid } = caller else {
        return say(
            StatusCode::FORBIDDEN,
            "the level of the log is changed through the control socket only: run `bc-secrets-sync log-level` where \
             the daemon runs",
        );
    };
    let (method, levels) = (&parts.method, &pages.levels);
    if method != Method::GET
        && let Err(reason) = pages.access.change((&parts.uri, &parts.headers), caller)
    {
        return pages.access.refuse(reason);
    }
    if method == Method::PUT {
        let (level, span) = match wanted(body).await {
            Ok(wanted) => wanted,
            Err(refusal) => return refusal,
        };
        // Whatever the level is from now on, this is to be seen.
        tracing::warn!(log_level = %level, span = ?span.duration(), uid, pid, "the level of the log is changed for a while");
        levels.set_until(level, Instant::now() + span.duration());
    } else if method == Method::DELETE {
        levels.reset();
        let level = levels.chosen().level();
        tracing::info!(log_level = %level, uid, pid, "the level of the log is the configured one again");
    } else if method != Method::GET {
        return not_allowed("GET, PUT, DELETE");
    }
    json(StatusCode::OK, &LogLevel::of(levels.chosen(), Instant::now()))
}

async fn wanted<B>(body: B) -> Result<(Level, LevelSpan), Response<Full<Bytes>>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let LevelBody { level, seconds } = parsed(body, "{\"level\": \"debug\", \"seconds\": 600}").await?;
    let refused = |text: &str| say(StatusCode::BAD_REQUEST, text);
    let Some((_, level)) = LEVELS.into_iter().find(|(name, _)| *name == level) else {
        return Err(refused("level must be error, warn, info, debug or trace"));
    };
    let span = LevelSpan::new(Duration::from_secs(seconds));
    Ok((level, span.map_err(|error| refused(&format!("seconds: {error}")))?))
}
