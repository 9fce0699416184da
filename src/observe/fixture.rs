//! A snapshot for the tests: two stores, with values as hostile as their types let them be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::credentials::StoreName;
use crate::domain::histogram::Histogram;
use crate::domain::incident::{Cause, Incident, Severity};
use crate::domain::publication::GenerationStamp;
use crate::domain::secret::Fingerprint;
use crate::domain::snapshot::{
    AcknowledgementStatus, CandidateStatus, CertificateStatus, ChannelStatus, ConfigurationStatus, Durations,
    HardeningStatus, HttpStatus, LoopStatus, MeasureStatus, ProcessStatus, ReloadRun, ReloadStatus,
    ReportStatus, Snapshot, SourceStatus, StateStatus, StoreState, StoreStatus, TimelineEvent, Totals,
    Vitals,
};
use crate::domain::source::SourceFaultKind;
use crate::domain::time::Timestamp;
use crate::domain::verdict::VerdictKind;
use crate::domain::version::Version;

/// A time late on 2025-08-24, `millis` milliseconds after a full second.
pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_756_080_000_000 + millis)
}

/// A store of which everything is known.
pub(super) fn verified_store(name: &str) -> StoreStatus {
    StoreStatus {
        secret: "secret/stores/acme".into(),
        state: StoreState::Verified,
        detail: "the store accepts the credentials".into(),
        published: Some(GenerationStamp {
            generation: 3,
            version: Version::numbered(7).unwrap(),
            version_created_at: Some(at(1)),
            fingerprint: Fingerprint::parse("0123456789abcdef").unwrap(),
            published_at: at(20),
            verified_at: Some(at(19)),
            restores: None,
            files_fingerprint: None,
        }),
        candidate: Some(CandidateStatus {
            version: Version::numbered(8).unwrap(),
            seen_at: at(30),
            last_verdict: Some(VerdictKind::Rejected),
            next_probe_at: None,
        }),
        last_check_at: Some(at(1_500)),
        verified_at: Some(at(1_250)),
        certificate_expires_at: Some(at(86_400_000)),
        last_verdict: Some(VerdictKind::RateLimited),
        last_read_attempt_at: Some(at(2_000)),
        last_read_at: Some(at(1_999)),
        requests_remaining: Some(0),
        budget_remaining: Some(58),
        verdicts: BTreeMap::from([(VerdictKind::Accepted, 41), (VerdictKind::RateLimited, 1)]),
        publications: u64::MAX,
        restorations: 2,
        reload: Some(ReloadStatus {
            generation: Some(2),
            at: Some(at(10)),
            pending: true,
            next_run_at: Some(at(3_000)),
            last_run: Some(ReloadRun {
                generation: 3,
                ended_at: at(1_750),
                duration_ms: 1_250,
                successful: false,
            }),
            succeeded: 2,
            failed: 5,
            error: Some("the app does not answer".into()),
        }),
        acknowledgement: Some(AcknowledgementStatus {
            generation: Some(2),
            at: Some(at(15)),
            pending: true,
            lag_ms: Some(2_480),
            error: Some("it is not a regular file".into()),
        }),
        reports: ReportStatus { received: 9, absorbed: 7, checks: 3, last_at: Some(at(2_100)) },
        ..pending_store(name)
    }
}

/// A store of which nothing is known yet.
pub(super) fn pending_store(name: &str) -> StoreStatus {
    StoreStatus {
        name: StoreName::parse(name).unwrap(),
        secret: "secret/\"quoted\"\\path\n".into(),
        pinned_version: None,
        state: StoreState::Pending,
        since: at(0),
        detail: "never read".into(),
        published: None,
        candidate: None,
        last_check_at: None,
        verified_at: None,
        next_check_at: None,
        certificate_expires_at: None,
        last_verdict: None,
        last_read_attempt_at: None,
        last_read_at: None,
        read_error: None,
        read_fault: None,
        publish_error: None,
        reload: None,
        requests_remaining: None,
        budget_remaining: None,
        verdicts: BTreeMap::new(),
        publications: 0,
        restorations: 0,
        reports: ReportStatus::default(),
        acknowledgement: None,
    }
}

/// An open incident.
pub(super) fn incident(cause: Cause) -> Incident {
    let text = format!(
        r#"{{"id": "acme:1", "store": "acme", "cause": "{}", "severity": "warning",
            "opened_at": "2025-08-24T00:00:00Z", "evidence": [], "remedy": "", "messages": 1,
            "repeat_at": "2025-08-25T00:00:00Z"}}"#,
        cause.label()
    );
    serde_json::from_str(&text).unwrap()
}

fn histogram<const N: usize>(millis: [u64; N]) -> Histogram {
    let mut histogram = Histogram::new(&[100_000, 10_000_000]);
    for millis in millis {
        histogram.add(Duration::from_millis(millis));
    }
    histogram
}

/// The whole snapshot.
pub(super) fn snapshot() -> Snapshot {
    let longest = "9".repeat(StoreName::MAX_LENGTH);
    Snapshot {
        version: "0.1.0+\"quoted\"\\back\nline",
        at: at(2_500),
        started_at: at(0),
        vitals: Vitals { last_pass_at: at(2_250), last_pass_age_ms: 250, ready: false, started: true },
        source: SourceStatus {
            up: true,
            state: "ready",
            last_attempt_at: Some(at(2_000)),
            last_success_at: Some(at(1_999)),
            token_expires_at: Some(at(3_600_000)),
            logins: 1,
            renewals: 2,
            reads: 300,
            errors: BTreeMap::from([(SourceFaultKind::Unavailable, 4)]),
            ..SourceStatus::default()
        },
        stores: vec![verified_store("a-b_c.D"), pending_store(&longest)],
        incidents: vec![
            incident(Cause::BadWrite),
            Incident { silenced_until: Some(at(9_000)), ..incident(Cause::BadWrite) },
        ],
        incidents_opened: BTreeMap::from([(Cause::BadWrite, 5), (Cause::Moved, 1)]),
        state: StateStatus { error: Some("no space left".into()), since: Some(at(500)) },
        channels: vec![ChannelStatus {
            name: "web\"hook\\\n",
            pending: 1,
            delivered: 2,
            failed: 3,
            dropped: 4,
            last_success_at: Some(at(999)),
            error: Some("no route".into()),
        }],
        events: vec![Arc::new(TimelineEvent {
            at: at(2_400),
            store: Some(StoreName::parse("a-b_c.D").unwrap()),
            severity: Some(Severity::Critical),
            text: "publishing failed: <no \"room\"> & no 'space'".into(),
        })],
        configuration: ConfigurationStatus {
            loaded_at: at(0),
            reloads: 1,
            refused: 1,
            error: Some("unknown key".into()),
            verify_before_publish: true,
            poll_interval_ms: 1_000,
            check_interval_ms: 300_000,
            stale_after_ms: 3_600_000,
            metrics_store_limit: 1_000,
        },
        reports_refused: 6,
        http: HttpStatus {
            refused: BTreeMap::from([("cross_site", 2), ("no_token", 7)]),
            certificate: Some(CertificateStatus {
                valid_from: Some(at(0)),
                expires_at: Some(at(86_400_000)),
                error: Some("the key does not belong to the certificate".into()),
            }),
        },
        totals: Totals {
            verdicts: BTreeMap::from([(VerdictKind::Accepted, 50), (VerdictKind::RateLimited, 1)]),
            publications: 12,
            restorations: 3,
            reloads_succeeded: 4,
            reloads_failed: 5,
            reports: 10,
        },
        durations: Durations {
            checks: histogram([20, 250, 9_000]),
            detections: histogram([]),
            publications: histogram([10_001]),
        },
        main_loop: Some(LoopStatus { passes: histogram([0, 1]), lag_ms: 2 }),
        process: Some(ProcessStatus {
            cpu_ms: 1_250,
            resident_bytes: Some(7_000_000),
            virtual_bytes: Some(20_000_000),
            open_files: Some(17),
            max_files: Some(1_024),
            threads: Some(3),
        }),
        hardening: Some(HardeningStatus {
            landlock: MeasureStatus { active: true, abi: Some(6), reason: None },
            seccomp: MeasureStatus { active: false, abi: None, reason: Some("no filter".into()) },
            dumpable: false,
            core_files: false,
        }),
    }
}
