//! Killed at every system call of a publication, the daemon leaves a whole set, and goes on at its next start.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::rig::{Outside, Rig, was_killed};
use super::tracing::Injection;
use super::work_off;

/// How many sets readers must have read by the end, whole each time.
const READS: u64 = 100_000;

#[test]
#[ignore = "needs strace: ./tests/run --real"]
fn real_kills_at_every_system_call_of_a_publication_leave_whole_sets() {
    let begun = Instant::now();
    let calls = Rig::new(&Outside::start(), 0).trace();
    let on_disk = calls.iter().filter(|call| call.on_disk).count();
    let (killed, elsewhere) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut reads = 0;
    // Mostly once; again where the machine is so fast that readers have not seen enough.
    while reads < READS {
        reads += work_off(calls.clone(), |rig, call| {
            rig.rotate();
            let ended = rig.injected(&Injection::Kill(call.clone()));
            if was_killed(ended) {
                killed.fetch_add(1, Ordering::AcqRel);
            } else {
                // A thread asks for memory or waits for a lock when it must, not each time.
                assert!(!call.on_disk && ended.success(), "not killed at {call:?}: {ended}: {}", rig.log());
                elsewhere.fetch_add(1, Ordering::AcqRel);
            }
            rig.succeed();
        });
    }
    println!(
        "crash points: {} calls of a publication, {on_disk} of them on the disk; {} kills ({} not reached); {reads} sets \
         read meanwhile, 0 torn; published after each; {:.0} s",
        calls.len(),
        killed.into_inner(),
        elsewhere.into_inner(),
        begun.elapsed().as_secs_f64(),
    );
}
