//! Writing to the terminal: results to standard output, troubles to standard error.

use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use clap::ValueEnum;

use crate::domain::snapshot::StateStatus;
use crate::domain::time::Timestamp;
use crate::system::errors::chain;

use super::Exit;

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

/// A result that nobody has.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(super) struct Unwritten(#[source] io::Error);

/// Writes a result. A reader that has gone away is no trouble of ours.
pub(super) fn print(text: &str) -> Result<(), Unwritten> {
    printed(io::stdout().lock().write_all(text.as_bytes()))
}

/// Whether a result that was handed to standard output is out.
pub(super) fn printed(handed: io::Result<()>) -> Result<(), Unwritten> {
    // What follows the last line would be written at the end, where nobody hears of an error.
    match handed.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Unwritten(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes the result of a command, which ends so unless that fails.
pub(super) fn finish(text: &str, exit: Exit) -> Exit {
    end(print(text), exit)
}

/// How a command ends whose result was written or not.
pub(super) fn end(printed: Result<(), Unwritten>, exit: Exit) -> Exit {
    match printed {
        Ok(()) => exit,
        Err(unwritten) => {
            complain(&unwritten);
            Exit::Internal
        }
    }
}

/// Writes what went wrong, with all its causes.
pub(super) fn complain(error: &dyn Error) {
    let text = format!("bc-secrets-sync: {}\n", chain(error));
    let _closed = io::stderr().lock().write_all(text.as_bytes());
}

/// A text without what could play tricks on a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() && letter != '\n' { '\u{fffd}' } else { letter })
        .collect()
}

/// How many columns the terminal has that results go to; none: they go elsewhere.
pub(super) fn columns() -> Option<usize> {
    let stdout = io::stdout();
    if stdout.is_terminal() { columns_of(&stdout) } else { None }
}

/// How many columns a terminal has; none: it is no terminal, or does not know.
pub(super) fn columns_of(terminal: &impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    Some(size.ws_col).filter(|columns| *columns > 0).map(usize::from)
}

/// How many rows the terminal has that results go to; none: it does not know, or there is none.
pub(super) fn rows() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(size.ws_row).filter(|rows| *rows > 0).map(usize::from)
}

/// The beginning of a text, as much as a terminal shows at once, and how many lines are left out. The last row is the
/// cursor's.
pub(super) fn fit(text: &str, columns: Option<usize>, rows: Option<usize>) -> String {
    let height = |line: &str| columns.map_or(1, |columns| letters(line).div_ceil(columns).max(1));
    let room = rows.map_or(usize::MAX, |rows| rows.saturating_sub(1));
    if text.lines().map(height).sum::<usize>() <= room {
        return text.to_owned();
    }
    let (mut shown, mut used, mut left_out) = (String::new(), 1, 0_usize);
    for line in text.lines() {
        used += height(line);
        if used > room {
            left_out += 1;
        } else {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    shown.push_str(&format!("and {left_out} more\n"));
    shown
}

/// How many letters of a line are seen: what sets a colour is none.
fn letters(line: &str) -> usize {
    let mut parts = line.split('\u{1b}');
    let plain = parts.next().map_or(0, |part| part.chars().count());
    plain + parts.map(|part| part.chars().skip_while(|letter| *letter != 'm').skip(1).count()).sum::<usize>()
}

/// Breaks a text into lines of at most `width` letters where there are spaces; a word that is longer stays whole.
/// Each line after the first begins with `indent`.
pub(super) fn wrap(text: &str, first: &str, indent: &str, width: Option<usize>) -> String {
    let mut wrapped = first.to_owned();
    let (mut length, mut is_empty) = (first.chars().count(), true);
    for word in text.split_whitespace() {
        let letters = word.chars().count();
        if !is_empty && width.is_some_and(|width| length + 1 + letters > width) {
            wrapped.push('\n');
            wrapped.push_str(indent);
            (length, is_empty) = (indent.chars().count(), true);
        }
        if !is_empty {
            wrapped.push(' ');
            length += 1;
        }
        wrapped.push_str(word);
        length += letters;
        is_empty = false;
    }
    wrapped.push('\n');
    wrapped
}

/// Lays out rows under their headings, each column as wide as its widest cell.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize, heading: &str| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading.chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = headings.iter().enumerate().map(|(at, heading)| width(at, heading)).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> =
            cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut headings.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// That what must outlive a restart would not, where it is so.
pub(super) fn in_memory_only(state: &StateStatus, now: Timestamp) -> Option<String> {
    let error = state.error.as_ref()?;
    let long = state.since.map_or_else(String::new, |since| format!(" for {}", in_words(now.since(since))));
    Some(format!("in memory only{long}, and a restart forgets it: {error}"))
}

/// How long ago something was.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", in_words(now.since(then)))
}

/// How long it is until something.
pub(super) fn ahead(then: Timestamp, now: Timestamp) -> String {
    if then <= now { "now".to_owned() } else { format!("in {}", in_words(then.since(now))) }
}

/// A span in its two largest units.
pub(super) fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let both = |large: u64, unit: &str, small: u64, part: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit} {small}{part}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => both(hours, "h", minutes, "m"),
        (days, hours, _) => both(days, "d", hours, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_between_words() {
        let text = "one two  three\nfour extraordinarily five";
        assert_eq!(
            wrap(text, "- ", "  ", Some(11)),
            "- one two\n  three\n  four\n  extraordinarily\n  five\n"
        );
        assert_eq!(wrap(text, "", "", None), "one two three four extraordinarily five\n");
        assert_eq!(wrap("", "- ", "", Some(1)), "- \n");
    }

    #[test]
    fn what_does_not_fit_a_terminal_is_counted() {
        let text = "one\n\u{1b}[31mtwo\u{1b}[0m\nthree\nfour\n";
        assert_eq!(fit(text, Some(5), Some(5)), text);
        assert_eq!(fit(text, None, None), text);
        assert_eq!(fit(text, Some(5), Some(4)), "one\n\u{1b}[31mtwo\u{1b}[0m\nand 2 more\n");
        assert_eq!(
            fit(text, Some(4), Some(5)),
            "one\n\u{1b}[31mtwo\u{1b}[0m\nand 2 more\n",
            "three takes two rows"
        );
        assert_eq!(fit(text, Some(5), Some(1)), "and 4 more\n");
    }

    #[test]
    fn a_terminal_is_spared_control_characters() {
        assert_eq!(plain("a\u{1b}[31mb\u{9b}\nc"), "a\u{fffd}[31mb\u{fffd}\nc");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["acme".to_owned(), "1".to_owned()], vec!["ö".to_owned(), "12".to_owned()]];
        assert_eq!(table(&["STORE", "V"], &rows), "STORE  V\nacme   1\nö      12\n");
    }

    #[test]
    fn spans_are_told_in_their_two_largest_units() {
        for (seconds, words) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3599, "59m"),
            (3600, "1h"),
            (3661, "1h 1m"),
            (86_400, "1d"),
            (90_061, "1d 1h"),
        ] {
            assert_eq!(in_words(Duration::from_secs(seconds)), words);
        }
    }
}
