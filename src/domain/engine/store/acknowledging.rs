//! A store's app: which generation it says that it runs on, and for how long it has not said so.

use std::time::Duration;

use super::super::request::{AcknowledgeOutcome, Acknowledging};
use super::super::{Acknowledge, Action, Context, Reply};
use super::Store;
use crate::domain::publication::{Acknowledged, GenerationStamp, Note, Sign};
use crate::domain::secret::Fingerprint;
use crate::domain::time::{Instant, Timestamp};

/// So much older than the moment of a write a file's time may be: the kernel counts it in ticks.
const TICK: Duration = Duration::from_millis(10);

/// What the app has acknowledged.
#[derive(Debug, Default)]
pub(in crate::domain::engine) struct Acknowledgement {
    /// In this life or one before.
    pub(in crate::domain::engine) last: Option<Acknowledged>,
    /// Why the app's file says nothing.
    pub(in crate::domain::engine) problem: Option<String>,
    /// The content that is waited for, and since when in this life.
    awaited: Option<(Fingerprint, u64, Instant)>,
}

impl Acknowledgement {
    pub(super) fn of(configured: Option<&Acknowledge>) -> Self {
        Self { last: configured.and_then(|configured| configured.last), ..Self::default() }
    }

    /// A new configuration is in force, with what was noted when it was read.
    pub(super) fn known(&mut self, configured: Option<&Acknowledge>) {
        self.last = self.last.or(configured.and_then(|configured| configured.last));
    }
}

impl Store {
    /// The published generation, if the app is expected to acknowledge it and has not.
    pub(in crate::domain::engine) fn unacknowledged(&self) -> Option<&GenerationStamp> {
        self.spec.acknowledge.as_ref()?;
        let stamp = &self.good.as_ref().filter(|_| self.is_published())?.stamp;
        (!self.has_acknowledged(stamp)).then_some(stamp)
    }

    /// Whether the app has acknowledged this generation, or one that it restores.
    fn has_acknowledged(&self, stamp: &GenerationStamp) -> bool {
        self.acknowledgement.last.is_some_and(|last| {
            last.generation.fingerprint == stamp.fingerprint
                && stamp.same_content().contains(&last.generation.generation)
        })
    }

    /// When what is published must be acknowledged at the latest; none: it is, or need not be.
    pub(in crate::domain::engine) fn acknowledgement_due(&self) -> Option<Instant> {
        let stamp = self.unacknowledged()?;
        let within = self.spec.acknowledge.as_ref()?.within?;
        let (fingerprint, first, since) = self.acknowledgement.awaited?;
        let same = (fingerprint, first) == (stamp.fingerprint, *stamp.same_content().start());
        same.then(|| since.plus(within))
    }

    /// Takes note of what is waited for.
    pub(super) fn advance_acknowledgement(&mut self, now: Instant) {
        let published = self.good.as_ref().filter(|_| self.is_published());
        if self.spec.acknowledge.is_none() {
            self.acknowledgement.awaited = None;
        }
        let Some(stamp) = published.filter(|_| self.spec.acknowledge.is_some()).map(|good| &good.stamp)
        else {
            return;
        };
        let (fingerprint, first) = (stamp.fingerprint, *stamp.same_content().start());
        let awaited =
            self.acknowledgement.awaited.filter(|awaited| (awaited.0, awaited.1) == (fingerprint, first));
        self.acknowledgement.awaited = awaited.or(Some((fingerprint, first, now)));
    }

    /// Takes in what the app's file says.
    pub(super) fn signed(&mut self, sign: Sign, cx: &mut Context<'_>) {
        let published = self.good.as_ref().filter(|_| self.is_published()).map(|good| good.stamp.clone());
        self.acknowledgement.problem = None;
        let Some(stamp) = published else { return };
        // What was there before the generation was published says nothing of it.
        let later = |at: Timestamp| at.plus(TICK) >= stamp.published_at;
        // Where the clock was ahead at the publication, times tell nothing until it is there again; a number still does.
        let timeless = cx.now.wall < stamp.published_at;
        let (number, at) = match sign {
            Sign::None => return,
            Sign::Touched(at) if later(at) => (stamp.generation, at),
            Sign::Touched(_) => return,
            Sign::Number(number, at) if number < stamp.generation || later(at) || timeless => (number, at),
            Sign::Number(..) => return,
            Sign::Unfit(why) => {
                self.acknowledgement.problem = Some(why);
                return;
            }
        };
        if number > stamp.generation {
            let why = format!("it names generation {number}, and {} is the newest", stamp.generation);
            self.acknowledgement.problem = Some(why);
            return;
        }
        let at = at.max(stamp.published_at).min(cx.now.wall.max(stamp.published_at));
        self.acknowledge(number, at, cx);
    }

    /// The app runs on this generation; what comes of it.
    fn acknowledge(&mut self, number: u64, at: Timestamp, cx: &mut Context<'_>) -> AcknowledgeOutcome {
        if self.spec.acknowledge.is_none() {
            return AcknowledgeOutcome::NotConfigured;
        }
        let Some(stamp) = self.good.as_ref().filter(|_| self.is_published()).map(|good| &good.stamp) else {
            return AcknowledgeOutcome::NothingPublished;
        };
        if number > stamp.generation {
            return AcknowledgeOutcome::Unknown;
        }
        if !stamp.same_content().contains(&number) {
            return AcknowledgeOutcome::Superseded;
        }
        if self.has_acknowledged(stamp) {
            return AcknowledgeOutcome::Acknowledged;
        }
        let mut generation = stamp.id();
        generation.generation = number;
        let acknowledged = Acknowledged { generation, acknowledged_at: at };
        let lag = acknowledged.lag();
        self.acknowledgement.last = Some(acknowledged);
        cx.actions
            .push(Action::Remember { store: self.name().clone(), note: Note::Acknowledged(acknowledged) });
        self.say(cx, None, format!("the app has acknowledged generation {number}, after {lag:?}"));
        AcknowledgeOutcome::Acknowledged
    }

    /// Somebody says for the app that it runs on this generation.
    pub(in crate::domain::engine) fn acknowledged(&mut self, number: u64, cx: &mut Context<'_>) -> Reply {
        let outcome = self.acknowledge(number, cx.now.wall, cx);
        let stamp = self.good.as_ref().filter(|_| self.is_published()).map(|good| &good.stamp);
        let last = self.acknowledgement.last.filter(|_| outcome == AcknowledgeOutcome::Acknowledged);
        Reply::Acknowledging(Acknowledging {
            store: self.name().clone(),
            outcome,
            detail: outcome.words().to_owned(),
            published_generation: stamp.map(|stamp| stamp.generation),
            acknowledged_at: last.map(|last| last.acknowledged_at),
            lag_ms: last.map(|last| u64::try_from(last.lag().as_millis()).unwrap_or(u64::MAX)),
        })
    }
}
