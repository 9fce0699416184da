//! The journal of systemd, by its native protocol: one datagram for each line of the log, with its fields.
//!
//! <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>

use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::fstat;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::errors::chain;

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";
const IDENTIFIER: &str = "bc-secrets-sync";
/// How long a journal that is busy is waited for, once: the loop stands still meanwhile.
const PATIENCE: Duration = Duration::from_millis(200);
/// The same for standard error, which leads to the journal, too: for each line.
const PATIENCE_OTHERWISE: Duration = Duration::from_millis(10);
/// The longest value of a field, in bytes.
const LONGEST_VALUE: usize = 16 << 10;
/// The longest fields together, in bytes: with a message, they are well below what any system takes in one datagram.
const LONGEST_FIELDS: usize = 48 << 10;
/// Names to which the journal gives a meaning that is not ours.
const RESERVED: [&str; 5] = ["MESSAGE_ID", "PRIORITY", "ERRNO", "SYSLOG_IDENTIFIER", "SYSLOG_PID"];

/// Whether standard error leads to the journal, as systemd tells by device and inode. A variable that was only
/// inherited, while the error goes elsewhere, names another pair.
pub(super) fn is_standard_error() -> bool {
    let told = std::env::var("JOURNAL_STREAM").ok();
    let found = fstat(io::stderr()).ok().map(|stat| (stat.st_dev, stat.st_ino));
    told.zip(found).is_some_and(|(told, (device, inode))| told == format!("{device}:{inode}"))
}

/// Writes the log to the journal, and to `otherwise` what the journal does not take.
pub(super) struct Journal {
    socket: Option<UnixDatagram>,
    path: PathBuf,
    otherwise: fn(&str),
    /// It was waited for in vain, and is not waited for again until it takes something.
    is_stuck: AtomicBool,
}

impl Journal {
    /// The journal of this machine; otherwise standard error.
    pub(super) fn of_system() -> Self {
        bound(io::stderr());
        Self::at(SOCKET.into(), |line| {
            // There is nobody left to tell.
            let _lost = io::stderr().lock().write_all(line.as_bytes());
        })
    }

    fn at(path: PathBuf, otherwise: fn(&str)) -> Self {
        let socket = UnixDatagram::unbound().ok();
        if let Some(socket) = &socket {
            let _blocking = socket.set_write_timeout(Some(PATIENCE));
        }
        Self { socket, path, otherwise, is_stuck: AtomicBool::new(false) }
    }

    /// Each time by its path: a journal that was started again has another socket.
    fn send(&self, entry: &[u8]) -> bool {
        let Some(socket) = &self.socket else { return false };
        let sent = socket.send_to(entry, &self.path);
        let is_stuck = sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        if self.is_stuck.swap(is_stuck, Ordering::Relaxed) != is_stuck {
            let _waiting = socket.set_nonblocking(is_stuck);
        }
        sent.is_ok()
    }
}

/// From now on a line that nobody takes from there is given up, if it is a socket.
fn bound(stream: impl AsFd) {
    if let Ok(stream) = stream.as_fd().try_clone_to_owned() {
        let _no_socket = UnixStream::from(stream).set_write_timeout(Some(PATIENCE_OTHERWISE));
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        let mut entry = Entry::default();
        entry.put("PRIORITY", priority(level));
        entry.put("SYSLOG_IDENTIFIER", IDENTIFIER);
        entry.put("TARGET", event.metadata().target());
        event.record(&mut entry);
        let message = std::mem::take(&mut entry.message);
        entry.put("MESSAGE", &message);
        entry.message = message;
        if !self.send(&entry.bytes) {
            (self.otherwise)(&entry.line(level));
        }
    }
}

/// The priorities of syslog.
const fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

#[derive(Default)]
struct Entry {
    bytes: Vec<u8>,
    message: String,
    /// The fields once more, for whoever reads a line.
    words: String,
}

impl Entry {
    /// Adds a field, unless there would be no room for the message then.
    fn add(&mut self, name: &str, value: &str) {
        if self.bytes.len() + name.len() + value.len().min(LONGEST_VALUE) < LONGEST_FIELDS {
            self.put(name, value);
        }
    }

    /// Adds a field, cut where it is too long.
    fn put(&mut self, name: &str, value: &str) {
        let value = cut(value, LONGEST_VALUE);
        self.bytes.extend_from_slice(name.as_bytes());
        if value.contains('\n') {
            let length = u64::try_from(value.len()).unwrap_or_default();
            self.bytes.push(b'\n');
            self.bytes.extend_from_slice(&length.to_le_bytes());
        } else {
            self.bytes.push(b'=');
        }
        self.bytes.extend_from_slice(value.as_bytes());
        self.bytes.push(b'\n');
    }

    /// The same for standard error. What reads it there understands the priority, too.
    fn line(&self, level: Level) -> String {
        let line = format!("{}{}", cut(&self.message, LONGEST_VALUE), self.words);
        format!("<{}>{}\n", priority(level), line.replace(char::is_control, " "))
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
            return;
        }
        self.add(&name(field.name()), value);
        let _infallible = write!(self.words, " {}={:?}", field.name(), cut(value, LONGEST_VALUE));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = Bounded(String::new());
        let _cut = write!(text, "{value:?}");
        self.record_str(field, &text.0);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_str(field, &chain(value));
    }
}

/// A text that does not grow for ever.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        if self.0.len() > LONGEST_VALUE { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The name of a field as the journal takes it: capital letters, digits and `_`.
fn name(name: &str) -> String {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(letter).collect();
    let is_free = name.starts_with(|first: char| first.is_ascii_uppercase());
    if is_free && !RESERVED.contains(&name.as_str()) { name } else { format!("BC_{name}") }
}

fn cut(value: &str, most: usize) -> &str {
    let end = (0..=most.min(value.len())).rev().find(|end| value.is_char_boundary(*end));
    end.and_then(|end| value.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What one datagram says.
    fn parsed(mut entry: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while !entry.is_empty() {
            let end = entry.iter().position(|byte| matches!(byte, b'=' | b'\n')).unwrap();
            let name = String::from_utf8(entry[..end].to_vec()).unwrap();
            let (value, rest) = if entry[end] == b'=' {
                let stop = end + entry[end..].iter().position(|byte| *byte == b'\n').unwrap();
                (&entry[end + 1..stop], &entry[stop + 1..])
            } else {
                let length = u64::from_le_bytes(entry[end + 1..end + 9].try_into().unwrap()) as usize;
                let stop = end + 9 + length;
                assert_eq!(entry[stop], b'\n');
                (&entry[end + 9..stop], &entry[stop + 1..])
            };
            let before = fields.insert(name, String::from_utf8(value.to_vec()).unwrap());
            assert_eq!(before, None, "a field comes twice");
            entry = rest;
        }
        fields
    }

    fn logged(path: PathBuf, otherwise: fn(&str), log: impl FnOnce()) {
        let journal = Journal::at(path, otherwise);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(journal), log);
    }

    fn received(log: impl FnOnce()) -> Vec<BTreeMap<String, String>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        logged(path, |line| panic!("not to the journal: {line}"), log);
        journal.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 20];
        std::iter::from_fn(|| journal.recv(&mut buffer).ok().map(|count| parsed(&buffer[..count]))).collect()
    }

    #[test]
    fn a_line_of_the_log_is_an_entry_with_its_fields() {
        let entries = received(|| {
            let error = io::Error::other("the reason");
            tracing::warn!(store = %"acme", cause = "bad_write", count = 3, message_id = "m:1", "it {}", "failed");
            tracing::error!(error = &error as &dyn Error, evidence = "one\ntwo=2\n", "worse");
            tracing::info!("fine");
            tracing::debug!(_odd = true, "small");
        });
        assert_eq!(entries.len(), 4);
        let field = |at: usize, name: &str| entries[at].get(name).map(String::as_str);
        assert_eq!(field(0, "MESSAGE"), Some("it failed"));
        assert_eq!((field(0, "STORE"), field(0, "CAUSE")), (Some("acme"), Some("bad_write")));
        assert_eq!((field(0, "COUNT"), field(0, "MESSAGE_ID")), (Some("3"), None));
        assert_eq!(field(0, "BC_MESSAGE_ID"), Some("m:1"));
        assert_eq!((field(1, "ERROR"), field(1, "EVIDENCE")), (Some("the reason"), Some("one\ntwo=2\n")));
        assert_eq!(field(3, "BC__ODD"), Some("true"));
        let priorities: Vec<_> = entries.iter().map(|entry| entry["PRIORITY"].as_str()).collect();
        assert_eq!(priorities, ["4", "3", "6", "7"]);
        for entry in &entries {
            assert_eq!(entry["SYSLOG_IDENTIFIER"], "bc-secrets-sync");
            assert_eq!(entry["TARGET"], "bc_secrets_sync::system::journal::tests");
        }
    }

    #[test]
    fn nothing_is_too_long_for_one_datagram() {
        let long = "\u{fc}".repeat(LONGEST_VALUE);
        let entries = received(|| {
            tracing::info!(a = long, b = long, c = ?long, d = long, e = long, f = long, "{long}");
            tracing::info!("and the next");
        });
        assert_eq!(entries.len(), 2);
        assert!(entries[0].values().map(String::len).sum::<usize>() <= LONGEST_FIELDS + LONGEST_VALUE);
        assert_eq!((entries[0]["A"].len(), entries[0]["B"].len()), (LONGEST_VALUE, LONGEST_VALUE));
        assert_eq!(entries[0]["MESSAGE"].len(), LONGEST_VALUE, "it is what is read");
        assert_eq!(entries[1]["MESSAGE"], "and the next");
    }

    #[test]
    fn what_the_journal_does_not_take_goes_to_standard_error_and_back_again() {
        static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let mut journal = None;
        logged(
            path.clone(),
            |line| LINES.lock().unwrap().push(line.to_owned()),
            || {
                tracing::warn!(store = "acme", note = "a \"b\"", "first\nline");
                journal = Some(UnixDatagram::bind(&path).unwrap());
                tracing::info!("second");
                drop(journal.take());
                std::fs::remove_file(&path).unwrap();
                tracing::error!("third");
                journal = Some(UnixDatagram::bind(&path).unwrap());
                tracing::error!("fourth");
            },
        );
        let mut buffer = [0; 4096];
        let count = journal.unwrap().recv(&mut buffer).unwrap();
        assert_eq!(parsed(&buffer[..count])["MESSAGE"], "fourth");
        let lines = LINES.lock().unwrap();
        assert_eq!(*lines, ["<4>first line store=\"acme\" note=\"a \\\"b\\\"\"\n", "<3>third\n"]);
    }

    #[test]
    fn a_journal_that_is_full_holds_nothing_up_for_long() {
        static LOST: Mutex<usize> = Mutex::new(0);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        // Nobody reads from it.
        let _journal = UnixDatagram::bind(&path).unwrap();
        let begun = std::time::Instant::now();
        logged(
            path,
            |_| *LOST.lock().unwrap() += 1,
            || {
                // Waited for each time, that would be more than three minutes.
                while *LOST.lock().unwrap() < 1_000 {
                    tracing::info!("once more");
                    assert!(begun.elapsed() < Duration::from_secs(20), "it never filled, or never gave up");
                }
            },
        );
    }

    #[test]
    fn a_journal_that_takes_lines_again_is_waited_for_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let reader = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::at(path, |_| {});
        while journal.send(b"MESSAGE=once more\n") {}
        assert!(journal.is_stuck.load(Ordering::Relaxed));
        reader.recv(&mut [0; 64]).unwrap();
        assert!(journal.send(b"MESSAGE=and again\n") && !journal.is_stuck.load(Ordering::Relaxed));
        let begun = std::time::Instant::now();
        while journal.send(b"MESSAGE=once more\n") {}
        assert!(begun.elapsed() >= PATIENCE / 2, "it was not waited for");
    }

    #[test]
    fn a_standard_error_that_nobody_reads_holds_nothing_up_for_long() {
        let (mut ours, _theirs) = UnixStream::pair().unwrap();
        bound(&ours);
        assert!(ours.write_timeout().unwrap().is_some(), "or this would wait for ever");
        let given_up =
            std::iter::repeat_with(|| ours.write_all(&[b'x'; 4096])).find_map(Result::err).unwrap();
        assert_eq!(given_up.kind(), io::ErrorKind::WouldBlock);
        bound(std::fs::File::open("/dev/null").unwrap());
    }
}
