//! What the client reads: hellos, replies, its configuration, and the chain of the other side.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use casemate_client::{Config, Trust, check_chain};
use casemate_protocol::Error;
use casemate_protocol::messages::{Answer, Lifecycle, Reply, ServerHello};
use prost::Message as _;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// Hellos and replies of an HSM: read without a fault; each error has a text, and goes back to the numbers it came from.
pub fn reply(input: &[u8]) {
    if let Ok(hello) = ServerHello::decode(input) {
        let known = Lifecycle::from_number(hello.lifecycle);
        assert!(known.is_none_or(|lifecycle| lifecycle as u32 == hello.lifecycle));
        if let Some(error) = hello.error {
            known_or_kept(error.into());
        }
    }
    let Ok(reply) = Reply::decode(bytes::Bytes::copy_from_slice(input)) else { return };
    match reply.answer {
        Some(Answer::Error(error)) => known_or_kept(error.into()),
        Some(Answer::Attributes(attributes)) => {
            for error in attributes.attributes.into_iter().filter_map(|answer| answer.error) {
                known_or_kept(error.into());
            }
        }
        Some(Answer::Made(made)) => {
            if let Some(Err(error)) = made.attributes.map(|template| template.check()) {
                known_or_kept(error);
            }
        }
        _ => {}
    }
}

fn known_or_kept(error: Error) {
    assert!(!error.to_string().is_empty());
    let (code, argument, retry) = error.to_wire();
    let again = Error::from_wire(code, argument, retry);
    assert_eq!((again, again.retry()), (error, error.retry()));
}

/// `casemate.toml`: what is wrong is said on one line that names the file; what is right names an HSM and a cluster.
pub fn configuration(input: &[u8]) {
    let path = Path::new("fuzz/casemate.toml");
    match Config::read(input, path) {
        Ok(config) => {
            assert!(!config.addresses.is_empty());
            assert!(config.trust.is_some());
            assert!(config.polling <= Duration::from_millis(1));
        }
        Err(error) => {
            let said = error.to_string();
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}

/// A chain that holds, for the control: (trust, leaf, cluster certificate).
fn right() -> &'static (Trust, Vec<u8>, Vec<u8>) {
    static RIGHT: OnceLock<(Trust, Vec<u8>, Vec<u8>)> = OnceLock::new();
    RIGHT.get_or_init(|| {
        let hsm = crate::one_hsm::OneHsm::active();
        let (leaf, cluster) = hsm.chain();
        let (trust, now) = (hsm.trust(), now());
        check_chain(&trust, &leaf, &[CertificateDer::from(cluster.clone())], now).unwrap();
        (trust, leaf, cluster)
    })
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(crate::one_hsm::NOW.0))
}

/// The part of a certificate that its signature is over; none if it is none, or has something behind its end.
fn signed(der: &[u8]) -> Option<Vec<u8>> {
    let Ok(([], certificate)) = X509Certificate::from_der(der) else { return None };
    Some(certificate.tbs_certificate.as_ref().to_vec())
}

/// The chain of the other side: whatever differs from the right one is refused, in words. The first byte says which certificate
/// is replaced (0 leaf, 1 cluster certificate, 2 both by the same) or, from 3 on, changed: then two bytes for each place and one
/// for what is changed there.
pub fn chain(input: &[u8]) {
    let (trust, leaf, cluster) = right();
    let Some((&how, rest)) = input.split_first() else { return };
    let (mut found_leaf, mut found_cluster) = (leaf.clone(), cluster.clone());
    match how {
        0 => found_leaf = rest.to_vec(),
        1 => found_cluster = rest.to_vec(),
        2 => (found_leaf, found_cluster) = (rest.to_vec(), rest.to_vec()),
        255 => found_leaf.extend_from_slice(rest),
        how if how % 2 == 1 => crate::one_hsm::change(&mut found_leaf, rest),
        _ => crate::one_hsm::change(&mut found_cluster, rest),
    }
    let same = found_leaf == *leaf && found_cluster == *cluster;
    // The tag of the whole and the form of the signature are not signed: they may be written in more than one way.
    let signed = signed(&found_leaf) == signed(leaf) && signed(&found_cluster) == signed(cluster);
    let others = [CertificateDer::from(found_cluster)];
    match check_chain(trust, &found_leaf, &others, now()) {
        Ok(()) => assert!(signed, "another chain was taken"),
        Err(cause) => assert!(!cause.is_empty() && !same),
    }
    assert!(check_chain(trust, &found_leaf, &[], now()).is_err());
}
