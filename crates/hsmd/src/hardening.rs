//! What the process gives up: core dumps, being traced, swap, another user's rights, files and system calls that it does not need.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus,
};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{User, chown, geteuid, setgid, setgroups, setuid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::configuration::Sandbox;

/// Why the process could not be hardened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HardeningError {
    #[error("the user `{0}` of the configuration does not exist")]
    UnknownUser(String),
    #[error("the process cannot give up its rights")]
    System(#[from] nix::Error),
    #[error("the sandbox is required, but this kernel does not have it: {0}")]
    NoSandbox(String),
}

/// Before anything secret is read: no core dumps, no tracing by others of the same user, as many files as connections need.
pub(crate) fn before_secrets(connections: usize) -> Result<(), HardeningError> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::prctl::set_dumpable(false)?;
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(256);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < wanted {
        let hard = if geteuid().is_root() { hard.max(wanted) } else { hard };
        if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard) {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
    }
    if let Err(error) = mlockall(
        MlockAllFlags::MCL_CURRENT
            | MlockAllFlags::MCL_FUTURE
            | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT),
    ) {
        tracing::warn!(%error, "memory could not be locked: secrets may reach the swap space");
    }
    Ok(())
}

/// Becomes the configured user, who gets the data directory.
pub(crate) fn become_user(user: Option<&str>, data: &Path) -> Result<(), HardeningError> {
    let Some(name) = user.filter(|_| geteuid().is_root()) else { return Ok(()) };
    let unknown = || HardeningError::UnknownUser(name.to_owned());
    let user = User::from_name(name)?.ok_or_else(unknown)?;
    chown(data, Some(user.uid), Some(user.gid))?;
    for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
        chown(&entry.path(), Some(user.uid), Some(user.gid))?;
    }
    setgroups(&[user.gid])?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    // A change of user makes the process dumpable again.
    nix::sys::prctl::set_dumpable(false)?;
    Ok(())
}

/// Last, when every file but those of the data directory is open: landlock and seccomp.
pub(crate) fn sandbox(mode: Sandbox, data: &Path) -> Result<(), HardeningError> {
    let restricted = restrict_files(data).map_err(|error| error.to_string());
    let filtered = filter_calls().map_err(|error| error.to_string());
    for (what, result) in [("landlock", restricted), ("seccomp", filtered)] {
        match (result, mode) {
            (Ok(()), _) => {}
            (Err(error), Sandbox::Required) => return Err(HardeningError::NoSandbox(error)),
            (Err(error), Sandbox::BestEffort) => tracing::warn!(error, "no {what}"),
        }
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum SandboxError {
    #[error("landlock: {0}")]
    Landlock(#[from] landlock::RulesetError),
    #[error("landlock: {0}")]
    Path(#[from] landlock::PathFdError),
    #[error("landlock is not enforced by this kernel")]
    NotEnforced,
    #[error("seccomp: {0}")]
    Filter(#[from] seccompiler::BackendError),
    #[error("seccomp: {0}")]
    Install(#[from] seccompiler::Error),
}

/// Files: the data directory, and nothing else.
fn restrict_files(data: &Path) -> Result<(), SandboxError> {
    let all = AccessFs::from_all(ABI::V2);
    let status = Ruleset::default()
        .handle_access(all)?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new(data)?, all))?
        .restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        Err(SandboxError::NotEnforced)
    } else {
        Ok(())
    }
}

/// System calls that an HSM never makes once it serves: starting programs, connecting out, looking into processes, changing the kernel.
const FORBIDDEN: &[i64] = &[
    libc::SYS_connect,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_userfaultfd,
    libc::SYS_open_by_handle_at,
    libc::SYS_reboot,
    libc::SYS_swapon,
];

fn filter_calls() -> Result<(), SandboxError> {
    let rules = FORBIDDEN.iter().map(|&number| (number, Vec::new())).collect();
    let refused = SeccompAction::Errno(1);
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter_all_threads(&program)?;
    Ok(())
}

/// What a live daemon is refused, for the test of the sandbox: one line of the log for each.
#[cfg(feature = "testing")]
pub(crate) fn probe() {
    if std::env::var_os("CASEMATE_SANDBOX_PROBE").is_none() {
        return;
    }
    let program = std::process::Command::new("/bin/true").status();
    tracing::info!(refused = program.is_err(), "probe: start a program");
    let path = std::fs::read("/etc/passwd");
    tracing::info!(refused = path.is_err(), "probe: read another file");
    let connection = std::net::TcpStream::connect("127.0.0.1:9");
    let refused =
        connection.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    tracing::info!(refused, "probe: connect out");
}
