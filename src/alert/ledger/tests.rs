//! What the ledger promises: nothing recorded is lost, nothing is said twice, and a bad disk stops nobody.

mod late;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::{TempDir, tempdir};

use super::super::receiver::{NOW, message, told_everything};
use super::*;
use crate::domain::incident::MessageKind::{Opened, Reminder, Resolved};
use crate::domain::incident::Severity;
use crate::domain::routing::{Route, StorePattern};

const CHANNELS: &[&str] = &["webhook", "second"];

fn open(directory: &Path) -> Ledger {
    Ledger::open(directory, &told_everything(CHANNELS), NOW).unwrap()
}

fn record(ledger: &Ledger, messages: &[Message]) -> Result<(), LedgerError> {
    let changes: Vec<_> = messages.iter().cloned().map(Change::from).collect();
    ledger.record(&changes)
}

/// Identifiers of open incidents, and of the messages that wait for the first channel.
fn state(ledger: &Ledger) -> (Vec<String>, Vec<String>) {
    let incidents = ledger.load().iter().map(|incident| incident.id.to_string()).collect();
    let waiting = ledger.waiting("webhook").iter().map(|message| message.id.clone()).collect();
    (incidents, waiting)
}

/// What a daemon would find that starts after the machine lost its power just now.
fn after_a_crash(directory: &TempDir) -> (Vec<String>, Vec<String>) {
    let other = tempdir().unwrap();
    fs::copy(directory.path().join("incidents.redb"), other.path().join("incidents.redb")).unwrap();
    let ledger = open(other.path());
    assert_eq!(ledger.recovered(), None);
    state(&ledger)
}

fn words(error: &dyn std::error::Error) -> String {
    format!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default())
}

#[test]
fn nothing_is_lost_in_a_crash_at_any_step() {
    let directory = tempdir().unwrap();
    let ledger = open(directory.path());
    assert_eq!(after_a_crash(&directory), (vec![], vec![]));

    let (acme, other) = (message("acme", 1, Opened), message("other", 1, Opened));
    let end = message("acme", 2, Resolved);
    let (acme_id, other_id) = (acme.incident.id.to_string(), other.incident.id.to_string());
    record(&ledger, &[acme.clone(), other.clone()]).unwrap();
    assert_eq!(after_a_crash(&directory), state(&ledger));
    assert_eq!(state(&ledger), (vec![acme_id, other_id.clone()], vec![acme.id.clone(), other.id.clone()]));

    ledger.delivered("webhook", &acme.id).unwrap();
    assert_eq!(after_a_crash(&directory), state(&ledger));
    assert_eq!(ledger.next("webhook").unwrap().id, other.id);
    assert_eq!(ledger.next("second").unwrap().id, acme.id);

    record(&ledger, std::slice::from_ref(&end)).unwrap();
    assert_eq!(after_a_crash(&directory), state(&ledger));
    assert_eq!(state(&ledger), (vec![other_id], vec![other.id.clone(), end.id.clone()]));

    for id in [&other.id, &end.id] {
        ledger.delivered("webhook", id).unwrap();
        assert_eq!(after_a_crash(&directory), state(&ledger));
    }
    assert_eq!((ledger.pending("webhook"), ledger.pending("second")), (0, 3));
}

#[test]
fn an_incident_comes_back_as_it_was_last_recorded() {
    let directory = tempdir().unwrap();
    let ledger = open(directory.path());
    let mut message = message("acme", 1, Opened);
    record(&ledger, std::slice::from_ref(&message)).unwrap();
    message.incident.evidence.push("still rejected".into());
    message.incident.silenced_until = Some(message.at);
    let incident = message.incident.clone();
    ledger.record(&[Change::Open { incident: incident.clone(), message: None }]).unwrap();
    drop(ledger);

    let ledger = open(directory.path());
    assert_eq!(ledger.load(), [incident]);
    assert_eq!(ledger.pending("webhook"), 1);
}

#[test]
fn an_incident_of_a_version_that_knew_no_silences_is_read() {
    let old = r#"{"id": "acme:bad_write:1", "store": "acme", "cause": "bad_write", "severity": "warning",
        "opened_at": "2025-08-24T00:00:00Z", "evidence": [], "remedy": "", "messages": 1,
        "repeat_at": "2025-08-25T00:00:00Z"}"#;
    let incident: Incident = serde_json::from_str(old).unwrap();
    assert_eq!(incident.silenced_until, None);
    assert!(!serde_json::to_string(&incident).unwrap().contains("silenced"), "nor shown to it");
}

#[test]
fn recording_a_message_again_changes_nothing() {
    let directory = tempdir().unwrap();
    let ledger = open(directory.path());
    let (opened, resolved) = (message("acme", 1, Opened), message("acme", 2, Resolved));
    let other = message("other", 1, Opened);
    for _ in 0..2 {
        record(&ledger, &[opened.clone(), opened.clone(), other.clone()]).unwrap();
    }
    assert_eq!(ledger.pending("webhook"), 2);
    ledger.delivered("webhook", &opened.id).unwrap();
    record(&ledger, &[resolved.clone(), opened.clone()]).unwrap();
    assert_eq!(state(&ledger), (vec![other.incident.id.to_string()], vec![other.id.clone(), resolved.id]));

    ledger.delivered("webhook", &other.id).unwrap();
    ledger.delivered("second", &other.id).unwrap();
    drop(ledger);
    let ledger = open(directory.path());
    record(&ledger, &[other]).unwrap();
    assert_eq!(ledger.pending("webhook"), 1);
}

fn route(severity: Severity, stores: &str) -> Route {
    Route { severity, stores: vec![StorePattern::parse(stores).unwrap()] }
}

fn waiting(ledger: &Ledger, channel: &str) -> Vec<String> {
    let waiting = ledger.waiting(channel);
    waiting.iter().map(|message| format!("{}:{}", message.incident.id, message.kind.label())).collect()
}

#[test]
fn a_channel_is_told_of_what_is_routed_to_it_and_of_its_end_also_after_a_restart() {
    let directory = tempdir().unwrap();
    let routes = [
        Recipient::new("all", Route::everything()),
        Recipient::new("acme", route(Severity::Warning, "acme*")),
        Recipient::new("critical", route(Severity::Critical, "*")),
    ];
    let ledger = Ledger::open(directory.path(), &routes, NOW).unwrap();
    let mut stories =
        ["acme-eu", "other"].map(|store| [message(store, 1, Opened), message(store, 2, Resolved)]);
    for message in &mut stories[1] {
        message.incident.severity = Severity::Warning;
    }
    record(&ledger, &stories.each_ref().map(|[opened, _]| opened.clone())).unwrap();
    drop(ledger);
    let ledger = Ledger::open(directory.path(), &routes, NOW).unwrap();
    // What an incident has become at its end does not count.
    stories[0][1].incident.severity = Severity::Warning;
    record(&ledger, &stories.each_ref().map(|[_, resolved]| resolved.clone())).unwrap();

    let id = |store: usize| stories[store][0].incident.id.to_string();
    let told = |store: usize| [format!("{}:opened", id(store)), format!("{}:resolved", id(store))];
    let both = [&told(0)[0], &told(1)[0], &told(0)[1], &told(1)[1]].map(Clone::clone);
    assert_eq!(waiting(&ledger, "all"), both);
    assert_eq!(waiting(&ledger, "acme"), told(0));
    assert_eq!(waiting(&ledger, "critical"), told(0));
}

#[test]
fn a_channel_that_hears_late_hears_the_end_too_and_one_that_never_heard_does_not() {
    let directory = tempdir().unwrap();
    let critical = Recipient::new("critical", route(Severity::Critical, "*"));
    let ledger = Ledger::open(directory.path(), std::slice::from_ref(&critical), NOW).unwrap();
    let mut opened = message("acme", 1, Opened);
    opened.incident.severity = Severity::Warning;
    record(&ledger, &[opened.clone()]).unwrap();
    // A change without a message tells nobody; a new channel hears of what is open, and so does one that takes it now.
    let worse = message("acme", 1, Opened).incident;
    ledger.record(&[Change::Open { incident: worse, message: None }]).unwrap();
    ledger
        .set_channels(
            &[
                critical,
                Recipient::new("new", Route::everything()),
                Recipient::new("never", route(Severity::Warning, "x")),
            ],
            NOW,
        )
        .unwrap();
    assert_eq!(["critical", "new", "never"].map(|channel| ledger.pending(channel)), [1, 1, 0]);
    record(&ledger, &[message("acme", 2, Reminder), message("acme", 3, Resolved)]).unwrap();
    assert_eq!(["critical", "new", "never"].map(|channel| ledger.pending(channel)), [3, 3, 0]);
}

#[test]
fn a_change_is_told_of_once_it_is_recorded() {
    let directory = tempdir().unwrap();
    let ledger = Ledger::open(directory.path(), &[], NOW).unwrap();
    let mut changes = ledger.changes();
    assert!(!changes.has_changed().unwrap());
    record(&ledger, &[message("acme", 1, Opened)]).unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    record(&ledger, &[message("acme", 1, Opened)]).unwrap();
    assert!(!changes.has_changed().unwrap());
}

#[test]
fn a_message_is_shown_to_its_channel_only_once_it_is_durable() {
    let mut mirror = Mirror::new(mirror::Contents::default(), CAPACITY);
    mirror.set_channels(&told_everything(CHANNELS), NOW);
    assert!(!mirror.record(&[message("acme", 1, Opened).into()]).is_empty());
    assert_eq!((mirror.pending("webhook"), mirror.waiting("webhook").count()), (1, 0));
    mirror.show();
    assert_eq!(mirror.waiting("webhook").count(), 1);
}

#[test]
fn a_full_outbox_drops_the_oldest_reminders_first_and_then_the_oldest_of_all() {
    let directory = tempdir().unwrap();
    let ledger =
        Ledger::open_with_capacity(directory.path(), &told_everything(&["webhook"]), NOW, 3).unwrap();
    let tell = |number, kind| {
        record(&ledger, &[message("acme", number, kind)]).unwrap();
        let waiting = ledger.waiting("webhook");
        waiting.iter().map(|message| message.incident.messages).collect::<Vec<_>>()
    };
    tell(1, Opened);
    tell(2, Reminder);
    assert_eq!(tell(3, Reminder), [1, 2, 3]);
    assert_eq!(tell(4, Opened), [1, 3, 4]);
    assert_eq!(tell(5, Opened), [1, 4, 5]);
    assert_eq!(tell(6, Resolved), [4, 5, 6]);
    assert_eq!(tell(7, Reminder), [4, 5, 6]);
    assert_eq!((ledger.pending("webhook"), ledger.dropped("webhook")), (3, 4));
    drop(ledger);

    let ledger =
        Ledger::open_with_capacity(directory.path(), &told_everything(&["webhook"]), NOW, 2).unwrap();
    assert_eq!((ledger.pending("webhook"), ledger.dropped("webhook")), (2, 1));
}

#[test]
fn a_full_outbox_keeps_what_is_open_and_what_ends_it_longer_than_what_is_over() {
    let directory = tempdir().unwrap();
    let ledger =
        Ledger::open_with_capacity(directory.path(), &told_everything(&["webhook"]), NOW, 3).unwrap();
    let tell = |store, number, kind| {
        record(&ledger, &[message(store, number, kind)]).unwrap();
        let waiting = ledger.waiting("webhook");
        waiting.iter().map(|it| (it.incident.messages, it.kind)).collect::<Vec<_>>()
    };
    tell("toys", 1, Opened);
    tell("acme", 2, Opened);
    tell("acme", 3, Resolved);
    assert_eq!(tell("shoes", 4, Opened), [(1, Opened), (3, Resolved), (4, Opened)]);
    assert_eq!(tell("toys", 5, Resolved), [(3, Resolved), (4, Opened), (5, Resolved)]);
    // What has opened again is not over.
    assert_eq!(tell("acme", 6, Opened), [(4, Opened), (5, Resolved), (6, Opened)]);
}

#[test]
fn messages_of_a_channel_that_is_gone_are_removed() {
    let directory = tempdir().unwrap();
    record(&open(directory.path()), &[message("acme", 1, Opened)]).unwrap();
    let ledger = Ledger::open(directory.path(), &told_everything(&["webhook", "new"]), NOW).unwrap();
    assert_eq!(["webhook", "second", "new"].map(|channel| ledger.pending(channel)), [1, 0, 1]);
    ledger.set_channels(&told_everything(&["second"]), NOW).unwrap();
    record(&ledger, &[message("other", 1, Opened)]).unwrap();
    assert_eq!(["webhook", "second", "new"].map(|channel| ledger.pending(channel)), [0, 2, 0]);
    drop(ledger);
    let ledger = open(directory.path());
    let pending: Vec<_> = CHANNELS.iter().map(|channel| ledger.pending(channel)).collect();
    assert_eq!(pending, [2, 2], "what came back is told anew of what is open");
    assert_eq!(ledger.load().len(), 2);
}

#[test]
fn a_second_daemon_is_refused_until_the_first_has_gone() {
    let directory = tempdir().unwrap();
    let first = open(directory.path());
    let refusal = Ledger::open(directory.path(), &told_everything(CHANNELS), NOW).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!(
            "another daemon uses the state directory {}: give each daemon a directory of its own",
            directory.path().display()
        )
    );
    drop(first);
    open(directory.path());
}

#[test]
fn a_damaged_database_is_moved_aside_and_at_most_three_are_kept() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("incidents.redb");
    for round in 1..=5 {
        record(&open(directory.path()), &[message("acme", 1, Opened)]).unwrap();
        let mut bytes = fs::read(&file).unwrap();
        bytes.truncate(bytes.len() / 2);
        fs::write(&file, bytes).unwrap();

        let ledger = open(directory.path());
        let words = ledger.recovered().unwrap();
        assert!(words.contains(&format!("incidents.redb.damaged-{round}")), "{words}");
        assert_eq!(state(&ledger), (vec![], vec![]));
        record(&ledger, &[message("acme", 1, Opened)]).unwrap();
        drop(ledger);
        assert_eq!(open(directory.path()).recovered(), None);
    }
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let kept = [3, 4, 5].map(|number| format!("incidents.redb.damaged-{number}"));
    assert_eq!(names[0], "incidents.redb");
    assert_eq!(names[1..], kept);
}

#[test]
fn bytes_changed_behind_its_back_never_become_messages() {
    let directory = tempdir().unwrap();
    let messages: Vec<_> = (0..40).map(|number| message(&format!("store-{number}"), 1, Opened)).collect();
    let ledger = open(directory.path());
    record(&ledger, &messages).unwrap();
    let expected = state(&ledger);
    drop(ledger);
    let good = fs::read(directory.path().join("incidents.redb")).unwrap();
    for page in 0..good.len() / 4096 {
        let other = tempdir().unwrap();
        let mut bytes = good.clone();
        bytes[page * 4096 + 40..page * 4096 + 200].fill(0xa5);
        fs::write(other.path().join("incidents.redb"), bytes).unwrap();
        let ledger = open(other.path());
        let found = state(&ledger);
        match ledger.recovered() {
            Some(_) => assert_eq!(found, (vec![], vec![]), "page {page}"),
            None => assert_eq!(found, expected, "page {page}"),
        }
    }
}

#[test]
fn a_record_of_another_version_does_not_hide_the_others() {
    let directory = tempdir().unwrap();
    record(&open(directory.path()), &[message("acme", 1, Opened)]).unwrap();
    {
        let table = redb::TableDefinition::<(&str, u64), &[u8]>::new("outbox");
        let database = redb::Database::open(directory.path().join("incidents.redb")).unwrap();
        let transaction = database.begin_write().unwrap();
        let json = br#"{"id":"later"}"#.as_slice();
        transaction.open_table(table).unwrap().insert(("webhook", 7), json).unwrap();
        transaction.commit().unwrap();
    }
    let ledger = open(directory.path());
    assert!(ledger.recovered().unwrap().starts_with("1 records"), "{:?}", ledger.recovered());
    assert_eq!((ledger.load().len(), ledger.pending("webhook")), (1, 1));
}

#[test]
fn nobody_else_may_read_the_ledger() {
    let parent = tempdir().unwrap();
    let directory = parent.path().join("state");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    drop(open(&directory));
    let file = directory.join("incidents.redb");
    assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    open(&directory);
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn while_the_state_directory_is_gone_messages_are_delivered_and_afterwards_they_are_durable() {
    let parent = tempdir().unwrap();
    let directory = parent.path().join("state");
    let ledger = open(&directory);
    record(&ledger, &[message("first", 1, Opened)]).unwrap();
    fs::rename(&directory, parent.path().join("elsewhere")).unwrap();
    fs::write(&directory, "not a directory").unwrap();

    let second = message("second", 1, Opened);
    for _ in 0..2 {
        let error = record(&ledger, std::slice::from_ref(&second)).unwrap_err();
        assert!(words(&error).contains("make it writable for the daemon"), "{}", words(&error));
        assert_eq!(ledger.pending("webhook"), 2);
    }
    ledger.delivered("webhook", &message("first", 1, Opened).id).unwrap_err();
    assert_eq!(ledger.next("webhook").unwrap().id, second.id);

    fs::remove_file(&directory).unwrap();
    ledger.settle().unwrap();
    let before = state(&ledger);
    drop(ledger);
    let ledger = open(&directory);
    assert_eq!(state(&ledger), before);
    assert_eq!(before.0.len(), 2);
}

/// Runs the test below in a process of its own, in which a file that grows too large is an error, not the end.
#[test]
fn on_a_full_disk_messages_are_delivered_and_afterwards_they_are_durable() {
    let test = "alert::ledger::tests::in_a_process_whose_files_may_not_grow";
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" --ignored --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "limits the size of every file of its process: the test above runs it alone"]
fn in_a_process_whose_files_may_not_grow() {
    let directory = tempdir().unwrap();
    let ledger = open(directory.path());
    let size = fs::metadata(directory.path().join("incidents.redb")).unwrap().len();
    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(size), ..before }).unwrap();

    let long: Vec<_> = (0..1000).map(|number| message(&format!("store-{number}"), 1, Opened)).collect();
    let error = record(&ledger, &long).unwrap_err();
    assert!(error.to_string().contains("are kept in memory only"), "{error}");
    assert_eq!((ledger.load().len(), ledger.waiting("webhook").len()), (1000, 1000));
    ledger.delivered("webhook", &long[0].id).unwrap_err();
    // The log counts what is said in the same words.
    let said = [(); 3].map(|()| words(&ledger.settle().unwrap_err()));
    assert!(said.iter().all(|said| *said == words(&error)), "{error}, then {said:?}");
    let expected = state(&ledger);

    setrlimit(Resource::Fsize, before).unwrap();
    ledger.settle().unwrap();
    drop(ledger);
    let ledger = open(directory.path());
    assert_eq!(ledger.recovered(), None);
    let found = state(&ledger);
    assert_eq!((found.0.len(), found.1), (expected.0.len(), expected.1));
}
