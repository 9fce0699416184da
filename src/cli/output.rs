//! Writing to the terminal: results to standard output, troubles to standard error.

use std::error::Error;
use std::io::{self, Write};

use crate::system::errors::chain;

/// Writes a result. A reader that has gone away is no trouble of ours.
pub(super) fn print(text: &str) {
    let _closed = io::stdout().lock().write_all(text.as_bytes());
}

/// Writes what went wrong, with all its causes.
pub(super) fn complain(error: &dyn Error) {
    let text = format!("bc-secrets-sync: {}\n", chain(error));
    let _closed = io::stderr().lock().write_all(text.as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["acme".to_owned(), "1".to_owned()], vec!["ö".to_owned(), "12".to_owned()]];
        assert_eq!(table(&["STORE", "V"], &rows), "STORE  V\nacme   1\nö      12\n");
    }
}
