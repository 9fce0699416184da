//! Whatever call of a publication fails, what was published before stays readable, and the next pass mends it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use super::privileges::{Need, may};
use super::readers::Readers;
use super::rig::{Files, Outside, Rig, names, was_killed};
use super::tracing::{Call, Injection};
use super::work_off;

/// The calls that make, change, move, sync or remove something, each of which fails in every way of [`ERRORS`].
/// Any other fails as a broken disk does.
const CHANGING: [&str; 9] =
    ["openat", "write", "fsync", "renameat", "fchown", "fchmod", "unlinkat", "mkdirat", "symlinkat"];
const ERRORS: [&str; 5] = ["EIO", "ENOSPC", "EROFS", "EACCES", "EDQUOT"];

/// The exit code of a pass that could not publish.
const PUBLISH_FAILED: i32 = 15;

/// The exit code of a fault of the program.
const INTERNAL: i32 = 70;

fn is_every_write(injection: &Injection) -> bool {
    matches!(injection, Injection::FailFrom(call, _) if call.name == "write")
}

fn injections(calls: &[Call]) -> Vec<Injection> {
    let mut injections = Vec::new();
    for call in calls.iter().filter(|call| call.on_disk) {
        if !CHANGING.contains(&call.name.as_str()) {
            injections.push(Injection::Fail(call.clone(), "EIO"));
            continue;
        }
        injections.extend(ERRORS.map(|error| Injection::Fail(call.clone(), error)));
        injections.push(Injection::FailFrom(call.clone(), "EIO"));
    }
    injections
}

#[test]
#[ignore = "needs strace: ./tests/run --real"]
fn real_errors_at_every_system_call_of_a_publication_keep_the_set_before_and_heal() {
    if !may(
        Need::Trace,
        "publishing::errors::real_errors_at_every_system_call_of_a_publication_keep_the_set_before_and_heal",
    ) {
        return;
    }
    println!("{}", fail_everywhere(Files::Usual));
}

#[test]
#[ignore = "needs strace: ./tests/run --real"]
fn real_errors_at_every_system_call_keep_sets_of_several_formats_too() {
    if !may(
        Need::Trace,
        "publishing::errors::real_errors_at_every_system_call_keep_sets_of_several_formats_too",
    ) {
        return;
    }
    println!("{}", fail_everywhere(Files::Several));
}

/// Makes each call of a publication fail in each way. Returns the figures.
fn fail_everywhere(files: Files) -> String {
    let begun = Instant::now();
    let calls = Rig::new(&Outside::start(), 0, files).trace();
    let swap = calls.iter().position(|call| call.name == "renameat").expect("a rename swaps");
    let undone: Vec<Call> = calls[swap + 1..].to_vec();
    let counts: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let injections = injections(&calls);
    let all = injections.len();
    let tolerated = Mutex::new(0);
    let reads = work_off(files, injections, |rig, injection| {
        rig.rotate();
        let ended = rig.injected(&injection);
        let told = format!("{injection:?}: {ended}: {}", rig.log());
        let published = rig.published();
        match ended.code() {
            Some(0) => {
                assert_eq!(published, rig.newest(), "{told}");
                *tolerated.lock().unwrap() += 1;
            }
            Some(PUBLISH_FAILED) => {
                assert_eq!(published, rig.newest() - 1, "{told}");
                match &injection {
                    // For a moment it was published: those who opened it then may read it to its end.
                    Injection::Fail(call, _) if undone.contains(call) => {}
                    Injection::Fail(..) => assert_eq!(names(&rig.directory()), rig.before(), "{told}"),
                    // Removing may have been impossible, too.
                    Injection::None | Injection::Kill(_) | Injection::FailFrom(..) => {}
                }
            }
            // The runtime wakes itself by a write, too, which no disk keeps from working; without it, the process ends.
            Some(INTERNAL) if is_every_write(&injection) => {
                assert_eq!(published, rig.newest() - 1, "{told}");
            }
            Some(_) | None => panic!("{told}"),
        }
        if let Injection::Fail(call, _) | Injection::FailFrom(call, _) = &injection {
            *counts.lock().unwrap().entry(call.name.clone()).or_default() += 1;
        }
        rig.succeed();
    });
    format!(
        "errors, {files:?} files: {all} at {} calls ({:?}), {} of them tolerated; {reads} sets read meanwhile, 0 torn; healed after each, \
         nothing left behind; {:.0} s",
        calls.iter().filter(|call| call.on_disk).count(),
        counts.into_inner().unwrap(),
        tolerated.into_inner().unwrap(),
        begun.elapsed().as_secs_f64(),
    )
}

#[test]
#[ignore = "needs strace: ./tests/run --real"]
fn real_errors_in_the_look_at_the_start_keep_what_is_published_and_heal() {
    if !may(
        Need::Trace,
        "publishing::errors::real_errors_in_the_look_at_the_start_keep_what_is_published_and_heal",
    ) {
        return;
    }
    let mut rig = Rig::new(&Outside::start(), 0, Files::Usual);
    let calls = rig.trace();
    let swap = calls.iter().find(|call| call.name == "renameat").unwrap();
    let readers = Readers::start(&rig);
    let mut errors = 0;
    // No other thread makes these, so that counting from the start hits the look at the disk.
    for name in ["readlinkat", "getdents64", "unlinkat"] {
        for nth in 1.. {
            rig.rotate();
            // So that there is something to sweep.
            let ended = rig.injected(&Injection::Kill(swap.clone()));
            assert!(was_killed(ended), "{ended}: {}", rig.log());
            let call = Call { name: name.to_owned(), nth, on_disk: true, line: String::new() };
            let Some(ended) = rig.injected_from_the_start(&Injection::Fail(call, "EIO")) else { break };
            let published = rig.published();
            match ended.code() {
                Some(0) => assert_eq!(published, rig.newest(), "{name} {nth}: {}", rig.log()),
                Some(PUBLISH_FAILED) => {
                    assert_eq!(published, rig.newest() - 1, "{name} {nth}: {}", rig.log())
                }
                Some(_) | None => panic!("{name} {nth}: {ended}: {}", rig.log()),
            }
            errors += 1;
            rig.succeed();
            readers.check();
        }
        rig.succeed();
    }
    assert!(errors >= 12, "{errors}");
    println!(
        "errors: {errors} in passes that began with a look at what a kill had left; {} sets read",
        readers.stop()
    );
}
