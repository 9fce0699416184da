//! A process that was told of some files tries to get at others.

use std::fs;
use std::process::Command;

use super::*;

/// A domain is for good, so each attack is in a process of its own.
fn attack(test: &str, directory: &Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .arg(format!("system::hardening::landlock::tests::{test}"))
        .env("ATTACKED", directory)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}{output:?}");
}

fn attacked() -> PathBuf {
    PathBuf::from(std::env::var_os("ATTACKED").unwrap())
}

/// `config/file` is read, `out` and `state` are written, and `other/secret` is nobody's business.
fn prepared() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["config", "own/out", "state", "other"] {
        fs::create_dir_all(directory.path().join(name)).unwrap();
    }
    for name in ["config/file", "other/secret", "state/kept"] {
        fs::write(directory.path().join(name), name).unwrap();
    }
    directory
}

fn reach(root: &Path) -> Reach {
    Reach {
        files: BTreeSet::from([root.join("config/file")]),
        written: BTreeSet::from([root.join("own/out"), root.join("state")]),
        remade: Some(root.join("own/out")),
        ..Reach::default()
    }
}

fn denied<T>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[test]
fn what_was_not_named_can_neither_be_read_nor_written_nor_run() {
    let directory = prepared();
    attack("get_out", directory.path());
}

#[test]
#[ignore = "gives up what a process has; run by what_was_not_named_can_neither_be_read_nor_written_nor_run"]
fn get_out() {
    let root = attacked();
    let domain = Domain::enter(&reach(&root)).unwrap();
    assert!(domain.abi() >= 1);
    assert!(denied(fs::read(root.join("other/secret"))));
    assert!(denied(fs::read_dir(root.join("other"))));
    assert!(denied(fs::read_dir("/root")));
    assert!(denied(fs::read("/proc/1/status")), "another process");
    // Neither by a link in what may be written, nor by another name.
    std::os::unix::fs::symlink(root.join("other/secret"), root.join("state/link")).unwrap();
    assert!(denied(fs::read(root.join("state/link"))));
    let named = fs::hard_link(root.join("other/secret"), root.join("state/name"));
    assert!(named.is_err(), "a name in what may be read");
    assert!(denied(fs::write(root.join("other/new"), "")));
    assert!(denied(fs::write(root.join("config/file"), "")));
    assert!(denied(fs::write(root.join("config/new"), "")));
    assert!(denied(fs::remove_file(root.join("other/secret"))));
    assert!(denied(fs::write("/tmp/bc-secrets-sync-escaped", "")));
    assert!(denied(Command::new("/bin/true").status()));
    fs::copy("/proc/self/exe", root.join("state/program")).unwrap_err();
    fs::write(root.join("state/script"), "#!/bin/sh\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(root.join("state/script"), mode).unwrap();
    assert!(denied(Command::new(root.join("state/script")).status()), "what was written is not run");
}

#[test]
fn what_was_named_stays_usable_when_it_is_replaced_or_made_anew() {
    let directory = prepared();
    attack("stay", directory.path());
}

#[test]
#[ignore = "gives up what a process has; run by what_was_named_stays_usable_when_it_is_replaced_or_made_anew"]
fn stay() {
    let root = attacked();
    let aside = root.join("other/new");
    fs::write(&aside, "new").unwrap();
    let replace = fs::File::open(&root).unwrap();
    let _domain = Domain::enter(&reach(&root)).unwrap();
    drop(replace);
    assert_eq!(fs::read(root.join("config/file")).unwrap(), b"config/file");
    assert_eq!(fs::read_dir(root.join("config")).unwrap().count(), 1);
    // As a new life of the volume would have it.
    fs::remove_dir_all(root.join("own/out")).unwrap();
    fs::create_dir(root.join("own/out")).unwrap();
    fs::write(root.join("own/out/file"), "1").unwrap();
    fs::rename(root.join("own/out/file"), root.join("own/out/other")).unwrap();
    fs::write(root.join("state/kept"), "2").unwrap();
    assert_eq!(fs::read(root.join("own/out/other")).unwrap(), b"1");
    assert!(fs::read_to_string("/proc/self/statm").is_ok() && fs::read_dir("/proc/self/task").is_ok());
    assert!(fs::read("/etc/hosts").is_ok() && fs::File::open("/dev/urandom").is_ok());
}

#[test]
fn a_file_that_a_volume_swaps_is_read_again() {
    let directory = prepared();
    let volume = directory.path().join("volume");
    for (name, text) in [("..one", "1"), ("..two", "2")] {
        fs::create_dir_all(volume.join(name)).unwrap();
        fs::write(volume.join(name).join("token"), text).unwrap();
    }
    std::os::unix::fs::symlink("..one", volume.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/token", volume.join("token")).unwrap();
    attack("read_swapped", directory.path());
}

#[test]
#[ignore = "gives up what a process has; run by a_file_that_a_volume_swaps_is_read_again"]
fn read_swapped() {
    let token = attacked().join("volume/token");
    let volume = attacked().join("volume");
    let (swap, swapped) = std::sync::mpsc::channel::<()>();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    // A thread that was there before is not held: it is the kubelet.
    let kubelet = std::thread::spawn(move || {
        swapped.recv().unwrap();
        std::os::unix::fs::symlink("..two", volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
        fs::remove_dir_all(volume.join("..one")).unwrap();
        done.send(()).unwrap();
    });
    let _domain =
        Domain::enter(&Reach { files: BTreeSet::from([token.clone()]), ..Reach::default() }).unwrap();
    assert_eq!(fs::read(&token).unwrap(), b"1");
    swap.send(()).unwrap();
    is_done.recv().unwrap();
    kubelet.join().unwrap();
    assert_eq!(fs::read(&token).unwrap(), b"2");
}

#[test]
fn a_file_behind_links_to_another_volume_is_read_again_when_any_of_them_is_turned() {
    let directory = prepared();
    let link =
        |target: &str, name: &str| std::os::unix::fs::symlink(target, directory.path().join(name)).unwrap();
    for name in ["volume/..one", "volume/..two", "releases/1"] {
        fs::create_dir_all(directory.path().join(name)).unwrap();
    }
    link("..one", "volume/..data");
    link("../volume/..data/token", "config/token");
    // And where a directory on the way is one.
    link("1", "releases/now");
    for name in ["volume/..one/token", "volume/..two/token", "releases/1/token"] {
        fs::write(directory.path().join(name), name).unwrap();
    }
    link("../volume/late/token", "config/late");
    attack("read_turned", directory.path());
}

#[test]
#[ignore = "gives up what a process has; run by a_file_behind_links_to_another_volume_is_read_again_when_any_of_them_is_turned"]
fn read_turned() {
    let root = attacked();
    let (turn, turned) = std::sync::mpsc::channel::<()>();
    let (volume, releases) = (root.join("volume"), root.join("releases"));
    let other = std::thread::spawn(move || {
        turned.recv().unwrap();
        for (target, directory, name) in [("..two", &volume, "..data"), ("2", &releases, "now")] {
            std::os::unix::fs::symlink(target, directory.join("new")).unwrap();
            fs::rename(directory.join("new"), directory.join(name)).unwrap();
        }
        for made in [releases.join("2"), volume.join("late")] {
            fs::create_dir(&made).unwrap();
            fs::write(made.join("token"), "new").unwrap();
        }
    });
    let [token, release, late] =
        ["config/token", "releases/now/token", "config/late"].map(|it| root.join(it));
    let known =
        Reach { files: BTreeSet::from([token.clone(), release.clone(), late.clone()]), ..Reach::default() };
    let domain = Domain::enter(&known).unwrap();
    assert_eq!(fs::read(&token).unwrap(), b"volume/..one/token");
    turn.send(()).unwrap();
    other.join().unwrap();
    assert_eq!(fs::read(&token).unwrap(), b"volume/..two/token");
    assert_eq!(fs::read(&release).unwrap(), b"new");
    assert_eq!(fs::read(&late).unwrap(), b"new", "what a link led to was not there yet");
    assert_eq!(domain.allows(&known), Ok(()));
    assert!(denied(fs::read(root.join("other/secret"))));
}

#[test]
fn another_process_is_neither_signalled_nor_looked_into_unless_that_was_said() {
    let directory = prepared();
    attack("signal_nobody", directory.path());
    attack("signal_somebody", directory.path());
}

#[test]
#[ignore = "gives up what a process has; run by another_process_is_neither_signalled_nor_looked_into_unless_that_was_said"]
fn signal_nobody() {
    let domain = Domain::enter(&Reach::default()).unwrap();
    let parent = rustix::process::getppid().unwrap();
    if domain.abi() >= 6 {
        assert_eq!(rustix::process::test_kill_process(parent), Err(rustix::io::Errno::PERM));
    }
    assert!(denied(fs::read(format!("/proc/{}/comm", parent.as_raw_pid()))));
    let more = Reach { processes: true, ..Reach::default() };
    assert!(domain.allows(&more).unwrap_err().contains("no other process"));
}

#[test]
#[ignore = "gives up what a process has; run by another_process_is_neither_signalled_nor_looked_into_unless_that_was_said"]
fn signal_somebody() {
    let _domain = Domain::enter(&Reach { processes: true, ..Reach::default() }).unwrap();
    let parent = rustix::process::getppid().unwrap();
    assert_eq!(rustix::process::test_kill_process(parent), Ok(()));
    assert!(fs::read(format!("/proc/{}/comm", parent.as_raw_pid())).is_ok());
    assert!(fs::File::open(format!("/proc/{}/mem", parent.as_raw_pid())).is_err());
}

#[test]
fn what_a_domain_has_not_is_told_before_it_is_needed() {
    let directory = prepared();
    attack("ask", directory.path());
}

#[test]
#[ignore = "gives up what a process has; run by what_a_domain_has_not_is_told_before_it_is_needed"]
fn ask() {
    let root = attacked();
    let known = reach(&root);
    let domain = Domain::enter(&known).unwrap();
    assert_eq!(domain.allows(&known), Ok(()));
    let file = |name: &str| Reach { files: BTreeSet::from([root.join(name)]), ..Reach::default() };
    let written = |name: &str| Reach { written: BTreeSet::from([root.join(name)]), ..Reach::default() };
    assert_eq!(domain.allows(&file("config/other")), Ok(()));
    assert_eq!(domain.allows(&written("own/another")), Ok(()), "beside the one that may be made anew");
    assert!(domain.allows(&file("other/secret")).unwrap_err().contains("other may not be read"));
    assert!(domain.allows(&written("other")).unwrap_err().contains("other may not be written"));
    assert!(domain.allows(&written("config")).unwrap_err().contains("config may not be written"));
}

#[test]
fn a_directory_that_others_use_too_is_told_from_one_of_ours() {
    for shared in ["/", "/etc", "/run", "/tmp", "/var/lib", "/usr/lib", "/home/somebody", "/run/user/1000"] {
        assert!(is_shared(Path::new(shared)), "{shared}");
    }
    let directory = tempfile::tempdir().unwrap();
    assert!(!is_shared(directory.path()));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(directory.path(), mode).unwrap();
    assert!(is_shared(directory.path()), "everybody may write there");
}
