//! The metrics as text, in both formats.

mod consumers;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::stores::newest_version;
use super::*;
use crate::domain::incident::Incident;
use crate::domain::snapshot::StoreState;
use crate::observe::fixture::{incident, snapshot, verified_store};

fn text(snapshot: &Snapshot, exposition: Exposition) -> String {
    encode(Arc::new(snapshot.clone()), exposition).unwrap()
}

fn has(text: &str, line: &str) -> bool {
    text.lines().any(|candidate| candidate == line)
}

#[test]
fn the_prometheus_format_is_as_written_down() {
    let text = text(&snapshot(), Exposition::Prometheus);
    assert_eq!(text, include_str!("golden.prometheus.txt"));
}

#[test]
fn the_openmetrics_format_is_as_written_down() {
    let text = text(&snapshot(), Exposition::OpenMetrics);
    assert_eq!(text, include_str!("golden.openmetrics.txt"));
}

#[test]
fn both_formats_hold_the_same_samples() {
    let samples = |exposition| {
        let text = text(&snapshot(), exposition);
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(samples(Exposition::Prometheus), samples(Exposition::OpenMetrics));
}

#[test]
fn no_series_occurs_twice_and_no_family_is_empty() {
    let text = text(&snapshot(), Exposition::Prometheus);
    let mut seen = BTreeSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    let mut samples = 1;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(samples > 0, "{family} is empty");
            (family, kind) =
                rest.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned())).unwrap();
            samples = 0;
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let part = ["_sum", "_count", "_bucket"].iter().find_map(|part| name.strip_suffix(part));
            assert_eq!(part.filter(|_| kind == "histogram").unwrap_or(name), family);
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(seen.insert(series.to_owned()), "{series} occurs twice");
            samples += 1;
        }
    }
    assert!(samples > 0, "{family} is empty");
}

#[test]
fn gauges_are_right_again_after_recovery() {
    let mut now = snapshot();
    now.stores = vec![verified_store("acme")];
    now.stores[0].state = StoreState::Rejected;
    now.stores[0].verified_at = None;
    now.source.up = false;
    now.incidents = vec![incident(Cause::RegeneratedOrRevoked)];
    let broken = text(&now, Exposition::Prometheus);
    for line in [
        r#"bc_secrets_sync_store_state{store="acme",state="rejected"} 1"#,
        r#"bc_secrets_sync_store_state{store="acme",state="verified"} 0"#,
        r#"bc_secrets_sync_incidents_open{cause="regenerated_or_revoked"} 1"#,
        "bc_secrets_sync_source_up 0",
        "bc_secrets_sync_configuration_last_load_successful 0",
        "bc_secrets_sync_state_writable 0",
    ] {
        assert!(has(&broken, line), "{line}");
    }
    assert!(!broken.contains("store_verified_timestamp_seconds"));

    now.stores[0] = verified_store("acme");
    now.source.up = true;
    now.incidents.clear();
    now.configuration.error = None;
    now.state = Default::default();
    let well = text(&now, Exposition::Prometheus);
    for line in [
        r#"bc_secrets_sync_store_state{store="acme",state="rejected"} 0"#,
        r#"bc_secrets_sync_store_state{store="acme",state="verified"} 1"#,
        r#"bc_secrets_sync_incidents_open{cause="regenerated_or_revoked"} 0"#,
        r#"bc_secrets_sync_store_verified_timestamp_seconds{store="acme"} 1756080001.25"#,
        "bc_secrets_sync_source_up 1",
        "bc_secrets_sync_configuration_last_load_successful 1",
        "bc_secrets_sync_state_writable 1",
    ] {
        assert!(has(&well, line), "{line}");
    }

    now.stores.clear();
    assert!(!text(&now, Exposition::Prometheus).contains("store_"), "a store that is gone leaves no series");
}

#[test]
fn more_stores_than_the_limit_leave_out_those_that_are_well_and_nothing_of_the_totals() {
    let mut now = snapshot();
    now.stores = (0..50).map(|number| verified_store(&format!("store-{number}"))).collect();
    now.stores[40].state = StoreState::Rejected;
    now.incidents = vec![Incident { store: Some("store-33".into()), ..incident(Cause::CertificateTrouble) }];
    now.configuration.metrics_store_limit = 3;
    let shown = |now: &Snapshot| {
        let text = text(now, Exposition::Prometheus);
        let stores = text.lines().filter_map(|line| line.split("store=\"").nth(1)?.split('"').next());
        (stores.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(), text.clone())
    };
    let (stores, text) = shown(&now);
    assert_eq!(stores, ["store-0", "store-33", "store-40"]);
    for line in [
        r#"bc_secrets_sync_stores{state="verified"} 49"#,
        r#"bc_secrets_sync_stores{state="rejected"} 1"#,
        r#"bc_secrets_sync_checks_total{verdict="accepted"} 50"#,
        r#"bc_secrets_sync_incidents_open{cause="certificate_trouble"} 1"#,
    ] {
        assert!(has(&text, line), "{line}");
    }
    now.configuration.metrics_store_limit = 0;
    assert_eq!(shown(&now).0, Vec::<String>::new());
    now.configuration.metrics_store_limit = 50;
    assert_eq!(shown(&now).0.len(), 50);
}

#[test]
fn the_newest_version_is_known_only_once_the_secret_was_read() {
    let mut store = verified_store("acme");
    assert_eq!(newest_version(&store), Some(8));
    store.candidate = None;
    assert_eq!(newest_version(&store), Some(7));
    store.last_read_at = None;
    assert_eq!(newest_version(&store), None);
}

#[test]
fn what_never_happened_has_no_time() {
    let mut now = snapshot();
    now.vitals.last_pass_at = Timestamp::default();
    now.configuration.loaded_at = Timestamp::default();
    now.source.token_expires_at = Some(Timestamp::from_millis(1_756_083_600_000));
    let text = text(&now, Exposition::Prometheus);
    assert!(!text.contains("loop_last_pass"));
    assert!(!text.contains("configuration_loaded"));
    assert!(has(&text, "bc_secrets_sync_source_token_expiry_timestamp_seconds 1756083600.0"));
}

#[test]
#[ignore = "measures, asserts nothing: run it alone, in release, with --nocapture"]
fn ten_thousand_stores_encode_quickly() {
    let mut now = snapshot();
    now.stores = (0..10_000).map(|number| verified_store(&format!("store-{number}"))).collect();
    now.configuration.metrics_store_limit = now.stores.len();
    let now = Arc::new(now);
    for exposition in [Exposition::Prometheus, Exposition::OpenMetrics] {
        for _ in 0..3 {
            let begun = Instant::now();
            let text = encode(Arc::clone(&now), exposition).unwrap();
            println!("{exposition:?}: {} bytes in {:?}", text.len(), begun.elapsed());
        }
    }
}
