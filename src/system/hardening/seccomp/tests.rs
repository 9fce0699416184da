//! A process behind the filters tries what it may not, and does what it must.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

/// A filter is for good, so each attack is in a process of its own.
fn attack(test: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .arg(format!("system::hardening::seccomp::tests::{test}"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}{output:?}");
}

/// The bare system call: no library stands between, and none of them succeeds.
#[expect(unsafe_code, reason = "an attacker writes no safe Rust")]
fn call(number: i64, arguments: [i64; 4]) -> Option<i32> {
    let [one, two, three, four] = arguments;
    // SAFETY: the filters refuse the call before it does anything; without them, its pointers are null.
    let answer = unsafe { libc::syscall(number, one, two, three, four, -1_i64, 0_i64) };
    (answer == -1).then(|| io::Error::last_os_error().raw_os_error().unwrap())
}

/// Maps a page of a file; none: it is mapped.
#[expect(unsafe_code, reason = "an attacker writes no safe Rust")]
fn map(file: &File, protection: i32, how: i32) -> Option<i32> {
    // SAFETY: a new place, which nobody reads, writes or runs.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, how, file.as_raw_fd(), 0) };
    (page == libc::MAP_FAILED).then(|| io::Error::last_os_error().raw_os_error().unwrap())
}

fn flags(flags: &[i32]) -> i64 {
    flags.iter().fold(0, |all, flag| all | i64::from(*flag))
}

#[test]
fn what_is_dangerous_is_refused_to_the_daemon() {
    attack("overreach");
}

#[test]
#[ignore = "gives up what a process has; run by what_is_dangerous_is_refused_to_the_daemon"]
fn overreach() {
    enter(Calls::Own).unwrap();
    let refused = Some(libc::EPERM);
    for number in DANGEROUS.iter().chain(PORTS).chain(PROGRAMS).chain(FORKS) {
        assert_eq!(call(*number, [0; 4]), refused, "system call {number}");
    }
    assert!(Command::new("/bin/true").status().is_err());
    // A process of its own, in the way of each library.
    assert_eq!(call(libc::SYS_clone, [flags(&[libc::SIGCHLD]), 0, 0, 0]), refused);
    assert_eq!(call(libc::SYS_clone3, [0; 4]), Some(libc::ENOSYS));
    let page = |protection: &[i32], how: &[i32]| [0, 4096, flags(protection), flags(how)];
    let (read, write, run) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
    let own = [libc::MAP_PRIVATE, libc::MAP_ANONYMOUS];
    assert_eq!(call(libc::SYS_mmap, page(&[read, write, run], &own)), refused);
    assert_eq!(call(libc::SYS_mmap, page(&[read, run], &own)), refused);
    assert_eq!(call(libc::SYS_mmap, page(&[write, run], &[libc::MAP_PRIVATE])), refused);
    assert_eq!(call(libc::SYS_mprotect, [0, 0, flags(&[read, run]), 0]), refused);
    for family in [libc::AF_PACKET, libc::AF_ALG, libc::AF_VSOCK, libc::AF_BLUETOOTH] {
        assert_eq!(call(libc::SYS_socket, [family.into(), libc::SOCK_DGRAM.into(), 0, 0]), refused);
    }
    assert_eq!(call(libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), 1, 0, 0]), refused);
    assert_eq!(call(libc::SYS_prlimit64, [1, 0, 0, 0]), refused);
    let typing = libc::TIOCSTI.cast_signed();
    assert_eq!(call(libc::SYS_ioctl, [2, typing, 0, 0]), refused);
    // What nobody knows is not there, as on a kernel that has it not.
    assert_eq!(call(libc::SYS_sethostname + 100_000, [0; 4]), Some(libc::ENOSYS));
    assert_eq!(call(libc::SYS_capset, [0; 4]), Some(libc::ENOSYS));
}

#[test]
fn what_was_written_into_a_file_is_not_run_through_another_mapping_of_it() {
    attack("two_mappings");
}

#[test]
#[ignore = "gives up what a process has; run by what_was_written_into_a_file_is_not_run_through_another_mapping_of_it"]
fn two_mappings() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    let (write, run) = (libc::PROT_READ | libc::PROT_WRITE, libc::PROT_READ | libc::PROT_EXEC);
    enter_as(Calls::Own, false).unwrap();
    assert_eq!(map(&file, write, libc::MAP_SHARED), None);
    assert_eq!(map(&file, run, libc::MAP_SHARED), Some(libc::EPERM));
    assert_eq!(map(&file, run, libc::MAP_SHARED_VALIDATE), Some(libc::EPERM));
    assert_eq!(map(&file, write | run, libc::MAP_PRIVATE), Some(libc::EPERM));
    // So the resolver's modules are loaded.
    assert_eq!(map(&file, run, libc::MAP_PRIVATE), None);
}

#[test]
fn where_all_code_is_in_the_program_no_other_is_mapped() {
    attack("other_code");
}

#[test]
#[ignore = "gives up what a process has; run by where_all_code_is_in_the_program_no_other_is_mapped"]
fn other_code() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    enter_as(Calls::Own, true).unwrap();
    for how in [libc::MAP_PRIVATE, libc::MAP_SHARED, libc::MAP_SHARED_VALIDATE] {
        assert_eq!(map(&file, libc::PROT_EXEC, how), Some(libc::EPERM), "{how:#x}");
        assert_eq!(map(&file, libc::PROT_READ | libc::PROT_EXEC, how), Some(libc::EPERM), "{how:#x}");
    }
    assert_eq!(map(&file, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED), None);
    assert_eq!(std::thread::spawn(|| 2).join().unwrap(), 2);
}

#[test]
fn what_the_daemon_does_goes_on_behind_the_filters() {
    attack("work");
}

#[test]
#[ignore = "gives up what a process has; run by what_the_daemon_does_goes_on_behind_the_filters"]
fn work() {
    enter(Calls::Own).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let thread = std::thread::spawn(move || server.accept().unwrap().0.write_all(b"here").unwrap());
    let mut said = String::new();
    TcpStream::connect(address).unwrap().read_to_string(&mut said).unwrap();
    thread.join().unwrap();
    assert_eq!(said, "here");
    assert!(UnixStream::pair().is_ok());
    // The resolver loads its modules, and asks the kernel by netlink which addresses there are.
    assert!(("localhost", 443).to_socket_addrs().unwrap().count() > 0);
    let _no_network = ("store.invalid", 443).to_socket_addrs();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "1").unwrap();
    std::fs::rename(&file, directory.path().join("other")).unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    assert!(crate::system::process::Usage::now().threads.is_some());
    let page = crate::system::hardening::memory();
    assert!(page.dumpable, "it was not hardened otherwise");
}

#[test]
fn a_command_runs_and_is_refused_what_is_dangerous() {
    attack("command");
}

#[test]
#[ignore = "gives up what a process has; run by a_command_runs_and_is_refused_what_is_dangerous"]
fn command() {
    enter(Calls::Commands).unwrap();
    for number in DANGEROUS.iter().chain(PORTS) {
        assert_eq!(call(*number, [0; 4]), Some(libc::EPERM), "system call {number}");
    }
    for flag in NAMESPACES {
        let answer = call(libc::SYS_clone, [flags(&[*flag, libc::SIGCHLD]), 0, 0, 0]);
        assert_eq!(answer, Some(libc::EPERM), "namespace {flag:#x}");
    }
    let shell = |script: &str| Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::null()).output();
    let said = shell("echo one | cat; (sleep 0 & wait); exec sh -c 'echo two'").unwrap();
    assert_eq!(said.stdout, b"one\ntwo\n", "{said:?}");
    // As far as they are here, the usual programs of hooks start.
    for program in ["curl", "systemctl", "python3", "perl", "openssl", "nginx", "strace"] {
        let path = ["/usr/bin", "/usr/sbin"].map(|directory| Path::new(directory).join(program));
        if let Some(path) = path.iter().find(|path| path.exists()) {
            let help = if program == "nginx" { "-v" } else { "--help" };
            let said = Command::new(path).arg(help).output().unwrap();
            assert!(said.status.code().is_some(), "{program}: {said:?}");
        }
    }
    // In a namespace of its own, a command of root's would be rid of limits.
    let said = shell("unshare --user true").unwrap();
    assert!(!said.status.success(), "{said:?}");
}
