//! The system calls that a serving HSM makes; the kernel refuses all others (seccomp).
//!
//! A list of what is allowed, not of what is known to be bad: a call that a later kernel brings is refused too. Found by
//! tracing the daemon through the tests; whoever needs another one adds it here with its group. A refused call gets `EPERM`, for a
//! daemon that is killed is of no use to anybody. Memory is never made executable again, and of sockets only new ones
//! of the local kind are made, to tell the service manager.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilterError {
    #[error("seccomp: {0}")]
    Filter(#[from] seccompiler::BackendError),
    #[error("seccomp: {0}")]
    Install(#[from] seccompiler::Error),
}

/// Allowed with any arguments.
const ALLOWED: &[c_long] = &[
    // Connections.
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    // Files, which landlock keeps inside the data directory.
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstatfs,
    libc::SYS_getdents64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_flock,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_munlock,
    // Threads and their signals.
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    // The pool's threads step back; to step forward takes rights that the process has not.
    libc::SYS_sched_setscheduler,
    libc::SYS_setpriority,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_tgkill,
    // Who and when.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrandom,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    // A process may ask for its own limits, which it cannot raise any more.
    libc::SYS_prlimit64,
];

/// What older machines call by other names.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_time,
    libc::SYS_getrlimit,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[c_long] = &[];

/// The tests kill the daemon from inside at named points.
#[cfg(feature = "testing")]
const ALLOWED_TO_TESTS: &[c_long] = &[libc::SYS_kill];
#[cfg(not(feature = "testing"))]
const ALLOWED_TO_TESTS: &[c_long] = &[];

/// The name of a piece of memory, as glibc's allocator gives it (`PR_SET_VMA`).
const PR_SET_VMA: u64 = 0x5356_4d41;

fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, FilterError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

/// The low bits of a socket's type; above them are flags.
const TYPE_MASK: u64 = 0xf;

/// A stream socket of a family.
fn stream(family: u64) -> Result<SeccompRule, FilterError> {
    let stream = u64::from(libc::SOCK_STREAM.unsigned_abs());
    let condition = SeccompCondition::new;
    Ok(SeccompRule::new(vec![
        condition(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family)?,
        condition(1, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(TYPE_MASK), stream)?,
    ])?)
}

fn rules(peers: bool) -> Result<BTreeMap<c_long, Vec<SeccompRule>>, FilterError> {
    let all = [ALLOWED, ALLOWED_HERE, ALLOWED_TO_TESTS].concat();
    let mut rules: BTreeMap<_, _> = all.into_iter().map(|call| (call, Vec::new())).collect();
    let local = u64::from(libc::AF_UNIX.unsigned_abs());
    let mut sockets = vec![rule(0, SeccompCmpOp::Eq, local)?];
    if peers {
        // Connections to other HSMs: TCP alone, and landlock knows the ports.
        rules.insert(libc::SYS_connect, Vec::new());
        for family in [libc::AF_INET, libc::AF_INET6] {
            sockets.push(stream(u64::from(family.unsigned_abs()))?);
        }
    }
    rules.insert(libc::SYS_socket, sockets);
    let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![rule(2, SeccompCmpOp::MaskedEq(executable), 0)?]);
    }
    // Names of threads and of memory; above all not "dumpable".
    let named = u64::from(libc::PR_SET_NAME.unsigned_abs());
    let named = [named, PR_SET_VMA].map(|option| rule(0, SeccompCmpOp::Eq, option));
    rules.insert(libc::SYS_prctl, named.into_iter().collect::<Result<_, _>>()?);
    Ok(rules)
}

/// From now on the process makes no other calls, in all its threads, for ever.
pub(crate) fn restrict(peers: bool) -> Result<(), FilterError> {
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules(peers)?, refused, SeccompAction::Allow, architecture)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_leads_out_is_allowed() {
        let rules = rules(false).unwrap();
        for call in [
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_getfd,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_chroot,
            libc::SYS_setns,
            libc::SYS_unshare,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_init_module,
            libc::SYS_kexec_load,
            libc::SYS_userfaultfd,
            libc::SYS_open_by_handle_at,
            libc::SYS_io_uring_setup,
            libc::SYS_memfd_create,
            libc::SYS_setuid,
            libc::SYS_munlockall,
            libc::SYS_linkat,
            libc::SYS_symlinkat,
            libc::SYS_mknodat,
            libc::SYS_fchmod,
        ] {
            assert!(!rules.contains_key(&call), "{call}");
        }
    }
}
