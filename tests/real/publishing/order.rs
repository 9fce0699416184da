//! In which order a publication makes its calls: what a loss of power would tell, a kill does not.

use std::path::{Path, PathBuf};

use super::privileges::{Need, may};
use super::rig::{Files, Outside, Rig};

/// One call in a trace: its name, and the path that it is about.
struct Traced {
    name: String,
    path: PathBuf,
    line: String,
}

/// Every call in a trace that did not fail and is about a path.
fn traced(lines: &[String]) -> Vec<Traced> {
    lines.iter().filter_map(|line| parse(line)).collect()
}

fn parse(line: &str) -> Option<Traced> {
    let (name, rest) = line.split_once('(')?;
    if line.contains(" = -1 ") {
        return None;
    }
    let within = |text: &str, open: char, close: char| {
        Some(PathBuf::from(text.split_once(open)?.1.split_once(close)?.0))
    };
    let handle = || within(rest, '<', '>');
    let named = || within(rest, '"', '"');
    let path = match name {
        // The name that the call gives is the new one.
        "openat" => within(rest.rsplit_once(" = ")?.1, '<', '>')?,
        "mkdirat" | "unlinkat" => handle()?.join(named()?),
        "mkdir" => named()?,
        "renameat" => handle()?.join(rest.rsplit_once(", \"")?.1.split_once('"')?.0),
        "symlinkat" => handle()?.join(rest.rsplit_once(", \"")?.1.split_once('"')?.0),
        _ => handle()?,
    };
    Some(Traced { name: name.to_owned(), path, line: line.to_owned() })
}

/// Where a call about a path is first made, from some place on.
fn find(calls: &[Traced], from: usize, name: &str, path: &Path) -> Option<usize> {
    (from..calls.len()).find(|at| calls[*at].name == name && calls[*at].path == path)
}

/// The same, where there must be one before another place.
fn before(calls: &[Traced], from: usize, to: usize, name: &str, path: &Path) -> usize {
    let found = find(calls, from, name, path).filter(|at| *at < to);
    found.unwrap_or_else(|| {
        let lines: Vec<_> = calls.iter().map(|call| call.line.as_str()).collect();
        panic!("no {name} of {} between calls {from} and {to}:\n{}", path.display(), lines.join("\n"))
    })
}

/// Checks everything that leads to the swap, and returns where that is.
fn check_order(calls: &[Traced], store: &Path) -> usize {
    let swap = (0..calls.len())
        .find(|at| {
            matches!(calls[*at].name.as_str(), "renameat" | "symlinkat")
                && calls[*at].path == store.join("..data")
        })
        .expect("something is swapped in");
    let (mut files, mut last) = (0, 0);
    for at in 0..swap {
        let call = &calls[at];
        if call.name == "openat" && call.line.contains("O_CREAT") && call.path.starts_with(store) {
            let path = &call.path;
            let written = before(calls, at, swap, "write", path);
            let mode = before(calls, at, written, "fchmod", path);
            if call_is_made(calls, "fchown") {
                before(calls, at, mode, "fchown", path);
            }
            last = before(calls, written, swap, "fsync", path);
            files += 1;
        }
    }
    assert!(files >= 4, "{files} files are written");
    let staged = calls[last].path.parent().unwrap();
    let synced = before(calls, last, swap, "fsync", staged);
    before(calls, synced, swap, "fsync", store);
    let settled = before(calls, swap, calls.len(), "fsync", store);
    let removed = calls.iter().position(|call| call.name == "unlinkat" && call.path.parent() != Some(store));
    assert!(
        removed.is_none_or(|removed| settled < removed),
        "nothing is removed before the swap is on the disk"
    );
    swap
}

fn call_is_made(calls: &[Traced], name: &str) -> bool {
    calls.iter().any(|call| call.name == name)
}

#[test]
#[ignore = "needs strace: ./tests/run --real"]
fn real_order_of_a_publication_is_rights_bytes_syncs_swap_sync_and_only_then_removal() {
    if !may(
        Need::Trace,
        "publishing::order::real_order_of_a_publication_is_rights_bytes_syncs_swap_sync_and_only_then_removal",
    ) {
        return;
    }
    let mut rig = Rig::new(&Outside::start(), 0, Files::Usual);
    let lines: Vec<_> = rig.trace().into_iter().map(|call| call.line).collect();
    check_order(&traced(&lines), &rig.directory());
}

#[test]
#[ignore = "needs strace: ./tests/run --real"]
fn real_order_of_a_first_publication_syncs_each_directory_that_it_makes() {
    if !may(
        Need::Trace,
        "publishing::order::real_order_of_a_first_publication_syncs_each_directory_that_it_makes",
    ) {
        return;
    }
    let mut rig = Rig::bare(&Outside::start(), 0, Files::Usual);
    let calls = traced(&rig.trace_of_a_first());
    let store = rig.directory();
    let swap = check_order(&calls, &store);
    let above = store.ancestors().nth(3).unwrap();
    let mut made = 0;
    for at in 0..swap {
        let call = &calls[at];
        if call.name.starts_with("mkdir") && call.path.starts_with(above) {
            before(&calls, at, swap, "fsync", call.path.parent().unwrap());
            made += 1;
        }
    }
    // Two above the output directory, that itself, the store's and the generation's.
    assert_eq!(made, 5);
}
