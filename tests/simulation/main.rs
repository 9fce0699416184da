//! Simulates stores, Vault, disks, people and a daemon that crashes for thousands of months, from seeds, and
//! checks at each step what must always hold. See `plan.rs` for what a seed stands for, `mischief.rs` for
//! what goes wrong, and `watch.rs`, `messages.rs`, `apps.rs` and `truth.rs` for the invariants. The README says how to
//! simulate more, and how to replay a seed that fails.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the whole crate is a test"
)]

mod apps;
mod contests;
mod deserved;
mod messages;
mod mischief;
mod outbox;
mod places;
mod plan;
mod prng;
mod requests;
mod run;
mod simulation;
mod truth;
mod watch;
mod work;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use plan::Plan;
use simulation::{Counts, Simulation, clock};
use watch::Violation;

/// How many store-months are simulated at the least, unless the environment says otherwise: as many as
/// unoptimised code can in a few seconds. `tests/run` asks for thousands.
const STORE_MONTHS: u64 = 50;
const HOW_MANY: &str = "BC_SECRETS_SYNC_SIMULATION_STORE_MONTHS";
/// The first seed, for a run that is to meet other worlds than those of each day.
const FROM: &str = "BC_SECRETS_SYNC_SIMULATION_FIRST_SEED";
/// The only seed.
const WHICH: &str = "BC_SECRETS_SYNC_SIMULATION_SEED";

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, and is {text:?}")))
}

/// Simulates one world; a panic is a violation too.
fn simulate(seed: u64, remember: bool) -> (Counts, Result<(), Violation>, Simulation) {
    let mut world = Simulation::new(Plan::of(seed), remember);
    let ended = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned()));
        Err(Violation { invariant: "nothing_panics", store: None, message: words.unwrap_or_default() })
    });
    (world.counts, ended, world)
}

/// Simulates it again with all that happened kept, and tells it.
fn report(seed: u64) -> Option<String> {
    let (counts, ended, world) = simulate(seed, true);
    let violation = ended.err()?;
    let past = world.past(violation.store.as_deref());
    Some(format!(
        "seed {seed}, event {}, {}, {}: {} does not hold: {}\n\
         {:?}\nthe last that happened to it:\n  {}\n\
         replay: {WHICH}={seed} cargo test --test simulation -- --nocapture",
        counts.events,
        clock(world.time),
        violation.store.as_deref().unwrap_or("all stores"),
        violation.invariant,
        violation.message,
        world.plan,
        past.join("\n  "),
    ))
}

#[test]
fn months_of_trouble_break_no_invariant() {
    if let Some(seed) = number(WHICH) {
        if let Some(report) = report(seed) {
            panic!("{report}");
        }
        println!("seed {seed}: 0 violations");
        return;
    }
    let wanted = f64::from(u32::try_from(number(HOW_MANY).unwrap_or(STORE_MONTHS)).unwrap());
    let first = number(FROM).unwrap_or(0);
    let (next, failed) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    let total = Mutex::new(Counts::default());
    let began = Instant::now();
    let work = || {
        loop {
            if total.lock().unwrap().store_months >= wanted || failed.lock().unwrap().len() >= 10 {
                return;
            }
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let (counts, ended, _) = simulate(seed, false);
            total.lock().unwrap().add(counts);
            if let Err(violation) = ended {
                failed.lock().unwrap().push((seed, violation));
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let total = total.into_inner().unwrap();
    let failed = failed.into_inner().unwrap();
    println!(
        "simulated {} store-months (seeds {first} to {}), {} events, {} publications, {} messages, {} crashes, \
         {} violations, in {:.1} s",
        total.store_months.floor(),
        next.into_inner() - 1,
        total.events,
        total.publications,
        total.messages,
        total.crashes,
        failed.len(),
        began.elapsed().as_secs_f64(),
    );
    for (seed, violation) in &failed {
        println!("seed {seed}: {} does not hold: {}", violation.invariant, violation.message);
    }
    if let Some((seed, _)) = failed.first() {
        panic!(
            "{}",
            report(*seed).unwrap_or_else(|| format!("seed {seed} fails, and not when it is run again"))
        );
    }
}

#[test]
fn a_seed_gives_the_same_world_each_time() {
    let figures = || {
        let (counts, ..) = simulate(3, false);
        (counts.events, counts.messages, counts.crashes, counts.publications)
    };
    assert_eq!(figures(), figures());
}
