//! Sealing: the one construction for everything that leaves a module's memory.
//!
//! ```text
//! r = 32 random bytes
//! s = HMAC-SHA-512(K_hedge, header ‖ r ‖ plaintext), first 32 bytes
//! k ‖ c = SP 800-108 counter KDF with HMAC-SHA-512(K_purpose, "casemate seal v1" ‖ s ‖ SHA-256(header)), 32 + 32 bytes
//! sealed = length of header ‖ header ‖ s ‖ c ‖ IV ‖ AES-256-GCM(k, IV, plaintext, AAD = header)
//! ```
//!
//! Every seal has its own key, so there is no limit on their number, and a random number that
//! repeats (a cloned machine) repeats a key only for identical content. `c` commits to the key and is
//! compared first, so a blob opens under one key only. The header names format, suite, purpose,
//! cluster, incarnation and masking-key version; each purpose has a key of its own, so a blob of one
//! purpose never opens in another. Source: SP 800-108r1 §4.1, SP 800-38D §8.2.1.

use std::ops::Range;

use casemate_crypto::{Hash, Secret, aes, constant_time_eq, digest, hmac, kdf, random};
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{ClusterId, Incarnation};
use zeroize::Zeroizing;

use crate::log_in::LogIn;
use crate::secrets::Secrets;

const DOMAIN: &str = "casemate/seal/v1";
const KDF_LABEL: &[u8] = b"casemate seal v1";
const SUITE_HMAC_SHA_512_AES_256_GCM: u8 = 1;
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// Bytes that a seal adds to its header and plaintext.
pub(crate) const OVERHEAD_BYTES: usize = 4 + 32 + 32 + IV_BYTES + TAG_BYTES;

/// What a sealed thing is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum Purpose {
    /// Commands in the replicated log.
    Log = 1,
    /// Token keys in the replicated state, and the cluster's own key.
    Token = 2,
    /// Chunks of snapshots.
    Snapshot = 3,
    /// Session keys, which the client holds.
    Session = 4,
    /// Tickets, which the client holds.
    Ticket = 5,
    /// States between the parts of an operation, which the client holds.
    Chain = 6,
}

impl Purpose {
    /// Whether its key hangs on the incarnation's root, which no backup holds, or on the masking key.
    const fn of_incarnation(self) -> bool {
        matches!(self, Self::Session | Self::Ticket | Self::Chain)
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::Log, Self::Token, Self::Snapshot, Self::Session, Self::Ticket, Self::Chain]
            .into_iter()
            .find(|&purpose| purpose as u8 == number)
    }
}

/// Why a sealed thing does not open. It names no cause beyond this: whoever asks may be the one who
/// damaged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    /// It is cut, or not a sealed thing.
    #[error("this is not a sealed thing of a known format")]
    Form,
    /// It belongs to another cluster, incarnation, purpose, or to a masking key that is gone.
    #[error("the sealed thing is of another cluster, incarnation, purpose or masking key")]
    Foreign,
    /// It was changed, or sealed under another key.
    #[error("the sealed thing was changed, or sealed under another key")]
    Damaged,
}

impl From<CanonicalError> for SealError {
    fn from(_: CanonicalError) -> Self {
        Self::Form
    }
}

/// A sealed thing that opened.
pub(crate) struct Opened {
    /// The fields that the one who sealed it put into the header: authentic.
    pub(crate) fields: Vec<u8>,
    /// What was sealed.
    pub(crate) plaintext: Secret,
}

/// The key of one purpose.
struct PurposeKey(Secret);

/// One version of the masking key, as keys per purpose.
struct MaskingKeys {
    version: u32,
    hedge: Secret,
    log: PurposeKey,
    token: PurposeKey,
    snapshot: PurposeKey,
}

/// All keys that seal, derived from the module's secrets.
pub(crate) struct Keyring {
    cluster: ClusterId,
    incarnation: Incarnation,
    masking: Vec<MaskingKeys>,
    hedge: Secret,
    session: PurposeKey,
    ticket: PurposeKey,
    chain: PurposeKey,
    index: Secret,
    state: Secret,
}

/// Derives the key of one use from a root: SP 800-108 counter mode, HMAC-SHA-512.
fn derive(root: &Secret, label: &str) -> Secret {
    let input = Writer::new("casemate/key/v1").bytes(label.as_bytes()).finish();
    let mut out = Zeroizing::new([0; 32]);
    kdf::counter_hmac(Hash::Sha512, root.expose(), b"casemate key", &input, out.as_mut());
    Secret::from_slice(out.as_ref())
}

impl Keyring {
    /// Derives every key.
    pub(crate) fn new(secrets: &Secrets) -> Self {
        let root = secrets.incarnation_root();
        let masking = secrets.masking_keys().map(|(version, key)| MaskingKeys {
            version,
            hedge: derive(key, "hedge"),
            log: PurposeKey(derive(key, "log")),
            token: PurposeKey(derive(key, "token")),
            snapshot: PurposeKey(derive(key, "snapshot")),
        });
        Self {
            cluster: secrets.cluster(),
            incarnation: secrets.incarnation(),
            masking: masking.collect(),
            hedge: derive(root, "hedge"),
            session: PurposeKey(derive(root, "session")),
            ticket: PurposeKey(derive(root, "ticket")),
            chain: PurposeKey(derive(root, "chain")),
            index: derive(root, "index"),
            // Restores keep the state and its hash; incarnations differ in all else.
            state: derive(root, "state hash"),
        }
    }

    /// Returns the key of index tokens.
    pub(crate) const fn index_key(&self) -> &Secret {
        &self.index
    }

    /// Returns the key of state hashes.
    pub(crate) const fn state_key(&self) -> &Secret {
        &self.state
    }

    /// Returns the newest version of the masking key, which new seals use.
    pub(crate) fn masking_version(&self) -> u32 {
        self.masking.last().map_or(0, |keys| keys.version)
    }

    fn keys(&self, purpose: Purpose, version: u32) -> Option<(&PurposeKey, &Secret)> {
        if purpose.of_incarnation() {
            let key = match purpose {
                Purpose::Session => &self.session,
                Purpose::Ticket => &self.ticket,
                Purpose::Chain | Purpose::Log | Purpose::Token | Purpose::Snapshot => &self.chain,
            };
            return (version == 0).then_some((key, &self.hedge));
        }
        let keys = self.masking.iter().find(|keys| keys.version == version)?;
        let key = match purpose {
            Purpose::Log => &keys.log,
            Purpose::Snapshot => &keys.snapshot,
            Purpose::Token | Purpose::Session | Purpose::Ticket | Purpose::Chain => &keys.token,
        };
        Some((key, &keys.hedge))
    }

    /// Seals `plaintext` with `fields` in its header, under the newest key of `purpose`.
    pub(crate) fn seal(&self, purpose: Purpose, fields: &[u8], plaintext: &[u8]) -> Vec<u8> {
        self.seal_bound(purpose, fields, plaintext, &[])
    }

    /// Seals a session key: its key also takes the log-in's id and secret.
    pub(crate) fn seal_session(&self, log_in: &LogIn, fields: &[u8], plaintext: &[u8]) -> Vec<u8> {
        self.seal_bound(Purpose::Session, fields, plaintext, &log_in.binding())
    }

    fn seal_bound(
        &self,
        purpose: Purpose,
        fields: &[u8],
        plaintext: &[u8],
        binding: &[u8],
    ) -> Vec<u8> {
        let version = if purpose.of_incarnation() { 0 } else { self.masking_version() };
        #[expect(clippy::expect_used, reason = "the newest version is in the list by construction")]
        let (key, hedge) = self.keys(purpose, version).expect("a keyring has a masking key");
        let header = Writer::new(DOMAIN)
            .u8(SUITE_HMAC_SHA_512_AES_256_GCM)
            .u8(purpose as u8)
            .fixed(self.cluster.as_bytes())
            .fixed(self.incarnation.as_bytes())
            .u32(version)
            .bytes(fields)
            .finish();
        let mut fresh = [0; 32];
        random::fill(&mut fresh);
        let s = hedged(hedge, &header, &fresh, plaintext);
        let (k, c) = seal_key(key, &s, &header, binding);
        let mut out = Vec::with_capacity(
            OVERHEAD_BYTES.saturating_add(header.len()).saturating_add(plaintext.len()),
        );
        out.extend_from_slice(&u32::try_from(header.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&s);
        out.extend_from_slice(c.as_ref());
        #[expect(
            clippy::expect_used,
            reason = "a key of 32 bytes is taken; only memory can be missing"
        )]
        aes::seal_gcm_once(k.expose(), &header, plaintext, &mut out).expect("memory for a seal");
        out
    }

    /// Opens a sealed thing of `purpose`.
    ///
    /// # Errors
    /// [`SealError`].
    pub(crate) fn open(&self, purpose: Purpose, sealed: &[u8]) -> Result<Opened, SealError> {
        self.open_bound(purpose, sealed, &[])
    }

    /// Opens a session key of `log_in`.
    ///
    /// # Errors
    /// [`SealError`]; also if it belongs to another log-in.
    pub(crate) fn open_session(&self, log_in: &LogIn, sealed: &[u8]) -> Result<Opened, SealError> {
        self.open_bound(Purpose::Session, sealed, &log_in.binding())
    }

    fn open_bound(
        &self,
        purpose: Purpose,
        sealed: &[u8],
        binding: &[u8],
    ) -> Result<Opened, SealError> {
        let (length, rest) = sealed.split_first_chunk::<4>().ok_or(SealError::Form)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let (header, rest) = rest.split_at_checked(length).ok_or(SealError::Form)?;
        let (s, rest) = rest.split_first_chunk::<32>().ok_or(SealError::Form)?;
        let (c, ciphertext) = rest.split_first_chunk::<32>().ok_or(SealError::Form)?;
        let mut reader = Reader::new(header, DOMAIN)?;
        let suite = reader.u8()?;
        let found = Purpose::from_number(reader.u8()?);
        let cluster = ClusterId::from_bytes(reader.fixed()?);
        let incarnation = Incarnation::from_bytes(reader.fixed()?);
        let version = reader.u32()?;
        let fields = reader.bytes()?.to_vec();
        reader.finish()?;
        let ours = suite == SUITE_HMAC_SHA_512_AES_256_GCM
            && found == Some(purpose)
            && cluster == self.cluster
            && incarnation == self.incarnation;
        let keys = self.keys(purpose, version).filter(|_| ours);
        let (key, _) = keys.ok_or(SealError::Foreign)?;
        let (k, commitment) = seal_key(key, s, header, binding);
        if !constant_time_eq(commitment.as_ref(), c) {
            return Err(SealError::Damaged);
        }
        let plaintext = aes::open_gcm_once(k.expose(), header, ciphertext)
            .map_err(|_error: casemate_crypto::Error| SealError::Damaged)?;
        Ok(Opened { fields, plaintext })
    }
}

/// Returns where the fields stand in a sealed thing, without opening it: authentic only once it was opened.
///
/// # Errors
/// [`CanonicalError`] if it is not a sealed thing.
pub(crate) fn fields_of(sealed: &[u8]) -> Result<Range<usize>, CanonicalError> {
    // Length of the header, the domain with its length, suite, purpose, cluster, incarnation, version, and the fields' own length.
    const BEFORE: usize = 4 + 4 + DOMAIN.len() + 1 + 1 + 10 + 16 + 4 + 4;
    let (length, rest) = sealed.split_first_chunk::<4>().ok_or(CanonicalError::Truncated)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    let header = rest.get(..length).ok_or(CanonicalError::Truncated)?;
    Reader::new(header, DOMAIN)?;
    let end =
        length.checked_add(4).filter(|end| *end >= BEFORE).ok_or(CanonicalError::Truncated)?;
    Ok(BEFORE..end)
}

fn first_32(bytes: &[u8]) -> [u8; 32] {
    let mut first = [0; 32];
    first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    first
}

/// Makes what a seal's key is derived from: other content gives another value even if the random bytes repeat.
fn hedged(hedge: &Secret, header: &[u8], fresh: &[u8; 32], plaintext: &[u8]) -> [u8; 32] {
    first_32(hmac::sign(Hash::Sha512, hedge.expose(), &[header, fresh, plaintext]).as_ref())
}

/// Derives the key of one seal, and its commitment.
fn seal_key(key: &PurposeKey, s: &[u8; 32], header: &[u8], binding: &[u8]) -> (Secret, [u8; 32]) {
    let header_digest = digest::sha256(&[header]);
    let context = [s.as_slice(), header_digest.as_slice(), binding].concat();
    let mut out = Zeroizing::new([0; 64]);
    kdf::counter_hmac(Hash::Sha512, key.0.expose(), KDF_LABEL, &context, out.as_mut());
    let (k, c) = out.split_at(32);
    (Secret::from_slice(k), first_32(c))
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests {
    use casemate_protocol::Role;
    use casemate_protocol::identity::{ClientInstance, Epoch, HsmId, LogInId, UserId};
    use strum::VariantArray as _;

    use super::*;
    use crate::entropy::Time;

    fn secrets(cluster: u8, incarnation: u8) -> Secrets {
        let cluster = ClusterId::from_bytes([cluster; 10]);
        let incarnation = Incarnation::from_bytes([incarnation; 16]);
        let own = crate::secrets::Own::generate().unwrap();
        Secrets::generate(cluster, incarnation, HsmId::from_bytes([3; 10]), own)
    }

    /// The same keys under another name.
    fn renamed(secrets: &Secrets, cluster: u8, incarnation: u8) -> Keyring {
        let cluster = ClusterId::from_bytes([cluster; 10]);
        let incarnation = Incarnation::from_bytes([incarnation; 16]);
        Keyring { cluster, incarnation, ..Keyring::new(secrets) }
    }

    fn log_in(id: u8, secret: u8) -> LogIn {
        LogIn {
            id: LogInId::from_bytes([id; 16]),
            user: UserId::from_bytes([1; 16]),
            role: Role::CryptoUser,
            epoch: Epoch(1),
            client: ClientInstance::from_bytes([2; 16]),
            certificate: None,
            secret: Secret::from_slice(&[secret; 32]),
            expires: Time(0),
        }
    }

    /// The length of the header at the front of a seal, with the length field itself.
    fn header_end(sealed: &[u8]) -> usize {
        4 + usize::try_from(u32::from_be_bytes(sealed[..4].try_into().unwrap())).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_alone() {
        let keyring = Keyring::new(&secrets(1, 2));
        for &purpose in Purpose::VARIANTS {
            let sealed = keyring.seal(purpose, b"fields", b"plaintext");
            assert_eq!(sealed.len(), header_end(&sealed) - 4 + OVERHEAD_BYTES + b"plaintext".len());
            let opened = keyring.open(purpose, &sealed).unwrap();
            assert_eq!(
                (&opened.fields[..], opened.plaintext.expose()),
                (&b"fields"[..], &b"plaintext"[..])
            );
            assert_eq!(&sealed[fields_of(&sealed).unwrap()], b"fields");
            for &other in Purpose::VARIANTS.iter().filter(|other| **other != purpose) {
                assert_eq!(keyring.open(other, &sealed).err(), Some(SealError::Foreign));
                // The same with a header that lies about its home.
                let mut lying = sealed.clone();
                lying[4 + 4 + DOMAIN.len() + 1] = other as u8;
                let version = lying.len() - OVERHEAD_BYTES - b"plaintext".len();
                let version = version + 4 - b"fields".len() - 4 - 4;
                let its = if other.of_incarnation() { 0 } else { keyring.masking_version() };
                lying[version..version + 4].copy_from_slice(&its.to_be_bytes());
                assert_eq!(
                    keyring.open(other, &lying).err(),
                    Some(SealError::Damaged),
                    "{purpose:?} as {other:?}"
                );
            }
        }
    }

    /// Every byte: each field of the header, s, c, IV, ciphertext and tag.
    #[test]
    fn no_byte_of_a_seal_can_be_changed() {
        let keyring = Keyring::new(&secrets(1, 2));
        for &purpose in Purpose::VARIANTS {
            let sealed = keyring.seal(purpose, b"fields", b"plaintext");
            for at in 0..sealed.len() {
                let mut forged = sealed.clone();
                forged[at] ^= 1;
                assert!(keyring.open(purpose, &forged).is_err(), "{purpose:?}, byte {at}");
                assert!(keyring.open(purpose, &sealed[..at]).is_err(), "{purpose:?}, cut at {at}");
            }
        }
    }

    #[test]
    fn a_seal_belongs_to_one_cluster_one_incarnation_and_one_masking_key() {
        let (secrets, others) = (secrets(1, 2), secrets(1, 2));
        let keyring = Keyring::new(&secrets);
        for &purpose in Purpose::VARIANTS {
            let sealed = keyring.seal(purpose, b"fields", b"plaintext");
            for other in [renamed(&secrets, 9, 2), renamed(&secrets, 1, 9)] {
                assert_eq!(other.open(purpose, &sealed).err(), Some(SealError::Foreign));
            }
            let same_names = Keyring::new(&others);
            assert_eq!(same_names.open(purpose, &sealed).err(), Some(SealError::Damaged));
            let next = secrets.with_new_masking_key();
            assert!(Keyring::new(&next).open(purpose, &sealed).is_ok());
            let without = Keyring::new(&next.without_masking_keys_before(2));
            assert_eq!(without.open(purpose, &sealed).is_ok(), purpose.of_incarnation());
        }
    }

    #[test]
    fn a_session_key_opens_under_its_log_in_and_its_secret_alone() {
        let keyring = Keyring::new(&secrets(1, 2));
        let sealed = keyring.seal_session(&log_in(1, 1), b"fields", b"plaintext");
        assert!(keyring.open_session(&log_in(1, 1), &sealed).is_ok());
        for other in [log_in(2, 1), log_in(1, 2)] {
            assert_eq!(keyring.open_session(&other, &sealed).err(), Some(SealError::Damaged));
        }
        assert_eq!(keyring.open(Purpose::Session, &sealed).err(), Some(SealError::Damaged));
    }

    /// A cloned machine draws the same random bytes twice. Seals of different content then still share neither s nor k nor c.
    #[test]
    fn random_bytes_that_repeat_do_no_harm() {
        let keyring = Keyring::new(&secrets(1, 2));
        let (key, hedge) = keyring.keys(Purpose::Token, 1).unwrap();
        let repeated = [5; 32];
        let seal = |header: &[u8], plaintext: &[u8]| {
            let s = hedged(hedge, header, &repeated, plaintext);
            let (k, c) = seal_key(key, &s, header, &[]);
            [s, k.expose().try_into().unwrap(), c]
        };
        let first = seal(b"header", b"plaintext");
        for other in
            [seal(b"header", b"plaintexu"), seal(b"headex", b"plaintext"), seal(b"header", b"")]
        {
            for (one, two) in first.iter().zip(&other) {
                assert_ne!(one, two);
            }
        }
        assert_eq!(first, seal(b"header", b"plaintext"), "identical content may repeat");
    }

    /// The commitment is compared: a seal whose c is another's is refused although its key, IV and tag are right.
    #[test]
    fn a_seal_commits_to_its_key() {
        let keyring = Keyring::new(&secrets(1, 2));
        let (one, two) =
            (keyring.seal(Purpose::Token, b"f", b"1"), keyring.seal(Purpose::Token, b"f", b"2"));
        let c = header_end(&one) + 32..header_end(&one) + 64;
        let mut forged = one.clone();
        forged[c.clone()].copy_from_slice(&two[c]);
        assert_eq!(keyring.open(Purpose::Token, &forged).err(), Some(SealError::Damaged));
        assert!(keyring.open(Purpose::Token, &one).is_ok());
    }
}
