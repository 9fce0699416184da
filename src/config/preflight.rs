//! Checks, without a network and without touching anything, that what a configuration names can be used.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

use super::error::{ConfigError, Place, Problem};
use super::named_files::{named_files, reloads};
use super::{Config, Hook};

/// Checks that each named file can be read and that the two directories can be written or created. Creates,
/// changes and reads nothing: a file is opened, not read.
///
/// # Errors
/// Everything that cannot be used, with its path, the reason of the system and what to do.
pub fn preflight(config: &Config) -> Result<(), ConfigError> {
    let mut problems = Vec::new();
    let mut look = |key: &str, result: Result<(), String>| {
        if let Err(message) = result {
            problems.push(Problem { place: Place::Host, key: key.to_owned(), message });
        }
    };
    for file in named_files(config) {
        look(&file.key, readable(file.path, file.most));
    }
    if let Some(path) = &config.vault.tls.ca_directory {
        look("vault.tls.ca_directory", listable(path));
    }
    let socket = config.control.socket.as_ref().and_then(|socket| socket.parent());
    // The state directory is made when it is missing, and no other one.
    if let Some(directory) = socket.filter(|directory| *directory != config.state.directory) {
        look("control.socket", metadata(directory).and_then(|_| writable(directory)));
    }
    if let Some(command) = &config.alerts.command {
        look(
            "alerts.command.argv",
            command.argv.first().map_or(Ok(()), |program| runnable(program.as_ref())),
        );
    }
    for (at, reload) in reloads(config) {
        if let Hook::Command { argv, timeout: _ } = &reload.hook {
            let program = argv.first().map_or(Ok(()), |program| runnable(program.as_ref()));
            look(&format!("{at}.reload.command"), program);
        }
    }
    let (output, state) = (&config.output.directory, &config.state.directory);
    look("output.directory", writable(output));
    look("state.directory", writable(state));
    look("state.directory", apart(output, state));
    ConfigError::unless_empty(problems)
}

fn runnable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if !metadata(path)?.is_file() {
        return Err(format!("{shown} is no regular file; name a program"));
    }
    access(path, Access::EXEC_OK).map_err(|error| {
        let error = io::Error::from(error);
        format!("{shown} cannot be run: {error}; let the daemon's user run it")
    })
}

/// The kind is looked at before the file is opened: opening a pipe would wait for its writer.
fn readable(path: &Path, most: u64) -> Result<(), String> {
    let shown = path.display();
    let metadata = metadata(path)?;
    if !metadata.is_file() {
        return Err(format!("{shown} is no regular file; name a file"));
    }
    if metadata.len() == 0 {
        return Err(format!("{shown} is empty; put into it what it is for"));
    }
    if metadata.len() > most {
        return Err(format!(
            "{shown} has {} bytes; at most {most} are read: name the right file",
            metadata.len()
        ));
    }
    File::open(path)
        .map(drop)
        .map_err(|error| format!("{shown} cannot be opened: {error}; let the daemon's user read it"))
}

fn listable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if !metadata(path)?.is_dir() {
        return Err(format!("{shown} is no directory; name one"));
    }
    std::fs::read_dir(path)
        .map(drop)
        .map_err(|error| format!("{shown} cannot be listed: {error}; let the daemon's user read it"))
}

/// A directory that is not there yet can be created in its nearest ancestor that is.
fn writable(path: &Path) -> Result<(), String> {
    for (depth, ancestor) in path.ancestors().enumerate() {
        let shown = ancestor.display();
        let missing = if depth == 0 { "" } else { ", in which it would be created," };
        match std::fs::metadata(ancestor) {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(format!("{shown}{missing} is no directory; name another one"));
            }
            Ok(_) => {
                return access(ancestor, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
                    let error = io::Error::from(error);
                    format!("{shown}{missing} cannot be written: {error}; let the daemon's user write it, or name another one")
                });
            }
            // A link that leads nowhere is there, yet nothing can be created in its place.
            Err(error) if error.kind() == io::ErrorKind::NotFound && ancestor.symlink_metadata().is_err() => {
            }
            Err(error) => return Err(format!("{shown} cannot be looked at: {error}; correct the path")),
        }
    }
    Ok(())
}

/// Whether the state is kept out of the output even where links lead.
fn apart(output: &Path, state: &Path) -> Result<(), String> {
    match (output.canonicalize(), state.canonicalize()) {
        (Ok(output), Ok(state)) if state.starts_with(&output) => Err(format!(
            "{} is the output directory or lies in it; name a directory of its own",
            state.display()
        )),
        _ => Ok(()),
    }
}

fn metadata(path: &Path) -> Result<Metadata, String> {
    std::fs::metadata(path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            format!("{} does not exist; put it there, or correct the path", path.display())
        } else {
            format!(
                "{} cannot be looked at: {error}; let the daemon's user reach it, or correct the path",
                path.display()
            )
        }
    })
}
