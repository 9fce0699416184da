//! Killed at every system call of a publication, the daemon leaves a whole set, and goes on at its next start.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::privileges::{Need, may};
use super::rig::{Files, Outside, Rig, was_killed};
use super::tracing::{Call, Injection};
use super::work_off;

/// How many sets readers must have read by the end, whole each time.
const READS: u64 = 100_000;

#[test]
#[ignore = "needs strace: ./tests/run --real"]
fn real_kills_at_every_system_call_of_a_publication_leave_whole_sets() {
    if !may(
        Need::Trace,
        "publishing::kills::real_kills_at_every_system_call_of_a_publication_leave_whole_sets",
    ) {
        return;
    }
    println!("{}", kill_everywhere(Files::Usual, READS));
}

#[test]
#[ignore = "needs strace: ./tests/run --real"]
fn real_kills_at_every_system_call_leave_whole_sets_of_several_formats_too() {
    if !may(
        Need::Trace,
        "publishing::kills::real_kills_at_every_system_call_leave_whole_sets_of_several_formats_too",
    ) {
        return;
    }
    // How many sets are read is proven with the usual files.
    println!("{}", kill_everywhere(Files::Several, 1));
}

/// Kills at each call of a publication, once or until readers have seen enough. Returns the figures.
fn kill_everywhere(files: Files, least_reads: u64) -> String {
    let begun = Instant::now();
    let calls = Rig::new(&Outside::start(), 0, files).trace();
    let killed = AtomicUsize::new(0);
    let mut reads = 0;
    // Mostly once; again where the machine is so fast that readers have not seen enough.
    while reads < least_reads {
        reads += work_off(files, calls.clone(), |rig, call| {
            rig.rotate();
            let ended = rig.injected(&Injection::Kill(call.clone()));
            assert!(was_killed(ended), "not killed at {call:?}: {ended}: {}", rig.log());
            killed.fetch_add(1, Ordering::AcqRel);
            rig.succeed();
        });
    }
    format!(
        "crash points, {files:?} files: {} calls of a publication; {} kills; {reads} sets read meanwhile, 0 torn; published after each; \
         {:.0} s",
        calls.len(),
        killed.into_inner(),
        begun.elapsed().as_secs_f64(),
    )
}

#[test]
#[ignore = "needs strace: ./tests/run --real"]
fn real_kills_in_the_sweep_at_the_start_leave_it_to_the_next_start() {
    if !may(Need::Trace, "publishing::kills::real_kills_in_the_sweep_at_the_start_leave_it_to_the_next_start")
    {
        return;
    }
    let mut rig = Rig::new(&Outside::start(), 0, Files::Usual);
    let calls = rig.trace();
    let swap = calls.iter().find(|call| call.name == "renameat").unwrap();
    let mut kills = 0;
    // No other thread removes anything or reads links, so that counting from the start hits the sweep.
    for name in ["unlinkat", "readlinkat"] {
        rig.rotate();
        for nth in 1.. {
            let ended = rig.injected(&Injection::Kill(swap.clone()));
            assert!(was_killed(ended), "{ended}: {}", rig.log());

            let killed = rig.injected_from_the_start(&Injection::Kill(Call {
                name: name.to_owned(),
                nth,
                on_disk: true,
                line: String::new(),
            }));
            if killed.is_none() {
                break;
            }
            assert!(rig.published() >= rig.newest() - 1);
            kills += 1;
            if rig.published() == rig.newest() {
                rig.rotate();
            }
        }
        rig.succeed();
    }
    // Of a link, four files and their directory, and of the links that are read.
    assert!(kills >= 12, "{kills}");
    println!("crash points: {kills} kills in passes that swept what an earlier kill had left");
}
