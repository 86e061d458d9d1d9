//! Two ends on loopback: real sockets, real TLS, a house that answers with what it was asked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::link::{Greeting, LinkError, Place, ask_to_join};
use super::*;

use std::sync::Arc;
use std::time::{Duration, Instant};

struct Toy {
    member: Identity,
    is_member: AtomicBool,
    served: AtomicUsize,
}

impl House for Toy {
    fn hello(&self) -> Vec<u8> {
        b"toy".to_vec()
    }

    fn receive(&self, who: &Identity, hello: &[u8]) -> Result<u64, Refusal> {
        if *who != self.member {
            return Err(Refusal::Stranger);
        }
        if hello != b"caller" {
            return Err(Refusal::Unfit("an old disk".to_owned()));
        }
        Ok(2)
    }

    fn is_member(&self, _number: u64, _who: &Identity) -> bool {
        self.is_member.load(Ordering::SeqCst)
    }

    fn serve(&self, from: u64, request: Vec<u8>) -> Later<Vec<u8>> {
        self.served.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            if request == b"slow" {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            [&from.to_be_bytes()[..], &request].concat()
        })
    }

    fn join(&self, _who: Identity, request: Vec<u8>) -> Later<Vec<u8>> {
        Box::pin(async move { [b"pending ", request.as_slice()].concat() })
    }
}

struct Caller(&'static [u8]);

impl Greeting for Caller {
    fn hello(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn judge(&self, _member: u64, hello: &[u8]) -> Result<(), LinkError> {
        if hello == b"toy" { Ok(()) } else { Err(LinkError::NotReceived) }
    }
}

fn module() -> (Arc<PeerTls>, Identity) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let certificate = certificate.der().clone();
    let who = identity(Some(std::slice::from_ref(&certificate))).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    (Arc::new(PeerTls::new(&certificate, &key).unwrap()), who)
}

struct Setting {
    place: Place,
    house: Arc<Toy>,
    caller: Arc<PeerTls>,
}

/// A house that listens, and the identity of the one member that it knows.
fn setting(limits: Limits) -> Setting {
    let ((house_tls, identity), (caller, member)) = (module(), module());
    let house =
        Arc::new(Toy { member, is_member: AtomicBool::new(true), served: AtomicUsize::new(0) });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(listen(listener, house_tls, Arc::clone(&house), limits));
    Setting { place: Place { address, identity }, house, caller }
}

fn links(tls: &Arc<PeerTls>, hello: &'static [u8]) -> Links<Caller> {
    Links::new(Arc::clone(tls), Arc::new(Caller(hello)))
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_member_is_answered_many_times_on_one_connection() {
    let setting = setting(Limits::default());
    let links = Arc::new(links(&setting.caller, b"caller"));
    let calls = (0..100_u8).map(|number| {
        let (links, place) = (Arc::clone(&links), setting.place.clone());
        tokio::spawn(async move { links.call(1, place, vec![number; 1000], SOON).await })
    });
    for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        let reply = call.await.unwrap().unwrap();
        assert_eq!(reply[..8], 2_u64.to_be_bytes());
        assert_eq!(reply[8..], vec![u8::try_from(number).unwrap(); 1000]);
    }
}

#[tokio::test]
async fn who_is_no_member_or_unfit_or_removed_gets_nothing() {
    let setting = setting(Limits::default());
    let ask = async |tls: &Arc<PeerTls>, hello, place: &Place| {
        links(tls, hello).call(1, place.clone(), b"x".to_vec(), SOON).await
    };
    let (stranger, _) = module();
    assert_eq!(ask(&stranger, b"caller", &setting.place).await, Err(LinkError::NotReceived));
    assert_eq!(ask(&setting.caller, b"old", &setting.place).await, Err(LinkError::NotReceived));
    let other = Place { identity: [7; 32], ..setting.place.clone() };
    assert_eq!(ask(&setting.caller, b"caller", &other).await, Err(LinkError::OtherIdentity));
    assert_eq!(setting.house.served.load(Ordering::SeqCst), 0);
    // On a connection that is open, too.
    let open = links(&setting.caller, b"caller");
    assert!(open.call(1, setting.place.clone(), b"x".to_vec(), SOON).await.is_ok());
    setting.house.is_member.store(false, Ordering::SeqCst);
    assert_eq!(
        open.call(1, setting.place.clone(), b"x".to_vec(), SOON).await,
        Err(LinkError::Broken)
    );
    assert_eq!(setting.house.served.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stranger_may_ask_to_join_by_one_small_message() {
    let setting = setting(Limits::default());
    let (stranger, _) = module();
    let asked = ask_to_join(&stranger, &setting.place.address, b"please".to_vec()).await.unwrap();
    assert_eq!(asked, (setting.place.identity, b"pending please".to_vec()));
    let large = vec![0; wire::STRANGER_BYTES_MAX + 1];
    assert!(ask_to_join(&stranger, &setting.place.address, large).await.is_err());
}

#[tokio::test]
async fn who_is_away_or_silent_is_given_up_soon() {
    let setting = setting(Limits::default());
    let links = links(&setting.caller, b"caller");
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Place { address: listener.local_addr().unwrap().to_string(), identity: [1; 32] }
    };
    let away = links.call(3, nobody, b"x".to_vec(), SOON).await;
    assert!(matches!(away, Err(LinkError::Unreachable(_))), "{away:?}");
    let started = Instant::now();
    let silent = links.call(1, setting.place.clone(), b"slow".to_vec(), SOON).await;
    assert_eq!(silent, Err(LinkError::Broken));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // The next request makes a new connection.
    assert!(links.call(1, setting.place.clone(), b"x".to_vec(), SOON).await.is_ok());
    let late = links.call(1, setting.place.clone(), b"slow".to_vec(), Duration::from_millis(50));
    assert_eq!(late.await, Err(LinkError::Late));
}

#[tokio::test]
async fn strangers_hold_no_connection_open_and_members_find_room() {
    let limits =
        Limits { connections: 4, greeting: Duration::from_millis(200), ..Limits::default() };
    let setting = setting(limits);
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(tokio::net::TcpStream::connect(&setting.place.address).await.unwrap());
    }
    let links = links(&setting.caller, b"caller");
    let started = Instant::now();
    while links.call(1, setting.place.clone(), b"x".to_vec(), SOON).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(silent);
}
