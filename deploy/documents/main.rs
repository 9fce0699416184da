//! Writes the manual pages and the completions of the shipped binary into a directory, for packages.
//!
//! The directory is laid out as `/usr/share` is.

#[path = "mod.rs"]
mod documents;

use std::path::PathBuf;
use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "a tool of the build, and its user is at the terminal")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [directory] = arguments.as_slice() else {
        eprintln!("usage: cargo run --locked --example documents -- DIRECTORY");
        return ExitCode::from(2);
    };
    match documents::write(&PathBuf::from(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("documents: {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}
