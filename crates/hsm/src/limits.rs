//! Every limit of the module, with its unit and its reason.

/// Objects of one cluster: what 1 KiB of memory per idle key allows on a machine of 2 GiB.
pub const OBJECTS_MAX: usize = 1_000_000;
/// HSMs of one cluster, as AWS CloudHSM has it.
pub const HSMS_MAX: usize = 28;
/// Modules that may wait at one HSM to be let in.
pub const JOINING_MAX: usize = 64;
/// Milliseconds after which a module that asks no more is no longer shown as waiting: it asks every 200.
pub const JOINING_MS: u64 = 60_000;
/// HSMs that were taken out and are remembered, so that neither their ids nor their keys come back.
pub const REMOVED_HSMS_MAX: usize = 4_096;
/// Milliseconds for which a ticket holds unless it is renewed.
pub const TICKET_MS: u64 = 3_600_000;
/// Milliseconds that clocks may differ before a ticket is refused.
pub const CLOCK_TOLERANCE_MS: u64 = 60_000;
/// Milliseconds for which a log-out is remembered: longer than any ticket that was granted before it.
pub const REVOCATION_MS: u64 = TICKET_MS + 2 * CLOCK_TOLERANCE_MS;
/// Session objects of one log-in of which is remembered that older forms are void: 8 MiB. Who changes or destroys more in one log-in
/// keeps the protection for the newest.
pub const SESSION_FLOORS_MAX: u64 = 65_536;
/// The same of all log-ins: 128 MiB.
pub const SESSION_FLOORS_TOTAL_MAX: usize = 1_048_576;
/// Milliseconds for which the reply to a write is kept for a retry: well beyond any deadline.
pub const RETRY_WINDOW_MS: u64 = 600_000;
/// Milliseconds without a write after which a client instance is forgotten: its requests are long past every deadline.
pub const RETRY_CLIENT_MS: u64 = RETRY_WINDOW_MS + TICKET_MS;
/// Replies kept for one client instance.
pub const RETRY_WINDOW_REPLIES: usize = 1_024;
/// Wrong passwords of one user from one source before the next attempt is delayed.
pub const FREE_ATTEMPTS: u32 = 3;
/// The longest delay between two attempts, in milliseconds.
pub const ATTEMPT_DELAY_MS_MAX: u64 = 60_000;
/// Wrong passwords from registered client certificates after which a user is locked, as AWS counts.
pub const LOCK_AFTER_FAILURES: u32 = 5;
/// Log-ins that are checked at one time: each costs tens of milliseconds of one core.
pub const LOG_INS_IN_FLIGHT_MAX: usize = 8;
/// The same from one source, so that no source takes all of them.
pub const LOG_INS_IN_FLIGHT_PER_SOURCE_MAX: usize = 4;
/// Sources of wrong passwords that are remembered.
pub const ATTEMPT_SOURCES_MAX: usize = 4_096;
/// Milliseconds for which a nonce for a quote holds: a TPM needs less than a second.
pub const NONCE_MS: u64 = 60_000;
/// PBKDF2 rounds with HMAC-SHA-512 (OWASP's figure of 2023).
pub const PASSWORD_ROUNDS: u32 = 210_000;
/// Milliseconds for which a leaf certificate holds.
pub const LEAF_MS: u64 = 30 * 24 * 3_600_000;
/// Bytes of plaintext in one chunk of a snapshot.
pub const SNAPSHOT_CHUNK_BYTES: usize = 512 << 10;
/// Milliseconds for which a request waits at an HSM that is behind what its client has seen, if the client would: replication takes
/// a few, so one that needs more is cut off, and another answers sooner.
pub const INDEX_WAIT_MS: u64 = 1_000;
/// Milliseconds that a client is told to wait when the module has too much to do.
pub const BUSY_MS: u64 = 25;
/// Token keys kept open on one HSM: about 2 KiB each.
pub const OPEN_KEYS_MAX: usize = 16_384;
/// Session objects kept open on one HSM.
pub const OPEN_SESSION_OBJECTS_MAX: usize = 16_384;
/// AES-GCM encryptions with one key on one HSM before FIPS mode refuses more (2^32 over 28 HSMs, rounded down).
pub const GCM_INVOCATIONS_MAX: u64 = 1 << 27;
