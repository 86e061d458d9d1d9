//! A quote of this machine's TPM, for a cluster that lets in attested machines alone.
//!
//! One command (`TPM2_Quote`; TPM 2.0 Library, Part 3, 18.4) over the kernel's resource manager, or a socket of swtpm: the libraries
//! for all of TPM 2.0 are larger than this daemon. The operator made the attestation key once, under a fixed handle, and
//! the customer's authority certified it (docs/operate/attested.md).

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use casemate_protocol::messages::{Challenge, Evidence};
use casemate_protocol::tpm::{ECDSA, Reader, SHA256};

use crate::configuration::Attestation;

/// `TPM_ST_SESSIONS`.
const SESSIONS: [u8; 2] = 0x8002_u16.to_be_bytes();
/// `TPM_CC_Quote`.
const QUOTE: [u8; 4] = 0x0158_u32.to_be_bytes();
/// `TPM_RS_PW` with an empty password: `TPMS_AUTH_COMMAND`, behind its length.
const EMPTY_PASSWORD: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
/// `TPM_ALG_NULL`: the key's own scheme.
const OWN_SCHEME: [u8; 2] = 0x0010_u16.to_be_bytes();
/// Bytes of the longest answer that makes sense.
const ANSWER_BYTES_MAX: usize = 4_096;
const HEADER_BYTES: usize = 10;
/// `TPM_RC_YIELDED`, `TPM_RC_TESTING`, `TPM_RC_RETRY`: the same command again is answered.
const LATER: [u32; 3] = [0x908, 0x90a, 0x922];
const TRIES_MAX: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no quote.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TpmError {
    #[error("the TPM {path} cannot be used: {source}")]
    Device { path: String, source: io::Error },
    #[error("the certificate of the attestation key {path} cannot be read: {source}")]
    Certificate { path: String, source: io::Error },
    #[error("the TPM does not answer: {0}")]
    Io(#[from] io::Error),
    #[error(
        "the TPM refuses a quote with code {0:#x}: is there an attestation key without a password under `attestation.key`?"
    )]
    Refused(u32),
    #[error(
        "the TPM's answer makes no sense: the attestation key must be of P-256, for ECDSA with SHA-256"
    )]
    Form,
}

trait Channel: Read + Write + Send {}
impl<T: Read + Write + Send> Channel for T {}

/// The TPM of this machine, open.
pub(crate) struct Tpm {
    channel: Box<dyn Channel>,
    key: u32,
    certificate: String,
}

impl Tpm {
    /// Opens it: before the sandbox, which refuses to.
    pub(crate) fn open(configured: &Attestation) -> Result<Self, TpmError> {
        let path = configured.tpm.display().to_string();
        let is_socket = |found: &std::fs::Metadata| found.file_type().is_socket();
        let opened: io::Result<Box<dyn Channel>> = match std::fs::metadata(&configured.tpm) {
            Ok(found) if is_socket(&found) => UnixStream::connect(&configured.tpm).and_then(|it| {
                it.set_read_timeout(Some(PATIENCE))?;
                Ok(Box::new(it) as Box<dyn Channel>)
            }),
            Ok(_) => {
                let opened = OpenOptions::new().read(true).write(true).open(&configured.tpm);
                opened.map(|device| Box::new(device) as Box<dyn Channel>)
            }
            Err(error) => Err(error),
        };
        let channel = opened.map_err(|source| TpmError::Device { path, source })?;
        let certificate = std::fs::read_to_string(&configured.certificate).map_err(|source| {
            let path = configured.certificate.display().to_string();
            TpmError::Certificate { path, source }
        })?;
        Ok(Self { channel, key: configured.key, certificate })
    }

    /// Quotes the registers, bound to these bytes.
    pub(crate) fn quote(
        &mut self,
        challenge: &Challenge,
        bound: [u8; 32],
    ) -> Result<Evidence, TpmError> {
        let command = command(self.key, &challenge.registers, bound);
        let mut tries = 0;
        let answer = loop {
            self.channel.write_all(&command)?;
            self.channel.flush()?;
            match self.answer() {
                Err(TpmError::Refused(code)) if LATER.contains(&code) && tries < TRIES_MAX => {
                    tries += 1;
                    std::thread::sleep(PAUSE);
                }
                answered => break answered?,
            }
        };
        let (quoted, signature) = read_answer(&answer).ok_or(TpmError::Form)?;
        let (nonce, certificate) = (challenge.nonce.clone(), self.certificate.clone());
        Ok(Evidence { nonce, quoted, signature, certificate })
    }

    /// Reads one answer: a device gives all of it at once, a socket in pieces.
    fn answer(&mut self) -> Result<Vec<u8>, TpmError> {
        let mut answer = vec![0; ANSWER_BYTES_MAX];
        let mut have = 0;
        loop {
            let read = self.channel.read(answer.get_mut(have..).unwrap_or_default())?;
            have = have.saturating_add(read);
            let mut rest = Reader::new(answer.get(..have).unwrap_or_default());
            let head = (rest.u16(), rest.u32(), rest.u32());
            let (Some(_), Some(length), Some(code)) = head else {
                if read == 0 {
                    return Err(TpmError::Form);
                }
                continue;
            };
            if code != 0 {
                return Err(TpmError::Refused(code));
            }
            match usize::try_from(length) {
                Ok(length) if length == have => {
                    answer.truncate(have);
                    return Ok(answer);
                }
                Ok(length) if read > 0 && length > have && length <= ANSWER_BYTES_MAX => {}
                _ => return Err(TpmError::Form),
            }
        }
    }
}

/// The command for a quote over registers of the SHA-256 bank.
fn command(key: u32, registers: &[u32], bound: [u8; 32]) -> Vec<u8> {
    // Three bytes of bits, as every PC client TPM has them: register 0 is bit 0 of the first.
    let selected = registers.iter().fold(0_u32, |all, index| all | 1_u32.wrapping_shl(*index));
    let [first, second, third, _] = selected.to_le_bytes();
    let body = [
        &key.to_be_bytes()[..],
        &EMPTY_PASSWORD,
        &[0, 32],
        &bound,
        &OWN_SCHEME,
        &[0, 0, 0, 1],
        &SHA256.to_be_bytes(),
        &[3, first, second, third],
    ]
    .concat();
    let length = u32::try_from(body.len().saturating_add(HEADER_BYTES)).unwrap_or(u32::MAX);
    [&SESSIONS[..], &length.to_be_bytes(), &QUOTE, &body].concat()
}

/// Returns what was signed, and the signature as DER.
fn read_answer(answer: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let rest = &mut Reader::new(answer.get(HEADER_BYTES..)?);
    let _length = rest.u32()?;
    let quoted = rest.sized()?.to_vec();
    (rest.u16()? == ECDSA && rest.u16()? == SHA256).then_some(())?;
    let (r, s) = (rest.sized()?, rest.sized()?);
    let signature = casemate_crypto::ec::der_signature(r, s)?;
    Some((quoted, signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registers_are_bits() {
        let bits = |registers: &[u32]| {
            let command = command(0x8101_0002, registers, [7; 32]);
            assert_eq!(command[2..6], u32::try_from(command.len()).unwrap().to_be_bytes());
            command[command.len() - 3..].to_vec()
        };
        assert_eq!(bits(&[0, 7]), [0b1000_0001, 0, 0]);
        assert_eq!(bits(&[8, 23]), [0, 1, 0b1000_0000]);
    }

    fn answer(signature: &[u8]) -> Vec<u8> {
        let mut out = vec![0; HEADER_BYTES];
        out.extend([0, 0, 0, 0, 0, 3, 1, 2, 3]);
        out.extend(signature);
        out
    }

    #[test]
    fn an_answer_that_is_cut_or_of_another_algorithm_is_none() {
        let signature =
            [&ECDSA.to_be_bytes()[..], &SHA256.to_be_bytes(), &[0, 2, 0x80, 1, 0, 1, 5]].concat();
        let whole = answer(&signature);
        let (quoted, der) = read_answer(&whole).unwrap();
        assert_eq!(quoted, [1, 2, 3]);
        assert_eq!(der, [0x30, 8, 2, 3, 0, 0x80, 1, 2, 1, 5]);
        for length in 0..whole.len() {
            assert!(read_answer(&whole[..length]).is_none(), "{length}");
        }
        // RSASSA.
        assert!(read_answer(&answer(&[0, 0x14, 0, 0x0b, 0, 1, 1, 0, 1, 1])).is_none());
    }
}
