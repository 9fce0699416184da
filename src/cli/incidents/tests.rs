//! How incidents look, in wide and in narrow terminals.

use super::*;
use crate::domain::incident::Cause;
use crate::domain::snapshot::StateStatus;
use crate::domain::time::Timestamp;

const MINUTE: u64 = 60_000;

fn page(incidents: Vec<Incident>) -> Page {
    Page { at: Timestamp::from_millis(1_800_000_000_000), incidents, state: StateStatus::default() }
}

/// An incident that opened some minutes ago.
fn incident(store: Option<&str>, cause: Cause, minutes: u64, silenced: Option<u64>) -> Incident {
    let now = page(Vec::new()).at.as_millis();
    let at = |millis: u64| Timestamp::from_millis(millis).to_string();
    let text = serde_json::json!({
        "id": format!("{}:{}:{}", store.unwrap_or("vault"), cause.label(), now - minutes * MINUTE),
        "store": store,
        "cause": cause.label(),
        "severity": cause.severity().label(),
        "opened_at": at(now - minutes * MINUTE),
        "evidence": ["The store rejected the published credentials (version 1) with 401 3 times.", "Odd\u{1b}[2J."],
        "remedy": "Open the account with Edit, and copy its values into a new version of the secret in Vault.",
        "messages": 1,
        "repeat_at": at(now + 55 * MINUTE),
        "silenced_until": silenced.map(|minutes| at(now + minutes * MINUTE)),
    });
    serde_json::from_value(text).unwrap()
}

fn two() -> Page {
    page(vec![
        incident(None, Cause::SourceUnavailable, 3 * 24 * 60 + 61, None),
        incident(Some("acme"), Cause::RegeneratedOrRevoked, 185, Some(80)),
    ])
}

#[test]
fn nothing_open_is_said() {
    for width in [None, Some(10)] {
        assert_eq!(in_brief(&page(Vec::new()), width), "no open incidents\n");
        assert_eq!(in_full(&page(Vec::new()), width), "no open incidents\n");
    }
}

#[test]
fn a_table_is_as_wide_as_it_must_be() {
    let text = "\
SEVERITY  STORE  CAUSE                   SINCE      SILENCE ENDS  NEXT REMINDER  ID
warning   vault  source_unavailable      3d 1h ago  -             in 55m         vault:source_unavailable:1799737140000
critical  acme   regenerated_or_revoked  3h 5m ago  in 1h 20m     in 1h 20m      acme:regenerated_or_revoked:1799988900000
";
    assert_eq!(in_brief(&two(), None), text);
    assert_eq!(in_brief(&two(), Some(130)), text);
}

#[test]
fn a_narrow_terminal_gets_some_lines_for_each() {
    let text = "\
warning   vault: Vault is unavailable
          since 3d 1h ago, next reminder in 55m
          vault:source_unavailable:1799737140000
critical  acme: API token regenerated or revoked
          since 3h 5m ago, next reminder in 1h 20m
          silence ends in 1h 20m
          acme:regenerated_or_revoked:1799988900000
";
    assert_eq!(in_brief(&two(), Some(80)), text);
    for line in in_brief(&two(), Some(40)).lines() {
        let is_id = line.trim_start().split(':').count() == 3;
        assert!(line.chars().count() <= 40 || is_id, "{line:?}");
    }
}

#[test]
fn the_whole_of_an_incident_has_evidence_and_what_to_do_and_no_tricks() {
    let text = "\
acme:regenerated_or_revoked:1799988900000
  severity       critical
  store          acme
  cause          API token regenerated or revoked (regenerated_or_revoked)
  since          2027-01-15T04:55:00.000Z (3h 5m ago)
  silence ends   2027-01-15T09:20:00.000Z (in 1h 20m)
  next reminder  2027-01-15T09:20:00.000Z (in 1h 20m)
  evidence
    - The store rejected the published credentials (version 1) with 401 3
      times.
    - Odd\u{fffd}[2J.
  what to do
    Open the account with Edit, and copy its values into a new version of
    the secret in Vault.
";
    let acme = page(vec![two().incidents.remove(1)]);
    assert_eq!(in_full(&acme, Some(75)), text);
    assert!(in_full(&two(), None).contains("with 401 3 times.\n"));
}

#[test]
fn what_a_restart_would_forget_is_said_below_them() {
    assert_eq!(not_on_disk(&two(), None), "");
    let since = Timestamp::from_millis(two().at.as_millis() - 5 * MINUTE);
    let state = StateStatus { error: Some("no room\u{1b}[2J".to_owned()), since: Some(since) };
    let text = "\nin memory only for 5m, and a restart forgets it: no room\u{fffd}[2J\n";
    assert_eq!(not_on_disk(&Page { state, ..two() }, None), text);
}
