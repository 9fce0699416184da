//! What a seed stands for: how long, how many stores, under which configuration; and what follows from a
//! configuration for how soon things must happen.

use std::time::Duration;

use bc_secrets_sync::domain::credentials::AddressPolicy;
use bc_secrets_sync::domain::engine::{FirstCheck, Gate, Settings, TokenOrigin};
use bc_secrets_sync::domain::publication::Output;

use crate::prng::Random;

pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// An answer takes no longer than this, unless it is a slow one.
pub(crate) const LATENCY: u64 = 3 * SECOND;
/// The longest wait that the prober believes.
pub(crate) const LONGEST_WAIT: u64 = HOUR;
/// The longest pause that the engine makes by itself for a store that is limited or unavailable.
pub(crate) const LONGEST_PAUSE: u64 = 15 * MINUTE;

/// An account has one request in this time on average.
pub(crate) const GRANTED_EACH: u64 = 600;

/// One world, as its seed describes it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) stores: usize,
    /// How long the world lasts, in milliseconds.
    pub(crate) length: u64,
    /// How long trouble lasts before it pauses.
    pub(crate) trouble: u64,
    pub(crate) settings: Settings,
    /// Keep incidents and messages with the daemon's own ledger, and not with a model of it.
    pub(crate) real_ledger: bool,
    /// What a log-in grants, in seconds; 0: a token without an end.
    pub(crate) lease: u64,
    /// How long a token can be kept alive by renewing it, in milliseconds.
    pub(crate) max_life: u64,
    /// Whether the token's policy lets it look itself up.
    pub(crate) may_look_up: bool,
    /// Whether the source lists secrets with their versions.
    pub(crate) lists: bool,
    /// The mean time between two troubles of one store.
    pub(crate) pace: u64,
    /// All stores begin with one account, which they want to ask more often than it grants.
    pub(crate) crowded: bool,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let dense = seed % 24 == 5;
        let crowded = seed % 24 == 17;
        let settings = match () {
            () if dense => Self::defaults(),
            () if crowded => Self::hurried(),
            () => settings(&mut random),
        };
        let gate = if random.once_in(7) { Gate::Open } else { Gate::Verified };
        Self {
            seed,
            stores: if crowded { 12 } else { usize::try_from(random.between(2, 6)).unwrap() },
            length: match () {
                () if dense => 2 * DAY,
                () if crowded => 6 * HOUR,
                () => 30 * DAY,
            },
            trouble: match () {
                () if dense => 12 * HOUR,
                () if crowded => 3 * HOUR,
                () => random.between(3, 7) * DAY,
            },
            settings: Settings { gate, ..settings },
            real_ledger: seed % 32 == 1,
            lease: random.pick(&[0, 1800, 3600, 4 * 3600, 24 * 3600]),
            max_life: random.pick(&[6 * HOUR, 3 * DAY, 60 * DAY]),
            may_look_up: !random.once_in(8),
            pace: if dense || crowded { 2 * HOUR } else { random.between(6, 48) * HOUR },
            lists: random.once_in(2),
            crowded,
        }
    }

    /// Checks as often as a configuration may ask for.
    fn hurried() -> Settings {
        Settings {
            poll_interval: Duration::from_secs(10 * 60),
            check_interval: Duration::from_secs(1),
            confirmation_spacing: Duration::from_secs(1),
            ..Self::defaults()
        }
    }

    fn defaults() -> Settings {
        Settings {
            poll_interval: Duration::from_secs(60),
            check_interval: Duration::from_secs(300),
            confirmations: 3,
            confirmation_spacing: Duration::from_secs(60),
            stale_after: Duration::from_secs(3600),
            certificate_warning: Some(Duration::from_secs(14 * 24 * 3600)),
            repeat_interval: Duration::from_secs(4 * 3600),
            token_origin: TokenOrigin::Own,
            hosts: AddressPolicy::PublicOnly.into(),
            output: Output {
                directory: "/credentials".into(),
                file_mode: 0o440,
                directory_mode: 0o750,
                owner: None,
                group: None,
            },
            gate: Gate::Verified,
            first_check: FirstCheck::InTurn,
            discoveries: Vec::new(),
        }
    }

    /// How many months of a store this is.
    pub(crate) fn store_months(&self) -> f64 {
        let days = Duration::from_millis(self.length).as_secs_f64() / 86_400.0;
        days / 30.0 * f64::from(u32::try_from(self.stores).unwrap())
    }
}

/// A configuration that the daemon would take.
pub(crate) fn settings(random: &mut Random) -> Settings {
    let check = random.pick(&[30 * MINUTE, HOUR, 2 * HOUR]);
    let stale = random.pick(&[check + MINUTE, 3 * check, 24 * HOUR]);
    Settings {
        poll_interval: Duration::from_millis(random.pick(&[30 * MINUTE, HOUR, 2 * HOUR])),
        check_interval: Duration::from_millis(check),
        confirmations: u32::try_from(random.between(1, 4)).unwrap(),
        confirmation_spacing: Duration::from_millis(random.pick(&[20 * SECOND, 3 * MINUTE, 20 * MINUTE])),
        stale_after: Duration::from_millis(stale),
        repeat_interval: Duration::from_millis(random.pick(&[HOUR, 4 * HOUR, 24 * HOUR])),
        certificate_warning: random.pick(&[None, Some(7), Some(30)]).map(days),
        ..Plan::defaults()
    }
}

fn days(days: u64) -> Duration {
    Duration::from_millis(days * DAY)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

/// How soon a rejection must be an incident, when the store answers each probe with 401 and nothing is slow:
/// the next check, the confirmations, a read, and the longest pause of a source that just fails.
pub(crate) fn rejection_bound(settings: &Settings) -> u64 {
    let confirmations = u64::from(settings.confirmations);
    millis(settings.check_interval)
        + confirmations * (millis(settings.confirmation_spacing) + LATENCY)
        + MINUTE
        + 6 * LATENCY
}

/// How soon all must be well, or be explained, once no trouble is left: the longest wait that is still
/// running, a read, and every confirmation at the rate of the regular checks.
pub(crate) fn settling_bound(settings: &Settings) -> u64 {
    let confirmations = u64::from(settings.confirmations);
    LONGEST_WAIT
        + LONGEST_PAUSE
        + 3 * millis(settings.poll_interval)
        + (3 + confirmations) * millis(settings.check_interval)
        + 2 * confirmations * millis(settings.confirmation_spacing)
        + 20 * MINUTE
}

/// The pause after so many messages about one incident: doubled each time, up to a day.
pub(crate) fn repeat_after(settings: &Settings, messages: usize) -> u64 {
    let interval = millis(settings.repeat_interval);
    (interval << (messages - 1).min(16)).min(interval.max(DAY))
}

/// The longest time between two looks at the disk, and between two reads while the source works.
pub(crate) fn look_bound(settings: &Settings) -> u64 {
    millis(settings.poll_interval) + 3 * MINUTE
}

/// The longest time between two reads, or listings that say the same, while the source works. When a listing fails,
/// the next one is waited for.
pub(crate) fn read_bound(settings: &Settings, lists: bool) -> u64 {
    if lists { 2 * millis(settings.poll_interval) + 3 * MINUTE } else { look_bound(settings) }
}

/// The longest time between two probes of a published set, when the store asked for no wait.
pub(crate) fn probe_bound(settings: &Settings) -> u64 {
    millis(settings.check_interval).max(millis(settings.confirmation_spacing)).max(LONGEST_PAUSE) + 3 * MINUTE
}

/// Tries until a backoff that starts at a second has grown to `most`.
fn ramp(most: Duration) -> u64 {
    u64::from((most.as_secs().max(1)).ilog2()) + 2
}

/// Probes of one store in an hour: the regular checks of the published set, each followed by a second look
/// when it flaps, those of a candidate and of a superseded set, the pauses of an unavailable store, six
/// samples because other stores have turned; and for each occasion (a new
/// version, a start, a wish) the confirmations and a backoff from its beginning.
/// One a minute at the most comes of reports.
pub(crate) fn probe_budget(settings: &Settings, occasions: u64, reports: u64) -> u64 {
    let regular = HOUR.div_ceil(millis(settings.check_interval)) + 1;
    let fresh = 2 * u64::from(settings.confirmations) + ramp(settings.check_interval) + 4;
    4 * regular + 12 + 6 + reports.min(61) + (1 + occasions) * fresh
}

/// Reads of one store in an hour: the polls, one after each rejection, and a backoff for each occasion.
pub(crate) fn read_budget(settings: &Settings, occasions: u64, probes: u64) -> u64 {
    let regular = HOUR.div_ceil(millis(settings.poll_interval)) + 1;
    2 * regular + probes + (1 + occasions) * (ramp(settings.poll_interval) + 4)
}

/// Log-ins in an hour: one for each lease that ends, the backoff of a refused one (45 to 60 seconds apart
/// once it has grown), and two for each occasion (a start, a token that died, another source).
pub(crate) fn log_in_budget(lease: u64, occasions: u64, refused: bool) -> u64 {
    let leases = if lease == 0 { 0 } else { 3_600_u64.div_ceil(lease * 2 / 3) + 2 };
    let tries = if refused { HOUR.div_ceil(45 * SECOND) + ramp(Duration::from_secs(60)) } else { 0 };
    2 + leases + tries + occasions * (2 + ramp(Duration::from_secs(60)))
}
