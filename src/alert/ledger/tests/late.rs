//! Channels that come while an incident is open: each is told of it once, wherever it comes from.

use super::*;
use crate::domain::secret::Fingerprint;

fn at(name: &str, address: &str) -> Recipient {
    Recipient { address: Fingerprint::parse(address), ..Recipient::new(name, Route::everything()) }
}

const OLD: &str = "0000000000000001";
const NEW: &str = "0000000000000002";

/// What waits for the channel, by number; all of it is then delivered.
fn deliver(ledger: &Ledger, channel: &str) -> Vec<(u32, MessageKind)> {
    let waiting = ledger.waiting(channel);
    waiting.iter().for_each(|message| ledger.delivered(channel, &message.id).unwrap());
    waiting.iter().map(|message| (message.incident.messages, message.kind)).collect()
}

#[test]
fn a_channel_that_comes_later_or_has_another_address_is_told_of_what_is_open_once() {
    let directory = tempdir().unwrap();
    let before = [at("webhook", OLD)];
    let ledger = Ledger::open(directory.path(), &before, NOW).unwrap();
    record(&ledger, &[message("acme", 1, Opened), message("other", 1, Opened)]).unwrap();
    record(&ledger, &[message("acme", 2, Reminder), message("other", 2, Resolved)]).unwrap();
    assert_eq!(deliver(&ledger, "webhook").len(), 4);

    // While the daemon runs, or while it does not.
    let after = [at("webhook", NEW), at("slack", OLD)];
    ledger.set_channels(&after, NOW).unwrap();
    assert_eq!(deliver(&ledger, "webhook"), [(2, Reminder)], "the last message, as it was");
    drop(ledger);
    let later = [at("webhook", NEW), at("slack", NEW), at("command", OLD)];
    let ledger = Ledger::open(directory.path(), &later, NOW).unwrap();
    assert_eq!(deliver(&ledger, "slack"), [(2, Reminder)], "what waited goes to the new address");
    assert_eq!((deliver(&ledger, "webhook"), deliver(&ledger, "command")), (vec![], vec![(2, Reminder)]));
    for channels in [&after[..], &later, &before, &later] {
        ledger.set_channels(channels, NOW).unwrap();
    }
    drop(ledger);
    let ledger = Ledger::open(directory.path(), &later, NOW).unwrap();
    let pending = ["webhook", "slack", "command"].map(|channel| ledger.pending(channel));
    assert_eq!(pending, [0, 0, 0], "each has heard of it at each of its addresses");
    record(&ledger, &[message("acme", 3, Resolved)]).unwrap();
    let pending = ["webhook", "slack", "command"].map(|channel| ledger.pending(channel));
    assert_eq!(pending, [1, 1, 1], "one end for each");
    ledger.set_channels(&[at("pagerduty", OLD)], NOW).unwrap();
    assert_eq!(ledger.pending("pagerduty"), 0, "what is over is told to nobody new");
}

#[test]
fn a_channel_that_is_put_back_hears_what_was_removed_with_it_and_nothing_that_it_knows() {
    let directory = tempdir().unwrap();
    let ledger = open(directory.path());
    record(&ledger, &[message("known", 1, Opened)]).unwrap();
    ledger.delivered("webhook", &message("known", 1, Opened).id).unwrap();
    record(&ledger, &[message("acme", 1, Opened)]).unwrap();
    ledger.set_channels(&told_everything(&["second"]), NOW).unwrap();
    assert_eq!(ledger.pending("webhook"), 0);
    ledger.set_channels(&told_everything(CHANNELS), NOW).unwrap();
    assert_eq!(waiting(&ledger, "webhook"), [format!("{}:opened", message("acme", 1, Opened).incident.id)]);
    // The same with a restart without it in between.
    drop(ledger);
    drop(Ledger::open(directory.path(), &told_everything(&["second"]), NOW).unwrap());
    let ledger = open(directory.path());
    assert_eq!(ledger.pending("webhook"), 1);
    assert_eq!(ledger.pending("second"), 2, "who stayed has one of each");
    record(&ledger, &[message("acme", 2, Resolved), message("known", 2, Resolved)]).unwrap();
    assert_eq!(ledger.pending("webhook"), 3);
}

#[test]
fn a_silenced_incident_is_told_to_no_new_channel_before_the_silence_ends() {
    let directory = tempdir().unwrap();
    let ledger = Ledger::open(directory.path(), &[], NOW).unwrap();
    let opened = message("acme", 1, Opened);
    record(&ledger, std::slice::from_ref(&opened)).unwrap();
    let until = NOW.plus(std::time::Duration::from_secs(60));
    let incident = Incident { silenced_until: Some(until), ..opened.incident.clone() };
    ledger.record(&[Change::Open { incident, message: None }]).unwrap();
    ledger.set_channels(&told_everything(CHANNELS), NOW).unwrap();
    drop(ledger);
    let ledger = open(directory.path());
    assert_eq!(ledger.pending("webhook"), 0);
    ledger.set_channels(&told_everything(CHANNELS), until).unwrap();
    assert_eq!(ledger.next("webhook").as_deref(), Some(&opened), "as it was told to the others");
}
