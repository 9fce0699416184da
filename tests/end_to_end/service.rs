//! What a service manager hears, in systemd's protocol.

use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::wait::wait_until;
use crate::support::world::World;

/// A service manager that hears everything.
struct Manager(Arc<Mutex<Vec<String>>>);

impl Manager {
    fn start(world: &mut World) -> Self {
        let socket = socket(world);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = std::str::from_utf8(&buffer[..length]).unwrap();
                keep.lock().unwrap().extend(text.lines().map(str::to_owned));
            }
        });
        Self(heard)
    }

    /// Everything so far, one assignment each.
    fn heard(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, what: &str) -> usize {
        self.heard().iter().filter(|heard| heard.starts_with(what)).count()
    }

    async fn hears(&self, what: &str) {
        wait_until(what, async || self.count(what) > 0).await;
    }
}

/// Makes the socket of a service manager and tells the daemon of it.
fn socket(world: &mut World) -> UnixDatagram {
    let path = world.configuration.home().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    world.configuration.environment.push(("NOTIFY_SOCKET", path.to_str().unwrap().to_owned()));
    socket
}

#[tokio::test]
async fn the_service_is_ready_when_everything_is_published_and_not_before() {
    let mut world = World::start().await;
    let account = world.add_store_without_secret("acme");
    let manager = Manager::start(&mut world);
    let daemon = world.daemon().await;
    manager.hears("STATUS=0 of 1 stores published (waiting for acme), ").await;

    // Neither a new configuration nor a refused one makes it ready.
    world.configuration.edit("level = \"info\"", "level = \"debug\"");
    world.configuration.write();
    wait_until("reloaded", async || daemon.status().await["configuration"]["reloads"] == 1).await;
    world.configuration.write_text("broken");
    daemon.signal(Signal::HUP);
    wait_until("refused", async || daemon.status().await["configuration"]["refused"].as_u64() >= Some(1))
        .await;
    assert_eq!((manager.count("READY=1"), manager.count("RELOADING=1")), (0, 0), "{:?}", manager.heard());
    wait_until("who looks sees it", async || {
        manager
            .heard()
            .iter()
            .any(|line| line.ends_with("; the new configuration is refused, the log says why"))
    })
    .await;

    world.write("acme", &account).await;
    manager.hears("READY=1").await;
    manager.hears("STATUS=1 of 1 stores published, 0 incidents open").await;
    let heard = manager.heard();
    assert!(heard.iter().all(|heard| heard != "WATCHDOG=1"), "nobody asked for it: {heard:?}");

    world.configuration.write();
    daemon.signal(Signal::HUP);
    manager.hears("RELOADING=1").await;
    manager.hears("MONOTONIC_USEC=").await;
    wait_until("ready again", async || manager.count("READY=1") == 1 + manager.count("RELOADING=1")).await;
    assert_eq!(manager.count("STOPPING=1"), 0);
    daemon.stop().await;
    manager.hears("STOPPING=1").await;
}

#[tokio::test]
async fn the_watchdog_is_fed_in_time_and_no_more_often_than_it_needs() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let manager = Manager::start(&mut world);
    world.configuration.environment.push(("WATCHDOG_USEC", "400000".to_owned()));
    let begun = Instant::now();
    let daemon = world.daemon().await;
    manager.hears("READY=1").await;
    // Each question is a pass of the loop.
    while begun.elapsed() < Duration::from_secs(2) {
        daemon.status().await;
    }
    let (fed, most) = (manager.count("WATCHDOG=1"), begun.elapsed().as_millis() / 100 + 1);
    assert!((4..=most).contains(&(fed as u128)), "{fed} times in {:?}", begun.elapsed());
    daemon.stop().await;
}

#[tokio::test]
async fn the_start_is_asked_more_time_for_until_it_has_ended() {
    let mut world = World::start().await;
    let account = world.add_store_without_secret("acme");
    let manager = Manager::start(&mut world);
    let daemon = world.daemon().await;
    manager.hears("EXTEND_TIMEOUT_USEC=60000000").await;
    // Each question is a pass of the loop.
    for _ in 0..20 {
        daemon.status().await;
    }
    world.write("acme", &account).await;
    manager.hears("READY=1").await;
    assert_eq!(manager.count("EXTEND_TIMEOUT_USEC="), 1, "{:?}", manager.heard());
    let unit = include_str!("../../deploy/systemd/bc-secrets-sync.service");
    assert!(
        unit.contains("\nTimeoutStartSec=60\n"),
        "as much as is asked for, before the first word as after it"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_service_manager_that_does_not_listen_holds_nothing_up() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let socket = socket(&mut world);
    world.configuration.environment.push(("WATCHDOG_USEC", "400000".to_owned()));
    // Nobody ever reads: soon there is no room left.
    let full = UnixDatagram::unbound().unwrap();
    full.set_nonblocking(true).unwrap();
    let address = &world.configuration.environment[0].1;
    while full.send_to(b"STATUS=in the way\n", address).is_ok() {}

    let daemon = world.daemon().await;
    world.wait_published("acme", &account).await;
    daemon.settled().await;
    assert_eq!(daemon.code("/livez").await, 200);

    // What it has to hear is told when it listens again.
    let mut buffer = [0; 4096];
    socket.set_nonblocking(true).unwrap();
    wait_until("ready", async || {
        std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()))
            .any(|heard| heard.starts_with(b"READY=1"))
    })
    .await;
    daemon.stop().await;
}

/// The template is the unit with other names, line by line: whatever is changed in one is changed in the other.
#[test]
fn the_template_unit_is_the_unit_with_directories_of_its_own() {
    let unit = include_str!("../../deploy/systemd/bc-secrets-sync.service");
    let template = include_str!("../../deploy/systemd/bc-secrets-sync@.service");
    let as_template = |line: &str| match line.split_once('=') {
        Some(("Description", text)) => format!("Description={text} (%i)"),
        Some((key @ ("RuntimeDirectory" | "StateDirectory"), name)) => format!("{key}={name}-%i"),
        _ => line.replace("/etc/bc-secrets-sync/", "/etc/bc-secrets-sync/%i/"),
    };
    let expected: Vec<String> = unit.lines().map(as_template).collect();
    assert_eq!(template.lines().collect::<Vec<_>>(), expected);
    assert_ne!(unit, template);
}
