//! Modules that are let in by what their machine's TPM says: the TPM here is this file, so that it can lie in every way.

use casemate_crypto::{Hash, digest, ec};
use casemate_hsm::{Joiner, Notice, limits};
use casemate_protocol::messages::{
    Answer, Ask, Challenge, ChangeSettings, Empty, Evidence, JoinPolicy, JoinRequest, Joining,
    Measurements, Register, Registers,
};
use casemate_protocol::{Error, Role, statements};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::one_hsm::{Connection, Hsm, describe, expect_done, expect_error};

const REGISTERS: [u32; 3] = [0, 7, 14];

/// An authority for attestation keys.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { params, key, der }
    }
}

/// A machine: its TPM's attestation key, and what its registers hold.
struct Machine {
    key: ec::PrivateKey,
    certificate: String,
    registers: Vec<[u8; 32]>,
}

/// What a quote says, each part of which can be made wrong.
struct Quoted {
    magic: u32,
    kind: u16,
    bound: Vec<u8>,
    bank: u16,
    selected: [u8; 3],
    registers_sha256: [u8; 32],
}

impl Quoted {
    fn bytes(&self) -> Vec<u8> {
        let mut out = self.magic.to_be_bytes().to_vec();
        out.extend(self.kind.to_be_bytes());
        out.extend([0, 1, 9]);
        out.extend(u16::try_from(self.bound.len()).unwrap().to_be_bytes());
        out.extend(&self.bound);
        out.extend([0; 25]);
        out.extend([0, 0, 0, 1]);
        out.extend(self.bank.to_be_bytes());
        out.push(3);
        out.extend(self.selected);
        out.extend([0, 32]);
        out.extend(self.registers_sha256);
        out
    }
}

impl Machine {
    fn new(authority: &Authority) -> Self {
        let own = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "attestation key");
        let issuer = Issuer::from_params(&authority.params, &authority.key);
        let certificate = params.signed_by(&own, &issuer).unwrap().pem();
        let key = ec::PrivateKey::from_pkcs8(&own.serialize_der()).unwrap();
        Self { key, certificate, registers: vec![[1; 32], [2; 32], [3; 32]] }
    }

    fn quoted(&self, request: &JoinRequest, nonce: &[u8]) -> Quoted {
        let registers: Vec<&[u8]> = self.registers.iter().map(<[u8; 32]>::as_slice).collect();
        Quoted {
            magic: 0xff54_4347,
            kind: 0x8018,
            bound: digest::sha256(&[&statements::attestation(request, nonce)]).to_vec(),
            bank: 0x000b,
            selected: [0b1000_0001, 0b0100_0000, 0],
            registers_sha256: digest::sha256(&registers),
        }
    }

    fn evidence(&self, quoted: &Quoted, nonce: &[u8]) -> Evidence {
        let quoted = quoted.bytes();
        let signature = self.key.sign_der(Hash::Sha256, &quoted).unwrap();
        let certificate = self.certificate.clone();
        Evidence { nonce: nonce.to_vec(), quoted, signature, certificate }
    }
}

struct Scene {
    hsm: Hsm,
    admin: Connection,
    authority: Authority,
    machine: Machine,
    joiner: Joiner,
}

fn measured(machines: &[&Machine]) -> Vec<Registers> {
    let register = |(index, value): (u32, &[u8; 32])| Register { index, value: value.to_vec() };
    let of = |machine: &&Machine| Registers {
        registers: REGISTERS.into_iter().zip(&machine.registers).map(register).collect(),
    };
    machines.iter().map(of).collect()
}

fn change(authority: &Authority, good: Vec<Registers>) -> Ask {
    let measurements = Some(Measurements { authority: authority.der.clone(), good });
    let join_policy = Some(JoinPolicy::Attested as u32);
    Ask::ChangeSettings(ChangeSettings { join_policy, measurements })
}

impl Scene {
    /// A cluster that lets in machines as this one is.
    fn new() -> Self {
        let mut hsm = Hsm::active();
        let mut admin = hsm.log_in("admin", Role::Admin);
        let authority = Authority::new("attestation authority");
        let machine = Machine::new(&authority);
        let set = admin.ask(&mut hsm, change(&authority, measured(&[&machine])));
        assert!(matches!(set, Answer::Settings(_)), "{}", describe(&set));
        let joiner = hsm.newcomer(2);
        Self { hsm, admin, authority, machine, joiner }
    }

    fn challenge(&self) -> Challenge {
        match self.hsm.consider(&self.request()).answer.joining {
            Some(Joining::Challenge(challenge)) => challenge,
            _ => panic!("not challenged"),
        }
    }

    fn request(&self) -> JoinRequest {
        self.joiner.request().unwrap()
    }

    /// Shows what `machine` quotes, after somebody changed it.
    fn show(&mut self, machine: &Machine, lie: impl FnOnce(&mut Quoted)) -> Option<Error> {
        let (request, nonce) = (self.request(), self.challenge().nonce);
        let mut quoted = machine.quoted(&request, &nonce);
        lie(&mut quoted);
        let evidence = Some(machine.evidence(&quoted, &nonce));
        self.ask(JoinRequest { evidence, ..request })
    }

    /// Asks, and commits what the cluster proposes.
    fn ask(&mut self, request: JoinRequest) -> Option<Error> {
        let considered = self.hsm.consider(&request);
        if let Some(proposal) = considered.proposal {
            expect_done(self.hsm.commit_proposal(proposal).reply.answer.unwrap());
            return None;
        }
        match considered.answer.joining {
            Some(Joining::Refused(error)) => Some(error.into()),
            _ => Some(Error::NotReady(0)),
        }
    }
}

#[test]
fn a_machine_that_shows_what_it_runs_is_let_in() {
    let mut scene = Scene::new();
    assert_eq!(scene.challenge().registers, REGISTERS);
    let machine = std::mem::replace(&mut scene.machine, Machine::new(&scene.authority));
    assert_eq!(scene.show(&machine, |_| ()), None);
    let mut second = scene.hsm.second(&scene.joiner);
    assert_eq!(second.state_hash(), scene.hsm.state_hash());
    // The list survives a snapshot.
    let mut again = scene.hsm.restart(true);
    assert_eq!(again.state_hash(), scene.hsm.state_hash());
}

type Lie = fn(&mut Quoted);

#[test]
fn every_lie_of_a_machine_is_refused() {
    let mut scene = Scene::new();
    let good = Machine::new(&scene.authority);
    let lies: [(&str, Lie); 7] = [
        ("not made by a TPM", |quoted| quoted.magic ^= 1),
        ("no quote", |quoted| quoted.kind = 0x8017),
        ("of another module", |quoted| quoted.bound = vec![7; 32]),
        ("of nothing", |quoted| quoted.bound.clear()),
        ("another bank", |quoted| quoted.bank = 0x0004),
        ("fewer registers", |quoted| quoted.selected = [1, 0, 0]),
        ("other values", |quoted| quoted.registers_sha256[0] ^= 1),
    ];
    for (name, lie) in lies {
        assert_eq!(scene.show(&good, lie), Some(Error::EvidenceRefused), "{name}");
    }
    let other = Authority::new("attestation authority");
    let foreign = Machine::new(&other);
    assert_eq!(scene.show(&foreign, |_| ()), Some(Error::EvidenceRefused), "another authority");
    let mut changed = Machine::new(&scene.authority);
    changed.registers[1] = [9; 32];
    assert_eq!(scene.show(&changed, |_| ()), Some(Error::EvidenceRefused), "one wrong register");
    let swapped = Machine { key: ec::PrivateKey::generate(ec::Curve::P256).unwrap(), ..good };
    assert_eq!(scene.show(&swapped, |_| ()), Some(Error::EvidenceRefused), "another key");
    assert_eq!(scene.hsm.reader.members().len(), 1);
}

/// A quote of yesterday shows what the machine ran yesterday.
#[test]
fn a_quote_over_another_nonce_or_an_old_one_is_asked_for_again() {
    let mut scene = Scene::new();
    let machine = Machine::new(&scene.authority);
    let (request, nonce) = (scene.request(), scene.challenge().nonce);
    let of = |nonce: &[u8]| {
        let evidence = Some(machine.evidence(&machine.quoted(&request, nonce), nonce));
        JoinRequest { evidence, ..request.clone() }
    };
    let (own, right) = (of(&[5; 32]), of(&nonce));
    assert_eq!(scene.ask(own), Some(Error::NotReady(0)));
    scene.hsm.now = scene.hsm.now.after_ms(limits::NONCE_MS + 1);
    assert_ne!(scene.challenge().nonce, nonce);
    assert_eq!(scene.ask(right), Some(Error::NotReady(0)));
    assert_eq!(scene.hsm.reader.members().len(), 1);
    // The control.
    assert_eq!(scene.show(&machine, |_| ()), None);
}

/// The evidence is bound to the keys: who copies a good machine's quote gets nothing for his own.
#[test]
fn the_quote_of_another_module_lets_nobody_in() {
    let mut scene = Scene::new();
    let machine = Machine::new(&scene.authority);
    let (good, nonce) = (scene.request(), scene.challenge().nonce);
    let evidence = Some(machine.evidence(&machine.quoted(&good, &nonce), &nonce));
    scene.joiner = scene.hsm.newcomer(3);
    let own = scene.challenge().nonce;
    assert_ne!(own, nonce);
    let thief = JoinRequest { evidence: evidence.clone(), ..scene.request() };
    assert_eq!(scene.ask(thief), Some(Error::NotReady(0)));
    let evidence = evidence.map(|evidence| Evidence { nonce: own, ..evidence });
    let thief = JoinRequest { evidence, ..scene.request() };
    assert_eq!(scene.ask(thief), Some(Error::EvidenceRefused));
}

/// Whoever reaches the port may try as often as he likes: the one who runs the HSM is told once.
#[test]
fn a_machine_that_is_refused_again_and_again_is_told_of_once() {
    let mut scene = Scene::new();
    let mut changed = Machine::new(&scene.authority);
    changed.registers[1] = [9; 32];
    let mut notices = Vec::new();
    for _ in 0..3 {
        let (request, nonce) = (scene.request(), scene.challenge().nonce);
        let evidence = Some(changed.evidence(&changed.quoted(&request, &nonce), &nonce));
        let considered = scene.hsm.consider(&JoinRequest { evidence, ..request });
        assert!(considered.proposal.is_none());
        notices.push(considered.notice);
        scene.hsm.now = scene.hsm.now.after_ms(limits::JOINING_MS / 2);
    }
    assert_eq!(notices, [Some(Notice::EvidenceRefused), None, None]);
}

/// What is kept and replicated of strangers is bounded, whatever the policy.
#[test]
fn evidence_longer_than_any_tpms_is_refused_unread() {
    let mut hsm = Hsm::active();
    let mut admin = hsm.log_in("admin", Role::Admin);
    let request = hsm.newcomer(2).request().unwrap();
    let evidence = Evidence { nonce: vec![1; 32], ..Evidence::default() };
    let huge = [
        Evidence { nonce: vec![1; 33], ..Evidence::default() },
        Evidence { quoted: vec![1; 2_049], ..evidence.clone() },
        Evidence { signature: vec![1; 145], ..evidence.clone() },
        Evidence { certificate: "1".repeat(8_193), ..evidence.clone() },
    ];
    for evidence in huge {
        let request = JoinRequest { evidence: Some(evidence), ..request.clone() };
        let Some(Joining::Refused(error)) = hsm.consider(&request).answer.joining else { panic!() };
        assert_eq!(Error::from(error), Error::JoinInvalid);
        let admission = hsm.admission(&request, 60);
        expect_error(admin.ask(&mut hsm, Ask::AddHsm(admission)), Error::JoinInvalid);
    }
    // The control; and what is shown to an admin is without it.
    let request = JoinRequest { evidence: Some(evidence), ..request };
    assert_eq!(hsm.consider(&request).notice, Some(Notice::Waits));
    let Answer::JoinRequests(list) = admin.ask(&mut hsm, Ask::ListJoining(Empty {})) else {
        panic!()
    };
    assert_eq!(list.requests, [JoinRequest { evidence: None, ..request }]);
}

/// A full list of those who wait has no room for a nonce: the module waits, too.
#[test]
fn whoever_finds_no_room_is_not_challenged() {
    let scene = Scene::new();
    for number in 0..limits::JOINING_MAX {
        let number = 3 + u8::try_from(number).unwrap();
        let request = scene.hsm.newcomer(number).request().unwrap();
        assert!(matches!(scene.hsm.consider(&request).answer.joining, Some(Joining::Challenge(_))));
    }
    let considered = scene.hsm.consider(&scene.request());
    assert!(matches!(considered.answer.joining, Some(Joining::Pending(_))));
}

/// An admin's word alone is not enough where machines are to show what they run.
#[test]
fn an_admission_that_is_signed_and_not_attested_is_refused() {
    let mut scene = Scene::new();
    let admission = scene.hsm.admission(&scene.request(), 60);
    let answer = scene.admin.ask(&mut scene.hsm, Ask::AddHsm(admission));
    expect_error(answer, Error::EvidenceRefused);
}

#[test]
fn lists_of_machines_that_make_no_sense_are_refused() {
    let mut scene = Scene::new();
    let machine = Machine::new(&scene.authority);
    let right = measured(&[&machine]);
    let with = |change: fn(&mut Vec<Registers>)| {
        let mut good = right.clone();
        change(&mut good);
        good
    };
    let wrong = [
        ("none", Vec::new()),
        ("no register", with(|good| good[0].registers.clear())),
        ("no such register", with(|good| good[0].registers[2].index = 24)),
        ("out of order", with(|good| good[0].registers.swap(0, 1))),
        ("twice", with(|good| good[0].registers[1].index = 0)),
        ("too short", with(|good| good[0].registers[1].value.truncate(20))),
        ("others in the second", {
            let mut good = measured(&[&machine, &machine]);
            good[1].registers.truncate(2);
            good
        }),
        ("too many", measured(&[&machine; 17])),
    ];
    for (name, good) in wrong {
        let answer = scene.admin.ask(&mut scene.hsm, change(&scene.authority, good));
        assert!(matches!(&answer, Answer::Error(_)), "{name}: {}", describe(&answer));
        expect_error(answer, Error::SettingInvalid);
    }
    let no_authority = Authority { der: vec![1, 2, 3], ..Authority::new("x") };
    let answer = scene.admin.ask(&mut scene.hsm, change(&no_authority, right));
    expect_error(answer, Error::SettingInvalid);
    // Without a list there is nothing to attest.
    let mut hsm = Hsm::active();
    let mut admin = hsm.log_in("admin", Role::Admin);
    let alone = ChangeSettings {
        join_policy: Some(JoinPolicy::Attested as u32),
        ..ChangeSettings::default()
    };
    expect_error(admin.ask(&mut hsm, Ask::ChangeSettings(alone)), Error::SettingInvalid);
}
