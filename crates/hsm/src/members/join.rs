//! A module that joins: what it asks, what it is answered, and what it makes of the secrets that it gets.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use casemate_crypto::{Hash, Secret, digest, ec, hybrid};
use casemate_protocol::canonical::{CanonicalError, Reader as CanonicalReader, Writer};
use casemate_protocol::identity::{ClusterId, HsmId, Incarnation};
use casemate_protocol::messages::{
    AddHsm, Challenge, Empty, Handover, JoinAnswer, JoinPolicy, JoinRequest, Joining, Lifecycle,
};
use casemate_protocol::{Error, statements};
use prost::Message as _;

use super::{MemberAddress, MemberChange};
use crate::StartError;
use crate::attestation::{self, NONCE_BYTES};
use crate::command::Change;
use crate::entropy::{Entropy, Time, draw};
use crate::lifecycle::ThisHsm;
use crate::limits;
use crate::outcome::Proposal;
use crate::reader::Reader;
use crate::secrets::{Own, Secrets};

const DOMAIN: &str = "casemate/joiner/v1";
const HANDOVER_DOMAIN: &str = "casemate/handed-over/v1";
/// Bytes of an address, a zone or a version.
const TEXT_BYTES_MAX: usize = 64;

/// Returns which HSM a request is of.
///
/// # Errors
/// [`Error::JoinInvalid`].
pub(crate) fn hsm_of(request: &JoinRequest) -> Result<HsmId, Error> {
    let id = request.hsm.as_slice().try_into();
    id.map(HsmId::from_bytes)
        .map_err(|_error: std::array::TryFromSliceError| Error::JoinInvalid)
}

/// Checks what a module says of itself: it makes sense, and its identity key signed it.
///
/// # Errors
/// [`Error::JoinInvalid`].
pub(crate) fn check_request(request: &JoinRequest) -> Result<(), Error> {
    hsm_of(request)?;
    let texts = [&request.address, &request.peer_address, &request.zone, &request.version];
    let printable = |text: &&String| {
        !text.is_empty()
            && text.len() <= TEXT_BYTES_MAX
            && text.bytes().all(|b| b.is_ascii_graphic())
    };
    let is_address = |text: &str| text.parse::<std::net::SocketAddr>().is_ok();
    let sense = texts.iter().all(printable)
        && is_address(&request.address)
        && is_address(&request.peer_address)
        && is_identity_key(&request.identity)
        && request.evidence.as_ref().is_none_or(attestation::is_bounded)
        // What nothing can be sealed by is none.
        && hybrid::seal(&request.receiving_key, &[], &[]).is_ok();
    if !sense {
        return Err(Error::JoinInvalid);
    }
    let statement = statements::join(request);
    casemate_crypto::verify_spki(&request.identity, Hash::Sha256, &statement, &request.signature)
        .map_err(|_error: casemate_crypto::Error| Error::JoinInvalid)
}

/// Whether it is a P-256 key, in the one way to write it: two keys that are written in two ways would be one.
fn is_identity_key(spki: &[u8]) -> bool {
    let key = ec::PublicKey::from_spki(spki);
    key.is_ok_and(|key| {
        key.curve() == ec::Curve::P256 && key.to_spki().is_ok_and(|own| own == spki)
    })
}

/// Reads a request that lies in a command or a state.
///
/// # Errors
/// [`CanonicalError::Value`].
pub(crate) fn read_request(bytes: &[u8]) -> Result<JoinRequest, CanonicalError> {
    JoinRequest::decode(bytes).map_err(|_error: prost::DecodeError| CanonicalError::Value)
}

/// What became of a request to join.
pub struct Considered {
    /// What the module is told.
    pub answer: JoinAnswer,
    /// What the one who runs this HSM is told, once for each module.
    pub notice: Option<Notice>,
    /// What is to be proposed, where the join policy lets the module in: it asks again, and is answered then.
    pub proposal: Option<Proposal>,
}

/// What is told of a module that is no member yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It waits from now on.
    Waits,
    /// Its machine showed what is not allowed.
    EvidenceRefused,
}

/// Modules that asked, in the memory of one HSM; bounded, for whoever reaches the port may ask. Each stands under the identity that it
/// proved, for anybody may claim an id.
#[derive(Default)]
pub(crate) struct Pending(Mutex<BTreeMap<[u8; 32], Waiting>>);

struct Waiting {
    request: JoinRequest,
    asked: Time,
    /// What a quote must hold, and since when.
    nonce: ([u8; NONCE_BYTES], Time),
    /// Whether its machine showed what is not allowed.
    refused: bool,
}

impl Waiting {
    /// Returns what its quote must hold, unless it was told long ago.
    fn fresh_nonce(&self, now: Time) -> Option<[u8; NONCE_BYTES]> {
        let (nonce, drawn) = self.nonce;
        (now.ms_since(drawn) <= limits::NONCE_MS).then_some(nonce)
    }
}

impl Pending {
    /// Returns those that still ask.
    pub(crate) fn list(&self, now: Time) -> Vec<JoinRequest> {
        self.awake(now).values().map(|waiting| waiting.request.clone()).collect()
    }

    /// Keeps one, if there is room; returns whether it is new here, and what its quote must hold from now on.
    fn keep(
        &self,
        identity: [u8; 32],
        request: JoinRequest,
        now: Time,
        entropy: &dyn Entropy,
    ) -> Option<(bool, [u8; NONCE_BYTES])> {
        let mut pending = self.awake(now);
        let known = pending.get(&identity);
        if known.is_none() && pending.len() >= limits::JOINING_MAX {
            return None;
        }
        let first = known.is_none();
        let drawn = known.and_then(|waiting| waiting.fresh_nonce(now).map(|_| waiting.nonce));
        let nonce = drawn.unwrap_or_else(|| (draw(entropy), now));
        let refused = known.is_some_and(|waiting| waiting.refused);
        // What it showed was for the nonce before.
        let request = JoinRequest { evidence: None, ..request };
        pending.insert(identity, Waiting { request, asked: now, nonce, refused });
        Some((first, nonce.0))
    }

    /// Notes that a machine showed what is not allowed; returns whether it is the first time.
    fn refuse(&self, identity: &[u8; 32]) -> bool {
        let mut pending = self.lock();
        pending.get_mut(identity).is_some_and(|it| !std::mem::replace(&mut it.refused, true))
    }

    /// Whether a request shows evidence for the nonce that the module was told.
    fn expects(&self, identity: &[u8; 32], request: &JoinRequest, now: Time) -> bool {
        let pending = self.awake(now);
        let told = pending.get(identity).and_then(|waiting| waiting.fresh_nonce(now));
        let shown = request.evidence.as_ref().map(|evidence| evidence.nonce.as_slice());
        shown.is_some() && shown == told.as_ref().map(<[u8; NONCE_BYTES]>::as_slice)
    }

    fn forget(&self, identity: &[u8; 32]) {
        self.lock().remove(identity);
    }

    fn awake(&self, now: Time) -> MutexGuard<'_, BTreeMap<[u8; 32], Waiting>> {
        let mut pending = self.lock();
        pending.retain(|_, waiting| now.ms_since(waiting.asked) <= limits::JOINING_MS);
        pending
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[u8; 32], Waiting>> {
        // A panic elsewhere leaves whole requests behind: they are still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// Returns the members, for whoever carries messages to them.
    #[must_use]
    pub fn members(&self) -> Vec<MemberAddress> {
        self.state().members.iter().map(|hsm| hsm.address()).collect()
    }

    /// Answers a module that asks to join, or one that joined and asks for the secrets once more. `identity` is SHA-256 of the key that
    /// it showed on the connection.
    #[must_use]
    pub fn consider(&self, request: JoinRequest, identity: &[u8; 32], now: Time) -> Considered {
        self.decide(request, identity, now).unwrap_or_else(|error| {
            let showed = error == Error::EvidenceRefused && self.shared().joining.refuse(identity);
            Considered {
                answer: JoinAnswer { joining: Some(Joining::Refused(error.into())) },
                notice: showed.then_some(Notice::EvidenceRefused),
                proposal: None,
            }
        })
    }

    fn decide(
        &self,
        request: JoinRequest,
        identity: &[u8; 32],
        now: Time,
    ) -> Result<Considered, Error> {
        check_request(&request)?;
        if digest::sha256(&[&request.identity]) != *identity {
            return Err(Error::JoinInvalid);
        }
        let state = self.state();
        let pending = &self.shared().joining;
        let considered = |joining, first: bool, proposal| Considered {
            answer: JoinAnswer { joining: Some(joining) },
            notice: first.then_some(Notice::Waits),
            proposal,
        };
        if let Some(hsm) = state.members.iter().find(|hsm| hsm.is(&request)) {
            pending.forget(identity);
            let addresses: Vec<_> = state.members.iter().map(|hsm| hsm.address()).collect();
            let handover = self.hand_over(&request, hsm.node, &addresses)?;
            return Ok(considered(Joining::Handover(handover), false, None));
        }
        if !state.members.is_new(&request) {
            return Err(Error::HsmKnown);
        }
        let wait = Joining::Pending(Empty {});
        if self.lifecycle() != Some(Lifecycle::Active) {
            return Ok(considered(wait, false, None));
        }
        let settings = state.settings();
        let attested =
            settings.good_machines.filter(|_| settings.join_policy == JoinPolicy::Attested);
        let shown = attested.is_some() && pending.expects(identity, &request, now);
        if shown || settings.join_policy == JoinPolicy::Installation {
            let admission = AddHsm { request: Some(request), ..AddHsm::default() };
            let incarnation = self.shared().secrets().incarnation();
            let time = state.time.max(now);
            super::change::check_admission(&state, &admission, incarnation, time)?;
            let admit = Change::Member(MemberChange::Admit(Box::new(admission)));
            return Ok(considered(wait, false, Some(self.proposal_unasked(admit, now))));
        }
        let kept = pending.keep(*identity, request, now, self.entropy());
        let first = kept.is_some_and(|(first, _)| first);
        let joining = match (attested, kept) {
            (Some(good), Some((_, nonce))) => {
                let registers = good.registers();
                Joining::Challenge(Challenge { nonce: nonce.to_vec(), registers })
            }
            _ => wait,
        };
        Ok(considered(joining, first, None))
    }

    /// Proposes to say anew what the cluster has of this HSM, if its address, zone or version is another by now. To be asked for after
    /// each start, when the state is up to date.
    ///
    /// # Errors
    /// [`StartError::Cryptography`].
    pub fn update(&self, now: Time) -> Result<Option<Proposal>, StartError> {
        let said = request(self.this(), self.shared().secrets().own())?;
        let state = self.state();
        let known = state.members.iter().find(|hsm| hsm.is(&said));
        let changed = known.filter(|hsm| statements::join(&hsm.said) != statements::join(&said));
        Ok(changed.map(|_| {
            let update = Change::Member(MemberChange::Update(Box::new(said)));
            self.proposal_unasked(update, now)
        }))
    }

    fn hand_over(
        &self,
        request: &JoinRequest,
        node: u64,
        members: &[MemberAddress],
    ) -> Result<Handover, Error> {
        let secrets = self.shared().secrets();
        let (cluster, incarnation) = (secrets.cluster(), secrets.incarnation());
        let giver = self.this().id;
        let mut writer = Writer::new(HANDOVER_DOMAIN);
        writer.u64(node).bytes(secrets.given().expose());
        writer.u64(u64::try_from(members.len()).unwrap_or(u64::MAX));
        for member in members {
            let address = member.peer_address.as_bytes();
            writer.u64(member.node).bytes(address).fixed(&member.identity);
        }
        let plaintext = zeroize::Zeroizing::new(writer.finish());
        let context = statements::handover(cluster, incarnation, giver, request);
        let sealed = hybrid::seal(&request.receiving_key, &context, &plaintext)
            .map_err(|_error: casemate_crypto::Error| Error::JoinInvalid)?;
        Ok(Handover {
            cluster: cluster.as_bytes().to_vec(),
            incarnation: incarnation.as_bytes().to_vec(),
            giver: giver.as_bytes().to_vec(),
            sealed,
        })
    }
}

/// A module without a cluster: it has its own keys, and asks.
pub struct Joiner {
    this: ThisHsm,
    own: Own,
}

impl Joiner {
    /// Makes the keys of a new module.
    ///
    /// # Errors
    /// [`StartError::Cryptography`].
    pub fn new(this: ThisHsm) -> Result<Self, StartError> {
        Ok(Self { this, own: Own::generate()? })
    }

    /// Returns the form that the daemon seals and stores until the module has joined.
    #[must_use]
    pub fn export(&self) -> Secret {
        let mut writer = Writer::new(DOMAIN);
        writer.fixed(self.this.id.as_bytes());
        self.own.encode(&mut writer);
        Secret::from_vec(writer.finish())
    }

    /// Reads the stored form: the module that `this` says, but for its id.
    ///
    /// # Errors
    /// [`CanonicalError`] if it is damaged.
    pub fn import(bytes: &[u8], this: ThisHsm) -> Result<Self, CanonicalError> {
        let mut reader = CanonicalReader::new(bytes, DOMAIN)?;
        let id = HsmId::from_bytes(reader.fixed()?);
        let own = Own::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self { this: ThisHsm { id, ..this }, own })
    }

    /// Returns which HSM it is.
    #[must_use]
    pub const fn id(&self) -> HsmId {
        self.this.id
    }

    /// Returns its identity key, PKCS#8: for the connections to other HSMs.
    #[must_use]
    pub const fn identity(&self) -> &Secret {
        self.own.identity()
    }

    /// Makes its request.
    ///
    /// # Errors
    /// [`StartError::Cryptography`].
    pub fn request(&self) -> Result<JoinRequest, StartError> {
        request(&self.this, &self.own)
    }

    /// Makes its request, and what a quote must be bound to that answers a challenge.
    ///
    /// # Errors
    /// [`StartError::Cryptography`].
    pub fn challenged(&self, challenge: &Challenge) -> Result<(JoinRequest, [u8; 32]), StartError> {
        let request = self.request()?;
        let bound = digest::sha256(&[&statements::attestation(&request, &challenge.nonce)]);
        Ok((request, bound))
    }

    /// Opens what a member handed over; returns the secrets, and who the members are.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is not for this module, or damaged.
    pub fn take(&self, handover: &Handover) -> Result<(Secrets, Vec<MemberAddress>), Error> {
        self.read(handover).ok_or(Error::Malformed)
    }

    fn read(&self, handover: &Handover) -> Option<(Secrets, Vec<MemberAddress>)> {
        let cluster = ClusterId::from_bytes(handover.cluster.as_slice().try_into().ok()?);
        let incarnation = Incarnation::from_bytes(handover.incarnation.as_slice().try_into().ok()?);
        let giver = HsmId::from_bytes(handover.giver.as_slice().try_into().ok()?);
        let request = self.request().ok()?;
        let context = statements::handover(cluster, incarnation, giver, &request);
        let receiving = self.own.receiving_key().ok()?;
        let opened = receiving.open(&context, &handover.sealed).ok()?;
        let mut reader = CanonicalReader::new(opened.expose(), HANDOVER_DOMAIN).ok()?;
        let node = reader.u64().ok()?;
        let own = self.own.duplicate();
        let given = reader.bytes().ok()?;
        let secrets = Secrets::of_given((cluster, incarnation), (self.this.id, node), own, given);
        let mut members = Vec::new();
        for _ in 0..reader.u64().ok()? {
            members.push(MemberAddress {
                node: reader.u64().ok()?,
                peer_address: String::from_utf8(reader.bytes().ok()?.to_vec()).ok()?,
                identity: reader.fixed().ok()?,
            });
        }
        reader.finish().ok()?;
        Some((secrets.ok()?, members))
    }
}

/// What a module says of itself, signed.
pub(crate) fn request(this: &ThisHsm, own: &Own) -> Result<JoinRequest, StartError> {
    let identity = ec::PrivateKey::from_pkcs8(own.identity().expose())?;
    let mut request = JoinRequest {
        hsm: this.id.as_bytes().to_vec(),
        identity: identity.public_key()?.to_spki()?,
        receiving_key: own.receiving_key()?.public_key().to_vec(),
        address: this.address.clone(),
        peer_address: this.peer_address.clone(),
        zone: this.zone.clone(),
        version: this.version.clone(),
        signature: Vec::new(),
        evidence: None,
    };
    request.signature = identity.sign_der(Hash::Sha256, &statements::join(&request))?;
    Ok(request)
}
