//! What is left in the daemon's memory, and who can look into it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use bc_secrets_sync::sandbox::store::Account;
use rustix::process::{Resource, Rlimit, Signal, geteuid, getrlimit, setrlimit};

use crate::support::daemon::Daemon;
use crate::support::wait::DEADLINE;
use crate::support::world::World;

/// Where in the writable memory of a process each text is found, by the names of the areas. Root only.
fn found(process: u32, texts: &[String]) -> io::Result<Vec<String>> {
    let memory = File::open(format!("/proc/{process}/mem"))?;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps"))?;
    let mut found = Vec::new();
    for line in maps.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (from, to) = columns[0].split_once('-').unwrap();
        let at = |text: &str| u64::from_str_radix(text, 16).unwrap();
        if !columns[1].starts_with("rw") {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(at(to) - at(from)).unwrap()];
        // An area that was given back meanwhile.
        if memory.read_exact_at(&mut bytes, at(from)).is_err() {
            continue;
        }
        for text in texts {
            let places = occurrences(&bytes, text.as_bytes());
            let name = columns.get(5).unwrap_or(&"anonymous");
            found.extend(
                places.into_iter().map(|place| format!("{text} in {name} at {:#x}", at(from) + place)),
            );
        }
    }
    Ok(found)
}

fn occurrences(bytes: &[u8], text: &[u8]) -> Vec<u64> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(next) = bytes[from..].iter().position(|byte| *byte == text[0]) {
        let at = from + next;
        if bytes[at..].starts_with(text) {
            places.push(at as u64);
        }
        from = at + 1;
    }
    places
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {}
}

#[tokio::test]
async fn a_token_that_was_replaced_and_the_secret_id_are_wiped_from_the_memory() {
    let mut world = World::start().await;
    // Nothing that comes later takes the place of what was left.
    world.configuration.check_interval = "1h";
    world.configuration.stale_after = "2h";
    let old = world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let secret_id = std::fs::read_to_string(world.configuration.secret_id_file()).unwrap();
    // The second was read for the log-in, and will be again for the next one.
    let sought = [old.api_token.clone(), secret_id.trim().to_owned()];
    if !geteuid().is_root() {
        // Not even its own user sees it.
        assert!(found(daemon.pid(), &sought).is_err());
        return;
    }
    assert!(!found(daemon.pid(), &sought).unwrap().is_empty(), "else nothing is proved");
    let new = Account { api_token: world.bigcommerce.regenerate_token("acme"), ..old.clone() };
    world.write("acme", &new).await;
    world.wait_published("acme", &new).await;
    daemon.settled().await;
    // The old one is asked about once more, and then nothing is asked for an hour.
    let mut left = Vec::new();
    let look = async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        left = found(daemon.pid(), &sought).unwrap();
        left.is_empty()
    };
    let wiped = tokio::time::timeout(DEADLINE, until(look)).await;
    assert!(wiped.is_ok(), "still there: {left:#?}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_crash_leaves_no_core_file() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    // What the daemon inherits would permit one.
    let most = getrlimit(Resource::Core).maximum;
    setrlimit(Resource::Core, Rlimit { current: most, maximum: most }).unwrap();
    let mut daemon = Daemon::start(&world.configuration).await;
    daemon.settled().await;
    daemon.signal(Signal::ABORT);
    let ended = daemon.ended(DEADLINE).await;
    assert_eq!(ended.signal(), Some(Signal::ABORT.as_raw()));
    assert!(!ended.core_dumped(), "{ended:?}");
}
