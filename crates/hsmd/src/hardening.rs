//! What the process gives up: core dumps, being traced, swap, another user's rights, files and system calls that it does not need.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus,
};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::unistd::{User, chown, geteuid, setgid, setgroups, setuid};

use crate::configuration::Sandbox;
use crate::system_calls;

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
    lock_memory();
    Ok(())
}

/// Keeps all memory out of the swap space, also what is mapped later. Under a limit that would one day refuse memory to the
/// daemon, and so stop it: then it is not locked, and the log says how it could be.
fn lock_memory() {
    if geteuid().is_root()
        && let Err(error) = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)
    {
        tracing::debug!(%error, "the limit of locked memory could not be lifted");
    }
    let limit = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(soft, _)| soft);
    if limit != RLIM_INFINITY {
        tracing::warn!(
            limit,
            "memory is not locked, for its limit is finite (LimitMEMLOCK=infinity): secrets may reach the swap space"
        );
        return;
    }
    let later = MlockAllFlags::MCL_FUTURE | MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    if let Err(error) = mlockall(MlockAllFlags::MCL_CURRENT | later) {
        tracing::warn!(%error, "memory is not locked: secrets may reach the swap space");
    }
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
pub(crate) fn sandbox(
    mode: Sandbox,
    data: &Path,
    peer_ports: &[u16],
) -> Result<(), HardeningError> {
    // The control of the sandbox's test: what the probe does works without one.
    #[cfg(feature = "testing")]
    if std::env::var_os("CASEMATE_SANDBOX_SKIP").is_some() {
        tracing::warn!("no sandbox: a test wants none");
        return Ok(());
    }
    let restricted = restrict(data, peer_ports).map_err(|error| error.to_string());
    let filtered =
        system_calls::restrict(!peer_ports.is_empty()).map_err(|error| error.to_string());
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
}

/// Files: the data directory, and nothing else. Connections: to the ports of other HSMs, as far as the kernel tells ports apart.
fn restrict(data: &Path, peer_ports: &[u16]) -> Result<(), SandboxError> {
    let all = AccessFs::from_all(ABI::V2);
    let mut rules = Ruleset::default()
        .handle_access(all)?
        .handle_access(AccessNet::ConnectTcp)?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new(data)?, all))?;
    for port in peer_ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    let status = rules.restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        Err(SandboxError::NotEnforced)
    } else {
        Ok(())
    }
}

/// What a live daemon is refused, for the test of the sandbox: one line of the log for each. Each works without a sandbox.
#[cfg(feature = "testing")]
pub(crate) fn probe(data: &Path) {
    use std::io::ErrorKind::PermissionDenied;
    if std::env::var_os("CASEMATE_SANDBOX_PROBE").is_none() {
        return;
    }
    let say = |what: &str, error: Option<std::io::Error>| {
        let refused = error.as_ref().is_some_and(|error| error.kind() == PermissionDenied);
        tracing::info!(refused, ?error, "probe: {what}");
    };
    say("start a program", std::process::Command::new("/bin/true").status().err());
    say("read another file", std::fs::read("/etc/passwd").err());
    let outside = std::env::temp_dir().join(format!("casemate-probe-{}", std::process::id()));
    say("write another file", std::fs::write(&outside, "probe").err());
    say("connect out", std::net::TcpStream::connect("127.0.0.1:9").err());
    say("make a socket", std::net::UdpSocket::bind("127.0.0.1:0").err());
    // Landlock allows it, seccomp does not.
    let link = data.join("probe");
    say("make a link", std::os::unix::fs::symlink("/etc/passwd", &link).err());
    say("become dumpable", nix::sys::prctl::set_dumpable(true).err().map(Into::into));
    // Of what the control did nothing stays; in the sandbox there is nothing.
    for path in [outside, link] {
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::debug!(%error, "the probe left nothing behind");
        }
    }
}
