//! Holds the architecture: reads `src` as text and fails on an import that points the wrong way, on anything
//! impure in the domain, on a secret exposed in a new place, and on a file that says nothing or too much.

mod paths;
mod rules;
mod samples;
mod tokens;

use std::path::{Path, PathBuf};
use std::{fs, io};

#[test]
fn the_source_keeps_the_architecture() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files)?;
    files.sort();

    let mut violations = Vec::new();
    let mut names = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        violations.extend(rules::violations(&name, &fs::read_to_string(&file)?));
        names.push(name);
    }

    // A walk that finds nothing, or a room that was renamed, must not pass unseen.
    for (room, _) in rules::ROOMS {
        let places = [format!("src/{room}.rs"), format!("src/{room}/mod.rs")];
        assert!(
            names.iter().any(|name| places.contains(name)),
            "the room {room} is gone: is it still a rule?"
        );
    }
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
    Ok(())
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
