//! How far a long command is: one line on the terminal that is drawn anew, and nothing anywhere else.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::config::Environment;

use super::output::{columns_of, plain};

/// What ends sooner needs no word about how far it is.
const PATIENCE: Duration = Duration::from_millis(500);
/// As often as eyes can follow.
const REDRAW: Duration = Duration::from_millis(100);
/// To the first column, and nothing from there on.
const CLEAR: &str = "\r\u{1b}[K";

/// The line. It is on standard error, so that results can be read by others.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    is_terminal: bool,
    drawn: Option<Instant>,
}

impl Progress {
    pub(super) fn start(environment: &Environment) -> Self {
        let is_terminal = io::stderr().is_terminal() && !environment.is("TERM", "dumb");
        Self { begun: Instant::now(), is_terminal, drawn: None }
    }

    /// How long it has taken by now.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Shows how far it is, if there is somebody to look and the time to.
    pub(super) fn show(&mut self, done: usize, total: usize, current: Option<&str>) {
        let elapsed = self.elapsed();
        let is_due = self.drawn.map_or(elapsed >= PATIENCE, |drawn| drawn.elapsed() >= REDRAW);
        if self.is_terminal && is_due {
            self.drawn = Some(Instant::now());
            let line = format!("{CLEAR}{}", line(done, total, current, elapsed, columns_of(&io::stderr())));
            let _closed = io::stderr().lock().write_all(line.as_bytes());
        }
    }

    /// Takes the line away, before something else is written.
    pub(super) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _closed = io::stderr().lock().write_all(CLEAR.as_bytes());
        }
    }
}

/// What fits on one line: what is done comes first, and what is under way is cut.
fn line(done: usize, total: usize, current: Option<&str>, elapsed: Duration, width: Option<usize>) -> String {
    let current = current.map_or(String::new(), |current| format!(", now {}", plain(current)));
    let line = format!("{done} of {total} stores, {}{current}", seconds(elapsed));
    // A terminal that has its last column written may go to the next line.
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(1));
    if line.chars().count() <= room {
        return line;
    }
    line.chars().take(room.saturating_sub(1)).chain(['\u{2026}']).collect()
}

/// A span in words, to the second: one sees that it moves.
pub(super) fn seconds(span: Duration) -> String {
    humantime::format_duration(Duration::from_secs(span.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_fits() {
        let elapsed = Duration::from_secs(75);
        let whole = "7 of 12 stores, 1m 15s, now acme\u{fffd}";
        assert_eq!(line(7, 12, Some("acme\u{1b}"), elapsed, Some(80)), whole);
        assert_eq!(line(7, 12, Some("acme\u{1b}"), elapsed, None), whole);
        assert_eq!(line(7, 12, None, elapsed, Some(80)), "7 of 12 stores, 1m 15s");
        assert_eq!(line(7, 12, Some("acme"), elapsed, Some(20)), "7 of 12 stores, 1m\u{2026}");
        assert_eq!(line(7, 12, Some("acme"), elapsed, Some(20)).chars().count(), 19);
        assert_eq!(line(7, 12, Some("acme"), elapsed, Some(1)), "\u{2026}");
    }
}
