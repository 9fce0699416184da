//! What the daemon gives up at its start: that it says so, and that it gets along without.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};
use serde_json::json;

use crate::support::daemon::{Daemon, run};
use crate::support::wait::wait_for;
use crate::support::world::World;

#[tokio::test]
async fn what_is_given_up_is_said_on_the_status_and_in_the_metrics() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let hardening = daemon.status().await["hardening"].clone();
    assert_eq!(hardening["landlock"]["active"], true, "{hardening}");
    assert!(hardening["landlock"]["abi"].as_u64().unwrap() >= 1, "{hardening}");
    assert_eq!((&hardening["dumpable"], &hardening["core_files"]), (&json!(false), &json!(false)));
    assert_eq!(hardening["seccomp"], json!({ "active": true, "reason": null }));
    for measure in ["landlock", "seccomp", "undumpable", "no_core_files"] {
        let active = daemon.metric(&format!("hardening_active{{measure=\"{measure}\"}}")).await;
        assert_eq!(active, Some(1.0), "{measure}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_off_is_said_with_its_reason() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    world.configuration.more.push_str("\n[hardening]\nlandlock = \"off\"\nseccomp = \"off\"\n");
    let daemon = world.daemon().await;
    daemon.settled().await;
    for measure in ["landlock", "seccomp"] {
        let reason = daemon.status().await["hardening"][measure]["reason"].clone();
        assert_eq!(reason, "it is switched off in [hardening]");
        let active = daemon.metric(&format!("hardening_active{{measure=\"{measure}\"}}")).await;
        assert_eq!(active, Some(0.0), "{measure}");
    }
    let file = world.configuration.file();
    let shown = run(world.configuration.home(), ["status", "--config", file.to_str().unwrap()]).await;
    for name in ["Landlock", "seccomp"] {
        assert!(shown.stdout.contains(&format!("without {name}: it is switched off")), "{shown:?}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_new_configuration_that_needs_more_is_refused_whole_until_a_restart() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    let daemon = world.daemon().await;
    daemon.settled().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let token = elsewhere.path().join("token");
    std::fs::write(&token, "report-token-0123456789\n").unwrap();
    let refused = async |more: &str, part: String| {
        let mut new = world.configuration.clone();
        new.more.push_str(more);
        new.write();
        daemon.signal(Signal::HUP);
        wait_for(&part, async || {
            let error = daemon.status().await["configuration"]["error"].clone();
            error.as_str()?.contains(&part).then_some(())
        })
        .await;
    };
    let path = |path: &Path| path.display().to_string();
    let hook = |hook: &str| format!("[stores.reload]\n{hook}\n");
    refused(
        &hook(&format!("url = \"http://127.0.0.1:9/\"\nbearer_token_file = \"{}\"", path(&token))),
        format!("restart needed: {} may not be read", path(elsewhere.path())),
    )
    .await;
    refused(&hook("process = \"nginx\""), "restart needed: no other process".to_owned()).await;
    refused(
        &hook("command = [\"/bin/true\"]"),
        "restart needed: command in a [reload] is configured".to_owned(),
    )
    .await;
    refused("\n[hardening]\nlandlock = \"off\"\n", "restart needed: [hardening] cannot change".to_owned())
        .await;
    let mut moved = world.configuration.clone();
    moved.output = elsewhere.path().join("output");
    moved.write();
    daemon.signal(Signal::HUP);
    wait_for("another output is refused", async || {
        let error = daemon.status().await["configuration"]["error"].clone();
        error.as_str()?.contains("may not be written").then_some(())
    })
    .await;
    assert!(!moved.output.exists());
    assert_eq!(daemon.state("acme").await, "verified");
    daemon.stop().await;
    let daemon = Daemon::start(&moved).await;
    daemon.settled().await;
    assert!(moved.output.join("acme/api_token").exists());
    daemon.stop().await;
}

#[tokio::test]
async fn what_is_required_and_cannot_be_had_is_refused() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    world.configuration.more.push_str("[stores.reload]\ncommand = [\"/bin/true\"]\n");
    world.configuration.more.push_str("\n[hardening]\nlandlock = \"required\"\n");
    world.configuration.write();
    let file = world.configuration.file();
    for more in [&[][..], &["--one-time"]] {
        let arguments = ["run", "--config", file.to_str().unwrap()];
        let refused = run(world.configuration.home(), arguments.iter().chain(more)).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("hardening.landlock is \\\"required\\\""), "{refused:?}");
        assert!(refused.stderr.contains("command in a [reload] is configured"), "{refused:?}");
    }
    let refused = run(world.configuration.home(), ["validate", "--config", file.to_str().unwrap()]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let words = format!(
        "{}: hardening.landlock: is \"required\", and cannot be had: command in a [reload] is configured",
        file.display()
    );
    assert!(refused.stderr.contains(&words), "{refused:?}");
    // An init container tells nobody.
    let arguments = ["run", "--config", file.to_str().unwrap(), "--one-time", "--no-reload"];
    let done = run(world.configuration.home(), arguments.iter()).await;
    assert_eq!(done.code, Some(0), "{done:?}");
}

/// What is started on this thread finds a kernel that has neither Landlock nor seccomp, as some sandboxes' have not.
fn lack_landlock_and_seccomp() {
    let argument = SeccompCmpArgLen::Dword;
    let mode = u64::from(libc::PR_SET_SECCOMP.cast_unsigned());
    let mode = SeccompCondition::new(0, argument, SeccompCmpOp::Eq, mode).unwrap();
    let calls = [
        (libc::SYS_landlock_create_ruleset, Vec::new()),
        (libc::SYS_seccomp, Vec::new()),
        (libc::SYS_prctl, vec![SeccompRule::new(vec![mode]).unwrap()]),
    ];
    let absent = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let architecture = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = SeccompFilter::new(calls.into(), SeccompAction::Allow, absent, architecture).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// Launches the daemon on such a kernel.
fn launch_without(world: &World) -> Daemon {
    world.configuration.write();
    let runtime = tokio::runtime::Handle::current();
    std::thread::scope(|scope| {
        // A filter is for good, and the thread's own.
        let thread = scope.spawn(|| {
            lack_landlock_and_seccomp();
            let _in_it = runtime.enter();
            Daemon::launch(&world.configuration)
        });
        thread.join().unwrap()
    })
}

#[tokio::test]
async fn where_the_kernel_has_neither_measure_the_daemon_does_its_work_and_says_why() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    let daemon = launch_without(&world).listening().await;
    daemon.settled().await;
    world.wait_published("acme", &account).await;
    let hardening = daemon.status().await["hardening"].clone();
    let file = world.configuration.file();
    let shown = run(world.configuration.home(), ["status", "--config", file.to_str().unwrap()]).await;
    for (measure, name, why) in [
        ("landlock", "Landlock", "the kernel has no Landlock"),
        ("seccomp", "seccomp", "the kernel does not take it"),
    ] {
        assert_eq!(hardening[measure]["active"], false, "{hardening}");
        let reason = hardening[measure]["reason"].as_str().unwrap();
        assert!(reason.contains(why), "{hardening}");
        assert!(shown.stdout.contains(&format!("without {name}: {why}")), "{shown:?}");
        let active = daemon.metric(&format!("hardening_active{{measure=\"{measure}\"}}")).await;
        assert_eq!(active, Some(0.0), "{measure}");
        let told = |line: &serde_json::Value| line["measure"] == measure && line["reason"] == reason;
        assert!(daemon.log().iter().any(told), "{measure} is not in the log");
    }
    // What needs neither of them is there all the same.
    assert_eq!((&hardening["dumpable"], &hardening["core_files"]), (&json!(false), &json!(false)));
    daemon.stop().await;
}

#[tokio::test]
async fn where_the_kernel_has_not_what_is_required_the_daemon_ends_and_says_which() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    for (measure, why) in
        [("landlock", "the kernel has no Landlock"), ("seccomp", "the kernel does not take it")]
    {
        world.configuration.more = format!("\n[hardening]\n{measure} = \"required\"\n");
        let mut daemon = launch_without(&world);
        let ended = daemon.ended(Duration::from_secs(30)).await;
        let told = daemon.log_text();
        assert_eq!(ended.code(), Some(2), "{told}");
        let refusal = format!("hardening.{measure} is \\\"required\\\", and cannot be had: ");
        let (_, rest) = told.split_once(&refusal).unwrap_or_else(|| panic!("{refusal} is not in {told}"));
        assert!(rest.contains(why), "{told}");
    }
    assert!(!world.configuration.output.join("acme").exists());
}

/// As a pod's volume: everybody may write in it.
fn shared(world: &mut World) {
    let volume = world.configuration.home().join("volume");
    std::fs::create_dir(&volume).unwrap();
    std::fs::set_permissions(&volume, std::fs::Permissions::from_mode(0o2777)).unwrap();
    world.configuration.output = volume.join("credentials");
}

#[tokio::test]
async fn an_output_that_was_removed_from_a_shared_directory_is_told_with_what_helps() {
    let mut world = World::start().await;
    let account = world.add_store("acme").await;
    shared(&mut world);
    let daemon = world.daemon().await;
    daemon.settled().await;
    std::fs::remove_dir_all(&world.configuration.output).unwrap();
    let part = "if that was removed or mounted over since, restart the daemon";
    wait_for("it is told", async || {
        let incidents = daemon.status().await["incidents"].clone();
        let incident = incidents.as_array()?.iter().find(|incident| incident["cause"] == "publish_failed")?;
        incident["evidence"].to_string().contains(part).then_some(())
    })
    .await;
    daemon.stop().await;
    let daemon = world.daemon().await;
    world.wait_published("acme", &account).await;
    wait_for("it is over", async || daemon.status().await["incidents"].as_array()?.is_empty().then_some(()))
        .await;
    // Another one in its place is no better than none.
    let aside = world.configuration.home().join("volume/aside");
    std::fs::rename(&world.configuration.output, &aside).unwrap();
    std::fs::create_dir(&world.configuration.output).unwrap();
    wait_for("it is told again", async || {
        let incidents = daemon.status().await["incidents"].clone();
        incidents.to_string().contains(part).then_some(())
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_output_that_cannot_be_made_is_told_with_the_true_reason() {
    let mut world = World::start().await;
    world.add_store("acme").await;
    shared(&mut world);
    world.configuration.write();
    let volume = world.configuration.output.parent().unwrap().to_owned();
    // With room for its own directory, and for nothing else.
    let full = "mount -t tmpfs -o nr_inodes=1,mode=2777 full \"$1\" && shift && exec \"$@\"";
    let ended = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", full, "sh"])
        .arg(&volume)
        .args([env!("CARGO_BIN_EXE_bc-secrets-sync"), "run", "--config"])
        .arg(world.configuration.file())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(told.contains("cannot create") && told.contains("No space left on device"), "{told}");
    assert_eq!(ended.status.code(), Some(15), "{told}");
}
