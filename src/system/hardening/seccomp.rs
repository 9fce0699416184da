//! seccomp: the kernel keeps this process to the system calls that it needs (seccomp(2)).
//!
//! Two filters stand one behind the other, and the stricter answer counts. The first refuses what is dangerous with
//! EPERM, as the kernel does for those who lack a right. The second says ENOSYS to all that is not known here, as a
//! kernel does that has no such call: libraries try newer calls first, and fall back on that word only.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

/// Whether all code is in the program: nothing is loaded beside it, neither at its start nor later.
const WHOLE: bool = cfg!(target_feature = "crt-static");

/// Whose calls are foreseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// This program's, which starts no other.
    Own,
    /// Those of programs that it starts, too: whatever is not dangerous.
    Commands,
}

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum Unfiltered {
    /// There is none for this processor, or it could not be put together.
    #[error("it cannot be put together for this processor: {0}")]
    Unbuilt(#[from] seccompiler::BackendError),
    /// The kernel does not take it.
    #[error("the kernel does not take it: {0}")]
    Refused(#[from] seccompiler::Error),
}

/// Puts both filters on, for this process and those that it starts, for good; they gain no rights by running a setuid
/// program either. To be called while the process has one thread only: others go on without.
///
/// # Errors
/// There is none, or the first one only, which any program gets along with.
pub fn enter(calls: Calls) -> Result<(), Unfiltered> {
    enter_as(calls, WHOLE)
}

fn enter_as(calls: Calls, is_whole: bool) -> Result<(), Unfiltered> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let forbidden = forbidden(calls, is_whole)?;
    let (known, unknown, otherwise) = match calls {
        Calls::Own => {
            // The filter behind this one refuses those.
            let numbers = NEEDED.iter().chain(OLD).chain(forbidden.keys());
            let known = numbers.map(|number| (*number, Vec::new())).collect();
            (known, SeccompAction::Errno(NO_CALL), SeccompAction::Allow)
        }
        Calls::Commands => {
            // Its flags are where a filter cannot see them. Libraries then take the old call, whose flags it sees.
            let known = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
            (known, SeccompAction::Allow, SeccompAction::Errno(NO_CALL))
        }
    };
    let denied = SeccompAction::Errno(NOT_PERMITTED);
    let first: BpfProgram =
        SeccompFilter::new(forbidden, SeccompAction::Allow, denied, architecture)?.try_into()?;
    let second: BpfProgram = SeccompFilter::new(known, unknown, otherwise, architecture)?.try_into()?;
    apply_filter(&first)?;
    apply_filter(&second)?;
    Ok(())
}

const NOT_PERMITTED: u32 = libc::EPERM.cast_unsigned();
const NO_CALL: u32 = libc::ENOSYS.cast_unsigned();

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// What is refused, whole or with these arguments.
fn forbidden(calls: Calls, is_whole: bool) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = DANGEROUS.iter().chain(PORTS).map(|number| (*number, Vec::new())).collect();
    // What is typed into a terminal by a program, and what the terminal's clipboard gives it.
    let typing = [libc::TIOCSTI, libc::TIOCLINUX].map(|request| rule(&[(1, SeccompCmpOp::Eq, request)]));
    rules.insert(libc::SYS_ioctl, typing.into_iter().collect::<Result<_, _>>()?);
    match calls {
        Calls::Own => {
            rules.extend(PROGRAMS.iter().chain(FORKS).map(|number| (*number, Vec::new())));
            // Threads are made by it, and nothing else.
            rules.insert(libc::SYS_clone, vec![rule(&[(0, masked(libc::CLONE_THREAD), 0)])?]);
            let run = bits(libc::PROT_EXEC);
            let runnable = || rule(&[(2, SeccompCmpOp::MaskedEq(run), run)]);
            rules.insert(libc::SYS_mmap, if is_whole { vec![runnable()?] } else { modules()? });
            rules.insert(libc::SYS_mprotect, vec![runnable()?]);
            rules.insert(libc::SYS_pkey_mprotect, vec![runnable()?]);
            let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
            let none_of_them = families.map(|family| (0, SeccompCmpOp::Ne, bits(family)));
            rules.insert(libc::SYS_socket, vec![rule(&none_of_them)?]);
            // Others are kept out of the memory for good.
            let dumpable = (0, SeccompCmpOp::Eq, bits(libc::PR_SET_DUMPABLE));
            rules.insert(libc::SYS_prctl, vec![rule(&[dumpable])?]);
            // Its own limits may be asked for, and nobody else's.
            rules.insert(libc::SYS_prlimit64, vec![rule(&[(0, SeccompCmpOp::Ne, 0)])?]);
        }
        Calls::Commands => {
            let namespaces = NAMESPACES.iter().map(|flag| rule(&[(0, masked(*flag), bits(*flag))]));
            rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
        }
    }
    Ok(rules)
}

/// What the loader of modules never does, which maps code from files, for itself alone, and writes none of it: a page
/// that is shared may be written through another mapping.
fn modules() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let run = bits(libc::PROT_EXEC);
    let writable = bits(libc::PROT_WRITE) | run;
    let runnable = (2, SeccompCmpOp::MaskedEq(run), run);
    let from_nowhere = (3, masked(libc::MAP_ANONYMOUS), bits(libc::MAP_ANONYMOUS));
    let shared = (3, masked(libc::MAP_SHARED), bits(libc::MAP_SHARED));
    Ok(vec![
        rule(&[(2, SeccompCmpOp::MaskedEq(writable), writable)])?,
        rule(&[runnable.clone(), from_nowhere])?,
        rule(&[runnable, shared])?,
    ])
}

/// All of these: the number of the argument, how it is compared, and with what.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = conditions.iter().map(|(argument, how, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, how.clone(), *value)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

const fn masked(flag: i32) -> SeccompCmpOp {
    SeccompCmpOp::MaskedEq(bits(flag))
}

/// The flags of these calls have 32 bits.
const fn bits(flag: i32) -> u64 {
    flag.cast_unsigned() as u64
}

const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Nobody's business, that of hooks included: other processes' memory, the kernel's insides, namespaces and mounts, the
/// clock of the machine, and what has had more than its share of holes.
const DANGEROUS: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
];

/// The same on one kind of processor only.
#[cfg(target_arch = "x86_64")]
const PORTS: &[i64] = &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_kexec_file_load];
#[cfg(not(target_arch = "x86_64"))]
const PORTS: &[i64] = &[];

/// What runs another program, or makes one out of nothing.
const PROGRAMS: &[i64] =
    &[libc::SYS_execve, libc::SYS_execveat, libc::SYS_memfd_create, libc::SYS_personality];
#[cfg(target_arch = "x86_64")]
const FORKS: &[i64] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const FORKS: &[i64] = &[];

/// `libc` does not know it for every processor; it has one number on all.
const FCHMODAT2: i64 = 452;

/// What the daemon and its libraries need: found by watching all of its tests, and added to by reading what glibc, its
/// resolver and Rust's library may call besides.
const NEEDED: &[i64] = &[
    // Files.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_lseek,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_flock,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_symlinkat,
    libc::SYS_linkat,
    libc::SYS_renameat2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    libc::SYS_getcwd,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_pipe2,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    // Threads and signals.
    libc::SYS_clone,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_kill,
    libc::SYS_tgkill,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_prctl,
    // Who and where we are, and the time.
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
    libc::SYS_prlimit64,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    // The network.
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
];

/// What newer processors' kernels have under one name only.
#[cfg(target_arch = "x86_64")]
const OLD: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_symlink,
    libc::SYS_link,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_getrlimit,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_getdents,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_time,
];
#[cfg(target_arch = "aarch64")]
const OLD: &[i64] = &[38 /* renameat, which `libc` does not know for this processor */];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const OLD: &[i64] = &[];

#[cfg(test)]
mod tests;
