//! The watchdog: a daemon that stands still is ended and started again.

use std::time::Duration;

use super::hands::{UNIT, configure, drop_in, found, with_one_store};
use crate::support::wait::wait_within;

#[tokio::test]
#[ignore = "boots systemd: ./tests/run --real"]
async fn real_systemd_ends_a_daemon_that_stands_still_and_starts_it_again() {
    let (mut world, _account, machine) = with_one_store("bookworm").await;
    // Enough for a busy machine; the unit's own limit is only longer.
    drop_in(&machine, UNIT, "[Service]\nWatchdogSec=5\n").await;
    configure(&mut world, &machine);
    machine.ok(&["systemctl", "start", UNIT]).await;
    let pid = machine.property(UNIT, "MainPID").await;
    // It is fed: nothing happens for longer than the limit.
    let fed = machine.property(UNIT, "WatchdogTimestampMonotonic").await;
    wait_within(Duration::from_secs(30), "it is fed for longer than the limit", async || {
        let later = machine.property(UNIT, "WatchdogTimestampMonotonic").await;
        let passed = later.parse::<u64>().unwrap() - fed.parse::<u64>().unwrap();
        (passed > 6_000_000).then_some(())
    })
    .await;
    assert_eq!(machine.property(UNIT, "MainPID").await, pid);

    machine.ok(&["systemctl", "kill", "--signal=STOP", "--kill-whom=main", UNIT]).await;
    machine.wait_property(UNIT, "NRestarts", "1").await;
    machine.wait_property(UNIT, "ActiveState", "active").await;
    assert_ne!(machine.property(UNIT, "MainPID").await, pid);
    assert!(found(&machine, "acme").is_some());
    let log = machine.ok(&["journalctl", "--no-pager", "--output=cat", "--unit", UNIT]).await;
    assert!(log.contains("Watchdog timeout (limit 5s)!"), "{log}");
}
