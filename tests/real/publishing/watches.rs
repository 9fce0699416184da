//! Where the system's watches are used up, changes of published files are found by the regular looks, and it is said
//! which limit to raise.

use super::privileges::{Need, may};
use super::rig::{Files, Outside, Rig};
use crate::support::daemon::Daemon;
use crate::support::wait::wait_until;

#[tokio::test]
#[ignore = "lowers limits of a user namespace: ./tests/run --real"]
async fn real_limits_of_watches_are_told_once_and_damage_is_mended_at_each_pass() {
    if !may(
        Need::Limits,
        "publishing::watches::real_limits_of_watches_are_told_once_and_damage_is_mended_at_each_pass",
    ) {
        return;
    }
    let outside = Outside::start();
    for (number, (limit, most, says)) in
        [("watches", 1, "fs.inotify.max_user_watches"), ("instances", 0, "fs.inotify.max_user_instances")]
            .into_iter()
            .enumerate()
    {
        // Of this namespace alone.
        let file = format!("/proc/sys/user/max_inotify_{limit}");
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{most}\n")).unwrap();
        let mut rig = Rig::bare(&outside, number, Files::Usual);
        rig.rotate();
        let daemon = Daemon::start(&rig.of_a_daemon()).await;
        daemon.settled().await;
        let told = |daemon: &Daemon| {
            let messages = daemon.log().into_iter().map(|line| line["message"].to_string());
            let refusals = messages.filter(|message| message.contains("cannot watch"));
            let refusals: Vec<_> =
                refusals.filter(|message| message.contains("vault.poll_interval")).collect();
            assert!(refusals.iter().all(|message| message.contains(says)), "{limit}: {refusals:?}");
            refusals.len()
        };
        assert_eq!(told(&daemon), 1, "{limit}");
        for times in 1..=2 {
            std::fs::remove_file(rig.directory().join("..data/username")).unwrap();
            let series = format!("store_restorations_total{{store=\"{}\"}}", rig.store());
            wait_until("it is restored at a pass", async || {
                daemon.metric(&series).await == Some(f64::from(times))
            })
            .await;
            assert_eq!(rig.published(), rig.newest());
        }
        assert_eq!(told(&daemon), 1, "{limit}: once is enough");
        daemon.stop().await;
        std::fs::write(&file, before).unwrap();
    }
}
